//! How many entries are known to have been durable: what tells a commit that the crash tore from one that was whole
//! and has been damaged since.
//!
//! After each commit the number is written beside the store, and not synced: it survives `kill -9` at once and a power
//! cut after the half minute in which the system writes back. It is never ahead of what was durable, so that whatever
//! is unreadable below it is damage. Two slots take turns: the synced one, written when the store is opened, is never
//! torn by a commit.

use std::io;

use gemba_record::entry::SiteId;

use crate::disk::{Disk, Readers, read_whole};
use crate::store::frame::checksum;

const SLOT: usize = 32;

/// A sector apart from the first, so that writing the one does not put the other at risk.
const SECOND: u64 = 4096;

/// What a mark file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) site: SiteId,
    /// Entries that were durable.
    pub(super) entries: u64,
}

impl Mark {
    /// The higher of the slots that hold together; none without any.
    pub(super) fn read(disk: &dyn Disk, name: &str) -> io::Result<Option<Self>> {
        let bytes = read_whole(disk, name)?.unwrap_or_default();
        let slots = [bytes.get(..SLOT), bytes.get(SECOND as usize..SECOND as usize + SLOT)];
        Ok(slots.into_iter().flatten().filter_map(Self::decode).max_by_key(|mark| mark.entries))
    }

    /// Writes it so that it survives a power cut.
    pub(super) fn keep(&self, disk: &dyn Disk, name: &str) -> io::Result<()> {
        match disk.size(name) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                disk.create(name, Readers::Usual)?;
                disk.sync_folder("")?;
            }
            other => drop(other?),
        }
        disk.write(name, 0, &self.encode())?;
        disk.sync(name)
    }

    /// Writes it so that it survives the end of this process.
    pub(super) fn note(&self, disk: &dyn Disk, name: &str) -> io::Result<()> {
        disk.write(name, SECOND, &self.encode())
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = self.site.0.to_vec();
        bytes.extend(self.entries.to_le_bytes());
        let sum = checksum(&[b"gemba mark", &bytes]);
        bytes.extend(sum.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (body, sum) = bytes.split_last_chunk::<8>()?;
        let (site, entries) = body.split_first_chunk::<16>()?;
        let entries = entries.try_into().ok()?;
        let holds = checksum(&[b"gemba mark", body]) == u64::from_le_bytes(*sum);
        holds.then(|| Self { site: SiteId(*site), entries: u64::from_le_bytes(entries) })
    }
}
