//! Masking: what of a text must not be stored, and what stands there instead.
//!
//! A rule is what to look for and what to do with it; rules are a tenant's, run at ingestion before the broker, and
//! are counted. Looking takes time linear in the text: every kind is bounded in length. Where two rules find things
//! that overlap, the one that begins first is followed; of those that begin together, the one that stands first.

mod find;

use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::borrow::Cow;
use std::fmt::Write;

/// The most rules of a tenant.
pub const MAX_RULES: usize = 32;
/// The longest pattern, in characters.
pub const MAX_PATTERN: usize = 128;
/// Characters of all patterns before the last: a further one is refused.
const MAX_PATTERNS: usize = 256;

/// What to look for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = MaskingKind))]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// 주민등록번호: six digits that are a plausible date of birth, a hyphen, a digit 1–4 and six more.
    KrRrn,
    /// Telephone numbers: Korean ones (`010-1234-5678`, `01012345678`, `02-123-4567`), and those of other countries
    /// with `+` and 8 to 15 digits (ITU-T E.164).
    Phone,
    /// Payment cards: 13 to 19 digits that pass the Luhn check (ISO/IEC 7812-1), written together or in the card's
    /// groups. Not those that begin with 1 (airlines' cards): so do times in nanoseconds, one in ten of which passes.
    Card,
    /// E-mail addresses: the usual part of RFC 5321's.
    Email,
    /// The tenant's own: `#` is a digit, `@` a letter, anything else itself; `\` takes the meaning away. Found where
    /// no letter, digit or `_` touches it: `EMP-######`.
    Pattern,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::KrRrn, Self::Phone, Self::Card, Self::Email, Self::Pattern];

    /// Reads [`Kind::code`].
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }

    /// Stable, for settings and counters.
    pub fn code(self) -> &'static str {
        match self {
            Self::KrRrn => "kr_rrn",
            Self::Phone => "phone",
            Self::Card => "card",
            Self::Email => "email",
            Self::Pattern => "pattern",
        }
    }
}

/// What to do with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = MaskingAction))]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Stars in place of characters, as many: of 주민등록번호 the date of birth stays, of telephones and cards the last
    /// four digits, of addresses the first character and the domain.
    #[default]
    Mask,
    /// A word in its place that is the same for the same value of a tenant, and from which the value cannot be had
    /// without the key: `phone_3f9a0c…`, HMAC-SHA-256 cut to 64 bits.
    Hash,
    /// Nothing in its place.
    Drop,
}

impl Action {
    /// The name that settings have for it.
    pub fn code(self) -> &'static str {
        match self {
            Self::Mask => "mask",
            Self::Hash => "hash",
            Self::Drop => "drop",
        }
    }

    /// Reads [`Action::code`]: `mask`, `hash`, `drop`.
    pub fn parse(code: &str) -> Option<Self> {
        match code {
            "mask" => Some(Self::Mask),
            "hash" => Some(Self::Hash),
            "drop" => Some(Self::Drop),
            _ => None,
        }
    }
}

/// A rule as it is written in settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = MaskingRule))]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What to look for.
    pub kind: Kind,
    /// What to do with it.
    #[serde(default)]
    pub action: Action,
    /// Of [`Kind::Pattern`]: the pattern; of no other.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub pattern: String,
}

/// Why rules cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RulesError {
    /// More than [`MAX_RULES`].
    #[error("at most {MAX_RULES} rules")]
    TooMany,
    /// A pattern without a character, over [`MAX_PATTERN`] of them, or with a `\` at its end.
    #[error("a pattern has 1 to {MAX_PATTERN} characters, and something after each \\: {0:?}")]
    Pattern(String),
    /// A pattern with a kind that has none.
    #[error("{0} takes no pattern")]
    NoPattern(&'static str),
    /// Not the JSON of a list of rules.
    #[error("not a list of rules: {0}")]
    Unreadable(String),
}

