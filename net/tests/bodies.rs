//! The lane of bodies over lines that lose, double and reorder packets as a seed says.
#![allow(clippy::unwrap_used)] // A test may fail.

use std::collections::BTreeMap;

use gemba_net::body::{
    Body, BodyNumber, BodyReceiver, BodySender, Epoch, Foresight, Heard, Placement, Precision, Seen, Unread,
    angle_between,
};
use proptest::prelude::*;

/// What happens to one packet, in per cent and ticks.
#[derive(Debug, Clone, Copy)]
struct Line {
    lost: u32,
    doubled: u32,
    delay_ticks: u32,
    jitter_ticks: u32,
}

struct Seeded(u64);

impl Seeded {
    fn below(&mut self, end: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        if end == 0 { 0 } else { (self.0 >> 33) as u32 % end }
    }
}

/// A sender, a receiver, and the line in both directions.
struct Pair {
    precision: Precision,
    sender: BodySender,
    receiver: BodyReceiver,
    line: Line,
    random: Seeded,
    tick: u32,
    down: Vec<(u32, Vec<u8>)>,
    up: Vec<(u32, Vec<u8>)>,
    truth: BTreeMap<BodyNumber, BTreeMap<u32, Body>>,
    heard: BTreeMap<BodyNumber, Heard>,
    unread: usize,
    bytes: usize,
}

impl Pair {
    fn new(precision: Precision, line: Line, seed: u64) -> Self {
        Self {
            precision,
            sender: BodySender::new(precision),
            receiver: BodyReceiver::new(precision, 1000),
            line,
            random: Seeded(seed),
            tick: 0,
            down: Vec::new(),
            up: Vec::new(),
            truth: BTreeMap::new(),
            heard: BTreeMap::new(),
            unread: 0,
            bytes: 0,
        }
    }

    /// With a simulation at each end.
    fn foreseeing<F: Foresight + Clone + 'static>(self, foresight: F) -> Self {
        let sender = self.sender.with_foresight(Box::new(foresight.clone()));
        Self { sender, receiver: self.receiver.with_foresight(Box::new(foresight)), ..self }
    }

    fn tell(&mut self, number: u32, body: Body) {
        assert!(self.sender.tell(BodyNumber(number), body));
        self.truth.entry(BodyNumber(number)).or_default().insert(self.tick, body);
    }

    fn post(random: &mut Seeded, line: Line, tick: u32, queue: &mut Vec<(u32, Vec<u8>)>, bytes: &[u8]) {
        for copy in 0..2 {
            let sent = if copy == 0 { random.below(100) >= line.lost } else { random.below(100) < line.doubled };
            if sent {
                queue.push((tick + line.delay_ticks + random.below(line.jitter_ticks + 1), bytes.to_vec()));
            }
        }
    }

    /// One tick: what is due is sent, what arrives is heard, and every place that arrives is as exact as promised.
    fn step(&mut self) {
        while let Some(packet) = self.sender.poll_packet(self.tick) {
            self.bytes += packet.len();
            Self::post(&mut self.random, self.line, self.tick, &mut self.down, &packet);
        }
        let tick = self.tick;
        for (_, packet) in self.down.extract_if(.., |(at, _)| *at <= tick).collect::<Vec<_>>() {
            self.arrive(&packet);
        }
        if let Some(acks) = self.receiver.acks() {
            Self::post(&mut self.random, self.line, tick, &mut self.up, &acks.encode());
        }
        for (_, acks) in self.up.extract_if(.., |(at, _)| *at <= tick).collect::<Vec<_>>() {
            self.sender.handle_acks(&acks);
        }
        self.tick += 1;
    }

    fn arrive(&mut self, packet: &[u8]) {
        let told = match self.receiver.handle_packet(packet) {
            Ok(told) => told,
            Err(unread) => {
                assert_eq!(unread, Unread::Late, "an honest sender is always read");
                self.unread += 1;
                return;
            }
        };
        for heard in told {
            // What rests goes on being told as it was.
            let truth = *self.truth[&heard.number].range(..=heard.tick).next_back().unwrap().1;
            assert_eq!((heard.body.epoch, heard.body.resting), (truth.epoch, truth.resting));
            for (heard, truth) in heard.body.at.place.iter().zip(truth.at.place) {
                assert!((heard - truth).abs() <= self.precision.place_metres() * 1.000_001, "{heard} for {truth}");
            }
            let angle = angle_between(heard.body.at.rotation, truth.at.rotation);
            assert!(angle <= self.precision.rotation_radians() * 1.01, "{angle} rad");
            let newest = self.heard.entry(heard.number).or_insert(heard);
            if heard.tick.wrapping_sub(newest.tick) as i32 >= 0 {
                *newest = heard;
            }
        }
    }
}

