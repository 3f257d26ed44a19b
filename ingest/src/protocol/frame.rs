//! Where a record ends: newline, NUL, or a count before it. Frames are views of the read buffer.

use super::Framing;
use crate::record::RecordError;
use sha2::{Digest, Sha256};

/// Bytes of an oversized frame that are kept for its dead letter.
pub const KEPT_OF_OVERSIZED: usize = 64 << 10;

/// Longest count before a frame (RFC 6587 §3.4.1), in digits.
const COUNT_DIGITS: usize = 10;

/// What stands at the start of the buffer.
#[derive(Debug, PartialEq)]
pub enum Cut<'a> {
    /// A whole frame, without its delimiter, and how many bytes of the buffer it takes.
    Frame(&'a [u8], usize),
    /// Not yet a whole frame.
    Partial,
    /// A frame over the limit has ended; its bytes are gone but for the beginning. `usize`: bytes of the buffer used.
    Oversized(Oversized, usize),
    /// Bytes of an oversized frame, or none: used up without a frame.
    Used(usize),
    /// The framing is lost: nothing after this can be read.
    Broken(RecordError),
}

/// What is kept of a frame over the limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Oversized {
    /// Its first bytes.
    pub beginning: Vec<u8>,
    /// Its length, as far as counted.
    pub length: u64,
    /// SHA-256 of all of it, as far as counted.
    pub sha256: [u8; 32],
}

/// Cuts a byte stream into frames. What it answers does not depend on how the stream was cut into reads.
#[derive(Debug)]
pub struct Framer {
    framing: Framing,
    limit: usize,
    /// Bytes already looked at without finding the end.
    scanned: usize,
    skipping: Option<Skipping>,
}

/// A frame over the limit that is being passed over.
#[derive(Debug, Default)]
pub(super) struct Skipping {
    beginning: Vec<u8>,
    length: u64,
    hash: Sha256,
    /// Bytes still to come, where a count said so.
    remaining: Option<u64>,
}

impl Skipping {
    fn new(remaining: Option<u64>) -> Self {
        Self { remaining, ..Self::default() }
    }

    /// The next bytes of it.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        let room = KEPT_OF_OVERSIZED - self.beginning.len();
        self.beginning.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.length += bytes.len() as u64;
        self.hash.update(bytes);
    }

    /// It has ended.
    pub(super) fn done(self) -> Oversized {
        Oversized { beginning: self.beginning, length: self.length, sha256: self.hash.finalize().into() }
    }
}

impl Framer {
    /// For frames of at most `limit` bytes.
    pub fn new(framing: Framing, limit: usize) -> Self {
        Self { framing, limit, scanned: 0, skipping: None }
    }

