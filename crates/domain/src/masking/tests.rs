use super::*;
use proptest::prelude::*;
use std::time::{Duration, Instant};

const KEY: [u8; 32] = [7; 32];

fn rule(kind: Kind, action: Action) -> Rule {
    Rule { kind, action, pattern: String::new() }
}

fn only(kind: Kind, action: Action) -> Rules {
    Rules::new(vec![rule(kind, action)], KEY).unwrap()
}

fn own(pattern: &str) -> Result<Rules, RulesError> {
    Rules::new(vec![Rule { pattern: pattern.to_owned(), ..rule(Kind::Pattern, Action::Mask) }], KEY)
}

/// Every kind that needs no pattern.
fn all(action: Action) -> Rules {
    let kinds = Kind::ALL.into_iter().filter(|kind| *kind != Kind::Pattern);
    Rules::new(kinds.map(|kind| rule(kind, action)).collect(), KEY).unwrap()
}

fn check(rules: &Rules, text: &str, expect: &str) {
    let (masked, counts) = rules.in_text(text);
    assert_eq!(masked, expect, "{text}");
    assert_eq!(counts.total() > 0, text != expect, "{text}");
}

#[test]
fn resident_numbers() {
    let rules = Rules::new(Rules::standard(), KEY).unwrap();
    check(&rules, "주민번호 900101-1234567 입니다", "주민번호 900101-******* 입니다");
    check(&rules, "900101-1234567,851231-4234567", "900101-*******,851231-*******");
    for other in [
        "900101-5234567",
        "901301-1234567",
        "900132-1234567",
        "1900101-1234567",
        "900101-12345678",
        "2024-01-02 -",
    ] {
        check(&rules, other, other);
    }
}

#[test]
fn telephones() {
    let rules = only(Kind::Phone, Action::Mask);
    check(&rules, "연락처 010-1234-5678로", "연락처 ***-****-5678로");
    check(&rules, "01012345678 0161234567", "*******5678 ******4567");
    check(&rules, "010.1234.5678, 010 1234 5678 12:30", "***.****.5678, *** **** 5678 12:30");
    check(&rules, "02-123-4567 031-1234-5678", "**-***-4567 ***-****-5678");
    check(&rules, "0505-123-4567 070-1234-5678", "****-***-4567 ***-****-5678");
    check(&rules, "+82 10-1234-5678 +821012345678", "+** **-****-5678 +********5678");
    check(&rules, "+1-202-555-0143 tel:+14155550123", "+*-***-***-0143 tel:+*******0123");
    check(&rules, "+44 20-7946-0958 12:30", "+** **-****-0958 12:30");
    for other in [
        "2024-01-02 010-12-5678",
        "010-1234-56789",
        "1010-1234-5678",
        "7-010-1234-5678",
        "0212345678",
        "x01012345678",
        "01012345678_1",
        "+123",
        "+1234567890123456",
        "192.168.10.1 099-1234-5678",
    ] {
        check(&rules, other, other);
    }
}

#[test]
fn cards() {
    let rules = only(Kind::Card, Action::Mask);
    check(&rules, "card=4111111111111111;", "card=************1111;");
    check(&rules, "4111-1111-1111-1111 5500 0000 0000 0004", "****-****-****-1111 **** **** **** 0004");
    check(&rules, "378282246310005 3782-822463-10005", "***********0005 ****-******-*0005");
    check(&rules, "{\"pan\":4111111111111111}", "{\"pan\":************1111}");
    for other in [
        "4111111111111112",
        "4111-1111 1111-1111",
        "41111111111111111111",
        "a4111111111111111",
        "0.4111111111111111",
        "1795176000000000000",
        "4111-1111-1111-1111-1",
    ] {
        check(&rules, other, other);
    }
}

#[test]
fn addresses() {
    let rules = only(Kind::Email, Action::Mask);
    check(&rules, "메일: kim.lee+a@example.co.kr.", "메일: k********@example.co.kr.");
    check(&rules, "<k@example.com>,b@x.org", "<*@example.com>,*@x.org");
    check(&rules, "...kim@example.com", "...k**@example.com");
    for other in ["@example.com", "a@b", "a@b.c", "a@.com", "a@b..com", "user@10.0.0.1", "a @ b.com"] {
        check(&rules, other, other);
    }
    let long = format!("{}@example.com", "a".repeat(65));
    check(&rules, &long, &long);
}

#[test]
fn patterns_of_ones_own() {
    check(&own("EMP-####").unwrap(), "EMP-1234, EMP-12345 xEMP-1234", "********, EMP-12345 xEMP-1234");
    check(&own("@@##").unwrap(), "ab12 a112 ab1", "**** a112 ab1");
    check(&own("사번 ##").unwrap(), "사번 12, 사번 1", "*****, 사번 1");
    check(&own("\\##").unwrap(), "#1 11", "** 11");
    for wrong in ["", "\\", "a\\"] {
        assert_eq!(own(wrong).unwrap_err(), RulesError::Pattern(wrong.to_owned()));
    }
    assert!(own(&"#".repeat(MAX_PATTERN)).is_ok() && own(&"#".repeat(MAX_PATTERN + 1)).is_err());
}

