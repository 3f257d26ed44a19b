//! How many: over time, by value; and which fields and values there are.

use crate::check::{Check, within_reach};
use crate::events::millis_since;
use crate::{Ctx, ServiceError, Services};
use domain::api::{EventFilter, Facet, FieldInfo, Histogram, HistogramSeries};
use domain::histogram::{edges, step_for};
use domain::query::{Comparison, Expr, Field, Query};
use domain::text::fold;
use domain::{Level, Permission, TimeRange, Timestamp};
use std::time::Instant;
use store::index::LevelCounts;

/// Buckets of a histogram.
const MOST_BUCKETS: u32 = 2_000;
/// Values that completion offers.
const COMPLETIONS: u32 = 20;

impl Services {
    /// Counts by level over time: at most `buckets` (1–2,000) of them, or steps of `step` seconds. Edges are aligned to
    /// the tenant's wall clock; the first and the last bucket hold only what lies in the window, so that the total is
    /// that of a search. A window that reaches beyond 1970 or a day ahead is cut there. Needs
    /// [`Permission::ReadEvents`].
    ///
    /// # Errors
    /// `Invalid("q")` with the place of the mistake, `Invalid` for a wrong window, number of buckets or step.
    pub async fn histogram(
        &self,
        ctx: &Ctx,
        filter: EventFilter,
        buckets: u32,
        step: Option<u32>,
    ) -> Result<Histogram, ServiceError> {
        let tenant = ctx.require(Permission::ReadEvents)?;
        let range = within_reach(filter.range, Timestamp::now());
        let mut check = Check::new(ctx.lang);
        check.range(filter.range);
        check.number("buckets", buckets.into(), 1..=MOST_BUCKETS.into());
        check_step(&mut check, range, step, MOST_BUCKETS);
        let query = check.query("q", &filter.q);
        check.done()?;
        let zone = self.zone_of(tenant).await?;
        let edges = edges(range, step.unwrap_or_else(|| step_for(range, buckets)), &zone);
        let query = within(query, range, &edges);
        let started = Instant::now();
        let index = &self.stores().index;
        let asked = edges.clone();
        let counts = self.read(ctx, tenant, |limit| index.histogram(tenant, query, asked, limit)).await?;
        Ok(histogram_of(counts, edges, millis_since(started)))
    }

    /// The `size` (1–100) most frequent values of up to 20 fields. Needs [`Permission::ReadEvents`].
    ///
    /// # Errors
    /// `Invalid("q")` with the place of the mistake, `Invalid` for a wrong window, field or size.
    pub async fn facets(
        &self,
        ctx: &Ctx,
        filter: EventFilter,
        fields: Vec<String>,
        size: u32,
    ) -> Result<Vec<Facet>, ServiceError> {
        let tenant = ctx.require(Permission::ReadEvents)?;
        let mut check = Check::new(ctx.lang);
        check.range(filter.range);
        check.number("size", size.into(), 1..=100);
        check.number("fields", fields.len() as u64, 1..=20);
        fields.iter().for_each(|field| check.field_name("fields", field));
        let query = check.query("q", &filter.q);
        check.done()?;
        let index = &self.stores().index;
        self.read(ctx, tenant, |limit| index.facets(tenant, query, filter.range, fields, size, limit)).await
    }

    /// The fields that occur in the window, most frequent first. Needs [`Permission::ReadEvents`].
    ///
    /// # Errors
    /// `Invalid` for a wrong window.
    pub async fn fields(&self, ctx: &Ctx, range: TimeRange) -> Result<Vec<FieldInfo>, ServiceError> {
        let tenant = ctx.require(Permission::ReadEvents)?;
        let mut check = Check::new(ctx.lang);
        check.range(range);
        check.done()?;
        let index = &self.stores().index;
        self.read(ctx, tenant, |limit| index.fields(tenant, range, limit)).await
    }

