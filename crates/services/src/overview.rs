//! The first screen.

use crate::events::events;
use crate::reads::in_time;
use crate::sources::{MINUTE_NANOS, last_hour};
use crate::{Ctx, ServiceError, Services};
use domain::api::{Histogram, HistogramSeries, LiveTotals, Order, Overview, SourceCounts};
use domain::query::{Comparison, Expr, Query};
use domain::{Level, Permission, TenantId, TimeRange, Timestamp, Zone};
use store::index::Search;
use store::sql::sources::SourceFilter;

const SECOND_NANOS: i64 = 1_000_000_000;
const DAY_NANOS: i64 = 86_400 * SECOND_NANOS;
/// Sources that are not counted anew at each look.
const MANY: u64 = 10_000;
/// Seconds of the rate's history.
const HISTORY: usize = 60;
/// Seconds that the rate looks back.
const RATE_SECONDS: usize = 10;
/// Sources looked at for the busiest: those heard from last.
const CANDIDATES: u32 = 200;
/// Busiest sources shown.
const TOP: usize = 8;
/// Notable events shown, of the last day.
const NOTABLE: u32 = 8;

impl Services {
    /// What the first screen shows. Needs [`Permission::ReadEvents`].
    ///
    /// # Errors
    /// As [`Ctx::require`]; `Deadline`.
    pub async fn overview(&self, ctx: &Ctx) -> Result<Overview, ServiceError> {
        let tenant = ctx.require(Permission::ReadEvents)?;
        in_time(ctx, self.overview_of(ctx, tenant)).await
    }

    async fn overview_of(&self, ctx: &Ctx, tenant: &TenantId) -> Result<Overview, ServiceError> {
        let now = Timestamp::now();
        let zone = self.zone_of(tenant).await?;
        let history = rate_history(&self.live().totals_history(tenant), now);
        let day = self.day(tenant, &zone, now).await?;
        let (online, offline, unseen) = self.source_counts(tenant, now).await?;
        let candidates = SourceFilter {
            by_last_seen: true,
            uncounted: true,
            limit: CANDIDATES,
            ..SourceFilter::default()
        };
        let (rows, _) = self.sql().sources(tenant, &candidates).await?;
        let last_event = rows.first().and_then(|row| row.last_seen);
        let mut top_sources = self.summaries(tenant, rows).await?;
        top_sources.retain(|source| source.sparkline.iter().any(|n| *n > 0));
        top_sources.sort_by_key(|source| {
            std::cmp::Reverse(source.sparkline.iter().map(|n| u64::from(*n)).sum::<u64>())
        });
        top_sources.truncate(TOP);
        let recent = &history[HISTORY - RATE_SECONDS..];
        Ok(Overview {
            at: now,
            rate: recent.iter().sum::<f64>() / RATE_SECONDS as f64,
            rate_history: history,
            events_today: day.events,
            bytes_today: day.bytes,
            change_percent: day.change_percent,
            sources: SourceCounts { online, offline, unseen },
            freshness_p99_ms: self.status().freshness_p99_ms(tenant),
            inflow: self.inflow(tenant, now).await?,
            top_sources,
            notable: self.notable(ctx, tenant, now).await?,
            unplaced: self.inner.refusals.unplaced(tenant, now.plus_nanos(-DAY_NANOS)),
            last_event,
        })
    }

    /// Online, offline, unseen; of many, as they were up to 3 s ago.
    async fn source_counts(
        &self,
        tenant: &TenantId,
        now: Timestamp,
    ) -> Result<(u64, u64, u64), ServiceError> {
        let known = &self.inner.source_counts;
        if let Some(counts) = known.get(tenant) {
            return Ok(counts);
        }
        let read_at = std::time::Instant::now();
        let counts = self.sql().source_counts(tenant, now).await?;
        if counts.0 + counts.1 + counts.2 > MANY {
            known.put(tenant.clone(), counts, read_at);
        }
        Ok(counts)
    }

    async fn day(&self, tenant: &TenantId, zone: &Zone, now: Timestamp) -> Result<Day, ServiceError> {
        let days = Days::of(zone, now);
        let today = self.sql().inflow(tenant, TimeRange { from: days.today, to: now }).await?;
        let yesterday = self.sql().inflow(tenant, days.same_part_of_yesterday).await?;
        let events = |rows: &[(Timestamp, u8, u64, u64)]| rows.iter().map(|row| row.2).sum::<u64>();
        // Of both days whole minutes only, or this one's beginning would stand against a full one.
        let whole: u64 = today.iter().filter(|row| row.0 < days.this_minute).map(|row| row.2).sum();
        Ok(Day {
            events: events(&today),
            bytes: today.iter().map(|row| row.3).sum(),
            change_percent: change_percent(whole, events(&yesterday)),
        })
    }

    async fn inflow(&self, tenant: &TenantId, now: Timestamp) -> Result<Histogram, ServiceError> {
        let hour = last_hour(now);
        Ok(inflow_of(&self.sql().inflow(tenant, hour).await?, hour))
    }

    async fn notable(
        &self,
        ctx: &Ctx,
        tenant: &TenantId,
        now: Timestamp,
    ) -> Result<Vec<domain::Event>, ServiceError> {
        let search = Search {
            query: Query {
                text: "level>=warn".to_owned(),
                expr: Expr::Level { comparison: Comparison::AtLeast, level: Level::Warn },
            },
            range: TimeRange {
                from: now.plus_nanos(-86_400 * SECOND_NANOS),
                to: now.plus_nanos(86_400 * SECOND_NANOS),
            },
            order: Order::Desc,
            limit: NOTABLE,
            after: None,
        };
        let index = &self.stores().index;
        let found = self.read(ctx, tenant, |limit| index.search(tenant, search, limit)).await?;
        events(&found.events)
    }
}

