//! Query parameters that an operation does not have are refused: most are misspelt, and ignoring them would answer
//! another question. The description of the API says which there are.

use crate::http::{Caller, extract};
use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::Method;
use services::Actor;
use std::collections::HashMap;
use std::sync::Arc;
use utoipa::openapi::OpenApi;
use utoipa::openapi::path::{Operation, ParameterIn};

/// The query parameters of each operation, by method and pattern.
#[derive(Clone)]
pub struct KnownParameters(Arc<HashMap<(Method, String), Vec<String>>>);

impl KnownParameters {
    /// Of all documented operations.
    pub fn of(api: &OpenApi) -> Self {
        let mut known = HashMap::new();
        for (path, item) in &api.paths.paths {
            let operations = [
                (Method::GET, &item.get),
                (Method::PUT, &item.put),
                (Method::POST, &item.post),
                (Method::DELETE, &item.delete),
                (Method::PATCH, &item.patch),
            ];
            for (method, operation) in operations {
                if let Some(operation) = operation {
                    known.insert((method, path.clone()), names(operation));
                }
            }
        }
        Self(Arc::new(known))
    }

    /// The first parameter that the operation does not have, and those that it has.
    fn unknown(&self, method: &Method, pattern: &str, query: &str) -> Option<(String, &[String])> {
        let method = if *method == Method::HEAD { &Method::GET } else { method };
        let known = self.0.get(&(method.clone(), pattern.to_owned()))?;
        let pairs: Vec<(String, String)> =
            axum::extract::Query::try_from_uri(&format!("/?{query}").parse().ok()?).ok()?.0;
        let wrong = pairs.into_iter().map(|(name, _)| name).find(|name| !known.contains(name))?;
        Some((wrong, known.as_slice()))
    }
}

fn names(operation: &Operation) -> Vec<String> {
    let parameters = operation.parameters.iter().flatten();
    parameters
        .filter(|parameter| matches!(parameter.parameter_in, ParameterIn::Query))
        .map(|parameter| parameter.name.clone())
        .collect()
}

/// Middleware: 400, naming it. Those who may not ask at all are told that first.
pub async fn check(State(known): State<KnownParameters>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let wrong = parts.uri.query().and_then(|query| {
        let pattern = parts.extensions.get::<MatchedPath>()?;
        known.unknown(&parts.method, pattern.as_str(), query)
    });
    if let Some((name, known)) = wrong {
        let Caller(ctx) = match Caller::from_request_parts(&mut parts, &()).await {
            Ok(caller) => caller,
            Err(error) => return error.into_response(),
        };
        if !matches!(ctx.actor, Actor::Anonymous) {
            return extract::unknown(&name, known.iter().map(String::as_str), &ctx).into_response();
        }
    }
    next.run(Request::from_parts(parts, body)).await
}
