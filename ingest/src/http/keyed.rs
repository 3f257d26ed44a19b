//! What an `Idempotency-Key` makes of a body: blocks, whose lines are recognised when they are sent again.

use crate::access::Identity;
use crate::streams::{BY_HTTP, Owner};
use bytes::BytesMut;
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// Bytes of a block; the last one of a body may be shorter.
pub const BLOCK: usize = 64 << 10;

/// The blocks of a body that is being read.
///
/// A line is told by its number and the stream of the block that it ends in, and that stream by the token, the key, and
/// every byte of the body up to the end of the block. So one key may stand for other bodies, and be used by other senders:
/// nothing is taken for known but what was stored, and where bodies part ways the block is stored anew. How the bytes
/// arrive makes no difference, and of a body that breaks off nothing is stored but whole blocks.
pub struct Keyed {
    bound: Option<Owner>,
    digest: Sha256,
    held: BytesMut,
}

/// A part of a body.
pub struct Block {
    /// The stored name of the stream of the lines that end in it.
    pub stream: Arc<str>,
    /// Its bytes.
    pub bytes: BytesMut,
}

impl Keyed {
    /// The beginning of a body.
    pub fn new(identity: &Identity, key: &str) -> Self {
        let mut digest = Sha256::new();
        digest.update(identity.token.to_be_bytes());
        digest.update((key.len() as u64).to_be_bytes());
        digest.update(key.as_bytes());
        Self { bound: identity.source.clone().map(Owner::Bound), digest, held: BytesMut::new() }
    }

    /// Takes the next bytes, at most [`BLOCK`] of them; answers the block that they complete.
    pub fn add(&mut self, bytes: &[u8]) -> Option<Block> {
        self.held.extend_from_slice(bytes);
        if self.held.len() < BLOCK {
            return None;
        }
        let whole = self.held.split_to(BLOCK);
        Some(self.block(whole))
    }

    /// The last block, where the body ends.
    pub fn rest(&mut self) -> Option<Block> {
        let rest = self.held.split();
        (!rest.is_empty()).then(|| self.block(rest))
    }

    /// Bytes of memory that it holds.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    fn block(&mut self, bytes: BytesMut) -> Block {
        self.digest.update(&bytes);
        let digest = self.digest.clone().finalize();
        let hex: String = digest[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        let name = format!("{BY_HTTP}{hex}");
        let stream = match &self.bound {
            Some(owner) => owner.stored_name(&name, ""),
            None => name.into(),
        };
        Block { stream, bytes }
    }
}
