//! What `deploy/compose` says must fit the program it starts: checked by reading, where no Docker engine is.

use crate::process::root;
use std::collections::BTreeSet;

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The compose files without their comments.
fn compose() -> String {
    let both = read("deploy/compose/compose.yaml") + &read("deploy/compose/compose.quorum.yaml");
    let lines = both.lines().filter(|line| !line.trim_start().starts_with('#'));
    lines.collect::<Vec<_>>().join("\n")
}

/// Every name with this beginning, of capitals, digits and underscores.
fn names<'a>(text: &'a str, beginning: &str) -> BTreeSet<&'a str> {
    let word = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let all = text.split(|c: char| !word(c)).filter(|name| name.starts_with(beginning));
    all.filter(|name| name.len() > beginning.len()).collect()
}

/// The variables that `${…}` asks for.
fn asked_for(text: &str) -> BTreeSet<&str> {
    let word = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    text.split("${").skip(1).filter_map(|rest| rest.split(|c: char| !word(c)).next()).collect()
}

/// The values of `NAME: value` whose name sounds secret and which stand there as they are.
fn open_secrets(text: &str) -> Vec<&str> {
    text.lines()
        .filter(|line| {
            let Some((name, value)) = line.trim().split_once(": ") else { return false };
            let secret = ["PASSWORD", "SECRET", "_KEYS", "TOKEN"].iter().any(|part| name.contains(part));
            secret && name != "MYSQL_RANDOM_ROOT_PASSWORD" && !value.starts_with("${")
        })
        .collect()
}

#[test]
fn every_setting_of_compose_is_one_of_the_program() {
    let known = read("server/src/config/variables.rs");
    let text = compose() + &read("deploy/image/Dockerfile");
    let found = names(&text, "QGX_");
    assert!(found.contains("QGX_BROKER_URL"), "no settings were found: {found:?}");
    for name in found {
        let key = name.trim_start_matches("QGX_").to_ascii_lowercase();
        assert!(known.contains(&format!("\"{key}\"")), "{name} is no setting (docs/settings.md)");
    }
}

#[test]
fn what_compose_asks_for_is_what_prepare_writes() {
    let written = read("deploy/compose/prepare.sh");
    let written: BTreeSet<_> = written
        .lines()
        .filter_map(|line| line.split_once('=').map(|(name, _)| name))
        .filter(|name| name.len() > 4 && name.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
        .collect();
    let text = compose();
    let mut asked = asked_for(&text);
    // Which files there are, Compose asks itself.
    asked.insert("COMPOSE_FILE");
    assert_eq!(asked, written);
}

#[test]
fn images_of_compose_are_pinned() {
    let text = compose() + "\n" + &read("deploy/image/Dockerfile").replace("FROM ", "image: ");
    let images = text.lines().filter_map(|line| line.trim().strip_prefix("image: "));
    let images: Vec<_> = images.filter_map(|image| image.split(' ').next()).collect();
    assert!(images.len() >= 6, "{images:?}");
    for image in images {
        let tag = image.rsplit_once(':').map_or("", |(_, tag)| tag);
        let pinned =
            tag.chars().filter(|c| *c == '.').count() >= 1 && tag.starts_with(|c: char| c.is_ascii_digit());
        assert!(pinned, "{image} has no version");
    }
}

#[test]
fn compose_carries_no_secret() {
    let text = compose();
    assert_eq!(open_secrets(&text), Vec::<&str>::new());
    // Addresses carry theirs in the middle.
    for line in text.lines().filter(|line| line.contains("://") && line.contains('@')) {
        assert!(line.contains(":${"), "{line}");
    }
    assert_eq!(
        open_secrets("  QGX_SECRET_KEYS: abc\n  QGX_OWNER_PASSWORD: ${X}"),
        ["  QGX_SECRET_KEYS: abc"]
    );
    let ignored = read("deploy/compose/.gitignore");
    assert!(ignored.lines().any(|line| line == "/.env"), ".env must not be committed");
}
