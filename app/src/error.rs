//! What a server function answers when it cannot: a problem in the person's language, with the request's number and
//! without its cause.

use domain::Lang;
use domain::api::{FieldProblem, Problem};
use leptos::server_fn::codec::JsonEncoding;
use leptos::server_fn::error::{FromServerFnError, ServerFnErrorErr};
use serde::{Deserialize, Serialize};

/// The error of every server function.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AppError(pub Box<Problem>);

/// What calls to the server answer.
pub type Answer<T> = Result<T, AppError>;

impl AppError {
    /// The message about one input, where there is one.
    pub fn about(&self, field: &str) -> Option<&FieldProblem> {
        self.0.errors.iter().find(|e| e.field == field)
    }

    /// Whether signing in again would help.
    pub fn is_signed_out(&self) -> bool {
        self.0.code == "unauthenticated"
    }
}

impl FromServerFnError for AppError {
    type Encoder = JsonEncoding;

    fn from_server_fn_error(error: ServerFnErrorErr) -> Self {
        #[cfg(feature = "ssr")]
        if let Some(refused) = crate::server_fns::wrong_arguments(&error) {
            return refused;
        }
        let lang = page_lang();
        let (code, title, detail) = match error {
            ServerFnErrorErr::Request(_) | ServerFnErrorErr::Response(_) => (
                "network",
                lang.pick("서버에 연결할 수 없습니다", "Cannot reach the server"),
                lang.pick("연결을 확인하고 다시 시도하세요.", "Check the connection and try again."),
            ),
            ServerFnErrorErr::Args(_) | ServerFnErrorErr::MissingArg(_) => (
                "invalid",
                lang.pick("입력을 확인하세요", "Check the input"),
                lang.pick("요청의 형식이 맞지 않습니다.", "The request has the wrong form."),
            ),
            _ => (
                "unexpected",
                lang.pick("예상하지 못한 응답입니다", "Unexpected answer"),
                lang.pick(
                    "새 버전이 배포되었을 수 있습니다. 페이지를 새로 고치세요.",
                    "There may be a new version: reload the page.",
                ),
            ),
        };
        Self(Box::new(Problem {
            kind: "about:blank".to_owned(),
            title: title.to_owned(),
            status: 0,
            detail: Some(detail.to_owned()),
            code: code.to_owned(),
            request_id: String::new(),
            errors: Vec::new(),
        }))
    }
}

/// The language of the page in the browser; of the request on the server.
fn page_lang() -> Lang {
    #[cfg(feature = "ssr")]
    return crate::context::use_request().map(|r| r.lang).unwrap_or_default();
    #[cfg(not(feature = "ssr"))]
    ui::browser::document()
        .and_then(|d| d.document_element())
        .and_then(|e| e.get_attribute("lang"))
        .and_then(|tag| Lang::from_tag(&tag))
        .unwrap_or_default()
}

#[cfg(feature = "ssr")]
impl AppError {
    /// What a failed use case becomes for the browser; a fault of ours is logged here, once.
    pub fn of(error: &services::ServiceError, request: &crate::context::RequestContext) -> Self {
        error.log(&request.ctx.request_id);
        Self(Box::new(error.problem(request.lang, &request.ctx.request_id)))
    }
}
