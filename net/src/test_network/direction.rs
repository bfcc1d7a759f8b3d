//! One way of one line, without sockets or clocks.
//!
//! A packet first waits in front of the bottleneck or, where the queue is full, is dropped; it may then get lost, as on
//! the air, having used the bandwidth; and is on its way for the delay and its part of the jitter.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::conditions::Conditions;
use super::dice::Dice;
use crate::limits;

/// What has become of packets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets put in.
    pub offered: u64,
    /// Packets that came out, duplicates too.
    pub delivered: u64,
    /// Their bytes.
    pub delivered_bytes: u64,
    /// Lost one by one.
    pub lost: u64,
    /// Lost in bursts.
    pub lost_in_bursts: u64,
    /// Dropped because the queue in front of the bottleneck was full.
    pub dropped_full: u64,
    /// Dropped because the line was cut.
    pub dropped_cut: u64,
    /// Second copies made.
    pub duplicated: u64,
    /// Held back so that others overtake.
    pub reordered: u64,
}

/// One way of a line that carries packets of type `P`.
#[derive(Debug)]
pub struct Direction<P> {
    conditions: Conditions,
    dice: Dice,
    counts: Counts,
    is_cut: bool,
    in_burst: bool,
    /// When all that has been taken in will have passed the bottleneck.
    bottleneck_free: Option<Instant>,
    /// When the newest packet that kept its order will arrive.
    newest_arrival: Option<Instant>,
    newest_reliable: Option<Instant>,
    under_way: BTreeMap<(Instant, u64), (usize, P)>,
    number: u64,
}

impl<P: Clone> Direction<P> {
    /// A line with nothing on it.
    pub fn new(conditions: Conditions, seed: u64) -> Self {
        Self {
            conditions,
            dice: Dice::new(seed),
            counts: Counts::default(),
            is_cut: false,
            in_burst: false,
            bottleneck_free: None,
            newest_arrival: None,
            newest_reliable: None,
            under_way: BTreeMap::new(),
            number: 0,
        }
    }

    /// The line behaves otherwise from now on. What is under way arrives as it would have.
    pub fn set_conditions(&mut self, conditions: Conditions) {
        self.conditions = conditions;
    }

    /// Cuts the line, or mends it. What is under way is lost with the cut.
    pub fn set_cut(&mut self, is_cut: bool) {
        self.is_cut = is_cut;
        if is_cut {
            self.counts.dropped_cut += self.under_way.len() as u64;
            self.under_way.clear();
        }
    }

    /// What has become of packets so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// A packet is put in.
    pub fn handle_packet(&mut self, now: Instant, bytes: usize, packet: P) {
        self.counts.offered += 1;
        let is_lost = self.draw_loss();
        let jitter = self.conditions.jitter.mul_f64(self.dice.fraction());
        let is_held_back = self.dice.falls(self.conditions.reordered);
        let is_doubled = self.dice.falls(self.conditions.duplicated);
        if self.is_cut || self.under_way.len() >= limits::TEST_NETWORK_PACKETS {
            self.counts.dropped_cut += 1;
            return;
        }
        let Some(passed) = self.pass_bottleneck(now, bytes) else {
            self.counts.dropped_full += 1;
            return;
        };
        if is_lost {
            return;
        }
        let mut arrival = passed + self.conditions.delay + jitter;
        if is_held_back {
            // Two packets of a 90 Hz sender, or half the way, pass meanwhile.
            arrival += Duration::from_millis(25).max(self.conditions.delay / 2);
            self.counts.reordered += 1;
        } else {
            arrival = self.newest_arrival.map_or(arrival, |newest| arrival.max(newest));
            self.newest_arrival = Some(arrival);
        }
        if is_doubled {
            self.counts.duplicated += 1;
            self.put(arrival, bytes, packet.clone());
        }
        self.put(arrival, bytes, packet);
    }

