//! From the bytes of a file to lines, always the same from the same bytes: a line keeps its sequence whoever reads it again.

use bytes::Bytes;
use serde::de::IgnoredAny;
use std::collections::BTreeSet;
use std::io::Write;

/// Of a longer line only so much is sent: more than any server takes, so that it is the server who refuses it.
const KEPT: usize = (4 << 20) + 1;
/// Bytes before the end of the last line that are remembered.
pub const TRAIL: usize = 256;

/// A line to send, and where it ends in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Without its newline.
    pub bytes: Bytes,
    /// Offset of what comes after it.
    pub end: u64,
}

/// Cuts a file into lines.
#[derive(Debug)]
pub struct Lines {
    /// Where the line begins that is being read.
    start: u64,
    /// Where reading goes on.
    position: u64,
    /// Of the line that is being read, as far as it is kept.
    held: Vec<u8>,
    /// Where a line ends that has no newline, since it was waited for in vain.
    forced: BTreeSet<u64>,
    /// The last bytes before `position`, as they were in the file.
    trail: Vec<u8>,
    /// The last bytes before `start`.
    trail_at_start: Vec<u8>,
}

impl Lines {
    /// From an offset on, after these bytes of the file.
    pub fn new(offset: u64, forced: impl IntoIterator<Item = u64>, trail: Vec<u8>) -> Self {
        Self {
            start: offset,
            position: offset,
            held: Vec::new(),
            forced: forced.into_iter().collect(),
            trail_at_start: trail.clone(),
            trail,
        }
    }

    /// Where reading goes on.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Where the line begins that is being read: all before it is cut.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// The last bytes before [`Lines::position`].
    pub fn trail(&self) -> &[u8] {
        &self.trail
    }

    /// The last bytes before [`Lines::start`].
    pub fn trail_at_start(&self) -> &[u8] {
        &self.trail_at_start
    }

    /// Whether a line has begun and has no end yet.
    pub fn is_partial(&self) -> bool {
        self.position > self.start
    }

    /// Takes what comes next in the file.
    pub fn push(&mut self, mut bytes: &[u8], out: &mut Vec<Line>) {
        while !bytes.is_empty() {
            let newline = memchr::memchr(b'\n', bytes).map(|at| at + 1);
            let forced = self.forced.range(self.position + 1..).next();
            let forced = forced.and_then(|at| usize::try_from(at - self.position).ok());
            let forced = forced.filter(|at| *at <= bytes.len());
            let end = match (newline, forced) {
                (Some(newline), Some(forced)) => Some(newline.min(forced)),
                (newline, forced) => newline.or(forced),
            };
            let (piece, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
            self.hold(piece);
            if end.is_some() {
                out.extend(self.cut());
            }
            bytes = rest;
        }
    }

    /// Ends the line here, though it has no newline. Where it ends must be known to whoever reads it again.
    pub fn force(&mut self) -> Option<Line> {
        self.forced.insert(self.position);
        self.cut()
    }

    fn hold(&mut self, piece: &[u8]) {
        self.position += piece.len() as u64;
        self.remember(piece);
        // A file that was truncated under a writer that does not append begins with a hole.
        let piece = if self.held.is_empty() {
            let hole = piece.iter().take_while(|byte| **byte == 0).count();
            &piece[hole..]
        } else {
            piece
        };
        self.held.extend_from_slice(&piece[..piece.len().min(KEPT.saturating_sub(self.held.len()))]);
    }

    fn remember(&mut self, piece: &[u8]) {
        self.trail.extend_from_slice(&piece[piece.len().saturating_sub(TRAIL)..]);
        let more = self.trail.len().saturating_sub(TRAIL);
        self.trail.drain(..more);
    }

    fn cut(&mut self) -> Option<Line> {
        let first = self.start == 0;
        self.start = self.position;
        self.trail_at_start.clone_from(&self.trail);
        let held = std::mem::take(&mut self.held);
        Some(Line { bytes: sendable(&held, first)?, end: self.position })
    }
}

/// A line as a line of the protocol; nothing where it is blank.
fn sendable(line: &[u8], first: bool) -> Option<Bytes> {
    let line = if first { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line) } else { line };
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let text = line.trim_ascii_start();
    if text.is_empty() {
        return None;
    }
    // What looks like JSON and is none would be refused as bad JSON; in a log it is text.
    if text.starts_with(b"{") && line.len() < KEPT && serde_json::from_slice::<IgnoredAny>(text).is_err() {
        return Some(quoted(line));
    }
    Some(Bytes::copy_from_slice(line))
}

