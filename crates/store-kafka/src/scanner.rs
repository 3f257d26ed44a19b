//! Reads that stand apart from the reader's: from any offset to the end as it is, by a client of their own.
//!
//! The reader has one place in a partition. A second one that asked it for another offset would send it there and back
//! with each turn, and leave it reading ahead for nobody.

use parking_lot::Mutex;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::{Offset as At, TopicPartitionList};
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::broker::{BrokerError, Fetched, Offset, Partition, Record, Topic};

use crate::groups::native;
use crate::options::KafkaOptions;
use crate::voice::Voice;
use crate::wire::Decoder;

/// How long a poll waits.
const POLL: Duration = Duration::from_millis(100);

/// Where a scan that was not at the end left off: topic, partition, and the next offset.
type Place = (Topic, Partition, Offset);

/// Scans, one at a time.
pub struct Scanner {
    options: KafkaOptions,
    voice: Voice,
    /// Answers where a partition ends.
    asker: Arc<BaseConsumer<Voice>>,
    client: Mutex<Client>,
}

#[derive(Default)]
struct Client {
    consumer: Option<BaseConsumer<Voice>>,
    /// It is assigned to this, and has some of it at hand.
    place: Option<Place>,
    decoder: Decoder,
}

impl Scanner {
    /// Its client is made by the first scan.
    pub fn new(options: KafkaOptions, voice: Voice, asker: Arc<BaseConsumer<Voice>>) -> Self {
        Self { options, voice, asker, client: Mutex::default() }
    }

    /// As [`store::broker::Broker::scan`]. Blocks.
    pub fn scan(
        &self,
        topic: Topic,
        partition: Partition,
        from: Offset,
        max_bytes: usize,
    ) -> Result<Fetched, BrokerError> {
        let name = self.options.topic(topic);
        let failed =
            |error| self.voice.failed(&format!("partition {partition} of {name} cannot be read"), &error);
        let ends = self.asker.fetch_watermarks(&name, native(partition), self.options.request_timeout);
        let (earliest, end) = ends.map_err(failed)?;
        let earliest = u64::try_from(earliest).unwrap_or_default();
        let end = u64::try_from(end).unwrap_or_default();
        if from >= end {
            return Ok(Fetched { records: Vec::new(), end });
        }
        if from < earliest {
            return Err(BrokerError::OutOfRange { asked: from, earliest });
        }
        let mut client = self.client.lock();
        let outcome = self.go_to(&mut client, (topic, partition, from)).and_then(|()| {
            let read = self.read(&mut client, end, max_bytes)?;
            client.place = (read.next < end).then_some((topic, partition, read.next));
            Ok(Fetched { records: read.records, end })
        });
        // Nothing is read ahead for nobody.
        if (outcome.is_err() || client.place.is_none())
            && let Some(consumer) = &client.consumer
            && let Err(error) = consumer.unassign()
        {
            tracing::debug!(%error, "a scan's partition could not be given back");
        }
        if outcome.is_err() {
            client.place = None;
        }
        outcome
    }

    /// Assigns the client to a place, where it is not there already.
    fn go_to(&self, client: &mut Client, place: Place) -> Result<(), BrokerError> {
        let failed = |error| self.voice.failed("a scan cannot be set up", &error);
        let consumer = match &mut client.consumer {
            Some(consumer) => consumer,
            none => {
                let mut config = self.options.consumer("qgx-scan");
                config.set("queued.max.messages.kbytes", "2048").set("enable.partition.eof", "true");
                none.insert(config.create_with_context(self.voice.clone()).map_err(failed)?)
            }
        };
        if client.place == Some(place) {
            return Ok(());
        }
        let (topic, partition, from) = place;
        let mut list = TopicPartitionList::new();
        let at = At::Offset(i64::try_from(from).unwrap_or(i64::MAX));
        list.add_partition_offset(&self.options.topic(topic), native(partition), at).map_err(failed)?;
        consumer.assign(&list).map_err(failed)?;
        client.place = Some(place);
        Ok(())
    }

    fn read(&self, client: &mut Client, end: Offset, max_bytes: usize) -> Result<Read, BrokerError> {
        let Client { consumer: Some(consumer), place: Some((topic, partition, from)), decoder } = client
        else {
            return Err(BrokerError::Closed);
        };
        let mut read = Read { records: Vec::new(), next: *from };
        let (mut bytes, deadline) = (0, Instant::now() + self.options.request_timeout);
        while read.next < end && (bytes < max_bytes || read.records.is_empty()) {
            match consumer.poll(POLL) {
                Some(Ok(message)) => {
                    read.next = u64::try_from(message.offset()).unwrap_or_default() + 1;
                    // What others wrote is passed over here as it is by the reader, which tells of it.
                    if let Ok(record) = decoder.record(&message) {
                        bytes += record.payload.len();
                        read.records.push(record);
                    }
                }
                // What stands there is no message: a transaction's mark.
                Some(Err(KafkaError::PartitionEOF(_))) => read.next = end,
                Some(Err(error)) => {
                    return Err(self.voice.failed("a scan failed", &error));
                }
                None if Instant::now() < deadline => {}
                None if read.records.is_empty() => {
                    let name = self.options.topic(*topic);
                    let why = format!("partition {partition} of {name} has records and delivers none");
                    return Err(BrokerError::Failed(why));
                }
                None => break,
            }
        }
        Ok(read)
    }

    /// Lets the client go. Blocks.
    pub fn close(&self) {
        *self.client.lock() = Client::default();
    }
}

struct Read {
    records: Vec<Record>,
    /// Where it goes on.
    next: Offset,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::producer::Producer;
    use crate::sizes::Sizes;
    use rdkafka::mocking::MockCluster;
    use store::broker::conformance::numbered;

    #[tokio::test(flavor = "multi_thread")]
    async fn scans_go_on_or_begin_anew_and_hold_nothing_at_the_end() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic(Topic::Events.name(), 1, 1).unwrap();
        let options = KafkaOptions::new(cluster.bootstrap_servers());
        let voice = Voice::default();
        let asker = Arc::new(options.consumer("asker").create_with_context(voice.clone()).unwrap());
        let producer = Producer::start(options.clone(), voice.clone(), Arc::new(Sizes::default())).unwrap();
        let scanner = Scanner::new(options, voice, asker);
        let check = |from: u64, max_bytes, expect: std::ops::Range<u64>, held: bool| {
            let scan = scanner.scan(Topic::Events, 0, from, max_bytes).unwrap();
            let offsets: Vec<_> = scan.records.iter().map(|it| it.offset).collect();
            assert_eq!(offsets, expect.collect::<Vec<_>>(), "from {from}");
            assert_eq!(scanner.client.lock().place.is_some(), held, "from {from}");
        };
        check(0, 100, 0..0, false);
        producer.append(Topic::Events, 1, numbered("pump-1", 0..10)).await.unwrap();
        check(0, 3, 0..3, true);
        check(3, 3, 3..6, true);
        check(1, 2, 1..3, true);
        check(8, 100, 8..10, false);
        check(10, 100, 10..10, false);
        producer.append(Topic::Events, 1, numbered("pump-1", 10..12)).await.unwrap();
        check(10, 100, 10..12, false);
        producer.close().unwrap();
    }
}
