//! What must not be stored in original bytes: what a tenant's rules name, and tokens of ours.

use super::charset;
use domain::masking::{Counts, Rules};

/// Original bytes as they may be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// As they came, but for what is hidden. Where the rules find more in the text than in the bytes, the masked text
    /// in UTF-8.
    pub bytes: Vec<u8>,
    /// A token was overwritten.
    pub token: bool,
    /// What the rules found.
    pub found: Counts,
}

/// Hides in original bytes what must not be stored. They need not be UTF-8.
pub fn original(rules: &Rules, bytes: &[u8]) -> Kept {
    let mut blanked = bytes.to_vec();
    let token = blank_tokens(&mut blanked);
    let (masked, found) = rules.in_bytes(&blanked);
    let decoded = charset::decode(&blanked);
    if decoded.charset.is_some() {
        // A character may end in what is a letter of ASCII, which seems to belong to what follows.
        let (text, more) = rules.in_text(&decoded.text);
        if more.more_than(&found) {
            return Kept { bytes: text.into_owned().into_bytes(), token, found: more };
        }
    }
    Kept { bytes: masked.into_owned(), token, found }
}

/// Length of a token's secret part.
const SECRET: usize = 40;

/// Blanks byte runs that look like a token (`qgx_` and forty letters or digits), keeping the length. Answers whether
/// there was one.
pub fn blank_tokens(bytes: &mut [u8]) -> bool {
    let found: Vec<usize> = memchr::memmem::find_iter(bytes, b"qgx_").collect();
    let mut blanked = false;
    for start in found {
        let from = start + 4;
        let run = bytes[from..].iter().take_while(|b| b.is_ascii_alphanumeric()).count();
        if run >= SECRET {
            bytes[from..from + run].fill(b'*');
            blanked = true;
        }
    }
    blanked
}

#[cfg(test)]
mod tests {
    use super::*;

    use domain::masking::{Action, Kind, Rule};

    #[test]
    fn originals_are_masked() {
        fn check(bytes: &[u8], expect: &[u8], found: u32) {
            let rule = Rule { kind: Kind::Phone, action: Action::Mask, pattern: String::new() };
            let kept = original(&Rules::new(vec![rule], [0; 32]).unwrap(), bytes);
            assert_eq!(
                (String::from_utf8_lossy(&kept.bytes), kept.found.total()),
                (String::from_utf8_lossy(expect), found)
            );
            assert!(!kept.token);
        }
        check(b"\xb9\xe8 010-1234-5678", b"\xb9\xe8 ***-****-5678", 1);
        check(b"\xff 010-1234-5678", b"\xff ***-****-5678", 1);
        // The last byte of a character of CP949 is a letter of ASCII: only as text the number stands alone.
        check(b"\x8c\x63010-1234-5678", "똠***-****-5678".as_bytes(), 1);
        check(b"\x8c\x63 x01012345678", b"\x8c\x63 x01012345678", 0);
    }

    #[test]
    fn what_only_the_text_shows_is_masked_though_the_bytes_show_as_much() {
        let rule = |kind| Rule { kind, action: Action::Mask, pattern: String::new() };
        let rules = Rules::new(vec![rule(Kind::Phone), rule(Kind::Email)], [0; 32]).unwrap();
        // In the bytes an address, in the text a number.
        let kept = original(&rules, b"\x8c\x63@example.com \x8c\x63010-1234-5678");
        let text = String::from_utf8(kept.bytes).unwrap();
        assert!(text.contains("***-****-5678"), "{text}");
    }

    #[test]
    fn tokens_are_blanked() {
        fn check(text: &str, expect: &str) {
            let mut bytes = text.as_bytes().to_vec();
            assert_eq!(blank_tokens(&mut bytes), text != expect);
            assert_eq!(String::from_utf8(bytes).unwrap(), expect);
        }
        let secret = "a1B2".repeat(10);
        check(&format!("t=qgx_{secret};"), &format!("t=qgx_{};", "*".repeat(40)));
        check("qgx_token", "qgx_token");
        check("qgx_", "qgx_");
    }
}
