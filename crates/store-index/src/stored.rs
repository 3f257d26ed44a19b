//! The event's JSON as the document store gives it back.

use bytes::Bytes;
use tantivy::schema::document::{
    DeserializeError, DocumentDeserialize, DocumentDeserializer, ValueDeserialize, ValueDeserializer,
};

/// Section-5 JSON, as it was received.
pub(crate) struct StoredJson(pub Bytes);

struct Raw(String);

impl ValueDeserialize for Raw {
    fn deserialize<'de, D: ValueDeserializer<'de>>(deserializer: D) -> Result<Self, DeserializeError> {
        deserializer.deserialize_string().map(Self)
    }
}

impl DocumentDeserialize for StoredJson {
    fn deserialize<'de, D: DocumentDeserializer<'de>>(mut deserializer: D) -> Result<Self, DeserializeError> {
        match deserializer.next_field::<Raw>()? {
            Some((_, Raw(json))) => Ok(Self(json.into())),
            None => Err(DeserializeError::custom("a document without its event")),
        }
    }
}
