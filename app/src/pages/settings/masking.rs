//! What is hidden in arriving data before anything is stored.

use crate::call::{Fetched, PostForm, Posted};
use crate::error::Answer;
use crate::pages::loaded;
use crate::server_fns::masking::{CHANGE_MASKING, TRY_MASKING, masking};
use crate::texts::{T, t};
use leptos::{ev, prelude::*};
use ui::components::{ErrorState, empty, skeleton};
use ui::{Icon, icon};

/// A choice of a form: what it sends, and what it is called.
type Choice = (&'static str, fn(T) -> &'static str);

const KINDS: [Choice; 5] = [
    ("phone", T::m_phone),
    ("kr_rrn", T::m_rrn),
    ("card", T::m_card),
    ("email", T::m_email),
    ("pattern", T::m_pattern),
];
const ACTIONS: [Choice; 3] = [("mask", T::m_mask), ("hash", T::m_hash), ("drop", T::m_drop)];

#[component]
pub(super) fn Masking() -> AnyView {
    let change = Posted::new(&CHANGE_MASKING);
    let list = Fetched::new(move || masking().turn(change.turn()));
    let error = move || {
        let failed = change.value().and_then(|answer| answer.flatten().err());
        failed.map(|error| view! { <ErrorState problem=*error.0 /> })
    };
    let rows = move |rules: Vec<String>| {
        if rules.is_empty() {
            return empty(Icon::Info, t(T::no_masking), t(T::no_masking_body), ());
        }
        rules.into_iter().map(|rule| row(rule, change)).collect_view().into_any()
    };
    view! {
        {error}
        <section class="card" aria-labelledby="masking">
            <header>
                <h2 id="masking">{t(T::masking)}</h2>
                <span class="sub">{t(T::masking_note)}</span>
            </header>
            {loaded(list, skeleton, rows)}
        </section>
        {add(change)}
    }
    .into_any()
}

/// A field to choose by.
fn choice(name: &'static str, label: fn(T) -> &'static str, choices: &[Choice], chosen: &str) -> AnyView {
    let options = choices
        .iter()
        .map(|(code, name)| view! { <option value=*code selected=*code == chosen>{t(*name)}</option> })
        .collect_view();
    view! {
        <select class="input" name=name aria-label=t(label)>
            {options}
        </select>
    }
    .into_any()
}

/// The field of a tenant's own pattern; the style sheet shows it where that kind is chosen.
fn pattern(value: String) -> AnyView {
    view! { <input class="input mono own" name="pattern" value=value maxlength="128" placeholder="EMP-######" aria-label=t(T::m_own) /> }
        .into_any()
}

/// A rule: what it does can be changed, and it can be taken away.
fn row(was: String, change: Posted<Answer<()>>) -> AnyView {
    let mut parts = was.splitn(3, ' ').map(str::to_owned);
    let mut part = || parts.next().unwrap_or_default();
    let (kind, action, own) = (part(), part(), part());
    let is_kind = |(code, _): &&Choice| *code == kind;
    let name = KINDS.iter().find(is_kind).map_or(T::m_pattern as fn(T) -> _, |(_, name)| *name);
    view! {
        <PostForm form=change class="mask">
            <input type="hidden" name="was" value=was />
            <input type="hidden" name="kind" value=kind />
            <b>{t(name)}</b>
            {pattern(own)}
            {choice("action", T::m_action, &ACTIONS, &action)}
            <button type="submit" class="btn">
                {t(T::save)}
            </button>
            // Not `remove`: a form's control of that name hides the method of the form.
            <button type="submit" class="btn quiet danger" name="gone" value="1">
                {t(T::m_remove)}
            </button>
        </PostForm>
    }
    .into_any()
}

/// A further rule, with what it would do to a text.
fn add(change: Posted<Answer<()>>) -> AnyView {
    let tried = Posted::new(&TRY_MASKING);
    let stored = move || tried.value().and_then(Result::ok).flatten().unwrap_or_else(|| "–".to_owned());
    view! {
        <section class="card pad" aria-labelledby="add-mask">
            <h2 id="add-mask">{t(T::m_add)}</h2>
            <PostForm form=change class="form">
                <div class="form" on:input=move |event: ev::Event| tried.send(&event)>
                    <div class="row">
                        {choice("kind", T::m_kind, &KINDS, "")} {pattern(String::new())}
                        {choice("action", T::m_action, &ACTIONS, "")}
                    </div>
                    <p class="own small faint">{t(T::m_pattern_hint)}</p>
                    <div class="field">
                        <label for="m-text">{t(T::m_try)}</label>
                        <textarea class="input mono" id="m-text" name="text" maxlength="10000"></textarea>
                        <output class="mono" for="m-text" aria-label=t(T::m_stored)>
                            {stored}
                        </output>
                    </div>
                </div>
                <button type="submit" class="btn primary">
                    {icon(Icon::Plus)}
                    {t(T::m_add)}
                </button>
            </PostForm>
        </section>
    }
    .into_any()
}
