//! The embedded log as a [`Broker`].

use async_trait::async_trait;
use domain::Timestamp;
use parking_lot::Mutex;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::thread;
use std::time::Duration;
use store::broker::{Append, Broker, BrokerError, Fetched, Lag, NewRecord, Offset, Partition, Topic};
use tokio::sync::watch;

use crate::chores::Chores;
use crate::committer::Committer;
use crate::disk::{Disk, FileSystem, sync_dir};
use crate::groups::Groups;
use crate::options::LogOptions;
use crate::queue::Budget;
use crate::topic::{Shared, TopicLog};

/// The durable log of one process, in one folder.
pub struct EmbeddedLog {
    events: Arc<TopicLog>,
    dead_letters: Arc<TopicLog>,
    groups: Arc<Groups>,
    /// How many keep retention off.
    held: Arc<AtomicUsize>,
    chores: Arc<Chores>,
    running: Mutex<Option<Running>>,
    /// How closing went, for everybody who asked; `None` until it is done.
    closed: watch::Sender<Option<Result<(), String>>>,
}

/// What ends when the log is closed.
struct Running {
    committers: Vec<thread::JoinHandle<()>>,
    chores: thread::JoinHandle<()>,
    groups: thread::JoinHandle<()>,
    /// Locked against other processes for as long as it is open.
    _lock: File,
}

impl EmbeddedLog {
    /// Opens the log in a folder, or makes it. Reads the heads of all segments and the frames of the last: well under
    /// a second for any size.
    ///
    /// # Errors
    /// [`BrokerError::Failed`] where another process has it open, a file is damaged in a way that cannot be passed
    /// over, or the file system fails.
    pub fn open(dir: impl AsRef<Path>, options: LogOptions) -> Result<Arc<Self>, BrokerError> {
        Self::open_on(dir.as_ref(), options, Arc::new(FileSystem))
    }

    pub(crate) fn open_on(
        dir: &Path,
        options: LogOptions,
        disk: Arc<dyn Disk>,
    ) -> Result<Arc<Self>, BrokerError> {
        let failed = |error: io::Error| BrokerError::Failed(format!("the log in {}: {error}", dir.display()));
        fs::create_dir_all(dir).map_err(failed)?;
        let lock = File::create(dir.join("lock")).map_err(failed)?;
        if let Err(error) = lock.try_lock() {
            let why = format!("the log in {} is in use by another process: {error}", dir.display());
            return Err(BrokerError::Failed(why));
        }
        let groups = Groups::open(dir, Arc::clone(&disk))?;
        let budget = Arc::new(Budget::new(options.pending_bytes));
        let (chores, chores_thread) = Chores::start().map_err(failed)?;
        let chores = Arc::new(chores);
        let held = Arc::new(AtomicUsize::new(0));
        let shared = Shared {
            options,
            disk,
            budget,
            groups: Arc::clone(&groups),
            held: Arc::clone(&held),
            chores: Arc::clone(&chores),
        };
        let (events, events_file) =
            TopicLog::open(Topic::Events, dir.join("events"), shared.clone()).map_err(failed)?;
        let (dead_letters, dead_file) =
            TopicLog::open(Topic::DeadLetters, dir.join("dead-letters"), shared).map_err(failed)?;
        sync_dir(dir).map_err(failed)?;

        // The other threads come last: an error before leaves nothing running.
        let groups_thread = Arc::clone(&groups).keep().map_err(failed)?;
        let mut committers = Vec::new();
        for (log, file, name) in
            [(&events, events_file, "log-events"), (&dead_letters, dead_file, "log-dead-letters")]
        {
            let committer = Committer::new(Arc::clone(log), file);
            let thread = thread::Builder::new().name(name.to_owned()).spawn(move || committer.run());
            committers.push(thread.map_err(failed)?);
        }
        let running = Mutex::new(Some(Running {
            committers,
            chores: chores_thread,
            groups: groups_thread,
            _lock: lock,
        }));
        let closed = watch::Sender::new(None);
        Ok(Arc::new(Self { events, dead_letters, groups, held, chores, running, closed }))
    }

    pub(crate) fn groups(&self) -> &Groups {
        &self.groups
    }

    pub(crate) fn held(&self) -> &Arc<AtomicUsize> {
        &self.held
    }

    pub(crate) fn topic(&self, topic: Topic) -> &Arc<TopicLog> {
        match topic {
            Topic::Events => &self.events,
            Topic::DeadLetters => &self.dead_letters,
        }
    }

