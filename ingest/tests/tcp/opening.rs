//! First records that are large.

use crate::rig::{Rig, soon};
use crate::tls::Tls;
use ingest::IntakeConfig;
use std::time::Duration;
use store::broker::Topic;
use tokio::io::AsyncWriteExt;

#[tokio::test]
async fn a_first_record_in_tls_is_read_whole() {
    let tls = Tls::new();
    let rig = Rig::with(tls.port(), IntakeConfig::default(), true).await;
    // Less than a TLS record, more than is read at a time, a large record of several; nothing comes after it.
    for length in [12 << 10, 100 << 10] {
        let message = "y".repeat(length);
        let mut tls = tls.connect(&rig).await;
        soon(tls.write_all(format!("{{\"message\":\"{message}\"}}\n").as_bytes())).await.unwrap();
        soon(tls.flush()).await.unwrap();
        soon(async {
            while !rig.broker.records(Topic::Events).iter().any(|r| r.payload.len() > length) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
        .await;
    }
    assert_eq!(rig.events(2).await.len(), 2);
    rig.all_memory_is_back().await;
}
