//! The list of sources: search, filter, pages by address; registering one or many.

use super::overview::state_pill;
use super::{loaded, page_title};
use crate::address::{self, with_query};
use crate::boot::use_session;
use crate::call::{Fetched, PostForm, Posted};
use crate::server_fns::sources::{CREATE_SOURCE, IMPORT_SOURCES, sources};
use crate::texts::{T, t, texts};
use domain::Permission;
use domain::api::{ImportReport, Page, SourceListRequest, SourceState, SourceSummary};
use leptos::task::spawn_local;
use leptos::{ev, prelude::*};
use leptos_router::hooks::use_query_map;
use ui::charts::{Fill, sparkline};
use ui::components::{ErrorState, Notice, Tone, empty, skeleton};
use ui::{Icon, icon, use_locale};
use wasm_bindgen::JsCast;

/// Sources a page.
const PAGE: u32 = 50;

/// What the address says.
#[derive(Debug, Clone, PartialEq, Default)]
struct Asked {
    search: String,
    state: String,
    recent: bool,
    cursor: String,
    panel: String,
}

impl Asked {
    fn request(&self) -> SourceListRequest {
        SourceListRequest {
            search: self.search.clone(),
            state: match self.state.as_str() {
                "online" => Some(SourceState::Online),
                "offline" => Some(SourceState::Offline),
                "unseen" => Some(SourceState::Unseen),
                _ => None,
            },
            by_last_seen: self.recent,
            cursor: (!self.cursor.is_empty()).then(|| self.cursor.clone()),
            limit: PAGE,
        }
    }

    fn link(&self) -> String {
        with_query(
            "/sources",
            [
                ("search", &*self.search),
                ("state", &*self.state),
                ("by", if self.recent { "recent" } else { "" }),
                ("cursor", &*self.cursor),
                ("panel", &*self.panel),
            ],
        )
    }
}

/// The page.
#[component]
pub(crate) fn SourcesPage() -> AnyView {
    let query = use_query_map();
    let session = use_session();
    let asked = Memo::new(move |_| {
        let text = |name| query.with(|q| q.get(name).unwrap_or_default());
        Asked {
            search: text("search"),
            state: text("state"),
            recent: text("by") == "recent",
            cursor: text("cursor"),
            panel: text("panel"),
        }
    });
    let request = Memo::new(move |_| asked.with(Asked::request));
    let list = Fetched::new(move || sources(request.get()));
    let change = move |change: fn(&mut Asked)| {
        move || {
            let mut asked = asked.get();
            change(&mut asked);
            asked.link()
        }
    };
    let state = move |value: &'static str, text: fn(T) -> &'static str| {
        let link = move || Asked { state: value.to_owned(), cursor: String::new(), ..asked.get() }.link();
        view! {
            <a href=link aria-current=move || asked.with(|a| a.state == value).then_some("true")>
                {t(text)}
            </a>
        }
    };
    let may_write = session.may(Permission::WriteSources);
    view! {
        {page_title(|t| t.sources().to_owned())}
        <div class="head">
            <h1>{t(T::sources)}</h1>
            {may_write
                .then(|| {
                    view! {
                        <div class="actions">
                            <a class="btn" href=change(|a| a.panel = "import".to_owned())>
                                {icon(Icon::Upload)}
                                {t(T::import)}
                            </a>
                            <a class="btn" href=change(|a| a.panel = "new".to_owned())>
                                {icon(Icon::Plus)}
                                {t(T::register)}
                            </a>
                            <a class="btn primary" href="/connect">
                                {icon(Icon::Plug)}
                                {t(T::connect)}
                            </a>
                        </div>
                    }
                })}
        </div>
        {move || match asked.with(|a| a.panel.clone()).as_str() {
            "new" if may_write => view! { <Register close=change(|a| a.panel.clear())() /> }.into_any(),
            "import" if may_write => view! { <Import close=change(|a| a.panel.clear())() list /> }.into_any(),
            _ => ().into_any(),
        }}
        <div class="filters">
            <form class="search" method="get" action="/sources" role="search" aria-label=t(T::search_sources)>
                {icon(Icon::Search)}
                <input
                    name="search"
                    type="search"
                    aria-label=t(T::search_sources)
                    placeholder=t(T::search_sources)
                    value=asked.get_untracked().search
                    prop:value=move || asked.with(|a| a.search.clone())
                />
                <input type="hidden" name="state" value=move || asked.with(|a| a.state.clone()) />
                <input type="hidden" name="by" value=move || if asked.with(|a| a.recent) { "recent" } else { "" } />
            </form>
            <nav class="seg" aria-label=t(T::state)>
                {state("", T::all)}
                {state("online", T::online)}
                {state("offline", T::offline)}
                {state("unseen", T::unseen)}
            </nav>
            <nav class="seg" aria-label=t(T::order)>
                <a
                    href=change(|a| { a.recent = false; a.cursor.clear(); })
                    aria-current=move || asked.with(|a| !a.recent).then_some("true")
                >
                    {t(T::by_name)}
                </a>
                <a
                    href=change(|a| { a.recent = true; a.cursor.clear(); })
                    aria-current=move || asked.with(|a| a.recent).then_some("true")
                >
                    {t(T::by_last_seen)}
                </a>
            </nav>
        </div>
        <section class="card sources" aria-label=t(T::sources)>
            {loaded(list, skeleton, move |page| table(page, asked))}
        </section>
    }
    .into_any()
}

