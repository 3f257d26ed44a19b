//! `qgx backup` and `qgx restore`.

use super::args::Common;
use super::move_to::say_moved;
use super::print::{Output, say, say_json, say_list};
use super::settings::load;
use super::{FOUND, runtime};
use crate::backup::create::{Made, create};
use crate::backup::manifest::Manifest;
use crate::backup::place::Place;
use crate::backup::repository::{Absent, Repository};
use crate::backup::restore::{self, Restored};
use crate::backup::upkeep::{self, Keep};
use crate::backup::{Counts, Folder, Key, S3};
use crate::serve::banner::terminal_language;
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use domain::{Lang, Timestamp};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// A key of the environment; never a flag, which others on the machine could read.
const KEY: &str = "QGX_BACKUP_KEY";

/// Where backups are, and what opens them.
#[derive(Args, Clone)]
pub struct SealArgs {
    /// The file that holds the backup key, a passphrase of at least 12 characters; else QGX_BACKUP_KEY. Without it no
    /// encrypted backup can ever be read again: keep it elsewhere.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Without a key: everybody who can read the backups reads everything. The installation's own secret key is then
    /// left out.
    #[arg(long, conflicts_with = "key_file")]
    unencrypted: bool,
}

impl SealArgs {
    fn key(&self) -> Result<Option<Key>> {
        if self.unencrypted {
            return Ok(None);
        }
        if let Some(file) = &self.key_file {
            return Key::from_file(file).map(Some);
        }
        match std::env::var(KEY).ok().filter(|key| !key.is_empty()) {
            Some(key) => Key::new(&key).map(Some),
            None => bail!(
                "backups are encrypted: give a key by {KEY} or --key-file FILE (make one by: openssl rand -base64 32), \
                 or say --unencrypted"
            ),
        }
    }
}

/// A repository of backups.
#[derive(Args, Clone)]
pub struct FromArgs {
    /// Where the backups are: a folder, or s3://BUCKET/PREFIX.
    #[arg(long, value_name = "DIR|s3://BUCKET/PREFIX")]
    from: String,
    #[command(flatten)]
    seal: SealArgs,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// `qgx backup`
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct BackupArgs {
    #[command(subcommand)]
    action: Option<BackupAction>,
    #[command(flatten)]
    create: Option<CreateArgs>,
}

/// `qgx backup --to …`
#[derive(Args)]
pub struct CreateArgs {
    #[command(flatten)]
    common: Common,
    /// Where to: a folder, or s3://BUCKET/PREFIX.
    #[arg(long, value_name = "DIR|s3://BUCKET/PREFIX")]
    to: String,
    #[command(flatten)]
    seal: SealArgs,
    /// Afterwards, remove all but the newest N backups.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    keep: Option<u32>,
    /// Afterwards, remove the backups older than this; the newest always stays.
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..))]
    keep_days: Option<u32>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// `qgx backup …`
#[derive(Subcommand)]
pub enum BackupAction {
    /// List the finished backups, oldest first.
    List(FromArgs),
    /// Read a whole backup and compare every file with its SHA-256.
    Verify {
        #[command(flatten)]
        from: FromArgs,
        /// Which one, or the beginning of its id; not given: the newest.
        #[arg(long, value_name = "ID")]
        at: Option<String>,
    },
    /// Remove old backups, and what no backup needs any more.
    Prune {
        #[command(flatten)]
        from: FromArgs,
        /// Keep the newest N.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        keep: Option<u32>,
        /// Keep those of the last so many days; the newest always stays.
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..))]
        keep_days: Option<u32>,
    },
}

/// `qgx restore`
#[derive(Args)]
pub struct RestoreArgs {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    from: FromArgs,
    /// Which backup, or the beginning of its id; not given: the newest.
    #[arg(long, value_name = "ID")]
    at: Option<String>,
}

/// The place that an argument names.
fn place(text: &str) -> Result<Arc<dyn Place>> {
    match text.split_once("://") {
        None => Ok(Arc::new(Folder::new(Path::new(text)))),
        Some(("s3", _)) => Ok(Arc::new(S3::new(text, |name| std::env::var(name).ok())?)),
        Some(_) => bail!("{text:?} is no place for backups; give a folder or s3://BUCKET/PREFIX"),
    }
}

async fn open(from: &FromArgs) -> Result<Repository> {
    Repository::open(place(&from.from)?, from.seal.key()?.as_ref(), Absent::Refuse).await
}

/// A bar on standard error, where that is a terminal.
fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes}  {bytes_per_sec}  {eta}");
    let bar = ProgressBar::new(0);
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar
}

fn moves(bar: &ProgressBar) -> impl Fn(u64, u64) + Send + Sync {
    let bar = bar.clone();
    move |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    }
}

