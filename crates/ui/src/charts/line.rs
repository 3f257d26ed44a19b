//! Numbers over time. The server draws a plain SVG line; once uPlot has been loaded it takes its place, with a
//! crosshair shared between the charts of a page and dragging to choose a window. A table serves screen readers.

use crate::browser;
use crate::texts::{T, t, texts};
use crate::use_locale;
use domain::{TimeRange, Timestamp, Unit};
use leptos::prelude::*;
use wasm_bindgen::JsCast;

/// One chart's numbers.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LineData {
    /// The start of each step.
    pub times: Vec<Timestamp>,
    /// Name and a value per step; `None` is a gap.
    pub series: Vec<(String, Vec<Option<f64>>)>,
    /// The last two series are the least and the greatest of each step, drawn as the band between them.
    pub banded: bool,
    /// What the values are in.
    pub unit: Option<Unit>,
}

impl LineData {
    /// Those drawn as lines.
    fn lines(&self) -> &[(String, Vec<Option<f64>>)] {
        let band = if self.banded { 2 } else { 0 };
        &self.series[..self.series.len().saturating_sub(band)]
    }

    fn text(&self, value: f64) -> String {
        self.unit.map_or_else(|| domain::format::number(value), |unit| unit.text(value))
    }
}

#[derive(serde::Serialize)]
struct Shim<'a> {
    x: Vec<f64>,
    series: Vec<ShimSeries<'a>>,
    zone: String,
    lang: &'static str,
    height: u32,
    band: bool,
    unit: Option<&'static [(f64, &'static str)]>,
}

#[derive(serde::Serialize)]
struct ShimSeries<'a> {
    label: &'a str,
    values: &'a [Option<f64>],
}

/// The height of a chart, legend apart.
const HEIGHT: u32 = 180;

/// A line chart.
#[component]
pub fn LineChart(
    /// What to show.
    #[prop(into)]
    data: Signal<LineData>,
    /// The name for screen readers.
    #[prop(into)]
    label: Signal<String>,
    /// Takes the window chosen by dragging.
    on_pick: Callback<TimeRange>,
) -> AnyView {
    let locale = use_locale();
    let host = NodeRef::<leptos::html::Div>::new();
    let drawn = RwSignal::new(false);
    // Only in a browser: the value is bound to its thread, and the server may end the page on another one.
    let handle = browser::window().map(|_| StoredValue::new_local(None::<wasm_bindgen::JsValue>));
    let loaded = RwSignal::new(false);

    Effect::new(move |_| {
        if let Some(src) = browser::meta("qgx-charts") {
            browser::with_script(&src, "qgxCharts", move || loaded.set(true));
        }
    });
    Effect::new(move |_| {
        let (true, Some(host)) = (loaded.get(), host.get()) else { return };
        let json = data.with(|d| {
            let shim = Shim {
                x: d.times.iter().map(|at| at.as_millis() as f64 / 1e3).collect(),
                series: d.series.iter().map(|(label, values)| ShimSeries { label, values }).collect(),
                zone: locale.zone_name(),
                lang: locale.lang.get().tag(),
                height: HEIGHT,
                band: d.banded,
                unit: d.unit.map(|unit| unit.steps),
            };
            serde_json::to_string(&shim).unwrap_or_default()
        });
        if let Some(chart) = handle.and_then(|handle| handle.get_value()) {
            browser::call(&chart, "set", &[json.into()]);
            return;
        }
        let pick = wasm_bindgen::closure::Closure::<dyn Fn(f64, f64)>::new(move |from: f64, to: f64| {
            let at = |secs: f64| Timestamp::from_millis((secs * 1e3) as i64);
            on_pick.run(TimeRange::new(at(from), at(to)));
        })
        .into_js_value();
        let Some(charts) = browser::global("qgxCharts") else { return };
        let host: &web_sys::Element = host.unchecked_ref();
        let made = browser::call(&charts, "line", &[host.into(), json.into(), pick]);
        drawn.set(made.is_some());
        if let Some(handle) = handle {
            handle.set_value(made);
        }
    });
    on_cleanup(move || {
        if let Some(Some(chart)) = handle.and_then(|handle| handle.try_get_value()) {
            browser::call(&chart, "destroy", &[]);
        }
    });
    view! {
        <div class="line-chart" role="img" aria-label=move || label.get()>
            <svg hidden=move || drawn.get() viewBox="0 0 100 100" preserveAspectRatio="none" aria-hidden="true">
                {move || data.with(|d| d.lines().iter().map(|(_, values)| fallback(values)).collect_view())}
            </svg>
            <div class="u-host" node_ref=host hidden=move || !drawn.get()></div>
        </div>
        {table(data)}
    }
    .into_any()
}

