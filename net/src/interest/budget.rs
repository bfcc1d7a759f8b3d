//! How many bytes of poses one peer may be sent: so many a second on average, and a burst.

use crate::limits;

/// A bucket of bytes.
#[derive(Debug, Clone)]
pub struct Budget {
    per_sec: f64,
    most: f64,
    bytes: f64,
}

impl Budget {
    /// A full one of so many bytes a second.
    pub fn new(bytes_per_sec: u64) -> Self {
        let per_sec = bytes_per_sec as f64;
        let most = (per_sec * limits::POSE_BURST.as_secs_f64()).max(2.0 * limits::POSE_DATAGRAM_BYTES as f64);
        Self { per_sec, most, bytes: most }
    }

    /// So much time has passed.
    pub fn pass(&mut self, millis: u64) {
        self.bytes = (self.bytes + self.per_sec * millis as f64 / 1000.0).min(self.most);
    }

    /// What may be sent now.
    pub fn bytes(&self) -> usize {
        self.bytes.max(0.0) as usize
    }

    /// So many were sent. Presenters may take what is not there yet, up to as much as it can hold.
    pub fn take(&mut self, bytes: usize) {
        self.bytes = (self.bytes - bytes as f64).max(-self.most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_in_advance_is_missing_later_and_a_long_silence_saves_up_no_more() {
        let mut budget = Budget::new(50_000);
        let full = budget.bytes();
        budget.take(full + 1_000);
        assert_eq!(budget.bytes(), 0);
        budget.pass(20);
        assert_eq!(budget.bytes(), 0);
        budget.pass(20);
        assert_eq!(budget.bytes(), 1_000);
        budget.pass(60_000);
        assert_eq!(budget.bytes(), full);
    }
}
