//! Packs: the body of a frame, the records of one partition from one commit.
//!
//! Length of the description (4 bytes, little-endian), the description, then the payloads end to end. The description
//! has a table of routes and then runs of records that share route, token and kind of origin, so that a record of a
//! stream takes two or three bytes beside its payload. Numbers are LEB128, texts have their length in front:
//!
//! ```text
//! description = routes: n, n × (tenant, source, class, group, protocol); run*
//! run         = route index, token, kind, [stream name, if kind = 1], n, n × entry
//! entry       = payload length, [kind 1: sequence, as zigzag distance from the one before + 1], [kind 2: given id]
//! ```

use bytes::{Buf, Bytes};
use domain::{SourceKey, TenantId};
use std::collections::HashMap;
use std::sync::Arc;
use store::broker::{NewRecord, Origin, Record, Route};

use crate::frame::{HEAD, Head};
use crate::wire::{Cursor, Malformed, put_number, put_text, unzigzag, zigzag};

/// Gathers records of one partition.
#[derive(Default)]
pub struct PackBuilder {
    routes: Vec<Arc<Route>>,
    /// By address: the routes above keep them alive.
    route_index: HashMap<usize, u64>,
    table: Vec<u8>,
    runs: Vec<u8>,
    run: Option<Run>,
    entries: Vec<u8>,
    payloads: Vec<Bytes>,
    payload_bytes: usize,
}

struct Run {
    route: Arc<Route>,
    token: u64,
    kind: Kind,
    count: u64,
    sequence: u64,
}

#[derive(Clone, PartialEq, Eq)]
enum Kind {
    Unmarked,
    Stream(Arc<str>),
    Given,
}

impl Kind {
    fn of(origin: &Origin) -> Self {
        match origin {
            Origin::Unmarked => Self::Unmarked,
            Origin::Stream { stream, .. } => Self::Stream(Arc::clone(stream)),
            Origin::Given(_) => Self::Given,
        }
    }

    fn covers(&self, origin: &Origin) -> bool {
        match (self, origin) {
            (Self::Unmarked, Origin::Unmarked) | (Self::Given, Origin::Given(_)) => true,
            (Self::Stream(ours), Origin::Stream { stream, .. }) => {
                Arc::ptr_eq(ours, stream) || ours == stream
            }
            _ => false,
        }
    }

    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Unmarked => out.push(0),
            Self::Stream(stream) => {
                out.push(1);
                put_text(out, stream);
            }
            Self::Given => out.push(2),
        }
    }

    fn read(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        match cursor.number()? {
            0 => Ok(Self::Unmarked),
            1 => Ok(Self::Stream(cursor.text()?.into())),
            2 => Ok(Self::Given),
            _ => Err(Malformed),
        }
    }
}

/// Where and when a pack stands.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// The partition.
    pub partition: u32,
    /// The offset of the first record.
    pub first: u64,
    /// Epoch nanoseconds.
    pub appended_at: i64,
    /// Bytes of the partition's earlier frames.
    pub before: u64,
}

