//! What we ask of the browser beyond Leptos. Everything here does nothing on the server.

use wasm_bindgen::{JsCast, JsValue, closure::Closure};
use web_sys::{Document, HtmlElement, Window};

/// The window, in a browser.
pub fn window() -> Option<Window> {
    if cfg!(feature = "hydrate") { web_sys::window() } else { None }
}

/// The document, in a browser.
pub fn document() -> Option<Document> {
    window()?.document()
}

/// Loads a page anew, for what changes more than a view: sign-in, sign-out, another tenant.
pub fn load(path: &str) {
    if let Some(window) = window() {
        let _ = window.location().assign(path);
    }
}

/// Puts a text on the clipboard. Outside secure contexts (plain http) the clipboard interface is absent and the old
/// command is used.
pub fn copy(text: &str) {
    let Some(window) = window() else { return };
    if window.is_secure_context() {
        let _ = window.navigator().clipboard().write_text(text);
        return;
    }
    let Some(document) = window.document() else { return };
    let Ok(area) = document.create_element("textarea") else { return };
    area.set_text_content(Some(text));
    let (Some(body), Ok(area)) = (document.body(), area.dyn_into::<web_sys::HtmlTextAreaElement>()) else {
        return;
    };
    let _ = body.append_child(&area);
    area.select();
    if let Ok(command) = js_sys::Reflect::get(document.as_ref(), &JsValue::from_str("execCommand"))
        && let Some(command) = command.dyn_ref::<js_sys::Function>()
    {
        let _ = command.call1(document.as_ref(), &JsValue::from_str("copy"));
    }
    area.remove();
}

/// Moves the keyboard to an element.
pub fn focus(selector: &str) {
    if let Some(element) = find(selector) {
        let _ = element.focus();
    }
}

/// The first element that a selector finds.
pub fn find(selector: &str) -> Option<HtmlElement> {
    document()?.query_selector(selector).ok()??.dyn_into().ok()
}

/// Whether a keystroke belongs to what has the focus: an input, a list to choose from, an editable text.
pub fn is_typing() -> bool {
    let active = document().and_then(|d| d.active_element());
    active.is_some_and(|e| matches!(&*e.tag_name(), "INPUT" | "TEXTAREA" | "SELECT"))
}

/// The content of a `<meta name=…>`.
pub fn meta(name: &str) -> Option<String> {
    document()?.query_selector(&format!("meta[name='{name}']")).ok()??.get_attribute("content")
}

/// Sets a cookie that keeps a taste.
pub fn set_cookie(line: &str) {
    if let Some(document) = document() {
        let _ =
            js_sys::Reflect::set(document.as_ref(), &JsValue::from_str("cookie"), &JsValue::from_str(line));
    }
}

/// A global of a script we loaded, such as `qgxCharts`.
pub fn global(name: &str) -> Option<js_sys::Object> {
    js_sys::Reflect::get(window()?.as_ref(), &JsValue::from_str(name)).ok()?.dyn_into().ok()
}

/// Calls a method by name; `None` where it is missing or throws.
pub fn call(target: &JsValue, method: &str, arguments: &[JsValue]) -> Option<JsValue> {
    let function: js_sys::Function =
        js_sys::Reflect::get(target, &JsValue::from_str(method)).ok()?.dyn_into().ok()?;
    function.apply(target, &arguments.iter().collect::<js_sys::Array>()).ok()
}

/// Runs `then` once the module script at `src` has run; loads it the first time.
pub fn with_script(src: &str, global_name: &'static str, then: impl FnOnce() + 'static) {
    if global(global_name).is_some() {
        return then();
    }
    let Some(document) = document() else { return };
    let selector = format!("script[src='{src}']");
    let script = match document.query_selector(&selector) {
        Ok(Some(script)) => script,
        _ => {
            let Ok(script) = document.create_element("script") else { return };
            let _ = script.set_attribute("type", "module");
            let _ = script.set_attribute("src", src);
            if let Some(head) = document.head() {
                let _ = head.append_child(&script);
            }
            script
        }
    };
    let done = Closure::once_into_js(then);
    let _ = script.add_event_listener_with_callback("load", done.unchecked_ref());
}
