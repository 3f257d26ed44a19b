//! The query bar: colours under the text, completion while it is typed, mistakes with their place.

use super::Explore;
use super::mistake::mistake;
use crate::server_fns::events::{fields, values};
use crate::texts::{T, t, texts};
use domain::api::{Facet, FacetValue, FieldInfo, Order};
use domain::query::{
    Class, CompletionKind, CompletionSource, Completions, Query, byte_offset, complete, field_at, highlight,
    utf16_offset,
};
use leptos::{ev, prelude::*};
use ui::{Icon, icon};

#[component]
pub(super) fn QueryBar() -> AnyView {
    let explore: Explore = expect_context();
    let text = RwSignal::new(explore.address.with_untracked(|a| a.q.clone()));
    let typed = Typed::new(explore, text);
    // Going back, or a click on a facet, changes the text too.
    Effect::new(move |_| text.set(explore.address.with(|a| a.q.clone())));
    let is_bad = move || {
        explore.address.with(|a| Query::parse(&a.q).is_err()) && text.with(|q| Query::parse(q).is_err())
    };
    let about = move || {
        let asked = explore.address.with(|a| a.q.clone());
        text.with(|q| (*q == asked || Query::parse(&asked).is_err()).then(|| mistake(q)))
    };
    // The same query again asks anew, with "now" as it is now.
    let submit = move |event: ev::SubmitEvent| {
        event.prevent_default();
        typed.close();
        let q = text.get_untracked().trim().to_owned();
        if explore.address.with_untracked(|a| a.q == q) {
            explore.again();
        } else {
            explore.change(|a| a.ask(q));
        }
    };
    let hidden = move |name: &'static str, value: fn(&super::Address) -> String| {
        view! { <input type="hidden" name=name value=move || explore.address.with(value) /> }
    };
    view! {
        <form class="qbar" class:bad=is_bad method="get" action="/explore" role="search" aria-label=t(T::query) on:submit=submit>
            {hidden("from", |a| a.from.clone())}
            {hidden("to", |a| a.to.clone())}
            {hidden("cols", |a| a.columns.join(","))}
            {hidden("order", |a| if a.order == Order::Asc { "asc".to_owned() } else { String::new() })}
            <Editor text typed is_bad=Signal::derive(is_bad) />
            <button type="submit" class="btn primary" aria-label=t(T::search)>
                {icon(Icon::Search)}
                <span class="wide">{t(T::search)}</span>
            </button>
        </form>
        {about}
    }
    .into_any()
}

/// What completion knows and offers.
#[derive(Clone, Copy)]
struct Typed {
    explore: Explore,
    text: RwSignal<String>,
    input: NodeRef<leptos::html::Input>,
    fields: RwSignal<Option<Vec<FieldInfo>>>,
    facets: RwSignal<Vec<Facet>>,
    offered: RwSignal<Completions>,
    chosen: RwSignal<Option<usize>>,
    asked: StoredValue<Option<(String, String)>>,
}

impl Typed {
    fn new(explore: Explore, text: RwSignal<String>) -> Self {
        Self {
            explore,
            text,
            input: NodeRef::new(),
            fields: RwSignal::new(None),
            facets: RwSignal::new(Vec::new()),
            offered: RwSignal::new(Completions::default()),
            chosen: RwSignal::new(None),
            asked: StoredValue::new(None),
        }
    }

    fn is_open(&self) -> bool {
        self.offered.with(|o| !o.items.is_empty())
    }

    fn close(&self) {
        self.offered.set(Completions::default());
        self.chosen.set(None);
    }

    /// Fetches the window's fields, once a focus.
    fn learn_fields(&self) {
        if self.fields.with_untracked(Option::is_some) {
            return;
        }
        self.fields.set(Some(Vec::new()));
        let (this, range) = (*self, self.explore.window.range.get_untracked());
        fields(range).then(move |found| {
            if let Ok(found) = found {
                _ = this.fields.try_set(Some(found));
            }
        });
    }

