//! Who asks, under which request, until when: one explicit value through every use case.

use crate::ServiceError;
use domain::api::{FieldProblem, TokenKind};
use domain::{Lang, Permission, Role, TenantId};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use store::index::ReadLimit;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The longest a read takes.
pub const READ_DEADLINE: Duration = Duration::from_secs(30);

/// The circumstances of one request.
#[derive(Debug, Clone)]
pub struct Ctx {
    /// Who asks.
    pub actor: Actor,
    /// Stands in logs and in answers about errors.
    pub request_id: Arc<str>,
    /// The language of messages.
    pub lang: Lang,
    /// The client's address, as far as it is known and trusted.
    pub peer: Option<IpAddr>,
    /// Latest end of what answers at once; streams (export, live) go on beyond it.
    pub deadline: Instant,
    /// Cancelled when the client leaves or the process stops: reads and streams end.
    pub cancel: CancellationToken,
}

/// Who asks.
#[derive(Debug, Clone)]
pub enum Actor {
    /// Nobody yet.
    Anonymous,
    /// A signed-in person.
    Person(Person),
    /// A program with a token.
    Token(TokenActor),
    /// The control socket, or the command line on its own data directory: may do anything but speak for a person. With
    /// the tenant it chose, where it chose one.
    Local(Option<TenantId>),
}

/// A signed-in person with the selected tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Id.
    pub user_id: String,
    /// `SessionRow::id` of the session: SHA-256 of the cookie's secret, hex.
    pub session_id: String,
    /// The selected tenant.
    pub tenant: TenantId,
    /// The role in it.
    pub role: Role,
    /// Operator of the platform.
    pub operator: bool,
    /// Must choose a new password before anything else: until then only `me`, `sessions` and `change_password` answer.
    pub must_change_password: bool,
}

/// A token as an actor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenActor {
    /// Its id.
    pub id: u64,
    /// Whose.
    pub tenant: TenantId,
    /// What it is for: an ingest token may send and nothing else.
    pub kind: TokenKind,
    /// Rights of an API token; an ingest token's is not looked at.
    pub role: Role,
}

impl Ctx {
    /// The local command line, with no tenant chosen.
    pub fn local(lang: Lang) -> Self {
        Self::of(Actor::Local(None), lang)
    }

    /// The local command line, in a tenant.
    pub fn local_in(lang: Lang, tenant: TenantId) -> Self {
        Self::of(Actor::Local(Some(tenant)), lang)
    }

    /// An actor without request id and address, with the usual deadline.
    pub fn of(actor: Actor, lang: Lang) -> Self {
        Self {
            actor,
            request_id: "local".into(),
            lang,
            peer: None,
            deadline: Instant::now() + READ_DEADLINE,
            cancel: CancellationToken::new(),
        }
    }

    /// The tenant this is about.
    ///
    /// # Errors
    /// [`ServiceError::Unauthenticated`] for nobody; `Invalid("tenant")` where the command line chose none.
    pub fn tenant(&self) -> Result<&TenantId, ServiceError> {
        match &self.actor {
            Actor::Anonymous => Err(ServiceError::Unauthenticated),
            Actor::Person(person) => Ok(&person.tenant),
            Actor::Token(token) => Ok(&token.tenant),
            Actor::Local(Some(tenant)) => Ok(tenant),
            Actor::Local(None) => Err(ServiceError::Invalid(vec![FieldProblem {
                field: "tenant".to_owned(),
                message: self
                    .lang
                    .pick("테넌트를 고르세요(--tenant).", "Choose a tenant (--tenant).")
                    .to_owned(),
                span: None,
            }])),
        }
    }

    /// Whether the actor holds a permission.
    pub fn may(&self, needed: Permission) -> bool {
        match &self.actor {
            Actor::Anonymous => false,
            Actor::Person(person) if needed == Permission::Platform => person.operator,
            Actor::Person(person) => person.role.may(needed),
            Actor::Token(token) => match token.kind {
                TokenKind::Ingest => needed == Permission::SendEvents,
                TokenKind::Api => needed != Permission::OwnAccount && token.role.may(needed),
            },
            Actor::Local(_) => needed != Permission::OwnAccount,
        }
    }

    /// Stops people whose password somebody else made, until they have chosen one of their own.
    fn own_password(&self) -> Result<(), ServiceError> {
        match &self.actor {
            Actor::Person(person) if person.must_change_password => Err(ServiceError::MustChangePassword),
            _ => Ok(()),
        }
    }

    /// The tenant, where the actor holds the permission in it.
    ///
    /// # Errors
    /// As [`Ctx::tenant`], [`ServiceError::MustChangePassword`], or [`ServiceError::Forbidden`].
    pub fn require(&self, needed: Permission) -> Result<&TenantId, ServiceError> {
        self.own_password()?;
        self.require_even_before_new_password(needed)
    }

    /// As [`Ctx::require`], also for people who must choose a new password first.
    ///
    /// # Errors
    /// As [`Ctx::tenant`], or [`ServiceError::Forbidden`].
    pub(crate) fn require_even_before_new_password(
        &self,
        needed: Permission,
    ) -> Result<&TenantId, ServiceError> {
        let tenant = self.tenant()?;
        if self.may(needed) { Ok(tenant) } else { Err(ServiceError::Forbidden { needed }) }
    }

    /// The person, for what concerns their own account.
    ///
    /// # Errors
    /// [`ServiceError::Unauthenticated`] for nobody, [`ServiceError::Forbidden`] for what is no person,
    /// [`ServiceError::MustChangePassword`].
    pub fn require_person(&self) -> Result<&Person, ServiceError> {
        self.own_password()?;
        self.require_person_even_before_new_password()
    }

    /// As [`Ctx::require_person`], also for people who must choose a new password first.
    ///
    /// # Errors
    /// [`ServiceError::Unauthenticated`] for nobody, [`ServiceError::Forbidden`] for what is no person.
    pub(crate) fn require_person_even_before_new_password(&self) -> Result<&Person, ServiceError> {
        match &self.actor {
            Actor::Anonymous => Err(ServiceError::Unauthenticated),
            Actor::Person(person) => Ok(person),
            Actor::Token(_) | Actor::Local(_) => {
                Err(ServiceError::Forbidden { needed: Permission::OwnAccount })
            }
        }
    }

    /// Passes operators and the local command line.
    ///
    /// # Errors
    /// [`ServiceError::Unauthenticated`] for nobody, [`ServiceError::MustChangePassword`],
    /// [`ServiceError::Forbidden`] for everybody else.
    pub fn require_platform(&self) -> Result<(), ServiceError> {
        self.own_password()?;
        match &self.actor {
            Actor::Anonymous => Err(ServiceError::Unauthenticated),
            _ if self.may(Permission::Platform) => Ok(()),
            _ => Err(ServiceError::Forbidden { needed: Permission::Platform }),
        }
    }

    /// When a read of this request ends: at its deadline, at most [`READ_DEADLINE`] from now, or when it is cancelled.
    pub fn limit(&self) -> ReadLimit {
        let deadline = self.deadline.min(Instant::now() + READ_DEADLINE);
        ReadLimit { deadline, cancel: self.cancel.clone() }
    }
}
