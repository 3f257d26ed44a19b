//! `qgx move`: from the embedded stores of a data directory to engines, while no server runs on it.
//!
//! What was done is kept in `<data-dir>/move.json`, so that a move that was cut short goes on:
//!
//! 1. events, index by index, into the same indexes (an engine that knows ids takes none twice);
//! 2. the log from SQL's offsets on, each record to the partition of its key in the new broker, however many that has;
//! 3. the database, row by row, and the offsets of the new broker: from here on the new engines are a whole;
//! 4. everything is counted and compared, and `<data-dir>/moved` keeps the old stores from being started by mistake.
//!
//! Tokens, sessions, sources and the sequences of streams are rows of the database: who was signed in stays so, and a
//! sender goes on after its last acknowledged line.

use super::engines::Engines;
use super::transfer::{self, Choice, Copied, Days, Sample};
use crate::config::Config;
use crate::serve::data_dir::{self, DataDir};
use crate::serve::stores;
use anyhow::{Context, Result, bail};
use domain::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;
use store::backup::{Offsets, SqlCopy};
use store::broker::Topic;
use store::index::IndexName;
use store::sql::Accounts;
use store_sql::copy_sql;

/// Below a data directory.
const STATE: &str = "move.json";

/// Which stores move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moving {
    /// From SQLite to MySQL.
    pub database: bool,
    /// From the embedded log to Kafka.
    pub broker: bool,
    /// From tantivy to OpenSearch.
    pub search: bool,
}

impl Moving {
    /// Those that are embedded now and an engine in the new settings.
    ///
    /// # Errors
    /// Where none is, or an engine would be left for another one.
    pub fn between(from: &Config, to: &Config) -> Result<Self> {
        let left = |from: bool, to: bool, name: &str| -> Result<bool> {
            if from && !to {
                bail!("{name} names an engine now and embedded: in the new settings: a move goes to engines");
            }
            Ok(!from && to)
        };
        let moving = Self {
            database: left(from.database.is_some(), to.database.is_some(), "QGX_DATABASE_URL")?,
            broker: left(from.kafka.is_some(), to.kafka.is_some(), "QGX_BROKER_URL")?,
            search: left(from.search.is_some(), to.search.is_some(), "QGX_SEARCH_URL")?,
        };
        if moving == (Self { database: false, broker: false, search: false }) {
            bail!(
                "the new settings name no engine for a store that is embedded now; give database_url, broker_url or \
                 search_url in the file of --to"
            );
        }
        Ok(moving)
    }

    fn names(self) -> Vec<&'static str> {
        let all = [(self.database, "database"), (self.broker, "broker"), (self.search, "search")];
        all.into_iter().filter(|(moves, _)| *moves).map(|(_, name)| name).collect()
    }
}

/// How far a move has come.
#[derive(Debug, Default, Serialize, Deserialize)]
struct State {
    /// Where to, hashed: the addresses hold passwords.
    target: String,
    /// Indexes that were copied whole, by name.
    indexes: BTreeMap<String, Copied>,
    /// Where the new broker's partitions ended before anything was appended: topic, partition, offset.
    starts: Option<Vec<(String, u32, u64)>>,
}

/// What a move did.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Relocated {
    /// Events in the indexes.
    pub events: u64,
    /// Events that were copied before, by an attempt that was cut short.
    pub resumed: u64,
    /// Records appended to the new broker.
    pub records: u64,
    /// Rows of each table: before and now.
    pub rows: BTreeMap<String, (u64, u64)>,
    /// By tenant.
    pub tenants: BTreeMap<String, u64>,
    /// Events compared byte for byte.
    pub sampled: u64,
    /// What differs; a move with differences is not finished.
    pub differences: Vec<String>,
    /// Seconds from beginning to end.
    pub took_secs: f64,
}

/// Hears what is being done.
pub type Steps<'a> = &'a (dyn Fn(&str) + Send + Sync);

/// Moves. Doing it again after it was cut short goes on.
///
/// # Errors
/// Where a server runs on the directory, an engine cannot be used, or an engine holds something already.
pub async fn relocate(from: &Config, to: &Config, steps: Steps<'_>) -> Result<Relocated> {
    let moving = Moving::between(from, to)?;
    let data_dir = DataDir::open(&from.data_dir).context("a move needs the server stopped")?;
    let path = data_dir.path();
    data_dir::expect_not_moved(path, &moving.names())?;
    steps("preparing the engines");
    stores::prepare(to).await?;
    let source = Engines::open(from, path).await?;
    if from.database.is_none() {
        source.sql.migrate().await?;
    }
    let target = source.moved_to(to, moving).await?;
    let run = Move { path, moving, source: &source, target: &target, hash: target_hash(to)?, steps };
    let done = run.to_the_end().await;
    target.close_moved(moving).await?;
    source.close().await?;
    done
}

/// The addresses, hashed.
fn target_hash(to: &Config) -> Result<String> {
    let text = format!(
        "{} {} {}",
        to.database.as_ref().map_or("", |url| url.secret()),
        to.kafka.as_ref().map_or_else(String::new, |kafka| format!("{} {}", kafka.bootstrap, kafka.prefix)),
        to.search.as_ref().map_or_else(String::new, |search| format!("{:?} {}", search.nodes, search.prefix)),
    );
    Ok(super::seal::hex(&Sha256::digest(text)))
}

struct Move<'a> {
    path: &'a Path,
    moving: Moving,
    source: &'a Engines,
    target: &'a Engines,
    hash: String,
    steps: Steps<'a>,
}

