//! `qgx.toml.example`, the reference page, and what `qgx config` prints: all from the one list.

use super::layers::Layers;
use super::variables::VARIABLES;
use std::fmt::Write;

/// The text of `qgx.toml.example`.
pub fn toml_example() -> String {
    let mut out = String::from(
        "# Settings of QGX. Every line is a default; take the # away to change one.\n\
         # The same settings as QGX_* variables win over this file, and flags over those.\n\
         # This file is generated: cargo run -p server -- config --example > qgx.toml.example\n",
    );
    let mut group = "";
    for variable in VARIABLES {
        if variable.group != group {
            group = variable.group;
            let _ = write!(out, "\n# ---- {group} ----\n");
        }
        out.push('\n');
        for line in wrap(variable.doc, 100) {
            let _ = writeln!(out, "# {line}");
        }
        let _ = writeln!(out, "#{} = {}", variable.key, toml_value(variable.default));
    }
    out
}

/// The text of `docs/settings.md`.
pub fn markdown() -> String {
    let mut out = String::from(
        "# Settings\n\nPrecedence: defaults, then `qgx.toml` (`--config FILE` or `QGX_CONFIG`; else `qgx.toml` in the \
         working directory), then the environment, then flags. Every setting can be given as `--set KEY=VALUE`; the \
         common ones have a flag of their own. `qgx config` prints what holds and where it comes from, without \
         secrets.\n\nThis page is generated: `cargo run -p server -- config --reference > docs/settings.md`.\n",
    );
    let mut group = "";
    for variable in VARIABLES {
        if variable.group != group {
            group = variable.group;
            let _ = write!(
                out,
                "\n## {group}\n\n| `qgx.toml` | environment | default | what it does |\n|---|---|---|---|\n"
            );
        }
        let default = if variable.default.is_empty() {
            "not set".to_owned()
        } else {
            format!("`{}`", variable.default)
        };
        let _ = writeln!(out, "| `{}` | `{}` | {default} | {} |", variable.key, variable.env(), variable.doc);
    }
    out
}

/// The settings that hold, as TOML, redacted, each with its origin.
pub fn effective(layers: &Layers) -> String {
    let mut out = String::new();
    for (variable, value, origin) in layers.all() {
        let _ = writeln!(out, "{} = {}  # {origin}", variable.key, toml_value(&variable.redact(value)));
    }
    out
}

/// The settings that hold, as JSON, redacted: `{"key":{"value":…,"origin":…}}`.
pub fn effective_json(layers: &Layers) -> serde_json::Value {
    layers
        .all()
        .map(|(variable, value, origin)| {
            let shown = serde_json::json!({ "value": variable.redact(value), "origin": origin.to_string() });
            (variable.key.to_owned(), shown)
        })
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn toml_value(text: &str) -> String {
    if text.parse::<i64>().is_ok() || text.parse::<bool>().is_ok() {
        text.to_owned()
    } else {
        toml::Value::String(text.to_owned()).to_string()
    }
}

fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is always a line");
        if !line.is_empty() && line.len() + 1 + word.len() > width {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}
