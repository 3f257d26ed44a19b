//! The figures at the top.

use crate::texts::{T, t, texts};
use domain::api::Overview;
use leptos::prelude::*;
use ui::charts::{Fill, sparkline};
use ui::use_locale;

/// From arrival to searchable, at most.
const GOAL_MS: f64 = 1_000.0;

#[component]
pub(super) fn Figures(board: RwSignal<Overview>) -> AnyView {
    let locale = use_locale();
    let figure =
        move |title: fn(T) -> &'static str, value: AnyView, note: AnyView, spark: Option<AnyView>| {
            view! {
                <div class="card kpi">
                    <dt>{t(title)}</dt>
                    <dd class="value">{value}</dd>
                    <dd class="note">{note}</dd>
                    {spark}
                </div>
            }
        };
    let rate = view! { {move || locale.rate(board.with(|b| b.rate))} };
    let change = move || {
        board.with(|b| b.change_percent).map(|percent| {
            let text = format!("{}{percent:.0}%", if percent >= 0.0 { "+" } else { "" });
            texts().change(&text)
        })
    };
    let today = view! {
        {move || locale.count(board.with(|b| b.events_today))}
        <small>{move || locale.bytes(board.with(|b| b.bytes_today))}</small>
    };
    let sources = view! {
        {move || locale.count(board.with(|b| b.sources.online))}
        <small>
            "/ "
            {move || locale.count(board.with(|b| b.sources.online + b.sources.offline + b.sources.unseen))}
        </small>
    };
    let away = move || {
        let counts = board.with(|b| b.sources);
        texts().away(&locale.count(counts.offline), &locale.count(counts.unseen))
    };
    let is_late = move || board.with(|b| b.freshness_p99_ms.is_some_and(|ms| ms > GOAL_MS));
    let fresh = view! {
        {move || board.with(|b| b.freshness_p99_ms).map_or_else(|| "–".to_owned(), |ms| locale.count(ms.round() as u64))}
        <small>"ms"</small>
    };
    let fresh = view! { <span class:late=is_late>{fresh}</span> };
    let goal = move || if is_late() { texts().freshness_late() } else { texts().freshness_note() };
    let rates = sparkline(move || board.with(|b| b.rate_history.clone()), "s1", Fill::Area);
    view! {
        <dl class="kpis">
            {figure(T::events_per_second, rate.into_any(), t(T::last_ten_seconds).into_any(), Some(rates))}
            {figure(T::today, today.into_any(), change.into_any(), None)}
            {figure(T::sources_online, sources.into_any(), away.into_any(), None)}
            {figure(T::freshness, fresh.into_any(), goal.into_any(), None)}
        </dl>
    }
    .into_any()
}
