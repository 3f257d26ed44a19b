//! `Idempotency-Key`: a creation that is sent again answers as it did the first time, and creates nothing.
//!
//! Kept in memory for a day, so it holds while the process runs; keys are the caller's own.

use super::actor::Caller;
use super::extract::{BODY_MAX, read_body};
use super::problem::ApiError;
use axum::body::Body;
use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use domain::TenantId;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use parking_lot::Mutex;
use services::{Actor, Ctx, ServiceError};
use sha2::{Digest, Sha256};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The header of a creation.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Says that an answer is a repeated one.
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

const KEEP: Duration = Duration::from_secs(86_400);
/// Keys of all tenants together.
const KEEP_AT_MOST: usize = 10_000;

type Key = [u8; 32];

#[derive(Clone)]
enum Entry {
    Running,
    Done(Arc<Answer>),
}

struct Answer {
    request: [u8; 32],
    status: StatusCode,
    content_type: Option<HeaderValue>,
    body: Bytes,
}

#[derive(Default)]
struct Kept {
    entries: HashMap<Key, Entry>,
    /// Of each tenant its own keys, oldest first.
    order: HashMap<TenantId, VecDeque<(Instant, Key)>>,
}

impl Kept {
    /// Forgets what is too old; where there is no more room, the oldest of the tenant that has the most, so that none
    /// can push out another's.
    fn make_room(&mut self, now: Instant) {
        let Self { entries, order } = self;
        order.retain(|_, keys| {
            while let Some((_, old)) = keys.pop_front_if(|(at, _)| now.duration_since(*at) > KEEP) {
                entries.remove(&old);
            }
            !keys.is_empty()
        });
        while entries.len() >= KEEP_AT_MOST {
            let fullest = order.values_mut().max_by_key(|keys| keys.len());
            let Some((_, old)) = fullest.and_then(VecDeque::pop_front) else { return };
            entries.remove(&old);
        }
    }
}

/// Answers to creations, by key.
#[derive(Clone, Default)]
pub struct Idempotency(Arc<Mutex<Kept>>);

/// What a key stands for now.
enum Claim {
    Ours,
    Running,
    Done(Arc<Answer>),
}

impl Idempotency {
    fn claim(&self, tenant: &TenantId, key: Key, now: Instant) -> Claim {
        let mut kept = self.0.lock();
        kept.make_room(now);
        match kept.entries.get(&key) {
            Some(Entry::Running) => Claim::Running,
            Some(Entry::Done(answer)) => Claim::Done(Arc::clone(answer)),
            None => {
                kept.entries.insert(key, Entry::Running);
                kept.order.entry(tenant.clone()).or_default().push_back((now, key));
                Claim::Ours
            }
        }
    }

    fn settle(&self, tenant: &TenantId, key: Key, answer: Option<Answer>) {
        let mut kept = self.0.lock();
        match answer {
            Some(answer) => {
                // Gone where the list overflowed meanwhile: then it is not kept.
                if let Some(entry) = kept.entries.get_mut(&key) {
                    *entry = Entry::Done(Arc::new(answer));
                }
            }
            None => {
                kept.entries.remove(&key);
                if let Some(keys) = kept.order.get_mut(tenant) {
                    keys.retain(|(_, other)| *other != key);
                }
            }
        }
    }
}

/// Frees the key where the request ends without an answer, as when the client leaves.
struct Unsettled {
    kept: Idempotency,
    tenant: TenantId,
    key: Option<Key>,
}

impl Drop for Unsettled {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            self.kept.settle(&self.tenant, key, None);
        }
    }
}

/// Whose keys they are, and in which tenant's share.
fn owner(ctx: &Ctx) -> Option<(String, TenantId)> {
    match &ctx.actor {
        Actor::Token(token) => Some((format!("token {}", token.id), token.tenant.clone())),
        Actor::Person(person) => {
            Some((format!("person {} {}", person.user_id, person.tenant), person.tenant.clone()))
        }
        Actor::Anonymous | Actor::Local(_) => None,
    }
}

fn digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

fn given_key(headers: &HeaderMap) -> Option<&[u8]> {
    headers.get(IDEMPOTENCY_KEY).map(HeaderValue::as_bytes).filter(|key| !key.is_empty())
}

