//! The SQL store on sqlx: SQLite embedded, MySQL or MariaDB in production.
//!
//! - [`SqlDatabase`]: the store; implements every trait of `store::sql`;
//! - `pool`: connections and transactions whatever the driver, with `value`, `row` and `fault` (errors, and which are
//!   worth another attempt); only `sqlite` and `mysql` know a driver's connections;
//! - `dialect`: the only place that knows where the SQL of SQLite and MySQL differs;
//! - `migration`: brings the schema up; its files are in `migrations/<dialect>/`;
//! - `backup`: the database as a file, and row by row into another dialect;
//! - `names`: numbers for the names of sources and metrics, remembered in memory;
//! - one file a trait: `accounts`, `sessions`, `tokens`, `trust`, `sources` with `rollups`, `pipeline` with `expiry`, `dead_letters`.

mod accounts;
mod backup;
mod database;
mod dead_letters;
mod dialect;
mod expiry;
mod fault;
mod migration;
mod mysql;
mod names;
mod pipeline;
mod pool;
mod quotas;
mod rollups;
mod row;
mod sessions;
mod sources;
mod sqlite;
#[cfg(feature = "testing")]
pub mod testing;
mod tokens;
mod trust;
mod value;

pub use backup::copy_sql;
pub use database::SqlDatabase;
