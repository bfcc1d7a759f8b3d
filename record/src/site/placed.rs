//! Which entry ids stand in the log, and where: the memory that makes sending twice the same as sending once. Most of it
//! is one sorted run of bytes, which a snapshot holds as it is, so that a million ids are read back without building
//! anything.

use std::collections::HashMap;
use std::sync::Arc;

use crate::entry::EntryId;

/// Bytes of one record: id, index (big endian), BLAKE3 of the entry's bytes.
const RECORD: usize = 16 + 8 + 32;

/// Ids of all entries.
#[derive(Debug, Clone, Default)]
pub(super) struct PlacedIds {
    /// Records in ascending order of their ids, none twice.
    sorted: Arc<[u8]>,
    recent: HashMap<EntryId, (u64, [u8; 32])>,
}

impl PlacedIds {
    /// Index and hash of the entry with this id.
    pub(super) fn find(&self, id: EntryId) -> Option<(u64, [u8; 32])> {
        if let Some(found) = self.recent.get(&id) {
            return Some(*found);
        }
        let (mut low, mut high) = (0, self.sorted.len() / RECORD);
        while low < high {
            let middle = low + (high - low) / 2;
            let (at, rest) = self.sorted[middle * RECORD..][..RECORD].split_at(16);
            match at.cmp(&id.0) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => {
                    let (index, hash) = rest.split_at(8);
                    let index = u64::from_be_bytes(index.try_into().expect("eight bytes were split off"));
                    return Some((index, hash.try_into().expect("the record ends with 32 bytes")));
                }
            }
        }
        None
    }

    pub(super) fn insert(&mut self, id: EntryId, index: u64, hash: [u8; 32]) {
        self.recent.insert(id, (index, hash));
    }

    /// All records in order.
    pub(super) fn encode(&self) -> Arc<[u8]> {
        if self.recent.is_empty() {
            return self.sorted.clone();
        }
        let mut recent: Vec<_> = self.recent.iter().collect();
        recent.sort_unstable_by_key(|(id, _)| **id);
        let mut merged = Vec::with_capacity(self.sorted.len() + recent.len() * RECORD);
        let mut sorted = self.sorted.chunks_exact(RECORD).peekable();
        for (id, (index, hash)) in recent {
            while let Some(record) = sorted.next_if(|record| record[..16] < id.0[..]) {
                merged.extend_from_slice(record);
            }
            merged.extend_from_slice(&id.0);
            merged.extend_from_slice(&index.to_be_bytes());
            merged.extend_from_slice(hash);
        }
        sorted.for_each(|record| merged.extend_from_slice(record));
        merged.into()
    }

    /// Takes all into the sorted run.
    pub(super) fn settle(&mut self) {
        self.sorted = self.encode();
        self.recent = HashMap::new();
    }

    /// From records; none if they are not whole, in order and below `entries`, or not as many.
    pub(super) fn decode(bytes: &[u8], entries: u64) -> Option<Self> {
        let records = bytes.chunks_exact(RECORD);
        let whole = records.remainder().is_empty() && records.len() as u64 == entries;
        let ordered = records.clone().is_sorted_by(|a, b| a[..16] < b[..16]);
        let below = |record: &[u8]| u64::from_be_bytes(record[16..24].try_into().expect("eight bytes")) < entries;
        (whole && ordered && records.clone().all(below)).then(|| Self { sorted: bytes.into(), recent: HashMap::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_before_and_after_they_are_settled_and_read_back() {
        let id = |n: u64| EntryId((n.wrapping_mul(0x9e37_79b9_7f4a_7c15) as u128).to_be_bytes());
        let mut placed = PlacedIds::default();
        for n in 0..500 {
            placed.insert(id(n), n, [n as u8; 32]);
            if n % 130 == 0 {
                placed.settle();
            }
        }
        let bytes = placed.encode();
        let read = PlacedIds::decode(&bytes, 500).unwrap();
        for n in 0..500 {
            assert_eq!(placed.find(id(n)), Some((n, [n as u8; 32])));
            assert_eq!(read.find(id(n)), placed.find(id(n)));
        }
        assert_eq!(read.find(id(500)), None);
        assert!(PlacedIds::decode(&bytes, 499).is_none());
        assert!(PlacedIds::decode(&bytes[1..], 499).is_none());
        let swapped = [&bytes[RECORD..2 * RECORD], &bytes[..RECORD]].concat();
        assert!(PlacedIds::decode(&swapped, 2).is_none());
    }
}
