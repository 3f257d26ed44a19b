//! The product's tokeniser (`domain::text`), said in OpenSearch's core analyser components.
//!
//! | what the tokeniser does | what stands for it |
//! |---|---|
//! | folds width, and case where Lucene's `lowercase` differs | `mapping` character filter `qgx_fold` |
//! | folds the other cases | `lowercase` |
//! | words, cut at 255 bytes; syllables one by one, each with its right neighbour in sight | `pattern` tokenizer |
//! | passes over marks between syllables | `pattern_replace` `qgx_unmark` |
//! | a syllable alone and in a pair, at one position | `pattern_capture` `qgx_single` |
//!
//! Events are analysed by `qgx`, phrases by `qgx_phrase`, which leaves out the lone syllable where there is a pair: a
//! phrase must have its pairs. Whole values are folded, as one term, by `qgx_exact`.
//!
//! Text comes in NFC, as ingestion stores it. What is left out, because it would cost every index some hundred entries:
//! a full-width Latin letter with a combining mark of its own does not compose; a word of more than 255 bytes that mixes
//! characters of different lengths in UTF-8 is cut elsewhere; letters beyond the basic plane that are newer than the
//! server's Java separate words.

use domain::text::{fold, nfc, tokenize};
use serde_json::{Value, json};
use std::fmt::Write;
use std::ops::RangeInclusive;
use std::sync::OnceLock;

/// Of a longer value, in UTF-16 units, the start stands for the whole: a term has 32,766 bytes at most, and a unit takes
/// up to three.
pub(crate) const WHOLE_VALUE: usize = 8_191;

/// As much of a value as its term has.
pub(crate) fn whole_value(value: &str) -> &str {
    let mut units = 0;
    let end = value.char_indices().find(|(_, c)| {
        units += c.len_utf16();
        units > WHOLE_VALUE
    });
    &value[..end.map_or(value.len(), |(at, _)| at)]
}

/// The analysis settings of every index.
pub(crate) fn settings() -> &'static Value {
    static SETTINGS: OnceLock<Value> = OnceLock::new();
    SETTINGS.get_or_init(build)
}

fn build() -> Value {
    let classes = Classes::new();
    let Classes { syllables, marks, .. } = &classes;
    json!({
        "char_filter": { "qgx_fold": { "type": "mapping", "mappings": fold_entries() } },
        "tokenizer": {
            "qgx": { "type": "pattern", "pattern": classes.token(), "group": 1 },
            "qgx_first": { "type": "edge_ngram", "min_gram": 1, "max_gram": 1 },
        },
        "filter": {
            "qgx_whole": { "type": "truncate", "length": WHOLE_VALUE },
            "qgx_unmark": {
                "type": "pattern_replace",
                "pattern": format!("^([{syllables}]){marks}+"),
                "replacement": "$1",
                "all": false,
            },
            "qgx_single": {
                "type": "pattern_capture",
                "preserve_original": true,
                "patterns": [format!("^([{syllables}])[{syllables}]$")],
            },
        },
        "analyzer": {
            "qgx": {
                "type": "custom",
                "char_filter": ["qgx_fold"],
                "tokenizer": "qgx",
                "filter": ["qgx_unmark", "lowercase", "qgx_single"],
            },
            "qgx_phrase": {
                "type": "custom",
                "char_filter": ["qgx_fold"],
                "tokenizer": "qgx",
                "filter": ["qgx_unmark", "lowercase"],
            },
            "qgx_exact": {
                "type": "custom",
                "char_filter": ["qgx_fold"],
                "tokenizer": "keyword",
                "filter": ["lowercase", "qgx_whole"],
            },
            "qgx_pair": { "type": "custom", "tokenizer": "keyword", "filter": ["qgx_whole"] },
            "qgx_there": { "type": "custom", "tokenizer": "qgx_first" },
        },
    })
}

/// The last character that folding changes lies below.
const FOLDED: RangeInclusive<char> = '\u{80}'..='\u{1ffff}';

