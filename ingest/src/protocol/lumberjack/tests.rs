use super::*;
use flate2::{Compression, write::ZlibEncoder};
use proptest::prelude::*;
use std::io::Write;

fn window(count: u32) -> Vec<u8> {
    [b"2W".as_slice(), &count.to_be_bytes()].concat()
}

fn record(sequence: u32, json: &[u8]) -> Vec<u8> {
    [b"2J".as_slice(), &sequence.to_be_bytes(), &(json.len() as u32).to_be_bytes(), json].concat()
}

fn compressed(frames: &[u8]) -> Vec<u8> {
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
    zlib.write_all(frames).unwrap();
    let bytes = zlib.finish().unwrap();
    [b"2C".as_slice(), &(bytes.len() as u32).to_be_bytes(), &bytes].concat()
}

/// All that comes out of a stream that arrives in these pieces, with the sequences acknowledged.
fn talk(limit: usize, pieces: &[&[u8]]) -> Vec<String> {
    let mut reader = Reader::new(limit);
    let (mut buffer, mut answers, mut out) = (BytesMut::new(), BytesMut::new(), Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match reader.next(&mut buffer) {
                Found::Record(record) => out.push(String::from_utf8_lossy(&record).into_owned()),
                Found::Oversized(over) => out.push(format!("over {}", over.length)),
                Found::Partial => break,
                Found::Broken(error) => {
                    out.push(error.to_string());
                    return out;
                }
                Found::Aside => continue,
                Found::Closed => panic!("Lumberjack has no goodbye"),
            }
            reader.taken(&mut answers);
            while answers.len() >= 6 {
                assert_eq!(&answers[..2], b"2A");
                out.push(format!("ack {}", u32::from_be_bytes(answers[2..6].try_into().unwrap())));
                answers.advance(6);
            }
        }
        assert!(reader.held() <= LAYERS * (limit + (80 << 10)), "{} bytes held", reader.held());
    }
    out
}

#[test]
fn windows_are_read_and_acknowledged() {
    fn check(parts: &[Vec<u8>], expect: &[&str]) {
        assert_eq!(talk(10, &[&parts.concat()]), expect);
    }
    check(&[window(2), record(1, b"a"), record(2, b"b")], &["a", "b", "ack 2"]);
    check(&[window(1), record(7, b"a"), window(1), record(8, b"b")], &["a", "ack 7", "b", "ack 8"]);
    check(&[window(0), window(1), record(1, b"a")], &["a", "ack 1"]);
    check(&[window(2), compressed(&[record(1, b"a"), record(2, b"b")].concat())], &["a", "b", "ack 2"]);
    let nested = compressed(&[record(1, b"a"), compressed(&record(2, b"b")), record(3, b"c")].concat());
    check(&[window(4), nested, record(4, b"d")], &["a", "b", "c", "d", "ack 4"]);
    check(&[window(2), record(1, b"0123456789A"), record(2, b"b")], &["over 11", "b", "ack 2"]);
    check(&[window(1), compressed(&record(1, b"0123456789A"))], &["over 11", "ack 1"]);
    check(&[window(u32::MAX), record(1, b"a")], &["a"]);
}

#[test]
fn what_breaks_it_is_named() {
    fn check(parts: &[Vec<u8>], expect: &str) {
        let got = talk(10, &[&parts.concat()]);
        assert!(got.last().is_some_and(|last| last.contains(expect)), "{got:?}");
    }
    check(&[record(1, b"a")], "outside a window");
    check(&[window(2), record(1, b"a"), window(1)], "before the last one was whole");
    check(&[window(1), b"2D\0\0".to_vec()], "expected a frame of Lumberjack version 2");
    check(&[b"1W\0\0".to_vec()], "expected a frame of Lumberjack version 2");
    check(&[window(1), b"2C\0\0\0\x04junk".to_vec()], "no zlib stream");
    let mut short = compressed(&record(1, b"abcdef"));
    let cut = short.len() - 8;
    short.truncate(cut);
    short[2..6].copy_from_slice(&(cut as u32 - 6).to_be_bytes());
    check(&[window(1), short], "ends");
    check(&[window(1), compressed(b"2J\0\0")], "ends within a frame");
    check(&[window(1), compressed(b"")], "without a record");
    check(&[window(2), compressed(&[record(1, b"a"), compressed(b"")].concat())], "without a record");
    let deep = (0..LAYERS + 1).fold(record(1, b"a"), |inner, _| compressed(&inner));
    check(&[window(1), deep], "nested too deeply");
    let fits = (0..LAYERS).fold(record(1, b"a"), |inner, _| compressed(&inner));
    assert_eq!(talk(10, &[&[window(1), fits].concat()]), ["a", "ack 1"]);
}

