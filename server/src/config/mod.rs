//! Settings: defaults, then `qgx.toml`, then `QGX_*` in the environment, then flags; parsed once, at start, into
//! small structs, with all mistakes in one message.

mod database;
mod kafka;
pub mod layers;
mod masking;
pub mod reader;
pub mod reference;
mod search;
pub mod variables;

pub use database::DatabaseUrl;
pub use layers::{Given, Layers, Origin, Problem};
pub use variables::{VARIABLES, Variable};

use base64::Engine;
use domain::masking::Rule;
use ingest::tcp::certificates::Asked;
use ipnet::IpNet;
use reader::Reader;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;
use store_kafka::KafkaOptions;
use store_opensearch::OpenSearchOptions;
use telemetry::LogFormat;

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ServerRole {
    /// The user web.
    Front,
    /// The REST API.
    Back,
    /// TCP to the broker.
    Ingestion,
    /// The broker to the stores.
    Processor,
}

impl ServerRole {
    /// Every role of this version.
    pub const ALL: [Self; 4] = [Self::Front, Self::Back, Self::Ingestion, Self::Processor];

    /// The name in `--roles`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Front => "front",
            Self::Back => "back",
            Self::Ingestion => "ingestion",
            Self::Processor => "processor",
        }
    }
}

/// Everything a process needs to know.
#[derive(Debug, Clone)]
pub struct Config {
    /// What it does.
    pub roles: BTreeSet<ServerRole>,
    /// Where its files are.
    pub data_dir: PathBuf,
    /// It is the one that a command without settings takes.
    pub data_dir_is_usual: bool,
    /// Threads of the runtime.
    pub worker_threads: usize,
    /// How long it drains.
    pub drain_grace: Duration,
    /// Whether it watches its own machine, and how often.
    pub self_monitor: Option<Duration>,
    /// Where it listens.
    pub listen: Listen,
    /// How it is encrypted.
    pub tls: Tls,
    /// Whose `X-Forwarded-*` it believes.
    pub trusted_proxies: Vec<IpNet>,
    /// The SQL store on MySQL or MariaDB, in place of the embedded one.
    pub database: Option<DatabaseUrl>,
    /// Its embedded log.
    pub broker: BrokerConfig,
    /// The broker on Kafka, in place of the embedded log.
    pub kafka: Option<KafkaOptions>,
    /// The event index on OpenSearch, in place of the embedded one.
    pub search: Option<OpenSearchOptions>,
    /// Web and API.
    pub web: WebConfig,
    /// Owner and keys.
    pub access: AccessConfig,
    /// TCP.
    pub ingestion: IngestionConfig,
    /// Log lines.
    pub log: LogConfig,
}

/// Where a process listens; port 0 is any free one.
#[derive(Debug, Clone)]
pub struct Listen {
    /// The user web.
    pub front: SocketAddr,
    /// The REST API.
    pub back: SocketAddr,
    /// TCP.
    pub ingestion: SocketAddr,
    /// What the processor tells other roles.
    pub processor: SocketAddr,
    /// Management.
    pub management: SocketAddr,
    /// Whether management is encrypted as the public ports are.
    pub management_tls: bool,
}

/// How the public ports are encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tls {
    /// Not by this process.
    Off,
    /// By a certificate of the operator.
    Files {
        /// Chain, PEM.
        cert: PathBuf,
        /// Key, PEM.
        key: PathBuf,
    },
    /// By one made here.
    SelfSigned,
}

/// The embedded log.
#[derive(Debug, Clone)]
pub struct BrokerConfig {
    /// Size at which it takes no more.
    pub max_bytes: u64,
    /// How long it keeps what is processed.
    pub retention: Duration,
}

/// Web and API.
#[derive(Debug, Clone)]
pub struct WebConfig {
    /// The user web's origin.
    pub public_url: Option<String>,
    /// The API's origin.
    pub api_public_url: Option<String>,
    /// `HOST:PORT` for devices.
    pub ingest_public_address: Option<String>,
    /// Connections a listener holds.
    pub connections_max: usize,
    /// Connections a listener holds for one client.
    pub connections_per_address: usize,
    /// Requests a second for each token or person.
    pub requests_per_sec: u32,
    /// Requests at once for each token or person.
    pub requests_burst: u32,
    /// Largest body of `POST /api/v1/ingest`.
    pub ingest_body_max: usize,
    /// How long a session lives without a visit.
    pub session_idle: Duration,
}

/// Owner and keys.
#[derive(Clone)]
pub struct AccessConfig {
    /// E-mail of the first owner.
    pub owner_email: String,
    /// Password of the first owner.
    pub owner_password: Option<String>,
    /// Sealing keys; empty: kept in the data directory.
    pub secret_keys: Vec<[u8; 32]>,
    /// What another role shows to the processor's port; empty: that port stays shut.
    pub service_keys: Vec<String>,
    /// The no-credential rule on loopback.
    pub loopback_default_tenant: bool,
}

