//! The blobs that a peer wants: what is here of each, and which is asked for next. The nearest first, a few at once; what
//! has been verified outlives an interruption, and what its owner has kept of it even a restart.

use std::collections::BTreeMap;

use crate::blob_hash::BlobHash;
use crate::limits;

#[derive(Debug, Default)]
struct Fetch {
    metres: f32,
    have: Vec<u8>,
    is_under_way: bool,
    /// The first of it was kept from before, and is verified with the whole only.
    begins_kept: bool,
}

impl Fetch {
    /// What was kept counts up to the last group that is whole; never all of it, so that something is asked for.
    fn beginning_with(mut kept: Vec<u8>) -> Self {
        let groups = kept.len().saturating_sub(1) as u64 / limits::BLOB_GROUP_BYTES;
        kept.truncate((groups * limits::BLOB_GROUP_BYTES) as usize);
        Self { begins_kept: !kept.is_empty(), have: kept, ..Self::default() }
    }
}

/// All blobs that are wanted.
#[derive(Debug, Default)]
pub(crate) struct Fetches(BTreeMap<BlobHash, Fetch>);

impl Fetches {
    /// A blob is wanted, for what is so far away, of which the first bytes have been kept. Said again of one that is wanted
    /// already, only the distance counts.
    pub(crate) fn want(&mut self, hash: BlobHash, metres: f32, kept: Vec<u8>) {
        let fetch = self.0.entry(hash).or_insert_with(|| Fetch::beginning_with(kept));
        fetch.metres = metres;
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

    /// What would be asked for next, the nearest first, before anything is under way.
    pub(crate) fn next(&self) -> Vec<(BlobHash, u64)> {
        let mut waiting: Vec<_> = self.0.iter().filter(|(_, fetch)| !fetch.is_under_way).collect();
        waiting.sort_by(|(_, a), (_, b)| a.metres.total_cmp(&b.metres));
        waiting.into_iter().take(limits::BLOBS_AT_ONCE).map(|(hash, fetch)| (*hash, fetch.have.len() as u64)).collect()
    }

    /// This one has been asked for; false if it is not wanted any more, or from another byte on.
    pub(crate) fn begin_asked(&mut self, hash: BlobHash, offset: u64) -> bool {
        let wanted = |fetch: &&mut Fetch| !fetch.is_under_way && fetch.have.len() as u64 == offset;
        self.0.get_mut(&hash).filter(wanted).map(|fetch| fetch.is_under_way = true).is_some()
    }

    /// The next bytes of a blob; returns how many are here. What begins elsewhere is left out.
    pub(crate) fn handle_part(&mut self, hash: BlobHash, offset: u64, bytes: &[u8]) -> Option<u64> {
        let fetch = self.0.get_mut(&hash).filter(|fetch| fetch.have.len() as u64 == offset)?;
        fetch.have.extend_from_slice(bytes);
        Some(fetch.have.len() as u64)
    }

    /// What is here of a blob.
    pub(crate) fn held(&self, hash: BlobHash) -> &[u8] {
        self.0.get(&hash).map_or(&[], |fetch| &fetch.have)
    }

    /// A blob came to nothing: whether it is to be asked for from its beginning, since what had been kept of it may be why.
    pub(crate) fn begin_anew(&mut self, hash: BlobHash) -> bool {
        let Some(fetch) = self.0.get_mut(&hash).filter(|fetch| fetch.begins_kept) else { return false };
        *fetch = Fetch { metres: fetch.metres, ..Fetch::default() };
        true
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
            fetches.want(hash(n), metres, vec![]);
        }
        fetches.want(hash(1), 10.0, vec![9; 200_000]);
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

    #[test]
    fn what_was_kept_of_a_blob_is_not_asked_for_again_unless_it_was_wrong() {
        let (hash, group) = (BlobHash([1; 32]), limits::BLOB_GROUP_BYTES);
        let ask = |kept: u64| {
            let mut fetches = Fetches::default();
            fetches.want(hash, 0.0, vec![7; kept as usize]);
            (fetches.begin().unwrap().1, fetches)
        };
        for (kept, asked) in
            [(0, 0), (group, 0), (group + 1, group), (3 * group, 2 * group), (3 * group + 9, 3 * group)]
        {
            assert_eq!(ask(kept).0, asked, "something is asked for though {kept} were kept");
        }
        let (_, mut fetches) = ask(3 * group);
        assert!(fetches.begin_anew(hash));
        assert_eq!(fetches.begin(), Some((hash, 0)));
        assert!(!fetches.begin_anew(hash), "once: then the host is wrong");
    }
}
