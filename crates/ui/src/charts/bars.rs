//! Counts over time, stacked by level: an SVG that the server draws and the browser makes selectable.
//!
//! The plot is one path a band in a coordinate system of buckets × counts, stretched by the SVG itself, so that nothing
//! needs to be measured and an update changes six attributes.

use super::scale::{CountAxis, count_axis, time_marks};
use crate::texts::texts;
use crate::use_locale;
use domain::api::Histogram;
use domain::{Level, TimeRange};
use leptos::{ev, prelude::*};
use std::fmt::Write;

/// Levels that share a colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is what it is called")]
pub enum Band {
    None,
    Debug,
    Info,
    Warn,
    Error,
    Critical,
}

impl Band {
    /// From the bottom of the stack up.
    pub const ALL: [Self; 6] = [Self::None, Self::Debug, Self::Info, Self::Warn, Self::Error, Self::Critical];

    /// The band of a level.
    pub fn of(level: Option<Level>) -> Self {
        match level {
            None => Self::None,
            Some(Level::Trace | Level::Debug) => Self::Debug,
            Some(Level::Info | Level::Notice) => Self::Info,
            Some(Level::Warn) => Self::Warn,
            Some(Level::Error) => Self::Error,
            Some(Level::Critical | Level::Alert | Level::Emergency) => Self::Critical,
        }
    }

    /// The name in class names and legends.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }
}

/// Counts a bucket, by band.
fn stacks(histogram: &Histogram) -> Vec<[u64; 6]> {
    let mut stacks = vec![[0; 6]; histogram.edges.len().saturating_sub(1)];
    for series in &histogram.series {
        let band = Band::of(series.level) as usize;
        for (stack, count) in stacks.iter_mut().zip(&series.counts) {
            stack[band] += count;
        }
    }
    stacks
}

/// What a histogram looks like, worked out once a change.
#[derive(Debug, Clone, PartialEq)]
struct Picture {
    buckets: usize,
    paths: [String; 6],
    axis: CountAxis,
}

/// The inner height of the plot's coordinate system.
const TALL: f64 = 1000.0;

fn picture(histogram: &Histogram) -> Picture {
    let stacks = stacks(histogram);
    let axis = count_axis(stacks.iter().map(|s| s.iter().sum()).max().unwrap_or(0));
    let mut paths: [String; 6] = Default::default();
    for (i, stack) in stacks.iter().enumerate() {
        let mut base = TALL;
        for (band, count) in stack.iter().enumerate().filter(|(_, c)| **c > 0) {
            let height = (*count as f64 / axis.top * TALL).max(3.0);
            let _ = write!(paths[band], "M{i}.07 {:.0}h.86v-{height:.0}h-.86z", base);
            base -= height;
        }
    }
    Picture { buckets: stacks.len(), paths, axis }
}

/// A selection of buckets, both ends inside, in the order they were touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Picked {
    anchor: usize,
    head: usize,
}

impl Picked {
    fn ends(self) -> (usize, usize) {
        (self.anchor.min(self.head), self.anchor.max(self.head))
    }
}