struct Day {
    events: u64,
    bytes: u64,
    change_percent: Option<f64>,
}

/// The tenant's days around an instant.
#[derive(Debug, PartialEq)]
struct Days {
    today: Timestamp,
    this_minute: Timestamp,
    same_part_of_yesterday: TimeRange,
}

impl Days {
    fn of(zone: &Zone, now: Timestamp) -> Self {
        let midnight = |at: Timestamp| {
            let mut civil = zone.civil(at);
            (civil.hour, civil.minute, civil.second, civil.nanos) = (0, 0, 0, 0);
            zone.instant(civil).unwrap_or(at)
        };
        let today = midnight(now);
        let yesterday = midnight(today.plus_nanos(-1));
        let minute = now.as_nanos().div_euclid(MINUTE_NANOS) * MINUTE_NANOS;
        let end = yesterday.plus_nanos(minute - today.as_nanos()).min(today);
        Self {
            today,
            this_minute: Timestamp::from_nanos(minute),
            same_part_of_yesterday: TimeRange { from: yesterday, to: end.max(yesterday) },
        }
    }
}

fn change_percent(today: u64, yesterday: u64) -> Option<f64> {
    (yesterday > 0).then(|| (today as f64 - yesterday as f64) / yesterday as f64 * 100.0)
}

/// Events of each of the last 60 whole seconds, oldest first.
fn rate_history(totals: &[LiveTotals], now: Timestamp) -> Vec<f64> {
    let mut history = vec![0.0; HISTORY];
    for second in totals {
        let ago = now.as_secs() - second.at.as_secs();
        // The present second is not over yet.
        if let Ok(ago @ 1..=HISTORY) = usize::try_from(ago) {
            history[HISTORY - ago] += second.events as f64;
        }
    }
    history
}

/// Arrivals a minute by level; levels that do not occur are left out.
fn inflow_of(rows: &[(Timestamp, u8, u64, u64)], hour: TimeRange) -> Histogram {
    let minutes = usize::try_from(hour.nanos() / MINUTE_NANOS).unwrap_or(0);
    let at = |minute: usize| hour.from.plus_nanos(minute as i64 * MINUTE_NANOS);
    let mut by_level = vec![vec![0_u64; minutes]; Level::ALL.len() + 1];
    for (minute, level, events, _) in rows {
        let place = (minute.as_nanos() - hour.from.as_nanos()).div_euclid(MINUTE_NANOS);
        let row = by_level.get_mut(usize::from(*level));
        if let Some(count) = usize::try_from(place).ok().and_then(|place| row?.get_mut(place)) {
            *count += events;
        }
    }
    let total = by_level.iter().flatten().sum();
    let rows = by_level.into_iter().enumerate().filter(|(_, row)| row.iter().any(|n| *n > 0));
    let series = rows.map(|(rank, counts)| HistogramSeries {
        level: u8::try_from(rank).ok().and_then(Level::from_rank),
        counts,
    });
    Histogram { series: series.collect(), edges: (0..=minutes).map(at).collect(), total, took_ms: 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_the_tenants() {
        let at = |text| Timestamp::parse(text).unwrap();
        let check = |zone: &str, now, today, from, to| {
            let days = Days::of(&Zone::named(zone).unwrap(), at(now));
            assert_eq!((days.today, days.same_part_of_yesterday.from), (at(today), at(from)), "{now}");
            assert_eq!(days.same_part_of_yesterday.to, at(to), "{now}");
        };
        check(
            "Asia/Seoul",
            "2026-11-22T01:02:33Z",
            "2026-11-21T15:00:00Z",
            "2026-11-20T15:00:00Z",
            "2026-11-21T01:02:00Z",
        );
        // The day before had 23 hours: its same part ends with it.
        check(
            "America/New_York",
            "2026-03-10T03:30:00Z",
            "2026-03-09T04:00:00Z",
            "2026-03-08T05:00:00Z",
            "2026-03-09T04:00:00Z",
        );
        assert_eq!(change_percent(150, 100), Some(50.0));
        assert_eq!(change_percent(150, 0), None);
    }

    #[test]
    fn history_and_inflow_are_filled_up() {
        let now = Timestamp::from_millis(1_000_500);
        let second = |at: i64, events| LiveTotals {
            at: Timestamp::from_secs(at),
            events,
            bytes: 0,
            levels: [0; 10],
            sources: vec![],
            freshness_p99_ms: 0.0,
        };
        let history = rate_history(&[second(900, 1), second(940, 2), second(999, 3), second(1_000, 4)], now);
        assert_eq!((history.len(), history[0], history[59]), (60, 2.0, 3.0));
        assert!((history.iter().sum::<f64>() - 5.0).abs() < 1e-9);

        let hour = last_hour(now);
        let rows = [(hour.from, 4, 7, 70), (hour.from, 9, 1, 10), (hour.to, 4, 9, 90)];
        let inflow = inflow_of(&rows, hour);
        assert_eq!((inflow.edges.len(), inflow.total), (61, 8));
        let levels: Vec<_> = inflow.series.iter().map(|s| (s.level, s.counts[0])).collect();
        assert_eq!(levels, [(Some(Level::Warn), 7), (None, 1)]);
    }
}
