//! The one error of this boundary: what the public may read apart from the cause.

use domain::api::{FieldProblem, Problem};
use domain::{Lang, Permission};
use std::error::Error;
use std::time::Duration;
use store::broker::BrokerError;
use store::index::IndexError;
use store::sql::SqlError;

/// Why a use case could not.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// Nobody is signed in, or the credential is not (or no longer) good: 401.
    #[error("unauthenticated")]
    Unauthenticated,
    /// Sign-in with a wrong e-mail or password: 401.
    #[error("wrong e-mail or password")]
    BadCredentials,
    /// Signed in, but not for this: 403.
    #[error("forbidden: needs {needed:?}")]
    Forbidden {
        /// What would be needed.
        needed: Permission,
    },
    /// Signed in with a password that somebody else made: nothing but choosing a new one is allowed: 403.
    #[error("forbidden: must change the password first")]
    MustChangePassword,
    /// Not there, or not the tenant's: 404.
    #[error("not found: {what}")]
    NotFound {
        /// Stable name of the thing: `event`, `source`, `token`, `session`, `user`, `tenant`.
        what: &'static str,
    },
    /// Wrong input, the messages in the asker's language: 400.
    #[error("invalid input")]
    Invalid(Vec<FieldProblem>),
    /// Taken already: 409.
    #[error("already there: {what}")]
    Conflict {
        /// What is taken: `key`, `slug`, `email`, …
        what: &'static str,
    },
    /// In no state for what is asked of it: 409. The text is for the asker, in their language.
    #[error("not in a state for it: {code}")]
    Unfit {
        /// Stable, for programs.
        code: &'static str,
        /// Why, for people.
        text: String,
    },
    /// Too often: 429.
    #[error("too many requests")]
    RateLimited {
        /// When to try again.
        retry_after: Duration,
    },
    /// Asks for more than the server gives at once: 413. The text is for the asker, in their language; empty: the usual
    /// advice.
    #[error("too large: {0}")]
    TooLarge(String),
    /// Took too long, or the asker left: 504.
    #[error("stopped at the deadline")]
    Deadline,
    /// Cannot now: 503.
    #[error("busy")]
    Busy {
        /// When to try again.
        retry_after: Duration,
    },
    /// A fault of ours: 500. The cause goes to the log, never to the asker.
    #[error("internal error")]
    Internal(Cause),
}

/// What went wrong inside; for the log.
#[derive(Debug)]
pub struct Cause {
    doing: &'static str,
    source: Box<dyn Error + Send + Sync>,
}

impl Cause {
    /// What was being done: a short constant.
    pub fn doing(&self) -> &'static str {
        self.doing
    }

    /// What went wrong.
    pub fn source(&self) -> &(dyn Error + Send + Sync) {
        &*self.source
    }
}

impl ServiceError {
    /// A fault of ours.
    pub fn internal(doing: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Internal(Cause { doing, source: source.into() })
    }

