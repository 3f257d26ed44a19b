//! What is counted in a backup and again after a restore.

use crate::serve::data_dir::database_path;
use anyhow::Result;
use domain::TimeRange;
use domain::query::Query;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use store::backup::{Offsets, SqlCopy};
use store::broker::{Broker, Topic};
use store::index::{EventIndex, ReadLimit};
use store::sql::{Accounts, Pipeline};
use store_index::{IndexOptions, TantivyIndex};
use store_log::{EmbeddedLog, LogOptions};
use store_sql::SqlDatabase;
use tokio_util::sync::CancellationToken;

/// How long counting a tenant's events may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// Counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Rows of each table.
    pub rows: BTreeMap<String, u64>,
    /// Events in all indexes, those of removed tenants as well.
    pub events: u64,
    /// Events of each tenant, by its short name.
    pub tenants: BTreeMap<String, u64>,
    /// Where the processor goes on, by topic and partition.
    pub offsets: BTreeMap<String, u64>,
    /// The offset of the next record of the log, by topic and partition.
    pub ends: BTreeMap<String, u64>,
}

/// A count that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Of what.
    pub what: String,
    /// In the backup.
    pub before: Option<u64>,
    /// Now.
    pub now: Option<u64>,
}

impl Counts {
    /// Counts a folder with the database and the index of a data directory. The log is not looked at: a snapshot's last
    /// file is still being written to.
    ///
    /// # Errors
    /// As the stores.
    pub async fn of(dir: &Path, ends: BTreeMap<String, u64>) -> Result<Self> {
        let sql = SqlDatabase::open(&database_path(dir)).await?;
        let index_dir = dir.join("index");
        let open = move || TantivyIndex::open(&index_dir, IndexOptions::default());
        let index = telemetry::spawn_blocking_named("backup-index", open).await??;
        let counts = Self::of_stores(&sql, &*index, ends).await;
        index.close().await?;
        sql.close().await;
        counts
    }

    /// Counts what stores hold.
    ///
    /// # Errors
    /// As the stores.
    pub async fn of_stores(
        sql: &SqlDatabase,
        index: &dyn EventIndex,
        ends: BTreeMap<String, u64>,
    ) -> Result<Self> {
        let mut counts = Self { rows: sql.counts().await?, ends, ..Self::default() };
        counts.events = index.stats().await?.events;
        for tenant in sql.tenants().await? {
            let limit = ReadLimit::within(PATIENCE, CancellationToken::new());
            let events = index.count(&tenant.key, Query::all(), TimeRange::ALL, limit).await?;
            counts.tenants.insert(tenant.slug, events);
        }
        for topic in Topic::ALL {
            for (partition, next) in sql.offsets(topic.name()).await? {
                counts.offsets.insert(place(topic, partition), next);
            }
        }
        Ok(counts)
    }

    /// Where the log of a folder ends. It is opened, so nobody else may have it.
    ///
    /// # Errors
    /// As the log.
    pub async fn ends_of(dir: &Path) -> Result<BTreeMap<String, u64>> {
        let dir = dir.join("log");
        let open = move || EmbeddedLog::open(dir, LogOptions::default());
        let log = telemetry::spawn_blocking_named("backup-log", open).await??;
        let mut ends = BTreeMap::new();
        for topic in Topic::ALL {
            for lag in log.lag("qgx-restore", topic).await? {
                ends.insert(place(topic, lag.partition), lag.end);
            }
        }
        log.close().await?;
        Ok(ends)
    }

    /// All of them by name, for people.
    pub fn listed(&self) -> Vec<(String, u64)> {
        let mut listed = vec![("events".to_owned(), self.events)];
        listed.extend(self.tenants.iter().map(|(slug, count)| (format!("events of {slug}"), *count)));
        listed.extend(self.rows.iter().map(|(table, count)| (format!("rows of {table}"), *count)));
        listed.extend(self.offsets.iter().map(|(place, next)| (format!("processed of {place}"), *next)));
        listed.extend(self.ends.iter().map(|(place, end)| (format!("end of {place}"), *end)));
        listed
    }

    /// What differs.
    pub fn differences(&self, now: &Self) -> Vec<Difference> {
        let (before, now): (BTreeMap<_, _>, BTreeMap<_, _>) =
            (self.listed().into_iter().collect(), now.listed().into_iter().collect());
        let mut names: Vec<&String> = before.keys().chain(now.keys()).collect();
        names.sort();
        names.dedup();
        let difference = |what: &String| {
            let (before, now) = (before.get(what).copied(), now.get(what).copied());
            (before != now).then(|| Difference { what: what.clone(), before, now })
        };
        names.into_iter().filter_map(difference).collect()
    }
}

/// A partition as counts name it.
pub fn place(topic: Topic, partition: u32) -> String {
    format!("{}/{partition}", topic.name())
}

/// Offsets by the names of counts.
pub fn named(offsets: &Offsets) -> BTreeMap<String, u64> {
    offsets.iter().map(|((topic, partition), offset)| (place(*topic, *partition), *offset)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_named() {
        let counts = |events, users| Counts {
            events,
            rows: BTreeMap::from([("users".to_owned(), users)]),
            ..Counts::default()
        };
        assert_eq!(counts(1, 2).differences(&counts(1, 2)), []);
        let named = |what: &str, before, now| Difference { what: what.to_owned(), before, now };
        let expect = [named("events", Some(1), Some(3)), named("rows of users", Some(2), None)];
        assert_eq!(counts(1, 2).differences(&Counts { events: 3, ..Counts::default() }), expect);
    }
}
