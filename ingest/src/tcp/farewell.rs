//! How a connection is told that it is over, so that it gets to read it.

use super::Port;
use super::no_entry::{Answer, NoEntry};
use super::replies::Replies;
use super::transport::Transport;
use crate::access::RefusalCode;
use crate::facts;
use crate::protocol::{Protocol, relp};
use bytes::BytesMut;
use domain::Timestamp;
use domain::api::Refusal;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::time::Duration;

/// What is wrong at the end of a connection: code, message, when to come again.
pub type LastError = (&'static str, String, Option<Duration>);

/// How long the last answer may take to be written.
const LAST_ANSWER: Duration = Duration::from_secs(10);
/// How long, and how much, a turned-away sender is listened to, so that it gets to read why.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 16 << 20;
/// Read at a time while lingering; nobody looks at it.
const SCRATCH: usize = 8 << 10;

/// Tells a connection that is not let in why, and ends it.
pub async fn turn_away(port: &Port, peer: IpAddr, transport: Transport, no_entry: NoEntry) {
    let mut replies = Replies::default();
    match no_entry {
        NoEntry::Gone => {}
        NoEntry::Http => {
            note_refusal(port, peer, "http", RefusalCode::Http.code(), None).await;
            let hint = &port.config.http_hint;
            let answer = format!(
                "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\
                 Connection: close\r\n\r\n{hint}",
                hint.len(),
            );
            replies.push(answer.as_bytes());
        }
        NoEntry::Refused { code, message, protocol, secret, answer } => {
            note_refusal(port, peer, protocol, code, secret.as_deref()).await;
            match answer {
                Answer::Silence => {}
                Answer::Line => {
                    let later = matches!(code, "unavailable" | "busy").then_some(5);
                    replies.err(code, &message, later);
                }
                Answer::Relp(txnr) => {
                    let mut refusal = BytesMut::new();
                    if let Some(txnr) = txnr {
                        relp::refusal(&mut refusal, txnr, &format!("{code}: {message}"));
                    }
                    replies.push(&refusal);
                    replies.push(relp::SERVER_CLOSE);
                }
            }
        }
        NoEntry::Left => replies.push(relp::SERVER_CLOSE),
    }
    say_goodbye(transport, replies).await;
}

/// The last line of a connection, where its protocol has one: code, message, when to come again.
pub fn last_words(protocol: Protocol, replies: &mut Replies, error: Option<&LastError>) {
    match (protocol, error) {
        (Protocol::Qgx, Some((code, message, retry_after))) => {
            replies.err(code, message, retry_after.map(|time| time.as_secs().max(1)));
        }
        (Protocol::Relp, _) => replies.push(relp::SERVER_CLOSE),
        _ => {}
    }
}

/// Counts a refusal and shows it to whoever can do something about it.
pub async fn note_refusal(port: &Port, peer: IpAddr, protocol: &str, code: &str, secret: Option<&str>) {
    facts::refused(code);
    let access = &port.intake.access;
    let owner = match secret {
        Some(secret) => access.owner_of(secret).await,
        None => None,
    };
    let refusal = Refusal {
        at: Timestamp::now(),
        peer: peer.to_string(),
        protocol: protocol.to_owned(),
        code: code.to_owned(),
        token: owner.as_ref().map(|(_, token)| token.to_string()),
        count: 1,
    };
    access.refused(refusal, owner.map(|(tenant, _)| tenant));
}

/// Writes what is owed, half-closes, and listens a little: closing on unread bytes would reset the connection and take
/// the last answer away from the sender.
pub async fn say_goodbye(mut transport: Transport, mut replies: Replies) {
    let written = tokio::time::timeout(LAST_ANSWER, async {
        while replies.pending() {
            replies.write(&mut transport)?;
            if replies.pending() {
                transport.writable().await?;
            }
        }
        transport.half_close().await
    });
    if !matches!(written.await, Ok(Ok(()))) {
        return;
    }
    let (mut heard, mut scratch) = (0, BytesMut::new());
    // However it ends, the connection is over.
    let _ = tokio::time::timeout(LINGER, async {
        while heard < LINGER_BYTES && transport.readable().await.is_ok() {
            scratch.clear();
            scratch.reserve(SCRATCH);
            match transport.try_read(&mut scratch, SCRATCH) {
                Ok(0) => return,
                Ok(count) => heard += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    })
    .await;
}
