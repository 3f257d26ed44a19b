//! Where somebody is signed in.

use crate::pages::loaded;
use crate::server_fns::account::{RevokeOtherSessions, RevokeSession, sessions};
use crate::texts::{T, t, texts};
use domain::api::SessionInfo;
use leptos::form::ActionForm;
use leptos::prelude::*;
use ui::components::{ErrorState, Tone, pill, skeleton};
use ui::use_locale;

#[component]
pub(super) fn Sessions() -> AnyView {
    let one = ServerAction::<RevokeSession>::new();
    let others = ServerAction::<RevokeOtherSessions>::new();
    let list = Resource::new(move || (one.version().get(), others.version().get()), |_| sessions());
    let error = move || {
        let failed =
            one.value().get().and_then(Result::err).or_else(|| others.value().get().and_then(Result::err));
        failed.map(|e| view! { <ErrorState problem=*e.0 /> })
    };
    let row = move |session: SessionInfo| row(session, one);
    view! {
        {error}
        <section class="card" aria-labelledby="sessions">
            <header>
                <h2 id="sessions">{t(T::sessions)}</h2>
                <span class="spacer"></span>
                <ActionForm action=others>
                    <button type="submit" class="btn">
                        {t(T::end_others)}
                    </button>
                </ActionForm>
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

fn row(session: SessionInfo, one: ServerAction<RevokeSession>) -> AnyView {
    let locale = use_locale();
    let SessionInfo { id, user_agent, peer, created_at, last_seen_at, current } = session;
    let name = browser_name(&user_agent);
    let end = if current {
        pill(Tone::Ok, t(T::this_browser))
    } else {
        view! {
            <ActionForm action=one>
                <input type="hidden" name="id" value=id />
                <button type="submit" class="btn">
                    {t(T::end_session)}
                </button>
            </ActionForm>
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
