//! Blobs on their way to peers: each is read from the disk in parts, as its peer takes them, so that neither a slow peer
//! nor a large model costs the host more than a few parts of memory. What is wished for waits its turn and is answered
//! always.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use gemba_net::{BlobHash, BlobParts, BlobTree, HostCommand, PeerNumber};
use tokio::sync::{OnceCell, Semaphore, mpsc};

use crate::blobs::Blobs;
use crate::limits;

/// Blobs that this process has verified, at 0.5 kB a MiB; a cell that is being filled is waited for.
type Verified = Mutex<HashMap<BlobHash, Arc<OnceCell<Arc<BlobTree>>>>>;

/// Serves one site's blobs. Clones serve the same.
#[derive(Debug, Clone)]
pub(crate) struct BlobServer {
    blobs: Blobs,
    commands: mpsc::Sender<HostCommand>,
    /// So many read at once.
    disk: Arc<Semaphore>,
    verified: Arc<Verified>,
}

impl BlobServer {
    /// Serves these blobs to whoever wishes, by these commands.
    pub(crate) fn new(blobs: Blobs, commands: mpsc::Sender<HostCommand>) -> Self {
        Self { blobs, commands, disk: Arc::new(Semaphore::new(limits::BLOB_READERS)), verified: Arc::default() }
    }

    /// A peer wishes for a blob from `offset` on. Returns at once. How many wishes wait is bounded by the streams that
    /// peers may have open.
    pub(crate) fn serve(&self, peer: PeerNumber, hash: BlobHash, offset: u64) {
        let server = self.clone();
        tokio::spawn(async move { server.send(peer, hash, offset).await });
    }

    async fn send(self, peer: PeerNumber, hash: BlobHash, offset: u64) {
        let tree = self.tree(hash).await;
        let size = tree.as_ref().map(|tree| tree.size());
        let (sender, parts) = mpsc::channel(1);
        let blob = tree.map(|tree| BlobParts { tree, parts });
        // A network that has stopped takes nothing more; then so does the queue of parts.
        let _ = self.commands.send(HostCommand::Blob { peer, hash, offset, blob }).await;
        let mut at = offset;
        while size.is_some_and(|size| at < size) {
            let blobs = self.blobs.clone();
            let read = self.on_disk(move || blobs.read_part(&hash.0, at, limits::BLOB_PART_BYTES)).await;
            let part = match read {
                Some(Ok(part)) if !part.is_empty() => part,
                Some(Ok(_)) => return tracing::error!("a blob is shorter than it was"),
                Some(Err(error)) => return tracing::error!("{error}"),
                None => return,
            };
            at += part.len() as u64;
            // The peer has gone, or wants no more.
            if sender.send(part).await.is_err() {
                return;
            }
        }
    }

    /// The tree of a blob that is here and undamaged. Verified once in this process's life; its peer verifies too.
    async fn tree(&self, hash: BlobHash) -> Option<Arc<BlobTree>> {
        let cell = self.verified.lock().ok()?.entry(hash).or_default().clone();
        let verify = async || {
            let blobs = self.blobs.clone();
            match self.on_disk(move || blobs.verified_tree(&hash.0)).await {
                Some(Ok(tree)) => tree.map(Arc::new).ok_or(()),
                Some(Err(error)) => {
                    tracing::error!("{error}");
                    Err(())
                }
                None => Err(()),
            }
        };
        let tree = cell.get_or_try_init(verify).await.ok().cloned();
        if tree.is_none() {
            // It may come, or be mended; and hashes that anyone makes up take no memory.
            self.verified.lock().ok()?.remove(&hash);
        }
        tree
    }

    /// Does what reads from the disk on a thread that may wait; none when the process ends.
    async fn on_disk<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let _turn = self.disk.acquire().await.ok()?;
        tokio::task::spawn_blocking(work).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn every_wish_is_answered_however_many_wait_and_none_waits_for_a_slow_peer() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(dir.path().to_path_buf()).unwrap();
        let bytes: Vec<u8> = (0..3 * limits::BLOB_PART_BYTES).map(|n| (n / 7) as u8).collect();
        let hash = BlobHash(blobs.put(&bytes).unwrap());
        let (commands, mut answers) = mpsc::channel(4);
        let server = BlobServer::new(blobs, commands);
        let wishes = 200u16;
        for n in 0..wishes {
            let hash = if n % 2 == 0 { hash } else { BlobHash([n as u8; 32]) };
            server.serve(PeerNumber(n), hash, 1);
        }
        let mut slow = Vec::new();
        for _ in 0..wishes {
            let Some(HostCommand::Blob { peer, offset, blob, .. }) = answers.recv().await else { panic!("no answer") };
            assert_eq!((blob.is_some(), offset), (peer.0 % 2 == 0, 1));
            slow.extend(blob);
        }
        // The last of them is quick; all others have taken nothing and still hold their places.
        let mut quick = slow.pop().unwrap();
        let mut got = Vec::new();
        while let Some(part) = quick.parts.recv().await {
            got.extend(part);
        }
        assert!(quick.tree.size() == bytes.len() as u64 && got == bytes[1..]);
    }
}
