//! The small encodings inside a pack: LEB128 numbers and strings with their length in front.

/// A pack that does not say what it should. Its checksum was right, so it was written that way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a pack of the log cannot be decoded")]
pub struct Malformed;

/// Appends an unsigned number in 1 to 10 bytes.
pub fn put_number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a string, its length in bytes first.
pub fn put_text(out: &mut Vec<u8>, text: &str) {
    put_number(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Small distances, backwards too, as small numbers (zigzag of the wrapped difference).
pub fn zigzag(from: u64, to: u64) -> u64 {
    let distance = to.wrapping_sub(from).cast_signed();
    (distance.wrapping_shl(1) ^ (distance >> 63)).cast_unsigned()
}

/// The inverse of [`zigzag`].
pub fn unzigzag(from: u64, distance: u64) -> u64 {
    let distance = (distance >> 1).cast_signed() ^ -((distance & 1).cast_signed());
    from.wrapping_add(distance.cast_unsigned())
}

/// Reads front to back.
pub struct Cursor<'a>(pub &'a [u8]);

impl<'a> Cursor<'a> {
    /// The next number.
    pub fn number(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for (at, byte) in self.0.iter().enumerate().take(10) {
            value |= u64::from(byte & 0x7f) << (7 * at);
            if byte & 0x80 == 0 {
                self.0 = &self.0[at + 1..];
                return Ok(value);
            }
        }
        Err(Malformed)
    }

    /// The next number, as a length.
    pub fn length(&mut self) -> Result<usize, Malformed> {
        usize::try_from(self.number()?).map_err(|_| Malformed)
    }

    /// The next string.
    pub fn text(&mut self) -> Result<&'a str, Malformed> {
        let length = self.length()?;
        let (text, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        std::str::from_utf8(text).map_err(|_| Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_and_texts_come_back(number: u64, text: String, from: u64, to: u64) {
            let mut out = Vec::new();
            put_number(&mut out, number);
            put_text(&mut out, &text);
            put_number(&mut out, zigzag(from, to));
            let mut cursor = Cursor(&out);
            prop_assert_eq!(cursor.number(), Ok(number));
            prop_assert_eq!(cursor.text(), Ok(text.as_str()));
            prop_assert_eq!(unzigzag(from, cursor.number()?), to);
            prop_assert!(cursor.0.is_empty());
            prop_assert_eq!(cursor.number(), Err(Malformed));
        }
    }
}
