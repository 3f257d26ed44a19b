//! QGX lines: the acknowledged protocol of the port (DESIGN section 4).

use crate::record::draft::TOKEN_NAME;
use crate::streams::RESERVED;
use bytes::{BufMut, BytesMut};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Longest name of a stream, in characters.
pub const STREAM_CHARS: usize = 64;

/// Highest `acked` there may be: 2^53, the last whole number that every JSON reader takes as it is (RFC 8259 §6).
pub const MOST_ACKED: u64 = 1 << 53;

/// What a client opens with: `HELLO {…}`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct Hello {
    /// Its credential.
    #[serde(default)]
    pub token: Option<String>,
    /// The source of its records.
    #[serde(default)]
    pub source: Option<String>,
    /// Its own name for this sequence of lines, to resume by.
    #[serde(default)]
    pub stream: Option<String>,
    /// The highest `ACK` it ever got on the stream, 0 where none: it has everything after it, and sends it again. `None`:
    /// it has no memory of the stream, and begins something new on it.
    #[serde(default)]
    pub acked: Option<u64>,
    /// Fields that each of its records has, such as the file that lines come from. A record's own of the same name stand
    /// beside them.
    #[serde(default)]
    pub fields: BTreeMap<String, String>,
}

/// Most fields that `HELLO` gives to all records.
pub const MOST_FIELDS: usize = 16;
/// Bytes of them together, names included: each record has them. A path may be so long (`PATH_MAX` of Linux).
const FIELDS_SIZE: usize = 4_608;
/// Longest name of such a field, in bytes.
const FIELD_NAME: usize = 255;

impl Hello {
    /// Reads the line.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn parse(line: &[u8]) -> Result<Self, String> {
        let json = line.strip_prefix(b"HELLO ").ok_or("expected HELLO {…}")?;
        let hello: Self =
            serde_json::from_slice(json).map_err(|error| format!("HELLO is not right: {error}"))?;
        if let Some(stream) = &hello.stream {
            let length = stream.chars().count();
            if length == 0 || length > STREAM_CHARS || stream.chars().any(char::is_control) {
                return Err(format!("stream must have 1 to {STREAM_CHARS} characters, none of them control"));
            }
            if let Some(reserved) = RESERVED.iter().find(|prefix| stream.starts_with(**prefix)) {
                return Err(format!(
                    "stream may not begin with {reserved}: such names are kept for QGX itself"
                ));
            }
        }
        if let Some(source) = &hello.source {
            domain::SourceKey::new(source).map_err(|error| error.to_string())?;
        }
        let named = |name: &String| !name.is_empty() && name.len() <= FIELD_NAME && name != TOKEN_NAME;
        let size: usize = hello.fields.iter().map(|(name, text)| name.len() + text.len()).sum();
        if hello.fields.len() > MOST_FIELDS || size > FIELDS_SIZE || !hello.fields.keys().all(named) {
            return Err(format!(
                "fields must be at most {MOST_FIELDS} texts with names of 1 to {FIELD_NAME} bytes, together at most \
                 {FIELDS_SIZE} bytes"
            ));
        }
        if hello.acked.is_some_and(|acked| acked > MOST_ACKED) {
            return Err(format!("acked must be at most {MOST_ACKED}"));
        }
        Ok(hello)
    }
}

/// `OK {"stream":…,"last_seq":…}`
pub fn ok(out: &mut BytesMut, stream: &str, last_seq: u64) {
    #[derive(Serialize)]
    struct Ok<'a> {
        stream: &'a str,
        last_seq: u64,
    }
    line(out, "OK ", &Ok { stream, last_seq });
}

/// `ACK n`: all lines up to `n` are durable or were answered by `NACK`.
pub fn ack(out: &mut BytesMut, sequence: u64) {
    out.put_slice(b"ACK ");
    out.put_slice(itoa::Buffer::new().format(sequence).as_bytes());
    out.put_u8(b'\n');
}