/// Stacked bars by level. With `on_pick`, dragging or the keyboard chooses a window of time.
#[component]
pub fn LevelBars(
    /// What to show.
    #[prop(into)]
    histogram: Signal<Histogram>,
    /// Height in pixels, axis included.
    height: u32,
    /// The name for screen readers.
    #[prop(into)]
    label: Signal<String>,
    /// Takes the chosen window.
    #[prop(optional)]
    on_pick: Option<Callback<TimeRange>>,
) -> AnyView {
    let locale = use_locale();
    let drawn = Memo::new(move |_| histogram.with(picture));
    let plot_height = f64::from(height) - 20.0;
    let y = move |count: u64| plot_height * (1.0 - count as f64 / drawn.with(|d| d.axis.top));
    let axis = move || {
        let marks = drawn.with(|d| d.axis.marks.clone());
        marks
            .into_iter()
            .map(|mark| {
                view! { <text x="34" y=format!("{:.1}", y(mark) + 3.5) text-anchor="end">{locale.compact(mark)}</text> }
            })
            .collect_view()
    };
    let lines = move || {
        let marks = drawn.with(|d| d.axis.marks.clone());
        marks
            .into_iter()
            .map(|mark| {
                let at = format!("{:.1}", y(mark));
                view! { <line class="gridline" x1="0" x2="100%" y1=at.clone() y2=at /> }
            })
            .collect_view()
    };
    let times = move || {
        let marks = histogram.with(|h| locale.with_zone(|zone| time_marks(&h.edges, zone, 6)));
        let buckets = drawn.with(|d| d.buckets).max(1) as f64;
        marks
            .into_iter()
            .map(|mark| {
                let share = mark.at as f64 / buckets * 100.0;
                let anchor = if share < 2.0 {
                    "start"
                } else if share > 97.0 {
                    "end"
                } else {
                    "middle"
                };
                view! { <text x=format!("{share:.2}%") y=(height - 5).to_string() text-anchor=anchor>{mark.text}</text> }
            })
            .collect_view()
    };
    let paths = Band::ALL
        .into_iter()
        .enumerate()
        .map(|(i, band)| {
            view! { <path class=format!("lv-f-{}", band.name()) d=move || drawn.with(|d| d.paths[i].clone()) /> }
        })
        .collect_view();
    let brush = on_pick.map(|on_pick| brush(histogram, label, on_pick));
    view! {
        <div class="bars">
            <svg height=height aria-hidden="true">
                {axis}
            </svg>
            <div class="plot">
                <svg height=height role="img" aria-label=move || label.get()>
                    {lines}
                    <svg
                        width="100%"
                        height=plot_height
                        viewBox=move || format!("0 0 {} {TALL}", drawn.with(|d| d.buckets).max(1))
                        preserveAspectRatio="none"
                    >
                        {paths}
                    </svg>
                    {times}
                </svg>
                {brush}
            </div>
        </div>
    }
    .into_any()
}

/// The layer over the plot that takes the pointer and the keyboard.
fn brush(histogram: Signal<Histogram>, label: Signal<String>, on_pick: Callback<TimeRange>) -> AnyView {
    let locale = use_locale();
    let over = RwSignal::new(None::<usize>);
    let picked = RwSignal::new(None::<Picked>);
    let layer = NodeRef::<leptos::html::Div>::new();
    let buckets = move || histogram.with(|h| h.edges.len().saturating_sub(1));

    let bucket_at = move |event: &ev::PointerEvent| {
        let rect = layer.get_untracked().map(|layer| layer.get_bounding_client_rect());
        let share = rect.map_or(0.0, |r| (f64::from(event.client_x()) - r.left()) / r.width().max(1.0));
        ((share * buckets() as f64).max(0.0) as usize).min(buckets().saturating_sub(1))
    };
    let finish = move || {
        if let Some(Picked { anchor, head }) = picked.get_untracked() {
            let (first, last) = Picked { anchor, head }.ends();
            let range = histogram
                .with_untracked(|h| Some(TimeRange::new(*h.edges.get(first)?, *h.edges.get(last + 1)?)));
            picked.set(None);
            if let Some(range) = range {
                on_pick.run(range);
            }
        }
    };
    let down = move |event: ev::PointerEvent| {
        if event.button() == 0 && buckets() > 0 {
            let at = bucket_at(&event);
            picked.set(Some(Picked { anchor: at, head: at }));
            if let Some(layer) = layer.get_untracked() {
                let _ = layer.set_pointer_capture(event.pointer_id());
            }
        }
    };
    let moved = move |event: ev::PointerEvent| {
        if buckets() > 0 {
            let at = bucket_at(&event);
            over.set(Some(at));
            picked.update(|p| {
                if let Some(p) = p {
                    p.head = at;
                }
            });
        }
    };
    let key = move |event: ev::KeyboardEvent| {
        let last = buckets().saturating_sub(1);
        let at = over.get_untracked().unwrap_or(last);
        let next = match event.key().as_str() {
            "ArrowLeft" => at.saturating_sub(1),
            "ArrowRight" => (at + 1).min(last),
            "Home" => 0,
            "End" => last,
            "Enter" | " " => {
                event.prevent_default();
                if picked.get_untracked().is_none() {
                    picked.set(Some(Picked { anchor: at, head: at }));
                }
                return finish();
            }
            "Escape" => return picked.set(None),
            _ => return,
        };
        event.prevent_default();
        over.set(Some(next));
        if event.shift_key() {
            picked.update(|p| *p = Some(Picked { anchor: p.map_or(at, |p| p.anchor), head: next }));
        } else {
            picked.set(None);
        }
    };
    let overlay = move || {
        let width = 100.0 / buckets().max(1) as f64;
        let cursor = over.get().map(|at| {
            view! { <rect class="cursor" x=format!("{:.3}%", at as f64 * width) width=format!("{width:.3}%") height="100%" /> }
        });
        let chosen = picked.get().map(|p| {
            let (first, last) = p.ends();
            view! {
                <rect
                    class="picked"
                    x=format!("{:.3}%", first as f64 * width)
                    width=format!("{:.3}%", (last + 1 - first) as f64 * width)
                    height="100%"
                />
            }
        });
        view! {
            {cursor}
            {chosen}
        }
    };
    let said = move || {
        over.get().and_then(|at| {
            histogram.with(|h| {
                let count: u64 = h.series.iter().filter_map(|s| s.counts.get(at)).sum();
                let from = locale.date_time(*h.edges.get(at)?);
                Some(match picked.get().map(Picked::ends) {
                    Some((first, last)) if first != last => texts().picked(
                        &locale.date_time(*h.edges.get(first)?),
                        &locale.date_time(*h.edges.get(last + 1)?),
                    ),
                    _ => texts().bar(&from, &locale.count(count)),
                })
            })
        })
    };
    view! {
        <div
            class="brush"
            node_ref=layer
            tabindex="0"
            role="application"
            aria-label=move || format!("{}. {}", label.get(), texts().chart_keys())
            on:pointerdown=down
            on:pointermove=moved
            on:pointerup=move |_| finish()
            on:pointerleave=move |_| over.set(None)
            on:blur=move |_| over.set(None)
            on:keydown=key
        >
            <svg width="100%" height="100%" aria-hidden="true">
                {overlay}
            </svg>
            {move || tip(histogram, over.get()?)}
            <span class="sr" aria-live="polite">
                {said}
            </span>
        </div>
    }
    .into_any()
}

