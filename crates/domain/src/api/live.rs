//! What pages are told as it happens.

use super::SourceState;
use crate::{Event, SourceKey, Timestamp};
use serde::{Deserialize, Serialize};

/// One second of a tenant, published on `qgx.live.v1` and pushed to its browsers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LiveTotals {
    /// The second, by arrival.
    pub at: Timestamp,
    /// Events indexed in it.
    pub events: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Events by level, in the order of [`crate::Level::ALL`], then those without.
    pub levels: [u64; 10],
    /// Events by source, the busiest 20.
    pub sources: Vec<(SourceKey, u64)>,
    /// p99 from arrival to searchable, in milliseconds.
    pub freshness_p99_ms: f64,
}

/// What the multiplexed stream of a page carries. `id` names a subscription of the page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum LiveMessage {
    /// One second of the tenant.
    Totals(LiveTotals),
    /// Events that match a tail.
    Tail {
        /// The tail.
        id: String,
        /// At most 200 a second.
        events: Vec<Event>,
        /// How many matched but were left out in this second.
        omitted: u64,
    },
    /// A source came, went, or was heard from for the first time.
    Source {
        /// Which.
        key: SourceKey,
        /// Its new state.
        state: SourceState,
    },
    /// A connection was refused (on Connect).
    Refusal(Refusal),
    /// A token's first event arrived (on Connect).
    TokenSeen {
        /// The token's id.
        token: String,
        /// The source it came as.
        source: SourceKey,
    },
    /// Nothing happened; the stream is alive.
    Heartbeat {
        /// Server time.
        at: Timestamp,
    },
    /// The reader was too slow; this many messages were left out.
    Lagged {
        /// How many.
        missed: u64,
    },
}

impl LiveMessage {
    /// Reads what serde writes, by its type first and then as that: browsers spare the code that holds a message of a
    /// type unknown yet.
    ///
    /// # Errors
    /// Where it is no JSON, or none of these.
    pub fn read(json: &str) -> serde_json::Result<Self> {
        #[derive(Deserialize)]
        struct Kind<'a> {
            #[serde(rename = "type")]
            kind: &'a str,
        }
        #[derive(Deserialize)]
        struct Tail {
            id: String,
            events: Vec<Event>,
            omitted: u64,
        }
        #[derive(Deserialize)]
        struct Source {
            key: SourceKey,
            state: SourceState,
        }
        #[derive(Deserialize)]
        struct TokenSeen {
            token: String,
            source: SourceKey,
        }
        #[derive(Deserialize)]
        struct Alive {
            at: Option<Timestamp>,
            missed: Option<u64>,
        }
        let unknown = || <serde_json::Error as serde::de::Error>::custom("no such message");
        Ok(match serde_json::from_str::<Kind>(json)?.kind {
            "totals" => Self::Totals(serde_json::from_str(json)?),
            "refusal" => Self::Refusal(serde_json::from_str(json)?),
            "tail" => {
                let Tail { id, events, omitted } = serde_json::from_str(json)?;
                Self::Tail { id, events, omitted }
            }
            "source" => {
                let Source { key, state } = serde_json::from_str(json)?;
                Self::Source { key, state }
            }
            "token_seen" => {
                let TokenSeen { token, source } = serde_json::from_str(json)?;
                Self::TokenSeen { token, source }
            }
            kind => match (kind, serde_json::from_str(json)?) {
                ("heartbeat", Alive { at: Some(at), .. }) => Self::Heartbeat { at },
                ("lagged", Alive { missed: Some(missed), .. }) => Self::Lagged { missed },
                _ => return Err(unknown()),
            },
        })
    }
}

/// A connection or record that was turned away.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Refusal {
    /// When.
    pub at: Timestamp,
    /// From where.
    pub peer: String,
    /// By which protocol, as far as known.
    pub protocol: String,
    /// Stable code: `no_credential`, `bad_token`, `expired_token`, `revoked_token`, `wrong_kind`, `http`,
    /// `frame_too_large`, …
    pub code: String,
    /// The token it showed, by id, where it is one of the tenant's.
    pub token: Option<String>,
    /// How often within the minute.
    pub count: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_reads_as_serde_reads_it() {
        let check = |json: &str, expect: bool| {
            let read = LiveMessage::read(json).ok();
            assert_eq!(read.is_some(), expect, "{json}");
            assert_eq!(read, serde_json::from_str(json).ok(), "{json}");
        };
        let at = r#""at":"2026-11-22T00:00:00.000000000Z""#;
        check(
            &format!(
                r#"{{"type":"totals",{at},"events":3,"bytes":9,"levels":[0,0,0,0,0,0,1,0,0,2],"sources":[["pump-1",3]],"freshness_p99_ms":1.5}}"#
            ),
            true,
        );
        check(r#"{"type":"tail","id":"t0","events":[],"omitted":2}"#, true);
        check(r#"{"type":"source","key":"pump-1","state":"online"}"#, true);
        check(
            &format!(
                r#"{{"type":"refusal",{at},"peer":"10.0.0.1:5","protocol":"gelf","code":"quota","token":null,"count":1}}"#
            ),
            true,
        );
        check(r#"{"type":"token_seen","token":"k1","source":"펌프"}"#, true);
        check(&format!(r#"{{"type":"heartbeat",{at}}}"#), true);
        check(r#"{"missed":7,"type":"lagged"}"#, true);
        check(r#"{"type":"lagged"}"#, false);
        check(r#"{"type":"tail","id":"t0"}"#, false);
        check(r#"{"type":"other"}"#, false);
        check("[]", false);
    }
}
