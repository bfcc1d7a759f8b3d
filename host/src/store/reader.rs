//! Reads entries in order beside the store that writes them: for who works in a thread of its own.

use std::sync::Arc;

use gemba_record::entry::SiteId;

use crate::disk::Disk;
use crate::limits;
use crate::problem::{Problem, SiteDirError, io};
use crate::store::RECORD;
use crate::store::frame::{Place, Step, Walk};

/// A place in the record from which it is read on. It needs no lock: what it is asked for is durable, and never changes.
#[derive(Debug)]
pub struct Reader {
    disk: Arc<dyn Disk>,
    place: Place,
}

impl Reader {
    /// From the first entry on.
    pub fn new(disk: Arc<dyn Disk>, site: SiteId) -> Self {
        Self { disk, place: Place::start(site) }
    }

    /// Number of the next entry.
    pub fn next(&self) -> u64 {
        self.place.entry
    }

    /// The next entries, about [`limits::READ_BYTES`] of them, none from `end` on. Those before `end` are durable, so
    /// that it is damage where one cannot be read.
    pub fn read(&mut self, end: u64) -> Result<Vec<Vec<u8>>, SiteDirError> {
        let path = self.disk.path(RECORD);
        let size = self.disk.size(RECORD).map_err(io("read", &path))?;
        let mut walk = Walk::new(&*self.disk, RECORD, self.place, size);
        let (mut entries, mut bytes) = (Vec::new(), 0);
        while self.place.entry < end && bytes < limits::READ_BYTES && entries.len() < limits::BATCH_ENTRIES {
            match walk.step().map_err(io("read", &path))? {
                Step::Frame { entry, .. } => {
                    bytes += entry.len();
                    entries.push(entry.to_vec());
                }
                Step::End | Step::Bad => {
                    let Place { entry, offset, .. } = self.place;
                    let problem = Problem::Damaged { path, entries: entry..entry + 1, bytes: offset..size };
                    return Err(SiteDirError::ReadOnly(problem));
                }
            }
            self.place = walk.place();
        }
        Ok(entries)
    }
}
