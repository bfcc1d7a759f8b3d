//! The lane from a host to its peers over lines that lose, double and reorder packets as a seed says; and a crowd whose
//! members come into and go out of each other's interest.
#![allow(clippy::unwrap_used)] // A test may fail.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use gemba_net::body::{BodyNumber, Epoch, Placement};
use gemba_net::interest::{Crowd, Turn};
use gemba_net::limits;
use gemba_net::relay::{Detail, Name, RelayReceiver, RelaySender, RelayUnread, Sample};
use gemba_net::{PeerNumber, Pose, TrackedPoint};
use proptest::prelude::*;

/// What happens to one packet, in per cent and ticks.
#[derive(Debug, Clone, Copy)]
struct Line {
    lost: u32,
    doubled: u32,
    delay: u32,
    jitter: u32,
}

fn line() -> impl Strategy<Value = Line> {
    (0u32..60, 0u32..30, 0u32..12, 0u32..8).prop_map(|(lost, doubled, delay, jitter)| Line {
        lost,
        doubled,
        delay,
        jitter,
    })
}

struct Seeded(u64);

impl Seeded {
    fn below(&mut self, end: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        if end == 0 { 0 } else { (self.0 >> 33) as u32 % end }
    }
}

/// One direction of a line.
#[derive(Default)]
struct Way(VecDeque<(u32, Vec<u8>)>);

impl Way {
    fn post(&mut self, random: &mut Seeded, line: Line, tick: u32, bytes: &[u8]) {
        for copy in 0..2 {
            let sent = if copy == 0 { random.below(100) >= line.lost } else { random.below(100) < line.doubled };
            if sent {
                self.0.push_back((tick + line.delay + random.below(line.jitter + 1), bytes.to_vec()));
            }
        }
    }

    fn arrivals(&mut self, tick: u32) -> Vec<Vec<u8>> {
        let (now, later): (Vec<_>, Vec<_>) = self.0.drain(..).partition(|(at, _)| *at <= tick);
        self.0 = later.into();
        now.into_iter().map(|(_, bytes)| bytes).collect()
    }
}

/// A peer of a crowd, with a line of its own.
struct Peer {
    number: PeerNumber,
    receiver: RelayReceiver,
    line: Line,
    down: Way,
    up: Way,
    seen: BTreeMap<Name, Arc<Sample>>,
    bytes: usize,
}

impl Peer {
    fn new(number: u16, line: Line) -> Self {
        let receiver = RelayReceiver::new(10_000);
        let number = PeerNumber(number);
        Self { number, receiver, line, down: Way::default(), up: Way::default(), seen: BTreeMap::new(), bytes: 0 }
    }

    fn hear(&mut self, tick: u32, random: &mut Seeded) {
        let mut owes = false;
        for packet in self.down.arrivals(tick) {
            owes = true;
            match self.receiver.handle_packet(&packet) {
                Ok(told) => {
                    for (name, sample) in told {
                        let newest = self.seen.entry(name).or_insert_with(|| sample.clone());
                        if sample.millis() >= newest.millis() {
                            *newest = sample;
                        }
                    }
                }
                Err(unread) => assert_eq!(unread, RelayUnread::Late, "an honest host is always read"),
            }
        }
        if let Some(acks) = self.receiver.acks().filter(|_| owes) {
            self.up.post(random, self.line, tick, &acks.encode());
        }
    }
}

struct Site {
    crowd: Crowd,
    peers: Vec<Peer>,
    random: Seeded,
    tick: u32,
    /// In how many ticks everybody has had a turn.
    round: u64,
}

const TICK_MILLIS: u64 = 20;
const EPOCH_MILLIS: u64 = 1_790_000_000_000;

impl Site {
    fn new(lines: &[Line], seed: u64) -> Self {
        let mut crowd = Crowd::default();
        let peers: Vec<Peer> = lines.iter().enumerate().map(|(n, line)| Peer::new(n as u16, *line)).collect();
        peers.iter().for_each(|peer| crowd.join(peer.number, limits::POSE_BUDGET));
        Self { crowd, peers, random: Seeded(seed), tick: 0, round: 1 }
    }

    fn millis(&self) -> u64 {
        EPOCH_MILLIS + u64::from(self.tick) * TICK_MILLIS
    }

