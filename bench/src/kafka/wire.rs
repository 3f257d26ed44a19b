//! As much of Kafka's protocol as counting takes: where partitions end, and removing a topic.
//!
//! A client library in the generator would take memory and CPU beside what is measured, and the product's own client
//! is one of the things measured. Requests and answers are of the versions named, without flexible fields
//! (<https://kafka.apache.org/protocol>).

use anyhow::{Context, bail, ensure};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const LIST_OFFSETS: (i16, i16) = (2, 1);
const METADATA: (i16, i16) = (3, 1);
const DELETE_TOPICS: (i16, i16) = (20, 1);
/// In place of a time: where the partition ends.
const LATEST: i64 = -1;
const PATIENCE: Duration = Duration::from_secs(10);

/// A cluster, asked one question at a time.
pub struct Cluster {
    brokers: BTreeMap<i32, TcpStream>,
    controller: i32,
    topic: String,
    /// The partitions of each broker.
    leads: BTreeMap<i32, Vec<i32>>,
}

impl Cluster {
    /// Connects to the brokers that lead a topic's partitions; `servers` is `host:port`, separated by commas.
    pub fn connect(servers: &str, topic: &str) -> anyhow::Result<Self> {
        let first = servers.split(',').next().context("no Kafka server is named")?;
        let mut bootstrap = open(first)?;
        let answer = ask(&mut bootstrap, METADATA, &Request::default().count(1).text(topic))?;
        let mut read = Answer(&answer);
        let (addresses, controller) = read.brokers()?;
        let found = read.topics()?.pop().context("Kafka told of no topic")?;
        ensure!(found.error == 0, "Kafka knows no topic {topic} (error {})", found.error);
        let mut leads: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
        for (partition, leader) in found.leaders {
            leads.entry(leader).or_default().push(partition);
        }
        let mut brokers = BTreeMap::new();
        for id in leads.keys().chain([&controller]) {
            let address = addresses.get(id).with_context(|| format!("Kafka has no broker {id}"))?;
            brokers.insert(*id, open(address)?);
        }
        Ok(Self { brokers, controller, topic: topic.to_owned(), leads })
    }

    /// How many partitions the topic has.
    pub fn partitions(&self) -> usize {
        self.leads.values().map(Vec::len).sum()
    }

    /// The sum of where its partitions end: how many records were ever written to it.
    pub fn end(&mut self) -> anyhow::Result<u64> {
        let mut sum = 0;
        for (leader, partitions) in &self.leads {
            let mut request = Request::default().i32(-1).count(1).text(&self.topic).count(partitions.len());
            for partition in partitions {
                request = request.i32(*partition).i64(LATEST);
            }
            let stream = self.brokers.get_mut(leader).context("a leader without connection")?;
            let answer = ask(stream, LIST_OFFSETS, &request)?;
            let mut read = Answer(&answer);
            ensure!(read.i32()? == 1, "Kafka told of another number of topics");
            read.text()?;
            for _ in 0..read.i32()? {
                let (partition, error) = (read.i32()?, read.i16()?);
                ensure!(error == 0, "partition {partition} of {}: error {error}", self.topic);
                read.take(8)?;
                sum += u64::try_from(read.i64()?)?;
            }
        }
        Ok(sum)
    }

    /// Removes all topics whose names begin so.
    pub fn delete(&mut self, prefix: &str) -> anyhow::Result<()> {
        let controller = self.brokers.get_mut(&self.controller).context("no connection to the controller")?;
        // No list of names: all there are.
        let answer = ask(controller, METADATA, &Request::default().i32(-1))?;
        let mut read = Answer(&answer);
        read.brokers()?;
        let topics: Vec<_> = read.topics()?.into_iter().filter(|it| it.name.starts_with(prefix)).collect();
        let mut request = Request::default().count(topics.len());
        for topic in &topics {
            request = request.text(topic.name);
        }
        let answer = ask(controller, DELETE_TOPICS, &request.i32(PATIENCE.as_millis() as i32))?;
        let mut read = Answer(&answer);
        read.i32()?;
        for _ in 0..read.i32()? {
            let (topic, error) = (read.text()?, read.i16()?);
            ensure!(error == 0, "{topic} cannot be removed: error {error}");
        }
        Ok(())
    }
}

fn open(address: &str) -> anyhow::Result<TcpStream> {
    let stream =
        TcpStream::connect(address).with_context(|| format!("Kafka at {address} does not answer"))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(2 * PATIENCE))?;
    Ok(stream)
}

