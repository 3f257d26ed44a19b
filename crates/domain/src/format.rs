//! Numbers and times as people read them: the same text from the server and in the browser.

use crate::{Lang, Timestamp, Zone};

const SECOND: i64 = 1_000_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;

/// What stands for a value that there is none of.
pub const NONE: &str = "–";

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// `10:02:03`.
pub fn clock(at: Timestamp, zone: &Zone) -> String {
    let c = zone.civil(at);
    format!("{:02}:{:02}:{:02}", c.hour, c.minute, c.second)
}

/// `10:02:03.045`.
pub fn clock_millis(at: Timestamp, zone: &Zone) -> String {
    format!("{}.{:03}", clock(at, zone), at.as_millis().rem_euclid(1_000))
}

/// `2026. 11. 22.`, `22 Nov 2026`.
pub fn date(at: Timestamp, zone: &Zone, lang: Lang) -> String {
    let c = zone.civil(at);
    match lang {
        Lang::Ko => format!("{}. {}. {}.", c.year, c.month, c.day),
        Lang::En => format!("{} {} {}", c.day, month(c.month), c.year),
    }
}

/// `2026. 11. 22. 10:02:03`, `22 Nov 2026, 10:02:03`.
pub fn date_time(at: Timestamp, zone: &Zone, lang: Lang) -> String {
    format!("{}{}{}", date(at, zone, lang), lang.pick(" ", ", "), clock(at, zone))
}

/// For titles and tables where every digit counts: `2026-11-22 10:02:03.000000004 +09:00`.
pub fn exact(at: Timestamp, zone: &Zone) -> String {
    let c = zone.civil(at);
    let offset = zone.offset_at(at);
    let (sign, minutes) = if offset < 0 { ('-', -offset / 60) } else { ('+', offset / 60) };
    format!(
        "{}-{:02}-{:02} {}.{:09} {sign}{:02}:{:02}",
        c.year,
        c.month,
        c.day,
        clock(at, zone),
        c.nanos,
        minutes / 60,
        minutes % 60
    )
}

/// Within an hour of now in words (`방금`, `0.4초 전`, `3분 전`, `in 2 min`); on the same day the clock; in the same year the
/// day and the minute; else the date.
pub fn relative(at: Timestamp, now: Timestamp, zone: &Zone, lang: Lang) -> String {
    let ago = now.as_nanos().saturating_sub(at.as_nanos());
    if ago.unsigned_abs() < HOUR as u64 {
        let length = match ago.abs() {
            short if short < SECOND => {
                let tenths = short / (SECOND / 10);
                lang.pick(format!("0.{tenths}초"), format!("0.{tenths} s"))
            }
            short if short < MINUTE => {
                lang.pick(format!("{}초", short / SECOND), format!("{} s", short / SECOND))
            }
            long => lang.pick(format!("{}분", long / MINUTE), format!("{} min", long / MINUTE)),
        };
        // Clocks differ a little: what is less than a second ahead is now, as is what would be 0.0 s ago.
        return match lang {
            _ if ago < SECOND / 10 && ago > -SECOND => lang.pick("방금", "now").to_owned(),
            Lang::Ko => format!("{length} {}", if ago < 0 { "뒤" } else { "전" }),
            Lang::En if ago < 0 => format!("in {length}"),
            Lang::En => format!("{length} ago"),
        };
    }
    let (then, today) = (zone.civil(at), zone.civil(now));
    if then.day_number() == today.day_number() {
        return clock(at, zone);
    }
    if then.year != today.year {
        return date(at, zone, lang);
    }
    let minute = format!("{:02}:{:02}", then.hour, then.minute);
    match lang {
        Lang::Ko => format!("{}월 {}일 {minute}", then.month, then.day),
        Lang::En => format!("{} {}, {minute}", then.day, month(then.month)),
    }
}

