//! Our own small set of icons: strokes on a 16 × 16 grid.

use leptos::prelude::*;

/// One picture of the set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is what it is called")]
pub enum Icon {
    Home,
    Search,
    Source,
    Plug,
    Gear,
    Clock,
    Down,
    Left,
    Right,
    Close,
    Check,
    Copy,
    Pause,
    Play,
    Share,
    Download,
    Plus,
    Minus,
    Without,
    Columns,
    Fold,
    Person,
    Leave,
    Warn,
    Info,
    Key,
    Terminal,
    File,
    Box,
    Bolt,
    Globe,
    Trash,
    Upload,
    Moon,
    Sun,
    Keyboard,
}

impl Icon {
    fn path(self) -> &'static str {
        match self {
            Self::Home => "M2.5 7.2 8 2.5l5.5 4.7V13.5h-3.7V9.3H6.2v4.2H2.5z",
            Self::Search => "M7 11.7a4.7 4.7 0 1 0 0-9.4 4.7 4.7 0 0 0 0 9.4zM10.5 10.5l3.2 3.2",
            Self::Source => "M2.3 3.5h11.4v3.6H2.3zM2.3 8.9h11.4v3.6H2.3zM4.6 5.3h.8M4.6 10.7h.8",
            Self::Plug => "M5.5 2v3.5M10.5 2v3.5M3.5 5.5h9v1.7a4.5 4.5 0 0 1-9 0zM8 11.7V14",
            Self::Gear => {
                "M8 10.3a2.3 2.3 0 1 0 0-4.6 2.3 2.3 0 0 0 0 4.6zM8 1.7v1.8M8 12.5v1.8M1.7 8h1.8M12.5 8h1.8M3.5 3.5l1.3 1.3M11.2 11.2l1.3 1.3M12.5 3.5l-1.3 1.3M4.8 11.2l-1.3 1.3"
            }
            Self::Clock => "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM8 4.8V8l2.2 1.5",
            Self::Down => "M4 6.2l4 4 4-4",
            Self::Left => "M9.8 4l-4 4 4 4",
            Self::Right => "M6.2 4l4 4-4 4",
            Self::Close => "M4 4l8 8M12 4l-8 8",
            Self::Check => "M3 8.5l3.3 3.3L13 4.8",
            Self::Copy => "M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3",
            Self::Pause => "M5.5 3.5v9M10.5 3.5v9",
            Self::Play => "M5 3.2l7.5 4.8L5 12.8z",
            Self::Share => "M9.5 2.5h4v4M13.5 2.5L7.5 8.5M11.5 9.5v4h-9v-9h4",
            Self::Download => "M8 2.5v7.5M5 7.2l3 3 3-3M2.5 13.5h11",
            Self::Upload => "M8 10.5V3M5 5.8l3-3 3 3M2.5 13.5h11",
            Self::Plus => "M8 3v10M3 8h10",
            Self::Minus => "M3 8h10",
            Self::Without => "M8 13.5a5.5 5.5 0 1 0 0-11 5.5 5.5 0 0 0 0 11zM4.2 11.8l7.6-7.6",
            Self::Columns => "M2.5 3h11v10h-11zM6.2 3v10M9.8 3v10",
            Self::Fold => "M12.5 4.5L9 8l3.5 3.5M7.5 4.5L4 8l3.5 3.5",
            Self::Person => {
                "M8 8.2a2.9 2.9 0 1 0 0-5.8 2.9 2.9 0 0 0 0 5.8zM2.8 14c.5-2.7 2.5-4 5.2-4s4.7 1.3 5.2 4"
            }
            Self::Leave => "M6.5 2.5h-4v11h4M6.5 8h7M10.8 5.3L13.5 8l-2.7 2.7",
            Self::Warn => "M8 2.3L14.3 13.3H1.7zM8 6.5v3M8 11.4v.1",
            Self::Info => "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM8 7.3v3.5M8 5v.1",
            Self::Key => "M5.3 13.2a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM7.5 8l6-5.7M11 4.7l1.8 1.9",
            Self::Terminal => "M2.3 3h11.4v10H2.3zM4.8 6l2 2-2 2M8.5 10h2.8",
            Self::File => "M4 2h5.5L12.5 5v9H4zM9.3 2v3.2h3.2",
            Self::Box => "M8 1.9l5.6 3v6.2L8 14.1l-5.6-3V4.9zM2.4 4.9L8 8l5.6-3.1M8 8v6.1",
            Self::Bolt => "M9 1.8L3.5 9.2H8l-1 5 5.5-7.4H8z",
            Self::Globe => {
                "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM2 8h12M8 2c2 1.8 2.7 3.8 2.7 6S10 12.2 8 14c-2-1.8-2.7-3.8-2.7-6S6 3.8 8 2z"
            }
            Self::Trash => "M3 4.5h10M6.5 4.3V2.7h3v1.6M4.3 4.5l.6 9h6.2l.6-9M6.7 7v4M9.3 7v4",
            Self::Moon => "M13 9.5A5.5 5.5 0 0 1 6.5 3a5.5 5.5 0 1 0 6.5 6.5z",
            Self::Sun => {
                "M8 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM8 1.5v1.3M8 13.2v1.3M1.5 8h1.3M13.2 8h1.3M3.4 3.4l.9.9M11.7 11.7l.9.9M12.6 3.4l-.9.9M4.3 11.7l-.9.9"
            }
            Self::Keyboard => "M1.8 4h12.4v8H1.8zM4 6.5h.1M6.7 6.5h.1M9.3 6.5h.1M12 6.5h.1M5 9.5h6",
        }
    }
}

/// Draws an icon. It is decoration: a word goes with it, or the control has a label.
pub fn icon(which: Icon) -> impl IntoView {
    view! {
        <svg class="i" viewBox="0 0 16 16" aria-hidden="true">
            <path d=which.path() />
        </svg>
    }
}

/// The mark of the family.
pub fn logo() -> impl IntoView {
    view! {
        <svg viewBox="0 0 20 20" aria-hidden="true">
            <rect width="20" height="20" rx="5" />
            <path d="M4.5 12.5c2-5 3.5-5 5 0s3.5 5 6-4" fill="none" stroke-width="2" stroke-linecap="round" />
        </svg>
    }
}
