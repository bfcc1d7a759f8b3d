//! The record of a site: a signed, append-only log of entries, and the state everyone folds from it.
//!
//! Host, client and audit tool run this same code over the same bytes and get the same [`site::Site`]; its digest says
//! so. Absent on purpose: files, sockets, clocks, randomness, threads. Time and random ids are handed in; whoever
//! keeps the bytes is the caller.
//!
//! - [`entry`]: what is signed, and the only bytes it may have
//! - [`body`]: what an entry says, with [`edit`], [`command`] and [`segment`]
//! - [`author`]: signing entries for one site
//! - [`signature`]: strict verification, quick for keys that sign much
//! - [`identity`]: keys that come and go under one identity
//! - [`role`]: who may say what, where
//! - [`invitation`]: tokens that let somebody in once
//! - [`site`]: the state folded so far, its digest and its snapshots
//! - [`log`]: entries in order, verified as they come
//! - [`merkle`]: the tree hash of RFC 9162 with its proofs, and its right edge alone
//! - [`checkpoint`]: a signed statement of size and root, as C2SP `tlog-checkpoint` has it
//! - [`note`]: C2SP signed notes; [`tile`] and [`tile_tree`]: the log as static files, and proofs from them
//! - [`proof_file`]: an entry's proof that verifies offline
//! - [`witness`], [`cosignature`], [`quorum`]: others who vouch that the log has one history, and when that is enough
//! - [`policy`]: what a site's owners want for that; [`mirror`]: who holds a copy, and says so
//! - [`equivocation`]: the evidence where it had two
//! - [`succession`]: which machines may host the site, and how one succeeds another
//! - [`refusal`]: why an entry is not taken
//! - [`limits`]: the size of everything that comes from outside

pub mod author;
pub mod body;
pub mod checkpoint;
pub mod command;
pub mod cosignature;
pub mod edit;
pub mod entry;
pub mod equivocation;
pub mod identity;
pub mod invitation;
pub mod limits;
pub mod log;
pub mod merkle;
pub mod mirror;
pub mod note;
pub mod policy;
pub mod proof_file;
pub mod quorum;
pub mod refusal;
pub mod role;
pub mod segment;
pub mod signature;
pub mod site;
pub mod succession;
pub mod tile;
pub mod tile_tree;
pub mod witness;
