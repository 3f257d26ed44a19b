//! Where the SQL of SQLite and MySQL differs.

use std::fmt::Write;

/// A flavour of SQL. Statements use `?` and no `RETURNING`; whatever differs is built here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    /// MySQL and MariaDB: only what both take.
    MySql,
}

/// What becomes of a column where the row is already there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Merge {
    /// The old value stays.
    Keep,
    /// The new value stands.
    Replace,
    /// Old plus new.
    Add,
    /// Old plus new of doubles; none from then on where that is beyond what a double holds.
    Sum,
    /// The lesser; one that is there before none.
    Least,
    /// The greater; one that is there before none.
    Greatest,
    /// The new value where the named column is not less than it was. Of equal ones the later write stands.
    WithLater(&'static str),
    /// The time of the least value in the named column; of equal values the earlier time.
    TimeOfLeast(&'static str),
    /// The time of the greatest value in the named column; of equal values the earlier time.
    TimeOfGreatest(&'static str),
}

impl Merge {
    /// The column whose old value it looks at. It must be assigned after this one: MySQL assigns from left to right
    /// and reads what it has assigned.
    fn looks_at(self) -> Option<&'static str> {
        match self {
            Self::WithLater(column) | Self::TimeOfLeast(column) | Self::TimeOfGreatest(column) => {
                Some(column)
            }
            Self::Keep | Self::Replace | Self::Add | Self::Sum | Self::Least | Self::Greatest => None,
        }
    }
}

/// An insert that merges into a row that is already there.
#[derive(Debug)]
pub(crate) struct Upsert {
    pub table: &'static str,
    /// The columns of the unique key, the first of a row.
    pub key: &'static [&'static str],
    /// The other columns, in the order of a row.
    pub columns: &'static [(&'static str, Merge)],
}

impl Upsert {
    /// Values a row.
    pub fn width(&self) -> usize {
        self.key.len() + self.columns.len()
    }
}

impl Dialect {
    /// How many values a statement may bind. SQLite: `SQLITE_MAX_VARIABLE_NUMBER` of its own default build; MySQL's
    /// protocol counts them in 16 bits.
    pub fn most_values(self) -> usize {
        match self {
            Self::Sqlite => 32_766,
            Self::MySql => 65_535,
        }
    }

    /// What ends a read inside a transaction whose rows must stay as they are until it commits. SQLite's transactions
    /// that write exclude each other.
    pub fn for_update(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::MySql => " FOR UPDATE",
        }
    }

    /// The text of an upsert of so many rows.
    pub fn upsert(self, upsert: &Upsert, rows: usize) -> String {
        debug_assert!(
            upsert.columns.iter().enumerate().all(|(at, (_, merge))| {
                merge
                    .looks_at()
                    .is_none_or(|seen| upsert.columns[at + 1..].iter().any(|(name, _)| *name == seen))
            }),
            "a column of {} looks at one that is assigned before it",
            upsert.table
        );
        let width = upsert.width();
        let mut text = String::with_capacity(512 + rows * (width * 2 + 2));
        let _ = write!(text, "INSERT INTO {} (", upsert.table);
        let names = upsert.key.iter().copied().chain(upsert.columns.iter().map(|(name, _)| *name));
        for (at, name) in names.enumerate() {
            let _ = write!(text, "{}{name}", if at == 0 { "" } else { ", " });
        }
        text.push_str(") VALUES ");
        for row in 0..rows {
            text.push_str(if row == 0 { "(" } else { ",(" });
            placeholders(&mut text, width);
            text.push(')');
        }
        self.push_merge(&mut text, upsert);
        text
    }

    fn push_merge(self, text: &mut String, upsert: &Upsert) {
        let mut changed = upsert.columns.iter().filter(|(_, merge)| *merge != Merge::Keep).peekable();
        let keeps = changed.peek().is_none();
        match self {
            Self::Sqlite if keeps => {
                let _ = write!(text, " ON CONFLICT ({}) DO NOTHING", upsert.key.join(", "));
            }
            Self::Sqlite => {
                let _ = write!(text, " ON CONFLICT ({}) DO UPDATE SET ", upsert.key.join(", "));
            }
            // IGNORE would swallow other errors too; assigning a key column to itself changes nothing.
            Self::MySql if keeps => {
                let _ = write!(text, " ON DUPLICATE KEY UPDATE {0} = {0}", upsert.key[0]);
            }
            Self::MySql => text.push_str(" ON DUPLICATE KEY UPDATE "),
        }
        for (at, (column, merge)) in changed.enumerate() {
            let _ = write!(text, "{}{column} = ", if at == 0 { "" } else { ", " });
            self.push_value(text, upsert.table, column, *merge);
        }
    }

    fn push_value(self, text: &mut String, table: &str, column: &str, merge: Merge) {
        let old = |name: &str| format!("{table}.{name}");
        // The row alias of MySQL 8.0.19 is unknown to MariaDB; VALUES() is known to both.
        let new = |name: &str| match self {
            Self::Sqlite => format!("excluded.{name}"),
            Self::MySql => format!("VALUES({name})"),
        };
        let (was, is) = (old(column), new(column));
        let _ = match merge {
            Merge::Keep => text.write_str(&was),
            Merge::Replace => text.write_str(&is),
            Merge::Add => write!(text, "{was} + {is}"),
            Merge::Sum => match self {
                Self::Sqlite => write!(text, "{was} + {is}"),
                // Beyond it, MySQL refuses the statement. Halves can always be added.
                Self::MySql => {
                    let half = f64::MAX / 2.0;
                    write!(
                        text,
                        "CASE WHEN ABS({was} / 2 + {is} / 2) > {half:e} THEN NULL ELSE {was} + {is} END"
                    )
                }
            },
            Merge::Least => write!(text, "CASE WHEN {was} IS NULL OR {is} < {was} THEN {is} ELSE {was} END"),
            Merge::Greatest => {
                write!(text, "CASE WHEN {was} IS NULL OR {is} > {was} THEN {is} ELSE {was} END")
            }
            Merge::WithLater(by) => {
                let (was_by, is_by) = (old(by), new(by));
                write!(text, "CASE WHEN {was_by} IS NULL OR {is_by} >= {was_by} THEN {is} ELSE {was} END")
            }
            Merge::TimeOfLeast(by) | Merge::TimeOfGreatest(by) => {
                let (was_by, is_by) = (old(by), new(by));
                let sign = if matches!(merge, Merge::TimeOfLeast(_)) { '<' } else { '>' };
                write!(
                    text,
                    "CASE WHEN {is_by} {sign} {was_by} OR ({is_by} = {was_by} AND {is} < {was}) THEN {is} ELSE {was} END"
                )
            }
        };
    }
}

