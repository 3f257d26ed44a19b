//! Tokens: what sends and what calls the API.

use crate::boot::use_session;
use crate::call::{Fetched, PostForm, Posted};
use crate::error::Answer;
use crate::pages::connect::kind_name;
use crate::pages::loaded;
use crate::server_fns::tokens::{CREATE_TOKEN, REVOKE_TOKEN, tokens};
use crate::texts::{T, t, texts};
use domain::api::{NewToken, TokenInfo, TokenKind};
use domain::{Permission, Role};
use leptos::prelude::*;
use ui::components::{Code, ErrorState, Menu, Notice, Tone, empty, pill, skeleton};
use ui::{Icon, icon, use_locale};

#[component]
pub(super) fn Tokens() -> AnyView {
    let create = Posted::new(&CREATE_TOKEN);
    let revoke = Posted::new(&REVOKE_TOKEN);
    let list = Fetched::new(move || tokens(None).turn(create.turn() + revoke.turn()));
    let earlier = use_session().boot.with_value(|boot| boot.made.clone());
    let made = move || {
        let Some(result) = create.value() else { return earlier.clone().map(made_without_scripts) };
        Some(match result.flatten() {
            Ok(NewToken { token, info }) => view! {
                <section class="card pad once" aria-labelledby="made">
                    <h2 id="made">{info.name}</h2>
                    <Notice tone=Tone::Ok>{t(T::token_once)}</Notice>
                    <Code text=Signal::stored(token) />
                </section>
            }
            .into_any(),
            Err(error) => view! { <ErrorState problem=*error.0 /> }.into_any(),
        })
    };
    let error = move || revoke.error().map(|e| view! { <ErrorState problem=*e.0 /> });
    view! {
        {made}
        {error}
        <section class="card" aria-labelledby="tokens">
            <header>
                <h2 id="tokens">{t(T::tokens)}</h2>
            </header>
            {loaded(list, skeleton, move |list| table(list, revoke))}
        </section>
        <Create create />
    }
    .into_any()
}

/// What a form sent without scripts has made.
fn made_without_scripts(token: String) -> AnyView {
    view! {
        <section class="card pad once" aria-label=t(T::tokens)>
            <Notice tone=Tone::Ok>{t(T::token_once)}</Notice>
            <Code text=Signal::stored(token) />
        </section>
    }
    .into_any()
}

/// Words for a kind of token.
fn kind_text(kind: TokenKind) -> fn(T) -> &'static str {
    match kind {
        TokenKind::Ingest => T::kind_ingest,
        TokenKind::Api => T::kind_api,
    }
}

#[component]
fn Create(create: Posted<Answer<NewToken>>) -> AnyView {
    let session = use_session();
    let kinds = [(TokenKind::Ingest, Permission::IngestTokens), (TokenKind::Api, Permission::ApiTokens)]
        .into_iter()
        .filter(|(_, needed)| session.may(*needed))
        .map(|(kind, _)| view! { <option value=kind_name(kind)>{t(kind_text(kind))}</option> })
        .collect_view();
    let roles = [Role::Viewer, Role::Editor, Role::Owner]
        .into_iter()
        .map(|role| view! { <option value=role.name()>{t(super::profile::role_text(role))}</option> })
        .collect_view();
    let kind = RwSignal::new(kind_name(TokenKind::Ingest).to_owned());
    let is_api = move || kind.with(|k| k == kind_name(TokenKind::Api));
    view! {
        <section class="card pad" aria-labelledby="make">
            <h2 id="make">{t(T::make_token)}</h2>
            <PostForm form=create class="form">
                <div class="field">
                    <label for="t-kind">{t(T::kind)}</label>
                    <select
                        class="input"
                        id="t-kind"
                        name="kind"
                        on:change=move |event| kind.set(event_target_value(&event))
                    >
                        {kinds}
                    </select>
                </div>
                <div class="field">
                    <label for="t-name">{t(T::token_name)}</label>
                    <input class="input" id="t-name" name="name" required maxlength="100" />
                </div>
                <div class="field" hidden=is_api>
                    <label for="t-source">{t(T::token_source)}</label>
                    <input class="input" id="t-source" name="source" maxlength="255" disabled=is_api />
                    <span class="hint">{t(T::token_source_hint)}</span>
                </div>
                <div class="field" hidden=move || !is_api()>
                    <label for="t-role">{t(T::role)}</label>
                    <select class="input" id="t-role" name="role" disabled=move || !is_api()>
                        {roles}
                    </select>
                </div>
                <div class="field">
                    <label for="t-days">{t(T::expires)}</label>
                    <select class="input" id="t-days" name="days">
                        <option value="">{t(T::never)}</option>
                        <option value="30">{t(T::in_30_days)}</option>
                        <option value="90">{t(T::in_90_days)}</option>
                        <option value="365">{t(T::in_a_year)}</option>
                    </select>
                </div>
                <div>
                    <button type="submit" class="btn primary">
                        {icon(Icon::Key)}
                        {t(T::make_token)}
                    </button>
                </div>
            </PostForm>
        </section>
    }
    .into_any()
}

