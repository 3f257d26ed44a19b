//! The most frequent values beside the list: a click keeps a value, Shift or the second button leaves it out.

use super::Explore;
use crate::call::Fetched;
use crate::pages::loaded;
use crate::server_fns::events::{facets, is_long};
use crate::texts::{T, t, texts};
use domain::api::{Facet, FacetValue};
use domain::query::{filter_state, with_exclusion, with_filter, without_filter};
use leptos::{ev, prelude::*};
use ui::components::skeleton;
use ui::{Icon, icon, use_locale};

/// Values a field.
const VALUES: u32 = 8;

#[component]
pub(super) fn Facets() -> AnyView {
    let explore: Explore = expect_context();
    // The server chooses the fields: level, source, kind, and what the window's events have.
    let found = Fetched::new(move || facets(explore.filter.get(), Vec::new(), VALUES));
    view! {
        <aside class="card facets" aria-label=t(T::facets)>
            // On a phone it folds what follows it; elsewhere it is not shown.
            <details class="fold">
                <summary>{t(T::filters)} {icon(Icon::Down)}</summary>
            </details>
            {loaded(found, skeleton, |found| found.into_iter().map(facet).collect_view().into_any())}
        </aside>
    }
    .into_any()
}

/// What a field is called.
fn field_name(field: &str) -> String {
    match field {
        "level" => texts().level().to_owned(),
        "source" => texts().source().to_owned(),
        "kind" => texts().kind().to_owned(),
        other => other.to_owned(),
    }
}

/// One field; folded where its values are too many to choose among.
fn facet(facet: Facet) -> AnyView {
    if facet.values.is_empty() {
        return ().into_any();
    }
    let is_open = !is_long(&facet);
    let Facet { field, distinct, values } = facet;
    let locale = use_locale();
    let most = values.iter().map(|v| v.count).max().unwrap_or(1).max(1);
    let name = {
        let field = field.clone();
        move || field_name(&field)
    };
    let items = values.into_iter().map(|value| item(field.clone(), value, most)).collect_view();
    view! {
        <details class="facet" open=is_open>
            <summary>
                <h3>
                    <span class="clip">{name}</span>
                    <span class="faint">{move || locale.count(distinct)}</span>
                    {icon(Icon::Down)}
                </h3>
            </summary>
            <ul>{items}</ul>
        </details>
    }
    .into_any()
}

fn item(field: String, FacetValue { value, count }: FacetValue, most: u64) -> AnyView {
    let explore: Explore = expect_context();
    let locale = use_locale();
    let (f, v) = (field.clone(), value.clone());
    // Counted by reference: links of a list that goes away with the query may read it once more.
    let state = ArcMemo::new(move |_| explore.address.with(|a| filter_state(&a.q, &f, &v)));
    let (is_on, is_current) = (state.clone(), state.clone());
    let (f, v) = (field.clone(), value.clone());
    let kept = move |q: &str| {
        if state.get() == Some(true) { without_filter(q, &f, &v) } else { with_filter(q, &f, &v) }
    };
    let keep = move || {
        explore.link(|a| {
            let q = kept(&a.q);
            a.ask(q);
        })
    };
    let (f, v) = (field.clone(), value.clone());
    let exclude = move |a: &mut super::Address| {
        let q = with_exclusion(&a.q, &f, &v);
        a.ask(q);
    };
    let leave_out = exclude.clone();
    let without = move || explore.link(leave_out.clone());
    let shifted = move |event: ev::MouseEvent| {
        if event.shift_key() {
            event.prevent_default();
            explore.change(exclude.clone());
        }
    };
    let share = format!("{:.1}%", count as f64 / most as f64 * 100.0);
    let label = value.clone();
    view! {
        <li data-on=move || (is_on.get() == Some(true)).then_some("true")>
            <svg class="bar" aria-hidden="true">
                <rect width=share height="100%" />
            </svg>
            <a
                class="pick"
                href=keep
                title=t(T::facet_hint)
                aria-current=move || (is_current.get() == Some(true)).then_some("true")
                on:click=shifted
            >
                <span class="clip">{value}</span>
                <span class="count">{move || locale.count(count)}</span>
            </a>
            <a class="without" href=without aria-label=move || texts().exclude_value(&label)>
                {icon(Icon::Without)}
            </a>
        </li>
    }
    .into_any()
}
