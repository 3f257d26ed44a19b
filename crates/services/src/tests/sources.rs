use super::fixture::{Fixture, Sample, key, minute, wrong_fields};
use crate::*;
use domain::api::{SourceInput, SourceState};
use domain::{Lang, TenantId, Timestamp};
use store::sql::{Flush, Pipeline, SourceDelta};

impl Fixture {
    /// A source that was heard from so many seconds ago.
    async fn heard(&self, tenant: &TenantId, source: &str, ago_secs: i64) {
        let at = Timestamp::now().plus_nanos(-ago_secs * 1_000_000_000);
        let delta = SourceDelta {
            tenant: tenant.clone(),
            source: key(source),
            protocol: "qgx".to_owned(),
            arrivals: vec![(minute(at), 9, 6, 60)],
            received: (at, at),
            ts: (at, at),
        };
        let flush = Flush { sources: vec![delta], ..Flush::default() };
        self.sql.flush("qgx.events.v1", &flush).await.unwrap();
    }
}

fn keys(page: &domain::api::Page<domain::api::SourceSummary>) -> Vec<&str> {
    page.items.iter().map(|source| source.key.as_str()).collect()
}

#[tokio::test]
async fn a_source_is_made_changed_and_removed() {
    let fixture = Fixture::new().await;
    let ctx = fixture.local();
    let input = SourceInput {
        name: "1호 펌프".to_owned(),
        kind: "설비".to_owned(),
        attributes: [("site".to_owned(), "부산".to_owned())].into(),
        offline_after_secs: Some(60),
    };
    let made = fixture.services.create_source(&ctx, key("pump-1"), input.clone()).await.unwrap();
    assert_eq!((made.state, made.attributes["site"].as_str()), (SourceState::Unseen, "부산"));
    let twice = fixture.services.create_source(&ctx, key("pump-1"), input.clone()).await;
    assert!(matches!(twice, Err(ServiceError::Conflict { what: "key" })));
    let mut changed = SourceInput { name: "새 이름".to_owned(), ..input };
    fixture.services.update_source(&ctx, &key("pump-1"), changed.clone()).await.unwrap();
    assert_eq!(fixture.services.source(&ctx, &key("pump-1")).await.unwrap().name, "새 이름");

    changed.offline_after_secs = Some(1);
    changed.attributes = (0..51).map(|i| (format!("a{i}"), String::new())).collect();
    let wrong = fixture.services.update_source(&ctx, &key("pump-1"), changed).await;
    assert_eq!(wrong_fields(wrong), ["offline_after_secs", "attributes"]);

    let other = fixture.other_tenant().await;
    let stranger = Ctx::local_in(Lang::En, other.key);
    let check = async |ctx: &Ctx| {
        let found = fixture.services.source(ctx, &key("pump-1")).await;
        assert!(matches!(found, Err(ServiceError::NotFound { what: "source" })));
    };
    check(&stranger).await;
    fixture.services.delete_source(&ctx, &key("pump-1")).await.unwrap();
    check(&ctx).await;
    let again = fixture.services.delete_source(&ctx, &key("pump-1")).await;
    assert!(matches!(again, Err(ServiceError::NotFound { what: "source" })));
}

#[tokio::test]
async fn lists_filter_by_state_and_go_on() {
    let fixture = Fixture::new().await;
    let ctx = fixture.local();
    for (source, ago) in [("a", 5), ("b", 100), ("c", 400), ("d", 5), ("e", 90_000)] {
        fixture.heard(&fixture.tenant, source, ago).await;
    }
    fixture.services.create_source(&ctx, key("f"), SourceInput::default()).await.unwrap();
    // Its own interval is shorter than b's silence.
    let strict = SourceInput { offline_after_secs: Some(60), ..SourceInput::default() };
    fixture.services.update_source(&ctx, &key("b"), strict).await.unwrap();
    let list = async |state, limit, cursor| {
        let request =
            SourceListRequest { state, limit, cursor, by_last_seen: state.is_none(), ..Default::default() };
        fixture.services.sources(&ctx, request).await.unwrap()
    };
    assert_eq!(keys(&list(Some(SourceState::Online), 50, None).await), ["a", "d"]);
    assert_eq!(keys(&list(Some(SourceState::Offline), 50, None).await), ["b", "c", "e"]);
    assert_eq!(keys(&list(Some(SourceState::Unseen), 50, None).await), ["f"]);

    let first = list(Some(SourceState::Offline), 2, None).await;
    assert_eq!((keys(&first), first.total), (vec!["b", "c"], 3));
    let second = list(Some(SourceState::Offline), 2, first.next_cursor.clone()).await;
    assert_eq!((keys(&second), &second.next_cursor), (vec!["e"], &None));
    let all = list(None, 4, None).await;
    assert_eq!((all.total, all.items[3].key.as_str()), (6, "c"));
    assert_eq!(keys(&list(None, 4, all.next_cursor).await), ["e", "f"]);

    let borrowed = SourceListRequest { cursor: first.next_cursor, ..Default::default() };
    assert_eq!(wrong_fields(fixture.services.sources(&ctx, borrowed).await), ["cursor"]);
    let none = SourceListRequest { limit: 0, ..Default::default() };
    assert_eq!(wrong_fields(fixture.services.sources(&ctx, none).await), ["limit"]);
}

