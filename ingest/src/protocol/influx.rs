//! Influx line protocol: `measurement,tag=value field=1.5,other=3i 1700000000000000000`.
//!
//! A line counts as it only with a trailing timestamp, so that ordinary text is never mistaken for it. Tags become
//! strings under their names. A field named `value` becomes the measurement's own name; any other becomes
//! `measurement.field`; the measurement itself is the string `measurement`.

use crate::record::draft::TOKEN_NAME;
use crate::record::stamp;
use crate::record::{Draft, RecordError, Scalar};
use std::borrow::Cow;

/// A parsed line; names and values still escaped.
#[derive(Debug, PartialEq)]
pub struct Point<'a> {
    measurement: &'a str,
    tags: Vec<(&'a str, &'a str)>,
    fields: Vec<(&'a str, Value<'a>)>,
    timestamp: &'a str,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Value<'a> {
    Number(&'a str),
    Text(&'a str),
    Bool(bool),
}

/// Parses a line; `None` where it is anything else.
pub fn parse(line: &str) -> Option<Point<'_>> {
    let line = line.trim_end();
    let (body, timestamp) = line.rsplit_once(' ')?;
    let digits = timestamp.strip_prefix('-').unwrap_or(timestamp);
    if digits.is_empty() || digits.len() > 19 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (key, fields) = split_unescaped(body.trim_end(), b' ')?;
    let fields = fields.trim_start();
    let (measurement, mut rest) = match split_unescaped(key, b',') {
        Some((measurement, tags)) => (measurement, tags),
        None => (key, ""),
    };
    if measurement.is_empty() || measurement.starts_with('#') {
        return None;
    }
    let mut tags = Vec::new();
    while !rest.is_empty() {
        let (pair, after) = split_unescaped(rest, b',').unwrap_or((rest, ""));
        let (name, value) = split_unescaped(pair, b'=')?;
        if name.is_empty() || value.is_empty() {
            return None;
        }
        tags.push((name, value));
        rest = after;
    }
    let mut parsed = Vec::new();
    let mut rest = fields;
    loop {
        let (name, after) = split_unescaped(rest, b'=')?;
        if name.is_empty() || name.contains(' ') && !name.contains("\\ ") {
            return None;
        }
        let (value, after) = field_value(after)?;
        parsed.push((name, value));
        match after.strip_prefix(',') {
            Some(after) => rest = after,
            None if after.is_empty() => break,
            None => return None,
        }
    }
    Some(Point { measurement, tags, fields: parsed, timestamp })
}

/// Splits at the first delimiter that no backslash precedes.
fn split_unescaped(text: &str, delimiter: u8) -> Option<(&str, &str)> {
    let bytes = text.as_bytes();
    let mut from = 0;
    loop {
        let at = from + memchr::memchr2(delimiter, b'\\', &bytes[from..])?;
        if bytes[at] == delimiter {
            return Some((&text[..at], &text[at + 1..]));
        }
        from = at + 2;
        if from >= bytes.len() {
            return None;
        }
    }
}

/// A field's value and what follows it.
fn field_value(text: &str) -> Option<(Value<'_>, &str)> {
    if let Some(rest) = text.strip_prefix('"') {
        let bytes = rest.as_bytes();
        let mut at = 0;
        loop {
            at += memchr::memchr2(b'"', b'\\', &bytes[at..])?;
            if bytes[at] == b'"' {
                return Some((Value::Text(&rest[..at]), &rest[at + 1..]));
            }
            at += 2;
            if at > bytes.len() {
                return None;
            }
        }
    }
    let end = memchr::memchr(b',', text.as_bytes()).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    let value = match word {
        "t" | "T" | "true" | "True" | "TRUE" => Value::Bool(true),
        "f" | "F" | "false" | "False" | "FALSE" => Value::Bool(false),
        _ => Value::Number(number(word)?),
    };
    Some((value, rest))
}

/// An integer (`3i`), an unsigned one (`3u`) or a float, without its suffix.
fn number(word: &str) -> Option<&str> {
    if let Some(digits) = word.strip_suffix(['i', 'u']) {
        let body = digits.strip_prefix('-').unwrap_or(digits);
        let plain = !body.is_empty() && body.bytes().all(|b| b.is_ascii_digit());
        return plain.then_some(digits);
    }
    let numeric = word.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E'));
    (numeric && word.parse::<f64>().is_ok()).then_some(word)
}

fn unescape<'a>(text: &'a str, special: &[char]) -> Cow<'a, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match chars.next_if(|next| c == '\\' && special.contains(next)) {
            Some(escaped) => plain.push(escaped),
            None => plain.push(c),
        }
    }
    Cow::Owned(plain)
}

