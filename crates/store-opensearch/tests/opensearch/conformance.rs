//! OpenSearch does what every event index must, where there is one: `QGX_TEST_OPENSEARCH` is its address.

use crate::server::{Prefix, at};
use async_trait::async_trait;
use std::sync::{Arc, Mutex};
use store::index::EventIndex;
use store::index::conformance::{Fixture, run};

struct OnServer(Prefix);

#[async_trait]
impl Fixture for OnServer {
    async fn open(&self) -> Arc<dyn EventIndex> {
        let index = self.0.open();
        index.ensure().await.expect("the template is put in its place");
        index
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conforms() {
    let Some(url) = at() else { return };
    let made = Mutex::new(Vec::new());
    run(|| {
        let prefix = Prefix::new(&url);
        made.lock().expect("no check panicked").push(prefix.clone());
        OnServer(prefix)
    })
    .await;
    let made = made.into_inner().expect("no check panicked");
    for prefix in made {
        prefix.remove().await;
    }
}
