//! What can be typed.

use super::trust::{AddressRuleArgs, AuthorityAction, CertificateAction};
use clap::{Args, Parser, Subcommand, ValueEnum};
use domain::Role;
use domain::api::{LetterState, TokenKind};
use std::path::PathBuf;

/// QGX: real-time data from a TCP byte to a pixel.
#[derive(Parser)]
#[command(name = "qgx", version, about, propagate_version = true, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Subcommand)]
pub enum Command {
    /// Run the server.
    Serve(Box<ServeArgs>),
    /// Send this machine's own figures and log files, acknowledged; goes on where it was.
    Agent(AgentArgs),
    /// Send files, with a progress bar.
    Send(SendArgs),
    /// Bring the database up to this version, and make the first owner.
    Migrate(Common),
    /// Back up everything, beside a running server or without one; list, verify and prune backups.
    Backup(Box<super::backup::BackupArgs>),
    /// Write a backup into an empty data directory, and compare the counts.
    Restore(super::backup::RestoreArgs),
    /// Move everything from the embedded stores to engines, and compare the counts.
    Move(super::move_to::MoveArgs),
    /// Say what is wrong, and how to mend it.
    Doctor(DoctorArgs),
    /// Print the settings that hold, without secrets.
    Config(ConfigArgs),
    /// Print the description of the REST API (OpenAPI 3.1).
    Openapi,
    /// Print the completions of a shell.
    Completions {
        /// For which shell.
        shell: clap_complete::Shell,
    },
    /// Tenants.
    Tenant(TenantArgs),
    /// People.
    User(UserArgs),
    /// Sources.
    Source(SourceArgs),
    /// Ingest and API tokens.
    Token(TokenArgs),
    /// Address rules: networks that need no token on the TCP port.
    AddressRule(AddressRuleArgs),
    /// What could not be stored as an event.
    DeadLetter(DeadLetterArgs),
}

/// Where the settings come from.
#[derive(Args, Clone, Default)]
pub struct Common {
    /// The settings file; else QGX_CONFIG, else qgx.toml in the working directory.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The data directory.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Any setting, such as `--set api_requests_per_sec=100`; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_value)]
    pub set: Vec<(String, String)>,
}

fn key_value(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .map(|(key, value)| (key.trim().replace('-', "_").to_ascii_lowercase(), value.to_owned()))
        .ok_or_else(|| "expected KEY=VALUE".to_owned())
}

/// `qgx serve`
#[derive(Args)]
pub struct ServeArgs {
    #[command(flatten)]
    pub common: Common,
    /// all, or some of front, back, ingestion, processor.
    #[arg(long)]
    pub roles: Option<String>,
    /// Added to every port.
    #[arg(long, value_name = "N")]
    pub port_offset: Option<u16>,
    /// Do not watch this machine itself.
    #[arg(long)]
    pub no_self_monitor: bool,
    /// Where the management endpoints listen.
    #[arg(long, value_name = "ADDRESS")]
    pub management: Option<String>,
    /// Where the user web listens.
    #[arg(long, value_name = "ADDRESS")]
    pub front_listen: Option<String>,
    /// Where the REST API listens.
    #[arg(long, value_name = "ADDRESS")]
    pub back_listen: Option<String>,
    /// Where data comes in by TCP.
    #[arg(long, value_name = "ADDRESS")]
    pub ingestion_listen: Option<String>,
    /// The user web's address as browsers see it.
    #[arg(long, value_name = "URL")]
    pub public_url: Option<String>,
    /// Certificate chain, PEM.
    #[arg(long, value_name = "FILE")]
    pub tls_cert: Option<String>,
    /// Private key, PEM.
    #[arg(long, value_name = "FILE")]
    pub tls_key: Option<String>,
    /// Make a certificate; browsers warn about it.
    #[arg(long)]
    pub tls_self_signed: bool,
    /// Proxies whose X-Forwarded-* is believed.
    #[arg(long, value_name = "CIDR,…")]
    pub trusted_proxies: Option<String>,
    /// off, error, warn, info, debug, trace, or by part.
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// text or json.
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<String>,
}

impl ServeArgs {
    /// As settings.
    pub fn flags(&self) -> Vec<(String, String)> {
        let mut flags = self.common.flags();
        let texts = [
            ("roles", &self.roles),
            ("management", &self.management),
            ("front_listen", &self.front_listen),
            ("back_listen", &self.back_listen),
            ("ingestion_listen", &self.ingestion_listen),
            ("public_url", &self.public_url),
            ("tls_cert", &self.tls_cert),
            ("tls_key", &self.tls_key),
            ("trusted_proxies", &self.trusted_proxies),
            ("log_level", &self.log_level),
            ("log_format", &self.log_format),
        ];
        for (key, value) in texts {
            flags.extend(value.as_ref().map(|value| (key.to_owned(), value.clone())));
        }
        flags.extend(self.port_offset.map(|offset| ("port_offset".to_owned(), offset.to_string())));
        if self.no_self_monitor {
            flags.push(("self_monitor".to_owned(), "false".to_owned()));
        }
        if self.tls_self_signed {
            flags.push(("tls_self_signed".to_owned(), "true".to_owned()));
        }
        flags
    }
}

