//! Finding what is to be masked. Each kind is bounded in length, so that every look is linear in the text.

use super::Kind;

/// A character of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece {
    /// `#`
    Digit,
    /// `@`
    Letter,
    /// Itself.
    Is(char),
}

/// A pattern's characters; `None` where nothing stands after a `\`.
pub(super) fn pieces(pattern: &str) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut characters = pattern.chars();
    while let Some(c) = characters.next() {
        pieces.push(match c {
            '#' => Piece::Digit,
            '@' => Piece::Letter,
            '\\' => Piece::Is(characters.next()?),
            c => Piece::Is(c),
        });
    }
    Some(pieces)
}

/// Calls `found` with the start and the end of each, in order and apart from each other.
pub(super) fn each(kind: Kind, pattern: &[Piece], bytes: &[u8], mut found: impl FnMut(usize, usize)) {
    match kind {
        Kind::KrRrn => resident_numbers(bytes, found),
        Kind::Email => addresses(bytes, found),
        Kind::Phone => numbers(bytes, phone, found),
        Kind::Card => numbers(bytes, card, found),
        Kind::Pattern => {
            let mut at = 0;
            while at < bytes.len() {
                let boundary = at == 0 || !is_word(bytes[at - 1]) || after_escape(bytes, at);
                match boundary.then(|| own(pattern, bytes, at)).flatten() {
                    Some(end) => {
                        found(at, end);
                        at = end;
                    }
                    None => at += 1,
                }
            }
        }
    }
}

/// What would make a number or a pattern part of something longer.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Whether an escape of JSON (RFC 8259 §7) ends here. In a frame that nobody could read, its letters and digits are no
/// part of what follows: `\ud654010-1234-5678`.
fn after_escape(bytes: &[u8], at: usize) -> bool {
    match &bytes[..at] {
        [.., b'\\', b'b' | b'f' | b'n' | b'r' | b't'] => true,
        [.., b'\\', b'u', a, b, c, d] => [a, b, c, d].iter().all(|digit| digit.is_ascii_hexdigit()),
        _ => false,
    }
}

/// How many digits stand here, looked at no further than `most` of them.
fn digits(bytes: &[u8], at: usize, most: usize) -> usize {
    bytes.iter().skip(at).take(most).take_while(|byte| byte.is_ascii_digit()).count()
}

fn resident_numbers(bytes: &[u8], mut found: impl FnMut(usize, usize)) {
    for dash in memchr::memchr_iter(b'-', bytes) {
        let (Some(start), end) = (dash.checked_sub(6), dash + 8) else { continue };
        if end > bytes.len() || !matches!(bytes[dash + 1], b'1'..=b'4') {
            continue;
        }
        let touches_digit = (start > 0 && bytes[start - 1].is_ascii_digit() && !after_escape(bytes, start))
            || bytes.get(end).is_some_and(u8::is_ascii_digit);
        if touches_digit || digits(bytes, start, 6) < 6 || digits(bytes, dash + 1, 7) < 7 {
            continue;
        }
        let two = |at: usize| (bytes[at] - b'0') * 10 + (bytes[at + 1] - b'0');
        if (1..=12).contains(&two(start + 2)) && (1..=31).contains(&two(start + 4)) {
            found(start, end);
        }
    }
}

/// Looks at every place where a number may begin.
fn numbers(
    bytes: &[u8],
    end_of: impl Fn(&[u8], usize) -> Option<usize>,
    mut found: impl FnMut(usize, usize),
) {
    let mut at = 0;
    while at < bytes.len() {
        let begins = (bytes[at].is_ascii_digit() || bytes[at] == b'+') && !goes_on(bytes, at);
        match begins.then(|| end_of(bytes, at)).flatten() {
            Some(end) => {
                found(at, end);
                at = end;
            }
            None => at += 1,
        }
    }
}

