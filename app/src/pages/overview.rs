//! The first screen: what comes in now, by whom, and what stands out. Drawn by the server, moved by the stream.

use super::{loaded, page_title};
use crate::address;
use crate::live::{self, Link, Wants};
use crate::server_fns::overview::overview as overview_now;
use crate::texts::{T, t, texts};
use domain::api::{
    Histogram, HistogramSeries, LiveMessage, LiveTotals, Overview, SourceState, SourceSummary,
};
use domain::{Event, Level, Timestamp};
use leptos::prelude::*;
use ui::charts::{Fill, Legend, LevelBars, sparkline};
use ui::components::{Tone, empty, level_tag, pill, tall_skeleton};
use ui::{Icon, use_locale};

/// The page.
#[component]
pub(crate) fn OverviewPage() -> AnyView {
    let resource = Resource::new(|| (), |()| overview_now());
    view! {
        {page_title(|t| t.overview().to_owned())}
        {loaded(resource, tall_skeleton, |overview| view! { <Board overview /> }.into_any())}
    }
    .into_any()
}

/// How many sources the server lists.
const TOP_SOURCES: usize = 8;
/// How many notable events stay on the page.
const NOTABLE: usize = 12;

#[component]
fn Board(overview: Overview) -> AnyView {
    let board = RwSignal::new(overview);
    let newcomers = Newcomers { missing: RwSignal::new(Vec::new()), asking: RwSignal::new(false) };
    let on_message = move |message| match message {
        LiveMessage::Totals(totals) => {
            board.update(|board| add_second(board, &totals));
            newcomers.look_for(board, &totals);
        }
        LiveMessage::Tail { events, .. } => board.update(|board| {
            board.notable.splice(0..0, events.into_iter().rev());
            board.notable.truncate(NOTABLE);
        }),
        LiveMessage::Source { key, state } => {
            board.update(|board| set_state(board, &key, state));
            newcomers.ask(board);
        }
        _ => {}
    };
    let link = live::follow(
        || Some(Wants { totals: true, tails: vec!["level>=warn".to_owned()], ..Wants::default() }),
        on_message,
    );
    let last = move || board.with(|b| b.last_event);
    let is_new = move || last().is_none();
    let locale = use_locale();
    view! {
        <div class="head">
            <h1>{t(T::overview)}</h1>
            <LiveMark link />
            <span class="faint small">
                {move || last().map(|at| texts().last_event(&locale.relative(at)))}
            </span>
        </div>
        {move || is_new().then(first_steps)}
        <Figures board />
        <div class="overview">
            <section class="card inflow" aria-labelledby="inflow">
                <header>
                    <h2 id="inflow">{t(T::inflow)}</h2>
                    <span class="sub hide-s">{t(T::inflow_sub)}</span>
                    <span class="spacer"></span>
                    <Legend histogram=Signal::derive(move || board.with(|b| b.inflow.clone())) />
                </header>
                <div class="body">
                    <Inflow board />
                </div>
            </section>
            <TopSources board />
            <Notable board />
        </div>
    }
    .into_any()
}

/// Says whether the page moves.
#[component]
pub(crate) fn LiveMark(link: RwSignal<Link>) -> AnyView {
    let class = move || if link.get() == Link::Open { "live" } else { "live off" };
    let text = move || match link.get() {
        Link::Open => texts().live(),
        Link::Closed => texts().live_connecting(),
        Link::Lost => texts().live_lost(),
    };
    view! {
        <span class=class role="status">
            {text}
        </span>
    }
    .into_any()
}

fn first_steps() -> AnyView {
    let button = view! {
        <div class="actions">
            <a class="btn primary" href="/connect">
                {t(T::connect_first)}
            </a>
        </div>
    };
    view! { <section class="card gap">{empty(Icon::Plug, t(T::nothing_yet), t(T::nothing_yet_body), button)}</section> }
        .into_any()
}

#[component]
fn Figures(board: RwSignal<Overview>) -> AnyView {
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
    let fresh = view! {
        {move || board.with(|b| b.freshness_p99_ms).map_or_else(|| "–".to_owned(), |ms| format!("{ms:.0}"))}
        <small>"ms"</small>
    };
    let rates = sparkline(move || board.with(|b| b.rate_history.clone()), "s1", Fill::Area);
    view! {
        <dl class="kpis">
            {figure(T::events_per_second, rate.into_any(), t(T::last_ten_seconds).into_any(), Some(rates))}
            {figure(T::today, today.into_any(), change.into_any(), None)}
            {figure(T::sources_online, sources.into_any(), away.into_any(), None)}
            {figure(T::freshness, fresh.into_any(), t(T::freshness_note).into_any(), None)}
        </dl>
    }
    .into_any()
}

