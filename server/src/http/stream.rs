//! A socket that does not wait for ever for a client that reads nothing, and that lets a client read its last answer.

use super::patience::{Meter, Patience, TooSlow};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// See the module.
pub struct PatientStream<S> {
    inner: S,
    writing: Meter,
    linger: Duration,
    closing: Closing,
}

/// How far closing has come.
enum Closing {
    Open,
    /// Our side is closed; what the client still sends is thrown away until then.
    Lingering {
        until: Pin<Box<Sleep>>,
        heard: bool,
    },
    Closed,
}

impl<S> PatientStream<S> {
    /// Around a socket.
    pub fn new(inner: S, patience: &Patience) -> Self {
        Self { inner, writing: Meter::new(patience.answer), linger: patience.linger, closing: Closing::Open }
    }
}

impl<S> PatientStream<S> {
    fn written(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match result {
            Poll::Ready(Ok(bytes)) => self.writing.moved(bytes),
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
                    this.closing = Closing::Lingering { until, heard: false };
                }
                Closing::Lingering { until, heard } => {
                    let mut space = [0; 8_192];
                    let mut buf = ReadBuf::new(&mut space);
                    let read = Pin::new(&mut this.inner).poll_read(cx, &mut buf);
                    let ended = match read {
                        Poll::Ready(Ok(())) if buf.filled().is_empty() => true,
                        Poll::Ready(Ok(())) => {
                            *heard = true;
                            until.is_elapsed()
                        }
                        Poll::Ready(Err(_)) => true,
                        // A client that was not sending need not be waited for.
                        Poll::Pending if !*heard => true,
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
