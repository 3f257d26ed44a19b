//! What is hidden in arriving data.

#[cfg(feature = "ssr")]
use super::{answer, form_answer, request};
use crate::call::{Form, call};
use crate::error::Answer;
#[cfg(feature = "ssr")]
use {
    domain::masking::{Action, Kind, Rule},
    leptos::prelude::*,
    services::ServiceError,
};

/// A rule as a line: what to look for, what to do with it, and the pattern, where it has one, with blanks between.
#[cfg(feature = "ssr")]
fn line(Rule { kind, action, pattern }: Rule) -> String {
    format!("{} {} {pattern}", kind.code(), action.code())
}

/// The rule of its parts; `None` where nothing is looked for.
#[cfg(feature = "ssr")]
fn rule(kind: &str, action: &str, pattern: &str) -> Result<Option<Rule>, ServiceError> {
    if kind.is_empty() {
        return Ok(None);
    }
    let wrong = |field: &str| ServiceError::invalid(field, "?");
    let kind = Kind::parse(kind).ok_or_else(|| wrong("kind"))?;
    let action = Action::parse(action).ok_or_else(|| wrong("action"))?;
    // A form has the field of the pattern whatever is chosen.
    let pattern = if kind == Kind::Pattern { pattern.to_owned() } else { String::new() };
    Ok(Some(Rule { kind, action, pattern }))
}

call! {
    /// The rules that hold, in their order: kind, action and pattern, with blanks between.
    "masking": fn masking() -> Vec<String> {
        let request = request()?;
        let rules = request.services.masking(&request.ctx).await;
        answer(rules.map(|rules| rules.into_iter().map(line).collect()), &request)
    }
}

/// What would be stored of a text, with one more rule; `None` while that rule cannot be followed.
pub const TRY_MASKING: Form<Option<String>> = Form::to("/api/app/try-masking");

#[cfg(feature = "ssr")]
#[server(prefix = "/api/app", endpoint = "try-masking")]
async fn try_masking(
    #[server(default)] text: String,
    kind: String,
    action: String,
    #[server(default)] pattern: String,
) -> Answer<Option<String>> {
    let request = request()?;
    let tried = async {
        let Some(rule) = rule(&kind, &action, &pattern)? else { return Ok(None) };
        match request.services.try_masking(&request.ctx, rule, &text).await {
            Err(ServiceError::Invalid(_)) => Ok(None),
            tried => tried.map(Some),
        }
    };
    answer(tried.await, &request)
}

/// Puts a rule in the place of another (`was`, its line; none: at the end), or takes that away (`gone`).
pub const CHANGE_MASKING: Form<Answer<()>> = Form::to("/api/app/change-masking");

#[cfg(feature = "ssr")]
#[server(prefix = "/api/app", endpoint = "change-masking")]
async fn change_masking(
    #[server(default)] was: String,
    #[server(default)] kind: String,
    #[server(default)] action: String,
    #[server(default)] pattern: String,
    #[server(default)] gone: String,
) -> Answer<Answer<()>> {
    let request = request()?;
    let changed = async {
        let mut parts = was.splitn(3, ' ');
        let mut part = || parts.next().unwrap_or_default();
        let was = rule(part(), part(), part())?;
        let rule = if gone.is_empty() { rule(&kind, &action, &pattern)? } else { None };
        request.services.change_masking(&request.ctx, was, rule).await
    };
    form_answer(changed.await, &request)
}
