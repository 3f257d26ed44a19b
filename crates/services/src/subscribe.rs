//! One multiplexed stream a page: totals, tails, sources, refusals.

use crate::check::Check;
use crate::live::{Joined, Published, TAILS_PER_STREAM};
use crate::{Actor, Ctx, ServiceError, Services};
use domain::api::LiveMessage;
use domain::{Permission, Timestamp};
use futures::StreamExt;
use futures::stream::BoxStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;

/// How often a stream says that it is alive, and is looked at whether it may go on.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// When to try again where there are too many streams.
const RETRY: Duration = Duration::from_secs(10);

/// What a page wants to hear of. Sources that come and go are always told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LiveRequest {
    /// Each second of the tenant.
    pub totals: bool,
    /// Tails: a name in the page (up to 64 characters), and a query; at most four.
    pub tails: Vec<(String, String)>,
    /// Refusals, and first events of tokens (on Connect).
    pub refusals: bool,
}

impl Services {
    /// What happens from now on. A heartbeat comes at once and every 10 s. The stream ends when the context is
    /// cancelled, or within 10 s of the session's, token's or role's end. Needs [`Permission::ReadEvents`], for
    /// refusals also [`Permission::IngestTokens`].
    ///
    /// # Errors
    /// `Invalid("tails.…")` for a query that is none; `RateLimited` beyond 6 streams of a person or token, 200 streams
    /// or 64 tails of a tenant.
    pub async fn subscribe(
        &self,
        ctx: &Ctx,
        request: LiveRequest,
    ) -> Result<BoxStream<'static, LiveMessage>, ServiceError> {
        let tenant = ctx.require(Permission::ReadEvents)?;
        if request.refusals {
            ctx.require(Permission::IngestTokens)?;
        }
        let mut check = Check::new(ctx.lang);
        check.number("tails", request.tails.len() as u64, 0..=TAILS_PER_STREAM as u64);
        let mut tails = Vec::new();
        for (name, text) in &request.tails {
            let query = check.query(&format!("tails.{name}"), text);
            tails.push((check.text("tails", name, 1..=64), query));
        }
        check.done()?;
        let strangers = request.refusals && self.is_single_tenant().await?;
        let joined = self.live().join(tenant, reader(&ctx.actor), tails);
        let joined = joined.map_err(|_| ServiceError::RateLimited { retry_after: RETRY })?;
        let wanted = Wanted { totals: request.totals, refusals: request.refusals, strangers };
        Ok(stream(self.clone(), ctx.clone(), joined, wanted))
    }
}

/// What of the published goes into this stream.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    totals: bool,
    refusals: bool,
    strangers: bool,
}

impl Wanted {
    fn message(self, published: Published) -> Option<LiveMessage> {
        match published {
            Published::Totals(totals) => self.totals.then(|| LiveMessage::Totals((*totals).clone())),
            Published::Source(key, state) => Some(LiveMessage::Source { key, state }),
            Published::Refusal(refusal) => self.refusals.then(|| LiveMessage::Refusal((*refusal).clone())),
            Published::TokenSeen(token, source) => {
                self.refusals.then(|| LiveMessage::TokenSeen { token: token.to_string(), source })
            }
        }
    }

    /// What must still be held for the stream to go on.
    fn permission(self) -> Permission {
        if self.refusals { Permission::IngestTokens } else { Permission::ReadEvents }
    }
}

fn stream(
    services: Services,
    ctx: Ctx,
    mut joined: Joined,
    wanted: Wanted,
) -> BoxStream<'static, LiveMessage> {
    let stream = async_stream::stream! {
        let mut heartbeat = tokio::time::interval(HEARTBEAT);
        heartbeat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut first = true;
        loop {
            let message = tokio::select! {
                () = ctx.cancel.cancelled() => break,
                _ = heartbeat.tick() => {
                    if !std::mem::take(&mut first) && !may_go_on(&services, &ctx, wanted).await {
                        break;
                    }
                    Some(LiveMessage::Heartbeat { at: Timestamp::now() })
                }
                published = joined.published.recv() => match published {
                    Ok(published) => wanted.message(published),
                    Err(RecvError::Lagged(missed)) => Some(LiveMessage::Lagged { missed }),
                    Err(RecvError::Closed) => break,
                },
                refusal = joined.strangers.recv(), if wanted.strangers => match refusal {
                    Ok(refusal) => Some(LiveMessage::Refusal((*refusal).clone())),
                    Err(RecvError::Lagged(missed)) => Some(LiveMessage::Lagged { missed }),
                    Err(RecvError::Closed) => break,
                },
                tailed = joined.tailed.recv() => tailed,
            };
            let missed = joined.missed.swap(0, Ordering::Relaxed);
            if missed > 0 {
                yield LiveMessage::Lagged { missed };
            }
            if let Some(message) = message {
                yield message;
            }
        }
        drop(joined.place);
    };
    stream.boxed()
}

/// A database that fails just now signs nobody out.
async fn may_go_on(services: &Services, ctx: &Ctx, wanted: Wanted) -> bool {
    services.still_allowed(ctx, wanted.permission()).await.unwrap_or_else(|error| {
        error.log(&ctx.request_id);
        true
    })
}

/// Whom the limit per reader is for.
fn reader(actor: &Actor) -> Option<Arc<str>> {
    match actor {
        Actor::Person(person) => Some(format!("person {}", person.user_id).into()),
        Actor::Token(token) => Some(format!("token {}", token.id).into()),
        Actor::Local(_) | Actor::Anonymous => None,
    }
}
