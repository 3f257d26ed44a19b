//! What a second of the stream changes.

use domain::api::{Histogram, HistogramSeries, LiveTotals, Overview, SourceState};
use domain::{Level, Timestamp};

/// Adds a second of the stream to the page's figures.
pub(super) fn add_second(board: &mut Overview, totals: &LiveTotals) {
    const WINDOW: usize = 10;
    board.rate_history.push(totals.events as f64);
    let excess = board.rate_history.len().saturating_sub(60);
    board.rate_history.drain(..excess);
    let latest = &board.rate_history[board.rate_history.len().saturating_sub(WINDOW)..];
    board.rate = latest.iter().sum::<f64>() / latest.len().max(1) as f64;
    board.events_today += totals.events;
    board.bytes_today += totals.bytes;
    if totals.events > 0 {
        board.freshness_p99_ms = Some(totals.freshness_p99_ms);
        board.last_event = board.last_event.max(Some(totals.at));
    }
    add_to_inflow(&mut board.inflow, totals);
    for source in &mut board.top_sources {
        let events = totals.sources.iter().find(|(key, _)| *key == source.key).map_or(0, |(_, n)| *n);
        // A minute's mean, moved by a second.
        source.rate += (events as f64 - source.rate) / 60.0;
        if events > 0 {
            source.last_seen = source.last_seen.max(Some(totals.at));
            source.state = SourceState::Online;
            if let Some(minute) = source.sparkline.last_mut() {
                *minute = minute.saturating_add(u32::try_from(events).unwrap_or(u32::MAX));
            }
        }
    }
    board.at = totals.at;
}

fn add_to_inflow(inflow: &mut Histogram, totals: &LiveTotals) {
    const MINUTE: i64 = 60_000_000_000;
    // The picture moves on by whole minutes.
    while inflow.edges.last().is_some_and(|last| totals.at >= *last) {
        let next: Timestamp = inflow.edges.last().copied().unwrap_or_default().plus_nanos(MINUTE);
        inflow.edges.push(next);
        let full = inflow.edges.len() > 61;
        if full {
            inflow.edges.remove(0);
        }
        for series in &mut inflow.series {
            series.counts.push(0);
            if full && !series.counts.is_empty() {
                series.counts.remove(0);
            }
        }
        if inflow.edges.len() > 1_000 {
            return;
        }
    }
    let buckets = inflow.edges.len().saturating_sub(1);
    for (i, count) in totals.levels.iter().enumerate().filter(|(_, count)| **count > 0) {
        let level = u8::try_from(i).ok().and_then(Level::from_rank);
        if !inflow.series.iter().any(|s| s.level == level) {
            inflow.series.push(HistogramSeries { level, counts: vec![0; buckets] });
        }
        if let Some(last) =
            inflow.series.iter_mut().find(|s| s.level == level).and_then(|s| s.counts.last_mut())
        {
            *last += count;
        }
    }
}
