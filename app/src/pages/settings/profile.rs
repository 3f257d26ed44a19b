//! Name, language, theme.

use crate::boot::use_session;
use crate::call::{PostForm, Posted};
use crate::frame::{LanguageForm, ThemeForm};
use crate::server_fns::account::UPDATE_PROFILE;
use crate::texts::{T, t};
use domain::Role;
use leptos::prelude::*;
use ui::components::{ErrorState, Notice, Tone};
use ui::use_locale;

/// What a role is called.
pub(super) fn role_text(role: Role) -> fn(T) -> &'static str {
    match role {
        Role::Viewer => T::role_viewer,
        Role::Editor => T::role_editor,
        Role::Owner => T::role_owner,
    }
}

#[component]
pub(super) fn Profile() -> AnyView {
    let session = use_session();
    let update = Posted::new(&UPDATE_PROFILE);
    Effect::new(move |_| {
        if let Some(Ok(Ok(profile))) = update.value() {
            session.me.update(|me| {
                if let Some(me) = me {
                    me.user = Some(profile);
                }
            });
        }
    });
    let user = session.me.with_untracked(|me| me.as_ref().and_then(|me| me.user.clone()));
    let (name, email) = user.map(|u| (u.name, u.email)).unwrap_or_default();
    let role = session.me.with_untracked(|me| me.as_ref().map(|me| t(role_text(me.role))));
    let zone = use_locale().zone_name();
    let said = move || {
        update.value().map(Result::flatten).map(|result| match result {
            Ok(_) => view! { <Notice tone=Tone::Ok>{t(T::saved)}</Notice> }.into_any(),
            Err(error) => view! { <ErrorState problem=*error.0 /> }.into_any(),
        })
    };
    view! {
        <section class="card pad" aria-labelledby="profile">
            <h2 id="profile">{t(T::profile)}</h2>
            {said}
            <PostForm form=update class="form">
                <div class="field">
                    <label for="p-name">{t(T::name)}</label>
                    <input class="input" id="p-name" name="name" autocomplete="name" maxlength="100" value=name />
                </div>
                <div class="field">
                    <span class="label">{t(T::email)}</span>
                    <span>{email}</span>
                </div>
                <div class="field">
                    <span class="label">{t(T::role)}</span>
                    <span>{role}</span>
                </div>
                <div class="field">
                    <span class="label">{t(T::zone)}</span>
                    <span>{zone}</span>
                </div>
                <div>
                    <button type="submit" class="btn primary">
                        {t(T::save)}
                    </button>
                </div>
            </PostForm>
        </section>
        <section class="card pad" aria-labelledby="looks">
            <h2 id="looks">{t(T::looks)}</h2>
            <div class="form">
                <div class="field">
                    <span class="label">{t(T::language)}</span>
                    <LanguageForm />
                </div>
                <div class="field">
                    <span class="label">{t(T::theme)}</span>
                    <ThemeForm />
                </div>
            </div>
        </section>
    }
    .into_any()
}
