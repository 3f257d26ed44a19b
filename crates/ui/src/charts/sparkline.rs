//! A line the size of a word.

use leptos::prelude::*;

/// Draws values, oldest first, from zero to their greatest. It is decoration: the number stands beside it. `tint` is a
/// class of the chart styles, such as `s1`.
pub fn sparkline(
    values: impl Fn() -> Vec<f64> + Send + Sync + 'static,
    tint: &'static str,
    filled: Fill,
) -> AnyView {
    let points = Memo::new(move |_| points(&values()));
    let area = (filled == Fill::Area)
        .then(|| view! { <polygon points=move || format!("0,24 {} 100,24", points.get()) /> });
    view! {
        <svg class=format!("spark {tint}") viewBox="0 0 100 24" preserveAspectRatio="none" aria-hidden="true">
            {area}
            <polyline points=move || points.get() />
        </svg>
    }
    .into_any()
}

/// Whether the surface under the line is tinted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is what it is called")]
pub enum Fill {
    Line,
    Area,
}

fn points(values: &[f64]) -> String {
    use std::fmt::Write;
    let most = values.iter().copied().fold(1.0_f64, f64::max);
    let last = values.len().saturating_sub(1).max(1) as f64;
    let mut out = String::with_capacity(values.len() * 10);
    for (i, value) in values.iter().enumerate() {
        let _ = write!(out, "{:.1},{:.1} ", i as f64 / last * 100.0, 22.5 - value / most * 20.0);
    }
    out.truncate(out.trim_end().len());
    out
}
