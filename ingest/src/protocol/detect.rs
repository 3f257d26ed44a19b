//! Which protocol a connection speaks: its first bytes decide, once (DESIGN section 4).

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
    /// An HTTP method.
    Http,
    /// Anything else: Influx line protocol or plain text.
    Lines,
}

/// The signature of the PROXY protocol, version 2.
const PROXY_V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

const METHODS: [&[u8]; 9] =
    [b"GET ", b"POST ", b"PUT ", b"HEAD ", b"DELETE ", b"OPTIONS ", b"PATCH ", b"CONNECT ", b"TRACE "];

/// What these first bytes say; `None` where more are needed to know. `ended`: no more will come.
pub fn detect(bytes: &[u8], ended: bool) -> Option<Opening> {
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
        check(b"HELP me", Some(Opening::Lines));
        check(b"HELLO\n", Some(Opening::Lines));
        check(b"AUTH qgx_", Some(Opening::Auth));
        check(b"{", Some(Opening::Json));
        check(b"<34>1 ", Some(Opening::Syslog));
        check(b"83 <34>1", Some(Opening::SyslogCounted));
        check(b"83 ", None);
        check(b"83", None);
        check(b"1 open 85 relp", Some(Opening::Relp));
        check(b"1 ope", None);
        check(b"12 monkeys", Some(Opening::Lines));
        check(b"2W\0\0", Some(Opening::Lumberjack));
        check(b"2", None);
        check(b"2024-01-01 00:00:00 x", Some(Opening::Lines));
        check(b"123456789012 <", Some(Opening::Lines));
        check(b"\x16\x03\x01", Some(Opening::Tls));
        check(b"\x16", None);
        check(b"PROXY TCP4", Some(Opening::Proxy));
        check(b"\r\n\r\n\0\r\nQUIT\n\x21", Some(Opening::Proxy));
        check(b"GET / HTTP/1.1", Some(Opening::Http));
        check(b"POST /api", Some(Opening::Http));
        check(b"GE", None);
        check(b"GETTING on", Some(Opening::Lines));
        check(b"cpu,host=a value=1 1700000000000000000", Some(Opening::Lines));
        check("안녕".as_bytes(), Some(Opening::Lines));
        check(b"\0\0\0", Some(Opening::Lines));
    }

    #[test]
    fn an_end_decides_too() {
        assert_eq!(detect(b"HEL", true), Some(Opening::Lines));
        assert_eq!(detect(b"12", true), Some(Opening::Lines));
    }

    proptest! {
        #[test]
        fn an_answer_stays_as_more_bytes_come(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
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
