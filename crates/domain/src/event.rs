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
#[derive(Debug, Clone, PartialEq, Serialize)]
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

/// Reads without the copy that an untagged enum would be buffered in.
impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::{Error, IntoDeserializer, SeqAccess, value::BorrowedStrDeserializer};
        struct Visitor<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> serde::de::Visitor<'de> for Visitor<T> {
            type Value = OneOrMany<T>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a value or an array of values")
            }
            fn visit_bool<E: Error>(self, v: bool) -> Result<Self::Value, E> {
                T::deserialize(v.into_deserializer()).map(OneOrMany::One)
            }
            fn visit_i64<E: Error>(self, v: i64) -> Result<Self::Value, E> {
                T::deserialize(v.into_deserializer()).map(OneOrMany::One)
            }
            fn visit_u64<E: Error>(self, v: u64) -> Result<Self::Value, E> {
                T::deserialize(v.into_deserializer()).map(OneOrMany::One)
            }
            fn visit_f64<E: Error>(self, v: f64) -> Result<Self::Value, E> {
                T::deserialize(v.into_deserializer()).map(OneOrMany::One)
            }
            fn visit_str<E: Error>(self, v: &str) -> Result<Self::Value, E> {
                T::deserialize(v.into_deserializer()).map(OneOrMany::One)
            }
            fn visit_borrowed_str<E: Error>(self, v: &'de str) -> Result<Self::Value, E> {
                T::deserialize(BorrowedStrDeserializer::new(v)).map(OneOrMany::One)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut values = Vec::new();
                while let Some(value) = seq.next_element()? {
                    values.push(value);
                }
                Ok(OneOrMany::Many(values))
            }
        }
        deserializer.deserialize_any(Visitor(std::marker::PhantomData))
    }
}

