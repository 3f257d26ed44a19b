//! Wrong input: all of it at once, in the asker's language.

use crate::ServiceError;
use domain::api::FieldProblem;
use domain::query::Query;
use domain::{Lang, TimeRange, Timestamp, Zone};

/// Retention classes there are.
pub(crate) const CLASSES: [&str; 4] = ["7d", "30d", "90d", "1y"];

/// Collects what is wrong with an input.
pub(crate) struct Check {
    lang: Lang,
    problems: Vec<FieldProblem>,
}

impl Check {
    /// Nothing wrong yet.
    pub(crate) fn new(lang: Lang) -> Self {
        Self { lang, problems: Vec::new() }
    }

    /// Something is wrong.
    pub(crate) fn wrong(&mut self, field: &str, ko: impl Into<String>, en: impl Into<String>) {
        let message = match self.lang {
            Lang::Ko => ko.into(),
            Lang::En => en.into(),
        };
        self.problems.push(FieldProblem { field: field.to_owned(), message, span: None });
    }

    /// The problems so far.
    pub(crate) fn problems(self) -> Vec<FieldProblem> {
        self.problems
    }

    /// Passes where nothing is wrong.
    pub(crate) fn done(self) -> Result<(), ServiceError> {
        if self.problems.is_empty() { Ok(()) } else { Err(ServiceError::Invalid(self.problems)) }
    }

    /// A text that people read: trimmed, no control characters, a length in characters.
    pub(crate) fn text(
        &mut self,
        field: &str,
        value: &str,
        chars: std::ops::RangeInclusive<usize>,
    ) -> String {
        let value = value.trim();
        let (least, most) = (*chars.start(), *chars.end());
        if value.chars().any(char::is_control) {
            self.wrong(
                field,
                "줄바꿈이나 제어 문자를 쓸 수 없습니다.",
                "Line breaks and control characters are not allowed.",
            );
        } else if value.is_empty() && least > 0 {
            self.wrong(field, "값을 입력하세요.", "Fill this in.");
        } else if !chars.contains(&value.chars().count()) {
            self.wrong(
                field,
                format!("{least}자 이상 {most}자 이하로 입력하세요."),
                format!("Use {least} to {most} characters."),
            );
        }
        value.to_owned()
    }

    /// A number within bounds.
    pub(crate) fn number(&mut self, field: &str, value: u64, bounds: std::ops::RangeInclusive<u64>) {
        if !bounds.contains(&value) {
            let (least, most) = (bounds.start(), bounds.end());
            self.wrong(
                field,
                format!("{least}에서 {most} 사이의 수를 입력하세요."),
                format!("Use a number from {least} to {most}."),
            );
        }
    }

    /// A login name: something, an `@`, a host, nothing else; lower case from here on. Hosts without a dot are fine on
    /// a private network.
    pub(crate) fn email(&mut self, field: &str, value: &str) -> String {
        let value = value.trim().to_lowercase();
        let sound = value.split_once('@').is_some_and(|(name, host)| {
            !name.is_empty()
                && !host.is_empty()
                && !host.contains('@')
                && !host.starts_with('.')
                && !host.ends_with('.')
                && value.len() <= 254
                && !value.chars().any(|c| c.is_control() || c.is_whitespace())
        });
        if !sound {
            self.wrong(
                field,
                "이메일 주소를 확인하세요. 예: name@example.com",
                "Check the e-mail address, for example name@example.com.",
            );
        }
        value
    }

    /// A new password.
    pub(crate) fn password(&mut self, field: &str, value: &str, email: &str) {
        let chars = value.chars().count();
        if chars < 10 {
            self.wrong(
                field,
                "비밀번호는 10자 이상이어야 합니다.",
                "Use a password of at least 10 characters.",
            );
        } else if value.len() > crate::password::LONGEST_PASSWORD {
            self.wrong(field, "비밀번호가 너무 깁니다.", "The password is too long.");
        } else if value.to_lowercase() == email {
            self.wrong(
                field,
                "이메일 주소를 비밀번호로 쓸 수 없습니다.",
                "The e-mail address cannot be the password.",
            );
        } else if value.chars().all(|c| value.starts_with(c)) {
            self.wrong(
                field,
                "한 글자만 반복한 비밀번호는 쓸 수 없습니다.",
                "A single repeated character cannot be the password.",
            );
        }
    }

    /// An IANA zone.
    pub(crate) fn zone(&mut self, field: &str, value: &str) -> String {
        let value = value.trim();
        if Zone::named(value).is_none() {
            self.wrong(
                field,
                "알 수 없는 시간대입니다. 예: Asia/Seoul",
                "This time zone is not known; an example: Asia/Seoul.",
            );
        }
        value.to_owned()
    }

    /// A retention class.
    pub(crate) fn class(&mut self, field: &str, value: &str) -> String {
        let value = value.trim();
        if !CLASSES.contains(&value) {
            self.wrong(
                field,
                "보관 기간은 7d, 30d, 90d, 1y 가운데 하나여야 합니다.",
                "Retention is one of 7d, 30d, 90d, 1y.",
            );
        }
        value.to_owned()
    }

