//! The settings of the broker, and what librdkafka is told of them.

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;
use store::broker::Topic;
use store::live_bus;

const MIB: usize = 1024 * 1024;
const DAY: Duration = Duration::from_secs(86_400);

/// The largest record that topics and producers take: 8 MiB of payload, and room for its key and headers.
pub const MAX_RECORD_BYTES: usize = 8 * MIB + 64 * 1024;

/// The settings of a Kafka broker.
#[derive(Debug, Clone)]
pub struct KafkaOptions {
    /// `host:port`, separated by commas; the port is 9092 where none is given.
    pub bootstrap: String,
    /// Put in front of the names of topics and groups, for several installations on one cluster.
    pub prefix: String,
    /// Encrypted connections.
    pub tls: Option<Tls>,
    /// Who we are.
    pub sasl: Option<Sasl>,
    /// Partitions of a topic that [`ensure_topics`](crate::ensure_topics) makes.
    pub partitions: u32,
    /// Copies of each partition.
    pub replication: u32,
    /// Copies that must have a record before it is acknowledged.
    pub min_in_sync: u32,
    /// How long events are kept. Appends answer busy once the oldest event that a group has not committed is older than
    /// 80 % of it.
    pub retention: Duration,
    /// How long dead letters are kept.
    pub dead_letter_retention: Duration,
    /// The groups whose lag holds appends back.
    pub guarded_groups: Vec<String>,
    /// How long an append waits for its delivery reports.
    pub ack_timeout: Duration,
    /// How long a question to the cluster may take.
    pub request_timeout: Duration,
    /// How long closing may take.
    pub close_timeout: Duration,
    /// How long a record waits for company.
    pub linger: Duration,
    /// Bytes that may wait for their delivery reports; beyond it, appends answer busy.
    pub pending_bytes: usize,
    /// Bytes read ahead of the fetches, over all partitions.
    pub ahead_bytes: usize,
    /// How long a member of a group may take to finish what it has in hand when its partitions are taken away.
    pub drain_timeout: Duration,
}

impl KafkaOptions {
    /// The defaults on these servers.
    pub fn new(bootstrap: impl Into<String>) -> Self {
        Self {
            bootstrap: bootstrap.into(),
            prefix: String::new(),
            tls: None,
            sasl: None,
            partitions: 24,
            replication: 3,
            min_in_sync: 2,
            retention: 7 * DAY,
            dead_letter_retention: 30 * DAY,
            guarded_groups: vec!["qgx-processor".to_owned()],
            ack_timeout: Duration::from_secs(30),
            request_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(15),
            linger: Duration::from_millis(3),
            pending_bytes: 64 * MIB,
            ahead_bytes: 16 * MIB,
            drain_timeout: Duration::from_secs(25),
        }
    }

    /// A topic's name on the cluster.
    pub fn topic(&self, topic: Topic) -> String {
        format!("{}{}", self.prefix, topic.name())
    }

    /// The name of the live bus's topic on the cluster.
    pub fn live_topic(&self) -> String {
        format!("{}{}", self.prefix, live_bus::TOPIC)
    }

    /// A group's name on the cluster.
    pub fn group(&self, group: &str) -> String {
        format!("{}{group}", self.prefix)
    }

    /// What every client is told.
    pub(crate) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.bootstrap)
            .set("client.id", "qgx")
            .set("socket.keepalive.enable", "true")
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "2000")
            .set("retry.backoff.ms", "100")
            .set_log_level(RDKafkaLogLevel::Warning);
        let protocol = match (&self.tls, &self.sasl) {
            (None, None) => "plaintext",
            (Some(_), None) => "ssl",
            (None, Some(_)) => "sasl_plaintext",
            (Some(_), Some(_)) => "sasl_ssl",
        };
        config.set("security.protocol", protocol);
        if let Some(tls) = &self.tls {
            tls.tell(&mut config);
        }
        if let Some(sasl) = &self.sasl {
            config
                .set("sasl.mechanism", sasl.mechanism.name())
                .set("sasl.username", &sasl.user)
                .set("sasl.password", &sasl.password);
        }
        config
    }

    /// What the producer is told.
    pub(crate) fn producer(&self) -> ClientConfig {
        let mut config = self.client();
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            // A record that gave up would be a gap before later ones: see the crate's front page.
            .set("enable.gapless.guarantee", "true")
            .set("message.timeout.ms", "0")
            .set("message.max.bytes", MAX_RECORD_BYTES.to_string())
            .set("compression.type", "lz4")
            .set("linger.ms", self.linger.as_millis().to_string())
            .set("request.timeout.ms", self.request_timeout.as_millis().to_string())
            // Above our own budget: librdkafka's queue is never the one that is full.
            .set("queue.buffering.max.kbytes", (2 * self.pending_bytes / 1024 + 65_536).to_string())
            .set("queue.buffering.max.messages", "10000000");
        config
    }

    /// What a consumer of a group is told. It commits nothing by itself.
    pub(crate) fn consumer(&self, group: &str) -> ClientConfig {
        let mut config = self.client();
        config
            .set("group.id", self.group(group))
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            // The caller knows where it stands; to begin somewhere else would skip records silently.
            .set("auto.offset.reset", "error")
            .set("fetch.message.max.bytes", MIB.to_string())
            // A partition that joins waits for the fetch under way.
            .set("fetch.wait.max.ms", "100")
            .set("fetch.error.backoff.ms", "100")
            .set("fetch.queue.backoff.ms", "20")
            .set("queued.max.messages.kbytes", (self.ahead_bytes / 1024).max(1024).to_string());
        config
    }

    /// What the live bus's producer is told: what does not go through within seconds is forgotten.
    pub(crate) fn live_producer(&self) -> ClientConfig {
        let mut config = self.client();
        config
            .set("acks", "1")
            .set("message.timeout.ms", "5000")
            .set("message.max.bytes", MIB.to_string())
            .set("compression.type", "lz4")
            .set("linger.ms", "20")
            .set("queue.buffering.max.kbytes", "4096")
            .set("queue.buffering.max.messages", "10000");
        config
    }

    /// What the live bus's consumer is told: it reads what comes from now on, in no group.
    pub(crate) fn live_consumer(&self) -> ClientConfig {
        let mut config = self.client();
        config
            .set("group.id", self.group("qgx-live"))
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            // Whatever it missed while Kafka was away is over.
            .set("auto.offset.reset", "latest")
            .set("fetch.wait.max.ms", "100")
            .set("fetch.error.backoff.ms", "100")
            .set("queued.max.messages.kbytes", "1024");
        config
    }
}