    fn step(&mut self) {
        self.tick += 1;
        let (tick, millis) = (self.tick, self.millis());
        for (to, packets) in self.crowd.tick(millis, Turn::after(tick.into(), self.round), |_| 0) {
            assert_eq!(u64::from(to.0) % self.round, u64::from(tick) % self.round, "told out of turn");
            let peer = &mut self.peers[usize::from(to.0)];
            for packet in packets {
                assert!(packet.len() <= limits::POSE_DATAGRAM_BYTES);
                peer.bytes += packet.len();
                peer.down.post(&mut self.random, peer.line, tick, &packet);
            }
        }
        for peer in &mut self.peers {
            peer.hear(tick, &mut self.random);
            for acks in peer.up.arrivals(tick) {
                self.crowd.handle_acks(peer.number, &acks);
            }
        }
    }
}

fn pose(x: f32, time: f32, hands: bool) -> Pose {
    let turn = time * 0.7;
    let point = |dx: f32| TrackedPoint {
        place: [x + dx + time.sin(), 1.7 + (1.3 * time).cos() * 0.2, dx],
        rotation: [0.0, turn.sin(), 0.0, turn.cos()],
    };
    let hand = |dx| hands.then(|| point(dx));
    Pose { head: point(0.0), hands: [hand(0.3), hand(-0.3)], pointer: hands.then_some([x, 0.0, time]) }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 30, ..ProptestConfig::default() })]

    /// Peers and bodies wander among cells while packets get lost; once all rest, everyone knows exactly where
    /// everybody is, and where each body within reach is.
    #[test]
    fn whatever_is_lost_and_whoever_wanders_off_all_end_where_they_rest(
        lines in proptest::collection::vec(line(), 2..6), seed: u64, stride in 0f32..12.0, bodies in 0u32..12,
        round in 1u64..4,
    ) {
        let mut site = Site::new(&lines, seed);
        site.round = round;
        let mut truth: BTreeMap<Name, Sample> = BTreeMap::new();
        for tick in 0..400u32 {
            let (millis, time) = (site.millis(), tick as f32 * 0.02);
            for n in 0..lines.len() as u16 {
                if tick % 2 == u32::from(n) % 2 && tick < 300 + u32::from(n) {
                    // To and fro, so that cells are left and entered again.
                    let x = f32::from(n) * stride * 10.0 * (time + f32::from(n)).sin();
                    let sample = Sample::of_pose(&pose(x, time, (tick / 60) % 2 == 0), millis);
                    truth.insert(Name::of_avatar(PeerNumber(n)), sample.clone());
                    site.crowd.handle_sample(Name::of_avatar(PeerNumber(n)), sample, false);
                }
            }
            for n in 0..bodies {
                let moves = tick % (3 + n) == 0 && tick < 250;
                if moves {
                    let place = [f64::from(n) * 9.0 + f64::from(time) * f64::from(n % 4) * 8.0, 1.0, f64::from(time)];
                    let sample = Sample::of_body(&Placement { place, ..Placement::ORIGIN }, Epoch(tick / 100), millis);
                    truth.insert(Name::of_body(BodyNumber(n)), sample.clone());
                    site.crowd.handle_sample(Name::of_body(BodyNumber(n)), sample, tick + 10 > 250);
                }
            }
            site.step();
        }
        for peer in &mut site.peers {
            peer.line = Line { lost: 0, doubled: 0, ..peer.line };
        }
        // Bodies that have come into reach are looked for every two seconds; a rest waits up to four to be repeated.
        (0..400).for_each(|_| site.step());
        let quiet: Vec<usize> = site.peers.iter().map(|peer| peer.bytes).collect();
        (0..300).for_each(|_| site.step());
        for (peer, quiet) in site.peers.iter().zip(quiet) {
            prop_assert_eq!(peer.bytes, quiet, "what is known costs nothing");
            let own = truth[&Name::of_avatar(peer.number)].body().0.place;
            for (name, sample) in &truth {
                let far = (sample.body().0.place[0] - own[0]).abs() > 90.0;
                if *name == Name::of_avatar(peer.number) || (name.body().is_some() && far) {
                    continue;
                }
                let seen = peer.seen.get(name);
                prop_assert!(seen.is_some(), "{:?} does not know {name:?}", peer.number);
                let seen = seen.unwrap();
                prop_assert!(seen.is_resting());
                prop_assert_eq!((seen.pose(), seen.body()), (sample.pose(), sample.body()));
            }
        }
        prop_assert_eq!(site.crowd.stats().waiting, 0);
    }

    #[test]
    fn no_bytes_make_a_receiver_panic_or_grow(
        packets in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..120), 1..40),
    ) {
        let mut receiver = RelayReceiver::new(50);
        for packet in &packets {
            let before = receiver.acks();
            match receiver.handle_packet(packet) {
                Ok(told) => prop_assert!(told.iter().all(|(_, s)| s.pose().head.place.iter().all(|m| m.is_finite()))),
                Err(_) => prop_assert_eq!(receiver.acks(), before),
            }
            let (subjects, samples) = receiver.held();
            prop_assert!(subjects <= 50 && samples <= 50 * (limits::RELAY_FLYING + 3));
        }
    }
}

