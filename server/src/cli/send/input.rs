//! The files as lines: as they are, or each row of a CSV file as an object.

use super::Counters;
use crate::cli::args::{Protocol, SendArgs};
use anyhow::{Context, Result};
use bytes::Bytes;
use serde_json::{Map, Value};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

/// The files, and how they are read.
pub struct Input {
    files: Vec<PathBuf>,
    protocol: Protocol,
    source_given: bool,
}

/// Opens a file; `-` is standard input.
pub fn open(path: &Path) -> Result<Box<dyn Read + Send>> {
    if path == Path::new("-") {
        return Ok(Box::new(std::io::stdin()));
    }
    let file = File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
    Ok(Box::new(file))
}

/// Counts what is read through it.
struct Counted<'a, R> {
    inner: R,
    counters: &'a Counters,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buf)?;
        self.counters.bytes.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

impl Input {
    /// What the command line names.
    pub fn new(args: &SendArgs) -> Self {
        Self {
            files: args.files.clone(),
            protocol: args.protocol,
            source_given: args.target.source.is_some() || args.target.token.is_some(),
        }
    }

    /// Hands every line on, without its newline, until `take` says no.
    pub fn for_each(&self, counters: &Counters, mut take: impl FnMut(Bytes) -> bool) -> Result<()> {
        for path in &self.files {
            let counted = Counted { inner: open(path)?, counters };
            let mut count_and_take = |line: Bytes| {
                counters.lines.fetch_add(1, Ordering::Relaxed);
                take(line)
            };
            let goes_on = if self.protocol == Protocol::Csv {
                // Without a source of its own a table is called by its file.
                let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
                let source = stem.filter(|stem| !self.source_given && stem != "-");
                rows(counted, source.as_deref(), &mut count_and_take)
            } else {
                lines(counted, &mut count_and_take)
            };
            if !goes_on.with_context(|| format!("{} cannot be read further", path.display()))? {
                break;
            }
        }
        Ok(())
    }
}

/// Empty lines are no records and are left out.
fn lines(read: impl Read, take: &mut dyn FnMut(Bytes) -> bool) -> Result<bool> {
    let mut reader = BufReader::with_capacity(256 * 1024, read);
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            return Ok(true);
        }
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        if !text.is_empty() && !take(Bytes::copy_from_slice(text)) {
            return Ok(false);
        }
    }
}

fn rows(read: impl Read, source: Option<&str>, take: &mut dyn FnMut(Bytes) -> bool) -> Result<bool> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(read);
    let names: Vec<String> =
        reader.headers()?.iter().map(|name| name.trim_start_matches('\u{feff}').trim().to_owned()).collect();
    let names_source =
        names.iter().any(|name| matches!(name.as_str(), "source" | "host" | "device" | "device_id"));
    for row in reader.records() {
        let row = row?;
        let mut object = Map::new();
        for (name, cell) in names.iter().zip(row.iter()) {
            if !name.is_empty() && !cell.is_empty() {
                object.insert(name.clone(), cell_value(cell));
            }
        }
        if let (Some(source), false) = (source, names_source) {
            object.insert("source".to_owned(), Value::from(source));
        }
        if !object.is_empty() && !take(serde_json::to_vec(&Value::Object(object))?.into()) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A number where the cell is one as JSON writes it: `007` and `1e999` stay texts.
fn cell_value(cell: &str) -> Value {
    let text = cell.trim();
    let number = text.starts_with(|c: char| c.is_ascii_digit() || c == '-');
    match serde_json::from_str::<Value>(text) {
        Ok(value @ Value::Number(_)) if number => value,
        _ if text == "true" => Value::Bool(true),
        _ if text == "false" => Value::Bool(false),
        _ => Value::from(cell),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_rows(csv: &str, source: Option<&str>, expect: &[&str]) {
        let mut found = Vec::new();
        let all = rows(csv.as_bytes(), source, &mut |line| {
            found.push(String::from_utf8(line.to_vec()).unwrap());
            true
        });
        assert!(all.unwrap());
        assert_eq!(found, expect);
    }

    #[test]
    fn rows_become_objects() {
        check_rows(
            "timestamp,value\n2013-12-02 21:15:00,73.967322\n2013-12-02 21:20:00,-74\n",
            Some("machine"),
            &[
                r#"{"source":"machine","timestamp":"2013-12-02 21:15:00","value":73.967322}"#,
                r#"{"source":"machine","timestamp":"2013-12-02 21:20:00","value":-74}"#,
            ],
        );
        check_rows("\u{feff}device,code\npump,007\n", Some("x"), &[r#"{"code":"007","device":"pump"}"#]);
        check_rows("a,b\n1,\n", None, &[r#"{"a":1}"#]);
    }

    #[test]
    fn lines_lose_their_ends_and_nothing_else() {
        let mut found = Vec::new();
        lines(b"a\r\n\n b \nlast".as_slice(), &mut |line| {
            found.push(line);
            true
        })
        .unwrap();
        assert_eq!(found, ["a", " b ", "last"]);
    }
}
