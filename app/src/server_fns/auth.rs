//! Signing in and out, and choosing the tenant.

#[cfg(feature = "ssr")]
use super::{answer, request};
#[cfg(feature = "ssr")]
use {crate::error::Answer, domain::TenantId, leptos::prelude::*};

/// Signs in and goes to `next`, a path of this site.
#[cfg(feature = "ssr")]
#[server(prefix = "/api/app", endpoint = "login")]
async fn login(email: String, password: String, #[server(default)] next: String) -> Answer<()> {
    let request = request()?;
    let signed_in = answer(request.services.login(&request.ctx, &email, &password).await, &request)?;
    answer(request.session.login(&signed_in.user_id).await, &request)?;
    let next = if is_local(&next) { next } else { "/".to_owned() };
    let goes = if signed_in.must_change_password { "/settings/password".to_owned() } else { next };
    leptos_axum::redirect(&goes);
    Ok(())
}

/// Signs out.
#[cfg(feature = "ssr")]
#[server(prefix = "/api/app", endpoint = "logout")]
async fn logout() -> Answer<()> {
    let request = request()?;
    answer(request.session.logout().await, &request)?;
    leptos_axum::redirect("/login");
    Ok(())
}

/// Shows another of the person's tenants.
#[cfg(feature = "ssr")]
#[server(prefix = "/api/app", endpoint = "select-tenant")]
async fn select_tenant(tenant: TenantId) -> Answer<()> {
    let request = request()?;
    let known = request.me.as_ref().is_some_and(|me| me.tenants.iter().any(|t| t.key == tenant));
    if !known {
        return answer(Err(services::ServiceError::NotFound { what: "tenant" }), &request);
    }
    answer(request.session.select_tenant(&tenant).await, &request)?;
    leptos_axum::redirect("/");
    Ok(())
}

/// Whether a redirect stays on this site: a path with one reading only, so neither `//host` nor `/\host` nor what
/// becomes that once `.` and `..` are taken away.
#[cfg(feature = "ssr")]
fn is_local(next: &str) -> bool {
    let path = next.split(['?', '#']).next().unwrap_or_default();
    let Some(path) = path.strip_prefix('/') else { return false };
    let segments: Vec<&str> = path.split('/').collect();
    let plain = segments.iter().enumerate().all(|(n, segment)| {
        let dots = segment.to_ascii_lowercase().replace("%2e", ".");
        dots != "." && dots != ".." && (!segment.is_empty() || n + 1 == segments.len())
    });
    plain && !next.contains(['\\', ' ']) && !next.contains(char::is_control)
}

#[cfg(all(test, feature = "ssr"))]
mod tests {
    use super::is_local;

    #[test]
    fn a_redirect_stays_here() {
        fn check(next: &str, expect: bool) {
            assert_eq!(is_local(next), expect, "{next:?}");
        }
        check("/", true);
        check("/explore?q=a//b&from=now-1h", true);
        check("/sources/pump-1", true);
        check("", false);
        check("https://evil.example", false);
        check("//evil.example", false);
        check("/\\evil.example", false);
        check("/.//evil.example", false);
        check("/a/..//evil.example", false);
        check("/%2e//evil.example", false);
        check("/a\n/b", false);
    }
}
