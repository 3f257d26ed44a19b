//! Services on an SQLite database in memory, a tantivy index in a temporary folder, and a broker in memory.

use crate::*;
use bytes::Bytes;
use domain::api::{TokenInput, TokenKind};
use domain::event::{EventKind, StoredEvent};
use domain::{EventId, Lang, Level, Role, SourceKey, TenantId, Timestamp};
use std::sync::Arc;
use std::time::Duration;
use store::broker::memory::MemoryBroker;
use store::broker::{Origin, Record, Route};
use store::index::{EventIndex, IndexEntry};
use store::sql::{Accounts, Flush, Pipeline, SessionRow, Sessions, SourceDelta, TenantRow};
use store_index::{IndexOptions, TantivyIndex};
use store_sql::SqlDatabase;

/// The password of every person of the fixture.
pub(crate) const PASSWORD: &str = "아주 아주 긴 비밀번호";

pub(crate) struct Fixture {
    pub(crate) services: Services,
    pub(crate) sql: Arc<SqlDatabase>,
    pub(crate) tenant: TenantId,
    pub(crate) broker: Arc<MemoryBroker>,
    index: Arc<TantivyIndex>,
    offset: std::sync::atomic::AtomicU64,
    _dir: tempfile::TempDir,
}

/// An event to store.
#[derive(Clone, Copy)]
pub(crate) struct Sample<'a> {
    pub(crate) source: &'a str,
    pub(crate) ts: Timestamp,
    pub(crate) level: Option<Level>,
    pub(crate) message: Option<&'a str>,
    pub(crate) number: Option<(&'a str, f64)>,
}

impl Fixture {
    /// With the default tenant and its owner.
    pub(crate) async fn new() -> Self {
        let fixture = Self::empty(|_| ()).await;
        let setup =
            OwnerSetup { email: Some("owner@example.com".to_owned()), password: Some(PASSWORD.to_owned()) };
        let made = fixture.services.bootstrap(setup).await.unwrap();
        Self { tenant: made.tenant.key, ..fixture }
    }

    /// With nothing in it.
    pub(crate) async fn empty(configure: impl FnOnce(&mut ServicesConfig)) -> Self {
        let sql = SqlDatabase::connect("sqlite::memory:").await.unwrap();
        sql.migrate().await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let index = TantivyIndex::open(dir.path(), IndexOptions::default()).unwrap();
        let mut config = ServicesConfig {
            secret_keys: vec![[7; 32]],
            embedded: true,
            loopback_default_tenant: true,
            password_params: PasswordParams::cheap(),
        };
        configure(&mut config);
        let broker = MemoryBroker::new(1);
        let stores = Stores { sql: sql.clone(), index: index.clone(), broker: broker.clone() };
        Self {
            services: Services::new(stores, config),
            sql,
            tenant: TenantId::new("t_none").unwrap(),
            broker,
            index,
            offset: Default::default(),
            _dir: dir,
        }
    }

    /// The local command line in the default tenant.
    pub(crate) fn local(&self) -> Ctx {
        Ctx::local_in(Lang::En, self.tenant.clone())
    }

    /// Somebody with a role, signed in.
    pub(crate) async fn person(&self, email: &str, role: Role) -> Ctx {
        let user = NewUser {
            email: email.to_owned(),
            name: String::new(),
            password: Some(PASSWORD.to_owned()),
            tenant: Some(self.tenant.clone()),
            role,
            operator: false,
        };
        let user_id = match self.services.create_user(&self.local(), user).await {
            Ok(made) => made.profile.id,
            Err(ServiceError::Conflict { .. }) => self.sql.user_by_email(email).await.unwrap().unwrap().id,
            Err(error) => panic!("{error}"),
        };
        self.signed_in(&user_id, &format!("session of {email}")).await
    }

    /// An owner and operator whose password somebody else made, signed in.
    pub(crate) async fn given_password(&self, email: &str) -> Ctx {
        let user = NewUser {
            email: email.to_owned(),
            name: String::new(),
            password: None,
            tenant: Some(self.tenant.clone()),
            role: Role::Owner,
            operator: true,
        };
        let made = self.services.create_user(&self.local(), user).await.unwrap();
        assert!(made.generated_password.is_some());
        self.signed_in(&made.profile.id, &format!("session of {email}")).await
    }

