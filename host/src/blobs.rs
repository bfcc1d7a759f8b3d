//! Files of a site named by their BLAKE3 hash: models, segments, snapshots. A blob is there whole or not
//! at all, and is never changed.

use std::path::PathBuf;
use std::sync::Arc;

use gemba_net::{BlobTree, BlobTreeBuilder};

use crate::disk::{Disk, FileDisk, Readers, read_whole, write_whole};
use crate::limits;
use crate::problem::{SiteDirError, io};

/// The folder of blobs in a site's directory.
pub(crate) const BLOBS: &str = "blobs";

/// The folder of blobs. Clones name the same folder.
#[derive(Debug, Clone)]
pub struct Blobs {
    disk: Arc<dyn Disk>,
    /// What stands before a blob's name.
    prefix: String,
}

impl Blobs {
    /// This folder of the file system, created if missing.
    pub fn open(dir: PathBuf) -> Result<Self, SiteDirError> {
        Self::open_on(Arc::new(FileDisk::new(&dir)), "")
    }

    /// A folder of any disk, created if missing; `""` is the disk itself.
    pub fn open_on(disk: Arc<dyn Disk>, folder: &str) -> Result<Self, SiteDirError> {
        disk.make_folder(folder).map_err(io("create", &disk.path(folder)))?;
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        Ok(Self { disk, prefix })
    }

    /// A folder that is only looked at, and need not be there.
    pub(crate) fn existing(disk: Arc<dyn Disk>, folder: &str) -> Self {
        Self { disk, prefix: format!("{folder}/") }
    }

    /// Keeps these bytes durably; returns their hash. Keeping them twice is keeping them once.
    pub fn put(&self, bytes: &[u8]) -> Result<[u8; 32], SiteDirError> {
        let hash = *blake3::hash(bytes).as_bytes();
        let name = self.name(&hash);
        // A file of the right name may have been damaged since; then this writes it anew.
        if read_whole(&*self.disk, &name).is_ok_and(|held| held.as_deref() == Some(bytes)) {
            return Ok(hash);
        }
        write_whole(&*self.disk, &name, bytes, Readers::Usual).map_err(io("write", &self.disk.path(&name)))?;
        Ok(hash)
    }

    /// The bytes with this hash, verified; none when they are not here.
    pub fn read(&self, hash: &[u8; 32]) -> Result<Option<Vec<u8>>, SiteDirError> {
        let name = self.name(hash);
        match read_whole(&*self.disk, &name).map_err(io("read", &self.disk.path(&name)))? {
            Some(bytes) if blake3::hash(&bytes).as_bytes() != hash => {
                Err(SiteDirError::DamagedBlob(self.disk.path(&name)))
            }
            held => Ok(held),
        }
    }

    /// The tree of the blob with this hash, read through and verified; none when it is not here.
    pub fn verified_tree(&self, hash: &[u8; 32]) -> Result<Option<BlobTree>, SiteDirError> {
        let name = self.name(hash);
        let (mut builder, mut at) = (BlobTreeBuilder::default(), 0);
        loop {
            let part = match self.disk.read(&name, at, limits::BLOB_PART_BYTES) {
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
                other => other.map_err(io("read", &self.disk.path(&name)))?,
            };
            if part.is_empty() {
                break;
            }
            builder.update(&part);
            at += part.len() as u64;
        }
        let tree = builder.finish();
        if tree.hash().0 != *hash {
            return Err(SiteDirError::DamagedBlob(self.disk.path(&name)));
        }
        Ok(Some(tree))
    }

    /// Bytes of the blob with this hash from `offset` on, unverified: at most `length`, fewer only where it ends.
    pub fn read_part(&self, hash: &[u8; 32], offset: u64, length: usize) -> Result<Vec<u8>, SiteDirError> {
        let name = self.name(hash);
        self.disk.read(&name, offset, length).map_err(io("read", &self.disk.path(&name)))
    }

    /// The hashes of all blobs that are here, in no order. Files that are named otherwise are passed over.
    pub fn list(&self) -> Result<Vec<[u8; 32]>, SiteDirError> {
        let folder = self.prefix.trim_end_matches('/');
        let names = self.disk.list(folder).map_err(io("read", &self.disk.path(folder)))?;
        Ok(names.iter().filter_map(|name| hash_of(name)).collect())
    }

    /// Deletes the blob with this hash; that it is not here is no error.
    pub fn remove(&self, hash: &[u8; 32]) -> Result<(), SiteDirError> {
        match self.disk.remove(&self.name(hash)) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(io("delete", &self.path(hash))(e)),
            _ => Ok(()),
        }
    }

    /// The file of the blob with this hash, whether it is there or not.
    pub fn path(&self, hash: &[u8; 32]) -> PathBuf {
        self.disk.path(&self.name(hash))
    }

    fn name(&self, hash: &[u8; 32]) -> String {
        let digits: String = hash.iter().map(|b| format!("{b:02x}")).collect();
        format!("{}{digits}", self.prefix)
    }
}

fn hash_of(name: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = name.bytes().map(|b| char::from(b).to_digit(16).map(|d| d as u8)).collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    if digits.len() == 64 { bytes.try_into().ok() } else { None }
}
