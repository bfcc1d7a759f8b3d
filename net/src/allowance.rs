//! What one peer may have waiting at a host, and how fast it may speak. Each peer has its own, so that whoever floods
//! delays only itself: control messages wait on its own stream, poses are dropped and counted.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits;

/// A place for one message; dropping it gives the place back.
#[derive(Debug)]
pub(crate) struct Place {
    /// Held until the hub has taken the message.
    turn: Option<OwnedSemaphorePermit>,
    /// Held until what it asks for has been answered.
    _bytes: Option<OwnedSemaphorePermit>,
}

impl Place {
    /// The hub has taken the message; only the bytes count on, until it is answered.
    pub(crate) fn until_answered(mut self) -> Self {
        self.turn = None;
        self
    }
}

/// The places of one peer.
#[derive(Debug, Clone)]
pub(crate) struct Allowance {
    turns: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
}

impl Allowance {
    /// With all places free.
    pub(crate) fn new() -> Self {
        let bytes = Arc::new(Semaphore::new(limits::INPUT_BYTES_PER_PEER));
        Self { turns: Arc::new(Semaphore::new(limits::INPUTS_PER_PEER)), bytes }
    }

    /// A place for a message of so many bytes, as soon as there is one; none when there will never be one.
    pub(crate) async fn place(&self, bytes: usize) -> Option<Place> {
        let bytes = bytes.clamp(limits::INPUT_LEAST_BYTES, limits::INPUT_BYTES_PER_PEER) as u32;
        let bytes = self.bytes.clone().acquire_many_owned(bytes).await.ok()?;
        let turn = self.turns.clone().acquire_owned().await.ok()?;
        Some(Place { turn: Some(turn), _bytes: Some(bytes) })
    }

    /// A place for a pose, if there is one now.
    pub(crate) fn place_now(&self) -> Option<Place> {
        let turn = self.turns.clone().try_acquire_owned().ok()?;
        Some(Place { turn: Some(turn), _bytes: None })
    }
}

/// So many a second on average, and so many at once.
#[derive(Debug, Clone)]
pub(crate) struct TokenBucket {
    per_sec: f64,
    most: f64,
    tokens: f64,
    newest: Instant,
}

impl TokenBucket {
    /// A full one.
    pub(crate) fn new((per_sec, at_once): (u32, u32), now: Instant) -> Self {
        let most = f64::from(at_once);
        Self { per_sec: f64::from(per_sec), most, tokens: most, newest: now }
    }

    /// Takes a token; else how long until there is one.
    pub(crate) fn take(&mut self, now: Instant) -> Result<(), Duration> {
        let passed = now.saturating_duration_since(self.newest).as_secs_f64();
        self.newest = self.newest.max(now);
        self.tokens = (self.tokens + passed * self.per_sec).min(self.most);
        if self.tokens < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - self.tokens) / self.per_sec));
        }
        self.tokens -= 1.0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_a_burst_and_then_its_rate() {
        let begin = Instant::now();
        let mut bucket = TokenBucket::new((100, 5), begin);
        let given = |bucket: &mut TokenBucket, now| (0..50).filter(|_| bucket.take(now).is_ok()).count();
        assert_eq!(given(&mut bucket, begin), 5);
        let wait = bucket.take(begin).unwrap_err();
        assert!(wait <= Duration::from_millis(10) && wait > Duration::from_millis(9), "{wait:?}");
        assert_eq!(given(&mut bucket, begin + Duration::from_millis(31)), 3);
        assert_eq!(given(&mut bucket, begin + Duration::from_secs(60)), 5, "a long silence saves up no more");
    }

    #[tokio::test]
    async fn a_peer_that_fills_its_places_takes_none_of_anothers() {
        let (flooder, honest) = (Allowance::new(), Allowance::new());
        let mut held: Vec<Place> = Vec::new();
        while let Some(place) = flooder.place_now() {
            held.push(place);
        }
        assert_eq!(held.len(), limits::INPUTS_PER_PEER);
        assert!(honest.place_now().is_some() && honest.place(limits::FRAME_BYTES).await.is_some());
        held.pop();
        assert!(flooder.place_now().is_some(), "what has been taken makes room");
    }
}
