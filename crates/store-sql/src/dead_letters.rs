//! Dead letters.

use crate::SqlDatabase;
use crate::dialect::{Merge, Upsert, placeholders};
use crate::fault::{Attempt, retrying, unreadable};
use crate::pipeline::{Before, OFFSETS, applied_before};
use crate::pool::Pool;
use crate::row::Row;
use crate::value::{Value, values};
use async_trait::async_trait;
use domain::{EventId, TenantId, Timestamp};
use std::collections::{BTreeMap, HashSet};
use std::time::Duration;
use store::sql::dead_letters::{LetterCap, LetterCount, LettersGone};
use store::sql::dead_letters::{LetterFilter, LetterForm, LetterMove, LetterState};
use store::sql::{DeadLetters, Flush, Letter, LetterBatch, LetterRow, SqlResult};

const LETTERS: Upsert = Upsert {
    table: "dead_letters",
    key: &["tenant_key", "letter_id"],
    columns: &[
        ("letter_state", Merge::Keep),
        ("given_up_at", Merge::Keep),
        ("kept_bytes", Merge::Keep),
        ("code", Merge::Keep),
        ("source_key", Merge::Keep),
        ("source_bound", Merge::Keep),
        ("protocol", Merge::Keep),
        ("peer", Merge::Keep),
        ("reason", Merge::Keep),
        ("full_length", Merge::Keep),
        ("sha256", Merge::Keep),
        ("form", Merge::Keep),
        ("blanked", Merge::Keep),
        ("revision", Merge::Keep),
        ("edited_by", Merge::Keep),
        ("edited_at", Merge::Keep),
        ("resolved_by", Merge::Keep),
        ("resolved_at", Merge::Keep),
        ("event_id", Merge::Keep),
        ("original", Merge::Keep),
        ("edited", Merge::Keep),
    ],
};

macro_rules! row_columns {
    () => {
        "tenant_key, letter_id, letter_state, given_up_at, kept_bytes, code, source_key, source_bound, protocol, \
         peer, reason, full_length, sha256, form, blanked, revision, edited_by, edited_at, resolved_by, resolved_at, \
         event_id"
    };
}

/// Letters removed in one transaction.
const AT_ONCE: u32 = 500;

fn form_name(form: LetterForm) -> &'static str {
    match form {
        LetterForm::Frame => "frame",
        LetterForm::Event => "event",
    }
}

fn event_id(text: &str) -> SqlResult<EventId> {
    EventId::parse(text).map_err(unreadable)
}

fn letter_row(row: &Row) -> SqlResult<LetterRow> {
    let somebody = |by: usize, at: usize| SqlResult::Ok(row.opt_text(by)?.zip(row.opt_time(at)?));
    Ok(LetterRow {
        tenant: row.tenant(0)?,
        id: event_id(&row.text(1)?)?,
        state: LetterState::parse(&row.text(2)?).ok_or_else(|| unreadable("a state of a dead letter"))?,
        at: row.time(3)?,
        kept_bytes: row.count(4)?,
        code: row.text(5)?,
        source: row.source(6)?,
        source_bound: row.flag(7)?,
        protocol: row.text(8)?,
        peer: row.opt_text(9)?,
        reason: row.text(10)?,
        length: row.count(11)?,
        sha256: row.opt_text(12)?,
        form: match row.text(13)?.as_str() {
            "frame" => LetterForm::Frame,
            "event" => LetterForm::Event,
            _ => return Err(unreadable("a form of a dead letter")),
        },
        blanked: row.flag(14)?,
        revision: row.small(15)?,
        edited: somebody(16, 17)?,
        resolved: somebody(18, 19)?,
        event_id: row.opt_text(20)?.map(|text| event_id(&text)).transpose()?,
    })
}