    fn begin_closing(&self) -> Option<Running> {
        self.events.close();
        self.dead_letters.close();
        self.groups.close();
        self.running.lock().take()
    }
}

impl Running {
    /// Waits until everything queued is durable. Blocks.
    fn finish(self, groups: &Groups, chores: &Chores) -> Result<(), String> {
        let mut whole = true;
        for thread in self.committers.into_iter().chain([self.groups]) {
            whole &= thread.join().is_ok();
        }
        // The committers gave it work to their last moment.
        chores.close();
        whole &= self.chores.join().is_ok();
        groups.flush().map_err(|error| error.to_string())?;
        if whole { Ok(()) } else { Err("a thread of the log panicked".to_owned()) }
    }
}

impl Drop for EmbeddedLog {
    fn drop(&mut self) {
        if let Some(running) = self.begin_closing()
            && let Err(error) = running.finish(&self.groups, &self.chores)
        {
            tracing::error!(error, "the log was not closed cleanly");
        }
    }
}

#[async_trait]
impl Broker for EmbeddedLog {
    fn partitions(&self, topic: Topic) -> u32 {
        self.topic(topic).partitions()
    }

    fn append(&self, topic: Topic, records: Vec<NewRecord>) -> Append {
        self.topic(topic).append(records)
    }

    async fn fetch(
        &self,
        topic: Topic,
        partition: Partition,
        from: Offset,
        max_bytes: usize,
        max_wait: Duration,
    ) -> Result<Fetched, BrokerError> {
        self.topic(topic).fetch(partition, from, max_bytes, max_wait).await
    }

    async fn commit(
        &self,
        group: &str,
        topic: Topic,
        partition: Partition,
        next: Offset,
    ) -> Result<(), BrokerError> {
        self.topic(topic).open_still()?;
        self.groups.commit(group, topic, partition, next)
    }

    async fn committed(
        &self,
        group: &str,
        topic: Topic,
        partition: Partition,
    ) -> Result<Offset, BrokerError> {
        self.topic(topic).open_still()?;
        Ok(self.groups.committed(group, topic, partition))
    }

    async fn lag(&self, group: &str, topic: Topic) -> Result<Vec<Lag>, BrokerError> {
        let log = Arc::clone(self.topic(topic));
        log.open_still()?;
        let group = group.to_owned();
        let lag = telemetry::spawn_blocking_named("log-lag", move || log.lag(&group)).await;
        lag.unwrap_or_else(|error| Err(BrokerError::Failed(error.to_string())))
    }

    async fn enforce_retention(&self, now: Timestamp) -> Result<u64, BrokerError> {
        self.events.open_still()?;
        // Only what is known for good to be consumed may go.
        let groups = Arc::clone(&self.groups);
        let flushed = telemetry::spawn_blocking_named("log-groups", move || groups.flush()).await;
        flushed
            .map_err(|error| BrokerError::Failed(error.to_string()))?
            .map_err(|error| BrokerError::Failed(error.to_string()))?;
        let events = self.events.enforce_retention(now).await?;
        Ok(events + self.dead_letters.enforce_retention(now).await?)
    }

    async fn stored_bytes(&self) -> Result<u64, BrokerError> {
        self.events.open_still()?;
        Ok(self.events.stored() + self.dead_letters.stored())
    }

    async fn close(&self) -> Result<(), BrokerError> {
        let mut outcome = self.closed.subscribe();
        if let Some(running) = self.begin_closing() {
            let (groups, chores) = (Arc::clone(&self.groups), Arc::clone(&self.chores));
            let closed = self.closed.clone();
            // It tells by itself: whoever asked first may have left, and others still wait.
            let finish = move || closed.send_replace(Some(running.finish(&groups, &chores)));
            if let Err(error) = telemetry::spawn_blocking_named("log-close", finish).await {
                self.closed.send_replace(Some(Err(error.to_string())));
            }
        }
        let outcome = outcome.wait_for(Option::is_some).await.map(|it| it.clone());
        match outcome {
            Ok(Some(Err(reason))) => Err(BrokerError::Failed(reason)),
            Ok(_) => Ok(()),
            Err(gone) => Err(BrokerError::Failed(gone.to_string())),
        }
    }

    fn snapshots(&self) -> Option<&dyn store::backup::LogSnapshot> {
        Some(self)
    }
}
