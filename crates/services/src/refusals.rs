//! Who was turned away lately: repeats folded within the minute, the latest hundred of each tenant.

use crate::ingest_access::RefusalCode;
use crate::{Ctx, ServiceError, Services};
use domain::api::Refusal;
use domain::{Permission, TenantId, Timestamp};
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;

/// Kept of each tenant, and of strangers.
const KEPT: usize = 100;
/// A repeat is pushed to Connect at most this often.
const PUSH_NANOS: i64 = 1_000_000_000;

/// Latest refusals by tenant; `None`: of no known tenant.
#[derive(Default)]
pub(crate) struct RefusalBook {
    entries: Mutex<HashMap<Option<TenantId>, VecDeque<Entry>>>,
}

struct Entry {
    refusal: Refusal,
    pushed_at: Timestamp,
}

impl RefusalBook {
    /// Keeps a refusal; answers what to push, unless the same was pushed a moment ago.
    pub(crate) fn note(&self, mut refusal: Refusal, tenant: Option<&TenantId>) -> Option<Refusal> {
        refusal.count = refusal.count.max(1);
        // The port is another one with each connection.
        if let Ok(address) = refusal.peer.parse::<SocketAddr>() {
            refusal.peer = address.ip().to_canonical().to_string();
        }
        let mut entries = self.entries.lock();
        let list = entries.entry(tenant.cloned()).or_default();
        if let Some(place) = list.iter().position(|entry| same(&entry.refusal, &refusal))
            && let Some(mut entry) = list.remove(place)
        {
            refusal.count += entry.refusal.count;
            entry.refusal = refusal.clone();
            let push = refusal.at.as_nanos() - entry.pushed_at.as_nanos() >= PUSH_NANOS;
            if push {
                entry.pushed_at = refusal.at;
            }
            list.push_front(entry);
            return push.then_some(refusal);
        }
        list.push_front(Entry { refusal: refusal.clone(), pushed_at: refusal.at });
        list.truncate(KEPT);
        Some(refusal)
    }

    /// Records of a tenant since an instant that named a source beyond the day's budget, as far as they are kept.
    pub(crate) fn unplaced(&self, tenant: &TenantId, since: Timestamp) -> u64 {
        let code = RefusalCode::TooManySources.code();
        let entries = self.entries.lock();
        let of_tenant = entries.get(&Some(tenant.clone())).into_iter().flatten().map(|entry| &entry.refusal);
        of_tenant
            .filter(|refusal| refusal.code == code && refusal.at >= since)
            .map(|refusal| refusal.count)
            .sum()
    }

    /// The latest of a tenant, and those of strangers where `strangers` asks for them; newest first.
    pub(crate) fn latest(&self, tenant: &TenantId, strangers: Strangers) -> Vec<Refusal> {
        let entries = self.entries.lock();
        let of = |key: &Option<TenantId>| {
            entries.get(key).into_iter().flatten().map(|e| e.refusal.clone()).collect::<Vec<_>>()
        };
        let mut list = of(&Some(tenant.clone()));
        if strangers == Strangers::Shown {
            list.extend(of(&None));
            list.sort_by_key(|refusal| std::cmp::Reverse(refusal.at));
            list.truncate(KEPT);
        }
        list
    }
}

/// Whether refusals of no known tenant are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strangers {
    /// On an embedded server with a single tenant.
    Shown,
    /// Everywhere else.
    Hidden,
}

fn same(a: &Refusal, b: &Refusal) -> bool {
    a.at.as_secs().div_euclid(60) == b.at.as_secs().div_euclid(60)
        && (&a.peer, &a.protocol, &a.code, &a.token) == (&b.peer, &b.protocol, &b.code, &b.token)
}

impl Services {
    /// The latest 100 refusals, newest first: those of the tenant's tokens; on an embedded server with a single tenant
    /// all of them. Needs [`Permission::IngestTokens`].
    ///
    /// # Errors
    /// As [`Ctx::require`].
    pub async fn refusals(&self, ctx: &Ctx) -> Result<Vec<Refusal>, ServiceError> {
        let tenant = ctx.require(Permission::IngestTokens)?;
        let strangers = if self.is_single_tenant().await? { Strangers::Shown } else { Strangers::Hidden };
        Ok(self.inner.refusals.latest(tenant, strangers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(at_secs: i64, peer: &str) -> Refusal {
        Refusal {
            at: Timestamp::from_secs(at_secs),
            peer: peer.to_owned(),
            protocol: "qgx".to_owned(),
            code: "bad_token".to_owned(),
            token: None,
            count: 1,
        }
    }

    #[test]
    fn repeats_fold_within_the_minute_and_the_ring_is_bounded() {
        let book = RefusalBook::default();
        let tenant = TenantId::new("t_1").unwrap();
        let check = |at, peer: &str, pushed: Option<u64>| {
            let found = book.note(refusal(at, peer), Some(&tenant));
            assert_eq!(found.map(|r| r.count), pushed, "{at} {peer}");
        };
        check(60, "192.0.2.1:4000", Some(1));
        check(60, "192.0.2.1:4001", None);
        check(61, "[::ffff:192.0.2.1]:4002", Some(3));
        check(61, "192.0.2.2:4000", Some(1));
        check(120, "192.0.2.1:4000", Some(1));
        let shown = book.latest(&tenant, Strangers::Hidden);
        let counts: Vec<_> = shown.iter().map(|r| (r.peer.as_str(), r.count)).collect();
        assert_eq!(counts, [("192.0.2.1", 1), ("192.0.2.2", 1), ("192.0.2.1", 3)]);

        assert_eq!(book.unplaced(&tenant, Timestamp::from_secs(0)), 0);
        for (at, peer) in [(100, "192.0.2.9"), (190, "192.0.2.9"), (191, "192.0.2.9")] {
            let code = RefusalCode::TooManySources.code().to_owned();
            book.note(Refusal { code, count: 5, ..refusal(at, peer) }, Some(&tenant));
        }
        assert_eq!(book.unplaced(&tenant, Timestamp::from_secs(150)), 10);

        book.note(refusal(500, "x"), None);
        assert_eq!(book.latest(&tenant, Strangers::Hidden).len(), 5);
        assert_eq!(book.latest(&tenant, Strangers::Shown)[0].peer, "x");
        for second in 0..1_000 {
            book.note(refusal(1_000 + second * 60, "y"), Some(&tenant));
        }
        assert_eq!(book.latest(&tenant, Strangers::Hidden).len(), KEPT);
    }
}
