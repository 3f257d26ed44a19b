//! What becomes of a record (DESIGN sections 4 and 5).

use super::writer::testing::{check, compare, event, writer, writer_by};
use super::writer::{Place, RECORD_BYTES};
use super::{Batch, Limits, RecordError};
use crate::protocol::Protocol;
use domain::masking::{Action, Kind, Rule, Rules};
use proptest::prelude::*;
use std::sync::Arc;

fn ndjson(frame: &str, expect: &str) {
    check(Protocol::Ndjson, frame, expect);
}

#[test]
fn members_are_sorted_by_type() {
    ndjson(
        r#"{"temperature":81.2,"count":3,"site":"부산","ok":true,"none":null,"e":1e3,"neg":-0.5}"#,
        r#"{"kind":"metric","n":{"temperature":81.2,"count":3,"e":1e3,"neg":-0.5},"s":{"site":"부산"},"b":{"ok":true}}"#,
    );
    ndjson(r#"{}"#, r#"{"kind":"event"}"#);
    ndjson(r#"  {"a":"x"}  "#, r#"{"kind":"event","s":{"a":"x"}}"#);
}

#[test]
fn nested_names_have_a_separator() {
    ndjson(
        r#"{"a":{"b":{"c":1}},"d.e":2,"":"x","f":{}}"#,
        r#"{"kind":"metric","n":{"a/b/c":1,"d/e":2},"s":{"_":"x"}}"#,
    );
}

#[test]
fn arrays_become_multi_values() {
    ndjson(
        r#"{"a":[1,2],"m":[1,"x",true,null,"y"],"o":[{"k":1}],"n":[],"one":["z"]}"#,
        r#"{"kind":"metric","n":{"a":[1,2],"m":1},"s":{"m":["x","y"],"o":"[{\"k\":1}]","one":"z"},"b":{"m":true}}"#,
    );
}

#[test]
fn a_name_stands_once_in_a_section() {
    ndjson(
        r#"{"a":1,"a":2,"a":"x","b.c":[3],"b":{"c":[4,5]}}"#,
        r#"{"kind":"metric","n":{"a":[1,2],"b/c":[3,4,5]},"s":{"a":"x"}}"#,
    );
}

#[test]
fn envelope_names_are_tried_in_order_and_losers_stay() {
    ndjson(
        r#"{"time":1700000001,"msg":"second","ts":"2023-11-14T22:13:20Z","message":"first","host":"h","source":"s",
            "severity":3,"level":"WARN","id":"mine","tenant":"theirs","received_at":"x"}"#,
        r#"{"source":"s","ts":"2023-11-14T22:13:20.000000000Z","kind":"log","level":"warn","message":"first",
            "n":{"time":1700000001,"severity":3},
            "s":{"msg":"second","host":"h","id":"mine","tenant":"theirs","received_at":"x"}}"#,
    );
    ndjson(
        r#"{"ts":"soon","time":"2023-11-14T22:13:20Z","level":"high","message":5,"log":"text","source":{"a":"b"}}"#,
        r#"{"ts":"2023-11-14T22:13:20.000000000Z","kind":"log","message":"text","n":{"message":5},
            "s":{"ts":"soon","level":"high","source/a":"b"}}"#,
    );
    ndjson(r#"{"device_id":17,"v":1}"#, r#"{"source":"17","kind":"metric","n":{"v":1}}"#);
}