#[test]
fn escapes_of_json_hide_nothing() {
    let frame = r#"{"a":"\ud654010-1234-5678","b":"\n900101-1234567 \ud654900101-1234567","c":"\u002B82 10-1234-5678"}"#;
    let expect = r#"{"a":"\ud654***-****-5678","b":"\n900101-******* \ud654900101-*******","c":"\u002B** **-****-5678"}"#;
    check(&all(Action::Mask), frame, expect);
    check(&own("EMP-##").unwrap(), r"\tEMP-12 tEMP-12", r"\t****** tEMP-12");
}

#[test]
fn hashes_are_of_the_value_however_it_is_written() {
    let rules = all(Action::Hash);
    let hash = |text: &str| rules.in_text(text).0.into_owned();
    let phone = hash("010-1234-5678");
    assert!(phone.starts_with("phone_") && phone.len() == 22, "{phone}");
    for same in ["01012345678", "+82 10-1234-5678", "010 1234 5678"] {
        assert_eq!(hash(same), phone);
    }
    assert_ne!(hash("010-1234-5679"), phone);
    assert_eq!(hash("Kim@Example.com"), hash("kim@example.com"));
    let other = Rules::new(rules.rules().to_vec(), [8; 32]).unwrap();
    assert_ne!(other.in_text("010-1234-5678").0, phone);
    assert!(!format!("{other:?}").contains("8, 8"), "the key is not shown");
}

#[test]
fn what_is_dropped_is_gone_and_the_first_rule_wins() {
    check(&all(Action::Drop), "a 900101-1234567 b kim@example.com c", "a  b  c");
    let rules = r#"[{"kind":"pattern","pattern":"010-####-####","action":"drop"},{"kind":"phone"}]"#;
    let rules = Rules::read(rules, KEY).unwrap();
    let (masked, counts) = rules.in_text("010-1234-5678 02-123-4567");
    assert_eq!(masked, " **-***-4567");
    assert_eq!(counts.iter().collect::<Vec<_>>(), [(Kind::Phone, 1), (Kind::Pattern, 1)]);
    let mut twice = counts;
    twice.add(counts);
    assert_eq!((twice.total(), rules.frames_tell(), all(Action::Mask).frames_tell()), (4, false, false));
    assert!(only(Kind::Email, Action::Hash).frames_tell() && !only(Kind::Phone, Action::Hash).frames_tell());
}

#[test]
fn rules_that_cannot_be_followed() {
    let pattern = Rule { pattern: "#".to_owned(), ..rule(Kind::Phone, Action::Mask) };
    assert_eq!(Rules::new(vec![pattern], KEY).unwrap_err(), RulesError::NoPattern("phone"));
    let many = vec![rule(Kind::Card, Action::Mask); MAX_RULES + 1];
    assert_eq!(Rules::new(many, KEY).unwrap_err(), RulesError::TooMany);
    assert!(matches!(Rules::read("[{}]", KEY), Err(RulesError::Unreadable(_))));
    assert!(Rules::read("[]", KEY).unwrap().is_empty());
}

#[test]
fn time_is_linear() {
    let rules = all(Action::Mask);
    let own = own("########@@@@####").unwrap();
    for part in ["@", "a@", "1", "0-", "010-", "+82", "4111-", "a.", "1 ", "-1", "a@a.", "4111111111111111 "]
    {
        let text = part.repeat((1 << 20) / part.len());
        let started = Instant::now();
        rules.in_text(&text);
        own.in_text(&text);
        // A quadratic search would take minutes.
        assert!(started.elapsed() < Duration::from_secs(10), "{part}: {:?}", started.elapsed());
    }
}

fn text() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        "[0-9]{1,6}",
        "[-+. @:_가a]",
        prop::sample::select(vec![
            "010-1234-5678",
            "900101-1234567",
            "4111111111111111",
            "4111-1111-1111-1111",
            "kim@example.com",
            "+82 10",
        ])
        .prop_map(str::to_owned),
    ];
    prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn stars_keep_the_length_and_touch_nothing_else(text in text()) {
        let masked = all(Action::Mask).in_text(&text).0.into_owned();
        prop_assert_eq!(masked.len(), text.len());
        for (before, after) in text.bytes().zip(masked.bytes()) {
            prop_assert!(before == after || after == b'*');
        }
    }

    #[test]
    fn any_bytes_may_come(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        for action in [Action::Mask, Action::Hash, Action::Drop] {
            all(action).in_bytes(&bytes);
        }
        own("@#@").unwrap().in_bytes(&bytes);
    }

    #[test]
    fn a_number_is_found_wherever_it_stands_alone(before in "[a-z ]{0,8} ", after in " [a-z ]{0,8}") {
        for (kind, value) in [
            (Kind::KrRrn, "900101-1234567"),
            (Kind::Phone, "010-1234-5678"),
            (Kind::Card, "4111111111111111"),
            (Kind::Email, "kim@example.com"),
        ] {
            let text = format!("{before}{value}{after}");
            let rules = only(kind, Action::Drop);
            let (masked, counts) = rules.in_text(&text);
            prop_assert_eq!((masked.into_owned(), counts.total()), (format!("{before}{after}"), 1));
        }
    }
}
