//! A query as OpenSearch runs it (query DSL). Tenants and windows are added by [`crate::scope`].

use crate::analysis::whole_value;
use crate::template::{boolean_field, folded_field, number_field};
use domain::query::{Comparison, Expr, Field, as_bool, as_number};
use domain::text::{fold, query_terms};
use domain::{EventId, Level, Timestamp, event::EventKind};
use serde_json::{Value, json};

/// How many words the last word of a phrase may stand for in a shard.
const MAX_EXPANSIONS: u32 = 50_000;

/// The events that meet a condition.
pub(crate) fn query(expr: &Expr) -> Value {
    match expr {
        Expr::All => json!({ "match_all": {} }),
        Expr::And(parts) => all_of(parts),
        Expr::Or(parts) => any_of(parts.iter().map(query).collect()),
        Expr::Not(_) => all_of(std::slice::from_ref(expr)),
        Expr::Text { text, prefix } => {
            any_of(vec![words("message", text, *prefix), words("text", text, *prefix)])
        }
        Expr::Equals { field, value } => equals(field, value),
        Expr::Prefix { field, prefix } => starts_with(field, prefix),
        Expr::Exists { field } => exists(field),
        Expr::Number { field: Field::Named(name), comparison, value } => number(name, *comparison, *value),
        // Envelope fields hold no numbers.
        Expr::Number { .. } => none(),
        Expr::Level { comparison, level } => levels(|own| comparison.holds(&own, level)),
        Expr::Time { field: Field::Ts, comparison, at } => time("ts", *comparison, *at),
        Expr::Time { field: Field::ReceivedAt, comparison, at } => time("received_at", *comparison, *at),
        Expr::Time { .. } => none(),
    }
}

fn all_of(parts: &[Expr]) -> Value {
    let (mut filter, mut must_not) = (Vec::new(), Vec::new());
    for part in parts {
        match part {
            Expr::Not(inner) => must_not.push(query(inner)),
            other => filter.push(query(other)),
        }
    }
    json!({ "bool": { "filter": filter, "must_not": must_not } })
}

pub(crate) fn any_of(mut parts: Vec<Value>) -> Value {
    if parts.len() == 1 {
        return parts.remove(0);
    }
    json!({ "bool": { "should": parts, "minimum_should_match": 1 } })
}

pub(crate) fn none() -> Value {
    json!({ "match_none": {} })
}

fn any() -> Value {
    json!({ "match_all": {} })
}

/// The words of a text stand next to each other in one value of a field; with `prefix` the last may go on.
fn words(field: &str, text: &str, prefix: bool) -> Value {
    let terms = query_terms(text);
    match (&*terms, prefix) {
        ([], _) => none(),
        ([only], false) => json!({ "term": { field: only.term } }),
        ([only], true) => json!({ "prefix": { field: only.term } }),
        // The text is analysed there, by `qgx_phrase`, which takes it in the form it is stored in.
        (_, false) => json!({ "match_phrase": { field: { "query": fold(text) } } }),
        (_, true) => json!({
            "match_phrase_prefix": { field: { "query": fold(text), "max_expansions": MAX_EXPANSIONS } }
        }),
    }
}

fn equals(field: &Field, value: &str) -> Value {
    let folded = fold(value);
    match field {
        Field::Id => match EventId::parse(value) {
            Ok(id) => json!({ "ids": { "values": [id.to_string()] } }),
            Err(_) => none(),
        },
        Field::Source => json!({ "term": { "source.fold": folded } }),
        Field::Kind => kinds(|kind| kind == folded),
        Field::Level => match Level::parse(&folded) {
            Some(level) => levels(|own| own == level),
            None => none(),
        },
        Field::Message => words("message", value, false),
        Field::Ts | Field::ReceivedAt => match Timestamp::parse(value) {
            Ok(at) => time(if *field == Field::Ts { "ts" } else { "received_at" }, Comparison::Equal, at),
            Err(_) => none(),
        },
        Field::Raw => none(),
        Field::Named(name) => named_equals(name, value, &folded),
    }
}

fn named_equals(name: &str, value: &str, folded: &str) -> Value {
    let mut parts = vec![json!({ "term": { folded_field(name): whole_value(folded) } })];
    // The folded pair alone would also find names of another case.
    if let Some(has_name) = beyond_budget(name) {
        let pair = fold(&format!("{name}={value}"));
        parts.push(json!({ "bool": { "filter": [{ "term": { "x.fold": whole_value(&pair) } }, has_name] } }));
    }
    if let Some(value) = as_number(value) {
        parts.push(number(name, Comparison::Equal, value));
    }
    if let Some(value) = as_bool(value) {
        parts.push(json!({ "term": { boolean_field(name): value } }));
    }
    any_of(parts)
}

/// The events that have the name beyond the budget; `None` where no pair can have it.
fn beyond_budget(name: &str) -> Option<Value> {
    (!name.contains('=')).then(|| json!({ "prefix": { "x": format!("{name}=") } }))
}

