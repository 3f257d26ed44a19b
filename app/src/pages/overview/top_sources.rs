//! The busiest sources.

use crate::address;
use crate::server_fns::overview::overview as overview_now;
use crate::texts::{T, t};
use domain::api::{LiveTotals, Overview, SourceState, SourceSummary};
use leptos::prelude::*;
use ui::charts::{Fill, sparkline};
use ui::components::{Tone, empty, pill};
use ui::{Icon, use_locale};

/// How many sources the server lists.
const TOP_SOURCES: usize = 8;

/// The word for a state.
pub(crate) fn state_pill(state: SourceState) -> AnyView {
    match state {
        SourceState::Online => pill(Tone::Ok, t(T::online)),
        SourceState::Offline => pill(Tone::Error, t(T::offline)),
        SourceState::Unseen => pill(Tone::Muted, t(T::unseen)),
    }
}

#[component]
pub(super) fn TopSources(board: RwSignal<Overview>) -> AnyView {
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
                            <th class="num">{t(T::events_s_minute)}</th>
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

/// Sources that send and are not shown, while there is room. They are asked for until they come: the stream is a
/// little ahead of the register.
#[derive(Clone, Copy)]
pub(super) struct Newcomers {
    missing: RwSignal<Vec<domain::SourceKey>>,
    asking: RwSignal<bool>,
}

impl Newcomers {
    pub(super) fn new() -> Self {
        Self { missing: RwSignal::new(Vec::new()), asking: RwSignal::new(false) }
    }

    pub(super) fn look_for(self, board: RwSignal<Overview>, totals: &LiveTotals) {
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
    pub(super) fn ask(self, board: RwSignal<Overview>) {
        if self.asking.get_untracked() {
            return;
        }
        self.asking.set(true);
        overview_now().then(move |fresh| {
            if let Ok(fresh) = fresh {
                board.try_update(|board| {
                    board.top_sources = fresh.top_sources;
                    board.sources = fresh.sources;
                });
            }
            _ = self.asking.try_set(false);
        });
    }
}

/// A source came or went.
pub(super) fn set_state(board: &mut Overview, key: &domain::SourceKey, state: SourceState) {
    if let Some(source) = board.top_sources.iter_mut().find(|s| s.key == *key) {
        source.state = state;
    }
}