/// Encrypted connections. Files are PEM.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// The authorities that may have signed the servers' certificates; those of the system where it is `None`.
    pub authorities: Option<PathBuf>,
    /// Our certificate.
    pub certificate: Option<PathBuf>,
    /// Its key.
    pub key: Option<PathBuf>,
}

impl Tls {
    fn tell(&self, config: &mut ClientConfig) {
        let files = [
            ("ssl.ca.location", &self.authorities),
            ("ssl.certificate.location", &self.certificate),
            ("ssl.key.location", &self.key),
        ];
        for (name, file) in files {
            if let Some(file) = file {
                config.set(name, file.display().to_string());
            }
        }
    }
}

/// How a password is proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaslMechanism {
    /// RFC 4616: as it is; only over TLS.
    Plain,
    /// RFC 7677.
    ScramSha256,
    /// As RFC 7677, with SHA-512.
    ScramSha512,
}

impl SaslMechanism {
    /// The name in the protocol.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }

    /// The mechanism of a name, in any case.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Plain, Self::ScramSha256, Self::ScramSha512]
            .into_iter()
            .find(|it| it.name().eq_ignore_ascii_case(name))
    }
}

/// A name and a password.
#[derive(Clone)]
pub struct Sasl {
    /// How it is proved.
    pub mechanism: SaslMechanism,
    /// The name.
    pub user: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for Sasl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sasl")
            .field("mechanism", &self.mechanism)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sasl() -> Sasl {
        Sasl { mechanism: SaslMechanism::ScramSha512, user: "qgx".into(), password: "hush".into() }
    }

    fn check(tls: bool, with_sasl: bool, expect: &[(&str, Option<&str>)]) {
        let tls = tls.then(|| Tls {
            authorities: Some("/etc/ca.pem".into()),
            certificate: Some("/etc/our.pem".into()),
            key: Some("/etc/our.key".into()),
        });
        let options = KafkaOptions { tls, sasl: with_sasl.then(sasl), ..KafkaOptions::new("a:1,b:2") };
        for config in [options.producer(), options.consumer("qgx-processor")] {
            for (name, value) in expect {
                assert_eq!(config.get(name), *value, "{name}");
            }
        }
    }

    #[test]
    fn security_is_told() {
        check(false, false, &[("security.protocol", Some("plaintext")), ("sasl.username", None)]);
        check(
            true,
            false,
            &[
                ("security.protocol", Some("ssl")),
                ("ssl.ca.location", Some("/etc/ca.pem")),
                ("ssl.certificate.location", Some("/etc/our.pem")),
                ("ssl.key.location", Some("/etc/our.key")),
            ],
        );
        check(false, true, &[("security.protocol", Some("sasl_plaintext"))]);
        check(
            true,
            true,
            &[
                ("security.protocol", Some("sasl_ssl")),
                ("sasl.mechanism", Some("SCRAM-SHA-512")),
                ("sasl.username", Some("qgx")),
                ("sasl.password", Some("hush")),
            ],
        );
    }

    #[test]
    fn a_password_is_not_shown() {
        assert!(!format!("{:?}", sasl()).contains("hush"));
    }

    #[test]
    fn mechanisms_have_names() {
        for mechanism in [SaslMechanism::Plain, SaslMechanism::ScramSha256, SaslMechanism::ScramSha512] {
            assert_eq!(SaslMechanism::named(&mechanism.name().to_lowercase()), Some(mechanism));
        }
        assert_eq!(SaslMechanism::named("GSSAPI"), None);
    }

    #[test]
    fn the_prefix_is_in_front_of_topics_and_groups() {
        let options = KafkaOptions { prefix: "north.".into(), ..KafkaOptions::new("a") };
        assert_eq!(options.topic(Topic::Events), "north.qgx.events.v1");
        assert_eq!(options.consumer("g").get("group.id"), Some("north.g"));
    }
}