fn starts_with(field: &Field, prefix: &str) -> Value {
    let folded = fold(prefix);
    match field {
        // Ids have no terms: people seldom ask, and terms would be as many as the events.
        Field::Id => json!({
            "script": {
                "script": { "source": "doc['id'].value.startsWith(params.prefix)", "params": { "prefix": folded } }
            }
        }),
        Field::Source => json!({ "prefix": { "source.fold": folded } }),
        Field::Kind => kinds(|kind| kind.starts_with(&folded)),
        Field::Level => levels(|level| level.name().starts_with(&folded)),
        Field::Message => words("message", prefix, true),
        Field::Ts | Field::ReceivedAt | Field::Raw => none(),
        Field::Named(name) => {
            let mut parts = vec![json!({ "prefix": { folded_field(name): whole_value(&folded) } })];
            if let Some(has_name) = beyond_budget(name) {
                let pair = fold(&format!("{name}={prefix}"));
                parts.push(json!({ "bool": { "filter": [{ "prefix": { "x.fold": whole_value(&pair) } }, has_name] } }));
            }
            any_of(parts)
        }
    }
}

fn exists(field: &Field) -> Value {
    let has = |field: &str| json!({ "exists": { "field": field } });
    match field {
        Field::Id | Field::Source | Field::Kind | Field::Ts | Field::ReceivedAt => any(),
        Field::Level => has("level"),
        Field::Message => has("message"),
        Field::Raw => has("raw"),
        Field::Named(name) => {
            let mut parts =
                vec![has(&number_field(name)), has(&folded_field(name)), has(&boolean_field(name))];
            parts.extend(beyond_budget(name));
            any_of(parts)
        }
    }
}

fn number(name: &str, comparison: Comparison, value: f64) -> Value {
    // Points tell -0 from 0; comparisons must not.
    let (low, high) = if value == 0.0 { (-0.0, 0.0) } else { (value, value) };
    let bounds = match comparison {
        Comparison::Greater => json!({ "gt": high }),
        Comparison::AtLeast => json!({ "gte": low }),
        Comparison::Less => json!({ "lt": low }),
        Comparison::AtMost => json!({ "lte": high }),
        Comparison::Equal => json!({ "gte": low, "lte": high }),
    };
    json!({ "range": { number_field(name): bounds } })
}

fn levels(fits: impl Fn(Level) -> bool) -> Value {
    let names = Level::ALL.into_iter().filter(|level| fits(*level)).map(Level::name);
    json!({ "terms": { "level": names.collect::<Vec<_>>() } })
}

fn kinds(fits: impl Fn(&str) -> bool) -> Value {
    let all = [EventKind::Log, EventKind::Metric, EventKind::Event];
    let names = all.into_iter().map(EventKind::name).filter(|name| fits(name));
    json!({ "terms": { "kind": names.collect::<Vec<_>>() } })
}

fn time(field: &str, comparison: Comparison, at: Timestamp) -> Value {
    let next = at.plus_nanos(1);
    match comparison {
        Comparison::Greater => between(field, Some(next), None),
        Comparison::AtLeast => between(field, Some(at), None),
        Comparison::Less => between(field, None, Some(at)),
        Comparison::AtMost => between(field, None, Some(next)),
        Comparison::Equal => between(field, Some(at), Some(next)),
    }
}

/// From an instant on, and before another. OpenSearch knows nanoseconds from 1970 to 2262: bounds outside bind nothing,
/// or let nothing through.
pub(crate) fn between(field: &str, from: Option<Timestamp>, to: Option<Timestamp>) -> Value {
    let (epoch, end) = (Timestamp::from_nanos(0), Timestamp::from_nanos(i64::MAX));
    if to.is_some_and(|to| to <= epoch) {
        return none();
    }
    let mut bounds = serde_json::Map::new();
    if let Some(from) = from.filter(|from| *from > epoch) {
        bounds.insert("gte".to_owned(), from.to_string().into());
    }
    if let Some(to) = to.filter(|to| *to < end) {
        bounds.insert("lt".to_owned(), to.to_string().into());
    }
    if bounds.is_empty() { any() } else { json!({ "range": { field: bounds } }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::query::Query;

    fn check(text: &str, expect: Value) {
        assert_eq!(query(&Query::parse(text).unwrap().expr), expect, "{text}");
    }

    #[test]
    fn conditions() {
        check(
            "온도",
            json!({ "bool": {
                "should": [{ "term": { "message": "온도" } }, { "term": { "text": "온도" } }],
                "minimum_should_match": 1,
            } }),
        );
        check("message:BEAR*", json!({ "prefix": { "message": "bear" } }));
        check(
            "message:\"Bearing HOT\"",
            json!({ "match_phrase": { "message": { "query": "bearing hot" } } }),
        );
        check(
            "-level:error",
            json!({ "bool": { "filter": [], "must_not": [{ "terms": { "level": ["error"] } }] } }),
        );
        check("temperature>0", json!({ "range": { "n.temperature": { "gt": 0.0 } } }));
        check("temperature<0", json!({ "range": { "n.temperature": { "lt": -0.0 } } }));
        check("ts<1960-01-01T00:00:00Z", none());
        check("ts>=1960-01-01T00:00:00Z", any());
    }
}
