//! How what lies in a repository is sealed.
//!
//! A repository's key is derived from a passphrase by Argon2id (RFC 9106) with the repository's salt: 64 bytes, of which
//! the first 32 name chunks (HMAC-SHA-256 of the content, so that names tell nothing about it) and the others seal
//! (XChaCha20-Poly1305 with a random nonce in front, the object's name as associated data, so that no object passes for
//! another). Inside is one byte, 0 as it is or 1 deflated (RFC 1951), and the content.
//!
//! Without a key chunks are named by SHA-256 and hold the same byte and content in clear.

use anyhow::{Context, Result, anyhow, bail};
use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use flate2::Compression;
use flate2::read::{DeflateDecoder, DeflateEncoder};
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::io::Read;
use std::path::Path;

/// Bytes of a nonce.
const NONCE: usize = 24;
/// A shorter passphrase could be guessed.
const SHORTEST: usize = 12;
/// More than any object inflates to.
const LONGEST: u64 = 1 << 30;

/// A passphrase.
#[derive(Clone)]
pub struct Key(String);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(…)")
    }
}

impl Key {
    /// # Errors
    /// Where it is too short.
    pub fn new(passphrase: &str) -> Result<Self> {
        let passphrase = passphrase.trim();
        if passphrase.chars().count() < SHORTEST {
            bail!(
                "the backup key is shorter than {SHORTEST} characters; make one by: openssl rand -base64 32"
            );
        }
        Ok(Self(passphrase.to_owned()))
    }

    /// The content of a file.
    ///
    /// # Errors
    /// Where it cannot be read, or holds less than a key.
    pub fn from_file(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("the key file {} cannot be read", path.display()))?;
        Self::new(&text)
    }
}

/// What Argon2id is given beside the passphrase.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Derivation {
    /// Random, hexadecimal.
    pub salt: String,
    /// KiB of memory.
    pub memory_kib: u32,
    /// Passes.
    pub passes: u32,
}

impl Derivation {
    /// A fresh one. Guessing costs 64 MiB and a fraction of a second each time.
    ///
    /// # Errors
    /// Where the system gives no random bytes.
    pub fn fresh() -> Result<Self> {
        let mut salt = [0; 16];
        getrandom::fill(&mut salt).context("the system gives no random bytes")?;
        Ok(Self { salt: hex(&salt), memory_kib: 64 * 1024, passes: 3 })
    }
}

/// Names and seals objects.
pub struct Seal {
    keys: Option<Keys>,
}

struct Keys {
    names: [u8; 32],
    cipher: XChaCha20Poly1305,
}

impl Seal {
    /// In clear.
    pub fn none() -> Self {
        Self { keys: None }
    }

    /// With a key.
    ///
    /// # Errors
    /// Where the derivation's parameters are out of bounds.
    pub fn with(key: &Key, derivation: &Derivation) -> Result<Self> {
        let params = Params::new(derivation.memory_kib, derivation.passes, 1, Some(64))
            .map_err(|error| anyhow!("the repository's key parameters are wrong: {error}"))?;
        let mut derived = [0; 64];
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(key.0.as_bytes(), derivation.salt.as_bytes(), &mut derived)
            .map_err(|error| anyhow!("the backup key cannot be derived: {error}"))?;
        let (names, sealing) = derived.split_at(32);
        let names = names.try_into().context("a key of another length")?;
        let cipher = XChaCha20Poly1305::new_from_slice(sealing).context("a key of another length")?;
        Ok(Self { keys: Some(Keys { names, cipher }) })
    }

    /// Whether a key is used.
    pub fn is_sealed(&self) -> bool {
        self.keys.is_some()
    }

    /// The name of a content, hexadecimal.
    pub fn name(&self, content: &[u8]) -> String {
        let Some(keys) = &self.keys else { return sha256(content) };
        let Ok(mut mac) = <Hmac<Sha256> as Mac>::new_from_slice(&keys.names) else { return sha256(content) };
        mac.update(content);
        hex(&mac.finalize().into_bytes())
    }

