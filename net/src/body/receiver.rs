//! Hears where bodies are. Packets come in any order, doubled, or not at all; each that can be read says exactly where
//! its bodies were at its tick. One that cannot be read changes nothing and is not acknowledged, so that the sender
//! never builds on it.

use std::collections::{BTreeMap, BTreeSet};

use super::entropy::{Coder, Decoder};
use super::foresight::{Foresight, Outlook};
use super::lease::{BodyNumber, Epoch};
use super::motion::Known;
use super::packet::{Acks, HISTORY_TICKS, LATE_TICKS, Packet, Track, Window, newer, whole};
use super::placement::{Placement, Precision};
use super::record::{code_first, code_known};
use super::sender::Body;
use crate::limits;

/// A body as it was at a tick.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Heard {
    /// Which.
    pub number: BodyNumber,
    /// When, on the sender's count.
    pub tick: u32,
    /// Where, and under which lease.
    pub body: Body,
}

/// Why a packet was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    /// It came before, or too late to matter. Nothing is wrong.
    #[error("the packet came before, or more than {LATE_TICKS} ticks too late")]
    Late,
    /// It builds on what was never acknowledged, or is no packet at all.
    #[error("the packet builds on what never arrived; its sender is broken")]
    Broken,
    /// It builds on what its sender foresaw, which is not what this end foresees.
    #[error("the packet builds on another foresight than this end has")]
    Disagreed,
    /// It tells of more bodies than this end takes from that one.
    #[error("the packet tells of more bodies than were agreed on")]
    TooMany,
}

/// The lane from one sender.
#[derive(Debug)]
pub struct BodyReceiver {
    precision: Precision,
    most: usize,
    newest: Option<(u32, u32)>,
    ticks: BTreeMap<u32, u32>,
    bodies: BTreeMap<u32, Track>,
    active: BTreeSet<u32>,
    outlook: Outlook,
}

impl BodyReceiver {
    /// From a sender of this precision, of which at most `bodies` are taken.
    pub fn new(precision: Precision, bodies: usize) -> Self {
        let most = bodies.min(limits::BODIES);
        let (ticks, bodies) = (BTreeMap::new(), BTreeMap::new());
        Self { precision, most, newest: None, ticks, bodies, active: BTreeSet::new(), outlook: Outlook::default() }
    }

    /// The same with a simulation that the sender shares.
    pub fn with_foresight(self, foresight: Box<dyn Foresight>) -> Self {
        Self { outlook: Outlook::of(foresight), ..self }
    }

    /// A packet has arrived; returns what it tells.
    pub fn handle_packet(&mut self, bytes: &[u8]) -> Result<Vec<Heard>, Unread> {
        let (low, rest) = bytes.split_first_chunk::<2>().ok_or(Unread::Broken)?;
        let low = u16::from_le_bytes(*low);
        let number = whole(low, self.newest.map_or(u32::from(low), |(newest, _)| newest));
        if self.ticks.contains_key(&number) {
            return Err(Unread::Late);
        }
        let mut outlook = std::mem::take(&mut self.outlook);
        let mut reading =
            Reading { number, tick: 0, lane: self, packet: Packet::new(), coder: Decoder::new(rest), told: Vec::new() };
        let read = reading.read(&mut outlook);
        let (tick, told) = (reading.tick, reading.told);
        self.outlook = outlook;
        read?;
        let fresh = told.iter().filter(|(body, _)| !self.bodies.contains_key(body)).count();
        if self.bodies.len() + fresh > self.most {
            return Err(Unread::TooMany);
        }
        Ok(self.learn(number, tick, told))
    }

    /// What to answer: which packets arrived. None before the first.
    pub fn acks(&self) -> Option<Acks> {
        let (newest, _) = self.newest?;
        let before = (0..64).filter(|bit| self.ticks.contains_key(&newest.wrapping_sub(bit + 1)));
        Some(Acks { newest, before: before.fold(0, |acks, bit| acks | 1 << bit) })
    }

    /// Bodies known, and ticks kept of all of them together: what the lane holds in memory.
    pub fn held(&self) -> (usize, usize) {
        (self.bodies.len(), self.bodies.values().map(|track| track.told.len()).sum())
    }

