//! Frames: how packs stand in a segment file.
//!
//! A frame is a head of 48 bytes and a body, all numbers little-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 4 | magic `QPK1` |
//! | 4 | CRC32C of the following 40 bytes, seeded with the segment's salt |
//! | 4 | CRC32C of the body |
//! | 4 | length of the body |
//! | 4 | partition |
//! | 4 | count of records |
//! | 8 | offset of the first record |
//! | 8 | when it was appended, epoch nanoseconds |
//! | 8 | bytes of all earlier frames of the partition |
//!
//! The salt is random and never leaves the file, so that bytes inside a payload cannot pass for a frame when a torn
//! tail or damage makes the reader look for the next one.

use bytes::Bytes;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

/// Bytes of a frame's head.
pub const HEAD: usize = 48;
const MAGIC: [u8; 4] = *b"QPK1";
/// Bytes read at once while looking through a file.
const WINDOW: usize = 64 * 1024;

/// The head of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// CRC32C of the body.
    pub body_crc: u32,
    /// Bytes of the body.
    pub body_len: u32,
    /// The partition.
    pub partition: u32,
    /// How many records.
    pub count: u32,
    /// The offset of the first.
    pub first: u64,
    /// Epoch nanoseconds.
    pub appended_at: i64,
    /// Bytes of the partition's earlier frames, since ever.
    pub before: u64,
}

impl Head {
    /// The offset after the last record.
    pub fn next(&self) -> u64 {
        self.first + u64::from(self.count)
    }

    /// Bytes of the frame.
    pub fn size(&self) -> u64 {
        HEAD as u64 + u64::from(self.body_len)
    }

    /// The head as it stands in a segment with this salt.
    pub fn encode(&self, salt: u64) -> [u8; HEAD] {
        let mut out = [0; HEAD];
        out[..4].copy_from_slice(&MAGIC);
        out[8..12].copy_from_slice(&self.body_crc.to_le_bytes());
        out[12..16].copy_from_slice(&self.body_len.to_le_bytes());
        out[16..20].copy_from_slice(&self.partition.to_le_bytes());
        out[20..24].copy_from_slice(&self.count.to_le_bytes());
        out[24..32].copy_from_slice(&self.first.to_le_bytes());
        out[32..40].copy_from_slice(&self.appended_at.to_le_bytes());
        out[40..48].copy_from_slice(&self.before.to_le_bytes());
        let crc = salted_crc(salt, &out[8..]);
        out[4..8].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads a head; `None` where the bytes are none.
    pub fn decode(bytes: &[u8], salt: u64) -> Option<Self> {
        let (magic, rest) = bytes.get(..HEAD)?.split_first_chunk::<4>()?;
        let (crc, rest) = rest.split_first_chunk::<4>()?;
        if *magic != MAGIC || u32::from_le_bytes(*crc) != salted_crc(salt, rest) {
            return None;
        }
        let word = |at: usize| Some(u32::from_le_bytes(*rest[at..].first_chunk()?));
        let double = |at: usize| Some(u64::from_le_bytes(*rest[at..].first_chunk()?));
        Some(Self {
            body_crc: word(0)?,
            body_len: word(4)?,
            partition: word(8)?,
            count: word(12)?,
            first: double(16)?,
            appended_at: double(24)?.cast_signed(),
            before: double(32)?,
        })
    }
}

fn salted_crc(salt: u64, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&salt.to_le_bytes()), bytes)
}

/// A frame's place in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// Its head.
    pub head: Head,
    /// Where the head starts.
    pub at: u64,
}

/// Walks through the frames of a file, over damage to the next whole frame.
pub struct Frames {
    file: File,
    salt: u64,
    at: u64,
    end: u64,
    window: Vec<u8>,
    window_at: u64,
    #[cfg(test)]
    refills: usize,
    /// Bytes passed over because they were no frame.
    pub damaged: u64,
}

impl Frames {
    /// The frames between two positions; the first must be the start of a frame.
    pub fn new(file: File, salt: u64, at: u64, end: u64) -> Self {
        Self {
            file,
            salt,
            at,
            end,
            window: Vec::new(),
            window_at: 0,
            #[cfg(test)]
            refills: 0,
            damaged: 0,
        }
    }

    /// The next frame whose head is right and whose body lies before the end.
    pub fn advance(&mut self) -> io::Result<Option<Found>> {
        loop {
            let (at, salt) = (self.at, self.salt);
            let bytes = self.look(at, HEAD)?;
            if bytes.len() < HEAD {
                self.damaged += bytes.len() as u64;
                return Ok(None);
            }
            match Head::decode(bytes, salt) {
                Some(head) if at + head.size() <= self.end => {
                    self.at = at + head.size();
                    return Ok(Some(Found { head, at }));
                }
                _ => self.skip_to_magic()?,
            }
        }
    }

