//! The control socket of a running server: HTTP over a Unix socket that only its owner may open.

use super::command::{Command, execute};
use crate::http::ApiError;
use anyhow::{Context, Result};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use domain::Lang;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use serde::{Deserialize, Serialize};
use services::Services;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;

/// A command and the language of its errors.
#[derive(Serialize, Deserialize)]
pub struct Request {
    /// Of messages.
    pub lang: Lang,
    /// What to do.
    #[serde(flatten)]
    pub command: Command,
}

/// The path of the only endpoint.
pub const COMMAND_PATH: &str = "/v1/command";

/// Between two attempts to take a connection where one failed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The bound socket; its file goes with it.
pub struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

impl ControlSocket {
    /// Binds it. Call only while holding the data directory: a file that a killed process left is removed.
    ///
    /// # Errors
    /// Where the file cannot be made, as where the path is longer than the system allows.
    pub fn bind(path: &Path) -> Result<Self> {
        let _ = std::fs::remove_file(path);
        let listener = UnixListener::bind(path).with_context(|| {
            format!("the control socket {} cannot be made; is the path too long?", path.display())
        })?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
            .with_context(|| format!("{} cannot be kept to its owner", path.display()))?;
        Ok(Self { listener, path: path.to_owned() })
    }

    /// Serves until stopped.
    pub async fn serve(self, services: Services, stop: CancellationToken) {
        let router = Router::new().route(COMMAND_PATH, post(run)).with_state(services);
        while let Some(accepted) = stop.run_until_cancelled(self.listener.accept()).await {
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of descriptors, mostly: what waits goes on waiting, and asking again at once would spin.
                    tracing::warn!(%error, "the control socket cannot take a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let service = TowerToHyperService::new(router.clone());
            telemetry::spawn("control-connection", async move {
                let _ = auto::Builder::new(TokioExecutor::new())
                    .http1_only()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    }
}

async fn run(State(services): State<Services>, Json(request): Json<Request>) -> Response {
    match execute(&services, request.command, request.lang).await {
        Ok(value) => Json(value).into_response(),
        Err(error) => ApiError::new(&error, request.lang, "control").into_response(),
    }
}