fn month(month: i8) -> &'static str {
    usize::try_from(month - 1).ok().and_then(|at| MONTHS.get(at)).copied().unwrap_or(NONE)
}

/// `1,234,567`.
pub fn count(value: u64, _lang: Lang) -> String {
    grouped(&value.to_string())
}

/// A count in little room: `982`, `1.2만`, `4.2억`, `1.2조`; `12.3 k`, `418.2 M`. Korean counts in ten thousands.
pub fn compact(value: u64, lang: Lang) -> String {
    const KOREAN: &[(u64, &str)] = &[(10_000, "만"), (100_000_000, "억"), (1_000_000_000_000, "조")];
    const ENGLISH: &[(u64, &str)] =
        &[(1_000, " k"), (1_000_000, " M"), (1_000_000_000, " G"), (1_000_000_000_000, " T")];
    // Up to four digits a count is short enough as it is.
    if value < 10_000 {
        return count(value, lang);
    }
    let (steps, ratio) = lang.pick((KOREAN, 10_000), (ENGLISH, 1_000));
    let fits = |step: &&(u64, &str)| tenths(value, step.0) < 10 * ratio;
    let (step, unit) = steps.iter().find(fits).or(steps.last()).copied().unwrap_or((1, ""));
    format!("{}{unit}", tenth_text(tenths(value, step)))
}

/// `512 B`, `1.2 KB`, `96.3 GB`: in steps of a thousand.
pub fn bytes(value: u64) -> String {
    const STEPS: [(u64, &str); 5] = [
        (1_000, "KB"),
        (1_000_000, "MB"),
        (1_000_000_000, "GB"),
        (1_000_000_000_000, "TB"),
        (1_000_000_000_000_000, "PB"),
    ];
    if value < 1_000 {
        return format!("{value} B");
    }
    let (step, unit) = STEPS.into_iter().find(|step| tenths(value, step.0) < 10_000).unwrap_or(STEPS[4]);
    format!("{} {unit}", tenth_text(tenths(value, step)))
}

/// How many tenths of the step, rounded.
fn tenths(value: u64, step: u64) -> u64 {
    u64::try_from((u128::from(value) * 10 + u128::from(step) / 2) / u128::from(step)).unwrap_or(u64::MAX)
}

/// `12.3` of 123; no fraction where it is none.
fn tenth_text(tenths: u64) -> String {
    let whole = grouped(&(tenths / 10).to_string());
    if tenths.is_multiple_of(10) { whole } else { format!("{whole}.{}", tenths % 10) }
}

/// Events a second: `0.3/s`, `12.5/s`, `1,234/s`.
pub fn rate(per_second: f64) -> String {
    if !per_second.is_finite() || per_second < 0.0 {
        return NONE.to_owned();
    }
    if per_second > 0.0 && per_second < 0.05 {
        return "<0.1/s".to_owned();
    }
    let text = if per_second < 99.95 { format!("{per_second:.1}") } else { format!("{per_second:.0}") };
    format!("{}/s", grouped(text.strip_suffix(".0").unwrap_or(&text)))
}

/// The two largest units of a length of time: `4 ms`, `1.2초`, `3분 20초`, `2 h 5 min`.
pub fn duration(nanos: u64, lang: Lang) -> String {
    const MILLI: u64 = 1_000_000;
    let secs = nanos / 1_000_000_000;
    let two = |big: u64, big_name: (&str, &str), small: u64, small_name: (&str, &str)| {
        let (ko, en) = (format!("{big}{}", big_name.0), format!("{big} {}", big_name.1));
        if small == 0 {
            return lang.pick(ko, en);
        }
        lang.pick(format!("{ko} {small}{}", small_name.0), format!("{en} {small} {}", small_name.1))
    };
    let (day, hour, minute, second) = (("일", "d"), ("시간", "h"), ("분", "min"), ("초", "s"));
    match nanos {
        0 => lang.pick("0초".to_owned(), "0 s".to_owned()),
        n if n < 1_000 => format!("{n} ns"),
        n if n < MILLI => format!("{} µs", n / 1_000),
        n if n < 10 * MILLI => format!("{} ms", tenth_text(n / (MILLI / 10))),
        n if n < 1_000 * MILLI => format!("{} ms", n / MILLI),
        n if secs < 60 => {
            let text = tenth_text(n / (100 * MILLI));
            lang.pick(format!("{text}초"), format!("{text} s"))
        }
        _ if secs < 3_600 => two(secs / 60, minute, secs % 60, second),
        _ if secs < 86_400 => two(secs / 3_600, hour, secs / 60 % 60, minute),
        _ => two(secs / 86_400, day, secs / 3_600 % 24, hour),
    }
}

