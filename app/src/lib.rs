//! The user web: server-rendered and hydrated.
//!
//! * [`shell`](shell::shell) is the document, [`App`] its body; the server renders both, the browser hydrates `App`.
//! * [`boot`] is what the server tells the browser once a page: language, zone, person, and the page's "now".
//! * [`context`] is what the server tells pages and server functions of a request.
//! * [`call`] is how the browser asks the server, once for all types.
//! * [`server_fns`] are the calls from the browser, each a few lines over a service.
//! * [`pages`] are the screens; [`frame`] is what stands around them; [`live`] is the one stream of a page.
//! * [`texts`] is the catalogue. It is our own (see `ui::i18n`): a text without one of its languages does not compile.
//!
//! Features: exactly one of `ssr` (the server's face) and `hydrate` (the browser's).

// Views are deeply nested types.
#![recursion_limit = "256"]

#[cfg(all(feature = "ssr", target_arch = "wasm32"))]
compile_error!("feature `ssr` is for the server, not for WASM");
#[cfg(all(feature = "hydrate", not(target_arch = "wasm32"), not(feature = "ssr")))]
compile_error!("feature `hydrate` is for WASM");
// The two faces hydrate only if both have it.
#[cfg(not(erase_components))]
compile_error!(
    "built without `--cfg erase_components`: RUSTFLAGS hides .cargo/config.toml; unset it, or add the flag"
);

pub mod address;
mod app;
pub mod boot;
pub(crate) mod call;
#[cfg(feature = "ssr")]
pub mod context;
pub mod cookies;
pub mod error;
pub(crate) mod frame;
pub(crate) mod live;
pub(crate) mod pages;
pub(crate) mod server_fns;
#[cfg(feature = "ssr")]
pub mod shell;
pub(crate) mod texts;

pub use app::App;
#[cfg(feature = "ssr")]
pub use shell::{routes, shell};
