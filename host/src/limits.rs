//! How much is taken at once, with the reasoning beside the number.

use std::time::Duration;

/// Longest time a stopping host spends on telling its peers so.
pub const FAREWELL: Duration = Duration::from_millis(500);

/// Most entries one commit holds. At the 1 ms to 10 ms a fsync takes this is far above what a site needs, and the
/// first of a batch still waits no longer than verifying all of it takes (some 50 µs each).
pub const BATCH_ENTRIES: usize = 512;

/// Bytes of entries after which a batch read for a peer ends; a single larger entry still goes out alone.
pub const READ_BYTES: usize = 1 << 20;

/// redb's page cache. The record is read from end to end at the start and hardly ever again, so the default of 1 GiB
/// would only look large.
pub const CACHE_BYTES: usize = 64 << 20;

/// Longest name, in characters, taken over from a person who comes in for the first time: 4 bytes each stay within what
/// the record takes.
pub const GUEST_NAME_CHARS: usize = 64;

/// Wants of blobs that may wait for the disk.
pub const WAITING_BLOBS: usize = 64;
