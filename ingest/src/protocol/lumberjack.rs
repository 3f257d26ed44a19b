//! Lumberjack version 2, as Beats, Logstash and go-lumber speak it
//! (<https://github.com/elastic/go-lumber/blob/main/protocol/v2/protocol.go>).
//!
//! A window `2W` says how many records follow: each `2J` with its sequence and JSON, or many of them together as zlib in
//! `2C`. When all of a window is durable, `2A` with the last sequence is owed; less may be acknowledged on the way. The
//! protocol has no way to refuse: whoever breaks it is disconnected, and sends what was not acknowledged again.

mod inflate;

use super::dialogue::Found;
use super::frame::Skipping;
use crate::record::RecordError;
use bytes::{Buf, BufMut, BytesMut};
use inflate::{EXPANDED, Layer, More, PRICE, Spare};

/// Compressed frames within each other, at most.
const LAYERS: usize = 4;
/// Bytes inflated, after which it is others' turn, whatever was found in them.
const TURN: u64 = 1 << 20;
/// Frames over the limit that the bytes of somebody unknown may become before a record is found in them.
const STRANGERS: u64 = 16;
/// Bytes of the headers of window and compressed frames, and of a record's.
const HEADER: usize = 6;
const RECORD_HEADER: usize = 10;

/// Reads a connection.
#[derive(Debug)]
pub struct Reader {
    limit: usize,
    /// Records that the window has still to bring.
    left: u32,
    /// Of the record found last.
    sequence: u32,
    /// Taken, and not acknowledged.
    due: Option<u32>,
    /// Compressed frames being read, the outermost first.
    layers: Vec<Layer>,
    /// What the outermost compressed frame became so far, with the price of those within it.
    expanded: u64,
    /// What that may be at most.
    most: u64,
    /// Inflated since it was others' turn, with the price of frames.
    turn: u64,
    /// A state to be used again, while there is more to read.
    spare: Option<Spare>,
    /// The rest of a record over the limit, and how long that is.
    skipping: Option<(Skipping, usize)>,
}

/// What stands at the start of the innermost bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Head {
    Window(u32),
    Record {
        sequence: u32,
        length: usize,
    },
    Compressed(usize),
    /// So many bytes are needed to know.
    Need(usize),
    Broken(&'static str),
}

fn head(bytes: &[u8]) -> Head {
    let word = |at: usize| match bytes[at..].first_chunk::<4>() {
        Some(word) => u32::from_be_bytes(*word),
        None => 0,
    };
    match bytes {
        [] | [b'2'] => Head::Need(2),
        [b'2', b'J', ..] if bytes.len() < RECORD_HEADER => Head::Need(RECORD_HEADER),
        [b'2', b'J', ..] => Head::Record { sequence: word(2), length: word(6) as usize },
        [b'2', b'W' | b'C', ..] if bytes.len() < HEADER => Head::Need(HEADER),
        [b'2', b'W', ..] => Head::Window(word(2)),
        [b'2', b'C', ..] => Head::Compressed(word(2) as usize),
        _ => Head::Broken("expected a frame of Lumberjack version 2"),
    }
}

