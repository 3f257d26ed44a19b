//! `q`, `from`, `to`: what is asked for, and when.

use crate::http::ApiError;
use domain::api::{EventFilter, FieldProblem};
use domain::{TimeRange, Timestamp};
use serde::Deserialize;
use services::{Ctx, ServiceError};
use utoipa::IntoParams;

/// What is asked for, and when.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct WindowParams {
    /// A query, such as `error AND source:"pump-1" temperature>=80`; none is everything.
    #[serde(default)]
    pub q: String,
    /// First instant: RFC 3339, `now-15m`, or epoch milliseconds. Default: 15 minutes before `to`.
    pub from: Option<String>,
    /// First instant after. Default: now.
    pub to: Option<String>,
}

const QUARTER_HOUR: i64 = 15 * 60 * 1_000_000_000;

impl WindowParams {
    /// The window alone.
    ///
    /// # Errors
    /// Where `from` or `to` is no time.
    pub fn range(&self, ctx: &Ctx) -> Result<TimeRange, ApiError> {
        let now = Timestamp::now();
        let mut problems = Vec::new();
        let mut read = |field: &str, text: &Option<String>, default: Timestamp| match text {
            None => default,
            Some(text) => Timestamp::parse_relative(text, now).unwrap_or_else(|_| {
                let message = ctx.lang.pick(
                    "시각이 아닙니다. 2026-11-22T09:00:00+09:00 또는 now-15m처럼 적어 주세요.",
                    "It is no time; write it as 2026-11-22T09:00:00+09:00 or now-15m.",
                );
                problems.push(FieldProblem {
                    field: field.to_owned(),
                    message: message.to_owned(),
                    span: None,
                });
                default
            }),
        };
        let to = read("to", &self.to, now);
        let from = read("from", &self.from, to.plus_nanos(-QUARTER_HOUR));
        if problems.is_empty() {
            Ok(TimeRange::new(from, to))
        } else {
            Err(ApiError::of(&ServiceError::Invalid(problems), ctx))
        }
    }

    /// Query and window.
    ///
    /// # Errors
    /// As [`WindowParams::range`]; the query is checked by the service.
    pub fn filter(&self, ctx: &Ctx) -> Result<EventFilter, ApiError> {
        Ok(EventFilter { q: self.q.clone(), range: self.range(ctx)? })
    }
}
