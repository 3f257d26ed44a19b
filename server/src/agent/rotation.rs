//! How files are named that log rotation has put aside.

use std::path::Path;

/// Ends of names of files that hold no lines.
const ARCHIVES: [&str; 8] = [".gz", ".bz2", ".xz", ".zst", ".zip", ".lz4", ".Z", ".7z"];

/// Whether a file is an archive: rotation compresses what was put aside.
pub fn is_archive(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy());
    name.is_some_and(|name| ARCHIVES.iter().any(|end| name.ends_with(end)))
}

/// Whether `aside` is a name that rotation gives to a file called `name`: `app.log.1`, `app.log-20261122`,
/// `app-2026-11-22.log`, `app.log.old`.
pub fn is_aside_of(aside: &Path, name: &Path) -> bool {
    let text = |path: &Path| path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
    let (Some(aside), Some(name)) = (text(aside), text(name)) else { return false };
    let after = aside.strip_prefix(&name).map(str::to_owned);
    let between = name.rfind('.').filter(|at| *at > 0).and_then(|at| {
        let (stem, extension) = name.split_at(at);
        let middle = aside.strip_prefix(stem)?.strip_suffix(extension)?;
        Some(middle.to_owned())
    });
    after.into_iter().chain(between).any(|more| is_count_or_date(&more))
}

fn is_count_or_date(more: &str) -> bool {
    let Some(rest) = more.strip_prefix(['.', '-', '_']) else { return false };
    matches!(rest, "old" | "prev" | "bak")
        || (rest.contains(|c: char| c.is_ascii_digit())
            && rest.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '-' | '_' | ':' | 'T')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_rotation_gives() {
        fn check(aside: &str, name: &str, expect: bool) {
            let found = is_aside_of(&Path::new("/var/log").join(aside), &Path::new("/var/log").join(name));
            assert_eq!(found, expect, "{aside} of {name}");
        }
        for aside in
            ["app.log.1", "app.log-20261122", "app.log.2026-11-22T10:00", "app-20261122.log", "app.1.log"]
        {
            check(aside, "app.log", true);
        }
        check("app.log.old", "app.log", true);
        check("messages.1", "messages", true);
        check("app.log", "app.log", false);
        check("app.log.lock", "app.log", false);
        check("app.log.swp1", "app.log", false);
        check("web-12.log", "web.log", true);
        check("web-1.log", "web-12.log", false);
        check("other.log.1", "app.log", false);
    }

    #[test]
    fn archives_are_told_by_their_names() {
        assert!(is_archive(Path::new("/var/log/app.log.2.gz")));
        assert!(!is_archive(Path::new("/var/log/app.log.2")));
    }
}
