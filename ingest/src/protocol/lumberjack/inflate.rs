//! Compressed frames, inflated only as far as they are read: what a frame expands to never stands in memory whole.

use bytes::{Buf, BytesMut};
use flate2::{Decompress, FlushDecompress, Status};

/// Bytes inflated at a time.
const PIECE: usize = 16 << 10;
/// What zlib's state takes.
const STATE: usize = 48 << 10;
/// What a compressed frame may become, with those within it: bytes, and the price of each frame.
pub const EXPANDED: u64 = 256 << 20;
/// What it costs to begin a compressed frame, however small, in bytes inflated.
pub const PRICE: u64 = 8 << 10;

/// A compressed frame being read.
#[derive(Debug)]
pub struct Layer {
    inflate: Box<Decompress>,
    /// Compressed bytes to come from the layer below.
    left: usize,
    /// Its zlib stream has ended.
    ended: bool,
    /// A record was found in it, or in one within it.
    pub fruitful: bool,
    /// Inflated, not yet read.
    pub out: BytesMut,
}

/// A state of zlib that has served: to make one anew takes longer than a small frame.
#[derive(Debug)]
pub struct Spare(Box<Decompress>);

impl Spare {
    /// Bytes of memory it takes.
    pub fn held(&self) -> usize {
        STATE
    }
}

impl Layer {
    /// Of a frame with so many compressed bytes.
    pub fn new(length: usize, spare: Option<Spare>) -> Self {
        let inflate = match spare {
            Some(Spare(mut used)) => {
                used.reset(true);
                used
            }
            None => Box::new(Decompress::new(true)),
        };
        Self { inflate, left: length, ended: false, fruitful: false, out: BytesMut::new() }
    }

    /// What may serve another frame.
    pub fn into_spare(self) -> Spare {
        Spare(self.inflate)
    }

    /// Bytes of memory it takes.
    pub fn held(&self) -> usize {
        STATE + self.out.len()
    }
}

/// What came of asking for more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum More {
    /// There are more bytes than before.
    Grew,
    /// The socket must bring more.
    Starved,
    /// The innermost frame has been read to its end.
    Ended,
    /// It is no zlib, or too much of it.
    Broken(&'static str),
}

/// Inflates until the innermost layer has `need` bytes, or as far as the bytes below go. `expanded` counts what is
/// inflated, up to `most`.
pub fn fill(layers: &mut [Layer], below: &mut BytesMut, need: usize, expanded: &mut u64, most: u64) -> More {
    let Some((layer, outer)) = layers.split_last_mut() else { return More::Starved };
    loop {
        if layer.out.len() >= need {
            return More::Grew;
        }
        if layer.ended && layer.left == 0 {
            return if layer.out.is_empty() {
                More::Ended
            } else {
                More::Broken("a compressed frame ends within a frame")
            };
        }
        let input = outer.last_mut().map_or(&mut *below, |layer| &mut layer.out);
        if input.is_empty() && layer.left > 0 {
            match fill(outer, below, 1, expanded, most) {
                More::Grew => continue,
                More::Ended => return More::Broken("a compressed frame ends within another"),
                other => return other,
            }
        }
        let here = layer.left.min(input.len());
        if layer.ended {
            // Bytes after the end of the stream count to the frame.
            input.advance(here);
            layer.left -= here;
            continue;
        }
        let (before_in, before_out) = (layer.inflate.total_in(), layer.inflate.total_out());
        let mut piece = [0; PIECE];
        let status = layer.inflate.decompress(&input[..here], &mut piece, FlushDecompress::None);
        let used = (layer.inflate.total_in() - before_in) as usize;
        let made = (layer.inflate.total_out() - before_out) as usize;
        input.advance(used);
        layer.left -= used;
        layer.out.extend_from_slice(&piece[..made]);
        *expanded += made as u64;
        if *expanded > most {
            return More::Broken("a compressed frame becomes too large");
        }
        match status {
            Ok(Status::StreamEnd) => layer.ended = true,
            Ok(Status::Ok | Status::BufError) if used == 0 && made == 0 && layer.left == 0 => {
                return More::Broken("a compressed frame ends before its zlib stream");
            }
            Ok(Status::BufError) if used == 0 && made == 0 => {
                return More::Broken("a compressed frame is no zlib stream");
            }
            Ok(Status::Ok | Status::BufError) => {}
            Err(_) => return More::Broken("a compressed frame is no zlib stream"),
        }
    }
}
