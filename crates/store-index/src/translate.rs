//! A query as tantivy runs it.

use crate::column::ColumnTest;
use crate::document::{KINDS, id_term, kind_rank};
use crate::message::InMessage;
use crate::schema::{HAS_MESSAGE, HAS_RAW, Layout, push_exact, push_exact_prefix, push_name};
use crate::verify::{Test, Verified};
use domain::query::{Comparison, Expr, Field, as_bool, as_number};
use domain::text::{QueryTerm, fold, query_terms};
use domain::{EventId, Level, Timestamp};
use std::ops::{Bound, RangeInclusive};
use std::sync::Arc;
use store::index::ReadLimit;
use tantivy::query::{
    AllQuery, BooleanQuery, EmptyQuery, Occur, PhrasePrefixQuery, PhraseQuery, Query, RangeQuery, TermQuery,
};
use tantivy::schema::{Field as IndexField, IndexRecordOption};
use tantivy::{Searcher, SegmentReader, Term};

/// Translates conditions; knows nothing of tenants and windows, which every read adds itself.
pub(crate) struct Translator<'a> {
    pub layout: &'a Layout,
    pub searcher: &'a Searcher,
    pub limit: &'a ReadLimit,
    /// What the read is confined to: conditions that read events look at no others. They are met by every event that
    /// is answered with, so it does not matter where in the query, or under which `NOT`, they are asked.
    pub scope: &'a [Box<dyn Query>],
}