/// Letters that got their case after Unicode 10, which the oldest Java that OpenSearch 2 runs on knows.
fn newer_than_java(c: char) -> bool {
    matches!(c,
        '\u{1c89}'..='\u{1c8a}' | '\u{1c90}'..='\u{1cbf}' | '\u{2c2f}' | '\u{a7b8}'..='\u{a7f5}'
        | '\u{10570}'..='\u{10595}' | '\u{10d50}'..='\u{10d65}' | '\u{16e40}'..='\u{16e5f}'
        | '\u{16ea0}'..='\u{16eb8}')
}

/// What the table of width and case changes and Lucene's `lowercase` does not, one `from=>to` an entry.
fn fold_entries() -> Vec<String> {
    let mut text = [0; 4];
    FOLDED
        .filter_map(|c| {
            let own = &*c.encode_utf8(&mut text);
            // Stored text is in NFC: what changes there never comes.
            let folded = (nfc(own) == own).then(|| fold(own)).filter(|folded| folded != own)?;
            let by_lucene = !newer_than_java(c) && c.to_lowercase().eq(folded.chars());
            (!by_lucene).then(|| format!("{}=>{}", escaped(own), escaped(&folded)))
        })
        .collect()
}

/// UTF-16 escapes, as the rules of the character filter take them.
fn escaped(text: &str) -> String {
    text.encode_utf16().fold(String::new(), |mut out, unit| {
        // Writing to a string cannot fail.
        let _ = write!(out, "\\u{unit:04X}");
        out
    })
}

/// Letters and digits of the basic plane that Java 17, which comes with OpenSearch 2, does not take for such: they are
/// newer than Unicode 13, or became letters later.
const NEW_LETTERS: &str = concat!(
    r"\x{363}-\x{36F}\x{870}-\x{887}\x{889}-\x{88F}\x{897}\x{8B5}\x{8C8}\x{8C9}\x{C04}\x{C5C}\x{C5D}\x{CDC}\x{CDD}",
    r"\x{CF3}\x{F82}\x{F83}\x{170D}\x{171F}\x{1ACC}-\x{1ACE}\x{1B4C}\x{1C89}\x{1C8A}\x{1DD3}-\x{1DE6}\x{2C2F}",
    r"\x{2C5F}\x{9FFD}-\x{9FFF}\x{A7C0}\x{A7C1}\x{A7CB}-\x{A7DC}\x{A7F1}-\x{A7F4}",
);

/// Classes of characters as parts of Java's regular expressions.
struct Classes {
    /// Ranges, without brackets: Hangul, Han and kana.
    syllables: String,
    /// A class: combining marks that are no letters.
    marks: String,
    /// A class: letters and digits that are no syllables.
    letters: String,
    /// A class: letters, digits and `_`.
    starts: String,
    /// A class: what a word may go on with.
    goes_on: String,
}

impl Classes {
    fn new() -> Self {
        let (mut syllables, mut marks) = (Ranges::default(), Ranges::default());
        for c in ('\u{300}'..=char::MAX).filter(|c| c.is_alphanumeric() || is_near_letters(*c)) {
            match kind(c) {
                Kind::Syllable => syllables.add(c),
                Kind::Mark => marks.add(c),
                Kind::Other => {}
            }
        }
        let (syllables, marks) = (syllables.written(), marks.written());
        // ASCII stands first and rare ranges last, behind a bound: most characters are known by the first look.
        let letter = format!(r"0-9A-Za-z\p{{IsAlphabetic}}\p{{N}}[\x{{363}}-\x{{A7F4}}&&[{NEW_LETTERS}]]");
        Self {
            marks: format!(r"[\x{{300}}-\x{{10FFFF}}&&[{marks}]]"),
            letters: format!("[{letter}&&[^{syllables}]]"),
            starts: format!("[_{letter}&&[^{syllables}]]"),
            goes_on: format!(r"[_{letter}[\x{{300}}-\x{{10FFFF}}&&[{marks}]]&&[^{syllables}]]"),
            syllables,
        }
    }