    /// Something on a reliable, ordered stream is put in: what is lost comes a round trip later, and what follows waits
    /// for it. Models what QUIC makes of this line without modelling its packets; a cut line carries it once mended, if
    /// the caller puts it in again.
    pub fn handle_reliable(&mut self, now: Instant, bytes: usize, packet: P) {
        self.counts.offered += 1;
        let mut arrival = self.pass_bottleneck(now, bytes).unwrap_or(now) + self.conditions.delay;
        arrival += self.conditions.jitter.mul_f64(self.dice.fraction());
        // A line that loses everything still ends somewhere.
        for _ in 0..64 {
            if !self.draw_loss() {
                break;
            }
            arrival += self.conditions.delay * 2 + self.conditions.jitter;
        }
        if self.is_cut || self.under_way.len() >= limits::TEST_NETWORK_PACKETS {
            self.counts.dropped_cut += 1;
            return;
        }
        arrival = self.newest_reliable.map_or(arrival, |newest| arrival.max(newest));
        self.newest_reliable = Some(arrival);
        self.put(arrival, bytes, packet);
    }

    /// When the next packet arrives.
    pub fn next_arrival(&self) -> Option<Instant> {
        self.under_way.first_key_value().map(|((at, _), _)| *at)
    }

    /// The next packet that has arrived by `now`, and when it did.
    pub fn poll_delivery(&mut self, now: Instant) -> Option<(Instant, P)> {
        let first = self.under_way.first_entry().filter(|entry| entry.key().0 <= now)?;
        let ((at, _), (bytes, packet)) = first.remove_entry();
        self.counts.delivered += 1;
        self.counts.delivered_bytes += bytes as u64;
        Some((at, packet))
    }

    fn put(&mut self, arrival: Instant, bytes: usize, packet: P) {
        self.under_way.insert((arrival, self.number), (bytes, packet));
        self.number += 1;
    }

    /// When the packet has passed the bottleneck; none if the queue in front of it is full.
    fn pass_bottleneck(&mut self, now: Instant, bytes: usize) -> Option<Instant> {
        let Some(bits_per_sec) = self.conditions.bandwidth else { return Some(now) };
        let free = self.bottleneck_free.map_or(now, |free| free.max(now));
        let waiting = (free - now).as_secs_f64() * bits_per_sec as f64 / 8.0;
        if waiting + bytes as f64 > self.conditions.queue_bytes as f64 {
            return None;
        }
        let passed = free + Duration::from_secs_f64(bytes as f64 * 8.0 / bits_per_sec as f64);
        self.bottleneck_free = Some(passed);
        Some(passed)
    }

