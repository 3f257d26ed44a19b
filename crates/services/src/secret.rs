//! Secrets: made from the system's randomness, kept as hashes.

use crate::ServiceError;
use sha2::{Digest, Sha256};

/// What every token starts with.
pub(crate) const TOKEN_PREFIX: &str = "qgx_";
const TOKEN_CHARS: usize = 40;
const BASE62: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Without what looks alike in many fonts: 0 O 1 l I.
const LEGIBLE: &[u8] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const KEY: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// A new token: `qgx_` and 40 characters of base 62 (238 bits).
pub(crate) fn new_token() -> Result<String, ServiceError> {
    Ok(format!("{TOKEN_PREFIX}{}", random_of(BASE62, TOKEN_CHARS)?))
}

/// A new password of 20 characters (116 bits) that can be typed from paper.
pub(crate) fn new_password() -> Result<String, ServiceError> {
    random_of(LEGIBLE, 20)
}

/// A new tenant key: `t_` and 12 characters.
pub(crate) fn new_tenant_key() -> Result<String, ServiceError> {
    Ok(format!("t_{}", random_of(KEY, 12)?))
}

/// A random UUID (version 4) as text.
pub(crate) fn new_id() -> Result<String, ServiceError> {
    let mut bytes = [0; 16];
    fill(&mut bytes)?;
    Ok(uuid::Builder::from_random_bytes(bytes).into_uuid().to_string())
}

/// Whether a text has the form of a token.
pub(crate) fn looks_like_token(text: &str) -> bool {
    text.strip_prefix(TOKEN_PREFIX)
        .is_some_and(|body| body.len() == TOKEN_CHARS && body.bytes().all(|b| b.is_ascii_alphanumeric()))
}

/// SHA-256 of a token, hex: what is stored.
pub(crate) fn token_hash(token: &str) -> String {
    hex::encode(Sha256::digest(token.as_bytes()))
}

/// Random bytes of the system.
pub(crate) fn fill(bytes: &mut [u8]) -> Result<(), ServiceError> {
    getrandom::fill(bytes).map_err(|error| ServiceError::internal("randomness", error.to_string()))
}

/// Characters of an alphabet, each equally likely.
fn random_of(alphabet: &[u8], count: usize) -> Result<String, ServiceError> {
    // Bytes beyond the last whole multiple of the alphabet would favour its first characters.
    let fair = 256 / alphabet.len() * alphabet.len();
    let mut text = String::with_capacity(count);
    let mut bytes = [0; 64];
    while text.len() < count {
        fill(&mut bytes)?;
        let drawn = bytes.iter().map(|b| usize::from(*b)).filter(|b| *b < fair);
        text.extend(drawn.take(count - text.len()).map(|b| char::from(alphabet[b % alphabet.len()])));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_have_their_form_and_differ() {
        let tokens: std::collections::HashSet<_> = (0..1_000).map(|_| new_token().unwrap()).collect();
        assert_eq!(tokens.len(), 1_000);
        assert!(tokens.iter().all(|token| looks_like_token(token) && token.len() == 44));
        let letters: std::collections::HashSet<_> = tokens.iter().flat_map(|t| t[4..].chars()).collect();
        assert_eq!(letters.len(), 62);
        assert!(domain::TenantId::new(&new_tenant_key().unwrap()).is_ok());
        assert_eq!(new_password().unwrap().len(), 20);
        assert_eq!(token_hash("qgx_a").len(), 64);
    }

    #[test]
    fn forms() {
        let check = |text: &str, expect| assert_eq!(looks_like_token(text), expect, "{text}");
        check(&format!("qgx_{}", "a".repeat(40)), true);
        check(&format!("qgx_{}", "a".repeat(39)), false);
        check(&format!("QGX_{}", "a".repeat(40)), false);
        check(&format!("qgx_{}", "-".repeat(40)), false);
        check("", false);
    }
}
