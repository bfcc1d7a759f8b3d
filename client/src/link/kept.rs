//! The record's signed bytes as they came, so that the plant can be folded as it was after fewer of them.

use gemba_record::log::Log;

/// Most bytes kept. A record that is longer can only be shown as it is now: a million small edits take about this.
const KEPT_BYTES: usize = 256 << 20;

/// All entries of the record from the first on, or none.
#[derive(Debug, Default)]
pub(super) struct KeptEntries {
    entries: Vec<Vec<u8>>,
    bytes: usize,
    is_given_up: bool,
}

impl KeptEntries {
    /// Keeps the next entry.
    pub(super) fn keep(&mut self, entry: &[u8]) {
        self.bytes += entry.len();
        self.is_given_up |= self.bytes > KEPT_BYTES;
        if self.is_given_up {
            self.entries = Vec::new();
        } else {
            self.entries.push(entry.to_vec());
        }
    }

    /// One entry; none if it is not kept.
    pub(super) fn entry(&self, index: u64) -> Option<&[u8]> {
        self.entries.get(usize::try_from(index).ok()?).map(Vec::as_slice)
    }

    /// The record of the first `count` entries; none if they are not kept.
    pub(super) fn fold(&self, count: u64) -> Option<Log> {
        let entries = self.entries.get(..usize::try_from(count).ok()?)?;
        let mut log = Log::default();
        // They have been folded once already, so that none can be refused.
        entries.iter().try_for_each(|entry| log.append(entry.clone()).map(drop)).ok()?;
        Some(log)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_too_long_to_keep_is_not_folded_in_part() {
        let mut kept = KeptEntries::default();
        kept.keep(&[1]);
        kept.keep(&vec![0; KEPT_BYTES]);
        kept.keep(&[2]);
        assert!(kept.fold(1).is_none() && kept.entries.is_empty());
        assert_eq!(kept.fold(0).map(|log| log.entries()), Some(0), "the empty record is known");
    }
}