impl Common {
    /// As settings.
    pub fn flags(&self) -> Vec<(String, String)> {
        let mut flags = self.set.clone();
        flags.extend(self.data_dir.iter().map(|dir| ("data_dir".to_owned(), dir.display().to_string())));
        flags
    }
}

/// Where to send, and as whom.
#[derive(Args, Clone)]
pub struct TargetArgs {
    /// The ingestion port, such as qgx.example.com:31101.
    #[arg(long, value_name = "HOST:PORT", default_value = "localhost:31101")]
    pub to: String,
    /// The ingest token. Better in QGX_TOKEN: a command line can be read by others on this machine.
    #[arg(long, env = "QGX_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub token: Option<String>,
    /// The source, where the token is not bound to one.
    #[arg(long, value_name = "KEY")]
    pub source: Option<String>,
    /// Speak TLS, and trust what these certificates (PEM) have signed.
    #[arg(long, value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,
    /// In TLS, show this certificate (chain, PEM): where its authority is a tenant's, no token is needed.
    #[arg(long, value_name = "FILE", requires = "tls_key", requires = "tls_ca")]
    pub tls_cert: Option<PathBuf>,
    /// The key of the certificate (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
}

/// `qgx agent`
#[derive(Args)]
pub struct AgentArgs {
    #[command(flatten)]
    pub target: TargetArgs,
    /// Seconds between two measurements.
    #[arg(long, value_name = "SECS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub every: u64,
    /// A file to tail, or a pattern in quotes such as '/var/log/app/*.log'; may be repeated.
    #[arg(long, value_name = "FILE")]
    pub tail: Vec<String>,
    /// Also send what stands already in files that are there when they are tailed for the first time.
    #[arg(long)]
    pub from_start: bool,
    /// Do not send this machine's own figures.
    #[arg(long)]
    pub no_figures: bool,
    /// Where positions and the buffer lie; else $STATE_DIRECTORY, else qgx-agent in $XDG_STATE_HOME or ~/.local/state.
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Most bytes of figures on disk while the server is away; beyond it the oldest go. Files need none: they are read
    /// later.
    #[arg(long, value_name = "BYTES", default_value_t = 268_435_456, value_parser = clap::value_parser!(u64).range(1_048_576..))]
    pub buffer_max_bytes: u64,
    /// Seconds after which a line without a newline is sent as it is.
    #[arg(long, value_name = "SECS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub partial_after: u64,
    /// Seconds that a file is read on after rotation has put it aside, since its last line.
    #[arg(long, value_name = "SECS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub rotated_for: u64,
    /// Log level.
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    pub log_level: String,
}

/// How a file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Protocol {
    /// QGX lines, a JSON object or a text each: acknowledged, resumable.
    Qgx,
    /// A JSON object a line, as it is: acknowledged only with --source or --stream.
    Ndjson,
    /// Syslog lines as they are: not acknowledged.
    Syslog,
    /// A GELF object a line, sent with NUL between: not acknowledged.
    Gelf,
    /// Influx line protocol as it is: not acknowledged.
    Influx,
    /// The bytes as they are: acknowledged only with --source or --stream.
    Raw,
    /// Comma-separated values with a header: each row an object, acknowledged.
    Csv,
}

/// `qgx send`
#[derive(Args)]
pub struct SendArgs {
    #[command(flatten)]
    pub target: TargetArgs,
    /// How the files are read and sent.
    #[arg(long = "as", value_enum, default_value_t = Protocol::Qgx)]
    pub protocol: Protocol,
    /// A name for this sending: the same one again goes on where it was left, and stores nothing twice (qgx, csv).
    #[arg(long, value_name = "NAME")]
    pub stream: Option<String>,
    /// Print the summary as JSON, without a progress bar.
    #[arg(long)]
    pub json: bool,
    /// The files; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// `qgx doctor`
#[derive(Args)]
pub struct DoctorArgs {
    #[command(flatten)]
    pub common: Common,
    /// As JSON.
    #[arg(long)]
    pub json: bool,
}

/// `qgx config`
#[derive(Args)]
pub struct ConfigArgs {
    #[command(flatten)]
    pub common: Common,
    /// As JSON.
    #[arg(long, conflicts_with_all = ["reference", "example"])]
    pub json: bool,
    /// The reference page of all settings, in Markdown.
    #[arg(long, conflicts_with = "example")]
    pub reference: bool,
    /// The text of qgx.toml.example.
    #[arg(long)]
    pub example: bool,
}

/// Shared by the administration commands.
#[derive(Args, Clone)]
pub struct AdminArgs {
    #[command(flatten)]
    pub common: Common,
    /// As JSON.
    #[arg(long)]
    pub json: bool,
}

/// `qgx tenant`
#[derive(Args)]
pub struct TenantArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: TenantAction,
}

