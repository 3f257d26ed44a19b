//! One's own account: profile, password, sessions; and the tenant's settings.

#[cfg(feature = "ssr")]
use super::{answer, form_answer, request};
use crate::call::{Form, call};
use crate::error::Answer;
use domain::api::{SessionInfo, UserProfile};
#[cfg(feature = "ssr")]
use leptos::prelude::*;

/// Changes the name people see.
pub const UPDATE_PROFILE: Form<Answer<UserProfile>> = Form::to("/api/app/profile");

#[cfg(feature = "ssr")]
#[server(prefix = "/api/app", endpoint = "profile")]
async fn update_profile(name: String) -> Answer<Answer<UserProfile>> {
    let request = request()?;
    let profile = request.me.as_ref().and_then(|me| me.user.as_ref());
    let input = domain::api::ProfileInput {
        name,
        lang: profile.and_then(|p| p.lang),
        theme: profile.map_or(request.theme, |p| p.theme),
    };
    form_answer(request.services.update_profile(&request.ctx, input).await, &request)
}

/// Changes the password and ends the person's other sessions.
pub const CHANGE_PASSWORD: Form<Answer<()>> = Form::to("/api/app/password");

#[cfg(feature = "ssr")]
#[server(prefix = "/api/app", endpoint = "password")]
async fn change_password(current: String, new: String) -> Answer<Answer<()>> {
    let request = request()?;
    form_answer(request.services.change_password(&request.ctx, &current, &new).await, &request)
}

call! {
    /// The person's sessions.
    "sessions": fn sessions() -> Vec<SessionInfo> {
        let request = request()?;
        answer(request.services.sessions(&request.ctx).await, &request)
    }
}

/// Ends a session.
pub const REVOKE_SESSION: Form<()> = Form::to("/api/app/revoke-session");

#[cfg(feature = "ssr")]
#[server(prefix = "/api/app", endpoint = "revoke-session")]
async fn revoke_session(id: String) -> Answer<()> {
    let request = request()?;
    answer(request.services.revoke_session(&request.ctx, &id).await, &request)
}

/// Ends every session but this one.
pub const REVOKE_OTHER_SESSIONS: Form<u64> = Form::to("/api/app/revoke-sessions");

#[cfg(feature = "ssr")]
#[server(prefix = "/api/app", endpoint = "revoke-sessions")]
async fn revoke_other_sessions() -> Answer<u64> {
    let request = request()?;
    answer(request.services.revoke_other_sessions(&request.ctx).await, &request)
}
