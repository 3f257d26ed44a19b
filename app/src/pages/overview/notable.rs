//! Events that stand out.

use crate::address;
use crate::texts::{T, t};
use domain::Event;
use domain::api::Overview;
use leptos::prelude::*;
use ui::components::{empty, level_tag};
use ui::{Icon, use_locale};

#[component]
pub(super) fn Notable(board: RwSignal<Overview>) -> AnyView {
    let locale = use_locale();
    let row = move |event: Event| {
        let around = 5 * 60_000_000_000;
        let (from, to) = (event.ts.plus_nanos(-around), event.ts.plus_nanos(around));
        let mut link = address::explore("level>=warn", &from.to_string(), &to.to_string());
        link.push_str(&format!("&event={}", event.id));
        let text = event.message.clone().unwrap_or_else(|| event.source.to_string());
        view! {
            <a class="ev short" href=link data-row title=locale.exact(event.ts)>
                <time datetime=event.ts.to_string()>{locale.stamp(event.ts)}</time>
                {level_tag(event.level)}
                <span class="msg">{text}</span>
            </a>
        }
    };
    let is_empty = move || board.with(|b| b.notable.is_empty());
    view! {
        <section class="card" aria-labelledby="notable">
            <header>
                <h2 id="notable">{t(T::notable)}</h2>
                <span class="spacer"></span>
                <a class="btn quiet" href=address::explore("level>=warn", "now-24h", "now")>
                    {t(T::open_in_explore)}
                </a>
            </header>
            <div>
                <For each=move || board.with(|b| b.notable.clone()) key=|event| event.id let:event>
                    {row(event)}
                </For>
            </div>
            {move || is_empty().then(|| empty(Icon::Check, t(T::no_notable), t(T::no_notable_body), ()))}
        </section>
    }
    .into_any()
}
