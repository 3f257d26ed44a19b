//! Page.
use leptos::prelude::*;
#[component]
pub(crate) fn SourcePage() -> AnyView { view! { <h1>"x"</h1> }.into_any() }
