//! The most frequent values of fields, and the fields there are.

use crate::client::Request;
use crate::error::unreadable;
use crate::index::Cluster;
use crate::scope::{Answer, Scope};
use crate::template::{boolean_field, number_field, string_field};
use domain::api::{Facet, FacetValue, FieldInfo};
use domain::query::Field;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use store::index::{IndexError, ReadLimit};

/// So many values are asked for at first: with no more, everything is exact.
const FEW_VALUES: u32 = 1_000;
/// So many where there are more. Beyond, how many differ is estimated.
const MANY_VALUES: u32 = 10_000;
/// Names asked about in one request.
const NAMES_A_REQUEST: usize = 300;
/// Fields that an answer lists at most.
const MOST_FIELDS: usize = 500;

/// The values of one field in one type.
#[derive(Debug, Deserialize)]
struct Terms {
    sum_other_doc_count: u64,
    buckets: Vec<Bucket>,
}

#[derive(Debug, Deserialize)]
struct Bucket {
    key: Value,
    #[serde(default)]
    key_as_string: Option<String>,
    doc_count: u64,
}

impl Bucket {
    /// As text, in the product's own writing.
    fn value(&self) -> String {
        match (&self.key_as_string, &self.key) {
            (Some(text), _) => text.clone(),
            (None, Value::String(text)) => text.clone(),
            (None, Value::Number(number)) => (number.as_f64().unwrap_or_default() + 0.0).to_string(),
            (None, other) => other.to_string(),
        }
    }
}

/// Where a facet's values lie.
fn columns(field: &str) -> Vec<String> {
    match Field::parse(field) {
        Field::Level => vec!["level".to_owned()],
        Field::Kind => vec!["kind".to_owned()],
        Field::Source => vec!["source".to_owned()],
        Field::Named(name) => vec![string_field(&name), number_field(&name), boolean_field(&name)],
        _ => Vec::new(),
    }
}

impl Cluster {
    /// The `size` most frequent values of each field.
    pub async fn facets(
        &self,
        scope: &Scope<'_>,
        fields: &[String],
        size: u32,
        limit: &ReadLimit,
    ) -> Result<Vec<Facet>, IndexError> {
        let mut facets = Vec::with_capacity(fields.len());
        // OpenSearch bounds the buckets of an answer to 65,535.
        for some in fields.chunks(16) {
            let columns = some.iter().map(|field| columns(field)).collect::<Vec<_>>();
            let mut terms = self.terms(scope, &columns.concat(), size.max(FEW_VALUES), limit).await?;
            for (field, columns) in some.iter().zip(&columns) {
                let whole =
                    columns.iter().all(|column| terms.get(column).is_none_or(|t| t.sum_other_doc_count == 0));
                if !whole {
                    terms.extend(self.terms(scope, columns, size.max(MANY_VALUES), limit).await?);
                }
                let mut distinct = 0;
                let mut counts = BTreeMap::<String, u64>::new();
                for column in columns {
                    let Some(found) = terms.get(column) else { continue };
                    if found.sum_other_doc_count > 0 {
                        // What is not among the most frequent is no more than counted.
                        let all = self.distinct(scope, column, limit).await?;
                        distinct += all.saturating_sub(found.buckets.len() as u64);
                    }
                    for bucket in &found.buckets {
                        *counts.entry(bucket.value()).or_default() += bucket.doc_count;
                    }
                }
                distinct += counts.len() as u64;
                let mut values =
                    counts.into_iter().map(|(value, count)| FacetValue { value, count }).collect::<Vec<_>>();
                // Stable: equally frequent values stay in the order of their bytes.
                values.sort_by_key(|value| Reverse(value.count));
                values.truncate(size as usize);
                facets.push(Facet { field: field.clone(), distinct, values });
            }
        }
        Ok(facets)
    }

    async fn terms(
        &self,
        scope: &Scope<'_>,
        columns: &[String],
        size: u32,
        limit: &ReadLimit,
    ) -> Result<HashMap<String, Terms>, IndexError> {
        if columns.is_empty() {
            return Ok(HashMap::new());
        }
        let ask = |field: &String| {
            let terms = json!({ "field": field, "size": size, "shard_size": size.saturating_mul(2) });
            (field.clone(), json!({ "terms": terms }))
        };
        // Names may have any characters; those of aggregations may not.
        let aggs = columns.iter().enumerate().map(|(i, column)| (format!("c{i}"), ask(column).1));
        let body = json!({ "track_total_hits": false, "aggs": aggs.collect::<Map<_, _>>() });
        let body = self.ask_sums("facets", scope, body, limit).await?;
        let mut answer = Answer::parse(&body)?;
        let mut found = HashMap::with_capacity(columns.len());
        for (i, column) in columns.iter().enumerate() {
            if let Some(terms) = answer.aggregations.remove(&format!("c{i}")) {
                found.insert(column.clone(), serde_json::from_value(terms).map_err(unreadable)?);
            }
        }
        Ok(found)
    }

