//! The address of Explore.

use crate::address::with_query;
use domain::api::Order;
use domain::{EventId, TimeRange, TimeWindow};
use leptos_router::params::ParamsMap;
use std::fmt;

/// The tabs of the event panel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Tab {
    /// Every field.
    #[default]
    Fields,
    /// What came over the wire.
    Raw,
    /// The same source, five minutes before and after.
    Around,
}

impl Tab {
    fn name(self) -> &'static str {
        match self {
            Self::Fields => "",
            Self::Raw => "raw",
            Self::Around => "around",
        }
    }
}

/// The most columns beside the fixed ones.
pub(super) const MOST_COLUMNS: usize = 4;

/// Everything the page's picture depends on.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Address {
    /// In the query language.
    pub q: String,
    /// As written; empty is the usual.
    pub from: String,
    /// As written; empty is the usual.
    pub to: String,
    /// Newest or oldest first.
    pub order: Order,
    /// Where the page of results starts, for browsers without scripts.
    pub cursor: String,
    /// Fields shown as columns.
    pub columns: Vec<String>,
    /// The event in the panel.
    pub event: Option<EventId>,
    /// What the panel shows of it.
    pub tab: Tab,
    /// New events come in by themselves.
    pub live: bool,
}

impl Address {
    pub(super) fn read(params: &ParamsMap) -> Self {
        let text = |name| params.get(name).unwrap_or_default();
        let columns = text("cols");
        Self {
            q: text("q").trim().to_owned(),
            from: text("from"),
            to: text("to"),
            order: if text("order") == "asc" { Order::Asc } else { Order::Desc },
            cursor: text("cursor"),
            columns: columns
                .split(',')
                .filter(|c| !c.is_empty())
                .take(MOST_COLUMNS)
                .map(str::to_owned)
                .collect(),
            event: EventId::parse(&text("event")).ok(),
            tab: match text("tab").as_str() {
                "raw" => Tab::Raw,
                "around" => Tab::Around,
                _ => Tab::Fields,
            },
            live: text("live") == "1",
        }
    }

    /// Another query starts at its first page, without an open event.
    pub(super) fn ask(&mut self, q: String) {
        self.q = q;
        self.cursor.clear();
        self.event = None;
    }

    /// Another window.
    pub(super) fn show(&mut self, range: TimeRange) {
        (self.from, self.to) = TimeWindow::absolute(range).to_query();
        self.cursor.clear();
        self.event = None;
        self.live = false;
    }

    /// Adds a column, or takes it away.
    pub(super) fn toggle_column(&mut self, name: &str) {
        if let Some(at) = self.columns.iter().position(|c| c == name) {
            self.columns.remove(at);
        } else if self.columns.len() < MOST_COLUMNS {
            self.columns.push(name.to_owned());
        }
    }

    /// The address of a download of all of it.
    pub(super) fn export(&self, format: &str) -> String {
        let order = if self.order == Order::Asc { "asc" } else { "" };
        let (from, to) = if self.from.is_empty() && self.to.is_empty() {
            TimeWindow::DEFAULT.to_query()
        } else {
            (self.from.clone(), self.to.clone())
        };
        with_query(
            "/download/events",
            [("q", &*self.q), ("from", &*from), ("to", &*to), ("order", order), ("format", format)],
        )
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let event = self.event.map(|id| id.to_string()).unwrap_or_default();
        f.write_str(&with_query(
            "/explore",
            [
                ("q", &*self.q),
                ("from", &*self.from),
                ("to", &*self.to),
                ("order", if self.order == Order::Asc { "asc" } else { "" }),
                ("cols", &*self.columns.join(",")),
                ("live", if self.live { "1" } else { "" }),
                ("cursor", &*self.cursor),
                ("event", &*event),
                ("tab", if self.event.is_some() { self.tab.name() } else { "" }),
            ],
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_it_was_written() {
        let check = |address: Address, expect: &str| {
            assert_eq!(address.to_string(), expect);
            let params = expect
                .split_once('?')
                .map_or("", |(_, query)| query)
                .split('&')
                .filter_map(|pair| pair.split_once('='))
                .map(|(k, v)| (k.to_owned(), v.replace("%3A", ":").replace("%2C", ",")))
                .collect::<ParamsMap>();
            assert_eq!(Address::read(&params), address);
        };
        check(Address::default(), "/explore");
        check(
            Address {
                q: "level:error".to_owned(),
                from: "now-1h".to_owned(),
                columns: vec!["rpm".to_owned(), "site".to_owned()],
                order: Order::Asc,
                event: EventId::parse("0190a1b2-0000-7000-8000-000000000001").ok(),
                tab: Tab::Raw,
                ..Address::default()
            },
            "/explore?q=level%3Aerror&from=now-1h&order=asc&cols=rpm%2Csite&event=0190a1b2-0000-7000-8000-000000000001&tab=raw",
        );
    }
}
