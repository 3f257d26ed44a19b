//! What stands around every page but sign-in: rail, top bar, shortcuts.

mod keys;
mod rail;
mod taste;
mod top;

pub(crate) use taste::{LanguageForm, ThemeForm};

use crate::boot::use_session;
use crate::texts::{T, t};
use leptos::prelude::*;
use leptos_router::components::Outlet;
use leptos_router::hooks::use_location;

/// The frame. Someone who is not signed in is sent to do so.
#[component]
pub(crate) fn Frame() -> AnyView {
    if use_session().me.with_untracked(Option::is_none) {
        #[cfg(feature = "ssr")]
        if crate::context::use_request().is_some() {
            let location = use_location();
            let path = location.pathname.get_untracked();
            let search = location.search.get_untracked();
            let next =
                if search.is_empty() { path } else { format!("{path}?{}", search.trim_start_matches('?')) };
            crate::context::send_to(&crate::address::with_query("/login", [("next", next.as_str())]));
        }
        return view! { <main></main> }.into_any();
    }
    framed(view! { <Outlet /> }.into_any())
}

/// What someone who is signed in sees around a page.
pub(crate) fn framed(page: AnyView) -> AnyView {
    let session = use_session();
    let location = use_location();
    keys::listen();
    view! {
        <div class="frame" class:narrow=move || session.narrow.get()>
            // The browser follows it itself, and so moves the focus; the router would only change the address.
            <a class="skip" href="#main" rel="external">
                {t(T::skip)}
            </a>
            <rail::Rail path=location.pathname />
            <top::Top />
            <main id="main" tabindex="-1">
                {page}
            </main>
        </div>
        <keys::Shortcuts />
    }
    .into_any()
}

/// The window of time in the address, for pages that have one.
pub(crate) use top::{Window, use_window};
