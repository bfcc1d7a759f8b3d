//! Many ends joined by bad lines inside one test, with a clock that the test moves: for the cores, which take bytes and
//! instants and give bytes.

use std::collections::BTreeMap;
use std::time::Instant;

use super::conditions::Conditions;
use super::direction::{Counts, Direction};

/// An end of the network: a host or a peer, numbered by the test.
pub type End = u16;

/// Something that has arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery<P> {
    /// Who sent it.
    pub from: End,
    /// For whom.
    pub to: End,
    /// What.
    pub packet: P,
}

/// Ends that are joined pairwise; each way of each pair has the same conditions and dice of its own.
#[derive(Debug)]
pub struct VirtualNetwork<P> {
    conditions: Conditions,
    seed: u64,
    ways: BTreeMap<(End, End), Direction<P>>,
}

impl<P: Clone> VirtualNetwork<P> {
    /// A network on which nothing is under way.
    pub fn new(conditions: Conditions, seed: u64) -> Self {
        Self { conditions, seed, ways: BTreeMap::new() }
    }

    /// Sends a datagram, of which anything may become.
    pub fn send(&mut self, now: Instant, from: End, to: End, bytes: usize, packet: P) {
        self.way(from, to).handle_packet(now, bytes, packet);
    }

    /// Sends on a reliable, ordered stream.
    pub fn send_reliably(&mut self, now: Instant, from: End, to: End, bytes: usize, packet: P) {
        self.way(from, to).handle_reliable(now, bytes, packet);
    }

    /// Cuts or mends one way.
    pub fn set_cut(&mut self, from: End, to: End, is_cut: bool) {
        self.way(from, to).set_cut(is_cut);
    }

    /// When something arrives next.
    pub fn next_arrival(&self) -> Option<Instant> {
        self.ways.values().filter_map(Direction::next_arrival).min()
    }

    /// The next thing that has arrived by `now`, the earliest first.
    pub fn poll_delivery(&mut self, now: Instant) -> Option<Delivery<P>> {
        let earliest = self.ways.iter().filter_map(|(ends, way)| Some((way.next_arrival()?, *ends))).min()?;
        let (from, to) = earliest.1;
        let (_, packet) = self.ways.get_mut(&(from, to))?.poll_delivery(now)?;
        Some(Delivery { from, to, packet })
    }

    /// What has become of packets on one way.
    pub fn counts(&self, from: End, to: End) -> Counts {
        self.ways.get(&(from, to)).map(Direction::counts).unwrap_or_default()
    }

    fn way(&mut self, from: End, to: End) -> &mut Direction<P> {
        // Each way has a seed of its own, or all would lose the same packets.
        let seed = self.seed ^ (u64::from(from) << 32 | u64::from(to) << 48);
        self.ways.entry((from, to)).or_insert_with(|| Direction::new(self.conditions, seed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_is_sent_first_on_a_faster_way_arrives_first_whoever_sent_it() {
        let mut network = VirtualNetwork::new("delay=20ms".parse().unwrap(), 1);
        let begin = Instant::now();
        network.send(begin + Duration::from_millis(5), 1, 2, 1, "second");
        network.send(begin, 2, 1, 1, "first");
        network.send(begin, 3, 1, 1, "never");
        network.set_cut(3, 1, true);
        let mut came = Vec::new();
        while let Some(at) = network.next_arrival() {
            came.push(network.poll_delivery(at).unwrap().packet);
        }
        assert_eq!(came, ["first", "second"]);
        assert_eq!(network.counts(3, 1).dropped_cut, 1);
    }

    #[test]
    fn two_ways_do_not_lose_the_same_packets() {
        let mut network = VirtualNetwork::new("loss=50%".parse().unwrap(), 1);
        let now = Instant::now();
        for n in 0..64 {
            network.send(now, 1, 2, 1, n);
            network.send(now, 2, 1, 1, n);
        }
        let all: Vec<_> = std::iter::from_fn(|| network.poll_delivery(now)).collect();
        let came = |to| all.iter().filter(|d| d.to == to).map(|d| d.packet).collect::<Vec<i32>>();
        assert_ne!(came(1), came(2));
    }
}
