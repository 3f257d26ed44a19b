//! No such page.

use super::page_title;
use crate::boot::use_session;
use crate::frame::framed;
use crate::texts::{T, t};
use leptos::prelude::*;
use leptos_router::hooks::use_location;
use ui::Icon;
use ui::components::empty;

/// The page for addresses that lead nowhere.
#[component]
pub(crate) fn NotFound() -> AnyView {
    #[cfg(feature = "ssr")]
    if let Some(options) = use_context::<leptos_axum::ResponseOptions>() {
        options.set_status(http::StatusCode::NOT_FOUND);
    }
    let path = use_location().pathname;
    let page = view! {
        {page_title(|t| t.not_found().to_owned())}
        <h1 class="sr">{t(T::not_found)}</h1>
        {empty(
            Icon::Info,
            t(T::not_found),
            t(T::not_found_body),
            view! {
                <code class="small">{path}</code>
                <div class="actions">
                    <a class="btn primary" href="/">
                        {t(T::overview)}
                    </a>
                </div>
            },
        )}
    }
    .into_any();
    if use_session().me.with_untracked(Option::is_some) {
        framed(page)
    } else {
        view! { <main>{page}</main> }.into_any()
    }
}
