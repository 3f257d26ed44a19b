//! Signing in: a plain form, the same with and without scripts.

use super::page_title;
use crate::boot::{SignIn, use_session};
use crate::error::AppError;
use crate::frame::{LanguageForm, ThemeForm};
use crate::texts::{T, t};
use leptos::prelude::*;
use leptos::server_fn::error::ServerFnUrlError;
use leptos_router::hooks::use_query_map;
use ui::components::{ErrorState, Notice, Tone};

/// The page.
#[component]
pub(crate) fn Login() -> AnyView {
    let session = use_session();
    let sign_in = session.boot.with_value(|boot| boot.sign_in);
    view! {
        {page_title(|t| t.sign_in().to_owned())}
        <main class="login">
            <div class="card panel">
                <p class="brand">
                    {ui::icon::logo()}
                    <span>"QGX"</span>
                </p>
                <h1>{t(T::sign_in)}</h1>
                {match sign_in {
                    SignIn::Allowed => form(),
                    SignIn::PlainHttp => plain_http(),
                }}
            </div>
            <footer>
                <LanguageForm />
                <ThemeForm />
            </footer>
        </main>
    }
    .into_any()
}

/// Under which name the browser's tab keeps the e-mail, so that a wrong password does not cost it too.
const EMAIL: &str = "qgx-email";

fn form() -> AnyView {
    let query = use_query_map();
    let next = move || query.with(|q| q.get("next").unwrap_or_default());
    let error =
        query.with_untracked(|q| q.get("__err")).map(|e| ServerFnUrlError::<AppError>::decode_err(&e));
    let again = error.is_some();
    let email = NodeRef::<leptos::html::Input>::new();
    // The form is sent by the browser itself, which then makes the page anew.
    let keep = move |_| {
        if let (Some(kept), Some(email)) = (ui::browser::global("sessionStorage"), email.get_untracked()) {
            ui::browser::call(&kept, "setItem", &[EMAIL.into(), email.value().into()]);
        }
    };
    if again {
        Effect::new(move |_| {
            let Some(email) = email.get() else { return };
            let kept = ui::browser::global("sessionStorage")
                .and_then(|kept| ui::browser::call(&kept, "getItem", &[EMAIL.into()]))
                .and_then(|kept| kept.as_string());
            if let Some(kept) = kept.filter(|_| email.value().is_empty()) {
                email.set_value(&kept);
            }
            ui::browser::focus("#password");
        });
    }
    view! {
        <form class="form" method="post" action="/api/app/login" on:submit=keep>
            {error.map(|error| view! { <ErrorState problem=*error.0 /> })}
            <input type="hidden" name="next" value=next />
            <div class="field">
                <label for="email">{t(T::email)}</label>
                <input
                    class="input"
                    id="email"
                    name="email"
                    type="email"
                    autocomplete="username"
                    required
                    autofocus=!again
                    node_ref=email
                />
            </div>
            <div class="field">
                <label for="password">{t(T::password)}</label>
                <input
                    class="input"
                    id="password"
                    name="password"
                    type="password"
                    autocomplete="current-password"
                    required
                    autofocus=again
                />
            </div>
            <button type="submit" class="btn primary block">
                {t(T::sign_in)}
            </button>
        </form>
    }
    .into_any()
}

fn plain_http() -> AnyView {
    view! {
        <Notice tone=Tone::Warn>
            <div>
                <b>{t(T::plain_http)}</b>
                " "
                {t(T::plain_http_body)}
            </div>
        </Notice>
        <ul class="stack small soft">
            <li>{t(T::plain_http_tls)}</li>
            <li>{t(T::plain_http_proxy)}</li>
            <li>{t(T::plain_http_local)}</li>
        </ul>
    }
    .into_any()
}