fn keep_rule(keep: Option<u32>, days: Option<u32>) -> Keep {
    Keep { newest: keep.map(|keep| usize::try_from(keep).unwrap_or(usize::MAX)), days }
}

/// `qgx backup`
pub fn run(args: Box<BackupArgs>) -> Result<ExitCode> {
    let lang = terminal_language();
    runtime()?.block_on(async {
        match (args.action, args.create) {
            (Some(BackupAction::List(from)), _) => list(&from).await.map(|()| ExitCode::SUCCESS),
            (Some(BackupAction::Verify { from, at }), _) => verify(&from, at.as_deref(), lang).await,
            (Some(BackupAction::Prune { from, keep, keep_days }), _) => {
                let repository = open(&from).await?;
                prune(&repository, keep_rule(keep, keep_days), Output::of(from.json), lang).await?;
                Ok(ExitCode::SUCCESS)
            }
            (None, Some(create)) => make(create, lang).await.map(|()| ExitCode::SUCCESS),
            (None, None) => bail!("say where to back up to: --to DIR, or s3://BUCKET/PREFIX"),
        }
    })
}

async fn make(args: CreateArgs, lang: Lang) -> Result<()> {
    let config = load(&args.common)?;
    let key = args.seal.key()?;
    let repository = Repository::open(place(&args.to)?, key.as_ref(), Absent::Make).await?;
    let bar = bar();
    let made = create(&config, &repository, lang, &moves(&bar)).await?;
    bar.finish_and_clear();
    match Output::of(args.json) {
        Output::Json => say_json(&json!(made)),
        Output::Text => say_made(&made, &repository, lang),
    }
    if args.keep.is_some() || args.keep_days.is_some() {
        let rule = keep_rule(args.keep, args.keep_days);
        let pruned = upkeep::prune(&repository, rule, Timestamp::now()).await?;
        if !args.json {
            let text = lang.pick("개의 오래된 백업을 지웠습니다", "old backups removed");
            say(&format!("{} {text}", pruned.removed.len()));
        }
    }
    Ok(())
}

fn say_made(made: &Made, repository: &Repository, lang: Lang) {
    say(&format!("{} {} ({})", lang.pick("백업했습니다:", "backed up:"), made.id, repository.shown()));
    say(&format!(
        "  {} {}: {}",
        lang.pick("시점", "as of"),
        made.point,
        lang.pick(
            "이전에 확인(ACK)된 모든 이벤트가 들어 있습니다",
            "every event acknowledged before it is in it"
        )
    ));
    say(&format!(
        "  {} MiB, {} {} MiB; {:.1} s ({} {:.2} s)",
        made.bytes >> 20,
        lang.pick("새로 저장", "new"),
        made.new_bytes.div_ceil(1 << 20),
        made.took_secs,
        lang.pick("저장소 고정", "stores held for"),
        made.held_secs
    ));
    if let Some(seconds) = made.since_previous_secs {
        let text = lang.pick("직전 백업과의 간격 (RPO)", "since the backup before (RPO)");
        say(&format!("  {text}: {seconds:.0} s"));
    }
    if !made.with_secret_key {
        say(&format!(
            "  {}",
            lang.pick(
                "설치본의 비밀 키는 들어 있지 않습니다: secret-key 파일이나 QGX_SECRET_KEYS를 따로 보관하세요",
                "the installation's secret key is not in it: keep the file secret-key, or QGX_SECRET_KEYS, elsewhere"
            )
        ));
    }
    say_counts(&made.counts, &made.counts, lang);
}

/// A table of counts, as they were and as they are.
fn say_counts(before: &Counts, now: &Counts, lang: Lang) {
    let now: std::collections::BTreeMap<_, _> = now.listed().into_iter().collect();
    let rows = before.listed().into_iter().filter(|(_, count)| *count > 0).map(|(what, count)| {
        let found = now.get(&what).copied();
        json!({ "what": what, "backup": count, "now": found, "same": if found == Some(count) { "=" } else { "≠" } })
    });
    let rows = serde_json::Value::Array(rows.collect());
    let columns = [
        ("", "what"),
        (lang.pick("백업", "BACKUP"), "backup"),
        (lang.pick("현재", "NOW"), "now"),
        ("", "same"),
    ];
    say_list(Output::Text, &rows, &columns);
}

fn row(manifest: &Manifest) -> serde_json::Value {
    json!({
        "id": manifest.id,
        "point": manifest.point,
        "finished_at": manifest.finished_at,
        "bytes": manifest.bytes(),
        "events": manifest.counts.events,
        "version": manifest.version,
        "schema": manifest.schema,
    })
}

