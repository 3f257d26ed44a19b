//! The text of a `<textarea>`.

/// What goes between the tags of a `<textarea>`. Leptos writes it into a page as it stands, for to a parser it is text
/// alone; but the end tag ends it, so on the server `&` and `<` are escaped. In the browser it is a node of text.
#[must_use]
pub fn area_text(text: String) -> String {
    if cfg!(feature = "ssr") { text.replace('&', "&amp;").replace('<', "&lt;") } else { text }
}

#[cfg(all(test, feature = "ssr"))]
mod tests {
    use super::area_text;
    use leptos::prelude::*;

    #[test]
    fn no_text_ends_the_area() {
        fn check(text: &str, written: &str) {
            let html = view! { <textarea>{area_text(text.to_owned())}</textarea> }.to_html();
            assert!(html.contains(written), "{html}");
            assert_eq!(html.matches("</").count(), 1, "{html}");
        }
        check("site=부산", ">site=부산<");
        check("</textarea><form action=/x>", "&lt;/textarea>&lt;form action=/x>");
        check("&lt;", "&amp;lt;");
    }
}
