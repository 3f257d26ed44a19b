//! The broker on Kafka: `kafka://h1,h2` and what goes with it.

use super::reader::Reader;
use std::time::Duration;
use store_kafka::{KafkaOptions, Sasl, SaslMechanism, Tls};

const SCHEME: &str = "kafka://";

/// Whether a broker's address names Kafka.
pub fn is_url(text: &str) -> bool {
    text.starts_with(SCHEME)
}

/// The options, where the broker is Kafka.
pub fn options(read: &mut Reader<'_>) -> Option<KafkaOptions> {
    let url = read.text("broker_url").filter(|text| is_url(text))?;
    let servers = servers(&url).unwrap_or_else(|| {
        read.wrong(
            "broker_url",
            "names no servers; give kafka://HOST:PORT,HOST:PORT, and a password by kafka_user and kafka_password",
        );
        String::new()
    });
    let hours = |hours: u64| Duration::from_secs(hours * 3_600);
    let replication = read.number("kafka_replication", 1..=100);
    Some(KafkaOptions {
        prefix: read.text("kafka_prefix").unwrap_or_default(),
        tls: tls(read),
        sasl: sasl(read),
        partitions: read.number("kafka_partitions", 1..=10_000),
        replication,
        min_in_sync: read.number::<u32>("kafka_min_in_sync", 1..=100).min(replication),
        retention: hours(read.number("kafka_retention_hours", 1..=87_600)),
        ..KafkaOptions::new(servers)
    })
}

/// `h1:9092,h2` of `kafka://h1:9092,h2`; credentials have settings of their own, which are never shown.
fn servers(url: &str) -> Option<String> {
    let servers = url.strip_prefix(SCHEME)?.trim_end_matches('/');
    let each = |server: &str| !server.is_empty() && !server.contains(['/', '@', '?', ' ']);
    servers.split(',').all(each).then(|| servers.to_owned())
}

fn tls(read: &mut Reader<'_>) -> Option<Tls> {
    let files = Tls {
        authorities: read.path("kafka_tls_ca"),
        certificate: read.path("kafka_tls_cert"),
        key: read.path("kafka_tls_key"),
    };
    if files.certificate.is_some() != files.key.is_some() {
        read.wrong("kafka_tls_cert", "goes with kafka_tls_key: give both or none");
    }
    read.truth("kafka_tls").then_some(files)
}

fn sasl(read: &mut Reader<'_>) -> Option<Sasl> {
    let mechanism = read.text("kafka_sasl_mechanism").unwrap_or_default();
    let found = SaslMechanism::named(&mechanism);
    match (read.text("kafka_user"), read.text("kafka_password")) {
        (None, None) => None,
        (Some(user), Some(password)) => {
            if found.is_none() {
                read.wrong(
                    "kafka_sasl_mechanism",
                    format!("is {mechanism:?}; give SCRAM-SHA-512, SCRAM-SHA-256 or PLAIN"),
                );
            }
            Some(Sasl { mechanism: found?, user, password })
        }
        _ => {
            read.wrong("kafka_user", "goes with kafka_password: give both or none");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, expect: Option<&str>) {
        assert_eq!(servers(url).as_deref(), expect, "{url}");
    }

    #[test]
    fn servers_stand_after_the_scheme() {
        check("kafka://h1", Some("h1"));
        check("kafka://h1:9092,h2:9093/", Some("h1:9092,h2:9093"));
        check("kafka://[::1]:9092", Some("[::1]:9092"));
        check("kafka://", None);
        check("kafka://h1,,h2", None);
        check("kafka://user:password@h1", None);
        check("kafka://h1/topic", None);
        check("http://h1", None);
    }
}