    fn learn(&mut self, number: u32, tick: u32, told: Vec<(u32, Known)>) -> Vec<Heard> {
        self.ticks.insert(number, tick);
        if self.newest.is_none_or(|(newest, _)| newer(number, newest)) {
            self.newest = Some((number, tick));
        }
        let heard = told.iter().map(|(body, known)| {
            let body_now = Body { epoch: known.epoch, at: known.at, resting: known.resting };
            Heard { number: BodyNumber(*body), tick, body: body_now }
        });
        let heard = heard.collect();
        for (body, known) in told {
            self.bodies.entry(body).or_default().add(known);
            self.active.insert(body);
        }
        let now = self.newest.map_or(tick, |(_, newest)| newest);
        let (bodies, ticks) = (&mut self.bodies, &mut self.ticks);
        ticks.retain(|_, at| now.wrapping_sub(*at) as i32 <= HISTORY_TICKS as i32);
        while ticks.len() > limits::PACKETS_SENT {
            ticks.pop_first();
        }
        self.active.retain(|body| {
            let Some(track) = bodies.get_mut(body) else { return false };
            track.forget_before(now);
            track.recent(now)
        });
        heard
    }
}

/// A packet that is being read; nothing of the lane changes before all of it has been.
struct Reading<'a> {
    number: u32,
    tick: u32,
    lane: &'a BodyReceiver,
    packet: Packet,
    coder: Decoder<'a>,
    told: Vec<(u32, Known)>,
}

const NOTHING: (Placement, bool) = (Placement::ORIGIN, false);

impl Reading<'_> {
    fn read(&mut self, outlook: &mut Outlook) -> Result<(), Unread> {
        let tick_of = |packet| self.lane.ticks.get(&packet).copied();
        let window = self.packet.code_window(&mut self.coder, self.number, 0, &Window::default(), tick_of);
        let (window, tick) = window.ok_or(Unread::Broken)?;
        if self.lane.newest.is_some_and(|(_, newest)| newest.wrapping_sub(tick) as i32 > LATE_TICKS as i32) {
            return Err(Unread::Late);
        }
        self.tick = tick;
        let tracks = self.lane.active.iter().filter_map(|body| Some((*body, self.lane.bodies.get(body)?)));
        outlook.look(&window, tick, tracks);
        if outlook.digest().is_some_and(|digest| self.coder.raw(16, 0) != u32::from(digest)) {
            return Err(Unread::Disagreed);
        }
        let mut near = Placement::ORIGIN;
        let mut from = 0;
        while let Some(body) = self.packet.code_other(&mut self.coder, from, None) {
            self.other(body, &mut near)?;
            from = body.checked_add(1).ok_or(Unread::Broken)?;
        }
        for body in &self.lane.active {
            let Some(track) = self.lane.bodies.get(body) else { continue };
            if window.newest_of(&track.told).is_none_or(|known| known.resting) {
                continue;
            }
            if self.packet.code_stop(&mut self.coder, false) {
                break;
            }
            self.listed(*body, track, &window, outlook.place(*body))?;
        }
        Ok(())
    }

    fn other(&mut self, body: u32, near: &mut Placement) -> Result<(), Unread> {
        let track = self.lane.bodies.get(&body);
        let age = self.packet.code_age(&mut self.coder, None);
        let (at, likely, precision) = ((self.number, self.tick), &mut self.packet.likely, &self.lane.precision);
        let (mut known, before) = match age {
            None => (code_first(&mut self.coder, likely, precision, *near, at, NOTHING), Epoch(0)),
            Some(age) => {
                let packet = self.number.wrapping_sub(age);
                let base = track.and_then(|track| track.told.iter().rev().find(|known| known.packet == packet));
                let base = base.ok_or(Unread::Broken)?;
                (code_known(&mut self.coder, likely, precision, (&[base], None), at, NOTHING), base.epoch)
            }
        };
        known.epoch = self.packet.code_epoch(&mut self.coder, before, before);
        *near = known.at;
        self.push(body, known)
    }

    fn listed(&mut self, body: u32, track: &Track, window: &Window, foreseen: Option<Placement>) -> Result<(), Unread> {
        let bases = window.of(&track.told);
        if !self.packet.code_told(&mut self.coder, window, bases[0], false) {
            return Ok(());
        }
        let at = (self.number, self.tick);
        let (likely, bases) = (&mut self.packet.likely, (&bases[..], foreseen));
        let mut known = code_known(&mut self.coder, likely, &self.lane.precision, bases, at, NOTHING);
        known.epoch = self.packet.code_epoch(&mut self.coder, bases.0[0].epoch, bases.0[0].epoch);
        self.push(body, known)
    }

    fn push(&mut self, body: u32, known: Known) -> Result<(), Unread> {
        if self.told.len() >= limits::BODIES_PER_PACKET {
            return Err(Unread::TooMany);
        }
        self.told.push((body, known));
        Ok(())
    }
}
