//! What must not be stored: resident registration numbers, and tokens of ours.

use std::borrow::Cow;

/// Finds 주민등록번호 in bytes: six digits that are a plausible date of birth, a hyphen, a digit 1–4 and six
/// more, not inside a longer run of digits. Calls `found` with the position of each.
fn resident_numbers(bytes: &[u8], mut found: impl FnMut(usize)) {
    for dash in memchr::memchr_iter(b'-', bytes) {
        let (Some(start), end) = (dash.checked_sub(6), dash + 8) else { continue };
        if end > bytes.len() || !matches!(bytes[dash + 1], b'1'..=b'4') {
            continue;
        }
        let digits = |part: &[u8]| part.iter().all(u8::is_ascii_digit);
        let touches_digit = (start > 0 && bytes[start - 1].is_ascii_digit())
            || bytes.get(end).is_some_and(u8::is_ascii_digit);
        if touches_digit || !digits(&bytes[start..dash]) || !digits(&bytes[dash + 1..end]) {
            continue;
        }
        let two = |at: usize| (bytes[at] - b'0') * 10 + (bytes[at + 1] - b'0');
        if (1..=12).contains(&two(start + 2)) && (1..=31).contains(&two(start + 4)) {
            found(start);
        }
    }
}

/// Masks the last seven digits of each 주민등록번호, keeping the length. Answers how many there were.
pub fn resident_numbers_in(bytes: &[u8]) -> (Cow<'_, [u8]>, u32) {
    let mut masked: Option<Vec<u8>> = None;
    let mut count = 0;
    resident_numbers(bytes, |start| {
        let copy = masked.get_or_insert_with(|| bytes.to_vec());
        copy[start + 7..start + 14].fill(b'*');
        count += 1;
    });
    (masked.map_or(Cow::Borrowed(bytes), Cow::Owned), count)
}

/// As [`resident_numbers_in`], for text.
pub fn resident_numbers_in_text(text: &str) -> (Cow<'_, str>, u32) {
    match resident_numbers_in(text.as_bytes()) {
        // Only ASCII digits were replaced, by ASCII.
        (Cow::Owned(bytes), count) => (Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()), count),
        (Cow::Borrowed(_), count) => (Cow::Borrowed(text), count),
    }
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

    #[test]
    fn resident_numbers_are_masked() {
        fn check(text: &str, expect: &str) {
            assert_eq!(resident_numbers_in_text(text).0, expect);
        }
        check("주민번호 900101-1234567 입니다", "주민번호 900101-******* 입니다");
        check("900101-1234567,851231-4234567", "900101-*******,851231-*******");
        check("900101-5234567", "900101-5234567");
        check("901301-1234567", "901301-1234567");
        check("900132-1234567", "900132-1234567");
        check("1900101-1234567", "1900101-1234567");
        check("900101-12345678", "900101-12345678");
        check("2024-01-02 -", "2024-01-02 -");
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
