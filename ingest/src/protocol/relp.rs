//! RELP, the acknowledged transport of rsyslog (<https://github.com/rsyslog/librelp/blob/master/doc/relp.html>).
//!
//! A frame is `TXNR SP COMMAND SP DATALEN [SP DATA] LF`. The client opens with `open`, sends each message as `syslog`, and
//! gets `TXNR rsp …` for each: here only when it is durable. It sends again whatever was not answered.

use super::dialogue::Found;
use super::frame::Skipping;
use crate::record::RecordError;
use bytes::{Buf, BufMut, BytesMut};

/// The server ends the session: a frame of no transaction.
pub const SERVER_CLOSE: &[u8] = b"0 serverclose 0\n";
/// Digits that a transaction number or a length may have.
const DIGITS: usize = 9;
/// Longest name of a command.
const COMMAND: usize = 32;
/// Longest data of a command that is not `syslog`.
const COMMAND_DATA: usize = 4 << 10;

/// A frame but for its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Head {
    txnr: u64,
    command: Command,
    /// Where its data starts.
    start: usize,
    /// Bytes of data.
    length: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Command {
    Open,
    Syslog,
    Close,
    Other,
}

enum Parsed {
    Head(Head),
    Partial,
    Broken(&'static str),
}

/// A number of at most [`DIGITS`] digits and a space after it: where it ends, its value.
fn number(bytes: &[u8], at: usize) -> Result<Option<(usize, u64)>, &'static str> {
    let digits = bytes[at..].iter().take(DIGITS + 1).take_while(|byte| byte.is_ascii_digit()).count();
    if digits > DIGITS {
        return Err("a RELP number is too long");
    }
    let end = at + digits;
    if end == bytes.len() {
        return Ok(None);
    }
    if digits == 0 {
        return Err("expected a RELP number");
    }
    Ok(Some((end, bytes[at..end].iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))))
}

fn head(bytes: &[u8]) -> Result<Option<Head>, &'static str> {
    let Some((end, txnr)) = number(bytes, 0)? else { return Ok(None) };
    if bytes[end] != b' ' {
        return Err("expected a space after a RELP transaction number");
    }
    let name = end + 1;
    let letters =
        bytes[name..].iter().take(COMMAND + 1).take_while(|byte| byte.is_ascii_alphabetic()).count();
    let end = name + letters;
    if end == bytes.len() && letters <= COMMAND {
        return Ok(None);
    }
    if letters == 0 || letters > COMMAND || bytes[end] != b' ' {
        return Err("expected a RELP command and a space");
    }
    let command = match &bytes[name..end] {
        b"open" => Command::Open,
        b"syslog" => Command::Syslog,
        b"close" => Command::Close,
        _ => Command::Other,
    };
    let Some((end, length)) = number(bytes, end + 1)? else { return Ok(None) };
    // At most nine digits.
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let start = match (bytes[end], length) {
        // Without data there is no space before it.
        (b'\n', 0) => end,
        (b' ', _) => end + 1,
        _ => return Err("expected the data of a RELP frame"),
    };
    Ok(Some(Head { txnr, command, start, length }))
}

fn parse(bytes: &[u8]) -> Parsed {
    match head(bytes) {
        Ok(Some(head)) => Parsed::Head(head),
        Ok(None) => Parsed::Partial,
        Err(reason) => Parsed::Broken(reason),
    }
}

/// `TXNR rsp DATALEN DATA`.
pub fn response(out: &mut BytesMut, txnr: u64, data: &str) {
    let mut digits = itoa::Buffer::new();
    out.put_slice(digits.format(txnr).as_bytes());
    out.put_slice(b" rsp ");
    out.put_slice(digits.format(data.len()).as_bytes());
    if !data.is_empty() {
        out.put_u8(b' ');
        out.put_slice(data.as_bytes());
    }
    out.put_u8(b'\n');
}

/// A refusal: `500`, a space, what is wrong.
pub fn refusal(out: &mut BytesMut, txnr: u64, reason: &str) {
    response(out, txnr, &format!("500 {}", reason.replace('\n', " ")));
}

