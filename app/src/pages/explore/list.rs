//! The list of events: pages that append, and only the rows in view in the document.

use super::marks::Marks;
use super::tail::Tail;
use super::{Explore, address::MOST_COLUMNS};
use crate::live::Link;
use crate::pages::loaded;
use crate::server_fns::events::{fields, search};
use crate::texts::{T, t, texts};
use domain::api::{Order, OutsideWindow, SearchResult};
use domain::{Event, FieldValue, TimeWindow};
use leptos::task::spawn_local;
use leptos::{ev, prelude::*};
use ui::components::{CopyButton, Menu, Notice, Tone, empty, level_tag, skeleton};
use ui::{Icon, icon, use_locale};

/// Events a page.
const PAGE: u32 = 100;
/// The most rows kept; the oldest go when a tail brings more.
const MOST_ROWS: usize = 10_000;
/// Rows drawn above and below those in view.
const MARGIN: usize = 20;

/// The part of the page with the list.
#[component]
pub(super) fn Events() -> AnyView {
    let explore: Explore = expect_context();
    let wanted = Memo::new(move |_| {
        let (order, cursor) = explore.address.with(|a| (a.order, a.cursor.clone()));
        (explore.filter.get(), order, (!cursor.is_empty()).then_some(cursor))
    });
    let found =
        Resource::new(move || wanted.get(), |(filter, order, cursor)| search(filter, order, PAGE, cursor));
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
        {found.outside.filter(|found| !is_just_now(explore, found)).map(outside)}
        {move || is_live.get().then(|| tail_bar(tail, show))}
        {move || rows.with(Vec::is_empty).then(|| nothing(is_live.get()))}
        <Rows rows next />
    }
    .into_any()
}

#[component]
fn ListHead(total: u64) -> AnyView {
    let explore: Explore = expect_context();
    let locale = use_locale();
    let order = move || match explore.address.with(|a| a.order) {
        Order::Desc => texts().newest_first(),
        Order::Asc => texts().oldest_first(),
    };
    let turn = move || {
        explore.link(|a| {
            a.order = if a.order == Order::Desc { Order::Asc } else { Order::Desc };
            a.cursor.clear();
            a.live = false;
        })
    };
    let live = move || {
        explore.link(|a| {
            a.live = !a.live;
            a.order = Order::Desc;
            a.cursor.clear();
        })
    };
    let export = move |format: &'static str| move || explore.address.with(|a| a.export(format));
    let share = Signal::derive(move || {
        explore.address.track();
        ui::browser::window().and_then(|w| w.location().href().ok()).unwrap_or_default()
    });
    view! {
        <header>
            <h2 id="events">{t(T::events)}</h2>
            <span class="sub wide">{move || texts().hits(&locale.count(total))}</span>
            <span class="spacer"></span>
            <a class="btn quiet" href=turn title=t(T::turn_order)>
                {order}
            </a>
            <ColumnMenu />
            <Menu
                class=""
                button="btn quiet"
                summary=view! {
                    {icon(Icon::Download)}
                    <span class="wide">{t(T::export)}</span>
                }
                    .into_any()
                label=Signal::derive(move || texts().export().to_owned())
            >
                <a class="item" href=export("ndjson") download>
                    "NDJSON"
                </a>
                <a class="item" href=export("csv") download>
                    "CSV"
                </a>
            </Menu>
            <span class="wide">
                <CopyButton text=share label=Signal::derive(move || texts().copy_link()) />
            </span>
            <a
                class="btn"
                href=live
                role="button"
                aria-pressed=move || if explore.address.with(|a| a.live) { "true" } else { "false" }
            >
                {icon(Icon::Bolt)}
                {t(T::live_tail)}
            </a>
        </header>
    }
    .into_any()
}

/// Chooses the columns among the fields that occur.
#[component]
fn ColumnMenu() -> AnyView {
    let explore: Explore = expect_context();
    let known = RwSignal::new(None::<Vec<String>>);
    let load = move || {
        if known.with_untracked(Option::is_none) {
            let range = explore.window.range.get_untracked();
            spawn_local(async move {
                if let Ok(found) = fields(range).await {
                    _ = known.try_set(Some(found.into_iter().map(|f| f.name).take(60).collect()));
                }
            });
        }
    };
    let items = move || {
        let chosen = explore.address.with(|a| a.columns.clone());
        let mut names = known.get().unwrap_or_default();
        names.retain(|name| !chosen.contains(name));
        chosen
            .iter()
            .map(|name| (name.clone(), true))
            .chain(names.into_iter().map(|name| (name, false)))
            .map(|(name, on)| {
                let link = explore.link(|a| a.toggle_column(&name));
                let full = !on && chosen.len() >= MOST_COLUMNS;
                view! {
                    <a
                        class="item"
                        href=link
                        hidden=full
                        role="checkbox"
                        aria-checked=if on { "true" } else { "false" }
                    >
                        {icon(if on { Icon::Check } else { Icon::Plus })}
                        <span class="mono">{name}</span>
                    </a>
                }
            })
            .collect_view()
    };
    view! {
        <span on:pointerdown=move |_| load() on:focusin=move |_| load()>
            <Menu
                class="columns"
                button="btn quiet"
                summary=view! {
                    {icon(Icon::Columns)}
                    <span class="wide">{t(T::columns)}</span>
                }
                    .into_any()
                label=Signal::derive(move || texts().columns().to_owned())
            >
                {items}
            </Menu>
        </span>
    }
    .into_any()
}

