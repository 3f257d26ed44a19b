//! The event index on OpenSearch: `https://h1:9200,https://h2:9200` and what goes with it.

use super::reader::Reader;
use store::index::IndexError;
use store_opensearch::OpenSearchOptions;

/// Whether an event index's address names OpenSearch.
pub fn is_url(text: &str) -> bool {
    ["https://", "http://"].iter().any(|scheme| text.starts_with(scheme))
}

/// The options, where the event index is OpenSearch.
pub fn options(read: &mut Reader<'_>) -> Option<OpenSearchOptions> {
    let urls = read.text("search_url").filter(|text| is_url(text))?;
    let options = match OpenSearchOptions::from_urls(&urls) {
        Ok(options) => options,
        Err(IndexError::Failed(why)) => {
            read.wrong("search_url", why);
            return None;
        }
        Err(error) => {
            read.wrong("search_url", error.to_string());
            return None;
        }
    };
    Some(OpenSearchOptions {
        authorities: authorities(read),
        prefix: read.text("search_prefix").unwrap_or_default(),
        shards: read.number("search_shards", 1..=1_024),
        replicas: read.number("search_replicas", 0..=16),
        ..options
    })
}

fn authorities(read: &mut Reader<'_>) -> Option<Vec<u8>> {
    let path = read.path("search_tls_ca")?;
    match std::fs::read(&path) {
        Ok(pem) => Some(pem),
        Err(error) => {
            let why = format!("is {}, which cannot be read ({error}); correct the path", path.display());
            read.wrong("search_tls_ca", why);
            None
        }
    }
}
