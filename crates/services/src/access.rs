//! Tokens at the door: who holds this secret, for ingestion and for the API.

use crate::bus::Said;
use crate::cache::TimedCache;
use crate::ingest_access::{Identity, IngestAccess, IngestTenant, Masking, RefusalCode, StreamTaken};
use crate::secret::{looks_like_token, token_hash};
use crate::tenants::DEFAULT_SLUG;
use crate::trusted::TrustSet;
use crate::{Actor, Ctx, ServiceError, Services, TokenActor};
use async_trait::async_trait;
use domain::api::{Refusal, TokenKind};
use domain::{Permission, Role, SourceKey, TenantId, Timestamp, Zone};
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Instant;
use store::sql::{TenantRow, TokenRow};
use tokio::sync::{broadcast, watch};

const MINUTE_NANOS: i64 = 60_000_000_000;
/// How long an ended token is told of: far longer than anybody remembers it.
const REVOKED_FOR_NANOS: i64 = 5 * MINUTE_NANOS;

/// What is remembered of tokens, for seconds.
pub(crate) struct AccessState {
    /// By hash.
    tokens: TimedCache<String, Arc<TokenRow>>,
    tenants: TimedCache<TenantId, Option<KnownTenant>>,
    /// The default tenant, where it is the only one.
    only_tenant: TimedCache<(), Option<KnownTenant>>,
    /// Tokens ended a short while ago.
    revoked: watch::Sender<Arc<HashSet<u64>>>,
    revoked_read_at: Mutex<Option<Timestamp>>,
    /// Who needs no token.
    pub(crate) trust: watch::Sender<Arc<TrustSet>>,
    /// Set once that was read.
    pub(crate) trust_known: OnceLock<()>,
    uses: Mutex<HashMap<u64, Use>>,
}

/// A tenant as ingestion knows it.
#[derive(Debug, Clone)]
pub(crate) struct KnownTenant {
    pub(crate) tenant: Arc<IngestTenant>,
    pub(crate) suspended: bool,
}

/// The latest use of a token, to the minute.
#[derive(Debug, Clone)]
struct Use {
    at: Timestamp,
    peer: IpAddr,
    written: bool,
}

impl Default for AccessState {
    fn default() -> Self {
        Self {
            tokens: TimedCache::default(),
            tenants: TimedCache::default(),
            only_tenant: TimedCache::default(),
            revoked: watch::Sender::new(Arc::default()),
            revoked_read_at: Mutex::default(),
            trust: watch::Sender::new(Arc::default()),
            trust_known: OnceLock::new(),
            uses: Mutex::default(),
        }
    }
}

impl Services {
    /// The actor of a bearer token, of either kind: an ingest token may send over HTTP and nothing else. Open to
    /// anybody who shows one. Up to 3 s old.
    ///
    /// # Errors
    /// [`ServiceError::Unauthenticated`] for an unknown, expired or revoked token, or one of a suspended tenant.
    pub async fn token_actor(&self, secret: &str, peer: Option<IpAddr>) -> Result<TokenActor, ServiceError> {
        let (row, tenant) = self.token_holder(secret).await?.ok_or(ServiceError::Unauthenticated)?;
        if tenant.suspended || self.refused_token(&row).is_some() {
            return Err(ServiceError::Unauthenticated);
        }
        if let Some(peer) = peer {
            self.token_used(row.id, peer);
        }
        Ok(TokenActor {
            id: row.id,
            tenant: row.tenant.clone(),
            kind: row.kind,
            role: row.role.unwrap_or(Role::Viewer),
        })
    }

    /// Who sends over HTTP: the source its token is bound to, quotas and the like. Needs
    /// [`Permission::SendEvents`].
    ///
    /// # Errors
    /// As [`Ctx::require`].
    pub async fn sender(&self, ctx: &Ctx) -> Result<Identity, ServiceError> {
        let tenant = ctx.require(Permission::SendEvents)?;
        let known = self.ingest_tenant(tenant).await?.filter(|known| !known.suspended);
        let known = known.ok_or(ServiceError::NotFound { what: "tenant" })?;
        let row = match &ctx.actor {
            Actor::Token(token) => self.sql().token(tenant, token.id).await?,
            _ => None,
        };
        Ok(identity(known.tenant, row.as_ref()))
    }