impl Translator<'_> {
    /// The events that meet a condition.
    pub fn query(&self, expr: &Expr) -> Box<dyn Query> {
        match expr {
            Expr::All => Box::new(AllQuery),
            Expr::And(parts) => self.all_of(parts),
            Expr::Or(parts) => any_of(parts.iter().map(|part| self.query(part)).collect()),
            Expr::Not(part) => self.all_of(std::slice::from_ref(&Expr::Not(part.clone()))),
            Expr::Text { text, prefix } => self.text(&query_terms(text), *prefix),
            Expr::Equals { field, value } => self.equals(field, value),
            Expr::Prefix { field, prefix } => self.starts_with(field, prefix),
            Expr::Exists { field } => self.exists(field),
            Expr::Number { field, comparison, value } => match field {
                Field::Named(name) => number(name, numbers_within(*comparison, *value)),
                _ => Box::new(EmptyQuery),
            },
            Expr::Level { comparison, level } => ranks_within(
                "level",
                (0..Level::ALL.len() as u64).filter(|rank| {
                    Level::from_rank(*rank as u8).is_some_and(|own| comparison.holds(&own, level))
                }),
            ),
            Expr::Time { field, comparison, at } => time(field, *comparison, *at),
        }
    }

    fn all_of(&self, parts: &[Expr]) -> Box<dyn Query> {
        let mut clauses = Vec::with_capacity(parts.len() + 1);
        for part in parts {
            clauses.push(match part {
                Expr::Not(inner) => (Occur::MustNot, self.query(inner)),
                other => (Occur::Must, self.query(other)),
            });
        }
        if clauses.iter().all(|(occur, _)| *occur == Occur::MustNot) {
            // What is left out must be left out of something.
            clauses.push((Occur::Must, Box::new(AllQuery)));
        }
        Box::new(BooleanQuery::new(clauses))
    }

    fn text(&self, terms: &[QueryTerm], prefix: bool) -> Box<dyn Query> {
        let Some((last, before)) = terms.split_last() else { return Box::new(EmptyQuery) };
        match (before, prefix) {
            ([], false) => Box::new(TermQuery::new(self.text_term(last), IndexRecordOption::Basic)),
            ([], true) => term_prefix(self.text_term(last)),
            (_, false) => Box::new(PhraseQuery::new_with_offset(self.placed(terms))),
            (_, true) => self.phrase_prefix(terms, before, last),
        }
    }

    fn phrase_prefix(&self, terms: &[QueryTerm], before: &[QueryTerm], last: &QueryTerm) -> Box<dyn Query> {
        let prefix = self.text_term(last);
        let expansions = self.expansions(&prefix);
        if expansions <= MAX_EXPANSIONS {
            let mut query = PhrasePrefixQuery::new_with_offset(self.placed(&without_gap(terms)));
            query.set_max_expansions(expansions);
            return Box::new(query);
        }
        self.read_phrase_prefix(before, last, Test::PhrasePrefix(terms.to_vec()))
    }

    /// Each word that the last may be would hold its positions in memory: the few events are read instead.
    fn read_phrase_prefix(&self, before: &[QueryTerm], last: &QueryTerm, test: Test) -> Box<dyn Query> {
        let last = term_prefix(self.text_term(last));
        let parts = vec![(Occur::Must, self.text(before, false)), (Occur::Must, last)];
        self.verified(Box::new(BooleanQuery::new(parts)), test)
    }

    /// How many terms of a segment start so, at most; counted no further than one above what is allowed.
    fn expansions(&self, prefix: &Term) -> u32 {
        let start = prefix.serialized_value_bytes();
        let count = |segment: &SegmentReader| {
            let index = segment.inverted_index(self.layout.text).ok()?;
            let mut range = index.terms().range().ge(start);
            if let Some(end) = after_prefix(start) {
                range = range.lt(end);
            }
            let mut terms = range.into_stream().ok()?;
            let mut count = 0;
            while count <= MAX_EXPANSIONS && terms.advance() {
                count += 1;
            }
            Some(count)
        };
        self.searcher.segment_readers().iter().filter_map(count).max().unwrap_or(0)
    }

    fn text_term(&self, term: &QueryTerm) -> Term {
        Term::from_field_text(self.layout.text, &term.term)
    }

    fn placed(&self, terms: &[QueryTerm]) -> Vec<(usize, Term)> {
        let first = terms.first().map_or(0, |term| term.position);
        terms.iter().map(|term| ((term.position - first) as usize, self.text_term(term))).collect()
    }

    fn equals(&self, field: &Field, value: &str) -> Box<dyn Query> {
        let folded = fold(value);
        match field {
            Field::Id => match EventId::parse(value) {
                Ok(id) => self.verified(term(self.layout.id, &id_term(id)), Test::Id(id)),
                Err(_) => Box::new(EmptyQuery),
            },
            Field::Source => term(self.layout.source_key, folded.as_bytes()),
            Field::Kind => {
                ranks_within("kind", KINDS.into_iter().filter(|kind| kind.name() == folded).map(kind_rank))
            }
            Field::Level => {
                ranks_within("level", Level::parse(&folded).into_iter().map(|level| u64::from(level.rank())))
            }
            Field::Message => self.in_message(&query_terms(value), false),
            Field::Ts | Field::ReceivedAt => match Timestamp::parse(value) {
                Ok(at) => time(field, Comparison::Equal, at),
                Err(_) => Box::new(EmptyQuery),
            },
            Field::Raw => Box::new(EmptyQuery),
            Field::Named(name) => self.named_equals(name, value),
        }
    }

    fn named_equals(&self, name: &str, value: &str) -> Box<dyn Query> {
        let mut key = String::new();
        push_exact(&mut key, name, value);
        let mut any = vec![term(self.layout.exact, key.as_bytes()), term(self.layout.x, key.as_bytes())];
        if let Some(value) = as_number(value) {
            any.push(number(name, numbers_within(Comparison::Equal, value)));
        }
        if let Some(value) = as_bool(value) {
            any.push(Box::new(ColumnTest::Bool { name: name.to_owned(), value }));
        }
        any_of(any)
    }

    fn starts_with(&self, field: &Field, prefix: &str) -> Box<dyn Query> {
        let folded = fold(prefix);
        match field {
            Field::Id => self.verified(Box::new(AllQuery), Test::IdPrefix(folded)),
            Field::Source => term_prefix(Term::from_field_bytes(self.layout.source_key, folded.as_bytes())),
            Field::Kind => ranks_within(
                "kind",
                KINDS.into_iter().filter(|kind| kind.name().starts_with(&folded)).map(kind_rank),
            ),
            Field::Level => ranks_within(
                "level",
                Level::ALL
                    .into_iter()
                    .filter(|level| level.name().starts_with(&folded))
                    .map(|level| u64::from(level.rank())),
            ),
            Field::Message => self.in_message(&query_terms(prefix), true),
            Field::Ts | Field::ReceivedAt | Field::Raw => Box::new(EmptyQuery),
            Field::Named(name) => {
                let mut key = String::new();
                push_exact_prefix(&mut key, name, prefix);
                any_of(vec![
                    term_prefix(Term::from_field_bytes(self.layout.exact, key.as_bytes())),
                    term_prefix(Term::from_field_bytes(self.layout.x, key.as_bytes())),
                ])
            }
        }
    }

    /// Free text in the message alone.
    fn in_message(&self, terms: &[QueryTerm], prefix: bool) -> Box<dyn Query> {
        let Some((last, before)) = terms.split_last() else { return Box::new(EmptyQuery) };
        let candidates = match (before, prefix) {
            // Its words are gone through one by one, however many.
            ([], true) => None,
            (_, true) if self.expansions(&self.text_term(last)) > MAX_EXPANSIONS => {
                return self.read_phrase_prefix(before, last, Test::MessagePhrasePrefix(terms.to_vec()));
            }
            _ => Some(self.text(terms, prefix)),
        };
        Box::new(InMessage { candidates, terms: self.placed(terms), prefix, limit: self.limit.clone() })
    }

    /// Those of the candidates that pass a test, where the read looks at all.
    fn verified(&self, candidates: Box<dyn Query>, test: Test) -> Box<dyn Query> {
        let mut all = vec![(Occur::Must, candidates)];
        all.extend(self.scope.iter().map(|part| (Occur::Must, part.box_clone())));
        let candidates = Box::new(BooleanQuery::new(all));
        Box::new(Verified { candidates, test: Arc::new(test), limit: self.limit.clone() })
    }

    fn exists(&self, field: &Field) -> Box<dyn Query> {
        match field {
            Field::Id | Field::Source | Field::Kind | Field::Ts | Field::ReceivedAt => Box::new(AllQuery),
            Field::Level => ranks_within("level", 0..Level::ALL.len() as u64),
            Field::Message => Box::new(ColumnTest::Has { bit: HAS_MESSAGE }),
            Field::Raw => Box::new(ColumnTest::Has { bit: HAS_RAW }),
            Field::Named(name) => {
                let mut key = String::new();
                push_name(&mut key, name);
                any_of(vec![
                    Box::new(ColumnTest::Present { name: name.clone() }),
                    term(self.layout.x, key.as_bytes()),
                ])
            }
        }
    }
}

