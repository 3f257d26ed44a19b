//! A client of QGX lines: sends a feed's events, reads acknowledgements, and goes on where the server says.

use super::feed::{Disturbance, Feed, Naming};
use super::load::Gate;
use super::waiting::pass;
use super::wire::Wire;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Before another try where nobody answered.
const PAUSE: Duration = Duration::from_millis(50);
/// The longest that a server's `retry_after` is obeyed: a test waits for what it must, not for what is polite.
const MOST_PAUSE: Duration = Duration::from_secs(2);
/// How long a greeting may take, and how long a server may say nothing about what it was sent.
const SILENCE: Duration = Duration::from_secs(20);
/// Bytes that are gathered for the socket.
const GATHER: usize = 64 * 1024;

/// One sender.
pub struct Sender {
    /// What it sends.
    pub feed: Arc<Feed>,
    /// Where to: it goes from one to the next.
    pub doors: Vec<SocketAddr>,
    /// Its credential.
    pub token: String,
    /// When to send.
    pub gate: Arc<Gate>,
    /// Events a second.
    pub rate: u64,
}

/// How a connection ended.
enum Ended {
    /// Another at once.
    Again,
    /// Another after a while.
    After(Duration),
    /// Another, by somebody who knows nothing of this one.
    Forgetful,
}

impl Sender {
    /// Sends until the gate says that it is over.
    pub fn run(self) {
        let mut doors = self.doors.iter().copied().cycle();
        let mut remembers = true;
        while !self.gate.is_over()
            && let Some(door) = doors.next()
        {
            let ended = self.connection(door, remembers).unwrap_or(Ended::After(PAUSE));
            // Only the greeting that succeeded has used up a forgotten memory; the next may as well remember.
            remembers = !matches!(ended, Ended::Forgetful);
            if let Ended::After(pause) = ended {
                pass(pause);
            }
        }
    }

    fn hello(&self, remembers: bool) -> Vec<u8> {
        let mut hello = serde_json::json!({ "token": self.token, "stream": self.feed.name });
        if let Naming::Greeting(source) = &self.feed.naming {
            hello["source"] = source.as_str().into();
        }
        if remembers {
            hello["acked"] = self.feed.book().acked.into();
        }
        format!("HELLO {hello}\n").into_bytes()
    }

    fn connection(&self, door: SocketAddr, remembers: bool) -> io::Result<Ended> {
        let mut wire = Wire::open(door)?;
        wire.out.extend(self.hello(remembers));
        let asked = Instant::now();
        let mut next = loop {
            wire.send()?;
            if let Some(answer) = wire.answers()?.first() {
                match Answer::parse(answer) {
                    Some(Answer::Ok(last_seq)) => break self.feed.greeted(last_seq, remembers),
                    Some(Answer::Err(_, pause)) => return Ok(Ended::After(pause)),
                    _ => {
                        self.feed.lied(&format!("HELLO was answered by {answer:?}"));
                        return Ok(Ended::After(PAUSE));
                    }
                }
            }
            if asked.elapsed() > SILENCE || self.gate.is_over() {
                return Ok(Ended::Again);
            }
        };
        let mut clock = Instant::now();
        let mut owed = 0.0;
        let mut heard = Instant::now();
        let mut deaf_until = None;
        while !self.gate.is_over() {
            owed = (owed + clock.elapsed().as_secs_f64() * self.rate as f64).min(self.rate as f64 / 5.0);
            clock = Instant::now();
            if let Some(round) = self.gate.round() {
                self.feed.make(owed as u64, round);
                owed = owed.fract();
            } else {
                owed = 0.0;
            }
            let made = self.feed.book().made;
            while next <= made && wire.out.len() < GATHER {
                self.feed.line(next, &mut wire.out);
                next += 1;
            }
            self.feed.sending(next - 1);
            match self.feed.disturbance() {
                Some(Disturbance::Deaf(time)) => deaf_until = Some(Instant::now() + time),
                Some(how) => {
                    let mut cut = Vec::new();
                    self.feed.line(next, &mut cut);
                    cut.truncate(cut.len() / 2);
                    wire.out.extend(cut);
                    let _ = wire.send();
                    if how == Disturbance::Reset {
                        wire.reset()?;
                        return Ok(Ended::Again);
                    }
                    // One whose records name their sources has to say how far it got.
                    let forgets = matches!(self.feed.naming, Naming::Greeting(_));
                    return Ok(if forgets { Ended::Forgetful } else { Ended::Again });
                }
                None => {}
            }
            let sent = wire.send();
            if deaf_until.is_some_and(|end| Instant::now() < end) {
                pass(Duration::from_millis(5));
                heard = Instant::now();
                continue;
            }
            let answers = wire.answers();
            if let Ok(answers) = &answers {
                for answer in answers {
                    heard = Instant::now();
                    if let Some(ended) = self.hear(answer) {
                        return Ok(ended);
                    }
                }
            }
            sent?;
            answers?;
            let book = self.feed.book();
            if book.acked >= book.made {
                heard = Instant::now();
            } else if heard.elapsed() > SILENCE {
                return Ok(Ended::Again);
            }
        }
        Ok(Ended::Again)
    }

