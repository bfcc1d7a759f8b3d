//! Secret keys in files only their owner can read: 64 hexadecimal digits and a newline, mode 0600.

use std::path::Path;

use ed25519_dalek::SigningKey;
use gemba_twin::peer::PeerKey;

use crate::disk::{self, Disk, FileDisk, Readers};
use crate::problem::{SiteDirError, io};

/// More than a key file holds: 64 digits and a line end of whoever copied it.
const FILE_BYTES: usize = 80;

/// Sixteen or more bytes from the operating system's source of randomness.
///
/// # Panics
/// If the system has none, in which case no key made here could be trusted.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

/// The public half.
pub fn peer_key(key: &SigningKey) -> PeerKey {
    PeerKey(key.verifying_key().to_bytes())
}

/// The key in this file: as it is kept here, or 32 bytes as people's keys are.
pub fn load(disk: &dyn Disk, name: &str) -> Result<SigningKey, SiteDirError> {
    let path = disk.path(name);
    let bytes = disk.read(name, 0, FILE_BYTES + 1).map_err(io("read", &path))?;
    if let Ok(seed) = <[u8; 32]>::try_from(bytes.as_slice()) {
        return Ok(SigningKey::from_bytes(&seed));
    }
    let text = str::from_utf8(&bytes).ok().filter(|_| bytes.len() <= FILE_BYTES);
    text.and_then(|text| parse(text.trim())).ok_or(SiteDirError::BadKey(path))
}

/// The key in this file, or a new one that is in it from now on.
pub fn load_or_create(disk: &dyn Disk, name: &str) -> Result<SigningKey, SiteDirError> {
    match load(disk, name) {
        Err(SiteDirError::Io { why, .. }) if why.kind() == std::io::ErrorKind::NotFound => {
            let key = SigningKey::from_bytes(&random());
            keep(disk, name, &key)?;
            Ok(key)
        }
        other => other,
    }
}

/// Keeps this key durably in this file.
pub fn keep(disk: &dyn Disk, name: &str, key: &SigningKey) -> Result<(), SiteDirError> {
    let text: String = key.to_bytes().iter().map(|b| format!("{b:02x}")).collect();
    disk::write_whole(disk, name, format!("{text}\n").as_bytes(), Readers::Owner)
        .map_err(io("create", &disk.path(name)))
}

fn parse(text: &str) -> Option<SigningKey> {
    // A secret key and a public one are both 64 digits; the parser of the latter serves.
    text.parse::<PeerKey>().ok().map(|bytes| SigningKey::from_bytes(&bytes.0))
}

/// Writes a file of the file system so that after a crash it is there whole or not at all; `secret` for its owner's
/// eyes only. For what does not lie on a site's [`Disk`].
pub fn write_whole(path: &Path, bytes: &[u8], secret: bool) -> Result<(), SiteDirError> {
    let (dir, name) = (path.parent().unwrap_or(Path::new("")), path.file_name().unwrap_or_default());
    let readers = if secret { Readers::Owner } else { Readers::Usual };
    disk::write_whole(&FileDisk::new(dir), &name.to_string_lossy(), bytes, readers).map_err(io("write", path))
}

/// Makes a new or renamed name in its directory durable.
pub fn sync_parent(path: &Path) -> Result<(), SiteDirError> {
    let dir = path.parent().unwrap_or(Path::new(""));
    FileDisk::new(dir).sync_folder("").map_err(io("write", dir))
}
