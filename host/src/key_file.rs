//! Secret keys in files only their owner can read: 64 hexadecimal digits and a newline, mode 0600.

use std::fs;
use std::io::Write;
use std::path::Path;

use ed25519_dalek::SigningKey;
use gemba_twin::peer::PeerKey;

use crate::problem::{SiteDirError, io};

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

/// The key in this file.
pub fn load(path: &Path) -> Result<SigningKey, SiteDirError> {
    let text = fs::read_to_string(path).map_err(io("read", path))?;
    parse(text.trim()).ok_or_else(|| SiteDirError::BadKey(path.to_owned()))
}

/// The key in this file, or a new one that is in it from now on.
pub fn load_or_create(path: &Path) -> Result<SigningKey, SiteDirError> {
    match load(path) {
        Err(SiteDirError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => create(path),
        other => other,
    }
}

fn create(path: &Path) -> Result<SigningKey, SiteDirError> {
    let key = SigningKey::from_bytes(&random());
    let text: String = key.to_bytes().iter().map(|b| format!("{b:02x}")).collect();
    write_whole(path, format!("{text}\n").as_bytes(), true)?;
    Ok(key)
}

fn parse(text: &str) -> Option<SigningKey> {
    // A secret key and a public one are both 64 digits; the parser of the latter serves.
    text.parse::<PeerKey>().ok().map(|bytes| SigningKey::from_bytes(&bytes.0))
}

/// Writes a file so that after a crash it is there whole or not at all.
pub(crate) fn write_whole(path: &Path, bytes: &[u8], secret: bool) -> Result<(), SiteDirError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = Path::new(&name);
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    if secret {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(new).map_err(io("create", new))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(io("write", new))?;
    fs::rename(new, path).map_err(io("create", path))?;
    sync_parent(path)
}

/// Makes a new or renamed name in its directory durable.
pub(crate) fn sync_parent(path: &Path) -> Result<(), SiteDirError> {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => {
            fs::File::open(dir).and_then(|d| d.sync_all()).map_err(io("write", dir))
        }
        _ => Ok(()),
    }
}
