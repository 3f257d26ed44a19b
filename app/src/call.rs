//! Asking the server: what pages read ([`Call`], [`Fetched`]) and what their forms change ([`Form`], [`Posted`]).
//!
//! The types of questions and answers end here. Beneath there is one request, one resource and one form, which carry
//! JSON as text, so that a browser downloads that code once and not once a call.

use crate::error::{Answer, AppError};
use leptos::ev::SubmitEvent;
use leptos::prelude::*;
use leptos::server::ServerActionError;
use leptos::server::codee::{Decoder, Encoder};
use leptos::server_fn::error::{FromServerFnError, ServerFnErrorErr, ServerFnUrlError};
use serde::de::DeserializeOwned;
use std::convert::Infallible;
use std::marker::PhantomData;
#[cfg(feature = "ssr")]
use std::pin::Pin;
use std::sync::Arc;
use wasm_bindgen::JsCast;

/// The JSON of an answer, not read yet.
pub(crate) type Unread = Answer<Arc<str>>;

fn read<V: DeserializeOwned>(json: &str) -> Answer<V> {
    serde_json::from_str(json)
        .map_err(|_| AppError::from_server_fn_error(ServerFnErrorErr::Deserialization(String::new())))
}

/// Where a call goes and what it says. Two that are equal have the same answer, until the turn changes.
#[derive(Debug, Clone, Default, PartialEq)]
struct Ask {
    path: &'static str,
    body: String,
    turn: usize,
}

/// A question to the server, not asked yet.
#[must_use]
pub struct Call<V> {
    ask: Ask,
    #[cfg(feature = "ssr")]
    run: Pin<Box<dyn Future<Output = Unread> + Send>>,
    answers: PhantomData<fn() -> V>,
}

