//! Reads of the event index: so many at once a tenant, the rest in line, each with an end.

use crate::{Ctx, ServiceError, Services};
use domain::TenantId;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use store::index::ReadLimit;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::DropGuard;

/// Reads of a tenant at once, in this process.
const AT_ONCE: usize = 8;
/// Exports of a tenant at once: they last, and must not keep the reads out.
const EXPORTS_AT_ONCE: usize = 2;
/// Reads of a tenant that wait; more are refused.
const WAITING: usize = 128;

/// The queues of reads.
#[derive(Default)]
pub(crate) struct ReadGate {
    tenants: Mutex<HashMap<TenantId, Arc<Queue>>>,
}

struct Queue {
    reads: Arc<Semaphore>,
    exports: Arc<Semaphore>,
    waiting: AtomicUsize,
}

/// Which line to stand in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Line {
    /// Pages, counts, charts.
    Read,
    /// Streams of everything.
    Export,
}

/// A read's turn. Dropping it lets the next one in and stops the store's work, as when the client leaves.
pub(crate) struct Turn {
    limit: ReadLimit,
    _stop: DropGuard,
    _permit: OwnedSemaphorePermit,
}

impl Turn {
    /// Until when the store may work.
    pub(crate) fn limit(&self) -> ReadLimit {
        self.limit.clone()
    }
}

/// Counts a reader for as long as it waits.
struct Waiting(Arc<Queue>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl ReadGate {
    /// Waits for a turn, first come first served, until the request's end.
    pub(crate) async fn turn(&self, ctx: &Ctx, tenant: &TenantId, line: Line) -> Result<Turn, ServiceError> {
        let queue = self.queue(tenant);
        let limit = ctx.limit();
        let semaphore = match line {
            Line::Read => &queue.reads,
            Line::Export => &queue.exports,
        };
        if queue.waiting.fetch_add(1, Ordering::Relaxed) >= WAITING {
            queue.waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(ServiceError::Busy { retry_after: Duration::from_secs(2) });
        }
        let _waiting = Waiting(queue.clone());
        let permit = before_end(&limit, semaphore.clone().acquire_owned()).await?;
        let permit = permit.map_err(|error| ServiceError::internal("read queue", error))?;
        let cancel = limit.cancel.child_token();
        let limit = ReadLimit { deadline: limit.deadline, cancel: cancel.clone() };
        Ok(Turn { limit, _stop: cancel.drop_guard(), _permit: permit })
    }

    fn queue(&self, tenant: &TenantId) -> Arc<Queue> {
        let mut tenants = self.tenants.lock();
        if !tenants.contains_key(tenant) {
            tenants.retain(|_, queue| {
                Arc::strong_count(queue) > 1
                    || queue.reads.available_permits() < AT_ONCE
                    || queue.exports.available_permits() < EXPORTS_AT_ONCE
            });
        }
        let made = || {
            Arc::new(Queue {
                reads: Arc::new(Semaphore::new(AT_ONCE)),
                exports: Arc::new(Semaphore::new(EXPORTS_AT_ONCE)),
                waiting: AtomicUsize::new(0),
            })
        };
        tenants.entry(tenant.clone()).or_insert_with(made).clone()
    }
}

/// A future's answer, if it comes before the end.
pub(crate) async fn before_end<T>(
    limit: &ReadLimit,
    future: impl Future<Output = T>,
) -> Result<T, ServiceError> {
    tokio::select! {
        biased;
        () = limit.cancel.cancelled() => Err(ServiceError::Deadline),
        answer = future => Ok(answer),
        () = tokio::time::sleep_until(limit.deadline) => Err(ServiceError::Deadline),
    }
}

/// Runs reads that stand in no line, as those of SQL do, until the request's end.
pub(crate) async fn in_time<T>(
    ctx: &Ctx,
    read: impl Future<Output = Result<T, ServiceError>>,
) -> Result<T, ServiceError> {
    before_end(&ctx.limit(), read).await?
}

impl Services {
    /// Runs a read in its turn, until the request's end.
    pub(crate) async fn read<T, E, F>(
        &self,
        ctx: &Ctx,
        tenant: &TenantId,
        read: impl FnOnce(ReadLimit) -> F,
    ) -> Result<T, ServiceError>
    where
        F: Future<Output = Result<T, E>>,
        ServiceError: From<E>,
    {
        let turn = self.inner.reads.turn(ctx, tenant, Line::Read).await?;
        let limit = turn.limit();
        Ok(before_end(&limit, read(turn.limit())).await??)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Actor;
    use domain::Lang;
    use futures::FutureExt;

    fn ctx() -> Ctx {
        Ctx::of(Actor::Local(None), Lang::En)
    }

    #[tokio::test]
    async fn eight_at_once_the_rest_in_line_until_their_end() {
        let gate = ReadGate::default();
        let (one, two) = (TenantId::new("t_1").unwrap(), TenantId::new("t_2").unwrap());
        let ctx = ctx();
        let mut held = Vec::new();
        for _ in 0..AT_ONCE {
            held.push(gate.turn(&ctx, &one, Line::Read).now_or_never().unwrap().unwrap());
        }
        let limit = held[0].limit();
        let mut ninth = Box::pin(gate.turn(&ctx, &one, Line::Read));
        assert!((&mut ninth).now_or_never().is_none());
        assert!(gate.turn(&ctx, &two, Line::Read).now_or_never().is_some());
        assert!(gate.turn(&ctx, &one, Line::Export).now_or_never().is_some());
        held.remove(0);
        assert!(limit.ended() && !ctx.cancel.is_cancelled());
        held.push((&mut ninth).now_or_never().unwrap().unwrap());

        // Nobody gives way: the deadline ends the wait, and a client that leaves ends its own.
        let hasty = Ctx { deadline: tokio::time::Instant::now() + Duration::from_millis(20), ..ctx.clone() };
        let tenth = gate.turn(&hasty, &one, Line::Read).await;
        assert!(matches!(tenth, Err(ServiceError::Deadline)));
        let leaver = Ctx::of(Actor::Local(None), Lang::En);
        leaver.cancel.cancel();
        assert!(matches!(gate.turn(&leaver, &one, Line::Read).await, Err(ServiceError::Deadline)));

        let fresh = Ctx::of(Actor::Local(None), Lang::En);
        let mut crowd: Vec<_> =
            (0..WAITING + 1).map(|_| Box::pin(gate.turn(&fresh, &one, Line::Read))).collect();
        let refused = crowd.iter_mut().filter_map(|turn| turn.now_or_never()).collect::<Vec<_>>();
        assert!(matches!(refused.as_slice(), [Err(ServiceError::Busy { .. })]));
        drop((crowd, held));
        gate.queue(&TenantId::new("t_3").unwrap());
        assert_eq!(gate.tenants.lock().len(), 1);
    }
}
