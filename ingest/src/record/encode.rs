//! JSON text (RFC 8259), written by hand: the hot path makes no tree of values.

use bytes::BufMut;

/// Whether a byte must be escaped inside a JSON string (§7).
const fn special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// Length of the longest prefix that needs no escape. Looks at eight bytes at a time.
fn clean_prefix(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let (chunks, _) = bytes.as_chunks::<8>();
    let mut at = 0;
    for chunk in chunks {
        let word = u64::from_le_bytes(*chunk);
        // The classic "has a byte less than n" test; bytes above 0x7f are excluded by `!word`.
        let control = word.wrapping_sub(ONES * 0x20) & !word;
        let quote = word ^ (ONES * 0x22);
        let backslash = word ^ (ONES * 0x5c);
        let found =
            (control | (quote.wrapping_sub(ONES) & !quote) | (backslash.wrapping_sub(ONES) & !backslash))
                & HIGH;
        if found != 0 {
            break;
        }
        at += 8;
    }
    at + bytes[at..].iter().position(|b| special(*b)).unwrap_or(bytes.len() - at)
}

/// Appends `text` as the inside of a JSON string, without the quotes.
pub fn escape(out: &mut impl BufMut, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut rest = text.as_bytes();
    loop {
        let clean = clean_prefix(rest);
        out.put_slice(&rest[..clean]);
        let Some(&byte) = rest.get(clean) else { return };
        match byte {
            b'"' => out.put_slice(b"\\\""),
            b'\\' => out.put_slice(b"\\\\"),
            b'\n' => out.put_slice(b"\\n"),
            b'\r' => out.put_slice(b"\\r"),
            b'\t' => out.put_slice(b"\\t"),
            control => out.put_slice(&[
                b'\\',
                b'u',
                b'0',
                b'0',
                HEX[usize::from(control >> 4)],
                HEX[usize::from(control & 15)],
            ]),
        }
        rest = &rest[clean + 1..];
    }
}

/// Appends `text` as a JSON string.
pub fn string(out: &mut impl BufMut, text: &str) {
    out.put_u8(b'"');
    escape(out, text);
    out.put_u8(b'"');
}

/// What a number's text is worth (DESIGN section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumberClass {
    /// An `f64` holds it.
    Number,
    /// Beyond ±2⁵³ as an integer, or beyond `f64`: it stays text.
    Text,
}

/// Classifies a number written as JSON writes it.
pub fn classify_number(text: &str) -> NumberClass {
    let bytes = text.as_bytes();
    let integer = !bytes.iter().any(|b| matches!(b, b'.' | b'e' | b'E'));
    // Fifteen digits are below 2⁵³; without an exponent, no text this short leaves the range of f64.
    if bytes.len() <= 15 && (integer || !bytes.iter().any(|b| matches!(b, b'e' | b'E'))) {
        return NumberClass::Number;
    }
    if integer {
        return match text.parse::<i64>() {
            Ok(value) if value.unsigned_abs() <= 1 << 53 => NumberClass::Number,
            _ => NumberClass::Text,
        };
    }
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => NumberClass::Number,
        _ => NumberClass::Text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn strings_are_escaped() {
        fn check(text: &str, expect: &str) {
            let mut out = Vec::new();
            string(&mut out, text);
            assert_eq!(String::from_utf8(out).unwrap(), expect);
        }
        check("", r#""""#);
        check("plain", r#""plain""#);
        check("a\"b\\c\nd\te\0f\u{1f}", r#""a\"b\\c\nd\te\u0000f\u001f""#);
        check("부산 GPU온도 ㅋㅋ", "\"부산 GPU온도 ㅋㅋ\"");
        check(
            "long enough for words of eight, then a quote\"",
            "\"long enough for words of eight, then a quote\\\"\"",
        );
    }

    #[test]
    fn numbers_that_f64_cannot_hold_are_text() {
        fn check(text: &str, expect: NumberClass) {
            assert_eq!(classify_number(text), expect, "{text}");
        }
        check("0", NumberClass::Number);
        check("-81.25", NumberClass::Number);
        check("1e300", NumberClass::Number);
        check("9007199254740992", NumberClass::Number);
        check("-9007199254740992", NumberClass::Number);
        check("9007199254740993", NumberClass::Text);
        check("123456789012345678901234567890", NumberClass::Text);
        check("1e309", NumberClass::Text);
        check("-1e999", NumberClass::Text);
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(text in ".{0,80}|[\\x00-\\x7f]{0,40}") {
            let mut out = Vec::new();
            string(&mut out, &text);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }
    }
}