impl std::fmt::Debug for AccessConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessConfig").field("owner_email", &self.owner_email).finish_non_exhaustive()
    }
}

/// Limits of TCP.
#[derive(Debug, Clone)]
pub struct IngestionConfig {
    /// Largest record, in bytes.
    pub frame_max: usize,
    /// Open connections in all.
    pub connections_max: usize,
    /// Open connections of one client: an IPv4 address, or a /64 of IPv6.
    pub connections_per_address: usize,
    /// Time to say who it is.
    pub handshake: Duration,
    /// Silence after which a connection is closed.
    pub idle: Duration,
    /// Age at which an acknowledged connection is closed, ± a tenth.
    pub max_age: Duration,
    /// Bytes between socket and log.
    pub memory: usize,
    /// Most fields of an event.
    pub fields_max: usize,
    /// Deepest nesting.
    pub depth_max: usize,
    /// New sources per tenant and day.
    pub new_sources_per_day: usize,
    /// What is masked for tenants without rules of their own.
    pub masking: Vec<Rule>,
    /// Proxies whose PROXY headers are believed.
    pub proxy_protocol_from: Vec<IpNet>,
    /// Whether connections in TLS are asked for a certificate.
    pub client_certificates: Option<Asked>,
}

/// Log lines.
#[derive(Debug, Clone)]
pub struct LogConfig {
    /// As `tracing_subscriber`'s directives.
    pub level: String,
    /// For people or machines.
    pub format: LogFormat,
}

/// Every mistake in the settings, in one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError(pub Vec<Problem>);

impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let count = self.0.len();
        write!(f, "{count} {} wrong:", if count == 1 { "setting is" } else { "settings are" })?;
        for Problem { name, message } in &self.0 {
            write!(f, "\n  {name} {message}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Reads all settings.
    ///
    /// # Errors
    /// [`ConfigError`] with every mistake.
    pub fn load(given: &Given) -> Result<Self, ConfigError> {
        let mut problems = Vec::new();
        let layers = Layers::read(given, &mut problems);
        let config = Self::parse(&layers, &given.env, &mut problems);
        if problems.is_empty() { Ok(config) } else { Err(ConfigError(problems)) }
    }

    /// Whether it has this role.
    pub fn has(&self, role: ServerRole) -> bool {
        self.roles.contains(&role)
    }

    /// Whether other processes have the roles that this one has not.
    pub fn is_split(&self) -> bool {
        self.roles.len() != ServerRole::ALL.len()
    }

    /// Whether all stores are files of this process.
    pub fn is_embedded(&self) -> bool {
        self.database.is_none() && self.kafka.is_none() && self.search.is_none()
    }

    /// For commands that people copy: ` --data-dir DIR`, or nothing where the command finds the directory by itself.
    pub fn data_dir_flag(&self) -> String {
        if self.data_dir_is_usual {
            return String::new();
        }
        let dir = self.data_dir.display().to_string();
        let plain = dir.chars().all(|c| c.is_alphanumeric() || "/._-+:@,".contains(c));
        // In single quotes a shell reads all but the quote itself as it is.
        if plain {
            format!(" --data-dir {dir}")
        } else {
            format!(" --data-dir '{}'", dir.replace('\'', r"'\''"))
        }
    }

    fn parse(
        layers: &Layers,
        env: &std::collections::BTreeMap<String, String>,
        problems: &mut Vec<Problem>,
    ) -> Self {
        let mut read = Reader::new(layers, problems);
        let roles = roles(&mut read);
        let embedded = stores(&mut read);
        let split = !roles.is_empty() && roles.len() != ServerRole::ALL.len();
        if split {
            splitting(&mut read, &embedded);
        }
        let port_offset = read.number("port_offset", 0..=30_000);
        let usual_data_dir = default_data_dir(env);
        let data_dir = read.path("data_dir").or_else(|| usual_data_dir.clone()).unwrap_or_else(|| {
            read.wrong("data_dir", "is not set and neither is HOME; give --data-dir DIR");
            PathBuf::new()
        });
        Self {
            roles,
            data_dir_is_usual: usual_data_dir.as_ref() == Some(&data_dir),
            data_dir,
            worker_threads: worker_threads(&mut read),
            drain_grace: Duration::from_secs(read.number("drain_grace_secs", 1..=3_600)),
            self_monitor: read
                .truth("self_monitor")
                .then(|| Duration::from_secs(read.number("self_monitor_secs", 1..=3_600))),
            listen: Listen {
                front: read.listen("front_listen", port_offset),
                back: read.listen("back_listen", port_offset),
                ingestion: read.listen("ingestion_listen", port_offset),
                processor: read.listen("processor_listen", port_offset),
                management: read.listen("management", port_offset),
                management_tls: read.truth("management_tls"),
            },
            tls: tls(&mut read),
            trusted_proxies: read.list(
                "trusted_proxies",
                "an address or a network such as 10.0.0.0/8",
                network,
            ),
            database: database::url(&mut read),
            broker: BrokerConfig {
                max_bytes: read.number("broker_max_bytes", 67_108_864..=u64::MAX / 2),
                retention: Duration::from_secs(read.number("broker_retention_hours", 0..=8_760) * 3_600),
            },
            kafka: kafka::options(&mut read),
            search: search::options(&mut read),
            web: WebConfig {
                public_url: read.origin("public_url"),
                api_public_url: read.origin("api_public_url"),
                ingest_public_address: read.text("ingest_public_address"),
                connections_max: read.number("http_connections_max", 16..=1_000_000),
                connections_per_address: read.number("http_connections_per_address", 1..=1_000_000),
                requests_per_sec: read.number("api_requests_per_sec", 1..=1_000_000),
                requests_burst: read.number("api_requests_burst", 1..=1_000_000),
                ingest_body_max: read.number("ingest_body_max_bytes", 1_024..=1_073_741_824),
                session_idle: Duration::from_secs(read.number("session_days", 1..=365) * 86_400),
            },
            access: access(&mut read),
            ingestion: IngestionConfig {
                frame_max: read.number("ingest_frame_max_bytes", 1_024..=4_194_304),
                connections_max: read.number("ingest_connections_max", 1..=1_000_000),
                connections_per_address: read.number("ingest_connections_per_address", 1..=1_000_000),
                handshake: Duration::from_secs(read.number("ingest_handshake_secs", 1..=600)),
                idle: Duration::from_secs(read.number("ingest_idle_secs", 1..=86_400)),
                max_age: Duration::from_secs(read.number("ingest_max_age_secs", 1..=2_592_000)),
                memory: read.number("ingest_memory_bytes", 8_388_608..=68_719_476_736),
                fields_max: read.number("ingest_fields_max", 1..=10_000),
                depth_max: read.number("ingest_depth_max", 1..=64),
                new_sources_per_day: read.number("ingest_new_sources_per_day", 0..=1_000_000),
                masking: masking::rules(&mut read),
                proxy_protocol_from: read.list(
                    "ingest_proxy_protocol_from",
                    "an address or a network such as 10.0.0.0/8",
                    network,
                ),
                client_certificates: client_certificates(&mut read),
            },
            log: LogConfig {
                level: read.text("log_level").unwrap_or_else(|| "info".to_owned()),
                format: read.choice("log_format", &[("text", LogFormat::Text), ("json", LogFormat::Json)]),
            },
        }
    }
}

fn client_certificates(read: &mut Reader<'_>) -> Option<Asked> {
    match read.text("ingest_client_certificates").as_deref() {
        Some("off") => None,
        Some("required") => Some(Asked::Required),
        Some("optional") | None => Some(Asked::Optional),
        Some(_) => {
            read.wrong("ingest_client_certificates", "is none of off, optional, required");
            None
        }
    }
}

fn roles(read: &mut Reader<'_>) -> BTreeSet<ServerRole> {
    let named = read.list("roles", "all, front, back, ingestion or processor", |word| match word {
        "all" => Some(ServerRole::ALL.to_vec()),
        word => ServerRole::ALL.into_iter().find(|role| role.name() == word).map(|role| vec![role]),
    });
    let roles: BTreeSet<_> = named.into_iter().flatten().collect();
    if roles.is_empty() {
        read.wrong("roles", "names no role; give all, or some of front, back, ingestion, processor");
    }
    roles
}

/// What several processes share must be outside of all of them.
fn splitting(read: &mut Reader<'_>, embedded: &[&'static str]) {
    if !embedded.is_empty() {
        let names: Vec<String> =
            embedded.iter().map(|key| format!("QGX_{}", key.to_ascii_uppercase())).collect();
        read.wrong(
            "roles",
            format!(
                "splits the roles over processes, but {} embedded:, and what is embedded belongs to one process; give \
                 the address of an engine, or use --roles all",
                match names.as_slice() {
                    [one] => format!("{one} is"),
                    several => format!("{} are", several.join(", ")),
                }
            ),
        );
    }
    if read.text("secret_keys").is_none() {
        read.wrong(
            "secret_keys",
            "is not set, but with roles split every process must have the same keys; make one by: openssl rand \
             -base64 32",
        );
    }
}