    /// A new session of somebody.
    pub(crate) async fn signed_in(&self, user_id: &str, session_id: &str) -> Ctx {
        let now = Timestamp::now();
        let session = SessionRow {
            id: session_id.to_owned(),
            site: "app".to_owned(),
            user_id: Some(user_id.to_owned()),
            data: "{}".to_owned(),
            user_agent: "test".to_owned(),
            peer: "127.0.0.1".to_owned(),
            created_at: now,
            last_seen_at: now,
            expires_at: now.plus_nanos(3_600_000_000_000),
        };
        self.sql.create_session(&session).await.unwrap();
        let person = self.services.person(user_id, session_id, None).await.unwrap().unwrap();
        Ctx::of(Actor::Person(person), Lang::En)
    }

    /// A token and its actor.
    pub(crate) async fn token(&self, kind: TokenKind, role: Option<Role>) -> (String, Ctx) {
        let input = TokenInput { kind, name: "token".to_owned(), source: None, role, expires_at: None };
        let made = self.services.create_token(&self.local(), input).await.unwrap();
        let actor = self.services.token_actor(&made.token, None).await.unwrap();
        (made.token, Ctx::of(Actor::Token(actor), Lang::En))
    }

    /// A second tenant.
    pub(crate) async fn other_tenant(&self) -> TenantRow {
        let made = self.services.create_tenant(&self.local(), NewTenant::named("other", "Other")).await;
        self.sql.tenant(&made.unwrap().key).await.unwrap().unwrap()
    }

    /// Stores events as the processor would: index first, then SQL; answers their ids.
    pub(crate) async fn store(&self, tenant: &TenantId, samples: &[Sample<'_>]) -> Vec<EventId> {
        use std::sync::atomic::Ordering;
        let (mut entries, mut ids, mut flush) = (Vec::new(), Vec::new(), Flush::default());
        for sample in samples {
            let offset = self.offset.fetch_add(1, Ordering::Relaxed);
            let received_at = Timestamp::now();
            let id = EventId(uuid::Uuid::from_u128(u128::from(offset) + 1));
            let mut event = StoredEvent {
                id,
                tenant: tenant.as_str().into(),
                source: sample.source.into(),
                ts: sample.ts,
                received_at,
                kind: if sample.message.is_some() { EventKind::Log } else { EventKind::Metric },
                level: sample.level,
                message: sample.message.map(Into::into),
                n: Default::default(),
                s: Default::default(),
                b: Default::default(),
                x: vec![],
                raw: None,
            };
            if let Some((name, value)) = sample.number {
                let name = domain::event::Text(name.replace('.', "/").into());
                event.n.0.push((name, domain::event::OneOrMany::One(value)));
            }
            let source = SourceKey::new(sample.source).unwrap();
            let route = Route {
                tenant: tenant.clone(),
                source: source.clone(),
                class: "30d".into(),
                group: 1,
                protocol: "ndjson".into(),
            };
            let payload = Bytes::from(serde_json::to_vec(&event).unwrap());
            let level = event.level.map_or(9, Level::rank);
            let bytes = payload.len() as u64;
            let record =
                Record { offset, route: Arc::new(route), origin: Origin::Unmarked, token: 0, payload };
            entries.push(IndexEntry { partition: 0, record });
            flush.sources.push(SourceDelta {
                tenant: tenant.clone(),
                source,
                protocol: "ndjson".to_owned(),
                arrivals: vec![(minute(received_at), level, 1, bytes)],
                received: (received_at, received_at),
                ts: (sample.ts, sample.ts),
            });
            ids.push(id);
        }
        let written = self.index.write(entries).await.unwrap();
        assert_eq!(written.indexed, samples.len() as u64);
        for delta in std::mem::take(&mut flush.sources) {
            let one = Flush { sources: vec![delta], ..Flush::default() };
            self.sql.flush("qgx.events.v1", &one).await.unwrap();
        }
        ids
    }
}

impl Default for Sample<'_> {
    fn default() -> Self {
        Self { source: "pump-1", ts: Timestamp::now(), level: None, message: None, number: None }
    }
}

pub(crate) fn minute(at: Timestamp) -> Timestamp {
    Timestamp::from_secs(at.as_secs().div_euclid(60) * 60)
}

pub(crate) fn key(text: &str) -> SourceKey {
    SourceKey::new(text).unwrap()
}

/// The fields that are wrong.
pub(crate) fn wrong_fields<T>(result: Result<T, ServiceError>) -> Vec<String> {
    match result {
        Err(ServiceError::Invalid(problems)) => problems.into_iter().map(|p| p.field).collect(),
        Err(other) => panic!("{other}"),
        Ok(_) => Vec::new(),
    }
}

/// Waits for a stream's next item, at most ten seconds.
pub(crate) async fn next<T>(stream: &mut (impl futures::Stream<Item = T> + Unpin)) -> Option<T> {
    use futures::StreamExt;
    tokio::time::timeout(Duration::from_secs(10), stream.next()).await.expect("an item within ten seconds")
}
