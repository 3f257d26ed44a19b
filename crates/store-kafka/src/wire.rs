//! A record on Kafka.
//!
//! | part | holds |
//! |---|---|
//! | key | `tenant/source` |
//! | value | the payload |
//! | header `c` | retention class |
//! | header `g` | index group, decimal |
//! | header `p` | protocol it came by |
//! | header `t` | token, decimal; absent where none |
//! | headers `s`, `q` | the client's stream, and its sequence, decimal |
//! | header `i` | the id that the client gave |
//!
//! A reader passes over headers it does not know.

use bytes::Bytes;
use domain::{SourceKey, TenantId};
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use std::collections::HashMap;
use std::sync::Arc;
use store::broker::{NewRecord, Origin, Record, Route};

/// What a record costs on the wire beyond its payload, about.
pub const OVERHEAD_BYTES: usize = 60;

/// Routes read lately are shared, as those of a connection are.
const ROUTES: usize = 4096;

/// Why a message is no record of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("its {0} is missing or malformed")]
pub struct Malformed(&'static str);

/// The key of a route.
pub fn key(route: &Route) -> String {
    format!("{}/{}", route.tenant.as_str(), route.source.as_str())
}

/// The headers of a record.
pub fn headers(record: &NewRecord) -> OwnedHeaders {
    fn put(headers: OwnedHeaders, key: &str, value: &str) -> OwnedHeaders {
        headers.insert(Header { key, value: Some(value) })
    }
    let NewRecord { route, origin, token, .. } = record;
    let mut headers = OwnedHeaders::new_with_capacity(6);
    headers = put(headers, "c", &route.class);
    headers = put(headers, "g", &route.group.to_string());
    headers = put(headers, "p", &route.protocol);
    if *token != 0 {
        headers = put(headers, "t", &token.to_string());
    }
    match origin {
        Origin::Unmarked => headers,
        Origin::Stream { stream, sequence } => put(put(headers, "s", stream), "q", &sequence.to_string()),
        Origin::Given(id) => put(headers, "i", id),
    }
}

/// Reads messages, sharing the routes among them.
#[derive(Debug, Default)]
pub struct Decoder {
    routes: HashMap<Vec<u8>, Arc<Route>>,
}

impl Decoder {
    /// The record of a message.
    ///
    /// # Errors
    /// Where somebody else wrote it.
    pub fn record(&mut self, message: &impl Message) -> Result<Record, Malformed> {
        let key = message.key().ok_or(Malformed("key"))?;
        let found = Found::of(message)?;
        Ok(Record {
            offset: u64::try_from(message.offset()).map_err(|_| Malformed("offset"))?,
            route: self.route(key, &found)?,
            origin: found.origin()?,
            token: found.token.map_or(Ok(0), |text| number(Some(text), "token"))?,
            payload: Bytes::copy_from_slice(message.payload().unwrap_or_default()),
        })
    }

    fn route(&mut self, key: &[u8], found: &Found<'_>) -> Result<Arc<Route>, Malformed> {
        let (class, group, protocol) = (
            found.class.ok_or(Malformed("class"))?,
            found.group.ok_or(Malformed("group"))?,
            found.protocol.ok_or(Malformed("protocol"))?,
        );
        let joined = [key, class.as_bytes(), group.as_bytes(), protocol.as_bytes()].join(&0_u8);
        if let Some(route) = self.routes.get(&joined) {
            return Ok(Arc::clone(route));
        }
        let (tenant, source) =
            std::str::from_utf8(key).ok().and_then(|key| key.split_once('/')).ok_or(Malformed("key"))?;
        let route = Arc::new(Route {
            tenant: TenantId::new(tenant).map_err(|_| Malformed("tenant"))?,
            source: SourceKey::new(source).map_err(|_| Malformed("source"))?,
            class: class.into(),
            group: number(Some(group), "group")?,
            protocol: protocol.into(),
        });
        if self.routes.len() >= ROUTES {
            self.routes.clear();
        }
        self.routes.insert(joined, Arc::clone(&route));
        Ok(route)
    }
}

#[derive(Default)]
struct Found<'a> {
    class: Option<&'a str>,
    group: Option<&'a str>,
    protocol: Option<&'a str>,
    token: Option<&'a str>,
    stream: Option<&'a str>,
    sequence: Option<&'a str>,
    given: Option<&'a str>,
}

