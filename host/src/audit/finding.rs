//! What an audit finds: one line each, with the file and, as exactly as hashes can tell, the entry and the byte.

use std::ops::Range;
use std::path::{Path, PathBuf};

use gemba_record::quorum::QuorumError;
use gemba_record::tile::{Resource, TileError};
use gemba_twin::peer::PeerKey;
use thiserror::Error;

use crate::problem::{Problem, numbered};

/// One thing that is wrong with a site.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Finding {
    /// Bytes that are not as they were written, an entry that does not hold, or a checkpoint that the host did not sign.
    #[error(transparent)]
    Problem(#[from] Problem),
    /// A site of another host than the one that was asked for.
    #[error("{}: the site's host is {host} and not {expected}", .path.display())]
    OtherHost {
        /// The store's file.
        path: PathBuf,
        /// The host that the first entry names.
        host: PeerKey,
        /// The one that was expected.
        expected: PeerKey,
    },
    /// The entries are not those that were signed for. Which of them, [`Finding::Entry`] says where there are tiles.
    #[error("{}: something of {} was changed, left out, doubled or moved: the root is not the one signed in {}", .path.display(), numbered(.entries), .signed.display())]
    OtherRoot {
        /// The store's file.
        path: PathBuf,
        /// The checkpoint's.
        signed: PathBuf,
        /// Those that nothing vouches for.
        entries: Range<u64>,
    },
    /// Entries at the end that were signed for and are not there.
    #[error("{}: {} signed in {}, and not there", .path.display(), numbered(.entries), .signed.display())]
    TooFew {
        /// The store's file.
        path: PathBuf,
        /// The checkpoint's.
        signed: PathBuf,
        /// Which.
        entries: Range<u64>,
    },
    /// An entry that the published tiles show to be another one than was signed.
    #[error("{}: {which}, by the tiles under the signed root", .path.display())]
    Entry {
        /// The store's file.
        path: PathBuf,
        /// Which.
        which: WhichEntry,
    },
    /// An author was shown another record than this.
    #[error("{}: entry {entry}: its author {author} was shown another record: of the first {size} entries, one or more differ", .path.display())]
    Seen {
        /// The store's file.
        path: PathBuf,
        /// Which.
        entry: u64,
        /// Whose.
        author: PeerKey,
        /// Of the checkpoint it names.
        size: u64,
    },
    /// A cosignature that claims to be by a member of the policy and is not.
    #[error("{}: {why}", .path.display())]
    Cosignature {
        /// The checkpoint's file.
        path: PathBuf,
        /// What is wrong.
        why: QuorumError,
    },
    /// A published file that differs from what the record makes.
    #[error("{}: differs from the record at bytes {} to {}, which are {what} of entry {entry}", .path.display(), .bytes.start, .bytes.end - 1)]
    Tile {
        /// The file.
        path: PathBuf,
        /// Where.
        bytes: Range<u64>,
        /// The hash of the first of some entries, or the bytes of one.
        what: &'static str,
        /// The first entry that it is about.
        entry: u64,
    },
    /// A published file that is missing, or that does not lead to the signed root.
    #[error("{}: {why}", .path.display())]
    Published {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: TileError,
    },
    /// A snapshot that the record does not commit to, or whose bytes are not what its name says.
    #[error("{}: {why}; it is never used, delete it", .path.display())]
    Snapshot {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: &'static str,
    },
    /// A blob that is damaged or missing.
    #[error("{}: {why}; import the file again", .path.display())]
    Blob {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: &'static str,
    },
}

/// What became of an entry that was signed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum WhichEntry {
    /// It stands somewhere else.
    #[error("what stands as entry {index} was signed as entry {signed}")]
    Moved {
        /// Where it stands.
        index: u64,
        /// Where it should.
        signed: u64,
    },
    /// It was never signed for.
    #[error("entry {index} is not the one that was signed")]
    Foreign {
        /// Which.
        index: u64,
    },
    /// It is nowhere.
    #[error("entry {signed} as it was signed is not in the record")]
    Gone {
        /// Which.
        signed: u64,
    },
    /// Others, of which the list has enough.
    #[error("{count} more entries are not in the place they were signed in")]
    More {
        /// How many.
        count: u64,
    },
}

impl Finding {
    /// The file it is about.
    pub fn path(&self) -> &Path {
        match self {
            Self::Problem(problem) => problem.path(),
            Self::OtherHost { path, .. }
            | Self::OtherRoot { path, .. }
            | Self::TooFew { path, .. }
            | Self::Entry { path, .. }
            | Self::Seen { path, .. }
            | Self::Tile { path, .. }
            | Self::Cosignature { path, .. }
            | Self::Published { path, .. }
            | Self::Snapshot { path, .. }
            | Self::Blob { path, .. } => path,
        }
    }

    /// The entries it is about, where it is about any.
    pub fn entries(&self) -> Option<Range<u64>> {
        let one = |index: u64| index..index.saturating_add(1);
        match self {
            Self::Problem(Problem::Damaged { entries, .. })
            | Self::OtherRoot { entries, .. }
            | Self::TooFew { entries, .. } => Some(entries.clone()),
            Self::Problem(Problem::Refused { entry, .. }) | Self::Seen { entry, .. } | Self::Tile { entry, .. } => {
                Some(one(*entry))
            }
            Self::Entry { which, .. } => match *which {
                WhichEntry::Moved { index, .. } | WhichEntry::Foreign { index } => Some(one(index)),
                WhichEntry::Gone { signed } => Some(one(signed)),
                WhichEntry::More { .. } => None,
            },
            Self::Published {
                why: TileError::Forged(Resource::Entries(bundle)) | TileError::Absent(Resource::Entries(bundle)),
                ..
            } => Some(bundle.start()..bundle.end()),
            _ => None,
        }
    }

    /// The bytes of the file it is about, where that is known.
    pub fn bytes(&self) -> Option<Range<u64>> {
        match self {
            Self::Problem(Problem::Damaged { bytes, .. }) | Self::Tile { bytes, .. } => Some(bytes.clone()),
            Self::Problem(Problem::Header { bytes, .. }) => Some(0..*bytes),
            _ => None,
        }
    }
}