/// Whether they only came in after the page was made, in a window that ends now.
fn is_just_now(explore: Explore, found: &OutsideWindow) -> bool {
    let shown = explore.window.range.get_untracked();
    explore.window.window.get_untracked().is_live() && found.range.from >= shown.to
}

/// Says that what just arrived lies elsewhere in time.
fn outside(OutsideWindow { count, range }: OutsideWindow) -> AnyView {
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

fn tail_bar(tail: Tail, show: Callback<Vec<Event>>) -> AnyView {
    let locale = use_locale();
    let class = move || if tail.link.get() == Link::Open && !tail.paused.get() { "live" } else { "live off" };
    let state = move || match (tail.paused.get(), tail.link.get()) {
        (true, _) => texts().paused(),
        (_, Link::Open) => texts().live(),
        (_, Link::Closed) => texts().live_connecting(),
        (_, Link::Lost) => texts().live_lost(),
    };
    let counted = move || {
        if tail.paused.get() {
            texts().waiting(&locale.count(tail.waiting.with(|w| w.len() as u64)))
        } else {
            texts().came_in(&locale.count(tail.seen.get()))
        }
    };
    let left_out = move || {
        let omitted = tail.omitted.get();
        (omitted > 0).then(|| texts().left_out(&locale.count(omitted)))
    };
    view! {
        <div class="tailing">
            <span class=class role="status">
                {state}
            </span>
            <span class="faint">{counted}</span>
            <span class="faint">{left_out}</span>
            <span class="spacer"></span>
            <button
                type="button"
                class="btn"
                on:click=move |_| tail.toggle(show)
                aria-pressed=move || if tail.paused.get() { "true" } else { "false" }
            >
                {move || icon(if tail.paused.get() { Icon::Play } else { Icon::Pause })}
                {move || if tail.paused.get() { texts().go_on() } else { texts().pause() }}
            </button>
        </div>
    }
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
        view! { <div class="actions">{wider.collect_view()}</div> },
    )
}

/// Where the list stands in the window, in rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct InView {
    first: usize,
    after: usize,
}

