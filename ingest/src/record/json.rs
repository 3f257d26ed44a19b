//! JSON objects into a [`Draft`], without a tree in between.
//!
//! serde_json checks the text and cuts it into members; each member's text is sorted by its first byte. So numbers
//! keep their digits, strings without escapes are borrowed, and depth is bounded by us, not by the stack.

use super::draft::{Draft, Scalar, TOKEN_NAME};
use super::refuse::RecordError;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// How a protocol names its fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Naming {
    /// As they are.
    Plain,
    /// GELF: additional fields start with an underscore, which is not part of the name.
    Gelf,
    /// Beats (ECS): `host.name` names the host, and the fields that a person adds stand in `fields`, a credential too.
    Beats,
}

/// Reads one JSON object.
///
/// # Errors
/// Where it is none, or breaks a limit.
pub fn object(draft: &mut Draft, text: &str, naming: Naming) -> Result<(), RecordError> {
    let text = text.trim_matches([' ', '\t', '\r', '\n']);
    if !text.starts_with('{') {
        // Told apart so that people see whether their JSON or their shape is wrong.
        return Err(match serde_json::from_str::<&RawValue>(text) {
            Ok(_) => RecordError::NotAnObject,
            Err(error) => RecordError::InvalidJson(error.to_string()),
        });
    }
    let mut reading = Reading { draft, path: String::new(), depth: 1, naming, failure: None };
    reading.members(text)
}

struct Reading<'d> {
    draft: &'d mut Draft,
    /// Of the object being read, with a separator at the end; empty at the top.
    path: String,
    depth: usize,
    naming: Naming,
    /// Our own reason, which serde's error type cannot carry.
    failure: Option<RecordError>,
}

impl Reading<'_> {
    fn members(&mut self, text: &str) -> Result<(), RecordError> {
        let mut json = serde_json::Deserializer::from_str(text);
        let read = Members(self).deserialize(&mut json).and_then(|()| json.end());
        match (self.failure.take(), read) {
            (Some(failure), _) => Err(failure),
            (None, Err(error)) => Err(RecordError::InvalidJson(error.to_string())),
            (None, Ok(())) => Ok(()),
        }
    }

    fn member(&mut self, name: &str, value: &str) -> Result<(), RecordError> {
        let top = self.depth == 1;
        let name = match self.naming {
            Naming::Gelf if top => name.strip_prefix('_').unwrap_or(name),
            Naming::Gelf | Naming::Plain | Naming::Beats => name,
        };
        if name == TOKEN_NAME && !top {
            if self.naming == Naming::Beats && self.path == "fields/" {
                self.credential(value);
            }
            return Ok(());
        }
        match value.as_bytes().first() {
            Some(b'{') => self.nested(name, value),
            Some(b'[') => self.array(name, value),
            Some(b'n') | None => Ok(()),
            _ => {
                let mut kept = None;
                let scalar = scalar(value, &mut kept)?;
                if top {
                    self.draft.top_level(name, scalar)
                } else {
                    if self.naming == Naming::Beats && self.path == "host/" && name == "name" {
                        self.draft.host_beside(scalar);
                    }
                    self.with_path(name, |draft, path| draft.field(path, scalar))
                }
            }
        }
    }

    /// Only texts can be credentials.
    fn credential(&mut self, value: &str) {
        let mut kept = None;
        if let Ok(Scalar::Text(text)) = scalar(value, &mut kept) {
            self.draft.credential(text);
        }
    }

    fn nested(&mut self, name: &str, value: &str) -> Result<(), RecordError> {
        let limits = *self.draft.limits();
        if self.depth >= limits.depth {
            return Err(RecordError::TooDeep(limits.depth));
        }
        if self.path.len() + name.len() + 1 > limits.name_bytes {
            return Err(RecordError::NameTooLong(limits.name_bytes));
        }
        let before = self.path.len();
        self.path.push_str(name);
        self.path.push('/');
        self.depth += 1;
        let read = self.members(value);
        self.depth -= 1;
        self.path.truncate(before);
        read
    }

    fn array(&mut self, name: &str, value: &str) -> Result<(), RecordError> {
        let items: Vec<&RawValue> =
            serde_json::from_str(value).map_err(|error| RecordError::InvalidJson(error.to_string()))?;
        if items.iter().any(|item| matches!(item.get().as_bytes().first(), Some(b'{' | b'['))) {
            let limit = self.draft.limits().depth;
            // The array itself is a level below its member.
            if self.depth + nesting(value) > limit {
                return Err(RecordError::TooDeep(limit));
            }
            let text = without_token(value);
            return self.with_path(name, |draft, path| draft.text(path, &text));
        }
        let mut texts: Vec<Option<String>> = vec![None; items.len()];
        let mut scalars = Vec::with_capacity(items.len());
        for (item, kept) in items.iter().zip(&mut texts) {
            if item.get() != "null" {
                scalars.push(scalar(item.get(), kept)?);
            }
        }
        self.with_path(name, |draft, path| draft.many(path, scalars.iter().copied()))
    }

    fn with_path(
        &mut self,
        name: &str,
        write: impl FnOnce(&mut Draft, &str) -> Result<(), RecordError>,
    ) -> Result<(), RecordError> {
        if self.path.is_empty() {
            return write(self.draft, name);
        }
        let before = self.path.len();
        self.path.push_str(name);
        let written = write(self.draft, &self.path);
        self.path.truncate(before);
        written
    }
}