/// A body that swings, spins and now and then jumps, until it rests.
fn moving(number: u32, tick: u32, stop: u32, wild: f64) -> Body {
    let time = f64::from(tick.min(stop)) / 30.0 + f64::from(number);
    let jump = f64::from((tick.min(stop) / 7).wrapping_mul(2_654_435_761) % 100) / 100.0 * wild;
    let place = [10.0 * time.sin() + jump, 2.0 + (3.0 * time).cos(), f64::from(number) * 3.0 - jump];
    let half = time + jump;
    let rotation = [0.6 * half.sin(), 0.8 * half.sin(), 0.0, half.cos()];
    Body { epoch: Epoch(tick.min(stop) / 40), at: Placement { place, rotation }, resting: tick >= stop }
}

fn line() -> impl Strategy<Value = Line> {
    (0u32..60, 0u32..30, 0u32..20, 0u32..12).prop_map(|(lost, doubled, delay_ticks, jitter_ticks)| Line {
        lost,
        doubled,
        delay_ticks,
        jitter_ticks,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 30, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_lost_doubled_or_overtaken_all_receivers_end_with_the_same(
        lines in proptest::array::uniform2(line()), seed: u64, bodies in 1u32..12, wild in 0f64..5.0,
    ) {
        let precision = Precision::new(0.01, 0.002).unwrap();
        let ends = lines.map(|line| {
            let mut pair = Pair::new(precision, line, seed);
            for tick in 0..160 {
                for number in 0..bodies {
                    // Some are told seldom, as those far away are.
                    if tick >= 120 || number % 3 != 2 || tick % 11 == number % 11 {
                        pair.tell(number * 5, moving(number, tick, 40 + number * 6, wild));
                    }
                }
                pair.step();
            }
            // The line comes back to its senses; nothing moves any more.
            pair.line = Line { lost: 0, doubled: 0, ..line };
            (0..160).for_each(|_| pair.step());
            let quiet = pair.bytes;
            pair.step();
            assert_eq!(pair.bytes, quiet, "what everyone knows costs nothing");
            pair.heard.into_iter().map(|(number, heard)| (number, heard.body)).collect::<Vec<_>>()
        });
        prop_assert_eq!(ends[0].len(), bodies as usize);
        prop_assert_eq!(&ends[0], &ends[1]);
    }

    #[test]
    fn whatever_both_ends_foresee_what_arrives_is_exact(line in line(), seed: u64, bodies in 1u32..12, wild in 0f64..5.0) {
        let mut pair = Pair::new(Precision::new(0.01, 0.002).unwrap(), line, seed).foreseeing(Babbling(seed));
        for tick in 0..160 {
            (0..bodies).filter(|number| (tick + number) % 5 != 0).for_each(|number| {
                pair.tell(number * 5, moving(number, tick, 100 + number * 6, wild));
            });
            pair.step();
        }
    }

    #[test]
    fn no_bytes_make_a_receiver_panic_or_grow(
        packets in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..120), 1..40),
    ) {
        let mut receiver = BodyReceiver::new(Precision::of_hands(), 50);
        for packet in &packets {
            if let Ok(told) = receiver.handle_packet(packet) {
                prop_assert!(told.iter().all(|heard| heard.body.at.place.iter().all(|metres| metres.is_finite())));
            }
            let (bodies, told) = receiver.held();
            prop_assert!(bodies <= 50 && told <= 50 * 72);
        }
    }
}

