//! Bytes to text: UTF-8, else CP949, else what can be saved of it.

use std::borrow::Cow;

/// A frame as text.
#[derive(Debug, PartialEq, Eq)]
pub struct Decoded<'a> {
    /// The text.
    pub text: Cow<'a, str>,
    /// The charset it had, where that was not UTF-8; the original bytes are then kept.
    pub charset: Option<&'static str>,
}

/// Decodes a frame. What is not UTF-8 but valid CP949 (windows-949, the Korean legacy charset) is CP949; of the
/// rest, each undecodable byte becomes U+FFFD.
pub fn decode(bytes: &[u8]) -> Decoded<'_> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Decoded { text: Cow::Borrowed(text), charset: None };
    }
    match encoding_rs::EUC_KR.decode_without_bom_handling_and_without_replacement(bytes) {
        Some(text) => Decoded { text, charset: Some("cp949") },
        None => Decoded { text: String::from_utf8_lossy(bytes), charset: Some("unknown") },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn charsets_are_told_apart() {
        fn check(bytes: &[u8], text: &str, charset: Option<&str>) {
            let decoded = decode(bytes);
            assert_eq!((decoded.text.as_ref(), decoded.charset), (text, charset));
        }
        check("배송 ㅋㅋ".as_bytes(), "배송 ㅋㅋ", None);
        check(b"\xb9\xe8\xbc\xdb \xa4\xbb\xa4\xbb", "배송 ㅋㅋ", Some("cp949"));
        // A syllable that only the windows-949 extension has.
        check(b"\x8c\x63\xb9\xe6\xb0\xa2\xc7\xcf", "똠방각하", Some("cp949"));
        check(b"caf\xe9", "caf\u{fffd}", Some("unknown"));
        check(b"a\xff\xffb", "a\u{fffd}\u{fffd}b", Some("unknown"));
        check(b"", "", None);
    }
}
