//! Sign-in: the same time and the same answer for a wrong password and for nobody.

use crate::attempts::{Attempts, PerMinute, Rule};
use crate::{Ctx, ServiceError, Services};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// A sign-in that passed. The caller makes a new session for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginOk {
    /// Who.
    pub user_id: String,
    /// Must choose a new password before anything else.
    pub must_change_password: bool,
}

/// Failures of a minute from one network, whatever the account.
const PER_ADDRESS: u32 = 20;
/// Failures of a minute at one account, from all networks that have not signed in to it before.
const PER_ACCOUNT: u32 = 30;
/// How long a network that signed in to an account is known to it.
const KNOWN_FOR: Duration = Duration::from_secs(30 * 86_400);
/// Networks that are known, in all.
const MOST_KNOWN: usize = 20_000;
const RULE: Rule = Rule {
    free: 5,
    first_wait: Duration::from_secs(5),
    longest_wait: Duration::from_secs(900),
    memory: Duration::from_secs(3_600),
};

/// See [`domain::net::network`]; `None` where it is not known.
type Network = Option<IpAddr>;

/// Wrong passwords: by account and network, by network alone, and by account alone.
///
/// The first slows one guesser at one account, the second one guesser at many. The third slows many at one account. It
/// must not shut the owner out, which is what somebody might want of it: so it does not count networks that signed in to
/// the account within the last 30 days while the process runs, and because of the first it takes several hundred
/// networks to keep it full. Accounts that do not exist are counted alike, so that none of them tells whether one does.
pub(crate) struct LoginLimits {
    accounts: Attempts<(String, Network)>,
    addresses: PerMinute<Network>,
    everywhere: PerMinute<String>,
    known: Mutex<HashMap<(String, Network), Instant>>,
}

impl Default for LoginLimits {
    fn default() -> Self {
        Self {
            accounts: Attempts::new(RULE),
            addresses: PerMinute::new(PER_ADDRESS),
            everywhere: PerMinute::new(PER_ACCOUNT),
            known: Mutex::default(),
        }
    }
}

impl LoginLimits {
    /// Forgets the failures of an account.
    pub(crate) fn unlock(&self, email: &str) {
        self.accounts.forget(|(account, _)| account == email);
        self.everywhere.forget(email);
    }

    /// Begins an attempt at an account, from an address.
    pub(crate) fn begin(&self, email: &str, peer: Option<IpAddr>) -> Result<Attempt<'_>, ServiceError> {
        let (network, now) = (peer.map(domain::net::network), Instant::now());
        let limited = |retry_after| ServiceError::RateLimited { retry_after };
        self.addresses.take(&network, now).map_err(limited)?;
        let account = (email.to_owned(), network);
        let stranger = !self.is_known(&account, now);
        if stranger && let Err(wait) = self.everywhere.take(&account.0, now) {
            self.addresses.give_back(&network);
            return Err(limited(wait));
        }
        if let Err(wait) = self.accounts.begin(&account, now) {
            self.addresses.give_back(&network);
            if stranger {
                self.everywhere.give_back(&account.0);
            }
            return Err(limited(wait));
        }
        Ok(Attempt { limits: self, account, stranger, counts: false })
    }

    fn is_known(&self, account: &(String, Network), now: Instant) -> bool {
        self.known.lock().get(account).is_some_and(|at| now.saturating_duration_since(*at) < KNOWN_FOR)
    }

    /// Remembers where an account was signed in to.
    fn remember(&self, account: &(String, Network), now: Instant) {
        let mut known = self.known.lock();
        if known.len() >= MOST_KNOWN {
            known.retain(|_, at| now.saturating_duration_since(*at) < KNOWN_FOR / 2);
        }
        if known.len() < MOST_KNOWN || known.contains_key(account) {
            known.insert(account.clone(), now);
        }
    }
}

/// An attempt under way. Dropped without an answer (the asker left, the store failed) it counts as a failure of the
/// account only where the password was looked at.
pub(crate) struct Attempt<'a> {
    limits: &'a LoginLimits,
    account: (String, Network),
    /// Counted for the account alone, too.
    stranger: bool,
    counts: bool,
}