    /// Packs and seals.
    ///
    /// # Errors
    /// Where the system gives no random bytes.
    pub fn seal(&self, object: &str, content: &[u8]) -> Result<Vec<u8>> {
        let packed = packed(content)?;
        let Some(keys) = &self.keys else { return Ok(packed) };
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).context("the system gives no random bytes")?;
        let payload = Payload { msg: &packed, aad: object.as_bytes() };
        let sealed = keys.cipher.encrypt(XNonce::from_slice(&nonce), payload);
        let sealed = sealed.map_err(|_| anyhow!("{object} cannot be sealed"))?;
        Ok([&nonce[..], &sealed].concat())
    }

    /// Opens and unpacks.
    ///
    /// # Errors
    /// Where it is not what was sealed under this name with this key.
    pub fn open(&self, object: &str, bytes: &[u8]) -> Result<Vec<u8>> {
        let Some(keys) = &self.keys else { return unpacked(object, bytes) };
        let (nonce, sealed) =
            bytes.split_at_checked(NONCE).with_context(|| format!("{object} is cut short"))?;
        let payload = Payload { msg: sealed, aad: object.as_bytes() };
        let packed = keys.cipher.decrypt(XNonce::from_slice(nonce), payload);
        let packed = packed.map_err(|_| anyhow!("{object} is damaged, or of another key"))?;
        unpacked(object, &packed)
    }
}

fn packed(content: &[u8]) -> Result<Vec<u8>> {
    let mut packed = vec![1];
    DeflateEncoder::new(content, Compression::fast()).read_to_end(&mut packed)?;
    if packed.len() <= content.len() {
        return Ok(packed);
    }
    Ok([&[0], content].concat())
}

fn unpacked(object: &str, packed: &[u8]) -> Result<Vec<u8>> {
    match packed.split_first() {
        Some((0, content)) => Ok(content.to_vec()),
        Some((1, deflated)) => {
            let mut content = Vec::new();
            DeflateDecoder::new(deflated)
                .take(LONGEST)
                .read_to_end(&mut content)
                .with_context(|| format!("{object} is damaged"))?;
            Ok(content)
        }
        _ => bail!("{object} is damaged"),
    }
}

/// Lower case.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// SHA-256, hexadecimal.
pub fn sha256(content: &[u8]) -> String {
    hex(&Sha256::digest(content))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seals() -> [Seal; 3] {
        let cheap = |salt: &str| Derivation { salt: salt.to_owned(), memory_kib: 64, passes: 1 };
        let key = Key::new("correct horse battery").unwrap();
        [
            Seal::none(),
            Seal::with(&key, &cheap("00112233")).unwrap(),
            Seal::with(&key, &cheap("ffeeddcc")).unwrap(),
        ]
    }

    #[test]
    fn what_is_sealed_comes_back_and_nothing_else_does() {
        for (number, seal) in seals().iter().enumerate() {
            for content in [&b""[..], b"secret-key secret-key secret-key", &[7; 100_000], &[1, 2, 3]] {
                let sealed = seal.seal("chunks/a", content).unwrap();
                assert_eq!(seal.open("chunks/a", &sealed).unwrap(), content);
                if number == 0 {
                    continue;
                }
                assert!(!sealed.windows(10).any(|it| it == b"secret-key"), "in clear");
                assert!(seal.open("chunks/b", &sealed).is_err(), "under another name");
                assert!(seals()[3 - number].open("chunks/a", &sealed).is_err(), "with another key");
                let mut damaged = sealed.clone();
                *damaged.last_mut().unwrap() ^= 1;
                assert!(seal.open("chunks/a", &damaged).is_err(), "damaged");
                assert!(seal.open("chunks/a", &sealed[..NONCE - 1]).is_err(), "cut");
            }
        }
    }

    #[test]
    fn names_follow_the_content_and_the_key() {
        let [plain, one, other] = seals();
        assert_eq!(plain.name(b"a"), sha256(b"a"));
        assert_eq!(one.name(b"a"), one.name(b"a"));
        assert!(one.name(b"a") != one.name(b"b") && one.name(b"a") != other.name(b"a"));
    }

    #[test]
    fn a_short_key_is_refused() {
        assert!(Key::new("   short   ").is_err());
        assert_eq!(format!("{:?}", Key::new("correct horse battery").unwrap()), "Key(…)");
    }
}