fn letter_values(letter: &Letter) -> Vec<Value> {
    let Letter { row, original, edited } = letter;
    let (edited_by, edited_at) = row.edited.clone().unzip();
    let (resolved_by, resolved_at) = row.resolved.clone().unzip();
    values![
        &row.tenant,
        row.id.to_string(),
        row.state.name(),
        row.at,
        row.kept_bytes,
        row.code.as_str(),
        &row.source,
        row.source_bound,
        row.protocol.as_str(),
        row.peer.as_deref(),
        row.reason.as_str(),
        row.length,
        row.sha256.as_deref(),
        form_name(row.form),
        row.blanked,
        row.revision,
        edited_by,
        edited_at,
        resolved_by,
        resolved_at,
        row.event_id.map(|id| id.to_string()),
        original.as_slice(),
        edited.as_deref(),
    ]
}

/// The condition of a filter but for `after`, and its values.
fn condition(tenant: &TenantId, filter: &LetterFilter) -> (String, Vec<Value>) {
    let mut sql = String::from("tenant_key = ?");
    let mut bound = values![tenant];
    let mut and = |condition: &str, value: Option<Value>| {
        if let Some(value) = value {
            sql.push_str(condition);
            bound.push(value);
        }
    };
    and(" AND code = ?", filter.code.as_deref().map(Value::from));
    and(" AND source_key = ?", filter.source.as_ref().map(Value::from));
    and(" AND letter_state = ?", filter.state.map(|state| state.name().into()));
    and(" AND given_up_at >= ?", filter.from.map(Value::from));
    and(" AND given_up_at < ?", filter.to.map(Value::from));
    let text = (!filter.text.is_empty()).then(|| filter.text.to_ascii_lowercase().into());
    and(" AND INSTR(LOWER(reason), ?) > 0", text);
    (sql, bound)
}

/// `column IN (?,…)`.
fn one_of(column: &str, count: usize) -> String {
    let mut condition = format!("{column} IN (");
    placeholders(&mut condition, count);
    condition.push(')');
    condition
}

impl SqlDatabase {
    async fn keep_once(&self, topic: &str, batch: &LetterBatch) -> Attempt<u64> {
        let mut tx = self.pool.begin().await?;
        let flush = Flush {
            offsets: vec![(batch.partition, batch.next)],
            starts: vec![(batch.partition, batch.start)],
            ..Flush::default()
        };
        if let Before::Applied = applied_before(&mut tx, topic, &flush).await? {
            return Ok(0);
        }
        let mut new = 0;
        let mut seen = HashSet::new();
        // One a statement: a server takes only so many bytes at once.
        for letter in &batch.letters {
            let known = "SELECT 1 FROM dead_letters WHERE tenant_key = ? AND letter_id = ?";
            let (tenant, id) = (&letter.row.tenant, letter.row.id);
            if seen.insert((tenant, id)) && tx.rows(known, values![tenant, id.to_string()]).await?.is_empty()
            {
                tx.upsert(&LETTERS, letter_values(letter)).await?;
                new += 1;
            }
        }
        tx.upsert(&OFFSETS, values![topic, batch.partition, batch.next]).await?;
        tx.commit().await?;
        Ok(new)
    }

    async fn move_once(&self, tenant: &TenantId, moves: &[LetterMove]) -> Attempt<Vec<EventId>> {
        // In the order of ids, as every process does it: two that met would wait for each other.
        let mut moves: Vec<_> = moves.iter().collect();
        moves.sort_unstable_by_key(|it| it.id);
        let mut moved = Vec::with_capacity(moves.len());
        let mut tx = self.pool.begin().await?;
        for it in moves {
            let (by, at) = it.by.clone().unzip();
            let mut sql = String::from(
                "UPDATE dead_letters SET letter_state = ?, resolved_by = ?, resolved_at = ?, event_id = ?",
            );
            let mut bound = values![it.to.name(), by, at, it.event_id.map(|id| id.to_string())];
            if let Some((code, reason)) = &it.cause {
                sql.push_str(", code = ?, reason = ?");
                bound.extend(values![code.as_str(), reason.as_str()]);
            }
            sql.push_str(" WHERE tenant_key = ? AND letter_id = ? AND ");
            bound.extend(values![tenant, it.id.to_string()]);
            sql.push_str(&one_of("letter_state", it.from.len()));
            bound.extend(it.from.iter().map(|state| Value::from(state.name())));
            if let Some(revision) = it.revision {
                sql.push_str(" AND revision = ?");
                bound.push(revision.into());
            }
            if tx.run(sql, bound).await? > 0 {
                moved.push(it.id);
            }
        }
        tx.commit().await?;
        Ok(moved)
    }
}

