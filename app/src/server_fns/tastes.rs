//! Language and theme: a cookie for the browser, and the profile where somebody is signed in. Open to everyone, since
//! the sign-in page has them too.

#[cfg(feature = "ssr")]
use super::{answer, append_cookie, request};
use crate::call::Form;
#[cfg(feature = "ssr")]
use {crate::error::Answer, domain::Lang, domain::api::Theme, leptos::prelude::*};

/// Sets the language.
pub const SET_LANGUAGE: Form<()> = Form::to("/api/app/language");

#[cfg(feature = "ssr")]
#[server(prefix = "/api/app", endpoint = "language")]
async fn set_language(lang: Lang) -> Answer<()> {
    append_cookie(&crate::cookies::keep(crate::cookies::LANG, lang.tag()));
    save(|profile| profile.lang = Some(lang)).await
}

/// Sets the theme.
pub const SET_THEME: Form<()> = Form::to("/api/app/theme");

#[cfg(feature = "ssr")]
#[server(prefix = "/api/app", endpoint = "theme")]
async fn set_theme(theme: Theme) -> Answer<()> {
    let name = crate::shell::theme_name(theme).unwrap_or("system");
    append_cookie(&crate::cookies::keep(crate::cookies::THEME, name));
    save(|profile| profile.theme = theme).await
}

/// Keeps a change in the profile of whoever is signed in.
#[cfg(feature = "ssr")]
async fn save(change: impl FnOnce(&mut domain::api::UserProfile)) -> Answer<()> {
    let request = request()?;
    let Some(mut profile) = request.me.as_ref().and_then(|me| me.user.clone()) else { return Ok(()) };
    change(&mut profile);
    let input = domain::api::ProfileInput { name: profile.name, lang: profile.lang, theme: profile.theme };
    answer(request.services.update_profile(&request.ctx, input).await.map(|_| ()), &request)
}
