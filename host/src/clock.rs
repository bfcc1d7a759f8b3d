//! This machine's clock, for the host's edges: what decides is told the time.

use std::time::{SystemTime, UNIX_EPOCH};

use gemba_twin::sample::Timestamp;

/// Now. A clock before 1970 reads as 1970.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
