//! Signing in and out, and who one is.

use super::ApiState;
use crate::http::extract::ApiJson;
use crate::http::session::{BrowserSession, cookie_name};
use crate::http::{ApiError, Caller, ProblemExt, RequestOrigin};
use axum::extract::State;
use axum::{Extension, Json};
use domain::api::Me;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// E-mail and password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginInput {
    /// The login name.
    email: String,
    /// The password.
    #[schema(format = Password)]
    password: String,
}

/// Who signed in.
#[derive(Serialize, ToSchema)]
pub struct LoginAnswer {
    /// The person's id.
    user_id: String,
    /// The password must be changed before anything else.
    must_change_password: bool,
}

/// Sign in; the answer sets the session cookie.
#[utoipa::path(post, path = "/api/v1/auth/login", tag = "account", operation_id = "login", security(()),
    request_body = LoginInput, responses((status = 200, body = LoginAnswer)))]
pub async fn login(
    State(state): State<ApiState>,
    Caller(ctx): Caller,
    Extension(origin): Extension<RequestOrigin>,
    Extension(session): Extension<BrowserSession>,
    ApiJson(input): ApiJson<LoginInput>,
) -> Result<Json<LoginAnswer>, ApiError> {
    if cookie_name(&origin).is_none() {
        let title =
            ctx.lang.pick("암호화되지 않은 연결에서는 로그인할 수 없습니다.", "No sign-in over plain http.");
        let detail = ctx.lang.pick(
            "https로 접속하거나, 프로그램이면 API 토큰을 쓰세요.",
            "Use https; programs use an API token instead.",
        );
        return Err(
            ApiError::plain(StatusCode::FORBIDDEN, "plain_http", title, &ctx.request_id).with_detail(detail)
        );
    }
    let ok = state.services.login(&ctx, &input.email, &input.password).await.problem(&ctx)?;
    session.sign_in(&ok.user_id).await.problem(&ctx)?;
    Ok(Json(LoginAnswer { user_id: ok.user_id, must_change_password: ok.must_change_password }))
}

/// Sign out: ends the session of the cookie.
#[utoipa::path(post, path = "/api/v1/auth/logout", tag = "account", operation_id = "logout",
    responses((status = 204, description = "Signed out")))]
pub async fn logout(
    Caller(ctx): Caller,
    Extension(session): Extension<BrowserSession>,
) -> Result<StatusCode, ApiError> {
    ctx.tenant().map(|_| ()).problem(&ctx)?;
    session.sign_out().await.problem(&ctx)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Who is asking, in which tenant, with which rights.
#[utoipa::path(get, path = "/api/v1/me", tag = "account", operation_id = "me",
    responses((status = 200, body = Me)))]
pub async fn me(State(state): State<ApiState>, Caller(ctx): Caller) -> Result<Json<Me>, ApiError> {
    state.services.me(&ctx).await.problem(&ctx).map(Json)
}
