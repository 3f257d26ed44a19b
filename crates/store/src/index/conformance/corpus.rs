//! Events to test with: made from a seed, so that every run has the same.

use crate::broker::{Origin, Record, Route};
use crate::index::IndexEntry;
use bytes::Bytes;
use domain::event::{EventKind, Fields, OneOrMany, StoredEvent, Text};
use domain::{EventId, Level, SourceKey, TenantId, Timestamp};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

/// Small, fast, and the same everywhere: SplitMix64.
pub struct Dice(pub u64);

impl Dice {
    /// 0 to `sides - 1`.
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 16) as usize % sides.max(1)
    }

    /// One of these.
    pub fn pick<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.roll(of.len())]
    }
}

/// Words that messages are made of.
const WORDS: &[&str] = &[
    "bearing",
    "hot",
    "Error",
    "timeout",
    "GPU온도",
    "온도",
    "3시간",
    "ㅋㅋ",
    "ㅋㅋㅋ",
    "ㅠㅠ",
    "서울",
    "부산",
    "부산항",
    "sshd[24200]:",
    "Failed",
    "password",
    "for",
    "root",
    "10.0.0.1",
    "web_01",
    "café",
    "ＦＵＬＬ",
    "가",
    "각",
    "東京",
    "ﾃｽﾄ",
    "-",
    "...",
    "disk",
    "DISK",
    "x",
    "100%",
    "한글English혼합",
];
const SITES: &[&str] = &["부산", "서울", "Seoul", "seoul", "busan dock", "x"];
/// The tenants of a corpus, in order.
pub const TENANTS: &[&str] = &["t_first", "t_second", "t_third"];
/// 2026-11-20T12:00:00Z.
pub const START: i64 = 1_795_176_000_000_000_000;
const SECOND: i64 = 1_000_000_000;

/// Records as the broker would hand them over, and the events in them.
pub struct Corpus {
    /// In offset order within each partition.
    pub entries: Vec<IndexEntry>,
}

impl Corpus {
    /// This many events of several tenants, classes and days of arrival.
    pub fn new(seed: u64, count: usize) -> Self {
        let mut dice = Dice(seed);
        let mut offsets = HashMap::new();
        let entries = (0..count).map(|i| entry(&made(&mut dice, i), class(i), &mut offsets)).collect();
        Self { entries }
    }

    /// The JSON of a tenant's events.
    pub fn of(&self, tenant: &TenantId) -> Vec<Bytes> {
        let own = |e: &&IndexEntry| e.record.route.tenant == *tenant;
        self.entries.iter().filter(own).map(|e| e.record.payload.clone()).collect()
    }
}

/// A tenant by its place in [`TENANTS`].
pub fn tenant(number: usize) -> TenantId {
    TenantId::new(TENANTS[number]).expect("a valid key")
}

fn class(i: usize) -> &'static str {
    // Each tenant has one class.
    ["30d", "30d", "1y"][tenant_number(i)]
}

fn tenant_number(i: usize) -> usize {
    // The third has few events.
    if i.is_multiple_of(17) { 2 } else { i % 2 }
}

/// The entry of an event; `offsets` holds the next offset of each partition.
pub fn entry(event: &StoredEvent<'_>, class: &str, offsets: &mut HashMap<u32, u64>) -> IndexEntry {
    let route = Route {
        tenant: TenantId::new(&event.tenant).expect("a valid key"),
        source: SourceKey::new(&event.source).expect("a valid source"),
        class: class.into(),
        group: 1,
        protocol: "qgx".into(),
    };
    let partition = route.partition(4);
    let next = offsets.entry(partition).or_insert(0);
    let offset = *next;
    *next += 1;
    let payload = serde_json::to_vec(event).expect("an event is JSON").into();
    let record = Record { offset, route: Arc::new(route), origin: Origin::Unmarked, token: 0, payload };
    IndexEntry { partition, record }
}

