//! What both ends of a lane remember of packets, and how a packet is laid out.
//!
//! ```text
//! 2 bytes  number of the packet, its low 16 bits; the rest is entropy coded:
//! heard    whether it builds on packets that were acknowledged; the newest, how far back the oldest is (31 at most),
//!          and which of those between were not
//! tick     since that packet's, or in 32 bits
//! others   bodies that nobody expects, by number: woken, new, seldom told
//! listed   bodies that moved when last acknowledged, by number, each with a bit whether it is told
//! ```
//!
//! A packet builds on acknowledged ones only, so any other may be lost, doubled or overtaken. What the acknowledged
//! packets told is at both ends the same; therefore "listed" needs no names.

use std::collections::VecDeque;

use super::entropy::{Bit, Coder, Size};
use super::lease::Epoch;
use super::motion::Known;
use super::record::Likely;
use crate::limits;

/// Ticks by which the newest acknowledged packet may be behind, and the others behind it.
pub(super) const BEHIND_TICKS: u32 = 32;
pub(super) const WINDOW_TICKS: u32 = 16;
/// Ticks by which a packet may be overtaken and still counts.
pub(super) const LATE_TICKS: u32 = 16;
/// Ticks of what was told that both ends keep: all that a packet may build on.
pub(super) const HISTORY_TICKS: u32 = BEHIND_TICKS + WINDOW_TICKS + LATE_TICKS;
/// Of each body the last few are kept, however old: what is seldom told builds on them.
pub(super) const KEPT: usize = 4;
/// Packets before the newest acknowledged one of which a packet says whether they were.
const MASK: usize = 31;

/// Which packets arrived: what a receiver answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acks {
    /// The newest one.
    pub newest: u32,
    /// Those before it, the first one in the lowest bit.
    pub before: u64,
}

impl Acks {
    /// Bytes of an answer.
    pub const BYTES: usize = 10;

    /// As it is sent.
    pub fn encode(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..2].copy_from_slice(&(self.newest as u16).to_le_bytes());
        bytes[2..].copy_from_slice(&self.before.to_le_bytes());
        bytes
    }

    /// As it arrives at a sender whose next packet is `next`; none if the bytes are not an answer.
    pub(crate) fn decode(bytes: &[u8], next: u32) -> Option<Self> {
        let bytes: &[u8; Self::BYTES] = bytes.try_into().ok()?;
        let (newest, before) = bytes.split_first_chunk::<2>()?;
        let before = u64::from_le_bytes(before.try_into().ok()?);
        Some(Self { newest: whole(u16::from_le_bytes(*newest), next), before })
    }

    /// All numbers acknowledged, newest first.
    pub(crate) fn numbers(self) -> impl Iterator<Item = u32> {
        let before = (0..64).filter(move |bit| self.before >> bit & 1 == 1);
        std::iter::once(self.newest).chain(before.map(move |bit| self.newest.wrapping_sub(bit + 1)))
    }
}

/// The number nearest to `near` that has these low bits.
pub(crate) fn whole(low: u16, near: u32) -> u32 {
    let ahead = low.wrapping_sub(near as u16) as i16;
    near.wrapping_add_signed(i32::from(ahead))
}

/// Whether `a` is newer than `b`, in numbers that wrap.
pub(crate) fn newer(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) > 0
}

/// The packets that another one builds on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Window {
    newest: Option<(u32, u32)>,
    before: u64,
}

impl Window {
    /// From packets that were heard, as (number, tick): those a packet at `tick` may build on.
    pub(super) fn new(heard: impl Iterator<Item = (u32, u32)> + Clone, tick: u32) -> Self {
        let recent = heard.filter(|(_, at)| tick.wrapping_sub(*at) <= BEHIND_TICKS);
        let newest = recent.clone().reduce(|a, b| if newer(b.0, a.0) { b } else { a });
        let Some((number, at)) = newest else { return Self::default() };
        let mut before = 0;
        for (other, told) in recent {
            let behind = number.wrapping_sub(other);
            if (1..=MASK as u32).contains(&behind) && at.wrapping_sub(told) <= WINDOW_TICKS {
                before |= 1 << (behind - 1);
            }
        }
        Self { newest, before }
    }

