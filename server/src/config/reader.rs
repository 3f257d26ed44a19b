//! From text to types: every mistake is noted with its setting and its remedy, none stops the reading.

use super::layers::{Layers, Problem};
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::str::FromStr;

/// Reads settings and collects what is wrong with them.
pub struct Reader<'a> {
    layers: &'a Layers,
    problems: &'a mut Vec<Problem>,
}

impl<'a> Reader<'a> {
    /// Over these layers.
    pub fn new(layers: &'a Layers, problems: &'a mut Vec<Problem>) -> Self {
        Self { layers, problems }
    }

    /// Notes a problem with a setting.
    pub fn wrong(&mut self, key: &str, message: impl Into<String>) {
        self.problems.push(Problem { name: self.layers.name(key), message: message.into() });
    }

    /// The text; `None` where it is empty.
    pub fn text(&self, key: &str) -> Option<String> {
        let text = self.layers.text(key);
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// A path; `None` where it is empty.
    pub fn path(&self, key: &str) -> Option<PathBuf> {
        self.text(key).map(PathBuf::from)
    }

    /// A whole number within bounds.
    pub fn number<T>(&mut self, key: &str, bounds: std::ops::RangeInclusive<T>) -> T
    where
        T: FromStr + PartialOrd + Copy + std::fmt::Display,
    {
        match self.layers.text(key).parse::<T>() {
            Ok(number) if bounds.contains(&number) => number,
            _ => {
                self.wrong(
                    key,
                    format!(
                        "is {:?}; give a whole number from {} to {}",
                        self.layers.text(key),
                        bounds.start(),
                        bounds.end()
                    ),
                );
                *bounds.start()
            }
        }
    }

    /// True or false.
    pub fn truth(&mut self, key: &str) -> bool {
        match self.layers.text(key).to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => true,
            "false" | "0" | "no" | "off" => false,
            other => {
                self.wrong(key, format!("is {other:?}; give true or false"));
                false
            }
        }
    }

    /// A listener's address, its port shifted.
    pub fn listen(&mut self, key: &str, port_offset: u16) -> SocketAddr {
        let text = self.layers.text(key);
        // A name such as `localhost:31080` is fine; a bare port is not an address.
        let resolved =
            text.parse().ok().or_else(|| text.to_socket_addrs().ok().and_then(|mut found| found.next()));
        let Some(mut address) = resolved else {
            self.wrong(key, format!("is {text:?}; give an address and a port, such as 127.0.0.1:31080"));
            return SocketAddr::from(([127, 0, 0, 1], 0));
        };
        if address.port() != 0 {
            match address.port().checked_add(port_offset) {
                Some(port) => address.set_port(port),
                None => self.wrong(
                    key,
                    format!(
                        "is port {} and the offset {port_offset}, beyond 65535; lower one",
                        address.port()
                    ),
                ),
            }
        }
        address
    }

    /// An `http` or `https` origin without a path; `None` where it is empty.
    pub fn origin(&mut self, key: &str) -> Option<String> {
        let text = self.text(key)?;
        let parsed: Option<http::Uri> = text.parse().ok();
        let fits = parsed.as_ref().is_some_and(|uri| {
            matches!(uri.scheme_str(), Some("http" | "https"))
                && uri.authority().is_some()
                && matches!(uri.path(), "" | "/")
                && uri.query().is_none()
        });
        if !fits {
            self.wrong(
                key,
                format!("is {text:?}; give scheme and host alone, such as https://qgx.example.com"),
            );
            return None;
        }
        Some(text.trim_end_matches('/').to_owned())
    }

    /// A list separated by commas, each item read by `read`.
    pub fn list<T>(&mut self, key: &str, expected: &str, read: impl Fn(&str) -> Option<T>) -> Vec<T> {
        let text = self.layers.text(key).to_owned();
        let mut items = Vec::new();
        for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            match read(item) {
                Some(item) => items.push(item),
                None => self.wrong(key, format!("has {item:?}; give {expected}")),
            }
        }
        items
    }

    /// One of some words.
    pub fn choice<T: Copy>(&mut self, key: &str, choices: &[(&str, T)]) -> T {
        let text = self.layers.text(key);
        if let Some((_, choice)) = choices.iter().find(|(word, _)| *word == text) {
            return *choice;
        }
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        self.wrong(key, format!("is {text:?}; give one of {}", words.join(", ")));
        choices[0].1
    }
}