#[component]
fn Rows(rows: RwSignal<Vec<Event>>, next: RwSignal<Option<String>>) -> AnyView {
    let explore: Explore = expect_context();
    let marks = Memo::new(move |_| explore.address.with(|a| Marks::of(&a.q)));
    let columns = Memo::new(move |_| explore.address.with(|a| a.columns.clone()));
    let place = NodeRef::<leptos::html::Div>::new();
    let inner = NodeRef::<leptos::html::Div>::new();
    let in_view = RwSignal::new(InView { first: 0, after: usize::MAX });
    let loading = RwSignal::new(false);

    let more = move || {
        let Some(cursor) = next.get_untracked() else { return };
        if loading.get_untracked() {
            return;
        }
        loading.set(true);
        let filter = explore.filter.get_untracked();
        let order = explore.address.with_untracked(|a| a.order);
        spawn_local(async move {
            if let Ok(found) = search(filter.clone(), order, PAGE, Some(cursor)).await
                && explore.filter.try_get_untracked().as_ref() == Some(&filter)
            {
                _ = next.try_set(found.page.next_cursor);
                rows.try_update(|rows| rows.extend(found.page.items));
            }
            _ = loading.try_set(false);
        });
    };
    Effect::new(move |_| {
        let look = move || {
            let Some(place) = place.get_untracked() else { return };
            let height = row_height();
            let screen = ui::browser::window()
                .and_then(|w| w.inner_height().ok())
                .and_then(|h| h.as_f64())
                .unwrap_or(900.0);
            let above = -place.get_bounding_client_rect().top();
            let count = rows.with_untracked(Vec::len);
            let first = ((above / height).max(0.0) as usize).saturating_sub(MARGIN).min(count);
            // Not cut at the count: a tail adds rows without anybody scrolling.
            let after = ((above + screen) / height).max(0.0) as usize + MARGIN;
            // A few steps at a time, so that small movements draw nothing.
            let seen = InView { first: first / 10 * 10, after: after.div_ceil(10) * 10 };
            if in_view.get_untracked() != seen {
                in_view.set(seen);
            }
            if after + MARGIN >= count && above > 0.0 {
                more();
            }
        };
        look();
        let scroll = window_event_listener(ev::scroll, move |_| look());
        let resize = window_event_listener(ev::resize, move |_| look());
        on_cleanup(move || {
            scroll.remove();
            resize.remove();
        });
    });
    Effect::new(move |_| {
        let height = row_height();
        let (count, seen) = (rows.with(Vec::len), in_view.get());
        if let (Some(place), Some(inner)) = (place.get(), inner.get()) {
            let place: &web_sys::HtmlElement = &place;
            let inner: &web_sys::HtmlElement = &inner;
            let _ = place.style().set_property("height", &format!("{}px", count as f64 * height));
            let _ =
                inner.style().set_property("top", &format!("{}px", seen.first.min(count) as f64 * height));
            let _ = inner.style().set_property("position", "absolute");
        }
    });
    let shown = move || {
        let seen = in_view.get();
        rows.with(|rows| rows.iter().take(seen.after).skip(seen.first).cloned().collect::<Vec<_>>())
    };
    let more_link = move || {
        next.get().map(|cursor| {
            let link = explore.link(|a| a.cursor = cursor);
            let press = move |event: ev::MouseEvent| {
                event.prevent_default();
                more();
            };
            view! {
                <div class="more">
                    <a class="btn" href=link on:click=press aria-busy=move || loading.get().then_some("true")>
                        {t(T::more)}
                    </a>
                </div>
            }
        })
    };
    view! {
        <div class="rows" node_ref=place>
            <div class="window" node_ref=inner>
                <For each=shown key=|event| event.id let:event>
                    {row(event, marks, columns)}
                </For>
            </div>
        </div>
        {more_link}
    }
    .into_any()
}

/// The height of a row, as the style sheet has it.
fn row_height() -> f64 {
    let phone = ui::browser::window()
        .and_then(|w| w.match_media("(max-width: 760px)").ok().flatten())
        .is_some_and(|m| m.matches());
    if phone { 54.0 } else { 30.0 }
}

fn row(event: Event, marks: Memo<Marks>, columns: Memo<Vec<String>>) -> AnyView {
    let explore: Explore = expect_context();
    let locale = use_locale();
    let id = event.id;
    let link = move || explore.link(|a| a.event = Some(id));
    let open = move |click: ev::MouseEvent| {
        if !(click.ctrl_key() || click.meta_key() || click.shift_key()) {
            click.prevent_default();
            explore.change(|a| a.event = Some(id));
        }
    };
    let class = move || match columns.with(Vec::len) {
        0 => "ev",
        1 => "ev c1",
        2 => "ev c2",
        3 => "ev c3",
        _ => "ev c4",
    };
    let is_open = move || explore.address.with(|a| a.event == Some(id)).then_some("true");
    let time = event.ts;
    let (level, source) = (event.level, event.source.to_string());
    let cells = {
        let fields = event.fields.clone();
        move || {
            let cell = |name: &String| {
                let value = fields.get(name).map(shown_value);
                view! { <span class="cell mono clip">{value.unwrap_or_else(|| "–".to_owned())}</span> }
            };
            columns.with(|columns| columns.iter().map(cell).collect_view())
        }
    };
    let message = move || {
        let text = event.message.as_deref().map(|text| marks.with(|m| m.paint(text)));
        let fields = columns.with(|columns| inline_fields(&event, columns));
        view! {
            {text}
            <span class="fields">{fields}</span>
        }
    };
    view! {
        <a class=class href=link on:click=open aria-current=is_open data-row>
            <time datetime=time.to_string() title=move || locale.exact(time)>
                {move || locale.clock_millis(time)}
            </time>
            {level_tag(level)}
            <span class="soft clip">{source}</span>
            {cells}
            <span class="msg">{message}</span>
        </a>
    }
    .into_any()
}

/// A value in little room.
fn shown_value(value: &FieldValue) -> String {
    match value {
        FieldValue::Number(number) => domain::format::number(*number),
        other => other.to_string(),
    }
}

/// The first fields that are no columns, as `name=value`, up to about a line.
fn inline_fields(event: &Event, columns: &[String]) -> String {
    let mut out = String::new();
    for (name, value) in event.fields.iter().filter(|(name, _)| !columns.contains(name)) {
        if out.len() > 160 {
            out.push('…');
            break;
        }
        out.push_str(name);
        out.push('=');
        out.push_str(&shown_value(value));
        out.push(' ');
    }
    out
}
