//! Which protocol a connection speaks: its first bytes decide, once (DESIGN section 4).

use super::proxy::SIGNATURE as PROXY_V2;

/// What the first bytes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Opening {
    /// `HELLO {`: QGX lines.
    Qgx,
    /// `AUTH `: a credential line, then the table again.
    Auth,
    /// `{`: NDJSON, or GELF where objects end in NUL.
    Json,
    /// `<`: syslog, newline-framed.
    Syslog,
    /// Digits, space, `<`: syslog, octet-counted (RFC 6587).
    SyslogCounted,
    /// Digits, space, `open `: RELP.
    Relp,
    /// `2W`, `2J`, `2C`: Lumberjack v2.
    Lumberjack,
    /// 0x16 0x03: a TLS record (RFC 8446 §5.1).
    Tls,
    /// `PROXY ` or the signature of version 2.
    Proxy,
    /// An HTTP method, or a whole request line of any method.
    Http,
    /// STUN, as browsers begin WebRTC over TCP (RFC 8489 §5), bare or behind a length (RFC 4571).
    Stun,
    /// Anything else: Influx line protocol or plain text.
    Lines,
}

const METHODS: [&[u8]; 10] = [
    b"GET ",
    b"POST ",
    b"PUT ",
    b"HEAD ",
    b"DELETE ",
    b"OPTIONS ",
    b"PATCH ",
    b"CONNECT ",
    b"TRACE ",
    // What HTTP/2 opens with (RFC 9113 §3.4).
    b"PRI * ",
];