/// A ball that bounces on the ground without loss, where it is from one tick to the next.
fn bounce((height, speed): (f64, f64)) -> (f64, f64) {
    let (speed, second) = (speed - 9.81 / 60.0, 1.0 / 60.0);
    let height = height + speed * second;
    if height < 0.0 { (-height, -speed) } else { (height, speed) }
}

/// Knows that bodies are such balls.
#[derive(Debug, Clone)]
struct Bouncing;

impl Foresight for Bouncing {
    fn foresee(&mut self, seen: &[Seen], tick: u32) -> Vec<Placement> {
        let ahead = |seen: &Seen| {
            let last = *seen.past.last().unwrap();
            let mut at = last.at;
            if let [.., before, _] = seen.past[..] {
                let ticks = f64::from(last.tick - before.tick);
                let speed = (at.place[1] - before.at.place[1]) / ticks * 60.0 - 9.81 * ticks / 120.0;
                at.place[1] = (last.tick..tick).fold((at.place[1], speed), |ball, _| bounce(ball)).0;
            }
            at
        };
        seen.iter().map(ahead).collect()
    }
}

fn bytes_of_balls(mut pair: Pair) -> usize {
    let mut balls = (0..20).map(|ball| (f64::from(ball % 5) * 0.1 + 0.2, f64::from(ball) * 0.2)).collect::<Vec<_>>();
    for _ in 0..300 {
        for (number, ball) in (0..).zip(&mut balls) {
            *ball = bounce(*ball);
            let at = Placement { place: [f64::from(number), ball.0, 0.0], ..Placement::ORIGIN };
            pair.tell(number, Body { epoch: Epoch(0), at, resting: false });
        }
        pair.step();
    }
    pair.bytes
}

#[test]
fn what_both_ends_foresee_costs_little_and_arrives_as_exactly_whatever_is_lost() {
    let precision = Precision::new(0.001, 0.01).unwrap();
    for lost in [0, 20] {
        let line = Line { lost, doubled: 5, delay_ticks: 5, jitter_ticks: 2 };
        let alone = bytes_of_balls(Pair::new(precision, line, 1));
        let foreseen = bytes_of_balls(Pair::new(precision, line, 1).foreseeing(Bouncing));
        assert!(foreseen * 4 < alone * 3, "{foreseen} of {alone} bytes");
    }
}

/// Foresees anything at all, for some of the bodies, but at both ends the same.
#[derive(Debug, Clone)]
struct Babbling(u64);

impl Foresight for Babbling {
    fn foresee(&mut self, seen: &[Seen], tick: u32) -> Vec<Placement> {
        let mut random = Seeded(self.0 ^ u64::from(tick) << 20);
        let answers = random.below(seen.len() as u32 + 3);
        let mut number = move || match random.below(8) {
            0 => f64::NAN,
            1 => f64::INFINITY,
            2 => -1e300,
            _ => f64::from(random.below(1000)) / 10.0 - 50.0,
        };
        (0..answers).map(|_| Placement { place: [number(), number(), number()], rotation: [number(); 4] }).collect()
    }
}

