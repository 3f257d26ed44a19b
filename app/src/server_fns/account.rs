//! One's own account: profile, password, sessions; and the tenant's settings.

#[cfg(feature = "ssr")]
use super::{answer, request};
use crate::error::Answer;
use domain::api::{SessionInfo, UserProfile};
use leptos::prelude::*;
use leptos::server_fn::codec::Json;

/// Changes the name people see.
#[server(prefix = "/api/app", endpoint = "profile")]
pub async fn update_profile(name: String) -> Answer<UserProfile> {
    let request = request()?;
    let profile = request.me.as_ref().and_then(|me| me.user.as_ref());
    let input = domain::api::ProfileInput {
        name,
        lang: profile.and_then(|p| p.lang),
        theme: profile.map_or(request.theme, |p| p.theme),
    };
    answer(request.services.update_profile(&request.ctx, input).await, &request)
}

/// Changes the password and ends the person's other sessions.
#[server(prefix = "/api/app", endpoint = "password")]
pub async fn change_password(current: String, new: String) -> Answer<()> {
    let request = request()?;
    answer(request.services.change_password(&request.ctx, &current, &new).await, &request)
}

/// The person's sessions.
#[server(prefix = "/api/app", endpoint = "sessions", input = Json)]
pub async fn sessions() -> Answer<Vec<SessionInfo>> {
    let request = request()?;
    answer(request.services.sessions(&request.ctx).await, &request)
}

/// Ends a session.
#[server(prefix = "/api/app", endpoint = "revoke-session")]
pub async fn revoke_session(id: String) -> Answer<()> {
    let request = request()?;
    answer(request.services.revoke_session(&request.ctx, &id).await, &request)
}

/// Ends every session but this one.
#[server(prefix = "/api/app", endpoint = "revoke-sessions")]
pub async fn revoke_other_sessions() -> Answer<u64> {
    let request = request()?;
    answer(request.services.revoke_other_sessions(&request.ctx).await, &request)
}
