//! Tokens, and connections that were refused.

#[cfg(feature = "ssr")]
use super::{answer, request, sources::checked_key};
use crate::error::Answer;
use domain::Role;
use domain::api::{NewToken, Refusal, TokenInfo, TokenKind};
use leptos::prelude::*;
use leptos::server_fn::codec::Json;

/// The tenant's tokens, newest first.
#[server(prefix = "/api/app", endpoint = "tokens", input = Json)]
pub async fn tokens(kind: Option<TokenKind>) -> Answer<Vec<TokenInfo>> {
    let request = request()?;
    answer(request.services.tokens(&request.ctx, kind).await, &request)
}

/// Makes a token. `source` binds it (ingest), `role` is what it may do (API), `days` is how long it lives; empty is
/// for ever.
#[server(prefix = "/api/app", endpoint = "create-token")]
pub async fn create_token(
    kind: TokenKind,
    name: String,
    #[server(default)] source: String,
    #[server(default)] role: Option<Role>,
    #[server(default)] days: Option<u16>,
) -> Answer<NewToken> {
    let request = request()?;
    let created = async {
        let source = if source.trim().is_empty() { None } else { Some(checked_key(&source, request.lang)?) };
        let expires_at = days.map(|days| request.now.plus_nanos(i64::from(days) * 86_400_000_000_000));
        let input = domain::api::TokenInput { kind, name, source, role, expires_at };
        request.services.create_token(&request.ctx, input).await
    };
    answer(created.await, &request)
}

/// Ends a token at once: open connections with it are closed within seconds.
#[server(prefix = "/api/app", endpoint = "revoke-token")]
pub async fn revoke_token(id: String) -> Answer<TokenInfo> {
    let request = request()?;
    answer(request.services.revoke_token(&request.ctx, &id).await, &request)
}

/// The latest refused connections.
#[server(prefix = "/api/app", endpoint = "refusals", input = Json)]
pub async fn refusals() -> Answer<Vec<Refusal>> {
    let request = request()?;
    answer(request.services.refusals(&request.ctx).await, &request)
}
