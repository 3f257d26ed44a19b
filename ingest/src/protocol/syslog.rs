//! Syslog: RFC 5424, and RFC 3164 as programs really write it.

use super::plain::split_tag;
use crate::record::draft::TOKEN_NAME;
use crate::record::{Draft, RecordError, stamp};
use domain::Level;
use std::borrow::Cow;

/// Facilities by number (RFC 5424 §6.2.1).
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
    "ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6",
    "local7",
];

/// The SD-ID whose `token` parameter is a credential: `[qgx@32473 token="qgx_…"]`.
const CREDENTIAL_SD_ID: &str = "qgx@32473";

/// Reads one message. Host, program and process id become `host` (or the source), `app` and `pid`; structured data
/// becomes `id.parameter`. What follows no known form is all message.
///
/// # Errors
/// Where it breaks a limit.
pub fn read(draft: &mut Draft, text: &str) -> Result<(), RecordError> {
    let Some((priority, rest)) = priority(text) else { return super::plain::read(draft, text) };
    if let Some(level) = Level::from_syslog(priority % 8) {
        draft.level(level);
    }
    draft.text("facility", FACILITIES[usize::from(priority / 8)])?;
    match rest.strip_prefix("1 ").and_then(Header::parse) {
        Some(header) => rfc5424(draft, &header),
        None => rfc3164(draft, rest),
    }
}

/// `<34>`: facility × 8 + severity, at most 191.
fn priority(text: &str) -> Option<(u8, &str)> {
    let rest = text.strip_prefix('<')?;
    let end = rest.as_bytes().iter().take(4).position(|b| *b == b'>')?;
    let digits = &rest[..end];
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u8>().ok().filter(|p| *p <= 191).map(|priority| (priority, &rest[end + 1..]))
}

/// The header of RFC 5424 §6.2 after the version, nil values left out.
#[derive(Debug)]
struct Header<'a> {
    stamp: Option<&'a str>,
    host: Option<&'a str>,
    app: Option<&'a str>,
    pid: Option<&'a str>,
    msgid: Option<&'a str>,
    /// Structured data and message.
    rest: &'a str,
}

impl<'a> Header<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut rest = text;
        let mut word = || {
            let end = memchr::memchr(b' ', rest.as_bytes())?;
            let word = &rest[..end];
            rest = &rest[end + 1..];
            Some((word != "-").then_some(word))
        };
        let (stamp, host, app, pid, msgid) = (word()?, word()?, word()?, word()?, word()?);
        Some(Self { stamp, host, app, pid, msgid, rest })
    }
}

fn rfc5424(draft: &mut Draft, header: &Header<'_>) -> Result<(), RecordError> {
    if let Some(text) = header.stamp {
        match stamp::iso(text.as_bytes(), draft.zone()).filter(|(_, end)| *end == text.len()) {
            Some((moment, _)) => draft.ts(moment, text)?,
            None => draft.text("ts", text)?,
        }
    }
    if let Some(host) = header.host {
        draft.host(host)?;
    }
    for (name, value) in [("app", header.app), ("pid", header.pid), ("msgid", header.msgid)] {
        if let Some(value) = value {
            draft.text(name, value)?;
        }
    }
    let message = structured_data(draft, header.rest)?;
    let message = message.strip_prefix('\u{feff}').unwrap_or(message);
    // Octet-counted senders may end the text with the newline of the other framing.
    let message = message.trim_end_matches('\n');
    if message.is_empty() { Ok(()) } else { draft.message(message) }
}

