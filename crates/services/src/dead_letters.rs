//! Dead letters: what could not be stored as an event, to be looked at and mended. What is done with them is in
//! `dead_letter_actions`.

use crate::check::Check;
use crate::cursor::{Fingerprint, read_place, write_place};
use crate::reads::in_time;
use crate::replayer::{NoEvent, Replay, Replayer};
use crate::tokens::maker;
use crate::{Ctx, IngestTenant, ServiceError, Services};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::api::{
    DeadLetter, DeadLetterDetail, LetterBytes, LetterCodeCount, LetterEdit, LetterPreview, LetterQuery,
    LetterState, NotReplayable, Page,
};
use domain::{EventId, Lang, Permission, TenantId, Timestamp};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::sync::Arc;
use store::sql::{Letter, LetterFilter, LetterRow};

/// The most bytes that somebody may make of a letter.
pub const EDIT_BYTES: usize = 1 << 20;
/// Bytes that a hex dump shows.
const DUMPED: usize = 256;

impl Services {
    /// What makes events of dead letters; the process brings it. The last one stands.
    pub fn set_replayer(&self, replayer: Arc<dyn Replayer>) {
        *self.inner.replayer.write() = Some(replayer);
    }

    pub(crate) fn replayer(&self) -> Result<Arc<dyn Replayer>, ServiceError> {
        let replayer = self.inner.replayer.read().clone();
        replayer.ok_or_else(|| ServiceError::internal("dead letters", "nothing here makes events"))
    }

