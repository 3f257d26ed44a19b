//! What ingestion asks: whose data is this, and may it come in?

use crate::trusted::TrustSet;
use async_trait::async_trait;
use domain::api::Refusal;
use domain::masking::Rules;
use domain::{Lang, SourceKey, TenantId, Timestamp, Zone};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::{broadcast, watch};

/// Who a connection is.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Whose data it sends.
    pub tenant: Arc<IngestTenant>,
    /// The source its token is bound to; beats what records say.
    pub source: Option<SourceKey>,
    /// Its token's id; 0 where it has none.
    pub token: u64,
    /// Its token's name: the source where nothing else names one.
    pub name: Option<Arc<str>>,
}

/// What ingestion needs to know of a tenant.
#[derive(Debug, Clone)]
pub struct IngestTenant {
    /// Its key.
    pub key: TenantId,
    /// For times without a zone, and for its midnight.
    pub zone: Zone,
    /// Retention class: `7d`, `30d`, `90d`, `1y`.
    pub class: Arc<str>,
    /// Index group.
    pub group: u16,
    /// `None`: no limit.
    pub events_per_sec: Option<u64>,
    /// `None`: no limit.
    pub bytes_per_sec: Option<u64>,
    /// Of its own day; `None`: no limit.
    pub bytes_per_day: Option<u64>,
    /// What is hidden before anything is stored.
    pub masking: Masking,
}

/// What is hidden before anything is stored.
#[derive(Debug, Clone)]
pub struct Masking {
    /// All that is to be hidden, ready to be looked for.
    pub rules: Arc<Rules>,
}

impl Masking {
    /// By these rules.
    pub fn by(rules: Rules) -> Self {
        Self { rules: Arc::new(rules) }
    }
}

impl Default for Masking {
    fn default() -> Self {
        // The standard rules have no hashes, so the key does not matter; nor can they be wrong.
        Self::by(Rules::new(Rules::standard(), [0; 32]).expect("the standard rules can be followed"))
    }
}

/// Why a connection or record was turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefusalCode {
    /// Showed none, and none is needed only from loopback on an embedded server with one tenant.
    NoCredential,
    /// No such token.
    BadToken,
    /// Its time is over.
    ExpiredToken,
    /// A person ended it.
    RevokedToken,
    /// A token for the API, not for ingestion.
    WrongKind,
    /// The tenant is suspended.
    Suspended,
    /// It cannot be known just now.
    Unavailable,
    /// A second, different credential on one connection.
    IdentityChanged,
    /// A client certificate that no authority of a tenant vouches for.
    BadCertificate,
    /// A client certificate that was ended, or whose authority was.
    RevokedCertificate,
    /// The address rule that let it in holds no more.
    AddressRuleEnded,
    /// An HTTP request on the TCP port.
    Http,
    /// More connections than allowed.
    TooManyConnections,
    /// A frame over the limit.
    FrameTooLarge,
    /// Over the tenant's or token's quota.
    Quota,
    /// The platform takes no more for now.
    Busy,
    /// Records name more new sources than a tenant may have in a day; they were taken, without them.
    TooManySources,
}

impl RefusalCode {
    /// Every code.
    pub const ALL: [Self; 17] = [
        Self::NoCredential,
        Self::BadToken,
        Self::ExpiredToken,
        Self::RevokedToken,
        Self::WrongKind,
        Self::Suspended,
        Self::Unavailable,
        Self::IdentityChanged,
        Self::BadCertificate,
        Self::RevokedCertificate,
        Self::AddressRuleEnded,
        Self::Http,
        Self::TooManyConnections,
        Self::FrameTooLarge,
        Self::Quota,
        Self::Busy,
        Self::TooManySources,
    ];

