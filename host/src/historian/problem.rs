//! What can go wrong with a history: one line each, saying what happened and what to do.

use std::path::PathBuf;

use thiserror::Error;

use super::recall::DamagedSegment;
use crate::limits;
use crate::problem::SiteDirError;

/// Why the historian did not do something. Nothing that was taken before is lost by it.
#[derive(Debug, Error)]
pub enum HistorianError {
    /// The disk refuses.
    #[error(transparent)]
    Disk(#[from] SiteDirError),
    /// The columns do not fit.
    #[error("a segment cannot be written: {0}; its samples stay in the journal")]
    Parquet(#[from] parquet::errors::ParquetError),
    /// Segments come faster than the disk takes them, or it takes none.
    #[error("{0} segments wait for the disk, so these samples were not taken; free some space or slow down")]
    Behind(usize),
    /// Over [`limits::APPEND_SAMPLES`].
    #[error("{0} samples at once are too many; give at most {most}", most = limits::APPEND_SAMPLES)]
    TooMany(usize),
    /// No thread could be started.
    #[error("the historian's thread cannot be started: {0}")]
    Thread(std::io::Error),
    /// The thread has ended.
    #[error("the historian's thread has ended; start the host again, its journal has the samples")]
    Stopped,
    /// Not one of its segments.
    #[error("there is no segment {0} here")]
    Unknown(u64),
}

/// Something that was found wrong or had to be left out; the historian goes on.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HistorianProblem {
    /// A crash while the journal was written, or damage to it.
    #[error("{path} lacked its last words after a crash: {bytes} bytes were dropped")]
    TornJournal {
        /// The journal.
        path: PathBuf,
        /// How much was dropped.
        bytes: usize,
    },
    /// A journal that says nothing this version knows.
    #[error("{path} cannot be read, it may be of another version; it was set aside as {aside}")]
    UnreadableJournal {
        /// The journal.
        path: PathBuf,
        /// Where it is now.
        aside: PathBuf,
    },
    /// The list of segments was damaged.
    #[error("the catalogue of segments had {0} damaged bytes; segments that only they named are lost to the historian")]
    DamagedCatalogue(usize),
    /// Segments lack the names that people choose them by; their blobs are not touched by that.
    #[error("segments get no names in the history's folder, only their blobs are there: {0}")]
    NoNames(String),
    /// A segment could not be read.
    #[error(transparent)]
    Damaged(#[from] DamagedSegment),
}