impl Reader {
    /// For records of at most `limit` bytes, of somebody who is not known yet.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            left: 0,
            sequence: 0,
            due: None,
            layers: Vec::new(),
            expanded: 0,
            most: (limit as u64).saturating_mul(STRANGERS).saturating_add(TURN).min(EXPANDED),
            turn: 0,
            spare: None,
            skipping: None,
        }
    }

    /// It is known who it is: what is inflated may become as large as windows are.
    pub fn admit(&mut self) {
        self.most = EXPANDED;
    }

    /// See [`super::dialogue::Dialogue::next`].
    pub fn next(&mut self, buffer: &mut BytesMut) -> Found {
        loop {
            let need = if self.skipping.is_some() {
                if let Some(found) = self.skip(buffer) {
                    return found;
                }
                1
            } else {
                match self.step(buffer) {
                    Ok(Some(found)) => return found,
                    Ok(None) => continue,
                    Err(need) => need,
                }
            };
            // Records count as well: blank ones leave nothing behind that would end the turn.
            if self.turn > TURN {
                self.turn = 0;
                return Found::Aside;
            }
            let before = self.expanded;
            let more = inflate::fill(&mut self.layers, buffer, need, &mut self.expanded, self.most);
            self.turn += self.expanded - before;
            match more {
                More::Grew => {}
                More::Starved => {
                    if self.layers.is_empty() {
                        self.spare = None;
                    }
                    return Found::Partial;
                }
                More::Ended if self.skipping.is_some() => {
                    return broken("a compressed frame ends within a record");
                }
                More::Ended => {
                    let Some(layer) = self.layers.pop() else { return Found::Partial };
                    if !layer.fruitful {
                        return broken("a compressed Lumberjack frame without a record");
                    }
                    self.spare = Some(layer.into_spare());
                    if self.layers.is_empty() {
                        self.expanded = 0;
                    }
                }
                More::Broken(reason) => return broken(reason),
            }
        }
    }

    /// Takes a frame off the innermost bytes; `Err`: so many are needed.
    fn step(&mut self, buffer: &mut BytesMut) -> Result<Option<Found>, usize> {
        let depth = self.layers.len();
        let bytes = self.layers.last_mut().map_or(buffer, |layer| &mut layer.out);
        match head(bytes) {
            Head::Need(count) => return Err(count),
            Head::Broken(reason) => return Ok(Some(broken(reason))),
            Head::Window(_) if self.left > 0 => {
                return Ok(Some(broken("a Lumberjack window before the last one was whole")));
            }
            Head::Window(count) => {
                bytes.advance(HEADER);
                self.left = count;
            }
            Head::Record { .. } | Head::Compressed(_) if self.left == 0 => {
                return Ok(Some(broken("a Lumberjack frame outside a window")));
            }
            Head::Record { sequence, length } if length > self.limit => {
                bytes.advance(RECORD_HEADER);
                self.sequence = sequence;
                self.skipping = Some((Skipping::default(), length));
                self.layers.iter_mut().for_each(|layer| layer.fruitful = true);
            }
            Head::Record { sequence, length } => {
                if bytes.len() < RECORD_HEADER + length {
                    return Err(RECORD_HEADER + length);
                }
                let mut frame = bytes.split_to(RECORD_HEADER + length);
                frame.advance(RECORD_HEADER);
                self.sequence = sequence;
                self.layers.iter_mut().for_each(|layer| layer.fruitful = true);
                return Ok(Some(Found::Record(frame.freeze())));
            }
            Head::Compressed(_) if depth >= LAYERS => {
                return Ok(Some(broken("compressed Lumberjack frames are nested too deeply")));
            }
            Head::Compressed(length) => {
                bytes.advance(HEADER);
                self.layers.push(Layer::new(length, self.spare.take()));
                self.expanded += PRICE;
                self.turn += PRICE;
            }
        }
        Ok(None)
    }

    /// The rest of a record over the limit; `None` where more of it is to come.
    fn skip(&mut self, buffer: &mut BytesMut) -> Option<Found> {
        let bytes = self.layers.last_mut().map_or(buffer, |layer| &mut layer.out);
        let (skipping, left) = self.skipping.as_mut()?;
        let here = (*left).min(bytes.len());
        skipping.take(&bytes[..here]);
        *left -= here;
        bytes.advance(here);
        if *left > 0 {
            return None;
        }
        self.skipping.take().map(|(skipping, _)| Found::Oversized(skipping.done()))
    }

    /// See [`super::dialogue::Dialogue::taken`].
    pub fn taken(&mut self, answers: &mut BytesMut) {
        self.admit();
        self.left = self.left.saturating_sub(1);
        self.due = Some(self.sequence);
        if self.left == 0 {
            self.pause(answers);
        }
    }

    /// See [`super::dialogue::Dialogue::pause`].
    pub fn pause(&mut self, answers: &mut BytesMut) {
        if let Some(sequence) = self.due.take() {
            answers.put_slice(b"2A");
            answers.put_u32(sequence);
        }
    }

    /// Bytes of memory it holds beside the buffer.
    pub fn held(&self) -> usize {
        let spare = self.spare.as_ref().map_or(0, Spare::held);
        spare + self.layers.iter().map(Layer::held).sum::<usize>()
    }
}

fn broken(reason: &'static str) -> Found {
    Found::Broken(RecordError::Framing(reason.into()))
}

#[cfg(test)]
mod tests;