    /// Stable, for programs and for [`Refusal::code`].
    pub fn code(self) -> &'static str {
        match self {
            Self::NoCredential => "no_credential",
            Self::BadToken => "bad_token",
            Self::ExpiredToken => "expired_token",
            Self::RevokedToken => "revoked_token",
            Self::WrongKind => "wrong_kind",
            Self::Suspended => "suspended",
            Self::Unavailable => "unavailable",
            Self::IdentityChanged => "identity_changed",
            Self::BadCertificate => "bad_certificate",
            Self::RevokedCertificate => "revoked_certificate",
            Self::AddressRuleEnded => "address_rule_ended",
            Self::Http => "http",
            Self::TooManyConnections => "too_many_connections",
            Self::FrameTooLarge => "frame_too_large",
            Self::Quota => "quota",
            Self::Busy => "busy",
            Self::TooManySources => "too_many_sources",
        }
    }

    /// Reads [`RefusalCode::code`].
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.code() == code)
    }

    /// What is wrong and what to do.
    pub fn message(self, lang: Lang) -> &'static str {
        let (ko, en) = match self {
            Self::NoCredential => (
                "토큰이 없습니다. 연결 페이지에서 수집 토큰을 만들어 보내세요.",
                "No token was sent. Make an ingest token on the Connect page and send it.",
            ),
            Self::BadToken => (
                "알 수 없는 토큰입니다. 토큰을 끝까지 복사했는지 확인하세요.",
                "This token is not known. Check that it was copied whole.",
            ),
            Self::ExpiredToken => {
                ("만료된 토큰입니다. 새 토큰을 만드세요.", "This token has expired. Make a new one.")
            }
            Self::RevokedToken => {
                ("폐기된 토큰입니다. 새 토큰을 만드세요.", "This token was revoked. Make a new one.")
            }
            Self::WrongKind => (
                "API 토큰으로는 데이터를 보낼 수 없습니다. 수집 토큰을 쓰세요.",
                "This is an API token. Use an ingest token to send data.",
            ),
            Self::Suspended => (
                "테넌트가 정지되었습니다. 운영자에게 문의하세요.",
                "The tenant is suspended. Ask the operator.",
            ),
            Self::Unavailable => (
                "지금은 토큰을 확인할 수 없습니다. 잠시 뒤 다시 시도하세요.",
                "The token cannot be checked just now. Try again shortly.",
            ),
            Self::IdentityChanged => (
                "한 연결에서 다른 토큰으로 바꿀 수 없습니다. 새로 연결하세요.",
                "A connection cannot change its token. Open a new connection.",
            ),
            Self::BadCertificate => (
                "어느 테넌트의 인증 기관도 보증하지 않는 클라이언트 인증서입니다. 운영자에게 문의하세요.",
                "No authority of a tenant vouches for this client certificate. Ask the operator.",
            ),
            Self::RevokedCertificate => (
                "폐기되었거나 인증 기관이 제거된 클라이언트 인증서입니다. 운영자에게 문의하세요.",
                "This client certificate was revoked, or its authority was removed. Ask the operator.",
            ),
            Self::AddressRuleEnded => (
                "이 주소를 허용하던 주소 규칙이 없어졌습니다. 토큰을 쓰거나 운영자에게 문의하세요.",
                "The address rule that let this address in has gone. Use a token, or ask the operator.",
            ),
            Self::Http => (
                "TCP 수집 포트입니다. HTTP는 REST API 포트로 보내세요.",
                "This is the TCP ingestion port. Send HTTP to the port of the REST API.",
            ),
            Self::TooManyConnections => (
                "연결이 너무 많습니다. 쓰지 않는 연결을 닫으세요.",
                "Too many connections. Close those not in use.",
            ),
            Self::FrameTooLarge => (
                "레코드가 허용 크기를 넘습니다. 나누어 보내세요.",
                "The record is over the size limit. Send it in parts.",
            ),
            Self::Quota => (
                "할당량을 넘었습니다. 잠시 뒤 다시 보내거나 할당량을 늘리세요.",
                "Over the quota. Send again later, or have the quota raised.",
            ),
            Self::Busy => (
                "지금은 더 받을 수 없습니다. 잠시 뒤 다시 시도하세요.",
                "No more can be taken for now. Try again shortly.",
            ),
            Self::TooManySources => (
                "하루에 새로 만들 수 있는 소스 수를 넘었습니다. 레코드는 토큰의 소스에 저장됩니다.",
                "More new sources than a day may have. The records are kept under the token's source.",
            ),
        };
        lang.pick(ko, en)
    }
}

