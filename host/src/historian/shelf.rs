//! Segments under names that people can choose by, in one folder that holds nothing else: `segments/` beside the journal,
//! with a second name (a hard link) for each blob, `20261121T080000Z-000012.parquet`, of the second it begins in (UTC) and
//! its number. Nothing depends on it: what is missing is put back when the historian opens.

use std::collections::HashSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::Sealed;
use crate::blobs::Blobs;
use crate::problem::{SiteDirError, io};

/// The folder in a historian's.
pub(super) const FOLDER: &str = "segments";

/// The name of a segment. In the order of time, as long as nobody sets the clock back.
fn name(sealed: &Sealed) -> String {
    let begun = jiff::Timestamp::from_second(sealed.from.0.div_euclid(1_000_000)).unwrap_or_default();
    format!("{}-{:06}.parquet", begun.strftime("%Y%m%dT%H%M%SZ"), sealed.number)
}

fn path(dir: &Path, sealed: &Sealed) -> PathBuf {
    dir.join(FOLDER).join(name(sealed))
}

/// Gives a segment its second name.
pub(super) fn put(dir: &Path, blobs: &Blobs, sealed: &Sealed) -> Result<(), SiteDirError> {
    let path = path(dir, sealed);
    match std::fs::hard_link(blobs.path(&sealed.blob.0), &path) {
        Err(e) if e.kind() != ErrorKind::AlreadyExists => Err(io("create", &path)(e)),
        _ => Ok(()),
    }
}

/// Takes it away again.
pub(super) fn remove(dir: &Path, sealed: &Sealed) -> Result<(), SiteDirError> {
    let path = path(dir, sealed);
    match std::fs::remove_file(&path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(io("delete", &path)(e)),
        _ => Ok(()),
    }
}

/// Puts back what is missing; segments whose blob is missing too are passed over.
pub(super) fn mend<'a>(dir: &Path, blobs: &Blobs, kept: impl Iterator<Item = &'a Sealed>) -> Result<(), SiteDirError> {
    let folder = dir.join(FOLDER);
    std::fs::create_dir_all(&folder).map_err(io("create", &folder))?;
    let mut held = HashSet::new();
    for entry in std::fs::read_dir(&folder).map_err(io("read", &folder))? {
        held.insert(entry.map_err(io("read", &folder))?.file_name());
    }
    for sealed in kept.filter(|sealed| !held.contains(std::ffi::OsStr::new(&name(sealed)))) {
        if blobs.path(&sealed.blob.0).exists() {
            put(dir, blobs, sealed)?;
        }
    }
    Ok(())
}
