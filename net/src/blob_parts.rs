//! A blob on its way from the host program to a peer, piece by piece: neither end holds it whole for the other's sake.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::blob_tree::BlobTree;

/// What is sent of a blob.
#[derive(Debug)]
pub struct BlobParts {
    /// By which its peer verifies each group as it comes; and how large the whole is.
    pub tree: Arc<BlobTree>,
    /// Its bytes from the wished-for offset on, in order. When they end early the peer asks for the rest again.
    pub parts: mpsc::Receiver<Vec<u8>>,
}

impl BlobParts {
    /// A blob that is in memory already.
    pub fn of(bytes: &[u8], offset: u64) -> Self {
        let rest = usize::try_from(offset).ok().and_then(|offset| bytes.get(offset..)).unwrap_or_default();
        let (sender, parts) = mpsc::channel(1);
        sender.try_send(rest.to_vec()).expect("a new queue has room for one");
        Self { tree: Arc::new(BlobTree::of(bytes)), parts }
    }
}
