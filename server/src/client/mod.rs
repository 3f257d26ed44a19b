//! The client of QGX lines (DESIGN section 4), shared by `qgx agent` and `qgx send`.

pub mod connection;
pub mod sender;

pub use connection::{Hello, Reply, Target};
pub use sender::{Progress, SendError, SenderOptions};