/// Middleware for routes that create by POST.
pub async fn keep(State(kept): State<Idempotency>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let (Some(given), true) = (given_key(&parts.headers).map(<[u8]>::to_vec), parts.method == Method::POST)
    else {
        return next.run(Request::from_parts(parts, body)).await;
    };
    let ctx = match Caller::from_request_parts(&mut parts, &()).await {
        Ok(Caller(ctx)) => ctx,
        Err(error) => return error.into_response(),
    };
    let Some((owner, tenant)) = owner(&ctx) else {
        return next.run(Request::from_parts(parts, body)).await;
    };
    if given.len() > 255 {
        return ApiError::invalid(
            "Idempotency-Key",
            "255바이트까지 쓸 수 있습니다.",
            "It may have at most 255 bytes.",
            &ctx,
        )
        .into_response();
    }
    let bytes = match read_body(body, BODY_MAX, &ctx).await {
        Ok(bytes) => bytes,
        Err(error) => return error.into_response(),
    };
    let key = digest(&[owner.as_bytes(), &given]);
    let fingerprint = digest(&[parts.uri.path().as_bytes(), &bytes]);
    match kept.claim(&tenant, key, Instant::now()) {
        Claim::Running => {
            ApiError::of(&ServiceError::Busy { retry_after: Duration::from_secs(1) }, &ctx).into_response()
        }
        Claim::Done(answer) if answer.request == fingerprint => replay(&answer),
        Claim::Done(_) => reused(&ctx).into_response(),
        Claim::Ours => {
            let mut unsettled = Unsettled { kept: kept.clone(), tenant: tenant.clone(), key: Some(key) };
            let response = next.run(Request::from_parts(parts, Body::from(bytes))).await;
            if !response.status().is_success() {
                return response;
            }
            let (head, body) = response.into_parts();
            let Ok(body) = axum::body::to_bytes(body, BODY_MAX).await else {
                return StatusCode::INTERNAL_SERVER_ERROR.into_response();
            };
            unsettled.key = None;
            let content_type = head.headers.get(header::CONTENT_TYPE).cloned();
            let answer =
                Answer { request: fingerprint, status: head.status, content_type, body: body.clone() };
            kept.settle(&tenant, key, Some(answer));
            Response::from_parts(head, Body::from(body))
        }
    }
}

/// The key was used for something else (draft-ietf-httpapi-idempotency-key-header §2.7).
pub fn reused(ctx: &Ctx) -> ApiError {
    let title =
        ctx.lang.pick("Idempotency-Key가 다른 요청에 쓰였습니다.", "This Idempotency-Key was used before.");
    let detail = ctx.lang.pick(
        "같은 키로는 같은 본문만 다시 보낼 수 있습니다. 새 요청에는 새 키를 쓰세요.",
        "A key may only be sent again with the same body; give another request another key.",
    );
    ApiError::plain(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused", title, &ctx.request_id)
        .with_detail(detail)
}

fn replay(answer: &Answer) -> Response {
    let mut response = (answer.status, answer.body.clone()).into_response();
    if let Some(content_type) = &answer.content_type {
        response.headers_mut().insert(header::CONTENT_TYPE, content_type.clone());
    }
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(name: &str) -> TenantId {
        TenantId::new(name).unwrap()
    }

    fn key(tenant: u8, n: usize) -> Key {
        digest(&[&[tenant], &n.to_be_bytes()])
    }

    fn claimed(kept: &Idempotency, of: &TenantId, key: Key, at: Instant) -> bool {
        matches!(kept.claim(of, key, at), Claim::Ours)
    }

    #[test]
    fn no_tenant_pushes_out_another() {
        let (kept, now) = (Idempotency::default(), Instant::now());
        let (quiet, loud) = (tenant("t_quiet"), tenant("t_loud"));
        (0..100).for_each(|n| assert!(claimed(&kept, &quiet, key(1, n), now)));
        (0..3 * KEEP_AT_MOST).for_each(|n| assert!(claimed(&kept, &loud, key(2, n), now)));
        (0..100).for_each(|n| assert!(!claimed(&kept, &quiet, key(1, n), now), "{n} is kept"));
        assert!(kept.0.lock().entries.len() <= KEEP_AT_MOST);
        assert!(!claimed(&kept, &loud, key(2, 3 * KEEP_AT_MOST - 1), now), "its latest is kept");
        assert!(claimed(&kept, &loud, key(2, 0), now), "its oldest made room");
    }

    #[test]
    fn keys_end_with_their_day_or_without_an_answer() {
        let (kept, now, of) = (Idempotency::default(), Instant::now(), tenant("t_one"));
        assert!(claimed(&kept, &of, key(1, 1), now));
        assert!(!claimed(&kept, &of, key(1, 1), now));
        assert!(claimed(&kept, &of, key(1, 1), now + KEEP + Duration::from_secs(1)));
        kept.settle(&of, key(1, 1), None);
        assert!(claimed(&kept, &of, key(1, 1), now + KEEP + Duration::from_secs(2)));
    }
}
