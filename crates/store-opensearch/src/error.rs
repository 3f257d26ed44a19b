//! What OpenSearch says when it does not do as it was asked.

use serde::Deserialize;
use std::time::Duration;
use store::index::IndexError;

/// When a question may be put again that OpenSearch was not there for.
const SOON: Duration = Duration::from_secs(2);

/// A request that came to nothing.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// The time was up, or the caller left.
    Ended,
    /// No node answered.
    Unreachable(String),
    /// Not asked at all: nodes have not answered for a while, and are tried again in this time.
    Resting(Duration),
    /// The answer would take more memory than was set aside.
    TooLong,
    /// It answered with an error.
    Refused(Refusal),
}

/// An error as OpenSearch writes it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Refusal {
    /// The status of HTTP, or of an item in a bulk.
    pub status: u16,
    /// Such as `mapper_parsing_exception`; all types that the answer names, outermost first.
    pub kinds: Vec<String>,
    /// For people.
    pub reason: String,
}

/// `error` in an answer: an object, or in a few places a bare text.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Told {
    Whole(Cause),
    Text(String),
}

/// One exception and what it came from.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Cause {
    #[serde(rename = "type", default)]
    pub kind: String,
    #[serde(default)]
    pub reason: Option<String>,
    #[serde(default)]
    pub root_cause: Vec<Cause>,
    #[serde(default)]
    pub caused_by: Option<Box<Cause>>,
}

impl Refusal {
    pub fn new(status: u16, told: &Told) -> Self {
        let mut refusal = Self { status, ..Self::default() };
        match told {
            Told::Text(text) => refusal.reason.clone_from(text),
            Told::Whole(cause) => refusal.add(cause),
        }
        refusal.reason.truncate(refusal.reason.floor_char_boundary(1_000));
        refusal
    }

    /// From the body of an answer.
    pub fn parse(status: u16, body: &[u8]) -> Self {
        #[derive(Deserialize)]
        struct Body {
            error: Told,
        }
        match serde_json::from_slice::<Body>(body) {
            Ok(Body { error }) => Self::new(status, &error),
            Err(_) => {
                let text = String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned();
                Self { status, kinds: Vec::new(), reason: text }
            }
        }
    }

    fn add(&mut self, cause: &Cause) {
        self.kinds.push(cause.kind.clone());
        if let Some(text) = cause.reason.as_deref().filter(|text| !self.reason.contains(text)) {
            if !self.reason.is_empty() {
                self.reason.push_str(": ");
            }
            self.reason.push_str(text);
        }
        cause.root_cause.iter().chain(cause.caused_by.as_deref()).for_each(|inner| {
            // Depth is OpenSearch's; a handful says it all.
            if self.kinds.len() < 16 {
                self.add(inner);
            }
        });
    }

    fn is(&self, kind: &str) -> bool {
        self.kinds.iter().any(|own| own == kind)
    }

    /// Where an operator has to do something: what, in one sentence. Nothing is wrong with the event or the question.
    pub fn remedy(&self) -> Option<String> {
        let reason = self.reason.as_str();
        if self.is("cluster_block_exception") {
            let full = reason.contains("flood-stage") || reason.contains("read-only-allow-delete");
            return Some(if full {
                "OpenSearch has made indexes read-only because a disk is fuller than its flood-stage watermark: make room or \
                 add storage; it lifts the block by itself"
                    .to_owned()
            } else {
                format!("OpenSearch blocks the index: {reason}")
            });
        }
        if reason.contains("maximum normal shards open") || reason.contains("maximum shards open") {
            return Some(format!(
                "OpenSearch has as many shards as it may have, so no new index can be made: add a data node, shorten \
                 retention, or raise cluster.max_shards_per_node ({reason})"
            ));
        }
        if self.is("index_not_found_exception") {
            return Some(
                "OpenSearch did not make the index of an event: allow action.auto_create_index for qgx-events-*".to_owned(),
            );
        }
        match self.status {
            401 => Some("OpenSearch refuses the user or password in QGX_SEARCH_URL".to_owned()),
            403 => Some(format!("the user in QGX_SEARCH_URL lacks a right on OpenSearch: {reason}")),
            413 => Some("OpenSearch takes no request so large: raise its http.max_content_length".to_owned()),
            _ => None,
        }
    }

    /// Whether the same request may succeed later by itself.
    pub fn passes(&self) -> bool {
        self.status == 429 || self.status >= 500
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.remedy() {
            Some(remedy) => f.write_str(&remedy),
            None => write!(f, "OpenSearch answered {}: {}", self.status, self.reason),
        }
    }
}

impl From<Fault> for IndexError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Ended => Self::Deadline,
            Fault::Unreachable(why) => Self::Away {
                reason: format!("no node of OpenSearch could be reached: {why}"),
                retry_after: SOON,
            },
            Fault::Resting(left) => Self::Away {
                reason: format!(
                    "no node of OpenSearch could be reached for a while; the next try is in {:.1} s",
                    left.as_secs_f64()
                ),
                retry_after: left.max(SOON),
            },
            Fault::TooLong => Self::TooLarge("the answer is larger than a page may be".to_owned()),
            Fault::Refused(refusal) => {
                let too_large = ["too_many_buckets_exception", "too_many_clauses", "too_many_nested_clauses"];
                if refusal.is("task_cancelled_exception") || refusal.is("search_timeout_exception") {
                    Self::Deadline
                } else if too_large.iter().any(|kind| refusal.is(kind))
                    || refusal.is("circuit_breaking_exception")
                {
                    Self::TooLarge(refusal.reason)
                } else if refusal.passes() && refusal.remedy().is_none() {
                    // Such as an index whose shards are just being made.
                    Self::Away { reason: refusal.to_string(), retry_after: SOON }
                } else {
                    Self::Failed(refusal.to_string())
                }
            }
        }
    }
}

/// An answer that could not be read.
pub(crate) fn unreadable(error: impl std::fmt::Display) -> IndexError {
    IndexError::Failed(format!("the answer of OpenSearch could not be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, body: &str, expect: &str) {
        let error = IndexError::from(Fault::Refused(Refusal::parse(status, body.as_bytes())));
        assert!(error.to_string().contains(expect), "{error} has no {expect:?}");
    }

    #[test]
    fn answers_in_one_clear_line() {
        check(
            429,
            r#"{"error":{"root_cause":[],"type":"cluster_block_exception","reason":"index [a] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark, index has read-only-allow-delete block];"},"status":429}"#,
            "flood-stage watermark: make room",
        );
        check(
            400,
            r#"{"error":{"type":"validation_exception","reason":"Validation Failed: 1: this action would add [2] total shards, but this cluster currently has [1000]/[1000] maximum shards open;"}}"#,
            "add a data node",
        );
        check(401, "Unauthorized", "user or password");
        check(500, "not JSON", "answered 500: not JSON");
        check(
            503,
            r#"{"error":{"root_cause":[{"type":"too_many_buckets_exception","reason":"Trying to create too many buckets"}],"type":"search_phase_execution_exception","reason":"all shards failed"}}"#,
            "too large: all shards failed: Trying",
        );
        check(
            400,
            r#"{"error":{"type":"search_phase_execution_exception","reason":"all shards failed","caused_by":{"type":"task_cancelled_exception","reason":"cancelled task"}}}"#,
            "stopped at its deadline",
        );
    }
}
