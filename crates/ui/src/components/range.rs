//! The page's window of time: presets as links, exact times as a form, both plain GET, so that the address is the
//! state and the picker works before hydration.

use crate::components::Menu;
use crate::texts::{T, t, texts};
use crate::{Icon, icon, use_locale};
use domain::{TimeRange, TimeWindow, Timestamp};
use leptos::prelude::*;

/// The picker. `href` makes the address of a window; `keep` are the other fields of the address, for the form.
#[component]
pub fn RangePicker(
    /// The window in force.
    #[prop(into)]
    window: Signal<TimeWindow>,
    /// Its resolved ends.
    #[prop(into)]
    resolved: Signal<TimeRange>,
    /// The address of another window.
    href: Callback<TimeWindow, String>,
    /// Name and value of what else the address says.
    #[prop(into)]
    keep: Signal<Vec<(String, String)>>,
) -> AnyView {
    let locale = use_locale();
    let label = move || locale.window(window.get());
    let preset = move |preset: TimeWindow| {
        view! {
            <a
                class="item"
                href=move || href.run(preset)
                aria-current=move || (window.get() == preset).then_some("true")
            >
                {move || locale.window(preset)}
            </a>
        }
    };
    let day = move |back: i64, text: fn(T) -> &'static str| {
        let link = move || {
            let (from, to) = locale.day(back);
            href.run(TimeWindow::absolute(TimeRange::new(from, to)))
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
    let end = move |id: &'static str,
                    name: &'static str,
                    text: fn(T) -> &'static str,
                    of: fn(TimeRange) -> Timestamp| {
        let value = move |range: TimeRange| locale.civil_input(of(range));
        view! {
            <div class="field">
                <label for=id>{t(text)}</label>
                <input
                    class="input"
                    id=id
                    name=name
                    type="datetime-local"
                    step="1"
                    required
                    prop:value=move || value(resolved.get())
                    value=value(resolved.get_untracked())
                />
            </div>
        }
    };
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
                {TimeWindow::PRESETS.map(preset).collect_view()} <hr /> {day(0, T::today)} {day(1, T::yesterday)}
            </div>
            <form class="exact" method="get">
                {kept}
                {end("range-from", "from", T::range_from, |range| range.from)}
                {end("range-to", "to", T::range_to, |range| range.to)}
                <p class="small faint">{move || texts().range_hint(&locale.zone_name())}</p>
                <button type="submit" class="btn primary">
                    {t(T::range_apply)}
                </button>
            </form>
        </Menu>
    }
    .into_any()
}