    fn cursor(&self) -> usize {
        let at = self.input.get_untracked().and_then(|input| input.selection_start().ok().flatten());
        self.text.with_untracked(|text| at.map_or(text.len(), |at| byte_offset(text, at as usize)))
    }

    /// Offers what can stand at the cursor; asks for a field's values where it is in one.
    fn offer(&self) {
        let cursor = self.cursor();
        let text = self.text.get_untracked();
        let offered = self.fields.with_untracked(|fields| {
            self.facets.with_untracked(|facets| {
                let known = CompletionSource { fields: fields.as_deref().unwrap_or_default(), facets };
                complete(&text, cursor, &known)
            })
        });
        // What is typed out already needs no offer.
        let typed_out = matches!(&*offered.items, [only] if text[offered.replace.clone()] == *only.insert);
        self.chosen.set(None);
        self.offered.set(if typed_out { Completions::default() } else { offered });
        if let Some(field) = field_at(&text, cursor) {
            let typed: String =
                text[..cursor].rsplit([':', ' ', '"', '(']).next().unwrap_or_default().to_owned();
            self.learn_values(field, typed);
        }
    }

    fn learn_values(&self, field: String, prefix: String) {
        let key = Some((field.clone(), prefix.clone()));
        if self.asked.with_value(|asked| *asked == key) {
            return;
        }
        self.asked.set_value(key);
        let (this, range) = (*self, self.explore.window.range.get_untracked());
        values(field.clone(), prefix, range).then(move |found| {
            let Ok(found) = found else { return };
            let values = found.into_iter().map(|value| FacetValue { value, count: 0 }).collect();
            this.facets.try_update(|facets| {
                facets.retain(|f| f.field != field);
                facets.push(Facet { field, distinct: 0, values });
            });
            if this.input.try_get_untracked().flatten().is_some_and(|i| has_focus(&i)) {
                this.offer_more();
            }
        });
    }

    /// Offers what has become known meanwhile. A choice made while it was on its way stays.
    fn offer_more(&self) {
        let chosen = self.chosen.get_untracked();
        let kept = self.offered.with_untracked(|o| Some(o.items.get(chosen?)?.insert.clone()));
        self.offer();
        let place =
            |kept| self.offered.with_untracked(|o| o.items.iter().position(|item| item.insert == kept));
        self.chosen.set(kept.and_then(place));
    }

    /// Puts an offer in and the cursor behind it.
    fn accept(&self, at: usize) {
        let Some((replace, insert)) =
            self.offered.with_untracked(|o| Some((o.replace.clone(), o.items.get(at)?.insert.clone())))
        else {
            return;
        };
        let after = replace.start + insert.len();
        self.text.update(|text| text.replace_range(replace, &insert));
        if let Some(input) = self.input.get_untracked() {
            let text = self.text.get_untracked();
            input.set_value(&text);
            let at = u32::try_from(utf16_offset(&text, after)).unwrap_or(u32::MAX);
            let _ = input.set_selection_range(at, at);
            let _ = input.focus();
        }
        self.offer();
    }

    fn key(&self, event: &ev::KeyboardEvent) {
        if event.is_composing() {
            return;
        }
        let count = self.offered.with_untracked(|o| o.items.len());
        let chosen = self.chosen.get_untracked();
        match event.key().as_str() {
            "ArrowDown" if count > 0 => self.chosen.set(Some(chosen.map_or(0, |at| (at + 1) % count))),
            "ArrowUp" if count > 0 => {
                self.chosen.set(Some(chosen.map_or(count - 1, |at| (at + count - 1) % count)));
            }
            "Enter" | "Tab" => match chosen {
                Some(at) if count > 0 => self.accept(at),
                _ => return,
            },
            "Escape" if count > 0 => self.close(),
            _ => return,
        }
        event.prevent_default();
        event.stop_propagation();
    }
}

fn has_focus(input: &web_sys::HtmlInputElement) -> bool {
    let active = ui::browser::document().and_then(|d| d.active_element());
    active.is_some_and(|active| active.is_same_node(Some(input)))
}

