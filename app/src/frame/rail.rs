//! The rail at the left; the bar at the bottom of a phone.

use crate::boot::use_session;
use crate::cookies;
use crate::texts::{T, t};
use leptos::prelude::*;
use ui::{Icon, icon};

/// Whether a path belongs to an entry of the rail.
fn is_under(path: &str, home: &str) -> bool {
    if home == "/" { path == "/" } else { path.starts_with(home) }
}

#[component]
pub(super) fn Rail(path: Memo<String>) -> AnyView {
    let session = use_session();
    let entry = move |href: &'static str, mark: Icon, text: fn(T) -> &'static str, class: &'static str| {
        let here = move || path.with(|path| is_under(path, href)).then_some("page");
        view! {
            <a class=format!("nav {class}") href=href aria-current=here>
                {icon(mark)}
                <span>{t(text)}</span>
            </a>
        }
    };
    let fold = move |_| {
        session.narrow.update(|narrow| *narrow = !*narrow);
        let value = if session.narrow.get_untracked() { "narrow" } else { "wide" };
        ui::browser::set_cookie(&cookies::keep(cookies::RAIL, value));
    };
    view! {
        <nav class="rail" aria-label=t(T::main_menu)>
            <a class="brand" href="/">
                {ui::icon::logo()}
                <span>"QGX"</span>
            </a>
            {entry("/", Icon::Home, T::overview, "")}
            {entry("/explore", Icon::Search, T::explore, "")}
            {entry("/sources", Icon::Source, T::sources, "")}
            {entry("/connect", Icon::Plug, T::connect, "nav-end")}
            {entry("/settings", Icon::Gear, T::settings, "")}
            <button
                type="button"
                class="nav fold"
                on:click=fold
                aria-pressed=move || if session.narrow.get() { "true" } else { "false" }
            >
                {icon(Icon::Fold)}
                <span>{t(T::fold)}</span>
            </button>
        </nav>
    }
    .into_any()
}
