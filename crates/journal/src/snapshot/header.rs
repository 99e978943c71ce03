//! The first bytes of a snapshot's file.
//!
//! `MAGIC (8) ‖ format (4) ‖ seq (8) ‖ chain head (32) ‖ digest (32)`, then the state; numbers
//! big-endian. `digest = BLAKE3(all before it ‖ state)`.

use remuda_types::Digest;

use super::Snapshot;
use crate::chain::ChainHead;
use crate::record::Seq;

const MAGIC: &[u8; 8] = b"RMDSNAP1";
const COVERED_BYTES: usize = 52;

/// How long a header is.
pub(crate) const HEADER_BYTES: usize = COVERED_BYTES + 32;

/// What a file says of its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) format: u32,
    pub(crate) seq: Seq,
    pub(crate) head: ChainHead,
    pub(crate) digest: Digest,
}

impl Header {
    /// The header of `snapshot`, taken where the chain stood at `head`.
    pub(crate) fn of(snapshot: &Snapshot, head: ChainHead) -> Self {
        let bare = Self {
            format: snapshot.format,
            seq: snapshot.seq,
            head,
            digest: Digest::default(),
        };
        Self {
            digest: bare.digest_with(&snapshot.state),
            ..bare
        }
    }

    /// The digest that the file should have if it holds `state`.
    pub(crate) fn digest_with(&self, state: &[u8]) -> Digest {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.encode()[..COVERED_BYTES]).update(state);
        Digest(*hasher.finalize().as_bytes())
    }

    pub(crate) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&self.format.to_be_bytes());
        bytes[12..20].copy_from_slice(&self.seq.0.to_be_bytes());
        bytes[20..COVERED_BYTES].copy_from_slice(&self.head.0.0);
        bytes[COVERED_BYTES..].copy_from_slice(&self.digest.0);
        bytes
    }

    pub(crate) fn decode(bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        let (magic, rest) = bytes.split_first_chunk::<8>()?;
        let (format, rest) = rest.split_first_chunk()?;
        let (seq, rest) = rest.split_first_chunk()?;
        let (head, rest) = rest.split_first_chunk()?;
        let digest = rest.first_chunk()?;
        (magic == MAGIC).then_some(Self {
            format: u32::from_be_bytes(*format),
            seq: Seq(u64::from_be_bytes(*seq)),
            head: ChainHead(Digest(*head)),
            digest: Digest(*digest),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn headers_round_trip(format: u32, seq: u64, head: [u8; 32], digest: [u8; 32]) {
            let header = Header {
                format,
                seq: Seq(seq),
                head: ChainHead(Digest(head)),
                digest: Digest(digest),
            };
            prop_assert_eq!(Header::decode(&header.encode()), Some(header));
        }

        #[test]
        fn any_bytes_are_a_header_or_none(bytes in proptest::collection::vec(any::<u8>(), HEADER_BYTES)) {
            let mut bytes: [u8; HEADER_BYTES] = bytes.try_into().expect("as many");
            prop_assert_eq!(Header::decode(&bytes), None);
            bytes[..8].copy_from_slice(MAGIC);
            prop_assert_eq!(Header::decode(&bytes).map(|header| header.encode()), Some(bytes));
        }
    }
}
