//! New events coming in by themselves, with a pause.

use super::Explore;
use crate::live::{self, Link, Wants};
use crate::texts::texts;
use domain::Event;
use domain::api::{LiveMessage, Order};
use leptos::prelude::*;
use ui::{Icon, icon, use_locale};

/// Events kept back while paused.
const KEPT_BACK: usize = 1_000;

/// A running tail.
#[derive(Clone, Copy)]
pub(super) struct Tail {
    /// How the stream is.
    pub link: RwSignal<Link>,
    /// Events stand still.
    pub paused: RwSignal<bool>,
    /// Came in while paused, newest first.
    pub waiting: RwSignal<Vec<Event>>,
    /// Seen since the tail began.
    pub seen: RwSignal<u64>,
    /// Matched but were too many to send.
    pub omitted: RwSignal<u64>,
}

impl Tail {
    /// Follows the page's query as long as the address says so, and gives new events, newest first, to `show`.
    pub(super) fn start(explore: Explore, show: Callback<Vec<Event>>) -> Self {
        let paused = RwSignal::new(false);
        let waiting = RwSignal::new(Vec::new());
        let (seen, omitted) = (RwSignal::new(0), RwSignal::new(0));
        let wants = move || {
            let is_live = explore.address.with(|a| a.live && a.order == Order::Desc);
            is_live.then(|| Wants { tails: vec![explore.filter.with(|f| f.q.clone())], ..Wants::default() })
        };
        let on_message = move |message| {
            if let LiveMessage::Tail { mut events, omitted: left_out, .. } = message {
                seen.update(|n| *n += events.len() as u64);
                omitted.update(|n| *n += left_out);
                events.sort_by_key(|event| std::cmp::Reverse(event.ts));
                if paused.get_untracked() {
                    waiting.update(|waiting: &mut Vec<Event>| {
                        waiting.splice(0..0, events);
                        waiting.truncate(KEPT_BACK);
                    });
                } else {
                    show.run(events);
                }
            }
        };
        let link = live::follow(wants, on_message);
        let followed = Memo::new(move |_| {
            explore.address.with(|a| a.live).then(|| explore.filter.with(|f| f.q.clone()))
        });
        Effect::new(move |_| {
            followed.track();
            seen.set(0);
            omitted.set(0);
            waiting.set(Vec::new());
            paused.set(false);
        });
        Self { link, paused, waiting, seen, omitted }
    }

    /// Stops or goes on; what waited is shown.
    pub(super) fn toggle(&self, show: Callback<Vec<Event>>) {
        let paused = !self.paused.get_untracked();
        self.paused.set(paused);
        if !paused {
            show.run(self.waiting.get_untracked());
            self.waiting.set(Vec::new());
        }
    }
}

/// How the tail is, with its pause.
pub(super) fn tail_bar(tail: Tail, show: Callback<Vec<Event>>) -> AnyView {
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