/// What the pointer is over.
fn tip(histogram: Signal<Histogram>, at: usize) -> Option<AnyView> {
    let locale = use_locale();
    let (from, stack, buckets) = histogram.with(|h| {
        let stack = *stacks(h).get(at)?;
        Some((*h.edges.get(at)?, stack, h.edges.len() - 1))
    })?;
    let rows = Band::ALL
        .into_iter()
        .rev()
        .filter(|band| stack[*band as usize] > 0)
        .map(|band| {
            let name = if band == Band::None { texts().none() } else { band.name() };
            view! {
                <span>
                    {swatch(band)} {name} <i>{locale.count(stack[band as usize])}</i>
                </span>
            }
        })
        .collect_view();
    let share = (at as f64 + 0.5) / buckets.max(1) as f64 * 100.0;
    let place = if share < 60.0 {
        ("left", format!("calc({share:.1}% + 10px)"))
    } else {
        ("right", format!("calc({:.1}% + 10px)", 100.0 - share))
    };
    Some(
        view! {
            <div class="tip" style=(place.0, place.1) aria-hidden="true">
                <b>{locale.date_time(from)}</b>
                {rows}
                <span>
                    {texts().total()} <i>{locale.count(stack.iter().sum())}</i>
                </span>
            </div>
        }
        .into_any(),
    )
}

/// A band's colour.
fn swatch(band: Band) -> impl IntoView {
    view! {
        <svg class="swatch" viewBox="0 0 9 9" aria-hidden="true">
            <rect width="9" height="9" rx="2" class=format!("lv-f-{}", band.name()) />
        </svg>
    }
}

/// The bands that occur, most severe first.
#[component]
pub fn Legend(
    /// What is shown.
    #[prop(into)]
    histogram: Signal<Histogram>,
) -> AnyView {
    let bands = Memo::new(move |_| {
        histogram.with(|h| {
            let mut seen = [false; 6];
            for series in h.series.iter().filter(|s| s.counts.iter().any(|c| *c > 0)) {
                seen[Band::of(series.level) as usize] = true;
            }
            seen
        })
    });
    let items = move || {
        let seen = bands.get();
        Band::ALL
            .into_iter()
            .rev()
            .filter(|band| seen[*band as usize])
            .map(|band| {
                let name = if band == Band::None { texts().none() } else { band.name() };
                view! { <li>{swatch(band)} {name}</li> }
            })
            .collect_view()
    };
    view! { <ul class="legend">{items}</ul> }.into_any()
}