/// Whether what stands before makes this a part of something longer: `x1`, `3.1`, `7-1`, `+1`.
fn goes_on(bytes: &[u8], at: usize) -> bool {
    let Some(before) = at.checked_sub(1).map(|i| bytes[i]) else { return false };
    let joined =
        matches!(before, b'.' | b'-') && at.checked_sub(2).is_some_and(|i| bytes[i].is_ascii_digit());
    (is_word(before) && !after_escape(bytes, at)) || before == b'+' || joined
}

/// Where a number that ends here is not part of something longer.
fn alone(bytes: &[u8], end: usize) -> Option<usize> {
    let next = bytes.get(end).copied();
    let joined = matches!(next, Some(b'.' | b'-')) && bytes.get(end + 1).is_some_and(u8::is_ascii_digit);
    (!next.is_some_and(is_word) && !joined).then_some(end)
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b'-' | b'.' | b' ')
}

/// Where the telephone number ends that begins here.
fn phone(bytes: &[u8], at: usize) -> Option<usize> {
    let begins = match bytes[at] {
        b'+' => at + 1,
        // Some writers of JSON escape the plus.
        _ if bytes[..at].last_chunk::<6>().is_some_and(|plus| plus.eq_ignore_ascii_case(b"\\u002b")) => at,
        _ => return domestic(bytes, at, digits(bytes, at, 12)),
    };
    let country = digits(bytes, begins, 16);
    if bytes.get(begins..begins + 2) == Some(b"82") {
        // The country's code may touch the number: then the number alone tells where it ends.
        let national = match bytes.get(begins + 2) {
            Some(byte) if is_separator(*byte) => begins + 3,
            _ => begins + 2,
        };
        let first = digits(bytes, national, 12);
        return korean(bytes, national, first, b"");
    }
    let mut end = begins + country;
    let mut count = country;
    let mut spaces = true;
    while let Some(separator) = bytes.get(end).copied().filter(|byte| is_separator(*byte)) {
        // What stands after a space is another number, once others were parted by something else.
        spaces &= separator == b' ';
        let group = if spaces || separator != b' ' { digits(bytes, end + 1, 16) } else { 0 };
        if group == 0 || count + group > 15 {
            break;
        }
        (end, count) = (end + 1 + group, count + group);
    }
    if (8..=15).contains(&count) { alone(bytes, end) } else { None }
}

/// As people write it within Korea: with the leading zero.
fn domestic(bytes: &[u8], at: usize, first: usize) -> Option<usize> {
    korean(bytes, at, first, b"0")
}

/// A Korean number whose first group has so many digits and begins with `zero`: mobile and internet telephones in one
/// or three groups, others in three.
fn korean(bytes: &[u8], at: usize, first: usize, zero: &[u8]) -> Option<usize> {
    let group = bytes.get(at..at + first)?.strip_prefix(zero)?;
    if let [b'1', b'0' | b'1' | b'6'..=b'9', rest @ ..] = group
        && matches!(rest.len(), 7 | 8)
    {
        return alone(bytes, at + first);
    }
    let area = matches!(
        group,
        [b'2']
            | [b'1', b'0' | b'1' | b'6'..=b'9']
            | [b'3'..=b'6', b'0'..=b'5']
            | [b'7' | b'8', b'0']
            | [b'5', b'0', b'0'..=b'9']
    );
    let separator = bytes.get(at + first).copied().filter(|byte| is_separator(*byte) && area)?;
    let second_at = at + first + 1;
    let second = digits(bytes, second_at, 5);
    let third_at = second_at + second + 1;
    let complete = matches!(second, 3 | 4)
        && bytes.get(third_at - 1) == Some(&separator)
        && digits(bytes, third_at, 5) == 4;
    if complete { alone(bytes, third_at + 4) } else { None }
}

/// How cards group their digits, where they do.
const CARD_GROUPS: [&[usize]; 4] = [&[4, 4, 4, 4], &[4, 6, 5], &[4, 6, 4], &[4, 4, 4, 4, 3]];

