use crate::{event::StoredEvent, query::Query};

const EVENT: &str = r#"{"id":"01900000-0000-7000-8000-000000000001","tenant":"t_a","source":"pump-1",
    "ts":"2026-11-22T01:02:03.000000004Z","received_at":"2026-11-22T01:02:04.000000000Z","kind":"log","level":"warn",
    "message":"GPU온도 81도, bearing hot","n":{"temperature":81.2,"port":[514,22],"http/status":200},
    "s":{"site":"부산","tags":["blue","Green Light"],"code":"200","empty":""},"b":{"ok":true},
    "x":["rare=one=1","http/x=y"]}"#;

fn check(query: &str, expect: bool) {
    let event = StoredEvent::parse(EVENT.as_bytes()).unwrap();
    assert_eq!(Query::parse(query).unwrap().matches(&event), expect, "{query}");
}

#[test]
fn text() {
    for found in [
        "",
        "온도",
        "gpu온도",
        "GPU 온도",
        "\"bearing hot\"",
        "bear*",
        "\"bearing h\"*",
        "부산",
        "green",
        "ＨＯＴ",
        "200",
    ] {
        check(found, true);
    }
    // Not across values, not in names, the source, or beyond the name budget.
    for lost in ["bear", "\"hot bearing\"", "\"hot 부산\"", "\"blue green\"", "site", "pump", "rare", "514"]
    {
        check(lost, false);
    }
}

#[test]
fn fields() {
    for found in [
        "site:부산",
        "tags:blue",
        "tags:\"green light\"",
        "source:PUMP-1",
        "source:pump*",
        "kind:log",
        "level:warning",
        "ok:true",
        "ok:TRUE",
        "temperature:81.20",
        "port:22",
        "http.status:200",
        "code:200",
        "code:2*",
        "rare:one=1",
        "rare:one*",
        "rare:*",
        "http.x:y",
        "id:01900000-0000-7000-8000-000000000001",
        "id:01900000*",
        "empty:\"\"",
        "empty:*",
        "message:*",
        "message:gpu*",
        "message:bearing",
        "message:온도",
        "message:\"81도 bearing\"",
        "message:\"bearing h\"*",
        "message:\"gpu온도 81도, bearing hot\"",
        "ts:2026-11-22T10:02:03.000000004+09:00",
        "fields.site:부산",
    ] {
        check(found, true);
        check(&format!("-{found}"), false);
    }
    for lost in [
        "site:부",
        "tags:green",
        "source:pump",
        "kind:metric",
        "level:error",
        "ok:false",
        "temperature:81",
        "port:2*",
        "temperature:8*",
        "raw:*",
        "nothing:*",
        "nothing:x",
        "rare:one",
        "rare=one:1",
        "http:*",
        "Site:부산",
        "id:01900000-0000-7000-8000-000000000002",
        "message:bear",
        "message:\"hot bearing\"",
        "message:부산",
        "message:blu*",
        "message:\"hot 부산\"",
        "fields.level:warn",
    ] {
        check(lost, false);
        check(&format!("NOT {lost}"), true);
    }
}

#[test]
fn comparisons() {
    for found in [
        "temperature>81",
        "temperature>=81.2",
        "temperature<=81.2",
        "port<100",
        "port>100",
        "temperature:[80 TO 82]",
        "level>info",
        "level>=warn",
        "level<error",
        "level:[notice TO warn]",
        "ts<2026-11-22T01:02:04Z",
        "received_at>=2026-11-22T01:02:04Z",
        "온도 (site:서울 OR site:부산) -level:debug",
    ] {
        check(found, true);
    }
    for lost in [
        "temperature>81.2",
        "code>100",
        "ok>0",
        "rare>0",
        "level>warn",
        "ts<2026-11-22T01:02:03Z",
        "nothing<1",
    ] {
        check(lost, false);
    }
}

#[test]
fn without_a_level() {
    let bare = r#"{"id":"01900000-0000-7000-8000-000000000001","tenant":"t_a","source":"s","ts":"2026-11-22T01:02:03Z",
        "received_at":"2026-11-22T01:02:03Z","kind":"event"}"#;
    let event = StoredEvent::parse(bare.as_bytes()).unwrap();
    for (query, expect) in
        [("level<error", false), ("-level:error", true), ("level:*", false), ("-level:*", true), ("a", false)]
    {
        assert_eq!(Query::parse(query).unwrap().matches(&event), expect, "{query}");
    }
}

#[test]
fn what_to_highlight() {
    let query = Query::parse("bearing -cold (온도* OR level:warn) NOT (x y)").unwrap();
    let terms: Vec<_> =
        query.text_terms().into_iter().map(|(terms, prefix)| (terms[0].term.clone(), prefix)).collect();
    assert_eq!(terms, [("bearing".to_owned(), false), ("온도".to_owned(), true)]);
    let query = Query::parse("message:hot -message:cold message:bear*").unwrap();
    let terms: Vec<_> =
        query.text_terms().into_iter().map(|(terms, prefix)| (terms[0].term.clone(), prefix)).collect();
    assert_eq!(terms, [("hot".to_owned(), false), ("bear".to_owned(), true)]);
}
