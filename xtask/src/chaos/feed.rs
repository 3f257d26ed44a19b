//! What a sender has sent, and what the server said it has: the ledger that the stores are compared with.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Most lines that a sender has sent without an answer.
const WINDOW: u64 = 4_000;

/// Who says of which source an event is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Naming {
    /// The greeting, for all of them.
    Greeting(String),
    /// Each record for itself, one of these in turn.
    Records(Vec<String>),
}

/// What happens to a sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disturbance {
    /// Its connection is reset in the middle of a line.
    Reset,
    /// It dies in the middle of a line and starts again without a memory of what was acknowledged.
    Forget,
    /// It reads no answers for so long.
    Deaf(Duration),
}

/// A sender's stream. Its events are numbered from 1, and the number is the line's sequence too: what an event holds
/// follows from its number, so that any of them can be sent again.
pub struct Feed {
    /// The name of the stream, and the field `feed` of its events.
    pub name: String,
    /// Whose events they are.
    pub naming: Naming,
    book: Mutex<Book>,
}

/// The ledger.
#[derive(Debug, Clone, Default)]
pub struct Book {
    /// Events made.
    pub made: u64,
    /// The highest that was ever written to a socket.
    pub sent: u64,
    /// All up to here were acknowledged.
    pub acked: u64,
    /// Events that the server refused for good.
    pub refused: u64,
    /// Connections that were greeted.
    pub connections: u64,
    /// The first event of each round.
    rounds: Vec<u64>,
    /// What the server said that cannot be.
    pub lies: Vec<String>,
    /// What is to happen to the sender next.
    next: Option<Disturbance>,
}

impl Feed {
    /// A stream without an event.
    pub fn new(name: &str, naming: Naming) -> Self {
        Self { name: name.to_owned(), naming, book: Mutex::default() }
    }

    /// The ledger as it is.
    pub fn book(&self) -> Book {
        self.locked().clone()
    }

    fn locked(&self) -> MutexGuard<'_, Book> {
        // A sender that panics leaves whole numbers.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes so many events of a round, as far as the window has room.
    pub fn make(&self, count: u64, round: u64) {
        let mut book = self.locked();
        while book.rounds.len() as u64 <= round {
            let first = book.made + 1;
            book.rounds.push(first);
        }
        book.made = book.made.max((book.made + count).min(book.acked + WINDOW));
    }

    /// Where a connection goes on: after the last that the server has.
    pub fn greeted(&self, last_seq: u64, said_acked: bool) -> u64 {
        let mut book = self.locked();
        book.connections += 1;
        if last_seq > book.sent {
            let lie = format!("{}: OK {last_seq}, and only {} were ever sent", self.name, book.sent);
            book.lies.push(lie);
        } else if said_acked && last_seq < book.acked {
            let lie = format!("{}: OK {last_seq} below the acknowledged {}", self.name, book.acked);
            book.lies.push(lie);
        } else if last_seq < book.acked {
            // Whoever asks without a memory is told the last that is durable, and that an acknowledged one is.
            let lie =
                format!("{}: told to go on after {last_seq}; {} are acknowledged", self.name, book.acked);
            book.lies.push(lie);
        }
        book.acked = book.acked.max(last_seq);
        last_seq + 1
    }

    /// Events up to this one are on their way.
    pub fn sending(&self, up_to: u64) {
        let mut book = self.locked();
        book.sent = book.sent.max(up_to);
    }

    /// The server has all up to this one.
    pub fn acknowledged(&self, up_to: u64) {
        let mut book = self.locked();
        if up_to > book.sent {
            let lie = format!("{}: ACK {up_to}, and only {} were ever sent", self.name, book.sent);
            book.lies.push(lie);
        }
        book.acked = book.acked.max(up_to);
    }

    /// The server will never take this one.
    pub fn refused(&self, number: u64, why: &str) {
        let mut book = self.locked();
        book.refused += 1;
        let lie = format!("{}: NACK {number} {why}", self.name);
        book.lies.push(lie);
    }

    /// What else the server said against the protocol.
    pub fn lied(&self, what: &str) {
        let lie = format!("{}: {what}", self.name);
        self.locked().lies.push(lie);
    }

    /// Disturbs its sender as soon as it sends.
    pub fn disturb(&self, how: Disturbance) {
        self.locked().next = Some(how);
    }

    /// What is to happen now.
    pub fn disturbance(&self) -> Option<Disturbance> {
        self.locked().next.take()
    }

    /// The source of an event.
    pub fn source_of(&self, number: u64) -> &str {
        match &self.naming {
            Naming::Greeting(source) => source,
            Naming::Records(sources) => {
                let at = usize::try_from(number % sources.len().max(1) as u64).unwrap_or(0);
                sources.get(at).map_or("", String::as_str)
            }
        }
    }

