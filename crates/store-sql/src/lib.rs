//! The SQL store on sqlx: SQLite embedded, MySQL or MariaDB in production.
//!
//! - [`SqlDatabase`]: the store; implements every trait of `store::sql`;
//! - `pool`: connections and transactions whatever the driver, with `value`, `row` and `fault` (errors, and which are
//!   worth another attempt); only `sqlite` and `mysql` know a driver's connections;
//! - `dialect`: the only place that knows where the SQL of SQLite and MySQL differs;
//! - `migration`: brings the schema up; its files are in `migrations/<dialect>/`;
//! - `names`: numbers for the names of sources and metrics, remembered in memory;
//! - one file a trait: `accounts`, `sessions`, `tokens`, `sources` with `rollups`, `pipeline` with `expiry`.

mod accounts;
mod database;
mod dialect;
mod expiry;
mod fault;
mod migration;
mod mysql;
mod names;
mod pipeline;
mod pool;
mod rollups;
mod row;
mod sessions;
mod sources;
mod sqlite;
mod tokens;
mod value;

pub use database::SqlDatabase;
