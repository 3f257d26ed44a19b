//! Sign-in: the same time and the same answer for a wrong password and for nobody.

use crate::attempts::{Attempts, PerMinute, Rule};
use crate::{Ctx, ServiceError, Services};
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

/// Failures of a minute from one address, whatever the account.
const PER_ADDRESS: u32 = 20;
const RULE: Rule = Rule {
    free: 5,
    first_wait: Duration::from_secs(5),
    longest_wait: Duration::from_secs(900),
    memory: Duration::from_secs(3_600),
};

/// Wrong passwords, by account and address and by address alone.
pub(crate) struct LoginLimits {
    accounts: Attempts<(String, Network)>,
    addresses: PerMinute<Network>,
}

impl Default for LoginLimits {
    fn default() -> Self {
        Self { accounts: Attempts::new(RULE), addresses: PerMinute::new(PER_ADDRESS) }
    }
}

impl LoginLimits {
    /// Forgets the failures of an account.
    pub(crate) fn unlock(&self, email: &str) {
        self.accounts.forget(|(account, _)| account == email);
    }

    /// Begins an attempt at an account, from an address.
    pub(crate) fn begin(&self, email: &str, peer: Option<IpAddr>) -> Result<Attempt<'_>, ServiceError> {
        let (network, now) = (Network::of(peer), Instant::now());
        let limited = |retry_after| ServiceError::RateLimited { retry_after };
        self.addresses.take(&network, now).map_err(limited)?;
        let account = (email.to_owned(), network);
        if let Err(wait) = self.accounts.begin(&account, now) {
            self.addresses.give_back(&network);
            return Err(limited(wait));
        }
        Ok(Attempt { limits: self, account, counts: false })
    }
}

/// An attempt under way. Dropped without an answer (the asker left, the store failed) it counts as a failure of the
/// account only where the password was looked at.
pub(crate) struct Attempt<'a> {
    limits: &'a LoginLimits,
    account: (String, Network),
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
        self.limits.addresses.give_back(&self.account.1);
        self.counts = true;
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if !self.counts {
            self.limits.accounts.undone(&self.account);
            self.limits.addresses.give_back(&self.account.1);
        }
    }
}

/// Whom an address stands for: itself in IPv4, its /64 in IPv6, of which one subscriber has all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Network {
    Unknown,
    V4(u32),
    V6(u64),
}

impl Network {
    fn of(peer: Option<IpAddr>) -> Self {
        match peer.map(|peer| peer.to_canonical()) {
            None => Self::Unknown,
            Some(IpAddr::V4(address)) => Self::V4(address.to_bits()),
            Some(IpAddr::V6(address)) => Self::V6((address.to_bits() >> 64) as u64),
        }
    }
}

impl Services {
    /// Checks an e-mail and a password. Open to anybody.
    ///
    /// # Errors
    /// [`ServiceError::BadCredentials`] for a wrong password, an unknown or a disabled account alike;
    /// [`ServiceError::RateLimited`] after five failures of an account from an address, each doubling the wait, or 20
    /// failures a minute from an address.
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
        let check = |a: &str, b: &str, same: bool| {
            let of = |text: &str| Network::of(Some(text.parse().unwrap()));
            assert_eq!(of(a) == of(b), same, "{a} {b}");
        };
        check("192.0.2.1", "192.0.2.1", true);
        check("192.0.2.1", "192.0.2.2", false);
        check("192.0.2.1", "::ffff:192.0.2.1", true);
        check("2001:db8::1", "2001:db8::2", true);
        check("2001:db8::1", "2001:db8:0:1::1", false);
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
