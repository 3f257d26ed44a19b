//! Signing in and out, and choosing the tenant.

#[cfg(feature = "ssr")]
use super::{answer, request};
use crate::error::Answer;
use domain::TenantId;
use leptos::prelude::*;

/// Signs in and goes to `next`, a path of this site.
#[server(prefix = "/api/app", endpoint = "login")]
pub async fn login(email: String, password: String, #[server(default)] next: String) -> Answer<()> {
    let request = request()?;
    let signed_in = answer(request.services.login(&request.ctx, &email, &password).await, &request)?;
    answer(request.session.login(&signed_in.user_id).await, &request)?;
    let next = if is_local(&next) { next } else { "/".to_owned() };
    let goes = if signed_in.must_change_password { "/settings/password".to_owned() } else { next };
    leptos_axum::redirect(&goes);
    Ok(())
}

/// Signs out.
#[server(prefix = "/api/app", endpoint = "logout")]
pub async fn logout() -> Answer<()> {
    let request = request()?;
    answer(request.session.logout().await, &request)?;
    leptos_axum::redirect("/login");
    Ok(())
}

/// Shows another of the person's tenants.
#[server(prefix = "/api/app", endpoint = "select-tenant")]
pub async fn select_tenant(tenant: TenantId) -> Answer<()> {
    let request = request()?;
    let known = request.me.as_ref().is_some_and(|me| me.tenants.iter().any(|t| t.key == tenant));
    if !known {
        return answer(Err(services::ServiceError::NotFound { what: "tenant" }), &request);
    }
    answer(request.session.select_tenant(&tenant).await, &request)?;
    leptos_axum::redirect("/");
    Ok(())
}

/// Whether a redirect stays on this site: a path, and not `//host` or `/\host`.
#[cfg(feature = "ssr")]
fn is_local(next: &str) -> bool {
    next.starts_with('/') && !next[1..].starts_with(['/', '\\']) && !next.contains(char::is_control)
}