/// What these first bytes say; `None` where more are needed to know. `ended`: no more will come.
pub fn detect(bytes: &[u8], ended: bool) -> Option<Opening> {
    match stun(bytes) {
        Guess::Is => return Some(Opening::Stun),
        // Newlines mean nothing in it.
        Guess::Perhaps if !ended => return None,
        _ => {}
    }
    // Nor in this, which has some.
    if !ended && !bytes.is_empty() && bytes.len() < PROXY_V2.len() && PROXY_V2.starts_with(bytes) {
        return None;
    }
    let mut undecided = bytes.is_empty();
    let mut starts = |prefix: &[u8]| {
        let shared = prefix.len().min(bytes.len());
        let same = bytes[..shared] == prefix[..shared];
        undecided |= same && shared < prefix.len();
        same && shared == prefix.len()
    };
    let literal = [
        (&b"HELLO {"[..], Opening::Qgx),
        (b"AUTH ", Opening::Auth),
        (b"{", Opening::Json),
        (b"<", Opening::Syslog),
        (b"2W", Opening::Lumberjack),
        (b"2J", Opening::Lumberjack),
        (b"2C", Opening::Lumberjack),
        (b"\x16\x03", Opening::Tls),
        (b"PROXY ", Opening::Proxy),
        (PROXY_V2, Opening::Proxy),
    ];
    for (prefix, opening) in literal {
        if starts(prefix) {
            return Some(opening);
        }
    }
    if METHODS.into_iter().any(&mut starts) {
        return Some(Opening::Http);
    }
    match request_line(bytes, ended) {
        Guess::Is => return Some(Opening::Http),
        Guess::Perhaps => undecided = true,
        Guess::No => {}
    }
    match counted(bytes) {
        Counted::Is(opening) => return Some(opening),
        Counted::Perhaps => undecided = true,
        Counted::No => {}
    }
    // A prefix that a newline ends can't become anything else.
    if undecided && !ended && !bytes.contains(&b'\n') {
        return None;
    }
    (!bytes.is_empty() || ended).then_some(Opening::Lines)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Guess {
    Is,
    Perhaps,
    No,
}

/// A STUN message (RFC 8489 §5): two bytes of type, of which the first is 0 or 1, two of length, the magic cookie. No
/// text starts so, but a page in a browser can make the browser send it to any port.
fn stun(bytes: &[u8]) -> Guess {
    const COOKIE: &[u8] = &[0x21, 0x12, 0xa4, 0x42];
    if !matches!(bytes.first(), Some(0 | 1)) {
        return Guess::No;
    }
    let mut best = Guess::No;
    for at in [4, 6] {
        let there = bytes.get(at..).unwrap_or_default();
        if there.starts_with(COOKIE) {
            return Guess::Is;
        }
        if COOKIE.starts_with(there) {
            best = Guess::Perhaps;
        }
    }
    best
}

/// A whole request line of any method (RFC 9112 §3): `TOKEN target HTTP/1.1`. It is waited for only as long as the bytes
/// have that form, so that most lines of text are told from it at their third word.
fn request_line(bytes: &[u8], ended: bool) -> Guess {
    /// Longest method and line that are looked at.
    const METHOD: usize = 32;
    const LINE: usize = 8 << 10;
    let end = memchr::memchr(b'\n', bytes);
    let (line, whole) = (&bytes[..end.unwrap_or(bytes.len())], ended || end.is_some());
    let open = if whole || line.len() > LINE { Guess::No } else { Guess::Perhaps };
    let method = line.iter().take_while(|byte| is_token(**byte)).count();
    if (method == 0 && !line.is_empty()) || method > METHOD {
        return Guess::No;
    }
    let Some((b' ', rest)) = line[method..].split_first() else {
        return if line.len() == method { open } else { Guess::No };
    };
    let target = rest.iter().take_while(|byte| **byte > b' ' && **byte != 0x7f).count();
    if target == 0 && !rest.is_empty() {
        return Guess::No;
    }
    let Some((b' ', version)) = rest[target..].split_first() else {
        return if rest.len() == target { open } else { Guess::No };
    };
    const VERSION: &[u8] = b"HTTP/1.1\r";
    let fits =
        |(byte, form): (&u8, &u8)| if form.is_ascii_digit() { byte.is_ascii_digit() } else { byte == form };
    if version.len() > VERSION.len() || !version.iter().zip(VERSION).all(fits) {
        return Guess::No;
    }
    if whole && version.len() + 1 >= VERSION.len() { Guess::Is } else { open }
}

/// RFC 9110 §5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

enum Counted {
    Is(Opening),
    Perhaps,
    No,
}

/// Digits, space, then what follows: RFC 6587 §3.4.1, or RELP's transaction number.
fn counted(bytes: &[u8]) -> Counted {
    const LONGEST: usize = 10;
    let digits = bytes.iter().take_while(|b| b.is_ascii_digit()).count();
    if digits == 0 || digits > LONGEST {
        return Counted::No;
    }
    let Some((space, rest)) = bytes[digits..].split_first() else { return Counted::Perhaps };
    if *space != b' ' {
        return Counted::No;
    }
    match rest {
        [] => Counted::Perhaps,
        [b'<', ..] => Counted::Is(Opening::SyslogCounted),
        _ if rest.starts_with(b"open ") => Counted::Is(Opening::Relp),
        _ if b"open ".starts_with(rest) => Counted::Perhaps,
        _ => Counted::No,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn first_bytes_decide() {
        fn check(bytes: &[u8], expect: Option<Opening>) {
            assert_eq!(detect(bytes, false), expect, "{:?}", String::from_utf8_lossy(bytes));
        }
        check(b"", None);
        check(b"HELLO {\"token\"", Some(Opening::Qgx));
        check(b"HELLO ", None);
        check(b"HEL", None);
        check(b"HELP me out", Some(Opening::Lines));
        check(b"HELLO\n", Some(Opening::Lines));
        check(b"AUTH qgx_", Some(Opening::Auth));
        check(b"{", Some(Opening::Json));
        check(b"<34>1 ", Some(Opening::Syslog));
        check(b"83 <34>1", Some(Opening::SyslogCounted));
        check(b"83 ", None);
        check(b"83", None);
        check(b"1 open 85 relp", Some(Opening::Relp));
        check(b"1 ope", None);
        check(b"12 monkeys\n", Some(Opening::Lines));
        check(b"2W\0\0", Some(Opening::Lumberjack));
        check(b"2", None);
        check(b"2024-01-01 00:00:00 x", Some(Opening::Lines));
        check(b"123456789012 <\n", Some(Opening::Lines));
        check(b"\x16\x03\x01", Some(Opening::Tls));
        check(b"\x16", None);
        check(b"PROXY TCP4", Some(Opening::Proxy));
        check(b"PROPFIND / HTTP/1.1\r\nHost: x\r\n", Some(Opening::Http));
        check(b"PROPFIND /a HTTP/1", None);
        check(b"x / HTTP/1.0\n", Some(Opening::Http));
        check(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Some(Opening::Http));
        check(b"M-SEARCH * HTTP/1.1\r\n", Some(Opening::Http));
        check(b"they speak HTTP/1.1 here\n", Some(Opening::Lines));
        check(b"moved to HTTP/2 now\n", Some(Opening::Lines));
        check(b"two words\n", Some(Opening::Lines));
        check(b"two words", None);
        check(b"two words and", Some(Opening::Lines));
        check(b"m v=1 1700000000", Some(Opening::Lines));
        check(b"\x00\x03\x00\x08\x21\x12\xa4\x42\n", Some(Opening::Stun));
        check(b"\x00\x03\n\x08\x21", None);
        check(b"\x00\x1c\x00\x01\x00\x08\x21\x12\xa4\x42", Some(Opening::Stun));
        check(b"\x00\x1c\x00\x01\x00\x08\x21\x12\xa4\x43", Some(Opening::Lines));
        check(&[b'x'; 40], Some(Opening::Lines));
        let long = [b"GOT /".as_slice(), &[b'a'; 9 << 10]].concat();
        check(&long, Some(Opening::Lines));
        check(b"\r\n\r\n\0\r\nQUIT\n\x21", Some(Opening::Proxy));
        check(b"\r\n\r\n\0", None);
        check(b"\r\nx", Some(Opening::Lines));
        check(b"GET / HTTP/1.1", Some(Opening::Http));
        check(b"POST /api", Some(Opening::Http));
        check(b"GE", None);
        check(b"GETTING on\n", Some(Opening::Lines));
        check(b"cpu,host=a value=1 1700000000000000000", Some(Opening::Lines));
        check("안녕".as_bytes(), Some(Opening::Lines));
        check(b"\0\0\0\0\0\0", None);
        check(b"\0\0\0\0\0\0\0", Some(Opening::Lines));
    }

    #[test]
    fn an_end_decides_too() {
        assert_eq!(detect(b"HEL", true), Some(Opening::Lines));
        assert_eq!(detect(b"12", true), Some(Opening::Lines));
        assert_eq!(detect(b"BREW /pot HTTP/1.1", true), Some(Opening::Http));
        assert_eq!(detect(b"two words", true), Some(Opening::Lines));
        assert_eq!(detect(b"\0\0", true), Some(Opening::Lines));
    }

    proptest! {
        #[test]
        fn an_answer_stays_as_more_bytes_come(bytes in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..64),
            (0..=PROXY_V2.len()).prop_map(|end| [&PROXY_V2[..end], b"more"].concat()),
            "[A-Z ]{0,6} ?/?[a-z ]{0,3} (HTTP/[0-9.]{0,3})?\r?\n?[ -~]{0,9}".prop_map(String::into_bytes),
        ]) {
            let mut first = None;
            for end in 0..=bytes.len() {
                let now = detect(&bytes[..end], false);
                if first.is_some() {
                    prop_assert_eq!(first, now);
                }
                first = first.or(now);
            }
            prop_assert!(detect(&bytes, true).is_some());
        }
    }
}