    /// Of what is known of a body, what the packet builds on, newest first.
    pub(super) fn of<'a>(&self, told: &'a VecDeque<Known>) -> Vec<&'a Known> {
        told.iter().rev().filter(|known| self.holds(known.packet)).collect()
    }

    /// The newest of those.
    pub(super) fn newest_of<'a>(&self, told: &'a VecDeque<Known>) -> Option<&'a Known> {
        told.iter().rev().find(|known| self.holds(known.packet))
    }

    fn holds(&self, packet: u32) -> bool {
        let Some((newest, _)) = self.newest else { return false };
        match newest.wrapping_sub(packet) {
            0 => true,
            behind if behind <= MASK as u32 => self.before >> (behind - 1) & 1 == 1,
            _ => false,
        }
    }
}

/// Everything in a packet that is likely, learnt anew in each.
#[derive(Debug, Clone)]
pub(super) struct Packet {
    pub(super) likely: Likely,
    builds: Bit,
    behind: Size,
    reach: Size,
    missing: Bit,
    since: Size,
    more: Bit,
    gap: Size,
    first: Bit,
    age: Size,
    stop: Bit,
    told: [Bit; 2],
    same_epoch: Bit,
    epoch: Size,
}

impl Packet {
    pub(super) fn new() -> Self {
        Self {
            likely: Likely::new(),
            builds: Bit::prior(0.99),
            behind: Size::about(4.0),
            reach: Size::about(16.0),
            missing: Bit::prior(0.03),
            since: Size::about(4.0),
            more: Bit::prior(0.5),
            gap: Size::about(30.0),
            first: Bit::prior(0.3),
            age: Size::about(60.0),
            stop: Bit::prior(0.002),
            told: [Bit::prior(0.97), Bit::prior(0.6)],
            same_epoch: Bit::prior(0.999),
            epoch: Size::about(2.0),
        }
    }

    /// The window that packet `number` builds on, and the packet's tick. A decoder gives an empty window and `tick_of`
    /// for packets it has; none if it lacks one.
    pub(super) fn code_window<C: Coder>(
        &mut self,
        coder: &mut C,
        number: u32,
        tick: u32,
        window: &Window,
        tick_of: impl Fn(u32) -> Option<u32>,
    ) -> Option<(Window, u32)> {
        if !coder.bit(&mut self.builds, window.newest.is_some()) {
            let tick = coder.raw(16, tick >> 16) << 16 | coder.raw(16, tick & 0xFFFF);
            return Some((Window::default(), tick));
        }
        let (newest, at) = window.newest.unwrap_or((number, tick));
        let newest = number.wrapping_sub(self.behind.code(coder, number.wrapping_sub(newest)));
        let at = if C::WRITES { at } else { tick_of(newest)? };
        // Beyond the oldest nothing has to be said: most often those of some ticks, and all of them.
        let reach = self.reach.code(coder, u64::BITS - window.before.leading_zeros());
        let mut before = 0;
        for bit in 0..(reach as usize).min(MASK) {
            let missing = coder.bit(&mut self.missing, window.before >> bit & 1 == 0);
            before |= u64::from(!missing) << bit;
            if !missing && !C::WRITES {
                tick_of(newest.wrapping_sub(bit as u32 + 1))?;
            }
        }
        let since = self.since.code(coder, tick.wrapping_sub(at));
        (since <= BEHIND_TICKS).then_some((Window { newest: Some((newest, at)), before }, at.wrapping_add(since)))
    }

