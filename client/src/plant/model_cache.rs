//! Models that were fetched, kept between runs under their hash, so that one can never be the wrong one. What has come of
//! one that is under way is kept too: whoever is cut off, or leaves, goes on there the next time.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use gemba_net::{BlobHash, limits};

/// Models kept, bytes: of more than this those go that were not seen for longest.
const KEPT_BYTES: u64 = 20 << 30;

/// Where a model lies once it is whole.
pub(super) fn path(hash: BlobHash) -> PathBuf {
    folder().join(format!("{hash}.glb"))
}

/// Where models are kept.
pub(super) fn folder() -> PathBuf {
    crate::places::cache().join("models")
}

/// A model that lies there is seen again: others go before it.
pub(super) fn note_seen(whole: &Path) {
    let now = std::time::SystemTime::now();
    // Where it cannot be noted it goes sooner than it should, and is fetched again.
    let _ = OpenOptions::new().write(true).open(whole).and_then(|file| file.set_modified(now));
}

/// Removes what was not seen for longest until what is left, but for `keep`, fits into `bytes`. What cannot be removed stays.
fn clear(folder: &Path, keep: &Path, bytes: u64) -> io::Result<()> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let about = entry.metadata()?;
        if about.is_file() && entry.path() != keep {
            files.push((about.modified()?, about.len(), entry.path()));
        }
    }
    files.sort_unstable();
    let mut left: u64 = files.iter().map(|(_, size, _)| size).sum();
    for (_, size, path) in files {
        if left <= bytes {
            break;
        }
        left -= if fs::remove_file(path).is_ok() { size } else { 0 };
    }
    Ok(())
}

/// A model that is on its way.
#[derive(Debug)]
pub(super) struct Download {
    whole: PathBuf,
    part: PathBuf,
    /// Holds what has come; none where it cannot be kept, or another viewer keeps it.
    file: Option<File>,
    /// Bytes in the file.
    have: u64,
}

impl Download {
    /// Begins one in the folder of models, with the bytes that an earlier run left of it.
    pub(super) fn begin(hash: BlobHash) -> (Self, Vec<u8>) {
        Self::begin_in(&folder(), hash)
    }

    fn begin_in(folder: &Path, hash: BlobHash) -> (Self, Vec<u8>) {
        let [whole, part] = ["glb", "part"].map(|ending| folder.join(format!("{hash}.{ending}")));
        let (file, kept) = match take_up(folder, &part) {
            Ok((file, kept)) => (Some(file), kept),
            // A model can be fetched without; who writes it at the end says what is wrong with the folder.
            Err(_) => (None, Vec::new()),
        };
        (Self { whole, part, file, have: kept.len() as u64 }, kept)
    }

    /// Keeps the last bytes of the first `have` of the model.
    pub(super) fn keep(&mut self, have: u64, bytes: &[u8]) {
        let Some((file, offset)) = self.file.as_mut().zip(have.checked_sub(bytes.len() as u64)) else { return };
        // The fetch goes on where a group began, or has begun anew.
        let cut = if offset < self.have { file.set_len(offset) } else { Ok(()) };
        if offset > self.have || cut.and_then(|()| write_at(file, bytes, offset)).is_err() {
            // A full disk, say: what is there is taken up again another time.
            self.file = None;
        }
        self.have = have;
    }

    /// The model is whole: where it lies from now on.
    pub(super) fn finish(self, bytes: &[u8]) -> Result<PathBuf, String> {
        let moved =
            self.file.is_some() && self.have == bytes.len() as u64 && fs::rename(&self.part, &self.whole).is_ok();
        if !moved {
            write_whole(&self.whole, bytes)
                .map_err(|e| format!("cannot keep the model in {}: {e}", self.whole.display()))?;
            if self.file.is_some() {
                // One that stays is found to be whole, or wrong, when it is next taken up.
                let _ = fs::remove_file(&self.part);
            }
        }
        // A folder that cannot be read now can be cleared another time.
        let _ = clear(self.whole.parent().unwrap_or(Path::new(".")), &self.whole, KEPT_BYTES);
        Ok(self.whole)
    }
}

fn write_at(file: &mut File, bytes: &[u8], offset: u64) -> io::Result<()> {
    file.seek(SeekFrom::Start(offset))?;
    file.write_all(bytes)
}

/// Opens what is there of a part, for this process alone.
fn take_up(folder: &Path, part: &Path) -> io::Result<(File, Vec<u8>)> {
    fs::create_dir_all(folder)?;
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(part)?;
    file.try_lock()?;
    let size = file.metadata()?.len();
    if size > limits::BLOB_BYTES {
        file.set_len(0)?;
        return Ok((file, Vec::new()));
    }
    let mut kept = vec![0; usize::try_from(size).map_err(io::Error::other)?];
    file.read_exact(&mut kept)?;
    Ok((file, kept))
}

/// A reader never sees half a file, whenever this process dies.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let own = folder.join(format!(".{}.part", std::process::id()));
    fs::write(&own, bytes)?;
    fs::rename(own, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: BlobHash = BlobHash([7; 32]);

    #[test]
    fn a_download_that_was_broken_off_is_taken_up_where_it_was_and_is_whole_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let begin = || Download::begin_in(folder.path(), HASH);
        let (mut first, kept) = begin();
        assert_eq!(kept, b"");
        first.keep(3, b"abc");
        first.keep(5, b"de");
        drop(first);
        let (mut second, kept) = begin();
        assert_eq!(kept, b"abcde");
        // Asked for from the beginning of a group.
        second.keep(6, b"DEF");
        second.keep(8, b"gh");
        let whole = second.finish(b"abcDEFgh").unwrap();
        assert_eq!(fs::read(whole).unwrap(), b"abcDEFgh");
        assert_eq!(begin().1, b"", "nothing of it is left over");
    }

    #[test]
    fn of_too_many_models_those_go_that_were_not_seen_for_longest_and_never_the_one_that_has_come() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let names = ["oldest", "older", "newer"];
        for (age, name) in names.iter().rev().enumerate() {
            fs::write(at(name), [0; 10]).unwrap();
            let seen = std::time::SystemTime::now() - std::time::Duration::from_secs(3600 * (age as u64 + 1));
            File::options().write(true).open(at(name)).unwrap().set_modified(seen).unwrap();
        }
        note_seen(&at("oldest"));
        fs::write(at("come"), [0; 1000]).unwrap();
        clear(folder.path(), &at("come"), 20).unwrap();
        let left: Vec<&str> = names.into_iter().filter(|name| at(name).exists()).collect();
        assert_eq!((left, at("come").exists()), (vec!["oldest", "newer"], true));
    }

    #[test]
    fn what_was_kept_and_wrong_goes_and_two_viewers_never_write_into_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let begin = || Download::begin_in(folder.path(), HASH);
        let (mut first, _) = begin();
        first.keep(5, b"wrong");
        first.keep(2, b"ri");
        let (mut other, kept) = begin();
        assert_eq!(kept, b"", "another viewer has it");
        other.keep(3, b"XYZ");
        drop(first);
        assert_eq!(begin().1, b"ri");
        assert_eq!(fs::read(other.finish(b"right").unwrap()).unwrap(), b"right");
    }
}
