//! Hydration entry point of the user web.

fn main() {
    console_error_panic_hook::set_once();
    // What redirects has changed who is asking: the page is loaded anew rather than patched.
    let _ = leptos::server_fn::redirect::set_redirect_hook(ui::browser::load);
    leptos::mount::hydrate_body(app::App);
}