/// A connection took a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamTaken {
    /// Whose.
    pub tenant: TenantId,
    /// The stream, as ingestion names it.
    pub stream: String,
    /// When: of two connections the later one has it.
    pub at: Timestamp,
}

/// What ingestion asks of the services. [`crate::Services`] answers it; ingestion's tests bring their own.
#[async_trait]
pub trait IngestAccess: Send + Sync + 'static {
    /// Who holds this secret (`qgx_…`). Ingest tokens only. Cached for up to 3 s.
    ///
    /// # Errors
    /// The reason it is refused for.
    async fn identify(&self, secret: &str, peer: IpAddr) -> Result<Identity, RefusalCode>;

    /// Who a peer without a credential is: the default tenant, in embedded mode, from loopback, while that tenant is
    /// the only one, unless switched off.
    ///
    /// # Errors
    /// The reason it is refused for.
    async fn identify_loopback(&self, peer: IpAddr) -> Result<Identity, RefusalCode>;

    /// Who is trusted without a token, now and from now on. Empty before [`IngestAccess::know_trust`].
    fn trust(&self) -> watch::Receiver<Arc<TrustSet>> {
        watch::channel(Arc::default()).1
    }

    /// Reads who is trusted, where that was never done.
    ///
    /// # Errors
    /// [`RefusalCode::Unavailable`] where it cannot be read.
    async fn know_trust(&self) -> Result<(), RefusalCode> {
        Ok(())
    }

    /// A peer that is trusted to speak for a tenant, bound to this source, with this name in place of a token's.
    ///
    /// # Errors
    /// The reason it is refused for.
    async fn identify_trusted(
        &self,
        tenant: &TenantId,
        source: Option<SourceKey>,
        name: Option<Arc<str>>,
    ) -> Result<Identity, RefusalCode> {
        let _ = (tenant, source, name);
        Err(RefusalCode::NoCredential)
    }

    /// Whose token this is and its id, even where it is refused, so that the refusal can be shown to its owner.
    async fn owner_of(&self, secret: &str) -> Option<(TenantId, u64)> {
        let _ = secret;
        None
    }

    /// The sources a tenant has, at most so many; `None` where they cannot be known just now.
    async fn known_sources(&self, tenant: &TenantId, most: usize) -> Option<Vec<SourceKey>> {
        let _ = (tenant, most);
        Some(Vec::new())
    }

    /// Tokens revoked or expired a short while ago: their connections are to be closed.
    fn revocations(&self) -> watch::Receiver<Arc<HashSet<u64>>>;

    /// Counts a refusal, keeps it, and pushes it to Connect. `tenant` where it is known.
    fn refused(&self, refusal: Refusal, tenant: Option<TenantId>);

    /// Notes that a token was used; cheap, written later.
    fn token_used(&self, id: u64, peer: IpAddr);

    /// Tells other processes that a connection of this one took a stream.
    fn stream_taken(&self, taken: StreamTaken) {
        let _ = taken;
    }

    /// Streams that connections of other processes take; `None` where there are no others.
    fn streams_taken(&self) -> Option<broadcast::Receiver<StreamTaken>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_read_back_and_speaks_both_languages() {
        for code in RefusalCode::ALL {
            assert_eq!(RefusalCode::parse(code.code()), Some(code));
            assert_ne!(code.message(Lang::Ko), code.message(Lang::En));
        }
        assert_eq!(RefusalCode::parse("else"), None);
    }
}
