//! Sources: the list and each of them.

#[cfg(feature = "ssr")]
use super::{answer, request};
use crate::error::Answer;
use domain::SourceKey;
use domain::api::{ImportReport, LatestValue, Page, SourceListRequest, SourceSummary};
use leptos::prelude::*;
use leptos::server_fn::codec::Json;
use serde::{Deserialize, Serialize};

/// A page of sources.
#[server(prefix = "/api/app", endpoint = "sources", input = Json)]
pub async fn sources(list: SourceListRequest) -> Answer<Page<SourceSummary>> {
    let request = request()?;
    answer(request.services.sources(&request.ctx, list).await, &request)
}

/// A source with what its page shows at once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SourceDetail {
    /// The source.
    pub source: SourceSummary,
    /// The latest value of each metric.
    pub latest: Vec<LatestValue>,
    /// The names of its metrics.
    pub metrics: Vec<String>,
}

/// A source.
#[server(prefix = "/api/app", endpoint = "source", input = Json)]
pub async fn source(key: SourceKey) -> Answer<SourceDetail> {
    let request = request()?;
    let (services, ctx) = (&request.services, &request.ctx);
    let detail = async {
        Ok(SourceDetail {
            source: services.source(ctx, &key).await?,
            latest: services.latest_values(ctx, &key).await?,
            metrics: services.source_metrics(ctx, &key).await?,
        })
    };
    answer(detail.await, &request)
}

/// Registers a source before its first event.
#[server(prefix = "/api/app", endpoint = "create-source")]
pub async fn create_source(
    key: String,
    #[server(default)] name: String,
    #[server(default)] kind: String,
) -> Answer<SourceSummary> {
    let request = request()?;
    let created = async {
        let key = checked_key(&key, request.lang)?;
        let input = domain::api::SourceInput { name, kind, ..Default::default() };
        request.services.create_source(&request.ctx, key, input).await
    };
    let created = answer(created.await, &request)?;
    leptos_axum::redirect(&crate::address::source_page(&created.key));
    Ok(created)
}

/// Changes what people may set of a source. `attributes` is a line each, `name=value`.
#[server(prefix = "/api/app", endpoint = "update-source")]
pub async fn update_source(
    key: SourceKey,
    #[server(default)] name: String,
    #[server(default)] kind: String,
    #[server(default)] attributes: String,
    offline_after_secs: u32,
) -> Answer<SourceSummary> {
    let request = request()?;
    let attributes = attributes
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .collect();
    let input =
        domain::api::SourceInput { name, kind, attributes, offline_after_secs: Some(offline_after_secs) };
    answer(request.services.update_source(&request.ctx, &key, input).await, &request)
}

/// Takes a source off the list; its events stay.
#[server(prefix = "/api/app", endpoint = "delete-source")]
pub async fn delete_source(key: SourceKey) -> Answer<()> {
    let request = request()?;
    answer(request.services.delete_source(&request.ctx, &key).await, &request)?;
    leptos_axum::redirect("/sources");
    Ok(())
}

/// Registers or changes many sources at once from CSV.
#[server(prefix = "/api/app", endpoint = "import-sources")]
pub async fn import_sources(csv: String) -> Answer<ImportReport> {
    let request = request()?;
    answer(request.services.import_sources(&request.ctx, &csv).await, &request)
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
