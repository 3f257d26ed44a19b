//! Components and charts shared by the web apps: one look, two languages, server-rendered and hydrated.
//!
//! * [`i18n`] holds the catalogue macro: a text without one of its languages does not compile.
//! * [`locale`] carries language, zone and the page's "now"; nothing here reads a clock or the browser's locale in
//!   the first render, so that server and browser draw the same.
//! * [`components`] are plain functions and components over the classes of `style/`.
//! * [`charts`]: bars and sparklines are SVG from the server; lines become uPlot once it has been loaded.
//! * [`browser`] is the little that we ask of the browser beyond Leptos.

// Views are deeply nested types.
#![recursion_limit = "256"]

pub mod browser;
pub mod charts;
pub mod components;
pub mod i18n;
pub mod icon;
pub mod locale;
mod texts;

pub use icon::{Icon, icon};
pub use locale::{Dating, Locale, use_locale};

/// A function that server-rendered views may hold: it never leaves its thread in the browser, and is `Send` on both.
pub type Handler<T> = leptos::prelude::Callback<T>;
