//! Batches into OpenSearch: every event by itself, whatever becomes of the others.

use crate::bulk::{self, Outcome};
use crate::client::Request;
use crate::degrade;
use crate::error::Refusal;
use crate::index::Cluster;
use crate::options::Refresh;
use bytes::{Bytes, BytesMut};
use domain::event::StoredEvent;
use opensearch::http::Method;
use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use store::broker::Record;
use store::index::layout::Class;
use store::index::{IndexEntry, IndexError, IndexName, Rejected, Written};

/// How often an item is sent before the batch is given back: the processor then goes on trying, and says so.
const ATTEMPTS: u32 = 6;
/// How long one bulk may take.
const TIME_A_BULK: Duration = Duration::from_secs(60);

/// An event on its way.
struct Item {
    entry: IndexEntry,
    index: String,
    id: String,
    /// What is sent.
    json: Bytes,
    /// Whether that is the degraded form.
    degraded: bool,
}

impl Cluster {
    /// Writes a batch.
    pub async fn write(&self, batch: Vec<IndexEntry>) -> Result<Written, IndexError> {
        let mut written = Written::default();
        if batch.is_empty() {
            return Ok(written);
        }
        self.expect_template().await?;
        let mut items = Vec::with_capacity(batch.len());
        for entry in batch {
            match self.item(entry) {
                Ok(item) => items.push(item),
                Err(rejected) => written.rejected.push(rejected),
            }
        }
        let started = Instant::now();
        let mut touched = HashSet::new();
        let mut attempt = 0;
        while !items.is_empty() {
            attempt += 1;
            let mut left = Vec::new();
            let mut last = None;
            for chunk in self.chunks(items) {
                touched.extend(chunk.iter().map(|item| item.index.clone()));
                last = self.send(chunk, &mut written, &mut left).await?.or(last);
            }
            items = left;
            // Those that go again in their degraded form have not failed.
            let Some(refusal) = last else { continue };
            metrics::counter!("qgx_search_bulk_retries_total").increment(items.len() as u64);
            if attempt >= ATTEMPTS {
                return Err(IndexError::Failed(refusal.to_string()));
            }
            tokio::time::sleep(backoff(attempt)).await;
        }
        if self.options.refresh == Refresh::AtOnce {
            self.refresh(touched).await?;
        }
        metrics::histogram!("qgx_index_commit_seconds").record(started.elapsed());
        Ok(written)
    }

    fn item(&self, entry: IndexEntry) -> Result<Item, Rejected> {
        let checked = checked(&entry.record).map(|(class, event)| {
            let name = IndexName::of(class, entry.record.route.group, event.received_at);
            (format!("{}{name}", self.options.prefix), event.id.to_string())
        });
        match checked {
            Ok((index, id)) => {
                let json = entry.record.payload.clone();
                Ok(Item { entry, index, id, json, degraded: false })
            }
            Err((code, reason)) => Err(rejected(&entry, code, reason)),
        }
    }

    /// Splits by bytes; a larger event goes alone.
    fn chunks(&self, items: Vec<Item>) -> Vec<Vec<Item>> {
        let mut chunks: Vec<Vec<Item>> = Vec::new();
        let mut bytes = usize::MAX;
        for item in items {
            bytes = bytes.saturating_add(item.json.len());
            if bytes > self.options.bulk_bytes {
                chunks.push(Vec::new());
                bytes = item.json.len();
            }
            if let Some(chunk) = chunks.last_mut() {
                chunk.push(item);
            }
        }
        chunks
    }

