//! Marks what a query found in a text.

use domain::query::Query;
use domain::text::{self, QueryTerm};
use leptos::prelude::*;

/// The free text of a query, made ready to be looked for in many texts.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Marks(Vec<(Vec<QueryTerm>, bool)>);

impl Marks {
    pub(super) fn of(q: &str) -> Self {
        Self(Query::parse(q).map(|query| query.text_terms()).unwrap_or_default())
    }

    /// The text with what was found marked.
    pub(super) fn paint(&self, text: &str) -> AnyView {
        let mut found: Vec<_> =
            self.0.iter().flat_map(|(terms, prefix)| text::find(text, terms, *prefix)).collect();
        if found.is_empty() {
            return text.to_owned().into_any();
        }
        found.sort_by_key(|range| range.start);
        let mut parts = Vec::new();
        let mut done = 0;
        for range in found {
            let start = range.start.max(done);
            if range.end <= start {
                continue;
            }
            parts.push(text[done..start].to_owned().into_any());
            parts.push(view! { <mark>{text[start..range.end].to_owned()}</mark> }.into_any());
            done = range.end;
        }
        parts.push(text[done..].to_owned().into_any());
        parts.into_any()
    }
}
