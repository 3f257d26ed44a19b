//! A running process: stores, pipeline, listeners, and how it starts and stops.

pub mod banner;
pub mod data_dir;
mod descriptors;
pub mod owner;
mod parts;
mod pipeline;
pub mod readiness;
mod self_monitor;
pub mod stores;

pub use readiness::Readiness;

use crate::config::{Config, ServerRole};
use crate::control::socket::ControlSocket;
use crate::http::listener::{HttpListener, Limits};
use crate::http::patience::Patience;
use crate::http::tls::Certificate;
use crate::http::{HttpState, Site};
use crate::management::{self, ManagementState};
use crate::{rest, web};
use anyhow::{Context, Result, bail};
use data_dir::{DataDir, socket_path};
use domain::Lang;
use owner::OwnerPassword;
use parts::Parts;
use pipeline::{DOORS_SHARE, Pipeline};
use services::{Ctx, Services};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use stores::Cost;
use telemetry::LogHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Where a process really listens.
#[derive(Debug, Clone)]
pub struct Addresses {
    /// The user web.
    pub front: SocketAddr,
    /// The REST API.
    pub back: SocketAddr,
    /// TCP.
    pub ingestion: SocketAddr,
    /// Management.
    pub management: SocketAddr,
    /// The control socket.
    pub control: PathBuf,
}

/// What the surrounding program brings.
#[derive(Clone)]
pub struct Host {
    /// Its log lines, changeable over the management listener.
    pub logs: Option<LogHandle>,
    /// What hashing passwords may cost.
    pub password_cost: Cost,
}

impl Default for Host {
    fn default() -> Self {
        Self { logs: None, password_cost: Cost::Strong }
    }
}

/// A running process.
pub struct Running {
    /// Where it listens.
    pub addresses: Addresses,
    /// The use cases, for tests and embedding programs.
    pub services: Services,
    /// The owner's e-mail.
    pub owner_email: String,
    /// Where the owner's password went.
    pub owner_password: OwnerPassword,
    readiness: Arc<Readiness>,
    stopping: CancellationToken,
    management: Parts,
    http: Parts,
    background: Parts,
    pipeline: Pipeline,
    grace: Duration,
    // Let go of last.
    _data_dir: DataDir,
}

/// Starts everything that the settings name.
///
/// # Errors
/// Where the data directory is in use, a store cannot be opened, or an address cannot be had; all addresses that cannot
/// are named at once.
pub async fn start(config: Config) -> Result<Running> {
    start_as(config, Host::default()).await
}

/// As [`start`], within a program of its own.
///
/// # Errors
/// As [`start`].
pub async fn start_as(mut config: Config, host: Host) -> Result<Running> {
    descriptors::fit(&mut config, descriptors::raise());
    let data_dir = DataDir::open(&config.data_dir)?;
    let certificate = Certificate::from_settings(&config.tls, data_dir.path())?;
    let listeners = Listeners::bind(&config, certificate.as_ref()).await?;
    let readiness = Arc::new(Readiness::default());
    let metrics = telemetry::init_metrics();
    let (management_stop, stopping) = (CancellationToken::new(), CancellationToken::new());

    let services = stores::open(&data_dir, &config, host.password_cost).await?;
    let (bootstrap, owner_password) = owner::bootstrap(&services, &config.access, data_dir.path()).await?;
    if config.roles.contains(&ServerRole::Ingestion) {
        // Before the first record can come.
        let rules = config.ingestion.masking.clone();
        let kept = services.set_installation_masking(&Ctx::local(Lang::En), rules).await;
        kept.context("the masking rules cannot be kept")?;
    }
    let pipeline = Pipeline::start(&config, &services, certificate.as_ref()).await?;
    let addresses = Addresses {
        front: listeners.front.address()?,
        back: listeners.back.address()?,
        ingestion: pipeline.address(),
        management: listeners.management.address()?,
        control: socket_path(data_dir.path()),
    };

    let mut management = Parts::new(management_stop);
    let state = ManagementState {
        readiness: Arc::clone(&readiness),
        metrics: metrics.clone(),
        logs: host.logs,
        services: services.clone(),
    };
    management.listen(listeners.management, management::router(state), config.drain_grace);
    let control = ControlSocket::bind(&addresses.control)?;
    management.run("control", control.serve(services.clone(), management.stop()));
    management.run("metrics-upkeep", metrics_upkeep(metrics, management.stop()));

    let mut background = Parts::new(CancellationToken::new());
    services.start_upkeep(background.stop());
    if let Some(certificate) = certificate {
        background.run("tls-reload", certificate.follow(background.stop()));
    }
    if let Some(every) = config.self_monitor {
        let tenant = bootstrap.tenant.key.clone();
        let options = self_monitor::options(&services, tenant, addresses.ingestion).await?;
        background.run("self-monitor", self_monitor::run(options, every, background.stop()));
    }

    let mut http = Parts::new(stopping.clone());
    let web_state =
        web::WebState::new(&services, &config, addresses.back.port(), addresses.ingestion.port(), &stopping);
    let front = web::router(web_state, &HttpState::new(services.clone(), Site::App, &config));
    let doors = config.drain_grace.mul_f64(DOORS_SHARE);
    http.listen(listeners.front, front, doors);
    let api_state = rest::state(&services, pipeline.intake(), &config, &stopping);
    let back = rest::router(api_state, &HttpState::new(services.clone(), Site::Api, &config));
    http.listen(listeners.back, back, doors);

    readiness.set_ready();
    Ok(Running {
        addresses,
        services,
        owner_email: bootstrap.owner_email,
        owner_password,
        readiness,
        stopping,
        management,
        http,
        background,
        pipeline,
        grace: config.drain_grace,
        _data_dir: data_dir,
    })
}