#[test]
fn a_bomb_takes_no_memory_and_ends() {
    let zeros =
        [record(1, b"")[..6].to_vec(), (300u32 << 20).to_be_bytes().to_vec(), vec![0; 300 << 20]].concat();
    let bomb = [window(1), compressed(&zeros)].concat();
    assert!(bomb.len() < 1 << 20);
    let pieces: Vec<&[u8]> = bomb.chunks(8 << 10).collect();
    let got = talk(1 << 20, &pieces);
    assert!(got.last().unwrap().contains("too large"), "{got:?}");
}

#[test]
fn it_is_others_turn_whatever_is_found() {
    /// At most so many records are found before.
    fn check(frames: Vec<u8>, most: u32) {
        let mut reader = Reader::new(1 << 20);
        let mut buffer = BytesMut::from(&[window(u32::MAX), frames].concat()[..]);
        let (mut answers, mut found) = (BytesMut::new(), 0);
        loop {
            match reader.next(&mut buffer) {
                Found::Record(_) => found += 1,
                Found::Aside => break,
                other => panic!("{other:?} after {found} records"),
            }
            reader.taken(&mut answers);
        }
        assert!(found <= most, "{found} records before");
    }
    // A blank record leaves nothing behind by which a session could tell how much it read.
    check(compressed(&record(1, b"").repeat(300_000)), 110_000);
    check(compressed(&record(1, b"a")).repeat(1_000), 200);
}

#[test]
fn a_stranger_s_bytes_become_little() {
    let zeros = |length: u32| {
        let header = [record(1, b"")[..6].to_vec(), length.to_be_bytes().to_vec()].concat();
        compressed(&[header, vec![0; length as usize]].concat())
    };
    let last = |frames: &[u8]| talk(1 << 10, &[frames]).pop().unwrap_or_default();
    let (little, much) = (1 << 16, 8 << 20);
    assert_eq!(last(&[window(1), zeros(little)].concat()), "ack 1");
    assert!(last(&[window(1), zeros(much)].concat()).contains("too large"));
    let known = [window(2), record(1, b"a"), zeros(much)].concat();
    assert_eq!(last(&known), "ack 1", "the header of the window's last record says 1");
}

#[test]
fn part_of_a_window_may_be_acknowledged() {
    let mut reader = Reader::new(10);
    let mut buffer = BytesMut::from(&[window(3), record(1, b"a"), record(2, b"b")].concat()[..]);
    let mut answers = BytesMut::new();
    for _ in 0..2 {
        assert!(matches!(reader.next(&mut buffer), Found::Record(_)));
        reader.taken(&mut answers);
    }
    assert_eq!(answers, "");
    reader.pause(&mut answers);
    reader.pause(&mut answers);
    assert_eq!(&answers[..], b"2A\0\0\0\x02");
}

fn stream() -> impl Strategy<Value = Vec<u8>> {
    let records = proptest::collection::vec(("[a-z]{0,14}", any::<bool>()), 1..6);
    let part = records.prop_map(|records| {
        let mut out = window(records.len() as u32);
        for (sequence, (json, zipped)) in records.iter().enumerate() {
            let record = record(sequence as u32 + 1, json.as_bytes());
            out.extend(if *zipped { compressed(&compressed(&record)) } else { record });
        }
        out
    });
    let part = prop_oneof![5 => part, 1 => proptest::collection::vec(any::<u8>(), 0..9)];
    proptest::collection::vec(part, 0..5).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn reading_does_not_depend_on_the_pieces(bytes in stream(), piece in 1usize..40) {
        let pieces: Vec<&[u8]> = bytes.chunks(piece).collect();
        prop_assert_eq!(talk(10, &pieces), talk(10, &[&bytes]));
    }

    #[test]
    fn arbitrary_frames_are_no_trouble(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        talk(10, &[&[window(3), compressed(&bytes)].concat()]);
        talk(10, &[&[window(3), b"2C\0\0\0\x40".to_vec(), bytes].concat()]);
    }
}
