//! Where somebody is signed in.

use crate::call::{Fetched, PostForm, Posted};
use crate::pages::loaded;
use crate::server_fns::account::{REVOKE_OTHER_SESSIONS, REVOKE_SESSION, sessions};
use crate::texts::{T, t, texts};
use domain::api::SessionInfo;
use leptos::prelude::*;
use ui::components::{ErrorState, Tone, pill, skeleton};
use ui::use_locale;

#[component]
pub(super) fn Sessions() -> AnyView {
    let one = Posted::new(&REVOKE_SESSION);
    let others = Posted::new(&REVOKE_OTHER_SESSIONS);
    let list = Fetched::new(move || sessions().turn(one.turn() + others.turn()));
    let error = move || {
        let failed = one.error().or_else(|| others.error());
        failed.map(|e| view! { <ErrorState problem=*e.0 /> })
    };
    let row = move |session: SessionInfo| row(session, one);
    view! {
        {error}
        <section class="card" aria-labelledby="sessions">
            <header>
                <h2 id="sessions">{t(T::sessions)}</h2>
                <span class="spacer"></span>
                <PostForm form=others>
                    <button type="submit" class="btn">
                        {t(T::end_others)}
                    </button>
                </PostForm>
            </header>
            {loaded(list, skeleton, move |list| list.into_iter().map(row).collect_view().into_any())}
        </section>
    }
    .into_any()
}

/// Browser and system out of what a browser calls itself.
fn browser_name(agent: &str) -> String {
    let find = |names: &[(&str, &'static str)]| {
        names.iter().find(|(mark, _)| agent.contains(mark)).map(|(_, name)| *name)
    };
    let browser = find(&[
        ("Edg/", "Edge"),
        ("Whale/", "Whale"),
        ("SamsungBrowser/", "Samsung Internet"),
        ("Firefox/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
        ("curl/", "curl"),
    ]);
    let system = find(&[
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("Linux", "Linux"),
    ]);
    match (browser, system) {
        (Some(browser), Some(system)) => format!("{browser} · {system}"),
        (Some(only), None) | (None, Some(only)) => only.to_owned(),
        (None, None) => agent.chars().take(40).collect(),
    }
}

fn row(session: SessionInfo, one: Posted<()>) -> AnyView {
    let locale = use_locale();
    let SessionInfo { id, user_agent, peer, created_at, last_seen_at, current } = session;
    let name = browser_name(&user_agent);
    let end = if current {
        pill(Tone::Ok, t(T::this_browser))
    } else {
        view! {
            <PostForm form=one>
                <input type="hidden" name="id" value=id />
                <button type="submit" class="btn">
                    {t(T::end_session)}
                </button>
            </PostForm>
        }
        .into_any()
    };
    view! {
        <div class="sess">
            <div>
                <b title=user_agent>{name}</b>
                <p class="small faint">
                    <span class="mono">{peer}</span>
                    " · "
                    {move || texts().seen(&locale.relative(last_seen_at))}
                    " · "
                    {move || texts().signed_in(&locale.date_time(created_at))}
                </p>
            </div>
            {end}
        </div>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::browser_name;

    #[test]
    fn browsers_are_told_apart() {
        let check = |agent: &str, expect: &str| assert_eq!(browser_name(agent), expect);
        check(
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36 Edg/140.0",
            "Edge · Windows",
        );
        check("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox · Linux");
        check("curl/8.5.0", "curl");
        check("", "");
    }
}