    /// A token's row and its tenant, by secret.
    async fn token_holder(&self, secret: &str) -> Result<Option<(Arc<TokenRow>, KnownTenant)>, ServiceError> {
        if !looks_like_token(secret) {
            return Ok(None);
        }
        let hash = token_hash(secret);
        let row = match self.inner.access.tokens.get(&hash) {
            Some(row) => row,
            None => {
                let read_at = Instant::now();
                let Some(row) = self.sql().token_by_hash(&hash).await? else { return Ok(None) };
                let row = Arc::new(row);
                self.inner.access.tokens.put(hash, row.clone(), read_at);
                row
            }
        };
        Ok(self.ingest_tenant(&row.tenant).await?.map(|tenant| (row, tenant)))
    }

    /// Why a known token is no longer good.
    fn refused_token(&self, row: &TokenRow) -> Option<RefusalCode> {
        if row.expires_at.is_some_and(|at| at <= Timestamp::now()) {
            return Some(RefusalCode::ExpiredToken);
        }
        let revoked = row.revoked_at.is_some() || self.inner.access.revoked.borrow().contains(&row.id);
        revoked.then_some(RefusalCode::RevokedToken)
    }

    /// Whether a token is still good, by id.
    pub(crate) async fn token_still_good(&self, id: u64, tenant: &TenantId) -> Result<bool, ServiceError> {
        let suspended = self.ingest_tenant(tenant).await?.is_none_or(|known| known.suspended);
        let row = self.sql().token(tenant, id).await?;
        Ok(!suspended && row.is_some_and(|row| self.refused_token(&row).is_none()))
    }

    /// A tenant as ingestion knows it; up to 3 s old.
    pub(crate) async fn ingest_tenant(&self, key: &TenantId) -> Result<Option<KnownTenant>, ServiceError> {
        if let Some(known) = self.inner.access.tenants.get(key) {
            return Ok(known);
        }
        let read_at = Instant::now();
        let known = match self.sql().tenant(key).await? {
            Some(row) => Some(known_tenant(&row, self.masking_of(key).await?)),
            None => None,
        };
        self.inner.access.tenants.put(key.clone(), known.clone(), read_at);
        Ok(known)
    }

    async fn only_tenant(&self) -> Result<Option<KnownTenant>, ServiceError> {
        if let Some(known) = self.inner.access.only_tenant.get(&()) {
            return Ok(known);
        }
        let read_at = Instant::now();
        let tenants = self.sql().tenants().await?;
        let known = match tenants.as_slice() {
            [only] if only.slug == DEFAULT_SLUG => {
                Some(known_tenant(only, self.masking_of(&only.key).await?))
            }
            _ => None,
        };
        self.inner.access.only_tenant.put((), known.clone(), read_at);
        Ok(known)
    }

    /// Whether this is an embedded server with a single tenant: its people see every refusal.
    pub(crate) async fn is_single_tenant(&self) -> Result<bool, ServiceError> {
        Ok(self.inner.config.embedded && self.only_tenant().await?.is_some())
    }

    /// Forgets what is remembered of a tenant, here and in other processes.
    pub(crate) fn forget_tenant(&self, key: &TenantId) {
        self.inner.live.bus().say(Said::TenantChanged { tenant: key.clone() });
        self.forget_tenant_here(key);
    }

    /// Forgets what is remembered of a tenant in this process.
    pub(crate) fn forget_tenant_here(&self, key: &TenantId) {
        self.inner.access.tenants.forget(|known, _| known == key);
        self.inner.access.only_tenant.forget(|(), _| true);
    }

    /// A token was ended here: nobody waits for the next look into the database, and no other process does.
    pub(crate) fn token_ended(&self, id: u64) {
        self.inner.live.bus().say(Said::TokenEnded { token: id });
        self.token_ended_elsewhere(id);
    }