impl Attempt<'_> {
    /// From here on it counts.
    pub(crate) fn counts(&mut self) {
        self.counts = true;
    }

    /// The password was right.
    pub(crate) fn succeeded(mut self) {
        self.limits.accounts.succeeded(&self.account);
        self.limits.remember(&self.account, Instant::now());
        self.give_back();
        self.counts = true;
    }

    fn give_back(&self) {
        self.limits.addresses.give_back(&self.account.1);
        if self.stranger {
            self.limits.everywhere.give_back(&self.account.0);
        }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if !self.counts {
            self.limits.accounts.undone(&self.account);
            self.give_back();
        }
    }
}

impl Services {
    /// Checks an e-mail and a password. Open to anybody.
    ///
    /// # Errors
    /// [`ServiceError::BadCredentials`] for a wrong password, an unknown or a disabled account alike;
    /// [`ServiceError::RateLimited`] after five failures of an account from an address, each doubling the wait, 20
    /// failures a minute from an address, or 30 failures a minute of an account from addresses that it was not signed in
    /// to from before.
    pub async fn login(&self, ctx: &Ctx, email: &str, password: &str) -> Result<LoginOk, ServiceError> {
        // Longer than any e-mail there is: nothing to remember a failure by.
        let email = email.trim().to_lowercase();
        if email.len() > 254 {
            return Err(ServiceError::BadCredentials);
        }
        let mut attempt = self.inner.logins.begin(&email, ctx.peer)?;
        let user = self.sql().user_by_email(&email).await?;
        let hash = user.as_ref().map(|user| user.password_hash.as_str());
        attempt.counts();
        let right = match self.inner.passwords.verify(password, hash).await {
            Ok(right) => right,
            Err(busy) => {
                attempt.counts = false;
                return Err(busy);
            }
        };
        match user {
            Some(user) if right && user.disabled_at.is_none() => {
                attempt.succeeded();
                Ok(LoginOk { user_id: user.id, must_change_password: user.must_change_password })
            }
            _ => {
                metrics::counter!("qgx_login_failures_total").increment(1);
                Err(ServiceError::BadCredentials)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_count_by_network() {
        let limits = LoginLimits::default();
        for n in 0..PER_ADDRESS {
            let peer = format!("2001:db8::{n:x}").parse().unwrap();
            limits.begin(&format!("{n}@b.c"), Some(peer)).unwrap().counts();
        }
        let check = |peer: &str, expect: bool| {
            assert_eq!(limits.begin("a@b.c", Some(peer.parse().unwrap())).is_ok(), expect, "{peer}");
        };
        check("2001:db8::ffff:1", false);
        check("2001:db8:0:1::1", true);
    }

    #[test]
    fn many_networks_cannot_guess_at_one_account_and_its_owner_still_gets_in() {
        let limits = LoginLimits::default();
        let at = |a: u8, b: u8| Some(IpAddr::from([198, 51, a, b]));
        limits.begin("owner@b.c", at(0, 1)).unwrap().succeeded();
        for n in 0..30 {
            limits.begin("owner@b.c", at(1, n)).unwrap().counts();
        }
        let check = |email: &str, peer: Option<IpAddr>, expect: bool| {
            assert_eq!(limits.begin(email, peer).is_ok(), expect, "{email} {peer:?}");
        };
        check("owner@b.c", at(2, 1), false);
        check("owner@b.c", at(0, 1), true);
        check("other@b.c", at(2, 1), true);
        limits.unlock("owner@b.c");
        check("owner@b.c", at(2, 1), true);
    }

    #[test]
    fn what_was_not_looked_at_does_not_count() {
        let limits = LoginLimits::default();
        for _ in 0..50 {
            drop(limits.begin("a@b.c", None).unwrap());
        }
        for _ in 0..5 {
            limits.begin("a@b.c", None).unwrap().counts();
        }
        assert!(matches!(limits.begin("a@b.c", None), Err(ServiceError::RateLimited { .. })));
        assert!(limits.begin("d@e.f", None).is_ok());
        limits.unlock("a@b.c");
        assert!(limits.begin("a@b.c", None).is_ok());
    }
}
