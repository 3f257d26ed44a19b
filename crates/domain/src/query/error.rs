//! What can be wrong with a query, said in both languages: what it is, and what to do.

use crate::Lang;

/// Why a text is no query, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryError {
    /// What is wrong.
    pub kind: QueryErrorKind,
    /// Where: first character and first one after, counted in characters of the text.
    pub span: (usize, usize),
}

/// What is wrong with a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueryErrorKind {
    /// Longer than [`super::MAX_BYTES`].
    TooLong,
    /// Parentheses deeper than [`super::MAX_DEPTH`].
    TooDeep,
    /// More conditions than [`super::MAX_CLAUSES`].
    TooManyClauses,
    /// A phrase of more words than [`super::MAX_PHRASE_TERMS`].
    PhraseTooLong,
    /// A quote that nothing closes.
    UnclosedQuote,
    /// A backslash with nothing after it.
    DanglingEscape,
    /// `(` without `)`.
    UnclosedParenthesis,
    /// `)` without `(`.
    StrayParenthesis,
    /// `()`.
    EmptyParentheses,
    /// `AND` or `OR` with nothing before it.
    LeadingOperator(String),
    /// An operator with nothing after it.
    MissingOperand(String),
    /// `*` not at the end.
    StarInMiddle,
    /// `*` with nothing before it.
    StarAlone,
    /// Free text without a letter, digit or syllable.
    NoWords(String),
    /// `:` or a comparison with no name before it.
    MissingField,
    /// `field:` with nothing after it.
    EmptyValue(String),
    /// `field:>5`, `field>>5`.
    DoubleOperator,
    /// A comparison with what is no number.
    NotANumber(String),
    /// An envelope field that has no order.
    NotComparable(String),
    /// Not one of the nine levels.
    UnknownLevel(String),
    /// Not log, metric or event.
    UnknownKind(String),
    /// `ts` against what is no time.
    NotATime(String),
    /// `raw` with anything but `*`.
    RawExistsOnly,
    /// Not `[low TO high]`.
    BadRange,
    /// `[high TO low]`.
    ReversedRange,
}

impl QueryError {
    /// What is wrong.
    pub fn message(&self, lang: Lang) -> String {
        self.kind.message(lang)
    }

    /// What to do about it.
    pub fn hint(&self, lang: Lang) -> String {
        self.kind.hint(lang)
    }
}

impl std::fmt::Display for QueryError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (at character {})", self.message(Lang::En), self.span.0 + 1)
    }
}

impl std::error::Error for QueryError {}

