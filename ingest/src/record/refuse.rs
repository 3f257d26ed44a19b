//! Why a record is not taken.

use domain::Lang;
use std::borrow::Cow;

/// A record that is not stored as an event: on QGX lines a `NACK`, elsewhere a dead letter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Not JSON where JSON was expected (RFC 8259).
    #[error("not JSON: {0}")]
    InvalidJson(String),
    /// JSON, but not an object.
    #[error("expected a JSON object")]
    NotAnObject,
    /// JSON, but not that of an event (DESIGN section 5).
    #[error("not an event: {0}")]
    NotAnEvent(String),
    /// More fields than an event may have.
    #[error("more than {0} fields")]
    TooManyFields(usize),
    /// Nested deeper than an event may be.
    #[error("nested deeper than {0} levels")]
    TooDeep(usize),
    /// A field's name, with those it is nested in, is too long.
    #[error("a field name is longer than {0} bytes")]
    NameTooLong(usize),
    /// Longer than a frame may be.
    #[error("longer than {limit} bytes: {length} bytes so far as counted")]
    FrameTooLarge {
        /// The limit.
        limit: usize,
        /// The length, as far as counted.
        length: u64,
    },
    /// Its JSON is longer than topics allow, even without the original bytes.
    #[error("as an event it is longer than {limit} bytes: {length} bytes")]
    RecordTooLarge {
        /// The limit.
        limit: usize,
        /// The length.
        length: usize,
    },
    /// The connection ended in the middle of it.
    #[error("the connection ended in the middle of a frame")]
    Truncated,
    /// Nothing in it.
    #[error("an empty line")]
    Empty,
    /// A frame's length or delimiter is not what its protocol has.
    #[error("broken framing: {0}")]
    Framing(Cow<'static, str>),
    /// The record names another credential than the connection's.
    #[error("the identity of a connection cannot change")]
    IdentityChanged,
}

impl RecordError {
    /// Stable code, for programs and as a metric's `reason`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::InvalidJson(_) => "invalid_json",
            Self::NotAnObject => "not_an_object",
            Self::NotAnEvent(_) => "undecodable",
            Self::TooManyFields(_) => "too_many_fields",
            Self::TooDeep(_) => "too_deep",
            Self::NameTooLong(_) => "name_too_long",
            Self::FrameTooLarge { .. } => "frame_too_large",
            Self::RecordTooLarge { .. } => "record_too_large",
            Self::Truncated => "truncated",
            Self::Empty => "empty_line",
            Self::Framing(_) => "framing",
            Self::IdentityChanged => "identity_changed",
        }
    }

    /// What is wrong, for people. The display is the English one.
    pub fn message(&self, lang: Lang) -> String {
        if lang == Lang::En {
            return self.to_string();
        }
        match self {
            // The parser's own words are English; where it stopped is what helps.
            Self::InvalidJson(detail) => match detail.rsplit_once("column ") {
                Some((_, column)) => format!("JSON이 아닙니다. {column}번째 바이트에서 읽기를 멈췄습니다."),
                None => "JSON이 아닙니다.".to_owned(),
            },
            Self::NotAnObject => "JSON 객체가 아닙니다.".to_owned(),
            Self::NotAnEvent(detail) => format!("이벤트의 JSON이 아닙니다: {detail}"),
            Self::TooManyFields(most) => format!("필드가 {most}개를 넘습니다."),
            Self::TooDeep(most) => format!("{most}단계보다 깊게 중첩되어 있습니다."),
            Self::NameTooLong(most) => format!("필드 이름이 {most}바이트를 넘습니다."),
            Self::FrameTooLarge { limit, length } => {
                format!("{limit}바이트를 넘습니다. 센 데까지 {length}바이트입니다.")
            }
            Self::RecordTooLarge { limit, length } => {
                format!("이벤트로 만들면 {limit}바이트를 넘습니다. {length}바이트입니다.")
            }
            Self::Truncated => "레코드 중간에 연결이 끊겼습니다.".to_owned(),
            Self::Empty => "빈 줄입니다.".to_owned(),
            Self::Framing(_) => "프레임의 길이나 구분자가 프로토콜과 다릅니다.".to_owned(),
            Self::IdentityChanged => "한 연결의 토큰은 바꿀 수 없습니다.".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_read_it_in_their_language() {
        fn check(error: &RecordError, ko: &str, en: &str) {
            assert_eq!((error.message(Lang::Ko).as_str(), error.message(Lang::En).as_str()), (ko, en));
        }
        let json = serde_json::from_str::<serde_json::Value>("{\"a\":").unwrap_err().to_string();
        check(
            &RecordError::InvalidJson(json),
            "JSON이 아닙니다. 5번째 바이트에서 읽기를 멈췄습니다.",
            "not JSON: EOF while parsing a value at line 1 column 5",
        );
        check(&RecordError::NotAnObject, "JSON 객체가 아닙니다.", "expected a JSON object");
        check(&RecordError::TooManyFields(256), "필드가 256개를 넘습니다.", "more than 256 fields");
    }
}
