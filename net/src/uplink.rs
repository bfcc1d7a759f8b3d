//! What a peer tells its host of itself: where its head, hands and pointer are, as bodies of which it is the holder; the
//! bodies it has grabbed go the same way. Both ends are here. Datagrams, both ways (minor 4):
//!
//! ```text
//! 1 byte    1 if an answer follows, plus 2 if a packet follows
//! 10 bytes  which packets of the other way have arrived ([`Acks`])
//! the rest  a packet: to the host of [`crate::body`], from it of [`crate::relay`]
//! ```
//!
//! Whether a hand is there at all is said by the epoch of its body: odd while the tracker has lost it. So it is as
//! reliable as where it rests.

use std::collections::BTreeMap;

use crate::body::{Acks, Body, BodyNumber, BodyReceiver, BodySender, Epoch, Heard, Placement, Precision};
use crate::limits;
use crate::peers::{Pose, TrackedPoint};

const HAS_ACKS: u8 = 1;
const HAS_PACKET: u8 = 2;

/// Head, left and right hand, pointer: bodies 0 to 3. Those that were grabbed follow.
const PARTS: usize = 4;
/// First number of a body that was grabbed: it has the number of the hold (which the peer chose when it grabbed it), so
/// that a peer which grabs a thousand bodies tells of few numbers.
const HELD_FROM: u32 = 16;

/// What is told by a peer is as exact as the relay tells it: half a millimetre, 2 mrad.
fn precision() -> Precision {
    Precision::new(0.0005, 0.002).expect("both are above a tenth of a thousandth")
}

/// A datagram of an answer and a packet.
pub(crate) fn datagram(acks: Option<Acks>, packet: Option<&[u8]>) -> Vec<u8> {
    let mut out = vec![(u8::from(acks.is_some()) * HAS_ACKS) | (u8::from(packet.is_some()) * HAS_PACKET)];
    out.extend(acks.iter().flat_map(|acks| acks.encode()));
    out.extend_from_slice(packet.unwrap_or_default());
    out
}

/// The answer and the packet of a datagram; none if it is neither.
pub(crate) fn parts(bytes: &[u8]) -> Option<(Option<&[u8]>, Option<&[u8]>)> {
    let (kind, rest) = bytes.split_first()?;
    if *kind == 0 || *kind > (HAS_ACKS | HAS_PACKET) {
        return None;
    }
    let (acks, rest) = if kind & HAS_ACKS != 0 { rest.split_at_checked(Acks::BYTES)? } else { rest.split_at(0) };
    let packet = (kind & HAS_PACKET != 0).then_some(rest);
    let is_whole = packet.is_some() || rest.is_empty();
    is_whole.then_some(((kind & HAS_ACKS != 0).then_some(acks), packet))
}

/// A peer's end.
#[derive(Debug)]
pub(crate) struct Teller {
    sender: BodySender,
    tick: u32,
    parts: [Option<Body>; PARTS],
}

impl Default for Teller {
    fn default() -> Self {
        Self { sender: BodySender::new(precision()), tick: 0, parts: [None; PARTS] }
    }
}

impl Teller {
    /// This is the person's pose; it `rests` if it will stay so until another one is told.
    pub(crate) fn tell_pose(&mut self, pose: &Pose, rests: bool) {
        let pointer = pose.pointer.map(|place| TrackedPoint { place, rotation: [0.0, 0.0, 0.0, 1.0] });
        let points = [Some(pose.head), pose.hands[0], pose.hands[1], pointer];
        for (n, point) in points.into_iter().enumerate() {
            let before = self.parts[n];
            let was_there = before.is_some_and(|body| body.epoch.0.is_multiple_of(2));
            let epoch = match before {
                None if point.is_none() => continue,
                None => Epoch(0),
                Some(body) if was_there == point.is_some() => body.epoch,
                Some(body) => Epoch(body.epoch.0.wrapping_add(1)),
            };
            let at = point.map_or(Placement::ORIGIN, |point| placement_of(&point));
            // What is not there stays where it is not.
            let body = Body { epoch, at, resting: rests || point.is_none() };
            self.parts[n] = Some(body);
            self.sender.tell(BodyNumber(n as u32), body);
        }
    }

    /// This is where a body is that this peer holds.
    pub(crate) fn tell_body(&mut self, hold: u8, body: Body) {
        self.sender.tell(held(hold), body);
    }

    /// A body is not held any more.
    pub(crate) fn forget_body(&mut self, hold: u8) {
        self.sender.forget(held(hold));
    }

    /// The host has answered.
    pub(crate) fn handle_acks(&mut self, bytes: &[u8]) {
        self.sender.handle_acks(bytes);
    }

    /// The packets of now: what was told since the last, and rests that the host does not know yet.
    pub(crate) fn packets(&mut self) -> Vec<Vec<u8>> {
        // Where nothing is told no tick passes: bodies are expected by ticks.
        let tick = self.tick.wrapping_add(1);
        let packets: Vec<_> = std::iter::from_fn(|| self.sender.poll_packet(tick)).collect();
        if !packets.is_empty() {
            self.tick = tick;
        }
        packets
    }
}

fn held(hold: u8) -> BodyNumber {
    BodyNumber(HELD_FROM + u32::from(hold))
}

