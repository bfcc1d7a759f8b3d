//! How much is taken at once, with the reasoning beside the number.

use std::time::Duration;

/// Longest time a stopping host spends on telling its peers so.
pub const FAREWELL: Duration = Duration::from_millis(500);

/// Most entries one commit holds. At the 1 ms to 10 ms a fsync takes this is far above what a site needs, and the
/// first of a batch still waits no longer than verifying all of it takes (some 50 µs each).
pub const BATCH_ENTRIES: usize = 512;

/// Bytes of entries after which a batch read for a peer ends; a single larger entry still goes out alone.
pub const READ_BYTES: usize = 1 << 20;

/// Largest entry the store takes: four times what the record takes today, so that the format outlives that number.
pub const STORED_ENTRY_BYTES: usize = 4 << 20;

/// Bytes the store reads or writes at once when it goes along its file: a disk is busy for a millisecond with them.
pub const WINDOW_BYTES: usize = 256 << 10;

/// Entries between two points of the store's index: to find one, at most so many are passed over (some 20 kB), and
/// the index of 1,000,000 entries takes 375 kB.
pub const INDEX_ENTRIES: u64 = 64;

/// Bytes between two points of the store's index, where entries are large.
pub const INDEX_BYTES: u64 = 1 << 20;

/// Longest small file kept beside the record: as long as a checkpoint may be.
pub const SMALL_BYTES: usize = gemba_record::limits::CHECKPOINT_BYTES;

/// Longest name, in characters, taken over from a person who comes in for the first time: 4 bytes each stay within what
/// the record takes.
pub const GUEST_NAME_CHARS: usize = 64;

/// Wants of blobs that may wait for the disk.
pub const WAITING_BLOBS: usize = 64;