/// Rules, ready to be followed.
#[derive(Clone)]
pub struct Rules {
    rules: Vec<Rule>,
    patterns: Vec<Vec<find::Piece>>,
    key: [u8; 32],
}

impl std::fmt::Debug for Rules {
    /// Without the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Rules").field(&self.rules).finish()
    }
}

/// How much of each kind was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts([u32; Kind::ALL.len()]);

impl Counts {
    /// Whether there is more of any kind than in `other`.
    pub fn more_than(&self, other: &Self) -> bool {
        self.0.iter().zip(other.0).any(|(own, other)| *own > other)
    }

    /// Adds others.
    pub fn add(&mut self, more: Self) {
        self.0.iter_mut().zip(more.0).for_each(|(count, more)| *count = count.saturating_add(more));
    }

    /// All kinds together.
    pub fn total(&self) -> u32 {
        self.0.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// The kinds that were found.
    pub fn iter(&self) -> impl Iterator<Item = (Kind, u32)> {
        Kind::ALL.into_iter().zip(self.0).filter(|(_, count)| *count > 0)
    }
}

impl Rules {
    /// What holds where nobody has said anything: 주민등록번호 are masked.
    pub fn standard() -> Vec<Rule> {
        vec![Rule { kind: Kind::KrRrn, action: Action::Mask, pattern: String::new() }]
    }

    /// Makes rules ready; `key` is that of the hashes, and secret.
    ///
    /// # Errors
    /// [`RulesError`] says which cannot be followed.
    pub fn new(rules: Vec<Rule>, key: [u8; 32]) -> Result<Self, RulesError> {
        if rules.len() > MAX_RULES {
            return Err(RulesError::TooMany);
        }
        let mut patterns: Vec<Vec<_>> = Vec::with_capacity(rules.len());
        for rule in &rules {
            // Each place of a text may be compared with each character of each pattern.
            if patterns.iter().map(Vec::len).sum::<usize>() > MAX_PATTERNS {
                return Err(RulesError::TooMany);
            }
            patterns.push(match rule.kind {
                Kind::Pattern => find::pieces(&rule.pattern)
                    .filter(|pieces| (1..=MAX_PATTERN).contains(&pieces.len()))
                    .ok_or_else(|| RulesError::Pattern(rule.pattern.clone()))?,
                _ if rule.pattern.is_empty() => Vec::new(),
                kind => return Err(RulesError::NoPattern(kind.code())),
            });
        }
        Ok(Self { rules, patterns, key })
    }

    /// Reads the JSON of a list of rules, `[{"kind":"phone","action":"hash"}]`, and makes them ready.
    ///
    /// # Errors
    /// As [`Rules::new`]; [`RulesError::Unreadable`].
    pub fn read(json: &str, key: [u8; 32]) -> Result<Self, RulesError> {
        let rules = serde_json::from_str(json).map_err(|error| RulesError::Unreadable(error.to_string()))?;
        Self::new(rules, key)
    }

    /// As they were written.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Whether there is nothing to look for.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether a frame without escapes in which nothing is found has nothing in its texts and numbers either, so that
    /// one look is enough. Not so for phones and cards, which may be numbers with a protocol's letter behind them
    /// (`4111…i`), and for patterns.
    pub fn frames_tell(&self) -> bool {
        !self.rules.iter().any(|rule| matches!(rule.kind, Kind::Phone | Kind::Card | Kind::Pattern))
    }

    /// Whether what is looked for may be a number: all digits.
    pub fn in_numbers(&self) -> bool {
        self.rules.iter().any(|rule| matches!(rule.kind, Kind::Card | Kind::Pattern))
    }

