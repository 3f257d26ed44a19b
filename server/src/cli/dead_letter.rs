//! `qgx dead-letter`.

use super::admin::{ask, member, say_one, source_key};
use super::args::{DeadLetterAction, DeadLetterArgs, LetterFilterArgs, WhichLetters};
use super::print::{Output, say, say_json, say_list};
use crate::control::Command;
use anyhow::{Context, Result, bail};
use domain::api::{LetterQuery, LetterReport, LetterSelection};
use domain::{EventId, Timestamp};
use serde_json::Value;
use std::io::Read;

const COLUMNS: [(&str, &str); 7] = [
    ("ID", "id"),
    ("AT", "at"),
    ("SOURCE", "source"),
    ("PROTOCOL", "protocol"),
    ("STATE", "state"),
    ("CODE", "code"),
    ("REASON", "reason"),
];

/// `qgx dead-letter`
pub fn run(args: DeadLetterArgs) -> Result<()> {
    match args.action {
        DeadLetterAction::List { admin, tenant, filter, limit } => {
            let query = query(&filter)?;
            let list = ask(&admin, Command::DeadLetterList { tenant, query, limit })?;
            say_list(Output::of(admin.json), &list, &COLUMNS);
        }
        DeadLetterAction::Show { admin, tenant, id } => {
            let found = ask(&admin, Command::DeadLetterShow { tenant, id: letter_id(&id)? })?;
            say_one(&admin, &found, in_words);
        }
        DeadLetterAction::Edit { admin, tenant, id, file } => {
            let bytes = bytes_of(&file)?;
            let id = letter_id(&id)?;
            let found = ask(&admin, Command::DeadLetterEdit { tenant, id, base64: base64(&bytes) })?;
            say_one(&admin, &found, in_words);
        }
        DeadLetterAction::Replay { admin, tenant, which } => {
            let command = |tenant, selection| Command::DeadLetterReplay { tenant, selection };
            return many(&admin, &tenant, which, command, "replayed");
        }
        DeadLetterAction::Discard { admin, tenant, which } => {
            let command = |tenant, selection| Command::DeadLetterDiscard { tenant, selection };
            return many(&admin, &tenant, which, command, "discarded");
        }
        DeadLetterAction::Reopen { admin, tenant, id } => {
            let done = ask(&admin, Command::DeadLetterReopen { tenant, id: letter_id(&id)? })?;
            say_one(&admin, &done, |done| format!("{} is {}", member(done, "/id"), member(done, "/state")));
        }
    }
    Ok(())
}

/// Call by call, until the filter finds no more.
fn many(
    admin: &super::args::AdminArgs,
    tenant: &str,
    which: WhichLetters,
    command: impl Fn(String, LetterSelection) -> Command,
    done: &str,
) -> Result<()> {
    let mut selection = LetterSelection::default();
    if which.ids.is_empty() {
        if !which.all && which.filter.is_empty() {
            bail!(
                "name letters by their ids, or choose some with --code, --source, …, or all open ones with --all"
            );
        }
        selection.filter = Some(query(&which.filter)?);
    } else {
        selection.ids = Some(which.ids.iter().map(|id| letter_id(id)).collect::<Result<_>>()?);
    }
    let mut sum = LetterReport::default();
    loop {
        let report: LetterReport =
            serde_json::from_value(ask(admin, command(tenant.to_owned(), selection.clone()))?)?;
        sum.done += report.done;
        sum.before += report.before;
        sum.failed += report.failed;
        sum.failures.extend(report.failures);
        match report.next_cursor {
            Some(next) if selection.cursor.as_ref() != Some(&next) => selection.cursor = Some(next),
            _ => break,
        }
    }
    match Output::of(admin.json) {
        Output::Json => say_json(&serde_json::to_value(&sum)?),
        Output::Text => {
            say(&format!("{done}: {}; before: {}; failed: {}", sum.done, sum.before, sum.failed));
            for failure in &sum.failures {
                say(&format!("{}  {}  {}", failure.id, failure.code, failure.message));
            }
        }
    }
    if sum.failed > 0 && sum.done == 0 {
        bail!("none of them could be {done}");
    }
    Ok(())
}

fn query(filter: &LetterFilterArgs) -> Result<LetterQuery> {
    let now = Timestamp::now();
    let time = |text: &Option<String>| {
        let parsed = text
            .as_deref()
            .map(|text| Timestamp::parse_relative(text, now).with_context(|| format!("{text:?} is no time")));
        parsed.transpose()
    };
    Ok(LetterQuery {
        code: filter.code.clone(),
        source: filter.source.as_deref().map(source_key).transpose()?,
        state: filter.state,
        from: time(&filter.from)?,
        to: time(&filter.to)?,
        text: filter.text.clone(),
    })
}

fn letter_id(text: &str) -> Result<EventId> {
    EventId::parse(text).with_context(|| format!("{text:?} is no letter's id"))
}

fn bytes_of(file: &std::path::Path) -> Result<Vec<u8>> {
    if file.as_os_str() != "-" {
        return std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()));
    }
    let mut bytes = Vec::new();
    std::io::stdin().take(1 << 24).read_to_end(&mut bytes)?;
    // An editor's last newline is not the sender's.
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
    }
    Ok(bytes)
}

fn base64(bytes: &[u8]) -> String {
    use ::base64::Engine;
    ::base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// A letter for people: what is known of it, its bytes, what a replay would make of it.
fn in_words(found: &Value) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &Value| {
        let value = match value {
            Value::Null => return,
            Value::String(value) => value.clone(),
            other => other.to_string(),
        };
        text.push_str(&format!("{name:<15}{value}\n"));
    };
    for name in ["id", "state", "at", "source", "protocol", "peer", "code", "reason", "length", "form"] {
        line(name, &found["letter"][name]);
    }
    for name in ["not_replayable", "edited_by", "edited_at", "resolved_by", "resolved_at", "event_id"] {
        line(name, &found["letter"][name]);
    }
    line("sha256", &found["sha256"]);
    for (title, bytes) in [("original", &found["original"]), ("edited", &found["edited"])] {
        let shown = bytes["text"].as_str().or_else(|| bytes["hex"].as_str());
        if let Some(shown) = shown {
            text.push_str(&format!("\n{title}:\n{}\n", shown.trim_end_matches('\n')));
        }
    }
    let preview = &found["preview"];
    match preview["event"].is_object() {
        true => text.push_str(&format!(
            "\na replay would make:\n{}\n",
            serde_json::to_string_pretty(&preview["event"]).unwrap_or_default()
        )),
        false => text.push_str(&format!("\nno replay: {}\n", member(preview, "/message"))),
    }
    text
}
