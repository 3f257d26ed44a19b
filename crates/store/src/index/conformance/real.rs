//! Real text, where the environment says where it lies: `QGX_REAL_DATA` names a directory with
//! `korean/reviews.ndjson` (a `message` a line) and `logs/OpenSSH.log`. Words are found as often as a plain scan
//! finds them.

use super::corpus::{entry, plain, tenant};
use super::{Fixture, patient, write};
use crate::index::EventIndex;
use domain::TimeRange;
use domain::query::Query;
use std::collections::HashMap;
use std::path::Path;

const SYLLABLES: &[&str] = &[
    "ㅋㅋ",
    "ㅋ",
    "ㅠㅠ",
    "ㅠ",
    "영화",
    "재미",
    "재밌",
    "최고",
    "감동",
    "시간",
    "3시간",
    "배우",
    "연기",
    "쓰레기",
    "평점",
    "지루",
    "의",
    "다",
    "스토리",
    "ㅎㅎ",
    "전체관람가는",
];
const WORDS: &[&str] = &[
    "Failed",
    "password",
    "root",
    "sshd",
    "Invalid",
    "user",
    "preauth",
    "from",
    "ssh2",
    "LabSZ",
    "port",
    "closed",
    "webmaster",
    "173",
    "POSSIBLE",
    "BREAK",
    "check",
    "pass",
    "unknown",
    "Dec",
];

pub(super) async fn counts_equal_a_plain_scan(fixture: &dyn Fixture) {
    let Some(data) = crate::testing::wanted("QGX_REAL_DATA", "a folder of real logs and Korean text") else {
        return;
    };
    let data = Path::new(&data);
    let reviews = std::fs::read_to_string(data.join("korean/reviews.ndjson")).expect("the reviews");
    let message = |line: &str| {
        let review: serde_json::Value = serde_json::from_str(line).expect("JSON");
        review["message"].as_str().unwrap_or_default().to_owned()
    };
    let reviews = reviews.lines().map(message).collect::<Vec<_>>();
    let log = std::fs::read(data.join("logs/OpenSSH.log")).expect("the log");
    let log = String::from_utf8_lossy(&log).lines().map(str::to_owned).collect::<Vec<_>>();

    let index = fixture.open().await;
    let mut offsets = HashMap::new();
    // Ids are made of the numbers: no two events have one.
    for (source, lines, first) in [("reviews", &reviews, 0), ("sshd", &log, reviews.len() as u64)] {
        let batch = lines
            .iter()
            .zip(first..)
            .map(|(line, number)| entry(&plain("t_first", source, number, line), "30d", &mut offsets));
        write(&*index, batch.collect()).await;
    }
    for word in SYLLABLES {
        // Case and width aside, a run of syllables is found wherever it stands.
        let folded = domain::text::fold(word);
        let expect = reviews.iter().filter(|line| domain::text::fold(line).contains(&folded)).count();
        check(&*index, "reviews", word, expect).await;
    }
    for word in WORDS {
        let expect = log.iter().filter(|line| has_word(line, word)).count();
        check(&*index, "sshd", word, expect).await;
    }
    index.close().await.expect("closes");
}

async fn check(index: &dyn EventIndex, source: &str, word: &str, expect: usize) {
    let query = Query::parse(&format!("{word} source:{source}")).expect("a query");
    let count = index.count(&tenant(0), query, TimeRange::ALL, patient()).await.expect("counts");
    assert_eq!(count, expect as u64, "{word} in {source}");
}

/// As `grep -iw` finds it.
fn has_word(line: &str, word: &str) -> bool {
    let part = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
    let (line, word) = (line.to_ascii_lowercase(), word.to_ascii_lowercase());
    line.match_indices(&word).any(|(at, _)| {
        let before = at.checked_sub(1).and_then(|i| line.as_bytes().get(i));
        let after = line.as_bytes().get(at + word.len());
        !before.is_some_and(part) && !after.is_some_and(part)
    })
}
