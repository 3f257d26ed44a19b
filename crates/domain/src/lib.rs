//! The shapes and rules every part of QGX shares: identifiers, times, events, the tokeniser, the query
//! language, and what services hand to the web. Safe for WASM: no I/O, no clock, no randomness.

pub mod api;
pub mod event;
pub mod format;
pub mod histogram;
pub mod id;
pub mod lang;
pub mod level;
#[cfg(not(target_arch = "wasm32"))]
pub mod masking;
pub mod net;
pub mod query;
pub mod role;
pub mod text;
pub mod time;
mod tzif;
pub mod unit;
pub mod window;
pub mod zone;

pub use event::{Event, EventKind, FieldValue};
pub use id::{EventId, SourceKey, TenantId};
pub use lang::Lang;
pub use level::Level;
pub use role::{Permission, Role};
pub use time::{TimeRange, Timestamp};
pub use unit::Unit;
pub use window::TimeWindow;
pub use zone::{Civil, Zone};
