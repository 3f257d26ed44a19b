//! For tests of crates above: statements that no trait has.

use sqlx::{AssertSqlSafe, Connection, MySqlConnection};

/// Runs a statement on the MySQL or MariaDB at a `mysql://` URL; panics where that fails.
pub async fn execute(url: &str, statement: &str) {
    let mut connection = MySqlConnection::connect(url).await.expect("the server of the test answers");
    let ran = sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut connection).await;
    ran.expect("the statement runs");
}
