//! The document around the app, written by the server alone.

use crate::App;
use crate::context::{NONCE_PLACEHOLDER, use_request};
use domain::api::Theme;
use leptos::prelude::*;
use leptos::tachys::html::InertElement;
use leptos_axum::AxumRouteListing;
use leptos_meta::MetaTags;

/// Every page's path, for the server's router.
pub fn routes() -> Vec<AxumRouteListing> {
    leptos_axum::generate_route_list(App)
}

/// The value of `data-theme`; absent where the system decides.
pub(crate) fn theme_name(theme: Theme) -> Option<&'static str> {
    match theme {
        Theme::System => None,
        Theme::Light => Some("light"),
        Theme::Dark => Some("dark"),
    }
}

/// The document. Needs a [`RequestContext`](crate::context::RequestContext).
pub fn shell() -> impl IntoView {
    let request = use_request();
    let (lang, theme, assets) = request
        .map_or_else(Default::default, |r| (r.lang, r.theme, r.assets.replace(NONCE_PLACEHOLDER, &r.nonce)));
    view! {
        <!DOCTYPE html>
        <html lang=lang.tag() data-theme=theme_name(theme)>
            <head>
                <meta charset="utf-8" />
                <meta name="viewport" content="width=device-width, initial-scale=1, viewport-fit=cover" />
                <meta name="color-scheme" content="light dark" />
                <link rel="icon" href="/icon.svg" type="image/svg+xml" />
                <link rel="manifest" href="/manifest.webmanifest" />
                {InertElement::new(assets)}
                <MetaTags />
            </head>
            <body>
                <App />
            </body>
        </html>
    }
}
