//! The SQL store on sqlx: SQLite embedded, shaped for MySQL.
//!
//! - [`SqlDatabase`]: the store; implements every trait of `store::sql`;
//! - `pool`: the only place that knows a driver: connections, transactions, values and rows;
//! - `dialect`: the only place that knows where the SQL of SQLite and MySQL differs;
//! - `migration`: brings the schema up; its files are in `migrations/<dialect>/`;
//! - `names`: numbers for the names of sources and metrics, remembered in memory;
//! - one file a trait: `accounts`, `sessions`, `tokens`, `sources` with `rollups`, `pipeline` with `expiry`.

mod accounts;
mod database;
mod dialect;
mod expiry;
mod migration;
mod names;
mod pipeline;
mod pool;
mod rollups;
mod sessions;
mod sources;
mod tokens;

pub use database::SqlDatabase;
