//! What was wrong with a request.

use serde::{Deserialize, Serialize};

/// Problem details (RFC 9457) with our `code` and the request's id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem {
    /// `about:blank` or a documentation address.
    #[serde(rename = "type", default = "about_blank")]
    pub kind: String,
    /// Short, for people, in their language.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// What, where, and what to do, in the person's language.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Stable, for programs.
    pub code: String,
    /// To name when asking for help.
    pub request_id: String,
    /// Which input is wrong, where one is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldProblem>,
}

fn about_blank() -> String {
    "about:blank".to_owned()
}

/// One wrong input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FieldProblem {
    /// The input's name.
    pub field: String,
    /// What is wrong and what to do, in the person's language.
    pub message: String,
    /// Where in the text, in characters, for a query: start and end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span: Option<(u32, u32)>,
}
