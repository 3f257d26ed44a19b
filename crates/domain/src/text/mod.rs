//! The tokeniser: what matches is decided here, for every store and for highlighting in the browser.
//!
//! 1. Text is folded: NFC, then a fixed table of width and case ([`fold`]). Compatibility jamo (ㅋㅋ) stay.
//! 2. Hangul, Han and kana are *syllables*: each is a token, and so is each with its right neighbour, both at the
//!    position of the first. `온도` is `온`@0 `온도`@0 `도`@1.
//! 3. Letters of other scripts, digits and `_` make *words*, one position each: `sha256`, `blk_42`, `web01`. So whole
//!    words are found where `grep -w` finds them. `_` alone is no word.
//! 4. Words end where syllables begin and the other way round: `GPU온도` is `gpu`@0 `온`@1 …, `3시간` is `3`@0 `시`@1 ….
//! 5. Everything else separates, and has no position: `GPU 온도` and `GPU온도` are the same phrase.
//! 6. A word over [`MAX_TERM_BYTES`] is cut into pieces of at most that many bytes, each at its own position.

mod fold;
mod fold_table;
mod phrase;
mod scan;

pub use fold::{fold, fold_into, nfc};
pub use phrase::{contains, find};

/// The longest term, in bytes of folded text.
pub const MAX_TERM_BYTES: usize = 255;

/// A token of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token<'a> {
    /// Folded; 1 to [`MAX_TERM_BYTES`] bytes.
    pub term: &'a str,
    /// Counted from 0; the single and the pair that start with the same character share it.
    pub position: u32,
    /// First byte in the original.
    pub start: usize,
    /// First byte after it in the original.
    pub end: usize,
}

/// A term that a text must have, at a position relative to the query's other terms.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct QueryTerm {
    /// Folded.
    pub term: String,
    /// Relative to the others; the first is 0.
    pub position: u32,
}

/// Calls `sink` with every token of a text, in order of position, a single before its pair.
pub fn tokenize(text: &str, mut sink: impl FnMut(Token<'_>)) {
    scan::scan(text, |_, token| sink(token));
}

/// The fewest terms that stand for the text: words, and of neighbouring syllables the pairs, or a lone one. A text
/// has them at these distances exactly where it has the query's words and syllables in this order, syllables that
/// touch here touching there. Empty where the query has neither.
pub fn query_terms(text: &str) -> Vec<QueryTerm> {
    let mut terms: Vec<QueryTerm> = Vec::new();
    // The position after the pair before: a single there is covered by it.
    let mut covered = None;
    scan::scan(text, |kind, token| {
        let position = token.position;
        match kind {
            scan::Kind::Single if covered == Some(position) => return,
            scan::Kind::Pair => {
                covered = Some(position + 1);
                // The single that began the run.
                terms.pop_if(|t| t.position == position);
            }
            _ => {}
        }
        terms.push(QueryTerm { term: token.term.to_owned(), position });
    });
    terms
}

#[cfg(test)]
mod tests;
