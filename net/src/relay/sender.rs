//! Tells one receiver. What is told builds on what that receiver has acknowledged and on nothing else, so whatever is
//! lost is simply not built on. Samples are shared by all receivers; a lane holds only which of them it told.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::Name;
use super::bits::{Bits, Writer};
use super::record::{Base, SAMPLE_BYTES, code};
use super::sample::Sample;
use crate::body::Acks;
use crate::limits;

/// A sample that was told.
#[derive(Debug, Clone)]
struct Told {
    packet: u32,
    sample: Arc<Sample>,
    /// What it built on.
    before: Option<Arc<Sample>>,
}

/// What the receiver knows of one avatar or body, and what is on its way.
#[derive(Debug, Default)]
struct Track {
    base: Option<Told>,
    flying: VecDeque<Told>,
}

#[derive(Debug)]
struct Sent {
    number: u32,
    names: Vec<Name>,
}

/// The lane to one receiver.
#[derive(Debug, Default)]
pub struct RelaySender {
    next: u32,
    sent: VecDeque<Sent>,
    tracks: HashMap<Name, Track>,
}

impl RelaySender {
    /// Writes packets that tell these, sorted by name, at `now` (ms on the host's clock). Each has at most
    /// [`limits::POSE_DATAGRAM_BYTES`], `first` bytes less in the first one.
    pub fn write(&mut self, now: u64, news: &[(Name, Arc<Sample>)], first: usize) -> Vec<Vec<u8>> {
        let mut packets = Vec::new();
        let mut rest = news;
        let mut room = limits::POSE_DATAGRAM_BYTES - first.min(limits::POSE_DATAGRAM_BYTES / 2);
        while !rest.is_empty() {
            let (packet, told) = self.packet(now, rest, room);
            packets.push(packet);
            rest = &rest[told..];
            room = limits::POSE_DATAGRAM_BYTES;
        }
        packets
    }

    fn packet(&mut self, now: u64, news: &[(Name, Arc<Sample>)], room: usize) -> (Vec<u8>, usize) {
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        let mut bytes = (number as u16).to_le_bytes().to_vec();
        bytes.extend_from_slice(&now.to_le_bytes()[..6]);
        let mut writer = Writer::new(bytes);
        let mut from = 0;
        let mut names = Vec::with_capacity(news.len());
        for (name, sample) in news {
            if writer.len() + SAMPLE_BYTES + 16 > room && !names.is_empty() {
                break;
            }
            writer.flag(true);
            writer.number(1, name.0 - from);
            from = name.0 + 1;
            let track = self.tracks.entry(*name).or_default();
            let base = track.base.as_ref().filter(|_| track.flying.len() < limits::RELAY_FLYING);
            if writer.flag(base.is_some()) {
                writer.number(2, base.map_or(0, |base| number.wrapping_sub(base.packet)));
            }
            let known = base.map(|base| Base { known: &base.sample, before: base.before.as_deref() });
            code(&mut writer, now, name.is_avatar(), known, sample);
            let before = base.map(|base| base.sample.clone());
            if track.flying.len() >= limits::RELAY_FLYING {
                track.flying.pop_front();
            }
            track.flying.push_back(Told { packet: number, sample: sample.clone(), before });
            names.push(*name);
        }
        writer.flag(false);
        let told = names.len();
        self.sent.push_back(Sent { number, names });
        if self.sent.len() > limits::RELAY_PACKETS {
            self.sent.pop_front();
        }
        (writer.finish(), told)
    }

    /// An answer has arrived; one that cannot be read is left out. Returns what the receiver is now known to know. Who
    /// acknowledges what it did not receive cannot read what builds on it, and nobody else is concerned.
    pub fn handle_acks(&mut self, bytes: &[u8]) -> Vec<(Name, Arc<Sample>)> {
        let mut known = Vec::new();
        let Some(acks) = Acks::decode(bytes, self.next) else { return known };
        for number in acks.numbers() {
            let Some(oldest) = self.sent.front() else { break };
            let place = number.wrapping_sub(oldest.number) as usize;
            let Some(sent) = self.sent.get_mut(place) else { continue };
            for name in std::mem::take(&mut sent.names) {
                let Some(track) = self.tracks.get_mut(&name) else { continue };
                let Some(place) = track.flying.iter().position(|told| told.packet == number) else { continue };
                // What flew before it is not built on any more, whether it has arrived or not.
                let told = track.flying.drain(..=place).next_back();
                known.extend(told.as_ref().map(|told| (name, told.sample.clone())));
                track.base = told;
            }
        }
        known
    }

    /// What the receiver is known to know of this.
    pub fn known(&self, name: Name) -> Option<&Arc<Sample>> {
        self.tracks.get(&name)?.base.as_ref().map(|told| &told.sample)
    }

    /// Is not told any more; when it is told again, from the beginning.
    pub fn forget(&mut self, name: Name) {
        self.tracks.remove(&name);
    }

    /// As [`Self::forget`], for all but these.
    pub fn retain(&mut self, keep: impl Fn(&Name) -> bool) {
        self.tracks.retain(|name, _| keep(name));
    }

    /// Avatars and bodies, and samples of them that are held.
    pub fn held(&self) -> (usize, usize) {
        let samples = self.tracks.values().map(|track| track.flying.len() + usize::from(track.base.is_some()));
        (self.tracks.len(), samples.sum())
    }
}
