//! The first screen.

#[cfg(feature = "ssr")]
use super::{answer, request};
use crate::error::Answer;
use domain::api::Overview;
use leptos::prelude::*;
use leptos::server_fn::codec::Json;

/// Everything the Overview shows.
#[server(name = GetOverview, prefix = "/api/app", endpoint = "overview", input = Json)]
pub async fn overview() -> Answer<Overview> {
    let request = request()?;
    answer(request.services.overview(&request.ctx).await, &request)
}
