//! Frames do not depend on how the stream was cut into reads, and what is over the limit is not kept.
#![no_main]

use bytes::{Buf, BytesMut};
use ingest::protocol::Framing;
use ingest::protocol::frame::{Cut, Framer, Unfinished};
use libfuzzer_sys::fuzz_target;

const LIMIT: usize = 64;

/// Everything that comes out of a stream: what kind of frame, and its bytes.
fn frames(framing: Framing, pieces: &mut dyn Iterator<Item = &[u8]>) -> Vec<(u8, Vec<u8>)> {
    let mut framer = Framer::new(framing, LIMIT);
    let (mut buffer, mut out) = (BytesMut::new(), Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            let used = match framer.cut(&buffer) {
                Cut::Frame(frame, used) => {
                    assert!(frame.len() <= LIMIT);
                    out.push((0, frame.to_vec()));
                    used
                }
                Cut::Oversized(over, used) => {
                    out.push((1, over.sha256.to_vec()));
                    used
                }
                Cut::Used(used) => used,
                Cut::Partial => break,
                Cut::Broken(_) => {
                    out.push((2, Vec::new()));
                    return out;
                }
            };
            buffer.advance(used);
        }
        assert!(buffer.len() <= LIMIT + 16);
    }
    match framer.finish(&buffer) {
        None => {}
        Some(Ok(last)) => out.push((0, last.to_vec())),
        Some(Err(Unfinished::Truncated(rest))) => out.push((3, rest.to_vec())),
        Some(Err(Unfinished::Oversized(over))) => out.push((1, over.sha256.to_vec())),
    }
    out
}

fuzz_target!(|input: (u8, u8, &[u8])| {
    let (framing, piece, bytes) = input;
    let framing =
        [Framing::Newline, Framing::Nul, Framing::Counted, Framing::NewlineOrNul][usize::from(framing % 4)];
    let whole = frames(framing, &mut std::iter::once(bytes));
    assert_eq!(whole, frames(framing, &mut bytes.chunks(usize::from(piece) + 1)));
});
