//! How pages wait for what they show: a skeleton at first, the old picture while a new one comes, an error with a way
//! to try again.

use crate::error::{Answer, AppError};
use crate::texts::T;
use leptos::prelude::*;
use leptos::tachys::reactive_graph::OwnedView;
use leptos_meta::Title;
use ui::components::ErrorState;
use ui::use_locale;

/// Shows what a resource brings.
pub(crate) fn loaded<V>(
    resource: Resource<Answer<V>>,
    skeleton: fn() -> AnyView,
    view: impl Fn(V) -> AnyView + Clone + Send + Sync + 'static,
) -> AnyView
where
    V: Clone + Send + Sync + serde::Serialize + serde::de::DeserializeOwned + 'static,
{
    loaded_or(resource, skeleton, view, |_| None)
}

/// Shows what a resource brings; `instead` may have something better to show than the error.
pub(crate) fn loaded_or<V>(
    resource: Resource<Answer<V>>,
    skeleton: fn() -> AnyView,
    view: impl Fn(V) -> AnyView + Clone + Send + Sync + 'static,
    instead: fn(&AppError) -> Option<AnyView>,
) -> AnyView
where
    V: Clone + Send + Sync + serde::Serialize + serde::de::DeserializeOwned + 'static,
{
    let page = Owner::current();
    view! {
        <Transition fallback=skeleton>
            {move || {
                let (view, page) = (view.clone(), page.clone());
                Suspend::new(async move {
                    let shown = resource.await;
                    // The old picture stays while a new one comes, so its signals must outlive this run: they belong
                    // to the picture itself, under the page.
                    let picture = page.map_or_else(Owner::new, |page| page.with(Owner::new));
                    picture
                        .with(|| {
                            OwnedView::new(match shown {
                                Ok(value) => view(value),
                                Err(error) => instead(&error).unwrap_or_else(|| {
                                    failed(error, Callback::new(move |()| resource.refetch()))
                                }),
                            })
                        })
                        .into_any()
                })
            }}
        </Transition>
    }
    .into_any()
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
    view! { <Title text=move || format!("{} · QGX", text(T(lang.get()))) /> }.into_any()
}