/// Where the card's number ends that begins here.
fn card(bytes: &[u8], at: usize) -> Option<usize> {
    // With 1 begin airlines' cards, but also times in nanoseconds; with 0, 7 and 8 none that shops take.
    if !matches!(bytes[at], b'2'..=b'6' | b'9') {
        return None;
    }
    let together = digits(bytes, at, 20);
    if (13..=19).contains(&together) {
        return alone(bytes, at + together).filter(|end| luhn(&bytes[at..*end]));
    }
    let separator = *bytes.get(at + 4).filter(|byte| matches!(byte, b'-' | b' '))?;
    // The longest first: a shorter one may be its beginning.
    CARD_GROUPS.iter().rev().find_map(|groups| {
        let mut end = at;
        for (number, size) in groups.iter().enumerate() {
            if number > 0 {
                (bytes.get(end) == Some(&separator)).then_some(())?;
                end += 1;
            }
            (digits(bytes, end, size + 1) == *size).then_some(())?;
            end += size;
        }
        alone(bytes, end).filter(|end| luhn(&bytes[at..*end]))
    })
}

/// The check of ISO/IEC 7812-1, annex B, over the digits among the bytes.
fn luhn(bytes: &[u8]) -> bool {
    let digits = bytes.iter().rev().filter(|byte| byte.is_ascii_digit()).map(|byte| u32::from(byte - b'0'));
    let sum: u32 = digits
        .enumerate()
        .map(|(place, digit)| match (place % 2, digit * 2) {
            (0, _) => digit,
            (_, twice) => twice / 10 + twice % 10,
        })
        .sum();
    sum.is_multiple_of(10)
}

/// The longest local part (RFC 5321, 4.5.3.1.1).
const LOCAL: usize = 64;
/// The longest domain (RFC 5321, 4.5.3.1.2, as DNS allows it).
const DOMAIN: usize = 253;

fn addresses(bytes: &[u8], mut found: impl FnMut(usize, usize)) {
    let mut after = 0;
    for at in memchr::memchr_iter(b'@', bytes) {
        let part = |byte: &&u8| byte.is_ascii_alphanumeric() || b"._%+-".contains(byte);
        let local = bytes[after..at].iter().rev().take(LOCAL + 1).take_while(part).count();
        let domain = domain(&bytes[at + 1..]);
        // A dot at the beginning is a sentence's.
        let dots = bytes[at - local..at].iter().take_while(|byte| **byte == b'.').count();
        if (1..=LOCAL).contains(&local) && dots < local && domain > 0 {
            after = at + 1 + domain;
            found(at - local + dots, after);
        }
    }
}

/// How many bytes are a domain of at least two labels, the last of two letters or more.
fn domain(bytes: &[u8]) -> usize {
    let run = bytes.iter().take(DOMAIN + 1);
    let mut end = run.take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-')).count();
    // A sentence's dot, or a dash, is not the domain's.
    while end > 0 && !bytes[end - 1].is_ascii_alphanumeric() {
        end -= 1;
    }
    let labels: Vec<&[u8]> = bytes[..end].split(|byte| *byte == b'.').collect();
    let good = labels.iter().all(|label| (1..=63).contains(&label.len()));
    let last =
        labels.last().is_some_and(|label| label.len() >= 2 && label.iter().all(u8::is_ascii_alphabetic));
    if good && last && labels.len() >= 2 && end <= DOMAIN { end } else { 0 }
}

/// Where a tenant's own pattern ends that begins here.
fn own(pattern: &[Piece], bytes: &[u8], at: usize) -> Option<usize> {
    let mut end = at;
    for piece in pattern {
        let fits = match piece {
            Piece::Digit => bytes.get(end).is_some_and(u8::is_ascii_digit).then_some(1),
            Piece::Letter => bytes.get(end).is_some_and(u8::is_ascii_alphabetic).then_some(1),
            Piece::Is(c) => {
                let mut buffer = [0; 4];
                let own = c.encode_utf8(&mut buffer).as_bytes();
                bytes[end..].starts_with(own).then_some(own.len())
            }
        };
        end += fits?;
    }
    (!bytes.get(end).copied().is_some_and(is_word)).then_some(end)
}