#[test]
fn a_packet_of_another_foresight_is_not_taken_for_places() {
    let line = Line { lost: 0, doubled: 0, delay_ticks: 4, jitter_ticks: 0 };
    let precision = Precision::new(0.001, 0.01).unwrap();
    let pair = Pair::new(precision, line, 1).foreseeing(Bouncing);
    let mut pair = Pair { receiver: BodyReceiver::new(precision, 9).with_foresight(Box::new(Babbling(1))), ..pair };
    let (mut disagreed, mut read) = (0, 0);
    for tick in 0..300 {
        pair.tick = tick;
        pair.tell(0, moving(0, tick, 400, 1.0));
        while let Some(packet) = pair.sender.poll_packet(tick) {
            match pair.receiver.handle_packet(&packet) {
                Ok(told) => {
                    let [heard] = told[..] else { panic!("one body is told") };
                    let truth = pair.truth[&heard.number][&tick].at.place;
                    assert!(heard.body.at.place.iter().zip(truth).all(|(a, b)| (a - b).abs() < 0.0011));
                    read += 1;
                }
                Err(unread) => {
                    assert_eq!(unread, Unread::Disagreed);
                    disagreed += 1;
                }
            }
        }
        if let Some(acks) = pair.receiver.acks() {
            pair.sender.handle_acks(&acks.encode());
        }
    }
    assert!(disagreed > 200 && read >= 3, "{disagreed} were not read, {read} were: it is told anew now and then");
}

#[test]
fn an_honest_lane_is_unharmed_by_a_peer_that_lies_about_what_arrived() {
    let line = Line { lost: 10, doubled: 0, delay_ticks: 2, jitter_ticks: 0 };
    let mut honest = Pair::new(Precision::of_hands(), line, 3);
    let mut lied_to = Pair::new(Precision::of_hands(), line, 4);
    let mut random = Seeded(9);
    for tick in 0..200 {
        for pair in [&mut honest, &mut lied_to] {
            (0..5).for_each(|number| pair.tell(number, moving(number, tick, 300, 1.0)));
        }
        honest.step();
        // It claims to have everything, the future too, and sends garbage.
        while let Some(packet) = lied_to.sender.poll_packet(tick) {
            assert!(packet.len() < 1200);
        }
        let claims: Vec<u8> = (0..10).map(|_| if tick % 2 == 0 { 0xFF } else { random.below(256) as u8 }).collect();
        lied_to.sender.handle_acks(&claims);
        lied_to.sender.handle_acks(&claims[..random.below(10) as usize]);
    }
    assert!(honest.heard.len() == 5 && honest.heard.values().all(|heard| heard.tick > 190));
}

#[test]
fn a_receiver_that_was_deaf_for_long_is_told_anew() {
    let mut pair = Pair::new(Precision::of_hands(), Line { lost: 0, doubled: 0, delay_ticks: 1, jitter_ticks: 0 }, 5);
    for tick in 0..600 {
        pair.line.lost = if (100..300).contains(&tick) { 100 } else { 0 };
        (0..5).for_each(|number| pair.tell(number, moving(number, tick, 250, 1.0)));
        pair.step();
    }
    assert!(pair.heard.len() == 5 && pair.heard.values().all(|heard| heard.body.resting), "{:?}", pair.heard);
}

#[test]
fn memory_stays_bounded_when_nothing_is_ever_acknowledged() {
    let mut sender = BodySender::new(Precision::of_hands());
    let mut receiver = BodyReceiver::new(Precision::of_hands(), 10);
    for tick in 0..1000 {
        (0..10).for_each(|number| assert!(sender.tell(BodyNumber(number), moving(number, tick, 2000, 1.0))));
        while let Some(packet) = sender.poll_packet(tick) {
            receiver.handle_packet(&packet).unwrap();
        }
        let (bodies, told) = receiver.held();
        assert!(bodies == 10 && told <= 10 * 72, "{told}");
    }
}

#[test]
fn more_bodies_than_agreed_on_are_refused_without_harm() {
    let mut sender = BodySender::new(Precision::of_hands());
    let mut receiver = BodyReceiver::new(Precision::of_hands(), 4);
    for number in 0..5 {
        sender.tell(BodyNumber(number), moving(number, 0, 100, 0.0));
    }
    let packet = sender.poll_packet(0).unwrap();
    assert_eq!(receiver.handle_packet(&packet), Err(Unread::TooMany));
    assert_eq!(receiver.held(), (0, 0));
    assert_eq!(receiver.acks(), None, "what was refused is not acknowledged");
}
