//! Tells one receiver. What is told builds on what that receiver has acknowledged and on nothing else, so whatever is
//! lost is simply not built on. Samples are shared by all receivers; a lane holds only which of them it told.

use std::collections::VecDeque;
use std::sync::Arc;

use super::bits::{Bits, Writer};
use super::record::{Base, SAMPLE_BYTES, code};
use super::sample::Sample;
use super::{ByName, Name};
use crate::body::{Acks, newer};
use crate::limits;

/// A sample that was told.
#[derive(Debug)]
struct Told {
    sample: Arc<Sample>,
    /// What it built on.
    before: Option<Arc<Sample>>,
    /// How often that avatar or body had been told then.
    times: u32,
}

/// What the receiver knows of one avatar or body. What is on its way is with its packet: what is looked up is small.
#[derive(Debug)]
struct Track {
    /// The newest acknowledged, and its packet.
    base: Option<(u32, Told)>,
    times: u32,
    /// The first packet that told of it; what older ones told has been forgotten meanwhile.
    since: u32,
}

impl Track {
    /// How often it was told since the receiver is known to know it.
    fn flying(&self) -> usize {
        self.times.wrapping_sub(self.base.as_ref().map_or(0, |(_, base)| base.times)) as usize
    }
}

#[derive(Debug)]
struct Sent {
    number: u32,
    /// Empty once it has been acknowledged.
    told: Vec<(Name, Told)>,
}

/// The lane to one receiver.
#[derive(Debug, Default)]
pub struct RelaySender {
    next: u32,
    sent: VecDeque<Sent>,
    /// Samples in all of them.
    flying: usize,
    tracks: ByName<Track>,
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
        let mut told = Vec::with_capacity(news.len());
        for (name, sample) in news {
            if writer.len() + SAMPLE_BYTES + 16 > room && !told.is_empty() {
                break;
            }
            writer.flag(true);
            writer.number(1, name.0 - from);
            from = name.0 + 1;
            let track = self.tracks.entry(*name).or_insert(Track { base: None, times: 0, since: number });
            let base = track.base.as_ref().filter(|_| track.flying() < limits::RELAY_FLYING);
            if writer.flag(base.is_some()) {
                writer.number(2, base.map_or(0, |(packet, _)| number.wrapping_sub(*packet)));
            }
            let known = base.map(|(_, base)| Base { known: &base.sample, before: base.before.as_deref() });
            code(&mut writer, now, name.is_avatar(), known, sample);
            let before = base.map(|(_, base)| base.sample.clone());
            track.times = track.times.wrapping_add(1);
            told.push((*name, Told { sample: sample.clone(), before, times: track.times }));
        }
        writer.flag(false);
        let count = told.len();
        self.flying += count;
        self.sent.push_back(Sent { number, told });
        let most = self.tracks.len() * limits::RELAY_FLYING;
        while self.sent.len() > limits::RELAY_PACKETS || self.flying > most {
            self.flying -= self.sent.pop_front().map_or(0, |sent| sent.told.len());
        }
        (writer.finish(), count)
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
            let all = std::mem::take(&mut sent.told);
            self.flying -= all.len();
            for (name, told) in all {
                let Some(track) = self.tracks.get_mut(&name) else { continue };
                // What was told before is not built on any more, whether it has arrived or not.
                let is_older = track.base.as_ref().is_some_and(|(base, _)| !newer(number, *base));
                if is_older || newer(track.since, number) {
                    continue;
                }
                known.push((name, told.sample.clone()));
                track.base = Some((number, told));
            }
        }
        known
    }

    /// What the receiver is known to know of this.
    pub fn known(&self, name: Name) -> Option<&Arc<Sample>> {
        self.tracks.get(&name)?.base.as_ref().map(|(_, told)| &told.sample)
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
        let known = self.tracks.values().filter(|track| track.base.is_some()).count();
        (self.tracks.len(), known + self.flying)
    }
}