/// RFC 5424 §6.3. Answers the message after it. What is no structured data is message.
fn structured_data<'a>(draft: &mut Draft, text: &'a str) -> Result<&'a str, RecordError> {
    if let Some(rest) = text.strip_prefix('-') {
        return Ok(rest.strip_prefix(' ').unwrap_or(rest));
    }
    let mut rest = text;
    let mut name = String::new();
    while let Some((id, mut params)) = element(rest) {
        name.clear();
        name.push_str(id);
        name.push('.');
        let stem = name.len();
        while let Some((param, value, after)) = parameter(params) {
            params = after;
            name.truncate(stem);
            name.push_str(param);
            if param == TOKEN_NAME || (id == CREDENTIAL_SD_ID && param == "token") {
                draft.credential(&value);
            } else {
                draft.text(&name, &value)?;
            }
        }
        let Some(after) = params.strip_prefix(']') else { break };
        rest = after;
    }
    Ok(rest.strip_prefix(' ').unwrap_or(rest))
}

/// `[id` and what follows, where the element is whole.
fn element(text: &str) -> Option<(&str, &str)> {
    let rest = text.strip_prefix('[')?;
    let end = rest.find([' ', ']'])?;
    let (id, params) = rest.split_at(end);
    if id.is_empty() || id.contains(['"', '=']) {
        return None;
    }
    // An element that does not end properly is message, not half a field.
    let mut probe = params;
    while let Some((_, _, after)) = parameter(probe) {
        probe = after;
    }
    probe.starts_with(']').then_some((id, params))
}

/// ` name="value"`, with `\"`, `\\` and `\]` unescaped, and what follows.
fn parameter(text: &str) -> Option<(&str, Cow<'_, str>, &str)> {
    let rest = text.trim_start_matches(' ');
    if rest.len() == text.len() {
        return None;
    }
    let (name, rest) = rest.split_once("=\"")?;
    if name.is_empty() || name.contains([' ', ']', '"']) {
        return None;
    }
    let bytes = rest.as_bytes();
    let mut at = 0;
    loop {
        at += memchr::memchr2(b'"', b'\\', &bytes[at..])?;
        if bytes[at] == b'"' {
            break;
        }
        at += 2;
        if at > bytes.len() {
            return None;
        }
    }
    let value = &rest[..at];
    let value = if value.contains('\\') {
        let mut plain = String::with_capacity(value.len());
        let mut chars = value.chars();
        while let Some(c) = chars.next() {
            match (c, chars.clone().next()) {
                ('\\', Some(next @ ('"' | '\\' | ']'))) => {
                    plain.push(next);
                    chars.next();
                }
                _ => plain.push(c),
            }
        }
        Cow::Owned(plain)
    } else {
        Cow::Borrowed(value)
    };
    Some((name, value, &rest[at + 1..]))
}

/// RFC 3164 §4.1, with an ISO 8601 stamp where a sender prefers that, and without a host where it leaves it out.
fn rfc3164(draft: &mut Draft, text: &str) -> Result<(), RecordError> {
    let now = draft.now();
    let bytes = text.as_bytes();
    let found = match stamp::rfc3164(bytes, draft.zone(), now) {
        Some(found) => Some(found),
        None => stamp::iso(bytes, draft.zone()),
    };
    let Some((moment, end)) = found else { return tagged(draft, text) };
    draft.ts(moment, &text[..end])?;
    let rest = text[end..].trim_start_matches([' ', ':']);
    let Some((host, content)) = rest.split_once(' ') else { return message(draft, rest) };
    // `Dec 10 06:55:46 sshd[1]: text`: the host was left out (as some libc syslog() forwarders do).
    if host.ends_with(':') {
        return tagged(draft, rest);
    }
    draft.host(host)?;
    tagged(draft, content)
}

/// `program[pid]: text`.
fn tagged(draft: &mut Draft, text: &str) -> Result<(), RecordError> {
    const LONGEST: usize = 128;
    let head = &text.as_bytes()[..text.len().min(LONGEST)];
    let colon = head.iter().position(|b| matches!(b, b':' | b' '));
    match colon {
        Some(colon) if text.as_bytes()[colon] == b':' && colon > 0 => {
            let rest = &text[colon + 1..];
            let (app, pid) = split_tag(&text[..colon]);
            draft.text("app", app)?;
            if let Some(pid) = pid {
                draft.text("pid", pid)?;
            }
            message(draft, rest.strip_prefix(' ').unwrap_or(rest))
        }
        _ => message(draft, text),
    }
}

