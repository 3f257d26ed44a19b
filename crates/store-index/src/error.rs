//! Which failures are the storage's, and which mean that an index is damaged.

use std::fmt::Display;
use std::path::Path;
use store::index::IndexError;
use tantivy::TantivyError;
use tantivy::directory::error::OpenReadError;

/// As callers see it.
pub(crate) fn failed(error: impl Display) -> IndexError {
    IndexError::Failed(error.to_string())
}

/// Why an index cannot be opened, and what to do about it.
pub(crate) fn cannot_open(index: &Path, error: &TantivyError) -> IndexError {
    match error {
        TantivyError::IncompatibleIndex(_)
        | TantivyError::SchemaError(_)
        | TantivyError::OpenReadError(OpenReadError::IncompatibleIndex(_)) => {
            let name = index.file_name().unwrap_or_default().display();
            IndexError::Failed(format!(
                "the event index {name} was made by another version: start the version that made it, or move its \
                 directory elsewhere to go on without its events ({error})"
            ))
        }
        other => failed(other),
    }
}

/// Whether the files themselves are wrong. A full disk or too many open files are not that: they pass. Nor is an index
/// of another version: that version reads it.
pub(crate) fn is_damage(error: &TantivyError) -> bool {
    match error {
        TantivyError::DataCorruption(_) | TantivyError::OpenReadError(OpenReadError::FileDoesNotExist(_)) => {
            true
        }
        TantivyError::IoError(error) => {
            matches!(error.kind(), std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof)
        }
        _ => false,
    }
}