fn calm() -> Line {
    Line { lost: 0, doubled: 0, delay: 2, jitter: 0 }
}

/// Everyone swings where they stand, two metres apart.
fn swing(site: &mut Site, ticks: u32) {
    for _ in 0..ticks {
        let (millis, time) = (site.millis(), site.tick as f32 * 0.02);
        for n in 0..site.peers.len() as u16 {
            if (site.tick + u32::from(n)).is_multiple_of(2) {
                let sample = Sample::of_pose(&pose(f32::from(n) * 2.0, time + f32::from(n), true), millis);
                site.crowd.handle_sample(Name::of_avatar(PeerNumber(n)), sample, false);
            }
        }
        site.step();
    }
}

#[test]
fn a_budget_is_kept_in_a_crowd_and_nobody_in_it_starves() {
    let mut site = Site::new(&[calm(); 60], 1);
    swing(&mut site, 250);
    let before: Vec<usize> = site.peers.iter().map(|peer| peer.bytes).collect();
    let told = site.crowd.stats().told;
    swing(&mut site, 500);
    for (peer, before) in site.peers.iter().zip(before) {
        let bytes = peer.bytes - before;
        assert!(bytes <= limits::POSE_BUDGET as usize * 10 + 10_000, "{bytes} bytes in ten seconds");
        let now = site.millis();
        let oldest = peer.seen.values().map(|sample| now - sample.millis()).max().unwrap();
        assert!(peer.seen.len() == 59 && oldest < 3_000, "{} seen, {oldest} ms", peer.seen.len());
    }
    assert!(site.crowd.stats().told - told > 60 * 59 * 20, "hardly anything was told");
}

#[test]
fn a_presenter_far_away_is_told_as_often_as_a_neighbour_whatever_the_budget() {
    let mut site = Site::new(&[calm(); 40], 2);
    swing(&mut site, 100);
    site.crowd.present(PeerNumber(39), true);
    site.crowd.ask_for(PeerNumber(1), Some(PeerNumber(38)));
    let mut news = BTreeMap::new();
    for _ in 0..300 {
        swing(&mut site, 1);
        for (n, of) in [(0usize, 39u16), (1, 38), (0, 38)] {
            let seen = site.peers[n].seen.get(&Name::of_avatar(PeerNumber(of))).map(|sample| sample.millis());
            news.entry((n, of)).or_insert_with(Vec::new).push(seen);
        }
    }
    let times = |key: (usize, u16)| {
        let mut seen = news[&key].clone();
        seen.dedup();
        seen.len()
    };
    // 25 a second for six seconds; of who is 76 m away and presents nothing a fifteenth at most.
    assert!(times((0, 39)) > 120 && times((1, 38)) > 120, "{} {}", times((0, 39)), times((1, 38)));
    assert!(times((0, 38)) < 20, "{}", times((0, 38)));
}

#[test]
fn who_is_heard_of_ten_times_a_second_rests_neither_between_two_words_nor_when_one_is_lost() {
    let mut site = Site::new(&[calm(); 2], 4);
    let name = Name::of_avatar(PeerNumber(1));
    for tick in 0..400u32 {
        // Of the words that come every tenth of a second each fifth is lost.
        if tick.is_multiple_of(5) && tick % 25 != 0 {
            let sample = Sample::of_pose(&pose(2.0, tick as f32 * 0.02, true), site.millis());
            site.crowd.handle_sample(name, sample, false);
        }
        site.step();
        let rests = site.peers[0].seen.get(&name).is_some_and(|sample| sample.is_resting());
        assert!(tick < 50 || !rests, "at rest in tick {tick}");
    }
    (0..50).for_each(|_| site.step());
    assert!(site.peers[0].seen[&name].is_resting(), "who stands still for a second rests");
}

#[test]
fn a_host_that_was_busy_takes_nobody_for_resting() {
    let mut site = Site::new(&[calm(); 2], 6);
    let name = Name::of_avatar(PeerNumber(1));
    for tick in 0..600u32 {
        swing(&mut site, 1);
        // Of every second the host sleeps through 0.4.
        if tick % 30 == 0 {
            site.tick += 20;
            site.step();
        }
        let rests = site.peers[0].seen.get(&name).is_some_and(|sample| sample.is_resting());
        assert!(tick < 50 || !rests, "at rest in tick {tick}");
    }
}