impl PackBuilder {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.payloads.is_empty()
    }

    /// Bytes of payload so far.
    pub fn payload_bytes(&self) -> usize {
        self.payload_bytes
    }

    /// Adds a record behind the others.
    pub fn push(&mut self, record: NewRecord) {
        let NewRecord { route, origin, token, payload } = record;
        let fits =
            |run: &Run| Arc::ptr_eq(&run.route, &route) && run.token == token && run.kind.covers(&origin);
        if !self.run.as_ref().is_some_and(fits) {
            self.end_run();
            self.run = Some(Run { route, token, kind: Kind::of(&origin), count: 0, sequence: 0 });
        }
        put_number(&mut self.entries, payload.len() as u64);
        if let Some(run) = &mut self.run {
            run.count += 1;
            match &origin {
                Origin::Unmarked => {}
                Origin::Stream { sequence, .. } => {
                    put_number(&mut self.entries, zigzag(run.sequence.wrapping_add(1), *sequence));
                    run.sequence = *sequence;
                }
                Origin::Given(id) => put_text(&mut self.entries, id),
            }
        }
        self.payload_bytes += payload.len();
        self.payloads.push(payload);
    }

    fn end_run(&mut self) {
        let Some(run) = self.run.take() else { return };
        let route = self.route(run.route);
        put_number(&mut self.runs, route);
        put_number(&mut self.runs, run.token);
        run.kind.put(&mut self.runs);
        put_number(&mut self.runs, run.count);
        self.runs.append(&mut self.entries);
    }

    fn route(&mut self, route: Arc<Route>) -> u64 {
        let next = self.routes.len() as u64;
        let index = *self.route_index.entry(Arc::as_ptr(&route).addr()).or_insert(next);
        if index == next {
            put_text(&mut self.table, route.tenant.as_str());
            put_text(&mut self.table, route.source.as_str());
            put_text(&mut self.table, &route.class);
            put_number(&mut self.table, u64::from(route.group));
            put_text(&mut self.table, &route.protocol);
            self.routes.push(route);
        }
        index
    }

    /// Appends the pack as a frame to `out`, empties the builder for the next one, and returns the frame's head.
    pub fn finish(&mut self, place: Place, salt: u64, out: &mut Vec<u8>) -> Head {
        self.end_run();
        let start = out.len();
        out.extend_from_slice(&[0; HEAD + 4]);
        put_number(out, self.routes.len() as u64);
        out.append(&mut self.table);
        out.append(&mut self.runs);
        let described = out.len() - start - HEAD - 4;
        out[start + HEAD..start + HEAD + 4].copy_from_slice(&(described as u32).to_le_bytes());
        let count = self.payloads.len();
        for payload in self.payloads.drain(..) {
            out.extend_from_slice(&payload);
        }
        self.routes.clear();
        self.route_index.clear();
        self.payload_bytes = 0;
        let body = &out[start + HEAD..];
        let head = Head {
            body_crc: crc32c::crc32c(body),
            body_len: body.len() as u32,
            partition: place.partition,
            count: count as u32,
            first: place.first,
            appended_at: place.appended_at,
            before: place.before,
        };
        out[start..start + HEAD].copy_from_slice(&head.encode(salt));
        head
    }
}

/// What a fetch gathers.
pub struct Gathered {
    /// So far.
    pub records: Vec<Record>,
    /// The first offset asked for.
    pub from: u64,
    /// Bytes of payload still wanted.
    pub room: usize,
    /// Whether the next record did not fit.
    pub full: bool,
}

impl Gathered {
    /// Nothing yet.
    pub fn new(from: u64, max_bytes: usize) -> Self {
        Self { records: Vec::new(), from, room: max_bytes, full: false }
    }

    /// Takes a record, unless it is beyond what was asked for; the first is always taken.
    fn offer(&mut self, record: Record) {
        if record.payload.len() > self.room && !self.records.is_empty() {
            self.full = true;
            return;
        }
        self.room = self.room.saturating_sub(record.payload.len());
        self.records.push(record);
        self.full = self.room == 0;
    }
}

/// Adds a pack's records to what a fetch gathers; payloads are slices of `body`.
pub fn decode(body: &Bytes, first: u64, into: &mut Gathered) -> Result<(), Malformed> {
    let mut rest = body.clone();
    let described = rest.try_get_u32_le().map_err(|_| Malformed)? as usize;
    if described > rest.len() {
        return Err(Malformed);
    }
    let description = rest.split_to(described);
    let mut cursor = Cursor(&description);
    let routes = read_routes(&mut cursor)?;
    let mut offset = first;
    while !cursor.0.is_empty() {
        let route = cursor.length()?;
        let route = routes.get(route).ok_or(Malformed)?;
        let token = cursor.number()?;
        let kind = Kind::read(&mut cursor)?;
        let mut sequence = 0_u64;
        for _ in 0..cursor.number()? {
            let length = cursor.length()?;
            let origin = match &kind {
                Kind::Unmarked => Origin::Unmarked,
                Kind::Stream(stream) => {
                    sequence = unzigzag(sequence.wrapping_add(1), cursor.number()?);
                    Origin::Stream { stream: Arc::clone(stream), sequence }
                }
                Kind::Given => {
                    let id = cursor.text()?;
                    // Given ids are the only part that allocates a record each: not for records passed over.
                    if offset < into.from { Origin::Unmarked } else { Origin::Given(id.into()) }
                }
            };
            if length > rest.len() {
                return Err(Malformed);
            }
            if offset < into.from {
                rest.advance(length);
            } else {
                let payload = rest.split_to(length);
                into.offer(Record { offset, route: Arc::clone(route), origin, token, payload });
                if into.full {
                    return Ok(());
                }
            }
            offset += 1;
        }
    }
    Ok(())
}

