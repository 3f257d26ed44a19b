//! Writing queries: what is written here, the parser reads back as the same.

use super::{Comparison, Expr, Field};
use std::fmt::{self, Display, Formatter};

/// A value or free text as it must be written to be taken literally: bare where it can be, else in quotes.
pub fn quote(value: &str) -> String {
    let special = |c: char| c.is_whitespace() || c.is_control() || "()\":<>\\*[]".contains(c);
    let bare = !value.is_empty()
        && !value.starts_with(['-', '='])
        && !matches!(value, "AND" | "OR" | "NOT" | "fields.")
        && !value.contains(special);
    if bare {
        return value.to_owned();
    }
    let mut quoted = String::with_capacity(value.len() + 2);
    quoted.push('"');
    for c in value.chars() {
        if matches!(c, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}

impl Display for Field {
    /// The name people write, with dots; quoting is for [`Expr`] to add.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Id => "id",
            Self::Source => "source",
            Self::Kind => "kind",
            Self::Level => "level",
            Self::Message => "message",
            Self::Ts => "ts",
            Self::ReceivedAt => "received_at",
            Self::Raw => "raw",
            Self::Named(own) => {
                let dotted = own.replace('/', ".");
                // An envelope name, or one that itself begins with `fields.`, is the record's own only when it says so.
                let hidden = Self::parse(&dotted) != *self;
                return if hidden { write!(f, "fields.{dotted}") } else { f.write_str(&dotted) };
            }
        })
    }
}

impl Display for Comparison {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Greater => ">",
            Self::AtLeast => ">=",
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::Equal => ":",
        })
    }
}

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let name = |field: &Field| quote(&field.to_string());
        match self {
            Self::All => Ok(()),
            Self::And(parts) => joined(f, parts, " ", |part| matches!(part, Self::Or(_))),
            Self::Or(parts) => joined(f, parts, " OR ", |_| false),
            Self::Not(inner) if matches!(**inner, Self::And(_) | Self::Or(_)) => write!(f, "NOT ({inner})"),
            Self::Not(inner) => write!(f, "-{inner}"),
            Self::Text { text, prefix } => write!(f, "{}{}", quote(text), if *prefix { "*" } else { "" }),
            Self::Equals { field, value } => write!(f, "{}:{}", name(field), quote(value)),
            Self::Prefix { field, prefix } => write!(f, "{}:{}*", name(field), quote(prefix)),
            Self::Exists { field } => write!(f, "{}:*", name(field)),
            Self::Number { field, comparison, value } => {
                let plain = *value == 0.0 || (1e-6..1e16).contains(&value.abs());
                if plain {
                    write!(f, "{}{comparison}{value}", name(field))
                } else {
                    write!(f, "{}{comparison}{value:e}", name(field))
                }
            }
            Self::Level { comparison, level } => write!(f, "level{comparison}{level}"),
            Self::Time { field, comparison, at } => write!(f, "{field}{comparison}{at}"),
        }
    }
}

fn joined(
    f: &mut Formatter<'_>,
    parts: &[Expr],
    between: &str,
    needs_parentheses: impl Fn(&Expr) -> bool,
) -> fmt::Result {
    for (i, part) in parts.iter().enumerate() {
        if i > 0 {
            f.write_str(between)?;
        }
        if needs_parentheses(part) {
            write!(f, "({part})")?;
        } else {
            write!(f, "{part}")?;
        }
    }
    Ok(())
}
