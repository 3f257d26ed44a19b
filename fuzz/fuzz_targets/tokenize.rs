//! Tokens are bounded, ordered and on character boundaries, and a text is found by its own words.
#![no_main]

use domain::text::{MAX_TERM_BYTES, contains, fold, query_terms, tokenize};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let mut before = (0, 0);
    let mut terms = Vec::new();
    tokenize(text, |token| {
        assert!(!token.term.is_empty() && token.term.len() <= MAX_TERM_BYTES);
        assert!(token.start < token.end);
        assert!(text.get(token.start..token.end).is_some());
        assert!((token.position, token.start) >= before);
        before = (token.position, token.start);
        terms.push((token.term.to_owned(), token.position));
    });
    let folded = fold(text);
    assert_eq!(fold(&folded), folded);
    let mut again = Vec::new();
    tokenize(&folded, |token| again.push((token.term.to_owned(), token.position)));
    assert_eq!(again, terms);
    // A phrase as long as the text takes quadratic time only on a text that repeats itself; keep it short.
    if text.len() <= 4_096 {
        let query = query_terms(text);
        assert!(query.is_empty() || contains(text, &query, false));
    }
});