/// Puts a point into a draft.
///
/// # Errors
/// Where it breaks a limit.
pub fn read(draft: &mut Draft, point: &Point<'_>) -> Result<(), RecordError> {
    const NAME: [char; 3] = [',', '=', ' '];
    draft.mark_influx();
    if let Some(moment) = stamp::epoch(point.timestamp) {
        draft.ts(moment, point.timestamp)?;
    }
    let measurement = unescape(point.measurement, &NAME);
    draft.text("measurement", &measurement)?;
    for (name, value) in &point.tags {
        let (name, value) = (unescape(name, &NAME), unescape(value, &NAME));
        if name == TOKEN_NAME {
            draft.credential(&value);
        } else {
            // `host` and its like may name the source; other names of the envelope stay tags.
            draft.tag(&name, &value)?;
        }
    }
    for (name, value) in &point.fields {
        let name = unescape(name, &NAME);
        let name = if name == "value" { measurement.clone() } else { format!("{measurement}.{name}").into() };
        match value {
            Value::Bool(value) => draft.field(&name, Scalar::Bool(*value))?,
            Value::Text(text) => draft.text(&name, &unescape(text, &['"', '\\']))?,
            Value::Number(text) => match json_number(text) {
                // What its signs and zeros tell would be gone.
                Cow::Owned(_) if draft.hides(text) => draft.text(&name, text)?,
                number => draft.field(&name, Scalar::Number(&number))?,
            },
        }
    }
    Ok(())
}

/// A number as JSON writes it: no leading `+` or zeros, digits on both sides of the point.
fn json_number(text: &str) -> Cow<'_, str> {
    if serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok() {
        return Cow::Borrowed(text);
    }
    let body = text.trim_start_matches('+');
    let (sign, body) = body.strip_prefix('-').map_or(("", body), |body| ("-", body));
    let body = body.trim_start_matches('0');
    let (mantissa, exponent) = match body.find(['e', 'E']) {
        Some(at) => body.split_at(at),
        None => (body, ""),
    };
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let whole = if whole.is_empty() { "0" } else { whole };
    let part = if part.is_empty() { String::new() } else { format!(".{part}") };
    Cow::Owned(format!("{sign}{whole}{part}{exponent}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Protocol;
    use crate::record::writer::testing::check;
    use proptest::prelude::*;

    #[test]
    fn points_are_read() {
        check(
            Protocol::Lines,
            "cpu,host=web-1,region=부산 usage_idle=81.5,value=3i,ok=t,note=\"a \\\"b\\\" c\" 1700000000000000000",
            r#"{"source":"web-1","ts":"2023-11-14T22:13:20.000000000Z","kind":"metric",
                "n":{"cpu/usage_idle":81.5,"cpu":3},
                "s":{"measurement":"cpu","region":"부산","cpu/note":"a \"b\" c"},"b":{"cpu/ok":true}}"#,
        );
        check(
            Protocol::Lines,
            "my\\ m,tag\\,k=va\\=l\\ ue f=-.5,g=+007,h=1e400 1700000000",
            r#"{"ts":"2023-11-14T22:13:20.000000000Z","kind":"metric",
                "n":{"my m/f":-0.5,"my m/g":7},"s":{"measurement":"my m","tag,k":"va=l ue","my m/h":"1e400"}}"#,
        );
        check(
            Protocol::Lines,
            "m value=18446744073709551615u 1700000000000",
            r#"{"ts":"2023-11-14T22:13:20.000000000Z","kind":"metric",
                "s":{"measurement":"m","m":"18446744073709551615"}}"#,
        );
    }

    #[test]
    fn text_is_not_mistaken_for_a_point() {
        for line in [
            "cpu value=1",
            "took a=1 b=2 in 500",
            "user logged in 1700000000",
            "x=1 1700000000",
            "m f= 1",
            "m f=1x 1",
            ",a=b f=1 1",
            "m,a f=1 1",
            "# m f=1 1",
            "",
            "1",
        ] {
            assert_eq!(parse(line), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_text_is_no_trouble(line in "([a-z]{1,3}|[,= \\\\\"ti0-9.e+-]){0,24}") {
            if let Some(point) = parse(&line) {
                for (_, value) in &point.fields {
                    if let Value::Number(text) = value {
                        let json = json_number(text);
                        prop_assert!(serde_json::from_str::<&serde_json::value::RawValue>(&json).is_ok(), "{}", json);
                    }
                }
            }
        }
    }
}
