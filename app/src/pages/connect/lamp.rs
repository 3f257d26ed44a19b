//! The light: waiting, green at the token's first event, red with the reason where something was refused.

use super::reasons::reason;
use crate::address;
use crate::call::Fetched;
use crate::live::{self, Wants};
use crate::pages::loaded;
use crate::server_fns::tokens::refusals;
use crate::texts::{T, t, texts};
use domain::SourceKey;
use domain::api::{LiveMessage, NewToken, Refusal};
use domain::query::with_filter;
use leptos::prelude::*;
use ui::components::skeleton;
use ui::use_locale;

/// Refusals shown.
const SHOWN: usize = 8;

#[component]
pub(super) fn Lamp(token: Memo<Option<NewToken>>) -> AnyView {
    let earlier = Fetched::new(refusals);
    loaded(earlier, skeleton, move |earlier| view! { <Watching earlier token /> }.into_any())
}

#[component]
fn Watching(earlier: Vec<Refusal>, token: Memo<Option<NewToken>>) -> AnyView {
    let locale = use_locale();
    let seen = RwSignal::new(None::<SourceKey>);
    let fresh = RwSignal::new(false);
    let list = RwSignal::new(earlier.into_iter().take(SHOWN).collect::<Vec<_>>());
    let is_ours = move |id: &str| token.with_untracked(|t| t.as_ref().is_none_or(|t| t.info.id == id));
    let on_message = move |message| match message {
        LiveMessage::TokenSeen { token, source } if is_ours(&token) => seen.set(Some(source)),
        LiveMessage::Refusal(refusal) => {
            fresh.set(true);
            list.update(|list| {
                list.retain(|r| r.peer != refusal.peer || r.code != refusal.code || r.at != refusal.at);
                list.insert(0, refusal);
                list.truncate(SHOWN);
            });
        }
        _ => {}
    };
    live::follow(|| Some(Wants { refusals: true, ..Wants::default() }), on_message);
    let class = move || match (seen.get().is_some(), fresh.get()) {
        (true, _) => "lamp on",
        (false, true) => "lamp refused",
        (false, false) => "lamp waiting",
    };
    let title = move || match (seen.get(), fresh.get()) {
        (Some(source), _) => texts().lamp_on(source.as_str()),
        (None, true) => texts().lamp_refused().to_owned(),
        (None, false) => texts().lamp_waiting().to_owned(),
    };
    let more = move || match seen.get() {
        Some(source) => {
            let q = with_filter("", "source", source.as_str());
            view! {
                <span class="row">
                    <a class="link" href=address::explore(&q, "now-15m", "now")>
                        {t(T::open_in_explore)}
                    </a>
                    " · "
                    <a class="link" href=address::source_page(&source)>
                        {t(T::open_source)}
                    </a>
                </span>
            }
            .into_any()
        }
        None => t(T::lamp_hint).into_any(),
    };
    let items = move || {
        let item = |refusal: Refusal| {
            let (why, remedy) = reason(&refusal.code);
            let at = refusal.at;
            view! {
                <li>
                    <span class="what">
                        <b>{t(why)}</b>
                        <span class="faint mono">{format!("{} · {}", refusal.peer, refusal.protocol)}</span>
                        <time class="faint" datetime=at.to_string() title=move || locale.exact(at)>
                            {move || locale.relative(at)}
                        </time>
                        {(refusal.count > 1).then(|| format!("× {}", refusal.count))}
                    </span>
                    <span class="soft">{t(remedy)}</span>
                </li>
            }
        };
        list.get().into_iter().map(item).collect_view()
    };
    view! {
        <div class=class role="status">
            <span class="bulb" aria-hidden="true"></span>
            <span>
                <b>{title}</b>
                <span class="small soft">{more}</span>
            </span>
        </div>
        <div class="refusals" hidden=move || list.with(Vec::is_empty)>
            <h3 class="pad-y">{t(T::refused_lately)}</h3>
            <ul>{items}</ul>
        </div>
    }
    .into_any()
}
