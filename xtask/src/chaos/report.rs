//! What is told at the end: a table for people, the same as Markdown and as JSON in `target/chaos`.

use super::fault::Place;
use anyhow::Context;
use serde_json::{Value, json};
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// A fault and what it did.
#[derive(Debug)]
pub struct Row {
    /// Its name.
    pub fault: &'static str,
    /// Where it happened.
    pub place: Place,
    /// How often.
    pub times: u32,
    /// Events acknowledged meanwhile.
    pub acknowledged: u64,
    /// Of them, missing in the index.
    pub missing: u64,
    /// Twice in the index.
    pub twice: u64,
    /// Of them, not counted by SQL.
    pub uncounted: u64,
    /// Counted by SQL beyond what was sent.
    pub overcounted: u64,
    /// From the end of the fault until everything is ready.
    pub ready: Vec<Duration>,
    /// Until every sender is acknowledged again.
    pub acknowledges: Vec<Duration>,
    /// Until everything acknowledged by then is found.
    pub caught_up: Vec<Duration>,
    /// Events sent with no acknowledgement, of which nothing is promised.
    pub plain_sent: u64,
    /// Different ones of them that are stored.
    pub plain_stored: u64,
    /// Those of them that are stored again.
    pub plain_twice: u64,
    /// Promises that were broken, in words.
    pub broken: Vec<String>,
}

impl Default for Row {
    fn default() -> Self {
        Self {
            fault: "",
            place: Place::Embedded,
            times: 0,
            acknowledged: 0,
            missing: 0,
            twice: 0,
            uncounted: 0,
            overcounted: 0,
            ready: Vec::new(),
            acknowledges: Vec::new(),
            caught_up: Vec::new(),
            plain_sent: 0,
            plain_stored: 0,
            plain_twice: 0,
            broken: Vec::new(),
        }
    }
}

impl Row {
    /// Whether every promise was kept.
    pub fn is_kept(&self) -> bool {
        self.broken.is_empty() && self.missing + self.twice + self.uncounted + self.overcounted == 0
    }
}

/// The middle of several times and the longest, in seconds.
fn middle_and_most(times: &[Duration]) -> Option<(f64, f64)> {
    let mut times: Vec<_> = times.iter().map(Duration::as_secs_f64).collect();
    times.sort_by(f64::total_cmp);
    Some((*times.get(times.len() / 2)?, *times.last()?))
}

fn spoken(times: &[Duration]) -> String {
    middle_and_most(times).map_or_else(|| "–".to_owned(), |(middle, most)| format!("{middle:.1} / {most:.1}"))
}

fn place_name(place: Place) -> &'static str {
    match place {
        Place::Embedded => "one process",
        Place::SmallDisk => "one process, small disk",
        Place::Split => "one process a role",
    }
}

const HEAD: [&str; 10] = [
    "where",
    "fault",
    "times",
    "acknowledged",
    "missing (index / SQL)",
    "twice (index / SQL)",
    "ready s (p50 / max)",
    "acknowledges again s",
    "lag 0 s",
    "plain NDJSON: sent / stored / twice",
];

/// The table as Markdown, padded so that it can be read as it is.
pub fn table(rows: &[Row]) -> String {
    let mut lines = vec![HEAD.map(str::to_owned)];
    lines.extend(rows.iter().map(|row| {
        [
            place_name(row.place).to_owned(),
            row.fault.to_owned(),
            row.times.to_string(),
            row.acknowledged.to_string(),
            format!("{} / {}", row.missing, row.uncounted),
            format!("{} / {}", row.twice, row.overcounted),
            spoken(&row.ready),
            spoken(&row.acknowledges),
            spoken(&row.caught_up),
            format!("{} / {} / {}", row.plain_sent, row.plain_stored, row.plain_twice),
        ]
    }));
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; HEAD.len()] = std::array::from_fn(width);
    let mut text = String::new();
    for (at, line) in lines.iter().enumerate() {
        for (cell, width) in line.iter().zip(widths) {
            // Writing to a string cannot fail.
            let _ = write!(text, "| {cell:width$} ");
        }
        text.push_str("|\n");
        if at == 0 {
            let rule: Vec<_> = widths.iter().map(|width| "-".repeat(*width)).collect();
            text.push_str(&format!("| {} |\n", rule.join(" | ")));
        }
    }
    text
}

/// Writes `report.json` and `report.md` into the folder.
///
/// # Errors
/// Where they cannot be written.
pub fn write(dir: &Path, rows: &[Row], run: &Value) -> anyhow::Result<()> {
    let faults: Vec<_> = rows.iter().map(to_json).collect();
    let text = serde_json::to_string_pretty(&json!({ "run": run, "faults": faults }))?;
    fs::write(dir.join("report.json"), text).context("report.json cannot be written")?;
    fs::write(dir.join("report.md"), table(rows)).context("report.md cannot be written")
}

fn to_json(row: &Row) -> Value {
    let times = |times: &[Duration]| {
        let all: Vec<_> = times.iter().map(Duration::as_secs_f64).collect();
        json!({ "p50": middle_and_most(times).map(|it| it.0), "max": middle_and_most(times).map(|it| it.1), "all": all })
    };
    json!({
        "where": place_name(row.place),
        "fault": row.fault,
        "times": row.times,
        "acknowledged": row.acknowledged,
        "missing": { "index": row.missing, "sql": row.uncounted },
        "twice": { "index": row.twice, "sql": row.overcounted },
        "recovery_seconds": {
            "ready": times(&row.ready),
            "acknowledges": times(&row.acknowledges),
            "lag_0": times(&row.caught_up),
        },
        "plain": { "sent": row.plain_sent, "stored": row.plain_stored, "twice": row.plain_twice },
        "kept": row.is_kept(),
        "broken": row.broken,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_tells_middle_and_most() {
        let ready = [3, 1, 2].map(Duration::from_secs).to_vec();
        let row = Row { fault: "kill", times: 3, acknowledged: 12, ready, plain_sent: 4, ..Row::default() };
        assert!(row.is_kept());
        let text = table(&[row]);
        let cells: Vec<_> = text.lines().nth(2).expect("a row").split('|').map(str::trim).collect();
        assert_eq!(
            cells,
            ["", "one process", "kill", "3", "12", "0 / 0", "0 / 0", "2.0 / 3.0", "–", "–", "4 / 0 / 0", ""]
        );
        let widths: Vec<_> = text.lines().map(|line| line.chars().count()).collect();
        assert!(widths.iter().all(|width| *width == widths[0]), "{widths:?}");
    }

    #[test]
    fn any_count_or_word_is_a_broken_promise() {
        assert!(!Row { missing: 1, ..Row::default() }.is_kept());
        assert!(!Row { overcounted: 1, ..Row::default() }.is_kept());
        assert!(!Row { broken: vec!["it ended".to_owned()], ..Row::default() }.is_kept());
    }
}
