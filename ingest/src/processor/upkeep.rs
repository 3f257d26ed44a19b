//! What goes on beside the batches: lag, retention, expiry.

use super::hooks::ProcessorHooks;
use super::{Deps, Keep, letters};
use domain::Timestamp;
use services::{Backlog, Stage};
use std::sync::Arc;
use std::time::Duration;
use store::broker::Topic;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// How often lag is looked at.
const LAG_EVERY: Duration = Duration::from_secs(2);

fn ticks(every: Duration) -> tokio::time::Interval {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Looks at the group's lag until told to stop.
pub(crate) async fn watch_lag(deps: Deps, group: Arc<str>, stop: CancellationToken) {
    let mut ticks = ticks(LAG_EVERY);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let lag = tokio::select! {
            () = stop.cancelled() => return,
            lag = deps.broker.lag(&group, Topic::Events) => lag,
        };
        match lag {
            Ok(lag) => {
                let mut all = Backlog::default();
                for of in lag {
                    let records = of.end.saturating_sub(of.committed);
                    let partition = of.partition.to_string();
                    metrics::gauge!("qgx_processor_lag_records", "partition" => partition)
                        .set(records as f64);
                    all.records += records;
                    all.bytes += of.bytes;
                    all.oldest = match (all.oldest, of.oldest_uncommitted) {
                        (Some(a), Some(b)) => Some(a.min(b)),
                        (a, b) => a.or(b),
                    };
                }
                report(&*deps.hooks, all);
            }
            Err(error) => tracing::warn!(%error, "the lag could not be read"),
        }
    }
}

fn report(hooks: &dyn ProcessorHooks, backlog: Backlog) {
    let age = backlog.oldest.map_or(0, |at| Timestamp::now().as_nanos().saturating_sub(at.as_nanos()));
    metrics::gauge!("qgx_processor_lag_bytes").set(backlog.bytes as f64);
    metrics::gauge!("qgx_processor_lag_seconds").set(age as f64 / 1e9);
    hooks.set_backlog(Stage::Processor, backlog);
}

/// Drops what is no longer kept, of every store, until told to stop. What fails is tried again at the next turn.
pub(crate) async fn expire(deps: Deps, keep: Keep, every: Duration, stop: CancellationToken) {
    let mut ticks = ticks(every);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let now = Timestamp::now();
        let before = |kept: Duration| now.plus_nanos(-i64::try_from(kept.as_nanos()).unwrap_or(i64::MAX));
        let turn = async {
            match deps.index.drop_expired(now).await {
                Ok(dropped) if dropped.is_empty() => {}
                Ok(dropped) => tracing::info!(indexes = dropped.len(), "dropped expired event indexes"),
                Err(error) => tracing::warn!(%error, "expired event indexes could not be dropped"),
            }
            let rows = deps.sql.expire(before(keep.minutes), before(keep.arrivals), before(keep.ids)).await;
            if let Err(error) = rows {
                tracing::warn!(%error, "expired rows could not be dropped");
            }
            if let Err(error) = letters::expire(&*deps.sql, &keep).await {
                tracing::warn!(%error, "expired dead letters could not be dropped");
            }
            if let Err(error) = deps.broker.enforce_retention(now).await {
                tracing::warn!(%error, "the log's retention could not be enforced");
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = turn => {}
        }
    }
}
