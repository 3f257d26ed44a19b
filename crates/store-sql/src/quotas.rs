//! Quotas that several ingestion processes keep together.

use crate::SqlDatabase;
use crate::dialect::{Merge, Upsert};
use crate::fault::{Attempt, retrying};
use crate::row::Row;
use crate::value::{Value, values};
use async_trait::async_trait;
use domain::Timestamp;
use store::sql::SqlResult;
use store::sql::quotas::{QuotaBook, QuotaLease, QuotaUse, Quotas};

/// How long a process that tells nothing stays in the book: longer than clocks differ.
const LEASES_KEPT_NANOS: i64 = 3_600 * 1_000_000_000;
/// How long a day that is over stays: its end is by the tenant's zone and the clock of a process.
const DAYS_KEPT_NANOS: i64 = 2 * 86_400 * 1_000_000_000;

const LEASES: Upsert = Upsert {
    table: "quota_leases",
    key: &["tenant_key", "replica"],
    columns: &[
        ("told_at", Merge::Replace),
        ("events", Merge::Replace),
        ("events_short", Merge::Replace),
        ("bytes", Merge::Replace),
        ("bytes_short", Merge::Replace),
    ],
};
const DAYS: Upsert =
    Upsert { table: "quota_days", key: &["tenant_key", "day_ends"], columns: &[("bytes", Merge::Add)] };

fn lease(row: &Row) -> SqlResult<QuotaLease> {
    Ok(QuotaLease {
        tenant: row.tenant(0)?,
        replica: row.text(1)?,
        told_at: row.time(2)?,
        events: row.count(3)?,
        events_short: row.flag(4)?,
        bytes: row.count(5)?,
        bytes_short: row.flag(6)?,
    })
}

impl SqlDatabase {
    async fn lease_quotas_once(
        &self,
        replica: &str,
        now: Timestamp,
        uses: &[&QuotaUse],
    ) -> Attempt<QuotaBook> {
        let (mut leases, mut days): (Vec<Value>, Vec<Value>) = (Vec::new(), Vec::new());
        for used in uses {
            leases.extend(values![
                &used.tenant,
                replica,
                now,
                used.events,
                used.events_short,
                used.bytes,
                used.bytes_short
            ]);
            if let Some((ends, bytes)) = used.day {
                days.extend(values![&used.tenant, ends, bytes]);
            }
        }
        let mut tx = self.pool.begin().await?;
        tx.upsert(&LEASES, leases).await?;
        tx.upsert(&DAYS, days).await?;
        let leases = tx
            .rows(
                "SELECT tenant_key, replica, told_at, events, events_short, bytes, bytes_short FROM quota_leases \
                 WHERE told_at >= ? ORDER BY tenant_key, replica",
                values![now.plus_nanos(-LEASES_KEPT_NANOS)],
            )
            .await?;
        let days = tx
            .rows(
                "SELECT tenant_key, day_ends, bytes FROM quota_days WHERE day_ends >= ? ORDER BY tenant_key, day_ends",
                values![now.plus_nanos(-DAYS_KEPT_NANOS)],
            )
            .await?;
        tx.commit().await?;
        let leases = leases.iter().map(lease).collect::<SqlResult<_>>()?;
        let day = |row: &Row| Ok((row.tenant(0)?, row.time(1)?, row.count(2)?));
        Ok(QuotaBook { leases, days: days.iter().map(day).collect::<SqlResult<_>>()? })
    }
}

#[async_trait]
impl Quotas for SqlDatabase {
    async fn lease_quotas(&self, replica: &str, now: Timestamp, uses: &[QuotaUse]) -> SqlResult<QuotaBook> {
        // In one order for all processes: two that met on the days would wait for each other.
        let mut sorted: Vec<_> = uses.iter().collect();
        sorted.sort_unstable_by(|a, b| a.tenant.cmp(&b.tenant));
        let book = retrying(|| self.lease_quotas_once(replica, now, &sorted)).await?;
        // Once in a while, by whoever comes by: a minute's first second.
        if now.as_secs() % 60 == 0 {
            let old_leases = values![now.plus_nanos(-LEASES_KEPT_NANOS)];
            self.pool.run("DELETE FROM quota_leases WHERE told_at < ?", old_leases, &[]).await?;
            let old_days = values![now.plus_nanos(-DAYS_KEPT_NANOS)];
            self.pool.run("DELETE FROM quota_days WHERE day_ends < ?", old_days, &[]).await?;
        }
        Ok(book)
    }
}
