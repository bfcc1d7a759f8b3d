//! Samples on the wire: what each subscriber is told, how often, and in how few bytes.
//!
//! - [`Want`]: what a subscriber wants: which tags, how often, and of fast ones the newest or a [`TagWindow`] of all
//! - [`Channels`]: makes from all samples what is wanted, once for all who want the same
//! - [`Feed`]: what waits for one subscriber; who is slower than the plant gets the newest, and never loses bad quality
//! - [`packed`]: a batch in few bytes; [`encode`], [`decode`]: as journals and peers before minor 4 have it
//!
//! Nothing here has a socket or a clock.

mod batch;
mod channel;
mod feed;
pub mod packed;
mod want;
mod window;

pub use batch::{batches, decode, encode};
pub use channel::{Channels, Outgoing};
pub use feed::{Feed, Told};
pub use want::{Tags, Want, Window};
pub use window::TagWindow;

use gemba_twin::path::TagId;
use gemba_twin::sample::Sample;
use thiserror::Error;

/// A sample and whose it is.
#[derive(Debug, Clone, PartialEq)]
pub struct TagSample {
    /// The tag.
    pub tag: TagId,
    /// What it read.
    pub sample: Sample,
}

/// Bytes that are no batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a telemetry batch is damaged")]
pub struct DamagedBatch;
