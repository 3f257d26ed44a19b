//! The event: one shape from broker to index (DESIGN section 5).

use crate::{EventId, Level, SourceKey, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// What an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum EventKind {
    /// Has a message.
    Log,
    /// No message and at least one number, or Influx line protocol.
    Metric,
    /// Neither.
    Event,
}

impl EventKind {
    /// The stored name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Metric => "metric",
            Self::Event => "event",
        }
    }
}

/// One value, or several of a name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum OneOrMany<T> {
    /// A single value.
    One(T),
    /// Several, in the order given.
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    /// The values, one or more.
    pub fn as_slice(&self) -> &[T] {
        match self {
            Self::One(v) => std::slice::from_ref(v),
            Self::Many(v) => v,
        }
    }
}

/// An event as it stands in the broker and in the index, borrowing from its JSON. Names in `n`, `s`, `b` have
/// `/` where people write `.`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredEvent<'a> {
    /// See [`EventId`].
    pub id: EventId,
    /// The tenant's key.
    #[serde(borrow)]
    pub tenant: Cow<'a, str>,
    /// The source's key.
    #[serde(borrow)]
    pub source: Cow<'a, str>,
    /// When it happened.
    pub ts: Timestamp,
    /// When ingestion took it; strictly increasing within a process.
    pub received_at: Timestamp,
    /// What it is.
    pub kind: EventKind,
    /// Severity, where the record had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<Level>,
    /// The text, where the record had one.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Cow<'a, str>>,
    /// Numbers.
    #[serde(borrow, default, skip_serializing_if = "Fields::is_empty")]
    pub n: Fields<'a, f64>,
    /// Strings.
    #[serde(borrow, default, skip_serializing_if = "Fields::is_empty")]
    pub s: Fields<'a, Text<'a>>,
    /// Booleans.
    #[serde(borrow, default, skip_serializing_if = "Fields::is_empty")]
    pub b: Fields<'a, bool>,
    /// Beyond the name budget: `name=value`.
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    pub x: Vec<Text<'a>>,
    /// The original bytes in base64, only where they differ from what is stored.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<Cow<'a, str>>,
}

/// A string that borrows where its JSON has no escapes. (serde borrows a bare `Cow<str>` inside a collection
/// only by this detour.)
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

/// Names and their values, in the order written. A name stands once.
#[derive(Debug, Clone, PartialEq)]
pub struct Fields<'a, T>(pub Vec<(Text<'a>, OneOrMany<T>)>);

impl<T> Default for Fields<'_, T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Fields<'_, T> {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The values of a name; none where it is absent.
    pub fn get(&self, name: &str) -> &[T] {
        self.0.iter().find(|(k, _)| k.0 == name).map_or(&[], |(_, v)| v.as_slice())
    }
}

impl<T: Serialize> Serialize for Fields<'_, T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(k, v)| (k, v)))
    }
}

impl<'de: 'a, 'a, T: Deserialize<'de>> Deserialize<'de> for Fields<'a, T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<'a, T>(std::marker::PhantomData<(&'a (), T)>);
        impl<'de: 'a, 'a, T: Deserialize<'de>> serde::de::Visitor<'de> for Visitor<'a, T> {
            type Value = Fields<'a, T>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object of names and values")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::with_capacity(map.size_hint().unwrap_or(8));
                while let Some(entry) = map.next_entry::<Text<'a>, OneOrMany<T>>()? {
                    fields.push(entry);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Visitor(std::marker::PhantomData))
    }
}

impl<'a> StoredEvent<'a> {
    /// Reads the JSON that ingestion wrote.
    ///
    /// # Errors
    /// Where it is not that shape.
    pub fn parse(json: &'a [u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(json)
    }

    /// The shape that API and UI show: one merged `fields`, names with dots.
    pub fn to_event(&self) -> Event {
        let mut fields = BTreeMap::<String, FieldValue>::new();
        let mut add = |name: &str, value: FieldValue| {
            let name = name.replace('/', ".");
            match fields.entry(name) {
                std::collections::btree_map::Entry::Vacant(slot) => {
                    slot.insert(value);
                }
                std::collections::btree_map::Entry::Occupied(mut slot) => slot.get_mut().append(value),
            }
        };
        for (name, values) in &self.n.0 {
            values.as_slice().iter().for_each(|v| add(&name.0, FieldValue::Number(*v)));
        }
        for (name, values) in &self.s.0 {
            values.as_slice().iter().for_each(|v| add(&name.0, FieldValue::Text(v.0.to_string())));
        }
        for (name, values) in &self.b.0 {
            values.as_slice().iter().for_each(|v| add(&name.0, FieldValue::Bool(*v)));
        }
        for pair in &self.x {
            let (name, value) = pair.0.split_once('=').unwrap_or((&pair.0, ""));
            add(name, FieldValue::Text(value.to_owned()));
        }
        Event {
            id: self.id,
            source: SourceKey::new(&self.source)
                .unwrap_or_else(|_| SourceKey::new("?").expect("a question mark is a valid source key")),
            ts: self.ts,
            received_at: self.received_at,
            kind: self.kind,
            level: self.level,
            message: self.message.as_deref().map(str::to_owned),
            fields,
            raw: self.raw.as_deref().map(str::to_owned),
        }
    }
}

/// A field's value as API and UI show it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(no_recursion))]
#[serde(untagged)]
pub enum FieldValue {
    /// A boolean.
    Bool(bool),
    /// A number; whole ones within ±2⁵³ are written without a fraction.
    Number(#[serde(serialize_with = "write_number")] f64),
    /// A string.
    Text(String),
    /// Several values of one name, of any types.
    Many(Vec<FieldValue>),
}

impl FieldValue {
    fn append(&mut self, value: Self) {
        if let Self::Many(values) = self {
            values.push(value);
        } else {
            let first = std::mem::replace(self, Self::Many(Vec::new()));
            *self = Self::Many(vec![first, value]);
        }
    }
}

impl std::fmt::Display for FieldValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bool(v) => write!(f, "{v}"),
            Self::Number(v) => write!(f, "{v}"),
            Self::Text(v) => f.write_str(v),
            Self::Many(values) => {
                for (i, v) in values.iter().enumerate() {
                    write!(f, "{}{v}", if i == 0 { "" } else { ", " })?;
                }
                Ok(())
            }
        }
    }
}

/// 2⁵³: whole numbers up to here are exact in an `f64`.
pub const EXACT_INTEGER: f64 = 9_007_199_254_740_992.0;

fn write_number<S: serde::Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if value.fract() == 0.0 && value.abs() <= EXACT_INTEGER {
        serializer.serialize_i64(*value as i64)
    } else {
        serializer.serialize_f64(*value)
    }
}

/// An event as API and UI show it. The tenant is the caller's and not repeated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Event {
    /// See [`EventId`].
    pub id: EventId,
    /// Who sent it.
    pub source: SourceKey,
    /// When it happened.
    pub ts: Timestamp,
    /// When it arrived.
    pub received_at: Timestamp,
    /// What it is.
    pub kind: EventKind,
    /// Severity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<Level>,
    /// The text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Every other field, names with dots.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, FieldValue>,
    /// The original bytes in base64, only where they differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<String>,
}

/// The tenant of a [`StoredEvent`], checked.
///
/// # Errors
/// Where the text is no tenant key.
pub fn tenant_of(event: &StoredEvent<'_>) -> Result<TenantId, crate::id::IdError> {
    TenantId::new(&event.tenant)
}
