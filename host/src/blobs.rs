//! Files of a site named by their BLAKE3 hash: models now, segments and snapshots later. A blob is there whole or not
//! at all, and is never changed.

use std::fs;
use std::path::{Path, PathBuf};

use crate::key_file::write_whole;
use crate::problem::{SiteDirError, io};

/// The folder of blobs. Clones name the same folder.
#[derive(Debug, Clone)]
pub struct Blobs {
    dir: PathBuf,
}

impl Blobs {
    /// The folder, created if missing.
    pub fn open(dir: PathBuf) -> Result<Self, SiteDirError> {
        fs::create_dir_all(&dir).map_err(io("create", &dir))?;
        Ok(Self { dir })
    }

    /// Keeps these bytes durably; returns their hash. Keeping them twice is keeping them once.
    pub fn put(&self, bytes: &[u8]) -> Result<[u8; 32], SiteDirError> {
        let hash = *blake3::hash(bytes).as_bytes();
        let path = self.path(&hash);
        // A file of the right name may have been damaged since; then this writes it anew.
        if fs::read(&path).is_ok_and(|held| held == bytes) {
            return Ok(hash);
        }
        write_whole(&path, bytes, false)?;
        Ok(hash)
    }

    /// The bytes with this hash, verified; none when they are not here.
    pub fn read(&self, hash: &[u8; 32]) -> Result<Option<Vec<u8>>, SiteDirError> {
        let path = self.path(hash);
        match fs::read(&path) {
            Ok(bytes) if blake3::hash(&bytes).as_bytes() == hash => Ok(Some(bytes)),
            Ok(_) => Err(SiteDirError::DamagedBlob(path)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(io("read", &path)(e)),
        }
    }

    fn path(&self, hash: &[u8; 32]) -> PathBuf {
        let name: String = hash.iter().map(|b| format!("{b:02x}")).collect();
        Path::new(&self.dir).join(name)
    }
}