/// `NACK n {"code":…,"message":…}`: this line is bad for good.
pub fn nack(out: &mut BytesMut, sequence: u64, code: &str, message: &str) {
    #[derive(Serialize)]
    struct Nack<'a> {
        code: &'a str,
        message: &'a str,
    }
    out.put_slice(b"NACK ");
    out.put_slice(itoa::Buffer::new().format(sequence).as_bytes());
    line(out, " ", &Nack { code, message });
}

/// `ERR {"code":…,"message":…,"retry_after":…}`: the connection ends. `retry_after` in seconds.
pub fn err(out: &mut BytesMut, code: &str, message: &str, retry_after: Option<u64>) {
    #[derive(Serialize)]
    struct Err<'a> {
        code: &'a str,
        message: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after: Option<u64>,
    }
    line(out, "ERR ", &Err { code, message, retry_after });
}

fn line(out: &mut BytesMut, word: &str, body: &impl Serialize) {
    out.put_slice(word.as_bytes());
    // Strings and numbers cannot fail to serialise.
    out.put_slice(&serde_json::to_vec(body).unwrap_or_default());
    out.put_u8(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hello_is_read() {
        fn check(line: &str, expect: Result<(&str, &str, &str, Option<u64>), &str>) {
            let got = Hello::parse(line.as_bytes());
            let shown = got.as_ref().map_err(String::as_str).map(|hello| {
                let text = |field: &'_ Option<String>| field.clone().unwrap_or_default();
                (text(&hello.token), text(&hello.source), text(&hello.stream), hello.acked)
            });
            match (shown, expect) {
                (Ok((a, b, c, d)), Ok(expect)) => assert_eq!((a.as_str(), b.as_str(), c.as_str(), d), expect),
                (Err(got), Err(expect)) => assert!(got.contains(expect), "{got}"),
                other => panic!("{other:?}"),
            }
        }
        check(
            r#"HELLO {"token":"qgx_x","source":"pump-1","stream":"boot-7","acked":41}"#,
            Ok(("qgx_x", "pump-1", "boot-7", Some(41))),
        );
        check("HELLO {}", Ok(("", "", "", None)));
        check(r#"HELLO {"more":1}"#, Ok(("", "", "", None)));
        check(r#"HELLO {"acked":0}"#, Ok(("", "", "", Some(0))));
        check(r#"HELLO {"acked":null}"#, Ok(("", "", "", None)));
        check(r#"HELLO {"acked":-1}"#, Err("HELLO is not right"));
        check(r#"HELLO {"acked":9007199254740992}"#, Ok(("", "", "", Some(MOST_ACKED))));
        check(r#"HELLO {"acked":9007199254740993}"#, Err("acked must be at most 9007199254740992"));
        check(r#"HELLO {"acked":18446744073709551615}"#, Err("acked must be at most"));
        check(r#"HELLO {"stream":""}"#, Err("stream must have"));
        check(r#"HELLO {"source":"\u0000"}"#, Err("not a source key"));
        check(r#"HELLO {"fields":{"file":"/var/log/app.log"}}"#, Ok(("", "", "", None)));
        check(r#"HELLO {"fields":{"":"x"}}"#, Err("fields must be"));
        check(r#"HELLO {"fields":{"qgx_token":"qgx_x"}}"#, Err("fields must be"));
        check(r#"HELLO {"fields":{"n":1}}"#, Err("HELLO is not right"));
        check("HELLO {", Err("HELLO is not right"));
    }

    #[test]
    fn answers_are_lines() {
        let mut out = BytesMut::new();
        ok(&mut out, "boot-7", 41);
        ack(&mut out, 57);
        nack(&mut out, 58, "invalid_json", "not JSON: \"x\"");
        err(&mut out, "quota", "later", Some(30));
        err(&mut out, "bad_token", "no", None);
        let expect = r#"OK {"stream":"boot-7","last_seq":41}
ACK 57
NACK 58 {"code":"invalid_json","message":"not JSON: \"x\""}
ERR {"code":"quota","message":"later","retry_after":30}
ERR {"code":"bad_token","message":"no"}
"#;
        assert_eq!(std::str::from_utf8(&out).unwrap(), expect);
    }
}