    /// Whether another body that is not listed follows, and its number, of at least `from`.
    pub(super) fn code_other<C: Coder>(&mut self, coder: &mut C, from: u32, body: Option<u32>) -> Option<u32> {
        if !coder.bit(&mut self.more, body.is_some()) {
            return None;
        }
        from.checked_add(self.gap.code(coder, body.map_or(0, |body| body - from)))
    }

    /// How many packets ago a body that is not listed was told what it builds on; none for the first time.
    pub(super) fn code_age<C: Coder>(&mut self, coder: &mut C, age: Option<u32>) -> Option<u32> {
        let first = coder.bit(&mut self.first, age.is_none());
        (!first).then(|| self.age.code(coder, age.unwrap_or(0)))
    }

    /// Whether the packet ends here.
    pub(super) fn code_stop<C: Coder>(&mut self, coder: &mut C, stop: bool) -> bool {
        coder.bit(&mut self.stop, stop)
    }

    /// Whether a listed body is told. Those in the newest acknowledged packet most often are.
    pub(super) fn code_told<C: Coder>(&mut self, coder: &mut C, window: &Window, base: &Known, told: bool) -> bool {
        let often = window.newest.is_some_and(|(newest, _)| newest == base.packet);
        coder.bit(&mut self.told[usize::from(!often)], told)
    }

    pub(super) fn code_epoch<C: Coder>(&mut self, coder: &mut C, before: Epoch, epoch: Epoch) -> Epoch {
        if coder.bit(&mut self.same_epoch, epoch == before) {
            return before;
        }
        Epoch(before.0.wrapping_add(self.epoch.code(coder, epoch.0.wrapping_sub(before.0))))
    }
}

/// What one end knows that was told of a body, oldest first.
#[derive(Debug, Clone, Default)]
pub(super) struct Track {
    pub(super) told: VecDeque<Known>,
}

impl Track {
    /// Adds what a packet told; packets come in any order, each once.
    pub(super) fn add(&mut self, known: Known) {
        let newer_ones = self.told.iter().rev().take_while(|other| newer(other.packet, known.packet)).count();
        self.told.insert(self.told.len() - newer_ones, known);
    }

    /// Forgets what nothing builds on any more: of what is older than [`HISTORY_TICKS`], all but the last [`KEPT`].
    pub(super) fn forget_before(&mut self, tick: u32) {
        let old = self.told.iter().take_while(|known| age(known, tick) > HISTORY_TICKS as i32).count();
        let many = self.told.len().saturating_sub(limits::TOLD_PER_BODY);
        self.told.drain(..old.saturating_sub(KEPT).max(many));
    }

    /// Whether anything may still be listed because of it.
    pub(super) fn recent(&self, tick: u32) -> bool {
        self.told.back().is_some_and(|known| age(known, tick) <= HISTORY_TICKS as i32)
    }

    /// The newest that was acknowledged and that a receiver still keeps, whichever of the later ones arrived.
    pub(super) fn newest_heard(&self, tick: u32) -> Option<&Known> {
        let surely = (HISTORY_TICKS - LATE_TICKS) as i32;
        let old = self.told.iter().take_while(|known| age(known, tick) > surely).count();
        self.told.iter().skip(old.saturating_sub(KEPT)).rev().find(|known| known.heard)
    }
}

fn age(known: &Known, tick: u32) -> i32 {
    tick.wrapping_sub(known.tick) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_name_the_packets_that_arrived_also_where_numbers_wrap() {
        let acks = Acks { newest: 65_537, before: 0b101 };
        let back = Acks::decode(&acks.encode(), 65_600).unwrap();
        assert_eq!(back, acks);
        assert_eq!(back.numbers().collect::<Vec<_>>(), [65_537, 65_536, 65_534]);
        assert_eq!(whole(0xFFFF, 0x10001), 0xFFFF);
        assert_eq!(whole(2, 0x1FFFE), 0x20002);
        assert!(Acks::decode(&[0; 9], 0).is_none());
    }
}
