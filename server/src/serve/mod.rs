//! A running process: stores, pipeline, listeners, and how it starts and stops.
//!
//! What it opens, listens on and runs follows from its roles. Management comes first: it answers while engines are waited
//! for.

mod absent;
pub mod banner;
pub mod data_dir;
mod descriptors;
mod engines;
mod listeners;
pub mod owner;
mod parts;
mod pipeline;
pub mod readiness;
mod self_monitor;
pub mod stores;

pub use readiness::Readiness;

use crate::config::{Config, ServerRole};
use crate::control::socket::ControlSocket;
use crate::http::tls::Certificate;
use crate::http::{HttpState, Site};
use crate::management::{self, ManagementState};
use crate::{internal, rest, web};
use anyhow::{Context, Result};
use data_dir::{DataDir, socket_path};
use domain::Lang;
use engines::await_engine;
use listeners::Listeners;
use owner::OwnerPassword;
use parts::Parts;
use pipeline::{DOORS_SHARE, Pipeline};
use services::{Ctx, Services};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use store_kafka::{KafkaLive, KafkaOptions};
use stores::{Cost, Needs};
use telemetry::LogHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Where a process really listens; `None` where its roles do not.
#[derive(Debug, Clone)]
pub struct Addresses {
    /// The user web.
    pub front: Option<SocketAddr>,
    /// The REST API.
    pub back: Option<SocketAddr>,
    /// TCP.
    pub ingestion: Option<SocketAddr>,
    /// The processor's port for other roles.
    pub processor: Option<SocketAddr>,
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
    /// The owner's e-mail, where this process looks after owners: on an embedded database.
    pub owner_email: Option<String>,
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

/// Starts everything that the settings name. Engines that are away, or not prepared yet, are waited for; meanwhile
/// management answers, and tells why it is not ready.
///
/// # Errors
/// Where the data directory is in use, an embedded store cannot be opened, an engine holds what a later version wrote, or an
/// address cannot be had; all addresses that cannot are named at once.
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

    let mut management = Parts::new(management_stop);
    let management_address = listeners.management.address()?;
    let known = Arc::new(OnceLock::new());
    let state = ManagementState {
        readiness: Arc::clone(&readiness),
        metrics: metrics.clone(),
        logs: host.logs,
        services: Arc::clone(&known),
    };
    management.listen(listeners.management, management::router(state), config.drain_grace);
    management.run("metrics-upkeep", metrics_upkeep(metrics, management.stop()));

    let needs = Needs::of(&config.roles);
    let services = stores::await_needed(&data_dir, &config, host.password_cost, needs, &readiness).await?;
    // On an engine that is what `qgx migrate` is for.
    let owner = match config.database {
        Some(_) => None,
        None => Some(owner::bootstrap(&services, &config.access, data_dir.path()).await?),
    };
    if config.has(ServerRole::Ingestion) {
        // Before the first record can come.
        let rules = config.ingestion.masking.clone();
        let kept = services.set_installation_masking(&Ctx::local(Lang::En), rules).await;
        kept.context("the masking rules cannot be kept")?;
    }
    let pipeline = Pipeline::start(&config, &services, certificate.as_ref()).await?;
    let addresses = Addresses {
        front: Listeners::address(listeners.front.as_ref())?,
        back: Listeners::address(listeners.back.as_ref())?,
        processor: Listeners::address(listeners.processor.as_ref())?,
        ingestion: pipeline.address(),
        management: management_address,
        control: socket_path(data_dir.path()),
    };
    // Nobody else sets it.
    let _ = known.set(services.clone());
    let control = ControlSocket::bind(&addresses.control)?;
    management.run("control", control.serve(services.clone(), management.stop()));

    let mut background = Parts::new(CancellationToken::new());
    services.start_upkeep(background.stop());
    if let Some(certificate) = certificate {
        background.run("tls-reload", certificate.follow(background.stop()));
    }
    // An embedded database has no other process on it.
    if let (Some(intake), Some(_)) = (pipeline.intake(), &config.database) {
        let shares = intake.share_quotas(services.stores().sql.clone(), background.stop());
        background.run("quota-shares", shares);
    }
    if let Some(kafka) = &config.kafka {
        let roles = config.roles.iter().map(|role| role.name().to_owned()).collect();
        let joined = live_bus(kafka.clone(), services.clone(), roles, background.stop());
        background.run("live-bus", joined);
    }
    if let (Some(every), Some((bootstrap, _)), Some(ingestion), true) =
        (config.self_monitor, &owner, addresses.ingestion, config.is_embedded())
    {
        let options = self_monitor::options(&services, bootstrap.tenant.key.clone(), ingestion).await?;
        background.run("self-monitor", self_monitor::run(options, every, background.stop()));
    }

    let mut http = Parts::new(stopping.clone());
    let doors = config.drain_grace.mul_f64(DOORS_SHARE);
    if let Some(listener) = listeners.front {
        // Where another process listens, by the same settings.
        let port = |ours: Option<SocketAddr>, set: SocketAddr| ours.unwrap_or(set).port();
        let api = port(addresses.back, config.listen.back);
        let tcp = port(addresses.ingestion, config.listen.ingestion);
        let state = web::WebState::new(&services, &config, api, tcp, &stopping);
        let router = web::router(state, &HttpState::new(services.clone(), Site::App, &config));
        http.listen(listener, router, doors);
    }
    if let (Some(listener), Some(intake)) = (listeners.back, pipeline.intake()) {
        let state = rest::state(&services, intake, &config, &stopping);
        let router = rest::router(state, &HttpState::new(services.clone(), Site::Api, &config));
        http.listen(listener, router, doors);
    }
    if let Some(listener) = listeners.processor {
        let router = internal::router(services.clone(), &config.access.service_keys);
        http.listen(listener, router, doors);
    }

    readiness.set_ready();
    let (owner_email, owner_password) = match owner {
        Some((bootstrap, password)) => (Some(bootstrap.owner_email), password),
        None => (None, OwnerPassword::Known),
    };
    Ok(Running {
        addresses,
        services,
        owner_email,
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

/// Joins the live bus as soon as it is there: pages do without it until then.
async fn live_bus(kafka: KafkaOptions, services: Services, roles: Vec<String>, stop: CancellationToken) {
    let apart = Readiness::default();
    let connect = || {
        let kafka = kafka.clone();
        async move { Ok(KafkaLive::connect(kafka).await?) }
    };
    if let Some(Ok(bus)) = stop.run_until_cancelled(await_engine("live bus", &apart, connect)).await {
        services.join_bus(bus, roles, stop).await;
    }
}

/// How often histograms give up their raw samples.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

async fn metrics_upkeep(metrics: telemetry::PrometheusHandle, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(UPKEEP_EVERY)).await.is_some() {
        metrics.run_upkeep();
    }
}
