//! The sections of an event's JSON: `n`, `s`, `b`, and `x` for names beyond the budget.

use super::draft::{Class, Draft, Entry};
use super::encode;
use bytes::{BufMut, BytesMut};

/// The hash of entries that go to `x`.
pub(super) const BEYOND: u64 = u64::MAX;

/// Whether an entry's values stand with the first of its name, which is written at `first`.
fn shares(entry: &Entry, first: usize) -> bool {
    entry.same_as == Some(first)
}

pub(super) fn write_section(draft: &Draft, class: Class, section: &[u8; 1], out: &mut BytesMut) {
    let mut open = false;
    for (index, entry) in draft.entries.iter().enumerate() {
        if entry.class != class || entry.taken || entry.same_as.is_some() {
            continue;
        }
        if open {
            out.put_u8(b',');
        } else {
            out.put_slice(&[b',', b'"', section[0], b'"', b':', b'{']);
            open = true;
        }
        encode::string(out, &draft.names[entry.name.clone()]);
        out.put_u8(b':');
        if !entry.more && !entry.many {
            out.put_slice(&draft.values[entry.value.clone()]);
            continue;
        }
        out.put_u8(b'[');
        out.put_slice(&draft.values[entry.value.clone()]);
        if entry.more {
            for other in draft.entries[index + 1..].iter().filter(|other| shares(other, index)) {
                out.put_u8(b',');
                out.put_slice(&draft.values[other.value.clone()]);
            }
        }
        out.put_u8(b']');
    }
    if open {
        out.put_u8(b'}');
    }
}

/// `x`: names beyond the budget, as `name=value`.
pub(super) fn write_beyond(draft: &Draft, out: &mut BytesMut) {
    out.put_slice(b",\"x\":[");
    let mut open = false;
    for (first, head) in draft.entries.iter().enumerate().filter(|(_, e)| e.taken && e.hash == BEYOND) {
        let name = draft.names[head.name.clone()].replace('=', "_");
        let of_name =
            draft.entries.iter().enumerate().filter(|(i, e)| *i == first || shares(e, first)).map(|(_, e)| e);
        for entry in of_name {
            for value in values_of(draft, entry) {
                if open {
                    out.put_u8(b',');
                }
                open = true;
                out.put_u8(b'"');
                encode::escape(out, &name);
                out.put_u8(b'=');
                let inner = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(&value);
                out.put_slice(inner.as_bytes());
                out.put_u8(b'"');
            }
        }
    }
    out.put_u8(b']');
}

/// The JSON texts of an entry's values.
fn values_of(draft: &Draft, entry: &Entry) -> Vec<String> {
    let text = String::from_utf8_lossy(&draft.values[entry.value.clone()]).into_owned();
    if !entry.many {
        return vec![text];
    }
    let list = format!("[{text}]");
    serde_json::from_str::<Vec<&serde_json::value::RawValue>>(&list)
        .map(|items| items.iter().map(|item| item.get().to_owned()).collect())
        .unwrap_or_default()
}
