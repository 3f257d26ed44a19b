//! What every HTTP listener shares: the accept loop, TLS, and the middleware, assembled in [`stack`].

pub mod actor;
mod body;
mod crowd;
pub mod csrf;
pub mod extract;
pub mod guesses;
mod head;
pub mod headers;
pub mod idempotency;
pub mod listener;
pub mod origin;
mod path;
pub mod patience;
pub mod problem;
mod pulse;
pub mod rate;
pub mod red;
pub mod session;
pub mod session_store;
pub mod sse;
pub mod stack;
mod stream;
pub mod tls;

pub use actor::Caller;
pub use origin::RequestOrigin;
pub use problem::{ApiError, ProblemExt};
pub use stack::{HttpState, Site};