#[test]
fn a_bound_source_wins_and_the_records_own_stays() {
    let mut bound = writer(Limits::default(), Some("pump-1"));
    let got = event(&mut bound, Protocol::Ndjson, br#"{"source":"x","host":"y","v":1}"#).unwrap();
    compare(got, r#"{"source":"pump-1","kind":"metric","n":{"v":1},"s":{"source":"x","host":"y"}}"#);
}

#[test]
fn kinds_follow_their_rules() {
    ndjson(r#"{"kind":"metric","message":"x"}"#, r#"{"kind":"metric","message":"x"}"#);
    ndjson(r#"{"kind":"else","v":1}"#, r#"{"kind":"metric","n":{"v":1},"s":{"kind":"else"}}"#);
    ndjson(r#"{"message":"x","v":1}"#, r#"{"kind":"log","message":"x","n":{"v":1}}"#);
    ndjson(r#"{"ts":1700000000}"#, r#"{"ts":"2023-11-14T22:13:20.000000000Z","kind":"event"}"#);
}

#[test]
fn times_outside_are_kept_beside_the_arrival() {
    ndjson(r#"{"ts":"1900-01-01T00:00:00Z"}"#, r#"{"kind":"event","s":{"ts_given":"1900-01-01T00:00:00Z"}}"#);
    ndjson(r#"{"ts":"9999-12-31T23:59:59Z"}"#, r#"{"kind":"event","s":{"ts_given":"9999-12-31T23:59:59Z"}}"#);
    ndjson(r#"{"timestamp":-5}"#, r#"{"kind":"metric","n":{"ts_given":-5}}"#);
}

#[test]
fn numbers_that_f64_cannot_hold_stay_text() {
    ndjson(
        r#"{"a":9007199254740993,"b":1e999,"c":-1e999,"d":9007199254740992,"e":[1,12345678901234567890]}"#,
        r#"{"kind":"metric","n":{"d":9007199254740992,"e":1},
            "s":{"a":"9007199254740993","b":"1e999","c":"-1e999","e":"12345678901234567890"}}"#,
    );
}

#[test]
fn other_charsets_are_noted() {
    check(
        Protocol::Ndjson,
        b"{\"message\":\"\xb9\xe8\xbc\xdb\"}",
        r#"{"kind":"log","message":"배송","s":{"charset":"cp949"},"raw":"eyJtZXNzYWdlIjoiuei82yJ9"}"#,
    );
    check(
        Protocol::Lines,
        b"caf\xe9\xff",
        "{\"kind\":\"log\",\"message\":\"caf\u{fffd}\u{fffd}\",\"s\":{\"charset\":\"unknown\"},\"raw\":\"Y2Fm6f8=\"}",
    );
}

#[test]
fn what_must_not_be_stored_is_hidden() {
    ndjson(
        r#"{"message":"900101-1234567","a":"x 900101\u002d1234567 y","l":[{"b":"851231-2345678"}]}"#,
        r#"{"kind":"log","message":"900101-*******",
            "s":{"a":"x 900101-******* y","l":"[{\"b\":\"851231-*******\"}]"}}"#,
    );
    ndjson(
        r#"{"qgx_token":"qgx_x","a":{"qgx_token":"qgx_x","k":1},"l":[{"qgx_token":"qgx_x","k":1}],
            "m":[{"\u0071gx_token":"qgx_x"}]}"#,
        r#"{"kind":"metric","n":{"a/k":1},"s":{"l":"[{\"k\":1}]","m":"[{}]"}}"#,
    );
    check(
        Protocol::Gelf,
        r#"{"version":"1.1","host":"h","short_message":"m","timestamp":1700000000.5,"level":3,"_user_id":9,"_qgx_token":"qgx_x"}"#,
        r#"{"source":"h","ts":"2023-11-14T22:13:20.500000000Z","kind":"log","level":"error","message":"m",
            "n":{"user_id":9},"s":{"version":"1.1"}}"#,
    );
    let secret = format!("qgx_{}", "a".repeat(40));
    let mut frame = format!("{{\"m\":\"{secret}\"}}").into_bytes();
    frame.insert(1, b' ');
    frame.extend_from_slice(b" \xff");
    let got = event(&mut writer(Limits::default(), None), Protocol::Lines, &frame).unwrap();
    assert_eq!(got["s"]["raw_blanked"], "token");
}

/// A frame, and what it becomes by these rules.
#[track_caller]
fn by_rules(rules: Vec<Rule>, protocol: Protocol, frame: &[u8], expect: &str) {
    let rules = Arc::new(Rules::new(rules, [7; 32]).unwrap());
    let got = event(&mut writer_by(rules, Limits::default(), None), protocol, frame);
    compare(got.unwrap(), expect);
}

fn rule(kind: Kind, action: Action) -> Rule {
    let pattern = if kind == Kind::Pattern { "EMP-####" } else { "" };
    Rule { kind, action, pattern: pattern.to_owned() }
}

#[test]
fn every_kind_is_hidden_by_every_action_wherever_it_stands() {
    for (kind, value, masked) in [
        (Kind::KrRrn, "900101-1234567", "900101-*******"),
        (Kind::Phone, "010-1234-5678", "***-****-5678"),
        (Kind::Card, "4111-1111-1111-1111", "****-****-****-1111"),
        (Kind::Email, "kim@example.com", "k**@example.com"),
        (Kind::Pattern, "EMP-1234", "********"),
    ] {
        for action in [Action::Mask, Action::Hash, Action::Drop] {
            let rules = Rules::new(vec![rule(kind, action)], [7; 32]).unwrap();
            let hidden = rules.in_text(value).0.into_owned();
            match action {
                Action::Mask => assert_eq!(hidden, masked),
                Action::Hash => {
                    assert!(hidden.starts_with(kind.code()) && hidden.len() == kind.code().len() + 17)
                }
                Action::Drop => assert_eq!(hidden, ""),
            }
            let frame = format!(
                r#"{{"message":"a {value} b","o":{{"deep":"{value}","list":["{value}"]}},"objects":[{{"k":"{value}"}}],"e":"line\n{value}","n {value}":true,"host":"h {value}"}}"#
            );
            let expect = format!(
                r#"{{"source":"{source}","kind":"log","message":"a {hidden} b","s":{{"o/deep":"{hidden}","o/list":"{hidden}","objects":"[{{\"k\":\"{hidden}\"}}]","e":"line\n{hidden}"}},"b":{{"n {name}":true}}}}"#,
                source = format!("h {hidden}").trim(),
                name = hidden.replace('.', "/"),
            );
            by_rules(vec![rule(kind, action)], Protocol::Ndjson, frame.as_bytes(), &expect);
            // Without an escape the frame is looked at as a whole first.
            let (frame, expect) = (frame.replace("\\n", ""), expect.replace("\\n", ""));
            let (frame, expect) = (frame.replace("line", "line "), expect.replace("line", "line "));
            by_rules(vec![rule(kind, action)], Protocol::Ndjson, frame.as_bytes(), &expect);
        }
    }
}

#[test]
fn numbers_that_are_hidden_become_text() {
    let card = || vec![rule(Kind::Card, Action::Mask)];
    by_rules(
        card(),
        Protocol::Ndjson,
        br#"{"card":4111111111111111,"long":4444444444444444444,"cards":[4111111111111111,5],"v":81.5}"#,
        r#"{"kind":"metric","n":{"cards":5,"v":81.5},
            "s":{"card":"************1111","long":"4444444444444444444","cards":"************1111"}}"#,
    );
    by_rules(
        card(),
        Protocol::Lines,
        b"pay,shop=a card=4111111111111111i,v=2i 1700000000000000000",
        r#"{"ts":"2023-11-14T22:13:20.000000000Z","kind":"metric","n":{"pay/v":2},
            "s":{"measurement":"pay","shop":"a","pay/card":"************1111"}}"#,
    );
    by_rules(
        vec![rule(Kind::Phone, Action::Mask)],
        Protocol::Lines,
        b"call a=01012345678i,b=+821012345678,c=007i 1700000000000000000",
        r#"{"ts":"2023-11-14T22:13:20.000000000Z","kind":"metric","n":{"call/c":7},
            "s":{"measurement":"call","call/a":"*******5678","call/b":"+********5678"}}"#,
    );
    let own = Rule { kind: Kind::Pattern, action: Action::Drop, pattern: "777####".to_owned() };
    by_rules(
        vec![own],
        Protocol::Ndjson,
        br#"{"a":7771234,"b":777}"#,
        r#"{"kind":"metric","n":{"b":777},"s":{"a":""}}"#,
    );
}

#[test]
fn originals_in_other_charsets_are_hidden_too() {
    let raw = |text: &[u8]| base64::Engine::encode(&base64::engine::general_purpose::STANDARD, text);
    by_rules(
        vec![rule(Kind::Phone, Action::Mask)],
        Protocol::Lines,
        b"\xb9\xe8\xbc\xdb 010-1234-5678",
        &format!(
            r#"{{"kind":"log","message":"배송 ***-****-5678","s":{{"charset":"cp949"}},"raw":"{}"}}"#,
            raw(b"\xb9\xe8\xbc\xdb ***-****-5678")
        ),
    );
}

#[test]
fn an_id_that_would_be_hidden_is_none() {
    for (id, expect) in [("kim-17", Some("kim-17")), ("17/kim@example.com", None)] {
        let rules = Arc::new(Rules::new(vec![rule(Kind::Email, Action::Mask)], [7; 32]).unwrap());
        let mut writer = writer_by(rules, Limits::default(), None);
        event(&mut writer, Protocol::Ndjson, format!(r#"{{"qgx_id":"{id}"}}"#).as_bytes()).unwrap();
        assert_eq!(writer.draft.given_id(), expect);
    }
}

#[test]
fn names_beyond_the_budget_go_to_x() {
    let mut writer = writer(Limits { names_per_day: 2, ..Limits::default() }, None);
    let got = event(
        &mut writer,
        Protocol::Ndjson,
        br#"{"a":1,"b":"x","c":"q\"uo\"","d":[1,2],"e=f":true,"c":"z"}"#,
    );
    compare(
        got.unwrap(),
        r#"{"kind":"metric","n":{"a":1},"s":{"b":"x"},"x":["c=q\"uo\"","c=z","d=1","d=2","e_f=true"]}"#,
    );
    let again = event(&mut writer, Protocol::Ndjson, br#"{"b":2,"a":"y","g":1}"#).unwrap();
    compare(again, r#"{"kind":"metric","n":{"b":2},"s":{"a":"y"},"x":["g=1"]}"#);
}

#[test]
fn a_source_beyond_the_budget_stays_a_field() {
    let mut writer = writer(Limits { sources_per_day: 1, ..Limits::default() }, None);
    let mut check = |frame: &str, expect: &str| {
        compare(event(&mut writer, Protocol::Ndjson, frame.as_bytes()).unwrap(), expect);
    };
    // `peer` is the source where nothing better names one.
    check(r#"{"source":"a","x":1}"#, r#"{"kind":"metric","source":"a","n":{"x":1}}"#);
    check(
        r#"{"source":"b","host":"h","x":1}"#,
        r#"{"kind":"metric","s":{"host":"h","source":"b"},"n":{"x":1}}"#,
    );
    check(r#"{"source":"a","x":2}"#, r#"{"kind":"metric","source":"a","n":{"x":2}}"#);
    check(r#"{"source":"b","x":2}"#, r#"{"kind":"metric","s":{"source":"b"},"n":{"x":2}}"#);
    assert_eq!((writer.take_unplaced(), writer.take_unplaced()), (2, 0));
}

#[test]
fn what_breaks_a_limit_is_refused() {
    fn check(frame: String, expect: &str) {
        let got = event(&mut writer(Limits::default(), None), Protocol::Ndjson, frame.as_bytes());
        assert_eq!(
            got.map_err(|error: RecordError| error.code()),
            Err(expect),
            "{}",
            &frame[..frame.len().min(80)]
        );
    }
    let many: Vec<String> = (0..10_000).map(|i| format!("\"f{i}\":{i}")).collect();
    check(format!("{{{}}}", many.join(",")), "too_many_fields");
    check(format!("{}1{}", "{\"a\":".repeat(9), "}".repeat(9)), "too_deep");
    check(format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000)), "too_deep");
    check(format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000)), "too_deep");
    check(format!("{{\"{}\":1}}", "n".repeat(256)), "name_too_long");
    check(format!("{{\"{}\":{{\"{}\":1}}}}", "n".repeat(200), "m".repeat(60)), "name_too_long");
    check("{\"a\":1".into(), "invalid_json");
    check("{\"a\":1} x".into(), "invalid_json");
    check("{\"a\":\"\\ud800\"}".into(), "invalid_json");
    check("{\"a\":NaN}".into(), "invalid_json");
    check("[1]".into(), "not_an_object");
    check("text".into(), "invalid_json");
    check("  \t".into(), "empty_line");
    let fits: Vec<String> = (0..256).map(|i| format!("\"f{i}\":{i}")).collect();
    let fits = event(
        &mut writer(Limits::default(), None),
        Protocol::Ndjson,
        format!("{{{}}}", fits.join(",")).as_bytes(),
    );
    assert_eq!(fits.unwrap()["n"].as_object().unwrap().len(), 256);
    check(
        format!("{}1{}", "{\"a\":".repeat(8), "}".repeat(8)).replace("}}}}}}}}", "}}}}}}}}x"),
        "invalid_json",
    );
}

fn json_value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        ".{0,12}".prop_map(Into::into),
        Just("2024-01-02T03:04:05Z".into()),
    ];
    let name = prop_oneof![
        "[a-c./]{0,3}",
        proptest::sample::select(vec!["ts", "message", "level", "source", "kind", "qgx_id"])
            .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::Array),
            proptest::collection::vec((name.clone(), inner), 0..6)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_json_object_becomes_an_event(value in json_value(), names in 0usize..6) {
        let mut writer = writer(Limits { names_per_day: names, ..Limits::default() }, None);
        let got = event(&mut writer, Protocol::Ndjson, value.to_string().as_bytes());
        match got {
            Ok(_) => prop_assert!(value.is_object()),
            Err(error) => prop_assert!(!value.is_object(), "{}", error),
        }
    }

    #[test]
    fn any_bytes_are_no_trouble(
        bytes in proptest::collection::vec(any::<u8>(), 0..120),
        text in "[<0-9>1-]{0,6}[ -~]{0,60}",
        protocol in proptest::sample::select(Protocol::ALL.to_vec()),
    ) {
        let mut writer = writer(Limits::default(), None);
        let _ = event(&mut writer, protocol, &bytes);
        let _ = event(&mut writer, protocol, text.as_bytes());
    }
}

#[test]
fn what_is_too_long_for_a_topic_loses_its_original_bytes_first() {
    /// A message of so many bytes with an original of so many; whether the event has it still.
    fn check(message: usize, raw: usize, expect: Result<bool, &str>) {
        let mut writer = writer(Limits::default(), None);
        let mut batch = Batch::default();
        for _ in 0..2 {
            writer.begin();
            writer.draft.text("message", &"x".repeat(message)).unwrap();
            writer.draft.keep_raw(&vec![b'y'; raw], "euc-kr").unwrap();
            let written = writer.finish(Place::Unmarked, &mut batch);
            assert_eq!(written.as_ref().map_err(RecordError::code).map(|()| true), expect.map(|_| true));
        }
        for record in batch.into_records(1) {
            assert!(record.payload.len() <= RECORD_BYTES);
            let event: serde_json::Value = serde_json::from_slice(&record.payload).unwrap();
            assert_eq!(Ok(event.get("raw").is_some()), expect);
        }
    }
    check(1 << 20, 1 << 20, Ok(true));
    check(3 << 20, 5 << 20, Ok(false));
    check(9 << 20, 1, Err("record_too_large"));
}