impl<'a> Found<'a> {
    fn of(message: &'a impl Message) -> Result<Self, Malformed> {
        let mut found = Self::default();
        let Some(headers) = message.headers() else { return Ok(found) };
        for at in 0..headers.count() {
            let header = headers.get(at);
            let place = match header.key {
                "c" => &mut found.class,
                "g" => &mut found.group,
                "p" => &mut found.protocol,
                "t" => &mut found.token,
                "s" => &mut found.stream,
                "q" => &mut found.sequence,
                "i" => &mut found.given,
                _ => continue,
            };
            let value = std::str::from_utf8(header.value.unwrap_or_default());
            *place = Some(value.map_err(|_| Malformed("header"))?);
        }
        Ok(found)
    }

    fn origin(&self) -> Result<Origin, Malformed> {
        match (self.stream, self.given) {
            (Some(stream), _) => {
                Ok(Origin::Stream { stream: stream.into(), sequence: number(self.sequence, "sequence")? })
            }
            (None, Some(id)) => Ok(Origin::Given(id.into())),
            (None, None) => Ok(Origin::Unmarked),
        }
    }
}

fn number<N: std::str::FromStr>(text: Option<&str>, what: &'static str) -> Result<N, Malformed> {
    text.and_then(|text| text.parse().ok()).ok_or(Malformed(what))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdkafka::Timestamp;
    use rdkafka::message::OwnedMessage;

    fn message(key: Option<&str>, headers: Option<OwnedHeaders>, payload: &[u8]) -> OwnedMessage {
        OwnedMessage::new(
            Some(payload.to_vec()),
            key.map(|key| key.as_bytes().to_vec()),
            "qgx.events.v1".to_owned(),
            Timestamp::NotAvailable,
            0,
            42,
            headers,
        )
    }

    fn sample(origin: Origin, token: u64) -> NewRecord {
        let route = Route {
            tenant: TenantId::new("t_8f2k").expect("a tenant"),
            source: SourceKey::new("공장/펌프 1호기").expect("a source"),
            class: "90d".into(),
            group: 7,
            protocol: "syslog".into(),
        };
        NewRecord { route: Arc::new(route), origin, token, payload: Bytes::from_static(b"\0body") }
    }

    fn check(origin: Origin, token: u64) {
        let sent = sample(origin, token);
        let message = message(Some(&key(&sent.route)), Some(headers(&sent)), &sent.payload);
        let mut decoder = Decoder::default();
        let read = decoder.record(&message).expect("it is read back");
        assert_eq!((read.offset, read.token), (42, token));
        assert_eq!((&read.route, &read.origin, &read.payload), (&sent.route, &sent.origin, &sent.payload));
        let again = decoder.record(&message).expect("it is read back");
        assert!(Arc::ptr_eq(&read.route, &again.route), "routes are shared");
    }

    #[test]
    fn records_come_back() {
        check(Origin::Unmarked, 0);
        check(Origin::Stream { stream: "boot-7".into(), sequence: u64::MAX }, u64::MAX);
        check(Origin::Stream { stream: "".into(), sequence: 1 }, 1);
        check(Origin::Given("주문/42".into()), 3);
        check(Origin::Given("".into()), 0);
    }

    fn refused(key: Option<&str>, headers: Option<OwnedHeaders>, what: &'static str) {
        let outcome = Decoder::default().record(&message(key, headers, b"x"));
        assert_eq!(outcome.err(), Some(Malformed(what)));
    }

    #[test]
    fn what_others_wrote_is_refused() {
        let good = || headers(&sample(Origin::Unmarked, 0));
        let with = |key, value: &str| Some(good().insert(Header { key, value: Some(value) }));
        refused(None, Some(good()), "key");
        refused(Some("t_1"), Some(good()), "key");
        refused(Some("x/pump"), Some(good()), "tenant");
        refused(Some("t_1/"), Some(good()), "source");
        refused(Some("t_1/pump"), None, "class");
        refused(Some("t_1/pump"), with("g", "many"), "group");
        refused(Some("t_1/pump"), with("t", "-1"), "token");
        refused(Some("t_1/pump"), with("s", "boot"), "sequence");
    }
}
