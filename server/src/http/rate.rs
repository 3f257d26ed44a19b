//! How many requests a token or person may make.

use super::actor::Caller;
use super::problem::ApiError;
use super::stack::{HttpState, Site};
use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use parking_lot::Mutex;
use services::{Actor, Ctx, ServiceError};
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Who is counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Subject {
    Token(u64),
    Person(String),
    Address(IpAddr),
}

/// A bucket: full at the start, refilled steadily.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: f64,
    at: Instant,
}

/// Token buckets, one a subject; those full again are forgotten.
pub struct RateLimit {
    per_sec: f64,
    burst: f64,
    buckets: Mutex<HashMap<Subject, Bucket>>,
}

/// At this many subjects the full buckets are swept out.
const SWEEP_AT: usize = 10_000;

impl RateLimit {
    /// So many a second in the long run, so many at once.
    pub fn new(per_sec: u32, burst: u32) -> Self {
        Self { per_sec: f64::from(per_sec), burst: f64::from(burst), buckets: Mutex::new(HashMap::new()) }
    }

    /// Takes one; else how long until there is one.
    fn take(&self, subject: Subject, now: Instant) -> Result<(), Duration> {
        let mut buckets = self.buckets.lock();
        let level = |bucket: &Bucket| {
            let refilled = now.saturating_duration_since(bucket.at).as_secs_f64() * self.per_sec;
            (bucket.left + refilled).min(self.burst)
        };
        if buckets.len() >= SWEEP_AT {
            buckets.retain(|_, bucket| level(bucket) < self.burst);
        }
        let bucket = buckets.entry(subject).or_insert(Bucket { left: self.burst, at: now });
        let left = level(bucket);
        if left < 1.0 {
            *bucket = Bucket { left, at: now };
            return Err(Duration::from_secs_f64((1.0 - left) / self.per_sec));
        }
        *bucket = Bucket { left: left - 1.0, at: now };
        Ok(())
    }

    fn subject(ctx: &Ctx, site: Site) -> Option<Subject> {
        match &ctx.actor {
            Actor::Token(token) => Some(Subject::Token(token.id)),
            Actor::Person(person) => Some(Subject::Person(person.user_id.clone())),
            // A page brings many requests with it, and many people may share an address.
            Actor::Anonymous if site == Site::App => None,
            Actor::Anonymous => ctx.peer.map(Subject::Address),
            Actor::Local(_) => None,
        }
    }
}

/// Middleware: 429 beyond the limit.
pub async fn limit(State(state): State<HttpState>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let ctx = match Caller::from_request_parts(&mut parts, &()).await {
        Ok(Caller(ctx)) => ctx,
        Err(error) => return error.into_response(),
    };
    if let Some(subject) = RateLimit::subject(&ctx, state.site)
        && let Err(retry_after) = state.rate.take(subject, Instant::now())
    {
        metrics::counter!("qgx_http_rate_limited_total", "site" => state.site.name()).increment(1);
        return ApiError::of(&ServiceError::RateLimited { retry_after }, &ctx).into_response();
    }
    next.run(Request::from_parts(parts, body)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let limit = RateLimit::new(10, 3);
        let start = Instant::now();
        let check = |after_ms: u64, token: u64, expect: bool| {
            let taken = limit.take(Subject::Token(token), start + Duration::from_millis(after_ms));
            assert_eq!(taken.is_ok(), expect, "{after_ms} {token}");
        };
        for _ in 0..3 {
            check(0, 1, true);
        }
        check(0, 1, false);
        check(0, 2, true);
        check(100, 1, true);
        check(150, 1, false);
        check(10_000, 1, true);
    }
}
