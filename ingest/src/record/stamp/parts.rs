//! What stamps are made of.

/// Reads `count` digits.
pub(super) fn digits(bytes: &[u8], at: usize, count: usize) -> Option<i64> {
    let mut value = 0;
    for byte in bytes.get(at..at + count)? {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + i64::from(digit);
    }
    Some(value)
}

/// Reads a fraction after `.` or `,`: nanoseconds and how many bytes it took.
fn fraction(bytes: &[u8]) -> (u32, usize) {
    if !matches!(bytes.first(), Some(b'.' | b',')) || !bytes.get(1).is_some_and(u8::is_ascii_digit) {
        return (0, 0);
    }
    let (mut nanos, mut unit, mut used) = (0, 100_000_000, 1);
    while let Some(byte) = bytes.get(used).filter(|b| b.is_ascii_digit()) {
        nanos += u32::from(byte - b'0') * unit;
        unit /= 10;
        used += 1;
    }
    (nanos, used)
}

/// Reads `Z`, `+09:00`, `+0900` or `+09`: seconds east of UTC and how many bytes it took.
pub(super) fn offset(bytes: &[u8]) -> Option<(i64, usize)> {
    let sign = match bytes.first()? {
        b'Z' | b'z' => return Some((0, 1)),
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let hours = digits(bytes, 1, 2)?;
    let (minutes, used) = if bytes.get(3) == Some(&b':') {
        (digits(bytes, 4, 2)?, 6)
    } else if let Some(minutes) = digits(bytes, 3, 2) {
        (minutes, 5)
    } else {
        (0, 3)
    };
    (hours < 24 && minutes < 60).then_some((sign * (hours * 3_600 + minutes * 60), used))
}

/// Reads `hh:mm` or `hh:mm:ss`, with a fraction.
pub(super) fn clock(bytes: &[u8]) -> Option<(i64, i64, i64, u32, usize)> {
    let (hour, minute) = (digits(bytes, 0, 2)?, digits(bytes, 3, 2)?);
    if bytes[2] != b':' {
        return None;
    }
    if bytes.get(5) != Some(&b':') {
        return Some((hour, minute, 0, 0, 5));
    }
    let second = digits(bytes, 6, 2)?;
    let (nanos, used) = fraction(&bytes[8..]);
    Some((hour, minute, second, nanos, 8 + used))
}

pub(super) fn month(name: &[u8]) -> Option<i64> {
    const NAMES: [&[u8; 3]; 12] =
        [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
    let index = NAMES.iter().position(|known| known.as_slice() == name)?;
    i64::try_from(index + 1).ok()
}