/// `qgx tenant …`
#[derive(Subcommand)]
pub enum TenantAction {
    /// Make a tenant.
    Create {
        #[command(flatten)]
        admin: AdminArgs,
        /// Its short name, of 0-9, a-z and -.
        #[arg(long)]
        slug: String,
        /// What people call it; not given: the short name.
        #[arg(long)]
        name: Option<String>,
        /// Its time zone.
        #[arg(long, default_value = domain::Zone::DEFAULT)]
        zone: String,
        /// How long events are kept: 7d, 30d, 90d or 1y.
        #[arg(long, default_value = "30d")]
        retention: String,
    },
    /// List all tenants.
    List(AdminArgs),
    /// Authorities of client certificates: on the TCP port they speak for a tenant without a token.
    Ca {
        /// What to do.
        #[command(subcommand)]
        action: AuthorityAction,
    },
    /// Client certificates that are good no more.
    Certificate {
        /// What to do.
        #[command(subcommand)]
        action: CertificateAction,
    },
}

/// A source that something is bound to.
#[derive(Args, Clone)]
pub struct SourceFlag {
    /// Bind it to a source.
    #[arg(long, value_name = "KEY")]
    pub source: Option<String>,
}

/// `qgx user`
#[derive(Args)]
pub struct UserArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: UserAction,
}

/// `qgx user …`
#[derive(Subcommand)]
pub enum UserAction {
    /// Make a person; the password is generated and printed once, or read from standard input.
    Create {
        #[command(flatten)]
        admin: AdminArgs,
        /// The login name.
        #[arg(long)]
        email: String,
        /// What people call them.
        #[arg(long, default_value = "")]
        name: String,
        /// The tenant they belong to.
        #[arg(long, default_value = "default")]
        tenant: String,
        /// viewer, editor or owner.
        #[arg(long, default_value = "viewer", value_parser = role)]
        role: Role,
        /// Also operator of the platform.
        #[arg(long)]
        operator: bool,
        /// Read the password from standard input.
        #[arg(long)]
        password_stdin: bool,
    },
    /// List all people.
    List(AdminArgs),
    /// Set a password, read from standard input; ends the person's sessions.
    SetPassword {
        #[command(flatten)]
        admin: AdminArgs,
        /// Whose.
        #[arg(long)]
        email: String,
    },
    /// Keep a person out.
    Disable {
        #[command(flatten)]
        admin: AdminArgs,
        /// Whom.
        #[arg(long)]
        email: String,
    },
    /// Let a person try again who mistyped the password too often.
    Unlock {
        #[command(flatten)]
        admin: AdminArgs,
        /// Whom.
        #[arg(long)]
        email: String,
    },
}

fn role(text: &str) -> Result<Role, String> {
    Role::parse(text).ok_or_else(|| "expected viewer, editor or owner".to_owned())
}

/// `qgx source`
#[derive(Args)]
pub struct SourceArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: SourceAction,
}

/// `qgx source …`
#[derive(Subcommand)]
pub enum SourceAction {
    /// Register a source before it sends.
    Create {
        #[command(flatten)]
        admin: AdminArgs,
        /// Whose.
        #[arg(long, default_value = "default")]
        tenant: String,
        /// Its key, as it will call itself.
        #[arg(long)]
        key: String,
        /// What people call it.
        #[arg(long, default_value = "")]
        name: String,
        /// Free words, such as server.
        #[arg(long, default_value = "")]
        kind: String,
    },
    /// List a tenant's sources.
    List {
        #[command(flatten)]
        admin: AdminArgs,
        /// Whose.
        #[arg(long, default_value = "default")]
        tenant: String,
    },
}

/// `qgx token`
#[derive(Args)]
pub struct TokenArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: TokenAction,
}