    /// A text as it may be stored, and what was found in it.
    pub fn in_text<'a>(&self, text: &'a str) -> (Cow<'a, str>, Counts) {
        match self.in_bytes(text.as_bytes()) {
            (Cow::Borrowed(_), counts) => (Cow::Borrowed(text), counts),
            // Whole characters were replaced by ASCII.
            (Cow::Owned(bytes), counts) => (Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()), counts),
        }
    }

    /// As [`Rules::in_text`], for bytes of any encoding that has ASCII in it.
    pub fn in_bytes<'a>(&self, bytes: &'a [u8]) -> (Cow<'a, [u8]>, Counts) {
        let mut counts = Counts::default();
        let mut found: Vec<(usize, usize, usize)> = Vec::new();
        for (number, (rule, pattern)) in self.rules.iter().zip(&self.patterns).enumerate() {
            find::each(rule.kind, pattern, bytes, |start, end| found.push((start, number, end)));
        }
        if found.is_empty() {
            return (Cow::Borrowed(bytes), counts);
        }
        found.sort_unstable();
        let mut out = Vec::with_capacity(bytes.len() + 16 * found.len());
        let mut copied = 0;
        for (start, number, end) in found {
            if start < copied {
                continue;
            }
            let rule = &self.rules[number];
            out.extend_from_slice(&bytes[copied..start]);
            self.replace(rule, &bytes[start..end], &mut out);
            counts.0[rule.kind as usize] += 1;
            copied = end;
        }
        out.extend_from_slice(&bytes[copied..]);
        (Cow::Owned(out), counts)
    }

    fn replace(&self, rule: &Rule, value: &[u8], out: &mut Vec<u8>) {
        match rule.action {
            Action::Mask => mask(rule.kind, value, out),
            Action::Hash => out.extend_from_slice(self.hash(rule.kind, value).as_bytes()),
            Action::Drop => {}
        }
    }

    /// What tells texts apart that are masked alike, and tells nothing else of them.
    pub fn keyed(&self, text: &str) -> String {
        self.hash(Kind::Pattern, text.as_bytes())
    }

    /// The same for one value however it is written.
    fn hash(&self, kind: Kind, value: &[u8]) -> String {
        let plain: Vec<u8> = match kind {
            Kind::KrRrn | Kind::Card => value.iter().copied().filter(u8::is_ascii_digit).collect(),
            Kind::Phone => {
                let digits: Vec<u8> = value.iter().copied().filter(u8::is_ascii_digit).collect();
                match (value.first(), digits.strip_prefix(b"82")) {
                    (Some(b'+'), Some(national)) => [b"0", national].concat(),
                    _ => digits,
                }
            }
            Kind::Email => value.to_ascii_lowercase(),
            Kind::Pattern => value.to_vec(),
        };
        let mut text = format!("{}_", kind.code());
        // HMAC takes keys of any length.
        if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.key) {
            mac.update(kind.code().as_bytes());
            mac.update(&[0]);
            mac.update(&plain);
            for byte in &mac.finalize().into_bytes()[..8] {
                // Writing to a string cannot fail.
                let _ = write!(text, "{byte:02x}");
            }
        }
        text
    }
}

/// Stars, but for what stays.
fn mask(kind: Kind, value: &[u8], out: &mut Vec<u8>) {
    match kind {
        Kind::KrRrn => {
            out.extend_from_slice(&value[..7]);
            out.extend(std::iter::repeat_n(b'*', value.len() - 7));
        }
        Kind::Phone | Kind::Card => {
            let digits = value.iter().filter(|byte| byte.is_ascii_digit()).count();
            let mut passed = 0;
            for byte in value {
                let digit = byte.is_ascii_digit();
                passed += usize::from(digit);
                out.push(if digit && passed + 4 <= digits { b'*' } else { *byte });
            }
        }
        Kind::Email => {
            let at = value.iter().position(|byte| *byte == b'@').unwrap_or(value.len());
            let stays = usize::from(at > 1);
            out.extend_from_slice(&value[..stays]);
            out.extend(std::iter::repeat_n(b'*', at - stays));
            out.extend_from_slice(&value[at..]);
        }
        // A character of UTF-8 has one byte that does not continue another.
        Kind::Pattern => {
            let characters = value.iter().filter(|byte| **byte & 0xc0 != 0x80).count();
            out.extend(std::iter::repeat_n(b'*', characters));
        }
    }
}

#[cfg(test)]
mod tests;
