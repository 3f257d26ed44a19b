//! A socket, plain or in TLS, read and written without waiting: who waits is the connection's one loop.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures::task::noop_waker_ref;
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// See the module.
pub enum Transport {
    /// Plain.
    Tcp(TcpStream),
    /// In TLS.
    Tls {
        /// The socket, deciphered.
        stream: Box<TlsStream<Replayed>>,
        /// The last read found nothing. Until one has, TLS may hold deciphered bytes of which the socket says nothing:
        /// what the client sent together with the end of its handshake, or the rest of a record.
        drained: bool,
    },
    /// Gone: a handshake failed.
    Closed,
}

impl Transport {
    fn socket(&self) -> io::Result<&TcpStream> {
        match self {
            Self::Tcp(tcp) => Ok(tcp),
            Self::Tls { stream, .. } => Ok(&stream.get_ref().0.tcp),
            Self::Closed => Err(ErrorKind::NotConnected.into()),
        }
    }

    /// Whether it is in TLS.
    pub fn is_tls(&self) -> bool {
        matches!(self, Self::Tls { .. })
    }

    /// The certificates that the client has shown, its own first.
    pub fn client_certificates(&self) -> Option<&[CertificateDer<'static>]> {
        match self {
            Self::Tls { stream, .. } => stream.get_ref().1.peer_certificates(),
            Self::Tcp(_) | Self::Closed => None,
        }
    }

    /// Waits until there may be bytes, or the socket has ended.
    pub async fn readable(&self) -> io::Result<()> {
        if let Self::Tls { drained: false, .. } = self {
            return Ok(());
        }
        self.socket()?.readable().await
    }

    /// Waits until the socket takes bytes.
    pub async fn writable(&self) -> io::Result<()> {
        self.socket()?.writable().await
    }

    /// Reads what is there, at most so many bytes; 0 at the end. An end without TLS's goodbye is an end.
    ///
    /// # Errors
    /// `WouldBlock` where nothing is there.
    pub fn try_read(&mut self, buffer: &mut BytesMut, at_most: usize) -> io::Result<usize> {
        match self {
            Self::Tcp(tcp) => tcp.try_read_buf(&mut buffer.limit(at_most)),
            Self::Tls { stream, drained } => {
                let mut context = Context::from_waker(noop_waker_ref());
                let read = tokio_util::io::poll_read_buf(
                    Pin::new(stream.as_mut()),
                    &mut context,
                    &mut buffer.limit(at_most),
                );
                *drained = read.is_pending();
                match read {
                    Poll::Pending => Err(ErrorKind::WouldBlock.into()),
                    Poll::Ready(Err(error)) if error.kind() == ErrorKind::UnexpectedEof => Ok(0),
                    Poll::Ready(read) => read,
                }
            }
            Self::Closed => Ok(0),
        }
    }

    /// Writes what it takes.
    ///
    /// # Errors
    /// `WouldBlock` where it takes nothing now.
    pub fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(tcp) => tcp.try_write(bytes),
            Self::Tls { stream, .. } => {
                let mut context = Context::from_waker(noop_waker_ref());
                match Pin::new(stream.as_mut()).poll_write(&mut context, bytes) {
                    Poll::Pending => Err(ErrorKind::WouldBlock.into()),
                    Poll::Ready(written) => written,
                }
            }
            Self::Closed => Err(ErrorKind::NotConnected.into()),
        }
    }

    /// Hands on what TLS holds back.
    ///
    /// # Errors
    /// `WouldBlock` where some is still held.
    pub fn try_flush(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(_) | Self::Closed => Ok(()),
            Self::Tls { stream, .. } => {
                let mut context = Context::from_waker(noop_waker_ref());
                match Pin::new(stream.as_mut()).poll_flush(&mut context) {
                    Poll::Pending => Err(ErrorKind::WouldBlock.into()),
                    Poll::Ready(flushed) => flushed,
                }
            }
        }
    }

    /// Says that nothing more will be written.
    pub async fn half_close(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(tcp) => tcp.shutdown().await,
            Self::Tls { stream, .. } => stream.shutdown().await,
            Self::Closed => Ok(()),
        }
    }

    /// Begins TLS; `read` was already taken off the socket.
    ///
    /// # Errors
    /// Where the handshake fails, or it is in TLS already.
    pub async fn into_tls(self, read: Bytes, config: Arc<ServerConfig>) -> io::Result<Self> {
        let Self::Tcp(tcp) = self else {
            return Err(io::Error::new(ErrorKind::InvalidData, "TLS within TLS"));
        };
        let stream = TlsAcceptor::from(config).accept(Replayed { read, tcp }).await?;
        Ok(Self::Tls { stream: Box::new(stream), drained: false })
    }
}

/// A socket whose first bytes were read before TLS got to see them.
#[derive(Debug)]
pub struct Replayed {
    read: Bytes,
    tcp: TcpStream,
}

impl AsyncRead for Replayed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read.has_remaining() {
            let count = self.read.len().min(buffer.remaining());
            buffer.put_slice(&self.read.split_to(count));
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.tcp).poll_read(context, buffer)
    }
}

impl AsyncWrite for Replayed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.tcp).poll_flush(context))?;
        Pin::new(&mut self.tcp).poll_shutdown(context)
    }
}
