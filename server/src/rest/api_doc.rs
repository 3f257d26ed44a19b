//! What stands in the description of the API beside the operations themselves.

use domain::api::Problem;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, HeaderBuilder, InfoBuilder, OpenApi, OpenApiBuilder, Ref, RefOr,
    ResponseBuilder,
};
use utoipa::{IntoParams, PartialSchema, ToSchema};

const DESCRIPTION: &str = "\
Send, search, chart and manage a tenant's events.

**Access**: `Authorization: Bearer qgx_…` with an API token (an ingest token may send only), or the session cookie of a \
signed-in person. The tenant is the token's; for a person the selected one.

**Lists** answer `{\"items\":[…],\"next_cursor\":\"…\"|null,\"total\":N}`; give `next_cursor` back as `cursor` for the \
next page.

**Errors** are problem details (RFC 9457) with a stable `code` and the `request_id`, their text in the language of \
`Accept-Language` (`ko`, `en`) or of the person's profile.

**Times** are RFC 3339; parameters also take `now`, `now-15m` and epoch milliseconds.

**Limits**: 429 and 503 carry `Retry-After`; wrong tokens are slowed down for each client address. A head may have \
32 KiB and 100 fields (else 431), and a body must keep coming (else 408). A creation with an `Idempotency-Key` that is \
sent again answers as it did the first time; sent with another body it is refused (422). Keys are kept for a day while \
the server runs.

**Unknown names** of query parameters and of members of a body are refused (400), and named.";

/// What a creation takes beside its body.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub struct IdempotencyParams {
    /// Any text of at most 255 bytes. Sent again with the same body the answer is that of the first time, with
    /// `Idempotent-Replayed: true`.
    #[param(rename = "Idempotency-Key")]
    pub idempotency_key: Option<String>,
}

/// When a creation answers 422.
pub const KEY_REUSED: &str = "The `Idempotency-Key` was used with another body";

/// The frame that operations are put into.
pub fn base() -> OpenApi {
    let problem = <Problem as PartialSchema>::schema();
    let mut nested = Vec::new();
    <Problem as ToSchema>::schemas(&mut nested);
    let components = ComponentsBuilder::new()
        .schema(Problem::name(), problem)
        .schemas_from_iter(nested)
        .security_scheme(
            "token",
            SecurityScheme::Http(
                HttpBuilder::new()
                    .scheme(HttpAuthScheme::Bearer)
                    .description(Some("An API token, or an ingest token for /ingest"))
                    .build(),
            ),
        )
        .security_scheme(
            "session",
            SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new("__Host-qgx_app"))),
        )
        .build();
    OpenApiBuilder::new()
        .info(InfoBuilder::new().title("QGX REST API").version("1").description(Some(DESCRIPTION)).build())
        .components(Some(components))
        .security(Some([
            SecurityRequirement::new::<_, [&str; 0], &str>("token", []),
            SecurityRequirement::new::<_, [&str; 0], &str>("session", []),
        ]))
        .build()
}

/// Adds to every operation what all have: the problem answers.
pub fn finish(mut api: OpenApi) -> OpenApi {
    for item in api.paths.paths.values_mut() {
        let operations = [
            &mut item.get,
            &mut item.put,
            &mut item.post,
            &mut item.delete,
            &mut item.options,
            &mut item.head,
            &mut item.patch,
        ];
        operations.into_iter().flatten().for_each(add_problems);
    }
    api
}

fn add_problems(operation: &mut Operation) {
    for (status, description) in [
        ("400", "The input is wrong; `errors` says where"),
        ("401", "No credential, or not a good one"),
        ("403", "Not allowed"),
        ("429", "Too many requests; see `Retry-After`"),
        ("default", "Any other error"),
    ] {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(Problem::name()))).build();
        let response = ResponseBuilder::new()
            .description(description)
            .content("application/problem+json", content)
            .header("x-request-id", HeaderBuilder::new().description(Some("Names the request")).build())
            .build();
        operation.responses.responses.entry(status.to_owned()).or_insert(RefOr::T(response));
    }
}
