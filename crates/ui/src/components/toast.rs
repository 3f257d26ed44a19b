//! Short news at the corner, some with a way back.

use crate::texts::{T, t};
use leptos::prelude::*;
use std::time::Duration;

/// How long a toast stays.
const STAYS: Duration = Duration::from_secs(8);

#[derive(Clone)]
struct Toast {
    id: u32,
    text: String,
    undo: Option<Callback<()>>,
}

/// Says things at the corner of the page.
#[derive(Clone, Copy)]
pub struct Toaster {
    all: RwSignal<Vec<Toast>>,
    next: StoredValue<u32>,
}

impl Toaster {
    /// Says something.
    pub fn say(&self, text: impl Into<String>) {
        self.push(text.into(), None);
    }

    /// Says what was done and offers to undo it.
    pub fn undoable(&self, text: impl Into<String>, undo: Callback<()>) {
        self.push(text.into(), Some(undo));
    }

    fn push(&self, text: String, undo: Option<Callback<()>>) {
        let id = self.next.get_value();
        self.next.set_value(id + 1);
        self.all.update(|all| all.push(Toast { id, text, undo }));
        let this = *self;
        set_timeout(move || this.drop_one(id), STAYS);
    }

    fn drop_one(&self, id: u32) {
        _ = self.all.try_update(|all| all.retain(|toast| toast.id != id));
    }
}

/// Makes a place for toasts; once at the root.
pub fn provide_toasts() {
    provide_context(Toaster { all: RwSignal::new(Vec::new()), next: StoredValue::new(0) });
}

/// The page's toaster.
pub fn use_toasts() -> Toaster {
    expect_context()
}

/// Shows the toasts.
#[component]
pub fn Toasts() -> AnyView {
    let toaster = use_toasts();
    let items = move || {
        toaster
            .all
            .get()
            .into_iter()
            .map(|Toast { id, text, undo }| {
                let back = undo.map(|undo| {
                    let press = move |_| {
                        undo.run(());
                        toaster.drop_one(id);
                    };
                    view! {
                        <button type="button" class="btn" on:click=press>
                            {t(T::undo)}
                        </button>
                    }
                });
                view! {
                    <li class="toast">
                        <span>{text}</span>
                        {back}
                    </li>
                }
            })
            .collect_view()
    };
    view! {
        <ul class="toasts" aria-live="polite">
            {items}
        </ul>
    }
    .into_any()
}
