//! Hears what a host tells. Packets come in any order, doubled, or not at all. One that cannot be read changes nothing
//! and is not acknowledged, so that nothing is ever built on it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::Name;
use super::bits::{Bits, Reader};
use super::record::{Base, code};
use super::sample::Sample;
use crate::body::{Acks, newer, whole};
use crate::limits;

/// Why a packet was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RelayUnread {
    /// It came before, or so late that it builds on what nothing builds on any more. Nothing is wrong.
    #[error("the packet came before, or too late")]
    Late,
    /// It is no packet.
    #[error("the packet makes no sense; its sender is broken")]
    Broken,
    /// It tells of more than this end takes.
    #[error("the packet tells of more avatars and bodies than there may be")]
    TooMany,
}

#[derive(Debug, Clone)]
struct Known {
    packet: u32,
    sample: Arc<Sample>,
    before: Option<Arc<Sample>>,
}

/// What one packet tells of one avatar or body.
struct News {
    name: Name,
    base: Option<u32>,
    known: Known,
}

/// The lane from one host.
#[derive(Debug)]
pub struct RelayReceiver {
    most: usize,
    newest: Option<u32>,
    arrived: BTreeSet<u32>,
    tracks: BTreeMap<Name, VecDeque<Known>>,
}

impl RelayReceiver {
    /// Takes at most so many avatars and bodies.
    pub fn new(most: usize) -> Self {
        Self { most, newest: None, arrived: BTreeSet::new(), tracks: BTreeMap::new() }
    }

    /// A packet has arrived; returns what it tells.
    pub fn handle_packet(&mut self, bytes: &[u8]) -> Result<Vec<(Name, Arc<Sample>)>, RelayUnread> {
        let (low, rest) = bytes.split_first_chunk::<2>().ok_or(RelayUnread::Broken)?;
        let (clock, rest) = rest.split_first_chunk::<6>().ok_or(RelayUnread::Broken)?;
        let low = u16::from_le_bytes(*low);
        let number = whole(low, self.newest.unwrap_or(u32::from(low)));
        let behind = self.newest.map_or(0, |newest| newest.wrapping_sub(number) as i32);
        if self.arrived.contains(&number) || behind > limits::RELAY_LATE as i32 {
            return Err(RelayUnread::Late);
        }
        let mut now = [0; 8];
        now[..6].copy_from_slice(clock);
        let news = self.read(number, u64::from_le_bytes(now), rest)?;
        let fresh = news.iter().filter(|news| !self.tracks.contains_key(&news.name)).count();
        if self.tracks.len() + fresh > self.most {
            return Err(RelayUnread::TooMany);
        }
        self.arrived.insert(number);
        if self.newest.is_none_or(|newest| newer(number, newest)) {
            self.newest = Some(number);
        }
        while self.arrived.len() > limits::RELAY_LATE {
            self.arrived.pop_first();
        }
        Ok(news.into_iter().map(|news| self.learn(news)).collect())
    }

    fn read(&self, number: u32, now: u64, bytes: &[u8]) -> Result<Vec<News>, RelayUnread> {
        let mut reader = Reader::new(bytes);
        let mut all: Vec<News> = Vec::new();
        let mut from = 0u32;
        while reader.flag(false) && !reader.is_broken() {
            let name = Name(from.checked_add(reader.number(1, 0)).ok_or(RelayUnread::Broken)?);
            from = name.0.checked_add(1).ok_or(RelayUnread::Broken)?;
            let behind = reader.flag(false).then(|| reader.number(2, 0));
            let base = match behind {
                None => None,
                Some(_) if reader.is_broken() => return Err(RelayUnread::Broken),
                Some(behind) => {
                    let packet = number.wrapping_sub(behind);
                    let known = self.tracks.get(&name).and_then(|track| track.iter().find(|k| k.packet == packet));
                    Some(known.ok_or(RelayUnread::Late)?)
                }
            };
            let built = base.map(|known| Base { known: &known.sample, before: known.before.as_deref() });
            let sample = Arc::new(code(&mut reader, now, name.is_avatar(), built, &Sample::NOTHING));
            let known = Known { packet: number, sample, before: base.map(|base| base.sample.clone()) };
            all.push(News { name, base: base.map(|base| base.packet), known });
            if all.len() > limits::BODIES_PER_PACKET {
                return Err(RelayUnread::TooMany);
            }
        }
        if reader.is_broken() { Err(RelayUnread::Broken) } else { Ok(all) }
    }

    fn learn(&mut self, News { name, base, known }: News) -> (Name, Arc<Sample>) {
        let sample = known.sample.clone();
        let track = self.tracks.entry(name).or_default();
        let later = track.iter().rev().take_while(|other| newer(other.packet, known.packet)).count();
        track.insert(track.len() - later, known);
        // The sender builds on what it has built on or on newer ones, never again on an older one; two are kept for
        // packets that were overtaken.
        if let Some(base) = base {
            let older = track.iter().take_while(|other| newer(base, other.packet)).count();
            track.drain(..older.saturating_sub(2));
        }
        // The oldest may be the base. Others that go missing are at most not read.
        while track.len() > limits::RELAY_FLYING + 3 {
            track.remove(3);
        }
        (name, sample)
    }

    /// What to answer: which packets arrived. None before the first.
    pub fn acks(&self) -> Option<Acks> {
        let newest = self.newest?;
        let before = (0..64).filter(|bit| self.arrived.contains(&newest.wrapping_sub(bit + 1)));
        Some(Acks { newest, before: before.fold(0, |acks, bit| acks | 1 << bit) })
    }

    /// Somebody has gone.
    pub fn forget(&mut self, name: Name) {
        self.tracks.remove(&name);
    }

    /// Avatars and bodies known, and samples of them that are kept.
    pub fn held(&self) -> (usize, usize) {
        (self.tracks.len(), self.tracks.values().map(VecDeque::len).sum())
    }
}