impl<V> Call<V> {
    /// Of the future that answers it.
    #[cfg(feature = "ssr")]
    pub(crate) fn of(run: impl Future<Output = Answer<V>> + Send + 'static) -> Self
    where
        V: serde::Serialize,
    {
        let run = Box::pin(async move {
            let json = serde_json::to_string(&run.await?);
            let unwritable = |e: serde_json::Error| ServerFnErrorErr::Serialization(e.to_string());
            json.map(Arc::from).map_err(|e| AppError::from_server_fn_error(unwritable(e)))
        });
        Self { ask: Ask::default(), run, answers: PhantomData }
    }

    /// Of its path and the JSON of its named arguments.
    #[cfg(not(feature = "ssr"))]
    pub(crate) fn to(path: &'static str, arguments: &[(&str, String)]) -> Self {
        let mut body = String::from("{");
        for (name, json) in arguments {
            if body.len() > 1 {
                body.push(',');
            }
            body.push('"');
            body.push_str(name);
            body.push_str("\":");
            body.push_str(json);
        }
        body.push('}');
        Self { ask: Ask { path, body, turn: 0 }, answers: PhantomData }
    }

    /// Asked anew whenever the number changes.
    pub(crate) fn turn(mut self, turn: usize) -> Self {
        self.ask.turn = turn;
        self
    }

    /// Asks, and does something with the answer. Does nothing on the server.
    #[cfg(feature = "ssr")]
    pub(crate) fn then(self, _done: impl FnOnce(Answer<V>) + 'static) {}

    /// Asks, and does something with the answer. Does nothing on the server.
    #[cfg(not(feature = "ssr"))]
    pub(crate) fn then(self, done: impl FnOnce(Answer<V>) + 'static)
    where
        V: DeserializeOwned,
    {
        browser::ask(self.ask, Box::new(move |unread| done(unread.and_then(|json| read(&json)))));
    }

    fn erased(self) -> Call<()> {
        Call {
            ask: self.ask,
            #[cfg(feature = "ssr")]
            run: self.run,
            answers: PhantomData,
        }
    }
}

/// An argument of a call.
#[cfg(not(feature = "ssr"))]
pub(crate) fn json<A: serde::Serialize>(argument: &A) -> String {
    serde_json::to_string(argument).unwrap_or_default()
}

/// What a call brought and will bring: asked by the server while it makes the page, by the browser when what the call
/// is made of changes.
pub(crate) struct Fetched<V> {
    resource: Resource<Unread, Verbatim>,
    answers: PhantomData<fn() -> V>,
}

impl<V> Clone for Fetched<V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V> Copy for Fetched<V> {}

impl<V: 'static> Fetched<V> {
    /// Of what makes the call; it may read signals.
    pub(crate) fn new(call: impl Fn() -> Call<V> + Send + Sync + 'static) -> Self {
        Self { resource: resource(Arc::new(move || call().erased())), answers: PhantomData }
    }

    /// Asks again.
    pub(crate) fn refetch(&self) {
        self.resource.refetch();
    }

    /// What came, and how to make a view of it and of its JSON.
    pub(crate) fn viewed(self, view: impl Fn(V, &str) -> AnyView + Send + Sync + 'static) -> Viewed
    where
        V: DeserializeOwned,
    {
        Viewed {
            resource: self.resource,
            view: Arc::new(move |json| read(json).map(|value| view(value, json))),
        }
    }
}

/// [`Fetched`] without its type.
pub(crate) struct Viewed {
    /// What came.
    pub resource: Resource<Unread, Verbatim>,
    /// Makes a view of it.
    pub view: View,
}

type View = Arc<dyn Fn(&str) -> Answer<AnyView> + Send + Sync>;

type Make = Arc<dyn Fn() -> Call<()> + Send + Sync>;

fn resource(make: Make) -> Resource<Unread, Verbatim> {
    let again = Arc::clone(&make);
    Resource::new_with_options(move || make().ask, move |ask| answer(ask, &again), false)
}

#[cfg(feature = "ssr")]
fn answer(_: Ask, make: &Make) -> Pin<Box<dyn Future<Output = Unread> + Send>> {
    untrack(|| make()).run
}

#[cfg(not(feature = "ssr"))]
fn answer(ask: Ask, _: &Make) -> send_wrapper::SendWrapper<impl Future<Output = Unread> + use<>> {
    send_wrapper::SendWrapper::new(browser::post(ask.path, browser::JSON, ask.body))
}

/// How an answer travels in the page: a sign, then the JSON of the value (`+`) or of the problem (`-`).
pub(crate) struct Verbatim;

impl Encoder<Unread> for Verbatim {
    type Error = Infallible;
    type Encoded = String;

    fn encode(unread: &Unread) -> Result<String, Infallible> {
        Ok(match unread {
            Ok(json) => format!("+{json}"),
            Err(error) => format!("-{}", serde_json::to_string(error).unwrap_or_default()),
        })
    }
}

impl Decoder<Unread> for Verbatim {
    type Error = Infallible;
    type Encoded = str;

    fn decode(text: &str) -> Result<Unread, Infallible> {
        Ok(match text.strip_prefix('+') {
            Some(json) => Ok(json.into()),
            None => Err(read(text.get(1..).unwrap_or_default()).unwrap_or_else(|error| error)),
        })
    }
}

/// Where a form goes; `V` is what the server answers.
pub struct Form<V> {
    path: &'static str,
    answers: PhantomData<fn() -> V>,
}

impl<V> Form<V> {
    /// Of the path of its server function.
    pub(crate) const fn to(path: &'static str) -> Self {
        Self { path, answers: PhantomData }
    }

    /// Sends fields that no form on the page has. Does nothing on the server.
    #[cfg(feature = "ssr")]
    pub(crate) fn send(&self, _fields: &[(&str, &str)]) {}

    /// Sends fields that no form on the page has. Does nothing on the server.
    #[cfg(not(feature = "ssr"))]
    pub(crate) fn send(&self, fields: &[(&str, &str)]) {
        let query = crate::address::with_query("", fields.iter().copied());
        browser::tell(self.path, query.trim_start_matches('?').to_owned());
    }
}

/// A form of the page and what the server said to it. Sent by the page where scripts run, by the browser otherwise.
pub(crate) struct Posted<V> {
    submission: Submission,
    answers: PhantomData<fn() -> V>,
}

impl<V> Clone for Posted<V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V> Copy for Posted<V> {}

impl<V: DeserializeOwned + 'static> Posted<V> {
    pub(crate) fn new(form: &Form<V>) -> Self {
        Self { submission: Submission::to(form.path), answers: PhantomData }
    }

    /// The last answer.
    pub(crate) fn value(&self) -> Option<Answer<V>> {
        Some(self.submission.answer.get()?.and_then(|json| read(&json)))
    }

    /// Why the last one failed, where it did.
    pub(crate) fn error(&self) -> Option<AppError> {
        self.submission.answer.get()?.err()
    }

    /// Sends the form that the event is in, as it stands.
    pub(crate) fn send(&self, event: &leptos::ev::Event) {
        let field = event.target().map(JsCast::unchecked_into::<web_sys::Element>);
        let form = field.and_then(|field| field.closest("form").ok().flatten());
        if let Some(body) = form.and_then(|form| form_body(form.into(), None)) {
            self.submission.send(body);
        }
    }

    /// How many were answered.
    pub(crate) fn turn(&self) -> usize {
        self.submission.turn.get()
    }
}

impl<V> From<Posted<V>> for Submission {
    fn from(posted: Posted<V>) -> Self {
        posted.submission
    }
}

/// [`Posted`] without its type.
#[derive(Clone, Copy)]
pub(crate) struct Submission {
    path: &'static str,
    answer: RwSignal<Option<Unread>>,
    turn: RwSignal<usize>,
}

impl Submission {
    /// A form sent without scripts comes back with its error in the address.
    fn to(path: &'static str) -> Self {
        let failed = use_context::<ServerActionError>().filter(|error| error.path() == path);
        let failed = failed.map(|error| Err(ServerFnUrlError::<AppError>::decode_err(error.err())));
        Self { path, answer: RwSignal::new(failed), turn: RwSignal::new(0) }
    }

    #[cfg(feature = "ssr")]
    fn send(self, _body: String) {}

    #[cfg(not(feature = "ssr"))]
    fn send(self, body: String) {
        browser::submit(self, body);
    }

    fn submit(self, event: &SubmitEvent) {
        if event.default_prevented() {
            return;
        }
        let button = event.submitter();
        if let Some(body) = event.target().and_then(|form| form_body(form.into(), button.as_ref())) {
            event.prevent_default();
            self.send(body);
        }
    }
}

/// The fields of a form, and of the button it is sent by, as it would send them itself
/// (`application/x-www-form-urlencoded`).
fn form_body(form: wasm_bindgen::JsValue, button: Option<&web_sys::HtmlElement>) -> Option<String> {
    let data = web_sys::FormData::new_with_form(&form.into()).ok()?;
    let fields = web_sys::UrlSearchParams::new_with_str_sequence_sequence(&data).ok()?;
    if let Some((button, name)) = button.and_then(|button| Some((button, button.get_attribute("name")?))) {
        fields.append(&name, &button.get_attribute("value").unwrap_or_default());
    }
    Some(fields.to_string().into())
}

/// A form that changes something.
#[component]
pub(crate) fn PostForm(
    /// Where it goes.
    #[prop(into)]
    form: Submission,
    /// Its classes.
    #[prop(optional)]
    class: &'static str,
    /// The element.
    #[prop(optional)]
    node_ref: NodeRef<leptos::html::Form>,
    /// Its fields.
    children: Children,
) -> AnyView {
    view! {
        <form method="post" action=form.path class=class node_ref=node_ref on:submit=move |event| form.submit(&event)>
            {children()}
        </form>
    }
    .into_any()
}

#[cfg(not(feature = "ssr"))]
mod browser {
    use super::{Ask, Submission, Unread, read};
    use crate::error::AppError;
    use leptos::prelude::*;
    use leptos::server_fn::error::{FromServerFnError, ServerFnErrorErr};
    use leptos::task::spawn_local;
    use wasm_bindgen::{JsCast, JsValue};
    use wasm_bindgen_futures::JsFuture;

    pub(super) const JSON: &str = "application/json";
    const FORM: &str = "application/x-www-form-urlencoded";

    pub(super) fn ask(ask: Ask, done: Box<dyn FnOnce(Unread)>) {
        spawn_local(async move { done(post(ask.path, JSON, ask.body).await) });
    }

    pub(super) fn submit(form: Submission, body: String) {
        spawn_local(async move {
            let answer = post(form.path, FORM, body).await;
            _ = form.answer.try_set(Some(answer));
            form.turn.try_update(|turn| *turn += 1);
        });
    }

    pub(super) fn tell(path: &'static str, body: String) {
        spawn_local(async move { _ = post(path, FORM, body).await });
    }

    /// The one request of the web.
    pub(super) async fn post(path: &'static str, kind: &'static str, body: String) -> Unread {
        let failed = |_| AppError::from_server_fn_error(ServerFnErrorErr::Request(String::new()));
        let response = send(path, kind, &body).await.map_err(failed)?;
        let text = JsFuture::from(response.text().map_err(failed)?).await.map_err(failed)?;
        let text = text.as_string().unwrap_or_default();
        if !response.ok() {
            return Err(read(&text).unwrap_or_else(|error| error));
        }
        // Where the server redirects to after a form was done.
        let headers = response.headers();
        if let (Ok(true), Ok(Some(to))) = (headers.has("serverfnredirect"), headers.get("location")) {
            ui::browser::load(&to);
        }
        Ok(text.into())
    }

    async fn send(path: &str, kind: &str, body: &str) -> Result<web_sys::Response, JsValue> {
        let headers = web_sys::Headers::new()?;
        headers.set("accept", JSON)?;
        headers.set("content-type", kind)?;
        let asked = web_sys::RequestInit::new();
        asked.set_method("POST");
        asked.set_headers(&headers);
        asked.set_body(&JsValue::from_str(body));
        let window = ui::browser::window().ok_or(JsValue::NULL)?;
        Ok(JsFuture::from(window.fetch_with_str_and_init(path, &asked)).await?.unchecked_into())
    }
}

/// Declares a call: on the server its body becomes the server function, in the browser it is a request to its path.
macro_rules! call {
    ($(#[$doc:meta])* $path:literal: fn $name:ident($($argument:ident: $of:ty),* $(,)?) -> $answer:ty $body:block) => {
        $(#[$doc])*
        pub fn $name($($argument: $of),*) -> $crate::call::Call<$answer> {
            #[cfg(feature = "ssr")]
            {
                use leptos::server_fn::codec::Json;
                #[server(prefix = "/api/app", endpoint = $path, input = Json)]
                async fn run($($argument: $of),*) -> $crate::error::Answer<$answer> $body
                $crate::call::Call::of(run($($argument),*))
            }
            #[cfg(not(feature = "ssr"))]
            $crate::call::Call::to(
                concat!("/api/app/", $path),
                &[$((stringify!($argument), $crate::call::json(&$argument))),*],
            )
        }
    };
}
pub(crate) use call;

#[cfg(all(test, feature = "ssr"))]
mod tests {
    use super::*;

    #[test]
    fn an_answer_travels_in_the_page_as_it_is() {
        let check = |unread: Unread, sign: char| {
            let Ok(text) = Verbatim::encode(&unread);
            assert!(text.starts_with(sign), "{text}");
            assert_eq!(Verbatim::decode(&text), Ok(unread));
        };
        check(Ok(r#"{"a":[1,"</script>"]}"#.into()), '+');
        check(Ok("null".into()), '+');
        let lost = AppError::from_server_fn_error(ServerFnErrorErr::Request(String::new()));
        check(Err(lost), '-');
    }

    #[test]
    fn what_cannot_be_read_is_a_problem() {
        let check = |text: &str| assert!(matches!(Verbatim::decode(text), Ok(Err(_))), "{text:?}");
        check("");
        check("-{}");
        check("{}");
        assert!(read::<u64>("\"x\"").is_err_and(|error| error.0.code == "unexpected"));
    }
}
