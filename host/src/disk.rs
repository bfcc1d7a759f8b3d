//! The seam between a site and the disk it lies on: the few operations the store, blobs, keys and checkpoints need.
//!
//! Two implementations: [`FileDisk`] is a directory of the real file system; [`SimulatedDisk`] is one in memory that
//! loses power, tears writes, fills up, flips bits and lies, all from one seed, so that a test can break it anywhere.
//!
//! The contract is the weak one of POSIX, since that is what is left after a power cut: what was written and not
//! synced may be lost, wholly or in part, in any order; a name that was made, changed or removed may be undone until
//! its directory is synced. Absent on purpose: links, permissions beyond "the owner's alone", times.

mod file;
mod simulated;

use std::any::Any;
use std::fmt::Debug;
use std::io;
use std::path::PathBuf;

pub use file::FileDisk;
pub use simulated::{Faults, SimulatedDisk};

/// Who may read a new file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readers {
    /// As the process's umask has it.
    Usual,
    /// Its owner alone: secret keys.
    Owner,
}

/// Held while this process has the disk's lock; dropping it, or the end of the process, gives it back.
#[derive(Debug)]
pub struct Lock {
    _held: Option<Box<dyn Any + Send + Sync>>,
}

/// A directory with files and folders. Names are relative to it, with `/` between folder and file; `""` is the
/// directory itself.
pub trait Disk: Debug + Send + Sync {
    /// What to call this file when speaking to people.
    fn path(&self, name: &str) -> PathBuf;

    /// The names in a folder, in order.
    fn list(&self, folder: &str) -> io::Result<Vec<String>>;

    /// A file's length in bytes.
    fn size(&self, name: &str) -> io::Result<u64>;

    /// Bytes from `offset` on: `length` of them, fewer only where the file ends.
    fn read(&self, name: &str, offset: u64, length: usize) -> io::Result<Vec<u8>>;

    /// Makes a folder with those it lies in, durably. One that is there already is left as it is.
    fn make_folder(&self, folder: &str) -> io::Result<()>;

    /// Makes a file without content, or empties the one that is there.
    fn create(&self, name: &str, readers: Readers) -> io::Result<()>;

    /// Writes into an existing file, which grows as needed. After an error any part of it may have been written.
    fn write(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Cuts an existing file to this length.
    fn truncate(&self, name: &str, size: u64) -> io::Result<()>;

    /// Returns when all that was written to this file would survive a power cut. After an error nothing is known of
    /// what was written since the last success: it is to be written again, not just synced again.
    fn sync(&self, name: &str) -> io::Result<()>;

    /// Returns when the names in this folder would survive a power cut.
    fn sync_folder(&self, folder: &str) -> io::Result<()>;

    /// Gives a file another name in the same folder, in place of the file that had it.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Takes the lock of this name, so that of all processes one works here; [`io::ErrorKind::WouldBlock`] while
    /// another has it.
    fn lock(&self, name: &str) -> io::Result<Lock>;
}

/// The whole content of a file; none when there is no such file.
pub(crate) fn read_whole(disk: &dyn Disk, name: &str) -> io::Result<Option<Vec<u8>>> {
    let size = match disk.size(name) {
        Ok(size) => size,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    let length = usize::try_from(size).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
    disk.read(name, 0, length).map(Some)
}

/// Writes a file so that after a crash it is there whole, as it was before, or not at all. When this returns it is
/// durable.
pub(crate) fn write_whole(disk: &dyn Disk, name: &str, bytes: &[u8], readers: Readers) -> io::Result<()> {
    let new = format!("{name}.new");
    let written = disk
        .create(&new, readers)
        .and_then(|()| disk.write(&new, 0, bytes))
        .and_then(|()| disk.sync(&new))
        .and_then(|()| disk.rename(&new, name));
    if let Err(error) = written {
        // On a full disk the half-written file would keep the space that others need.
        let _ = disk.remove(&new);
        return Err(error);
    }
    disk.sync_folder(folder_of(name))
}

/// The folder a file lies in.
pub(crate) fn folder_of(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(folder, _)| folder)
}
