//! The registry of sources: who sends, whether they still do, and what they last said.

use crate::check::Check;
use crate::cursor::{Fingerprint, read_skip, write_skip};
use crate::reads::in_time;
use crate::{Ctx, ServiceError, Services, SourceListRequest};
use domain::api::{LatestValue, Page, SourceInput, SourceState, SourceSummary};
use domain::{Permission, SourceKey, TenantId, TimeRange, Timestamp};
use std::collections::HashMap;
use store::sql::sources::SourceFilter;
use store::sql::{SourceRow, SqlError};

pub(crate) const MINUTE_NANOS: i64 = 60_000_000_000;
/// Minutes of a sparkline.
const SPARK: usize = 60;
/// Seconds of silence after which a source is offline, where nobody said otherwise.
const OFFLINE_AFTER: u32 = 300;
/// The longest such silence: a week.
const OFFLINE_AFTER_MOST: u32 = 604_800;
/// The shortest.
const OFFLINE_AFTER_LEAST: u32 = 10;
/// Sources read at once when a state is filtered for.
const CHUNK: u32 = 1_000;

impl Services {
    /// A page of the sources. Needs [`Permission::ReadSources`].
    ///
    /// # Errors
    /// `Invalid` for a limit outside 1–200 or another list's cursor.
    pub async fn sources(
        &self,
        ctx: &Ctx,
        request: SourceListRequest,
    ) -> Result<Page<SourceSummary>, ServiceError> {
        let tenant = ctx.require(Permission::ReadSources)?;
        let mut check = Check::new(ctx.lang);
        check.number("limit", request.limit.into(), 1..=200);
        let search = check.text("search", &request.search, 0..=255);
        check.done()?;
        let question = Fingerprint::of(&[
            tenant.as_str(),
            &search,
            &format!("{:?} {}", request.state, request.by_last_seen),
        ]);
        let skip = match &request.cursor {
            Some(cursor) => read_skip(cursor, question, ctx.lang)?,
            None => 0,
        };
        let filter = SourceFilter {
            search,
            by_last_seen: request.by_last_seen,
            skip,
            limit: request.limit,
            ..SourceFilter::default()
        };
        in_time(ctx, async {
            let (rows, total) = match request.state {
                None => self.sql().sources(tenant, &filter).await?,
                Some(state) => self.sources_in_state(tenant, filter, state).await?,
            };
            let next = skip + rows.len() as u64;
            let next_cursor = (next < total && !rows.is_empty()).then(|| write_skip(next, question));
            Ok(Page { items: self.summaries(tenant, rows).await?, next_cursor, total })
        })
        .await
    }

    /// Each source has its own interval, which no single bound can express: the store narrows, this decides.
    async fn sources_in_state(
        &self,
        tenant: &TenantId,
        page: SourceFilter,
        state: SourceState,
    ) -> Result<(Vec<SourceRow>, u64), ServiceError> {
        let now = Timestamp::now();
        let ago = |secs: u32| Some(now.plus_nanos(-i64::from(secs) * 1_000_000_000));
        let (skip, limit) = (page.skip, page.limit as usize);
        let mut filter = SourceFilter { skip: 0, limit: CHUNK, ..page };
        match state {
            SourceState::Unseen => filter.unseen_only = true,
            SourceState::Online => filter.seen_since = ago(OFFLINE_AFTER_MOST),
            SourceState::Offline => filter.silent_since = ago(OFFLINE_AFTER_LEAST),
        }
        let (mut rows, mut total) = (Vec::new(), 0);
        loop {
            let (chunk, _) = self.sql().sources(tenant, &filter).await?;
            let last = chunk.len() < CHUNK as usize;
            for row in chunk.into_iter().filter(|row| state_of(row, now) == state) {
                total += 1;
                if total > skip && rows.len() < limit {
                    rows.push(row);
                }
            }
            if last {
                return Ok((rows, total));
            }
            filter.skip += u64::from(CHUNK);
        }
    }

    /// One source. Needs [`Permission::ReadSources`].
    ///
    /// # Errors
    /// `NotFound("source")`.
    pub async fn source(&self, ctx: &Ctx, key: &SourceKey) -> Result<SourceSummary, ServiceError> {
        let tenant = ctx.require(Permission::ReadSources)?;
        in_time(ctx, async { self.summary(tenant, self.source_row(tenant, key).await?).await }).await
    }

    /// Registers a source before its first event. Needs [`Permission::WriteSources`].
    ///
    /// # Errors
    /// `Invalid` for each wrong input, `Conflict("key")`.
    pub async fn create_source(
        &self,
        ctx: &Ctx,
        key: SourceKey,
        input: SourceInput,
    ) -> Result<SourceSummary, ServiceError> {
        let tenant = ctx.require(Permission::WriteSources)?;
        let mut check = Check::new(ctx.lang);
        let row = new_source(tenant, key, &mut check, input);
        check.done()?;
        self.sql().create_source(&row).await?;
        self.live().publish_source(tenant, row.key.clone(), SourceState::Unseen);
        self.summary(tenant, row).await
    }

