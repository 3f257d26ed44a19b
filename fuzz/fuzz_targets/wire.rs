//! What strangers open with: the protocol found does not change as more bytes come, and dialogues read the same however
//! their bytes arrive.
#![no_main]

use bytes::BytesMut;
use ingest::protocol::detect::detect;
use ingest::protocol::dialogue::{Dialogue, Found};
use ingest::protocol::proxy::{self, Header};
use ingest::protocol::{lumberjack, relp};
use libfuzzer_sys::fuzz_target;

const LIMIT: usize = 64;

/// Everything that comes out of a dialogue.
fn talk<'a>(
    mut dialogue: Dialogue,
    pieces: impl Iterator<Item = &'a [u8]>,
) -> (Vec<(u8, Vec<u8>)>, BytesMut) {
    let (mut buffer, mut answers, mut out) = (BytesMut::new(), BytesMut::new(), Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match dialogue.next(&mut buffer, &mut answers) {
                Found::Record(record) => {
                    assert!(record.len() <= LIMIT);
                    out.push((0, record.to_vec()));
                }
                Found::Oversized(over) => out.push((1, over.sha256.to_vec())),
                Found::Aside => continue,
                Found::Partial => break,
                Found::Closed => return (out, answers),
                Found::Broken(_) => {
                    out.push((2, Vec::new()));
                    return (out, answers);
                }
            }
            dialogue.taken(&mut answers);
        }
        assert!(dialogue.held() <= 1 << 20);
    }
    (out, answers)
}

fuzz_target!(|input: (u8, &[u8])| {
    let (piece, bytes) = input;
    let piece = usize::from(piece) + 1;
    let (mut opening, header) = (None, proxy::read(bytes));
    for end in 0..=bytes.len().min(256) {
        let now = detect(&bytes[..end], false);
        assert!(opening.is_none() || opening == now);
        opening = now;
        let early = proxy::read(&bytes[..end]);
        assert!(early == Header::Partial || early == header);
    }
    let both: [fn() -> Dialogue; 2] = [
        || Dialogue::Relp(relp::Reader::new(LIMIT)),
        || Dialogue::Lumberjack(lumberjack::Reader::new(LIMIT)),
    ];
    for dialogue in both {
        assert_eq!(talk(dialogue(), std::iter::once(bytes)), talk(dialogue(), bytes.chunks(piece)));
    }
    relp::open(&mut BytesMut::from(bytes));
});
