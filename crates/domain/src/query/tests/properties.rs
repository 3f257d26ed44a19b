use crate::{Level, Timestamp, query::*, text::query_terms};
use proptest::prelude::*;

/// Text that is often nearly a query.
fn nearly() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "AND",
            "OR",
            "NOT",
            "TO",
            "to",
            " ",
            " ",
            " ",
            "(",
            ")",
            "[",
            "]",
            "\"",
            "\\",
            "*",
            ":",
            ">",
            ">=",
            "<",
            "=",
            "-",
            "level",
            "ts",
            "warn",
            "source",
            "f",
            "temperature",
            "온도",
            "ㅋㅋ",
            "5",
            "1e400",
            "fields.",
            "raw",
            "kind",
            "2026-01-01T00:00:00Z",
            "😀",
            "\u{300}",
            "\0",
        ])
        .prop_map(str::to_owned),
        any::<char>().prop_map(String::from),
        "[a-z가-힣0-9]{1,4}",
    ];
    prop::collection::vec(piece, 0..24).prop_map(|p| p.concat())
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z가-힣0-9]{1,6}",
        "[ -~]{0,8}",
        any::<String>().prop_map(|s| s.chars().take(8).collect()),
        prop::sample::select(vec![
            "AND", "OR", "NOT", "-x", "*", "a*", "[1 TO 2]", "", "\\", "=x", "fields."
        ])
        .prop_map(str::to_owned),
    ]
}

fn named() -> impl Strategy<Value = Field> {
    let name = prop_oneof![
        "[a-z]{1,6}",
        value(),
        prop::sample::select(vec!["id", "level", "ts", "fields.x", "fields.id", "a.b", "AND", "-"])
            .prop_map(str::to_owned),
    ];
    name.prop_filter_map("a name", |name| (!name.is_empty()).then(|| Field::Named(name.replace('.', "/"))))
}

fn comparison() -> impl Strategy<Value = Comparison> {
    use Comparison::{AtLeast, AtMost, Greater, Less};
    prop::sample::select(vec![Greater, AtLeast, Less, AtMost])
}

fn leaf() -> impl Strategy<Value = Expr> {
    let string_field = || prop_oneof![Just(Field::Source), Just(Field::Id), named()];
    let words = || value().prop_filter("words", |text| !query_terms(text).is_empty());
    let any_field =
        prop_oneof![Just(Field::Raw), Just(Field::Ts), Just(Field::Level), Just(Field::Kind), named()];
    let time_field = prop_oneof![Just(Field::Ts), Just(Field::ReceivedAt)];
    let or_equal = || prop_oneof![comparison(), Just(Comparison::Equal)];
    prop_oneof![
        (words(), any::<bool>()).prop_map(|(text, prefix)| Expr::Text { text, prefix }),
        words().prop_map(|value| Expr::Equals { field: Field::Message, value }),
        words().prop_map(|prefix| Expr::Prefix { field: Field::Message, prefix }),
        (string_field(), value()).prop_map(|(field, value)| Expr::Equals { field, value }),
        (string_field(), value().prop_filter("a character", |v| !v.is_empty()))
            .prop_map(|(field, prefix)| Expr::Prefix { field, prefix }),
        any_field.prop_map(|field| Expr::Exists { field }),
        (named(), comparison(), any::<f64>().prop_filter("finite", |v| v.is_finite()))
            .prop_map(|(field, comparison, value)| Expr::Number { field, comparison, value }),
        (or_equal(), prop::sample::select(Level::ALL.to_vec()))
            .prop_map(|(comparison, level)| Expr::Level { comparison, level }),
        (time_field, or_equal(), any::<i64>()).prop_map(|(field, comparison, at)| Expr::Time {
            field,
            comparison,
            at: Timestamp::from_nanos(at)
        }),
    ]
}

/// What the parser makes: no `And` in `And`, no `Or` in `Or`, no `Not` in `Not`.
fn expr() -> impl Strategy<Value = Expr> {
    leaf().prop_recursive(4, 24, 4, |inner| {
        let flat = |parts: Vec<Expr>, and: bool| {
            let mut flat = Vec::new();
            for part in parts {
                match part {
                    Expr::And(inner) if and => flat.extend(inner),
                    Expr::Or(inner) if !and => flat.extend(inner),
                    other => flat.push(other),
                }
            }
            if and { Expr::And(flat) } else { Expr::Or(flat) }
        };
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(move |p| flat(p, true)),
            prop::collection::vec(inner.clone(), 2..4).prop_map(move |p| flat(p, false)),
            inner.prop_map(|e| match e {
                Expr::Not(_) => e,
                e => Expr::Not(Box::new(e)),
            }),
        ]
    })
}

fn sound(text: &str) {
    let chars = text.chars().count();
    match Query::parse(text) {
        Ok(query) => {
            let printed = query.expr.to_string();
            let again = Query::parse(&printed).expect("what is printed is a query");
            assert_eq!(again.expr, query.expr, "{text:?}");
        }
        Err(error) => {
            assert!(error.span.0 < error.span.1 && error.span.1 <= chars, "{text:?} {error:?}");
        }
    }
    let mut end = 0;
    for span in highlight(text) {
        assert_eq!(span.start, end, "{text:?}");
        assert!(span.end > span.start && text.is_char_boundary(span.end));
        end = span.end;
    }
    assert_eq!(end, text.len());
    assert_eq!(
        highlight(text).iter().any(|s| s.class == Class::Error),
        Query::parse(text).is_err(),
        "{text:?}"
    );
    for cursor in 0..=text.len() {
        let replace = complete(text, cursor, &CompletionSource::default()).replace;
        assert!(text.is_char_boundary(replace.start) && text.is_char_boundary(replace.end), "{text:?}");
        assert!(replace.start <= cursor && replace.end >= text.floor_char_boundary(cursor));
    }
    for hint in hints(text) {
        assert!(hint.span.0 < hint.span.1 && hint.span.1 <= chars);
    }
}

proptest! {
    #[test]
    fn any_text_is_taken_or_refused(text in any::<String>()) {
        sound(&text);
    }

    #[test]
    fn near_queries_are_taken_or_refused(text in nearly()) {
        sound(&text);
    }

    #[test]
    fn what_is_printed_is_read_back(expr in expr()) {
        let printed = expr.to_string();
        let read = Query::parse(&printed).map_err(|e| TestCaseError::fail(format!("{e} in {printed:?}")))?;
        prop_assert_eq!(read.expr, expr, "{}", printed);
    }

    #[test]
    fn editing_twice_is_editing_once(text in nearly(), field in "[a-z.]{1,5}", value in value()) {
        for edit in [with_filter, with_exclusion, without_filter] {
            let once = edit(&text, &field, &value);
            prop_assert_eq!(&edit(&once, &field, &value), &once);
            prop_assert!(Query::parse(&text).is_err() || Query::parse(&once).is_ok() || once.len() > MAX_BYTES);
        }
    }
}
