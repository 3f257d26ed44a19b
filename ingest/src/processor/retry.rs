//! A sink that is down is tried again until it answers; nothing is skipped meanwhile.

use super::hooks::ProcessorHooks;
use services::Stage;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The wait between attempts doubles from `first` to `most`, of which half is random.
#[derive(Debug, Clone, Copy)]
pub struct RetryPolicy {
    /// Before the second attempt.
    pub first: Duration,
    /// The longest.
    pub most: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { first: Duration::from_millis(100), most: Duration::from_secs(30) }
    }
}

impl RetryPolicy {
    /// The wait after so many failed attempts in a row.
    fn wait(self, failed: u32) -> Duration {
        let full = self.first.saturating_mul(1 << failed.saturating_sub(1).min(20)).min(self.most);
        let random = getrandom::u32().unwrap_or(u32::MAX / 2);
        full / 2 + (full / 2).mul_f64(f64::from(random) / f64::from(u32::MAX))
    }
}

/// Why a stage stopped before it was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// The drain time of a shutdown was over. What was not done is read again at the next start.
    Abandoned,
    /// The stored offsets are not those this pipeline wrote: it must start again from them.
    Fenced,
}

/// What a failed attempt means.
pub(crate) enum Failure<E> {
    /// Try again.
    Again(E),
    /// No attempt can succeed.
    Final(Stopped),
}

impl<E> From<E> for Failure<E> {
    fn from(error: E) -> Self {
        Self::Again(error)
    }
}

/// Tries again, and says so.
#[derive(Clone)]
pub(crate) struct Retry {
    pub policy: RetryPolicy,
    pub hooks: Arc<dyn ProcessorHooks>,
    /// Ends the attempts: the drain time of a shutdown is over, or another stage cannot go on.
    pub abandon: CancellationToken,
    /// Ends even an attempt that is under way: the drain time of a shutdown is over. What the sink makes of such an
    /// attempt does not matter: its offset is not committed.
    pub cut: CancellationToken,
}

impl Retry {
    /// Runs attempts until one succeeds. `sink` is constant text for people: it stands in the status.
    pub async fn run<T, E: Display, F: Future<Output = Result<T, Failure<E>>>>(
        &self,
        stage: Stage,
        sink: &'static str,
        mut attempt: impl FnMut() -> F,
    ) -> Result<T, Stopped> {
        let mut failed = 0_u32;
        loop {
            let outcome = tokio::select! {
                biased;
                outcome = attempt() => outcome,
                () = self.cut.cancelled() => return Err(Stopped::Abandoned),
            };
            let error = match outcome {
                Ok(done) => {
                    if failed > 0 {
                        self.hooks.set_failing(stage, None);
                        tracing::info!(
                            stage = stage.name(),
                            sink,
                            attempts = failed + 1,
                            "a sink answers again"
                        );
                    }
                    return Ok(done);
                }
                Err(Failure::Final(stopped)) => return Err(stopped),
                Err(Failure::Again(error)) => error,
            };
            failed = failed.saturating_add(1);
            let wait = self.policy.wait(failed);
            metrics::counter!("qgx_processor_retries_total", "stage" => stage.name()).increment(1);
            self.hooks.set_failing(stage, Some(format!("{sink} does not answer")));
            tracing::warn!(stage = stage.name(), sink, %error, attempts = failed, "a sink failed; trying again");
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.abandon.cancelled() => return Err(Stopped::Abandoned),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let policy = RetryPolicy::default();
        for (failed, full) in [(1, 100), (2, 200), (5, 1_600), (9, 25_600), (10, 30_000), (u32::MAX, 30_000)]
        {
            let (least, most) = (Duration::from_millis(full / 2), Duration::from_millis(full));
            for _ in 0..20 {
                let wait = policy.wait(failed);
                assert!(least <= wait && wait <= most, "{wait:?} after {failed}");
            }
        }
    }
}
