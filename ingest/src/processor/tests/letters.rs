//! From the topic of dead letters to where people find them.

use super::World;
use super::fixture::{self, eventually, tenant};
use crate::dead_letter::{Cause, DeadLetter, LogPlace};
use crate::processor::{Keep, ProcessorConfig};
use domain::api::LetterState;
use std::time::Duration;
use store::broker::{Broker, NewRecord, Topic};
use store::sql::dead_letters::LetterCap;
use store::sql::{LetterFilter, LetterRow};

const LETTERS: &str = "qgx.dead-letter.v1";

fn record(source: &str, number: u64) -> NewRecord {
    let plain = fixture::new_record(source, "");
    let place = LogPlace { partition: 0, offset: number };
    let cause = Cause { code: "refused".to_owned(), reason: format!("number {number}") };
    let payload = format!("payload {number}");
    DeadLetter::of_record(&plain.route, place, cause, payload.as_bytes()).to_record(plain.route.clone(), 7)
}

impl World {
    async fn letters(&self) -> Vec<LetterRow> {
        let filter = LetterFilter { limit: 1_000, ..LetterFilter::default() };
        self.sql.letters(&tenant(), &filter).await.unwrap().0
    }

    /// Until every letter appended is behind the offsets.
    async fn letters_kept(&self) -> Vec<LetterRow> {
        let appended = self.broker.records(Topic::DeadLetters).len() as u64;
        eventually("the end of the topic of dead letters", async || {
            let stored: u64 = self.sql.offsets(LETTERS).await.unwrap().iter().map(|it| it.1).sum();
            let lag = self.broker.lag(super::super::LETTER_GROUP, Topic::DeadLetters).await.unwrap();
            stored == appended && lag.iter().all(|it| it.committed == it.end)
        })
        .await;
        self.letters().await
    }

    async fn append_letters(&self, records: Vec<NewRecord>) {
        self.broker.append(Topic::DeadLetters, records).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letters_are_kept_once_whatever_is_read_again() {
    let world = World::new().await;
    world.append_letters((0..5).map(|number| record("a", number)).collect()).await;
    let processor = world.start();
    let first = world.letters_kept().await;
    assert_eq!(first.len(), 5);
    processor.shutdown().await;

    // The same records of the log of events were buried a second time, and a strange record got in.
    let mut more: Vec<_> = (0..7).map(|number| record("a", number)).collect();
    more.push(fixture::new_record("b", "no letter"));
    world.append_letters(more).await;
    let processor = world.start();
    let kept = world.letters_kept().await;
    processor.shutdown().await;
    assert_eq!(kept.len(), 8);
    assert!(first.iter().all(|letter| kept.contains(letter)), "what was kept stays as it is");
    let strange: Vec<_> = kept.iter().filter(|letter| letter.code == "unreadable").collect();
    assert_eq!(strange.len(), 1);
    let found = world.sql.letters_by_id(&tenant(), &[strange[0].id]).await.unwrap();
    assert_eq!((found[0].original.as_slice(), found[0].row.state), (&b"no letter"[..], LetterState::Open));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_processor_buries_is_found() {
    let world = World::new().await;
    let processor = world.start();
    world.append(vec![fixture::new_record("a", r#"{"no":"event"}"#)]).await;
    eventually("the letter", async || !world.letters().await.is_empty()).await;
    let letters = world.letters().await;
    processor.shutdown().await;
    assert_eq!((letters.len(), letters[0].code.as_str()), (1, "undecodable"));
    let found = world.sql.letters_by_id(&tenant(), &[letters[0].id]).await.unwrap();
    assert_eq!(found[0].original, br#"{"no":"event"}"#);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_letters_is_bounded_while_it_lasts() {
    let mut world = World::new().await;
    world.config = ProcessorConfig {
        // The upkeep alone would not come to it.
        expire_every: Duration::from_secs(3_600),
        keep: Keep { letter_cap: LetterCap { letters: 40, bytes: 1 << 20 }, ..Keep::default() },
        ..world.config
    };
    let processor = world.start();
    for turn in 0..10 {
        world.append_letters((0..20).map(|number| record("a", turn * 20 + number)).collect()).await;
        world.letters_kept().await;
    }
    eventually("the bound", async || world.letters().await.len() <= 40).await;
    processor.shutdown().await;
    assert!(world.letters().await.iter().any(|letter| letter.reason == "number 199"), "the latest stay");
}