/// What a client opens with.
#[derive(Debug, PartialEq, Eq)]
pub enum Open {
    /// Its transaction number; [`welcome`] is the answer.
    Taken(u64),
    /// Its transaction number, and what is wrong with its offers.
    Refused(u64, &'static str),
    /// More bytes are needed.
    Partial,
    /// It is not RELP.
    Broken(&'static str),
}

/// Reads the first frame, and takes it off the buffer.
pub fn open(buffer: &mut BytesMut) -> Open {
    let head = match parse(buffer) {
        Parsed::Head(head) => head,
        Parsed::Partial => return Open::Partial,
        Parsed::Broken(reason) => return Open::Broken(reason),
    };
    let Head { txnr, command, start, length } = head;
    if command != Command::Open || length > COMMAND_DATA {
        return Open::Broken("expected the RELP command open");
    }
    let Some(end) = buffer.get(start + length) else { return Open::Partial };
    if *end != b'\n' {
        return Open::Broken("expected a newline after a RELP frame");
    }
    let offers = String::from_utf8_lossy(&buffer[start..start + length]).into_owned();
    buffer.advance(start + length + 1);
    let offer = |name: &str| offers.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    if offer("relp_version").is_none() {
        return Open::Refused(txnr, "relp_version is missing");
    }
    // Versions before 1 need not name their commands.
    if offer("commands").is_some_and(|commands| !commands.split(',').any(|it| it.trim() == "syslog")) {
        return Open::Refused(txnr, "the command syslog is needed");
    }
    Open::Taken(txnr)
}

/// The answer to `open`.
pub fn welcome(out: &mut BytesMut, txnr: u64) {
    response(out, txnr, "200 OK\nrelp_version=0\nrelp_software=qgx\ncommands=syslog");
}

/// Reads an open session.
#[derive(Debug)]
pub struct Reader {
    limit: usize,
    /// Of the record found last.
    txnr: u64,
    /// The rest of a record over the limit, and how long that is.
    skipping: Option<(Skipping, usize)>,
}

impl Reader {
    /// For records of at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { limit, txnr: 0, skipping: None }
    }

    /// The transaction of the record found last.
    pub fn txnr(&self) -> u64 {
        self.txnr
    }

    /// See [`super::dialogue::Dialogue::next`].
    pub fn next(&mut self, buffer: &mut BytesMut, answers: &mut BytesMut) -> Found {
        if self.skipping.is_some() {
            return self.skip(buffer);
        }
        let Head { txnr, command, start, length } = match parse(buffer) {
            Parsed::Head(head) => head,
            Parsed::Partial => return Found::Partial,
            Parsed::Broken(reason) => return broken(reason),
        };
        if command == Command::Syslog && length > self.limit {
            self.txnr = txnr;
            buffer.advance(start);
            self.skipping = Some((Skipping::default(), length));
            return self.skip(buffer);
        }
        if command != Command::Syslog && length > COMMAND_DATA {
            return broken("the data of a RELP command is too long");
        }
        let Some(end) = buffer.get(start + length) else { return Found::Partial };
        if *end != b'\n' {
            return broken("expected a newline after a RELP frame");
        }
        let mut frame = buffer.split_to(start + length + 1);
        match command {
            Command::Syslog => {
                self.txnr = txnr;
                frame.advance(start);
                frame.truncate(length);
                Found::Record(frame.freeze())
            }
            Command::Close => {
                response(answers, txnr, "");
                Found::Closed
            }
            Command::Open => {
                refusal(answers, txnr, "the session is open");
                Found::Aside
            }
            Command::Other => {
                refusal(answers, txnr, "this command is not known");
                Found::Aside
            }
        }
    }

    fn skip(&mut self, buffer: &mut BytesMut) -> Found {
        let Some((skipping, left)) = &mut self.skipping else { return Found::Partial };
        let here = (*left).min(buffer.len());
        skipping.take(&buffer[..here]);
        *left -= here;
        buffer.advance(here);
        if *left > 0 || buffer.is_empty() {
            return Found::Partial;
        }
        if buffer[0] != b'\n' {
            return broken("expected a newline after a RELP frame");
        }
        buffer.advance(1);
        match self.skipping.take() {
            Some((skipping, _)) => Found::Oversized(skipping.done()),
            None => Found::Partial,
        }
    }

    /// See [`super::dialogue::Dialogue::taken`].
    pub fn taken(&mut self, answers: &mut BytesMut) {
        response(answers, self.txnr, "200 OK");
    }
}

fn broken(reason: &'static str) -> Found {
    Found::Broken(RecordError::Framing(reason.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// All that comes out of a session that arrives in these pieces, and what is answered.
    fn talk(limit: usize, pieces: &[&[u8]]) -> Vec<String> {
        let mut reader = Reader::new(limit);
        let (mut buffer, mut answers, mut out) = (BytesMut::new(), BytesMut::new(), Vec::new());
        for piece in pieces {
            buffer.extend_from_slice(piece);
            loop {
                match reader.next(&mut buffer, &mut answers) {
                    Found::Record(record) => out.push(String::from_utf8_lossy(&record).into_owned()),
                    Found::Oversized(over) => out.push(format!("over {}", over.length)),
                    Found::Aside => continue,
                    Found::Partial => break,
                    Found::Closed => {
                        out.push(format!("closed; {}", String::from_utf8_lossy(&answers)));
                        return out;
                    }
                    Found::Broken(error) => {
                        out.push(error.to_string());
                        return out;
                    }
                }
                reader.taken(&mut answers);
            }
            assert!(buffer.len() <= limit.max(COMMAND_DATA) + 60, "what is over the limit is not kept");
        }
        out.push(String::from_utf8_lossy(&answers).into_owned());
        out
    }

    #[test]
    fn sessions_are_read_and_answered() {
        fn check(stream: &str, expect: &[&str]) {
            assert_eq!(talk(10, &[stream.as_bytes()]), expect, "{stream}");
        }
        check("2 syslog 5 <13>a\n3 syslog 1 b\n", &["<13>a", "b", "2 rsp 6 200 OK\n3 rsp 6 200 OK\n"]);
        check("2 syslog 5 a\nb c\n", &["a\nb c", "2 rsp 6 200 OK\n"]);
        check("2 syslog 0\n", &["", "2 rsp 6 200 OK\n"]);
        check("9 close 0\n", &["closed; 9 rsp 0\n"]);
        check(
            "2 syslog 12 0123456789AB\n3 syslog 1 b\n",
            &["over 12", "b", "2 rsp 6 200 OK\n3 rsp 6 200 OK\n"],
        );
        check("2 dance 1 x\n", &["2 rsp 29 500 this command is not known\n"]);
        check("2 syslog 1 ab", &["broken framing: expected a newline after a RELP frame"]);
        check("2 syslog 99 x", &[""]);
        check("x", &["broken framing: expected a RELP number"]);
        check("2  ", &["broken framing: expected a RELP command and a space"]);
        check("2 syslog x", &["broken framing: expected a RELP number"]);
        check("1234567890 syslog", &["broken framing: a RELP number is too long"]);
        check(&format!("2 {}", "a".repeat(40)), &["broken framing: expected a RELP command and a space"]);
        check("2 dance 9999 x", &["broken framing: the data of a RELP command is too long"]);
    }

    #[test]
    fn openings_are_checked() {
        fn check(text: &str, expect: Open) {
            assert_eq!(open(&mut BytesMut::from(text)), expect, "{text}");
        }
        check("1 open 31 relp_version=0\ncommands=syslog\n\n", Open::Taken(1));
        check("1 open 14 relp_version=0\n", Open::Taken(1));
        check(
            "1 open 30 relp_version=0\ncommands=gossip\n",
            Open::Refused(1, "the command syslog is needed"),
        );
        check("1 open 0\n", Open::Refused(1, "relp_version is missing"));
        check("1 open 14 relp_ver", Open::Partial);
        check("1 syslog 1 a\n", Open::Broken("expected the RELP command open"));
        let mut out = BytesMut::new();
        welcome(&mut out, 1);
        assert_eq!(out, "1 rsp 55 200 OK\nrelp_version=0\nrelp_software=qgx\ncommands=syslog\n");
    }

    fn session() -> impl Strategy<Value = Vec<u8>> {
        let part = prop_oneof![
            4 => "[a-z\\n]{0,14}".prop_map(|data| format!("7 syslog {} {data}\n", data.len()).into_bytes()),
            1 => Just(b"8 dance 0\n".to_vec()),
            1 => Just(b"9 close 0\n".to_vec()),
            1 => proptest::collection::vec(any::<u8>(), 0..6),
        ];
        proptest::collection::vec(part, 0..8).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn reading_does_not_depend_on_the_pieces(bytes in session(), piece in 1usize..30) {
            let pieces: Vec<&[u8]> = bytes.chunks(piece).collect();
            prop_assert_eq!(talk(10, &pieces), talk(10, &[&bytes]));
        }
    }
}
