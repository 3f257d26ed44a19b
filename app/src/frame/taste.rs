//! Language and theme: forms that the server answers, done at once where scripts run.

use crate::boot::use_session;
use crate::server_fns::tastes::{SET_LANGUAGE, SET_THEME};
use crate::texts::{T, t};
use domain::Lang;
use domain::api::Theme;
use leptos::prelude::*;
use ui::{Icon, icon, use_locale};

/// Chooses between the two languages.
#[component]
pub(crate) fn LanguageForm() -> AnyView {
    let locale = use_locale();
    let choice = move |lang: Lang, name: &'static str| {
        let choose = move |event: leptos::ev::MouseEvent| {
            event.prevent_default();
            locale.lang.set(lang);
            SET_LANGUAGE.send(&[("lang", lang.tag())]);
        };
        view! {
            <button
                type="submit"
                name="lang"
                value=lang.tag()
                lang=lang.tag()
                on:click=choose
                aria-pressed=move || if locale.lang.get() == lang { "true" } else { "false" }
            >
                {name}
            </button>
        }
    };
    Effect::new(move |_| {
        if let Some(root) = ui::browser::document().and_then(|d| d.document_element()) {
            let _ = root.set_attribute("lang", locale.lang.get().tag());
        }
    });
    view! {
        <form method="post" action="/api/app/language">
            <div class="seg" role="group" aria-label=t(T::language)>
                {choice(Lang::Ko, "한국어")}
                {choice(Lang::En, "English")}
            </div>
        </form>
    }
    .into_any()
}

/// Chooses between light, dark and the system's.
#[component]
pub(crate) fn ThemeForm() -> AnyView {
    let session = use_session();
    let choice = move |theme: Theme, name: &'static str, mark: Option<Icon>, text: fn(T) -> &'static str| {
        let choose = move |event: leptos::ev::MouseEvent| {
            event.prevent_default();
            session.theme.set(theme);
            SET_THEME.send(&[("theme", name)]);
        };
        view! {
            <button
                type="submit"
                name="theme"
                value=name
                on:click=choose
                aria-pressed=move || if session.theme.get() == theme { "true" } else { "false" }
            >
                {mark.map(icon)}
                {t(text)}
            </button>
        }
    };
    Effect::new(move |_| {
        let Some(root) = ui::browser::document().and_then(|d| d.document_element()) else { return };
        let _ = match session.theme.get() {
            Theme::System => root.remove_attribute("data-theme"),
            Theme::Light => root.set_attribute("data-theme", "light"),
            Theme::Dark => root.set_attribute("data-theme", "dark"),
        };
    });
    view! {
        <form method="post" action="/api/app/theme">
            <div class="seg" role="group" aria-label=t(T::theme)>
                {choice(Theme::System, "system", None, T::theme_system)}
                {choice(Theme::Light, "light", Some(Icon::Sun), T::theme_light)}
                {choice(Theme::Dark, "dark", Some(Icon::Moon), T::theme_dark)}
            </div>
        </form>
    }
    .into_any()
}
