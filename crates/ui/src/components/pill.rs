//! Small words with a colour; the shape of their mark differs too, so that colour never stands alone.

use crate::charts::Band;
use domain::Level;
use leptos::prelude::*;

/// What a pill means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is what it is called")]
pub enum Tone {
    Ok,
    Warn,
    Error,
    Muted,
}

impl Tone {
    fn class(self) -> &'static str {
        match self {
            Self::Ok => "pill ok",
            Self::Warn => "pill warn",
            Self::Error => "pill err",
            Self::Muted => "pill mute",
        }
    }
}

/// A pill with a word.
pub fn pill(tone: Tone, text: impl Fn() -> &'static str + Send + Sync + 'static) -> AnyView {
    view! { <span class=tone.class()>{text}</span> }.into_any()
}

/// A level as event lists show it.
pub fn level_tag(level: Option<Level>) -> AnyView {
    let class = format!("lv {}", Band::of(level).name());
    view! { <span class=class>{level.map_or("–", short_name)}</span> }.into_any()
}

/// The level's name, short enough for a column.
fn short_name(level: Level) -> &'static str {
    match level {
        Level::Critical => "crit",
        Level::Emergency => "emerg",
        other => other.name(),
    }
}