/// An optional text that borrows: serde borrows a `Cow` only where it is the field's whole type.
fn borrowed<'de: 'a, 'a, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Cow<'a, str>>, D::Error> {
    Option::<Text<'a>>::deserialize(deserializer).map(|text| text.map(|t| t.0))
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
    #[serde(borrow, default, deserialize_with = "borrowed", skip_serializing_if = "Option::is_none")]
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
    #[serde(borrow, default, deserialize_with = "borrowed", skip_serializing_if = "Option::is_none")]
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
#[derive(Debug, Clone, PartialEq, Serialize)]
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

/// Reads without the copy that an untagged enum would be buffered in, and without its code in browsers.
impl<'de> Deserialize<'de> for FieldValue {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::{Error, SeqAccess};
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = FieldValue;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a boolean, a number, a string, or an array of them")
            }
            fn visit_bool<E: Error>(self, v: bool) -> Result<FieldValue, E> {
                Ok(FieldValue::Bool(v))
            }
            fn visit_i64<E: Error>(self, v: i64) -> Result<FieldValue, E> {
                Ok(FieldValue::Number(v as f64))
            }
            fn visit_u64<E: Error>(self, v: u64) -> Result<FieldValue, E> {
                Ok(FieldValue::Number(v as f64))
            }
            fn visit_f64<E: Error>(self, v: f64) -> Result<FieldValue, E> {
                Ok(FieldValue::Number(v))
            }
            fn visit_str<E: Error>(self, v: &str) -> Result<FieldValue, E> {
                Ok(FieldValue::Text(v.to_owned()))
            }
            fn visit_string<E: Error>(self, v: String) -> Result<FieldValue, E> {
                Ok(FieldValue::Text(v))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<FieldValue, A::Error> {
                let mut values = Vec::new();
                while let Some(value) = seq.next_element()? {
                    values.push(value);
                }
                Ok(FieldValue::Many(values))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = r#""id":"01900000-0000-7000-8000-000000000001","tenant":"t_a","source":"pump-1","ts":"2026-11-22T01:02:03.000000004Z","received_at":"2026-11-22T01:02:04.000000000Z","kind":"log""#;

    fn json(rest: &str) -> String {
        format!("{{{HEAD}{rest}}}")
    }

    /// Whether a text lies within the JSON it was read from.
    fn is_borrowed(text: &str, json: &str) -> bool {
        json.as_bytes().as_ptr_range().contains(&text.as_ptr())
    }

    #[test]
    fn what_has_no_escapes_is_borrowed() {
        let json =
            json(r#","message":"온도","s":{"site":"부산","tags":["a","b\n"]},"x":["k=v"],"raw":"AAAA""#);
        let event = StoredEvent::parse(json.as_bytes()).unwrap();
        let tags = event.s.get("tags");
        for text in [
            &event.tenant,
            &event.source,
            &event.s.0[0].0.0,
            &event.s.get("site")[0].0,
            &tags[0].0,
            &event.x[0].0,
        ] {
            assert!(is_borrowed(text, &json), "{text}");
        }
        assert!(is_borrowed(event.message.as_deref().unwrap(), &json));
        assert!(is_borrowed(event.raw.as_deref().unwrap(), &json));
        assert!(!is_borrowed(&tags[1].0, &json));
    }

    #[test]
    fn written_is_read() {
        let check = |rest: &str| {
            let json = json(rest);
            let event = StoredEvent::parse(json.as_bytes()).unwrap();
            assert_eq!(serde_json::to_string(&event).unwrap(), json);
        };
        check("");
        check(
            r#","level":"warn","message":"a \"b\" \\ c\n","n":{"t":81.2,"many":[1.0,-2.5]},"s":{"a/b":"c"},"b":{"ok":true,"all":[true,false]},"x":["rare=1"],"raw":"AAAA""#,
        );
        check(
            r#","n":{"small":5e-324,"large":1.7976931348623157e+308,"third":0.3333333333333333,"sum":0.30000000000000004}"#,
        );
    }

    #[test]
    fn numbers_are_read_as_any_other_parser_reads_them() {
        let check = |text: &str| {
            let json = json(&format!(r#","n":{{"v":{text}}}"#));
            let event = StoredEvent::parse(json.as_bytes()).unwrap();
            assert_eq!(event.n.get("v"), [text.parse::<f64>().unwrap()], "{text}");
        };
        for text in [
            "2.08",
            "81",
            "-0.1",
            "9007199254740993",
            "123456789012345678901234567890",
            "0.1e-6",
            "1e308",
            "8.41e21",
        ] {
            check(text);
        }
    }

    #[test]
    fn what_is_no_event() {
        for rest in [
            r#","n":{"v":1e400}"#,
            r#","n":{"v":"1"}"#,
            r#","n":{"v":[1,"a"]}"#,
            r#","s":{"v":1}"#,
            r#","level":"loud""#,
            r#","b":[]"#,
        ] {
            assert!(StoredEvent::parse(json(rest).as_bytes()).is_err(), "{rest}");
        }
        assert!(StoredEvent::parse(b"{}").is_err());
        assert!(StoredEvent::parse(json("").replace("03.000000004Z", "03").as_bytes()).is_err());
    }

    #[test]
    fn shown_fields_are_merged() {
        let json = json(
            r#","n":{"v":9007199254740992,"a/b":1.5},"s":{"v":["x","y"]},"b":{"v":true,"id":false},"x":["r/s=1=2","bare"]"#,
        );
        let event = StoredEvent::parse(json.as_bytes()).unwrap().to_event();
        let shown = serde_json::to_value(&event).unwrap();
        assert_eq!(
            shown["fields"].to_string(),
            r#"{"a.b":1.5,"bare":"","id":false,"r.s":"1=2","v":[9007199254740992,"x","y",true]}"#
        );
        assert_eq!(serde_json::from_value::<Event>(shown).unwrap(), event);
        assert_eq!(event.fields["v"].to_string(), "9007199254740992, x, y, true");
    }
}
