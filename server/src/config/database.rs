//! The SQL store on MySQL or MariaDB: `mysql://USER:PASSWORD@HOST:PORT/DATABASE`.

use super::reader::Reader;
use std::fmt;

/// The address of a database. It may hold a password, so it is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// The address, password and all.
    pub fn secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DatabaseUrl(…)")
    }
}

/// Whether a database's address names MySQL or MariaDB.
pub fn is_url(text: &str) -> bool {
    ["mysql://", "mariadb://"].iter().any(|scheme| text.starts_with(scheme))
}

/// The address, where the database is not the embedded one.
pub fn url(read: &mut Reader<'_>) -> Option<DatabaseUrl> {
    read.text("database_url").filter(|text| is_url(text)).map(DatabaseUrl)
}
