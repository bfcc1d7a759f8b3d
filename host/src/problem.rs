//! What can be wrong with a site directory: one line each, saying what happened and what to do.

use std::path::{Path, PathBuf};

use gemba_record::log::Damaged;
use gemba_record::refusal::Refusal;
use thiserror::Error;

/// Why a site directory cannot be created, opened or written.
#[derive(Debug, Error)]
pub enum SiteDirError {
    /// There is nothing.
    #[error("{0} does not exist; create a site there first (gembad does)")]
    Missing(PathBuf),
    /// There is something else.
    #[error("{0} holds files but no site; give an empty or a missing directory")]
    NotASite(PathBuf),
    /// A site where one should be created.
    #[error("{0} is a site already; open it, or give an empty or a missing directory")]
    AlreadyASite(PathBuf),
    /// Another process has it.
    #[error("{0} is in use by another process; stop that one first")]
    InUse(PathBuf),
    /// Made by a later version.
    #[error("{path} was made by a newer Gemba (format {found}); this one reads up to format {known}: update it")]
    Newer {
        /// The site directory.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest this program reads.
        known: u32,
    },
    /// The operating system refuses.
    #[error("cannot {what} {path}: {source}")]
    Io {
        /// A verb.
        what: &'static str,
        /// Of which file or directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The store cannot be read or written.
    #[error("{path} cannot be read or written: {source}; check the disk, or restore the site from a copy")]
    Store {
        /// The store's file.
        path: PathBuf,
        /// Why.
        source: Box<redb::Error>,
    },
    /// The store reads, but the record in it does not hold.
    #[error("{path}: {source}; restore the site from a copy")]
    Damaged {
        /// The store's file.
        path: PathBuf,
        /// Where and how.
        source: Damaged,
    },
    /// The store lacks what every store has.
    #[error("{path} lacks {what}; restore the site from a copy")]
    Incomplete {
        /// The store's file.
        path: PathBuf,
        /// What is not there.
        what: &'static str,
    },
    /// A key file that holds no key.
    #[error("{0} holds no secret key (64 hexadecimal digits); restore it from a copy")]
    BadKey(PathBuf),
    /// The host's key is not the one the site was founded for.
    #[error("{0} is not the key of this site's host; restore the right one from a copy")]
    OtherKey(PathBuf),
    /// A blob whose bytes are not what its name says.
    #[error("{0} is damaged: its hash is not its name; import the file again")]
    DamagedBlob(PathBuf),
    /// The record refuses what was to be written.
    #[error("{0}")]
    Refused(#[from] Refusal),
}

/// Turns the operating system's refusal into ours, naming what was tried.
pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> SiteDirError {
    let path = path.to_owned();
    move |source| SiteDirError::Io { what, path, source }
}
