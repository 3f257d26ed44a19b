//! Counts over time above the list.

use super::Explore;
use crate::call::Fetched;
use crate::pages::loaded;
use crate::server_fns::events::histogram;
use crate::texts::texts;
use domain::TimeRange;
use domain::api::Histogram;
use leptos::prelude::*;
use ui::charts::{Legend, LevelBars};
use ui::components::tall_skeleton;
use ui::use_locale;

/// How many bars at most.
const BUCKETS: u32 = 80;

#[component]
pub(super) fn HistogramCard() -> AnyView {
    let explore: Explore = expect_context();
    let counts = Fetched::new(move || histogram(explore.filter.get(), BUCKETS));
    view! {
        <section class="card gap" aria-labelledby="hits">
            {loaded(counts, tall_skeleton, |found| view! { <Counted found /> }.into_any())}
        </section>
    }
    .into_any()
}

#[component]
fn Counted(found: Histogram) -> AnyView {
    let explore: Explore = expect_context();
    let locale = use_locale();
    let (total, took) = (found.total, found.took_ms);
    let histogram = Signal::stored(found);
    let pick = Callback::new(move |range: TimeRange| explore.change(|a| a.show(range)));
    let label = Signal::derive(move || texts().histogram_label(&locale.count(total)));
    view! {
        <header>
            <h2 id="hits">{move || texts().hits(&locale.count(total))}</h2>
            <span class="sub">
                {format!("{took:.0} ms · ")} {move || locale.window(explore.window.window.get())}
            </span>
            <span class="spacer"></span>
            <Legend histogram />
        </header>
        <div class="body">
            <LevelBars histogram height=124 label on_pick=pick />
        </div>
    }
    .into_any()
}
