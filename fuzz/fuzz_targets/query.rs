//! Any text is a query or is refused with a place; what is printed is read back; highlighting covers the text.
#![no_main]

use domain::query::{CompletionSource, Query, complete, highlight, hints};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match Query::parse(text) {
        Ok(query) => {
            let printed = query.expr.to_string();
            // Printing may need more quotes than were written, and so pass the limit of length.
            if printed.len() <= domain::query::MAX_BYTES {
                let again = Query::parse(&printed).expect("what is printed is a query");
                assert_eq!(again.expr, query.expr);
            }
        }
        Err(error) => {
            assert!(error.span.0 < error.span.1 && error.span.1 <= text.chars().count());
        }
    }
    let end = highlight(text).iter().fold(0, |end, span| {
        assert_eq!(span.start, end);
        span.end
    });
    assert_eq!(end, text.len());
    hints(text);
    complete(text, text.len() / 2, &CompletionSource::default());
});
