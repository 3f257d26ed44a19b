//! The rows of the list: only those in view are in the document, and further pages append.

use super::Explore;
use super::marks::Marks;
use crate::server_fns::events::search;
use crate::texts::{T, t, texts};
use domain::Event;
use leptos::{ev, prelude::*};
use ui::components::level_tag;
use ui::{Dating, Icon, icon, use_locale};

/// Events a page.
pub(super) const PAGE: u32 = 100;
/// Rows drawn above and below those in view.
const MARGIN: usize = 20;

/// Where the list stands in the window, in rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct InView {
    first: usize,
    after: usize,
}

#[component]
pub(super) fn Rows(rows: RwSignal<Vec<Event>>, next: RwSignal<Option<String>>) -> AnyView {
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
        search(filter.clone(), order, PAGE, Some(cursor)).then(move |found| {
            if let Ok(found) = found
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
    let locale = use_locale();
    let dating = Memo::new(move |_| match locale.dating(explore.window.range.get()) {
        Dating::Clock => "rows",
        Dating::Day => "rows dated",
        Dating::Year => "rows dated yearly",
    });
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
    let is_headed = Memo::new(move |_| columns.with(|c| !c.is_empty()));
    view! {
        {move || is_headed.get().then(|| headings(columns, dating))}
        <div class=dating node_ref=place>
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

/// The classes of a row with so many columns.
fn row_class(columns: &[String]) -> &'static str {
    ["ev", "ev c1", "ev c2", "ev c3", "ev c4"][columns.len().min(4)]
}

/// What stands in the columns; a press takes one of those that were added away.
fn headings(columns: Memo<Vec<String>>, dating: Memo<&'static str>) -> AnyView {
    let explore: Explore = expect_context();
    let added = move |name: String| {
        let (column, label) = (name.clone(), name.clone());
        let link = move || explore.link(|a| a.columns.retain(|c| *c != column));
        view! {
            <span class="cell">
                <span class="mono clip">{name}</span>
                <a href=link aria-label=move || texts().remove_column(&label)>
                    {icon(Icon::Close)}
                </a>
            </span>
        }
    };
    view! {
        <div class=move || format!("{} heads", dating.get())>
            <div class=move || columns.with(|c| row_class(c))>
                <span class="fixed">{t(T::when)}</span>
                <span class="fixed">{t(T::level)}</span>
                <span class="fixed">{t(T::source)}</span>
                {move || columns.get().into_iter().map(added).collect_view()}
                <span class="fixed">{t(T::event)}</span>
            </div>
        </div>
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
    let class = move || columns.with(|c| row_class(c));
    let is_open = move || explore.address.with(|a| a.event == Some(id)).then_some("true");
    let time = event.ts;
    let (level, source) = (event.level, event.source.to_string());
    let cells = {
        let fields = event.fields.clone();
        move || {
            let cell = |name: &String| {
                let value = fields.get(name).map(ToString::to_string);
                view! { <span class="cell mono clip">{value.unwrap_or_else(|| "–".to_owned())}</span> }
            };
            columns.with(|columns| columns.iter().map(cell).collect_view())
        }
    };
    let message = move || {
        let text = event.message.as_deref().map(|text| marks.with(|m| m.paint(text)));
        let fields = columns.with(|columns| inline_fields(&event, columns));
        // A phone has no room for columns: there they come first.
        let first = columns.with(|columns| chosen_fields(&event, columns));
        view! {
            {first.map(|first| view! { <span class="fields first">{first}</span> })}
            {text}
            <span class=if event.message.is_some() { "fields after" } else { "fields" }>{fields}</span>
        }
    };
    view! {
        <a class=class href=link on:click=open aria-current=is_open data-row>
            <time datetime=time.to_string() title=move || locale.exact(time)>
                {move || locale.dated(time, locale.dating(explore.window.range.get()))}
            </time>
            {level_tag(level)}
            <span class="soft clip">{source}</span>
            {cells}
            <span class="msg">{message}</span>
        </a>
    }
    .into_any()
}

/// The fields that are columns, as `name=value`.
fn chosen_fields(event: &Event, columns: &[String]) -> Option<String> {
    let one = |name: &String| event.fields.get(name).map(|value| format!("{name}={value} "));
    let all: String = columns.iter().filter_map(one).collect();
    (!all.is_empty()).then_some(all)
}

/// The first fields that are no columns, as `name=value`, up to about a line.
fn inline_fields(event: &Event, columns: &[String]) -> String {
    use std::fmt::Write;
    let mut out = String::new();
    for (name, value) in event.fields.iter().filter(|(name, _)| !columns.contains(name)) {
        if out.len() > 160 {
            out.push('…');
            break;
        }
        out.push_str(name);
        out.push('=');
        _ = write!(out, "{value} ");
    }
    out
}
