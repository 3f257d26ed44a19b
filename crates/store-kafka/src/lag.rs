//! How far a group is behind: records, seconds, and bytes as far as they can be told.

use parking_lot::Mutex;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::{Offset as At, TopicPartitionList};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::broker::{BrokerError, Lag, Offset, Partition, Topic};

use crate::groups::{Groups, native};
use crate::options::KafkaOptions;
use crate::sizes::Sizes;
use crate::voice::Voice;
use crate::wire::OVERHEAD_BYTES;
use domain::Timestamp;

/// How long a look at the oldest records may take.
const PEEK: Duration = Duration::from_secs(3);

/// Measures groups.
pub struct Gauge {
    options: KafkaOptions,
    voice: Voice,
    groups: Arc<Groups>,
    asker: Arc<BaseConsumer<Voice>>,
    sizes: Arc<Sizes>,
    peeker: Mutex<Peeker>,
}

/// Looks at single records.
#[derive(Default)]
struct Peeker {
    client: Option<BaseConsumer<Voice>>,
    /// When the record at an offset was appended, of the last look at each partition.
    known: HashMap<(Topic, Partition), (Offset, Timestamp)>,
}

impl Gauge {
    /// Nothing is asked yet.
    pub fn new(
        options: KafkaOptions,
        voice: Voice,
        groups: Arc<Groups>,
        asker: Arc<BaseConsumer<Voice>>,
        sizes: Arc<Sizes>,
    ) -> Self {
        Self { options, voice, groups, asker, sizes, peeker: Mutex::default() }
    }

    /// As [`store::broker::Broker::lag`]. Blocks.
    pub fn lag(&self, group: &str, topic: Topic, partitions: u32) -> Result<Vec<Lag>, BrokerError> {
        let all: Vec<Partition> = (0..partitions).collect();
        let committed = self.groups.committed(group, topic, &all)?;
        let ends = self.bounds(topic, partitions, At::End)?;
        let behind: Vec<(Partition, Offset)> = all
            .iter()
            .zip(committed.iter().zip(&ends))
            .filter(|(_, (committed, end))| committed < end)
            .map(|(partition, (committed, _))| (*partition, *committed))
            .collect();
        let oldest = self.peek(topic, &behind)?;
        let of = |(partition, (committed, end)): (Partition, (Offset, Offset))| Lag {
            partition,
            committed,
            end,
            oldest_uncommitted: oldest.get(&partition).copied(),
            bytes: self.sizes.estimate(topic, end.saturating_sub(committed)),
        };
        Ok(all.into_iter().zip(committed.into_iter().zip(ends)).map(of).collect())
    }

    /// Bytes that a topic's records take, before compression and copies. Blocks.
    pub fn stored(&self, topic: Topic, partitions: u32) -> Result<u64, BrokerError> {
        let ends = self.bounds(topic, partitions, At::End)?;
        let starts = self.bounds(topic, partitions, At::Beginning)?;
        let held: Vec<u64> =
            ends.iter().zip(&starts).map(|(end, start)| end.saturating_sub(*start)).collect();
        if self.sizes.unknown(topic)
            && let Some(at) = held.iter().position(|records| *records > 0)
        {
            self.peek(topic, &[(u32::try_from(at).unwrap_or_default(), starts[at])])?;
        }
        Ok(self.sizes.estimate(topic, held.iter().sum()))
    }

    /// The offset that the next append of each partition gets. Blocks.
    pub fn ends(&self, topic: Topic, partitions: u32) -> Result<Vec<Offset>, BrokerError> {
        self.bounds(topic, partitions, At::End)
    }

    /// The first or the next offset of each partition: one request a server.
    fn bounds(&self, topic: Topic, partitions: u32, which: At) -> Result<Vec<Offset>, BrokerError> {
        let name = self.options.topic(topic);
        let failed = |error| self.voice.failed(&format!("the ends of {name} cannot be read"), &error);
        let mut list = TopicPartitionList::new();
        for partition in 0..partitions {
            // In place of a time, -1 is the end and -2 the beginning (ListOffsets).
            list.add_partition_offset(&name, native(partition), which).map_err(failed)?;
        }
        let answered = self.asker.offsets_for_times(list, self.options.request_timeout).map_err(failed)?;
        let mut bounds = vec![0; partitions as usize];
        for element in answered.elements() {
            element.error().map_err(failed)?;
            let place = usize::try_from(element.partition()).ok().and_then(|at| bounds.get_mut(at));
            if let (Some(place), At::Offset(offset)) = (place, element.offset()) {
                *place = u64::try_from(offset).unwrap_or_default();
            }
        }
        Ok(bounds)
    }

    /// When the first records at or after these offsets were appended. A partition that does not answer in time is left
    /// out.
    fn peek(
        &self,
        topic: Topic,
        wanted: &[(Partition, Offset)],
    ) -> Result<HashMap<Partition, Timestamp>, BrokerError> {
        let mut peeker = self.peeker.lock();
        let name = self.options.topic(topic);
        let mut found = HashMap::new();
        let mut list = TopicPartitionList::new();
        let failed = |error| self.voice.failed(&format!("{name} cannot be looked at"), &error);
        for (partition, offset) in wanted {
            match peeker.known.get(&(topic, *partition)) {
                Some((known, at)) if known == offset => {
                    found.insert(*partition, *at);
                }
                _ => {
                    let at = At::Offset(i64::try_from(*offset).unwrap_or(i64::MAX));
                    list.add_partition_offset(&name, native(*partition), at).map_err(failed)?;
                }
            }
        }
        if list.count() == 0 {
            return Ok(found);
        }
        if peeker.client.is_none() {
            let mut config = self.options.consumer("qgx-peek");
            // What retention has removed is not the oldest any more: what follows is.
            config.set("auto.offset.reset", "earliest").set("fetch.message.max.bytes", "4096");
            config.set("queued.max.messages.kbytes", "1024").set("queued.min.messages", "1");
            peeker.client = Some(config.create_with_context(self.voice.clone()).map_err(failed)?);
        }
        let Peeker { client: Some(client), known } = &mut *peeker else { return Ok(found) };
        client.assign(&list).map_err(failed)?;
        let (deadline, wanted) = (Instant::now() + PEEK, found.len() + list.count());
        while found.len() < wanted && Instant::now() < deadline {
            let Some(Ok(message)) = client.poll(Duration::from_millis(100)) else { continue };
            let partition = u32::try_from(message.partition()).unwrap_or_default();
            let Some(millis) = message.timestamp().to_millis() else { continue };
            if found.contains_key(&partition) {
                continue;
            }
            let at = Timestamp::from_millis(millis);
            found.insert(partition, at);
            let offset = u64::try_from(message.offset()).unwrap_or_default();
            known.insert((topic, partition), (offset, at));
            self.sizes.seen(topic, message.payload_len() + OVERHEAD_BYTES);
        }
        client.unassign().map_err(failed)?;
        Ok(found)
    }

    /// Lets the client go. Blocks.
    pub fn close(&self) {
        drop(self.peeker.lock().client.take());
    }
}