fn table(page: Page<SourceSummary>, asked: Memo<Asked>) -> AnyView {
    let locale = use_locale();
    if page.items.is_empty() {
        let is_filtered = asked.with_untracked(|a| !a.search.is_empty() || !a.state.is_empty());
        let link = if is_filtered {
            view! {
                <a class="btn" href="/sources">
                    {t(T::show_all)}
                </a>
            }
            .into_any()
        } else {
            view! {
                <a class="btn primary" href="/connect">
                    {t(T::connect_first)}
                </a>
            }
            .into_any()
        };
        let (title, body) = if is_filtered {
            (t(T::none_match), t(T::none_match_body))
        } else {
            (t(T::no_sources), t(T::no_sources_body))
        };
        return empty(Icon::Source, title, body, view! { <div class="actions">{link}</div> });
    }
    let total = page.total;
    let next = page.next_cursor.map(|cursor| {
        let link = Asked { cursor, ..asked.get_untracked() }.link();
        view! {
            <a class="btn" href=link rel="next">
                {t(T::next_page)}
            </a>
        }
    });
    let first = asked.with_untracked(|a| {
        (!a.cursor.is_empty()).then(|| {
            let link = Asked { cursor: String::new(), ..a.clone() }.link();
            view! {
                <a class="btn" href=link>
                    {t(T::first_page)}
                </a>
            }
        })
    });
    view! {
        <div class="table-wrap">
            <table>
                <thead>
                    <tr>
                        <th>{t(T::name)}</th>
                        <th>{t(T::state)}</th>
                        <th class="num">{t(T::events_s)}</th>
                        <th class="hide-s">{t(T::last_hour)}</th>
                        <th class="num hide-s">{t(T::total_events)}</th>
                        <th class="hide-s">{t(T::protocol)}</th>
                        <th class="num">{t(T::last_seen)}</th>
                    </tr>
                </thead>
                <tbody>{page.items.into_iter().map(row).collect_view()}</tbody>
            </table>
        </div>
        <div class="pages">
            <span>{move || texts().sources_in_all(&locale.count(total))}</span>
            <span class="spacer"></span>
            {first}
            {next}
        </div>
    }
    .into_any()
}

fn row(source: SourceSummary) -> AnyView {
    let locale = use_locale();
    let SourceSummary { rate, events, last_seen, sparkline: minutes, .. } = source;
    let minutes: Vec<f64> = minutes.into_iter().map(f64::from).collect();
    let named = (!source.name.is_empty()).then(|| source.name.clone());
    let about = [named, (!source.kind.is_empty()).then(|| source.kind.clone())];
    let about = about.into_iter().flatten().collect::<Vec<_>>().join(" · ");
    let tint = if source.state == SourceState::Online { "s1" } else { "off" };
    view! {
        <tr>
            <td>
                <a class="cell src-name" href=address::source_page(&source.key) data-row>
                    <span>{source.key.to_string()}</span>
                    {(!about.is_empty()).then(|| view! { <span class="faint small">{about}</span> })}
                </a>
            </td>
            <td>{state_pill(source.state)}</td>
            <td class="num">{move || locale.rate(rate)}</td>
            <td class="hide-s spark-cell">{sparkline(move || minutes.clone(), tint, Fill::Line)}</td>
            <td class="num hide-s soft">{move || locale.count(events)}</td>
            <td class="hide-s soft">{source.protocol.clone()}</td>
            <td class="num soft" title=move || last_seen.map(|at| locale.exact(at))>
                {move || last_seen.map_or_else(|| "–".to_owned(), |at| locale.relative(at))}
            </td>
        </tr>
    }
    .into_any()
}

