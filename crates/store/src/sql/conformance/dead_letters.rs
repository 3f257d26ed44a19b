//! Dead letters.

use super::{DAY_ONE, HOUR, Outcome, SECOND, Store, source, tenant};
use crate::sql::dead_letters::{LetterCap, LetterForm, LetterMove, LetterState, LettersGone};
use crate::sql::{Letter, LetterBatch, LetterFilter, LetterRow, SqlError};
use domain::{EventId, Timestamp};

const TOPIC: &str = "qgx.dead-letter.v1";

fn letter(owner: &str, number: u8, bytes: &[u8]) -> Letter {
    let row = LetterRow {
        id: EventId::at(DAY_ONE, [number; 10]),
        tenant: tenant(owner),
        source: source("펌프 1"),
        source_bound: false,
        protocol: "ndjson".to_owned(),
        peer: Some("::1".to_owned()),
        code: "invalid_json".to_owned(),
        reason: format!("not JSON: at Column {number}"),
        at: DAY_ONE.plus_nanos(i64::from(number) * SECOND),
        length: bytes.len() as u64,
        sha256: None,
        form: LetterForm::Frame,
        blanked: false,
        kept_bytes: bytes.len() as u64,
        state: LetterState::Open,
        revision: 0,
        edited: None,
        resolved: None,
        event_id: None,
    };
    Letter { row, original: bytes.to_vec(), edited: None }
}

fn batch(start: u64, letters: &[Letter]) -> LetterBatch {
    LetterBatch { partition: 0, start, next: start + letters.len() as u64, letters: letters.to_vec() }
}

fn all() -> LetterFilter {
    LetterFilter { limit: 1_000, ..LetterFilter::default() }
}

fn numbers(rows: &[LetterRow]) -> Vec<i64> {
    rows.iter().map(|row| (row.at.as_nanos() - DAY_ONE.as_nanos()) / SECOND).collect()
}

fn moved(letter: &Letter, from: &'static [LetterState], to: LetterState) -> LetterMove {
    let by = Some(("kim".to_owned(), DAY_ONE.plus_nanos(HOUR)));
    LetterMove { id: letter.row.id, from, revision: None, to, by, event_id: None, cause: None }
}

const OPEN: &[LetterState] = &[LetterState::Open];

/// Every byte and every word comes back; another tenant's are not there.
pub async fn letters_are_kept_whole(store: Store) -> Outcome {
    let every_byte: Vec<u8> = (0..=255).collect();
    let plain = letter("acme", 1, &every_byte);
    let mut full = letter("acme", 2, &vec![0xEE; 300_000]);
    full.row.peer = None;
    full.row.sha256 = Some("ab".repeat(32));
    full.row.form = LetterForm::Event;
    (full.row.blanked, full.row.source_bound) = (true, true);
    full.row.reason = "너무 깁니다 🙂".repeat(100);
    let empty = letter("acme", 3, b"");
    let others = letter("other", 4, b"x");
    let letters = [plain.clone(), full.clone(), empty.clone(), others.clone()];
    assert_eq!(store.keep_letters(TOPIC, &batch(0, &letters)).await?, 4);
    for expect in [&plain, &full, &empty] {
        let found = store.letters_by_id(&tenant("acme"), &[expect.row.id]).await?;
        assert_eq!(found, std::slice::from_ref(expect));
    }
    assert_eq!(store.letters_by_id(&tenant("acme"), &[others.row.id]).await?, []);
    assert_eq!(store.letters_by_id(&tenant("other"), &[others.row.id, plain.row.id]).await?, [others]);
    let (rows, total) = store.letters(&tenant("acme"), &all()).await?;
    assert_eq!((rows, total), (vec![empty.row, full.row, plain.row], 3));
    assert_eq!(store.letters(&tenant("nobody"), &all()).await?, (vec![], 0));
    Ok(())
}