fn ask(stream: &mut TcpStream, (key, version): (i16, i16), request: &Request) -> anyhow::Result<Vec<u8>> {
    let head = Request::default().i16(key).i16(version).i32(0).text("bench");
    let length = i32::try_from(head.0.len() + request.0.len())?;
    stream.write_all(&[&length.to_be_bytes()[..], &head.0, &request.0].concat())?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut answer = vec![0; usize::try_from(i32::from_be_bytes(length))?];
    stream.read_exact(&mut answer)?;
    // The number of the request, which is always the same.
    answer.drain(..4);
    Ok(answer)
}

/// The body of a request.
#[derive(Default)]
struct Request(Vec<u8>);

impl Request {
    fn i16(mut self, value: i16) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    fn i32(mut self, value: i32) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    fn i64(mut self, value: i64) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    fn count(self, count: usize) -> Self {
        self.i32(i32::try_from(count).unwrap_or(i32::MAX))
    }

    fn text(self, text: &str) -> Self {
        let mut with = self.i16(i16::try_from(text.len()).unwrap_or(i16::MAX));
        with.0.extend(text.as_bytes());
        with
    }
}

/// A topic as metadata tell of it.
struct Topic<'a> {
    error: i16,
    name: &'a str,
    /// The leader of each partition.
    leaders: Vec<(i32, i32)>,
}

/// What is left of an answer.
struct Answer<'a>(&'a [u8]);

impl<'a> Answer<'a> {
    fn take(&mut self, count: usize) -> anyhow::Result<&'a [u8]> {
        let Some((taken, rest)) = self.0.split_at_checked(count) else { bail!("Kafka's answer is cut off") };
        self.0 = rest;
        Ok(taken)
    }

    fn i16(&mut self) -> anyhow::Result<i16> {
        Ok(i16::from_be_bytes(self.take(2)?.try_into()?))
    }

    fn i32(&mut self) -> anyhow::Result<i32> {
        Ok(i32::from_be_bytes(self.take(4)?.try_into()?))
    }

    fn i64(&mut self) -> anyhow::Result<i64> {
        Ok(i64::from_be_bytes(self.take(8)?.try_into()?))
    }

    /// The addresses of all brokers by their numbers, and which of them is the controller (metadata, version 1).
    fn brokers(&mut self) -> anyhow::Result<(BTreeMap<i32, String>, i32)> {
        let mut addresses = BTreeMap::new();
        for _ in 0..self.i32()? {
            let (id, host, port) = (self.i32()?, self.text()?, self.i32()?);
            // Its rack.
            self.text()?;
            addresses.insert(id, format!("{host}:{port}"));
        }
        Ok((addresses, self.i32()?))
    }

    /// What follows the brokers.
    fn topics(&mut self) -> anyhow::Result<Vec<Topic<'a>>> {
        let mut topics = Vec::new();
        for _ in 0..self.i32()? {
            let (error, name) = (self.i16()?, self.text()?);
            // Whether it is Kafka's own.
            self.take(1)?;
            let mut leaders = Vec::new();
            for _ in 0..self.i32()? {
                self.i16()?;
                leaders.push((self.i32()?, self.i32()?));
                // Its copies, and those of them that are in step.
                for _ in 0..2 {
                    let copies = usize::try_from(self.i32()?)?;
                    self.take(4 * copies)?;
                }
            }
            topics.push(Topic { error, name, leaders });
        }
        Ok(topics)
    }

    /// A text; empty where it is null.
    fn text(&mut self) -> anyhow::Result<&'a str> {
        let length = usize::try_from(self.i16()?.max(0))?;
        Ok(std::str::from_utf8(self.take(length)?)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_written_as_the_protocol_says() {
        let Request(bytes) = Request::default().i32(-1).count(1).text("ab").i16(7).i64(LATEST);
        assert_eq!(
            bytes,
            [255, 255, 255, 255, 0, 0, 0, 1, 0, 2, b'a', b'b', 0, 7, 255, 255, 255, 255, 255, 255, 255, 255]
        );
    }

    #[test]
    fn answers_are_read_back_and_a_short_one_is_an_error() {
        let mut read = Answer(&[0, 0, 0, 3, 0, 1, b'x', 255, 255, 0, 9]);
        assert_eq!((read.i32().ok(), read.text().ok(), read.text().ok()), (Some(3), Some("x"), Some("")));
        assert_eq!(read.i16().ok(), Some(9));
        assert!(read.i16().is_err());
    }
}
