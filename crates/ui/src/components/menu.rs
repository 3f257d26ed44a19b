//! A button that opens a sheet of choices: a `<details>`, so that it opens before hydration too.

use leptos::{ev, prelude::*};
use wasm_bindgen::JsCast;

/// A menu. It closes on Escape, on a click elsewhere, and when one of its links or buttons is used.
#[component]
pub fn Menu(
    /// Classes beside `menu`.
    class: &'static str,
    /// What the button is called; where its content has words, leave it empty.
    #[prop(into, optional)]
    label: Option<Signal<String>>,
    /// Classes of the button.
    #[prop(default = "btn")]
    button: &'static str,
    /// What the button shows.
    summary: AnyView,
    /// The sheet.
    children: Children,
) -> AnyView {
    let root = NodeRef::<leptos::html::Details>::new();
    let close = move || {
        if let Some(root) = root.get_untracked() {
            root.set_open(false);
        }
    };
    Effect::new(move |_| {
        let handle = window_event_listener(ev::pointerdown, move |event| {
            let inside = root.get_untracked().is_none_or(|root| {
                let target = event.target().and_then(|t| t.dyn_into::<web_sys::Node>().ok());
                root.contains(target.as_ref())
            });
            if !inside {
                close();
            }
        });
        on_cleanup(move || handle.remove());
    });
    let key = move |event: ev::KeyboardEvent| {
        if event.key() == "Escape" {
            close();
            if let Some(summary) =
                root.get_untracked().and_then(|r| r.query_selector("summary").ok().flatten())
            {
                let _ = summary.unchecked_into::<web_sys::HtmlElement>().focus();
            }
        }
    };
    let used = move |event: ev::MouseEvent| {
        let target = event.target().and_then(|t| t.dyn_into::<web_sys::Element>().ok());
        if target.is_some_and(|t| matches!(t.closest("a, button"), Ok(Some(_)))) {
            close();
        }
    };
    view! {
        <details class=format!("menu {class}") node_ref=root on:keydown=key>
            <summary class=button aria-label=move || label.map(|l| l.get())>
                {summary}
            </summary>
            <div class="sheet" on:click=used>
                {children()}
            </div>
        </details>
    }
    .into_any()
}