    /// A short name in addresses.
    pub(crate) fn slug(&mut self, field: &str, value: &str) -> String {
        let value = value.trim();
        let sound = (1..=40).contains(&value.len())
            && value.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase() || b == b'-')
            && !value.starts_with('-')
            && !value.ends_with('-');
        if !sound {
            self.wrong(
                field,
                "영문 소문자, 숫자, 가운데의 -만으로 40자까지 쓸 수 있습니다.",
                "Use up to 40 lower-case letters, digits, and - in between.",
            );
        }
        value.to_owned()
    }

    /// A field's name.
    pub(crate) fn field_name(&mut self, field: &str, value: &str) {
        if value.is_empty() || value.len() > 255 || value.chars().any(char::is_control) {
            self.wrong(
                field,
                "필드 이름은 1에서 255바이트까지이고 제어 문자가 없어야 합니다.",
                "A field's name has 1 to 255 bytes and no control characters.",
            );
        }
    }

    /// A window with something in it.
    pub(crate) fn range(&mut self, range: TimeRange) {
        if range.from >= range.to {
            self.wrong("from", "시작 시각이 끝 시각보다 빨라야 합니다.", "The start must be before the end.");
        }
    }

    /// A query, with the place of its mistake.
    pub(crate) fn query(&mut self, field: &str, text: &str) -> Query {
        Query::parse(text).unwrap_or_else(|error| {
            let hint = error.hint(self.lang);
            let message = format!("{} {hint}", error.message(self.lang));
            let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
            let span = Some((place(error.span.0), place(error.span.1)));
            self.problems.push(FieldProblem { field: field.to_owned(), message, span });
            Query::all()
        })
    }
}

/// The window cut to where events can be: from 1970 to a day ahead. Keeps the buckets of "everything" few.
pub(crate) fn within_reach(range: TimeRange, now: Timestamp) -> TimeRange {
    let ahead = now.plus_nanos(86_400_000_000_000);
    let from = range.from.max(Timestamp::from_nanos(0));
    let to = if from < ahead { range.to.min(ahead) } else { range.to };
    TimeRange { from, to: to.max(from.plus_nanos(1)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(run: impl Fn(&mut Check), wrong: bool) {
        for lang in [Lang::Ko, Lang::En] {
            let mut check = Check::new(lang);
            run(&mut check);
            let problems = check.problems();
            assert_eq!(!problems.is_empty(), wrong, "{problems:?}");
            for problem in problems {
                let hangul = problem.message.chars().any(|c| ('가'..='힣').contains(&c));
                assert_eq!(hangul, lang == Lang::Ko, "{}", problem.message);
            }
        }
    }

    #[test]
    fn inputs() {
        check(|c| drop(c.text("name", " 부산 공장 ", 1..=100)), false);
        check(|c| drop(c.text("name", "  ", 1..=100)), true);
        check(|c| drop(c.text("name", "", 0..=100)), false);
        check(|c| drop(c.text("name", &"가".repeat(101), 1..=100)), true);
        check(|c| drop(c.text("name", "a\nb", 1..=100)), true);
        check(|c| drop(c.email("email", "A@B.example")), false);
        check(|c| drop(c.email("email", "owner@localhost")), false);
        check(|c| drop(c.email("email", "a b@c.d")), true);
        check(|c| drop(c.email("email", "@c.d")), true);
        check(|c| drop(c.email("email", "a@b@c")), true);
        check(|c| c.password("new", "정말로긴비밀번호입니다", "a@b.c"), false);
        check(|c| c.password("new", "short", "a@b.c"), true);
        check(|c| c.password("new", "Someone@Example.com", "someone@example.com"), true);
        check(|c| c.password("new", "aaaaaaaaaaaa", "a@b.c"), true);
        check(|c| drop(c.zone("zone", "Asia/Seoul")), false);
        check(|c| drop(c.zone("zone", "Asia/Nowhere")), true);
        check(|c| drop(c.class("retention", "30d")), false);
        check(|c| drop(c.class("retention", "31d")), true);
        check(|c| drop(c.slug("slug", "busan-1")), false);
        check(|c| drop(c.slug("slug", "-busan")), true);
        check(|c| drop(c.query("q", &"a".repeat(domain::query::MAX_BYTES + 1))), true);
        check(|c| drop(c.query("q", "level>=warn \"bearing hot\"")), false);
        check(|c| c.range(TimeRange { from: Timestamp::from_secs(2), to: Timestamp::from_secs(1) }), true);
        check(|c| c.number("limit", 0, 1..=10), true);
    }

    #[test]
    fn a_query_says_where_it_is_wrong() {
        let mut check = Check::new(Lang::En);
        check.query("q", "a AND (b");
        let problems = check.problems();
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].field, "q");
        assert!(problems[0].span.is_some());
    }

    #[test]
    fn everything_is_cut_to_where_events_can_be() {
        let now = Timestamp::from_secs(1_000_000);
        let check = |range, expect| assert_eq!(within_reach(range, now), expect);
        let secs = |from, to| TimeRange { from: Timestamp::from_secs(from), to: Timestamp::from_secs(to) };
        check(TimeRange::ALL, secs(0, 1_086_400));
        check(secs(10, 20), secs(10, 20));
        check(secs(2_000_000, 2_000_010), secs(2_000_000, 2_000_010));
    }
}
