//! The product's tokeniser as tantivy sees it.

use domain::text::tokenize;
use tantivy::tokenizer::{Token, TokenStream, Tokenizer};

/// The name it is registered under.
pub(crate) const NAME: &str = "qgx";

/// Gathers the tokens of a value, then hands them out one by one; its buffers live as long as the writer.
#[derive(Clone, Default)]
pub(crate) struct TextTokenizer {
    terms: String,
    /// Where each term ends in `terms`, and its position.
    ends: Vec<(usize, u32)>,
    token: Token,
}

/// The tokens of one value.
pub(crate) struct TextStream<'a> {
    from: &'a mut TextTokenizer,
    next: usize,
}

impl Tokenizer for TextTokenizer {
    type TokenStream<'a> = TextStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> TextStream<'a> {
        let Self { terms, ends, token } = self;
        terms.clear();
        ends.clear();
        token.reset();
        tokenize(text, |found| {
            terms.push_str(found.term);
            ends.push((terms.len(), found.position));
        });
        TextStream { from: self, next: 0 }
    }
}

impl TokenStream for TextStream<'_> {
    fn advance(&mut self) -> bool {
        let TextTokenizer { terms, ends, token } = &mut *self.from;
        let Some(&(end, position)) = ends.get(self.next) else { return false };
        let start = self.next.checked_sub(1).map_or(0, |last| ends[last].0);
        token.text.clear();
        token.text.push_str(&terms[start..end]);
        token.position = position as usize;
        token.position_length = 1;
        self.next += 1;
        true
    }

    fn token(&self) -> &Token {
        &self.from.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.from.token
    }
}