    fn draw_loss(&mut self) -> bool {
        let (enter, leave) = self.conditions.bursts.map_or((0.0, 1.0), |bursts| bursts.probabilities());
        let turns = self.dice.fraction();
        self.in_burst = if self.in_burst { turns >= leave } else { turns < enter };
        let alone = self.dice.falls(self.conditions.loss);
        self.counts.lost_in_bursts += u64::from(self.in_burst);
        self.counts.lost += u64::from(alone && !self.in_burst);
        alone || self.in_burst
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(10);

    /// Sends `count` packets of 100 bytes, one each 10 ms; when each was put in and when it came out.
    fn sent(conditions: &str, seed: u64, count: u32) -> (Vec<(u32, Duration)>, Counts) {
        let mut way = Direction::new(conditions.parse().unwrap(), seed);
        let begin = Instant::now();
        for n in 0..count {
            way.handle_packet(begin + TICK * n, 100, n);
        }
        let end = begin + Duration::from_secs(3600);
        let came = std::iter::from_fn(|| way.poll_delivery(end)).map(|(at, n)| (n, at - begin - TICK * n)).collect();
        (came, way.counts())
    }

    #[test]
    fn the_same_seed_gives_the_same_network_and_another_seed_another() {
        let bad = "delay=25ms,jitter=30ms,loss=5%,burst=2%x5,reorder=3%,duplicate=2%";
        assert_eq!(sent(bad, 1, 2000), sent(bad, 1, 2000));
        assert_ne!(sent(bad, 1, 2000), sent(bad, 2, 2000));
    }

    #[test]
    fn packets_take_the_delay_and_at_most_the_jitter_and_keep_their_order() {
        let (came, counts) = sent("delay=25ms,jitter=8ms", 1, 1000);
        assert!(came.iter().all(|(_, way)| (25..=33).contains(&way.as_millis())));
        assert!(came.iter().any(|(_, way)| way.as_millis() > 31) && came.iter().any(|(_, way)| way.as_millis() < 27));
        assert!(came.is_sorted_by_key(|(n, _)| *n));
        assert_eq!((counts.offered, counts.delivered, counts.delivered_bytes), (1000, 1000, 100_000));
    }

    #[test]
    fn the_share_that_is_lost_is_the_one_asked_for() {
        let (_, counts) = sent("loss=3%", 1, 20_000);
        assert!((500..=700).contains(&counts.lost), "{counts:?}");
        assert_eq!(counts.delivered, 20_000 - counts.lost);
        let (came, counts) = sent("burst=3%x10", 1, 50_000);
        assert!((1000..=2000).contains(&counts.lost_in_bursts), "{counts:?}");
        let gaps: Vec<u32> = came.windows(2).map(|w| w[1].0 - w[0].0 - 1).filter(|gap| *gap > 0).collect();
        let mean = f64::from(gaps.iter().sum::<u32>()) / gaps.len() as f64;
        assert!((7.0..=13.0).contains(&mean), "bursts of {mean}");
    }

    #[test]
    fn some_are_overtaken_and_some_come_twice() {
        let (came, counts) = sent("delay=20ms,reorder=10%,duplicate=5%", 1, 2000);
        let overtaken = came.windows(2).filter(|w| w[0].0 > w[1].0).count() as u64;
        assert!(overtaken > 100 && counts.reordered >= overtaken, "{overtaken} of {counts:?}");
        assert!((50..=150).contains(&counts.duplicated));
        assert_eq!(came.len() as u64, 2000 + counts.duplicated);
    }

    #[test]
    fn a_bottleneck_delays_what_it_can_hold_and_drops_the_rest() {
        // 100 bytes a 10 ms are 80 kbit/s: twice what passes. A full queue of 2 kB takes 400 ms.
        let (came, counts) = sent("bandwidth=40kbit,queue=2kB", 1, 1000);
        assert!((480..=530).contains(&counts.delivered), "{counts:?}");
        assert_eq!(counts.dropped_full, 1000 - counts.delivered);
        assert!(came.iter().all(|(_, way)| way.as_millis() <= 400));
        assert!(came.last().unwrap().1.as_millis() > 350);
    }

    #[test]
    fn a_cut_line_carries_nothing_until_it_is_mended() {
        let mut way = Direction::new(Conditions::default(), 1);
        let now = Instant::now();
        way.set_cut(true);
        way.handle_packet(now, 1, 'a');
        way.set_cut(false);
        way.handle_packet(now, 1, 'b');
        assert_eq!(way.poll_delivery(now), Some((now, 'b')));
        assert_eq!((way.poll_delivery(now), way.counts().dropped_cut), (None, 1));
    }

    #[test]
    fn a_reliable_stream_over_a_lossy_line_brings_all_in_order_and_late() {
        let mut way = Direction::new("delay=10ms,loss=20%".parse().unwrap(), 1);
        let begin = Instant::now();
        (0..100).for_each(|n| way.handle_reliable(begin, 1, n));
        let came: Vec<_> = std::iter::from_fn(|| way.poll_delivery(begin + Duration::from_secs(9))).collect();
        assert!(came.iter().map(|(_, n)| *n).eq(0..100));
        assert!(came[99].0 - begin >= Duration::from_millis(30));
    }
}
