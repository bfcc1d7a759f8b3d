//! Samples that have arrived and wait to be handed on. Bounded: when the reader falls so far behind that it is full,
//! older samples of a tag give way to the newest one, and what was given up is counted.

use std::collections::HashSet;

use gemba_twin::sample::Sample;

/// Samples in order of arrival, at most a fixed number of them or one a tag, whichever is more.
#[derive(Debug)]
pub struct Inbox {
    waiting: Vec<(usize, Sample)>,
    capacity: usize,
    dropped: u64,
}

impl Inbox {
    /// An empty inbox that begins to give samples up beyond `capacity`.
    pub fn new(capacity: usize) -> Self {
        Self { waiting: Vec::new(), capacity, dropped: 0 }
    }

    /// Takes a sample of the tag at place `tag`.
    pub fn push(&mut self, tag: usize, sample: Sample) {
        if self.waiting.len() >= self.capacity {
            self.keep_newest_of_each_tag();
        }
        self.waiting.push((tag, sample));
    }

    /// Everything that waits, oldest first.
    pub fn take(&mut self) -> Vec<(usize, Sample)> {
        std::mem::take(&mut self.waiting)
    }

    /// Samples given up since the last call.
    pub fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    fn keep_newest_of_each_tag(&mut self) {
        let before = self.waiting.len();
        let mut seen = HashSet::new();
        self.waiting.reverse();
        self.waiting.retain(|(tag, _)| seen.insert(*tag));
        self.waiting.reverse();
        self.dropped += (before - self.waiting.len()) as u64;
        // With as many tags as places, every further sample would walk the whole inbox: leave room for as many again.
        self.capacity = self.capacity.max(2 * self.waiting.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gemba_twin::sample::{Quality, Timestamp, Value};

    fn sample(number: i64) -> Sample {
        Sample {
            value: Some(Value::Int(number)),
            quality: Quality::Good,
            source_time: Timestamp(number),
            server_time: Timestamp(number),
        }
    }

    #[test]
    fn a_full_inbox_keeps_the_newest_sample_of_every_tag_and_counts_the_rest() {
        let mut inbox = Inbox::new(100);
        for n in 0..1000 {
            inbox.push((n % 3) as usize, sample(n));
        }
        let kept = inbox.take();
        assert!(kept.len() <= 100);
        assert_eq!(inbox.take_dropped() as usize + kept.len(), 1000);
        assert!(kept.windows(2).all(|pair| pair[0].1.source_time < pair[1].1.source_time), "order is kept");
        for tag in 0..3 {
            let newest = kept.iter().rfind(|(t, _)| *t == tag).unwrap();
            assert!(newest.1.source_time.0 >= 997);
        }
    }

    #[test]
    fn nothing_is_given_up_while_there_is_room() {
        let mut inbox = Inbox::new(10);
        (0..10).for_each(|n| inbox.push(0, sample(n)));
        assert_eq!(inbox.take().len(), 10);
        assert_eq!(inbox.take_dropped(), 0);
    }
}
