//! Conventions that a test checks rather than a review.

use crate::process::{Run, root};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Who may import whom (DESIGN section 9). A crate may use what stands here and nothing else of ours;
/// adding an edge is the rarest change.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("app", &["domain", "services", "ui"]),
    ("bench", &[]),
    ("domain", &[]),
    ("ingest", &["domain", "services", "store", "telemetry"]),
    (
        "server",
        &[
            "app",
            "domain",
            "ingest",
            "services",
            "store",
            "store-index",
            "store-kafka",
            "store-log",
            "store-opensearch",
            "store-sql",
            "telemetry",
            "ui",
        ],
    ),
    ("services", &["domain", "store", "telemetry"]),
    ("store", &["domain"]),
    ("store-index", &["domain", "store", "telemetry"]),
    ("store-kafka", &["domain", "store", "telemetry"]),
    ("store-log", &["domain", "store", "telemetry"]),
    ("store-opensearch", &["domain", "store", "telemetry"]),
    ("store-sql", &["domain", "store", "telemetry"]),
    ("telemetry", &[]),
    ("ui", &["domain"]),
    ("xtask", &[]),
];

/// What never belongs into a browser's bundle.
const SERVER_ONLY: &[&str] =
    &["argon2", "axum", "hyper", "opensearch", "rdkafka", "rustls", "sqlx", "sqlx-core", "tantivy", "tokio"];

/// What only one crate of ours may use: each store is behind its trait.
const BEHIND_A_STORE: &[(&str, &str)] = &[
    ("opensearch", "store-opensearch"),
    ("rdkafka", "store-kafka"),
    ("sqlx", "store-sql"),
    ("tantivy", "store-index"),
];

fn metadata() -> serde_json::Value {
    let text = Run::new("cargo")
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .output()
        .expect("cargo metadata runs");
    serde_json::from_str(&text).expect("cargo metadata is JSON")
}

#[test]
fn crates_import_only_what_the_map_allows() {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().expect("packages");
    let ours: BTreeSet<&str> = packages.iter().filter_map(|p| p["name"].as_str()).collect();
    let allowed: BTreeMap<&str, &[&str]> = MAY_IMPORT.iter().copied().collect();
    assert_eq!(
        ours,
        allowed.keys().copied().collect(),
        "a crate is missing from, or too many in, MAY_IMPORT"
    );
    for package in packages {
        let name = package["name"].as_str().expect("a name");
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            let used = dependency["name"].as_str().expect("a name");
            // What tests use does not ship.
            if dependency["kind"].as_str() == Some("dev") || !ours.contains(used) {
                continue;
            }
            assert!(
                allowed[name].contains(&used),
                "{name} must not import {used} (ARCHITECTURE.md, \"Who may import whom\")"
            );
        }
    }
}

#[test]
fn stores_stay_behind_their_traits() {
    for package in metadata()["packages"].as_array().expect("packages") {
        let name = package["name"].as_str().expect("a name");
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            let used = dependency["name"].as_str().expect("a name");
            for (library, owner) in BEHIND_A_STORE {
                let part =
                    used.strip_prefix(library).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
                assert!(!part || name == *owner, "{name} uses {used}, which belongs into {owner} alone");
            }
        }
    }
    // A path in the text would also reach what another crate hands on.
    for (path, text) in sources() {
        if extension(&path) != "rs" || path.ends_with("xtask/src/tidy.rs") {
            continue;
        }
        for (library, owner) in BEHIND_A_STORE {
            let inside = path.components().any(|part| part.as_os_str() == *owner);
            let named = text.lines().any(|line| names_crate(line, library));
            assert!(inside || !named, "{} names {library}, which belongs into {owner} alone", path.display());
        }
    }
}

/// Whether a line of code has a path into a crate.
fn names_crate(line: &str, library: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    code.match_indices(library).any(|(at, _)| {
        let joined =
            code[..at].chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '-');
        !joined && code[at + library.len()..].starts_with("::")
    })
}

#[test]
fn crates_are_named_by_paths() {
    let check = |line: &str, expect: bool| assert_eq!(names_crate(line, "sqlx"), expect, "{line}");
    check("use sqlx::Row;", true);
    check("fn of(row: &sqlx::any::AnyRow) {}", true);
    check("// as sqlx::Row does", false);
    check("use my_sqlx::Row;", false);
    check("\"sqlx\", \"sqlx-core\"", false);
}

#[test]
fn the_browser_s_bundle_has_nothing_of_the_server() {
    let tree = Run::new("cargo")
        .args(["tree", "--offline", "--package", "app", "--no-default-features", "--features", "hydrate"])
        .args([
            "--target",
            "wasm32-unknown-unknown",
            "--edges",
            "normal",
            "--prefix",
            "none",
            "--format",
            "{p}",
        ])
        .output()
        .expect("cargo tree runs");
    let used: BTreeSet<&str> = tree.lines().filter_map(|line| line.split_whitespace().next()).collect();
    for krate in SERVER_ONLY {
        assert!(!used.contains(krate), "the client bundle of app pulls in {krate}");
    }
    assert!(used.contains("leptos"), "cargo tree showed the app's dependencies");
}

/// Files that git tracks and people read, with their text.
fn sources() -> Vec<(PathBuf, String)> {
    let listed = Run::new("git").args(["ls-files"]).output().expect("git ls-files runs");
    listed
        .lines()
        .map(|name| root().join(name))
        .filter(|path| path.is_file())
        .filter_map(|path| std::fs::read_to_string(&path).ok().map(|text| (path, text)))
        .collect()
}

fn extension(path: &Path) -> &str {
    path.extension().and_then(|e| e.to_str()).unwrap_or_default()
}

#[test]
fn rooms_have_names() {
    for (path, _) in sources() {
        let stem = path.file_stem().and_then(|s| s.to_str()).unwrap_or_default();
        assert!(
            !["utils", "util", "helpers", "helper", "common", "manager", "misc"].contains(&stem),
            "{} does not say what it holds",
            path.display()
        );
    }
}

#[test]
fn files_hold_one_concept() {
    /// Lines beyond which a file surely holds a second concept.
    const MOST: usize = 900;
    for (path, text) in sources() {
        if ["rs", "css", "mjs"].contains(&extension(&path)) {
            let lines = text.lines().count();
            assert!(lines <= MOST, "{} has {lines} lines: split it by concept", path.display());
        }
    }
}

#[test]
fn no_loose_ends() {
    for (path, text) in sources() {
        if extension(&path) != "rs" || path.ends_with("xtask/src/tidy.rs") {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            for word in ["todo!(", "unimplemented!(", "dbg!(", "FIXME"] {
                assert!(!line.contains(word), "{}:{}: {word}", path.display(), number + 1);
            }
        }
    }
}