    /// A page of the tenant's dead letters, the latest first. Needs [`Permission::ReadEvents`].
    ///
    /// # Errors
    /// `Invalid` for a limit outside 1–200, a text that is too long or another list's cursor.
    pub async fn dead_letters(
        &self,
        ctx: &Ctx,
        query: LetterQuery,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<DeadLetter>, ServiceError> {
        let tenant = ctx.require(Permission::ReadEvents)?;
        let mut check = Check::new(ctx.lang);
        check.number("limit", limit.into(), 1..=200);
        let (question, mut filter) = question(tenant, &query, &mut check);
        check.done()?;
        filter.limit = limit;
        if let Some(cursor) = cursor {
            filter.after = Some(read_place(cursor, question, ctx.lang)?);
        }
        in_time(ctx, async {
            let (rows, total) = self.sql().letters(tenant, &filter).await?;
            let next_cursor = next_cursor(&rows, limit, question);
            Ok(Page { items: self.shown(rows).await?, next_cursor, total })
        })
        .await
    }

    /// How many dead letters there are, by code and by what became of them. Needs [`Permission::ReadEvents`].
    ///
    /// # Errors
    /// As [`Ctx::require`].
    pub async fn dead_letter_codes(&self, ctx: &Ctx) -> Result<Vec<LetterCodeCount>, ServiceError> {
        let tenant = ctx.require(Permission::ReadEvents)?;
        in_time(ctx, async {
            let mut codes = BTreeMap::<String, LetterCodeCount>::new();
            for count in self.sql().letter_counts(tenant).await? {
                let code = count.code.clone();
                let of_code = codes
                    .entry(count.code)
                    .or_insert_with(|| LetterCodeCount { code, ..LetterCodeCount::default() });
                of_code.bytes += count.bytes;
                *match count.state {
                    LetterState::Open => &mut of_code.open,
                    LetterState::Replaying => &mut of_code.replaying,
                    LetterState::Replayed => &mut of_code.replayed,
                    LetterState::Discarded => &mut of_code.discarded,
                } += count.letters;
            }
            Ok(codes.into_values().collect())
        })
        .await
    }

    /// A dead letter with its bytes, and what a replay would make of it. Needs [`Permission::ReadEvents`].
    ///
    /// # Errors
    /// `NotFound("dead_letter")`.
    pub async fn dead_letter(&self, ctx: &Ctx, id: EventId) -> Result<DeadLetterDetail, ServiceError> {
        let tenant = ctx.require(Permission::ReadEvents)?;
        in_time(ctx, async {
            let letter = self.letter_of(tenant, id).await?;
            self.detail(ctx, tenant, letter).await
        })
        .await
    }

    /// Makes something else of an open letter's bytes; the original is kept beside. What a tenant's rules hide is hidden
    /// here as well. Needs [`Permission::ResolveDeadLetters`].
    ///
    /// # Errors
    /// `NotFound("dead_letter")`; `Unfit` where it is not open, is cut, or was changed meanwhile; `Invalid("text")` or
    /// `Invalid("base64")` for bytes that would be no event.
    pub async fn edit_dead_letter(
        &self,
        ctx: &Ctx,
        id: EventId,
        edit: LetterEdit,
    ) -> Result<DeadLetterDetail, ServiceError> {
        let tenant = ctx.require(Permission::ResolveDeadLetters)?;
        let mut letter = self.letter_of(tenant, id).await?;
        if letter.row.state != LetterState::Open {
            return Err(unfit_state(letter.row.state, ctx.lang));
        }
        let field = if edit.base64.is_some() { "base64" } else { "text" };
        let only_preview = edit.preview;
        let wanted = wanted_bytes(ctx.lang, edit)?;
        if wanted.is_some() && letter.row.is_cut() {
            return Err(unfit(NotReplayable::Cut, ctx.lang));
        }
        let home = self.letter_home(tenant).await?;
        let replayer = self.replayer()?;
        let kept = wanted.map(|bytes| replayer.hide(&home, &bytes));
        if let Some(bytes) = &kept {
            let replay = Replay { row: &letter.row, original: &letter.original, bytes };
            if !only_preview && let Err(refused) = replayer.preview(&home, replay) {
                return Err(ServiceError::invalid(field, refused.message(ctx.lang)));
            }
        }
        if only_preview {
            letter.row.edited = kept.as_ref().map(|_| (maker(&ctx.actor), Timestamp::now()));
            letter.edited = kept;
            return self.detail(ctx, tenant, letter).await;
        }
        let by = (maker(&ctx.actor), Timestamp::now());
        if !self.sql().edit_letter(tenant, id, letter.row.revision, kept.as_deref(), &by).await? {
            return Err(changed_meanwhile(ctx.lang));
        }
        let letter = self.letter_of(tenant, id).await?;
        self.detail(ctx, tenant, letter).await
    }

    pub(crate) async fn letter_of(&self, tenant: &TenantId, id: EventId) -> Result<Letter, ServiceError> {
        let mut found = self.sql().letters_by_id(tenant, &[id]).await?;
        found.pop().ok_or(ServiceError::NotFound { what: "dead_letter" })
    }

    /// The tenant as ingestion knows it.
    pub(crate) async fn letter_home(&self, tenant: &TenantId) -> Result<Arc<IngestTenant>, ServiceError> {
        let known = self.ingest_tenant(tenant).await?.filter(|known| !known.suspended);
        Ok(known.ok_or(ServiceError::NotFound { what: "tenant" })?.tenant)
    }

    async fn detail(
        &self,
        ctx: &Ctx,
        tenant: &TenantId,
        letter: Letter,
    ) -> Result<DeadLetterDetail, ServiceError> {
        let home = self.letter_home(tenant).await?;
        let preview = match not_replayable(&letter.row) {
            Some(why) => no_preview(&why_not(why), ctx.lang),
            None => {
                let replay = Replay { row: &letter.row, original: &letter.original, bytes: letter.bytes() };
                match self.replayer()?.preview(&home, replay) {
                    Ok(event) => LetterPreview { event: Some(event), code: None, message: None },
                    Err(refused) => no_preview(&refused, ctx.lang),
                }
            }
        };
        let Letter { row, original, edited } = letter;
        let sha256 = row.sha256.clone();
        Ok(DeadLetterDetail {
            letter: self.shown_one(row).await?,
            sha256,
            original: letter_bytes(original),
            edited: edited.map(letter_bytes),
            preview,
        })
    }

    pub(crate) async fn shown_one(&self, row: LetterRow) -> Result<DeadLetter, ServiceError> {
        let mut shown = self.shown(vec![row]).await?;
        shown.pop().ok_or(ServiceError::NotFound { what: "dead_letter" })
    }

    async fn shown(&self, rows: Vec<LetterRow>) -> Result<Vec<DeadLetter>, ServiceError> {
        let emails = self.emails_of(&people(&rows)).await?;
        Ok(rows.into_iter().map(|row| shown(row, &emails)).collect())
    }
}

/// Who had to do with letters.
fn people(rows: &[LetterRow]) -> Vec<&str> {
    let people = rows.iter().flat_map(|row| row.edited.iter().chain(&row.resolved));
    people.map(|(who, _)| who.as_str()).collect()
}

fn shown(row: LetterRow, emails: &HashMap<String, String>) -> DeadLetter {
    let not_replayable = not_replayable(&row);
    let named = |who: String| emails.get(&who).cloned().unwrap_or(who);
    let (edited_by, edited_at) = row.edited.unzip();
    let (resolved_by, resolved_at) = row.resolved.unzip();
    DeadLetter {
        id: row.id,
        source: row.source,
        protocol: row.protocol,
        peer: row.peer,
        code: row.code,
        reason: row.reason,
        at: row.at,
        length: row.length,
        form: row.form,
        state: row.state,
        not_replayable,
        edited_by: edited_by.map(named),
        edited_at,
        resolved_by: resolved_by.map(named),
        resolved_at,
        event_id: row.event_id,
    }
}

/// Why a letter cannot be replayed as it is.
pub(crate) fn not_replayable(row: &LetterRow) -> Option<NotReplayable> {
    if row.is_cut() {
        Some(NotReplayable::Cut)
    } else {
        (row.blanked && row.edited.is_none()).then_some(NotReplayable::Blanked)
    }
}

/// The same for people.
pub(crate) fn why_not(why: NotReplayable) -> NoEvent {
    let (code, ko, en) = match why {
        NotReplayable::Cut => (
            "cut",
            "앞부분만 보관되어 있어 다시 보낼 수 없습니다.",
            "Only its beginning is kept, so that it cannot be replayed.",
        ),
        NotReplayable::Blanked => (
            "blanked",
            "저장하면 안 되는 값이 지워져 있습니다. 내용을 고친 뒤 다시 보내세요.",
            "Something that must not be stored was overwritten in it. Edit it first.",
        ),
    };
    NoEvent { code: code.to_owned(), ko: ko.to_owned(), en: en.to_owned() }
}

pub(crate) fn unfit(why: NotReplayable, lang: Lang) -> ServiceError {
    let why = why_not(why);
    let code = if why.code == "cut" { "cut" } else { "blanked" };
    ServiceError::Unfit { code, text: why.message(lang).to_owned() }
}

/// What a letter's state forbids.
pub(crate) fn unfit_state(state: LetterState, lang: Lang) -> ServiceError {
    let (ko, en) = match state {
        LetterState::Open => ("처리되지 않은 항목입니다.", "It is open."),
        LetterState::Replaying => (
            "다시 보내는 중이거나 도중에 멈춘 항목입니다. 다시 보내기만 할 수 있습니다.",
            "A replay of it has begun; it can only be replayed.",
        ),
        LetterState::Replayed => ("이미 다시 보낸 항목입니다.", "It was replayed before."),
        LetterState::Discarded => {
            ("버린 항목입니다. 먼저 되돌리세요.", "It was discarded. Open it again first.")
        }
    };
    ServiceError::Unfit { code: state.name(), text: lang.pick(ko, en).to_owned() }
}

pub(crate) fn changed_meanwhile(lang: Lang) -> ServiceError {
    let text = lang.pick(
        "그사이 다른 사람이 바꾸었습니다. 다시 열어 확인하세요.",
        "Somebody changed it meanwhile. Look at it again.",
    );
    ServiceError::Unfit { code: "changed", text: text.to_owned() }
}

fn no_preview(why: &NoEvent, lang: Lang) -> LetterPreview {
    LetterPreview { event: None, code: Some(why.code.clone()), message: Some(why.message(lang).to_owned()) }
}

/// A query as the store understands it, and what tells it from others.
pub(crate) fn question(
    tenant: &TenantId,
    query: &LetterQuery,
    check: &mut Check,
) -> (Fingerprint, LetterFilter) {
    let text = check.text("text", &query.text, 0..=255);
    let code = query.code.as_ref().map(|code| check.text("code", code, 1..=64));
    let fingerprint = Fingerprint::of(&[
        "dead_letters",
        tenant.as_str(),
        &text,
        &format!("{:?} {:?} {:?} {:?} {:?}", code, query.source, query.state, query.from, query.to),
    ]);
    let filter = LetterFilter {
        code,
        source: query.source.clone(),
        state: query.state,
        from: query.from,
        to: query.to,
        text,
        after: None,
        limit: 0,
    };
    (fingerprint, filter)
}

/// Where the list goes on after a page.
pub(crate) fn next_cursor(rows: &[LetterRow], limit: u32, question: Fingerprint) -> Option<String> {
    let last = rows.last().filter(|_| rows.len() == limit as usize)?;
    Some(write_place(last.at, last.id, question))
}

/// The bytes that an edit asks for; `None`: the original.
fn wanted_bytes(lang: Lang, edit: LetterEdit) -> Result<Option<Vec<u8>>, ServiceError> {
    let LetterEdit { text, base64, original, .. } = edit;
    let (field, bytes) = match (text, base64, original) {
        (Some(text), None, false) => ("text", text.into_bytes()),
        (None, Some(text), false) => {
            let wrong = lang.pick("base64가 아닙니다.", "It is no base64.");
            ("base64", STANDARD.decode(text).map_err(|_| ServiceError::invalid("base64", wrong))?)
        }
        (None, None, true) => return Ok(None),
        _ => {
            let wrong = lang.pick(
                "text, base64, original 가운데 하나만 보내세요.",
                "Give one of text, base64 and original.",
            );
            return Err(ServiceError::invalid("text", wrong));
        }
    };
    if bytes.is_empty() || bytes.len() > EDIT_BYTES {
        let wrong = lang.pick(
            format!("1바이트에서 {EDIT_BYTES}바이트 사이여야 합니다."),
            format!("It must have 1 to {EDIT_BYTES} bytes."),
        );
        return Err(ServiceError::invalid(field, wrong));
    }
    Ok(Some(bytes))
}

/// Bytes as text where they are UTF-8, else in base64 with a hex dump of the first of them.
fn letter_bytes(bytes: Vec<u8>) -> LetterBytes {
    match String::from_utf8(bytes) {
        Ok(text) => LetterBytes { text: Some(text), base64: None, hex: None },
        Err(other) => {
            let bytes = other.as_bytes();
            let hex = hex_dump(&bytes[..bytes.len().min(DUMPED)]);
            LetterBytes { text: None, base64: Some(STANDARD.encode(bytes)), hex: Some(hex) }
        }
    }
}

/// Sixteen bytes a line: offset, hex, and what of it is printable ASCII.
fn hex_dump(bytes: &[u8]) -> String {
    let mut out = String::new();
    for (line, bytes) in bytes.chunks(16).enumerate() {
        let hex: String = bytes.iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x} ");
            hex
        });
        let shown: String =
            bytes.iter().map(|&b| if (b' '..=b'~').contains(&b) { char::from(b) } else { '.' }).collect();
        let _ = writeln!(out, "{:04x}  {hex:<48} {shown}", line * 16);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_as_what_they_are() {
        let text = letter_bytes("온도 {".as_bytes().to_vec());
        assert_eq!((text.text.as_deref(), text.base64, text.hex), (Some("온도 {"), None, None));
        let binary = letter_bytes(b"\xff\x00qgx".to_vec());
        assert_eq!((binary.text, binary.base64.as_deref()), (None, Some("/wBxZ3g=")));
        let expect = format!("0000  ff 00 71 67 78 {}  ..qgx\n", " ".repeat(32));
        assert_eq!(binary.hex.as_deref(), Some(expect.as_str()));
        let long = letter_bytes(vec![0xff; 1_000]);
        assert_eq!(long.hex.map(|hex| hex.lines().count()), Some(16));
    }
}
