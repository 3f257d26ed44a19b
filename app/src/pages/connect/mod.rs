//! Connecting a first or a further source: what you have, a token, the exact configuration, and a light that turns
//! green at the first event or says why it was refused.

mod kinds;
mod lamp;
mod reasons;

use super::page_title;
use crate::address::with_query;
use crate::boot::use_session;
use crate::server_fns::tokens::CreateToken;
use crate::texts::{T, t, texts};
use domain::Permission;
use domain::api::{NewToken, TokenKind};
use kinds::Kind;
use leptos::form::ActionForm;
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
    let make = ServerAction::<CreateToken>::new();
    let token = Memo::new(move |_| make.value().get().and_then(Result::ok));
    let may = use_session().may(Permission::IngestTokens);
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
                        {if may { view! { <MakeToken make source /> }.into_any() } else { not_allowed() }}
                    </li>
                    <li class="card">
                        <h2>{t(T::configure)}</h2>
                        <Configuration kind token />
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
fn MakeToken(make: ServerAction<CreateToken>, source: Memo<String>) -> AnyView {
    let result = move || {
        make.value().get().map(|result| match result {
            Ok(NewToken { token, .. }) => view! {
                <Notice tone=Tone::Ok>{t(T::token_once)}</Notice>
                <Code text=Signal::stored(token) />
            }
            .into_any(),
            Err(error) => view! { <ErrorState problem=*error.0 /> }.into_any(),
        })
    };
    let made = move || matches!(make.value().get(), Some(Ok(_)));
    let name = source.with_untracked(|s| if s.is_empty() { "edge".to_owned() } else { s.clone() });
    view! {
        <p class="soft small">{t(T::token_why)}</p>
        <div hidden=made>
            <ActionForm action=make attr:class="form gap-top">
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
            </ActionForm>
        </div>
        {result}
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
fn Configuration(kind: Kind, token: Memo<Option<NewToken>>) -> AnyView {
    let boot = use_session().boot;
    let secret = move || token.with(|t| t.as_ref().map_or_else(|| "qgx_…".to_owned(), |t| t.token.clone()));
    let (host, ports) = boot.with_value(|b| (b.host.clone(), b.ports.clone()));
    let place = Signal::stored(format!("{}:{}", ports.ingest_host(&host), ports.ingest));
    let where_to = kind.file().map(|file| view! { <p class="small soft mono">{file}</p> });
    let config = Signal::derive(move || kind.config(&host, &ports, &secret()));
    let missing =
        move || token.with(Option::is_none).then(|| view! { <p class="small faint">{t(T::token_first)}</p> });
    view! {
        <p class="small soft">{t(kind.note())}</p>
        {missing}
        {where_to}
        <Code text=config />
        <p class="small faint">{move || texts().sends_to(&place.get())}</p>
    }
    .into_any()
}
