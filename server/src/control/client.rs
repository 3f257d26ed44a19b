//! Runs a command where it can be run: over the socket of the process that holds the data directory, or here.

use super::command::{Command, execute};
use super::socket::{COMMAND_PATH, Request};
use crate::config::Config;
use crate::serve::data_dir::{Claim, DataDir, database_path, socket_path};
use crate::serve::stores;
use anyhow::{Context, Result, anyhow, bail};
use domain::Lang;
use domain::api::Problem;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::path::Path;
use tokio::net::UnixStream;

/// Runs a command on the data directory of the settings.
///
/// # Errors
/// Where the directory cannot be used or the command is refused.
pub async fn run(config: &Config, command: Command, lang: Lang) -> Result<Value> {
    if config.database.is_none() && !database_path(&config.data_dir).exists() {
        bail!(
            "there is nothing in the data directory {} yet; start `qgx serve`, or run `qgx migrate`, or choose another \
             with --data-dir",
            config.data_dir.display()
        );
    }
    match DataDir::claim(&config.data_dir)? {
        Claim::Ours(data_dir) => {
            let needs = command.needs();
            let services = stores::open_needed(&data_dir, config, stores::Cost::Strong, needs).await?;
            let outcome = execute(&services, command, lang).await;
            stores::close(&services).await;
            outcome.map_err(|error| {
                error.log("local");
                explain(&error.problem(lang, "local"))
            })
        }
        Claim::Taken(holder) => {
            let who = holder.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
            let socket = socket_path(&config.data_dir);
            let stream = UnixStream::connect(&socket).await.with_context(|| {
                format!(
                    "the data directory {} is in use by {who}, which does not answer at {}; if it is starting or \
                     stopping, try again",
                    config.data_dir.display(),
                    socket.display()
                )
            })?;
            exchange(stream, command, lang).await
        }
    }
}

/// Asks the server behind a control socket.
///
/// # Errors
/// Where it does not answer or refuses.
pub async fn ask(socket: &Path, command: Command, lang: Lang) -> Result<Value> {
    let stream = UnixStream::connect(socket)
        .await
        .with_context(|| format!("nobody answers at {}", socket.display()))?;
    exchange(stream, command, lang).await
}

async fn exchange(stream: UnixStream, command: Command, lang: Lang) -> Result<Value> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let driving = telemetry::spawn("control-client", connection);
    let body = serde_json::to_vec(&Request { lang, command })?;
    let request = http::Request::post(COMMAND_PATH)
        .header(http::header::HOST, "qgx")
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(Full::new(bytes::Bytes::from(body)))?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    driving.abort();
    if status.is_success() {
        return Ok(serde_json::from_slice(&body)?);
    }
    match serde_json::from_slice::<Problem>(&body) {
        Ok(problem) => Err(explain(&problem)),
        Err(_) => bail!("the server answered {status}; is it of another version?"),
    }
}

fn explain(problem: &Problem) -> anyhow::Error {
    let mut text = problem.title.clone();
    if let Some(detail) = &problem.detail {
        text = format!("{text}: {detail}");
    }
    for error in &problem.errors {
        text = format!("{text}\n  {}: {}", error.field, error.message);
    }
    anyhow!(text)
}
