//! The page's window of time: presets as links, exact times as a form, both plain GET, so that the address is the
//! state and the picker works before hydration.

use crate::components::Menu;
use crate::texts::{T, t, texts};
use crate::{Icon, icon, use_locale};
use domain::Timestamp;
use leptos::prelude::*;

/// A window as the address writes it: RFC 3339, `now` or `now-15m`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RangeLink {
    /// Start.
    pub from: String,
    /// End.
    pub to: String,
}

/// The windows people ask for most.
const PRESETS: [&str; 8] = ["15m", "1h", "4h", "12h", "24h", "7d", "30d", "90d"];

/// The words of a relative window such as `now-15m` … `now`; `None` where it is not one.
pub fn relative_label(from: &str, to: &str, lang: domain::Lang) -> Option<String> {
    let span = from.strip_prefix("now-").filter(|_| to == "now")?;
    let (count, unit) = span.split_at(span.len().checked_sub(1)?);
    let count: u32 = count.parse().ok()?;
    let s = if count == 1 { "" } else { "s" };
    let text = match unit {
        "s" => lang.pick(format!("{count}초"), format!("{count} second{s}")),
        "m" => lang.pick(format!("{count}분"), format!("{count} minute{s}")),
        "h" => lang.pick(format!("{count}시간"), format!("{count} hour{s}")),
        "d" => lang.pick(format!("{count}일"), format!("{count} day{s}")),
        "w" => lang.pick(format!("{count}주"), format!("{count} week{s}")),
        _ => return None,
    };
    Some(T(lang).last_n(&text))
}

/// The picker. `href` makes the address of a window; `keep` are the other fields of the address, for the form.
#[component]
pub fn RangePicker(
    /// The window in force.
    #[prop(into)]
    range: Signal<RangeLink>,
    /// Its resolved ends.
    #[prop(into)]
    resolved: Signal<domain::TimeRange>,
    /// The address of another window.
    href: Callback<RangeLink, String>,
    /// Name and value of what else the address says.
    #[prop(into)]
    keep: Signal<Vec<(String, String)>>,
) -> AnyView {
    let locale = use_locale();
    let label = move || {
        let RangeLink { from, to } = range.get();
        relative_label(&from, &to, locale.lang.get())
            .unwrap_or_else(|| locale.span(resolved.get()))
    };
    let preset = move |span: &'static str| {
        let from = format!("now-{span}");
        let text = {
            let from = from.clone();
            move || relative_label(&from, "now", locale.lang.get())
        };
        let link = RangeLink { from, to: "now".to_owned() };
        let (to, this) = (link.clone(), link);
        view! {
            <a class="item" href=move || href.run(to.clone()) aria-current=move || (range.get() == this).then_some("true")>
                {text}
            </a>
        }
    };
    let day = move |back: i64, text: fn(T) -> &'static str| {
        let link = move || {
            let (from, to) = locale.day(back);
            href.run(RangeLink { from: from.to_string(), to: to.to_string() })
        };
        view! {
            <a class="item" href=link>
                {t(text)}
            </a>
        }
    };
    let kept = move || {
        keep.get()
            .into_iter()
            .map(|(name, value)| view! { <input type="hidden" name=name value=value /> })
            .collect_view()
    };
    let civil = move |at: Timestamp| locale.civil_input(at);
    view! {
        <Menu
            class="range"
            label=Signal::derive(move || format!("{}: {}", texts().range(), label()))
            summary=view! {
                {icon(Icon::Clock)}
                <span>{label}</span>
                {icon(Icon::Down)}
            }
                .into_any()
        >
            <div class="presets">
                {PRESETS.map(preset).collect_view()} <hr /> {day(0, T::today)} {day(1, T::yesterday)}
            </div>
            <form class="exact" method="get">
                {kept}
                <div class="field">
                    <label for="range-from">{t(T::range_from)}</label>
                    <input
                        class="input"
                        id="range-from"
                        name="from"
                        type="datetime-local"
                        step="1"
                        required
                        prop:value=move || civil(resolved.get().from)
                        value=civil(resolved.get_untracked().from)
                    />
                </div>
                <div class="field">
                    <label for="range-to">{t(T::range_to)}</label>
                    <input
                        class="input"
                        id="range-to"
                        name="to"
                        type="datetime-local"
                        step="1"
                        required
                        prop:value=move || civil(resolved.get().to)
                        value=civil(resolved.get_untracked().to)
                    />
                </div>
                <p class="small faint">{move || texts().range_hint(&locale.zone_name())}</p>
                <button type="submit" class="btn primary">
                    {t(T::range_apply)}
                </button>
            </form>
        </Menu>
    }
    .into_any()
}
