use super::*;
use proptest::prelude::*;

/// Tokens as `term@position`.
fn check(text: &str, expect: &str) {
    let mut tokens = Vec::new();
    tokenize(text, |t| tokens.push(format!("{}@{}", t.term, t.position)));
    assert_eq!(tokens.join(" "), expect, "{text:?}");
}

fn check_query(text: &str, expect: &str) {
    let terms: Vec<_> = query_terms(text).iter().map(|t| format!("{}@{}", t.term, t.position)).collect();
    assert_eq!(terms.join(" "), expect, "{text:?}");
}

/// The parts of `text` that `query` finds.
fn check_find(text: &str, query: &str, expect: &[&str]) {
    let (query, prefix) = query.strip_suffix('*').map_or((query, false), |q| (q, true));
    let terms = query_terms(query);
    let found: Vec<_> = find(text, &terms, prefix).into_iter().map(|r| &text[r]).collect();
    assert_eq!(found, expect, "{query:?} in {text:?}");
    assert_eq!(contains(text, &terms, prefix), !expect.is_empty());
}

#[test]
fn words() {
    check("", "");
    check("  -- !! ", "");
    check("Failed password for root", "failed@0 password@1 for@2 root@3");
    check("sshd[24200]: 173.234.31.186", "sshd@0 24200@1 173@2 234@3 31@4 186@5");
    check("blk_49 pam_unix(sshd:auth)", "blk_49@0 pam_unix@1 sshd@2 auth@3");
    check("web01 sha256 __x _ ___", "web01@0 sha256@1 __x@2");
    check("Ünïcode ΣΊΣΥΦΟΣ Привет", "ünïcode@0 σίσυφοσ@1 привет@2");
    check("µs ½", "μs@0 ½@1");
}

#[test]
fn syllables() {
    check("온도", "온@0 온도@0 도@1");
    check("GPU온도", "gpu@0 온@1 온도@1 도@2");
    check("3시간", "3@0 시@1 시간@1 간@2");
    check("ㅋㅋ!", "ㅋ@0 ㅋㅋ@0 ㅋ@1");
    check("이 영화", "이@0 영@1 영화@1 화@2");
    check("漢字かな", "漢@0 漢字@0 字@1 字か@1 か@2 かな@2 な@3");
    check("온도_센서", "온@0 온도@0 도@1 센@2 센서@2 서@3");
    check("ＣＰＵ１ 사용률", "cpu1@0 사@1 사용@1 용@2 용률@2 률@3");
    check("\u{1112}\u{1161}\u{11ab}\u{1100}\u{1173}\u{11af}", "한@0 한글@0 글@1");
}

#[test]
fn long_words_are_cut() {
    let mut lengths = Vec::new();
    tokenize(&"x".repeat(600), |t| lengths.push((t.term.len(), t.position, t.end - t.start)));
    assert_eq!(lengths, [(255, 0, 255), (255, 1, 255), (90, 2, 90)]);
    let mut lengths = Vec::new();
    tokenize(&"ж".repeat(200), |t| lengths.push((t.term.len(), t.position)));
    assert_eq!(lengths, [(254, 0), (146, 1)]);
}

#[test]
fn queries() {
    check_query("온", "온@0");
    check_query("온도", "온도@0");
    check_query("온도계", "온도@0 도계@1");
    check_query("이 영화", "이@0 영화@1");
    check_query("GPU온도 높음", "gpu@0 온도@1 높음@3");
    check_query("10.0.0.1", "10@0 0@1 0@2 1@3");
    check_query("- ! -", "");
    check_query("ㅋㅋㅋ", "ㅋㅋ@0 ㅋㅋ@1");
}

#[test]
fn finding() {
    check_find("GPU온도 81도, gpu 온도 82도", "gpu온도", &["GPU온도", "gpu 온도"]);
    check_find("대박ㅋㅋㅋㅋ ㅋㅋ", "ㅋㅋ", &["ㅋㅋㅋㅋ", "ㅋㅋ"]);
    check_find("온도 센서", "도센", &[]);
    check_find("Invalid user webmaster from 1.2.3.4", "user web*", &["user webmaster"]);
    check_find("Invalid user webmaster", "user web", &[]);
    check_find("온도계", "온*", &["온"]);
    check_find("온도계", "온도*", &["온도"]);
    check_find("authentication failure; user unknown", "FAILURE user", &["failure; user"]);
    check_find("CAFE\u{301} café", "café", &["CAFE\u{301}", "café"]);
    check_find("아무것도", "", &[]);
}