impl Running {
    /// Stops: no new work, what was begun is finished, what was taken is stored; within the grace period.
    pub async fn shutdown(self) {
        let deadline = Instant::now() + self.grace;
        let left = |deadline: Instant| deadline.saturating_duration_since(Instant::now());
        self.readiness.set_stopping();
        self.stopping.cancel();
        // All doors at once: an upload over HTTP and a sender over TCP have the same time.
        let doors = self.grace.mul_f64(DOORS_SHARE);
        let (_, _, draining) = tokio::join!(
            self.background.stop_within(doors),
            self.http.stop_within(doors),
            self.pipeline.stop_taking(doors)
        );
        draining.finish(left(deadline)).await;
        self.management.stop_within(left(deadline).min(Duration::from_secs(1))).await;
        stores::close(&self.services).await;
    }
}

/// The HTTP listeners, all bound before anything is opened.
struct Listeners {
    front: HttpListener,
    back: HttpListener,
    management: HttpListener,
}

impl Listeners {
    async fn bind(config: &Config, certificate: Option<&Arc<Certificate>>) -> Result<Self> {
        let limits = Limits {
            connections: config.web.connections_max,
            per_address: config.web.connections_per_address,
            exempt: config.trusted_proxies.as_slice().into(),
            patience: Patience::default(),
        };
        let few = Limits { connections: 256, per_address: 64, ..limits.clone() };
        let listen = &config.listen;
        let mut problems = Vec::new();
        let mut keep = |setting: &str, address: SocketAddr, bound: std::io::Result<HttpListener>| match bound
        {
            Ok(listener) => Some(listener),
            Err(error) => {
                problems.push(format!("{setting} {address}: {error}"));
                None
            }
        };
        let front = HttpListener::bind("front", listen.front, certificate, limits.clone()).await;
        let front = keep("front_listen", listen.front, front);
        let back = HttpListener::bind("back", listen.back, certificate, limits).await;
        let back = keep("back_listen", listen.back, back);
        let management = HttpListener::bind("management", listen.management, None, few).await;
        let management = keep("management", listen.management, management);
        match (front, back, management) {
            (Some(front), Some(back), Some(management)) => Ok(Self { front, back, management }),
            _ => bail!(
                "these addresses cannot be listened on:\n  {}\nstop what uses them, or move all ports with --port-offset N",
                problems.join("\n  ")
            ),
        }
    }
}

/// How often histograms give up their raw samples.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

async fn metrics_upkeep(metrics: telemetry::PrometheusHandle, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(UPKEEP_EVERY)).await.is_some() {
        metrics.run_upkeep();
    }
}
