//! Hydration entry point of the user web.

fn main() {
    // A release says nothing when it panics: see shrink.mjs.
    #[cfg(debug_assertions)]
    console_error_panic_hook::set_once();
    leptos::mount::hydrate_body(app::App);
}
