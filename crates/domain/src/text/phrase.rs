//! Phrases: terms that stand next to each other.

use super::{QueryTerm, scan::Kind, scan::scan};
use std::ops::Range;

/// A text's tokens by position, to look phrases up in.
struct Positions {
    terms: String,
    at: Vec<At>,
}

/// What stands at one position.
struct At {
    /// The word or the single syllable, within `terms`.
    one: Range<usize>,
    /// Its bytes in the text.
    bytes: Range<usize>,
    /// The pair that starts here, within `terms`, and where it ends in the text.
    pair: Option<(Range<usize>, usize)>,
}

impl Positions {
    fn of(text: &str) -> Self {
        let mut terms = String::with_capacity(text.len());
        let mut at: Vec<At> = Vec::new();
        scan(text, |kind, token| {
            let start = terms.len();
            terms.push_str(token.term);
            let term = start..terms.len();
            match (kind, at.last_mut()) {
                (Kind::Pair, Some(last)) => last.pair = Some((term, token.end)),
                _ => at.push(At { one: term, bytes: token.start..token.end, pair: None }),
            }
        });
        Self { terms, at }
    }

    /// Where the token at a position ends that fits the term.
    fn end_of(&self, position: usize, fits: impl Fn(&str) -> bool) -> Option<usize> {
        let at = self.at.get(position)?;
        if fits(&self.terms[at.one.clone()]) {
            return Some(at.bytes.end);
        }
        let (pair, end) = at.pair.as_ref()?;
        fits(&self.terms[pair.clone()]).then_some(*end)
    }

    /// The bytes of the phrase that starts at a position.
    fn phrase(&self, position: usize, needle: &[QueryTerm], prefix: bool) -> Option<Range<usize>> {
        let first = needle.first()?.position;
        let mut end = 0;
        for (i, term) in needle.iter().enumerate() {
            let at = position + term.position.saturating_sub(first) as usize;
            let open = prefix && i + 1 == needle.len();
            let fits = |t: &str| if open { t.starts_with(&term.term) } else { t == term.term };
            end = self.end_of(at, fits)?;
        }
        Some(self.at[position].bytes.start..end)
    }
}

/// The bytes of `text` where the terms stand next to each other, to be highlighted: in order, overlaps joined. With
/// `prefix`, the last term may go on, and the whole word is in the range.
pub fn find(text: &str, needle_terms: &[QueryTerm], prefix: bool) -> Vec<Range<usize>> {
    let positions = Positions::of(text);
    let mut found: Vec<Range<usize>> = Vec::new();
    for range in (0..positions.at.len()).filter_map(|p| positions.phrase(p, needle_terms, prefix)) {
        match found.last_mut() {
            Some(last) if range.start < last.end => last.end = last.end.max(range.end),
            _ => found.push(range),
        }
    }
    found
}

/// Whether the terms stand next to each other somewhere in `text`. No terms are nowhere.
pub fn contains(text: &str, needle_terms: &[QueryTerm], prefix: bool) -> bool {
    match needle_terms {
        [] => false,
        [only] => {
            let mut found = false;
            scan(text, |_, token| {
                found |= if prefix { token.term.starts_with(&only.term) } else { token.term == only.term };
            });
            found
        }
        _ => {
            let positions = Positions::of(text);
            (0..positions.at.len()).any(|p| positions.phrase(p, needle_terms, prefix).is_some())
        }
    }
}
