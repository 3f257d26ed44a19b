//! What a tenant's rules hide is found by nobody.

mod harness;

use harness::Server;
use http::{Method, StatusCode};
use serde_json::{Value, json};

const CARD: &str = "4111-1111-1111-1111";
const PHONE: &str = "010-1234-5678";

#[tokio::test(flavor = "multi_thread")]
async fn rules_hide_what_arrives_from_then_on() {
    let server = Server::start().await;
    let api = server.back().bearer(&server.token("api", None).await);
    let owner = server.back().sign_in(harness::EMAIL).await.with("content-type", "application/json");
    let sender = server.back().bearer(&server.token("ingest", None).await);
    let send = async |message: &str, phone: &str| {
        let line = json!({ "message": message, "card": 4_111_111_111_111_111_u64, "phone": phone });
        sender.ask(Method::POST, "/api/v1/ingest", line.to_string()).await.ok();
    };
    let count = async |text: &str| -> Value {
        let query: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
        api.get(&format!("/api/v1/events?q={query}")).await.ok().json()["total"].clone()
    };
    assert_eq!(
        owner.get("/api/v1/masking").await.ok().json(),
        json!({ "rules": [{ "kind": "kr_rrn", "action": "mask" }] })
    );
    send(&format!("before {CARD} {PHONE}"), PHONE).await;
    api.until("/api/v1/events", |found| found["total"] == 1).await;
    assert_eq!(count(&format!("\"{CARD}\"")).await, 1, "it is found while no rule hides it");

    for wrong in [
        r#"{"rules":[],"rule":1}"#,
        r#"{"rules":[{"kind":"card","pattern":"","with":1}]}"#,
        r#"{"rules":[{"kind":"pattern"}]}"#,
    ] {
        assert_eq!(
            owner.ask(Method::PUT, "/api/v1/masking", wrong).await.status,
            StatusCode::BAD_REQUEST,
            "{wrong}"
        );
    }
    let rules =
        json!({ "rules": [{ "kind": "card", "action": "mask" }, { "kind": "phone", "action": "hash" }] });
    let kept = owner.ask(Method::PUT, "/api/v1/masking", rules.to_string()).await.ok().json();
    assert_eq!((&kept, &owner.get("/api/v1/masking").await.ok().json()), (&rules, &rules));

    send(&format!("after {CARD} {PHONE}"), PHONE).await;
    send("again", "+82 10-1234-5678").await;
    let found = api.until("/api/v1/events?q=after%20OR%20again&order=asc", |found| found["total"] == 2).await;
    let (after, again) = (&found["items"][0], &found["items"][1]);
    assert_eq!(after["fields"]["card"], "************1111", "{after}");
    let hash = after["fields"]["phone"].as_str().unwrap();
    assert!(hash.starts_with("phone_") && hash.len() == 22, "{hash}");
    assert_eq!(after["message"], format!("after ****-****-****-1111 {hash}"));
    assert_eq!(again["fields"]["phone"], hash, "the same value has the same word");
    for (text, expect) in [(CARD, 1), (PHONE, 1), (hash, 2)] {
        assert_eq!(count(&format!("\"{text}\"")).await, expect, "{text}");
    }
    assert_eq!(count("card:4111111111111111").await, 1, "the one from before");
    server.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_setting_holds_for_tenants_without_rules_of_their_own() {
    let server = Server::start_with(&[("QGX_MASKING", "email=drop")]).await;
    let api = server.back().bearer(&server.token("api", None).await);
    server.send(b"{\"message\":\"first <kim@example.com> 900101-1234567\"}\n").await;
    let first = api.until("/api/v1/events", |found| found["total"] == 1).await;
    assert_eq!(first["items"][0]["message"], "first <> 900101-1234567");
    server.running.shutdown().await;
}