    /// Overwrites what people set of a source. Needs [`Permission::WriteSources`].
    ///
    /// # Errors
    /// `Invalid` for each wrong input, `NotFound("source")`.
    pub async fn update_source(
        &self,
        ctx: &Ctx,
        key: &SourceKey,
        input: SourceInput,
    ) -> Result<SourceSummary, ServiceError> {
        let tenant = ctx.require(Permission::WriteSources)?;
        let mut row = self.source_row(tenant, key).await?;
        let mut check = Check::new(ctx.lang);
        set_input(&mut row, &mut check, input);
        check.done()?;
        self.sql().update_source(&row).await.map_err(source_error)?;
        self.summary(tenant, row).await
    }

    /// Removes a source from the registry; its events stay, and it comes back with its next event. Needs
    /// [`Permission::WriteSources`].
    ///
    /// # Errors
    /// `NotFound("source")`.
    pub async fn delete_source(&self, ctx: &Ctx, key: &SourceKey) -> Result<(), ServiceError> {
        let tenant = ctx.require(Permission::WriteSources)?;
        self.source_row(tenant, key).await?;
        self.sql().delete_source(tenant, key).await.map_err(source_error)
    }

    /// The latest value of each of a source's metrics, by name. Needs [`Permission::ReadSources`].
    ///
    /// # Errors
    /// `NotFound("source")`.
    pub async fn latest_values(&self, ctx: &Ctx, key: &SourceKey) -> Result<Vec<LatestValue>, ServiceError> {
        let tenant = ctx.require(Permission::ReadSources)?;
        in_time(ctx, async {
            self.source_row(tenant, key).await?;
            Ok(self.sql().latest_values(tenant, key).await?)
        })
        .await
    }

    /// The names of a source's metrics, with dots. Needs [`Permission::ReadSources`].
    ///
    /// # Errors
    /// `NotFound("source")`.
    pub async fn source_metrics(&self, ctx: &Ctx, key: &SourceKey) -> Result<Vec<String>, ServiceError> {
        let latest = self.latest_values(ctx, key).await?;
        Ok(latest.into_iter().map(|value| value.metric).collect())
    }

    async fn source_row(&self, tenant: &TenantId, key: &SourceKey) -> Result<SourceRow, ServiceError> {
        self.sql().source(tenant, key).await?.ok_or(ServiceError::NotFound { what: "source" })
    }

    async fn summary(&self, tenant: &TenantId, row: SourceRow) -> Result<SourceSummary, ServiceError> {
        let mut list = self.summaries(tenant, vec![row]).await?;
        list.pop().ok_or(ServiceError::NotFound { what: "source" })
    }

    /// Rows with their state, rate and last hour.
    pub(crate) async fn summaries(
        &self,
        tenant: &TenantId,
        rows: Vec<SourceRow>,
    ) -> Result<Vec<SourceSummary>, ServiceError> {
        let now = Timestamp::now();
        let hour = last_hour(now);
        let heard = |row: &&SourceRow| row.last_seen.is_some_and(|seen| seen >= hour.from);
        let keys: Vec<SourceKey> = rows.iter().filter(heard).map(|row| row.key.clone()).collect();
        // No key at all would ask for every source's.
        let arrivals =
            if keys.is_empty() { Vec::new() } else { self.sql().arrivals(tenant, &keys, hour).await? };
        let mut sparklines = HashMap::<SourceKey, Vec<u32>>::new();
        for (key, minute, events) in arrivals {
            let place = (minute.as_nanos() - hour.from.as_nanos()) / MINUTE_NANOS;
            let line = sparklines.entry(key).or_insert_with(|| vec![0; SPARK]);
            if let Some(slot) = usize::try_from(place).ok().and_then(|place| line.get_mut(place)) {
                *slot = slot.saturating_add(u32::try_from(events).unwrap_or(u32::MAX));
            }
        }
        let summary = |row: SourceRow| {
            let sparkline = sparklines.remove(&row.key).unwrap_or_else(|| vec![0; SPARK]);
            SourceSummary {
                state: state_of(&row, now),
                rate: rate_of(&sparkline, now),
                sparkline,
                ts_range: row.ts_min.zip(row.ts_max).map(|(a, b)| TimeRange::new(a, b.plus_nanos(1))),
                key: row.key,
                name: row.name,
                kind: row.kind,
                attributes: row.attributes,
                first_seen: row.first_seen,
                last_seen: row.last_seen,
                protocol: row.protocol,
                events: row.events,
                bytes: row.bytes,
                offline_after_secs: row.offline_after_secs,
            }
        };
        Ok(rows.into_iter().map(summary).collect())
    }
}

