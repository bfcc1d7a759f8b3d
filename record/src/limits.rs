//! The size of everything that comes from outside, with the reasoning beside the number.

/// Largest signed entry in bytes. A thing of the demo plant takes some 100 to 400 bytes, so 1,000 of them fit; a
/// larger batch is several entries. What is bigger than this is a blob.
pub const ENTRY_BYTES: usize = 1 << 20;

/// Most things or tags one entry may carry: one entry is checked and folded without anyone noticing a pause.
pub const BATCH: usize = 1_000;

/// Bytes of things or tags after which [`crate::body::Body::add_things`] begins another entry: half of
/// [`ENTRY_BYTES`], since the largest single thing (64 bindings of at most 1.1 kB and a path) takes some 75 kB.
pub const BATCH_BYTES: usize = ENTRY_BYTES / 2;

/// Longest name of a site, peer or model in bytes.
pub const NAME_BYTES: usize = 256;

/// Longest note in bytes: a remark at a machine, not a manual.
pub const NOTE_BYTES: usize = 4096;

/// Most peers one site admits: every person and machine of a large plant.
pub const PEERS: usize = 100_000;

/// Most models one site imports.
pub const MODELS: usize = 10_000;

/// Most things of one site: as many nodes as the largest single model may have.
pub const THINGS: usize = gemba_twin::limits::MODEL_NODES;

/// Most tags of one site.
pub const TAGS: usize = gemba_twin::limits::TAGS;

/// Most notes of one site: one a minute for two years.
pub const NOTES: usize = 1_000_000;

/// Longest checkpoint in bytes: origin, size, root and a few signature lines are well below 1 kB.
pub const CHECKPOINT_BYTES: usize = 64 << 10;