impl QueryErrorKind {
    /// A stable name for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::TooDeep => "too_deep",
            Self::TooManyClauses => "too_many_clauses",
            Self::PhraseTooLong => "phrase_too_long",
            Self::UnclosedQuote => "unclosed_quote",
            Self::DanglingEscape => "dangling_escape",
            Self::UnclosedParenthesis => "unclosed_parenthesis",
            Self::StrayParenthesis => "stray_parenthesis",
            Self::EmptyParentheses => "empty_parentheses",
            Self::LeadingOperator(_) => "leading_operator",
            Self::MissingOperand(_) => "missing_operand",
            Self::StarInMiddle => "star_in_middle",
            Self::StarAlone => "star_alone",
            Self::NoWords(_) => "no_words",
            Self::MissingField => "missing_field",
            Self::EmptyValue(_) => "empty_value",
            Self::DoubleOperator => "double_operator",
            Self::NotANumber(_) => "not_a_number",
            Self::NotComparable(_) => "not_comparable",
            Self::UnknownLevel(_) => "unknown_level",
            Self::UnknownKind(_) => "unknown_kind",
            Self::NotATime(_) => "not_a_time",
            Self::RawExistsOnly => "raw_exists_only",
            Self::BadRange => "bad_range",
            Self::ReversedRange => "reversed_range",
        }
    }

    /// What is wrong.
    fn message(&self, lang: Lang) -> String {
        let pick = |ko: String, en: String| lang.pick(ko, en);
        match self {
            Self::TooLong => pick(
                format!("검색식이 너무 깁니다. 최대 {}바이트입니다.", super::MAX_BYTES),
                format!("The query is too long: at most {} bytes.", super::MAX_BYTES),
            ),
            Self::TooDeep => pick(
                format!("괄호가 너무 깊게 겹쳐 있습니다. 최대 {}단계입니다.", super::MAX_DEPTH),
                format!("The parentheses are nested too deep: at most {} levels.", super::MAX_DEPTH),
            ),
            Self::TooManyClauses => pick(
                format!("조건이 너무 많습니다. 최대 {}개입니다.", super::MAX_CLAUSES),
                format!("Too many conditions: at most {}.", super::MAX_CLAUSES),
            ),
            Self::PhraseTooLong => pick(
                format!("구절이 너무 깁니다. 낱말은 최대 {}개입니다.", super::MAX_PHRASE_TERMS),
                format!("The phrase is too long: at most {} words.", super::MAX_PHRASE_TERMS),
            ),
            Self::UnclosedQuote => {
                pick("따옴표가 닫히지 않았습니다.".into(), "A quote is not closed.".into())
            }
            Self::DanglingEscape => {
                pick("\\ 뒤에 글자가 없습니다.".into(), "Nothing follows the backslash.".into())
            }
            Self::UnclosedParenthesis => {
                pick("괄호가 닫히지 않았습니다.".into(), "A parenthesis is not closed.".into())
            }
            Self::StrayParenthesis => {
                pick("짝이 없는 닫는 괄호입니다.".into(), "This parenthesis closes nothing.".into())
            }
            Self::EmptyParentheses => {
                pick("괄호 안이 비어 있습니다.".into(), "There is nothing between the parentheses.".into())
            }
            Self::LeadingOperator(op) => {
                pick(format!("{op} 앞에 조건이 없습니다."), format!("There is no condition before {op}."))
            }
            Self::MissingOperand(op) => {
                pick(format!("{op} 뒤에 조건이 없습니다."), format!("There is no condition after {op}."))
            }
            Self::StarInMiddle => {
                pick("*는 맨 끝에만 쓸 수 있습니다.".into(), "* can only stand at the end.".into())
            }
            Self::StarAlone => pick(
                "* 앞에 글자가 하나 이상 있어야 합니다.".into(),
                "* needs at least one character before it.".into(),
            ),
            Self::NoWords(text) => pick(
                format!("“{text}”에는 찾을 낱말이 없습니다."),
                format!("“{text}” has no word to search for."),
            ),
            Self::MissingField => {
                pick("앞에 필드 이름이 없습니다.".into(), "There is no field name before this.".into())
            }
            Self::EmptyValue(field) => {
                pick(format!("“{field}” 뒤에 값이 없습니다."), format!("“{field}” has no value."))
            }
            Self::DoubleOperator => {
                pick("연산자가 겹쳐 있습니다.".into(), "There is one operator too many.".into())
            }
            Self::NotANumber(text) => {
                pick(format!("“{text}”은(는) 숫자가 아닙니다."), format!("“{text}” is not a number."))
            }
            Self::NotComparable(field) => pick(
                format!("{field}은(는) 크기를 비교할 수 없습니다."),
                format!("{field} cannot be compared by size."),
            ),
            Self::UnknownLevel(text) => {
                pick(format!("“{text}”은(는) 없는 레벨입니다."), format!("“{text}” is not a level."))
            }
            Self::UnknownKind(text) => {
                pick(format!("“{text}”은(는) 없는 종류입니다."), format!("“{text}” is not a kind."))
            }
            Self::NotATime(text) => {
                pick(format!("“{text}”은(는) 시각이 아닙니다."), format!("“{text}” is not a time."))
            }
            Self::RawExistsOnly => pick(
                "raw는 값이 있는지만 검색할 수 있습니다.".into(),
                "raw can only be asked for its presence.".into(),
            ),
            Self::BadRange => pick("범위 형식이 올바르지 않습니다.".into(), "This is not a range.".into()),
            Self::ReversedRange => {
                pick("범위의 시작 값이 끝 값보다 큽니다.".into(), "The range starts above its end.".into())
            }
        }
    }

    /// What to do about it.
    fn hint(&self, lang: Lang) -> String {
        let pick = |ko: &str, en: &str| lang.pick(ko, en).to_owned();
        match self {
            Self::TooLong => pick("조건을 줄이세요.", "Shorten it."),
            Self::TooDeep => pick("괄호를 풀어 쓰세요.", "Write it with fewer parentheses."),
            Self::TooManyClauses => pick(
                "조건을 줄이거나 앞부분*으로 묶으세요.",
                "Use fewer conditions, or one prefix* for several values.",
            ),
            Self::PhraseTooLong => pick("특징적인 부분만 남기세요.", "Keep only the telling part."),
            Self::UnclosedQuote => pick(
                "끝에 \"를 붙이세요. 따옴표 자체를 찾으려면 \\\"로 쓰세요.",
                "Add a \" at the end. To search for a quote itself write \\\".",
            ),
            Self::DanglingEscape => {
                pick("\\ 자체를 찾으려면 \\\\로 쓰세요.", "To search for a backslash itself write \\\\.")
            }
            Self::UnclosedParenthesis => pick(
                "알맞은 곳에 )를 붙이세요. 괄호 자체를 찾으려면 따옴표로 묶으세요.",
                "Add a ) where the group ends. To search for a parenthesis itself quote it.",
            ),
            Self::StrayParenthesis => pick(
                ")를 지우거나 앞에 (를 붙이세요. 괄호 자체를 찾으려면 따옴표로 묶으세요.",
                "Remove it, or add a ( before it. To search for a parenthesis itself quote it.",
            ),
            Self::EmptyParentheses => pick(
                "괄호를 지우거나 조건을 넣으세요. main()처럼 찾으려면 \"main()\"으로 쓰세요.",
                "Remove them or put a condition in. To search for main() write \"main()\".",
            ),
            Self::LeadingOperator(op) => lang.pick(
                format!(
                    "{op}{} 지우거나 앞에 조건을 쓰세요. 낱말로 찾으려면 \"{op}\"{} 쓰세요.",
                    object(op),
                    means(op)
                ),
                format!("Remove {op} or write a condition before it. To search for the word write \"{op}\"."),
            ),
            Self::MissingOperand(op) if op == "-" => pick(
                "-는 뒤의 조건을 제외합니다. 붙여서 -level:debug처럼 쓰거나, 지우세요.",
                "- excludes the condition after it, as in -level:debug. Write one, or remove it.",
            ),
            Self::MissingOperand(op) => lang.pick(
                format!(
                    "뒤에 조건을 쓰거나 {op}{} 지우세요. 낱말로 찾으려면 \"{op}\"{} 쓰세요.",
                    object(op),
                    means(op)
                ),
                format!("Write a condition after it, or remove {op}. To search for the word write \"{op}\"."),
            ),
            Self::StarInMiddle => pick(
                "web-*처럼 끝에 쓰세요. * 자체를 찾으려면 따옴표로 묶으세요.",
                "Write it at the end, as in web-*. To search for a star itself quote it.",
            ),
            Self::StarAlone => pick(
                "모두 보려면 검색창을 비우고, 필드가 있는 것을 찾으려면 필드:*로 쓰세요.",
                "To see everything leave the box empty; to find events that have a field write field:*.",
            ),
            Self::NoWords(text) if text.starts_with("&&") || text.starts_with("||") => {
                pick("조건은 AND와 OR로 잇습니다.", "Conditions are joined by AND and OR.")
            }
            Self::NoWords(_) => pick(
                "기호는 색인하지 않습니다. 글자나 숫자를 하나 이상 쓰세요.",
                "Symbols are not indexed. Write at least one letter or digit.",
            ),
            Self::MissingField => pick(
                "level:error처럼 이름을 쓰거나, 기호째 찾으려면 따옴표로 묶으세요.",
                "Write a name, as in level:error, or quote the text to search for it as it is.",
            ),
            Self::EmptyValue(_) => pick(
                "빈칸 없이 값을 붙이거나, 있는지만 보려면 *를 쓰세요. 텍스트로 찾으려면 전체를 따옴표로 묶으세요.",
                "Write the value without a space, or * for any value. To search for it as text quote it all.",
            ),
            Self::DoubleOperator => {
                pick("필드>=80 또는 필드:값 가운데 하나로 쓰세요.", "Write either field>=80 or field:value.")
            }
            Self::NotANumber(_) => pick(
                "temperature>=80처럼 숫자와 비교하세요. 텍스트로 찾으려면 전체를 따옴표로 묶으세요.",
                "Compare with a number, as in temperature>=80. To search for it as text quote it all.",
            ),
            Self::NotComparable(field) => lang.pick(
                format!("{field}:값으로 쓰세요. 기록 자체의 필드는 fields.{field}입니다."),
                format!("Write {field}:value. The record's own field is fields.{field}."),
            ),
            Self::UnknownLevel(_) => {
                let names = crate::Level::ALL.map(crate::Level::name).join(", ");
                lang.pick(format!("쓸 수 있는 레벨: {names}."), format!("The levels are {names}."))
            }
            Self::UnknownKind(_) => {
                pick("쓸 수 있는 종류: log, metric, event.", "The kinds are log, metric, event.")
            }
            Self::NotATime(_) => pick(
                "ts>=2026-01-31T09:00:00+09:00처럼 시간대까지 쓰세요. 구간은 시간 범위로 고르는 것이 빠릅니다.",
                "Write it with its zone, as in ts>=2026-01-31T09:00:00+09:00. For a window the time range is quicker.",
            ),
            Self::RawExistsOnly => pick("raw:*로 쓰세요.", "Write raw:*."),
            Self::BadRange => pick(
                "필드:[1 TO 5]처럼 쓰세요. 한쪽을 열어 두려면 *를 쓰세요.",
                "Write field:[1 TO 5]. A * leaves one side open.",
            ),
            Self::ReversedRange => pick("두 값을 바꾸세요.", "Swap the two values."),
        }
    }
}

/// The object particle of an operator: NOT is read 낫, which ends in a consonant; 앤드 and 오어 do not.
fn object(op: &str) -> &'static str {
    if op == "NOT" { "을" } else { "를" }
}

/// The particle of means of an operator.
fn means(op: &str) -> &'static str {
    if op == "NOT" { "으로" } else { "로" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn particles_follow_the_operator() {
        let check = |op: &str, leading: &str, missing: &str| {
            assert!(QueryErrorKind::LeadingOperator(op.into()).hint(Lang::Ko).starts_with(leading), "{op}");
            assert!(QueryErrorKind::MissingOperand(op.into()).hint(Lang::Ko).contains(missing), "{op}");
        };
        check("AND", "AND를 지우거나", "\"AND\"로 쓰세요");
        check("OR", "OR를 지우거나", "\"OR\"로 쓰세요");
        check("NOT", "NOT을 지우거나", "\"NOT\"으로 쓰세요");
    }
}
