//! The one list of settings. Everything else is derived from it: the names in the environment and in
//! `qgx.toml`, the redaction of secrets, `qgx.toml.example` and the reference page.

/// A setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable {
    /// Its key in `qgx.toml`; in the environment it is `QGX_` and the key in capitals.
    pub key: &'static str,
    /// What holds where nobody says otherwise, as it would stand in the environment; empty is "not set".
    pub default: &'static str,
    /// What it does, for the reference page.
    pub doc: &'static str,
    /// The heading it stands under.
    pub group: &'static str,
    /// How it is shown.
    pub shown: Shown,
}

/// Whether a value may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// As it is.
    Plain,
    /// Only that it is set.
    Redacted,
    /// An address whose password is hidden.
    Address,
}

impl Variable {
    /// The name in the environment.
    pub fn env(&self) -> String {
        format!("QGX_{}", self.key.to_ascii_uppercase())
    }

    /// The setting with this key.
    pub fn find(key: &str) -> Option<&'static Self> {
        VARIABLES.iter().find(|variable| variable.key == key)
    }

    /// A value as people may see it.
    pub fn redact(&self, value: &str) -> String {
        match self.shown {
            _ if value.is_empty() => String::new(),
            Shown::Plain => value.to_owned(),
            Shown::Redacted => "********".to_owned(),
            Shown::Address => match (value.find("://"), value.rfind('@')) {
                (Some(scheme), Some(at)) if scheme + 3 < at => {
                    format!("{}********{}", &value[..scheme + 3], &value[at..])
                }
                _ => value.to_owned(),
            },
        }
    }
}

const fn plain(group: &'static str, key: &'static str, default: &'static str, doc: &'static str) -> Variable {
    Variable { key, default, doc, group, shown: Shown::Plain }
}

const fn secret(group: &'static str, key: &'static str, doc: &'static str) -> Variable {
    Variable { key, default: "", doc, group, shown: Shown::Redacted }
}

const fn address(
    group: &'static str,
    key: &'static str,
    default: &'static str,
    doc: &'static str,
) -> Variable {
    Variable { key, default, doc, group, shown: Shown::Address }
}

const PROCESS: &str = "Process";
const LISTENERS: &str = "Listeners";
const STORES: &str = "Stores";
const WEB: &str = "Web and API";
const ACCESS: &str = "Access";
const INGESTION: &str = "Ingestion";
const TELEMETRY: &str = "Telemetry";