#[component]
fn Inflow(board: RwSignal<Overview>) -> AnyView {
    let navigate = leptos_router::hooks::use_navigate();
    let pick = Callback::new(move |range: domain::TimeRange| {
        let to = address::explore("", &range.from.to_string(), &range.to.to_string());
        navigate(&to, Default::default());
    });
    view! {
        <LevelBars
            histogram=Signal::derive(move || board.with(|b| b.inflow.clone()))
            height=190
            label=Signal::derive(move || texts().inflow_label().to_owned())
            on_pick=pick
        />
    }
    .into_any()
}

/// The word for a state.
pub(crate) fn state_pill(state: SourceState) -> AnyView {
    match state {
        SourceState::Online => pill(Tone::Ok, t(T::online)),
        SourceState::Offline => pill(Tone::Error, t(T::offline)),
        SourceState::Unseen => pill(Tone::Muted, t(T::unseen)),
    }
}

#[component]
fn TopSources(board: RwSignal<Overview>) -> AnyView {
    let rows = move || board.with(|b| b.top_sources.iter().map(|source| row(source, board)).collect_view());
    let is_empty = move || board.with(|b| b.top_sources.is_empty());
    let keys = Memo::new(move |_| {
        board.with(|b| b.top_sources.iter().map(|s| (s.key.clone(), s.state)).collect::<Vec<_>>())
    });
    let body = move || {
        // Read, not merely tracked: a memo that nobody reads follows nothing.
        keys.with(|_| ());
        untrack(rows)
    };
    view! {
        <section class="card sources-top" aria-labelledby="top-sources">
            <header>
                <h2 id="top-sources">{t(T::sources)}</h2>
                <span class="sub">{t(T::busiest)}</span>
                <span class="spacer"></span>
                <a class="btn quiet" href="/sources">
                    {t(T::show_all)}
                </a>
            </header>
            <div class="table-wrap" hidden=is_empty>
                <table>
                    <thead>
                        <tr>
                            <th>{t(T::name)}</th>
                            <th>{t(T::state)}</th>
                            <th class="num">{t(T::events_s)}</th>
                            <th class="hide-s">{t(T::last_hour)}</th>
                            <th class="num">{t(T::last_seen)}</th>
                        </tr>
                    </thead>
                    <tbody>{body}</tbody>
                </table>
            </div>
            {move || is_empty().then(|| empty(Icon::Source, t(T::no_sources), t(T::no_sources_body), ()))}
        </section>
    }
    .into_any()
}

/// A row whose figures move without the row being drawn anew.
fn row(source: &SourceSummary, board: RwSignal<Overview>) -> AnyView {
    let locale = use_locale();
    let key = source.key.clone();
    let find = {
        let key = key.clone();
        move |b: &Overview| b.top_sources.iter().find(|s| s.key == key).map(|s| (s.rate, s.last_seen))
    };
    let rate = {
        let find = find.clone();
        move || board.with(&find).map(|(rate, _)| locale.rate(rate))
    };
    let seen = move || board.with(&find).and_then(|(_, at)| at).map(|at| locale.relative(at));
    let minutes = {
        let key = key.clone();
        move || {
            board.with(|b| {
                let source = b.top_sources.iter().find(|s| s.key == key);
                source.map(|s| s.sparkline.iter().map(|n| f64::from(*n)).collect()).unwrap_or_default()
            })
        }
    };
    let kind =
        (!source.kind.is_empty()).then(|| view! { <span class="faint hide-s">{source.kind.clone()}</span> });
    let name = if source.name.is_empty() { key.as_str().to_owned() } else { source.name.clone() };
    view! {
        <tr>
            <td>
                <a class="cell" href=address::source_page(&key) data-row>
                    {name}
                    {kind}
                </a>
            </td>
            <td>{state_pill(source.state)}</td>
            <td class="num">{rate}</td>
            <td class="hide-s spark-cell">{sparkline(minutes, "s1", Fill::Line)}</td>
            <td class="num soft">{seen}</td>
        </tr>
    }
    .into_any()
}

