//! A whole site's network inside one deterministic test: the cores of a host and twenty peers, joined by virtual lines
//! that lose three packets in a hundred, on a clock that jumps. A minute of it takes no second.

#![allow(clippy::unwrap_used)] // Test code outside of test functions too.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use gemba_net::client_core::{ClientCore, repeats_pose};
use gemba_net::host_core::{HostCore, Output};
use gemba_net::interest::Turn;
use gemba_net::limits;
use gemba_net::test_network::{Delivery, VirtualNetwork};
use gemba_net::wire::{PoseUp, ToPeer};
use gemba_net::{Hello, LinkEvent, PeerNumber, Pose, TrackedPoint};
use gemba_twin::peer::{PeerKey, PeerKind};
use gemba_twin::sample::Timestamp;

const HOST: u16 = 1000;
const PEERS: u16 = 20;
const MOVING: Duration = Duration::from_secs(60);
/// Bursts are counted in packets, and at rest there is one in five seconds: they last.
const RESTING: Duration = Duration::from_secs(120);

/// What is under way.
#[derive(Debug, Clone)]
enum Packet {
    Pose(Vec<u8>),
    Poses(Vec<u8>),
    Control(ToPeer),
}

struct Peer {
    core: ClientCore,
    number: PeerNumber,
    sequence: u32,
    pings_at_rest: u32,
    place: f32,
    seen: BTreeMap<PeerNumber, f32>,
}

impl Peer {
    fn pose(&mut self) -> Vec<u8> {
        self.sequence += 1;
        let head = TrackedPoint { place: [self.place, 1.7, 0.0], rotation: [0.0, 0.0, 0.0, 1.0] };
        PoseUp { sequence: self.sequence, pose: Pose { head, hands: [None, None], pointer: None } }.encode()
    }
}

/// Everyone moves for a minute and then rests; where each sees the others at the end, and what was lost.
fn run(line: &str, seed: u64) -> (Vec<BTreeMap<PeerNumber, f32>>, u64) {
    let mut network = VirtualNetwork::new(line.parse().unwrap(), seed);
    let mut host = HostCore::default();
    let mut peers: Vec<Peer> = (0..PEERS)
        .map(|n| {
            let name = format!("peer {n}");
            let (kind, redemption) = (PeerKind::Person, None);
            let hello = Hello { oldest_minor: 0, newest_minor: 0, name, kind, entries_held: 0, redemption, here: None };
            let number = host.handle_hello(PeerKey([n as u8; 32]), &hello).unwrap();
            host.admit(number, "site", 0);
            let (core, seen) = (ClientCore::new(0), BTreeMap::new());
            Peer { core, number, sequence: 0, pings_at_rest: 0, place: 0.0, seen }
        })
        .collect();
    let begin = Instant::now();
    let (tick, frame, ping) = (limits::TICK.as_millis(), 33, limits::PING_INTERVAL.as_millis());
    for millis in 0..(MOVING + RESTING).as_millis() {
        let now = begin + Duration::from_millis(millis as u64);
        let clock = Timestamp(millis as i64 * 1000);
        while let Some(Delivery { from, to, packet }) = network.poll_delivery(now) {
            match packet {
                Packet::Pose(bytes) => host.handle_pose(peers[usize::from(from)].number, &bytes, clock),
                Packet::Poses(bytes) => take(&mut peers[usize::from(to)], &bytes),
                Packet::Control(message) => {
                    peers[usize::from(to)].core.handle_message(message, clock).unwrap();
                }
            }
        }
        for (n, peer) in (0..PEERS).zip(&mut peers) {
            let moves = millis < MOVING.as_millis() && (millis + u128::from(n)) % frame == 0;
            let pings = (millis + u128::from(n) * 7) % ping == 0;
            if moves {
                peer.place = f32::from(n) + millis as f32 / 1000.0;
                peer.pings_at_rest = 0;
            } else if pings {
                peer.pings_at_rest += 1;
            }
            if moves || (pings && repeats_pose(peer.pings_at_rest)) {
                let bytes = peer.pose();
                network.send(now, n, HOST, bytes.len(), Packet::Pose(bytes));
            }
        }
        if millis % tick == 0 {
            host.tick(clock, Turn::ALL);
        }
        for output in host.poll_outputs() {
            let end = |number| peers.iter().position(|peer| peer.number == number).unwrap() as u16;
            match output {
                Output::Rested(..) => {}
                Output::Control(to, message) => {
                    network.send_reliably(now, HOST, end(to), 50, Packet::Control(message));
                }
                Output::Datagram(to, bytes) => network.send(now, HOST, end(to), bytes.len(), Packet::Poses(bytes)),
                Output::Samples(..) => {}
            }
        }
    }
    let lost = (0..PEERS).map(|n| network.counts(HOST, n)).map(|counts| counts.lost + counts.lost_in_bursts).sum();
    (peers.into_iter().map(|peer| peer.seen).collect(), lost)
}

fn take(peer: &mut Peer, bytes: &[u8]) {
    for event in peer.core.handle_datagram(bytes) {
        if let LinkEvent::Pose { peer: of, pose, .. } = event {
            peer.seen.insert(of, pose.head.place[0]);
        }
    }
}

#[test]
fn whatever_the_line_loses_all_end_where_they_stand_in_everyones_eyes() {
    for (line, seed) in [("delay=150ms,loss=3%", 1), ("delay=50ms,jitter=40ms,burst=5%x3,reorder=5%,duplicate=5%", 2)] {
        let (seen, lost) = run(line, seed);
        assert!(lost > 100, "{line}: the line lost only {lost}");
        for (n, seen) in seen.iter().enumerate() {
            assert_eq!(seen.len(), usize::from(PEERS) - 1, "{line}: what peer {n} sees");
        }
        let mut places: BTreeMap<PeerNumber, f32> = BTreeMap::new();
        for (peer, place) in seen.iter().flatten() {
            let known = *places.entry(*peer).or_insert(*place);
            assert_eq!(*place, known, "{line}: two see {peer:?} at different places");
            assert!(*place > MOVING.as_secs_f32() - 1.0, "{line}: {peer:?} is seen where it stood before: {place}");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_minute() {
    let line = "delay=80ms,jitter=20ms,loss=5%";
    assert_eq!(run(line, 3), run(line, 3));
}
