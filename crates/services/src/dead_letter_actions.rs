//! What is done with dead letters: replayed, discarded, opened again; one, or many at once.
//!
//! A replay marks the letter, appends its event, waits until that is durable, and marks the letter again. Where it is cut
//! short between the two marks the letter says so (`replaying`), and is replayed again: the event's origin is the letter,
//! so that the processor stores it once.

use crate::check::Check;
use crate::cursor::read_place;
use crate::dead_letters::{changed_meanwhile, next_cursor, not_replayable, question, unfit_state, why_not};
use crate::replayer::{NoEvent, Replay, Replayed};
use crate::tokens::maker;
use crate::{Ctx, IngestTenant, ServiceError, Services};
use domain::api::{DeadLetter, LetterFailure, LetterQuery, LetterReport, LetterSelection, LetterState};
use domain::{EventId, Permission, TenantId, Timestamp};
use metrics::counter;
use std::collections::HashSet;
use std::time::Duration;
use store::broker::{BrokerError, Topic};
use store::sql::Letter;
use store::sql::dead_letters::LetterMove;
use tokio::time::Instant;

/// Letters of a call, at most.
pub const LETTERS_AT_ONCE: usize = 1_000;
/// Letters whose bytes are held at a time.
const CHUNK: usize = 16;
/// Failures that a report names.
const NAMED: usize = 100;
/// What is left of a request's time when no further chunk is begun.
const SPARE: Duration = Duration::from_secs(5);

const OPEN: &[LetterState] = &[LetterState::Open];
const UNRESOLVED: &[LetterState] = &[LetterState::Open, LetterState::Replaying];
const REPLAYING: &[LetterState] = &[LetterState::Replaying];
const DISCARDED: &[LetterState] = &[LetterState::Discarded];

/// What is done with letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Replay,
    Discard,
    Reopen,
}

impl Action {
    /// The state of letters for which it was done before.
    fn aim(self) -> LetterState {
        match self {
            Self::Replay => LetterState::Replayed,
            Self::Discard => LetterState::Discarded,
            Self::Reopen => LetterState::Open,
        }
    }

    /// The state of the letters it is for, where nobody says it.
    fn subject(self) -> LetterState {
        if self == Self::Reopen { LetterState::Discarded } else { LetterState::Open }
    }
}

/// A call under way.
struct Call<'a> {
    ctx: &'a Ctx,
    tenant: &'a TenantId,
    action: Action,
    report: LetterReport,
}

impl Call<'_> {
    fn failed(&mut self, id: EventId, code: &str, message: &str) {
        self.report.failed += 1;
        if self.report.failures.len() < NAMED {
            let failure = LetterFailure { id, code: code.to_owned(), message: message.to_owned() };
            self.report.failures.push(failure);
        }
    }

    fn unfit(&mut self, id: EventId, error: &ServiceError) {
        if let ServiceError::Unfit { code, text } = error {
            self.failed(id, code, text);
        }
    }

    fn by(&self) -> By {
        Some((maker(&self.ctx.actor), Timestamp::now()))
    }

    fn ended(&self) -> bool {
        self.ctx.cancel.is_cancelled() || Instant::now() + SPARE >= self.ctx.deadline
    }
}

impl Services {
    /// Makes an event of a dead letter, durable before the answer. One that was replayed before stays as it is. Needs
    /// [`Permission::ResolveDeadLetters`].
    ///
    /// # Errors
    /// `NotFound("dead_letter")`; `Unfit` where there is no event in it: the letter stays open, with the new reason.
    pub async fn replay_dead_letter(&self, ctx: &Ctx, id: EventId) -> Result<DeadLetter, ServiceError> {
        let tenant = ctx.require(Permission::ResolveDeadLetters)?;
        self.act_on_one(ctx, tenant, id, Action::Replay).await
    }

    /// Makes events of several dead letters: of these, or of the open ones that a filter finds. Needs
    /// [`Permission::ResolveDeadLetters`].
    ///
    /// # Errors
    /// `Invalid` for a wrong selection; `RateLimited` or `Busy` where not one of them could be taken.
    pub async fn replay_dead_letters(
        &self,
        ctx: &Ctx,
        selection: LetterSelection,
    ) -> Result<LetterReport, ServiceError> {
        let tenant = ctx.require(Permission::ResolveDeadLetters)?;
        self.act_on_many(ctx, tenant, selection, Action::Replay).await
    }

