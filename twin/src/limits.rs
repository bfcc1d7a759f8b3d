//! The size of everything that comes from outside, with the reasoning beside the number.

/// Longest plant path in bytes. ISA-95 trees are some ten levels of short names; CAD exports repeat long ones.
pub const PATH_BYTES: usize = 1024;

/// Deepest plant tree. The school scene of the test data is 9 deep; a hostile file could nest a million.
pub const PATH_DEPTH: usize = 64;

/// Longest text a tag may carry, in bytes: a recipe or batch name, not a document.
pub const TEXT_BYTES: usize = 4096;

/// Longest unit symbol in bytes (`kg/(m²·s)` is 12).
pub const UNIT_BYTES: usize = 32;

/// Most nodes of one glTF model: ten times the 100,000 of a 200-line generated plant.
pub const MODEL_NODES: usize = 1_000_000;

/// Largest glTF model in bytes (2 GiB, what a `u32` length field of GLB can hold safely on every platform).
pub const MODEL_BYTES: u64 = 2 << 30;

/// Most bindings one thing may have. With the longest paths they take some 53 kB, so that any thing fits into an entry.
pub const BINDINGS_PER_THING: usize = 48;

/// Most things a viewpoint hides or selects.
pub const VIEWPOINT_THINGS: usize = 1_000;

/// Most tags of one site: one line of the demo has about 150, the largest plants a few hundred thousand.
pub const TAGS: usize = 1_000_000;
