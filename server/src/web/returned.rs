//! The mistake that a form sent without scripts goes back with.
//!
//! It travels in the address, as `__path` and `__err`, and the page shows it: so it is sealed there, and an address that
//! somebody else has made up shows nothing.

use http::{HeaderMap, HeaderValue, header};
use services::Services;
use sha2::{Digest, Sha256};

/// The parameters of leptos: which form, and its mistake.
const FORM: &str = "__path";
const MISTAKE: &str = "__err";
/// Ours: that both were written here.
const SEAL: &str = "__seal";

/// The pairs of an address's query, as they stand there.
fn pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

fn find<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    pairs(query).find_map(|(key, value)| (key == name).then_some(value))
}

/// The address split before and after its query.
fn parts(address: &str) -> (&str, &str, &str) {
    let (rest, fragment) = address.find('#').map_or((address, ""), |at| address.split_at(at));
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    (path, query, fragment)
}

/// The address without what stands for a mistake.
fn cleared(address: &str) -> String {
    let (path, query, fragment) = parts(address);
    let kept: Vec<String> = query
        .split('&')
        .filter(|pair| {
            let name = pair.split('=').next().unwrap_or_default();
            !pair.is_empty() && ![FORM, MISTAKE, SEAL].contains(&unescaped(name).as_str())
        })
        .map(str::to_owned)
        .collect();
    let mark = if kept.is_empty() { "" } else { "?" };
    format!("{path}{mark}{}{fragment}", kept.join("&"))
}

/// A name may be escaped in many ways, and is the same name.
fn unescaped(name: &str) -> String {
    let query = format!("{name}=");
    let read = format!("/?{query}")
        .parse::<http::Uri>()
        .ok()
        .and_then(|uri| axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&uri).ok());
    read.and_then(|pairs| pairs.0.into_iter().next()).map_or_else(|| name.to_owned(), |(name, _)| name)
}

/// The path of an address: a form goes back to a page of this site, whatever `Referer` said.
fn local(page: &str) -> &str {
    let path = match page.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]),
        None => page,
    };
    if path.starts_with('/') && !path.starts_with("//") { path } else { "/" }
}

fn digest(query: &str) -> Option<String> {
    let (form, mistake) = (find(query, FORM)?, find(query, MISTAKE)?);
    let hash = Sha256::digest(format!("{form} {mistake}").as_bytes());
    Some(hash.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Seals the mistake in the address that an answer sends the browser to, where there is one.
pub fn seal(headers: &mut HeaderMap, services: &Services) {
    let Some(address) = headers.get(header::LOCATION).and_then(|value| value.to_str().ok()) else { return };
    let (page, query, fragment) = parts(address);
    let path = local(page);
    let Some(digest) = digest(query) else { return };
    let kept: Vec<&str> = query
        .split('&')
        .filter(|pair| unescaped(pair.split('=').next().unwrap_or_default()) != SEAL)
        .collect();
    let sealed = match services.seal(&digest) {
        Ok(seal) => format!("{path}?{}&{SEAL}={seal}{fragment}", kept.join("&")),
        Err(_) => cleared(&format!("{path}?{query}{fragment}")),
    };
    if let Ok(value) = HeaderValue::from_str(&sealed) {
        headers.insert(header::LOCATION, value);
    }
}

/// Where an address shows a mistake that was not sealed here: the address without it.
pub fn forged(path_and_query: &str, services: &Services) -> Option<String> {
    let (_, query, _) = parts(path_and_query);
    let names: Vec<String> = pairs(query).map(|(name, _)| unescaped(name)).collect();
    let count = |name: &str| names.iter().filter(|found| *found == name).count();
    if count(FORM) + count(MISTAKE) == 0 {
        return None;
    }
    let genuine = [FORM, MISTAKE, SEAL].iter().all(|name| count(name) == 1)
        && find(query, SEAL)
            .and_then(|seal| services.open(seal).ok())
            .is_some_and(|opened| digest(query).is_some_and(|digest| digest == opened));
    (!genuine).then(|| cleared(path_and_query))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_goes_back_to_this_site() {
        fn check(page: &str, expect: &str) {
            assert_eq!(local(page), expect, "{page}");
        }
        check("http://localhost:31080/login", "/login");
        check("https://evil.example/x", "/x");
        check("https://evil.example", "/");
        check("//evil.example/x", "/");
        check("https://a.example//evil.example", "/");
        check("/settings/password", "/settings/password");
    }

    #[test]
    fn a_mistake_is_taken_out_of_an_address() {
        fn check(address: &str, expect: &str) {
            assert_eq!(cleared(address), expect, "{address}");
        }
        check("/login?__err=abc", "/login");
        check("/login?next=%2F&__path=%2Fapi&__err=abc&__seal=v1.x", "/login?next=%2F");
        check("/login?%5F_err=abc&q=1#end", "/login?q=1#end");
        check("/explore?q=a", "/explore?q=a");
    }
}
