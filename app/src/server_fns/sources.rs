//! Sources: the list and each of them.

#[cfg(feature = "ssr")]
use super::{answer, form_answer, request};
use crate::call::{Form, call};
use crate::error::Answer;
use domain::SourceKey;
use domain::api::{ImportReport, LatestValue, Page, SourceListRequest, SourceSummary};
#[cfg(feature = "ssr")]
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

call! {
    /// A page of sources.
    "sources": fn sources(list: SourceListRequest) -> Page<SourceSummary> {
        let request = request()?;
        answer(request.services.sources(&request.ctx, list).await, &request)
    }
}

/// A source with what its page shows at once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SourceDetail {
    /// The source.
    pub source: SourceSummary,
    /// The latest value of each metric.
    pub latest: Vec<LatestValue>,
    /// The names of its numbers: those that rollups know first, then those of its latest events.
    pub metrics: Vec<String>,
}

call! {
    /// A source.
    "source": fn source(key: SourceKey) -> SourceDetail {
        let request = request()?;
        let (services, ctx) = (&request.services, &request.ctx);
        let detail = async {
            let source = services.source(ctx, &key).await?;
            let latest = services.latest_values(ctx, &key).await?;
            let mut metrics = services.source_metrics(ctx, &key).await?;
            for number in numbers(&request, &source).await {
                if !metrics.contains(&number) {
                    metrics.push(number);
                }
            }
            Ok(SourceDetail { source, latest, metrics })
        };
        answer(detail.await, &request)
    }
}

/// The numbers in the latest events of a source, by name. Rollups keep measurements alone, and a log has numbers too;
/// without the right to read events there are none to offer.
#[cfg(feature = "ssr")]
async fn numbers(request: &crate::context::RequestContext, source: &SourceSummary) -> Vec<String> {
    const LOOKED_AT: u32 = 1_000;
    const REACH_NANOS: i64 = 7 * 86_400_000_000_000;
    let Some(span) = source.ts_range else { return Vec::new() };
    let filter = domain::api::EventFilter {
        q: domain::query::with_filter("", "source", source.key.as_str()),
        range: domain::TimeRange::new(span.from.max(span.to.plus_nanos(-REACH_NANOS)), span.to),
    };
    let order = domain::api::Order::Desc;
    let found = request.services.search(&request.ctx, filter, order, LOOKED_AT, None).await;
    let events = found.map(|found| found.page.items).unwrap_or_default();
    let fields = events.into_iter().flat_map(|event| event.fields);
    let names =
        fields.filter(|(_, value)| matches!(value, domain::FieldValue::Number(_))).map(|(name, _)| name);
    names.collect::<std::collections::BTreeSet<_>>().into_iter().collect()
}

/// Registers a source before its first event.
pub const CREATE_SOURCE: Form<Answer<SourceSummary>> = Form::to("/api/app/create-source");

#[cfg(feature = "ssr")]
#[server(prefix = "/api/app", endpoint = "create-source")]
async fn create_source(
    key: String,
    #[server(default)] name: String,
    #[server(default)] kind: String,
) -> Answer<Answer<SourceSummary>> {
    let request = request()?;
    let created = async {
        let key = checked_key(&key, request.lang)?;
        let input = domain::api::SourceInput { name, kind, ..Default::default() };
        request.services.create_source(&request.ctx, key, input).await
    };
    let created = form_answer(created.await, &request)?;
    if let Ok(created) = &created {
        leptos_axum::redirect(&crate::address::source_page(&created.key));
    }
    Ok(created)
}

/// Changes what people may set of a source. `attributes` is a line each, `name=value`.
pub const UPDATE_SOURCE: Form<Answer<SourceSummary>> = Form::to("/api/app/update-source");

#[cfg(feature = "ssr")]
#[server(prefix = "/api/app", endpoint = "update-source")]
async fn update_source(
    key: SourceKey,
    #[server(default)] name: String,
    #[server(default)] kind: String,
    #[server(default)] attributes: String,
    offline_after_secs: u32,
) -> Answer<Answer<SourceSummary>> {
    let request = request()?;
    let attributes = attributes
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .collect();
    let input =
        domain::api::SourceInput { name, kind, attributes, offline_after_secs: Some(offline_after_secs) };
    form_answer(request.services.update_source(&request.ctx, &key, input).await, &request)
}

/// Takes a source off the list; its events stay.
pub const DELETE_SOURCE: Form<()> = Form::to("/api/app/delete-source");

#[cfg(feature = "ssr")]
#[server(prefix = "/api/app", endpoint = "delete-source")]
async fn delete_source(key: SourceKey) -> Answer<()> {
    let request = request()?;
    answer(request.services.delete_source(&request.ctx, &key).await, &request)?;
    leptos_axum::redirect("/sources");
    Ok(())
}

/// Registers or changes many sources at once from CSV.
pub const IMPORT_SOURCES: Form<Answer<ImportReport>> = Form::to("/api/app/import-sources");

#[cfg(feature = "ssr")]
#[server(prefix = "/api/app", endpoint = "import-sources")]
async fn import_sources(csv: String) -> Answer<Answer<ImportReport>> {
    let request = request()?;
    form_answer(request.services.import_sources(&request.ctx, &csv).await, &request)
}

/// The key as a person typed it.
#[cfg(feature = "ssr")]
pub(super) fn checked_key(key: &str, lang: domain::Lang) -> Result<SourceKey, services::ServiceError> {
    SourceKey::new(key).map_err(|_| {
        services::ServiceError::invalid(
            "key",
            lang.pick(
                "소스 키는 제어 문자 없이 1~255바이트여야 합니다.",
                "A source key has 1 to 255 bytes and no control characters.",
            ),
        )
    })
}
