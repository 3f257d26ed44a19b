//! What an `Idempotency-Key` makes of a body: blocks, whose lines are recognised when they are sent again.

use crate::access::Identity;
use crate::streams::{BY_HTTP, Owner};
use bytes::BytesMut;
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// Bytes of a body's first block; each next one is twice as long as the one before, up to [`LARGEST`]. Small uploads are
/// recognised in small parts, and large ones cost few positions: each block has one for every source in it. The last block
/// may be shorter.
const FIRST: usize = 64 << 10;
/// Bytes of a block, at most.
const LARGEST: usize = 1 << 20;

/// Bytes that are added at a time, at most: no more than the shortest block.
pub const PIECE: usize = FIRST;

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
    /// Bytes of the block that is being read.
    length: usize,
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
        Self {
            bound: identity.source.clone().map(Owner::Bound),
            digest,
            held: BytesMut::new(),
            length: FIRST,
        }
    }

    /// Takes the next bytes, at most [`PIECE`] of them; answers the block that they complete.
    pub fn add(&mut self, bytes: &[u8]) -> Option<Block> {
        self.held.extend_from_slice(bytes);
        if self.held.len() < self.length {
            return None;
        }
        let whole = self.held.split_to(self.length);
        self.length = (self.length * 2).min(LARGEST);
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
            Some(owner) => owner.stored_name(&name),
            None => name.into(),
        };
        Block { stream, bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{IngestTenant, Masking};
    use domain::{TenantId, Zone};

    fn identity() -> Identity {
        let tenant = IngestTenant {
            key: TenantId::new("t_a").unwrap(),
            zone: Zone::utc(),
            class: "30d".into(),
            group: 1,
            events_per_sec: None,
            bytes_per_sec: None,
            bytes_per_day: None,
            masking: Masking::default(),
        };
        Identity { tenant: Arc::new(tenant), source: None, token: 1, name: None }
    }

    /// The lengths and streams of the blocks of a body that comes in pieces of a size.
    fn blocks(body: &[u8], piece: usize) -> Vec<(usize, Arc<str>)> {
        let mut keyed = Keyed::new(&identity(), "key");
        let mut blocks: Vec<_> = body.chunks(piece).filter_map(|piece| keyed.add(piece)).collect();
        blocks.extend(keyed.rest());
        blocks.into_iter().map(|block| (block.bytes.len(), block.stream)).collect()
    }

    #[test]
    fn blocks_grow_and_do_not_depend_on_how_the_body_comes() {
        const KIB: usize = 1 << 10;
        let body: Vec<u8> = (0..5_000 * KIB).map(|at| (at % 251) as u8).collect();
        let whole = blocks(&body, PIECE);
        let lengths: Vec<_> = whole.iter().map(|(length, _)| length / KIB).collect();
        assert_eq!(lengths, [64, 128, 256, 512, 1024, 1024, 1024, 968]);
        assert_eq!(blocks(&body, 7_001), whole);
        let mut other = body;
        other[300 * KIB] ^= 1;
        let other = blocks(&other, PIECE);
        let same = whole.iter().zip(&other).take_while(|(one, two)| one == two).count();
        assert_eq!(same, 2, "from the block with the other byte on");
        assert!(whole.iter().zip(&other).skip(2).all(|(one, two)| one.1 != two.1));
    }
}