/// Appends `?,?,…`.
pub(crate) fn placeholders(text: &mut String, count: usize) {
    for at in 0..count {
        text.push_str(if at == 0 { "?" } else { ",?" });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READING: Upsert = Upsert {
        table: "reading",
        key: &["place", "minute"],
        columns: &[
            ("n", Merge::Add),
            ("total", Merge::Sum),
            ("low_at", Merge::TimeOfLeast("low")),
            ("low", Merge::Least),
            ("label", Merge::Keep),
            ("value", Merge::WithLater("at")),
            ("at", Merge::Greatest),
        ],
    };
    const NAME: Upsert = Upsert { table: "name", key: &["id", "text"], columns: &[("label", Merge::Keep)] };

    fn check(dialect: Dialect, upsert: &Upsert, rows: usize, expect: &str) {
        assert_eq!(dialect.upsert(upsert, rows), expect);
    }

    #[test]
    fn sqlite_merges_on_conflict() {
        check(
            Dialect::Sqlite,
            &READING,
            2,
            "INSERT INTO reading (place, minute, n, total, low_at, low, label, value, at) \
             VALUES (?,?,?,?,?,?,?,?,?),(?,?,?,?,?,?,?,?,?) ON CONFLICT (place, minute) DO UPDATE SET \
             n = reading.n + excluded.n, \
             total = reading.total + excluded.total, \
             low_at = CASE WHEN excluded.low < reading.low OR (excluded.low = reading.low AND excluded.low_at < \
             reading.low_at) THEN excluded.low_at ELSE reading.low_at END, \
             low = CASE WHEN reading.low IS NULL OR excluded.low < reading.low THEN excluded.low ELSE reading.low END, \
             value = CASE WHEN reading.at IS NULL OR excluded.at >= reading.at THEN excluded.value ELSE reading.value \
             END, \
             at = CASE WHEN reading.at IS NULL OR excluded.at > reading.at THEN excluded.at ELSE reading.at END",
        );
        check(
            Dialect::Sqlite,
            &NAME,
            1,
            "INSERT INTO name (id, text, label) VALUES (?,?,?) ON CONFLICT (id, text) DO NOTHING",
        );
    }

    #[test]
    fn mysql_merges_on_duplicate_key() {
        check(
            Dialect::MySql,
            &READING,
            1,
            "INSERT INTO reading (place, minute, n, total, low_at, low, label, value, at) VALUES (?,?,?,?,?,?,?,?,?) \
             ON DUPLICATE KEY UPDATE \
             n = reading.n + VALUES(n), \
             total = CASE WHEN ABS(reading.total / 2 + VALUES(total) / 2) > 8.988465674311579e307 THEN NULL ELSE \
             reading.total + VALUES(total) END, \
             low_at = CASE WHEN VALUES(low) < reading.low OR (VALUES(low) = reading.low AND VALUES(low_at) < \
             reading.low_at) THEN VALUES(low_at) ELSE reading.low_at END, \
             low = CASE WHEN reading.low IS NULL OR VALUES(low) < reading.low THEN VALUES(low) ELSE reading.low END, \
             value = CASE WHEN reading.at IS NULL OR VALUES(at) >= reading.at THEN VALUES(value) ELSE reading.value \
             END, \
             at = CASE WHEN reading.at IS NULL OR VALUES(at) > reading.at THEN VALUES(at) ELSE reading.at END",
        );
        check(
            Dialect::MySql,
            &NAME,
            1,
            "INSERT INTO name (id, text, label) VALUES (?,?,?) ON DUPLICATE KEY UPDATE id = id",
        );
    }

    #[test]
    #[should_panic(expected = "assigned before")]
    fn a_column_that_looks_at_an_assigned_one_is_refused() {
        let wrong = Upsert {
            table: "reading",
            key: &["place"],
            columns: &[("at", Merge::Greatest), ("value", Merge::WithLater("at"))],
        };
        Dialect::MySql.upsert(&wrong, 1);
    }
}
