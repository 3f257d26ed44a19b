//! The database as a file, and row by row in any dialect.
//!
//! The tables are read from the database itself, so that a new one comes along by itself. What a column holds is one
//! of four kinds, which both dialects have; the keys that MySQL keeps as VARBINARY are texts.

use crate::SqlDatabase;
use crate::dialect::Dialect;
use crate::fault::failed;
use crate::migration;
use crate::pool::Pool;
use crate::value::values;
use async_trait::async_trait;
use futures::{Stream, TryStreamExt};
use sqlx::mysql::{MySqlArguments, MySqlRow};
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{AssertSqlSafe, MySql, Row, Sqlite};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use store::backup::{Cell, ColumnKind, Rows, SqlCopy, SqlSnapshot, TableShape};
use store::broker::{Offset, Partition};
use store::sql::{Accounts, SqlError, SqlResult};
use tokio::sync::mpsc;

/// Rows sent, or inserted, together.
const ROWS_A_CHUNK: usize = 500;
/// And their bytes, about; servers refuse a statement of some 16 MiB.
const BYTES_A_CHUNK: usize = 2 << 20;

#[async_trait]
impl SqlSnapshot for SqlDatabase {
    async fn snapshot(&self, file: &Path) -> SqlResult<()> {
        let Pool::Sqlite(database) = &self.pool else {
            return Err(SqlError::Failed("only an embedded database is taken as a file".to_owned()));
        };
        let path = file.to_str().ok_or_else(|| SqlError::Failed("the path is not UTF-8".to_owned()))?;
        // A reader's, but for good: it must not go back among those that cannot write.
        let mut connection = database.readers().acquire().await.map_err(failed)?.detach();
        sqlx::raw_sql("PRAGMA query_only = OFF").execute(&mut connection).await.map_err(failed)?;
        sqlx::query("VACUUM INTO ?").bind(path).execute(&mut connection).await.map_err(failed)?;
        let unsynced = |error: std::io::Error| SqlError::Failed(error.to_string());
        std::fs::File::open(file).and_then(|file| file.sync_all()).map_err(unsynced)
    }
}

impl SqlDatabase {
    /// The tables, each after those it refers to.
    async fn shapes(&self) -> SqlResult<Vec<Arc<TableShape>>> {
        let (columns, references) = match self.pool.dialect() {
            Dialect::Sqlite => (
                "SELECT t.name, c.name, c.type FROM sqlite_master t JOIN pragma_table_info(t.name) c WHERE t.type = \
                 'table' AND t.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND t.name <> 'schema_migrations' ORDER BY \
                 t.name, c.cid",
                "SELECT t.name, f.\"table\" FROM sqlite_master t JOIN pragma_foreign_key_list(t.name) f WHERE t.type \
                 = 'table'",
            ),
            Dialect::MySql => (
                "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = \
                 DATABASE() AND table_name <> 'schema_migrations' ORDER BY table_name, ordinal_position",
                "SELECT table_name, referenced_table_name FROM information_schema.key_column_usage WHERE \
                 table_schema = DATABASE() AND referenced_table_name IS NOT NULL",
            ),
        };
        let mut tables: BTreeMap<String, TableShape> = BTreeMap::new();
        for row in self.pool.rows(columns, vec![]).await? {
            let (table, column, declared) = (row.text(0)?, row.text(1)?, row.text(2)?);
            let kind = kind_of(&declared).ok_or_else(|| {
                SqlError::Failed(format!("{table}.{column} is of a kind that cannot be copied: {declared}"))
            })?;
            let shape = TableShape { table: table.clone(), columns: Vec::new() };
            tables.entry(table).or_insert(shape).columns.push((column, kind));
        }
        let mut references_of: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for row in self.pool.rows(references, vec![]).await? {
            references_of.entry(row.text(0)?).or_default().insert(row.text(1)?);
        }
        Ok(after_references(tables, &references_of))
    }
}

/// In an order in which each table comes after those that it refers to, other than itself.
fn after_references(
    mut tables: BTreeMap<String, TableShape>,
    references: &BTreeMap<String, BTreeSet<String>>,
) -> Vec<Arc<TableShape>> {
    let mut ordered = Vec::with_capacity(tables.len());
    while !tables.is_empty() {
        let waits = |table: &str| {
            references
                .get(table)
                .is_some_and(|others| others.iter().any(|it| it != table && tables.contains_key(it)))
        };
        let free = tables.keys().find(|table| !waits(table)).or_else(|| tables.keys().next()).cloned();
        ordered.extend(free.and_then(|table| tables.remove(&table)).map(Arc::new));
    }
    ordered
}

