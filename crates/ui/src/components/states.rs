//! Empty, failing and loading.

use crate::components::Tone;
use crate::texts::{T, t};
use crate::{Icon, icon};
use domain::api::Problem;
use leptos::prelude::*;

/// A line that says something in passing.
#[component]
pub fn Notice(
    /// How it looks.
    tone: Tone,
    /// Its words and links.
    children: Children,
) -> AnyView {
    let (class, mark) = match tone {
        Tone::Ok => ("notice ok", Icon::Check),
        Tone::Warn => ("notice warn", Icon::Warn),
        Tone::Error => ("notice err", Icon::Warn),
        Tone::Muted => ("notice info", Icon::Info),
    };
    view! {
        <div class=class role=if tone == Tone::Error { "alert" } else { "status" }>
            {icon(mark)} {children()}
        </div>
    }
    .into_any()
}

/// What went wrong, what it means, what to do, and the number to name when asking for help.
#[component]
pub fn ErrorState(
    /// From the server, in the person's language.
    problem: Problem,
    /// Tries again.
    #[prop(optional)]
    retry: Option<Callback<()>>,
) -> AnyView {
    let details =
        problem.errors.iter().map(|e| view! { <span>{format!(" {}", e.message)}</span> }).collect_view();
    let again = retry.map(|retry| {
        view! {
            <span class="actions">
                <button type="button" class="btn" on:click=move |_| retry.run(())>
                    {t(T::try_again)}
                </button>
            </span>
        }
    });
    let number = (!problem.request_id.is_empty()).then(|| {
        view! { <span class="rid">{t(T::request_id)} " " {problem.request_id.clone()}</span> }
    });
    view! {
        <Notice tone=Tone::Error>
            <div>
                <b>{problem.title.clone()}</b>
                " "
                {problem.detail.clone()}
                {details}
                {number}
            </div>
            {again}
        </Notice>
    }
    .into_any()
}

/// Nothing here, and what to do about it.
pub fn empty(
    mark: Icon,
    title: impl Fn() -> &'static str + Send + Sync + 'static,
    body: impl Fn() -> &'static str + Send + Sync + 'static,
    more: impl IntoView,
) -> AnyView {
    view! {
        <div class="empty">
            {icon(mark)} <strong class="title">{title}</strong> <p>{body}</p> {more.into_any()}
        </div>
    }
    .into_any()
}

/// Lines where text will be.
pub fn skeleton() -> AnyView {
    view! {
        <div class="bones" role="status" aria-label=t(T::loading)>
            <span class="bone"></span>
            <span class="bone"></span>
            <span class="bone"></span>
            <span class="bone"></span>
            <span class="bone"></span>
        </div>
    }
    .into_any()
}

/// A block where a chart will be.
pub fn tall_skeleton() -> AnyView {
    view! {
        <div class="bones" role="status" aria-label=t(T::loading)>
            <span class="bone tall"></span>
        </div>
    }
    .into_any()
}
