use crate::{Lang, query::*};

/// The query's normal form; or the error's code and what of the text is marked.
fn check(text: &str, expect: &str) {
    let seen = match Query::parse(text) {
        Ok(query) => query.expr.to_string(),
        Err(error) => {
            let marked: String = text.chars().skip(error.span.0).take(error.span.1 - error.span.0).collect();
            format!("{} ‹{marked}›", error.kind.code())
        }
    };
    assert_eq!(seen, expect, "{text:?}");
}

#[test]
fn terms_and_operators() {
    check("", "");
    check("   ", "");
    check("error", "error");
    check("error AND warn", "error warn");
    check("a b OR c d", "a b OR c d");
    check("a (b OR c) d", "a (b OR c) d");
    check("(a AND b) OR c", "a b OR c");
    check("(a OR (b OR c))", "a OR b OR c");
    check("NOT a", "-a");
    check("-a --b NOT -c", "-a b c");
    check("NOT (a b)", "NOT (a b)");
    check("-(a OR b) c", "NOT (a OR b) c");
    check("\"bearing hot\"", "\"bearing hot\"");
    check("webm*", "webm*");
    check("\"invalid us\"*", "\"invalid us\"*");
    check("and or not", "and or not");
    check("\"AND\" \\OR", "\"AND\" \"OR\"");
    check("[preauth] user=root blk_42", "\"[preauth]\" user=root blk_42");
    check("온도　높음", "온도 높음");
}

#[test]
fn fields() {
    check("source:\"pump-1\"", "source:pump-1");
    check("site:부산", "site:부산");
    check("host:web-*", "host:web-*");
    check("\"my field\":\"a \\\"b\\\"\"", "\"my field\":\"a \\\"b\\\"\"");
    check("a\\:b:c\\*", "\"a:b\":\"c*\"");
    check("field:*", "field:*");
    check("-field:*", "-field:*");
    check("temperature>=80", "temperature>=80");
    check("t>1 t>=1 t<1 t<=1", "t>1 t>=1 t<1 t<=1");
    check("t>-1.5e3", "t>-1500");
    check("t>1e300", "t>1e300");
    check("온도>８０", "온도>80");
    check("fields.id:5 id:5 fields.fields.x:1", "fields.id:5 id:5 fields.fields.x:1");
    check("http.status:200", "http.status:200");
    check("url:http://x/y", "url:\"http://x/y\"");
    check("field:\"\"", "field:\"\"");
    check("host:(a OR b*)", "host:a OR host:b*");
    check("host:(a -b)", "host:a -host:b");
}

#[test]
fn levels_times_ranges() {
    check("level:WARNING", "level:warn");
    check("level>=err -level:debug", "level>=error -level:debug");
    check("level:e*", "level:error OR level:emergency");
    check("level:[warn TO error]", "level>=warn level<=error");
    check("field:[1 TO 5]", "field>=1 field<=5");
    check("-field:[1 TO 5]", "NOT (field>=1 field<=5)");
    check("field:[* TO 5] field:[1 to *] field:[* TO *]", "field<=5 field>=1 field:*");
    check("ts>=2026-01-01T09:00:00+09:00", "ts>=2026-01-01T00:00:00.000000000Z");
    check("kind:LOG kind:m*", "kind:LOG kind:m*");
    check("raw:*", "raw:*");
    check("message:word message:\"a phrase\" message:wor*", "message:word message:\"a phrase\" message:wor*");
    check("message:(온도 OR -hot*) message:*", "(message:온도 OR -message:hot*) message:*");
}

#[test]
fn mistakes() {
    check("a \"b c", "unclosed_quote ‹\"b c›");
    check("source:\"pump", "unclosed_quote ‹\"pump›");
    check("a\\", "dangling_escape ‹\\›");
    check("a OR", "missing_operand ‹OR›");
    check("a AND OR b", "missing_operand ‹AND›");
    check("a OR AND b", "missing_operand ‹OR›");
    check("NOT", "missing_operand ‹NOT›");
    check("a - b", "a -b");
    check("a -", "missing_operand ‹-›");
    check("(a -)", "missing_operand ‹-›");
    check("OR a", "leading_operator ‹OR›");
    check("(AND a)", "leading_operator ‹AND›");
    check("(a", "unclosed_parenthesis ‹(›");
    check("a (", "unclosed_parenthesis ‹(›");
    check("a)", "stray_parenthesis ‹)›");
    check(")", "stray_parenthesis ‹)›");
    check("main()", "empty_parentheses ‹()›");
    check("a*b", "star_in_middle ‹*›");
    check("*a", "star_in_middle ‹*›");
    check("a**", "star_in_middle ‹*›");
    check("\"a\"*b", "star_in_middle ‹*›");
    check("ho*:a", "star_in_middle ‹*›");
    check("*", "star_alone ‹*›");
    check("\"\"*", "star_alone ‹\"\"*›");
    check("a && b", "no_words ‹&&›");
    check("message:\"...\"", "no_words ‹\"...\"›");
    check("message:&&*", "no_words ‹&&*›");
    check("\"\"", "no_words ‹\"\"›");
    check(":a", "missing_field ‹:›");
    check("<html>", "missing_field ‹<›");
    check("\"\":a", "missing_field ‹\"\"›");
    check("fields.:a", "missing_field ‹fields.›");
    check("error: foo", "empty_value ‹error:›");
    check("error:", "empty_value ‹error:›");
    check("(error:)", "empty_value ‹error:›");
    check("t>= 80", "empty_value ‹t>=›");
    check("t:>80", "double_operator ‹>›");
    check("t>>80", "double_operator ‹>›");
    check("t>hot", "not_a_number ‹hot›");
    check("t>1e999", "not_a_number ‹1e999›");
    check("t>(1)", "not_a_number ‹(›");
    check("t>=5*", "not_a_number ‹5*›");
    check("a->b", "not_a_number ‹b›");
    check("source>5", "not_comparable ‹source›");
    check("id:[1 TO 2]", "not_comparable ‹id›");
    check("level:loud", "unknown_level ‹loud›");
    check("level>loud", "unknown_level ‹loud›");
    check("level:z*", "unknown_level ‹z*›");
    check("kind:table", "unknown_kind ‹table›");
    check("ts>yesterday", "not_a_time ‹yesterday›");
    check("ts:2026-01-01T00:00:00", "not_a_time ‹2026-01-01T00:00:00›");
    check("raw:abc", "raw_exists_only ‹abc›");
    check("f:[1 TO", "bad_range ‹[1 TO›");
    check("f:[1 5]", "bad_range ‹[1 5]›");
    check("f:[]", "bad_range ‹[]›");
    check("f:[1 TO x]", "not_a_number ‹x›");
    check("f:[5 TO 1]", "reversed_range ‹[5 TO 1]›");
    check("온도 \"높음", "unclosed_quote ‹\"높음›");
}

