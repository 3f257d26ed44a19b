//! Tracked tasks: none is lost sight of.

use futures::FutureExt;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::LazyLock;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

static TRACKER: LazyLock<TaskTracker> = LazyLock::new(TaskTracker::new);
static RUNNING: Mutex<BTreeMap<&'static str, usize>> = Mutex::new(BTreeMap::new());

/// Tasks that outlived the deadline of [`shutdown`], by name, with how many there are of each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("tasks still running: {0:?}")]
pub struct Unfinished(pub Vec<(&'static str, usize)>);

/// Counts a task as running for as long as it lives, whichever way it ends.
struct Presence(&'static str);

impl Presence {
    fn enter(name: &'static str) -> Self {
        *RUNNING.lock().entry(name).or_default() += 1;
        Self(name)
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        let mut running = RUNNING.lock();
        if let Some(count) = running.get_mut(self.0) {
            *count -= 1;
            if *count == 0 {
                running.remove(self.0);
            }
        }
    }
}

/// Spawns a tracked task on the current runtime. A panic in it is logged with `name`, counted in
/// `qgx_task_panics_total{task}`, and handed on to whoever awaits the handle. `name` is a short constant such as
/// `live-hub`; tasks of the same kind share it.
///
/// # Panics
/// Outside a Tokio runtime.
pub fn spawn<F>(name: &'static str, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let presence = Presence::enter(name);
    TRACKER.spawn(async move {
        let _presence = presence;
        match AssertUnwindSafe(future).catch_unwind().await {
            Ok(output) => output,
            Err(panic) => resume_reported(name, panic),
        }
    })
}

/// As [`spawn`], for work that blocks: on the runtime's pool for blocking work.
///
/// # Panics
/// Outside a Tokio runtime.
pub fn spawn_blocking_named<F, T>(name: &'static str, work: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let presence = Presence::enter(name);
    TRACKER.spawn_blocking(move || {
        let _presence = presence;
        match std::panic::catch_unwind(AssertUnwindSafe(work)) {
            Ok(output) => output,
            Err(panic) => resume_reported(name, panic),
        }
    })
}

/// Waits until every tracked task has ended. It stops none of them: whoever started a task tells it to stop, by a
/// cancellation token or by closing what it reads from. Tasks may still be spawned while this waits, and are waited
/// for as well.
///
/// # Errors
/// [`Unfinished`] with the tasks that still run at the deadline.
pub async fn shutdown(deadline: Duration) -> Result<(), Unfinished> {
    TRACKER.close();
    let ended = tokio::time::timeout(deadline, TRACKER.wait()).await.is_ok();
    TRACKER.reopen();
    if ended {
        return Ok(());
    }
    let left: Vec<_> = RUNNING.lock().iter().map(|(name, count)| (*name, *count)).collect();
    // The last one may have ended between the deadline and this look.
    if left.is_empty() { Ok(()) } else { Err(Unfinished(left)) }
}

fn resume_reported(name: &'static str, panic: Box<dyn std::any::Any + Send>) -> ! {
    let reason = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "not a text".to_owned());
    metrics::counter!("qgx_task_panics_total", "task" => name).increment(1);
    tracing::error!(task = name, reason, "a task panicked");
    std::panic::resume_unwind(panic)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    // One test: the tracker belongs to the process.
    #[tokio::test]
    async fn tasks_are_waited_for_and_named() {
        let panicked = spawn("will-panic", async { panic!("on purpose") }).await;
        assert!(panicked.is_err_and(|error: tokio::task::JoinError| error.is_panic()));
        assert_eq!(spawn_blocking_named("sum", || 1 + 1).await.unwrap(), 2);

        let (release, released) = oneshot::channel::<()>();
        let waiting = spawn("waits", async move { released.await.is_ok() });
        let early = shutdown(Duration::from_millis(20)).await;
        assert_eq!(early, Err(Unfinished(vec![("waits", 1)])));

        release.send(()).unwrap();
        assert_eq!(shutdown(Duration::from_secs(10)).await, Ok(()));
        assert!(waiting.await.unwrap());
    }
}
