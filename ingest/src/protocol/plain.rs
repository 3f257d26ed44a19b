//! Plain lines: the whole line is the message; what its beginning is known to say becomes fields beside it.
//!
//! Nothing is cut from the line, so that it is found by every word that stands in it.

use crate::record::stamp::{self, StampForm};
use crate::record::{Draft, RecordError};
use domain::Level;

/// Reads one line.
///
/// # Errors
/// Where it breaks a limit.
pub fn read(draft: &mut Draft, line: &str) -> Result<(), RecordError> {
    let line = line.strip_prefix('\u{feff}').unwrap_or(line);
    draft.message(line)?;
    let now = draft.now();
    let Some((moment, end, form)) = stamp::of_line(line.as_bytes(), draft.zone(), now) else { return Ok(()) };
    // Stamps are ASCII, so that the cut is between characters.
    let (head, rest) = line.split_at_checked(end).unwrap_or((line, ""));
    let head = if form == StampForm::Access { "" } else { head };
    draft.ts(moment, head.trim_matches(['[', ']']))?;
    match form {
        StampForm::Syslog => header(draft, rest, Strictness::Tag),
        StampForm::Iso | StampForm::Bracketed | StampForm::Short => match level(rest) {
            Some(level) => {
                draft.level(level);
                Ok(())
            }
            None if form == StampForm::Iso => header(draft, rest, Strictness::Pid),
            None => Ok(()),
        },
        StampForm::Access => Ok(()),
    }
}

/// How sure it must be that a host and a program follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Strictness {
    /// After an RFC 3164 stamp they do, if a tag ends in a colon.
    Tag,
    /// After ISO 8601 (rsyslog's file format) only with a process id, or as the kernel.
    Pid,
}

/// `host program[pid]:` after the stamp.
fn header(draft: &mut Draft, rest: &str, strictness: Strictness) -> Result<(), RecordError> {
    let mut words = rest.split_ascii_whitespace();
    let (Some(host), Some(tag)) = (words.next(), words.next()) else { return Ok(()) };
    let Some(tag) = tag.strip_suffix(':') else { return Ok(()) };
    let (app, pid) = split_tag(tag);
    if strictness == Strictness::Pid && pid.is_none() && app != "kernel" {
        return Ok(());
    }
    draft.host(host)?;
    draft.text("app", app)?;
    pid.map_or(Ok(()), |pid| draft.text("pid", pid))
}

/// `sshd[24200]` into program and process id.
pub(super) fn split_tag(tag: &str) -> (&str, Option<&str>) {
    tag.strip_suffix(']')
        .and_then(|tag| tag.rsplit_once('['))
        .filter(|(app, pid)| !app.is_empty() && !pid.is_empty() && pid.bytes().all(|b| b.is_ascii_digit()))
        .map_or((tag, None), |(app, pid)| (app, Some(pid)))
}

/// The level that follows a stamp: `INFO`, `- INFO`, `148 INFO`, `[thread] INFO`, `[notice]`, `[core:error]`,
/// `, Info`, `ERROR:`. Other words are not taken for one.
fn level(rest: &str) -> Option<Level> {
    const LOOKED_AT: usize = 4;
    let comma = rest.starts_with(',');
    for word in rest.trim_start_matches(',').split_ascii_whitespace().take(LOOKED_AT) {
        if let Some(inner) = word.strip_prefix('[') {
            let inner = inner.strip_suffix(']').or_else(|| inner.strip_suffix("]:"))?;
            match Level::parse(inner.rsplit(':').next().unwrap_or(inner)) {
                Some(level) => return Some(level),
                None => continue,
            }
        }
        if word == "-" || word == "|" || word.bytes().all(|b| b.is_ascii_digit()) {
            continue;
        }
        let bare = word.trim_end_matches([':', ',']);
        let plain =
            bare.len() >= 3 && (bare.bytes().all(|b| b.is_ascii_uppercase()) || comma || bare != word);
        return if plain { Level::parse(bare) } else { None };
    }
    None
}

#[cfg(test)]
mod tests {
    use crate::protocol::Protocol;
    use crate::record::writer::testing::check;

    #[test]
    fn lines_keep_every_word_and_say_more() {
        check(
            Protocol::Lines,
            "Dec 10 06:55:46 LabSZ sshd[24200]: Invalid user webmaster",
            r#"{"source":"LabSZ","ts":"2025-12-09T21:55:46.000000000Z","kind":"log",
                "message":"Dec 10 06:55:46 LabSZ sshd[24200]: Invalid user webmaster",
                "s":{"app":"sshd","pid":"24200"}}"#,
        );
        check(
            Protocol::Lines,
            "[Sun Dec 04 04:47:44 2005] [error] mod_jk child",
            r#"{"ts":"2005-12-03T19:47:44.000000000Z","kind":"log","level":"error",
                "message":"[Sun Dec 04 04:47:44 2005] [error] mod_jk child"}"#,
        );
        check(
            Protocol::Lines,
            "2015-07-29 17:41:44,747 - INFO  [QuorumPeer:A@774] - x\r",
            r#"{"ts":"2015-07-29T08:41:44.747000000Z","kind":"log","level":"info",
                "message":"2015-07-29 17:41:44,747 - INFO  [QuorumPeer:A@774] - x"}"#,
        );
        check(
            Protocol::Lines,
            "2016-09-28 04:30:30, Info                  CBS    Loaded",
            r#"{"ts":"2016-09-27T19:30:30.000000000Z","kind":"log","level":"info",
                "message":"2016-09-28 04:30:30, Info                  CBS    Loaded"}"#,
        );
        check(
            Protocol::Lines,
            "081109 203615 148 WARN dfs.DataNode: x",
            r#"{"ts":"2008-11-09T11:36:15.000000000Z","kind":"log","level":"warn",
                "message":"081109 203615 148 WARN dfs.DataNode: x"}"#,
        );
        check(
            Protocol::Lines,
            "2024-01-02T03:04:05+09:00 web-1 nginx[7]: up",
            r#"{"source":"web-1","ts":"2024-01-01T18:04:05.000000000Z","kind":"log",
                "message":"2024-01-02T03:04:05+09:00 web-1 nginx[7]: up","s":{"app":"nginx","pid":"7"}}"#,
        );
        check(
            Protocol::Lines,
            "2024-01-02T03:04:05Z Alert sent: twice",
            r#"{"ts":"2024-01-02T03:04:05.000000000Z","kind":"log","message":"2024-01-02T03:04:05Z Alert sent: twice"}"#,
        );
        check(Protocol::Lines, "ㅋㅋ 배송 GPU온도", r#"{"kind":"log","message":"ㅋㅋ 배송 GPU온도"}"#);
        check(
            Protocol::Lines,
            "1900-01-01 00:00:00 old",
            r#"{"kind":"log","message":"1900-01-01 00:00:00 old","s":{"ts_given":"1900-01-01 00:00:00"}}"#,
        );
        check(Protocol::Lines, "a\0b", r#"{"kind":"log","message":"a\u0000b"}"#);
    }
}
