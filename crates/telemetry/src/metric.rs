//! Metrics, for `/metrics` of the management listener.
//!
//! # Rules
//! - A name is `qgx_<part>_<what>_<unit>`, in base units: `_seconds`, `_bytes`, `_records`, `_ratio`; counters end
//!   in `_total`. `qgx_broker_commit_seconds`, `qgx_ingest_dropped_records_total`.
//! - A label has few values, known in advance: `role`, `stage`, `protocol`, `reason`, `topic`, `partition`, `route`.
//! - **Never** a source, an address, a user, a query, or an id as a label.
//! - A tenant only on the metrics of [`TENANT_METRICS`].
//! - Latencies and freshness are histograms, never averages or precomputed quantiles.

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use parking_lot::Mutex;

pub use metrics_exporter_prometheus::PrometheusHandle;

/// The metrics that may carry `tenant`: what is billed, limited, or refused by tenant.
pub const TENANT_METRICS: [&str; 4] = [
    "qgx_tenant_ingested_bytes_total",
    "qgx_tenant_ingested_records_total",
    "qgx_tenant_refused_records_total",
    "qgx_tenant_quota_used_ratio",
];

/// Upper bounds of latency histograms, in seconds. The promised figures (20 ms, 300 ms, 1 s, 2.5 s) are among them,
/// so that "how many were within" is exact.
const SECONDS: [f64; 18] = [
    0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
    300.0,
];
/// Upper bounds of histograms of sizes, in bytes.
const BYTES: [f64; 10] = [
    256.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    8_388_608.0,
    33_554_432.0,
];
/// Upper bounds of histograms of batches, in records.
const RECORDS: [f64; 10] = [1.0, 4.0, 16.0, 64.0, 256.0, 1_024.0, 4_096.0, 16_384.0, 65_536.0, 262_144.0];

static INSTALLED: Mutex<Option<PrometheusHandle>> = Mutex::new(None);

/// Makes the process's metrics recorder and returns the handle that renders it. A second call returns the same.
/// The caller runs [`PrometheusHandle::run_upkeep`] every few seconds, or histograms keep their raw samples until
/// the next scrape.
///
/// # Panics
/// Where another library installed a recorder before.
pub fn init_metrics() -> PrometheusHandle {
    let mut installed = INSTALLED.lock();
    installed
        .get_or_insert_with(|| {
            let recorder = builder().build_recorder();
            let handle = recorder.handle();
            metrics::set_global_recorder(recorder).expect("no other metrics recorder in this process");
            handle
        })
        .clone()
}

fn builder() -> PrometheusBuilder {
    PrometheusBuilder::new()
        .set_buckets(&SECONDS)
        .and_then(|it| it.set_buckets_for_metric(Matcher::Suffix("_bytes".to_owned()), &BYTES))
        .and_then(|it| it.set_buckets_for_metric(Matcher::Suffix("_records".to_owned()), &RECORDS))
        .expect("the lists of buckets are not empty")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &'static str, value: f64, expect: &str) {
        let recorder = builder().build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || metrics::histogram!(name).record(value));
        let page = handle.render();
        assert!(page.contains(expect), "{expect} not in:\n{page}");
    }

    #[test]
    fn histograms_have_the_buckets_of_their_unit() {
        check("qgx_a_seconds", 0.015, "qgx_a_seconds_bucket{le=\"0.02\"} 1");
        check("qgx_a_seconds", 0.015, "qgx_a_seconds_bucket{le=\"0.01\"} 0");
        check("qgx_a_bytes", 5_000.0, "qgx_a_bytes_bucket{le=\"16384\"} 1");
        check("qgx_a_records", 3.0, "qgx_a_records_bucket{le=\"4\"} 1");
    }
}
