//! The record of a site: a signed, append-only log of entries, and the state everyone folds from it.
//!
//! Host, client and audit tool run this same code over the same bytes and get the same [`site::Site`]; its digest says
//! so. Absent on purpose: files, sockets, clocks, randomness, threads. Time and random ids are handed in; whoever
//! keeps the bytes is the caller.
//!
//! - [`entry`]: what is signed, and the only bytes it may have
//! - [`body`]: what an entry says
//! - [`author`]: signing entries for one site
//! - [`role`]: who may say what
//! - [`site`]: the state folded so far
//! - [`log`]: entries in order: fold and Merkle tree together
//! - [`merkle`]: the tree hash of RFC 9162 with its proofs
//! - [`checkpoint`]: a signed statement of size and root, as C2SP `tlog-checkpoint` has it
//! - [`refusal`]: why an entry is not taken
//! - [`limits`]: the size of everything that comes from outside
//!
//! Not here yet: rotation and revocation of keys, roles scoped to a part of the plant, witnesses, snapshots.

pub mod author;
pub mod body;
pub mod checkpoint;
pub mod entry;
pub mod limits;
pub mod log;
pub mod merkle;
pub mod refusal;
pub mod role;
pub mod site;