/// A batch that is read again stores nothing twice, and undoes nothing that people did since.
pub async fn letters_again_change_nothing(store: Store) -> Outcome {
    let (first, second) = (letter("acme", 1, b"a"), letter("acme", 2, b"b"));
    let both = [first.clone(), second.clone()];
    assert_eq!(store.keep_letters(TOPIC, &batch(0, &both)).await?, 2);
    let discard = moved(&first, OPEN, LetterState::Discarded);
    assert_eq!(store.move_letters(&first.row.tenant, &[discard]).await?, [first.row.id]);
    assert_eq!(store.keep_letters(TOPIC, &batch(0, &both)).await?, 0, "applied before");
    assert_eq!(store.offsets(TOPIC).await?, [(0, 2)]);
    let third = letter("acme", 3, b"c");
    // The log of events was read again, and made the same letters at other places.
    let again = [first.clone(), second, third.clone(), third];
    assert_eq!(store.keep_letters(TOPIC, &batch(2, &again)).await?, 1);
    assert_eq!(store.offsets(TOPIC).await?, [(0, 6)]);
    let (rows, total) = store.letters(&tenant("acme"), &all()).await?;
    assert_eq!((numbers(&rows), total), (vec![3, 2, 1], 3));
    assert_eq!(rows[2].state, LetterState::Discarded);
    let late = store.keep_letters(TOPIC, &batch(4, &vec![letter("acme", 9, b"z"); 4])).await;
    assert!(matches!(late, Err(SqlError::Conflict("offset"))), "{late:?}");
    assert_eq!(store.letters(&tenant("acme"), &all()).await?.1, 3);
    Ok(())
}

/// By code, source, state, time and words; page by page.
pub async fn letters_are_filtered(store: Store) -> Outcome {
    let mut letters: Vec<_> = (1..=9).map(|number| letter("acme", number, b"x")).collect();
    letters[1].row.code = "framing".to_owned();
    letters[2].row.source = source("pump-3");
    for same in &mut letters[6..] {
        same.row.at = DAY_ONE.plus_nanos(7 * SECOND);
    }
    store.keep_letters(TOPIC, &batch(0, &letters)).await?;
    let acme = tenant("acme");
    store.move_letters(&acme, &[moved(&letters[3], OPEN, LetterState::Discarded)]).await?;
    let check = async |filter: LetterFilter, expect: &[i64]| {
        let (rows, total) = store.letters(&acme, &filter).await?;
        assert_eq!((numbers(&rows).as_slice(), total), (expect, expect.len() as u64), "{filter:?}");
        Outcome::Ok(())
    };
    let at = |number: i64| Some(DAY_ONE.plus_nanos(number * SECOND));
    check(LetterFilter { code: Some("framing".to_owned()), ..all() }, &[2]).await?;
    check(LetterFilter { source: Some(source("pump-3")), ..all() }, &[3]).await?;
    check(LetterFilter { state: Some(LetterState::Discarded), ..all() }, &[4]).await?;
    check(LetterFilter { from: at(4), to: at(6), ..all() }, &[5, 4]).await?;
    check(LetterFilter { text: "COLUMN 5".to_owned(), ..all() }, &[5]).await?;
    check(LetterFilter { text: "%".to_owned(), ..all() }, &[]).await?;
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let (rows, total) = store.letters(&acme, &LetterFilter { after, limit: 2, ..all() }).await?;
        assert_eq!(total, 9);
        after = rows.last().map(|row| (row.at, row.id));
        seen.extend(rows.iter().map(|row| row.id));
        if rows.len() < 2 {
            break;
        }
    }
    let latest_first: Vec<_> = [9, 8, 7, 6, 5, 4, 3, 2, 1].map(|n| EventId::at(DAY_ONE, [n; 10])).into();
    assert_eq!(seen, latest_first);
    let counts = store.letter_counts(&acme).await?;
    let counts: Vec<_> =
        counts.iter().map(|it| (it.code.as_str(), it.state.name(), it.letters, it.bytes)).collect();
    assert_eq!(
        counts,
        [("framing", "open", 1, 1), ("invalid_json", "discarded", 1, 1), ("invalid_json", "open", 7, 7)]
    );
    Ok(())
}

