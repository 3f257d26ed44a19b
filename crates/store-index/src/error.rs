//! Which failures are the storage's, and which mean that an index is damaged.

use std::fmt::Display;
use store::index::IndexError;
use tantivy::TantivyError;
use tantivy::directory::error::OpenReadError;

/// As callers see it.
pub(crate) fn failed(error: impl Display) -> IndexError {
    IndexError::Failed(error.to_string())
}

/// Whether the files themselves are wrong. A full disk or too many open files are not that: they pass.
pub(crate) fn is_damage(error: &TantivyError) -> bool {
    match error {
        TantivyError::DataCorruption(_)
        | TantivyError::IncompatibleIndex(_)
        | TantivyError::SchemaError(_)
        | TantivyError::OpenReadError(
            OpenReadError::FileDoesNotExist(_) | OpenReadError::IncompatibleIndex(_),
        ) => true,
        TantivyError::IoError(error) => {
            matches!(error.kind(), std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof)
        }
        _ => false,
    }
}
