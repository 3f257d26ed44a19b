//! Quotas that several processes keep together.

use super::{DAY_ONE, HOUR, Outcome, SECOND, Store, tenant};
use crate::sql::quotas::{QuotaLease, QuotaUse};

fn used(name: &str, events: u64, day_bytes: Option<u64>) -> QuotaUse {
    QuotaUse {
        tenant: tenant(name),
        events,
        events_short: events > 5,
        bytes: events * 100,
        bytes_short: false,
        day: day_bytes.map(|bytes| (DAY_ONE.plus_nanos(24 * HOUR), bytes)),
    }
}

/// Each process sees what all have told last, and days add up.
pub async fn quotas_are_told_to_all(store: Store) -> Outcome {
    let at = |second: i64| DAY_ONE.plus_nanos(second * SECOND);
    let lease = |name: &str, replica: &str, second: i64, events: u64| QuotaLease {
        tenant: tenant(name),
        replica: replica.to_owned(),
        told_at: at(second),
        events,
        events_short: events > 5,
        bytes: events * 100,
        bytes_short: false,
    };
    let first = store.lease_quotas("a", at(0), &[used("acme", 3, Some(300)), used("beta", 9, None)]).await?;
    assert_eq!(first.leases, [lease("acme", "a", 0, 3), lease("beta", "a", 0, 9)]);
    assert_eq!(first.days, [(tenant("acme"), at(24 * 3_600), 300)]);
    let second = store.lease_quotas("b", at(1), &[used("acme", 7, Some(700))]).await?;
    assert_eq!(second.leases, [lease("acme", "a", 0, 3), lease("acme", "b", 1, 7), lease("beta", "a", 0, 9)]);
    assert_eq!(second.days, [(tenant("acme"), at(24 * 3_600), 1_000)]);
    let third = store.lease_quotas("a", at(2), &[used("acme", 1, Some(0))]).await?;
    assert_eq!(third.leases[0], lease("acme", "a", 2, 1));
    assert_eq!(third.days[0].2, 1_000);
    // What nobody tells any more goes, and days that are over.
    let much_later = store.lease_quotas("c", at(4 * 24 * 3_600), &[used("beta", 1, None)]).await?;
    assert_eq!(much_later.leases, [lease("beta", "c", 4 * 24 * 3_600, 1)]);
    assert_eq!(much_later.days, []);
    Ok(())
}

/// Processes that tell at once lose nothing of each other.
pub async fn days_add_up_side_by_side(store: Store) -> Outcome {
    let tell = |replica: String| {
        let store = store.clone();
        async move {
            for second in 0..20 {
                let uses = [used("acme", 1, Some(1)), used("beta", 1, Some(10))];
                store.lease_quotas(&replica, DAY_ONE.plus_nanos(second * SECOND), &uses).await?;
            }
            Outcome::Ok(())
        }
    };
    let told = futures::future::join_all((0..4).map(|replica| tell(format!("r{replica}")))).await;
    told.into_iter().collect::<Outcome>()?;
    let book = store.lease_quotas("last", DAY_ONE.plus_nanos(30 * SECOND), &[]).await?;
    let days: Vec<_> = book.days.iter().map(|(tenant, _, bytes)| (tenant.as_str(), *bytes)).collect();
    assert_eq!(days, [("t_acme", 80), ("t_beta", 800)]);
    Ok(())
}