/// A line per run without gaps.
fn fallback(values: &[Option<f64>]) -> impl IntoView + use<> {
    runs(values).into_iter().map(|points| view! { <polyline points=points /> }).collect_view()
}

/// The points of each run without gaps, in a picture of 100 by 100.
fn runs(values: &[Option<f64>]) -> Vec<String> {
    let known = || values.iter().flatten().copied();
    let (min, max) = (known().fold(f64::INFINITY, f64::min), known().fold(f64::NEG_INFINITY, f64::max));
    let span = if max > min { max - min } else { 1.0 };
    let last = values.len().saturating_sub(1).max(1) as f64;
    let mut runs = vec![String::new()];
    for (i, value) in values.iter().enumerate() {
        match value {
            Some(v) => {
                let point = format!("{:.2},{:.2} ", i as f64 / last * 100.0, 96.0 - (v - min) / span * 90.0);
                if let Some(run) = runs.last_mut() {
                    run.push_str(&point);
                }
            }
            None => runs.push(String::new()),
        }
    }
    runs.retain(|run| !run.is_empty());
    for run in &mut runs {
        // A line of one point draws nothing, a line from it to itself a dot.
        if run.matches(',').count() == 1 {
            *run = run.repeat(2);
        }
    }
    runs
}

/// The same as a table, drawn when opened; at most 200 rows, evenly taken.
fn table(data: Signal<LineData>) -> impl IntoView {
    let locale = use_locale();
    let open = RwSignal::new(false);
    let rows = move || {
        data.with(|d| {
            let thin = d.times.len().div_ceil(200).max(1);
            (0..d.times.len())
                .step_by(thin)
                .map(|i| {
                    let cells = d
                        .series
                        .iter()
                        .map(|(_, v)| view! { <td class="num">{v.get(i).copied().flatten().map(|v| d.text(v))}</td> })
                        .collect_view();
                    view! {
                        <tr>
                            <td>{locale.date_time(d.times[i])}</td>
                            {cells}
                        </tr>
                    }
                })
                .collect_view()
        })
    };
    let names = move || {
        data.with(|d| {
            d.series.iter().map(|(name, _)| view! { <th class="num">{name.clone()}</th> }).collect_view()
        })
    };
    view! {
        <details class="chart-table" on:toggle=move |_| open.update(|o| *o = !*o)>
            <summary>{t(T::chart_table)}</summary>
            {move || {
                open.get()
                    .then(|| {
                        view! {
                            <div tabindex="0">
                                <table>
                                    <thead>
                                        <tr>
                                            <th>{texts().time()}</th>
                                            {names}
                                        </tr>
                                    </thead>
                                    <tbody>{rows}</tbody>
                                </table>
                            </div>
                        }
                    })
            }}
        </details>
    }
}

#[cfg(test)]
mod tests {
    use super::runs;

    #[test]
    fn a_value_without_neighbours_is_a_dot() {
        let check = |values: &[Option<f64>], expect: &[&str]| assert_eq!(runs(values), expect);
        check(&[], &[]);
        check(&[None, Some(7.0), None], &["50.00,96.00 50.00,96.00 "]);
        check(
            &[Some(0.0), Some(1.0), None, Some(1.0)],
            &["0.00,96.00 33.33,6.00 ", "100.00,6.00 100.00,6.00 "],
        );
    }
}
