//! Tokens, and connections that were refused.

#[cfg(feature = "ssr")]
use super::{answer, form_answer, hand_over, is_call, request, sources::checked_key};
use crate::call::{Form, call};
use crate::error::Answer;
use domain::api::{NewToken, Refusal, TokenInfo, TokenKind};
#[cfg(feature = "ssr")]
use {domain::Role, leptos::prelude::*};

call! {
    /// The tenant's tokens, newest first.
    "tokens": fn tokens(kind: Option<TokenKind>) -> Vec<TokenInfo> {
        let request = request()?;
        answer(request.services.tokens(&request.ctx, kind).await, &request)
    }
}

/// Makes a token. `source` binds it (ingest), `role` is what it may do (API), `days` is how long it lives; empty is
/// for ever. To a form sent without scripts it is shown by the page that comes next, which takes it from a cookie.
pub const CREATE_TOKEN: Form<Answer<NewToken>> = Form::to("/api/app/create-token");

#[cfg(feature = "ssr")]
#[server(prefix = "/api/app", endpoint = "create-token")]
async fn create_token(
    kind: TokenKind,
    name: String,
    #[server(default)] source: String,
    #[server(default)] role: Option<Role>,
    #[server(default)] days: Option<u16>,
) -> Answer<Answer<NewToken>> {
    let request = request()?;
    let created = async {
        let source = if source.trim().is_empty() { None } else { Some(checked_key(&source, request.lang)?) };
        let expires_at = days.map(|days| request.now.plus_nanos(i64::from(days) * 86_400_000_000_000));
        let input = domain::api::TokenInput { kind, name, source, role, expires_at };
        request.services.create_token(&request.ctx, input).await
    };
    let created = form_answer(created.await, &request)?;
    if let Ok(NewToken { token, .. }) = &created
        && !is_call()
    {
        hand_over(&request, token);
    }
    Ok(created)
}

/// Ends a token at once: open connections with it are closed within seconds.
pub const REVOKE_TOKEN: Form<TokenInfo> = Form::to("/api/app/revoke-token");

#[cfg(feature = "ssr")]
#[server(prefix = "/api/app", endpoint = "revoke-token")]
async fn revoke_token(id: String) -> Answer<TokenInfo> {
    let request = request()?;
    answer(request.services.revoke_token(&request.ctx, &id).await, &request)
}

call! {
    /// The latest refused connections.
    "refusals": fn refusals() -> Vec<Refusal> {
        let request = request()?;
        answer(request.services.refusals(&request.ctx).await, &request)
    }
}
