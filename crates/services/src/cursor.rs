//! Where a list goes on: opaque to callers, refused with another question than its own.

use crate::ServiceError;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::{EventId, Lang, TimeRange, Timestamp};
use sha2::{Digest, Sha256};
use store::index::SortKey;

/// What a question is, so that another one's cursor is recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprint([u8; 8]);

impl Fingerprint {
    /// Of the parts of a question.
    pub(crate) fn of(parts: &[&str]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        let digest: [u8; 32] = hash.finalize().into();
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&digest[..8]);
        Self(bytes)
    }
}

/// A page of a search: after which event, in which window. The window is the first page's: with `from=now-15m` it
/// would otherwise move between pages, and the total with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SearchCursor {
    /// The last event of the page before.
    pub(crate) after: SortKey,
    /// The window of the first page.
    pub(crate) range: TimeRange,
}

const SEARCH: u8 = 1;
const SKIP: u8 = 2;
const PLACE: u8 = 3;

impl SearchCursor {
    /// As text.
    pub(crate) fn write(&self, question: Fingerprint) -> String {
        let mut bytes = vec![SEARCH];
        bytes.extend(question.0);
        for at in [self.after.ts, self.after.received_at, self.range.from, self.range.to] {
            bytes.extend(at.as_nanos().to_be_bytes());
        }
        bytes.extend(self.after.id.0.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// From text.
    pub(crate) fn read(text: &str, question: Fingerprint, lang: Lang) -> Result<Self, ServiceError> {
        let body = body_of(text, SEARCH, question).and_then(|body| <[u8; 48]>::try_from(body).ok());
        let body = body.ok_or_else(|| refused(lang))?;
        let at = |index: usize| {
            let mut nanos = [0; 8];
            nanos.copy_from_slice(&body[index * 8..index * 8 + 8]);
            Timestamp::from_nanos(i64::from_be_bytes(nanos))
        };
        let mut id = [0; 16];
        id.copy_from_slice(&body[32..]);
        Ok(Self {
            after: SortKey { ts: at(0), received_at: at(1), id: EventId(uuid::Uuid::from_bytes(id)) },
            range: TimeRange { from: at(2), to: at(3) },
        })
    }
}

/// A cursor of a list that is counted through.
pub(crate) fn write_skip(skip: u64, question: Fingerprint) -> String {
    let mut bytes = vec![SKIP];
    bytes.extend(question.0);
    bytes.extend(skip.to_be_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// How many to skip.
pub(crate) fn read_skip(text: &str, question: Fingerprint, lang: Lang) -> Result<u64, ServiceError> {
    body_of(text, SKIP, question)
        .and_then(|body| <[u8; 8]>::try_from(body).ok())
        .map(u64::from_be_bytes)
        .ok_or_else(|| refused(lang))
}

/// A cursor of a list by time, after an item of it.
pub(crate) fn write_place(at: Timestamp, id: EventId, question: Fingerprint) -> String {
    let mut bytes = vec![PLACE];
    bytes.extend(question.0);
    bytes.extend(at.as_nanos().to_be_bytes());
    bytes.extend(id.0.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// After which item.
pub(crate) fn read_place(
    text: &str,
    question: Fingerprint,
    lang: Lang,
) -> Result<(Timestamp, EventId), ServiceError> {
    let body = body_of(text, PLACE, question).and_then(|body| <[u8; 24]>::try_from(body).ok());
    let body = body.ok_or_else(|| refused(lang))?;
    let (mut nanos, mut id) = ([0; 8], [0; 16]);
    nanos.copy_from_slice(&body[..8]);
    id.copy_from_slice(&body[8..]);
    Ok((Timestamp::from_nanos(i64::from_be_bytes(nanos)), EventId(uuid::Uuid::from_bytes(id))))
}

fn body_of(text: &str, kind: u8, question: Fingerprint) -> Option<Vec<u8>> {
    let mut bytes = URL_SAFE_NO_PAD.decode(text).ok().filter(|bytes| bytes.len() >= 9)?;
    let body = bytes.split_off(9);
    (bytes[0] == kind && bytes[1..] == question.0).then_some(body)
}

fn refused(lang: Lang) -> ServiceError {
    ServiceError::invalid(
        "cursor",
        lang.pick(
            "이 커서는 다른 검색의 것입니다. 첫 페이지부터 다시 시작하세요.",
            "This cursor belongs to another question. Start from the first page.",
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back_only_with_its_own_question() {
        let question = Fingerprint::of(&["t_1", "error", "desc"]);
        let cursor = SearchCursor {
            after: SortKey {
                ts: Timestamp::from_nanos(-5),
                received_at: Timestamp::from_nanos(i64::MAX),
                id: EventId(uuid::Uuid::from_u128(7)),
            },
            range: TimeRange::ALL,
        };
        let text = cursor.write(question);
        let check = |text: &str, question, expect: Option<SearchCursor>| {
            assert_eq!(SearchCursor::read(text, question, Lang::En).ok(), expect);
        };
        check(&text, question, Some(cursor));
        check(&text, Fingerprint::of(&["t_1", "error", "asc"]), None);
        check(&text, Fingerprint::of(&["t_1e", "rror", "desc"]), None);
        check(&text[1..], question, None);
        check("", question, None);
        check("한글", question, None);
        check(&write_skip(50, question), question, None);
        assert_eq!(read_skip(&write_skip(50, question), question, Lang::Ko).ok(), Some(50));
        assert!(read_skip(&text, question, Lang::Ko).is_err());
    }
}
