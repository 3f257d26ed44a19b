//! Editing a query's text by clicks: facets add, exclude and take away conditions. A text that is no query stays as
//! it is.

use super::{Expr, Field, parser::Parsed, print::quote};
use crate::text::fold;

/// The text with the condition `field:value`; an exclusion of the same value goes. What else is there stays as it
/// was written. Doing it twice is doing it once.
pub fn with_filter(text: &str, field: &str, value: &str) -> String {
    edit(text, &clause(field, value), Wish::Only)
}

/// The text with `-field:value`; a filter for the same value goes.
pub fn with_exclusion(text: &str, field: &str, value: &str) -> String {
    edit(text, &clause(field, value), Wish::Without)
}

/// The text without `field:value` and `-field:value`.
pub fn without_filter(text: &str, field: &str, value: &str) -> String {
    edit(text, &clause(field, value), Wish::Either)
}

/// The text with `field:*`: only events that have the field.
pub fn with_existing(text: &str, field: &str) -> String {
    edit(text, &format!("{}:*", quote(field)), Wish::Only)
}

/// The text with `-field:*`: only events that lack the field.
pub fn with_missing(text: &str, field: &str) -> String {
    edit(text, &format!("{}:*", quote(field)), Wish::Without)
}

/// Whether the text has `field:value` (`Some(true)`) or `-field:value` (`Some(false)`) at its outermost level.
pub fn filter_state(text: &str, field: &str, value: &str) -> Option<bool> {
    let clause = Parsed::of(&clause(field, value)).ok()?.expr;
    let parsed = Parsed::of(text).ok().filter(|p| !p.alternatives)?;
    parsed.parts.iter().find_map(|(part, _)| match part {
        Expr::Not(inner) if same(inner, &clause) => Some(false),
        part if same(part, &clause) => Some(true),
        _ => None,
    })
}

fn clause(field: &str, value: &str) -> String {
    format!("{}:{}", quote(field), quote(value))
}

/// What becomes of a condition.
#[derive(Clone, Copy, PartialEq)]
enum Wish {
    Only,
    Without,
    Either,
}

fn edit(text: &str, clause: &str, wish: Wish) -> String {
    // A level or kind that there is none of cannot be asked for.
    let Ok(Parsed { expr: wanted, .. }) = Parsed::of(clause) else { return text.to_owned() };
    let addition = match wish {
        Wish::Only => Some(clause.to_owned()),
        Wish::Without => Some(format!("-{clause}")),
        Wish::Either => None,
    };
    let Ok(parsed) = Parsed::of(text) else { return text.to_owned() };
    // Not merely trimmed: an escaped space at the end belongs to its word.
    let body = match (parsed.parts.first(), parsed.parts.last()) {
        (Some((_, first)), Some((_, last))) => &text[first.start..last.end],
        _ => "",
    };
    if parsed.alternatives {
        return addition.map_or(text.to_owned(), |addition| format!("({body}) {addition}"));
    }
    let is_wanted = |part: &Expr| same(part, &wanted);
    let excludes = |part: &Expr| matches!(part, Expr::Not(inner) if is_wanted(inner));
    let stands = |part: &Expr| match wish {
        Wish::Only => is_wanted(part),
        Wish::Without => excludes(part),
        Wish::Either => false,
    };
    let opposed = |part: &Expr| (is_wanted(part) || excludes(part)) && !stands(part);
    let present = parsed.parts.iter().any(|(part, _)| stands(part));
    let addition = addition.filter(|_| !present);
    if !parsed.parts.iter().any(|(part, _)| opposed(part)) {
        return addition.map_or(text.to_owned(), |addition| append(body, &addition));
    }
    let kept = parsed.parts.iter().filter(|(part, _)| !opposed(part)).map(|(_, bytes)| &text[bytes.clone()]);
    kept.chain(addition.as_deref()).collect::<Vec<_>>().join(" ")
}

fn append(body: &str, addition: &str) -> String {
    if body.is_empty() { addition.to_owned() } else { format!("{body} {addition}") }
}

/// Whether two conditions mean the same, values compared as events are.
fn same(a: &Expr, b: &Expr) -> bool {
    match (a, b) {
        (Expr::Equals { field: a, value: left }, Expr::Equals { field: b, value: right }) => {
            let folds = |field: &Field| *field != Field::Id;
            a == b && (left == right || folds(a) && fold(left) == fold(right))
        }
        _ => a == b,
    }
}
