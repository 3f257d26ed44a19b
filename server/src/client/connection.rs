//! One connection: greeting, lines out, answers in.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// How long connecting and greeting may take, each.
const GREETING: Duration = Duration::from_secs(15);
/// The longest answer line that is read.
const ANSWER_MAX: usize = 16 * 1024;

/// Where to send.
#[derive(Debug, Clone, Default)]
pub struct Target {
    /// `HOST:PORT`.
    pub address: String,
    /// Speak TLS, and trust what these certificates (PEM) have signed.
    pub tls_ca: Option<PathBuf>,
    /// In TLS, show this certificate: chain and key, PEM.
    pub tls_identity: Option<(PathBuf, PathBuf)>,
}

/// The reading half, whatever the transport.
pub type Reader = BufReader<Box<dyn AsyncRead + Send + Unpin>>;
/// The writing half, whatever the transport.
pub type Writer = Box<dyn AsyncWrite + Send + Unpin>;

impl Target {
    /// Connects.
    ///
    /// # Errors
    /// Where the host cannot be reached in time, or is not whom the certificates vouch for.
    pub async fn connect(&self) -> io::Result<(Reader, Writer)> {
        let connect = async {
            let stream = TcpStream::connect(&self.address).await?;
            stream.set_nodelay(true)?;
            let Some(ca) = &self.tls_ca else {
                let (read, write) = stream.into_split();
                let reader: Box<dyn AsyncRead + Send + Unpin> = Box::new(read);
                return Ok((BufReader::new(reader), Box::new(write) as Writer));
            };
            let host = self.address.rsplit_once(':').map_or(self.address.as_str(), |(host, _)| host);
            let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
            let stream = TlsConnector::from(self.trusting(ca)?).connect(name, stream).await?;
            let (read, write) = tokio::io::split(stream);
            let reader: Box<dyn AsyncRead + Send + Unpin> = Box::new(read);
            Ok((BufReader::new(reader), Box::new(write) as Writer))
        };
        tokio::time::timeout(GREETING, connect).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl Target {
    fn trusting(&self, ca: &Path) -> io::Result<Arc<ClientConfig>> {
        let roots =
            read_certificates(ca)?.into_iter().try_fold(RootCertStore::empty(), |mut roots, ca| {
                roots.add(ca).map_err(invalid)?;
                io::Result::Ok(roots)
            })?;
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(invalid)?
            .with_root_certificates(roots);
        let config = match &self.tls_identity {
            None => config.with_no_client_auth(),
            Some((chain, key)) => {
                let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| named(key, error))?;
                config.with_client_auth_cert(read_certificates(chain)?, secret).map_err(invalid)?
            }
        };
        Ok(Arc::new(config))
    }
}

fn read_certificates(file: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let certificates = CertificateDer::pem_file_iter(file).map_err(|error| named(file, error))?;
    certificates.map(|certificate| certificate.map_err(|error| named(file, error))).collect()
}

fn invalid(error: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error.to_string())
}

fn named(file: &Path, error: impl std::fmt::Display) -> io::Error {
    invalid(format!("{}: {error}", file.display()))
}

/// What the client says first.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Hello {
    /// The ingest token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The source, where the token is not bound to one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The name of what is sent, for resuming; at most 64 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
    /// The highest sequence acknowledged so far, 0 where none: everything after it is sent again. `None`: nothing is known
    /// of the stream, and new lines are to come after all that it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acked: Option<u64>,
    /// Fields that every record gets.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, String>,
}

impl Hello {
    /// The line that opens the connection.
    pub fn line(&self) -> Vec<u8> {
        let mut line = b"HELLO ".to_vec();
        line.extend(serde_json::to_vec(self).unwrap_or_default());
        line.push(b'\n');
        line
    }
}

/// What the server says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// The greeting is accepted; lines go on after this sequence.
    Ok {
        /// The highest sequence that the server has.
        last_seq: u64,
    },
    /// Everything up to here is durable.
    Ack(u64),
    /// This line is bad and will never be taken; it counts as settled.
    Nack {
        /// Which.
        sequence: u64,
        /// Why.
        fault: Fault,
    },
    /// The server closes the connection.
    Err(Fault),
}

