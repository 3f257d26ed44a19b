//! What consumer groups have committed: noted at once, told to Kafka twice a second.

use parking_lot::Mutex;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Offset as At, TopicPartitionList};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;
use store::broker::{BrokerError, Offset, Partition, Topic};

use crate::options::KafkaOptions;
use crate::voice::Voice;

/// The groups this broker speaks for.
pub struct Groups {
    options: KafkaOptions,
    voice: Voice,
    state: Mutex<State>,
    /// One flush at a time: an older one must not overtake.
    flushing: Mutex<()>,
}

#[derive(Default)]
struct State {
    /// The client of each group.
    clients: HashMap<String, Arc<BaseConsumer<Voice>>>,
    /// A client that is a member commits for its group: Kafka refuses others while it has members.
    members: HashMap<(String, Topic), Arc<BaseConsumer<crate::member::Listener>>>,
    /// Noted and not told yet.
    noted: HashMap<String, BTreeMap<(Topic, Partition), Offset>>,
}

impl Groups {
    /// None yet.
    pub fn new(options: KafkaOptions, voice: Voice) -> Self {
        Self { options, voice, state: Mutex::default(), flushing: Mutex::default() }
    }

    /// Notes it for the next flush.
    pub fn note(&self, group: &str, topic: Topic, partition: Partition, next: Offset) {
        let mut state = self.state.lock();
        state.noted.entry(group.to_owned()).or_default().insert((topic, partition), next);
    }

    /// From now on commits of the group go through its member, which Kafka fences by generation.
    pub fn joined(&self, group: &str, topic: Topic, member: Arc<BaseConsumer<crate::member::Listener>>) {
        self.state.lock().members.insert((group.to_owned(), topic), member);
    }

    /// The group has no member here any more.
    pub fn left(&self, group: &str, topic: Topic) {
        self.state.lock().members.remove(&(group.to_owned(), topic));
    }

    /// The client of a group; made at its first use.
    pub fn client(&self, group: &str) -> Result<Arc<BaseConsumer<Voice>>, BrokerError> {
        let mut state = self.state.lock();
        if let Some(client) = state.clients.get(group) {
            return Ok(Arc::clone(client));
        }
        let client = self.options.consumer(group).create_with_context(self.voice.clone());
        let client: Arc<BaseConsumer<Voice>> = Arc::new(
            client.map_err(|error| self.voice.failed("the Kafka consumer cannot be set up", &error))?,
        );
        state.clients.insert(group.to_owned(), Arc::clone(&client));
        Ok(client)
    }

    /// What the group committed of each partition, noted or told; 0 where it never did. Blocks.
    pub fn committed(
        &self,
        group: &str,
        topic: Topic,
        partitions: &[Partition],
    ) -> Result<Vec<Offset>, BrokerError> {
        let noted = self.state.lock().noted.get(group).cloned().unwrap_or_default();
        let missing: Vec<_> =
            partitions.iter().copied().filter(|it| !noted.contains_key(&(topic, *it))).collect();
        let mut told = HashMap::new();
        if !missing.is_empty() {
            let name = self.options.topic(topic);
            let mut list = TopicPartitionList::new();
            for partition in missing {
                list.add_partition(&name, native(partition));
            }
            let client = self.client(group)?;
            let committed = client
                .committed_offsets(list, self.options.request_timeout)
                .map_err(|error| self.voice.failed("committed offsets cannot be read", &error))?;
            for element in committed.elements() {
                element
                    .error()
                    .map_err(|error| self.voice.failed("a committed offset cannot be read", &error))?;
                if let At::Offset(next) = element.offset() {
                    told.insert(element.partition(), u64::try_from(next).unwrap_or_default());
                }
            }
        }
        let of = |partition: &Partition| {
            let noted = noted.get(&(topic, *partition));
            noted.or_else(|| told.get(&native(*partition))).copied().unwrap_or(0)
        };
        Ok(partitions.iter().map(of).collect())
    }

    /// Tells Kafka what was noted; what it refuses is noted again, unless it was overtaken. Blocks.
    pub fn flush(&self) -> Result<(), BrokerError> {
        let _one = self.flushing.lock();
        let all = self.state.lock().noted.clone();
        let mut outcome = Ok(());
        for (group, offsets) in all {
            let mut told = true;
            for topic in Topic::ALL {
                let mut list = TopicPartitionList::new();
                for ((_, partition), next) in offsets.iter().filter(|((of, _), _)| *of == topic) {
                    let at = At::Offset(i64::try_from(*next).unwrap_or(i64::MAX));
                    if let Err(error) =
                        list.add_partition_offset(&self.options.topic(topic), native(*partition), at)
                    {
                        tracing::warn!(%error, "an offset cannot be committed");
                    }
                }
                if list.count() > 0
                    && let Err(error) = self.tell(&group, topic, &list)
                {
                    told = false;
                    outcome = Err(error);
                }
            }
            if told {
                self.forget(&group, &offsets);
            }
        }
        outcome
    }

    fn tell(&self, group: &str, topic: Topic, list: &TopicPartitionList) -> Result<(), BrokerError> {
        let member = self.state.lock().members.get(&(group.to_owned(), topic)).cloned();
        let committed = match member {
            Some(member) => member.commit(list, CommitMode::Sync),
            None => self.client(group)?.commit(list, CommitMode::Sync),
        };
        match committed {
            Err(error) if fenced(&error) => {
                // Others have the partitions by now; SQL refused the batch too. What they commit counts.
                tracing::warn!(group, %error, "a commit of an earlier share was refused");
                Ok(())
            }
            committed => committed.map_err(|error| self.voice.failed("offsets cannot be committed", &error)),
        }
    }

    fn forget(&self, group: &str, told: &BTreeMap<(Topic, Partition), Offset>) {
        let mut state = self.state.lock();
        if let Some(noted) = state.noted.get_mut(group) {
            noted.retain(|place, next| told.get(place) != Some(next));
        }
    }

    /// Hears what the clients complain of. Blocks for a moment.
    pub fn listen(&self) {
        let clients: Vec<_> = self.state.lock().clients.values().cloned().collect();
        for client in clients {
            Voice::listen(&client, Duration::from_millis(5));
        }
    }

    /// Lets the clients go. Their end waits for their threads: blocks.
    pub fn close(&self) {
        let state = std::mem::take(&mut *self.state.lock());
        drop(state);
    }
}

/// Whether a commit came from a member whose share was given to others.
fn fenced(error: &KafkaError) -> bool {
    use rdkafka::error::RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(Code::IllegalGeneration | Code::UnknownMemberId | Code::FencedInstanceId)
    )
}

/// A partition as librdkafka counts it.
pub fn native(partition: Partition) -> i32 {
    i32::try_from(partition).unwrap_or(i32::MAX)
}
