//! The list of events: what was found, and what comes in after.

use super::Explore;
use super::head::ListHead;
use super::rows::{PAGE, Rows};
use super::tail::{Tail, tail_bar};
use crate::call::Fetched;
use crate::pages::loaded;
use crate::server_fns::events::{nearest, search};
use crate::texts::{T, t, texts};
use domain::api::{OutsideWindow, SearchResult};
use domain::{Event, TimeRange, TimeWindow};
use leptos::prelude::*;
use ui::components::{Notice, Tone, empty, skeleton};
use ui::{Icon, use_locale};

/// The most rows kept; the oldest go when a tail brings more.
const MOST_ROWS: usize = 10_000;

/// The part of the page with the list.
#[component]
pub(super) fn Events() -> AnyView {
    let explore: Explore = expect_context();
    let wanted = Memo::new(move |_| {
        let (order, cursor) = explore.address.with(|a| (a.order, a.cursor.clone()));
        (explore.filter.get(), order, (!cursor.is_empty()).then_some(cursor))
    });
    let found = Fetched::new(move || {
        let (filter, order, cursor) = wanted.get();
        search(filter, order, PAGE, cursor)
    });
    view! {
        <section class="card" aria-labelledby="events">
            {loaded(found, skeleton, |found| view! { <Found found /> }.into_any())}
        </section>
    }
    .into_any()
}

#[component]
fn Found(found: SearchResult) -> AnyView {
    let explore: Explore = expect_context();
    let rows = RwSignal::new(found.page.items);
    let next = RwSignal::new(found.page.next_cursor);
    let show = Callback::new(move |events: Vec<Event>| {
        rows.update(|rows| {
            rows.splice(0..0, events);
            rows.truncate(MOST_ROWS);
        });
    });
    let tail = Tail::start(explore, show);
    let is_live = Memo::new(move |_| explore.address.with(|a| a.live));
    view! {
        <ListHead total=found.page.total />
        {found.outside.map(outside)}
        {move || is_live.get().then(|| tail_bar(tail, show))}
        {move || rows.with(Vec::is_empty).then(|| nothing(is_live.get()))}
        <Rows rows next />
    }
    .into_any()
}

/// Says that what just arrived lies elsewhere in time. Not where the window holds it, nor where it only came in after
/// the page was made; nor in a window that somebody chose: of the present, that shows nothing either.
fn outside(OutsideWindow { count, range }: OutsideWindow) -> AnyView {
    let explore: Explore = expect_context();
    let is_elsewhere = Memo::new(move |_| {
        let shown = explore.window.range.get();
        let is_held = shown.from <= range.from && range.to <= shown.to;
        explore.window.window.get().is_live() && range.from < shown.to && !is_held
    });
    (move || is_elsewhere.get().then(|| outside_notice(count, range))).into_any()
}

fn outside_notice(count: u64, range: TimeRange) -> AnyView {
    let explore: Explore = expect_context();
    let locale = use_locale();
    let there = move || explore.link(|a| a.show(range));
    view! {
        <Notice tone=Tone::Muted>
            <span>
                {move || {
                    texts().outside(&locale.count(count), &locale.window(TimeWindow::absolute(range)))
                }}
            </span>
            <span class="actions">
                <a class="btn" href=there>
                    {t(T::show_them)}
                </a>
            </span>
        </Notice>
    }
    .into_any()
}

/// The way to the nearest day that has what is looked for.
fn closest(explore: Explore) -> AnyView {
    let found = RwSignal::new(None::<TimeRange>);
    Effect::new(move |_| {
        nearest(explore.filter.get()).then(move |day| _ = found.try_set(day.ok().flatten()));
    });
    let locale = use_locale();
    (move || {
        let day = found.get()?;
        let link = move || explore.link(|a| a.show(day));
        Some(view! {
            <a class="btn primary" href=link>
                {move || texts().nearest(&locale.date(day.from))}
            </a>
        })
    })
    .into_any()
}

fn nothing(is_live: bool) -> AnyView {
    if is_live {
        return empty(Icon::Clock, t(T::waiting_title), t(T::waiting_body), ());
    }
    let explore: Explore = expect_context();
    let wider = ["now-24h", "now-7d", "now-30d"].map(|from| {
        let link = move || {
            explore.link(|a| {
                a.from = from.to_owned();
                a.to = "now".to_owned();
                a.cursor.clear();
            })
        };
        let window = TimeWindow::parse(Some(from), None).unwrap_or_default();
        let locale = use_locale();
        view! {
            <a class="btn" href=link>
                {move || locale.window(window)}
            </a>
        }
    });
    empty(
        Icon::Search,
        t(T::no_events),
        t(T::no_events_body),
        view! { <div class="actions">{closest(explore)} {wider.collect_view()}</div> },
    )
}