fn read_routes(cursor: &mut Cursor<'_>) -> Result<Vec<Arc<Route>>, Malformed> {
    let count = cursor.length()?;
    // Each takes at least five bytes.
    let mut routes = Vec::with_capacity(count.min(cursor.0.len() / 5));
    for _ in 0..count {
        routes.push(Arc::new(Route {
            tenant: TenantId::new(cursor.text()?).map_err(|_| Malformed)?,
            source: SourceKey::new(cursor.text()?).map_err(|_| Malformed)?,
            class: cursor.text()?.into(),
            group: u16::try_from(cursor.number()?).map_err(|_| Malformed)?,
            protocol: cursor.text()?.into(),
        }));
    }
    Ok(routes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use store::broker::conformance::route;

    fn origin() -> impl Strategy<Value = Origin> {
        prop_oneof![
            Just(Origin::Unmarked),
            ("[a-c]", 0..6_u64).prop_map(|(it, sequence)| Origin::Stream { stream: it.into(), sequence }),
            (".*", any::<u64>()).prop_map(|(it, sequence)| Origin::Stream { stream: it.into(), sequence }),
            ".*".prop_map(|it| Origin::Given(it.into())),
        ]
    }

    prop_compose! {
        fn records()(all in vec((0..3_usize, origin(), 0..2_u64, vec(any::<u8>(), 0..300)), 1..60)) -> Vec<NewRecord> {
            let routes = ["pump-1", "펌프", "PUMP-1"].map(route);
            all.into_iter()
                .map(|(at, origin, token, payload)| {
                    NewRecord { route: Arc::clone(&routes[at]), origin, token, payload: payload.into() }
                })
                .collect()
        }
    }

    fn encode(records: &[NewRecord]) -> Bytes {
        let mut builder = PackBuilder::default();
        for record in records {
            builder.push(record.clone());
        }
        let mut out = Vec::new();
        let place = Place { partition: 1, first: 100, appended_at: 0, before: 0 };
        let head = builder.finish(place, 9, &mut out);
        assert!(builder.is_empty());
        assert_eq!(Head::decode(&out, 9), Some(head));
        assert_eq!(head.next(), 100 + records.len() as u64);
        Bytes::from(out).slice(HEAD..)
    }

    proptest! {
        #[test]
        fn records_come_back(records in records(), skip in 0..60_u64, room in 0..3000_usize) {
            let body = encode(&records);
            let skip = skip.min(records.len() as u64 - 1);
            let mut seen = Gathered::new(100 + skip, room);
            decode(&body, 100, &mut seen).unwrap();
            prop_assert!(!seen.records.is_empty());
            let bytes: usize = seen.records.iter().map(|it| it.payload.len()).sum();
            prop_assert!(bytes <= room || seen.records.len() == 1);
            for (seen, at) in seen.records.iter().zip(skip..) {
                let expect = &records[at as usize];
                prop_assert_eq!(seen.offset, 100 + at);
                prop_assert_eq!(&seen.route, &expect.route);
                prop_assert_eq!(&seen.origin, &expect.origin);
                prop_assert_eq!(seen.token, expect.token);
                prop_assert_eq!(&seen.payload, &expect.payload);
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in vec(any::<u8>(), 0..200), cut in 0..400_usize, records in records()) {
            let mut seen = Gathered::new(0, usize::MAX);
            let _ = decode(&bytes.into(), 0, &mut seen);
            let body = encode(&records);
            let _ = decode(&body.slice(..cut.min(body.len())), 0, &mut seen);
        }
    }

    #[test]
    fn records_of_a_stream_take_little_room() {
        let stream: Arc<str> = "boot-7".into();
        let route = route("pump-1");
        let record = |sequence| NewRecord {
            route: Arc::clone(&route),
            origin: Origin::Stream { stream: Arc::clone(&stream), sequence },
            token: 7,
            payload: Bytes::from_static(&[b'x'; 256]),
        };
        let records: Vec<_> = (1..=1000).map(record).collect();
        let beside = encode(&records).len() - 256 * records.len();
        assert!(beside < 3 * records.len() + 100, "{beside} bytes beside the payloads");
    }
}
