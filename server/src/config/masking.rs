//! The installation's masking rules in one line: `kr_rrn,phone=hash,pattern:EMP-######=drop`.

use super::reader::Reader;
use domain::masking::{Action, Kind, Rule, Rules};

/// The rules; none where a mistake was noted.
pub fn rules(read: &mut Reader<'_>) -> Vec<Rule> {
    parse(&read.text("masking").unwrap_or_default()).unwrap_or_else(|why| {
        read.wrong("masking", why);
        Vec::new()
    })
}

fn parse(text: &str) -> Result<Vec<Rule>, String> {
    if text.trim() == "none" {
        return Ok(Vec::new());
    }
    let rules = items(text).into_iter().map(rule).collect::<Result<Vec<_>, _>>()?;
    // The key makes no difference to whether they can be followed.
    Rules::new(rules.clone(), [0; 32]).map_err(|error| format!("cannot be followed: {error}"))?;
    Ok(rules)
}

/// What stands between commas; one behind a `\` is the pattern's.
fn items(text: &str) -> Vec<&str> {
    let (mut items, mut start, mut escaped) = (Vec::new(), 0, false);
    for (at, c) in text.char_indices() {
        if c == ',' && !escaped {
            items.push(text[start..at].trim());
            start = at + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    items.push(text[start..].trim());
    items
}

fn rule(item: &str) -> Result<Rule, String> {
    let named = item.rsplit_once('=').and_then(|(what, action)| Some((what, Action::parse(action)?)));
    let (what, action) = named.unwrap_or((item, Action::Mask));
    let (kind, pattern) = what.split_once(':').unwrap_or((what, ""));
    match Kind::parse(kind) {
        Some(kind) => Ok(Rule { kind, action, pattern: pattern.to_owned() }),
        None => Err(format!(
            "has {item:?}; give none, or kr_rrn, phone, card, email or pattern:PATTERN, each with =mask, =hash or =drop \
             where stars are not what is wanted"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read() {
        fn check(text: &str, expect: &[(Kind, Action, &str)]) {
            let expect: Vec<_> = expect
                .iter()
                .map(|(kind, action, pattern)| Rule {
                    kind: *kind,
                    action: *action,
                    pattern: (*pattern).to_owned(),
                })
                .collect();
            assert_eq!(parse(text).unwrap(), expect, "{text}");
        }
        check("none", &[]);
        check("kr_rrn", &[(Kind::KrRrn, Action::Mask, "")]);
        check(
            "phone=hash, card=drop,email=mask",
            &[
                (Kind::Phone, Action::Hash, ""),
                (Kind::Card, Action::Drop, ""),
                (Kind::Email, Action::Mask, ""),
            ],
        );
        check(
            r"pattern:EMP:##=drop,pattern:a\,=b\\,phone",
            &[
                (Kind::Pattern, Action::Drop, "EMP:##"),
                (Kind::Pattern, Action::Mask, r"a\,=b\\"),
                (Kind::Phone, Action::Mask, ""),
            ],
        );
    }

    #[test]
    fn mistakes_are_named() {
        for wrong in
            ["", "telephone", "phone=star", "kr_rrn,,phone", "none,phone", "pattern", "pattern:", "phone:##"]
        {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
