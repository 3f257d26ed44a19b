//! Passwords: argon2id (RFC 9106), off the runtime's workers, few at a time.

use crate::ServiceError;
use crate::secret::fill;
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;

/// The longest password that is looked at, in bytes.
pub(crate) const LONGEST_PASSWORD: usize = 1_024;
/// Hashes computed at once: each takes its memory.
const AT_ONCE: usize = 2;
/// Hashes waited for; more are refused.
const WAITING: usize = 64;

/// What hashing a password costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PasswordParams {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl Default for PasswordParams {
    /// 19 MiB, two passes, one lane.
    fn default() -> Self {
        Self { memory_kib: 19 * 1_024, passes: 2, lanes: 1 }
    }
}

impl PasswordParams {
    /// As cheap as the algorithm allows: for tests only.
    pub fn cheap() -> Self {
        Self { memory_kib: 8, passes: 1, lanes: 1 }
    }
}

/// Hashes and verifies.
pub(crate) struct Passwords {
    params: PasswordParams,
    permits: Arc<Semaphore>,
    asked: Arc<AtomicUsize>,
    /// Of no password at all: what an unknown account is verified against, so that it takes as long as a known one.
    nobody: Arc<OnceLock<String>>,
}

/// Counts an asker for as long as it waits and is served.
struct Asked(Arc<AtomicUsize>);

impl Drop for Asked {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Passwords {
    pub(crate) fn new(params: PasswordParams) -> Self {
        Self {
            params,
            permits: Arc::new(Semaphore::new(AT_ONCE)),
            asked: Arc::default(),
            nobody: Arc::default(),
        }
    }

    /// A PHC string to store.
    pub(crate) async fn hash(&self, password: &str) -> Result<String, ServiceError> {
        let (params, password) = (self.params, password.to_owned());
        self.work(move || hash(params, password.as_bytes())).await?
    }

    /// Whether the password is that of the hash. Without a hash, or with a password that is too long, as much work
    /// is done and the answer is no.
    pub(crate) async fn verify(&self, password: &str, hash: Option<&str>) -> Result<bool, ServiceError> {
        let (params, nobody) = (self.params, self.nobody.clone());
        let hash = hash.filter(|_| password.len() <= LONGEST_PASSWORD).map(str::to_owned);
        let password = if password.len() <= LONGEST_PASSWORD { password.to_owned() } else { String::new() };
        self.work(move || match hash {
            Some(hash) => verify(password.as_bytes(), &hash),
            None => {
                let nobody = match nobody.get() {
                    Some(hash) => hash.clone(),
                    None => {
                        let made = hash_of_nobody(params)?;
                        nobody.get_or_init(|| made).clone()
                    }
                };
                verify(password.as_bytes(), &nobody).map(|_| false)
            }
        })
        .await?
    }

    /// Makes the hash of nobody, so that the first unknown account does not take twice as long.
    pub(crate) async fn warm_up(&self) -> Result<(), ServiceError> {
        self.verify("", None).await.map(drop)
    }

    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ServiceError> {
        let asked = Asked(self.asked.clone());
        if self.asked.fetch_add(1, Ordering::Relaxed) >= WAITING {
            return Err(ServiceError::Busy { retry_after: Duration::from_secs(5) });
        }
        let permit = self.permits.clone().acquire_owned().await;
        let permit = permit.map_err(|error| ServiceError::internal("password", error))?;
        // The work goes on when the asker leaves: the permit stays with it.
        telemetry::spawn_blocking_named("password", move || {
            let _held = (permit, asked);
            work()
        })
        .await
        .map_err(|error| ServiceError::internal("password", error))
    }
}

fn hash_of_nobody(params: PasswordParams) -> Result<String, ServiceError> {
    let mut secret = [0; 32];
    fill(&mut secret)?;
    hash(params, &secret)
}

fn hash(params: PasswordParams, password: &[u8]) -> Result<String, ServiceError> {
    let fault = |error: argon2::password_hash::Error| ServiceError::internal("password", error.to_string());
    let params = Params::new(params.memory_kib, params.passes, params.lanes, None)
        .map_err(|error| ServiceError::internal("password", error.to_string()))?;
    let mut salt = [0; 16];
    fill(&mut salt)?;
    let salt = SaltString::encode_b64(&salt).map_err(fault)?;
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    Ok(argon.hash_password(password, &salt).map_err(fault)?.to_string())
}

fn verify(password: &[u8], hash: &str) -> Result<bool, ServiceError> {
    use argon2::password_hash::Error;
    let fault = |error: Error| ServiceError::internal("password", error.to_string());
    let hash = PasswordHash::new(hash).map_err(fault)?;
    match Argon2::default().verify_password(password, &hash) {
        Ok(()) => Ok(true),
        Err(Error::Password) => Ok(false),
        Err(error) => Err(fault(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_right_password_passes() {
        let passwords = Passwords::new(PasswordParams::cheap());
        let hash = passwords.hash("열려라 참깨 열려라").await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{hash}");
        let long = "x".repeat(LONGEST_PASSWORD + 1);
        for (password, hash, expect) in [
            ("열려라 참깨 열려라", Some(hash.as_str()), true),
            ("열려라 참깨", Some(&hash), false),
            ("열려라 참깨 열려라", None, false),
            (&long, Some(&hash), false),
            ("", None, false),
        ] {
            assert_eq!(passwords.verify(password, hash).await.unwrap(), expect);
        }
        assert!(passwords.verify("x", Some("not a hash")).await.is_err());
    }

    #[tokio::test]
    async fn a_flood_is_refused_and_forgotten() {
        let passwords = Passwords::new(PasswordParams::cheap());
        let all = (0..WAITING + 40).map(|_| passwords.verify("x", None));
        let found = futures::future::join_all(all).await;
        let refused = found.iter().filter(|r| matches!(r, Err(ServiceError::Busy { .. }))).count();
        assert!(refused > 0 && refused <= 40, "{refused}");
        assert!(passwords.verify("x", None).await.is_ok());
    }
}