    /// Wants no event of a dead letter. Needs [`Permission::ResolveDeadLetters`].
    ///
    /// # Errors
    /// `NotFound("dead_letter")`; `Unfit` where it was replayed, or that has begun.
    pub async fn discard_dead_letter(&self, ctx: &Ctx, id: EventId) -> Result<DeadLetter, ServiceError> {
        let tenant = ctx.require(Permission::ResolveDeadLetters)?;
        self.act_on_one(ctx, tenant, id, Action::Discard).await
    }

    /// Wants no event of several dead letters: of these, or of the open ones that a filter finds. Needs
    /// [`Permission::ResolveDeadLetters`].
    ///
    /// # Errors
    /// `Invalid` for a wrong selection.
    pub async fn discard_dead_letters(
        &self,
        ctx: &Ctx,
        selection: LetterSelection,
    ) -> Result<LetterReport, ServiceError> {
        let tenant = ctx.require(Permission::ResolveDeadLetters)?;
        self.act_on_many(ctx, tenant, selection, Action::Discard).await
    }

    /// Takes a discard back. Needs [`Permission::ResolveDeadLetters`].
    ///
    /// # Errors
    /// `NotFound("dead_letter")`; `Unfit` where it was replayed, or that has begun.
    pub async fn reopen_dead_letter(&self, ctx: &Ctx, id: EventId) -> Result<DeadLetter, ServiceError> {
        let tenant = ctx.require(Permission::ResolveDeadLetters)?;
        self.act_on_one(ctx, tenant, id, Action::Reopen).await
    }

    async fn act_on_one(
        &self,
        ctx: &Ctx,
        tenant: &TenantId,
        id: EventId,
        action: Action,
    ) -> Result<DeadLetter, ServiceError> {
        let mut call = Call { ctx, tenant, action, report: LetterReport::default() };
        self.act(&mut call, &[id]).await?;
        let letter = self.letter_of(tenant, id).await?;
        match call.report.failures.into_iter().next() {
            None => self.shown_one(letter.row).await,
            Some(failure) => {
                Err(ServiceError::Unfit { code: known_code(&failure.code), text: failure.message })
            }
        }
    }

    async fn act_on_many(
        &self,
        ctx: &Ctx,
        tenant: &TenantId,
        selection: LetterSelection,
        action: Action,
    ) -> Result<LetterReport, ServiceError> {
        let mut call = Call { ctx, tenant, action, report: LetterReport::default() };
        let LetterSelection { ids, filter, cursor } = selection;
        match (ids, filter) {
            (Some(ids), None) => {
                let mut check = Check::new(ctx.lang);
                check.number("ids", ids.len() as u64, 1..=LETTERS_AT_ONCE as u64);
                check.done()?;
                let mut seen = HashSet::new();
                let ids: Vec<_> = ids.into_iter().filter(|id| seen.insert(*id)).collect();
                for chunk in ids.chunks(CHUNK) {
                    if !self.go_on(&mut call, chunk).await? {
                        break;
                    }
                }
            }
            (None, Some(query)) => self.act_on_found(&mut call, query, cursor.as_deref()).await?,
            _ => {
                let wrong =
                    ctx.lang.pick("ids와 filter 가운데 하나만 보내세요.", "Give one of ids and filter.");
                return Err(ServiceError::invalid("ids", wrong));
            }
        }
        Ok(call.report)
    }

    async fn act_on_found(
        &self,
        call: &mut Call<'_>,
        mut query: LetterQuery,
        cursor: Option<&str>,
    ) -> Result<(), ServiceError> {
        query.state.get_or_insert(call.action.subject());
        let mut check = Check::new(call.ctx.lang);
        let (question, mut filter) = question(call.tenant, &query, &mut check);
        check.done()?;
        filter.limit = CHUNK as u32;
        if let Some(cursor) = cursor {
            filter.after = Some(read_place(cursor, question, call.ctx.lang)?);
        }
        for _ in 0..LETTERS_AT_ONCE.div_ceil(CHUNK) {
            let (rows, _) = self.sql().letters(call.tenant, &filter).await?;
            let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
            if !self.go_on(call, &ids).await? {
                return Ok(());
            }
            call.report.next_cursor = next_cursor(&rows, filter.limit, question);
            match (&call.report.next_cursor, rows.last()) {
                (Some(_), Some(last)) => filter.after = Some((last.at, last.id)),
                _ => return Ok(()),
            }
        }
        Ok(())
    }