    /// One wrong input.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldProblem { field: field.into(), message: message.into(), span: None }])
    }

    /// Stable, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unauthenticated => "unauthenticated",
            Self::BadCredentials => "bad_credentials",
            Self::Forbidden { .. } => "forbidden",
            Self::MustChangePassword => "must_change_password",
            Self::NotFound { .. } => "not_found",
            Self::Invalid(_) => "invalid",
            Self::Conflict { .. } => "conflict",
            Self::Unfit { code, .. } => code,
            Self::RateLimited { .. } => "rate_limited",
            Self::TooLarge(_) => "too_large",
            Self::Deadline => "deadline",
            Self::Busy { .. } => "busy",
            Self::Internal(_) => "internal",
        }
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        match self {
            Self::Unauthenticated | Self::BadCredentials => 401,
            Self::Forbidden { .. } | Self::MustChangePassword => 403,
            Self::NotFound { .. } => 404,
            Self::Invalid(_) => 400,
            Self::Conflict { .. } | Self::Unfit { .. } => 409,
            Self::RateLimited { .. } => 429,
            Self::TooLarge(_) => 413,
            Self::Deadline => 504,
            Self::Busy { .. } => 503,
            Self::Internal(_) => 500,
        }
    }

    /// For `Retry-After`, where trying again helps.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after } | Self::Busy { retry_after } => Some(*retry_after),
            _ => None,
        }
    }

    /// Logs the cause of a fault of ours; the rest is the asker's business and stands in the request's own line.
    /// Called once, where the error becomes an answer.
    pub fn log(&self, request_id: &str) {
        if let Self::Internal(cause) = self {
            tracing::error!(request_id, doing = cause.doing, cause = %cause.source, "a request failed");
        }
    }

    /// What the asker reads.
    pub fn problem(&self, lang: Lang, request_id: &str) -> Problem {
        let (title, detail) = self.text(lang);
        Problem {
            kind: "about:blank".to_owned(),
            title: title.to_owned(),
            status: self.status(),
            detail: (!detail.is_empty()).then_some(detail),
            code: self.code().to_owned(),
            request_id: request_id.to_owned(),
            errors: if let Self::Invalid(problems) = self { problems.clone() } else { Vec::new() },
        }
    }

    fn text(&self, lang: Lang) -> (&'static str, String) {
        let (ko, en) = match self {
            Self::Unauthenticated => (
                ("로그인이 필요합니다", "로그인하거나 유효한 토큰을 보내세요.".to_owned()),
                ("Sign-in needed", "Sign in, or send a valid token.".to_owned()),
            ),
            Self::BadCredentials => (
                ("로그인하지 못했습니다", "이메일 또는 비밀번호가 맞지 않습니다.".to_owned()),
                ("Could not sign in", "The e-mail or the password is wrong.".to_owned()),
            ),
            Self::Forbidden { needed } => (
                ("권한이 없습니다", format!("{} 권한이 필요합니다.", permission_name(*needed, Lang::Ko))),
                (
                    "Not allowed",
                    format!("This needs the permission to {}.", permission_name(*needed, Lang::En)),
                ),
            ),
            Self::MustChangePassword => (
                (
                    "먼저 비밀번호를 바꾸세요",
                    "처음 받은 비밀번호를 새것으로 바꾼 뒤에 이용할 수 있습니다(설정 → 비밀번호).".to_owned(),
                ),
                (
                    "Change the password first",
                    "Replace the password you were given by one of your own (Settings → Password); everything else \
                     is open after that."
                        .to_owned(),
                ),
            ),
            Self::NotFound { what } => (
                ("찾을 수 없습니다", format!("{}을(를) 찾을 수 없습니다.", thing(what, Lang::Ko))),
                ("Not found", format!("There is no such {}.", thing(what, Lang::En))),
            ),
            Self::Invalid(problems) => {
                let list = problems.iter().map(|p| p.message.as_str()).collect::<Vec<_>>().join(" ");
                (("입력을 확인하세요", list.clone()), ("Check the input", list))
            }
            Self::Conflict { what } => (
                ("이미 있습니다", format!("같은 {}이(가) 이미 있습니다.", thing(what, Lang::Ko))),
                ("Already there", format!("This {} is already taken.", thing(what, Lang::En))),
            ),
            Self::Unfit { text, .. } => {
                (("지금은 할 수 없습니다", text.clone()), ("Not possible as it is", text.clone()))
            }
            Self::RateLimited { retry_after } => (
                ("요청이 너무 많습니다", format!("{}초 뒤에 다시 시도하세요.", secs(*retry_after))),
                ("Too many requests", format!("Try again in {} s.", secs(*retry_after))),
            ),
            Self::TooLarge(text) => {
                let or = |usual: &str| if text.is_empty() { usual.to_owned() } else { text.clone() };
                (
                    ("요청이 너무 큽니다", or("범위나 개수를 줄여서 다시 시도하세요.")),
                    ("Too large", or("Narrow the window or ask for less.")),
                )
            }
            Self::Deadline => (
                ("시간이 초과되었습니다", "범위를 줄여서 다시 시도하세요.".to_owned()),
                ("Took too long", "Narrow the window and try again.".to_owned()),
            ),
            Self::Busy { retry_after } => (
                ("지금은 처리할 수 없습니다", format!("{}초 뒤에 다시 시도하세요.", secs(*retry_after))),
                ("Busy", format!("Try again in {} s.", secs(*retry_after))),
            ),
            Self::Internal(_) => (
                (
                    "서버 오류가 발생했습니다",
                    "다시 시도해도 계속되면 요청 번호와 함께 문의하세요.".to_owned(),
                ),
                ("Server error", "If it happens again, ask for help and name the request id.".to_owned()),
            ),
        };
        lang.pick(ko, en)
    }
}

