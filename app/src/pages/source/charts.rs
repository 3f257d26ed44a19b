//! A chart a metric, over the window of the page.

use crate::address;
use crate::call::Fetched;
use crate::frame::use_window;
use crate::pages::loaded;
use crate::server_fns::events::{Charted, metrics as query_metrics};
use crate::texts::{T, t, texts};
use domain::api::{Aggregate, MetricQuery};
use domain::{SourceKey, TimeRange, TimeWindow, Unit, unit};
use leptos::prelude::*;
use leptos_router::hooks::{use_location, use_navigate, use_query_map};
use ui::Icon;
use ui::charts::{LineChart, LineData};
use ui::components::{empty, tall_skeleton};
use ui::use_locale;

/// Charts drawn at once.
const SHOWN: usize = 4;

#[component]
pub(super) fn Charts(key: SourceKey, metrics: Vec<String>) -> AnyView {
    let query = use_query_map();
    if metrics.is_empty() {
        return ().into_any();
    }
    let chosen = Memo::new(move |_| query.with(|q| q.get("metric").unwrap_or_default()));
    let shown = Memo::new({
        let metrics = metrics.clone();
        move |_| {
            let first = chosen.get();
            let rest = metrics.iter().filter(|m| **m != first).cloned();
            metrics
                .contains(&first)
                .then(|| first.clone())
                .into_iter()
                .chain(rest)
                .take(SHOWN)
                .collect::<Vec<_>>()
        }
    });
    let choice = (metrics.len() > SHOWN).then(|| choice(&metrics, shown));
    let charts = move |metric: String| view! { <Chart key=key.clone() metric /> };
    view! {
        {choice}
        <div class="charts">
            <For each=move || shown.get() key=Clone::clone let:metric>
                {charts(metric)}
            </For>
        </div>
    }
    .into_any()
}

/// Every number of the source; a press puts its chart first.
fn choice(metrics: &[String], shown: Memo<Vec<String>>) -> AnyView {
    let query = use_query_map();
    let path = use_location().pathname;
    let chip = |metric: &String| {
        let (name, here) = (metric.clone(), metric.clone());
        let link = move || {
            let (from, to) =
                query.with(|q| (q.get("from").unwrap_or_default(), q.get("to").unwrap_or_default()));
            address::with_query(&path.get(), [("from", &*from), ("to", &*to), ("metric", &*name)])
        };
        let is_shown = move || shown.with(|shown| shown.contains(&here)).then_some("true");
        view! {
            <a class="chip mono" href=link aria-current=is_shown>
                {metric.clone()}
            </a>
        }
    };
    view! {
        <nav class="chips" aria-label=t(T::charts)>
            {metrics.iter().map(chip).collect_view()}
        </nav>
    }
    .into_any()
}

#[component]
fn Chart(key: SourceKey, metric: String) -> AnyView {
    let window = use_window();
    let asked = {
        let (key, metric) = (key.clone(), metric.clone());
        Memo::new(move |_| MetricQuery {
            metric: metric.clone(),
            sources: vec![key.clone()],
            aggregate: Aggregate::Avg,
            range: window.range.get(),
            step_secs: None,
        })
    };
    let found = Fetched::new(move || query_metrics(asked.get()));
    let (name, label) = (metric.clone(), metric.clone());
    let drawn = move |chart: Charted| drawn(chart, metric.clone(), &key);
    view! {
        <section class="card" aria-label=label>
            <header>
                <h2 class="mono">{name}</h2>
            </header>
            {loaded(found, tall_skeleton, drawn)}
        </section>
    }
    .into_any()
}

fn drawn(chart: Charted, metric: String, key: &SourceKey) -> AnyView {
    let locale = use_locale();
    let Charted { mean, least: lowest, greatest: highest } = chart;
    let Some(extremes) = mean.extremes else {
        return empty(Icon::Clock, t(T::no_values), t(T::no_values_body), ());
    };
    let navigate = use_navigate();
    let path = address::source_page(key);
    let pick = Callback::new(move |range: TimeRange| {
        let (from, to) = TimeWindow::absolute(range).to_query();
        navigate(&address::with_query(&path, [("from", &*from), ("to", &*to)]), Default::default());
    });
    let name = metric.clone();
    let label = Signal::derive(move || texts().chart_of(&name));
    let values = mean.series.into_iter().next().map(|s| s.values).unwrap_or_default();
    let unit = Unit::of(&metric);
    let (min, max) = (unit::text(&metric, extremes.min), unit::text(&metric, extremes.max));
    let banded = lowest != values || highest != values;
    let data = Signal::derive(move || {
        let mut series = vec![(metric.clone(), values.clone())];
        if banded {
            let texts = texts();
            series.push((texts.lowest().to_owned(), lowest.clone()));
            series.push((texts.highest().to_owned(), highest.clone()));
        }
        LineData { times: mean.times.clone(), series, banded, unit }
    });
    let least = move || texts().least(&min, &locale.short(extremes.min_at));
    let greatest = move || texts().greatest(&max, &locale.short(extremes.max_at));
    view! {
        <p class="extremes small faint">
            <span title=locale.exact(extremes.min_at)>{least}</span>
            <span title=locale.exact(extremes.max_at)>{greatest}</span>
        </p>
        <div class="body">
            <LineChart data label on_pick=pick />
        </div>
    }
    .into_any()
}