/// Removes letters by tenant and id.
async fn remove(pool: &Pool, letters: &[(String, String)]) -> SqlResult<u64> {
    let mut by_tenant = BTreeMap::<&str, Vec<&str>>::new();
    for (tenant, id) in letters {
        by_tenant.entry(tenant).or_default().push(id);
    }
    let mut gone = 0;
    for (tenant, ids) in by_tenant {
        let sql =
            format!("DELETE FROM dead_letters WHERE tenant_key = ? AND {}", one_of("letter_id", ids.len()));
        let bound = values![tenant].into_iter().chain(ids.into_iter().map(Value::from)).collect();
        gone += pool.run(sql, bound, &[]).await?;
    }
    Ok(gone)
}

async fn remove_aged(pool: &Pool, before: Timestamp) -> SqlResult<u64> {
    let mut gone = 0;
    loop {
        let sql = format!(
            "SELECT tenant_key, letter_id FROM dead_letters WHERE given_up_at < ? ORDER BY given_up_at LIMIT {AT_ONCE}"
        );
        let rows = pool.rows(sql, values![before]).await?;
        let letters: Vec<_> =
            rows.iter().map(|row| Ok((row.text(0)?, row.text(1)?))).collect::<SqlResult<_>>()?;
        gone += remove(pool, &letters).await?;
        if letters.len() < AT_ONCE as usize {
            return Ok(gone);
        }
    }
}

/// How much of a tenant's letters is too much.
#[derive(Clone, Copy)]
struct Excess {
    letters: u64,
    bytes: u64,
}

impl Excess {
    fn is_none(self) -> bool {
        self.letters == 0 && self.bytes == 0
    }

