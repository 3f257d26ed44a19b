//! How pages wait for what they show: a skeleton at first, the old picture while a new one comes, an error with a way
//! to try again.

use crate::call::{Fetched, Viewed};
use crate::error::AppError;
use crate::texts::T;
use leptos::prelude::*;
use leptos_meta::Title;
use serde::de::DeserializeOwned;
use ui::components::ErrorState;
use ui::use_locale;

/// Shows what a call brings.
pub(crate) fn loaded<V: DeserializeOwned + 'static>(
    fetched: Fetched<V>,
    skeleton: fn() -> AnyView,
    view: impl Fn(V) -> AnyView + Send + Sync + 'static,
) -> AnyView {
    shown(fetched.viewed(move |value, _| view(value)), skeleton, |_| None)
}

/// Shows what a call brings and its JSON.
pub(crate) fn loaded_json<V: DeserializeOwned + 'static>(
    fetched: Fetched<V>,
    skeleton: fn() -> AnyView,
    view: impl Fn(V, &str) -> AnyView + Send + Sync + 'static,
) -> AnyView {
    shown(fetched.viewed(view), skeleton, |_| None)
}

/// Shows what a call brings; `instead` may have something better to show than the error.
pub(crate) fn loaded_or<V: DeserializeOwned + 'static>(
    fetched: Fetched<V>,
    skeleton: fn() -> AnyView,
    view: impl Fn(V) -> AnyView + Send + Sync + 'static,
    instead: fn(&AppError) -> Option<AnyView>,
) -> AnyView {
    shown(fetched.viewed(move |value, _| view(value)), skeleton, instead)
}

fn shown(viewed: Viewed, skeleton: fn() -> AnyView, instead: fn(&AppError) -> Option<AnyView>) -> AnyView {
    let Viewed { resource, view } = viewed;
    // Read as a signal and not awaited: an awaited view is kept alive by its pending future while the signals it reads
    // are disposed of with the page, and would then read them.
    let shown = move || {
        resource.get().map(|unread| match unread.and_then(|json| view(&json)) {
            Ok(view) => view,
            Err(error) => {
                instead(&error).unwrap_or_else(|| failed(error, Callback::new(move |()| resource.refetch())))
            }
        })
    };
    view! { <Transition fallback=skeleton>{shown}</Transition> }.into_any()
}

/// Shows an error. Someone whose session has ended is sent to sign in.
pub(crate) fn failed(error: AppError, retry: Callback<()>) -> AnyView {
    if error.is_signed_out() {
        sign_in_again();
    }
    view! { <ErrorState problem=*error.0 retry /> }.into_any()
}

/// Goes to sign-in and comes back here afterwards.
pub(crate) fn sign_in_again() {
    Effect::new(move |_| {
        if let Some(location) = ui::browser::window().map(|w| w.location()) {
            let here = location.pathname().unwrap_or_default() + &location.search().unwrap_or_default();
            ui::browser::load(&crate::address::with_query("/login", [("next", here.as_str())]));
        }
    });
}

/// The title of the browser's tab.
pub(crate) fn page_title(text: impl Fn(T) -> String + Send + Sync + 'static) -> AnyView {
    let lang = use_locale().lang;
    view! { <Title text=move || tab_title(&text(T(lang.get()))) /> }.into_any()
}

/// `leptos_meta` writes a title into the page as it is, and a title may hold the name of a source, which anybody who
/// sends can choose. In the browser it is set as text, and needs nothing.
fn tab_title(text: &str) -> String {
    let text =
        if cfg!(feature = "ssr") { text.replace('&', "&amp;").replace('<', "&lt;") } else { text.to_owned() };
    format!("{text} · QGX")
}

#[cfg(all(test, feature = "ssr"))]
mod tests {
    use super::tab_title;

    #[test]
    fn a_title_holds_no_markup() {
        assert_eq!(tab_title("</title><meta a&b"), "&lt;/title>&lt;meta a&amp;b · QGX");
    }
}