/// An event with nothing but its envelope and a message.
pub fn plain<'a>(tenant: &'a str, source: &'a str, number: u64, message: &'a str) -> StoredEvent<'a> {
    let at = Timestamp::from_nanos(START + number as i64 * SECOND);
    let mut random = [0; 10];
    random[2..].copy_from_slice(&number.to_be_bytes());
    StoredEvent {
        id: EventId::at(at, random),
        tenant: tenant.into(),
        source: source.into(),
        ts: at,
        received_at: at,
        kind: EventKind::Log,
        level: None,
        message: Some(message.into()),
        n: Fields::default(),
        s: Fields::default(),
        b: Fields::default(),
        x: Vec::new(),
        raw: None,
    }
}

fn made(dice: &mut Dice, i: usize) -> StoredEvent<'static> {
    let mut event = plain(TENANTS[tenant_number(i)], "", 0, "");
    // 40 hours of arrivals: two or three days; many events share their ts, some also their arrival.
    let received_at = START + (i as i64 / 3) * 100 * SECOND % (40 * 3_600 * SECOND);
    event.received_at = Timestamp::from_nanos(received_at);
    let late = [0, 0, 0, 5, 90 * 86_400][dice.roll(5)] * SECOND;
    event.ts = Timestamp::from_nanos((received_at - late).div_euclid(60 * SECOND) * 60 * SECOND);
    let mut random = [0; 10];
    random[..8].copy_from_slice(&(dice.roll(usize::MAX) as u64).to_be_bytes());
    random[8..].copy_from_slice(&(i as u16).to_be_bytes());
    event.id = EventId::at(event.received_at, random);
    event.source = dice.pick(&["pump-1", "PUMP-1", "web/01", "센서 3", "host.example"]).into();
    event.kind = [EventKind::Log, EventKind::Metric, EventKind::Event][dice.roll(3)];
    event.level = Level::from_rank(dice.roll(12) as u8);
    event.message = (dice.roll(5) > 0).then(|| Cow::Owned(message(dice)));
    event.raw = (dice.roll(20) == 0).then(|| "AAECAw==".into());
    named(dice, &mut event);
    event
}

fn message(dice: &mut Dice) -> String {
    let words: Vec<&str> = (0..=dice.roll(8)).map(|_| dice.pick(WORDS)).collect();
    words.join(dice.pick(&[" ", " ", ", ", "/"]))
}

/// `mixed` is now a number, now a string, now a boolean; `many` has several values.
fn named(dice: &mut Dice, event: &mut StoredEvent<'static>) {
    let name = |name: &'static str| Text(name.into());
    let one = |text: &'static str| OneOrMany::One(Text(text.into()));
    match dice.roll(4) {
        0 => event.n.0.push((name("mixed"), OneOrMany::One(dice.roll(5) as f64))),
        1 => event.s.0.push((name("mixed"), one(dice.pick(&["1", "two", "TRUE", "true"])))),
        2 => event.b.0.push((name("mixed"), OneOrMany::One(dice.roll(2) == 0))),
        _ => {}
    }
    if dice.roll(2) == 0 {
        event.n.0.push((name("temperature"), OneOrMany::One(dice.roll(4_000) as f64 / 16.0 - 100.0)));
        event.s.0.push((name("site"), one(dice.pick(SITES))));
    }
    if dice.roll(3) == 0 {
        let numbers = (0..3).map(|_| dice.roll(4) as f64 - 1.0).collect();
        let words = (0..2).map(|_| Text(dice.pick(WORDS).into())).collect();
        event.n.0.push((name("deep/numbers"), OneOrMany::Many(numbers)));
        event.s.0.push((name("deep/words"), OneOrMany::Many(words)));
    }
    if dice.roll(6) == 0 {
        event.x.push(Text(Cow::Owned(format!("rare={}", dice.pick(SITES)))));
    }
}