/// Text of the kind that logs and reviews have.
fn mixed() -> impl Strategy<Value = String> {
    let c = prop_oneof![
        4 => prop::sample::select("가나다라온도센서ㅋㅎㅠ".chars().collect::<Vec<_>>()),
        3 => prop::sample::select("aAbBzZ019_".chars().collect::<Vec<_>>()),
        2 => prop::sample::select(" \t.,-:/()[]＿Ａ　".chars().collect::<Vec<_>>()),
        1 => prop::sample::select("漢字かカ\u{1112}\u{1161}\u{11ab}e\u{301}\u{3099}ßİ٣ศ".chars().collect::<Vec<_>>()),
        1 => any::<char>(),
    ];
    prop::collection::vec(c, 0..40).prop_map(|c| c.into_iter().collect())
}

fn tokens(text: &str) -> Vec<(String, u32, usize, usize)> {
    let mut tokens = Vec::new();
    tokenize(text, |t| tokens.push((t.term.to_owned(), t.position, t.start, t.end)));
    tokens
}

/// What a phrase query over an index of the tokens does.
fn phrase_matches(text: &str, terms: &[QueryTerm]) -> bool {
    let index: std::collections::HashSet<(String, u32)> =
        tokens(text).into_iter().map(|(term, position, ..)| (term, position)).collect();
    let last = index.iter().map(|(_, p)| *p).max().unwrap_or(0);
    !terms.is_empty()
        && (0..=last).any(|base| terms.iter().all(|t| index.contains(&(t.term.clone(), base + t.position))))
}

proptest! {
    #[test]
    fn spans_are_ordered_and_on_boundaries(text in mixed()) {
        let mut before = (0, 0);
        for (term, position, start, end) in tokens(&text) {
            prop_assert!(start < end && end <= text.len());
            prop_assert!(text.is_char_boundary(start) && text.is_char_boundary(end));
            prop_assert!((position, start) >= before, "{:?}", text);
            prop_assert!(!term.is_empty() && term.len() <= MAX_TERM_BYTES);
            before = (position, start);
        }
    }

    #[test]
    fn positions_have_no_gaps(text in mixed()) {
        let mut next = 0;
        for (_, position, ..) in tokens(&text) {
            prop_assert!(position <= next);
            next = next.max(position + 1);
        }
    }

    #[test]
    fn folded_text_has_the_same_tokens(text in mixed()) {
        let terms = |t: &str| tokens(t).into_iter().map(|(term, p, ..)| (term, p)).collect::<Vec<_>>();
        prop_assert_eq!(terms(&fold(&text)), terms(&text));
    }

    #[test]
    fn every_part_of_hangul_is_found(
        before in mixed(),
        hangul in "[가-힣ㄱ-ㅣ]{1,12}",
        after in mixed(),
        cut in any::<(prop::sample::Index, prop::sample::Index)>(),
    ) {
        let text = format!("{before}{hangul}{after}");
        let chars: Vec<char> = hangul.chars().collect();
        let (a, b) = (cut.0.index(chars.len()), cut.1.index(chars.len()));
        // What follows may compose with the last syllable: leave it out.
        let end = a.max(b) + 1;
        prop_assume!(end < chars.len() || fold(&text).contains(&hangul));
        let part: String = chars[a.min(b)..end].iter().collect();
        let terms = query_terms(&part);
        prop_assert!(phrase_matches(&text, &terms), "{part:?} in {text:?}");
        prop_assert!(find(&text, &terms, false).iter().any(|r| fold(&text[r.clone()]).contains(&part)));
    }

    #[test]
    fn hangul_is_found_only_where_it_stands(text in "[가나 ㅋa]{0,12}", part in "[가나ㅋ]{1,3}") {
        prop_assert_eq!(contains(&text, &query_terms(&part), false), text.contains(&part));
    }

    #[test]
    fn words_are_found_as_grep_w_finds_them(text in "[ab_ .-]{0,12}", word in "[ab_]{0,2}[ab]") {
        let grep = text
            .split(|c: char| !(c.is_alphanumeric() || c == '_'))
            .any(|w| w == word);
        prop_assert_eq!(contains(&text, &query_terms(&word), false), grep);
    }

    #[test]
    fn finding_agrees_with_phrases(text in mixed(), query in mixed()) {
        let terms = query_terms(&query);
        let expect = phrase_matches(&text, &terms);
        prop_assert_eq!(contains(&text, &terms, false), expect);
        let found = find(&text, &terms, false);
        prop_assert_eq!(!found.is_empty(), expect);
        prop_assert!(found.windows(2).all(|w| w[0].end <= w[1].start));
        for range in found {
            prop_assert!(contains(&text[range], &terms, false));
        }
    }

    #[test]
    fn any_part_of_a_text_as_tokens_is_found(text in mixed()) {
        let terms = query_terms(&text);
        prop_assert!(terms.is_empty() || contains(&text, &terms, false));
        prop_assert!(terms.is_empty() || contains(&text, &terms, true));
    }
}
