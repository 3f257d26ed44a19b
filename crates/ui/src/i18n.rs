//! A typed catalogue of texts in two languages.
//!
//! We keep our own instead of a translation framework: every text stands next to its other language, a missing one is
//! a compile error, an unused one a warning, and the browser's share is the texts themselves. (`leptos_i18n` was
//! weighed: its parser, contexts and per-key types cost tens of kilobytes of WASM, and its language is bound to its own
//! cookie handling, where ours comes from profile, cookie and header on the server.)

use crate::locale::use_locale;
use domain::Lang;

/// Declares a catalogue: a `Copy` struct over [`Lang`] with one method a text, Korean first. A text with arguments
/// names them in braces, as in `format!`.
///
/// ```
/// ui::texts! {
///     /// Texts of an example.
///     pub struct Texts;
///     close => "닫기", "Close";
///     hits(count: &str) => "{count}건", "{count} events";
/// }
/// assert_eq!(Texts(domain::Lang::En).hits("12"), "12 events");
/// ```
#[macro_export]
macro_rules! texts {
    ($(#[$meta:meta])* $vis:vis struct $name:ident; $($text:ident $(($($args:tt)*))? => $ko:literal, $en:literal;)*) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy)]
        $vis struct $name(pub domain::Lang);
        impl From<domain::Lang> for $name {
            fn from(lang: domain::Lang) -> Self {
                Self(lang)
            }
        }
        #[allow(missing_docs, clippy::allow_attributes, reason = "a text says itself what it is")]
        impl $name {
            $($crate::texts!(@one $text [$($($args)*)?] $ko $en);)*
        }
    };
    (@one $text:ident [] $ko:literal $en:literal) => {
        pub fn $text(self) -> &'static str {
            self.0.pick($ko, $en)
        }
    };
    (@one $text:ident [$($arg:ident : $kind:ty),+] $ko:literal $en:literal) => {
        pub fn $text(self, $($arg: $kind),+) -> String {
            match self.0 {
                domain::Lang::Ko => format!($ko),
                domain::Lang::En => format!($en),
            }
        }
    };
}

/// A text that follows the language: for children and attributes of a view. One closure type for every text of a
/// catalogue, so that the browser's code has one copy of what draws it.
pub fn reactive<T: From<Lang> + 'static>(
    text: fn(T) -> &'static str,
) -> impl Fn() -> &'static str + Copy + Send + Sync + 'static {
    let lang = use_locale().lang;
    move || text(T::from(leptos::prelude::Get::get(&lang)))
}