    /// Looks at the start of the buffer. The caller removes the bytes an answer says are used before it asks again.
    pub fn cut<'a>(&mut self, buffer: &'a [u8]) -> Cut<'a> {
        if self.skipping.is_some() {
            return self.skip(buffer);
        }
        if self.framing == Framing::NewlineOrNul {
            self.decide(buffer);
        }
        match self.framing {
            Framing::Newline => self.delimited(buffer, b'\n'),
            Framing::Nul => self.delimited(buffer, 0),
            Framing::Counted => self.counted(buffer),
            Framing::NewlineOrNul => Cut::Partial,
        }
    }

    /// How frames end, as far as known.
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// The first delimiter that comes decides; a frame over the limit counts as a line.
    fn decide(&mut self, buffer: &[u8]) {
        let from = self.scanned.min(buffer.len());
        match memchr::memchr2(b'\n', 0, &buffer[from..]) {
            Some(found) if buffer[from + found] == 0 && from + found <= self.limit => {
                self.framing = Framing::Nul
            }
            Some(_) => self.framing = Framing::Newline,
            None if buffer.len() > self.limit => self.framing = Framing::Newline,
            None => self.scanned = buffer.len(),
        }
    }

    fn delimited<'a>(&mut self, buffer: &'a [u8], delimiter: u8) -> Cut<'a> {
        let from = self.scanned.min(buffer.len());
        match memchr::memchr(delimiter, &buffer[from..]) {
            Some(found) => {
                let end = from + found;
                self.scanned = 0;
                if end > self.limit {
                    let mut skipping = Skipping::new(None);
                    skipping.take(&buffer[..end]);
                    return Cut::Oversized(skipping.done(), end + 1);
                }
                Cut::Frame(&buffer[..end], end + 1)
            }
            None if buffer.len() > self.limit => {
                self.scanned = 0;
                self.skipping = Some(Skipping::new(None));
                self.skip(buffer)
            }
            None => {
                self.scanned = buffer.len();
                Cut::Partial
            }
        }
    }

    fn skip<'a>(&mut self, buffer: &'a [u8]) -> Cut<'a> {
        let Some(skipping) = &mut self.skipping else { return Cut::Partial };
        let (end, used) = match (skipping.remaining, self.framing) {
            (Some(remaining), _) => {
                let end = usize::try_from(remaining).unwrap_or(usize::MAX);
                (Some(end).filter(|end| *end <= buffer.len()), end.min(buffer.len()))
            }
            (None, framing) => {
                let delimiter = if framing == Framing::Nul { 0 } else { b'\n' };
                let end = memchr::memchr(delimiter, buffer);
                (end, end.map_or(buffer.len(), |end| end + 1))
            }
        };
        skipping.take(&buffer[..end.unwrap_or(buffer.len()).min(buffer.len())]);
        if let Some(remaining) = &mut skipping.remaining {
            *remaining -= used as u64;
        }
        match (end, self.skipping.take_if(|_| end.is_some())) {
            (Some(_), Some(skipping)) => Cut::Oversized(skipping.done(), used),
            _ if used == 0 => Cut::Partial,
            _ => Cut::Used(used),
        }
    }

    /// RFC 6587 §3.4.1: a count, a space, so many bytes. White space between frames is let pass.
    fn counted<'a>(&mut self, buffer: &'a [u8]) -> Cut<'a> {
        let blank = buffer.iter().take_while(|b| matches!(b, b'\n' | b'\r' | b' ' | 0)).count();
        if blank > 0 {
            return Cut::Used(blank);
        }
        let digits = buffer.iter().take_while(|b| b.is_ascii_digit()).count();
        if digits > COUNT_DIGITS {
            return Cut::Broken(RecordError::Framing("the count before a frame is too long".into()));
        }
        match buffer.get(digits) {
            None => return Cut::Partial,
            Some(b' ') if digits > 0 => {}
            Some(_) => {
                return Cut::Broken(RecordError::Framing(
                    "expected a count and a space before a frame".into(),
                ));
            }
        }
        let count = buffer[..digits].iter().fold(0u64, |sum, digit| sum * 10 + u64::from(digit - b'0'));
        let start = digits + 1;
        let length = usize::try_from(count).unwrap_or(usize::MAX);
        if length > self.limit {
            self.skipping = Some(Skipping::new(Some(count)));
            return Cut::Used(start);
        }
        match buffer.get(start..start + length) {
            Some(frame) => Cut::Frame(frame, start + length),
            None => Cut::Partial,
        }
    }

    /// The stream has ended: what is left of it. A last line counts without its newline; a counted or NUL-ended frame
    /// does not.
    pub fn finish<'a>(&mut self, buffer: &'a [u8]) -> Option<Result<&'a [u8], Unfinished<'a>>> {
        if let Some(mut skipping) = self.skipping.take() {
            skipping.take(buffer);
            return Some(Err(Unfinished::Oversized(skipping.done())));
        }
        self.scanned = 0;
        match self.framing {
            _ if buffer.is_empty() => None,
            Framing::Newline | Framing::NewlineOrNul => Some(Ok(buffer)),
            Framing::Nul | Framing::Counted => Some(Err(Unfinished::Truncated(buffer))),
        }
    }
}