    /// A token was ended, here or in another process.
    pub(crate) fn token_ended_elsewhere(&self, id: u64) {
        self.inner.access.tokens.forget(|_, row| row.id == id);
        self.inner.access.revoked.send_if_modified(|set| {
            let mut more = HashSet::clone(set);
            let new = more.insert(id);
            *set = Arc::new(more);
            new
        });
    }

    /// Keeps a refusal, and tells it to who watches here.
    pub(crate) fn heard_refusal(&self, refusal: Refusal, tenant: Option<&TenantId>) {
        if let Some(shown) = self.inner.refusals.note(refusal, tenant) {
            self.inner.live.publish_refusal(tenant, shown);
        }
    }

    /// Looks which tokens were ended or have expired since the last look, with minutes to spare for other clocks and for
    /// connections that are slow to notice.
    pub(crate) async fn refresh_revocations(&self) -> Result<(), ServiceError> {
        let access = &self.inner.access;
        let now = Timestamp::now();
        let last = access.revoked_read_at.lock().unwrap_or(now);
        let since = last.plus_nanos(-REVOKED_FOR_NANOS);
        let before = access.revoked.borrow().clone();
        let found: HashSet<u64> = self.sql().revoked_since(since, now).await?.into_iter().collect();
        access.tokens.forget(|_, row| found.contains(&row.id) && !before.contains(&row.id));
        access.revoked.send_if_modified(|set| {
            // What was ended here during the look stays until the next one finds it.
            let here = set.difference(&before).copied();
            let next: HashSet<u64> = found.iter().copied().chain(here).collect();
            let changed = **set != next;
            if changed {
                *set = Arc::new(next);
            }
            changed
        });
        *access.revoked_read_at.lock() = Some(now);
        Ok(())
    }

    /// Writes the uses that were noted since the last time.
    pub(crate) async fn write_token_uses(&self) -> Result<(), ServiceError> {
        let uses: Vec<_> = {
            let all = self.inner.access.uses.lock();
            let unwritten = all.iter().filter(|(_, used)| !used.written);
            unwritten.map(|(id, used)| (*id, used.at, used.peer.to_string())).collect()
        };
        if uses.is_empty() {
            return Ok(());
        }
        self.sql().touch_tokens(&uses).await?;
        let forget_before = Timestamp::now().plus_nanos(-60 * MINUTE_NANOS);
        let mut all = self.inner.access.uses.lock();
        for (id, at, _) in &uses {
            if let Some(used) = all.get_mut(id).filter(|used| used.at == *at) {
                used.written = true;
            }
        }
        all.retain(|_, used| !used.written || used.at >= forget_before);
        Ok(())
    }

    /// Puts uses that are not written yet into rows just read.
    pub(crate) fn overlay_uses(&self, rows: &mut [TokenRow]) {
        let uses = self.inner.access.uses.lock();
        for row in rows {
            if let Some(used) = uses.get(&row.id).filter(|used| Some(used.at) > row.last_used_at) {
                row.last_used_at = Some(used.at);
                row.last_used_peer = Some(used.peer.to_string());
            }
        }
    }
}

#[async_trait]
impl IngestAccess for Services {
    async fn identify(&self, secret: &str, peer: IpAddr) -> Result<Identity, RefusalCode> {
        let holder = self.token_holder(secret).await.map_err(|error| unavailable(&error))?;
        let (row, known) = holder.ok_or(RefusalCode::BadToken)?;
        if row.kind != TokenKind::Ingest {
            return Err(RefusalCode::WrongKind);
        }
        if let Some(code) = self.refused_token(&row) {
            return Err(code);
        }
        if known.suspended {
            return Err(RefusalCode::Suspended);
        }
        self.token_used(row.id, peer);
        Ok(identity(known.tenant, Some(&row)))
    }

    async fn identify_loopback(&self, peer: IpAddr) -> Result<Identity, RefusalCode> {
        let config = &self.inner.config;
        if !config.embedded || !config.loopback_default_tenant || !peer.to_canonical().is_loopback() {
            return Err(RefusalCode::NoCredential);
        }
        let only = self.only_tenant().await.map_err(|error| unavailable(&error))?;
        let known = only.ok_or(RefusalCode::NoCredential)?;
        if known.suspended { Err(RefusalCode::Suspended) } else { Ok(identity(known.tenant, None)) }
    }