#[test]
fn bounds() {
    let code = |text: &str| Query::parse(text).map(|_| ()).map_err(|e| e.kind.code());
    assert_eq!(code(&"a".repeat(MAX_BYTES)), Ok(()));
    assert_eq!(code(&"가".repeat(MAX_BYTES)), Err("too_long"));
    let nested = |depth: usize| format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
    assert_eq!(code(&nested(MAX_DEPTH)), Ok(()));
    assert_eq!(code(&nested(MAX_DEPTH + 1)), Err("too_deep"));
    assert_eq!(code(&"(".repeat(MAX_BYTES)), Err("too_deep"));
    assert_eq!(code(&"a ".repeat(MAX_CLAUSES)), Ok(()));
    assert_eq!(code(&"a ".repeat(MAX_CLAUSES + 1)), Err("too_many_clauses"));
    assert_eq!(code(&format!("\"{}\"", "a ".repeat(MAX_PHRASE_TERMS + 1))), Err("phrase_too_long"));
    assert_eq!(code(&format!("message:\"{}\"", "a ".repeat(MAX_PHRASE_TERMS + 1))), Err("phrase_too_long"));
    assert_eq!(code(&format!("{}a", "-".repeat(MAX_BYTES - 1))), Ok(()));
}

#[test]
fn errors_speak_both_languages() {
    for text in
        ["\"", "a\\", "(", ")", "()", "OR a", "a OR", "-", "a*b", "*", "&&", "♥", ":", "a:", "a:>", "a>b"]
            .into_iter()
            .chain(["id>1", "level:x", "kind:x", "ts:x", "raw:x", "a:[", "a:[2 TO 1]"])
    {
        let error = Query::parse(text).unwrap_err();
        let (ko, en) = (error.message(Lang::Ko), error.message(Lang::En));
        assert!(
            ko.chars().any(|c| ('가'..='힣').contains(&c)) && en.is_ascii() || en.contains('“'),
            "{ko} {en}"
        );
        let (ko, en) = (error.hint(Lang::Ko), error.hint(Lang::En));
        assert!(ko.chars().any(|c| ('가'..='힣').contains(&c)) && !en.is_empty(), "{ko} {en}");
    }
}

#[test]
fn hinting() {
    let check = |text: &str, expect: &[(usize, usize)]| {
        let spans: Vec<_> = hints(text).iter().map(|h| h.span).collect();
        assert_eq!(spans, expect, "{text:?}");
    };
    check("a and b", &[(2, 5)]);
    check("rock and", &[]);
    check("not a", &[(0, 3)]);
    check("10.0.0.1:514", &[(0, 12)]);
    check("온도 http://x", &[(3, 11)]);
    check("message:boom message:*", &[]);
    check("level:error site:부산", &[]);
}

#[test]
fn colours() {
    let check = |text: &str, expect: &str| {
        let spans = highlight(text);
        let seen: Vec<_> = spans
            .iter()
            .filter(|s| s.class != Class::Plain)
            .map(|s| format!("{}={}", &text[s.start..s.end], s.class.name()))
            .collect();
        assert_eq!(seen.join(" "), expect, "{text:?}");
    };
    check("error AND t>=80", "error=value AND=keyword t=field >==operator 80=number");
    check("-f:[1 TO 5]", "-=operator f=field :=operator [=operator 1=number TO=keyword 5=number ]=operator");
    check("80 f:*", "80=value f=field :=operator *=operator");
    check("a OR", "a=value OR=error");
    check("a*b c", "a=value *=error b=value c=value");
    check("x \"온도", "x=value \"온도=error");
}
