//! What the command line prints on standard output.

use serde_json::Value;
use std::io::Write;

/// For programs or for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// JSON, pretty.
    Json,
    /// Text.
    Text,
}

/// A line, or more. A closed pipe (`qgx … | head`) is no error.
pub fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{}", text.trim_end_matches('\n'));
}

/// A value as JSON.
pub fn say_json(value: &Value) {
    say(&serde_json::to_string_pretty(value).unwrap_or_default());
}

/// A list: as JSON, or as a table of some of its members.
pub fn say_list(output: Output, list: &Value, columns: &[(&str, &str)]) {
    if output == Output::Json {
        return say_json(list);
    }
    let items = list.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut rows = vec![columns.iter().map(|(title, _)| (*title).to_owned()).collect::<Vec<_>>()];
    rows.extend(items.iter().map(|item| columns.iter().map(|(_, path)| cell(item, path)).collect()));
    let widths: Vec<usize> = (0..columns.len())
        .map(|column| rows.iter().map(|row| width(&row[column])).max().unwrap_or(0))
        .collect();
    for row in rows {
        let line: String = row
            .iter()
            .zip(&widths)
            .map(|(cell, wide)| format!("{cell}{}  ", " ".repeat(wide - width(cell))))
            .collect();
        say(line.trim_end());
    }
}

fn cell(item: &Value, path: &str) -> String {
    match item.pointer(&format!("/{}", path.replace('.', "/"))) {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) if text.is_empty() => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// Columns that a text takes on a terminal: Hangul and Han take two.
fn width(text: &str) -> usize {
    text.chars().map(|c| if c >= '\u{1100}' { 2 } else { 1 }).sum()
}
