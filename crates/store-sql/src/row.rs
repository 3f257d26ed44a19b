//! Rows read.

use crate::fault::{failed, unreadable};
use domain::{SourceKey, TenantId, Timestamp};
use sqlx::mysql::MySqlRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, MySql, Row as _, Sqlite, Type};
use store::sql::SqlResult;

/// A row read; columns by position. A column that is not what the program expects is an error, never a panic.
pub(crate) enum Row {
    Sqlite(SqliteRow),
    MySql(MySqlRow),
}

impl Row {
    /// A number. SQLite: unchecked, for a sum has no declared type. MySQL: checked, for the digits of a DECIMAL would be
    /// taken for the bytes of a number.
    fn number<'r, T>(&'r self, at: usize) -> SqlResult<T>
    where
        T: Decode<'r, Sqlite> + Decode<'r, MySql> + Type<MySql>,
    {
        match self {
            Self::Sqlite(row) => row.try_get_unchecked(at).map_err(failed),
            Self::MySql(row) => row.try_get(at).map_err(failed),
        }
    }

    /// A text. Unchecked: MySQL's keys are declared as bytes.
    fn words<'r, T>(&'r self, at: usize) -> SqlResult<T>
    where
        T: Decode<'r, Sqlite> + Decode<'r, MySql>,
    {
        match self {
            Self::Sqlite(row) => row.try_get_unchecked(at).map_err(failed),
            Self::MySql(row) => row.try_get_unchecked(at).map_err(failed),
        }
    }

    pub fn int(&self, at: usize) -> SqlResult<i64> {
        self.number(at)
    }
    pub fn opt_int(&self, at: usize) -> SqlResult<Option<i64>> {
        self.number(at)
    }
    pub fn count(&self, at: usize) -> SqlResult<u64> {
        self.int(at).map(|n| u64::try_from(n).unwrap_or(0))
    }
    pub fn opt_count(&self, at: usize) -> SqlResult<Option<u64>> {
        Ok(self.opt_int(at)?.map(|n| u64::try_from(n).unwrap_or(0)))
    }
    pub fn small(&self, at: usize) -> SqlResult<u32> {
        self.int(at).map(|n| u32::try_from(n).unwrap_or(u32::MAX))
    }
    pub fn flag(&self, at: usize) -> SqlResult<bool> {
        self.int(at).map(|n| n != 0)
    }
    pub fn time(&self, at: usize) -> SqlResult<Timestamp> {
        self.int(at).map(Timestamp::from_nanos)
    }
    pub fn opt_time(&self, at: usize) -> SqlResult<Option<Timestamp>> {
        Ok(self.opt_int(at)?.map(Timestamp::from_nanos))
    }
    pub fn real(&self, at: usize) -> SqlResult<f64> {
        self.number(at)
    }
    pub fn opt_real(&self, at: usize) -> SqlResult<Option<f64>> {
        self.number(at)
    }
    pub fn text(&self, at: usize) -> SqlResult<String> {
        self.words(at)
    }
    pub fn opt_text(&self, at: usize) -> SqlResult<Option<String>> {
        self.words(at)
    }
    pub fn bytes(&self, at: usize) -> SqlResult<Vec<u8>> {
        self.words(at)
    }
    pub fn opt_bytes(&self, at: usize) -> SqlResult<Option<Vec<u8>>> {
        self.words(at)
    }
    pub fn tenant(&self, at: usize) -> SqlResult<TenantId> {
        TenantId::new(self.words(at)?).map_err(unreadable)
    }
    pub fn source(&self, at: usize) -> SqlResult<SourceKey> {
        SourceKey::new(self.words(at)?).map_err(unreadable)
    }
}