#[tokio::test]
async fn a_summary_has_rate_and_sparkline() {
    let fixture = Fixture::new().await;
    fixture.heard(&fixture.tenant, "a", 0).await;
    fixture.heard(&fixture.tenant, "a", 1_800).await;
    fixture.heard(&fixture.tenant, "b", 0).await;
    let source = fixture.services.source(&fixture.local(), &key("a")).await.unwrap();
    assert_eq!((source.sparkline.len(), source.sparkline.iter().sum::<u32>(), source.events), (60, 12, 12));
    assert!(source.rate > 0.0 && source.rate <= 0.1 + 1e-9, "{}", source.rate);
    assert_eq!(source.protocol.as_deref(), Some("qgx"));
    let range = source.ts_range.expect("its events have times");
    assert!(range.contains(source.last_seen.unwrap()));
}

#[tokio::test]
async fn latest_values_have_dotted_names() {
    let fixture = Fixture::new().await;
    fixture.store(&fixture.tenant, &[Sample { number: Some(("cpu.user", 2.5)), ..Sample::default() }]).await;
    let now = Timestamp::now();
    let latest = vec![(fixture.tenant.clone(), key("pump-1"), "cpu/user".to_owned(), 2.5, now)];
    fixture.sql.flush("qgx.events.v1", &Flush { latest, ..Flush::default() }).await.unwrap();
    let ctx = fixture.local();
    let found = fixture.services.latest_values(&ctx, &key("pump-1")).await.unwrap();
    assert_eq!(found.iter().map(|v| (v.metric.as_str(), v.value)).collect::<Vec<_>>(), [("cpu.user", 2.5)]);
    assert_eq!(fixture.services.source_metrics(&ctx, &key("pump-1")).await.unwrap(), ["cpu.user"]);
    let unknown = fixture.services.latest_values(&ctx, &key("x")).await;
    assert!(matches!(unknown, Err(ServiceError::NotFound { .. })));
}

#[tokio::test]
async fn a_table_is_imported_line_by_line() {
    let fixture = Fixture::new().await;
    let ctx = fixture.local();
    fixture.heard(&fixture.tenant, "pump-2", 5).await;
    let csv = "\u{feff}key,이름,종류,offline_after_secs,site\n\
               pump-1,\"펌프, 하나\",설비,60,부산\n\
               pump-2,펌프 둘,,,\n\
               ,이름만,,,\n\
               pump-3,a,b,soon,\n\
               pump-4,a,b,5,\n";
    let report = fixture.services.import_sources(&ctx, csv).await.unwrap();
    let problems: Vec<_> = report.problems.iter().map(|problem| problem.field.as_str()).collect();
    assert_eq!((report.created, report.updated), (1, 1));
    assert_eq!(
        problems,
        ["line 4: key", "line 5: offline_after_secs", "line 6: offline_after_secs"],
        "{:?}",
        report.problems
    );
    let one = fixture.services.source(&ctx, &key("pump-1")).await.unwrap();
    assert_eq!((one.name.as_str(), one.attributes["site"].as_str()), ("펌프, 하나", "부산"));
    let two = fixture.services.source(&ctx, &key("pump-2")).await.unwrap();
    assert_eq!((two.name.as_str(), two.events, two.attributes.len()), ("펌프 둘", 6, 0));
    assert_eq!(wrong_fields(fixture.services.import_sources(&ctx, "name\nx\n").await), ["csv"]);
    let long = format!("key\n{}", "x\n".repeat(10_001));
    assert!(matches!(fixture.services.import_sources(&ctx, &long).await, Err(ServiceError::TooLarge(_))));
}