/// Checks the stores' addresses; answers which are embedded.
fn stores(read: &mut Reader<'_>) -> Vec<&'static str> {
    let mut embedded = Vec::new();
    for key in ["database_url", "broker_url", "search_url"] {
        let text = read.text(key).unwrap_or_default();
        let real = match key {
            "database_url" => database::is_url(&text),
            "broker_url" => kafka::is_url(&text),
            "search_url" => search::is_url(&text),
            _ => false,
        };
        if text == "embedded:" {
            embedded.push(key);
        } else if !real {
            let shown = Variable::find(key).map_or_else(String::new, |variable| variable.redact(&text));
            read.wrong(
                key,
                format!("is {shown:?}, a kind of store that this build does not support yet; give embedded:"),
            );
        }
    }
    embedded
}

fn tls(read: &mut Reader<'_>) -> Tls {
    let self_signed = read.truth("tls_self_signed");
    match (read.path("tls_cert"), read.path("tls_key")) {
        (Some(cert), Some(key)) => {
            for (name, path) in [("tls_cert", &cert), ("tls_key", &key)] {
                if let Err(error) = std::fs::metadata(path) {
                    read.wrong(
                        name,
                        format!("is {}, which cannot be read ({error}); correct the path", path.display()),
                    );
                }
            }
            if self_signed {
                read.wrong("tls_self_signed", "goes against tls_cert; unset one of them");
            }
            Tls::Files { cert, key }
        }
        (None, None) if self_signed => Tls::SelfSigned,
        (None, None) => Tls::Off,
        (cert, _) => {
            let (given, missing) =
                if cert.is_some() { ("tls_cert", "tls_key") } else { ("tls_key", "tls_cert") };
            read.wrong(given, format!("is set without {missing}; set both or neither"));
            Tls::Off
        }
    }
}

fn access(read: &mut Reader<'_>) -> AccessConfig {
    let owner_email = read.text("owner_email").unwrap_or_default();
    if !owner_email.contains('@') || owner_email.contains(char::is_whitespace) {
        read.wrong("owner_email", format!("is {owner_email:?}; give an e-mail address"));
    }
    let owner_password = read.text("owner_password");
    if owner_password.as_ref().is_some_and(|password| password.chars().count() < 10) {
        read.wrong("owner_password", "is too short; give at least 10 characters");
    }
    let keys = read.text("secret_keys").unwrap_or_default();
    let mut secret_keys = Vec::new();
    for (position, key) in keys.split(',').map(str::trim).filter(|key| !key.is_empty()).enumerate() {
        match base64::engine::general_purpose::STANDARD.decode(key).ok().and_then(|key| key.try_into().ok()) {
            Some(key) => secret_keys.push(key),
            // The key itself is never repeated.
            None => read.wrong(
                "secret_keys",
                format!(
                    "has key {} that is not 32 bytes in base64; make one by: openssl rand -base64 32",
                    position + 1
                ),
            ),
        }
    }
    AccessConfig {
        owner_email,
        owner_password,
        secret_keys,
        service_keys: service_keys(read),
        loopback_default_tenant: read.truth("loopback_default_tenant"),
    }
}

/// Long enough that nobody guesses them.
const SERVICE_KEY_CHARS: usize = 16;

fn service_keys(read: &mut Reader<'_>) -> Vec<String> {
    let text = read.text("service_keys").unwrap_or_default();
    let keys: Vec<String> =
        text.split(',').map(str::trim).filter(|key| !key.is_empty()).map(str::to_owned).collect();
    if keys.len() > 2 {
        read.wrong(
            "service_keys",
            "has more than two keys; give the one in use, and the one before or after it",
        );
    }
    // A key itself is never repeated.
    if let Some(short) = keys.iter().position(|key| key.chars().count() < SERVICE_KEY_CHARS) {
        let which = short + 1;
        read.wrong(
            "service_keys",
            format!("has key {which} of fewer than {SERVICE_KEY_CHARS} characters; make one by: openssl rand -base64 32"),
        );
    }
    keys
}

fn network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

fn worker_threads(read: &mut Reader<'_>) -> usize {
    if read.text("worker_threads").is_some() {
        return read.number("worker_threads", 1..=1_024);
    }
    // With a single worker one blocked poll would stall every stream of the process.
    std::thread::available_parallelism().map_or(2, |count| count.get().max(2))
}

fn default_data_dir(env: &std::collections::BTreeMap<String, String>) -> Option<PathBuf> {
    let set = |name: &str| env.get(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("XDG_DATA_HOME")
        .or_else(|| set("HOME").map(|home| home.join(".local/share")))
        .map(|base| base.join("qgx"))
}

#[cfg(test)]
mod tests;