impl Move<'_> {
    async fn to_the_end(&self) -> Result<Relocated> {
        let started = Instant::now();
        let mut state = self.begin().await?;
        let mut done = Relocated::default();
        let mut samples = Vec::new();
        let mut days = Days::new();
        if self.moving.search {
            self.events(&mut state, &mut done, &mut samples, &mut days).await?;
        }
        if self.moving.broker {
            (self.steps)("copying the log");
            done.records = self.log(&mut state).await?;
        }
        (self.steps)("copying the database");
        self.database(&state, &mut done).await?;
        (self.steps)("comparing");
        done.differences.extend(transfer::compare(&*self.target.index, &days, &samples).await?);
        done.sampled = samples.len() as u64;
        for tenant in self.source.sql.tenants().await? {
            let events = days.get(tenant.key.as_str()).map_or(0, |days| days.values().sum());
            done.tenants.insert(tenant.slug, events);
        }
        if done.differences.is_empty() {
            self.finish()?;
        }
        done.took_secs = started.elapsed().as_secs_f64();
        Ok(done)
    }

    fn state_file(&self) -> PathBuf {
        self.path.join(STATE)
    }

    fn keep(&self, state: &State) -> Result<()> {
        let file = self.state_file();
        let beside = file.with_extension("new");
        data_dir::write_secret(&beside, &serde_json::to_vec(state)?)?;
        std::fs::rename(&beside, &file).with_context(|| file.display().to_string())
    }

    /// Goes on with a move to the same engines, or begins one to empty engines.
    async fn begin(&self) -> Result<State> {
        match std::fs::read(self.state_file()) {
            Ok(bytes) => {
                let state: State = serde_json::from_slice(&bytes).context("move.json is damaged")?;
                if state.target != self.hash {
                    bail!(
                        "a move to other engines was begun: end it with its settings, or remove {} to begin anew",
                        self.state_file().display()
                    );
                }
                return Ok(state);
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).context("move.json cannot be read"),
        }
        if self.moving.database {
            let filled = self.target.sql.counts().await?.into_iter().find(|(_, rows)| *rows > 0);
            if let Some((table, rows)) = filled {
                bail!("the new database is not empty: it has {rows} rows in {table}; give an empty one");
            }
        }
        if self.moving.search
            && let Some(name) = self.target.events.names().await?.first()
        {
            bail!(
                "the new event index is not empty: it has {name}; give an empty one, or another search_prefix"
            );
        }
        let state = State { target: self.hash.clone(), ..State::default() };
        self.keep(&state)?;
        Ok(state)
    }

    async fn events(
        &self,
        state: &mut State,
        done: &mut Relocated,
        samples: &mut Vec<Sample>,
        days: &mut Days,
    ) -> Result<()> {
        let mut choice = Choice::of(&self.source.sql).await?;
        if !self.target.knows_ids {
            choice.but = transfer::ids_to_come(&self.source.sql, &*self.source.broker).await?;
        }
        let mut names: Vec<IndexName> = self.source.events.names().await?;
        names.sort();
        let count = names.len();
        for (number, name) in names.into_iter().enumerate() {
            let key = name.to_string();
            let copied = match state.indexes.get(&key) {
                Some(copied) => {
                    done.resumed += copied.events;
                    copied.clone()
                }
                None => {
                    (self.steps)(&format!("copying events: {key} ({} of {count})", number + 1));
                    transfer::copy_index(self.source, self.target, name, &choice, samples).await?
                }
            };
            done.events += copied.events;
            transfer::add(days, &copied.days);
            if state.indexes.insert(key, copied).is_none() {
                self.keep(state)?;
            }
        }
        Ok(())
    }

    /// Notes where the new broker begins before the first record goes there.
    async fn log(&self, state: &mut State) -> Result<u64> {
        if state.starts.is_none() {
            let mut starts = Vec::new();
            for topic in Topic::ALL {
                let ends = transfer::ends(&*self.target.broker, topic).await?;
                starts.extend(ends.into_iter().map(|(at, end)| (topic.name().to_owned(), at, end)));
            }
            state.starts = Some(starts);
            self.keep(state)?;
        }
        let starts = starts_of(state);
        let mut records = 0;
        for topic in Topic::ALL {
            let (from, to) = (&*self.source.broker, &*self.target.broker);
            records += transfer::copy_tail(&self.source.sql, from, to, topic, &starts).await?;
        }
        Ok(records)
    }

    async fn database(&self, state: &State, done: &mut Relocated) -> Result<()> {
        if self.moving.database {
            let copied = copy_sql(&self.source.sql, &self.target.sql).await?;
            let now = self.target.sql.counts().await?;
            for (table, before) in copied {
                let found = now.get(&table).copied().unwrap_or(0);
                if found != before {
                    done.differences.push(format!("rows of {table}: {before} before, {found} now"));
                }
                done.rows.insert(table, (before, found));
            }
        }
        if self.moving.broker {
            let starts = starts_of(state);
            for topic in Topic::ALL {
                let of_topic = starts.iter().filter(|((of, _), _)| *of == topic);
                let offsets: Vec<(u32, u64)> = of_topic.map(|((_, at), offset)| (*at, *offset)).collect();
                self.target.sql.set_offsets(topic.name(), &offsets).await?;
            }
        }
        Ok(())
    }

    /// From here on the old stores are not started any more.
    fn finish(&self) -> Result<()> {
        let text = format!("{}\n{}\n", self.moving.names().join(" "), Timestamp::now());
        data_dir::write_secret(&self.path.join(data_dir::MOVED), text.as_bytes())?;
        std::fs::remove_file(self.state_file()).context("move.json cannot be removed")
    }
}

fn starts_of(state: &State) -> Offsets {
    let topic = |name: &str| Topic::ALL.into_iter().find(|topic| topic.name() == name);
    let starts = state.starts.iter().flatten();
    starts.filter_map(|(name, at, offset)| Some(((topic(name)?, *at), *offset))).collect()
}