    /// All its sources.
    pub fn sources(&self) -> Vec<&str> {
        match &self.naming {
            Naming::Greeting(source) => vec![source],
            Naming::Records(sources) => sources.iter().map(String::as_str).collect(),
        }
    }

    /// An event as the line that is sent. A number without a message is a metric: rollups count it too.
    pub fn line(&self, number: u64, out: &mut Vec<u8>) {
        let round = self.locked().round_of(number);
        let source = match &self.naming {
            Naming::Greeting(_) => String::new(),
            Naming::Records(_) => format!(r#""source":"{}","#, self.source_of(number)),
        };
        let line = format!(
            "{{{source}\"feed\":\"{}\",\"n\":{number},\"round\":{round},\"site\":\"부산 2공장\",\"note\":\"베어링 온도 {}도, \
             within limits as of the last inspection\"}}\n",
            self.name,
            40 + number % 30,
        );
        out.extend_from_slice(line.as_bytes());
    }
}

impl Book {
    /// The round that an event belongs to.
    pub fn round_of(&self, number: u64) -> u64 {
        (self.rounds.partition_point(|first| *first <= number) as u64).saturating_sub(1)
    }

    /// The first event of a round and the last, where it has any.
    pub fn of_round(&self, round: u64) -> Option<(u64, u64)> {
        let at = usize::try_from(round).ok()?;
        let first = *self.rounds.get(at)?;
        let last = self.rounds.get(at + 1).map_or(self.made, |next| next - 1);
        (first <= last).then_some((first, last))
    }

    /// How many of a round are acknowledged.
    pub fn acked_of_round(&self, round: u64) -> u64 {
        self.of_round(round).map_or(0, |(first, last)| (self.acked.min(last) + 1).saturating_sub(first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_are_counted_by_their_events() {
        let feed = Feed::new("a", Naming::Greeting("s".to_owned()));
        feed.make(10, 0);
        feed.make(5, 2);
        feed.sending(12);
        feed.acknowledged(12);
        let book = feed.book();
        let check = |round, span, acked| {
            assert_eq!(book.of_round(round), span, "round {round}");
            assert_eq!(book.acked_of_round(round), acked, "round {round}");
        };
        check(0, Some((1, 10)), 10);
        check(1, None, 0);
        check(2, Some((11, 15)), 2);
        check(3, None, 0);
        assert_eq!((book.round_of(1), book.round_of(10), book.round_of(11)), (0, 0, 2));
        assert!(book.lies.is_empty(), "{:?}", book.lies);
    }

    #[test]
    fn the_window_bounds_what_is_unanswered() {
        let feed = Feed::new("a", Naming::Greeting("s".to_owned()));
        feed.make(WINDOW * 3, 0);
        assert_eq!(feed.book().made, WINDOW);
    }

    #[test]
    fn what_cannot_be_is_noted() {
        fn check(act: impl Fn(&Feed), expect: &str) {
            let feed = Feed::new("a", Naming::Greeting("s".to_owned()));
            feed.make(20, 0);
            feed.sending(10);
            feed.acknowledged(5);
            act(&feed);
            let lies = feed.book().lies.join("\n");
            assert!(lies.contains(expect) && lies.is_empty() == expect.is_empty(), "{lies:?}");
        }
        check(|feed| assert_eq!(feed.greeted(7, true), 8), "");
        check(|feed| assert_eq!(feed.greeted(5, false), 6), "");
        check(|feed| assert_eq!(feed.greeted(11, true), 12), "only 10 were ever sent");
        check(|feed| assert_eq!(feed.greeted(4, true), 5), "below the acknowledged 5");
        check(|feed| assert_eq!(feed.greeted(4, false), 5), "go on after 4");
        check(|feed| feed.acknowledged(11), "ACK 11");
        check(|feed| feed.refused(6, "bad"), "NACK 6");
    }

    #[test]
    fn an_event_is_a_line_of_its_number() {
        let feed = Feed::new("m", Naming::Records(vec!["m-0".to_owned(), "m-1".to_owned()]));
        feed.make(3, 0);
        let mut line = Vec::new();
        feed.line(3, &mut line);
        assert_eq!(line.pop(), Some(b'\n'));
        let event: serde_json::Value = serde_json::from_slice(&line).expect("an object");
        assert_eq!((&event["source"], &event["n"], &event["feed"]), (&"m-1".into(), &3.into(), &"m".into()));
        assert!(!line.contains(&b'\n'));
    }
}