/// `qgx token …`
#[derive(Subcommand)]
pub enum TokenAction {
    /// Make a token and print its secret, this once.
    Create {
        #[command(flatten)]
        admin: AdminArgs,
        /// Whose.
        #[arg(long, default_value = "default")]
        tenant: String,
        /// ingest or api.
        #[arg(long, value_parser = token_kind)]
        kind: TokenKind,
        /// What people call it.
        #[arg(long, default_value = "cli")]
        name: String,
        /// Bind it to a source (ingest).
        #[arg(long)]
        source: Option<String>,
        /// viewer, editor or owner (api); not given: viewer.
        #[arg(long, value_parser = role)]
        role: Option<Role>,
        /// Days until it ends; not given: never.
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..=3650))]
        days: Option<u32>,
    },
    /// List a tenant's tokens.
    List {
        #[command(flatten)]
        admin: AdminArgs,
        /// Whose.
        #[arg(long, default_value = "default")]
        tenant: String,
        /// ingest or api only.
        #[arg(long, value_parser = token_kind)]
        kind: Option<TokenKind>,
    },
    /// End a token.
    Revoke {
        #[command(flatten)]
        admin: AdminArgs,
        /// Whose.
        #[arg(long, default_value = "default")]
        tenant: String,
        /// Its id, as lists show it.
        #[arg(value_name = "ID")]
        id: String,
    },
}

fn token_kind(text: &str) -> Result<TokenKind, String> {
    match text {
        "ingest" => Ok(TokenKind::Ingest),
        "api" => Ok(TokenKind::Api),
        _ => Err("expected ingest or api".to_owned()),
    }
}

/// `qgx dead-letter`
#[derive(Args)]
pub struct DeadLetterArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: DeadLetterAction,
}

/// Which letters.
#[derive(Args, Clone, Default)]
pub struct LetterFilterArgs {
    /// With this code, such as invalid_json.
    #[arg(long)]
    pub code: Option<String>,
    /// From this source.
    #[arg(long, value_name = "KEY")]
    pub source: Option<String>,
    /// open, replaying, replayed or discarded.
    #[arg(long, value_parser = letter_state)]
    pub state: Option<LetterState>,
    /// Given up at this time or later, such as now-1d.
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// Given up before this time.
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
    /// In the reason.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub text: String,
}

impl LetterFilterArgs {
    /// Whether it leaves none out.
    pub fn is_empty(&self) -> bool {
        let Self { code, source, state, from, to, text } = self;
        [code, source, from, to].iter().all(|it| it.is_none()) && state.is_none() && text.is_empty()
    }
}

/// Which letters to do something with.
#[derive(Args)]
pub struct WhichLetters {
    /// These.
    #[arg(value_name = "ID", conflicts_with_all = ["all", "code", "source", "state", "from", "to", "text"])]
    pub ids: Vec<String>,
    /// All open ones.
    #[arg(long)]
    pub all: bool,
    #[command(flatten)]
    pub filter: LetterFilterArgs,
}

/// `qgx dead-letter …`
#[derive(Subcommand)]
pub enum DeadLetterAction {
    /// List a tenant's dead letters, the latest first.
    List {
        #[command(flatten)]
        admin: AdminArgs,
        /// Whose.
        #[arg(long, default_value = "default")]
        tenant: String,
        #[command(flatten)]
        filter: LetterFilterArgs,
        /// At most so many.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
    },
    /// Show one with its bytes, and what a replay would make of it.
    Show {
        #[command(flatten)]
        admin: AdminArgs,
        /// Whose.
        #[arg(long, default_value = "default")]
        tenant: String,
        /// Its id, as lists show it.
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Make something else of its bytes.
    Edit {
        #[command(flatten)]
        admin: AdminArgs,
        /// Whose.
        #[arg(long, default_value = "default")]
        tenant: String,
        /// Its id, as lists show it.
        #[arg(value_name = "ID")]
        id: String,
        /// The new bytes; `-` is standard input.
        #[arg(long, value_name = "FILE", default_value = "-")]
        file: PathBuf,
    },
    /// Make events of them.
    Replay {
        #[command(flatten)]
        admin: AdminArgs,
        /// Whose.
        #[arg(long, default_value = "default")]
        tenant: String,
        #[command(flatten)]
        which: WhichLetters,
    },
    /// Want no events of them.
    Discard {
        #[command(flatten)]
        admin: AdminArgs,
        /// Whose.
        #[arg(long, default_value = "default")]
        tenant: String,
        #[command(flatten)]
        which: WhichLetters,
    },
    /// Take a discard back.
    Reopen {
        #[command(flatten)]
        admin: AdminArgs,
        /// Whose.
        #[arg(long, default_value = "default")]
        tenant: String,
        /// Its id, as lists show it.
        #[arg(value_name = "ID")]
        id: String,
    },
}

fn letter_state(text: &str) -> Result<LetterState, String> {
    LetterState::parse(text).ok_or_else(|| "expected open, replaying, replayed or discarded".to_owned())
}