    /// How many values a column has, nearly.
    async fn distinct(&self, scope: &Scope<'_>, column: &str, limit: &ReadLimit) -> Result<u64, IndexError> {
        let count = json!({ "cardinality": { "field": column, "precision_threshold": 40_000 } });
        let body = json!({ "track_total_hits": false, "aggs": { "d": count } });
        let body = self.ask_sums("facets", scope, body, limit).await?;
        Ok(Answer::parse(&body)?.aggregations.get("d").and_then(|d| d["value"].as_u64()).unwrap_or(0))
    }

    /// The fields that occur, most frequent first.
    pub async fn fields(&self, scope: &Scope<'_>, limit: &ReadLimit) -> Result<Vec<FieldInfo>, IndexError> {
        let probe = self.ask_sums("fields", scope, json!({ "terminate_after": 1 }), limit).await?;
        if Answer::parse(&probe)?.total() == 0 {
            return Ok(Vec::new());
        }
        let columns = self.columns(scope, limit).await?;
        let mut fields = BTreeMap::<String, (u64, FieldInfo)>::new();
        for chunk in columns.chunks(NAMES_A_REQUEST) {
            for (column, count) in self.present(scope, chunk, limit).await? {
                let Some((kind, name)) = column.split_once('.') else { continue };
                let name = name.replace('/', ".");
                let new = FieldInfo { name: name.clone(), numeric: false, text: false, boolean: false };
                let (most, info) = fields.entry(name).or_insert((0, new));
                *most += count;
                match kind {
                    "n" => info.numeric = true,
                    "s" => info.text = true,
                    _ => info.boolean = true,
                }
            }
        }
        let mut fields = fields.into_values().collect::<Vec<_>>();
        fields.sort_by_key(|(count, _)| Reverse(*count));
        fields.truncate(MOST_FIELDS);
        Ok(fields.into_iter().map(|(_, info)| info).collect())
    }

    /// The columns of named fields that any index of the window has.
    async fn columns(&self, scope: &Scope<'_>, limit: &ReadLimit) -> Result<Vec<String>, IndexError> {
        #[derive(Deserialize)]
        struct Caps {
            #[serde(default)]
            fields: BTreeMap<String, Value>,
        }
        let path = format!("{}/_field_caps", self.all_indexes());
        let query = [("fields", "n.*,s.*,b.*"), ("ignore_unavailable", "true"), ("allow_no_indices", "true")];
        let request = Request::post(&path, &query, &json!({ "index_filter": scope.filter() }));
        let answer = self.client.read(request, limit, crate::client::LONGEST_ANSWER).await?;
        let caps = serde_json::from_slice::<Caps>(&answer).map_err(unreadable)?;
        // `s.name.fold` belongs to `s.name`; names themselves have no dots.
        let own = |column: &String| {
            column
                .split_once('.')
                .is_some_and(|(kind, name)| matches!(kind, "n" | "s" | "b") && !name.contains('.'))
        };
        Ok(caps.fields.into_keys().filter(own).collect())
    }

    /// How many events have each column; those with none are left out.
    async fn present(
        &self,
        scope: &Scope<'_>,
        columns: &[String],
        limit: &ReadLimit,
    ) -> Result<Vec<(String, u64)>, IndexError> {
        let has = |column: &String| {
            // A string too long for its column is in its terms.
            let field = if column.starts_with("s.") { format!("{column}.fold") } else { column.clone() };
            json!({ "filter": { "exists": { "field": field } } })
        };
        let aggs = columns.iter().enumerate().map(|(i, column)| (format!("c{i}"), has(column)));
        let body = json!({ "track_total_hits": false, "aggs": aggs.collect::<Map<_, _>>() });
        let body = self.ask_sums("fields", scope, body, limit).await?;
        let answer = Answer::parse(&body)?;
        let count =
            |i: usize| answer.aggregations.get(&format!("c{i}")).and_then(|c| c["doc_count"].as_u64());
        let counted = columns.iter().enumerate().map(|(i, column)| (column.clone(), count(i).unwrap_or(0)));
        Ok(counted.filter(|(_, count)| *count > 0).collect())
    }
}