#[component]
fn Editor(text: RwSignal<String>, typed: Typed, is_bad: Signal<bool>) -> AnyView {
    let paint = NodeRef::<leptos::html::Div>::new();
    let painted = RwSignal::new(false);
    Effect::new(move |_| painted.set(true));
    let spans = move || {
        text.with(|text| {
            highlight(text)
                .into_iter()
                .map(|span| {
                    view! { <span class=class(span.class)>{text[span.start..span.end].to_owned()}</span> }
                })
                .collect_view()
        })
    };
    let follow = move || {
        if let (Some(input), Some(paint)) = (typed.input.get_untracked(), paint.get_untracked()) {
            paint.set_scroll_left(input.scroll_left());
        }
    };
    let input = move |event| {
        text.set(event_target_value(&event));
        typed.learn_fields();
        typed.offer();
        follow();
    };
    let leave = move |_| {
        // A press on an offer takes the focus first.
        set_timeout(
            move || _ = typed.offered.try_set(Completions::default()),
            std::time::Duration::from_millis(150),
        );
    };
    let active = move || typed.chosen.get().map(|at| format!("offer-{at}"));
    view! {
        <div class="editor" class:painted=move || painted.get()>
            <div class="paint" node_ref=paint aria-hidden="true" hidden=move || !painted.get()>
                {spans}
            </div>
            <input
                id="query"
                name="q"
                type="text"
                role="combobox"
                autocomplete="off"
                autocapitalize="off"
                spellcheck="false"
                aria-label=t(T::query)
                aria-autocomplete="list"
                aria-controls="offers"
                aria-expanded=move || if typed.is_open() { "true" } else { "false" }
                aria-activedescendant=active
                aria-invalid=move || is_bad.get().then_some("true")
                aria-describedby=move || is_bad.get().then_some("query-error")
                placeholder=t(T::query_hint)
                value=text.get_untracked()
                prop:value=move || text.get()
                node_ref=typed.input
                on:input=input
                on:focus=move |_| typed.learn_fields()
                on:click=move |_| typed.offer()
                on:scroll=move |_| follow()
                on:keyup=move |_| follow()
                on:keydown=move |event| typed.key(&event)
                on:blur=leave
            />
        </div>
        <Offers typed />
    }
    .into_any()
}

fn class(class: Class) -> &'static str {
    match class {
        Class::Plain => "q-text",
        Class::Field => "q-field",
        Class::Operator => "q-op",
        Class::Value => "q-value",
        Class::Number => "q-number",
        Class::Keyword => "q-keyword",
        Class::Error => "q-bad",
    }
}

#[component]
fn Offers(typed: Typed) -> AnyView {
    let items = move || {
        let chosen = typed.chosen.get();
        typed.offered.with(|offered| {
            let item = |(at, offer): (usize, &domain::query::Completion)| {
                let press = move |event: ev::PointerEvent| {
                    event.prevent_default();
                    typed.accept(at);
                };
                view! {
                    <li
                        id=format!("offer-{at}")
                        role="option"
                        aria-selected=if chosen == Some(at) { "true" } else { "false" }
                        on:pointerdown=press
                    >
                        {offer.label.clone()}
                        <span>{kind_name(offer.kind)}</span>
                    </li>
                }
            };
            offered.items.iter().enumerate().map(item).collect_view()
        })
    };
    view! {
        <ul class="complete" id="offers" role="listbox" aria-label=t(T::completions) hidden=move || !typed.is_open()>
            {items}
        </ul>
    }
    .into_any()
}

fn kind_name(kind: CompletionKind) -> &'static str {
    match kind {
        CompletionKind::Field => texts().c_field(),
        CompletionKind::Value => texts().c_value(),
        CompletionKind::Level => texts().level(),
        CompletionKind::Kind => texts().kind(),
        CompletionKind::Operator => texts().c_operator(),
        CompletionKind::Keyword => texts().c_keyword(),
    }
}