    /// Values of a field that start with what was typed, most frequent first, at most 20, for completion. Needs
    /// [`Permission::ReadEvents`].
    ///
    /// # Errors
    /// `Invalid` for a wrong window or field.
    pub async fn complete_values(
        &self,
        ctx: &Ctx,
        field: &str,
        prefix: &str,
        range: TimeRange,
    ) -> Result<Vec<String>, ServiceError> {
        let tenant = ctx.require(Permission::ReadEvents)?;
        let mut check = Check::new(ctx.lang);
        check.range(range);
        check.field_name("field", field);
        let prefix = check.text("prefix", prefix, 0..=255);
        check.done()?;
        let typed = fold(&prefix);
        let parsed = Field::parse(field);
        let query = match parsed {
            // Nobody completes an instant, an id or a whole message.
            Field::Id | Field::Message | Field::Ts | Field::ReceivedAt | Field::Raw => return Ok(Vec::new()),
            // Few values: all of them.
            Field::Level | Field::Kind => Query::all(),
            Field::Source | Field::Named(_) if typed.is_empty() => Query::all(),
            Field::Source | Field::Named(_) => {
                Query { text: String::new(), expr: Expr::Prefix { field: parsed, prefix } }
            }
        };
        let index = &self.stores().index;
        let asked = vec![field.strip_prefix("fields.").unwrap_or(field).to_owned()];
        let found = self
            .read(ctx, tenant, |limit| index.facets(tenant, query, range, asked, COMPLETIONS, limit))
            .await?;
        // A name with several values brings the others along.
        let values = found.into_iter().flat_map(|facet| facet.values).map(|value| value.value);
        Ok(values.filter(|value| fold(value).starts_with(&typed)).collect())
    }
}

/// Whether a step is one, and not too fine for its window.
pub(crate) fn check_step(check: &mut Check, range: TimeRange, step: Option<u32>, most: u32) {
    let Some(step) = step else { return };
    let secs = range.nanos() / 1_000_000_000;
    let least = u64::try_from(secs).unwrap_or(0).div_ceil(u64::from(most)).max(1);
    if u64::from(step) < least {
        check.wrong(
            "step",
            format!("이 범위에서는 {least}초보다 잘게 나눌 수 없습니다."),
            format!("In this window a step has at least {least} s."),
        );
    }
}

/// The query, held to the window where the outer edges lie beyond it.
pub(crate) fn within(query: Query, range: TimeRange, edges: &[Timestamp]) -> Query {
    let bound = |comparison, at| Expr::Time { field: Field::Ts, comparison, at };
    let mut all = match query.expr {
        Expr::All => Vec::new(),
        Expr::And(all) => all,
        one => vec![one],
    };
    if edges.first().is_some_and(|first| *first < range.from) {
        all.push(bound(Comparison::AtLeast, range.from));
    }
    if edges.last().is_some_and(|last| *last > range.to) {
        all.push(bound(Comparison::Less, range.to));
    }
    let expr = match all.len() {
        0 => Expr::All,
        1 => all.swap_remove(0),
        _ => Expr::And(all),
    };
    Query { text: query.text, expr }
}

/// The shape people see; levels that do not occur are left out.
pub(crate) fn histogram_of(counts: LevelCounts, edges: Vec<Timestamp>, took_ms: f64) -> Histogram {
    let total = counts.by_level.iter().flatten().sum();
    let rows = counts.by_level.into_iter().enumerate().filter(|(_, row)| row.iter().any(|n| *n > 0));
    let series = rows.map(|(rank, counts)| HistogramSeries {
        level: u8::try_from(rank).ok().and_then(Level::from_rank),
        counts,
    });
    Histogram { series: series.collect(), edges, total, took_ms }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_held_to_its_window() {
        let secs = Timestamp::from_secs;
        let range = TimeRange { from: secs(5), to: secs(15) };
        let check = |text: &str, edges: &[Timestamp], expect: &str| {
            let held = within(Query::parse(text).unwrap(), range, edges);
            assert_eq!(held.expr, Query::parse(expect).unwrap().expr, "{text}");
        };
        check("", &[secs(5), secs(15)], "");
        check("", &[secs(0), secs(15)], "ts>=1970-01-01T00:00:05Z");
        check("a OR b", &[secs(5), secs(20)], "(a OR b) AND ts<1970-01-01T00:00:15Z");
        check("a b", &[secs(0), secs(20)], "a b ts>=1970-01-01T00:00:05Z ts<1970-01-01T00:00:15Z");
    }

    #[test]
    fn a_step_is_not_too_fine() {
        let hour = TimeRange { from: Timestamp::from_secs(0), to: Timestamp::from_secs(3_600) };
        let check = |step, wrong| {
            let mut check = Check::new(domain::Lang::En);
            check_step(&mut check, hour, step, 1_000);
            assert_eq!(check.done().is_err(), wrong, "{step:?}");
        };
        check(None, false);
        check(Some(0), true);
        check(Some(3), true);
        check(Some(4), false);
    }
}