    /// Moves to the next bytes that look like a head, past what was read, or to the end. What is in memory is searched
    /// before more is read: bytes that look like many heads must not make it read the same ones again and again.
    fn skip_to_magic(&mut self) -> io::Result<()> {
        let (from, end) = (self.at + 1, self.end);
        let held = (self.window_at + self.window.len() as u64).saturating_sub(from);
        let held = usize::try_from(held).unwrap_or(WINDOW);
        let enough = (MAGIC.len()..=WINDOW).contains(&held) && from >= self.window_at;
        let bytes = self.look(from, if enough { held } else { WINDOW })?;
        let near = bytes.windows(MAGIC.len()).position(|it| it == MAGIC);
        // Its last bytes may be the first of a magic.
        let last = bytes.len() < MAGIC.len() || from + bytes.len() as u64 >= end;
        let skip = match near {
            Some(near) => near as u64,
            None if last => bytes.len() as u64,
            None => (bytes.len() - MAGIC.len() + 1) as u64,
        };
        self.damaged += from + skip - self.at;
        self.at = from + skip;
        Ok(())
    }

    /// The body of a frame; `None` where its checksum is wrong.
    pub fn body(&mut self, found: &Found) -> io::Result<Option<Bytes>> {
        let start = found.at + HEAD as u64;
        let length = found.head.body_len as usize;
        let body = if length <= WINDOW / 2 {
            Bytes::copy_from_slice(self.look(start, length)?)
        } else {
            self.file.seek(SeekFrom::Start(start))?;
            let mut body = Vec::with_capacity(length);
            Read::by_ref(&mut self.file).take(length as u64).read_to_end(&mut body)?;
            Bytes::from(body)
        };
        let whole = body.len() == length && crc32c::crc32c(&body) == found.head.body_crc;
        if !whole {
            self.damaged += found.head.size();
        }
        Ok(whole.then_some(body))
    }

    /// `length` bytes at a position, fewer before the end.
    fn look(&mut self, at: u64, length: usize) -> io::Result<&[u8]> {
        let length = length.min(usize::try_from(self.end.saturating_sub(at)).unwrap_or(usize::MAX));
        let held = self.window_at..self.window_at + self.window.len() as u64;
        if !(held.contains(&at) && at + length as u64 <= held.end) {
            let room = self.end.saturating_sub(at).min(WINDOW as u64);
            #[cfg(test)]
            {
                self.refills += 1;
            }
            self.window.clear();
            self.window_at = at;
            self.file.seek(SeekFrom::Start(at))?;
            Read::by_ref(&mut self.file).take(room).read_to_end(&mut self.window)?;
        }
        let start = usize::try_from(at - self.window_at).unwrap_or(usize::MAX);
        let end = (start + length).min(self.window.len());
        Ok(self.window.get(start..end).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const SALT: u64 = 42;

    fn frame(first: u64, body: &[u8], salt: u64) -> Vec<u8> {
        let head = Head {
            body_crc: crc32c::crc32c(body),
            body_len: body.len() as u32,
            partition: 3,
            count: 1,
            first,
            appended_at: -5,
            before: 7,
        };
        [&head.encode(salt)[..], body].concat()
    }

    /// Writes `pieces` one after the other and checks which first offsets with whole bodies are found.
    fn check(pieces: &[Vec<u8>], expect: &[u64], damaged: usize) {
        let mut file = tempfile::tempfile().unwrap();
        let bytes = pieces.concat();
        file.write_all(&bytes).unwrap();
        let mut frames = Frames::new(file, SALT, 0, bytes.len() as u64);
        let mut seen = Vec::new();
        while let Some(found) = frames.advance().unwrap() {
            if frames.body(&found).unwrap().is_some() {
                assert_eq!((found.head.partition, found.head.appended_at, found.head.before), (3, -5, 7));
                seen.push(found.head.first);
            }
        }
        assert_eq!(seen, expect);
        assert_eq!(frames.damaged, damaged as u64);
    }

    #[test]
    fn finds_whole_frames_only() {
        let big = vec![b'x'; 3 * WINDOW];
        let (a, b, c) = (frame(1, b"a", SALT), frame(2, &big, SALT), frame(3, b"", SALT));
        check(&[], &[], 0);
        check(&[a.clone(), b.clone(), c.clone()], &[1, 2, 3], 0);
        // A torn tail, at every length.
        for kept in 0..a.len() {
            check(&[b.clone(), a[..kept].to_vec()], &[2], kept);
        }
        // Damage in the middle.
        check(&[a.clone(), vec![0; 100], c.clone()], &[1, 3], 100);
        check(&[a.clone(), vec![0; 2 * WINDOW], c.clone()], &[1, 3], 2 * WINDOW);
        let mut bad_body = b.clone();
        bad_body[HEAD + 5] ^= 1;
        check(&[a.clone(), bad_body, c.clone()], &[1, 3], b.len());
        let mut bad_head = b.clone();
        bad_head[20] ^= 1;
        check(&[a, bad_head, c], &[1, 3], b.len());
    }

    #[test]
    fn what_looks_like_heads_is_read_once() {
        let mut file = tempfile::tempfile().unwrap();
        let bytes = MAGIC.repeat(8 * WINDOW / MAGIC.len());
        file.write_all(&bytes).unwrap();
        let mut frames = Frames::new(file, SALT, 0, bytes.len() as u64);
        assert_eq!(frames.advance().unwrap(), None);
        assert_eq!(frames.damaged, bytes.len() as u64);
        assert!(frames.refills <= 10, "{} reads of 8 windows", frames.refills);
    }

    #[test]
    fn a_payload_cannot_pass_for_a_frame() {
        let forged = frame(666, b"forged", SALT + 1);
        let outer = frame(1, &forged, SALT);
        check(&[outer[..outer.len() - 1].to_vec()], &[], outer.len() - 1);
    }
}
