//! A bucket of any store that speaks the S3 API.
//!
//! Requests are signed in their address (AWS Signature Version 4, presigned). Where the bucket is and who asks comes from
//! the variables that other S3 programs read: `AWS_ENDPOINT_URL` (not given: Amazon's of the region), `AWS_REGION`,
//! `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`. Listing is by the first version of that call: some
//! stores have no other.

use super::place::{Listed, Place};
use anyhow::{Context, Result, bail};
use async_trait::async_trait;
use bytes::Bytes;
use reqwest::header::CONTENT_LENGTH;
use reqwest::{Client, Method, StatusCode, Url};
use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};
use std::time::{Duration, SystemTime};

/// How long a signed address holds.
const SIGNED_FOR: Duration = Duration::from_secs(600);
/// How long a request may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often a request is tried that fails for now.
const ATTEMPTS: u32 = 5;

/// A prefix in a bucket.
pub struct S3 {
    client: Client,
    bucket: Bucket,
    credentials: Credentials,
    /// Empty, or ends with `/`.
    prefix: String,
}

impl S3 {
    /// Of `s3://BUCKET/PREFIX`, with the variables of an environment.
    ///
    /// # Errors
    /// Where a variable is missing or the address is no address.
    pub fn new(url: &str, variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let rest = url.strip_prefix("s3://").context("give s3://BUCKET/PREFIX")?;
        let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.trim_matches('/');
        if name.is_empty() {
            bail!("{url:?} names no bucket; give s3://BUCKET/PREFIX");
        }
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let wanted = |name: &str| set(name).with_context(|| format!("backups on S3 need {name}"));
        let region =
            set("AWS_REGION").or_else(|| set("AWS_DEFAULT_REGION")).unwrap_or("us-east-1".to_owned());
        let (endpoint, style) = match set("AWS_ENDPOINT_URL_S3").or_else(|| set("AWS_ENDPOINT_URL")) {
            Some(endpoint) => (endpoint, UrlStyle::Path),
            None => (format!("https://s3.{region}.amazonaws.com"), UrlStyle::VirtualHost),
        };
        let endpoint: Url = endpoint.parse().with_context(|| format!("{endpoint:?} is no address of S3"))?;
        let bucket = Bucket::new(endpoint, style, name.to_owned(), region)?;
        let (key, secret) = (wanted("AWS_ACCESS_KEY_ID")?, wanted("AWS_SECRET_ACCESS_KEY")?);
        let credentials = match set("AWS_SESSION_TOKEN") {
            Some(token) => Credentials::new_with_token(key, secret, token),
            None => Credentials::new(key, secret),
        };
        let client = Client::builder().timeout(PATIENCE).build()?;
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Ok(Self { client, bucket, credentials, prefix })
    }

    /// Makes the bucket.
    ///
    /// # Errors
    /// Where the store refuses.
    pub async fn make_bucket(&self) -> Result<()> {
        let sign = || self.bucket.create_bucket(&self.credentials).sign(SIGNED_FOR);
        // A body of no bytes, so that its length is told: stores insist on that.
        self.send(Method::PUT, sign, Some(Bytes::new())).await.map(|_| ())
    }

    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Sends a request signed anew each time; tries again where the store is busy or the connection breaks. `None` for 404.
    async fn send(
        &self,
        method: Method,
        sign: impl Fn() -> Url,
        body: Option<Bytes>,
    ) -> Result<Option<Bytes>> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            match self.send_once(method.clone(), sign(), body.clone()).await {
                Ok(answer) => return Ok(answer),
                Err(Failure::Later(_)) if attempt < ATTEMPTS => {
                    tokio::time::sleep(Duration::from_millis(200) * 2_u32.pow(attempt)).await;
                }
                Err(Failure::Later(why) | Failure::Final(why)) => bail!("{}: {why}", self.shown()),
            }
        }
    }

    async fn send_once(
        &self,
        method: Method,
        url: Url,
        body: Option<Bytes>,
    ) -> Result<Option<Bytes>, Failure> {
        let mut request = self.client.request(method, url);
        if let Some(body) = body {
            request = request.header(CONTENT_LENGTH, body.len()).body(body);
        }
        // The address holds a signature: it stays out of messages.
        let later = |error: reqwest::Error| Failure::Later(error.without_url().to_string());
        let answer = request.send().await.map_err(later)?;
        let status = answer.status();
        let content = answer.bytes().await.map_err(later)?;
        match status {
            status if status.is_success() => Ok(Some(content)),
            StatusCode::NOT_FOUND if !is_no_bucket(&content) => Ok(None),
            StatusCode::TOO_MANY_REQUESTS => Err(Failure::Later(told(status, &content))),
            status if status.is_server_error() => Err(Failure::Later(told(status, &content))),
            status => Err(Failure::Final(told(status, &content))),
        }
    }

    async fn page(&self, prefix: &str, marker: &str) -> Result<String> {
        let sign = || {
            let mut list = self.bucket.get_object(Some(&self.credentials), "");
            let query = list.query_mut();
            query.insert("prefix", prefix.to_owned());
            query.insert("max-keys", "1000");
            if !marker.is_empty() {
                query.insert("marker", marker.to_owned());
            }
            list.sign(SIGNED_FOR)
        };
        let answer = self.send(Method::GET, sign, None).await?.unwrap_or_default();
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }
}