#[component]
fn Register(close: String) -> AnyView {
    let create = Posted::new(&CREATE_SOURCE);
    let error = move || {
        create
            .value()
            .map(Result::flatten)
            .and_then(Result::err)
            .map(|e| view! { <ErrorState problem=*e.0 /> })
    };
    view! {
        <section class="card pad gap" aria-labelledby="register">
            <h2 id="register">{t(T::register)}</h2>
            <p class="soft small">{t(T::register_note)}</p>
            <PostForm form=create class="form gap-top">
                {error}
                <div class="field">
                    <label for="key">{t(T::key)}</label>
                    <input class="input" id="key" name="key" required maxlength="255" autofocus />
                    <span class="hint">{t(T::key_hint)}</span>
                </div>
                <div class="field">
                    <label for="name">{t(T::name_optional)}</label>
                    <input class="input" id="name" name="name" maxlength="200" />
                </div>
                <div class="field">
                    <label for="kind">{t(T::kind_optional)}</label>
                    <input class="input" id="kind" name="kind" maxlength="100" />
                </div>
                <div class="row">
                    <button type="submit" class="btn primary">
                        {t(T::register)}
                    </button>
                    <a class="btn quiet" href=close>
                        {t(T::cancel)}
                    </a>
                </div>
            </PostForm>
        </section>
    }
    .into_any()
}

#[component]
fn Import(close: String, list: Fetched<Page<SourceSummary>>) -> AnyView {
    let import = Posted::new(&IMPORT_SOURCES);
    let csv = RwSignal::new(String::new());
    Effect::new(move |_| {
        if matches!(import.value(), Some(Ok(Ok(_)))) {
            list.refetch();
        }
    });
    let choose = move |event: ev::Event| {
        let input = event.target().and_then(|t| t.dyn_into::<web_sys::HtmlInputElement>().ok());
        let Some(file) = input.and_then(|i| i.files()).and_then(|f| f.get(0)) else { return };
        let text = file.text();
        spawn_local(async move {
            let read = wasm_bindgen_futures::JsFuture::from(text).await;
            if let Some(text) = read.ok().and_then(|text| text.as_string()) {
                _ = csv.try_set(text);
            }
        });
    };
    view! {
        <section class="card pad gap" aria-labelledby="import">
            <h2 id="import">{t(T::import)}</h2>
            <p class="soft small">{t(T::import_note)}</p>
            {move || import.value().map(Result::flatten).map(|result| match result {
                Ok(report) => report_view(report),
                Err(error) => view! { <ErrorState problem=*error.0 /> }.into_any(),
            })}
            <PostForm form=import class="form gap-top">
                <div class="field">
                    <label for="file">{t(T::csv_file)}</label>
                    <input id="file" type="file" accept=".csv,text/csv" on:change=choose />
                </div>
                <div class="field">
                    <label for="csv">"CSV"</label>
                    <textarea
                        class="input mono"
                        id="csv"
                        name="csv"
                        required
                        rows="6"
                        placeholder="key,name,kind,site\npump-1,1호 펌프,설비,부산"
                        prop:value=move || csv.get()
                        on:input=move |event| csv.set(event_target_value(&event))
                    ></textarea>
                </div>
                <div class="row">
                    <button type="submit" class="btn primary">
                        {t(T::import)}
                    </button>
                    <a class="btn quiet" href=close>
                        {t(T::close)}
                    </a>
                </div>
            </PostForm>
        </section>
    }
    .into_any()
}

fn report_view(report: ImportReport) -> AnyView {
    let locale = use_locale();
    let ImportReport { created, updated, problems } = report;
    let tone = if problems.is_empty() { Tone::Ok } else { Tone::Warn };
    let lines = problems
        .into_iter()
        .take(20)
        .map(|p| view! { <li>{format!("{}: {}", p.field, p.message)}</li> })
        .collect_view();
    view! {
        <Notice tone>
            <div>
                {move || texts().imported(&locale.count(created), &locale.count(updated))}
                <ul>{lines}</ul>
            </div>
        </Notice>
    }
    .into_any()
}
