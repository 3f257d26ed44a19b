//! Which OpenSearch, and how the indexes in it are made.

use opensearch::http::Url;
use store::index::IndexError;

/// When what was written can be searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refresh {
    /// With the next refresh of the shard, at most [`OpenSearchOptions::refresh_millis`] later. Writes do not wait.
    Interval,
    /// When the write returns: it waits for the next refresh.
    WaitFor,
    /// When the write returns: it refreshes the shard itself. Many small segments; for tests and small imports.
    AtOnce,
}

/// User and password; the latter is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// Who.
    pub user: String,
    /// The secret.
    pub password: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Login({:?}, …)", self.user)
    }
}

/// The connection, and the settings of new indexes.
#[derive(Debug, Clone)]
pub struct OpenSearchOptions {
    /// The nodes, asked in turn. All have the same scheme.
    pub nodes: Vec<Url>,
    /// For HTTP Basic (RFC 7617).
    pub login: Option<Login>,
    /// PEM of the authorities to trust beside the built-in ones.
    pub authorities: Option<Vec<u8>>,
    /// Set before the name of every index and template: several installations may share a cluster.
    pub prefix: String,
    /// Primary shards of an index. A tenant's events of an index lie in one of them.
    pub shards: u16,
    /// Copies of each shard.
    pub replicas: u16,
    /// How often new events become searchable. Set explicitly: a shard without the setting stops refreshing when it was
    /// not searched for 30 s.
    pub refresh_millis: u32,
    /// When a write returns.
    pub refresh: Refresh,
    /// Bytes of events in one bulk request, roughly; a larger event goes alone.
    pub bulk_bytes: usize,
}

impl OpenSearchOptions {
    /// From the value of `QGX_SEARCH_URL`: one or more addresses, separated by commas, such as
    /// `https://user:password@host-1:9200,https://host-2:9200`. The first user and password count for all.
    ///
    /// # Errors
    /// [`IndexError::Failed`] with what is wrong in it; passwords are not repeated.
    pub fn from_urls(urls: &str) -> Result<Self, IndexError> {
        let mut login = None;
        let mut nodes = Vec::new();
        for text in urls.split(',').map(str::trim).filter(|text| !text.is_empty()) {
            let wrong = |why: &str| {
                let shown = text.rsplit_once('@').map_or(text, |(_, host)| host);
                IndexError::Failed(format!("{shown} is no address of OpenSearch: {why}"))
            };
            let mut url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
            if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
                return Err(wrong("expected https://host:9200 or http://host:9200"));
            }
            if !url.username().is_empty() {
                let decoded =
                    |part: &str| percent_decoded(part).ok_or_else(|| wrong("user or password is not UTF-8"));
                let (user, password) = (decoded(url.username())?, decoded(url.password().unwrap_or(""))?);
                login.get_or_insert(Login { user, password });
            }
            let bare = url.set_username("").and_then(|()| url.set_password(None));
            bare.map_err(|()| wrong("expected a host"))?;
            nodes.push(url);
        }
        if nodes.is_empty() {
            return Err(IndexError::Failed("no address of OpenSearch is given".to_owned()));
        }
        Ok(Self {
            nodes,
            login,
            authorities: None,
            prefix: String::new(),
            shards: 1,
            replicas: 1,
            refresh_millis: 1_000,
            refresh: Refresh::Interval,
            bulk_bytes: 8 << 20,
        })
    }
}

/// The text behind `%40` and the like (RFC 3986, section 2.1).
fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        match (first, tail) {
            (b'%', [high, low, tail @ ..]) => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16);
                bytes.push(u8::try_from(digit(high)? * 16 + digit(low)?).ok()?);
                rest = tail;
            }
            _ => bytes.push(*first),
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let check = |urls: &str, nodes: &[&str], credentials: Option<(&str, &str)>| {
            let options = OpenSearchOptions::from_urls(urls).unwrap();
            assert_eq!(options.nodes.iter().map(Url::as_str).collect::<Vec<_>>(), nodes);
            let seen = options.login.as_ref().map(|login| (login.user.as_str(), login.password.as_str()));
            assert_eq!(seen, credentials);
        };
        check("http://127.0.0.1:9200", &["http://127.0.0.1:9200/"], None);
        check(
            "https://qgx:p%40ss@one:9200, https://two:9200/search,",
            &["https://one:9200/", "https://two:9200/search"],
            Some(("qgx", "p@ss")),
        );
    }

    #[test]
    fn what_is_no_address() {
        for urls in ["", " , ", "kafka://host", "host:9200", "http://", "https://u:secret@"] {
            let error = OpenSearchOptions::from_urls(urls).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