/// An edit takes what was seen for granted; a move goes from where it says, or nowhere.
pub async fn letters_are_dealt_with(store: Store) -> Outcome {
    let one = letter("acme", 1, b"original");
    let acme = &one.row.tenant;
    store.keep_letters(TOPIC, &batch(0, std::slice::from_ref(&one))).await?;
    let by = ("kim".to_owned(), DAY_ONE.plus_nanos(HOUR));
    let read = async || Ok::<_, SqlError>(store.letters_by_id(acme, &[one.row.id]).await?.remove(0));
    assert!(!store.edit_letter(&tenant("other"), one.row.id, 0, Some(b"x"), &by).await?);
    assert!(!store.edit_letter(acme, one.row.id, 1, Some(b"x"), &by).await?, "somebody else edited it");
    assert!(store.edit_letter(acme, one.row.id, 0, Some(b"\xff mended"), &by).await?);
    let edited = read().await?;
    assert_eq!((edited.bytes(), edited.original.as_slice()), (&b"\xff mended"[..], &b"original"[..]));
    assert_eq!((edited.row.revision, edited.row.kept_bytes), (1, 16));
    assert_eq!(edited.row.edited, Some(by.clone()));
    assert!(store.edit_letter(acme, one.row.id, 1, None, &by).await?);
    let back = read().await?;
    assert_eq!((back.bytes(), back.row.revision, back.row.kept_bytes), (&b"original"[..], 2, 8));
    assert_eq!((back.edited, back.row.edited), (None, None));

    let begin = LetterMove { revision: Some(1), ..moved(&one, OPEN, LetterState::Replaying) };
    assert_eq!(store.move_letters(acme, std::slice::from_ref(&begin)).await?, [], "it was edited meanwhile");
    let begin = LetterMove { revision: Some(2), ..begin };
    assert_eq!(store.move_letters(&tenant("other"), std::slice::from_ref(&begin)).await?, []);
    assert_eq!(store.move_letters(acme, &[begin.clone(), begin]).await?, [one.row.id], "once");
    assert!(!store.edit_letter(acme, one.row.id, 2, Some(b"x"), &by).await?, "a replay has begun");
    let replaying: &'static [LetterState] = &[LetterState::Replaying];
    let refused = LetterMove {
        by: None,
        cause: Some(("too_deep".to_owned(), "nested".to_owned())),
        ..moved(&one, replaying, LetterState::Open)
    };
    store.move_letters(acme, &[refused]).await?;
    let open = read().await?;
    assert_eq!(
        (open.row.state, open.row.code.as_str(), open.row.resolved),
        (LetterState::Open, "too_deep", None)
    );
    let done = LetterMove { event_id: Some(one.row.id), ..moved(&one, OPEN, LetterState::Replayed) };
    store.move_letters(acme, &[done]).await?;
    let done = read().await?;
    assert_eq!((done.row.state, done.row.event_id), (LetterState::Replayed, Some(one.row.id)));
    assert_eq!(done.row.resolved, Some(by));
    assert_eq!(store.move_letters(acme, &[moved(&one, OPEN, LetterState::Discarded)]).await?, []);
    Ok(())
}

/// By age; then what was dealt with before what was not, the oldest first, of the tenant that has too much alone.
pub async fn letters_expire(store: Store) -> Outcome {
    let mut letters: Vec<_> = (1..=40).map(|number| letter("acme", number, &[b'x'; 10])).collect();
    letters.extend((1..=3).map(|number| letter("other", number, &[b'x'; 10])));
    store.keep_letters(TOPIC, &batch(0, &letters)).await?;
    let acme = tenant("acme");
    let discarded: Vec<_> = letters[9..20].iter().map(|it| moved(it, OPEN, LetterState::Discarded)).collect();
    store.move_letters(&acme, &discarded).await?;
    let left = async || Ok::<_, SqlError>(numbers(&store.letters(&acme, &all()).await?.0));
    let cap = |letters, bytes| LetterCap { letters, bytes };
    let before = |number: i64| DAY_ONE.plus_nanos(number * SECOND);
    let none = LettersGone::default();
    let never = Timestamp::from_nanos(0);
    assert_eq!(store.expire_letters(never, cap(40, 400)).await?, none);
    // 1 to 3 by age; 10 to 16 beyond the number.
    let gone = store.expire_letters(before(4), cap(30, 400)).await?;
    assert_eq!(gone, LettersGone { aged: 6, resolved: 7, open: 0 });
    let expect: Vec<i64> = (17..=40).rev().chain((4..=9).rev()).collect();
    assert_eq!(left().await?, expect);
    // 245 of 300 bytes: 17 to 20 are not enough.
    let gone = store.expire_letters(never, cap(30, 245)).await?;
    assert_eq!(gone, LettersGone { aged: 0, resolved: 4, open: 2 });
    assert_eq!(left().await?, (21..=40).rev().chain((6..=9).rev()).collect::<Vec<_>>());
    assert_eq!(store.expire_letters(never, cap(30, 245)).await?, none);
    Ok(())
}
