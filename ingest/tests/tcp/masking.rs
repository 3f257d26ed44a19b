//! What a tenant's rules hide is in nothing that leaves for the broker.

use crate::rig::{Rig, soon};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::masking::Rules;
use ingest::access::Masking;
use ingest::{IntakeConfig, TcpConfig};
use std::time::Duration;

fn phones() -> Masking {
    Masking::by(Rules::read(r#"[{"kind":"phone"}]"#, [0; 32]).unwrap())
}

#[tokio::test]
async fn open_connections_follow_the_masking_rules() {
    /// With these first bytes.
    async fn check(opening: &str) {
        let config = TcpConfig { recheck: Duration::from_millis(50), ..TcpConfig::default() };
        let rig = Rig::with(config, IntakeConfig::default(), true).await;
        let mut client = rig.connect().await;
        client.say(format!("{opening}900101-1234567 010-1234-5678\n")).await;
        assert_eq!(rig.messages(1).await, ["900101-******* 010-1234-5678"]);
        *rig.access.masking.lock() = phones();
        soon(async {
            for sent in 2.. {
                client.say("900101-1234567 010-1234-5678\n").await;
                if rig.messages(sent).await.last().unwrap() == "900101-1234567 ***-****-5678" {
                    break;
                }
            }
        })
        .await;
    }
    check("AUTH qgx_good\n").await;
    check("").await;
}

#[tokio::test]
async fn dead_letters_hide_it_too() {
    let limits = IntakeConfig::default();
    let rig = Rig::start().await;
    *rig.access.masking.lock() = phones();
    let long = format!("{{\"a\":\"010-1234-5678 {}\"}}\n", "x".repeat(limits.limits.frame_bytes));
    rig.send(format!("{{\"a\":1}}\n{{\"a\":\"\\ud654010-1234-5678\",\"b\"\n{long}")).await;
    let letters = rig.letters(2).await;
    for (letter, expect) in
        letters.iter().zip(["{\"a\":\"\\ud654***-****-5678\",\"b\"", "{\"a\":\"***-****-5678 x"])
    {
        let original = STANDARD.decode(letter["raw"].as_str().unwrap()).unwrap();
        assert!(original.starts_with(expect.as_bytes()), "{:.60}", String::from_utf8_lossy(&original));
        assert_eq!((&letter["blanked"], &letter["replayable"]), (&true.into(), &false.into()));
    }
}