/// Some stand still for a moment all the time; five hundred of whom each such moment is told to everyone at once are more
/// than a host can tell.
#[test]
fn who_is_far_and_stops_for_a_moment_costs_no_more_than_who_goes_on() {
    let mut site = Site::new(&[calm(); 2], 7);
    let name = Name::of_avatar(PeerNumber(1));
    let mut seen = Vec::new();
    for tick in 0..800u32 {
        // Now and then the rest begins, by 0.4 s without a word.
        if (tick / 20).is_multiple_of(2) {
            let sample = Sample::of_pose(&pose(200.0, tick as f32 * 0.02, true), site.millis());
            site.crowd.handle_sample(name, sample, false);
        }
        let here = Sample::of_pose(&pose(0.0, 0.0, false), site.millis());
        site.crowd.handle_sample(Name::of_avatar(PeerNumber(0)), here, false);
        site.step();
        seen.push(site.peers[0].seen.get(&name).map(|sample| sample.millis()));
    }
    seen.dedup();
    assert!(seen.len() < 15, "told {} times in 16 s", seen.len());
    (0..100).for_each(|_| site.step());
    assert!(site.peers[0].seen[&name].is_resting(), "who stands still in the end is known to");
}

#[test]
fn a_peer_that_lies_about_what_arrived_or_never_answers_grows_nothing_and_harms_nobody() {
    let mut site = Site::new(&[calm(); 12], 3);
    let mut random = Seeded(5);
    for tick in 0..600u32 {
        swing(&mut site, 1);
        // Number 0 claims to have everything, the future too, and sends garbage; number 1 is deaf.
        let claims: Vec<u8> = (0..10).map(|_| if tick % 2 == 0 { 0xFF } else { random.below(256) as u8 }).collect();
        site.crowd.handle_acks(PeerNumber(0), &claims);
        site.crowd.handle_acks(PeerNumber(0), &claims[..random.below(10) as usize]);
        site.crowd.handle_acks(PeerNumber(99), &claims);
        site.peers[0].down = Way::default();
        site.peers[1].up = Way::default();
    }
    let now = site.millis();
    for peer in &site.peers[2..] {
        assert!(peer.seen.len() == 11 && peer.seen.values().all(|sample| now - sample.millis() < 1_000));
    }
}

#[test]
fn an_answer_to_what_was_told_before_it_was_forgotten_is_built_on_by_nothing() {
    let mut sender = RelaySender::default();
    let mut receiver = RelayReceiver::new(10);
    let name = Name::of_avatar(PeerNumber(3));
    let news = |time: f32| [(name, Arc::new(Sample::of_pose(&pose(0.0, time, false), 1_000)))];
    for packet in sender.write(1_000, &news(0.0), 0) {
        receiver.handle_packet(&packet).unwrap();
    }
    let late = receiver.acks().unwrap().encode();
    sender.forget(name);
    receiver.forget(name);
    sender.write(1_030, &news(0.1), 0);
    assert!(sender.handle_acks(&late).is_empty() && sender.known(name).is_none());
    for packet in sender.write(1_060, &news(0.2), 0) {
        receiver.handle_packet(&packet).unwrap();
    }
}

#[test]
fn a_lane_to_whoever_answers_nothing_stays_small() {
    let mut sender = RelaySender::default();
    let mut receiver = RelayReceiver::new(100);
    for tick in 0..2_000u64 {
        let news: Vec<_> = (0..20u16)
            .map(|n| {
                let sample = Sample::of_pose(&pose(f32::from(n), tick as f32 * 0.03, true), tick * 30);
                (Name::of_avatar(PeerNumber(n)), Arc::new(sample.in_detail(Detail::Near)))
            })
            .collect();
        for packet in sender.write(tick * 30, &news, 0) {
            receiver.handle_packet(&packet).unwrap();
        }
        let most = 20 * (limits::RELAY_FLYING + 3);
        assert!(sender.held().1 <= most && receiver.held().1 <= most, "{:?} {:?}", sender.held(), receiver.held());
    }
}

#[test]
fn more_than_agreed_on_is_refused_without_harm() {
    let mut sender = RelaySender::default();
    let mut receiver = RelayReceiver::new(4);
    let news: Vec<_> = (0..5u16)
        .map(|n| (Name::of_avatar(PeerNumber(n)), Arc::new(Sample::of_pose(&pose(0.0, 1.0, false), 7))))
        .collect();
    let packets = sender.write(9, &news, 0);
    assert_eq!(receiver.handle_packet(&packets[0]), Err(RelayUnread::TooMany));
    assert_eq!((receiver.held(), receiver.acks()), ((0, 0), None), "what was refused is not acknowledged");
}