async fn list(from: &FromArgs) -> Result<()> {
    let found = upkeep::list(&open(from).await?).await?;
    let columns =
        [("ID", "id"), ("AS OF", "point"), ("EVENTS", "events"), ("BYTES", "bytes"), ("VERSION", "version")];
    say_list(Output::of(from.json), &found.iter().map(row).collect(), &columns);
    Ok(())
}

async fn verify(from: &FromArgs, at: Option<&str>, lang: Lang) -> Result<ExitCode> {
    let repository = open(from).await?;
    let manifest = restore::chosen(&repository, at).await?;
    let bar = bar();
    let wrong = upkeep::verify(&repository, &manifest, &moves(&bar)).await?;
    bar.finish_and_clear();
    match Output::of(from.json) {
        Output::Json => say_json(&json!({ "id": manifest.id, "wrong": wrong })),
        Output::Text if wrong.is_empty() => {
            let text = lang.pick("온전합니다", "is whole");
            say(&format!("{} {text} ({} MiB)", manifest.id, manifest.bytes() >> 20));
        }
        Output::Text => {
            say(&format!("{} {}", manifest.id, lang.pick("손상되었습니다", "is damaged")));
            wrong.iter().for_each(|line| say(&format!("  {line}")));
        }
    }
    Ok(if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(FOUND) })
}

async fn prune(repository: &Repository, keep: Keep, output: Output, lang: Lang) -> Result<()> {
    let pruned = upkeep::prune(repository, keep, Timestamp::now()).await?;
    match output {
        Output::Json => say_json(&json!(pruned)),
        Output::Text => {
            for (word, ids) in
                [(lang.pick("유지", "kept"), &pruned.kept), (lang.pick("삭제", "removed"), &pruned.removed)]
            {
                ids.iter().for_each(|id| say(&format!("{word} {id}")));
            }
        }
    }
    Ok(())
}

/// `qgx restore`
pub fn restore(args: RestoreArgs) -> Result<ExitCode> {
    let lang = terminal_language();
    runtime()?.block_on(async {
        let config = load(&args.common)?;
        let repository = open(&args.from).await?;
        let manifest = restore::chosen(&repository, args.at.as_deref()).await?;
        let bar = bar();
        let progress = moves(&bar);
        let failed = || format!("backup {} was not restored", manifest.id);
        let engines = [config.database.is_some(), config.kafka.is_some(), config.search.is_some()];
        if engines.contains(&true) && engines.contains(&false) {
            bail!(lang.pick(
                "복원은 세 저장소가 모두 내장이거나 모두 엔진일 때 합니다: QGX_DATABASE_URL, QGX_BROKER_URL, QGX_SEARCH_URL을 모두 설정하거나 모두 비우세요",
                "a restore goes to embedded stores alone or to engines alone: set all of QGX_DATABASE_URL, QGX_BROKER_URL and QGX_SEARCH_URL, or none",
            ));
        }
        if !config.is_embedded() {
            let engines = restore::into_engines(&repository, &manifest, &config, &progress);
            let moved = engines.await.with_context(failed)?;
            bar.finish_and_clear();
            match Output::of(args.from.json) {
                Output::Json => say_json(&json!({ "restored": manifest.id, "moved": moved })),
                Output::Text => say_moved(&moved, lang),
            }
            return Ok(if moved.differences.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(FOUND) });
        }
        let restored = restore::restore(&repository, &manifest, &config.data_dir, &progress);
        let restored = restored.await.with_context(failed)?;
        bar.finish_and_clear();
        let differences = restored.differences();
        match Output::of(args.from.json) {
            Output::Json => say_json(&json!({
                "restored": restored,
                "differences": differences.iter().map(|it| &it.what).collect::<Vec<_>>(),
            })),
            Output::Text => say_restored(&restored, &config.data_dir, lang),
        }
        Ok(if differences.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(FOUND) })
    })
}

fn say_restored(restored: &Restored, data_dir: &Path, lang: Lang) {
    say(&format!(
        "{} {} → {}: {} MiB, {:.1} s (RTO)",
        lang.pick("복원했습니다:", "restored:"),
        restored.id,
        data_dir.display(),
        restored.bytes >> 20,
        restored.took_secs
    ));
    say_counts(&restored.before, &restored.now, lang);
    let same = restored.differences().is_empty();
    say(match same {
        true => lang.pick("모든 수가 백업과 같습니다", "every count is as it was in the backup"),
        false => lang.pick("백업과 다른 수가 있습니다 (≠)", "counts differ from the backup (≠)"),
    });
    if !restored.with_secret_key {
        say(lang.pick(
            "비밀 키는 백업에 없었습니다: 원래의 secret-key 파일을 데이터 폴더에 두거나 QGX_SECRET_KEYS를 주세요",
            "the secret key was not in the backup: put the original file secret-key into the data directory, or give \
             QGX_SECRET_KEYS",
        ));
    }
}
