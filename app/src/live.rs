//! The one stream of a page: `GET /api/app/live` (SSE), each message a JSON [`LiveMessage`].
//!
//! Query of the address: `totals=1`, `refusals=1` (with the tokens' first events), and any number of `tail=<query>`;
//! the n-th tail's id is `t0`, `t1`, …

use domain::api::LiveMessage;
use leptos::prelude::*;
use wasm_bindgen::{JsCast, closure::Closure};

/// What a page wants to hear of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Wants {
    /// A message a second with the tenant's totals, and sources that come and go.
    pub totals: bool,
    /// Refused connections, and the first event of each token.
    pub refusals: bool,
    /// Queries to follow.
    pub tails: Vec<String>,
}

impl Wants {
    fn address(&self) -> String {
        let mut pairs = Vec::new();
        if self.totals {
            pairs.push(("totals", "1"));
        }
        if self.refusals {
            pairs.push(("refusals", "1"));
        }
        let mut address = crate::address::with_query("/api/app/live", pairs);
        for tail in &self.tails {
            address.push(if address.contains('?') { '&' } else { '?' });
            address.push_str("tail=");
            address.push_str(&crate::address::escape(tail));
        }
        address
    }
}

/// How the stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Link {
    /// Not open (yet, or none wanted).
    Closed,
    /// Open.
    Open,
    /// Lost; the browser tries again.
    Lost,
}

/// Opens the stream a page wants while the page is shown, and reopens it when the wants change. `None` closes it.
pub(crate) fn follow(
    wants: impl Fn() -> Option<Wants> + Send + Sync + 'static,
    on_message: impl Fn(LiveMessage) + Copy + 'static,
) -> RwSignal<Link> {
    let link = RwSignal::new(Link::Closed);
    let wants = Memo::new(move |_| wants());
    Effect::new(move |_| {
        link.set(Link::Closed);
        let Some(source) = wants.get().and_then(|wants| web_sys::EventSource::new(&wants.address()).ok())
        else {
            return;
        };
        let message = Closure::<dyn Fn(web_sys::MessageEvent)>::new(move |event: web_sys::MessageEvent| {
            let text = event.data().as_string().unwrap_or_default();
            if let Ok(message) = LiveMessage::read(&text) {
                on_message(message);
            }
        });
        let state = move |now: Link| Closure::<dyn Fn()>::new(move || _ = link.try_set(now));
        let (open, lost) = (state(Link::Open), state(Link::Lost));
        source.set_onmessage(Some(message.as_ref().unchecked_ref()));
        source.set_onopen(Some(open.as_ref().unchecked_ref()));
        source.set_onerror(Some(lost.as_ref().unchecked_ref()));
        let parts = StoredValue::new_local((source, message, open, lost));
        on_cleanup(move || {
            parts.try_with_value(|(source, ..)| {
                source.set_onmessage(None);
                source.set_onopen(None);
                source.set_onerror(None);
                source.close();
            });
        });
    });
    link
}

/// Keeps the page's "now" going, by the server's clock.
pub(crate) fn tick_now(now: RwSignal<domain::Timestamp>) {
    Effect::new(move |_| {
        let client = || js_sys::Date::now() as i64;
        let ahead = now.get_untracked().as_millis() - client();
        let tick = move || _ = now.try_set(domain::Timestamp::from_millis(client() + ahead));
        if let Ok(handle) = set_interval_with_handle(tick, std::time::Duration::from_secs(1)) {
            on_cleanup(move || handle.clear());
        }
    });
}