    /// Sends a chunk. What is to be sent again goes to `left`; returns why, where that is for a failure.
    async fn send(
        &self,
        chunk: Vec<Item>,
        written: &mut Written,
        left: &mut Vec<Item>,
    ) -> Result<Option<Refusal>, IndexError> {
        let mut body = BytesMut::with_capacity(chunk.iter().map(|item| item.json.len() + 160).sum());
        for item in &chunk {
            bulk::push(&mut body, &item.index, &item.id, item.entry.record.route.tenant.as_str(), &item.json);
        }
        let refresh = if self.options.refresh == Refresh::WaitFor { "wait_for" } else { "false" };
        let query = [("refresh", refresh), ("filter_path", "items.*.status,items.*.error")];
        let request =
            Request { method: Method::Post, path: "_bulk", query: &query, body: Some(body.freeze()) };
        let answer = match self.client.call(request, TIME_A_BULK).await {
            Err(crate::error::Fault::Refused(refusal)) if refusal.remedy().is_none() && refusal.passes() => {
                left.extend(chunk);
                return Ok(Some(refusal));
            }
            answer => answer?,
        };
        let outcomes = bulk::outcomes(&answer)?;
        if outcomes.len() != chunk.len() {
            return Err(crate::error::unreadable("a bulk has not as many outcomes as items"));
        }
        let mut last = None;
        for (mut item, outcome) in chunk.into_iter().zip(outcomes) {
            match outcome {
                Outcome::Created => written.indexed += 1,
                Outcome::Exists => written.skipped += 1,
                Outcome::Stopped(remedy) => return Err(IndexError::Failed(remedy)),
                Outcome::Later(refusal) => {
                    last = Some(refusal);
                    left.push(item);
                }
                Outcome::Unfit(refusal) => match degrade::degraded(&item.json).filter(|_| !item.degraded) {
                    Some(json) => {
                        metrics::counter!("qgx_search_degraded_total").increment(1);
                        item.json = json;
                        item.degraded = true;
                        left.push(item);
                    }
                    None => written.rejected.push(rejected(&item.entry, "refused_by_index", refusal.reason)),
                },
            }
        }
        Ok(last)
    }

    async fn refresh(&self, indexes: HashSet<String>) -> Result<(), IndexError> {
        let indexes = indexes.into_iter().collect::<Vec<_>>();
        // Addresses are bounded: some forty names each.
        for names in indexes.chunks(40) {
            let path = format!("{}/_refresh", names.join(","));
            let query = [("ignore_unavailable", "true"), ("allow_no_indices", "true")];
            let request = Request { method: Method::Post, path: &path, query: &query, body: None };
            self.client.call(request, TIME_A_BULK).await?;
        }
        Ok(())
    }

    /// Without the template OpenSearch would guess how events are to be indexed, and guess wrong.
    async fn expect_template(&self) -> Result<(), IndexError> {
        if self.ready.load(Ordering::Acquire) {
            return Ok(());
        }
        match self.template_version().await? {
            Some(version) if version >= crate::template::VERSION => {
                self.ready.store(true, Ordering::Release);
                Ok(())
            }
            _ => Err(IndexError::Failed(
                "OpenSearch has no index template of this version of QGX: run `qgx migrate`".to_owned(),
            )),
        }
    }
}

fn rejected(entry: &IndexEntry, code: &'static str, reason: String) -> Rejected {
    Rejected { partition: entry.partition, offset: entry.record.offset, code, reason }
}

/// A record's class and event, or the code and the reason for which it is refused.
fn checked(record: &Record) -> Result<(Class, StoredEvent<'_>), (&'static str, String)> {
    let route = &record.route;
    let class = Class::parse(&route.class)
        .ok_or_else(|| ("bad_class", format!("no such retention class: {}", route.class)))?;
    let text = std::str::from_utf8(&record.payload).map_err(|error| ("undecodable", error.to_string()))?;
    let event =
        serde_json::from_str::<StoredEvent<'_>>(text).map_err(|error| ("undecodable", error.to_string()))?;
    // Rights, quotas and retention were those of the route: the event must not end up with somebody else.
    if event.tenant != route.tenant.as_str() || event.source != route.source.as_str() {
        let (tenant, source) = (&route.tenant, &route.source);
        let reason = format!("came as {tenant}/{source}, but says {}/{}", event.tenant, event.source);
        return Err(("wrong_tenant", reason));
    }
    Ok((class, event))
}

/// 100 ms, doubling, up to 3 s; a part of it by chance, so that writers do not come back together.
fn backoff(attempt: u32) -> Duration {
    let longest = Duration::from_millis(100).saturating_mul(1 << attempt.min(5)).min(Duration::from_secs(3));
    let chance = getrandom::u32().map_or(0.5, |number| f64::from(number) / f64::from(u32::MAX));
    longest.mul_f64(0.5 + chance / 2.0)
}