/// Why the server would not.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct Fault {
    /// Stable code.
    #[serde(default)]
    pub code: String,
    /// For people.
    #[serde(default)]
    pub message: String,
    /// Seconds after which to try again.
    #[serde(default)]
    pub retry_after: Option<u64>,
}

impl Fault {
    /// Whether another try with the same greeting is of no use.
    pub fn is_final(&self) -> bool {
        matches!(
            self.code.as_str(),
            "no_credential"
                | "bad_token"
                | "expired_token"
                | "revoked_token"
                | "wrong_kind"
                | "suspended"
                | "identity_changed"
                | "revoked_certificate"
                | "address_rule_ended"
                | "superseded"
                | "bad_hello"
                | "bad_source"
                | "bad_stream"
        )
    }
}

impl Reply {
    /// Reads a line; `None` where it is none of ours.
    pub fn parse(line: &str) -> Option<Self> {
        let (word, rest) = line.trim_end().split_once(' ')?;
        match word {
            "OK" => {
                #[derive(Deserialize)]
                struct Body {
                    #[serde(default)]
                    last_seq: u64,
                }
                serde_json::from_str(rest).ok().map(|Body { last_seq }| Self::Ok { last_seq })
            }
            "ACK" => rest.parse().ok().map(Self::Ack),
            "NACK" => {
                let (sequence, fault) = rest.split_once(' ').unwrap_or((rest, "{}"));
                let fault = serde_json::from_str(fault).unwrap_or_default();
                Some(Self::Nack { sequence: sequence.parse().ok()?, fault })
            }
            "ERR" => Some(Self::Err(serde_json::from_str(rest).unwrap_or_default())),
            _ => None,
        }
    }

    /// The next answer; `None` where the server has closed.
    ///
    /// # Errors
    /// Where the connection breaks, or what answers is no QGX server.
    pub async fn read(reader: &mut Reader) -> io::Result<Option<Self>> {
        let mut line = Vec::new();
        loop {
            let available = reader.fill_buf().await?;
            if available.is_empty() {
                return Ok(None);
            }
            let end = available.iter().position(|byte| *byte == b'\n');
            let taken = end.map_or(available.len(), |at| at + 1);
            line.extend_from_slice(&available[..taken]);
            reader.consume(taken);
            if end.is_some() {
                break;
            }
            if line.len() > ANSWER_MAX {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the answer is no QGX line"));
            }
        }
        let text = String::from_utf8_lossy(&line);
        Self::parse(&text).map(Some).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                "the answer is no QGX line; is this the ingestion port?",
            )
        })
    }
}

/// Connects and greets; the answer is `Ok` or `Err`.
///
/// # Errors
/// Where the connection breaks or nothing sensible comes in time.
pub async fn greet(target: &Target, hello: &Hello) -> io::Result<(Reader, Writer, Reply)> {
    let (mut reader, mut writer) = target.connect().await?;
    writer.write_all(&hello.line()).await?;
    writer.flush().await?;
    let reply = tokio::time::timeout(GREETING, Reply::read(&mut reader))
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
    let reply = reply.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
    Ok((reader, writer, reply))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read() {
        fn check(line: &str, expect: Option<Reply>) {
            assert_eq!(Reply::parse(line), expect, "{line}");
        }
        let fault =
            |code: &str, retry_after| Fault { code: code.to_owned(), message: String::new(), retry_after };
        check("OK {\"stream\":\"s\",\"last_seq\":41}\n", Some(Reply::Ok { last_seq: 41 }));
        check("ACK 57\n", Some(Reply::Ack(57)));
        check("NACK 58 {\"code\":\"json\"}", Some(Reply::Nack { sequence: 58, fault: fault("json", None) }));
        check("ERR {\"code\":\"quota\",\"retry_after\":30}", Some(Reply::Err(fault("quota", Some(30)))));
        check("HTTP/1.1 400 Bad Request", None);
        check("", None);
    }
}
