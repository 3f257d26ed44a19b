//! The first screen.

#[cfg(feature = "ssr")]
use super::{answer, request};
use crate::call::call;
use domain::api::Overview;
#[cfg(feature = "ssr")]
use leptos::prelude::*;

call! {
    /// Everything the Overview shows.
    "overview": fn overview() -> Overview {
        let request = request()?;
        answer(request.services.overview(&request.ctx).await, &request)
    }
}