/// Every setting, in the order of the reference page.
pub const VARIABLES: &[Variable] = &[
    plain(
        PROCESS,
        "roles",
        "all",
        "What this process does: `all`, or some of `front`, `back`, `ingestion`, `processor`, separated by commas. \
         Embedded stores belong to one process, so that with them only `all` is possible; on engines, every role may have \
         processes of its own, which share `secret_keys`, and what they need is made by `qgx migrate`.",
    ),
    plain(
        PROCESS,
        "data_dir",
        "",
        "Where the embedded stores, the control socket and the generated keys live. Not set: `qgx` in \
         `$XDG_DATA_HOME`, or `~/.local/share/qgx`.",
    ),
    plain(PROCESS, "worker_threads", "", "Threads of the runtime. Not set: one a processor, at least two."),
    plain(
        PROCESS,
        "drain_grace_secs",
        "25",
        "How long a stopping process finishes what it has begun. Keep it below the orchestrator's grace period.",
    ),
    plain(
        PROCESS,
        "self_monitor",
        "true",
        "Whether `qgx serve` on embedded stores also watches its own machine, as `qgx agent` does.",
    ),
    plain(PROCESS, "self_monitor_secs", "5", "Seconds between two measurements of its own machine."),
    plain(LISTENERS, "port_offset", "0", "Added to the port of every listener but those on port 0."),
    plain(LISTENERS, "front_listen", "0.0.0.0:31080", "The user web."),
    plain(LISTENERS, "back_listen", "0.0.0.0:31090", "The REST API."),
    plain(LISTENERS, "ingestion_listen", "0.0.0.0:31101", "Data by TCP, every protocol."),
    plain(
        LISTENERS,
        "processor_listen",
        "0.0.0.0:31102",
        "How the pipeline does, for other roles with one of `service_keys`. Without such keys this port stays shut.",
    ),
    plain(
        LISTENERS,
        "management",
        "127.0.0.1:31100",
        "`/livez`, `/readyz`, `/metrics`, `/buildinfo`, `/loglevel`. Without access control: never make it public.",
    ),
    plain(
        LISTENERS,
        "management_tls",
        "false",
        "Whether the management listener is encrypted by the certificate of the other ports too.",
    ),
    plain(
        LISTENERS,
        "tls_cert",
        "",
        "Certificate chain (PEM) for the web, API and TCP ports; goes with `tls_key`.",
    ),
    plain(LISTENERS, "tls_key", "", "Private key (PEM) of `tls_cert`."),
    plain(
        LISTENERS,
        "tls_self_signed",
        "false",
        "Make a certificate for `localhost` and this machine's name, kept in the data directory. For trials: \
         browsers warn about it.",
    ),
    plain(
        LISTENERS,
        "trusted_proxies",
        "",
        "Addresses or networks (CIDR), separated by commas, whose `X-Forwarded-For` and `X-Forwarded-Proto` are \
         believed.",
    ),
    address(
        STORES,
        "database_url",
        "embedded:",
        "The SQL store: `embedded:` is SQLite in the data directory; \
        `mysql://USER:PASSWORD@HOST:PORT/DATABASE` is MySQL 8.0, MariaDB 10.6, or a later one. `qgx migrate` \
        makes the database where the user may; `?ssl-mode=VERIFY_IDENTITY` checks the server's certificate.",
    ),
    address(
        STORES,
        "broker_url",
        "embedded:",
        "The broker: `embedded:` is a durable log in the data directory, `kafka://h1:9092,h2:9092` a Kafka, whose \
         topics `qgx migrate` makes.",
    ),
    address(
        STORES,
        "search_url",
        "embedded:",
        "The event index: `embedded:` is tantivy in the data directory, \
         `https://USER:PASSWORD@h1:9200,https://h2:9200` an OpenSearch 2.11 or later, whose index template `qgx migrate` \
         makes.",
    ),
    plain(
        STORES,
        "search_prefix",
        "",
        "Put in front of the names of OpenSearch indexes, for several installations on one cluster.",
    ),
    plain(
        STORES,
        "search_shards",
        "1",
        "Primary shards of an OpenSearch index. A tenant's events of an index lie in one of them.",
    ),
    plain(STORES, "search_replicas", "1", "Copies of each shard on OpenSearch."),
    plain(
        STORES,
        "search_tls_ca",
        "",
        "Authorities (PEM) that sign the certificates of OpenSearch, beside those of the system.",
    ),
    plain(
        STORES,
        "broker_max_bytes",
        "21474836480",
        "Size at which the embedded log takes no more until the processor has caught up.",
    ),
    plain(
        STORES,
        "broker_retention_hours",
        "24",
        "How long the embedded log keeps what is already processed.",
    ),
    plain(
        STORES,
        "kafka_prefix",
        "",
        "Put in front of the names of Kafka topics and groups, for several installations on one cluster.",
    ),
    plain(
        STORES,
        "kafka_partitions",
        "24",
        "Partitions of the Kafka topics that `qgx migrate` makes. More than a topic has are added by the next \
         `qgx migrate`: do that while nothing waits to be processed, because sources move to other partitions.",
    ),
    plain(STORES, "kafka_replication", "3", "Copies of each partition on Kafka."),
    plain(
        STORES,
        "kafka_min_in_sync",
        "2",
        "Copies on Kafka that must have an event before it is acknowledged; at most `kafka_replication`.",
    ),
    plain(
        STORES,
        "kafka_retention_hours",
        "168",
        "How long Kafka keeps events. When the oldest unprocessed one is older than 80 % of it, no more are taken.",
    ),
    plain(STORES, "kafka_tls", "false", "Whether connections to Kafka are encrypted."),
    plain(
        STORES,
        "kafka_tls_ca",
        "",
        "The authorities (PEM) that sign the certificates of the Kafka servers. Not set: those of the system.",
    ),
    plain(STORES, "kafka_tls_cert", "", "Our certificate (PEM) for Kafka; goes with `kafka_tls_key`."),
    plain(STORES, "kafka_tls_key", "", "Private key (PEM) of `kafka_tls_cert`."),
    plain(
        STORES,
        "kafka_sasl_mechanism",
        "SCRAM-SHA-512",
        "How the password is proved to Kafka: `SCRAM-SHA-512`, `SCRAM-SHA-256` or `PLAIN`.",
    ),
    plain(STORES, "kafka_user", "", "User name on Kafka; goes with `kafka_password`."),
    secret(STORES, "kafka_password", "Password of `kafka_user`."),
    plain(
        WEB,
        "public_url",
        "",
        "Address of the user web as browsers see it, such as `https://qgx.example.com`. Needed behind a proxy that \
         changes host or port: requests that change something are accepted from here.",
    ),
    plain(
        WEB,
        "api_public_url",
        "",
        "Address of the REST API as programs see it, for links and examples. Not set: the port of `back_listen` on \
         the host asked for.",
    ),
    plain(
        WEB,
        "ingest_public_address",
        "",
        "`HOST:PORT` that devices send to, for the instructions on the Connect page. Not set: the port of \
         `ingestion_listen` on the host asked for.",
    ),
    plain(WEB, "http_connections_max", "4096", "Open connections a web or API listener holds."),
    plain(
        WEB,
        "http_connections_per_address",
        "512",
        "Open connections a web or API listener holds for one client: an IPv4 address, or a /64 of IPv6. Networks of \
         `trusted_proxies` are exempt; a proxy that is not named there counts as one client.",
    ),
    plain(WEB, "api_requests_per_sec", "50", "Requests a second for each token or person, in the long run."),
    plain(WEB, "api_requests_burst", "200", "Requests at once for each token or person."),
    plain(WEB, "ingest_body_max_bytes", "16777216", "Largest body of `POST /api/v1/ingest`."),
    plain(WEB, "session_days", "14", "Days without a visit after which a browser must sign in again."),
    plain(ACCESS, "owner_email", "owner@localhost", "E-mail of the owner that the first start makes."),
    secret(
        ACCESS,
        "owner_password",
        "Password of the owner that the first start makes. Not set: one is generated, and printed once on a \
         terminal, else written to `owner-password` in the data directory.",
    ),
    secret(
        ACCESS,
        "secret_keys",
        "Keys of 32 bytes in base64, separated by commas: the first seals, all open. Not set: one is generated in \
         the data directory. With roles split over processes it must be set, to the same in all of them.",
    ),
    secret(
        ACCESS,
        "service_keys",
        "What roles show to each other, at least 16 characters, separated by a comma: two are valid at once, so that they can be \
         changed one process at a time.",
    ),
    plain(
        ACCESS,
        "loopback_default_tenant",
        "true",
        "On embedded stores with the default tenant alone: a TCP connection from this machine needs no credential.",
    ),
    plain(INGESTION, "ingest_frame_max_bytes", "1048576", "Largest record."),
    plain(
        INGESTION,
        "ingest_connections_max",
        "10000",
        "Open connections in all. A fifth of them is for those that have not sent a whole first record: while they hold \
         more, one that has had `ingest_handshake_secs` for it is closed, and counted as `too_many_connections`.",
    ),
    plain(
        INGESTION,
        "ingest_connections_per_address",
        "1000",
        "Open connections of one client: an IPv4 address, or a /64 of IPv6.",
    ),
    plain(INGESTION, "ingest_handshake_secs", "10", "Seconds a new connection has to say who it is."),
    plain(INGESTION, "ingest_idle_secs", "600", "Seconds of silence after which a connection is closed."),
    plain(
        INGESTION,
        "ingest_max_age_secs",
        "3600",
        "Seconds after which a connection of an acknowledged protocol is closed, a tenth more or less, once what it sent is \
         acknowledged: clients come back at once, and new processes get their part.",
    ),
    plain(
        INGESTION,
        "ingest_memory_bytes",
        "67108864",
        "Bytes of records in memory between socket and log; readers wait for it.",
    ),
    plain(INGESTION, "ingest_fields_max", "256", "Most fields of an event."),
    plain(INGESTION, "ingest_depth_max", "8", "Deepest nesting of an event."),
    plain(
        INGESTION,
        "ingest_new_sources_per_day",
        "10000",
        "Sources that records of a tenant may bring into being in a day, each process for itself. What names yet another \
         is kept under its token's or peer's source, and the name as a field.",
    ),
    plain(
        INGESTION,
        "masking",
        "kr_rrn",
        "What is hidden in arriving data of tenants without rules of their own, before anything is stored: rules \
         separated by commas, or `none`. A rule is `kr_rrn` (주민등록번호), `phone`, `card`, `email`, or `pattern:` and a \
         pattern in which `#` is a digit, `@` a letter, and what follows a `\\` itself; then `=mask` (stars, where \
         nothing else is said), `=hash` (a word that is the same for the same value) or `=drop`: \
         `kr_rrn,phone=hash,pattern:EMP-######=drop`. Give every process with the role `ingestion` the same.",
    ),
    plain(
        INGESTION,
        "ingest_proxy_protocol_from",
        "",
        "Addresses or networks (CIDR) of proxies, separated by commas, whose PROXY headers (version 1 and 2) the TCP \
         port believes. From anybody else such a header is refused.",
    ),
    plain(
        INGESTION,
        "ingest_client_certificates",
        "optional",
        "Whether TLS connections to the TCP port are asked for a client certificate: `off`, `optional` (asked where a \
         tenant has an authority, see `qgx tenant ca`; who shows none needs a token), or `required`.",
    ),
    plain(
        TELEMETRY,
        "log_level",
        "info",
        "`off`, `error`, `warn`, `info`, `debug` or `trace`, or by part: `info,ingest=debug`. Changeable at run time \
         on the management listener: \
         `curl -X PUT -H 'content-type: application/json' -d '{\"level\":\"debug\"}' localhost:31100/loglevel`.",
    ),
    plain(TELEMETRY, "log_format", "text", "`text` for people or `json` for machines, on standard error."),
];
