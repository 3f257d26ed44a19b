//! Streams that hold something scarce, and readers who stall.

use crate::ServiceError;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::SendTimeoutError;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// Items made ahead of the reader.
const AHEAD: usize = 64;

/// The same items, made by a task of its own: where the reader takes none for so long, the stream is dropped with all it
/// holds, and the reader, should they come back, finds [`ServiceError::Deadline`] at the end of what was made. Begins when
/// it is first read; ends where it is cancelled, with [`ServiceError::Deadline`] too.
pub(crate) fn within<T: Send + 'static>(
    patience: Duration,
    cancel: CancellationToken,
    mut items: BoxStream<'static, Result<T, ServiceError>>,
) -> impl Stream<Item = Result<T, ServiceError>> + Send + 'static {
    async_stream::stream! {
        let (out, mut taken) = mpsc::channel(AHEAD);
        let making = telemetry::spawn("hand-over", async move {
            while let Some(item) = items.next().await {
                match out.send_timeout(item, patience).await {
                    Ok(()) => {}
                    Err(SendTimeoutError::Timeout(_)) => return Err(ServiceError::Deadline),
                    Err(SendTimeoutError::Closed(_)) => return Ok(()),
                }
            }
            Ok(())
        });
        // A reader who leaves takes the task along.
        let making = AbortOnDropHandle::new(making);
        loop {
            // What was made ahead is of no use to who has left.
            let next = tokio::select! {
                biased;
                () = cancel.cancelled() => Err(ServiceError::Deadline),
                next = taken.recv() => Ok(next),
            };
            match next {
                Ok(Some(item)) => yield item,
                Ok(None) => break,
                Err(left) => {
                    yield Err(left);
                    return;
                }
            }
        }
        match making.await {
            Ok(Ok(())) => {}
            Ok(Err(stalled)) => yield Err(stalled),
            Err(broken) => yield Err(ServiceError::internal("export", broken)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    const PATIENCE: Duration = Duration::from_secs(30);

    /// What a reader gets of 200 numbers who pauses so long after the first, and whether the stream was let go meanwhile.
    async fn check(pause: Duration, expect: usize, left_behind: bool) {
        struct LetGo(Arc<AtomicBool>);
        impl Drop for LetGo {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let let_go = Arc::new(AtomicBool::new(false));
        let held = LetGo(let_go.clone());
        let items = futures::stream::iter(0..200).map(move |n| {
            let _ = &held;
            Ok(n)
        });
        let stream = within(PATIENCE, CancellationToken::new(), items.boxed());
        futures::pin_mut!(stream);
        assert!(matches!(stream.next().await, Some(Ok(0))));
        tokio::time::sleep(pause).await;
        assert_eq!(let_go.load(Ordering::Relaxed), left_behind);
        let rest: Vec<_> = stream.collect().await;
        assert_eq!(rest.iter().filter(|item| item.is_ok()).count() + 1, expect);
        assert_eq!(matches!(rest.last(), Some(Err(ServiceError::Deadline))), left_behind);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_who_stalls_is_left_behind() {
        check(PATIENCE - Duration::from_secs(1), 200, false).await;
        check(PATIENCE + Duration::from_secs(1), 1 + AHEAD, true).await;
    }
}
