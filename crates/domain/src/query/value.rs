//! What a written value can mean besides a string.

/// The number a value stands for: an optional sign, digits with an optional fraction, an optional exponent; finite.
/// Full-width digits count.
pub fn as_number(value: &str) -> Option<f64> {
    let folded;
    let text = if value.is_ascii() {
        value
    } else {
        folded = crate::text::fold(value);
        &folded
    };
    let written = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E'));
    // The standard parser also takes words such as `inf`; those are no numbers here.
    if !written {
        return None;
    }
    text.parse::<f64>().ok().filter(|v| v.is_finite())
}

/// The boolean a value stands for: `true` or `false`, without regard to case.
pub fn as_bool(value: &str) -> Option<bool> {
    match crate::text::fold(value).as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        let check = |value, expect| assert_eq!(as_number(value), expect, "{value:?}");
        check("80", Some(80.0));
        check("-1.5e3", Some(-1500.0));
        check("+.5", Some(0.5));
        check("８０", Some(80.0));
        for none in ["", "-", "e", "inf", "NaN", "1e400", "0x10", "1_000", "1,000", " 1", "1.2.3", "infinity"]
        {
            check(none, None);
        }
    }

    #[test]
    fn booleans() {
        assert_eq!(as_bool("TRUE"), Some(true));
        assert_eq!(as_bool("ｆalse"), Some(false));
        assert_eq!(as_bool("yes"), None);
    }
}
