//! The panel for one event: fields, what came over the wire, what happened around it.

use super::Explore;
use super::address::Tab;
use super::marks::Marks;
use crate::call::Fetched;
use crate::pages::{loaded, loaded_json};
use crate::server_fns::events::{event, surroundings};
use crate::texts::{T, t, texts};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::query::{with_exclusion, with_filter};
use domain::{Event, EventId, TimeRange};
use leptos::{ev, prelude::*};
use ui::components::{Code, level_tag, skeleton};
use ui::{Dating, Icon, icon, use_locale};

#[component]
pub(super) fn Detail() -> AnyView {
    let explore: Explore = expect_context();
    let id = Memo::new(move |_| explore.address.with(|a| a.event));
    let tab = Memo::new(move |_| explore.address.with(|a| a.tab));
    let close = move || explore.link(|a| a.event = None);
    Effect::new(move |_| {
        let handle = window_event_listener(ev::keydown, move |event| {
            if event.key() == "Escape" && !ui::browser::is_typing() {
                explore.change(|a| a.event = None);
            }
        });
        on_cleanup(move || handle.remove());
    });
    let entry = move |to: Tab, text: fn(T) -> &'static str| {
        let link = move || explore.link(|a| a.tab = to);
        view! {
            <a href=link aria-current=move || (tab.get() == to).then_some("true")>
                {t(text)}
            </a>
        }
    };
    let body = move || match (id.get(), tab.get()) {
        (Some(id), Tab::Fields) => view! { <Fields id /> }.into_any(),
        (Some(id), Tab::Raw) => view! { <Raw id /> }.into_any(),
        (Some(id), Tab::Around) => view! { <Around id /> }.into_any(),
        (None, _) => ().into_any(),
    };
    view! {
        <aside class="card detail" aria-labelledby="detail">
            <header>
                <h2 id="detail">{t(T::event)}</h2>
                <span class="spacer"></span>
                <a class="btn icon quiet" href=close aria-label=t(T::close)>
                    {icon(Icon::Close)}
                </a>
            </header>
            <nav class="tabs" aria-label=t(T::event)>
                {entry(Tab::Fields, T::fields)}
                {entry(Tab::Raw, T::raw)}
                {entry(Tab::Around, T::around)}
            </nav>
            {body}
        </aside>
    }
    .into_any()
}

#[component]
fn Fields(id: EventId) -> AnyView {
    let found = Fetched::new(move || event(id));
    loaded(found, skeleton, |event| view! { <FieldList event /> }.into_any())
}

#[component]
fn FieldList(event: Event) -> AnyView {
    let explore: Explore = expect_context();
    let locale = use_locale();
    let marks = Memo::new(move |_| explore.address.with(|a| Marks::of(&a.q)));
    let message = event.message.clone().map(|text| {
        view! {
            <dt>"message"</dt>
            <dd>
                <span>{move || marks.with(|m| m.paint(&text))}</span>
            </dd>
        }
    });
    let level = event.level.map(|level| {
        view! {
            <dt>"level"</dt>
            <dd>
                <span>{level_tag(Some(level))}</span>
                {acts("level".to_owned(), level.name().to_owned())}
            </dd>
        }
    });
    let rows = event
        .fields
        .iter()
        .map(|(name, value)| {
            view! {
                <dt>{name.clone()}</dt>
                <dd>
                    <span>{value.to_string()}</span>
                    {acts(name.clone(), value.to_string())}
                </dd>
            }
        })
        .collect_view();
    let (ts, received) = (event.ts, event.received_at);
    let source = event.source.to_string();
    view! {
        <dl class="kv">
            <dt>"ts"</dt>
            <dd>
                <span>{move || locale.exact(ts)}</span>
            </dd>
            <dt>"source"</dt>
            <dd>
                <span>
                    <a class="link" href=crate::address::source_page(&event.source)>
                        {source.clone()}
                    </a>
                </span>
                {acts("source".to_owned(), source)}
            </dd>
            {level}
            {message}
            {rows}
            <dt>"kind"</dt>
            <dd>
                <span>{event.kind.name()}</span>
                {acts("kind".to_owned(), event.kind.name().to_owned())}
            </dd>
            <dt>"received_at"</dt>
            <dd>
                <span>{move || locale.exact(received)}</span>
            </dd>
            <dt>"id"</dt>
            <dd>
                <span>{event.id.to_string()}</span>
            </dd>
        </dl>
    }
    .into_any()
}

/// Keep, leave out, show as a column.
fn acts(name: String, value: String) -> AnyView {
    let explore: Explore = expect_context();
    let is_column = !matches!(name.as_str(), "level" | "source" | "kind");
    let (n, v) = (name.clone(), value.clone());
    let keep = move || {
        explore.link(|a| {
            let q = with_filter(&a.q, &n, &v);
            let event = a.event;
            a.ask(q);
            a.event = event;
        })
    };
    let (n, v) = (name.clone(), value.clone());
    let without = move || {
        explore.link(|a| {
            let q = with_exclusion(&a.q, &n, &v);
            a.ask(q);
        })
    };
    let column = is_column.then(|| {
        let n = name.clone();
        let link = move || explore.link(|a| a.toggle_column(&n));
        view! {
            <a href=link aria-label=move || texts().as_column(&name) title=t(T::column)>
                {icon(Icon::Columns)}
            </a>
        }
    });
    let kept = value.clone();
    view! {
        <span class="acts">
            <a href=keep aria-label=move || texts().keep_value(&kept) title=t(T::keep)>
                {icon(Icon::Plus)}
            </a>
            <a href=without aria-label=move || texts().exclude_value(&value) title=t(T::exclude)>
                {icon(Icon::Minus)}
            </a>
            {column}
        </span>
    }
    .into_any()
}