/// The same terms, and where a pair of syllables stands before the last one, its second syllable by itself as well:
/// tantivy's prefix scorer takes the last term to follow the one before it at the next position.
fn without_gap(terms: &[QueryTerm]) -> Vec<QueryTerm> {
    let mut closed = terms.to_vec();
    if let [.., before, last] = terms
        && last.position > before.position + 1
        && let Some(second) = before.term.chars().next_back()
    {
        let second = QueryTerm { term: second.to_string(), position: last.position - 1 };
        closed.insert(terms.len() - 1, second);
    }
    closed
}

/// How many terms the last word of a phrase may stand for before events are read instead.
const MAX_EXPANSIONS: u32 = 256;

fn any_of(parts: Vec<Box<dyn Query>>) -> Box<dyn Query> {
    Box::new(BooleanQuery::new(parts.into_iter().map(|part| (Occur::Should, part)).collect()))
}

pub(crate) fn term(field: IndexField, bytes: &[u8]) -> Box<dyn Query> {
    Box::new(TermQuery::new(Term::from_field_bytes(field, bytes), IndexRecordOption::Basic))
}

/// Every term that starts so.
fn term_prefix(prefix: Term) -> Box<dyn Query> {
    let end = after_prefix(prefix.serialized_value_bytes()).map_or(Bound::Unbounded, |bytes| {
        let mut end = prefix.clone();
        end.set_bytes(&bytes);
        Bound::Excluded(end)
    });
    Box::new(RangeQuery::new(Bound::Included(prefix), end))
}

/// The least string of bytes above all that start so; `None` where there is none.
pub(crate) fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte < u8::MAX)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

fn number(name: &str, within: RangeInclusive<f64>) -> Box<dyn Query> {
    Box::new(ColumnTest::Number { name: name.to_owned(), within })
}

fn numbers_within(comparison: Comparison, value: f64) -> RangeInclusive<f64> {
    // As when indexing: -0 is 0.
    let value = value + 0.0;
    match comparison {
        Comparison::Greater => value.next_up()..=f64::MAX,
        Comparison::AtLeast => value..=f64::MAX,
        Comparison::Less => f64::MIN..=value.next_down(),
        Comparison::AtMost => f64::MIN..=value,
        Comparison::Equal => value..=value,
    }
}

/// A column of ranks holds one of these; they are neighbours or none.
fn ranks_within(column: &'static str, ranks: impl Iterator<Item = u64>) -> Box<dyn Query> {
    let ranks = ranks.collect::<Vec<_>>();
    let mut any: Vec<Box<dyn Query>> = Vec::new();
    for run in ranks.chunk_by(|a, b| a + 1 == *b) {
        any.push(Box::new(ColumnTest::Rank { column, within: run[0]..=run[run.len() - 1] }));
    }
    match any.len() {
        0 => Box::new(EmptyQuery),
        1 => any.remove(0),
        _ => any_of(any),
    }
}

fn time(field: &Field, comparison: Comparison, at: Timestamp) -> Box<dyn Query> {
    let column = match field {
        Field::Ts => "ts",
        Field::ReceivedAt => "received_at",
        _ => return Box::new(EmptyQuery),
    };
    let at = at.as_nanos();
    let within = match comparison {
        Comparison::Greater => at.saturating_add(1)..=i64::MAX,
        Comparison::AtLeast => at..=i64::MAX,
        Comparison::Less => i64::MIN..=at.saturating_sub(1),
        Comparison::AtMost => i64::MIN..=at,
        Comparison::Equal => at..=at,
    };
    Box::new(ColumnTest::Time { column, within })
}
