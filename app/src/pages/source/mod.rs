//! One source: its latest values, charts, events, what people noted about it, its credential, how to connect.

mod charts;
mod edit;
mod recent;

use super::overview::state_pill;
use super::{loaded_or, page_title};
use crate::address;
use crate::boot::use_session;
use crate::call::Fetched;
use crate::server_fns::sources::{SourceDetail, source};
use crate::texts::{T, t, texts};
use domain::api::{LatestValue, SourceSummary};
use domain::query::with_filter;
use domain::{Permission, SourceKey, TimeWindow};
use leptos::prelude::*;
use leptos_router::hooks::{use_params_map, use_query_map};
use ui::components::{Notice, Tone, empty, skeleton};
use ui::{Icon, icon, use_locale};

/// The page.
#[component]
pub(crate) fn SourcePage() -> AnyView {
    let params = use_params_map();
    let key = Memo::new(move |_| params.with(|p| p.get("key").unwrap_or_default()));
    let detail = Fetched::new(move || {
        let key = key.with(|key| SourceKey::new(key));
        source(key.unwrap_or_else(|_| SourceKey::new("?").expect("a valid key")))
    });
    view! {
        {page_title(move |_| key.get())}
        {loaded_or(detail, skeleton, |detail| view! { <Board detail /> }.into_any(), |error| {
            (error.0.code == "not_found").then(missing)
        })}
    }
    .into_any()
}

fn missing() -> AnyView {
    #[cfg(feature = "ssr")]
    if let Some(options) = use_context::<leptos_axum::ResponseOptions>() {
        options.set_status(http::StatusCode::NOT_FOUND);
    }
    view! {
        <h1 class="sr">{t(T::no_such_source)}</h1>
        {empty(
            Icon::Source,
            t(T::no_such_source),
            t(T::no_such_source_body),
            view! {
                <div class="actions">
                    <a class="btn" href="/sources">
                        {t(T::sources)}
                    </a>
                </div>
            },
        )}
    }
    .into_any()
}

#[component]
fn Board(detail: SourceDetail) -> AnyView {
    let session = use_session();
    let SourceDetail { source, latest, metrics } = detail;
    let window = crate::frame::use_window();
    let q = with_filter("", "source", source.key.as_str());
    let explore = move || {
        let (from, to) = window.to_query();
        address::explore(&q, &from, &to)
    };
    let connect = address::with_query("/connect", [("source", source.key.as_str())]);
    let title = if source.name.is_empty() { source.key.to_string() } else { source.name.clone() };
    let may_write = session.may(Permission::WriteSources);
    view! {
        <div class="head">
            <nav class="crumb" aria-label=t(T::path)>
                <a class="link" href="/sources">
                    {t(T::sources)}
                </a>
                <span aria-hidden="true">"/"</span>
            </nav>
            <h1>{title}</h1>
            {state_pill(source.state)}
            <div class="actions">
                <a class="btn" href=connect>
                    {icon(Icon::Plug)}
                    {t(T::how_to_connect)}
                </a>
                <a class="btn primary" href=explore>
                    {icon(Icon::Search)}
                    {t(T::open_in_explore)}
                </a>
            </div>
        </div>
        {elsewhere(&source)}
        <div class="source-grid">
            <div class="stack">
                <Latest latest=latest />
                <charts::Charts key=source.key.clone() metrics />
                <recent::Recent key=source.key.clone() />
            </div>
            <div class="stack">
                <Facts source=source.clone() />
                {may_write.then(|| view! { <edit::Edit source=source.clone() /> })}
                {session
                    .may(Permission::IngestTokens)
                    .then(|| view! { <edit::Credential key=source.key.clone() /> })}
                {may_write.then(|| view! { <edit::Remove key=source.key.clone() /> })}
            </div>
        </div>
    }
    .into_any()
}