/// What a stream ended with.
#[derive(Debug, PartialEq)]
pub enum Unfinished<'a> {
    /// A frame that its end is missing of.
    Truncated(&'a [u8]),
    /// A frame over the limit.
    Oversized(Oversized),
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::{Buf, BytesMut};
    use proptest::prelude::*;

    /// All that comes out of a stream that arrives in these pieces.
    fn frames(framing: Framing, limit: usize, pieces: &[&[u8]]) -> Vec<String> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let big =
            |o: &Oversized| format!("over {} {}", o.length, text(&o.beginning[..o.beginning.len().min(8)]));
        let mut framer = Framer::new(framing, limit);
        let (mut buffer, mut out) = (BytesMut::new(), Vec::new());
        for piece in pieces {
            buffer.extend_from_slice(piece);
            loop {
                let used = match framer.cut(&buffer) {
                    Cut::Frame(frame, used) => {
                        out.push(text(frame));
                        used
                    }
                    Cut::Oversized(over, used) => {
                        out.push(big(&over));
                        used
                    }
                    Cut::Used(used) => used,
                    Cut::Partial => break,
                    Cut::Broken(error) => {
                        out.push(format!("broken: {error}"));
                        return out;
                    }
                };
                buffer.advance(used);
            }
            assert!(buffer.len() <= limit + 16, "what is over the limit is not kept");
        }
        match framer.finish(&buffer) {
            None => {}
            Some(Ok(last)) => out.push(text(last)),
            Some(Err(Unfinished::Truncated(rest))) => out.push(format!("truncated {}", text(rest))),
            Some(Err(Unfinished::Oversized(over))) => out.push(big(&over)),
        }
        out
    }

    #[test]
    fn streams_are_cut_into_frames() {
        fn check(framing: Framing, stream: &[u8], expect: &[&str]) {
            assert_eq!(frames(framing, 10, &[stream]), expect, "{:?}", String::from_utf8_lossy(stream));
        }
        check(Framing::Newline, b"a\nbb\n\nc", &["a", "bb", "", "c"]);
        check(Framing::Newline, b"", &[]);
        check(Framing::Newline, b"0123456789\nx", &["0123456789", "x"]);
        check(Framing::Newline, b"0123456789A\nx\n", &["over 11 01234567", "x"]);
        check(Framing::Newline, b"a\n0123456789ABCDEF", &["a", "over 16 01234567"]);
        check(Framing::Nul, b"{}\0{\n}\0{", &["{}", "{\n}", "truncated {"]);
        check(Framing::NewlineOrNul, b"{}\0{\n}\0", &["{}", "{\n}"]);
        check(Framing::NewlineOrNul, b"{}\n{\0}\n{", &["{}", "{\0}", "{"]);
        check(Framing::Counted, b"3 <1>5 <1>ab", &["<1>", "<1>ab"]);
        check(Framing::Counted, b"3 <1>\n3 <2>", &["<1>", "<2>"]);
        check(Framing::Counted, b"5 <1>", &["truncated 5 <1>"]);
        check(Framing::Counted, b"12 0123456789AB3 <1>", &["over 12 01234567", "<1>"]);
        check(
            Framing::Counted,
            b"99999999999 <1>",
            &["broken: broken framing: the count before a frame is too long"],
        );
        check(
            Framing::Counted,
            b"3 <1>x",
            &["<1>", "broken: broken framing: expected a count and a space before a frame"],
        );
    }

    #[test]
    fn an_oversized_frame_keeps_its_hash() {
        let mut framer = Framer::new(Framing::Newline, 4);
        assert_eq!(framer.cut(b"123456"), Cut::Used(6));
        let Cut::Oversized(over, 3) = framer.cut(b"78\n9") else { panic!("not over") };
        assert_eq!((over.length, over.beginning.as_slice()), (8, &b"12345678"[..]));
        assert_eq!(over.sha256, <[u8; 32]>::from(Sha256::digest(b"12345678")));
    }

    fn stream() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(
            prop_oneof![
                4 => proptest::sample::select(&b"ab\n\0<>{} 0123"[..]).prop_map(|b| vec![b]),
                1 => Just(b"3 <1>".to_vec()),
                1 => Just(b"25 <1>abcdefghijklmnopqrstuv".to_vec()),
                1 => any::<u8>().prop_map(|b| vec![b]),
            ],
            0..60,
        )
        .prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn framing_does_not_depend_on_the_reads(
            bytes in stream(),
            cuts in proptest::collection::vec(0usize..200, 0..12),
            framing in proptest::sample::select(vec![Framing::Newline, Framing::Nul, Framing::Counted, Framing::NewlineOrNul]),
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            prop_assert_eq!(frames(framing, 20, &pieces), frames(framing, 20, &[&bytes]));
        }
    }
}
