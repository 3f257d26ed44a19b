//! The latest events of a source in the window of the page.

use crate::address;
use crate::call::Fetched;
use crate::frame::use_window;
use crate::pages::loaded;
use crate::server_fns::events::search;
use crate::texts::{T, t};
use domain::api::{EventFilter, Order, SearchResult};
use domain::query::with_filter;
use domain::{Event, SourceKey};
use leptos::prelude::*;
use ui::components::{empty, level_tag, skeleton};
use ui::{Icon, use_locale};

/// Events shown.
const SHOWN: u32 = 15;

#[component]
pub(super) fn Recent(key: SourceKey) -> AnyView {
    let window = use_window();
    let q = with_filter("", "source", key.as_str());
    let asked = {
        let q = q.clone();
        Memo::new(move |_| EventFilter { q: q.clone(), range: window.range.get() })
    };
    let found = Fetched::new(move || search(asked.get(), Order::Desc, SHOWN, None));
    let all = {
        let q = q.clone();
        move || {
            let (from, to) = window.to_query();
            address::explore(&q, &from, &to)
        }
    };
    view! {
        <section class="card" aria-labelledby="recent">
            <header>
                <h2 id="recent">{t(T::events)}</h2>
                <span class="spacer"></span>
                <a class="btn quiet" href=all>
                    {t(T::open_in_explore)}
                </a>
            </header>
            {loaded(found, skeleton, move |found| rows(found, &q))}
        </section>
    }
    .into_any()
}

fn rows(found: SearchResult, q: &str) -> AnyView {
    let locale = use_locale();
    if found.page.items.is_empty() {
        return empty(Icon::Search, t(T::no_events), t(T::no_source_events_body), ());
    }
    let row = |event: Event| {
        let around = 5 * 60_000_000_000;
        let (from, to) = (event.ts.plus_nanos(-around), event.ts.plus_nanos(around));
        let mut link = address::explore(q, &from.to_string(), &to.to_string());
        link.push_str(&format!("&event={}", event.id));
        let text = event.message.clone().unwrap_or_else(|| {
            let shown = event.fields.iter().take(8).map(|(k, v)| format!("{k}={v} "));
            shown.collect::<String>()
        });
        let ts = event.ts;
        view! {
            <a class="ev short" href=link data-row title=move || locale.exact(ts)>
                <time datetime=ts.to_string()>{move || locale.short(ts)}</time>
                {level_tag(event.level)}
                <span class="msg">{text}</span>
            </a>
        }
    };
    found.page.items.into_iter().map(row).collect_view().into_any()
}
