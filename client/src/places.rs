//! Where the viewer keeps what outlives it: the person's key and fetched models, in the folders the XDG base
//! directory specification names; on Windows in those of an application's data.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use ed25519_dalek::SigningKey;

/// A variable that names a folder, and where in a person's home it is otherwise: of what can be fetched again, and of what
/// must not be lost.
const FOLDERS: [(&str, &str); 2] = if cfg!(windows) {
    [("LOCALAPPDATA", "AppData/Local"), ("APPDATA", "AppData/Roaming")]
} else {
    [("XDG_CACHE_HOME", ".cache"), ("XDG_DATA_HOME", ".local/share")]
};

fn folder((variable, below_home): (&str, &str)) -> PathBuf {
    let set = std::env::var_os(variable).map(PathBuf::from).filter(|p| p.is_absolute());
    set.unwrap_or_else(|| std::env::home_dir().unwrap_or_else(std::env::temp_dir).join(below_home)).join("gemba")
}

/// What can be fetched again.
pub fn cache() -> PathBuf {
    folder(FOLDERS[0])
}

/// What must not be lost.
pub fn data() -> PathBuf {
    folder(FOLDERS[1])
}

/// The key in `file`; made, for its owner alone, where there is none. On Windows a person's folders are theirs alone already.
pub fn signing_key(file: &Path) -> Result<SigningKey> {
    if let Ok(bytes) = std::fs::read(file) {
        let Ok(seed) = <[u8; 32]>::try_from(bytes.as_slice()) else {
            bail!("{} is not a key of 32 bytes; move it away and a new one is made", file.display());
        };
        return Ok(SigningKey::from_bytes(&seed));
    }
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|e| anyhow::anyhow!("the system gives no random numbers: {e}"))?;
    let folder = file.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut out = match options.open(file) {
        Ok(out) => out,
        // Another viewer made it in the same moment: its key is ours.
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => return signing_key(file),
        Err(error) => return Err(error).with_context(|| format!("cannot write {}", file.display())),
    };
    out.write_all(&seed).and_then(|()| out.sync_all()).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(SigningKey::from_bytes(&seed))
}