/// The hour up to the end of the present minute.
pub(crate) fn last_hour(now: Timestamp) -> TimeRange {
    let minute = now.as_nanos().div_euclid(MINUTE_NANOS) * MINUTE_NANOS;
    let at = |minutes: i64| Timestamp::from_nanos(minute + minutes * MINUTE_NANOS);
    TimeRange { from: at(1 - SPARK as i64), to: at(1) }
}

/// Online within its interval, offline after it.
pub(crate) fn state_of(row: &SourceRow, now: Timestamp) -> SourceState {
    match row.last_seen {
        None => SourceState::Unseen,
        Some(seen) => {
            let silence = now.as_nanos().saturating_sub(seen.as_nanos());
            let online = silence <= i64::from(row.offline_after_secs) * 1_000_000_000;
            if online { SourceState::Online } else { SourceState::Offline }
        }
    }
}

/// Events a second over the last minute: this minute's, and of the one before the part that is less than a minute ago.
fn rate_of(sparkline: &[u32], now: Timestamp) -> f64 {
    let over = now.as_nanos().rem_euclid(MINUTE_NANOS) as f64 / MINUTE_NANOS as f64;
    match sparkline {
        [.., before, this] => (f64::from(*this) + f64::from(*before) * (1.0 - over)) / 60.0,
        _ => 0.0,
    }
}

/// A source that nobody has heard from.
pub(crate) fn new_source(
    tenant: &TenantId,
    key: SourceKey,
    check: &mut Check,
    input: SourceInput,
) -> SourceRow {
    let mut row = SourceRow {
        tenant: tenant.clone(),
        key,
        name: String::new(),
        kind: String::new(),
        attributes: Default::default(),
        offline_after_secs: OFFLINE_AFTER,
        created_at: Timestamp::now(),
        first_seen: None,
        last_seen: None,
        protocol: None,
        events: 0,
        bytes: 0,
        ts_min: None,
        ts_max: None,
    };
    set_input(&mut row, check, input);
    row
}

/// What people set of a source, checked.
pub(crate) fn set_input(row: &mut SourceRow, check: &mut Check, input: SourceInput) {
    row.name = check.text("name", &input.name, 0..=200);
    row.kind = check.text("kind", &input.kind, 0..=100);
    row.offline_after_secs = input.offline_after_secs.unwrap_or(OFFLINE_AFTER);
    let bounds = u64::from(OFFLINE_AFTER_LEAST)..=u64::from(OFFLINE_AFTER_MOST);
    check.number("offline_after_secs", row.offline_after_secs.into(), bounds);
    if input.attributes.len() > 50 {
        check.wrong("attributes", "속성은 50개까지 쓸 수 있습니다.", "A source has at most 50 attributes.");
        return;
    }
    row.attributes = Default::default();
    for (name, value) in input.attributes {
        let field = format!("attributes.{}", name.trim());
        let value = check.text(&field, &value, 0..=500);
        row.attributes.insert(check.text(&field, &name, 1..=100), value);
    }
}

fn source_error(error: SqlError) -> ServiceError {
    match error {
        SqlError::NotFound => ServiceError::NotFound { what: "source" },
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(last_seen: Option<i64>, offline_after_secs: u32) -> SourceRow {
        let tenant = TenantId::new("t_1").unwrap();
        let key = SourceKey::new("pump-1").unwrap();
        let mut check = Check::new(domain::Lang::En);
        let mut row = new_source(&tenant, key, &mut check, SourceInput::default());
        check.done().unwrap();
        (row.last_seen, row.offline_after_secs) = (last_seen.map(Timestamp::from_secs), offline_after_secs);
        row
    }

    #[test]
    fn states() {
        let check = |last_seen, expect| {
            assert_eq!(state_of(&row(last_seen, 300), Timestamp::from_secs(1_000)), expect);
        };
        check(None, SourceState::Unseen);
        check(Some(1_000), SourceState::Online);
        check(Some(1_005), SourceState::Online);
        check(Some(700), SourceState::Online);
        check(Some(699), SourceState::Offline);
    }

    #[test]
    fn a_rate_slides_over_the_minute() {
        let check = |secs: i64, expect: f64| {
            let found = rate_of(&[60, 120], Timestamp::from_secs(secs));
            assert!((found - expect).abs() < 1e-9, "{found}");
        };
        check(600, 3.0);
        check(630, 2.5);
        check(659, 2.0 + 1.0 / 60.0);
        assert_eq!(last_hour(Timestamp::from_secs(3_659)).from, Timestamp::from_secs(60));
        assert_eq!(last_hour(Timestamp::from_secs(3_659)).to, Timestamp::from_secs(3_660));
    }
}