fn message(draft: &mut Draft, text: &str) -> Result<(), RecordError> {
    draft.message(text.trim_end_matches('\n'))
}

#[cfg(test)]
mod tests {
    use crate::protocol::Protocol;
    use crate::record::writer::testing::check;

    #[test]
    fn rfc5424_is_read() {
        check(
            Protocol::Syslog,
            "<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog - ID47 [exampleSDID@32473 iut=\"3\" \
             eventSource=\"App\\\"li\\]c\"][b@1 x=\"y\"] \u{feff}An application event",
            r#"{"source":"mymachine.example.com","ts":"2003-10-11T22:14:15.003000000Z","kind":"log","level":"notice",
                "message":"An application event",
                "s":{"facility":"local4","app":"evntslog","msgid":"ID47","exampleSDID@32473/iut":"3",
                     "exampleSDID@32473/eventSource":"App\"li]c","b@1/x":"y"}}"#,
        );
        check(
            Protocol::Syslog,
            "<34>1 - - - - - - octet-counted\n",
            r#"{"kind":"log","level":"critical","message":"octet-counted","s":{"facility":"auth"}}"#,
        );
        check(
            Protocol::Syslog,
            "<34>1 - - - - - -",
            r#"{"kind":"event","level":"critical","s":{"facility":"auth"}}"#,
        );
        check(
            Protocol::Syslog,
            "<34>1 - host su 77 - - 'su root' failed",
            r#"{"source":"host","kind":"log","level":"critical","message":"'su root' failed",
                "s":{"facility":"auth","app":"su","pid":"77"}}"#,
        );
        check(
            Protocol::Syslog,
            "<34>1 9999-01-01T00:00:00Z h - - - - late",
            r#"{"source":"h","kind":"log","level":"critical","message":"late",
                "s":{"facility":"auth","ts_given":"9999-01-01T00:00:00Z"}}"#,
        );
        check(
            Protocol::Syslog,
            "<34>1 - h - - - [broken x=\"1 text",
            r#"{"source":"h","kind":"log","level":"critical","message":"[broken x=\"1 text","s":{"facility":"auth"}}"#,
        );
        check(
            Protocol::Syslog,
            "<34>1 - h - - - [qgx@32473 token=\"qgx_abc\"][a b=\"c\"] m",
            r#"{"source":"h","kind":"log","level":"critical","message":"m","s":{"facility":"auth","a/b":"c"}}"#,
        );
    }

    #[test]
    fn rfc3164_is_read() {
        check(
            Protocol::Syslog,
            "<38>Dec 10 06:55:46 LabSZ sshd[24200]: Invalid user webmaster from 173.234.31.186",
            r#"{"source":"LabSZ","ts":"2025-12-09T21:55:46.000000000Z","kind":"log","level":"info",
                "message":"Invalid user webmaster from 173.234.31.186",
                "s":{"facility":"auth","app":"sshd","pid":"24200"}}"#,
        );
        check(
            Protocol::Syslog,
            "<13>2024-01-02T03:04:05.5+09:00 web-1 app: hello",
            r#"{"source":"web-1","ts":"2024-01-01T18:04:05.500000000Z","kind":"log","level":"notice",
                "message":"hello","s":{"facility":"user","app":"app"}}"#,
        );
        check(
            Protocol::Syslog,
            "<13>no header at all",
            r#"{"kind":"log","level":"notice","message":"no header at all","s":{"facility":"user"}}"#,
        );
        check(
            Protocol::Syslog,
            "<13>Dec 10 06:55:46 sshd[1]: text",
            r#"{"ts":"2025-12-09T21:55:46.000000000Z","kind":"log","level":"notice","message":"text",
                "s":{"facility":"user","app":"sshd","pid":"1"}}"#,
        );
        check(Protocol::Syslog, "<999>x", r#"{"kind":"log","message":"<999>x"}"#);
        check(Protocol::Syslog, "<", r#"{"kind":"log","message":"<"}"#);
    }
}
