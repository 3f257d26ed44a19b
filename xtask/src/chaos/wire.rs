//! A socket with what is yet to be written to it and what was read of a line.

use socket2::SockRef;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const CONNECT: Duration = Duration::from_secs(2);
/// How long a look for answers takes where there are none: the pace of a sender that has nothing to do.
const LOOK: Duration = Duration::from_millis(5);
/// How long a write may wait for a server that does not read.
const PUSH: Duration = Duration::from_millis(50);

/// One connection.
pub struct Wire {
    stream: TcpStream,
    /// Bytes on their way out.
    pub out: Vec<u8>,
    read: Vec<u8>,
}

impl Wire {
    /// Connects.
    ///
    /// # Errors
    /// Where nobody listens.
    pub fn open(door: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&door, CONNECT)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(LOOK))?;
        stream.set_write_timeout(Some(PUSH))?;
        Ok(Self { stream, out: Vec::new(), read: Vec::new() })
    }

    /// Writes what the system takes; what it does not stays in `out`. Answers how much went.
    ///
    /// # Errors
    /// Where the connection is broken.
    pub fn send(&mut self) -> io::Result<usize> {
        if self.out.is_empty() {
            return Ok(0);
        }
        match self.stream.write(&self.out) {
            Ok(written) => {
                self.out.drain(..written);
                Ok(written)
            }
            Err(error) if is_not_yet(&error) => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// The whole lines that came.
    ///
    /// # Errors
    /// Where the connection is broken, or closed with nothing left to read.
    pub fn answers(&mut self) -> io::Result<Vec<String>> {
        let mut bytes = [0; 16 * 1024];
        let ended = match self.stream.read(&mut bytes) {
            Ok(0) => true,
            Ok(count) => {
                self.read.extend_from_slice(&bytes[..count]);
                false
            }
            Err(error) if is_not_yet(&error) => false,
            Err(error) => return Err(error),
        };
        let mut lines = Vec::new();
        while let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.read.drain(..=end).collect();
            lines.push(String::from_utf8_lossy(&line[..end]).into_owned());
        }
        if ended && lines.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(lines)
    }

    /// Ends the connection by a reset: the peer is told at once, and nothing that waits is delivered.
    ///
    /// # Errors
    /// As the system.
    pub fn reset(self) -> io::Result<()> {
        SockRef::from(&self.stream).set_linger(Some(Duration::ZERO))
    }
}

fn is_not_yet(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, TcpListener};

    fn pair() -> (Wire, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let wire = Wire::open(listener.local_addr().expect("an address")).expect("it connects");
        (wire, listener.accept().expect("it is taken").0)
    }

    #[test]
    fn lines_are_whole_whatever_the_pieces() {
        let (mut wire, mut peer) = pair();
        assert!(wire.answers().expect("open").is_empty());
        let mut got = Vec::new();
        for piece in ["AC", "K 1\nACK 2\nA", "CK 3\n"] {
            peer.write_all(piece.as_bytes()).expect("it is read");
            while got.len() < piece.matches('\n').count() {
                got.extend(wire.answers().expect("open"));
            }
            if piece.ends_with("3\n") {
                assert_eq!(got, ["ACK 3"]);
            }
            got.clear();
        }
        drop(peer);
        while wire.answers().is_ok() {}
    }

    #[test]
    fn a_reset_is_no_end() {
        let (wire, mut peer) = pair();
        wire.reset().expect("it resets");
        let error = peer.read(&mut [0; 8]).expect_err("the peer is told");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }
}