/// A host's end.
#[derive(Debug)]
pub(crate) struct Hearer {
    receiver: BodyReceiver,
    /// Of each part the newest word, and its tick; of each hold the newest tick.
    parts: [Option<Heard>; PARTS],
    holds: BTreeMap<u8, u32>,
    owes_acks: bool,
}

impl Default for Hearer {
    fn default() -> Self {
        let receiver = BodyReceiver::new(precision(), PARTS + limits::HOLDS);
        Self { receiver, parts: [None; PARTS], holds: BTreeMap::new(), owes_acks: false }
    }
}

/// What a packet has told.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct News {
    /// The person's pose, if that is new, and whether it rests.
    pub(crate) pose: Option<(Pose, bool)>,
    /// Bodies that the peer says it holds, by the number of the hold.
    pub(crate) bodies: Vec<(u8, Body)>,
}

impl Hearer {
    /// A packet has arrived; none if it was left out.
    pub(crate) fn handle_packet(&mut self, packet: &[u8]) -> Option<News> {
        let told = self.receiver.handle_packet(packet).ok()?;
        self.owes_acks = true;
        let mut news = News::default();
        let mut has_moved = false;
        for heard in told {
            if let Some(hold) = heard.number.0.checked_sub(HELD_FROM).and_then(|hold| u8::try_from(hold).ok()) {
                let newest = self.holds.entry(hold).or_insert(heard.tick.wrapping_sub(1));
                if heard.tick.wrapping_sub(*newest) as i32 > 0 {
                    *newest = heard.tick;
                    news.bodies.push((hold, heard.body));
                }
            } else if let Some(part) = self.parts.get_mut(heard.number.0 as usize)
                && part.is_none_or(|known| heard.tick.wrapping_sub(known.tick) as i32 > 0)
            {
                *part = Some(heard);
                has_moved = true;
            }
        }
        news.pose = has_moved.then(|| self.pose()).flatten();
        Some(news)
    }

    /// What to answer, if something has come since the last answer.
    pub(crate) fn take_acks(&mut self) -> Option<Acks> {
        if std::mem::take(&mut self.owes_acks) { self.receiver.acks() } else { None }
    }

    /// Whether there is something to be answered.
    pub(crate) fn owes_acks(&self) -> bool {
        self.owes_acks
    }

    fn pose(&self) -> Option<(Pose, bool)> {
        let there = |n: usize| self.parts[n].filter(|part| part.body.epoch.0.is_multiple_of(2)).map(|part| part.body);
        let head = there(0)?;
        let bodies = [Some(head), there(1), there(2), there(3)];
        let point = |n: usize| bodies[n].map(|body: Body| tracked(&body.at));
        let pose = Pose { head: tracked(&head.at), hands: [point(1), point(2)], pointer: point(3).map(|p| p.place) };
        Some((pose, bodies.iter().flatten().all(|body| body.resting)))
    }
}

/// As a body is placed.
pub(crate) fn placement_of(point: &TrackedPoint) -> Placement {
    Placement { place: point.place.map(f64::from), rotation: point.rotation.map(f64::from) }
}

/// As a point is tracked.
pub(crate) fn tracked(at: &Placement) -> TrackedPoint {
    TrackedPoint { place: at.place.map(|c| c as f32), rotation: at.rotation.map(|c| c as f32) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(x: f32) -> TrackedPoint {
        TrackedPoint { place: [x, 1.0, 0.0], rotation: [0.0, 0.0, 0.0, 1.0] }
    }

    #[test]
    fn a_hand_that_comes_and_goes_is_told_as_surely_as_where_it_rests() {
        let (mut teller, mut hearer) = (Teller::default(), Hearer::default());
        let hands = [[None, None], [Some(point(0.25)), None], [None, Some(point(-0.5))], [None, None]];
        for round in 0..40usize {
            let pose = Pose { head: point(round as f32), hands: hands[round % 4], pointer: None };
            teller.tell_pose(&pose, false);
            // Two of three packets are lost, until it rests.
            let mut seen = None;
            for (try_, rests) in [(0, false), (1, true), (2, true), (3, true)] {
                teller.tell_pose(&pose, rests);
                for packet in teller.packets() {
                    if (round + try_) % 3 == 0 {
                        seen = hearer.handle_packet(&packet).and_then(|news| news.pose).or(seen);
                        teller.handle_acks(&hearer.take_acks().unwrap().encode());
                    }
                }
            }
            assert_eq!(seen, Some((pose, true)), "round {round}");
            assert!(teller.packets().is_empty(), "what the host knows costs nothing");
        }
    }

    #[test]
    fn a_datagram_is_an_answer_a_packet_or_both() {
        let acks = Acks { newest: 7, before: 5 };
        for (acks, packet) in [(Some(acks), None), (None, Some(&[1u8, 2][..])), (Some(acks), Some(&[][..]))] {
            let bytes = datagram(acks, packet);
            let told = acks.map(|acks| acks.encode());
            assert_eq!(parts(&bytes), Some((told.as_ref().map(|acks| &acks[..]), packet)));
        }
        for bad in [&[][..], &[0], &[4, 1], &[1, 2, 3], &[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9]] {
            assert_eq!(parts(bad), None, "{bad:?}");
        }
    }
}