/// A text as the message of an object, whatever its charset: in UTF-8 and CP949 neither `"` nor `\` is part of another
/// character.
fn quoted(line: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(line.len() + 32);
    out.extend_from_slice(b"{\"message\":\"");
    for byte in line {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *byte]),
            // Writing to memory cannot fail.
            0..=0x1f => write!(out, "\\u{byte:04x}").unwrap_or_default(),
            _ => out.push(*byte),
        }
    }
    out.extend_from_slice(b"\"}");
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(lines: &[Line]) -> Vec<String> {
        lines.iter().map(|line| String::from_utf8_lossy(&line.bytes).into_owned()).collect()
    }

    #[test]
    fn lines_are_the_same_however_the_bytes_come() {
        let text = "하나\r\n\n  \ntwo\n{\"n\":1}\n{main} started\nlast";
        let whole = {
            let (mut lines, mut out) = (Lines::new(0, [], vec![]), Vec::new());
            lines.push(text.as_bytes(), &mut out);
            assert!(lines.is_partial());
            assert_eq!(lines.start(), text.len() as u64 - 4);
            out.extend(lines.force());
            assert!(!lines.is_partial());
            out
        };
        assert_eq!(texts(&whole), ["하나", "two", "{\"n\":1}", "{\"message\":\"{main} started\"}", "last"]);
        for size in 1..9 {
            let (mut lines, mut out) = (Lines::new(0, [text.len() as u64], vec![]), Vec::new());
            text.as_bytes().chunks(size).for_each(|piece| lines.push(piece, &mut out));
            assert_eq!(out, whole, "pieces of {size}");
        }
    }

    #[test]
    fn what_was_cut_once_is_cut_there_again() {
        let (mut lines, mut out) = (Lines::new(10, [13], vec![]), Vec::new());
        lines.push(b"abcdef\ngh\n", &mut out);
        assert_eq!(texts(&out), ["abc", "def", "gh"]);
        assert_eq!(out.iter().map(|line| line.end).collect::<Vec<_>>(), [13, 17, 20]);
        // The newline itself came later.
        let (mut lines, mut out) = (Lines::new(0, [3], vec![]), Vec::new());
        lines.push(b"abc\ndef\n", &mut out);
        assert_eq!(texts(&out), ["abc", "def"]);
        assert_eq!(lines.trail(), b"abc\ndef\n");
    }

    #[test]
    fn holes_marks_and_long_lines() {
        fn check(bytes: &[u8], expect: &[&[u8]]) {
            let (mut lines, mut out) = (Lines::new(0, [], vec![]), Vec::new());
            bytes.chunks(100_000).for_each(|piece| lines.push(piece, &mut out));
            let got: Vec<_> = out.iter().map(|line| &line.bytes[..]).collect();
            assert!(got == expect, "{} lines", got.len());
        }
        check(b"\0\0\0\0x\n", &[b"x"]);
        check(b"\xef\xbb\xbfx\n\xef\xbb\xbfy\n", &[b"x", b"\xef\xbb\xbfy"]);
        // CP949 as it is, also where it must be quoted.
        check(
            b"\xb9\xe8\xbc\xdb\n{\xb9\xe8\"\\\n",
            &[b"\xb9\xe8\xbc\xdb", b"{\"message\":\"{\xb9\xe8\\\"\\\\\"}"],
        );
        let long = vec![b'a'; KEPT + 10];
        check(&[&long[..], b"\nb\n"].concat(), &[&long[..KEPT], b"b"]);
    }
}
