//! GELF 1.1 (Graylog Extended Log Format) over TCP: uncompressed JSON objects, each ended by a NUL.

use crate::record::json::{self, Naming};
use crate::record::{Draft, RecordError};

/// Reads one message. `timestamp` is seconds with a fraction, `level` a syslog severity; additional fields lose their
/// underscore, `_qgx_token` is a credential.
///
/// # Errors
/// Where it is no JSON object, or breaks a limit.
pub fn read(draft: &mut Draft, text: &str) -> Result<(), RecordError> {
    json::object(draft, text, Naming::Gelf)
}
