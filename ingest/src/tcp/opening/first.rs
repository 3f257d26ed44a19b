//! First records: the credential may stand in them.

use super::{Door, Entered};
use crate::protocol::frame::{Cut, Framer};
use crate::protocol::{Framing, Protocol};
use crate::session::Session;
use crate::tcp::no_entry::NoEntry;
use bytes::{Buf, BytesMut};

impl Door<'_> {
    pub(super) async fn unacknowledged(
        &mut self,
        protocol: Protocol,
        framing: Framing,
    ) -> Result<Entered, NoEntry> {
        if !self.has_shown()
            && let Some(token) = self.first_token(protocol, framing).await?
        {
            self.identify(&token, protocol.name()).await?;
        }
        let (secret, identity) = self.identity(protocol.name()).await?;
        let session = Session::new(&self.port.intake, self.start(protocol, framing, identity, secret));
        Ok(Entered { session, hold: None, greeting: BytesMut::new() })
    }

    /// The credential that the first record shows. Waits for the record; takes nothing off the buffer but blank lines.
    async fn first_token(&mut self, protocol: Protocol, framing: Framing) -> Result<Option<String>, NoEntry> {
        let limit = self.port.intake.limits.frame_bytes;
        self.awaits_record = true;
        loop {
            if framing == Framing::Newline {
                drop_blank_lines(&mut self.buffer);
            }
            match first_frame(&self.buffer, framing, limit, self.ended) {
                First::Frame(frame) => {
                    let protocol = if protocol == Protocol::Ndjson && framing == Framing::NewlineOrNul {
                        // GELF and NDJSON differ in an underscore.
                        if memchr::memmem::find(frame, b"\"_qgx_token\"").is_some() {
                            Protocol::Gelf
                        } else {
                            protocol
                        }
                    } else {
                        protocol
                    };
                    return Ok(self.token_of(protocol, frame));
                }
                First::None => return Ok(None),
                First::Partial => {}
            }
            self.cover(protocol, 0)?;
            self.fill().await?;
        }
    }
}

/// They say nothing, and would be looked through again with every byte that comes.
fn drop_blank_lines(buffer: &mut BytesMut) {
    while let Some(end) = memchr::memchr(b'\n', buffer)
        && buffer[..end].iter().all(u8::is_ascii_whitespace)
    {
        buffer.advance(end + 1);
    }
}

enum First<'a> {
    Frame(&'a [u8]),
    /// There will be none to look at.
    None,
    Partial,
}

/// The first frame that is not blank.
fn first_frame(buffer: &[u8], framing: Framing, limit: usize, ended: bool) -> First<'_> {
    let mut framer = Framer::new(framing, limit);
    let mut at = 0;
    loop {
        match framer.cut(&buffer[at..]) {
            Cut::Frame(frame, used) if frame.iter().all(u8::is_ascii_whitespace) => at += used,
            Cut::Frame(frame, _) => return First::Frame(frame),
            Cut::Used(used) if used > 0 && at + used < buffer.len() && buffer.len() <= limit => at += used,
            Cut::Partial if !ended && buffer.len() <= limit => return First::Partial,
            Cut::Used(_) if !ended && buffer.len() <= limit => return First::Partial,
            Cut::Partial => {
                return match framer.finish(&buffer[at..]) {
                    Some(Ok(frame)) => First::Frame(frame),
                    _ => First::None,
                };
            }
            Cut::Used(_) | Cut::Oversized(..) | Cut::Broken(_) => return First::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_lines_before_the_first_record_go() {
        fn check(bytes: &str, left: &str) {
            let mut buffer = BytesMut::from(bytes);
            drop_blank_lines(&mut buffer);
            assert_eq!(buffer, left.as_bytes(), "{bytes:?}");
        }
        check("", "");
        check("\n\r\n \t\nhot", "hot");
        check("hot\n\n", "hot\n\n");
        check("\n  hot\n", "  hot\n");
        check("  ", "  ");
    }
}
