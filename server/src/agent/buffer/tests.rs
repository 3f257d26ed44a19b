use super::*;

fn lines(range: std::ops::RangeInclusive<u64>) -> Vec<Bytes> {
    range.map(|n| Bytes::from(format!("{{\"n\":{n}}}"))).collect()
}

fn all(buffer: &Buffer, from: u64) -> Vec<Bytes> {
    let (mut found, mut next) = (Vec::new(), from);
    loop {
        let batch = buffer.read(next, 100).unwrap();
        if batch.lines.is_empty() {
            return found;
        }
        next = batch.first + batch.lines.len() as u64;
        found.extend(batch.lines);
    }
}

#[test]
fn lines_survive_a_restart_with_their_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Buffer::open(dir.path().to_owned(), 1 << 20).unwrap();
    let mut buffer = open();
    assert_eq!((buffer.settled(), buffer.append(&lines(1..=3)).unwrap()), (0, 0));
    buffer.append(&lines(4..=5)).unwrap();
    let stream = buffer.stream().to_owned();
    drop(buffer);
    let mut buffer = open();
    assert_eq!((buffer.stream(), all(&buffer, 1)), (stream.as_str(), lines(1..=5)));
    buffer.settle(3).unwrap();
    buffer.append(&lines(6..=6)).unwrap();
    let buffer = open();
    assert_eq!((buffer.settled(), all(&buffer, buffer.settled() + 1)), (3, lines(4..=6)));
    assert_eq!(buffer.read(7, 100).unwrap(), Batch { first: 7, lines: vec![] });
}

#[test]
fn beyond_the_limit_the_oldest_goes_and_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let mut buffer = Buffer::open(dir.path().to_owned(), 256 << 10).unwrap();
    let line = Bytes::from(vec![b'x'; 1_000]);
    let mut dropped = 0;
    for _ in 0..1_000 {
        dropped += buffer.append(std::slice::from_ref(&line)).unwrap();
        assert!(buffer.bytes() <= 256 << 10);
    }
    assert!(dropped > 500, "{dropped}");
    assert_eq!(buffer.settled(), dropped);
    assert_eq!(all(&buffer, 1).len() as u64, 1_000 - dropped);
    assert_eq!(buffer.read(1, 10).unwrap().first, dropped + 1);
    let files: u64 =
        fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum();
    assert!(files < 300 << 10, "{files} bytes");
}

#[test]
fn what_is_acknowledged_goes_and_is_not_counted_as_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let mut buffer = Buffer::open(dir.path().to_owned(), 256 << 10).unwrap();
    let line = Bytes::from(vec![b'x'; 1_000]);
    for n in 1..=1_000 {
        assert_eq!(buffer.append(std::slice::from_ref(&line)).unwrap(), 0);
        buffer.settle(n).unwrap();
    }
    assert!(buffer.bytes() <= 64 << 10, "{}", buffer.bytes());
    drop(buffer);
    let buffer = Buffer::open(dir.path().to_owned(), 256 << 10).unwrap();
    assert_eq!((buffer.settled(), all(&buffer, 1_001).len()), (1_000, 0));
}

#[test]
fn a_half_written_end_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Buffer::open(dir.path().to_owned(), 1 << 20).unwrap();
    open().append(&lines(1..=3)).unwrap();
    let file = dir.path().join(format!("{:020}.lines", 1));
    let whole = fs::read(&file).unwrap();
    let check = |content: &[u8], expect: u64| {
        fs::write(&file, content).unwrap();
        let mut buffer = open();
        assert_eq!(all(&buffer, 1), lines(1..=expect));
        // Its number is given to the next.
        buffer.append(&lines(expect + 1..=expect + 1)).unwrap();
        assert_eq!(all(&buffer, 1), lines(1..=expect + 1));
    };
    check(&whole[..whole.len() - 1], 2);
    check(&[&whole[..], &[0xff; 5]].concat(), 3);
    let mut flipped = whole.clone();
    *flipped.last_mut().unwrap() ^= 1;
    check(&flipped, 2);
    check(&[], 0);
}
