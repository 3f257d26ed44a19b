//! The body of every page.

use crate::boot::{Boot, Session};
use crate::frame::Frame;
use crate::pages;
use leptos::prelude::*;
use leptos_meta::provide_meta_context;
use leptos_router::components::{ParentRoute, Route, Router, Routes};
use leptos_router::{SsrMode, path};
use ui::Locale;
use ui::components::{Toasts, provide_toasts};

/// The user web. The server renders it within [`shell`](crate::shell::shell), the browser hydrates it.
#[component]
pub fn App() -> impl IntoView {
    provide_meta_context();
    let boot = Boot::shared();
    let locale = Locale::provide(boot.lang, boot.zone.clone(), boot.now);
    crate::live::tick_now(locale.now);
    Session::provide(boot);
    provide_toasts();
    view! {
        <Router>
            <Routes fallback=pages::NotFound>
                <Route path=path!("/login") view=pages::Login ssr=SsrMode::Async />
                <ParentRoute path=path!("") view=Frame>
                    <Route path=path!("") view=pages::OverviewPage ssr=SsrMode::Async />
                    <Route path=path!("explore") view=pages::ExplorePage ssr=SsrMode::Async />
                    <Route path=path!("sources") view=pages::SourcesPage ssr=SsrMode::Async />
                    <Route path=path!("sources/:key") view=pages::SourcePage ssr=SsrMode::Async />
                    <Route path=path!("connect") view=pages::ConnectPage ssr=SsrMode::Async />
                    <Route path=path!("settings") view=pages::SettingsPage ssr=SsrMode::Async />
                    <Route path=path!("settings/:section") view=pages::SettingsPage ssr=SsrMode::Async />
                </ParentRoute>
            </Routes>
        </Router>
        <Toasts />
    }
}