/// By the type that a column is declared with, in either dialect.
fn kind_of(declared: &str) -> Option<ColumnKind> {
    let declared = declared.to_ascii_lowercase();
    Some(match declared.as_str() {
        it if it.contains("int") => ColumnKind::Integer,
        "real" | "double" | "float" => ColumnKind::Real,
        it if it.contains("blob") => ColumnKind::Blob,
        it if it.contains("char") || it.contains("text") || it.contains("binary") => ColumnKind::Text,
        _ => return None,
    })
}

/// Names of tables and columns are the schema's own; both dialects take them in back quotes.
fn select(shape: &TableShape) -> String {
    let columns: Vec<String> = shape.columns.iter().map(|(name, _)| format!("`{name}`")).collect();
    format!("SELECT {} FROM `{}`", columns.join(", "), shape.table)
}

fn insert(shape: &TableShape, rows: usize) -> String {
    let columns: Vec<String> = shape.columns.iter().map(|(name, _)| format!("`{name}`")).collect();
    let row = format!("({})", vec!["?"; columns.len()].join(", "));
    let rows = vec![row; rows].join(", ");
    format!("INSERT INTO `{}` ({}) VALUES {rows}", shape.table, columns.join(", "))
}

/// A driver's way of reading a value and of binding one. MySQL's texts are declared as bytes, so that what a column holds
/// has to be known.
macro_rules! driver {
    ($cell:ident, $row:ty, $bind:ident, $query:ty) => {
        fn $cell(row: &$row, at: usize, kind: ColumnKind) -> Result<Cell, sqlx::Error> {
            Ok(match kind {
                ColumnKind::Integer => row.try_get::<Option<i64>, _>(at)?.map_or(Cell::Null, Cell::Integer),
                ColumnKind::Real => {
                    row.try_get_unchecked::<Option<f64>, _>(at)?.map_or(Cell::Null, Cell::Real)
                }
                ColumnKind::Text => {
                    row.try_get_unchecked::<Option<String>, _>(at)?.map_or(Cell::Null, Cell::Text)
                }
                ColumnKind::Blob => {
                    row.try_get_unchecked::<Option<Vec<u8>>, _>(at)?.map_or(Cell::Null, Cell::Blob)
                }
            })
        }

        fn $bind(mut query: $query, rows: &[Vec<Cell>]) -> $query {
            for cell in rows.iter().flatten() {
                query = match cell {
                    Cell::Null => query.bind(None::<i64>),
                    Cell::Integer(value) => query.bind(*value),
                    Cell::Real(value) => query.bind(*value),
                    Cell::Text(value) => query.bind(value.clone()),
                    Cell::Blob(value) => query.bind(value.clone()),
                };
            }
            query
        }
    };
}
driver!(sqlite_cell, SqliteRow, bind_sqlite, Query<'static, Sqlite, SqliteArguments>);
driver!(mysql_cell, MySqlRow, bind_mysql, Query<'static, MySql, MySqlArguments>);

fn weight(row: &[Cell]) -> usize {
    let bytes = |cell: &Cell| match cell {
        Cell::Text(text) => text.len(),
        Cell::Blob(bytes) => bytes.len(),
        Cell::Null | Cell::Integer(_) | Cell::Real(_) => 8,
    };
    row.iter().map(bytes).sum()
}

/// Sends a table's rows; false where nobody takes them any more.
async fn send<R>(
    shape: &Arc<TableShape>,
    mut found: impl Stream<Item = Result<R, sqlx::Error>> + Unpin,
    read: impl Fn(&R, usize, ColumnKind) -> Result<Cell, sqlx::Error>,
    into: &mpsc::Sender<Rows>,
) -> SqlResult<bool> {
    let (mut rows, mut bytes) = (Vec::new(), 0);
    while let Some(row) = found.try_next().await.map_err(failed)? {
        let cells = shape.columns.iter().enumerate().map(|(at, (_, kind))| read(&row, at, *kind));
        let cells = cells.collect::<Result<Vec<_>, _>>().map_err(failed)?;
        bytes += weight(&cells);
        rows.push(cells);
        if rows.len() >= ROWS_A_CHUNK || bytes >= BYTES_A_CHUNK {
            bytes = 0;
            let rows = std::mem::take(&mut rows);
            if into.send(Rows { shape: Arc::clone(shape), rows }).await.is_err() {
                return Ok(false);
            }
        }
    }
    // An empty table is sent as well: a copy knows that it was there.
    Ok(into.send(Rows { shape: Arc::clone(shape), rows }).await.is_ok())
}

/// Parts that fit into a statement.
fn statements(rows: &[Vec<Cell>], most: usize) -> Vec<&[Vec<Cell>]> {
    let (mut parts, mut start, mut bytes) = (Vec::new(), 0, 0);
    for (at, row) in rows.iter().enumerate() {
        bytes += weight(row);
        if at > start && (at - start >= most || bytes > BYTES_A_CHUNK) {
            parts.push(&rows[start..at]);
            (start, bytes) = (at, weight(row));
        }
    }
    if start < rows.len() {
        parts.push(&rows[start..]);
    }
    parts
}

#[async_trait]
impl SqlCopy for SqlDatabase {
    async fn schema_version(&self) -> SqlResult<i64> {
        migration::found(&self.pool).await
    }

    async fn counts(&self) -> SqlResult<BTreeMap<String, u64>> {
        let mut counts = BTreeMap::new();
        for shape in self.shapes().await? {
            let sql = format!("SELECT COUNT(*) FROM `{}`", shape.table);
            let row = self.pool.row(sql, vec![]).await?;
            counts.insert(shape.table.clone(), row.map_or(Ok(0), |row| row.count(0))?);
        }
        Ok(counts)
    }

    async fn dump(&self, into: mpsc::Sender<Rows>) -> SqlResult<()> {
        let shapes = self.shapes().await?;
        match &self.pool {
            Pool::Sqlite(database) => {
                let mut tx = database.readers().begin().await.map_err(failed)?;
                for shape in shapes {
                    let found = sqlx::query(AssertSqlSafe(select(&shape))).fetch(&mut *tx);
                    if !send(&shape, found, sqlite_cell, &into).await? {
                        break;
                    }
                }
                tx.rollback().await.map_err(failed)
            }
            Pool::MySql(database) => {
                let mut connection = database.connections().acquire().await.map_err(failed)?;
                // It is in a transaction of its own kind, and must not come back with it.
                connection.close_on_drop();
                for begin in [
                    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
                    "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
                ] {
                    sqlx::raw_sql(begin).execute(&mut *connection).await.map_err(failed)?;
                }
                for shape in shapes {
                    let found = sqlx::query(AssertSqlSafe(select(&shape))).fetch(&mut *connection);
                    if !send(&shape, found, mysql_cell, &into).await? {
                        break;
                    }
                }
                Ok(())
            }
        }
    }

    async fn prepare(&self, version: i64) -> SqlResult<()> {
        migration::migrate_to(&self.pool, version).await?;
        for shape in self.shapes().await?.iter().rev() {
            self.pool.run(format!("DELETE FROM `{}`", shape.table), vec![], &[]).await?;
        }
        Ok(())
    }

    async fn load(&self, rows: Rows) -> SqlResult<u64> {
        let Rows { shape, rows } = rows;
        let width = shape.columns.len().max(1);
        let most = ROWS_A_CHUNK.min(self.pool.dialect().most_values() / width).max(1);
        let in_table = |error: sqlx::Error| SqlError::Failed(format!("{}: {error}", shape.table));
        match &self.pool {
            Pool::Sqlite(database) => {
                let mut tx = database.writer().begin().await.map_err(failed)?;
                for part in statements(&rows, most) {
                    let query = sqlx::query::<Sqlite>(AssertSqlSafe(insert(&shape, part.len())));
                    bind_sqlite(query, part).execute(&mut *tx).await.map_err(in_table)?;
                }
                tx.commit().await.map_err(failed)?;
            }
            Pool::MySql(database) => {
                let mut tx = database.connections().begin().await.map_err(failed)?;
                for part in statements(&rows, most) {
                    let query = sqlx::query::<MySql>(AssertSqlSafe(insert(&shape, part.len())));
                    bind_mysql(query, part).persistent(false).execute(&mut *tx).await.map_err(in_table)?;
                }
                tx.commit().await.map_err(failed)?;
            }
        }
        Ok(rows.len() as u64)
    }

    async fn set_offsets(&self, topic: &str, offsets: &[(Partition, Offset)]) -> SqlResult<()> {
        let mut tx = self.pool.begin().await?;
        tx.run("DELETE FROM pipeline_offsets WHERE topic = ?", values![topic]).await?;
        for (partition, next) in offsets {
            let sql = "INSERT INTO pipeline_offsets (topic, partition_no, next_offset) VALUES (?, ?, ?)";
            tx.run(sql, values![topic, *partition, *next]).await?;
        }
        Ok(tx.commit().await?)
    }
}

/// Copies one database into another, empty one, row by row; answers the rows of each table.
///
/// # Errors
/// As the databases; where the target knows no schema of the source's version.
pub async fn copy_sql(from: &SqlDatabase, to: &SqlDatabase) -> SqlResult<BTreeMap<String, u64>> {
    to.prepare(from.schema_version().await?).await?;
    let (sender, mut receiver) = mpsc::channel(4);
    let load = async {
        let mut counts = BTreeMap::new();
        while let Some(rows) = receiver.recv().await {
            let rows: Rows = rows;
            let table = rows.shape.table.clone();
            *counts.entry(table).or_insert(0) += to.load(rows).await?;
        }
        Ok::<_, SqlError>(counts)
    };
    let ((), counts) = futures::try_join!(from.dump(sender), load)?;
    to.migrate().await?;
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_the_same_in_both_dialects() {
        let check = |declared: &[&str], expect: Option<ColumnKind>| {
            for declared in declared {
                assert_eq!(kind_of(declared), expect, "{declared}");
            }
        };
        check(&["INTEGER", "int", "bigint"], Some(ColumnKind::Integer));
        check(&["REAL", "double"], Some(ColumnKind::Real));
        check(&["TEXT", "varchar", "varbinary", "mediumtext", "longtext"], Some(ColumnKind::Text));
        check(&["BLOB", "longblob", "mediumblob"], Some(ColumnKind::Blob));
        check(&["geometry", ""], None);
    }

    #[test]
    fn statements_hold_so_many_rows_and_bytes() {
        let row = |bytes: usize| vec![Cell::Blob(vec![0; bytes])];
        let check = |sizes: &[usize], most: usize, expect: &[usize]| {
            let rows: Vec<_> = sizes.iter().map(|size| row(*size)).collect();
            let parts: Vec<_> = statements(&rows, most).iter().map(|part| part.len()).collect();
            assert_eq!(parts, expect);
        };
        check(&[], 3, &[]);
        check(&[1; 7], 3, &[3, 3, 1]);
        check(&[BYTES_A_CHUNK, 1, BYTES_A_CHUNK - 1, 1], 9, &[1, 2, 1]);
    }

    #[tokio::test]
    async fn a_copy_has_every_row_and_a_snapshot_too() {
        let folder = tempfile::tempdir().unwrap();
        let open = |name: &str| folder.path().join(name);
        let from = SqlDatabase::open(&open("from.db")).await.unwrap();
        from.migrate().await.unwrap();
        for statement in [
            "INSERT INTO source_ids VALUES (7, 't_a', '펌프 1')",
            "INSERT INTO series VALUES (3, 7, 't_a', 'temperature')",
            "INSERT INTO latest_values VALUES (3, 0.30000000000000004, -1)",
            "INSERT INTO rollup_minutes VALUES (3, 60, 2, NULL, 1, -1.5e-300, 2, 1.7976931348623157e308, 5, 2)",
        ] {
            from.pool.run(statement, vec![], &[]).await.unwrap();
        }
        from.set_offsets("t", &[(0, 5), (1, 6)]).await.unwrap();
        from.set_offsets("t", &[(0, 7)]).await.unwrap();

        let to = SqlDatabase::open(&open("to.db")).await.unwrap();
        let copied = copy_sql(&from, &to).await.unwrap();
        assert_eq!(copied["rollup_minutes"], 1);
        assert_eq!(copied["pipeline_offsets"], 1);
        assert_eq!(copied, from.counts().await.unwrap());
        // Again, over what an attempt before has left.
        assert_eq!(copy_sql(&from, &to).await.unwrap(), to.counts().await.unwrap());
        let all = async |database: &SqlDatabase| {
            let (sender, mut receiver) = mpsc::channel(64);
            database.dump(sender).await.unwrap();
            let mut all = Vec::new();
            while let Some(rows) = receiver.recv().await {
                all.push((rows.shape, rows.rows));
            }
            all
        };
        let expect = all(&from).await;
        assert!(expect.iter().any(|(_, rows)| rows.contains(&vec![
            Cell::Integer(3),
            Cell::Real(0.30000000000000004),
            Cell::Integer(-1)
        ])));
        assert_eq!(all(&to).await, expect);

        from.snapshot(&open("snapshot.db")).await.unwrap();
        assert!(from.snapshot(&open("snapshot.db")).await.is_err(), "nothing is written over");
        let snapshot = SqlDatabase::open(&open("snapshot.db")).await.unwrap();
        assert_eq!(all(&snapshot).await, expect);
    }
}
