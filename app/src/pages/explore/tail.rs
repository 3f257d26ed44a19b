//! New events coming in by themselves, with a pause.

use super::Explore;
use crate::live::{self, Link, Wants};
use domain::Event;
use domain::api::{LiveMessage, Order};
use leptos::prelude::*;

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
            explore.address.with(|a| {
                (a.live && a.order == Order::Desc)
                    .then(|| Wants { tails: vec![a.q.clone()], ..Wants::default() })
            })
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
        let followed = Memo::new(move |_| explore.address.with(|a| a.live.then(|| a.q.clone())));
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
