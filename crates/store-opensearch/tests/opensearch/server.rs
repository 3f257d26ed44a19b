//! An OpenSearch to test on, shared by whoever tests there: everything made has a prefix of this process.

use opensearch::http::headers::HeaderMap;
use opensearch::http::transport::Transport;
use opensearch::http::{Method, response::Response};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use store_opensearch::{OpenSearchIndex, OpenSearchOptions, Refresh};

/// The server's address; without one the test is skipped.
pub fn at() -> Option<String> {
    store::testing::wanted(
        "QGX_TEST_OPENSEARCH",
        "the address of an OpenSearch 2.11; `cargo xtask services up opensearch` starts one",
    )
}

/// Indexes of one check.
#[derive(Clone)]
pub struct Prefix {
    url: String,
    prefix: String,
}

impl Prefix {
    pub fn new(url: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self { url: url.to_owned(), prefix: format!("qgxtest-{}-{number}-", std::process::id()) }
    }

    /// How tests connect: what is written is visible at once.
    pub fn options(&self) -> OpenSearchOptions {
        let mut options = OpenSearchOptions::from_urls(&self.url).expect("an address");
        options.prefix.clone_from(&self.prefix);
        options.replicas = 0;
        options.refresh = Refresh::AtOnce;
        options
    }

    pub fn open(&self) -> Arc<OpenSearchIndex> {
        OpenSearchIndex::connect(self.options()).expect("the options are right")
    }

    /// Removes what was made.
    pub async fn remove(&self) {
        for path in [format!("{}*", self.prefix), format!("_index_template/{}*", self.prefix)] {
            let status = send(&self.url, Method::Delete, &path, None).await.status_code();
            assert!(status.is_success() || status.as_u16() == 404, "{path}: {status}");
        }
    }
}

/// A request beside the index.
pub async fn ask(url: &str, method: Method, path: &str, body: &str) -> serde_json::Value {
    let answer = send(url, method, path, Some(body.to_owned())).await;
    answer.json().await.expect("JSON")
}

async fn send(url: &str, method: Method, path: &str, body: Option<String>) -> Response {
    let transport = Transport::single_node(url).expect("an address");
    let sent = transport.send(method, path, HeaderMap::new(), None::<&()>, body, None).await;
    sent.expect("the server answers")
}
