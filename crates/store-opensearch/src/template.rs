//! How an event lies in OpenSearch: one index template for every index of events.
//!
//! Events are indexed as ingestion wrote them, byte for byte; the mapping does the rest.
//!
//! | field | kept as | for |
//! |---|---|---|
//! | `tenant` | keyword, and the routing | every read |
//! | `ts`, `received_at` | date_nanos | order, windows |
//! | `id` | column | order; one event is asked for by `_id` |
//! | `source`, `source.fold` | keyword; folded, as one term | facets, series; `source:` |
//! | `level`, `kind` | keyword | counts, `level>=`, `kind:` |
//! | `message` | text | free text, `message:` |
//! | `text` | text; every string of `s` is copied here | free text |
//! | `n.*` | double | comparisons, charts |
//! | `s.*`, `s.*.fold` | column; folded, as one term | facets; `field:value`, `field:pre*`, `field:*` |
//! | `b.*` | boolean | `field:true`, facets |
//! | `x`, `x.fold` | one term; folded | names beyond the budget |
//! | `raw` | its first character: that it is there | `raw:*` |
//! | `doc` | nothing | the original of an event that was degraded, see [`crate::degrade`] |
//!
//! Free text is asked of `message` and of `text`: a phrase never spans two values, so the answer is that of one field,
//! and messages, the bulk of all text, are not indexed twice.

use crate::analysis;
use crate::options::OpenSearchOptions;
use serde_json::{Value, json};
use store::index::IndexName;

/// Rises with every change of what stands here; new indexes are made by the newest.
pub(crate) const VERSION: u64 = 1;

/// Strings of more UTF-16 units are not counted by value in facets.
const LONGEST_COLUMN: usize = analysis::WHOLE_VALUE;

/// Names of fields in an index at most. Ingestion keeps the names of a group's tenants below 5,000; a string takes two.
const MOST_FIELDS: u32 = 20_000;

/// The template's name.
pub(crate) fn name(options: &OpenSearchOptions) -> String {
    format!("{}qgx-events", options.prefix)
}

/// The template.
pub(crate) fn template(options: &OpenSearchOptions) -> Value {
    json!({
        "index_patterns": [format!("{}{}*", options.prefix, IndexName::PREFIX)],
        "priority": 500,
        "version": VERSION,
        "_meta": { "qgx_version": VERSION },
        "template": { "settings": settings(options), "mappings": mappings() },
    })
}

fn settings(options: &OpenSearchOptions) -> Value {
    json!({
        "number_of_shards": options.shards,
        "number_of_replicas": options.replicas,
        "refresh_interval": format!("{}ms", options.refresh_millis),
        "analysis": analysis::settings(),
        "mapping": { "total_fields": { "limit": MOST_FIELDS } },
        "query": { "default_field": ["message"] },
    })
}

fn mappings() -> Value {
    // One term a value, and `exists`; no keyword, because one that is too long would leave no trace.
    let whole = |analyzer: &str| json!({ "type": "text", "analyzer": analyzer, "norms": false, "index_options": "docs" });
    let folded = json!({ "fold": whole("qgx_exact") });
    let text = json!({
        "type": "text",
        "analyzer": "qgx",
        "search_analyzer": "qgx_phrase",
        "norms": false,
        "position_increment_gap": 100,
    });
    let strings = json!({
        "type": "keyword",
        "index": false,
        "ignore_above": LONGEST_COLUMN,
        "copy_to": "text",
        "fields": folded,
    });
    json!({
        "_routing": { "required": true },
        "date_detection": false,
        "numeric_detection": false,
        // Nothing else is expected; should it come, it is kept and not indexed.
        "dynamic": false,
        "dynamic_templates": [
            { "numbers": { "path_match": "n.*", "mapping": { "type": "double" } } },
            { "strings": { "path_match": "s.*", "mapping": strings } },
            { "booleans": { "path_match": "b.*", "mapping": { "type": "boolean" } } },
        ],
        "properties": {
            "id": { "type": "keyword", "index": false },
            "tenant": { "type": "keyword", "doc_values": false },
            "source": { "type": "keyword", "fields": folded },
            "ts": { "type": "date_nanos" },
            "received_at": { "type": "date_nanos" },
            "kind": { "type": "keyword" },
            "level": { "type": "keyword" },
            "message": text,
            "text": text,
            "n": { "type": "object", "dynamic": true },
            "s": { "type": "object", "dynamic": true },
            "b": { "type": "object", "dynamic": true },
            "x": {
                "type": "text",
                "analyzer": "qgx_pair",
                "norms": false,
                "index_options": "docs",
                "fields": folded,
            },
            "raw": whole("qgx_there"),
            "doc": { "type": "object", "enabled": false },
        },
    })
}

/// The fields of strings, numbers and booleans of a name.
pub(crate) fn string_field(name: &str) -> String {
    format!("s.{name}")
}

/// The folded form of a string.
pub(crate) fn folded_field(name: &str) -> String {
    format!("s.{name}.fold")
}

/// The numbers of a name.
pub(crate) fn number_field(name: &str) -> String {
    format!("n.{name}")
}

/// The booleans of a name.
pub(crate) fn boolean_field(name: &str) -> String {
    format!("b.{name}")
}
