//! What people may change of a source, its tokens, and taking it off the list.

use crate::address;
use crate::call::{Fetched, PostForm, Posted};
use crate::pages::loaded;
use crate::server_fns::sources::{DELETE_SOURCE, UPDATE_SOURCE};
use crate::server_fns::tokens::tokens;
use crate::texts::{T, t, texts};
use domain::SourceKey;
use domain::api::{SourceSummary, TokenInfo, TokenKind};
use leptos::prelude::*;
use ui::components::{ErrorState, Menu, Notice, Tone, area_text, skeleton};
use ui::{Icon, icon, use_locale};

#[component]
pub(super) fn Edit(source: SourceSummary) -> AnyView {
    let update = Posted::new(&UPDATE_SOURCE);
    let attributes =
        source.attributes.iter().map(|(name, value)| format!("{name}={value}\n")).collect::<String>();
    let said = move || {
        update.value().map(Result::flatten).map(|result| match result {
            Ok(_) => view! { <Notice tone=Tone::Ok>{t(T::saved)}</Notice> }.into_any(),
            Err(error) => view! { <ErrorState problem=*error.0 /> }.into_any(),
        })
    };
    view! {
        <details class="card fold">
            <summary>
                <h2>{t(T::edit)}</h2>
                {icon(Icon::Down)}
            </summary>
            <PostForm form=update class="form pad-all">
                {said}
                <input type="hidden" name="key" value=source.key.to_string() />
                <div class="field">
                    <label for="s-name">{t(T::name)}</label>
                    <input class="input" id="s-name" name="name" value=source.name.clone() maxlength="200" />
                </div>
                <div class="field">
                    <label for="s-kind">{t(T::kind)}</label>
                    <input class="input" id="s-kind" name="kind" value=source.kind.clone() maxlength="100" />
                </div>
                <div class="field">
                    <label for="s-attributes">{t(T::attributes)}</label>
                    <textarea class="input mono" id="s-attributes" name="attributes" rows="4">
                        {area_text(attributes)}
                    </textarea>
                    <span class="hint">{t(T::attributes_hint)}</span>
                </div>
                <div class="field">
                    <label for="s-offline">{t(T::offline_after)}</label>
                    <input
                        class="input short"
                        id="s-offline"
                        name="offline_after_secs"
                        type="number"
                        min="1"
                        required
                        value=source.offline_after_secs.to_string()
                    />
                </div>
                <button type="submit" class="btn primary">
                    {t(T::save)}
                </button>
            </PostForm>
        </details>
    }
    .into_any()
}

#[component]
pub(super) fn Credential(key: SourceKey) -> AnyView {
    let all = Fetched::new(|| tokens(Some(TokenKind::Ingest)));
    let make = address::with_query("/connect", [("source", key.as_str())]);
    let mine = move |tokens: Vec<TokenInfo>| {
        let locale = use_locale();
        let bound: Vec<_> = tokens
            .into_iter()
            .filter(|t| t.source.as_ref() == Some(&key) && t.revoked_at.is_none())
            .collect();
        if bound.is_empty() {
            return view! { <p class="pad-all small faint">{t(T::no_bound_token)}</p> }.into_any();
        }
        let row = |token: TokenInfo| {
            let used = token.last_used_at;
            view! {
                <dt class="mono">{token.prefix}</dt>
                <dd>
                    {token.name} " "
                    <span class="faint">
                        {move || used.map_or_else(|| texts().never_used().to_owned(), |at| locale.relative(at))}
                    </span>
                </dd>
            }
        };
        view! { <dl class="kv">{bound.into_iter().map(row).collect_view()}</dl> }.into_any()
    };
    view! {
        <section class="card" aria-labelledby="credential">
            <header>
                <h2 id="credential">{t(T::credential)}</h2>
                <span class="spacer"></span>
                <a class="btn quiet" href=make>
                    {icon(Icon::Key)}
                    {t(T::make_token)}
                </a>
            </header>
            {loaded(all, skeleton, mine)}
        </section>
    }
    .into_any()
}

#[component]
pub(super) fn Remove(key: SourceKey) -> AnyView {
    let delete = Posted::new(&DELETE_SOURCE);
    let error = move || delete.error().map(|e| view! { <ErrorState problem=*e.0 /> });
    view! {
        <div>
            {error}
            <Menu
                class="left"
                button="btn quiet danger"
                summary=view! {
                    {icon(Icon::Trash)}
                    <span>{t(T::remove_source)}</span>
                }
                    .into_any()
            >
                <PostForm form=delete class="ask">
                    <p class="small">{t(T::remove_source_note)}</p>
                    <input type="hidden" name="key" value=key.to_string() />
                    <button type="submit" class="btn danger">
                        {t(T::remove_source)}
                    </button>
                </PostForm>
            </Menu>
        </div>
    }
    .into_any()
}
