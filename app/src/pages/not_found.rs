//! No such page.

use super::page_title;
use crate::texts::{T, t};
use leptos::prelude::*;
use ui::Icon;
use ui::components::empty;

/// The page for addresses that lead nowhere.
#[component]
pub(crate) fn NotFound() -> AnyView {
    #[cfg(feature = "ssr")]
    if let Some(options) = use_context::<leptos_axum::ResponseOptions>() {
        options.set_status(http::StatusCode::NOT_FOUND);
    }
    view! {
        {page_title(|t| t.not_found().to_owned())}
        <main>
            <h1 class="sr">{t(T::not_found)}</h1>
            {empty(
                Icon::Info,
                t(T::not_found),
                t(T::not_found_body),
                view! {
                    <div class="actions">
                        <a class="btn primary" href="/">
                            {t(T::overview)}
                        </a>
                    </div>
                },
            )}
        </main>
    }
    .into_any()
}