fn table(list: Vec<TokenInfo>, revoke: Posted<TokenInfo>) -> AnyView {
    if list.is_empty() {
        return empty(Icon::Key, t(T::no_tokens), t(T::no_tokens_body), ());
    }
    view! {
        <div class="tokens">
            <table>
                <thead>
                    <tr>
                        <th>{t(T::name)}</th>
                        <th>{t(T::kind)}</th>
                        <th>{t(T::state)}</th>
                        <th class="num">{t(T::last_used)}</th>
                        <th>
                            <span class="sr">{t(T::revoke)}</span>
                        </th>
                    </tr>
                </thead>
                <tbody>{list.into_iter().map(|token| row(token, revoke)).collect_view()}</tbody>
            </table>
        </div>
    }
    .into_any()
}

fn row(token: TokenInfo, revoke: Posted<TokenInfo>) -> AnyView {
    let locale = use_locale();
    let TokenInfo {
        id,
        kind,
        name,
        prefix,
        source,
        role,
        expires_at,
        revoked_at,
        last_used_at,
        last_used_peer,
        ..
    } = token;
    let bound = source.map(|s| s.to_string());
    let role =
        role.map(|role| view! { <span class="faint">" · " {t(super::profile::role_text(role))}</span> });
    let is_over = revoked_at.is_some();
    let state = move || {
        let now = locale.now.get();
        match (is_over, expires_at) {
            (true, _) => pill(Tone::Muted, t(T::revoked)),
            (false, Some(at)) if at <= now => pill(Tone::Warn, t(T::expired)),
            _ => pill(Tone::Ok, t(T::valid)),
        }
    };
    // Drawn anew only when the state changes, not each second.
    let state_class = Memo::new(move |_| {
        let now = locale.now.get();
        (is_over, expires_at.is_some_and(|at| at <= now))
    });
    let state = move || {
        state_class.track();
        untrack(state)
    };
    let end = (!is_over).then(|| {
        view! {
            <Menu
                class=""
                button="btn quiet danger"
                summary=view! { <span>{t(T::revoke)}</span> }.into_any()
            >
                <PostForm form=revoke class="ask">
                    <p class="small">{t(T::revoke_note)}</p>
                    <input type="hidden" name="id" value=id />
                    <button type="submit" class="btn danger">
                        {t(T::revoke)}
                    </button>
                </PostForm>
            </Menu>
        }
    });
    view! {
        <tr>
            <td>
                <b>{name}</b>
                <br />
                <span class="faint mono">{prefix}</span>
            </td>
            <td>
                {t(kind_text(kind))}
                {bound.map(|bound| view! { <span class="faint">" · " {bound}</span> })}
                {role}
            </td>
            <td>
                {state}
                <span class="faint small">
                    " "
                    {move || expires_at.map(|at| texts().until(&locale.date_time(at)))}
                </span>
            </td>
            <td class="num soft" title=last_used_peer>
                {move || last_used_at.map_or_else(|| texts().never_used().to_owned(), |at| locale.relative(at))}
            </td>
            <td class="num">{end}</td>
        </tr>
    }
    .into_any()
}
