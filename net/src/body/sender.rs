//! Tells one receiver where bodies are: [`BodySender::tell`] what moved, then [`BodySender::poll_packet`] once a tick until
//! there is none, and [`BodySender::handle_acks`] whenever an answer comes. A body that moves is told as often as it is
//! passed in; one that rests is told until the receiver has said that it knows, and then costs nothing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::entropy::{Coder, Encoder};
use super::foresight::{Foresight, Outlook};
use super::lease::{BodyNumber, Epoch};
use super::motion::Known;
use super::packet::{Acks, HISTORY_TICKS, Packet, Track, Window, newer};
use super::placement::{Placement, Precision};
use super::record::{code_first, code_known};
use crate::limits;

/// What is so of a body now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Body {
    /// Under which lease this is told.
    pub epoch: Epoch,
    /// Where it is.
    pub at: Placement,
    /// Whether it will stay there until it is told otherwise.
    pub resting: bool,
}

#[derive(Debug)]
struct Outgoing {
    now: Body,
    track: Track,
    due: bool,
    told_tick: Option<u32>,
    /// The first packet that told the rest it is in.
    rest_told: Option<u32>,
    gone: bool,
}

#[derive(Debug)]
struct Sent {
    number: u32,
    tick: u32,
    heard: bool,
    bodies: Vec<u32>,
}

/// The lane to one receiver.
#[derive(Debug)]
pub struct BodySender {
    precision: Precision,
    next: u32,
    sent: VecDeque<Sent>,
    bodies: BTreeMap<u32, Outgoing>,
    /// Bodies that are due, or that packets may still list.
    active: BTreeSet<u32>,
    outlook: Outlook,
}

impl BodySender {
    /// To a receiver that knows nothing yet and expects the same precision.
    pub fn new(precision: Precision) -> Self {
        let (bodies, active) = (BTreeMap::new(), BTreeSet::new());
        Self { precision, next: 0, sent: VecDeque::new(), bodies, active, outlook: Outlook::default() }
    }

    /// The same with a simulation that the receiver shares.
    pub fn with_foresight(self, foresight: Box<dyn Foresight>) -> Self {
        Self { outlook: Outlook::of(foresight), ..self }
    }

    /// A body is so now; it goes into this tick's packets, unless it rests where the receiver knows that it does.
    /// Beyond [`limits::BODIES`] bodies nothing is told; returns whether there was room.
    pub fn tell(&mut self, number: BodyNumber, body: Body) -> bool {
        let body = Body { at: body.at.mended(), ..body };
        if self.bodies.len() >= limits::BODIES && !self.bodies.contains_key(&number.0) {
            return false;
        }
        let fresh =
            Outgoing { now: body, track: Track::default(), due: true, told_tick: None, rest_told: None, gone: false };
        let known = self.bodies.entry(number.0).or_insert(fresh);
        if known.now != body || !body.resting || known.gone {
            (known.now, known.due, known.rest_told, known.gone) = (body, true, None, false);
        }
        if known.due {
            self.active.insert(number.0);
        }
        true
    }

    /// A body is not told any more. That it is gone travels as a control message.
    pub fn forget(&mut self, number: BodyNumber) {
        if let Some(body) = self.bodies.get_mut(&number.0) {
            (body.gone, body.due) = (true, false);
            self.active.insert(number.0);
        }
    }

    /// An answer has arrived; one that cannot be read is left out. Who acknowledges what it did not receive cannot
    /// read what builds on it, and nobody else is concerned.
    pub fn handle_acks(&mut self, bytes: &[u8]) {
        let Some(acks) = Acks::decode(bytes, self.next) else { return };
        for number in acks.numbers() {
            let Some(oldest) = self.sent.front() else { return };
            let place = number.wrapping_sub(oldest.number) as usize;
            let Some(sent) = self.sent.get_mut(place) else { continue };
            if std::mem::replace(&mut sent.heard, true) {
                continue;
            }
            for body in std::mem::take(&mut sent.bodies) {
                let Some(outgoing) = self.bodies.get_mut(&body) else { continue };
                if let Some(known) = outgoing.track.told.iter_mut().rev().find(|known| known.packet == number) {
                    known.heard = true;
                }
                if outgoing.rest_told.is_some_and(|first| !newer(first, number)) {
                    outgoing.due = false;
                }
            }
        }
    }

