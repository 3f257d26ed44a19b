//! Engines that may come later than this process, or be prepared later: waited for, with the reason told.

use super::readiness::Readiness;
use anyhow::Result;
use std::time::{Duration, Instant};
use store::sql::SqlError;

/// The wait after the first failure, doubled after each further one.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// How often a reason that stays the same is told again.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// An engine that was prepared by a later version: waiting changes nothing.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Newer(pub &'static str);

/// Whether waiting cannot help: the engine holds what a later version wrote.
fn is_final(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.is::<Newer>()
            || matches!(cause.downcast_ref(), Some(SqlError::Schema { found, needed, .. }) if found > needed)
    })
}

/// Tries until it succeeds: the readiness says why not yet, the log says each new reason once and one that stays every
/// minute, and `qgx_engine_up` is 0.
///
/// # Errors
/// Only what no waiting mends.
pub async fn await_engine<T, F: Future<Output = Result<T>>>(
    engine: &'static str,
    readiness: &Readiness,
    attempt: impl Fn() -> F,
) -> Result<T> {
    let (mut wait, mut told) = (FIRST_WAIT, None::<Instant>);
    loop {
        match attempt().await {
            Ok(there) => {
                metrics::gauge!("qgx_engine_up", "engine" => engine).set(1.0);
                if readiness.found(engine) {
                    tracing::info!(engine, "an engine that was waited for is there");
                }
                return Ok(there);
            }
            Err(error) if is_final(&error) => return Err(error),
            Err(error) => {
                metrics::gauge!("qgx_engine_up", "engine" => engine).set(0.0);
                metrics::counter!("qgx_engine_attempts_failed_total", "engine" => engine).increment(1);
                let reason = format!("{error:#}");
                let news = readiness.waits_for(engine, &reason);
                if news || told.is_none_or(|at| at.elapsed() >= TOLD_EVERY) {
                    tracing::warn!(engine, reason, "an engine cannot be used yet and is waited for");
                    told = Some(Instant::now());
                }
            }
        }
        tokio::time::sleep(wait.mul_f64(0.75 + spread() / 2.0)).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

/// From 0 to 1: many processes that wait for one engine do not ask all at once.
fn spread() -> f64 {
    let mut byte = [128];
    // Without random bytes they ask all at once.
    let _ = getrandom::fill(&mut byte);
    f64::from(byte[0]) / 255.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::{Context, anyhow};
    use std::sync::atomic::{AtomicU32, Ordering};

    #[tokio::test(start_paused = true)]
    async fn an_engine_is_waited_for_and_its_reason_is_told() {
        let (readiness, tried) = (Readiness::default(), AtomicU32::new(0));
        let attempt = || async {
            match tried.fetch_add(1, Ordering::Relaxed) {
                0..5 => Err(anyhow!("connection refused")).context("the database cannot be used"),
                _ => {
                    let problem = readiness.problem().unwrap();
                    let expect = "waiting for the database: the database cannot be used: connection refused";
                    assert_eq!(problem, expect);
                    Ok(7)
                }
            }
        };
        let found = await_engine("database", &readiness, attempt);
        assert_eq!(found.await.unwrap(), 7);
        assert_eq!(readiness.problem().as_deref(), Some("starting"));
    }

    #[tokio::test]
    async fn what_a_later_version_wrote_is_not_waited_for() {
        async fn check(error: impl Into<anyhow::Error>, expect: bool) {
            let error = error.into().context("the database cannot be used");
            assert_eq!(is_final(&error), expect, "{error:#}");
        }
        let schema = |found, needed| SqlError::Schema { found, needed, remedy: "" };
        check(schema(9, 3), true).await;
        check(schema(1, 3), false).await;
        check(Newer("upgrade"), true).await;
        check(SqlError::Failed("away".to_owned()), false).await;
        let readiness = Readiness::default();
        let refused =
            await_engine("database", &readiness, || async { Err::<(), _>(Newer("upgrade").into()) });
        assert_eq!(refused.await.unwrap_err().to_string(), "upgrade");
    }
}
