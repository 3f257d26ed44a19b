//! What is wrong with a query: the place, the reason, the remedy.

use crate::texts::{T, texts};
use domain::Lang;
use domain::query::{self, Query, QueryError};
use leptos::prelude::*;
use ui::use_locale;

/// Cells a character takes in a monospaced line: two for Hangul, Han, kana and full-width forms (UAX #11, W and F).
fn cells(c: char) -> usize {
    let wide = matches!(c, '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}' | '\u{f900}'..='\u{faff}' | '\u{ff00}'..='\u{ff60}' | '\u{ffe0}'..='\u{ffe6}');
    if wide { 2 } else { 1 }
}

/// The line under the text that points at the mistake.
fn caret(text: &str, (start, end): (usize, usize)) -> String {
    let before: usize = text.chars().take(start).map(cells).sum();
    let under: usize = text.chars().skip(start).take(end.saturating_sub(start)).map(cells).sum();
    format!("{}{}", " ".repeat(before), "^".repeat(under.max(1)))
}

/// The mistake of a text, where it has one.
pub(super) fn mistake(text: &str) -> AnyView {
    let Err(error) = Query::parse(text) else { return hints(text) };
    let lang = use_locale().lang.get();
    let QueryError { span, .. } = error;
    view! {
        <div class="q-error" id="query-error" role="alert">
            <pre aria-hidden="true">{text.to_owned()} "\n" <em>{caret(text, span)}</em></pre>
            <p>
                <b>{error.message(lang)}</b>
                " "
                {error.hint(lang)}
                " "
                <span class="faint">{position(span.0, lang)}</span>
            </p>
        </div>
    }
    .into_any()
}

fn position(start: usize, lang: Lang) -> String {
    T(lang).at_character(&(start + 1).to_string())
}

/// What may not have been meant.
fn hints(text: &str) -> AnyView {
    let lang = use_locale().lang.get();
    let found = query::hints(text);
    if found.is_empty() {
        return ().into_any();
    }
    let items = found.into_iter().map(|hint| view! { <p>{hint.kind.message(lang)}</p> }).collect_view();
    view! {
        <div class="notice info" role="status">
            {ui::icon(ui::Icon::Info)}
            <div aria-label=texts().hint()>{items}</div>
        </div>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_under_the_mistake() {
        let check = |text: &str, span, expect: &str| assert_eq!(caret(text, span), expect);
        check("a AND", (2, 5), "  ^^^");
        check("온도 >", (3, 4), "     ^");
        check("", (0, 0), "^");
    }
}
