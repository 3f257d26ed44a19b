//! `qgx move`

use super::args::Common;
use super::print::{Output, say, say_json, say_list};
use super::settings::load;
use super::{FOUND, runtime};
use crate::backup::relocate::{Relocated, relocate};
use crate::config::{Config, Given};
use crate::serve::banner::terminal_language;
use anyhow::Result;
use clap::Args;
use domain::Lang;
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;

/// The settings that say where the stores are.
const ADDRESSES: [&str; 3] = ["QGX_DATABASE_URL", "QGX_BROKER_URL", "QGX_SEARCH_URL"];

/// `qgx move`
#[derive(Args)]
pub struct MoveArgs {
    #[command(flatten)]
    common: Common,
    /// The new settings, with database_url, broker_url and search_url of empty engines. A store that it does not name
    /// stays where it is.
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

impl MoveArgs {
    /// The environment's own addresses are those of now: the file's are the new ones.
    fn target(&self) -> Result<Config> {
        let mut given = Given::from_process(Some(self.to.clone()), self.common.flags());
        given.env.retain(|name, _| !ADDRESSES.contains(&name.as_str()));
        Ok(Config::load(&given)?)
    }
}

/// `qgx move`
pub fn run(args: MoveArgs) -> Result<ExitCode> {
    let lang = terminal_language();
    let (from, to, output) = (load(&args.common)?, args.target()?, Output::of(args.json));
    runtime()?.block_on(async {
        let steps = |step: &str| {
            if output == Output::Text {
                say(&format!("  {step}"));
            }
        };
        let moved = relocate(&from, &to, &steps).await?;
        match output {
            Output::Json => say_json(&json!(moved)),
            Output::Text => {
                say_moved(&moved, lang);
                if moved.differences.is_empty() {
                    say_next(&args.to.display().to_string(), lang);
                }
            }
        }
        Ok(if moved.differences.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(FOUND) })
    })
}

fn say_next(to: &str, lang: Lang) {
    let next = lang.pick("다음: qgx serve --config", "next: qgx serve --config");
    say(&format!("{next} {to}"));
    say(lang.pick(
        "다른 기기에서 시작한다면 데이터 폴더의 secret-key를 QGX_SECRET_KEYS로 주세요",
        "to start on other machines, give them the data directory's secret-key as QGX_SECRET_KEYS",
    ));
}

/// What was moved, or what differs.
pub fn say_moved(moved: &Relocated, lang: Lang) {
    let mut rows = vec![json!({ "what": "events", "before": moved.events, "now": moved.events })];
    rows.extend(moved.tenants.iter().map(
        |(slug, events)| json!({ "what": format!("events of {slug}"), "before": events, "now": events }),
    ));
    let filled = moved.rows.iter().filter(|(_, (before, now))| *before > 0 || *now > 0);
    rows.extend(filled.map(
        |(table, (before, now))| json!({ "what": format!("rows of {table}"), "before": before, "now": now }),
    ));
    if moved.differences.is_empty() {
        let columns =
            [("", "what"), (lang.pick("이전", "BEFORE"), "before"), (lang.pick("현재", "NOW"), "now")];
        say_list(Output::Text, &serde_json::Value::Array(rows), &columns);
        say(&format!(
            "{} {:.1} s; {} {}, {} {}",
            lang.pick("옮겼습니다:", "moved in"),
            moved.took_secs,
            moved.records,
            lang.pick("로그 레코드", "records of the log"),
            moved.sampled,
            lang.pick("이벤트를 바이트 단위로 비교", "events compared byte for byte")
        ));
    } else {
        say(lang.pick("다른 것이 있어 옮기기를 끝내지 않았습니다:", "not finished, for these differ:"));
        moved.differences.iter().for_each(|line| say(&format!("  {line}")));
    }
}
