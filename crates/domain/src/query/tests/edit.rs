use crate::query::*;

#[test]
fn filters() {
    let check = |text: &str, field: &str, value: &str, expect: &str| {
        assert_eq!(with_filter(text, field, value), expect);
        assert_eq!(with_filter(expect, field, value), expect, "twice is once");
        assert_eq!(filter_state(expect, field, value), Some(true));
    };
    check("", "level", "error", "level:error");
    check("bearing AND hot", "site", "부산", "bearing AND hot site:부산");
    check("a OR b", "site", "부산", "(a OR b) site:부산");
    check(" a\\ ", "site", "부산", "a\\  site:부산");
    check("(a OR b)", "site", "부산", "(a OR b) site:부산");
    check("-site:부산 a", "site", "부산", "a site:부산");
    check("Site:x", "msg", "a \"b\" \\ *", "Site:x msg:\"a \\\"b\\\" \\\\ *\"");
    check("source:PUMP-1", "source", "pump-1", "source:PUMP-1");
    check("level:WARNING a", "level", "warn", "level:WARNING a");
    check("", "my field", "-x", "\"my field\":\"-x\"");
    check("", "http.status", "200", "http.status:200");
}

#[test]
fn exclusions_and_removal() {
    let check = |text: &str, expect: &str, removed: &str| {
        assert_eq!(with_exclusion(text, "host", "web"), expect);
        assert_eq!(with_exclusion(expect, "host", "web"), expect, "twice is once");
        assert_eq!(filter_state(expect, "host", "web"), Some(false));
        assert_eq!(without_filter(expect, "host", "web"), removed);
        assert_eq!(without_filter(removed, "host", "web"), removed);
    };
    check("", "-host:web", "");
    check("host:web", "-host:web", "");
    check("a AND host:web AND b", "a b -host:web", "a b");
    check("NOT host:WEB a", "NOT host:WEB a", "a");
    check("a OR host:web", "(a OR host:web) -host:web", "(a OR host:web)");
}

#[test]
fn presence() {
    assert_eq!(with_missing("a", "level"), "a -level:*");
    assert_eq!(with_existing("a -level:*", "level"), "a level:*");
}

#[test]
fn what_cannot_be_edited_stays() {
    assert_eq!(with_filter("a", "level", "loud"), "a");
    assert_eq!(without_filter("a \"b", "x", "y"), "a \"b");
    assert_eq!(with_filter("NOT", "x", "y"), "NOT");
    assert_eq!(without_filter("x:y OR a", "x", "y"), "x:y OR a");
}
