//! The PROXY protocol, versions 1 and 2: whom a proxy speaks for
//! (<https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The signature of version 2.
pub const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Longest line of version 1, with its end.
const LINE: usize = 107;
/// Longest body of version 2 that is waited for.
const BODY: usize = 4 << 10;

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header {
    /// Who is behind the proxy, and how long the header is. `None`: the proxy itself speaks, or does not know.
    Peer(Option<IpAddr>, usize),
    /// More bytes are needed.
    Partial,
    /// It is none.
    Broken,
}

/// Reads the header at the start of a connection.
pub fn read(bytes: &[u8]) -> Header {
    let shared = SIGNATURE.len().min(bytes.len());
    if bytes[..shared] != SIGNATURE[..shared] {
        return line(bytes);
    }
    let Some(fixed) = bytes.get(SIGNATURE.len()..16) else { return Header::Partial };
    let length = usize::from(u16::from_be_bytes([fixed[2], fixed[3]]));
    if fixed[0] >> 4 != 2 || length > BODY {
        return Header::Broken;
    }
    let end = 16 + length;
    let Some(body) = bytes.get(16..end) else { return Header::Partial };
    match (fixed[0] & 0x0f, fixed[1]) {
        // LOCAL: a health check of the proxy itself.
        (0, _) => Header::Peer(None, end),
        // TCP over IPv4 or IPv6; what follows the addresses is extensions.
        (1, 0x11) if length >= 12 => match body.first_chunk::<4>() {
            Some(source) => Header::Peer(Some(IpAddr::from(*source)), end),
            None => Header::Broken,
        },
        (1, 0x21) if length >= 36 => match body.first_chunk::<16>() {
            Some(source) => Header::Peer(Some(Ipv6Addr::from(*source).to_canonical()), end),
            None => Header::Broken,
        },
        (1, 0x11 | 0x21) => Header::Broken,
        // A family that has no address for us.
        (1, _) => Header::Peer(None, end),
        _ => Header::Broken,
    }
}

/// `PROXY TCP4 192.0.2.1 192.0.2.2 56324 443`, ended by CRLF.
fn line(bytes: &[u8]) -> Header {
    let window = &bytes[..bytes.len().min(LINE)];
    let Some(end) = memchr::memmem::find(window, b"\r\n") else {
        return if bytes.len() >= LINE { Header::Broken } else { Header::Partial };
    };
    let Ok(text) = std::str::from_utf8(&window[..end]) else { return Header::Broken };
    let words: Vec<&str> = text.split(' ').collect();
    let port = |text: &str| text.parse::<u16>().is_ok();
    let peer = match words[..] {
        ["PROXY", "UNKNOWN", ..] => None,
        ["PROXY", family, source, target, from, to] if port(from) && port(to) => {
            let found = match family {
                "TCP4" if target.parse::<Ipv4Addr>().is_ok() => {
                    source.parse::<Ipv4Addr>().ok().map(IpAddr::V4)
                }
                "TCP6" if target.parse::<Ipv6Addr>().is_ok() => {
                    source.parse::<Ipv6Addr>().ok().map(|it| it.to_canonical())
                }
                _ => None,
            };
            if found.is_none() {
                return Header::Broken;
            }
            found
        }
        _ => return Header::Broken,
    };
    Header::Peer(peer, end + 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let length = (body.len() as u16).to_be_bytes();
        [SIGNATURE, &[0x20 | command, family], &length, body].concat()
    }

    #[test]
    fn headers_say_who_is_behind() {
        fn check(header: &[u8], expect: Header) {
            let with_more = [header, b"<13>x"].concat();
            assert_eq!(read(&with_more), expect, "{:?}", String::from_utf8_lossy(header));
        }
        let peer = |address: &str, length| Header::Peer(Some(address.parse().unwrap()), length);
        check(b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n", peer("192.0.2.1", 42));
        check(b"PROXY TCP6 2001:db8::1 ::1 1 2\r\n", peer("2001:db8::1", 32));
        check(b"PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n", peer("192.0.2.1", 37));
        check(b"PROXY UNKNOWN\r\n", Header::Peer(None, 15));
        check(b"PROXY UNKNOWN ffff:f::1 ::1 65535 65535\r\n", Header::Peer(None, 41));
        check(b"PROXY TCP4 192.0.2.1 192.0.2.2 56324\r\n", Header::Broken);
        check(b"PROXY TCP4 ::1 192.0.2.2 1 2\r\n", Header::Broken);
        check(b"PROXY TCP4 192.0.2.1 192.0.2.2 99999 2\r\n", Header::Broken);
        check(&[b"PROXY ".as_slice(), &[b'x'; 200]].concat(), Header::Broken);
        check(&v2(1, 0x11, &[192, 0, 2, 1, 192, 0, 2, 2, 0, 1, 0, 2]), peer("192.0.2.1", 28));
        check(&v2(1, 0x11, &[192, 0, 2, 1, 192, 0, 2, 2, 0, 1, 0, 2, 4, 0, 0]), peer("192.0.2.1", 31));
        let mut six = [0; 36];
        six[..16].copy_from_slice(&"2001:db8::1".parse::<Ipv6Addr>().unwrap().octets());
        check(&v2(1, 0x21, &six), peer("2001:db8::1", 52));
        check(&v2(0, 0, &[]), Header::Peer(None, 16));
        check(&v2(1, 0x31, &[0; 216]), Header::Peer(None, 232));
        check(&v2(1, 0x11, &[1, 2, 3]), Header::Broken);
        check(&v2(2, 0x11, &[0; 12]), Header::Broken);
        check(&[SIGNATURE, &[0x11, 0x11, 0, 0]].concat(), Header::Broken);
        assert_eq!(read(b"PROXY TCP4 192."), Header::Partial);
        assert_eq!(read(&SIGNATURE[..7]), Header::Partial);
        assert_eq!(read(&v2(1, 0x11, &[0; 12])[..20]), Header::Partial);
    }

    proptest! {
        #[test]
        fn an_answer_stays_as_more_bytes_come(
            start in proptest::sample::select(vec![b"PROXY ".to_vec(), SIGNATURE.to_vec(), Vec::new()]),
            rest in prop_oneof![proptest::collection::vec(any::<u8>(), 0..60),
                "(TCP4|TCP6|UNKNOWN) [0-9.:]{1,12} [0-9.:]{1,12} [0-9]{1,4} [0-9]{1,4}\r\n".prop_map(String::into_bytes)],
        ) {
            let bytes = [start, rest].concat();
            let whole = read(&bytes);
            for end in 1..bytes.len() {
                let now = read(&bytes[..end]);
                prop_assert!(now == Header::Partial || now == whole, "{:?} then {:?}", now, whole);
            }
        }
    }
}