    fn less(&mut self, bytes: u64) {
        self.letters = self.letters.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

/// Removes the oldest letters in some states until there is no excess.
async fn remove_excess(
    pool: &Pool,
    tenant: &str,
    states: [LetterState; 2],
    excess: &mut Excess,
) -> SqlResult<u64> {
    let mut gone = 0;
    while !excess.is_none() {
        let sql = format!(
            "SELECT letter_id, kept_bytes FROM dead_letters WHERE tenant_key = ? AND letter_state IN (?, ?) ORDER BY \
             given_up_at, letter_id LIMIT {AT_ONCE}"
        );
        let rows = pool.rows(sql, values![tenant, states[0].name(), states[1].name()]).await?;
        let mut letters = Vec::new();
        for row in &rows {
            if excess.is_none() {
                break;
            }
            excess.less(row.count(1)?);
            letters.push((tenant.to_owned(), row.text(0)?));
        }
        if letters.is_empty() {
            return Ok(gone);
        }
        gone += remove(pool, &letters).await?;
    }
    Ok(gone)
}

async fn expire(pool: &Pool, before: Timestamp, cap: LetterCap) -> SqlResult<LettersGone> {
    let mut gone = LettersGone { aged: remove_aged(pool, before).await?, ..LettersGone::default() };
    let sql =
        "SELECT tenant_key, COUNT(*), CAST(SUM(kept_bytes) AS SIGNED) FROM dead_letters GROUP BY tenant_key";
    for row in pool.rows(sql, vec![]).await? {
        let tenant = row.text(0)?;
        let mut excess = Excess {
            letters: row.count(1)?.saturating_sub(cap.letters),
            bytes: row.count(2)?.saturating_sub(cap.bytes),
        };
        let resolved = [LetterState::Replayed, LetterState::Discarded];
        gone.resolved += remove_excess(pool, &tenant, resolved, &mut excess).await?;
        let others = [LetterState::Open, LetterState::Replaying];
        gone.open += remove_excess(pool, &tenant, others, &mut excess).await?;
    }
    Ok(gone)
}

#[async_trait]
impl DeadLetters for SqlDatabase {
    async fn keep_letters(&self, topic: &str, batch: &LetterBatch) -> SqlResult<u64> {
        retrying(|| self.keep_once(topic, batch)).await
    }

    async fn letters(&self, tenant: &TenantId, filter: &LetterFilter) -> SqlResult<(Vec<LetterRow>, u64)> {
        let (mut condition, mut bound) = condition(tenant, filter);
        let count = format!("SELECT COUNT(*) FROM dead_letters WHERE {condition}");
        let total = self.pool.row(count, bound.clone()).await?.map_or(Ok(0), |row| row.count(0))?;
        if let Some((at, id)) = filter.after {
            condition.push_str(" AND (given_up_at < ? OR (given_up_at = ? AND letter_id < ?))");
            bound.extend(values![at, at, id.to_string()]);
        }
        let sql = format!(
            "SELECT {} FROM dead_letters WHERE {condition} ORDER BY given_up_at DESC, letter_id DESC LIMIT ?",
            row_columns!()
        );
        bound.push(filter.limit.into());
        let rows = self.pool.rows(sql, bound).await?;
        Ok((rows.iter().map(letter_row).collect::<SqlResult<_>>()?, total))
    }

    async fn letters_by_id(&self, tenant: &TenantId, ids: &[EventId]) -> SqlResult<Vec<Letter>> {
        let mut letters = Vec::with_capacity(ids.len());
        for ids in ids.chunks(AT_ONCE as usize) {
            let sql = format!(
                "SELECT {}, original, edited FROM dead_letters WHERE tenant_key = ? AND {}",
                row_columns!(),
                one_of("letter_id", ids.len())
            );
            let bound =
                values![tenant].into_iter().chain(ids.iter().map(|id| id.to_string().into())).collect();
            for row in self.pool.rows(sql, bound).await? {
                letters.push(Letter {
                    row: letter_row(&row)?,
                    original: row.bytes(21)?,
                    edited: row.opt_bytes(22)?,
                });
            }
        }
        Ok(letters)
    }

    async fn letter_counts(&self, tenant: &TenantId) -> SqlResult<Vec<LetterCount>> {
        let sql = "SELECT code, letter_state, COUNT(*), CAST(SUM(kept_bytes) AS SIGNED) FROM dead_letters WHERE \
                   tenant_key = ? GROUP BY code, letter_state ORDER BY code, letter_state";
        let count = |row: &Row| {
            Ok(LetterCount {
                code: row.text(0)?,
                state: LetterState::parse(&row.text(1)?)
                    .ok_or_else(|| unreadable("a state of a dead letter"))?,
                letters: row.count(2)?,
                bytes: row.count(3)?,
            })
        };
        self.pool.rows(sql, values![tenant]).await?.iter().map(count).collect()
    }

    async fn edit_letter(
        &self,
        tenant: &TenantId,
        id: EventId,
        revision: u32,
        bytes: Option<&[u8]>,
        by: &(String, Timestamp),
    ) -> SqlResult<bool> {
        let (by, at) = bytes.map(|_| by.clone()).unzip();
        let sql = "UPDATE dead_letters SET edited = ?, edited_by = ?, edited_at = ?, revision = revision + 1, \
                   kept_bytes = LENGTH(original) + ? WHERE tenant_key = ? AND letter_id = ? AND letter_state = ? AND \
                   revision = ?";
        let length = bytes.map_or(0, <[u8]>::len) as u64;
        let open = LetterState::Open.name();
        let bound = values![bytes, by, at, length, tenant, id.to_string(), open, revision];
        Ok(self.pool.run(sql, bound, &[]).await? > 0)
    }

    async fn move_letters(&self, tenant: &TenantId, moves: &[LetterMove]) -> SqlResult<Vec<EventId>> {
        if moves.is_empty() {
            return Ok(Vec::new());
        }
        retrying(|| self.move_once(tenant, moves)).await
    }

    async fn expire_letters(&self, before: Timestamp, cap: LetterCap) -> SqlResult<LettersGone> {
        // One process at a time: a second would find nothing left.
        let Some(lock) = self.pool.lock("expire-letters", Duration::ZERO).await? else {
            return Ok(LettersGone::default());
        };
        let gone = expire(&self.pool, before, cap).await;
        lock.release().await;
        gone
    }
}