#[component]
fn Notable(board: RwSignal<Overview>) -> AnyView {
    let locale = use_locale();
    let row = move |event: Event| {
        let around = 5 * 60_000_000_000;
        let (from, to) = (event.ts.plus_nanos(-around), event.ts.plus_nanos(around));
        let mut link = address::explore("level>=warn", &from.to_string(), &to.to_string());
        link.push_str(&format!("&event={}", event.id));
        let text = event.message.clone().unwrap_or_else(|| event.source.to_string());
        view! {
            <a class="ev short" href=link data-row title=locale.exact(event.ts)>
                <time datetime=event.ts.to_string()>{locale.clock(event.ts)}</time>
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

/// Adds a second of the stream to the page's figures.
fn add_second(board: &mut Overview, totals: &LiveTotals) {
    const WINDOW: usize = 10;
    board.rate_history.push(totals.events as f64);
    let excess = board.rate_history.len().saturating_sub(60);
    board.rate_history.drain(..excess);
    let latest = &board.rate_history[board.rate_history.len().saturating_sub(WINDOW)..];
    board.rate = latest.iter().sum::<f64>() / latest.len().max(1) as f64;
    board.events_today += totals.events;
    board.bytes_today += totals.bytes;
    if totals.events > 0 {
        board.freshness_p99_ms = Some(totals.freshness_p99_ms);
        board.last_event = board.last_event.max(Some(totals.at));
    }
    add_to_inflow(&mut board.inflow, totals);
    for source in &mut board.top_sources {
        let events = totals.sources.iter().find(|(key, _)| *key == source.key).map_or(0, |(_, n)| *n);
        // A minute's mean, moved by a second.
        source.rate += (events as f64 - source.rate) / 60.0;
        if events > 0 {
            source.last_seen = source.last_seen.max(Some(totals.at));
            source.state = SourceState::Online;
            if let Some(minute) = source.sparkline.last_mut() {
                *minute = minute.saturating_add(u32::try_from(events).unwrap_or(u32::MAX));
            }
        }
    }
    board.at = totals.at;
}

fn add_to_inflow(inflow: &mut Histogram, totals: &LiveTotals) {
    const MINUTE: i64 = 60_000_000_000;
    // The picture moves on by whole minutes.
    while inflow.edges.last().is_some_and(|last| totals.at >= *last) {
        let next: Timestamp = inflow.edges.last().copied().unwrap_or_default().plus_nanos(MINUTE);
        inflow.edges.push(next);
        let full = inflow.edges.len() > 61;
        if full {
            inflow.edges.remove(0);
        }
        for series in &mut inflow.series {
            series.counts.push(0);
            if full && !series.counts.is_empty() {
                series.counts.remove(0);
            }
        }
        if inflow.edges.len() > 1_000 {
            return;
        }
    }
    let buckets = inflow.edges.len().saturating_sub(1);
    for (i, count) in totals.levels.iter().enumerate().filter(|(_, count)| **count > 0) {
        let level = u8::try_from(i).ok().and_then(Level::from_rank);
        if !inflow.series.iter().any(|s| s.level == level) {
            inflow.series.push(HistogramSeries { level, counts: vec![0; buckets] });
        }
        if let Some(last) =
            inflow.series.iter_mut().find(|s| s.level == level).and_then(|s| s.counts.last_mut())
        {
            *last += count;
        }
    }
}

/// Sources that send and are not shown, while there is room. They are asked for until they come: the stream is a
/// little ahead of the register.
#[derive(Clone, Copy)]
struct Newcomers {
    missing: RwSignal<Vec<domain::SourceKey>>,
    asking: RwSignal<bool>,
}

impl Newcomers {
    fn look_for(self, board: RwSignal<Overview>, totals: &LiveTotals) {
        let absent = |board: &Overview, key: &domain::SourceKey| {
            board.top_sources.len() < TOP_SOURCES && board.top_sources.iter().all(|source| source.key != *key)
        };
        self.missing.update(|missing| {
            missing.extend(totals.sources.iter().map(|(key, _)| key.clone()));
            board.with_untracked(|board| missing.retain(|key| absent(board, key)));
        });
        if !self.missing.with_untracked(Vec::is_empty) {
            self.ask(board);
        }
    }

    /// Asks for the sources and their counts anew.
    fn ask(self, board: RwSignal<Overview>) {
        if self.asking.get_untracked() {
            return;
        }
        self.asking.set(true);
        leptos::task::spawn_local(async move {
            if let Ok(fresh) = overview_now().await {
                board.try_update(|board| {
                    board.top_sources = fresh.top_sources;
                    board.sources = fresh.sources;
                });
            }
            _ = self.asking.try_set(false);
        });
    }
}

fn set_state(board: &mut Overview, key: &domain::SourceKey, state: SourceState) {
    if let Some(source) = board.top_sources.iter_mut().find(|s| s.key == *key) {
        source.state = state;
    }
}