/// Whole seconds, rounded up, at least one.
fn secs(time: Duration) -> u64 {
    (time.as_secs() + u64::from(time.subsec_nanos() > 0)).max(1)
}

fn permission_name(permission: Permission, lang: Lang) -> &'static str {
    let (ko, en) = match permission {
        Permission::ReadEvents => ("이벤트 읽기", "read events"),
        Permission::ReadSources => ("소스 읽기", "read sources"),
        Permission::SendEvents => ("이벤트 보내기", "send events"),
        Permission::WriteSources => ("소스 편집", "change sources"),
        Permission::IngestTokens => ("수집 토큰 관리", "manage ingest tokens"),
        Permission::ApiTokens => ("API 토큰 관리", "manage API tokens"),
        Permission::TenantSettings => ("테넌트 설정", "change the tenant's settings"),
        Permission::ResolveDeadLetters => ("오류 기록 처리", "deal with dead letters"),
        Permission::OwnAccount => ("본인 계정", "act on an account of one's own (people only)"),
        Permission::Platform => ("플랫폼 운영", "operate the platform"),
    };
    lang.pick(ko, en)
}

fn thing(what: &'static str, lang: Lang) -> &'static str {
    let ko = match what {
        "event" => "이벤트",
        "source" => "소스",
        "token" => "토큰",
        "session" => "세션",
        "user" => "사용자",
        "tenant" => "테넌트",
        "key" => "키",
        "slug" => "짧은 이름",
        "email" => "이메일",
        "path" => "주소",
        "dead_letter" => "오류 기록",
        "Idempotency-Key" => "Idempotency-Key",
        _ => "항목",
    };
    let en = match what {
        "email" => "e-mail",
        "slug" => "short name",
        "dead_letter" => "dead letter",
        other => other,
    };
    lang.pick(ko, en)
}

impl From<SqlError> for ServiceError {
    fn from(error: SqlError) -> Self {
        match error {
            SqlError::Conflict(what) => Self::Conflict { what },
            SqlError::NotFound => Self::NotFound { what: "item" },
            SqlError::Schema { .. } | SqlError::Failed(_) => Self::internal("database", error),
        }
    }
}

impl From<IndexError> for ServiceError {
    fn from(error: IndexError) -> Self {
        match error {
            IndexError::Deadline => Self::Deadline,
            // The store's words are in no language of ours, and name fields.
            IndexError::TooLarge(_) => Self::TooLarge(String::new()),
            IndexError::Away { reason, retry_after } => {
                tracing::warn!(reason, "the event index is away: a reader is told to come again");
                Self::Busy { retry_after }
            }
            IndexError::Failed(_) => Self::internal("event index", error),
        }
    }
}

impl From<BrokerError> for ServiceError {
    fn from(error: BrokerError) -> Self {
        match error {
            BrokerError::Busy { retry_after, .. } => Self::Busy { retry_after },
            BrokerError::Closed => Self::Busy { retry_after: Duration::from_secs(5) },
            BrokerError::Failed(_) | BrokerError::OutOfRange { .. } => Self::internal("broker", error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(error: ServiceError, status: u16, code: &str, ko: &str, en: &str) {
        for (lang, detail) in [(Lang::Ko, ko), (Lang::En, en)] {
            let problem = error.problem(lang, "r-1");
            assert_eq!((problem.status, problem.code.as_str()), (status, code));
            assert_eq!(problem.detail.as_deref(), Some(detail));
            assert_eq!(problem.request_id, "r-1");
        }
    }

    #[test]
    fn problems_speak_both_languages_and_never_the_cause() {
        check(
            ServiceError::internal("database", "password=hunter2"),
            500,
            "internal",
            "다시 시도해도 계속되면 요청 번호와 함께 문의하세요.",
            "If it happens again, ask for help and name the request id.",
        );
        check(
            ServiceError::RateLimited { retry_after: Duration::from_millis(1_500) },
            429,
            "rate_limited",
            "2초 뒤에 다시 시도하세요.",
            "Try again in 2 s.",
        );
        check(
            ServiceError::Conflict { what: "email" },
            409,
            "conflict",
            "같은 이메일이(가) 이미 있습니다.",
            "This e-mail is already taken.",
        );
    }
}
