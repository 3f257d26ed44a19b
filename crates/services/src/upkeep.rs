//! What goes on by itself: ended tokens, uses of tokens, expired sessions, sources that fall silent.

use crate::sources::state_of;
use crate::{ServiceError, Services};
use domain::api::SourceState;
use domain::{SourceKey, TenantId, Timestamp};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;
use store::sql::sources::SourceFilter;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// Sources of a watched tenant whose state is followed: those heard from last.
const FOLLOWED: u32 = 1_000;

/// States that watchers were last told.
#[derive(Default)]
pub(crate) struct WatchedSources {
    states: Mutex<HashMap<TenantId, HashMap<SourceKey, SourceState>>>,
}

impl Services {
    /// Runs the upkeep until `cancel`: looks for ended tokens, authorities and address rules every second, for sources that came or went every 2 s
    /// (of tenants that somebody watches), writes uses of tokens every 10 s, and removes expired sessions every
    /// 10 minutes. The process calls it once; uses are written a last time at the end.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub fn start_upkeep(&self, cancel: CancellationToken) {
        self.repeat(&cancel, "services-revocations", Duration::from_secs(1), |services| async move {
            services.refresh_revocations().await
        });
        self.repeat(&cancel, "services-trust", Duration::from_secs(1), |services| async move {
            services.refresh_trust().await
        });
        self.repeat(&cancel, "services-sources", Duration::from_secs(2), |services| async move {
            services.follow_sources().await
        });
        self.repeat(&cancel, "services-sessions", Duration::from_secs(600), |services| async move {
            services.sql().delete_expired_sessions(Timestamp::now()).await?;
            Ok(())
        });
        self.repeat(&cancel, "services-token-uses", Duration::from_secs(10), |services| async move {
            services.write_token_uses().await
        });
    }

    fn repeat<F>(
        &self,
        cancel: &CancellationToken,
        name: &'static str,
        every: Duration,
        work: impl Fn(Services) -> F + Send + 'static,
    ) where
        F: Future<Output = Result<(), ServiceError>> + Send,
    {
        let (services, cancel) = (self.clone(), cancel.clone());
        telemetry::spawn(name, async move {
            let mut ticks = tokio::time::interval(every);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                let last = tokio::select! {
                    () = cancel.cancelled() => true,
                    _ = ticks.tick() => false,
                };
                if let Err(error) = work(services.clone()).await {
                    error.log(name);
                }
                if last {
                    return;
                }
            }
        });
    }

    /// Tells watchers which sources came and went since the last look.
    pub(crate) async fn follow_sources(&self) -> Result<(), ServiceError> {
        let watched = self.live().watched();
        self.inner.watched_sources.states.lock().retain(|tenant, _| watched.contains(tenant));
        for tenant in watched {
            let filter = SourceFilter {
                by_last_seen: true,
                uncounted: true,
                limit: FOLLOWED,
                ..SourceFilter::default()
            };
            let (rows, _) = self.sql().sources(&tenant, &filter).await?;
            let now = Timestamp::now();
            let states: HashMap<_, _> =
                rows.iter().map(|row| (row.key.clone(), state_of(row, now))).collect();
            let before = self.inner.watched_sources.states.lock().insert(tenant.clone(), states.clone());
            // The first look is what the page has just read.
            let Some(before) = before else { continue };
            for (key, state) in states {
                if before.get(&key) != Some(&state) {
                    self.live().publish_source_here(&tenant, key, state);
                }
            }
        }
        Ok(())
    }
}