#[component]
fn Raw(id: EventId) -> AnyView {
    let found = Fetched::new(move || event(id));
    loaded_json(found, skeleton, |event, json| {
        let json = indented(json);
        let bytes = event.raw.as_deref().and_then(|raw| STANDARD.decode(raw).ok());
        let wire = bytes.map(|bytes| {
            view! {
                <h3 class="pad-x">{t(T::raw_bytes)}</h3>
                <pre class="raw" tabindex="0">
                    {readable(&bytes)}
                </pre>
            }
        });
        let note = event.raw.is_none().then(|| view! { <p class="pad-x small faint">{t(T::raw_same)}</p> });
        view! {
            {wire}
            {note}
            <h3 class="pad-x">"JSON"</h3>
            <div class="pad-x">
                <Code text=Signal::stored(json) />
            </div>
        }
        .into_any()
    })
}

/// JSON with a line for each value.
fn indented(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", depth));
    };
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    let mut before = ' ';
    for c in json.chars() {
        let (opens, closes) = (matches!(c, '{' | '['), matches!(c, '}' | ']'));
        match c {
            _ if in_text => {}
            _ if closes => {
                depth = depth.saturating_sub(1);
                if !matches!(before, '{' | '[') {
                    line(&mut out, depth);
                }
            }
            _ if matches!(before, '{' | '[' | ',') => line(&mut out, depth),
            _ => {}
        }
        out.push(c);
        if in_text {
            in_text = c != '"' || escaped;
            escaped = c == '\\' && !escaped;
            before = '"';
            continue;
        }
        in_text = c == '"';
        depth += usize::from(opens);
        if c == ':' {
            out.push(' ');
        }
        before = c;
    }
    out
}

/// Text as it is; other bytes as `\xNN`.
fn readable(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}

#[component]
fn Around(id: EventId) -> AnyView {
    let explore: Explore = expect_context();
    let locale = use_locale();
    let found = Fetched::new(move || surroundings(id));
    loaded(found, skeleton, move |found| {
        let place = NodeRef::<leptos::html::Div>::new();
        // The event itself is what they are around: it comes into the middle, once.
        Effect::new(move |_| {
            if place.get().is_some() {
                request_animation_frame(show_current);
            }
        });
        let row = |event: Event, here: bool| {
            let (id, ts) = (event.id, event.ts);
            let link = move || explore.link(|a| a.event = Some(id));
            let text = event
                .message
                .clone()
                .unwrap_or_else(|| event.fields.iter().map(|(k, v)| format!("{k}={v} ")).collect::<String>());
            view! {
                <a class="ev short" href=link aria-current=here.then_some("true") data-row>
                    <time datetime=ts.to_string() title=move || locale.exact(ts)>
                        {move || locale.clock(ts)}
                    </time>
                    {level_tag(event.level)}
                    <span class="msg">{text}</span>
                </a>
            }
        };
        let source = found.event.source.to_string();
        let (earlier, later) = (found.before.len() as u64, found.after.len() as u64);
        let first = found.before.first().map_or(found.event.ts, |e| e.ts);
        let last = found.after.last().map_or(found.event.ts, |e| e.ts);
        let note = move || {
            let dating = locale.dating(TimeRange::new(first, last.plus_nanos(1)));
            let from = match dating {
                Dating::Clock => locale.clock(first),
                dated => locale.dated(first, dated),
            };
            texts().around_note(
                &source,
                &locale.count(earlier),
                &locale.count(later),
                &from,
                &locale.clock(last),
            )
        };
        let before = found.before.into_iter().map(|e| row(e, false)).collect_view();
        let after = found.after.into_iter().map(|e| row(e, false)).collect_view();
        view! {
            <p class="pad-x small faint">{note}</p>
            <div class="around" node_ref=place>{before} {row(found.event, true)} {after}</div>
        }
        .into_any()
    })
}

/// Scrolls the panel, not the page, so that the event stands in its middle.
fn show_current() {
    let here = ui::browser::find(".around [aria-current]");
    if let (Some(panel), Some(here)) = (ui::browser::find(".detail"), here) {
        panel.set_scroll_top(here.offset_top() - (panel.client_height() - here.offset_height()) / 2);
    }
}

#[cfg(test)]
mod tests {
    use super::indented;

    #[test]
    fn json_is_indented_as_serde_indents_it() {
        let check = |json: &str| {
            let value: serde_json::Value = serde_json::from_str(json).unwrap();
            assert_eq!(indented(json), serde_json::to_string_pretty(&value).unwrap());
        };
        check(r#"{"a":1,"b":[true,{"c":[]},{}],"d":{"e":null}}"#);
        check(r#"{"text":"a \"b\": {1, [2]} \\","z":"펌프"}"#);
        check("[]");
        check("7.5");
    }
}
