//! Text to take away.

use crate::browser;
use crate::texts::{T, t, texts};
use crate::{Icon, icon};
use leptos::prelude::*;
use std::time::Duration;

/// A button that copies a text and says so for two seconds.
#[component]
pub fn CopyButton(
    /// What to copy.
    #[prop(into)]
    text: Signal<String>,
    /// What the button says; the word for copying where none is given.
    #[prop(optional)]
    label: Option<Signal<&'static str>>,
) -> AnyView {
    let copied = RwSignal::new(false);
    let press = move |_| {
        browser::copy(&text.get_untracked());
        copied.set(true);
        set_timeout(move || _ = copied.try_set(false), Duration::from_secs(2));
    };
    let says = move || {
        if copied.get() { texts().copied() } else { label.map_or_else(|| texts().copy(), |l| l.get()) }
    };
    view! {
        <button type="button" class="btn quiet copy" on:click=press>
            {move || icon(if copied.get() { Icon::Check } else { Icon::Copy })}
            <span aria-live="polite">{says}</span>
        </button>
    }
    .into_any()
}

/// Preformatted text with a button to copy it.
#[component]
pub fn Code(
    /// The text.
    #[prop(into)]
    text: Signal<String>,
) -> AnyView {
    view! {
        <div class="code">
            <pre tabindex="0">{move || text.get()}</pre>
            <CopyIcon text />
        </div>
    }
    .into_any()
}

/// The copy button where there is no room for its word.
#[component]
fn CopyIcon(#[prop(into)] text: Signal<String>) -> AnyView {
    let copied = RwSignal::new(false);
    let press = move |_| {
        browser::copy(&text.get_untracked());
        copied.set(true);
        set_timeout(move || _ = copied.try_set(false), Duration::from_secs(2));
    };
    view! {
        <button type="button" class="btn icon copy" on:click=press aria-label=t(T::copy) title=t(T::copy)>
            {move || icon(if copied.get() { Icon::Check } else { Icon::Copy })}
            <span class="sr" aria-live="polite">
                {move || copied.get().then(|| texts().copied())}
            </span>
        </button>
    }
    .into_any()
}
