//! The REST API, version 1: for programs, by bearer token, and for signed-in people, by cookie.
//!
//! A handler parses, calls a service, and maps the answer; who may do what is decided in `services`.

pub mod api_doc;
pub mod auth;
pub mod dead_letters;
pub mod delimited;
pub mod events;
pub mod export;
pub mod ingest;
pub mod known;
pub mod live;
pub mod masking;
pub mod metrics;
pub mod sources;
pub mod tokens;
pub mod window;

use crate::config::Config;
use crate::http::headers::DOCS_POLICY;
use crate::http::idempotency::{self, Idempotency};
use crate::http::{ApiError, Caller, HttpState, Site};
use ::ingest::Intake;
use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{HeaderValue, StatusCode, header};
use known::KnownParameters;
use services::{ServiceError, Services};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, NotForContentType, Predicate};
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use utoipa_swagger_ui::SwaggerUi;

/// What handlers need. Cheap to clone.
#[derive(Clone)]
pub struct ApiState {
    /// The use cases.
    pub services: Services,
    /// HTTP's way into the pipeline.
    pub intake: Arc<Intake>,
    /// Largest body of an ingestion.
    pub ingest_body_max: usize,
    /// Cancelled when the process begins to stop: endless streams end then.
    pub stopping: CancellationToken,
}

/// Where the description of the API stands.
pub const OPENAPI_PATH: &str = "/api/v1/openapi.json";
/// Where it can be browsed.
pub const DOCS_PATH: &str = "/api/v1/docs";

/// The documented routes, apart from their state. `kept` are the answers to creations.
fn documented(kept: Idempotency) -> OpenApiRouter<ApiState> {
    let creations = OpenApiRouter::new()
        .routes(routes!(sources::list, sources::create))
        .routes(routes!(tokens::list, tokens::create))
        .layer(from_fn_with_state(kept, idempotency::keep));
    OpenApiRouter::with_openapi(api_doc::base())
        .merge(creations)
        .routes(routes!(auth::login))
        .routes(routes!(auth::logout))
        .routes(routes!(auth::me))
        .routes(routes!(events::search))
        .routes(routes!(events::histogram))
        .routes(routes!(events::facets))
        .routes(routes!(events::fields))
        .routes(routes!(export::export))
        .routes(routes!(events::event))
        .routes(routes!(events::surroundings))
        .routes(routes!(live::live))
        .routes(routes!(ingest::ingest))
        .routes(routes!(sources::get, sources::update, sources::delete))
        .routes(routes!(sources::latest))
        .routes(routes!(sources::metric_names))
        .routes(routes!(metrics::query))
        .routes(routes!(dead_letters::list))
        .routes(routes!(dead_letters::summary))
        .routes(routes!(dead_letters::replay_many))
        .routes(routes!(dead_letters::discard_many))
        .routes(routes!(dead_letters::get, dead_letters::edit))
        .routes(routes!(dead_letters::replay))
        .routes(routes!(dead_letters::discard))
        .routes(routes!(dead_letters::reopen))
        .routes(routes!(masking::get, masking::set))
        .routes(routes!(tokens::revoke))
}

/// The description of the API, without a server running.
pub fn openapi() -> OpenApi {
    api_doc::finish(documented(Idempotency::default()).split_for_parts().1)
}

/// Everything that the API's listener serves.
pub fn router(state: ApiState, http: &HttpState) -> Router {
    let (routes, api) = documented(http.idempotency.clone()).split_for_parts();
    let api = api_doc::finish(api);
    let known = KnownParameters::of(&api);
    let json: Arc<[u8]> = serde_json::to_vec(&api).unwrap_or_default().into();
    let described = get(move || {
        let json = json.to_vec();
        async move { ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], json) }
    });
    let docs: Router<ApiState> = Router::from(SwaggerUi::new(DOCS_PATH).config(
        utoipa_swagger_ui::Config::from(OPENAPI_PATH).try_it_out_enabled(true).persist_authorization(false),
    ))
    .layer(axum::middleware::map_response(docs_policy));
    let api = routes
        .route(OPENAPI_PATH, described)
        .merge(docs)
        .fallback(not_found)
        .method_not_allowed_fallback(wrong_method)
        .with_state(state)
        .layer(from_fn_with_state(known, known::check))
        .layer(CompressionLayer::new().compress_when(
            // An event stream must not wait in a compressor.
            DefaultPredicate::new().and(NotForContentType::const_new("text/event-stream")),
        ));
    debug_assert_eq!(http.site, Site::Api);
    http.wrap(api)
}

/// The state of the API's handlers.
pub fn state(
    services: &Services,
    intake: Arc<Intake>,
    config: &Config,
    stopping: &CancellationToken,
) -> ApiState {
    ApiState {
        services: services.clone(),
        intake,
        ingest_body_max: config.web.ingest_body_max,
        stopping: stopping.clone(),
    }
}

async fn docs_policy(mut response: Response) -> Response {
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(DOCS_POLICY));
    response
}

async fn not_found(Caller(ctx): Caller) -> ApiError {
    ApiError::of(&ServiceError::NotFound { what: "path" }, &ctx)
}

async fn wrong_method(Caller(ctx): Caller) -> Response {
    let title = ctx.lang.pick("이 주소가 받지 않는 메서드입니다.", "This address does not take this method.");
    ApiError::plain(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", title, &ctx.request_id)
        .into_response()
}
