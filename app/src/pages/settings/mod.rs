//! Settings: profile, password, sessions, tokens; a section an address.

mod masking;
mod password;
mod profile;
mod sessions;
mod tokens;

use super::page_title;
use crate::boot::use_session;
use crate::texts::{T, t};
use domain::Permission;
use leptos::prelude::*;
use leptos_router::hooks::use_params_map;

/// The page.
#[component]
pub(crate) fn SettingsPage() -> AnyView {
    let params = use_params_map();
    let section = Memo::new(move |_| params.with(|p| p.get("section").unwrap_or_default()));
    let session = use_session();
    let entry = move |name: &'static str, href: &'static str, text: fn(T) -> &'static str| {
        view! {
            <a href=href aria-current=move || section.with(|s| s == name).then_some("page")>
                {t(text)}
            </a>
        }
    };
    let may_tokens = session.may(Permission::IngestTokens) || session.may(Permission::ApiTokens);
    let may_mask = session.may(Permission::TenantSettings);
    let body = move || match section.get().as_str() {
        "" => view! { <profile::Profile /> }.into_any(),
        "password" => view! { <password::Password /> }.into_any(),
        "sessions" => view! { <sessions::Sessions /> }.into_any(),
        "tokens" if may_tokens => view! { <tokens::Tokens /> }.into_any(),
        "masking" if may_mask => view! { <masking::Masking /> }.into_any(),
        _ => view! { <super::NotFound /> }.into_any(),
    };
    view! {
        {page_title(|t| t.settings().to_owned())}
        <div class="head">
            <h1>{t(T::settings)}</h1>
        </div>
        <div class="settings">
            <nav aria-label=t(T::settings)>
                {entry("", "/settings", T::profile)}
                {entry("password", "/settings/password", T::password)}
                {entry("sessions", "/settings/sessions", T::sessions)}
                {may_tokens.then(|| entry("tokens", "/settings/tokens", T::tokens))}
                {may_mask.then(|| entry("masking", "/settings/masking", T::masking))}
            </nav>
            <div class="stack">{body}</div>
        </div>
    }
    .into_any()
}
