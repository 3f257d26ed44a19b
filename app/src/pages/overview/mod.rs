//! The first screen: what comes in now, by whom, and what stands out. Drawn by the server, moved by the stream.

mod figures;
mod notable;
mod seconds;
mod top_sources;

pub(crate) use top_sources::state_pill;

use super::{FirstCommand, loaded, page_title};
use crate::address;
use crate::call::Fetched;
use crate::live::{self, Link, Wants};
use crate::server_fns::overview::overview as overview_now;
use crate::texts::{T, t, texts};
use domain::api::{LiveMessage, Overview};
use leptos::prelude::*;
use ui::charts::{Legend, LevelBars};
use ui::components::{Notice, Tone, empty, tall_skeleton};
use ui::{Icon, use_locale};

/// The page.
#[component]
pub(crate) fn OverviewPage() -> AnyView {
    let resource = Fetched::new(overview_now);
    view! {
        {page_title(|t| t.overview().to_owned())}
        {loaded(resource, tall_skeleton, |overview| view! { <Board overview /> }.into_any())}
    }
    .into_any()
}

/// How many notable events stay on the page.
const NOTABLE: usize = 12;

#[component]
fn Board(overview: Overview) -> AnyView {
    let board = RwSignal::new(overview);
    let newcomers = top_sources::Newcomers::new();
    let on_message = move |message| match message {
        LiveMessage::Totals(totals) => {
            board.update(|board| seconds::add_second(board, &totals));
            newcomers.look_for(board, &totals);
        }
        LiveMessage::Tail { events, .. } => board.update(|board| {
            board.notable.splice(0..0, events.into_iter().rev());
            board.notable.truncate(NOTABLE);
        }),
        LiveMessage::Source { key, state } => {
            board.update(|board| top_sources::set_state(board, &key, state));
            newcomers.ask(board);
        }
        _ => {}
    };
    let link = live::follow(
        || Some(Wants { totals: true, tails: vec!["level>=warn".to_owned()], ..Wants::default() }),
        on_message,
    );
    let last = move || board.with(|b| b.last_event);
    let unplaced = Memo::new(move |_| board.with(|b| b.unplaced));
    let is_new = Memo::new(move |_| last().is_none());
    let locale = use_locale();
    view! {
        <div class="head">
            <h1>{t(T::overview)}</h1>
            <LiveMark link />
            <span class="faint small">
                {move || last().map(|at| texts().last_event(&locale.relative(at)))}
            </span>
        </div>
        {move || is_new.get().then(first_steps)}
        {move || (unplaced.get() > 0).then(|| too_many_sources(unplaced))}
        <figures::Figures board />
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
            <top_sources::TopSources board />
            <notable::Notable board />
        </div>
    }
    .into_any()
}

/// Says whether the page moves.
#[component]
fn LiveMark(link: RwSignal<Link>) -> AnyView {
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

/// Says that records named more new sources than a day may have.
fn too_many_sources(count: Memo<u64>) -> AnyView {
    let locale = use_locale();
    view! { <Notice tone=Tone::Warn>{move || texts().unplaced(&locale.count(count.get()))}</Notice> }
        .into_any()
}

fn first_steps() -> AnyView {
    let command = view! { <FirstCommand /> };
    view! { <section class="card gap">{empty(Icon::Plug, t(T::nothing_yet), t(T::nothing_yet_body), command)}</section> }
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
