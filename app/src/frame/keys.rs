//! Keys that work on every page, and the panel that lists them.

use crate::texts::{T, t};
use leptos::{ev, prelude::*};
use leptos_router::{NavigateOptions, hooks::use_navigate};
use ui::{Icon, browser, icon};
use wasm_bindgen::JsCast;

/// Whether the panel is open.
#[derive(Clone, Copy)]
struct PanelOpen(RwSignal<bool>);

/// Whether the panel is open, to be changed by others of the frame.
pub(super) fn panel() -> RwSignal<bool> {
    let PanelOpen(open) = expect_context();
    open
}

/// Listens as long as the frame stands: keys, and forms that only change the address, which the router takes over.
pub(super) fn listen() {
    let open = RwSignal::new(false);
    provide_context(PanelOpen(open));
    let navigate = use_navigate();
    Effect::new(move |_| {
        let waiting = StoredValue::new(false);
        let go = navigate.clone();
        let keys = window_event_listener(ev::keydown, move |event| {
            if event.ctrl_key() || event.meta_key() || event.alt_key() || event.is_composing() {
                return;
            }
            if event.key() == "Escape" && open.get_untracked() {
                return open.set(false);
            }
            if browser::is_typing() {
                return;
            }
            let after_g = waiting.get_value();
            waiting.set_value(false);
            let to = |path: &str| go(path, NavigateOptions::default());
            match (after_g, event.key().as_str()) {
                (true, "o") => to("/"),
                (true, "e") => to("/explore"),
                (true, "s") => to("/sources"),
                (true, "c") => to("/connect"),
                (false, "g") => waiting.set_value(true),
                (false, "/") => {
                    browser::focus(if browser::find("#query").is_some() { "#query" } else { "#search" })
                }
                (false, "?") => open.update(|open| *open = !*open),
                (false, "j") => step(1),
                (false, "k") => step(-1),
                _ => return,
            }
            event.prevent_default();
        });
        let go = navigate.clone();
        let forms = window_event_listener(ev::submit, move |event| {
            let Some(form) = event.target().and_then(|t| t.dyn_into::<web_sys::HtmlFormElement>().ok())
            else {
                return;
            };
            if event.default_prevented() || form.method() != "get" {
                return;
            }
            let Some(address) = address_of(&form) else { return };
            event.prevent_default();
            go(&address, NavigateOptions::default());
            if let Ok(Some(menu)) = form.closest("details") {
                let _ = menu.remove_attribute("open");
            }
        });
        on_cleanup(move || {
            keys.remove();
            forms.remove();
        });
    });
}

/// The address a GET form asks for.
fn address_of(form: &web_sys::HtmlFormElement) -> Option<String> {
    let data = web_sys::FormData::new_with_form(form).ok()?;
    let pairs = js_sys::try_iter(&data).ok()??;
    let mut out: Vec<(String, String)> = Vec::new();
    for pair in pairs.flatten() {
        let pair: js_sys::Array = pair.dyn_into().ok()?;
        out.push((pair.get(0).as_string()?, pair.get(1).as_string().unwrap_or_default()));
    }
    let action = form
        .get_attribute("action")
        .unwrap_or_else(|| browser::window().and_then(|w| w.location().pathname().ok()).unwrap_or_default());
    Some(crate::address::with_query(&action, out.iter().map(|(n, v)| (n.as_str(), v.as_str()))))
}

/// Moves the focus over the page's rows.
fn step(by: i32) {
    let Some(document) = browser::document() else { return };
    let Ok(rows) = document.query_selector_all("[data-row]") else { return };
    let active = document.active_element();
    let here = (0..rows.length()).find(|i| rows.item(*i).as_ref() == active.as_ref().map(AsRef::as_ref));
    let next = here.map_or(0, |i| i.saturating_add_signed(by)).min(rows.length().saturating_sub(1));
    if let Some(row) = rows.item(next).and_then(|n| n.dyn_into::<web_sys::HtmlElement>().ok()) {
        let _ = row.focus();
    }
}

/// The panel.
#[component]
pub(super) fn Shortcuts() -> AnyView {
    let open = panel();
    let row = |keys: &'static [&'static str], text: fn(T) -> &'static str| {
        let keys = keys.iter().map(|key| view! { <kbd>{*key}</kbd> " " }).collect_view();
        view! {
            <dt>{t(text)}</dt>
            <dd>{keys}</dd>
        }
    };
    Effect::new(move |_| {
        if open.get() {
            browser::focus(".dialog button");
        }
    });
    let panel = move || {
        open.get().then(|| {
            view! {
                <div class="scrim" on:click=move |_| open.set(false)></div>
                <section class="dialog" role="dialog" aria-modal="true" aria-labelledby="keys-title">
                    <div class="head card-head">
                        <h2 id="keys-title">{t(T::shortcuts)}</h2>
                        <button
                            type="button"
                            class="btn icon quiet actions"
                            aria-label=t(T::close)
                            on:click=move |_| open.set(false)
                        >
                            {icon(Icon::Close)}
                        </button>
                    </div>
                    <dl class="keys">
                        {row(&["/"], T::key_search)} {row(&["?"], T::key_panel)} {row(&["g", "o"], T::overview)}
                        {row(&["g", "e"], T::explore)} {row(&["g", "s"], T::sources)} {row(&["g", "c"], T::connect)}
                        {row(&["j", "k"], T::key_rows)} {row(&["Enter"], T::key_open)} {row(&["Esc"], T::key_close)}
                    </dl>
                </section>
            }
        })
    };
    view! { {panel} }.into_any()
}