enum Failure {
    Later(String),
    Final(String),
}

fn is_no_bucket(answer: &[u8]) -> bool {
    element(&String::from_utf8_lossy(answer), "Code").is_some_and(|code| code == "NoSuchBucket")
}

/// What the store said, in a line.
fn told(status: StatusCode, answer: &[u8]) -> String {
    let answer = String::from_utf8_lossy(answer);
    let part = |name: &str| element(&answer, name).unwrap_or_default();
    format!("S3 answered {status} {} {}", part("Code"), part("Message")).trim_end().to_owned()
}

/// The text of the first element of a name. Answers of S3 are flat enough for that.
fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    let plain = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#34;", "\"");
    Some(plain.replace("&apos;", "'").replace("&#39;", "'").replace("&amp;", "&"))
}

/// The objects of a page of a listing, and whether there are more.
fn listing(xml: &str) -> (Vec<(String, SystemTime)>, bool) {
    let objects = xml.split("<Contents>").skip(1).filter_map(|object| {
        let written = domain::Timestamp::parse(&element(object, "LastModified")?).ok()?;
        let since = u64::try_from(written.as_nanos()).unwrap_or(0);
        Some((element(object, "Key")?, SystemTime::UNIX_EPOCH + Duration::from_nanos(since)))
    });
    (objects.collect(), element(xml, "IsTruncated").is_some_and(|it| it == "true"))
}

#[async_trait]
impl Place for S3 {
    fn shown(&self) -> String {
        format!("s3://{}/{}", self.bucket.name(), self.prefix.trim_end_matches('/'))
    }

    async fn put(&self, name: &str, bytes: Bytes) -> Result<()> {
        let key = self.key(name);
        let sign = || self.bucket.put_object(Some(&self.credentials), &key).sign(SIGNED_FOR);
        match self.send(Method::PUT, sign, Some(bytes)).await? {
            Some(_) => Ok(()),
            None => bail!("{} took nothing: is the bucket there?", self.shown()),
        }
    }

    async fn get(&self, name: &str) -> Result<Option<Bytes>> {
        let key = self.key(name);
        let sign = || self.bucket.get_object(Some(&self.credentials), &key).sign(SIGNED_FOR);
        self.send(Method::GET, sign, None).await
    }

    async fn delete(&self, name: &str) -> Result<()> {
        let key = self.key(name);
        let sign = || self.bucket.delete_object(Some(&self.credentials), &key).sign(SIGNED_FOR);
        self.send(Method::DELETE, sign, None).await.map(|_| ())
    }

    async fn list(&self, folder: &str) -> Result<Vec<Listed>> {
        let prefix = self.key(folder);
        let (mut found, mut marker) = (Vec::new(), String::new());
        loop {
            let (objects, more) = listing(&self.page(&prefix, &marker).await?);
            let last = objects.last().map(|(key, _)| key.clone());
            found.extend(objects.into_iter().filter_map(|(key, written_at)| {
                let name = key.strip_prefix(&self.prefix)?.to_owned();
                Some(Listed { name, written_at })
            }));
            match last {
                Some(last) if more => marker = last,
                _ => return Ok(found),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listings_are_read() {
        let xml = "<?xml version=\"1.0\"?><ListBucketResult><Name>b</Name><IsTruncated>true</IsTruncated>\
                   <Contents><Key>p/a&amp;b</Key><LastModified>2026-11-22T01:02:03.000Z</LastModified></Contents>\
                   <Contents><Key>p/c</Key><LastModified>2026-11-22T01:02:04Z</LastModified><Size>1</Size></Contents>\
                   </ListBucketResult>";
        let (objects, more) = listing(xml);
        let keys: Vec<&str> = objects.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!((keys, more), (vec!["p/a&b", "p/c"], true));
        assert!(objects[0].1 < objects[1].1);
        assert!(!listing("<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>").1);
    }

    #[test]
    fn what_is_missing_is_named() {
        let check = |url: &str, given: &[&str], expect: &str| {
            let variable = |name: &str| given.contains(&name).then(|| "x".to_owned());
            let refused = S3::new(url, variable).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(refused.contains(expect), "{url}: {refused}");
        };
        check("s3://", &[], "names no bucket");
        check("s3://b/p", &[], "AWS_ACCESS_KEY_ID");
        check("s3://b/p", &["AWS_ACCESS_KEY_ID"], "AWS_SECRET_ACCESS_KEY");
        check("s3://b/p", &["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"], "");
    }
}
