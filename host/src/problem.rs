//! What can be wrong with a site directory: one line each, saying what happened and what to do.

use std::ops::Range;
use std::path::{Path, PathBuf};

use gemba_record::checkpoint::CheckpointError;
use gemba_record::note::NoteError;
use gemba_record::refusal::Refusal;
use gemba_record::witness::WitnessError;
use gemba_twin::peer::PeerKey;
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
    #[error("cannot {what} {path}: {why}")]
    Io {
        /// A verb.
        what: &'static str,
        /// Of which file or directory.
        path: PathBuf,
        /// What the system says. Not the error's source: it is told already, and who prints all causes would tell it twice.
        why: std::io::Error,
    },
    /// Something of the record is damaged, and so nothing is added to it.
    #[error("{0}; the site is open for reading only until it is repaired from a mirror or restored from a copy")]
    ReadOnly(Problem),
    /// So much is damaged that there is no site to show.
    #[error("{0}; nothing of the site can be shown until it is repaired from a mirror or restored from a copy")]
    Unreadable(Problem),
    /// The heir is silent, and may have taken over.
    #[error(
        "the host that stands by is silent and may have taken over: nothing is added to the record until it speaks"
    )]
    NoConsent,
    /// The copy of a host that stands by for another.
    #[error("{0} is the copy of a host that stands by; change the site where its host runs")]
    StandsBy(PathBuf),
    /// What is published and what is to be published contradict each other.
    #[error(
        "the log is published up to entry {published}, and the {size} entries of the record do not go on from there; nothing more is published: restore the record from a mirror"
    )]
    Published {
        /// Entries published.
        published: u64,
        /// Entries of the record's checkpoint.
        size: u64,
    },
    /// A name or key that cannot cosign.
    #[error("nothing can be cosigned so: {0}; a name is best the URL without its scheme")]
    Cosigner(NoteError),
    /// A log that cannot be watched or mirrored.
    #[error(transparent)]
    Witness(WitnessError),
    /// A mirror's copy that is not what it cosigned.
    #[error("{0} is damaged: it is not what this mirror cosigned; delete the folder, and the log is copied anew")]
    BadCopy(PathBuf),
    /// A host's key that cannot sign for a log.
    #[error("the key of the site's host is weak; nothing can be published in its name")]
    NoLogKey,
    /// What a mirror calls a checkpoint of this site.
    #[error("the mirror's checkpoint is of no use: {0}; try another mirror")]
    MirrorCheckpoint(#[from] CheckpointError),
    /// Made before the first release.
    #[error("{0} holds site.redb, a format that was never released; import the plant anew into an empty directory")]
    OldFormat(PathBuf),
    /// A store whose header and mark are both gone.
    #[error("{0} is no record of a site, or its beginning is damaged beyond use; restore it from a copy")]
    NoRecord(PathBuf),
    /// More than the store takes as one entry.
    #[error("an entry of {bytes} bytes is too large; at most {most} are stored")]
    EntryTooLarge {
        /// Its length.
        bytes: usize,
        /// The most there may be.
        most: usize,
    },
    /// A repair that lacks copies.
    #[error("the mirror has no copy of {}; try another mirror", numbered(.0))]
    NoCopy(Range<u64>),
    /// A repair whose outcome nothing vouches for.
    #[error("a checkpoint of {size} entries does not cover {}; give the mirror's newest checkpoint", numbered(.entries))]
    NotCovered {
        /// What is damaged.
        entries: Range<u64>,
        /// Of the newest signed checkpoint there is; 0 without any.
        size: u64,
    },
    /// Copies that are not what the host signed.
    #[error("the copies do not add up to the root the host signed; nothing was changed: try another mirror")]
    WrongCopy,
    /// A key file that holds no key.
    #[error("{0} holds no secret key (64 hexadecimal digits); restore it from a copy")]
    BadKey(PathBuf),
    /// The host's key is not the one the site was founded for.
    #[error("{0} is not the key of this site's host; restore the right one from a copy")]
    OtherKey(PathBuf),
    /// The host's key has been replaced, and the new one is not here.
    #[error(
        "the record has replaced the key of this site's host by {key}: put that one into {} (mode 0600)", .dir.join(crate::site_dir::NEXT_KEY).display()
    )]
    KeyReplaced {
        /// The site's directory.
        dir: PathBuf,
        /// The key in force.
        key: PeerKey,
    },
    /// The host's key has been revoked, and no other has come.
    #[error(
        "the key of this site's host was revoked and counts no more; go on with the one that was promised: gembactl key rotate --site {0} --next FILE"
    )]
    KeyRevoked(PathBuf),
    /// A blob whose bytes are not what its name says.
    #[error("{0} is damaged: its hash is not its name; import the file again")]
    DamagedBlob(PathBuf),
    /// The record refuses what was to be written.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// What is damaged in a site, and exactly where.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Problem {
    /// Bytes that are not as they were written. Where nothing is left of the entries the bytes are an empty range.
    #[error("{}: damaged: {}, at bytes {} to {}", .path.display(), numbered(.entries), .bytes.start, .bytes.end)]
    Damaged {
        /// The store's file.
        path: PathBuf,
        /// Which entries; never empty.
        entries: Range<u64>,
        /// Where in the file.
        bytes: Range<u64>,
    },
    /// The file's header is not as it was written; no entry is lost by that.
    #[error("{}: the header is damaged, at bytes 0 to {bytes}", .path.display())]
    Header {
        /// The store's file.
        path: PathBuf,
        /// The header's length.
        bytes: u64,
    },
    /// An entry that is stored as it was written but does not hold.
    #[error("{}: entry {entry} does not hold: {why}", .path.display())]
    Refused {
        /// The store's file.
        path: PathBuf,
        /// Which.
        entry: u64,
        /// Why the record refuses it.
        why: Refusal,
    },
    /// The checkpoint that was kept is no longer what the host signed.
    #[error("{}: {why}", .path.display())]
    Checkpoint {
        /// Its file.
        path: PathBuf,
        /// What is wrong with it.
        why: CheckpointError,
    },
    /// The entries hold, but they are others than those the host has signed for.
    #[error("{}: the first {size} entries are not those whose root the host signed", .path.display())]
    OtherRoot {
        /// The store's file.
        path: PathBuf,
        /// The checkpoint's size.
        size: u64,
    },
}

impl Problem {
    /// The entries of which copies are wanted; none where copies are of no help.
    pub fn wanted(&self) -> Option<Range<u64>> {
        match self {
            Self::Damaged { entries, .. } => Some(entries.clone()),
            Self::Refused { entry, .. } => Some(*entry..*entry + 1),
            Self::OtherRoot { size, .. } => Some(0..*size),
            Self::Header { .. } | Self::Checkpoint { .. } => None,
        }
    }

    /// The file it is about.
    pub fn path(&self) -> &Path {
        match self {
            Self::Damaged { path, .. }
            | Self::Header { path, .. }
            | Self::Refused { path, .. }
            | Self::Checkpoint { path, .. }
            | Self::OtherRoot { path, .. } => path,
        }
    }
}

/// Entries as a person counts them.
pub(crate) fn numbered(entries: &Range<u64>) -> String {
    match entries.end.saturating_sub(entries.start) {
        0 | 1 => format!("entry {}", entries.start),
        _ => format!("entries {} to {}", entries.start, entries.end - 1),
    }
}

/// Turns the operating system's refusal into ours, naming what was tried.
pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> SiteDirError + use<> {
    let path = path.to_owned();
    move |why| SiteDirError::Io { what, path, why }
}
