//! What a link does for the blobs that its owner wants.

use std::sync::atomic::Ordering::Relaxed;

use quinn::Connection;
use tokio::task::JoinSet;

use super::Worker;
use crate::blob_hash::BlobHash;
use crate::blob_intake::BlobError;
use crate::bulk_line::Asked;
use crate::link::LinkEvent;
use crate::readers::{Readers, Wish};

impl Worker {
    /// Asks for the blobs whose turn it is.
    pub(super) fn fetch(&mut self, connection: &Connection, readers: &Readers, tasks: &mut JoinSet<()>) {
        let how = (self.core.host_takes_bulk(), self.core.host_proves_blobs());
        while let Some((hash, have)) = self.fetches.begin() {
            tasks.spawn(readers.clone().blob(connection.clone(), how, Wish::New(hash, have)));
        }
    }

    /// What a host can be asked for while we come back, if it answers as the last one did.
    pub(super) fn early_wishes(&self) -> Vec<(BlobHash, u64)> {
        if self.proves_blobs { self.fetches.next() } else { Vec::new() }
    }

    /// Goes on with what was asked for while we came back.
    pub(super) fn fetch_asked(
        &mut self,
        asked: Vec<Asked>,
        connection: &Connection,
        readers: &Readers,
        tasks: &mut JoinSet<()>,
    ) {
        for asked in asked {
            if self.fetches.begin_asked(asked.hash, asked.offset) {
                self.counters.blobs_early.fetch_add(1, Relaxed);
                tasks.spawn(readers.clone().blob(connection.clone(), (true, true), Wish::Asked(asked)));
            }
        }
    }

    /// The next bytes of one, which begin at an offset.
    pub(super) async fn blob_part(
        &mut self,
        hash: BlobHash,
        (offset, bytes): (u64, Vec<u8>),
        total: u64,
    ) -> Result<(), ()> {
        let Some(have) = self.fetches.handle_part(hash, offset, &bytes) else { return Ok(()) };
        self.tell(LinkEvent::BlobProgress { hash, have, total, bytes }).await?;
        if have != total {
            return Ok(());
        }
        // What came of a host before minor 4, and what was kept from before, is verified only now.
        if BlobHash::of(self.fetches.held(hash)) != hash {
            return self.blob_failed(hash, BlobError::Wrong.to_string()).await;
        }
        let bytes = self.fetches.end(hash);
        self.tell(LinkEvent::BlobDone { hash, bytes }).await
    }

    /// One does not come, unless it does without what was kept of it.
    pub(super) async fn blob_failed(&mut self, hash: BlobHash, why: String) -> Result<(), ()> {
        if self.fetches.begin_anew(hash) {
            return Ok(());
        }
        self.fetches.end(hash);
        self.tell(LinkEvent::BlobFailed { hash, why }).await
    }
}
