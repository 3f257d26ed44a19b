//! The bar at the top: tenant, search, window of time, language and person.

use super::{LanguageForm, ThemeForm};
use crate::address;
use crate::boot::use_session;
use crate::texts::{T, t, texts};
use domain::{TimeRange, TimeWindow};
use leptos::prelude::*;
use leptos_router::hooks::{use_location, use_query_map};
use ui::components::{Menu, RangePicker};
use ui::{Icon, icon, use_locale};

/// The window of a page: as the address says it, and resolved.
#[derive(Clone, Copy)]
pub(crate) struct Window {
    /// As written in the address.
    pub window: Memo<TimeWindow>,
    /// Resolved when the address changes or [`Window::refresh`] is called.
    pub range: Memo<TimeRange>,
    again: RwSignal<u32>,
}

impl Window {
    /// Resolves a relative window anew.
    pub fn refresh(&self) {
        self.again.update(|n| *n += 1);
    }

    /// `from` and `to` as an address writes them.
    pub fn to_query(self) -> (String, String) {
        self.window.get().to_query()
    }
}

/// The window of the page in hand.
pub(crate) fn use_window() -> Window {
    let query = use_query_map();
    let locale = use_locale();
    let again = RwSignal::new(0);
    let window = Memo::new(move |_| {
        let (from, to) = query.with(|q| (q.get("from").unwrap_or_default(), q.get("to").unwrap_or_default()));
        locale.with_zone(|zone| address::parse_window(&from, &to, zone))
    });
    let asked = Memo::new(move |_| query.with(|q| q.get("q")));
    let range = Memo::new(move |_| {
        again.track();
        // Another question is asked of now, not of the moment the page was opened.
        asked.with(|_| ());
        // The page's clock stands still for a second between two ticks: what arrived meanwhile is not to be missed.
        window.get().resolve(locale.now.get_untracked().plus_nanos(1_000_000_000))
    });
    Window { window, range, again }
}

/// What the address says beyond the window; a new window starts at the first page and without an open event.
fn kept(query: &leptos_router::params::ParamsMap) -> Vec<(String, String)> {
    const LEFT_OUT: [&str; 5] = ["from", "to", "cursor", "event", "tab"];
    query
        .clone()
        .into_iter()
        .filter(|(name, _)| !LEFT_OUT.contains(&name.as_ref()))
        .map(|(name, value)| (name.into_owned(), value))
        .collect()
}

#[component]
pub(super) fn Top() -> AnyView {
    let path = use_location().pathname;
    // Explore has a search box of its own.
    let has_search = Memo::new(move |_| path.with(|p| !p.starts_with("/explore")));
    let has_window =
        Memo::new(move |_| path.with(|p| p.starts_with("/explore") || p.starts_with("/sources/")));
    view! {
        <header class="top">
            <TenantMenu />
            {move || if has_search.get() { view! { <SearchBox /> }.into_any() } else { brand() }}
            <span class="spacer wide"></span>
            {move || has_window.get().then(|| view! { <WindowPicker /> })}
            <span class="wide">
                <LanguageForm />
            </span>
            <PersonMenu />
        </header>
    }
    .into_any()
}

/// The name of the product where a phone has neither rail nor search box.
fn brand() -> AnyView {
    view! {
        <a class="brand" href="/" aria-label="QGX">
            {ui::icon::logo()}
            <span aria-hidden="true">"QGX"</span>
        </a>
    }
    .into_any()
}

#[component]
fn WindowPicker() -> AnyView {
    let query = use_query_map();
    let path = use_location().pathname;
    let window = use_window();
    let keep = Signal::derive(move || query.with(kept));
    let href = Callback::new(move |window: TimeWindow| {
        let (from, to) = window.to_query();
        let path = path.get();
        let kept = keep.get();
        let pairs = kept.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        address::with_query(&path, pairs.chain([("from", from.as_str()), ("to", to.as_str())]))
    });
    view! { <RangePicker window=window.window resolved=window.range href keep /> }.into_any()
}

#[component]
fn SearchBox() -> AnyView {
    let query = use_query_map();
    let window = use_window();
    view! {
        <form class="search" method="get" action="/explore" role="search" aria-label=t(T::search_label)>
            {icon(Icon::Search)}
            <input
                id="search"
                name="q"
                type="search"
                autocomplete="off"
                aria-label=t(T::search_label)
                placeholder=t(T::search_hint)
                prop:value=move || query.with(|q| q.get("q").unwrap_or_default())
            />
            <input type="hidden" name="from" value=move || window.to_query().0 />
            <input type="hidden" name="to" value=move || window.to_query().1 />
            <kbd class="wide">"/"</kbd>
        </form>
    }
    .into_any()
}

#[component]
fn TenantMenu() -> AnyView {
    let session = use_session();
    let current = move || session.me.with(|me| me.as_ref().map(|me| me.tenant.name.clone()));
    let tenants =
        session.me.with_untracked(|me| me.as_ref().map(|me| me.tenants.clone()).unwrap_or_default());
    if tenants.len() < 2 {
        return view! { <span class="btn quiet wide">{current}</span> }.into_any();
    }
    let selected = session.me.with_untracked(|me| me.as_ref().map(|me| me.tenant.key.clone()));
    let items = tenants
        .into_iter()
        .map(|tenant| {
            let here = (Some(&tenant.key) == selected.as_ref()).then_some("true");
            view! {
                <button class="item" type="submit" name="tenant" value=tenant.key.as_str().to_owned() aria-current=here>
                    {tenant.name.clone()}
                </button>
            }
        })
        .collect_view();
    view! {
        <Menu
            class="left"
            label=Signal::derive(move || format!("{}: {}", texts().tenant(), current().unwrap_or_default()))
            summary=view! {
                <span class="clip">{current}</span>
                {icon(Icon::Down)}
            }
                .into_any()
        >
            <form method="post" action="/api/app/select-tenant">
                {items}
            </form>
        </Menu>
    }
    .into_any()
}

#[component]
fn PersonMenu() -> AnyView {
    let session = use_session();
    let panel = super::keys::panel();
    let user = move || session.me.with(|me| me.as_ref().and_then(|me| me.user.clone()));
    let name = move || user().map(|u| if u.name.is_empty() { u.email } else { u.name }).unwrap_or_default();
    let letter = move || name().chars().next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    view! {
        <Menu
            class=""
            button="avatar"
            label=Signal::derive(move || texts().person_menu(&name()))
            summary=view! { <span>{letter}</span> }.into_any()
        >
            <p class="who">
                <b>{name}</b>
                <br />
                <span class="faint">{move || user().map(|u| u.email)}</span>
            </p>
            <hr />
            <a class="item" href="/settings">
                {icon(Icon::Person)}
                {t(T::profile)}
            </a>
            <button class="item wide" type="button" on:click=move |_| panel.set(true)>
                {icon(Icon::Keyboard)}
                {t(T::shortcuts)}
            </button>
            <hr />
            <div class="who">
                <LanguageForm />
            </div>
            <div class="who">
                <ThemeForm />
            </div>
            <hr />
            <form method="post" action="/api/app/logout">
                <button class="item" type="submit">
                    {icon(Icon::Leave)}
                    {t(T::sign_out)}
                </button>
            </form>
        </Menu>
    }
    .into_any()
}
