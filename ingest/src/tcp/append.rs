//! Appends to the broker, and what they leave behind.

use crate::budget::Share;
use crate::facts;
use crate::session::Pending;
use crate::streams::Handed;
use bytes::BytesMut;
use futures::future::{BoxFuture, FutureExt};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use store::broker::{Broker, BrokerError, NewRecord, Topic};
use tokio::runtime::Handle;
use tokio::time::Instant;

/// What an append leaves behind when it is durable.
pub struct Receipt {
    /// Whether all of it is.
    pub result: Result<(), BrokerError>,
    /// What is owed for it, in order.
    pub answers: BytesMut,
    /// Everything up to here is settled.
    pub last_seq: u64,
    /// Lines it had.
    pub lines: u64,
    /// When it began.
    pub since: Instant,
    _share: Option<Share>,
}

/// Appends; the call to the broker happens now, so that order is kept. `retry`: the sender can't send again, so the
/// records are kept until the broker takes them.
pub fn append(
    broker: Arc<dyn Broker>,
    pending: Pending,
    token: u64,
    share: Option<Share>,
    retry: bool,
) -> BoxFuture<'static, Receipt> {
    begin(&broker, pending, token, share, retry).boxed()
}

/// The same for lines of a stream: what becomes of them is noted there, whatever becomes of the connection.
pub fn append_to_stream(
    broker: &Arc<dyn Broker>,
    pending: Pending,
    token: u64,
    share: Option<Share>,
    handed: Handed,
) -> BoxFuture<'static, Receipt> {
    let append = begin(broker, pending, token, share, false);
    let noted = async move {
        let receipt = append.await;
        if receipt.result.is_ok() {
            handed.durable();
        }
        drop(handed);
        receipt
    };
    Outliving(Some(noted.boxed())).boxed()
}

/// An append that is waited for to its end, though whoever waited for it is gone.
struct Outliving(Option<BoxFuture<'static, Receipt>>);

impl Future for Outliving {
    type Output = Receipt;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Receipt> {
        let Some(append) = &mut self.0 else { return Poll::Pending };
        let polled = append.poll_unpin(cx);
        if polled.is_ready() {
            self.0 = None;
        }
        polled
    }
}

impl Drop for Outliving {
    fn drop(&mut self) {
        if let Some(append) = self.0.take()
            && Handle::try_current().is_ok()
        {
            telemetry::spawn("stream-append", append.map(drop));
        }
    }
}

fn begin(
    broker: &Arc<dyn Broker>,
    pending: Pending,
    token: u64,
    share: Option<Share>,
    retry: bool,
) -> impl Future<Output = Receipt> + Send + use<> {
    let Pending { batch, letters, answers, last_seq, lines, .. } = pending;
    let since = Instant::now();
    let events = append_to(broker, Topic::Events, batch.into_records(token), retry);
    let letters = append_to(broker, Topic::DeadLetters, letters, retry);
    async move {
        let (events, letters) = futures::join!(events, letters);
        Receipt { result: events.and(letters), answers, last_seq, lines, since, _share: share }
    }
}

fn append_to(
    broker: &Arc<dyn Broker>,
    topic: Topic,
    records: Vec<NewRecord>,
    retry: bool,
) -> BoxFuture<'static, Result<(), BrokerError>> {
    if records.is_empty() {
        return futures::future::ready(Ok(())).boxed();
    }
    if !retry {
        return broker.append(topic, records);
    }
    let first = broker.append(topic, records.clone());
    let broker = Arc::clone(broker);
    async move {
        let mut result = first.await;
        let mut pause = Duration::from_millis(50);
        loop {
            match result {
                Ok(()) | Err(BrokerError::Closed) => return result,
                Err(BrokerError::Busy { retry_after, .. }) => pause = retry_after.min(Duration::from_secs(5)),
                Err(_) => pause = (pause * 2).min(Duration::from_secs(5)),
            }
            facts::retried();
            tokio::time::sleep(jittered(pause)).await;
            result = broker.append(topic, records.clone()).await;
        }
    }
    .boxed()
}

/// This long, ± a tenth.
pub fn jittered(time: Duration) -> Duration {
    let mut byte = [128];
    // Without entropy there is no jitter: harmless.
    let _ = getrandom::fill(&mut byte);
    time.mul_f64(0.9 + f64::from(byte[0]) / 255.0 * 0.2)
}
