//! A directory of the real file system.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::disk::{Disk, Lock, Readers};

/// Most files kept open for writing: the store's three and a few that come and go.
const WRITERS: usize = 8;

/// A directory of the real file system.
///
/// Files that are written stay open until they are synced and beyond, since Linux reports an error of writing back
/// only to those who had the file open then.
#[derive(Debug)]
pub struct FileDisk {
    root: PathBuf,
    /// Each with a lock of its own, so that a large blob being synced does not hold up a commit.
    writers: Mutex<Writers>,
}

type Writers = HashMap<String, Arc<Mutex<File>>>;

impl FileDisk {
    /// The directory at this path, which need not be there yet: [`Disk::make_folder`] of `""` makes it.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), writers: Mutex::default() }
    }

    fn writers(&self) -> MutexGuard<'_, Writers> {
        // A panic elsewhere leaves at worst a file open that is no longer needed.
        self.writers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with_writer<T>(&self, name: &str, act: impl FnOnce(&mut File) -> io::Result<T>) -> io::Result<T> {
        let held = self.writers().get(name).cloned();
        let writer = match held {
            Some(writer) => writer,
            None => self.keep(name, OpenOptions::new().write(true).open(self.path(name))?),
        };
        act(&mut lock(&writer))
    }

    fn keep(&self, name: &str, file: File) -> Arc<Mutex<File>> {
        let writer = Arc::new(Mutex::new(file));
        let mut writers = self.writers();
        if writers.len() >= WRITERS {
            writers.clear();
        }
        writers.insert(name.to_owned(), writer.clone());
        writer
    }
}

fn lock(writer: &Mutex<File>) -> MutexGuard<'_, File> {
    // Where a file was left off by a panic does not matter: every write says where it goes.
    writer.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Disk for FileDisk {
    fn path(&self, name: &str) -> PathBuf {
        if name.is_empty() { self.root.clone() } else { self.root.join(name) }
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.path(folder))? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }

    fn size(&self, name: &str) -> io::Result<u64> {
        Ok(fs::metadata(self.path(name))?.len())
    }

    fn read(&self, name: &str, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut file = File::open(self.path(name))?;
        file.seek(SeekFrom::Start(offset))?;
        let mut bytes = Vec::with_capacity(length);
        file.take(length as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn make_folder(&self, folder: &str) -> io::Result<()> {
        make_durable(&self.path(folder))
    }

    fn create(&self, name: &str, readers: Readers) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        // Windows has no such mode: who may read a file there is for its folder to say.
        if cfg!(unix) && readers == Readers::Owner {
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        }
        self.keep(name, options.open(self.path(name))?);
        Ok(())
    }

    fn write(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.with_writer(name, |file| file.seek(SeekFrom::Start(offset)).and_then(|_| file.write_all(bytes)))
    }

    fn truncate(&self, name: &str, size: u64) -> io::Result<()> {
        self.with_writer(name, |file| file.set_len(size))
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        // A file nobody here writes may still wait in the system's cache for a process that was killed; and in a
        // directory that is read-only it can be opened only for reading, which is enough to sync it.
        let held = self.writers().get(name).cloned();
        match held {
            Some(writer) => lock(&writer).sync_data(),
            // Windows syncs no file that was opened for reading only.
            None => OpenOptions::new().read(true).write(cfg!(windows)).open(self.path(name))?.sync_data(),
        }
    }

    fn sync_folder(&self, folder: &str) -> io::Result<()> {
        sync_directory(&self.path(folder))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut writers = self.writers();
        writers.remove(to);
        writers.remove(from);
        fs::rename(self.path(from), self.path(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.writers().remove(name);
        fs::remove_file(self.path(name))
    }

    fn lock(&self, name: &str) -> io::Result<Lock> {
        let path = self.path(name);
        let file = match OpenOptions::new().write(true).create(true).truncate(false).open(&path) {
            Err(e) if is_read_only(&e) => match File::open(&path) {
                // Nobody can write in a directory where not even a lock can be made.
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Lock { _held: None }),
                other => other?,
            },
            other => other?,
        };
        file.try_lock().map_err(io::Error::from)?;
        Ok(Lock { _held: Some(Box::new(file)) })
    }
}

fn is_read_only(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

/// Makes a directory and, where they are missing, those above it, each durable in the one above.
fn make_durable(dir: &Path) -> io::Result<()> {
    if dir.as_os_str().is_empty() || dir.is_dir() {
        return Ok(());
    }
    let above = dir.parent().unwrap_or(Path::new(""));
    make_durable(above)?;
    match fs::create_dir(dir) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
        other => other,
    }?;
    sync_directory(above)
}

#[cfg(unix)]
fn sync_directory(dir: &Path) -> io::Result<()> {
    File::open(if dir.as_os_str().is_empty() { Path::new(".") } else { dir })?.sync_all()
}

/// Windows keeps names durable by itself and lets nobody sync a directory.
#[cfg(not(unix))]
fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}