    /// One more chunk, while there is time. What keeps all of them out is an error only before the first was done.
    async fn go_on(&self, call: &mut Call<'_>, ids: &[EventId]) -> Result<bool, ServiceError> {
        if call.ended() {
            return Ok(false);
        }
        match self.act(call, ids).await {
            Ok(()) => Ok(true),
            Err(ServiceError::RateLimited { .. } | ServiceError::Busy { .. }) if call.report.done > 0 => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    async fn act(&self, call: &mut Call<'_>, ids: &[EventId]) -> Result<(), ServiceError> {
        let mut letters = self.sql().letters_by_id(call.tenant, ids).await?;
        letters.sort_unstable_by_key(|letter| (letter.row.at, letter.row.id));
        let found: HashSet<_> = letters.iter().map(|letter| letter.row.id).collect();
        for id in ids.iter().filter(|id| !found.contains(id)) {
            let text = call.ctx.lang.pick("그런 항목이 없습니다.", "There is none.");
            call.failed(*id, "not_found", text);
        }
        let aim = call.action.aim();
        let (before, letters): (Vec<_>, Vec<_>) =
            letters.into_iter().partition(|letter| letter.row.state == aim);
        call.report.before += before.len() as u64;
        match call.action {
            Action::Replay => self.replay(call, letters).await,
            Action::Discard => self.only_move(call, letters, OPEN).await,
            Action::Reopen => self.only_move(call, letters, DISCARDED).await,
        }
    }

    /// Discards, or takes that back.
    async fn only_move(
        &self,
        call: &mut Call<'_>,
        letters: Vec<Letter>,
        from: &'static [LetterState],
    ) -> Result<(), ServiceError> {
        let (fit, unfit): (Vec<_>, Vec<_>) =
            letters.into_iter().partition(|letter| from.contains(&letter.row.state));
        for letter in unfit {
            call.unfit(letter.row.id, &unfit_state(letter.row.state, call.ctx.lang));
        }
        let to = call.action.aim();
        let by = if to == LetterState::Open { None } else { call.by() };
        let moves: Vec<_> = fit
            .iter()
            .map(|letter| LetterMove { by: by.clone(), ..plain_move(letter.row.id, from, to) })
            .collect();
        let moved = self.moved(call, &moves).await?;
        call.report.done += moved.len() as u64;
        if call.action == Action::Discard {
            counter!("qgx_dead_letters_discarded_total").increment(moved.len() as u64);
        }
        Ok(())
    }

    /// Moves letters; those that somebody else moved meanwhile have failed.
    async fn moved(
        &self,
        call: &mut Call<'_>,
        moves: &[LetterMove],
    ) -> Result<HashSet<EventId>, ServiceError> {
        let moved: HashSet<_> = self.sql().move_letters(call.tenant, moves).await?.into_iter().collect();
        for late in moves.iter().filter(|it| !moved.contains(&it.id)) {
            call.unfit(late.id, &changed_meanwhile(call.ctx.lang));
        }
        Ok(moved)
    }

    async fn replay(&self, call: &mut Call<'_>, letters: Vec<Letter>) -> Result<(), ServiceError> {
        if letters.is_empty() {
            return Ok(());
        }
        let home = self.letter_home(call.tenant).await?;
        let (mut made, mut refused) = (Vec::new(), Vec::new());
        let mut quota = None;
        for letter in &letters {
            if letter.row.state == LetterState::Discarded {
                call.unfit(letter.row.id, &unfit_state(letter.row.state, call.ctx.lang));
                continue;
            }
            match self.made(&home, letter)? {
                Err(why) => {
                    call.failed(letter.row.id, &why.code, why.message(call.ctx.lang));
                    counter!("qgx_dead_letters_replay_failures_total", "code" => why.code.clone())
                        .increment(1);
                    refused.extend(refusal(letter, why));
                }
                Ok(event) => match self.replayer()?.admit(&home, event.record.payload.len()) {
                    Ok(()) => made.push((letter, event)),
                    Err(wait) => {
                        quota = Some(wait);
                        break;
                    }
                },
            }
        }
        self.sql().move_letters(call.tenant, &refused).await?;
        self.append(call, made).await?;
        quota.map_or(Ok(()), |retry_after| Err(ServiceError::RateLimited { retry_after }))
    }

    fn made(&self, home: &IngestTenant, letter: &Letter) -> Result<Result<Replayed, NoEvent>, ServiceError> {
        if let Some(why) = not_replayable(&letter.row) {
            return Ok(Err(why_not(why)));
        }
        let replay = Replay { row: &letter.row, original: &letter.original, bytes: letter.bytes() };
        Ok(self.replayer()?.make(home, replay))
    }

    /// Marks, appends, marks.
    async fn append(&self, call: &mut Call<'_>, made: Vec<(&Letter, Replayed)>) -> Result<(), ServiceError> {
        let by = call.by();
        let begun = self.moved(call, &begin(&made, &by)).await?;
        let made: Vec<_> = made.into_iter().filter(|(letter, _)| begun.contains(&letter.row.id)).collect();
        if made.is_empty() {
            return Ok(());
        }
        let records = made.iter().map(|(_, event)| event.record.clone()).collect();
        if let Err(error) = self.inner.stores.broker.append(Topic::Events, records).await {
            if matches!(error, BrokerError::Busy { .. }) {
                self.sql().move_letters(call.tenant, &open_again(&made)).await?;
            }
            return Err(error.into());
        }
        self.sql().move_letters(call.tenant, &done(&made, &by)).await?;
        // Where somebody else replayed it at the same time, the event is there as well, once.
        call.report.done += made.len() as u64;
        counter!("qgx_dead_letters_replayed_total").increment(made.len() as u64);
        Ok(())
    }
}

/// A letter and the event it becomes.
type Made<'a> = (&'a Letter, Replayed);
/// Who does it, and when.
type By = Option<(String, Timestamp)>;

fn begin(made: &[Made<'_>], by: &By) -> Vec<LetterMove> {
    let one = |(letter, _): &Made<'_>| LetterMove {
        revision: Some(letter.row.revision),
        by: by.clone(),
        ..plain_move(letter.row.id, UNRESOLVED, LetterState::Replaying)
    };
    made.iter().map(one).collect()
}

/// Nothing was stored. Those whose replay had begun before may be stored since then, and stay so.
fn open_again(made: &[Made<'_>]) -> Vec<LetterMove> {
    let letters = made.iter().filter(|(letter, _)| letter.row.state == LetterState::Open);
    letters.map(|(letter, _)| plain_move(letter.row.id, REPLAYING, LetterState::Open)).collect()
}

fn done(made: &[Made<'_>], by: &By) -> Vec<LetterMove> {
    let one = |(letter, event): &Made<'_>| LetterMove {
        by: by.clone(),
        event_id: Some(event.id),
        ..plain_move(letter.row.id, REPLAYING, LetterState::Replayed)
    };
    made.iter().map(one).collect()
}

fn plain_move(id: EventId, from: &'static [LetterState], to: LetterState) -> LetterMove {
    LetterMove { id, from, revision: None, to, by: None, event_id: None, cause: None }
}

/// A letter that failed again stays open, with the new reason; one that cannot be replayed as it is keeps its own.
fn refusal(letter: &Letter, why: NoEvent) -> Option<LetterMove> {
    not_replayable(&letter.row).is_none().then(|| LetterMove {
        revision: Some(letter.row.revision),
        cause: Some((why.code, why.en)),
        ..plain_move(letter.row.id, UNRESOLVED, LetterState::Open)
    })
}

/// The code of an error by that of a failure: those of ingestion's own reasons are in the text.
fn known_code(code: &str) -> &'static str {
    ["open", "replaying", "replayed", "discarded", "changed", "cut", "blanked"]
        .into_iter()
        .find(|known| *known == code)
        .unwrap_or("not_replayable")
}
