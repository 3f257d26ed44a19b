//! The head of the list: order, columns, export, sharing, live tail.

use super::{Explore, address::MOST_COLUMNS};
use crate::server_fns::events::fields;
use crate::texts::{T, t, texts};
use domain::api::Order;
use leptos::prelude::*;
use ui::components::{CopyButton, Menu};
use ui::{Icon, icon, use_locale};

#[component]
pub(super) fn ListHead(total: u64) -> AnyView {
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
            fields(range).then(move |found| {
                if let Ok(found) = found {
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
