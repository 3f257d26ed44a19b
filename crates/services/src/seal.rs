//! Secrets at rest: XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha) under the installation's keys.

use crate::secret::fill;
use crate::{ServiceError, Services};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::Aead;
use chacha20poly1305::{Key, KeyInit, XChaCha20Poly1305, XNonce};

/// Names the form: `v1.` and base64url of nonce (24 bytes) and sealed text.
const FORM: &str = "v1.";
const NONCE_BYTES: usize = 24;

impl Services {
    /// Seals a secret under the first key.
    ///
    /// # Errors
    /// [`ServiceError::Internal`] where no key is configured.
    pub fn seal(&self, plain: &str) -> Result<String, ServiceError> {
        let key = self.inner.config.secret_keys.first();
        let key = key.ok_or_else(|| ServiceError::internal("seal", "no secret key is configured"))?;
        seal_with(key, plain)
    }

    /// Opens what any of the keys sealed.
    ///
    /// # Errors
    /// [`ServiceError::Internal`] where none did.
    pub fn open(&self, sealed: &str) -> Result<String, ServiceError> {
        open_with(&self.inner.config.secret_keys, sealed)
    }
}

fn seal_with(key: &[u8; 32], plain: &str) -> Result<String, ServiceError> {
    let mut nonce = [0; NONCE_BYTES];
    fill(&mut nonce)?;
    let sealed = XChaCha20Poly1305::new(Key::from_slice(key))
        .encrypt(XNonce::from_slice(&nonce), plain.as_bytes())
        .map_err(|_| ServiceError::internal("seal", "the secret is too long"))?;
    Ok(format!("{FORM}{}", URL_SAFE_NO_PAD.encode([nonce.as_slice(), &sealed].concat())))
}

fn open_with(keys: &[[u8; 32]], sealed: &str) -> Result<String, ServiceError> {
    let refused = || ServiceError::internal("open", "sealed under another key, or not sealed at all");
    let bytes = sealed.strip_prefix(FORM).and_then(|body| URL_SAFE_NO_PAD.decode(body).ok());
    let bytes = bytes.filter(|bytes| bytes.len() > NONCE_BYTES).ok_or_else(refused)?;
    let (nonce, body) = bytes.split_at(NONCE_BYTES);
    keys.iter()
        .find_map(|key| {
            XChaCha20Poly1305::new(Key::from_slice(key)).decrypt(XNonce::from_slice(nonce), body).ok()
        })
        .and_then(|plain| String::from_utf8(plain).ok())
        .ok_or_else(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_any_key_sealed_opens_and_nothing_else() {
        let sealed = seal_with(&[1; 32], "비밀").unwrap();
        let check = |keys: &[[u8; 32]], sealed: &str, expect: Option<&str>| {
            assert_eq!(open_with(keys, sealed).ok().as_deref(), expect);
        };
        check(&[[1; 32]], &sealed, Some("비밀"));
        check(&[[2; 32], [1; 32]], &sealed, Some("비밀"));
        check(&[[2; 32]], &sealed, None);
        check(&[], &sealed, None);
        check(&[[1; 32]], "plain", None);
        let mut torn = sealed.clone();
        torn.replace_range(10..11, if &sealed[10..11] == "A" { "B" } else { "A" });
        check(&[[1; 32]], &torn, None);
        assert_ne!(seal_with(&[1; 32], "비밀").unwrap(), sealed);
    }
}
