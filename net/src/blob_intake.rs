//! What comes of a blob on its stream, verified group by group (minor 4): a host that sends something else is found at the
//! first group that is not what was asked for. Held is one group that is not whole yet, and the values of all.
//!
//! ```text
//! u64 size, little endian; 2⁶⁴ − 1 if there is no such blob
//! 32 bytes for each group of 64 KiB, if there are two or more
//! the bytes from the offset asked for, which is the beginning of a group
//! ```

use blake3::hazmat::ChainingValue;
use thiserror::Error;

use crate::blob_hash::BlobHash;
use crate::blob_tree::{BlobTree, VALUE_BYTES};
use crate::limits;
use crate::wire::NO_BLOB;

/// Why a blob will not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BlobError {
    /// It is not there.
    #[error("the host does not have it")]
    Absent,
    /// Over [`limits::BLOB_BYTES`].
    #[error("it is too large")]
    TooLarge,
    /// Bytes, or values of groups, that are not of this blob.
    #[error("what the host sent is not what was asked for")]
    Wrong,
}

/// A part that was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedPart {
    /// Where it begins.
    pub offset: u64,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Takes in one stream.
#[derive(Debug)]
pub struct BlobIntake {
    hash: BlobHash,
    /// Where the group begins that is under way.
    offset: u64,
    size: Option<u64>,
    tree: Option<BlobTree>,
    held: Vec<u8>,
}

impl BlobIntake {
    /// Of a blob that was asked for from `offset` on, the beginning of a group.
    pub fn new(hash: BlobHash, offset: u64) -> Self {
        Self { hash, offset, size: None, tree: None, held: Vec::new() }
    }

    /// Bytes of the whole, as far as the host can be believed: known once its groups are proven.
    pub fn size(&self) -> Option<u64> {
        self.tree.as_ref().map(BlobTree::size)
    }

    /// Whether all has come.
    pub fn is_done(&self) -> bool {
        self.size().is_some_and(|size| self.offset >= size)
    }

    /// Bytes have arrived; returns the groups that are whole now.
    pub fn handle_bytes(&mut self, mut bytes: &[u8]) -> Result<Vec<VerifiedPart>, BlobError> {
        let mut parts = Vec::new();
        while !bytes.is_empty() || self.wanted() == 0 {
            if self.is_done() {
                // Nothing follows the last group.
                return if bytes.is_empty() { Ok(parts) } else { Err(BlobError::Wrong) };
            }
            let (now, later) = bytes.split_at(bytes.len().min(self.wanted() - self.held.len()));
            self.held.extend_from_slice(now);
            bytes = later;
            if self.held.len() == self.wanted() {
                let held = std::mem::take(&mut self.held);
                parts.extend(self.take(held)?);
            }
        }
        Ok(parts)
    }

    /// Bytes of what is under way: the size, the values, or a group.
    fn wanted(&self) -> usize {
        match (self.size, &self.tree) {
            (None, _) => 8,
            (Some(size), None) => BlobTree::values_of(size) * VALUE_BYTES,
            (Some(size), Some(_)) => size.saturating_sub(self.offset).min(limits::BLOB_GROUP_BYTES) as usize,
        }
    }

    fn take(&mut self, held: Vec<u8>) -> Result<Option<VerifiedPart>, BlobError> {
        if let Some(tree) = &self.tree {
            let offset = self.offset;
            if !tree.proves(offset, &held) {
                return Err(BlobError::Wrong);
            }
            self.offset += held.len() as u64;
            return Ok(Some(VerifiedPart { offset, bytes: held }));
        }
        let Some(size) = self.size else {
            let size = u64::from_le_bytes(held.try_into().map_err(|_| BlobError::Wrong)?);
            self.size = match size {
                NO_BLOB => return Err(BlobError::Absent),
                size if size > limits::BLOB_BYTES => return Err(BlobError::TooLarge),
                size if self.offset > size => return Err(BlobError::Wrong),
                size => Some(size),
            };
            return Ok(None);
        };
        let values: Vec<ChainingValue> = held.as_chunks().0.to_vec();
        self.tree = Some(BlobTree::proven(self.hash, size, values).ok_or(BlobError::Wrong)?);
        if size == 0 && BlobHash::of(&[]) != self.hash {
            return Err(BlobError::Wrong);
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GROUP: usize = limits::BLOB_GROUP_BYTES as usize;

    fn blob(size: usize) -> Vec<u8> {
        (0..size).map(|n| (n / 7) as u8).collect()
    }

    /// What an honest host sends.
    fn stream(blob: &[u8], offset: usize) -> Vec<u8> {
        [&(blob.len() as u64).to_le_bytes()[..], &BlobTree::of(blob).values(), &blob[offset..]].concat()
    }

    fn take(intake: &mut BlobIntake, bytes: &[u8], at_once: usize) -> Result<Vec<u8>, BlobError> {
        let mut all = Vec::new();
        for chunk in bytes.chunks(at_once) {
            for part in intake.handle_bytes(chunk)? {
                all.extend(part.bytes);
            }
            assert!(intake.held.len() < GROUP.max(5 * VALUE_BYTES), "memory is bounded");
        }
        Ok(all)
    }

    #[test]
    fn a_blob_arrives_whole_from_where_it_was_broken_off_whatever_its_size() {
        for size in [0, 1, GROUP, GROUP + 1, 4 * GROUP + 9] {
            let blob = blob(size);
            for offset in (0..=size).step_by(GROUP) {
                let mut intake = BlobIntake::new(BlobHash::of(&blob), offset as u64);
                assert_eq!(take(&mut intake, &stream(&blob, offset), 1000), Ok(blob[offset..].to_vec()));
                assert!(intake.is_done() && intake.size() == Some(size as u64), "{size} from {offset}");
                assert_eq!(intake.handle_bytes(&[1]), Err(BlobError::Wrong), "nothing may follow");
            }
        }
    }

    #[test]
    fn a_host_that_lies_is_found_at_the_first_group_that_is_wrong() {
        let blob = blob(4 * GROUP);
        let mut bytes = stream(&blob, 0);
        let wrong = 8 + 4 * VALUE_BYTES + GROUP + 5;
        bytes[wrong] ^= 1;
        let mut intake = BlobIntake::new(BlobHash::of(&blob), 0);
        let (before, after) = bytes.split_at(8 + 4 * VALUE_BYTES + 2 * GROUP - 1);
        assert_eq!(take(&mut intake, before, 4096), Ok(blob[..GROUP].to_vec()));
        assert_eq!(take(&mut intake, after, 1), Err(BlobError::Wrong));
        for (at, error) in [(0, BlobError::Wrong), (6, BlobError::TooLarge), (9, BlobError::Wrong)] {
            let mut bytes = stream(&blob, 0);
            bytes[at] ^= 1;
            assert_eq!(take(&mut BlobIntake::new(BlobHash::of(&blob), 0), &bytes, 4096), Err(error), "byte {at}");
        }
        let absent = NO_BLOB.to_le_bytes();
        assert_eq!(BlobIntake::new(BlobHash::of(&blob), 0).handle_bytes(&absent), Err(BlobError::Absent));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_pass(size in 0u64..300_000, offset in 0u64..5, bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let mut intake = BlobIntake::new(BlobHash([7; 32]), offset * limits::BLOB_GROUP_BYTES);
            let taken = take(&mut intake, &[&size.to_le_bytes()[..], &bytes].concat(), 50);
            prop_assert!(taken.is_err() || taken == Ok(Vec::new()));
        }
    }
}
