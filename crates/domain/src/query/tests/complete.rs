use crate::{
    api::{Facet, FacetValue, FieldInfo},
    query::*,
};

fn field(name: &str, numeric: bool) -> FieldInfo {
    FieldInfo { name: name.into(), numeric, text: !numeric, boolean: false }
}

/// `|` is the cursor; the best items, and the text after choosing the first.
fn check(text: &str, expect: &[&str], chosen: &str) {
    let fields = [field("temperature", true), field("site", false), field("my field", false)];
    let value = |value: &str| FacetValue { value: value.into(), count: 1 };
    let facets =
        [Facet { field: "site".into(), distinct: 2, values: vec![value("부산"), value("서 울")] }];
    let cursor = text.find('|').unwrap();
    let text = text.replace('|', "");
    let completions = complete(&text, cursor, &CompletionSource { fields: &fields, facets: &facets });
    let labels: Vec<_> = completions.items.iter().take(expect.len()).map(|i| i.label.as_str()).collect();
    assert_eq!(labels, expect, "{text:?}");
    if let Some(first) = completions.items.first() {
        let mut after = text.clone();
        after.replace_range(completions.replace, &first.insert);
        assert_eq!(after, chosen);
    }
}

#[test]
fn names() {
    check("|", &["level", "source", "kind"], "level:");
    check("te|", &["temperature"], "temperature>=");
    check("a si| b", &["site"], "a site: b");
    check("my|", &["my field"], "\"my field\":");
    check("err|", &["level:error"], "level:error");
    check("a |", &["AND", "OR", "level"], "a AND ");
    check("-|", &["level"], "-level:");
    check("lev|:error", &["level"], "level:error");
    check("level|", &["level", "level>=", "level>"], "level:");
    check("온도|", &[], "");
}

#[test]
fn values() {
    check("site:|", &["부산", "서 울", "*"], "site:부산");
    check("site:서|", &["서 울"], "site:\"서 울\"");
    check("site:\"서| x", &["서 울"], "site:\"서 울\" x");
    check("level:|", &["emergency", "alert", "critical", "error"], "level:emergency");
    check("level>=w| x", &["warn"], "level>=warn x");
    check("kind:m|", &["metric"], "kind:metric");
    check("nothing:|", &["*"], "nothing:*");
    assert_eq!(field_at("a site:부", 9).as_deref(), Some("site"));
    assert_eq!(field_at("a site", 6), None);
}

#[test]
fn cursors() {
    let text = "a😀온도";
    assert_eq!([0, 1, 3, 4, 5, 9].map(|u| byte_offset(text, u)), [0, 1, 5, 8, 11, 11]);
    assert_eq!([0, 1, 5, 8, 11].map(|b| utf16_offset(text, b)), [0, 1, 3, 4, 5]);
}