    /// One token, as group 1; what has no group separates or is passed over.
    fn token(&self) -> String {
        let Self { syllables, marks, letters, starts, goes_on } = self;
        const ASCII: &str = "[0-9A-Za-z_]";
        // A word, or the longest piece of it that has at most 255 bytes. Mixed lengths are cut by characters.
        let word = [
            format!(r"{ASCII}{{1,255}}+(?![^\x00-\x7F])"),
            format!("{ASCII}{{255}}"),
            format!("{ASCII}{{1,254}}+(?!{goes_on})"),
            format!("{starts}{goes_on}{{0,84}}+(?!{goes_on})"),
            format!(r"[{goes_on}&&[\x{{80}}-\x{{7FF}}]]{{127}}"),
            format!(r"[{goes_on}&&[\x{{800}}-\x{{FFFF}}]]{{85}}"),
            format!("{starts}{goes_on}{{0,84}}"),
        ]
        .join("|");
        // Most words of machines are ASCII: tried first, they make the whole twice as fast.
        let plain = format!(r"[0-9A-Za-z]{ASCII}{{0,254}}+(?![^\x00-\x7F])");
        // A syllable is taken with the one after it, but only the first is used up.
        let syllable = format!("[{syllables}]{marks}*+[{syllables}]?");
        let separators = r"[\x00-/:-@\[-\^`{-\x7F]++";
        // `_` alone is no word and has no position, and so is a piece of nothing else.
        let lines = format!("_[_{marks}]*+(?!{letters})|_{{255}}");
        format!(r"{separators}|{lines}|(?=({plain}|{syllable}|{word}))(?:[{syllables}]|\1)")
    }
}

/// Whether a character that is neither letter nor digit may be a syllable or a mark: spares asking all of them.
fn is_near_letters(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{1fff}' | '\u{20d0}'..='\u{20ff}' | '\u{2c00}'..='\u{abff}' | '\u{d7b0}'..='\u{d7ff}'
        | '\u{f900}'..='\u{fe2f}' | '\u{10000}'..='\u{1ffff}' | '\u{20000}'..='\u{323af}')
}

/// What the tokeniser takes a character for.
enum Kind {
    Syllable,
    Mark,
    Other,
}

/// Asked of the tokeniser itself, so that there is one truth.
fn kind(c: char) -> Kind {
    let count = |text: &str| {
        let mut count = 0;
        tokenize(text, |_| count += 1);
        count
    };
    // Two of a kind beside each other: syllables make a pair with each other, a mark goes on with the word before it.
    if count(&format!("{c}{c}")) == 3 {
        Kind::Syllable
    } else if c != '_' && count(&c.to_string()) == 0 && count(&format!("a{c}b")) == 1 {
        Kind::Mark
    } else {
        Kind::Other
    }
}

/// Ranges of characters, gathered in order.
#[derive(Default)]
struct Ranges(Vec<(char, char)>);

impl Ranges {
    fn add(&mut self, c: char) {
        match self.0.last_mut() {
            Some((_, last)) if u32::from(*last) + 1 == u32::from(c) => *last = c,
            _ => self.0.push((c, c)),
        }
    }

    fn written(&self) -> String {
        self.0.iter().fold(String::new(), |mut out, (first, last)| {
            // Writing to a string cannot fail.
            let _ = write!(out, r"\x{{{:X}}}", u32::from(*first));
            if first != last {
                let _ = write!(out, r"-\x{{{:X}}}", u32::from(*last));
            }
            out
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_stay_small() {
        // Every index carries them in the state of the cluster.
        let entries = fold_entries();
        assert!(entries.len() < 700, "{} entries", entries.len());
        assert!(settings().to_string().len() < 48_000, "{} bytes", settings().to_string().len());
    }

    #[test]
    fn entries_are_escaped() {
        let entries = fold_entries();
        for (from, to) in [("Ａ", "a"), ("　", " "), ("＼", "\\"), ("ς", "σ"), ("ﾃ", "テ"), ("ﾻ", "ㅋ")]
        {
            let entry = format!("{}=>{}", escaped(from), escaped(to));
            assert!(entries.contains(&entry), "{from}");
        }
        assert!(!entries.iter().any(|entry| entry.starts_with(&escaped("É"))), "lowercase knows it");
    }
}