    fn trust(&self) -> watch::Receiver<Arc<TrustSet>> {
        self.inner.access.trust.subscribe()
    }

    async fn know_trust(&self) -> Result<(), RefusalCode> {
        Services::know_trust(self).await
    }

    async fn identify_trusted(
        &self,
        tenant: &TenantId,
        source: Option<SourceKey>,
        name: Option<Arc<str>>,
    ) -> Result<Identity, RefusalCode> {
        let known = self.ingest_tenant(tenant).await.map_err(|error| unavailable(&error))?;
        let known = known.ok_or(RefusalCode::NoCredential)?;
        if known.suspended {
            return Err(RefusalCode::Suspended);
        }
        Ok(Identity { tenant: known.tenant, source, token: 0, name })
    }

    async fn owner_of(&self, secret: &str) -> Option<(TenantId, u64)> {
        let (row, _) = self.token_holder(secret).await.ok()??;
        Some((row.tenant.clone(), row.id))
    }

    async fn known_sources(&self, tenant: &TenantId, most: usize) -> Option<Vec<SourceKey>> {
        const PAGE: u32 = 10_000;
        let mut found = Vec::new();
        while found.len() < most {
            let page = self.sql().source_keys(tenant, found.last(), PAGE).await;
            let page = page.map_err(|error| unavailable(&error.into())).ok()?;
            let is_last = page.len() < PAGE as usize;
            found.extend(page);
            if is_last {
                break;
            }
        }
        Some(found)
    }

    fn revocations(&self) -> watch::Receiver<Arc<HashSet<u64>>> {
        self.inner.access.revoked.subscribe()
    }

    fn refused(&self, refusal: Refusal, tenant: Option<TenantId>) {
        let reason = RefusalCode::parse(&refusal.code).map_or("other", RefusalCode::code);
        metrics::counter!("qgx_ingest_refusals_total", "reason" => reason).increment(refusal.count.max(1));
        self.inner.live.bus().say_refusal(tenant.as_ref(), &refusal);
        self.heard_refusal(refusal, tenant.as_ref());
    }

    fn stream_taken(&self, taken: StreamTaken) {
        self.inner.live.bus().say(Said::StreamTaken(taken));
    }

    fn streams_taken(&self) -> Option<broadcast::Receiver<StreamTaken>> {
        Some(self.inner.live.streams_taken())
    }

    fn token_used(&self, id: u64, peer: IpAddr) {
        let minute = Timestamp::now().as_nanos().div_euclid(MINUTE_NANOS) * MINUTE_NANOS;
        let at = Timestamp::from_nanos(minute);
        let mut uses = self.inner.access.uses.lock();
        let used = uses.entry(id).or_insert(Use { at, peer, written: false });
        if used.at != at {
            *used = Use { at, peer, written: false };
        }
    }
}

fn unavailable(error: &ServiceError) -> RefusalCode {
    error.log("ingestion");
    RefusalCode::Unavailable
}

fn identity(tenant: Arc<IngestTenant>, token: Option<&TokenRow>) -> Identity {
    Identity {
        tenant,
        source: token.and_then(|row| row.source.clone()),
        token: token.map_or(0, |row| row.id),
        name: token.map(|row| row.name.as_str().into()),
    }
}

fn known_tenant(row: &TenantRow, masking: Masking) -> KnownTenant {
    let zone = Zone::named(&row.zone).or_else(|| Zone::named(Zone::DEFAULT)).unwrap_or_else(Zone::utc);
    KnownTenant {
        suspended: row.suspended_at.is_some(),
        tenant: Arc::new(IngestTenant {
            key: row.key.clone(),
            zone,
            class: row.class.as_str().into(),
            group: row.index_group,
            events_per_sec: row.quota_events_per_sec,
            bytes_per_sec: row.quota_bytes_per_sec,
            bytes_per_day: row.quota_bytes_per_day,
            masking,
        }),
    }
}