/// A measured value with up to six significant digits after which nothing is lost to the eye: `81.2`, `2.08`,
/// `1,234.57`, `1.5e-7`, `3e12`. Whole numbers below 10¹⁵ keep every digit.
pub fn number(value: f64) -> String {
    if !value.is_finite() {
        return NONE.to_owned();
    }
    let size = value.abs();
    if size == 0.0 {
        return "0".to_owned();
    }
    if value.fract() == 0.0 && size < 1e15 {
        return grouped(&format!("{value:.0}"));
    }
    if !(1e-4..1e9).contains(&size) {
        let text = format!("{value:.5e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        return format!("{}e{exponent}", without_zeros(digits));
    }
    let whole_digits = size.log10().floor() as i32 + 1;
    let decimals = usize::try_from((6 - whole_digits).clamp(0, 9)).unwrap_or(0);
    grouped(without_zeros(&format!("{value:.decimals$}")))
}

/// Without the zeros that end a fraction.
fn without_zeros(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

/// A decimal number with commas between thousands.
fn grouped(text: &str) -> String {
    let digits_from = usize::from(text.starts_with('-'));
    let digits_to = text.find('.').unwrap_or(text.len());
    let mut out = String::with_capacity(text.len() + text.len() / 3);
    for (i, c) in text.char_indices() {
        if i > digits_from && i < digits_to && (digits_to - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seoul() -> Zone {
        Zone::named("Asia/Seoul").unwrap()
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn times() {
        let t = at("2026-11-22T01:02:03.045000004Z");
        assert_eq!(clock(t, &seoul()), "10:02:03");
        assert_eq!(clock_millis(t, &seoul()), "10:02:03.045");
        assert_eq!(date_time(t, &seoul(), Lang::Ko), "2026. 11. 22. 10:02:03");
        assert_eq!(date_time(t, &seoul(), Lang::En), "22 Nov 2026, 10:02:03");
        assert_eq!(exact(t, &seoul()), "2026-11-22 10:02:03.045000004 +09:00");
        let new_york = Zone::named("America/St_Johns").unwrap();
        assert_eq!(exact(t, &new_york), "2026-11-21 21:32:03.045000004 -03:30");
        assert_eq!(clock_millis(at("1969-12-31T23:59:59.999Z"), &Zone::utc()), "23:59:59.999");
    }

    #[test]
    fn relative_times() {
        let now = at("2026-11-22T01:00:00Z");
        let check = |text: &str, ko: &str, en: &str| {
            assert_eq!(relative(at(text), now, &seoul(), Lang::Ko), ko);
            assert_eq!(relative(at(text), now, &seoul(), Lang::En), en);
        };
        check("2026-11-22T00:59:59.55Z", "0.4초 전", "0.4 s ago");
        check("2026-11-22T01:00:00Z", "방금", "now");
        check("2026-11-22T00:59:59.91Z", "방금", "now");
        check("2026-11-22T00:59:59.9Z", "0.1초 전", "0.1 s ago");
        check("2026-11-22T00:59:48Z", "12초 전", "12 s ago");
        check("2026-11-22T00:56:59Z", "3분 전", "3 min ago");
        check("2026-11-22T00:00:01Z", "59분 전", "59 min ago");
        check("2026-11-22T00:00:00Z", "09:00:00", "09:00:00");
        check("2026-11-21T14:00:00Z", "11월 21일 23:00", "21 Nov, 23:00");
        check("2025-11-21T14:00:00Z", "2025. 11. 21.", "21 Nov 2025");
        check("2026-11-22T01:00:00.5Z", "방금", "now");
        check("2026-11-22T01:02:00Z", "2분 뒤", "in 2 min");
        check("2026-11-22T05:00:00Z", "14:00:00", "14:00:00");
    }

    #[test]
    fn counts_and_bytes() {
        let check = |value: u64, full: &str, ko: &str, en: &str, size: &str| {
            assert_eq!(count(value, Lang::Ko), full);
            assert_eq!(compact(value, Lang::Ko), ko);
            assert_eq!(compact(value, Lang::En), en);
            assert_eq!(bytes(value), size);
        };
        check(0, "0", "0", "0", "0 B");
        check(999, "999", "999", "999", "999 B");
        check(1_000, "1,000", "1,000", "1,000", "1 KB");
        check(9_999, "9,999", "9,999", "9,999", "10 KB");
        check(10_000, "10,000", "1만", "10 k", "10 KB");
        check(12_345, "12,345", "1.2만", "12.3 k", "12.3 KB");
        check(999_960, "999,960", "100만", "1 M", "1 MB");
        check(99_999_600, "99,999,600", "1억", "100 M", "100 MB");
        check(418_200_000, "418,200,000", "4.2억", "418.2 M", "418.2 MB");
        check(96_300_000_000, "96,300,000,000", "963억", "96.3 G", "96.3 GB");
        check(1_234_500_000_000, "1,234,500,000,000", "1.2조", "1.2 T", "1.2 TB");
        check(u64::MAX, "18,446,744,073,709,551,615", "18,446,744.1조", "18,446,744.1 T", "18,446.7 PB");
    }

    #[test]
    fn rates() {
        let check = |value: f64, expect: &str| assert_eq!(rate(value), expect);
        check(0.0, "0/s");
        check(0.01, "<0.1/s");
        check(0.34, "0.3/s");
        check(12.5, "12.5/s");
        check(99.96, "100/s");
        check(50_123.4, "50,123/s");
        check(f64::NAN, "–");
        check(f64::INFINITY, "–");
    }

    #[test]
    fn durations() {
        let check = |nanos: u64, ko: &str, en: &str| {
            assert_eq!(duration(nanos, Lang::Ko), ko);
            assert_eq!(duration(nanos, Lang::En), en);
        };
        check(0, "0초", "0 s");
        check(900, "900 ns", "900 ns");
        check(42_000, "42 µs", "42 µs");
        check(1_250_000, "1.2 ms", "1.2 ms");
        check(42_999_999, "42 ms", "42 ms");
        check(1_240_000_000, "1.2초", "1.2 s");
        check(200_000_000_000, "3분 20초", "3 min 20 s");
        check(7_500_000_000_000, "2시간 5분", "2 h 5 min");
        check(7_200_000_000_000, "2시간", "2 h");
        check(360_000_000_000_000, "4일 4시간", "4 d 4 h");
    }

    #[test]
    fn numbers() {
        let check = |value: f64, expect: &str| assert_eq!(number(value), expect);
        check(0.0, "0");
        check(-0.0, "0");
        check(81.2, "81.2");
        check(2.08, "2.08");
        check(1_234.567_8, "1,234.57");
        check(-1_234_567.0, "-1,234,567");
        check(9_007_199_254_740_992.0, "9.0072e15");
        check(0.1 + 0.2, "0.3");
        check(1.5e-7, "1.5e-7");
        check(1e300, "1e300");
        check(0.00012, "0.00012");
        check(999_999.9, "1,000,000");
        check(f64::NAN, "–");
    }
}
