//! One bulk request: its lines, and what became of each item.

use crate::error::{Refusal, Told, unreadable};
use bytes::{Bytes, BytesMut};
use serde::Deserialize;
use store::index::IndexError;

/// What a bulk says of one of its items.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Indexed now.
    Created,
    /// It was there: a re-read.
    Exists,
    /// To be tried again.
    Later(Refusal),
    /// Nothing of this batch can go on before somebody acts: why.
    Stopped(String),
    /// It cannot be indexed as it is.
    Unfit(Refusal),
}

/// Appends an item: create the event under its id, routed by its tenant.
pub(crate) fn push(body: &mut BytesMut, index: &str, id: &str, tenant: &str, json: &[u8]) {
    // None of the three has a character that JSON escapes.
    let parts: [&[u8]; 7] = [
        b"{\"create\":{\"_index\":\"",
        index.as_bytes(),
        b"\",\"_id\":\"",
        id.as_bytes(),
        b"\",\"routing\":\"",
        tenant.as_bytes(),
        b"\"}}\n",
    ];
    parts.iter().for_each(|part| body.extend_from_slice(part));
    push_line(body, json);
}

/// Appends JSON as one line. Line breaks within are white space between its parts: in strings they are escaped.
fn push_line(body: &mut BytesMut, json: &[u8]) {
    let start = body.len();
    body.extend_from_slice(json);
    if memchr::memchr2(b'\n', b'\r', json).is_some() {
        body[start..].iter_mut().filter(|byte| matches!(**byte, b'\n' | b'\r')).for_each(|byte| *byte = b' ');
    }
    body.extend_from_slice(b"\n");
}

/// Reads the answer: an outcome an item, in their order.
pub(crate) fn outcomes(answer: &Bytes) -> Result<Vec<Outcome>, IndexError> {
    #[derive(Deserialize)]
    struct Answer {
        items: Vec<Item>,
    }
    #[derive(Deserialize)]
    struct Item {
        create: Create,
    }
    #[derive(Deserialize)]
    struct Create {
        status: u16,
        #[serde(default)]
        error: Option<Told>,
    }
    let answer = serde_json::from_slice::<Answer>(answer).map_err(unreadable)?;
    let outcome = |Item { create: Create { status, error } }| match status {
        200..=299 => Outcome::Created,
        409 => Outcome::Exists,
        status => {
            let refusal =
                error.map_or_else(|| Refusal { status, ..Refusal::default() }, |e| Refusal::new(status, &e));
            match refusal.remedy() {
                Some(remedy) => Outcome::Stopped(remedy),
                None if refusal.passes() => Outcome::Later(refusal),
                None => Outcome::Unfit(refusal),
            }
        }
    };
    Ok(answer.items.into_iter().map(outcome).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_two_lines() {
        let mut body = BytesMut::new();
        push(&mut body, "qgx-events-30d-g1-2026.11.22", "0190", "t_a", b"{\"a\":\n1}");
        let expect = "{\"create\":{\"_index\":\"qgx-events-30d-g1-2026.11.22\",\"_id\":\"0190\",\"routing\":\"t_a\"}}\n{\"a\": 1}\n";
        assert_eq!(body, expect);
    }

    #[test]
    fn each_item_is_judged_by_itself() {
        let check = |create: &str, expect: &str| {
            let answer = format!("{{\"errors\":true,\"items\":[{{\"create\":{create}}}]}}");
            let outcome = outcomes(&answer.into()).unwrap().remove(0);
            let seen = format!("{outcome:?}");
            assert!(seen.starts_with(expect), "{create}: {seen}");
        };
        check(r#"{"status":201}"#, "Created");
        check(
            r#"{"status":409,"error":{"type":"version_conflict_engine_exception","reason":"exists"}}"#,
            "Exists",
        );
        check(
            r#"{"status":429,"error":{"type":"rejected_execution_exception","reason":"queue full"}}"#,
            "Later",
        );
        check(
            r#"{"status":503,"error":{"type":"unavailable_shards_exception","reason":"primary"}}"#,
            "Later",
        );
        check(
            r#"{"status":429,"error":{"type":"cluster_block_exception","reason":"index has read-only-allow-delete block"}}"#,
            "Stopped(\"OpenSearch has made indexes read-only",
        );
        check(
            r#"{"status":400,"error":{"type":"illegal_argument_exception","reason":"this cluster currently has [9]/[9] maximum shards open"}}"#,
            "Stopped(\"OpenSearch has as many shards",
        );
        check(
            r#"{"status":400,"error":{"type":"mapper_parsing_exception","reason":"failed to parse"}}"#,
            "Unfit",
        );
    }
}
