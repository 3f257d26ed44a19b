//! Cookies that hold a taste and no secret, so that pages look right before anyone has signed in; and one that hands a
//! new token from a form sent without scripts to the page that shows it.

/// `ko` or `en`.
pub const LANG: &str = "qgx_lang";
/// `system`, `light` or `dark`.
pub const THEME: &str = "qgx_theme";
/// `narrow` where the rail is folded.
pub const RAIL: &str = "qgx_rail";

/// A token made just now, sealed, for the next page alone.
#[cfg(feature = "ssr")]
pub const MADE: &str = "qgx_made";

/// A year, in seconds.
const KEEP: u32 = 31_536_000;

/// The value of a `Set-Cookie` header that keeps a taste for a year, for every path of the site.
pub fn keep(name: &str, value: &str) -> String {
    format!("{name}={value}; Path=/; Max-Age={KEEP}; SameSite=Lax")
}

/// The value of a `Set-Cookie` header for what only the very next page may read; no script can.
#[cfg(feature = "ssr")]
pub fn once(name: &str, value: &str) -> String {
    format!("{name}={value}; Path=/; Max-Age=30; HttpOnly; SameSite=Strict")
}

/// The value of a `Set-Cookie` header that takes a cookie away.
#[cfg(feature = "ssr")]
pub fn over(name: &str) -> String {
    format!("{name}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict")
}

/// A cookie of a request.
#[cfg(feature = "ssr")]
pub fn find(headers: &http::HeaderMap, name: &str) -> Option<String> {
    headers
        .get_all(http::header::COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(key, value)| (key == name).then(|| value.to_owned()))
}