    fn hear(&self, answer: &str) -> Option<Ended> {
        match Answer::parse(answer) {
            Some(Answer::Ack(up_to)) => {
                self.feed.acknowledged(up_to);
                None
            }
            Some(Answer::Nack(number)) => {
                self.feed.refused(number, answer);
                None
            }
            Some(Answer::Err(code, pause)) => {
                // A connection's age, a stop, a full store: all temporary. These are not:
                let wrong =
                    ["bad_token", "bad_hello", "bad_source", "bad_stream", "wrong_kind", "identity_changed"];
                if wrong.contains(&code.as_str()) {
                    self.feed.lied(answer);
                }
                Some(Ended::After(pause))
            }
            Some(Answer::Ok(_)) | None => {
                self.feed.lied(&format!("a line that is no answer: {answer:?}"));
                Some(Ended::After(PAUSE))
            }
        }
    }
}

/// What the server says.
#[derive(Debug, PartialEq)]
enum Answer {
    Ok(u64),
    Ack(u64),
    Nack(u64),
    /// Its code, and how long to wait.
    Err(String, Duration),
}

impl Answer {
    fn parse(line: &str) -> Option<Self> {
        let (word, rest) = line.split_once(' ')?;
        let json = || serde_json::from_str::<serde_json::Value>(rest).ok();
        match word {
            "OK" => json()?["last_seq"].as_u64().map(Self::Ok),
            "ACK" => rest.parse().ok().map(Self::Ack),
            "NACK" => rest.split(' ').next()?.parse().ok().map(Self::Nack),
            "ERR" => {
                let fault = json()?;
                let pause = fault["retry_after"].as_u64().map_or(PAUSE, Duration::from_secs).min(MOST_PAUSE);
                Some(Self::Err(fault["code"].as_str()?.to_owned(), pause))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read() {
        fn check(line: &str, expect: Option<Answer>) {
            assert_eq!(Answer::parse(line), expect, "{line}");
        }
        check(r#"OK {"stream":"s","last_seq":41}"#, Some(Answer::Ok(41)));
        check("ACK 57", Some(Answer::Ack(57)));
        check(r#"NACK 58 {"code":"json"}"#, Some(Answer::Nack(58)));
        check(r#"ERR {"code":"busy","retry_after":30}"#, Some(Answer::Err("busy".to_owned(), MOST_PAUSE)));
        check(r#"ERR {"code":"stopping"}"#, Some(Answer::Err("stopping".to_owned(), PAUSE)));
        check("ACK x", None);
        check("HTTP/1.1 400 Bad Request", None);
    }
}
