//! The thread that turns closed segments into files, so that taking samples never waits for compression. One segment at a
//! time, in order.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;

use gemba_net::BlobHash;

use super::catalogue::{Kept, start_path};
use super::open_segment::OpenSegment;
use super::{HistorianError, Sealed, proof, segment};
use crate::blobs::Blobs;
use crate::key_file::write_whole;

/// The thread and the two bounded queues to it.
pub(super) struct Sealer {
    jobs: Option<SyncSender<Arc<OpenSegment>>>,
    done: Receiver<Result<Kept, HistorianError>>,
    thread: Option<JoinHandle<()>>,
    /// Whether a segment is with the thread.
    pub(super) is_busy: bool,
}

impl Sealer {
    pub(super) fn start(dir: PathBuf, blobs: Blobs) -> Result<Self, HistorianError> {
        let (jobs, todo) = sync_channel::<Arc<OpenSegment>>(1);
        let (finished, done) = sync_channel(1);
        let work = move || {
            while let Ok(segment) = todo.recv() {
                if finished.send(write(&segment, &dir, &blobs)).is_err() {
                    return;
                }
            }
        };
        let thread =
            std::thread::Builder::new().name("historian".into()).spawn(work).map_err(HistorianError::Thread)?;
        Ok(Self { jobs: Some(jobs), done, thread: Some(thread), is_busy: false })
    }

    /// Hands over a segment; only while the thread has none.
    pub(super) fn give(&mut self, segment: Arc<OpenSegment>) {
        assert!(!self.is_busy, "segments are sealed one after the other");
        if let Some(jobs) = &self.jobs {
            self.is_busy = jobs.send(segment).is_ok();
        }
    }

    /// What became of the segment, if that is known; `wait` for it if asked to.
    pub(super) fn poll(&mut self, wait: bool) -> Option<Result<Kept, HistorianError>> {
        if !self.is_busy {
            return None;
        }
        let result = match wait {
            true => self.done.recv().map_err(|_| TryRecvError::Disconnected),
            false => self.done.try_recv(),
        };
        match result {
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => {
                self.is_busy = false;
                Some(Err(HistorianError::Stopped))
            }
            Ok(done) => {
                self.is_busy = false;
                Some(done)
            }
        }
    }
}

impl Drop for Sealer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // It panicked or it ended; there is nobody left to tell.
            let _ = thread.join();
        }
    }
}

/// Writes a segment and its start table durably. Doing it twice, as after a crash, writes the same bytes.
fn write(segment: &OpenSegment, dir: &Path, blobs: &Blobs) -> Result<Kept, HistorianError> {
    let start = segment::encode_start(&segment.start)?;
    write_whole(&start_path(dir, segment.number), &start, false)?;
    let bytes = segment::encode(segment)?;
    let blob = BlobHash(blobs.put(&bytes)?);
    let sealed = Sealed {
        number: segment.number,
        blob,
        bytes: bytes.len() as u64,
        samples: segment.samples as u64,
        from: segment.from,
        to: segment.to,
        devices: proof::roots(segment),
    };
    Ok(Kept {
        sealed,
        axis: segment.axis,
        start: BlobHash::of(&start),
        start_bytes: start.len() as u64,
        is_checked: Arc::default(),
    })
}
