//! A socket that does not wait for ever for a client that reads nothing, and that lets a client read its last answer.

use super::patience::{Meter, Patience, TooSlow};
use super::pulse::Pulse;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// See the module.
pub struct PatientStream<S> {
    inner: S,
    writing: Meter,
    pulse: Option<Arc<Pulse>>,
    linger: Duration,
    closing: Closing,
}

/// How far closing has come.
enum Closing {
    Open,
    /// Our side is closed; what the client still sends is thrown away, until it closes its own or this has passed.
    Lingering(Pin<Box<Sleep>>),
    Closed,
}

impl<S> PatientStream<S> {
    /// Around a socket.
    pub fn new(inner: S, patience: &Patience) -> Self {
        Self {
            inner,
            writing: Meter::new(patience.answer),
            pulse: None,
            linger: patience.linger,
            closing: Closing::Open,
        }
    }

    /// From now on `pulse` hears of what goes out.
    pub fn tell(&mut self, pulse: Arc<Pulse>) {
        self.pulse = Some(pulse);
    }
}

impl<S> PatientStream<S> {
    fn written(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match result {
            Poll::Ready(Ok(bytes)) => {
                self.writing.moved(bytes);
                if let Some(pulse) = &self.pulse {
                    pulse.wrote(bytes);
                }
            }
            Poll::Ready(Err(_)) => {}
            Poll::Pending => {
                ready!(self.writing.poll_too_slow(cx));
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, TooSlow)));
            }
        }
        result
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for PatientStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for PatientStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.written(cx, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.written(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.inner).poll_flush(cx);
        if result.is_ready() {
            // Flushing comes when the layers above have nothing left.
            self.writing.done();
        }
        result
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            match &mut this.closing {
                Closing::Open => {
                    ready!(Pin::new(&mut this.inner).poll_shutdown(cx))?;
                    let until = Box::pin(tokio::time::sleep(this.linger));
                    this.closing = Closing::Lingering(until);
                }
                Closing::Lingering(until) => {
                    let mut space = [0; 8_192];
                    let mut buf = ReadBuf::new(&mut space);
                    let read = Pin::new(&mut this.inner).poll_read(cx, &mut buf);
                    let ended = match read {
                        Poll::Ready(Ok(())) if buf.filled().is_empty() => true,
                        // The clock is asked itself: an alarm that is not polled does not ring.
                        Poll::Ready(Ok(())) => Instant::now() >= until.deadline(),
                        Poll::Ready(Err(_)) => true,
                        // Nothing there may only mean nothing yet: a client may pause, or be far away.
                        Poll::Pending => {
                            ready!(until.as_mut().poll(cx));
                            true
                        }
                    };
                    if ended {
                        this.closing = Closing::Closed;
                    }
                }
                Closing::Closed => return Poll::Ready(Ok(())),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    /// Closes a connection to such a client, and measures how long that takes, in milliseconds.
    async fn check<C: Future<Output = ()>>(client: impl FnOnce(DuplexStream) -> C, expect: u128) {
        let (server, other) = tokio::io::duplex(64);
        let mut stream = PatientStream::new(server, &Patience::default());
        let start = Instant::now();
        let closing = async move {
            stream.shutdown().await.unwrap();
            start.elapsed().as_millis()
        };
        let (took, ()) = tokio::join!(closing, client(other));
        assert!((expect..expect + 5).contains(&took), "{took} ms instead of {expect} ms");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_may_pause_before_it_goes_on() {
        let pause = || tokio::time::sleep(Duration::from_millis(300));
        let leaves_at_once = async |client: DuplexStream| drop(client);
        check(leaves_at_once, 0).await;
        let says_more_and_leaves = async |mut client: DuplexStream| {
            assert_eq!(client.read(&mut [0]).await.unwrap(), 0, "our side is closed first");
            pause().await;
            client.write_all(b"more").await.unwrap();
            pause().await;
            client.write_all(b"and more").await.unwrap();
        };
        check(says_more_and_leaves, 600).await;
        let says_nothing_and_stays = async |client: DuplexStream| {
            tokio::time::sleep(Duration::from_secs(9)).await;
            drop(client);
        };
        check(says_nothing_and_stays, 1_000).await;
        let never_stops = async |mut client: DuplexStream| {
            for _ in 0..30 {
                pause().await;
                let _ = client.write_all(b"more").await;
            }
        };
        check(never_stops, 1_000).await;
    }
}
