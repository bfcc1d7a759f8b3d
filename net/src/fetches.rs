//! The blobs that a peer wants: what is here of each, and which is asked for next. The nearest first, a few at once; what
//! has been verified outlives an interruption.

use std::collections::BTreeMap;

use crate::blob_hash::BlobHash;
use crate::limits;

#[derive(Debug, Default)]
struct Fetch {
    metres: f32,
    have: Vec<u8>,
    is_under_way: bool,
}

/// All blobs that are wanted.
#[derive(Debug, Default)]
pub(crate) struct Fetches(BTreeMap<BlobHash, Fetch>);

impl Fetches {
    /// A blob is wanted, for what is so far away. Said again of one that is wanted already, only that counts.
    pub(crate) fn want(&mut self, hash: BlobHash, metres: f32) {
        self.0.entry(hash).or_default().metres = metres;
    }

    /// What is to be asked for next, and from which byte on; none while enough is under way.
    pub(crate) fn begin(&mut self) -> Option<(BlobHash, u64)> {
        if self.0.values().filter(|fetch| fetch.is_under_way).count() >= limits::BLOBS_AT_ONCE {
            return None;
        }
        let waiting = self.0.iter_mut().filter(|(_, fetch)| !fetch.is_under_way);
        let (hash, fetch) = waiting.min_by(|(_, a), (_, b)| a.metres.total_cmp(&b.metres))?;
        fetch.is_under_way = true;
        Some((*hash, fetch.have.len() as u64))
    }

    /// The next bytes of a blob; returns how many are here. What begins elsewhere is left out.
    pub(crate) fn handle_part(&mut self, hash: BlobHash, offset: u64, bytes: &[u8]) -> Option<u64> {
        let fetch = self.0.get_mut(&hash).filter(|fetch| fetch.have.len() as u64 == offset)?;
        fetch.have.extend_from_slice(bytes);
        Some(fetch.have.len() as u64)
    }

    /// A blob is whole, or will not come: what is here of it.
    pub(crate) fn end(&mut self, hash: BlobHash) -> Vec<u8> {
        self.0.remove(&hash).unwrap_or_default().have
    }

    /// The session is over, and with it all that was under way. A host that may be another one goes on at the beginning
    /// of a group.
    pub(crate) fn handle_lost(&mut self) {
        for fetch in self.0.values_mut() {
            fetch.is_under_way = false;
            let groups = fetch.have.len() as u64 / limits::BLOB_GROUP_BYTES;
            fetch.have.truncate((groups * limits::BLOB_GROUP_BYTES) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_is_asked_for_first_and_an_interruption_loses_nothing_verified() {
        let hash = |n: u8| BlobHash([n; 32]);
        let mut fetches = Fetches::default();
        for (n, metres) in [(1, 50.0), (2, 8.0), (3, 20.0), (4, 30.0)] {
            fetches.want(hash(n), metres);
        }
        fetches.want(hash(1), 10.0);
        assert_eq!([fetches.begin(), fetches.begin(), fetches.begin()], [Some((hash(2), 0)), Some((hash(1), 0)), None]);
        let group = vec![0; limits::BLOB_GROUP_BYTES as usize];
        assert_eq!(fetches.handle_part(hash(2), 0, &group), Some(group.len() as u64));
        assert_eq!(fetches.handle_part(hash(2), 0, &group), None, "it came twice");
        fetches.handle_part(hash(2), group.len() as u64, &[1, 2, 3]);
        fetches.end(hash(1));
        assert_eq!(fetches.begin(), Some((hash(3), 0)));
        fetches.handle_lost();
        assert_eq!(fetches.begin(), Some((hash(2), group.len() as u64)));
    }
}
