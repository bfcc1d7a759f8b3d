//! The site host: a directory that holds a site, and `gembad`, which serves it to peers.
//!
//! - [`site_dir`]: a site on disk: record, blobs and the host's key. Import tools use it directly, without `gembad`
//! - [`disk`]: the seam to the disk beneath it, real or simulated
//! - [`store`]: the entries in one append-only file
//! - [`blobs`]: files named by their hash
//! - [`key_file`]: secret keys in files only their owner can read
//! - [`audit`]: everything about a site on disk that can be verified, verified anew
//! - [`problem`]: what can be wrong with a site directory
//! - [`scrub`]: reading it all again, slowly, to find what a disk has forgotten
//! - [`mending`]: a damaged record, made whole again with the copies of a mirror
//! - [`sequencer`]: who comes in, which entry is next, what each peer still lacks
//! - [`publisher`]: the log as static files, C2SP tlog-tiles
//! - [`log_files`]: published logs to read, in a directory or behind a URL; [`http`] serves them
//! - [`notary`]: asks witnesses and mirrors to cosign; [`witness_dir`] and [`mirror_dir`]: those, as processes
//! - [`gateway_feed`]: tags and samples of a gateway on their way to the peers
//! - [`historian`]: samples on disk as Parquet segments, and what was in force at any instant
//! - [`history`]: the historian at work: between the gateway, the record and those who ask for the past
//! - [`carrying`]: who may carry a thing about, and where what was carried lies
//! - [`device_commands`]: what people command, on its way to the devices, and what became of it
//! - [`succession`]: when one host takes over from another; [`following`]: the copy it has until then; [`stand_by`]:
//!   `gembad` meanwhile
//! - [`daemon`]: all of it wired together; [`service`]: first as the one, then as the other
//! - [`limits`]: how much is taken at once
//!
//! Absent on purpose: QUIC (that is `net`), OPC UA (`devices`), the rules of the record (`record`).

pub mod audit;
mod blob_server;
pub mod blobs;
mod bonding;
pub mod carrying;
pub mod clock;
pub mod daemon;
pub mod device_commands;
pub mod disk;
pub mod following;
pub mod gateway_feed;
pub mod historian;
pub mod history;
pub mod http;
pub mod key_file;
pub mod limits;
pub mod log_files;
pub mod mending;
pub mod mirror_dir;
pub mod notary;
pub mod problem;
pub mod publisher;
pub mod scrub;
pub mod sequencer;
pub mod service;
pub mod site_dir;
pub mod stand_by;
pub mod stop;
pub mod store;
pub mod succession;
pub mod witness_dir;
