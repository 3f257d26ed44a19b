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
    order: VecDeque<(Instant, Key)>,
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
    fn claim(&self, key: Key, now: Instant) -> Claim {
        let mut kept = self.0.lock();
        while kept
            .order
            .front()
            .is_some_and(|(at, _)| now.duration_since(*at) > KEEP || kept.order.len() >= KEEP_AT_MOST)
        {
            if let Some((_, old)) = kept.order.pop_front() {
                kept.entries.remove(&old);
            }
        }
        match kept.entries.get(&key) {
            Some(Entry::Running) => Claim::Running,
            Some(Entry::Done(answer)) => Claim::Done(Arc::clone(answer)),
            None => {
                kept.entries.insert(key, Entry::Running);
                kept.order.push_back((now, key));
                Claim::Ours
            }
        }
    }

    fn settle(&self, key: Key, answer: Option<Answer>) {
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
                kept.order.retain(|(_, other)| *other != key);
            }
        }
    }
}

/// Frees the key where the request ends without an answer, as when the client leaves.
struct Unsettled {
    kept: Idempotency,
    key: Option<Key>,
}

impl Drop for Unsettled {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            self.kept.settle(key, None);
        }
    }
}

fn owner(ctx: &Ctx) -> Option<String> {
    match &ctx.actor {
        Actor::Token(token) => Some(format!("token {}", token.id)),
        Actor::Person(person) => Some(format!("person {} {}", person.user_id, person.tenant)),
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
    let Some(owner) = owner(&ctx) else { return next.run(Request::from_parts(parts, body)).await };
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
    match kept.claim(key, Instant::now()) {
        Claim::Running => {
            ApiError::of(&ServiceError::Busy { retry_after: Duration::from_secs(1) }, &ctx).into_response()
        }
        Claim::Done(answer) if answer.request == fingerprint => replay(&answer),
        Claim::Done(_) => reused(&ctx).into_response(),
        Claim::Ours => {
            let mut unsettled = Unsettled { kept: kept.clone(), key: Some(key) };
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
            kept.settle(key, Some(answer));
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