    /// The next packet of this tick; none when everything due has been told.
    pub fn poll_packet(&mut self, tick: u32) -> Option<Vec<u8>> {
        self.clean(tick);
        let due = |body: &Outgoing| body.due && body.told_tick != Some(tick);
        if !self.active.iter().any(|number| due(&self.bodies[number])) {
            return None;
        }
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        let window = Window::new(self.sent.iter().filter(|sent| sent.heard).map(|sent| (sent.number, sent.tick)), tick);
        let tracks = self.active.iter().map(|body| (*body, &self.bodies[body].track));
        self.outlook.look(&window, tick, tracks);
        let mut writing = Writing::new(number, tick, &window, self.precision);
        if let Some(digest) = self.outlook.digest() {
            writing.coder.raw(16, digest.into());
        }
        let mut expected = Vec::new();
        let mut from = 0;
        for body in &self.active {
            let outgoing = &self.bodies[body];
            if window.newest_of(&outgoing.track.told).is_some_and(|known| !known.resting) {
                expected.push(*body);
            } else if due(outgoing) && writing.has_room() {
                writing.other(from, *body, outgoing);
                from = *body + 1;
            }
        }
        writing.packet.code_other(&mut writing.coder, from, None);
        for body in expected {
            let outgoing = &self.bodies[&body];
            let full = !writing.has_room();
            if writing.packet.code_stop(&mut writing.coder, full) {
                break;
            }
            writing.listed(body, outgoing, due(outgoing), self.outlook.place(body));
        }
        Some(self.send(writing))
    }

    fn send(&mut self, writing: Writing<'_>) -> Vec<u8> {
        let (number, tick) = (writing.number, writing.tick);
        let mut bodies = Vec::with_capacity(writing.told.len());
        for (body, known) in writing.told {
            let Some(outgoing) = self.bodies.get_mut(&body) else { continue };
            outgoing.told_tick = Some(tick);
            // What moves is told anew when it is passed in anew.
            outgoing.due = known.resting;
            if known.resting {
                outgoing.rest_told.get_or_insert(number);
            }
            outgoing.track.add(known);
            bodies.push(body);
        }
        self.sent.push_back(Sent { number, tick, heard: false, bodies });
        writing.coder.finish()
    }

    /// Forgets what nothing builds on any more; all, if the receiver has not answered for so long that it may not be
    /// able to read what builds on it.
    fn clean(&mut self, tick: u32) {
        let old = |at: u32| tick.wrapping_sub(at) as i32 > HISTORY_TICKS as i32;
        let mut unheard = false;
        while let Some(sent) = self.sent.front().filter(|sent| old(sent.tick) || self.sent.len() > limits::PACKETS_SENT)
        {
            unheard |= !sent.heard;
            self.sent.pop_front();
        }
        let deaf = unheard && self.sent.iter().all(|sent| !sent.heard);
        if deaf {
            // An answer that still comes would name what is forgotten here.
            self.sent.clear();
        }
        let bodies = &mut self.bodies;
        self.active.retain(|number| {
            let Some(body) = bodies.get_mut(number) else { return false };
            if deaf {
                body.track.told.clear();
            }
            body.track.forget_before(tick);
            let keep = body.due || body.track.recent(tick);
            if !keep && body.gone {
                bodies.remove(number);
            }
            keep
        });
    }
}

/// A packet that is being written.
struct Writing<'a> {
    number: u32,
    tick: u32,
    window: &'a Window,
    precision: Precision,
    packet: Packet,
    coder: Encoder,
    near: Placement,
    told: Vec<(u32, Known)>,
}

impl<'a> Writing<'a> {
    fn new(number: u32, tick: u32, window: &'a Window, precision: Precision) -> Self {
        let mut coder = Encoder::new((number as u16).to_le_bytes().to_vec());
        let mut packet = Packet::new();
        packet.code_window(&mut coder, number, tick, window, |_| None);
        Self { number, tick, window, precision, packet, coder, near: Placement::ORIGIN, told: Vec::new() }
    }

    fn has_room(&self) -> bool {
        self.coder.bytes_at_most() + limits::BODY_BYTES <= limits::POSE_DATAGRAM_BYTES
            && self.told.len() < limits::BODIES_PER_PACKET
    }

    fn other(&mut self, from: u32, body: u32, outgoing: &Outgoing) {
        self.packet.code_other(&mut self.coder, from, Some(body));
        let base = outgoing.track.newest_heard(self.tick);
        self.packet.code_age(&mut self.coder, base.map(|base| self.number.wrapping_sub(base.packet)));
        let truth = (outgoing.now.at, outgoing.now.resting);
        let (at, likely) = ((self.number, self.tick), &mut self.packet.likely);
        let mut known = match base {
            Some(base) => code_known(&mut self.coder, likely, &self.precision, (&[base], None), at, truth),
            None => code_first(&mut self.coder, likely, &self.precision, self.near, at, truth),
        };
        let before = base.map_or(Epoch(0), |base| base.epoch);
        known.epoch = self.packet.code_epoch(&mut self.coder, before, outgoing.now.epoch);
        self.near = known.at;
        self.told.push((body, known));
    }

    fn listed(&mut self, body: u32, outgoing: &Outgoing, due: bool, foreseen: Option<Placement>) {
        let bases = self.window.of(&outgoing.track.told);
        if !self.packet.code_told(&mut self.coder, self.window, bases[0], due) {
            return;
        }
        let truth = (outgoing.now.at, outgoing.now.resting);
        let (at, likely) = ((self.number, self.tick), &mut self.packet.likely);
        let mut known = code_known(&mut self.coder, likely, &self.precision, (&bases, foreseen), at, truth);
        known.epoch = self.packet.code_epoch(&mut self.coder, bases[0].epoch, outgoing.now.epoch);
        self.told.push((body, known));
    }
}
