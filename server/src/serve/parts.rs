//! Tasks that stop together.

use crate::http::listener::HttpListener;
use axum::Router;
use std::future::Future;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Some tasks, and how to stop them.
pub struct Parts {
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Parts {
    /// None yet; they stop by this token.
    pub fn new(stop: CancellationToken) -> Self {
        Self { stop, tasks: JoinSet::new() }
    }

    /// The token that stops them.
    pub fn stop(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Runs one more. It must end soon after the token is cancelled.
    pub fn run(&mut self, name: &'static str, part: impl Future<Output = ()> + Send + 'static) {
        let task = telemetry::spawn(name, part);
        let task = tokio_util::task::AbortOnDropHandle::new(task);
        self.tasks.spawn(async move {
            // A panic was reported by the task itself.
            let _ = task.await;
        });
    }

    /// Serves one more listener.
    pub fn listen(&mut self, listener: HttpListener, router: Router, grace: Duration) {
        let stop = self.stop();
        self.run("http-listener", listener.serve(router, stop, grace));
    }

    /// Tells all to stop, and waits; those that have not ended then are dropped.
    pub async fn stop_within(mut self, time: Duration) {
        self.stop.cancel();
        let all_ended = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(time, all_ended).await.is_err() {
            tracing::warn!("parts of the process had to be cut off at the end of the grace period");
        }
    }
}
