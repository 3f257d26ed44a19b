//! The browser's session: cookie, signing in and out.
//!
//! On https the cookie is `__Host-qgx_app` with `Secure`; on loopback http it carries neither the prefix nor `Secure`,
//! because Safari keeps no `Secure` cookie from `http://localhost`. On plain http from elsewhere there is none.

use super::origin::RequestOrigin;
use super::session_store::{SqlSessions, key, stored_id};
use super::stack::HttpState;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use domain::{TenantId, Timestamp};
use http::{HeaderMap, HeaderValue, header};
use services::ServiceError;
use std::sync::Arc;
use std::time::Duration;
use tower_sessions::{Expiry, Session};

/// A session is written again, and its cookie renewed, at most this often.
const TOUCH_NANOS: i64 = 60_000_000_000;

/// The session of a request, whether there is one already or not; an extension of each request.
#[derive(Clone)]
pub struct BrowserSession {
    session: Session,
    origin: RequestOrigin,
    user_agent: Arc<str>,
}

/// The name of the site's cookie over this connection; `None` where none is safe.
pub fn cookie_name(origin: &RequestOrigin) -> Option<&'static str> {
    if origin.https {
        Some("__Host-qgx_app")
    } else if origin.on_loopback() {
        Some("qgx_app")
    } else {
        None
    }
}

fn failed(error: tower_sessions::session::Error) -> ServiceError {
    ServiceError::internal("session", error)
}

impl BrowserSession {
    /// Who is signed in by it.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn user_id(&self) -> Result<Option<String>, ServiceError> {
        self.session.get(key::USER).await.map_err(failed)
    }

    /// The selected tenant.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn tenant(&self) -> Result<Option<TenantId>, ServiceError> {
        self.session.get(key::TENANT).await.map_err(failed)
    }

    /// What lists of sessions call this one; `None` where it is not stored yet.
    pub fn id(&self) -> Option<String> {
        self.session.id().as_ref().map(stored_id)
    }

    /// Signs a person in, under a new id, so that nobody can have planted it.
    ///
    /// # Errors
    /// Where the store fails, or the connection is not safe for a cookie.
    pub async fn sign_in(&self, user_id: &str) -> Result<(), ServiceError> {
        if cookie_name(&self.origin).is_none() {
            return Err(ServiceError::Unauthenticated);
        }
        let now = Timestamp::now().as_nanos();
        self.session.cycle_id().await.map_err(failed)?;
        self.session.clear().await;
        self.session.insert(key::USER, user_id).await.map_err(failed)?;
        self.session.insert(key::USER_AGENT, &*self.user_agent).await.map_err(failed)?;
        self.session.insert(key::PEER, self.origin.client.to_string()).await.map_err(failed)?;
        self.session.insert(key::CREATED, now).await.map_err(failed)?;
        self.session.insert(key::SEEN, now).await.map_err(failed)
    }

    /// Ends it.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn sign_out(&self) -> Result<(), ServiceError> {
        self.session.flush().await.map_err(failed)
    }

    /// Remembers the tenant to show.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn select_tenant(&self, tenant: &TenantId) -> Result<(), ServiceError> {
        self.session.insert(key::TENANT, tenant).await.map_err(failed)
    }

    async fn touch(&self) -> Result<(), tower_sessions::session::Error> {
        let now = Timestamp::now().as_nanos();
        if let Some(seen) = self.session.get::<i64>(key::SEEN).await?
            && now - seen > TOUCH_NANOS
        {
            self.session.insert(key::SEEN, now).await?;
            self.session.insert(key::PEER, self.origin.client.to_string()).await?;
        }
        Ok(())
    }
}

#[async_trait::async_trait]
impl app::context::SessionControl for BrowserSession {
    async fn login(&self, user_id: &str) -> Result<(), ServiceError> {
        self.sign_in(user_id).await
    }
    async fn logout(&self) -> Result<(), ServiceError> {
        self.sign_out().await
    }
    async fn select_tenant(&self, tenant: &TenantId) -> Result<(), ServiceError> {
        Self::select_tenant(self, tenant).await
    }
}

/// Middleware: opens the session that the cookie names, and afterwards writes it and its cookie where it changed.
pub async fn open(State(state): State<HttpState>, mut request: Request, next: Next) -> Response {
    let Some(origin) = request.extensions().get::<RequestOrigin>().cloned() else {
        return next.run(request).await;
    };
    let name = cookie_name(&origin);
    let secret = name.and_then(|name| cookie(request.headers(), name));
    let id = secret.as_deref().and_then(|text| text.parse().ok());
    let had_cookie = secret.is_some();
    let store = Arc::new(SqlSessions::new(state.services.stores().sql.clone(), state.site.sessions()));
    let idle = time::Duration::try_from(state.session_idle).unwrap_or(time::Duration::days(14));
    let session = Session::new(id, store.clone(), Some(Expiry::OnInactivity(idle)));
    let user_agent =
        request.headers().get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or("");
    let browser = BrowserSession { session: session.clone(), origin, user_agent: user_agent.into() };
    if had_cookie && let Err(error) = browser.touch().await {
        tracing::warn!(%error, "a session could not be read");
    }
    request.extensions_mut().insert(browser);
    let mut response = next.run(request).await;
    let Some(name) = name else { return response };
    match outcome(&session, &store, had_cookie).await {
        Ok(Some(Cookie::Keep(secret))) => {
            append(&mut response, &set_cookie(name, &secret, state.session_idle))
        }
        Ok(Some(Cookie::Remove)) => append(&mut response, &set_cookie(name, "", Duration::ZERO)),
        Ok(None) => {}
        Err(error) => tracing::error!(%error, "a session could not be written"),
    }
    response
}

enum Cookie {
    Keep(String),
    Remove,
}

async fn outcome(
    session: &Session,
    store: &SqlSessions,
    had_cookie: bool,
) -> Result<Option<Cookie>, tower_sessions::session::Error> {
    if session.is_empty().await {
        // Signed out, ended elsewhere, or expired: a cookie that names nothing is taken back.
        return Ok(had_cookie.then_some(Cookie::Remove));
    }
    if !session.is_modified() {
        return Ok(None);
    }
    session.save().await?;
    if store.ended_meanwhile() {
        return Ok(Some(Cookie::Remove));
    }
    Ok(session.id().map(|id| Cookie::Keep(id.to_string())))
}

fn append(response: &mut Response, cookie: &str) {
    if let Ok(value) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(header::SET_COOKIE, value);
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

fn set_cookie(name: &str, secret: &str, keep: Duration) -> String {
    let secure = if name.starts_with("__Host-") { "; Secure" } else { "" };
    format!("{name}={secret}; Path=/; Max-Age={}; HttpOnly; SameSite=Lax{secure}", keep.as_secs())
}

fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(key, value)| (key == name).then(|| value.to_owned()))
}