/// A scalar from its JSON; a string with escapes is decoded into `kept`.
fn scalar<'a>(json: &'a str, kept: &'a mut Option<String>) -> Result<Scalar<'a>, RecordError> {
    Ok(match json.as_bytes().first() {
        Some(b'"') => {
            let inner = &json[1..json.len() - 1];
            if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
                Scalar::Text(inner)
            } else {
                let text = serde_json::from_str(json)
                    .map_err(|error| RecordError::InvalidJson(error.to_string()))?;
                Scalar::Text(kept.insert(text))
            }
        }
        Some(b't') => Scalar::Bool(true),
        Some(b'f') => Scalar::Bool(false),
        _ => Scalar::Number(json),
    })
}

/// How many levels of arrays and objects a JSON text opens within each other.
fn nesting(json: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0usize, 0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// The JSON text of an array without credentials in the objects it holds. Its depth is bounded by the caller.
fn without_token(json: &str) -> Cow<'_, str> {
    fn strip(value: &mut serde_json::Value) {
        match value {
            serde_json::Value::Object(members) => {
                members.remove(TOKEN_NAME);
                members.values_mut().for_each(strip);
            }
            serde_json::Value::Array(items) => items.iter_mut().for_each(strip),
            _ => {}
        }
    }
    // An escaped spelling (`\u0071gx_token`) has a backslash.
    let suspect = memchr::memmem::find(json.as_bytes(), TOKEN_NAME.as_bytes()).is_some()
        || memchr::memchr(b'\\', json.as_bytes()).is_some();
    if !suspect {
        return Cow::Borrowed(json);
    }
    match serde_json::from_str::<serde_json::Value>(json) {
        Ok(mut value) => {
            strip(&mut value);
            Cow::Owned(value.to_string())
        }
        // A number beyond f64, or a lone surrogate: the text is kept only where no token can hide in it.
        Err(_) if !json.contains(TOKEN_NAME) && !json.contains("\\u") => Cow::Borrowed(json),
        Err(_) => Cow::Borrowed("[]"),
    }
}

struct Members<'r, 'd>(&'r mut Reading<'d>);

impl<'de> DeserializeSeed<'de> for Members<'_, '_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Members<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<domain::event::Text<'de>>()? {
            let value: &'de RawValue = map.next_value()?;
            if let Err(failure) = self.0.member(&name.0, value.get()) {
                self.0.failure = Some(failure);
                return Err(A::Error::custom("refused"));
            }
        }
        Ok(())
    }
}
