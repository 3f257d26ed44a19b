//! Connecting a first or a further source: what you have, a token, the exact configuration, and a light that turns
//! green at the first event or says why it was refused.

mod kinds;
mod lamp;
mod reasons;

use super::page_title;
use crate::address::with_query;
use crate::boot::use_session;
use crate::call::{PostForm, Posted};
use crate::error::Answer;
use crate::server_fns::tokens::CREATE_TOKEN;
use crate::texts::{T, t, texts};
use domain::Permission;
use domain::api::{NewToken, TokenKind};
use kinds::Kind;
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;
use ui::components::{Code, ErrorState, Notice, Tone};
use ui::icon;

/// The page.
#[component]
pub(crate) fn ConnectPage() -> AnyView {
    let query = use_query_map();
    let kind = Memo::new(move |_| query.with(|q| q.get("kind")).and_then(|name| Kind::parse(&name)));
    let source = Memo::new(move |_| query.with(|q| q.get("source").unwrap_or_default()));
    let make = Posted::new(&CREATE_TOKEN);
    let token = Memo::new(move |_| make.value().and_then(|made| made.flatten().ok()));
    let session = use_session();
    let earlier = session.boot.with_value(|boot| boot.made.clone());
    let secret =
        Memo::new(move |_| token.with(|t| t.as_ref().map(|t| t.token.clone())).or_else(|| earlier.clone()));
    let may = session.may(Permission::IngestTokens);
    let choice = move |one: Kind| {
        let link = move || with_query("/connect", [("kind", one.name()), ("source", &*source.get())]);
        view! {
            <a href=link aria-current=move || (kind.get() == Some(one)).then_some("true")>
                {icon(one.icon())}
                <b>{t(one.title())}</b>
                <span>{t(one.about())}</span>
            </a>
        }
    };
    view! {
        {page_title(|t| t.connect().to_owned())}
        <div class="head">
            <h1>{t(T::connect)}</h1>
        </div>
        <ol class="steps">
            <li class="card">
                <h2>{t(T::what_have_you)}</h2>
                <div class="kinds">{Kind::ALL.map(choice).collect_view()}</div>
            </li>
            {move || kind.get().map(|kind| {
                view! {
                    <li class="card">
                        <h2>{t(T::make_token)}</h2>
                        {if may { view! { <MakeToken make secret source /> }.into_any() } else { not_allowed() }}
                    </li>
                    <li class="card">
                        <h2>{t(T::configure)}</h2>
                        <Configuration kind secret />
                    </li>
                    <li class="card">
                        <h2>{t(T::watch)}</h2>
                        {may.then(|| view! { <lamp::Lamp token /> })}
                    </li>
                }
            })}
        </ol>
    }
    .into_any()
}

fn not_allowed() -> AnyView {
    view! { <Notice tone=Tone::Warn>{t(T::token_not_allowed)}</Notice> }.into_any()
}

#[component]
fn MakeToken(make: Posted<Answer<NewToken>>, secret: Memo<Option<String>>, source: Memo<String>) -> AnyView {
    let result = move || {
        let shown = secret.get().map(|secret| {
            view! {
                <Notice tone=Tone::Ok>{t(T::token_once)}</Notice>
                <Code text=Signal::stored(secret) />
            }
            .into_any()
        });
        shown.or_else(|| refused(make))
    };
    let made = move || secret.with(Option::is_some);
    let name = source.with_untracked(|s| if s.is_empty() { "edge".to_owned() } else { s.clone() });
    view! {
        <p class="soft small">{t(T::token_why)}</p>
        <div hidden=made>
            <PostForm form=make class="form gap-top">
                <input type="hidden" name="kind" value=kind_name(TokenKind::Ingest) />
                <div class="field">
                    <label for="token-name">{t(T::token_name)}</label>
                    <input class="input" id="token-name" name="name" required maxlength="100" value=name />
                </div>
                <div class="field">
                    <label for="token-source">{t(T::token_source)}</label>
                    <input class="input" id="token-source" name="source" maxlength="255" value=source.get_untracked() />
                    <span class="hint">{t(T::token_source_hint)}</span>
                </div>
                <button type="submit" class="btn primary">
                    {icon(ui::Icon::Key)}
                    {t(T::make_token)}
                </button>
            </PostForm>
        </div>
        {result}
    }
    .into_any()
}

/// Why a token was not made.
fn refused(make: Posted<Answer<NewToken>>) -> Option<AnyView> {
    let error = make.value()?.flatten().err()?;
    Some(view! { <ErrorState problem=*error.0 /> }.into_any())
}

/// The shortest way to a first event, for the empty Overview: a token at the press of a button, in a command to paste.
#[component]
pub(crate) fn FirstCommand() -> AnyView {
    let session = use_session();
    let other_ways = view! {
        <a class="btn" href="/connect">
            {t(T::other_ways)}
        </a>
    };
    if !session.may(Permission::IngestTokens) {
        return view! { <div class="actions">{other_ways}</div> }.into_any();
    }
    let make = Posted::new(&CREATE_TOKEN);
    let earlier = session.boot.with_value(|boot| boot.made.clone());
    let secret = Memo::new(move |_| {
        make.value().and_then(|made| made.flatten().ok()).map(|made| made.token).or_else(|| earlier.clone())
    });
    let made = move || secret.with(Option::is_some);
    view! {
        <div class="first">
            {move || refused(make)}
            <Code text=command(Kind::Agent, secret) />
            <p class="small faint">{move || if made() { texts().first_paste() } else { texts().first_token() }}</p>
        </div>
        <div class="actions">
            <div hidden=made>
                <PostForm form=make>
                    <input type="hidden" name="kind" value=kind_name(TokenKind::Ingest) />
                    <input type="hidden" name="name" value=move || texts().first_name() />
                    <button type="submit" class="btn primary">
                        {icon(ui::Icon::Key)}
                        {t(T::fill_in_token)}
                    </button>
                </PostForm>
            </div>
            {other_ways}
        </div>
    }
    .into_any()
}

/// The wire name of a kind of token.
pub(crate) fn kind_name(kind: TokenKind) -> &'static str {
    match kind {
        TokenKind::Ingest => "ingest",
        TokenKind::Api => "api",
    }
}

#[component]
fn Configuration(kind: Kind, secret: Memo<Option<String>>) -> AnyView {
    let place = use_session().boot.with_value(|b| kind.place(&b.host, &b.ports));
    let place = Signal::stored(place);
    let where_to = kind.file().map(|file| view! { <p class="small soft mono">{file}</p> });
    let config = command(kind, secret);
    let missing = move || {
        secret.with(Option::is_none).then(|| view! { <p class="small faint">{t(T::token_first)}</p> })
    };
    view! {
        <p class="small soft">{t(kind.note())}</p>
        {missing}
        {where_to}
        <Code text=config />
        <p class="small faint">{move || texts().sends_to(&place.get())}</p>
    }
    .into_any()
}

/// What to paste, with the token once there is one.
fn command(kind: Kind, secret: Memo<Option<String>>) -> Signal<String> {
    let (host, ports) = use_session().boot.with_value(|b| (b.host.clone(), b.ports.clone()));
    Signal::derive(move || secret.with(|s| kind.config(&host, &ports, s.as_deref().unwrap_or("qgx_…"))))
}
