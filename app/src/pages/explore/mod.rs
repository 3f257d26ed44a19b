//! Searching events: query bar, histogram, facets, list, and a panel for one event.
//!
//! The address is the state ([`Address`]): every link and form changes it, everything shown follows from it.

mod address;
mod bar;
mod detail;
mod facets;
mod head;
mod histogram;
mod list;
mod marks;
mod mistake;
mod rows;
mod tail;

use super::page_title;
use crate::frame::{Window, use_window};
use crate::texts::{T, t};
use address::Address;
use domain::api::EventFilter;
use domain::query::Query;
use leptos::prelude::*;
use leptos_router::NavigateOptions;
use leptos_router::hooks::{use_navigate, use_query_map};

/// The page's state and how to change it.
#[derive(Clone, Copy)]
struct Explore {
    address: Memo<Address>,
    window: Window,
    /// What is asked of the server.
    filter: Memo<EventFilter>,
    go: Callback<(String, NavigateOptions)>,
}

impl Explore {
    fn of_page() -> Self {
        let query = use_query_map();
        let window = use_window();
        let address = Memo::new(move |_| query.with(Address::read));
        // A mistake asks the server nothing: what was found before it stays until it is mended.
        let filter = Memo::new(move |before: Option<&EventFilter>| {
            let (q, range) = (address.with(|a| a.q.clone()), window.range.get());
            match before {
                Some(before) if Query::parse(&q).is_err() => before.clone(),
                _ => EventFilter { q, range },
            }
        });
        let navigate = use_navigate();
        let go = Callback::new(move |(to, options): (String, NavigateOptions)| navigate(&to, options));
        Self { address, window, filter, go }
    }

    /// The address with a change.
    fn link(&self, change: impl FnOnce(&mut Address)) -> String {
        let mut address = self.address.get();
        change(&mut address);
        address.to_string()
    }

    /// Goes to the address with a change; going back undoes it.
    fn change(&self, change: impl FnOnce(&mut Address)) {
        let mut address = self.address.get_untracked();
        change(&mut address);
        self.go.run((address.to_string(), NavigateOptions { scroll: false, ..NavigateOptions::default() }));
    }

    /// Asks again, with "now" as it is now.
    fn again(&self) {
        self.window.refresh();
    }
}

/// What goes away goes a turn after the address has changed: links within it read the address too, and their own
/// signals with it, and must have run before these end.
fn a_turn_later(condition: Memo<bool>) -> RwSignal<bool> {
    let later = RwSignal::new(condition.get_untracked());
    Effect::new(move |_| later.set(condition.get()));
    later
}

/// The page.
#[component]
pub(crate) fn ExplorePage() -> AnyView {
    let explore = Explore::of_page();
    provide_context(explore);
    let is_query = Memo::new(move |_| explore.address.with(|a| Query::parse(&a.q).is_ok()));
    let is_open = Memo::new(move |_| explore.address.with(|a| a.event.is_some()));
    let is_open = a_turn_later(is_open);
    // What was found stays in sight while a mistake is mended, dimmed and out of reach.
    let is_shown = Memo::new(move |before: Option<&bool>| before == Some(&true) || is_query.get());
    let is_stale = move || !is_query.get();
    view! {
        {page_title(|t| t.explore().to_owned())}
        <h1 class="sr">{t(T::explore)}</h1>
        <bar::QueryBar />
        {move || {
            is_shown
                .get()
                .then(|| {
                    view! {
                        <div class="results" class:stale=is_stale inert=is_stale>
                            <histogram::HistogramCard />
                            <div class="explore" class:open=move || is_open.get()>
                                <facets::Facets />
                                <list::Events />
                                {move || is_open.get().then(|| view! { <detail::Detail /> })}
                            </div>
                        </div>
                    }
                })
        }}
    }
    .into_any()
}
