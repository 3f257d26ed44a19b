//! How fast the index takes events and answers, and what it costs.
//!
//! `cargo run --release -p store-index --example index_throughput -- [EVENTS] [EVENTS_A_COMMIT] [WRITER_MB]`
//!
//! Events are log lines of about 280 bytes with six fields, ten thousand a second of `ts`. CPU is the process's, with
//! merges; events are made beforehand.

use bytes::Bytes;
use domain::api::{Aggregate, Order};
use domain::query::Query;
use domain::{SourceKey, TenantId, TimeRange, Timestamp};
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::broker::{Origin, Record, Route};
use store::index::{EventIndex, IndexEntry, NumericAggregation, ReadLimit, Search};
use store_index::{IndexOptions, TantivyIndex};
use tokio_util::sync::CancellationToken;

const START: i64 = 1_795_176_000_000_000_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(run())
}

async fn run() -> Result<(), Box<dyn std::error::Error>> {
    let argument =
        |i: usize, default: usize| std::env::args().nth(i).and_then(|a| a.parse().ok()).unwrap_or(default);
    let (events, batch, megabytes) = (argument(1, 1_000_000), argument(2, 20_000), argument(3, 64));
    let dir = tempfile::tempdir()?;
    let options = IndexOptions { writer_bytes: megabytes * 1_000_000, ..IndexOptions::default() };
    let index = TantivyIndex::open(dir.path(), options)?;
    let mut out = std::io::stdout().lock();

    let mut made = Duration::ZERO;
    let mut taken = Duration::ZERO;
    let mut cpu = 0.0;
    let mut slowest = Duration::ZERO;
    let mut bytes = 0;
    for first in (0..events).step_by(batch) {
        let started = Instant::now();
        let entries = (first..events.min(first + batch)).map(event).collect::<Vec<_>>();
        bytes += entries.iter().map(|e| e.record.payload.len()).sum::<usize>();
        made += started.elapsed();
        let (started, cpu_before) = (Instant::now(), cpu_seconds());
        index.write(entries).await?;
        cpu += cpu_seconds() - cpu_before;
        taken += started.elapsed();
        slowest = slowest.max(started.elapsed());
    }
    let count = events as f64;
    writeln!(
        out,
        "{events} events of {} B, {batch} a commit: {:.0} events/s, {:.2} µs CPU an event, slowest write {slowest:.1?}",
        bytes / events,
        count / taken.as_secs_f64(),
        cpu / count * 1e6,
    )?;
    let stats = index.stats().await?;
    writeln!(
        out,
        "{} segments, {:.0} B an event on disk, peak memory {} MB (events made in {made:.1?})",
        stats.segments,
        stats.bytes as f64 / count,
        peak_memory_mb(),
    )?;
    searches(&index, &mut out).await?;
    index.close().await?;
    Ok(())
}

async fn searches(index: &Arc<TantivyIndex>, out: &mut impl Write) -> Result<(), Box<dyn std::error::Error>> {
    let tenant = TenantId::new("t_first")?;
    let edges =
        (0..=60).map(|i| Timestamp::from_nanos(START).plus_nanos(i * 20_000_000_000)).collect::<Vec<_>>();
    let limit = || ReadLimit::within(Duration::from_secs(60), CancellationToken::new());
    for text in [
        "",
        "error",
        "\"failed password\"",
        "온도",
        "level>=warn",
        "site:부산",
        "temperature>80",
        "user:u77*",
        "-error",
    ] {
        let query = Query::parse(text).map_err(|e| format!("{e:?}"))?;
        let search = Search {
            query: query.clone(),
            range: TimeRange::ALL,
            order: Order::Desc,
            limit: 50,
            after: None,
        };
        let started = Instant::now();
        let total = index.search(&tenant, search, limit()).await?.total;
        let searched = started.elapsed();
        let started = Instant::now();
        index.histogram(&tenant, query.clone(), edges.clone(), limit()).await?;
        let charted = started.elapsed();
        let started = Instant::now();
        let fields = ["level", "source", "kind", "site", "user"].map(str::to_owned).to_vec();
        index.facets(&tenant, query.clone(), TimeRange::ALL, fields, 10, limit()).await?;
        let facets = started.elapsed();
        let started = Instant::now();
        let request = NumericAggregation {
            query,
            metric: "temperature".to_owned(),
            sources: Vec::new(),
            aggregate: Aggregate::Avg,
            edges: edges.clone(),
            max_series: 10,
        };
        index.aggregate(&tenant, request, limit()).await?;
        let aggregated = started.elapsed();
        writeln!(
            out,
            "{text:20} {total:>9} found: search {searched:.1?}, histogram {charted:.1?}, five facets {facets:.1?}, \
             aggregate {aggregated:.1?}",
        )?;
    }
    let started = Instant::now();
    let fields = index.fields(&tenant, TimeRange::ALL, limit()).await?.len();
    writeln!(out, "{fields} fields listed in {:.1?}", started.elapsed())?;
    Ok(())
}

fn event(i: usize) -> IndexEntry {
    thread_local! {
        static ROUTES: Vec<Arc<Route>> = (0..8).map(route).map(Arc::new).collect();
    }
    let mix = (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
    let at = Timestamp::from_nanos(START + i as i64 * 100_000);
    let id = uuid::Builder::from_unix_timestamp_millis(at.as_millis() as u64, &[mix as u8; 10]).into_uuid();
    let level = ["info", "info", "info", "notice", "warn", "error"][mix as usize % 6];
    let word =
        ["Failed password for", "Accepted key of", "error: timeout of", "온도 경고:"][mix as usize / 7 % 4];
    let (port, user, site) = (mix % 60_000, mix / 3 % 1_000, ["부산", "서울", "Incheon"][mix as usize % 3]);
    let json = format!(
        "{{\"id\":\"{id}\",\"tenant\":\"t_first\",\"source\":\"web-{}\",\"ts\":\"{at}\",\"received_at\":\"{at}\",\
         \"kind\":\"log\",\"level\":\"{level}\",\"message\":\"{word} user u{user} from 10.1.{}.{} port {port} ssh2\",\
         \"n\":{{\"port\":{port},\"temperature\":{}.5}},\"s\":{{\"site\":\"{site}\",\"user\":\"u{user}\",\
         \"app\":\"sshd\"}},\"b\":{{\"ok\":{}}}}}",
        mix % 8,
        mix % 256,
        mix / 5 % 256,
        mix % 100,
        mix.is_multiple_of(2),
    );
    let route = ROUTES.with(|routes| routes[mix as usize % 8].clone());
    let payload = Bytes::from(json);
    let record = Record { offset: i as u64, route, origin: Origin::Unmarked, token: 0, payload };
    IndexEntry { partition: 0, record }
}

fn route(number: usize) -> Route {
    Route {
        tenant: TenantId::new("t_first").expect("a valid key"),
        source: SourceKey::new(&format!("web-{number}")).expect("a valid source"),
        class: "30d".into(),
        group: 1,
        protocol: "syslog".into(),
    }
}

/// User and system time of the process, from Linux's accounting of 100 ticks a second.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    after_name.split_whitespace().skip(11).take(2).filter_map(|t| t.parse::<f64>().ok()).sum::<f64>() / 100.0
}

fn peak_memory_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    peak.split_whitespace().next().and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) / 1_024
}
