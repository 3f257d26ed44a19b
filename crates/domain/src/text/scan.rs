//! The scanner: classes of characters, and tokens from them.

use super::{MAX_TERM_BYTES, Token, fold::fold_chars};
use unicode_normalization::char::canonical_combining_class;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A word, or a piece of a very long one.
    Word,
    /// One character of Hangul, Han or kana.
    Single,
    /// Two neighbours of Hangul, Han or kana.
    Pair,
}

/// What a folded character does to tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Hangul, Han, kana: tokens by themselves and with their neighbour.
    Syllable,
    /// Letters of other scripts, digits, `_`: words.
    Word,
    /// Combining marks: belong to what stands before them.
    Mark,
    /// All else: between tokens.
    Separator,
}

fn class(c: char) -> Class {
    match c {
        '0'..='9' | 'a'..='z' | 'A'..='Z' | '_' => Class::Word,
        '\0'..='\x7f' => Class::Separator,
        // Hangul: syllables, compatibility jamo, conjoining jamo and their extensions.
        '가'..='힣' | '\u{3131}'..='\u{318e}' | '\u{1100}'..='\u{11ff}' | '\u{a960}'..='\u{a97c}'
        | '\u{d7b0}'..='\u{d7fb}'
        // Han: unified ideographs with extensions, compatibility ones, iteration mark, zero, numerals.
        | '\u{4e00}'..='\u{9fff}' | '\u{3400}'..='\u{4dbf}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{323af}'
        | '\u{3005}'..='\u{3007}' | '\u{3021}'..='\u{3029}'
        // Kana: hiragana, katakana, their marks and extensions.
        | '\u{3041}'..='\u{3096}' | '\u{309b}'..='\u{309f}' | '\u{30a1}'..='\u{30fa}' | '\u{30fc}'..='\u{30ff}'
        | '\u{31f0}'..='\u{31ff}' | '\u{1b000}'..='\u{1b16f}' => Class::Syllable,
        _ if c.is_alphanumeric() => Class::Word,
        _ if canonical_combining_class(c) != 0 => Class::Mark,
        _ => Class::Separator,
    }
}

/// Calls `sink` with every token: by position, a single before the pair that starts with it.
pub(super) fn scan(text: &str, mut sink: impl FnMut(Kind, Token<'_>)) {
    if text.is_ascii() {
        return scan_ascii(text, |token| sink(Kind::Word, token));
    }
    let mut scanner = Scanner { sink, position: 0, word: Word::default(), before: None, pair: String::new() };
    fold_chars(text, |c, start, end| scanner.take(c, start, end));
    scanner.end_word();
}

/// Most machine text is ASCII alone: words are slices of it where they are lower case.
fn scan_ascii(text: &str, mut sink: impl FnMut(Token<'_>)) {
    let in_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let bytes = text.as_bytes();
    let (mut position, mut at) = (0, 0);
    let mut lower = [0; MAX_TERM_BYTES];
    while at < bytes.len() {
        if !in_word(bytes[at]) {
            at += 1;
            continue;
        }
        let start = at;
        while at < bytes.len() && at - start < MAX_TERM_BYTES && in_word(bytes[at]) {
            at += 1;
        }
        let word = &bytes[start..at];
        if word.iter().all(|b| *b == b'_') {
            continue;
        }
        let term = if word.iter().any(u8::is_ascii_uppercase) {
            let folded = &mut lower[..word.len()];
            folded.copy_from_slice(word);
            folded.make_ascii_lowercase();
            std::str::from_utf8(folded).unwrap_or_default()
        } else {
            &text[start..at]
        };
        sink(Token { term, position, start, end: at });
        position += 1;
    }
}

/// The word being read.
#[derive(Default)]
struct Word {
    term: String,
    start: usize,
    end: usize,
    /// It has more than `_`.
    spoken: bool,
}

struct Scanner<S> {
    sink: S,
    position: u32,
    word: Word,
    /// The syllable just before, with its start.
    before: Option<(char, usize)>,
    pair: String,
}

impl<S: FnMut(Kind, Token<'_>)> Scanner<S> {
    fn take(&mut self, c: char, start: usize, end: usize) {
        match class(c) {
            Class::Word => {
                self.before = None;
                self.extend_word(c, start, end);
                self.word.spoken |= c != '_';
            }
            Class::Mark if !self.word.term.is_empty() => self.extend_word(c, start, end),
            // After a syllable it is passed over, so that neighbours stay neighbours.
            Class::Mark => {}
            Class::Syllable => {
                self.end_word();
                self.syllable(c, start, end);
            }
            Class::Separator => {
                self.end_word();
                self.before = None;
            }
        }
    }

    fn extend_word(&mut self, c: char, start: usize, end: usize) {
        if self.word.term.len() + c.len_utf8() > MAX_TERM_BYTES {
            self.end_word();
        }
        if self.word.term.is_empty() {
            self.word.start = start;
        }
        self.word.term.push(c);
        self.word.end = end;
    }

    fn end_word(&mut self) {
        if self.word.spoken {
            let Word { term, start, end, .. } = &self.word;
            (self.sink)(Kind::Word, Token { term, position: self.position, start: *start, end: *end });
            self.position += 1;
        }
        self.word.term.clear();
        self.word.spoken = false;
    }

    fn syllable(&mut self, c: char, start: usize, end: usize) {
        let position = self.position;
        if let Some((before, pair_start)) = self.before {
            self.pair.clear();
            self.pair.push(before);
            self.pair.push(c);
            let token = Token { term: &self.pair, position: position - 1, start: pair_start, end };
            (self.sink)(Kind::Pair, token);
        }
        (self.sink)(Kind::Single, Token { term: c.encode_utf8(&mut [0; 4]), position, start, end });
        self.before = Some((c, start));
        self.position += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ascii_is_scanned_as_any_text() {
        let long = "aB_".repeat(300);
        for text in ["", "a", "_", "__a__ b-c", "Failed password for root from 10.0.0.1 port 22 ssh2", &long]
        {
            let mut fast = Vec::new();
            scan(text, |_, t| fast.push((t.term.to_owned(), t.position, t.start, t.end)));
            let mut slow = Vec::new();
            // The final syllable keeps the text off the fast path.
            scan(&format!("{text} 끝"), |_, t| slow.push((t.term.to_owned(), t.position, t.start, t.end)));
            slow.pop();
            assert_eq!(fast, slow, "{text:?}");
        }
    }

    #[test]
    fn marks_after_folding_are_no_words() {
        assert_eq!(class('\u{301}'), Class::Mark);
        assert_eq!(class('\u{3099}'), Class::Mark);
        assert_eq!(class('㎏'), Class::Separator);
    }
}
