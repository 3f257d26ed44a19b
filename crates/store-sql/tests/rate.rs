//! How fast a flush is. Not a check: run by hand, `cargo test -p store-sql --release -- --ignored --nocapture rate`.

use domain::{SourceKey, TenantId, Timestamp};
use std::time::Instant;
use store::sql::{Accounts, Flush, MetricPoint, Pipeline, Rollup, SourceDelta, StreamPosition};
use store_sql::SqlDatabase;

const SOURCES: i64 = 500;
const METRICS: i64 = 10;
const FLUSHES: i64 = 40;
const MINUTE: i64 = 60_000_000_000;

fn batch(n: i64) -> Flush {
    let tenant = TenantId::new("t_acme").expect("valid");
    let at = Timestamp::from_nanos(1_700_006_400_000_000_000 + n / 4 * MINUTE);
    let mut flush = Flush { offsets: vec![(0, n as u64 + 1)], ..Flush::default() };
    for source in 0..SOURCES {
        let source = SourceKey::new(&format!("source-{source}")).expect("valid");
        for metric in 0..METRICS {
            let metric = format!("metric/{metric}");
            let (tenant, source) = (tenant.clone(), source.clone());
            flush.latest.push((tenant.clone(), source.clone(), metric.clone(), 1.0, at));
            flush.rollups.push(Rollup {
                tenant,
                source,
                metric,
                minute: at,
                point: MetricPoint::of(1.0, at),
            });
        }
        flush.sources.push(SourceDelta {
            tenant: tenant.clone(),
            source: source.clone(),
            protocol: "qgx".to_owned(),
            arrivals: vec![(at, 9, 10, 2_000)],
            received: (at, at),
            ts: (at, at),
        });
        let stream = "boot-7".to_owned();
        flush.streams.push(StreamPosition { tenant: tenant.clone(), source, stream, sequence: n as u64 });
    }
    flush
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn rate() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("qgx.db").display());
    let database = SqlDatabase::connect(&url).await.unwrap();
    database.migrate().await.unwrap();
    let batches: Vec<_> = (0..FLUSHES).map(batch).collect();
    let rows: usize =
        batches.iter().map(|it| it.rollups.len() + it.latest.len() + it.sources.len() * 4).sum();
    let mut slowest = 0.0_f64;
    let start = Instant::now();
    for batch in &batches {
        let one = Instant::now();
        database.flush("qgx.events.v1", batch).await.unwrap();
        slowest = slowest.max(one.elapsed().as_secs_f64());
    }
    let took = start.elapsed().as_secs_f64();
    let rate = rows as f64 / took;
    println!(
        "{rows} rows in {FLUSHES} flushes: {took:.2} s, {rate:.0} rows/s, the slowest flush {slowest:.3} s"
    );
}