/// Says where its events are, where they lie outside the window shown.
fn elsewhere(source: &SourceSummary) -> Option<AnyView> {
    let span = source.ts_range?;
    let window = crate::frame::use_window();
    let locale = use_locale();
    let key = source.key.clone();
    let hidden = Memo::new(move |_| {
        let shown = window.range.get();
        span.to < shown.from || span.from >= shown.to
    });
    let whole = TimeWindow::absolute(domain::TimeRange::new(span.from, span.to.plus_nanos(1_000_000_000)));
    let (from, to) = whole.to_query();
    let link =
        address::with_query(&address::source_page(&key), [("from", from.as_str()), ("to", to.as_str())]);
    Some(
        (move || {
            let link = link.clone();
            hidden.get().then(|| {
                view! {
                    <Notice tone=Tone::Muted>
                        <span>{move || texts().elsewhere(&locale.window(whole))}</span>
                        <span class="actions">
                            <a class="btn" href=link>
                                {t(T::show_them)}
                            </a>
                        </span>
                    </Notice>
                }
            })
        })
        .into_any(),
    )
}

#[component]
fn Latest(latest: Vec<LatestValue>) -> AnyView {
    let locale = use_locale();
    let query = use_query_map();
    if latest.is_empty() {
        return ().into_any();
    }
    let path = leptos_router::hooks::use_location().pathname;
    let tiles = latest
        .into_iter()
        .map(|LatestValue { metric, value, ts }| {
            let (name, shown) = (metric.clone(), domain::unit::text(&metric, value));
            // A click puts the metric's chart first.
            let link = move || {
                let (from, to) =
                    query.with(|q| (q.get("from").unwrap_or_default(), q.get("to").unwrap_or_default()));
                address::with_query(&path.get(), [("from", &*from), ("to", &*to), ("metric", &*name)])
            };
            view! {
                <a href=link title=move || locale.exact(ts)>
                    <span class="m clip">{metric}</span>
                    <span class="v">{shown}</span>
                    <span class="t">{move || locale.relative(ts)}</span>
                </a>
            }
        })
        .collect_view();
    view! {
        <section class="card" aria-labelledby="latest">
            <header>
                <h2 id="latest">{t(T::latest_values)}</h2>
            </header>
            <div class="latest">{tiles}</div>
        </section>
    }
    .into_any()
}

#[component]
fn Facts(source: SourceSummary) -> AnyView {
    let locale = use_locale();
    let fact = |name: fn(T) -> &'static str, value: AnyView| {
        view! {
            <dt>{t(name)}</dt>
            <dd>{value}</dd>
        }
    };
    let SourceSummary { events, bytes, rate, first_seen, last_seen, .. } = source;
    let time = move |at: Option<domain::Timestamp>| {
        move || at.map_or_else(|| "–".to_owned(), |at| locale.date_time(at))
    };
    let attributes = source
        .attributes
        .iter()
        .map(|(name, value)| {
            view! {
                <dt class="mono">{name.clone()}</dt>
                <dd>{value.clone()}</dd>
            }
        })
        .collect_view();
    view! {
        <section class="card" aria-labelledby="facts">
            <header>
                <h2 id="facts">{t(T::about)}</h2>
            </header>
            <dl class="kv">
                {fact(T::key, view! { <span class="mono">{source.key.to_string()}</span> }.into_any())}
                {(!source.kind.is_empty()).then(|| fact(T::kind, source.kind.clone().into_any()))}
                {fact(T::events_s, (move || locale.rate(rate)).into_any())}
                {fact(T::total_events, (move || format!("{} · {}", locale.count(events), locale.bytes(bytes))).into_any())}
                {fact(T::protocol, source.protocol.clone().unwrap_or_else(|| "–".to_owned()).into_any())}
                {fact(T::first_seen, time(first_seen).into_any())}
                {fact(T::last_seen, time(last_seen).into_any())}
                {attributes}
            </dl>
        </section>
    }
    .into_any()
}
