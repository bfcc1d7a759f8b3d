//! How a newcomer learns where all bodies of a site are: first how many there are in which cell, then those of its own
//! cell, then of the next, to the farthest. So it sees what is around it before the far end has arrived, and knows how much
//! is to come. What is near comes on the control stream, the rest on the connection for blobs. What has changed since is
//! told as ever ([`crate::relay`]).
//!
//! ```text
//! frame    u32 length, little endian, then a piece; the first one is a manifest, each further one a cell
//! piece    1 byte kind: 0 manifest, 1 cell
//! manifest LEB128 count of cells; for each, from near to far, three zigzag LEB128 from the cell before, LEB128 bodies
//! cell     three zigzag LEB128; LEB128 bodies; 6 bytes the host's clock, milliseconds; of each body 16 bytes of its thing;
//!          then columns in bits: number from the one before, place in the cell, which component of the quaternion is
//!          largest, the three others, epoch, holder
//! column   6 bits of width, the least value, then each value less that in so many bits
//! ```
//!
//! A column is as wide as its cell needs: what stands upright costs nothing for two of three components, what lies on one
//! floor nothing for its height. Beside its thing, a body that lies anyhow takes 11 bytes. Nothing here has a socket or a clock.

mod cell_block;
mod manifest;
mod newcomer;
mod table;

pub use cell_block::{CellBlock, StillBody};
pub use manifest::Manifest;
pub use newcomer::{JoinError, Newcomer};
pub use table::{JoinTable, Pieces};

/// Kinds of pieces.
const MANIFEST: u8 = 0;
const CELL: u8 = 1;
