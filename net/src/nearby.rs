//! Small words from one peer to who is near enough to care: frames of speech in some codec that the network does not look
//! into, and how the fingers of tracked hands are bent ([`crate::fingers`]). Datagrams like poses, and like them worthless
//! when late: none is sent twice, none waits for another.
//!
//! ```text
//! up    1 byte the kind (4 voice, 5 fingers), 2 bytes number of the frame, the frame
//! down  1 byte the kind, then for each frame: 2 bytes whose, 2 bytes its number, 1 byte its length, itself
//! ```
//!
//! Who is told of whom: presenters first, then the nearest, no more than so many at once and none beyond where
//! it carries, within a budget of bytes beside that of poses. What finds no room is dropped and counted: an
//! old word is worth nothing. Left out: microphones, codecs, jitter buffers and mixing, which are the listener's.

use std::collections::{BTreeMap, BTreeSet};

use crate::interest::{Budget, apart};
use crate::limits;
use crate::peers::PeerNumber;

const HEAD_BYTES: usize = 5;

/// What sort of word, and how much of it there may be.
#[derive(Debug)]
pub struct Kind {
    /// First byte of its datagrams; those of poses begin with 1 to 3.
    byte: u8,
    /// Largest frame.
    frame_bytes: usize,
    /// Bytes a second that one peer may say.
    says: u64,
    /// Frames of one peer that wait for a burst.
    waiting: usize,
    /// Whom one peer is told of at once.
    people: usize,
    /// Farthest that it carries, millimetres.
    within_mm: f32,
    /// Bytes a second to one peer.
    budget: u64,
}

/// Frames of speech.
pub static VOICE: Kind = Kind {
    byte: 4,
    frame_bytes: limits::VOICE_FRAME_BYTES,
    says: limits::VOICE_SAYS,
    waiting: limits::VOICE_WAITING,
    people: limits::VOICES,
    within_mm: limits::HEARD_WITHIN_MM,
    budget: limits::VOICE_BUDGET,
};

/// How fingers are bent.
pub static FINGERS: Kind = Kind {
    byte: 5,
    frame_bytes: crate::fingers::MOST_BYTES,
    says: limits::FINGERS_SAYS,
    waiting: limits::FINGERS_WAITING,
    people: limits::FINGERS_PEOPLE,
    within_mm: limits::FINGERS_WITHIN_MM,
    budget: limits::FINGERS_BUDGET,
};

/// A frame as another peer gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NearbyFrame {
    /// Whose it is.
    pub peer: PeerNumber,
    /// Counts their frames; it wraps. Missing ones are lost.
    pub number: u16,
    /// What the network does not look into.
    pub bytes: Vec<u8>,
}

impl Kind {
    /// A frame as a datagram to the host; none if it is empty or too large.
    pub fn encode_up(&self, number: u16, frame: &[u8]) -> Option<Vec<u8>> {
        self.takes(frame).then(|| [&[self.byte][..], &number.to_le_bytes(), frame].concat())
    }

    /// The number and the frame of a datagram to the host; none if it is of another kind, or damaged.
    pub fn decode_up<'a>(&self, bytes: &'a [u8]) -> Option<(u16, &'a [u8])> {
        let (number, frame) = bytes.strip_prefix(&[self.byte])?.split_first_chunk::<2>()?;
        self.takes(frame).then_some((u16::from_le_bytes(*number), frame))
    }

    /// All frames of a datagram from the host; none if it is of another kind, or damaged.
    pub fn decode_down(&self, bytes: &[u8]) -> Option<Vec<NearbyFrame>> {
        let mut rest = bytes.strip_prefix(&[self.byte])?;
        let mut frames = Vec::new();
        while let Some((head, after)) = rest.split_first_chunk::<HEAD_BYTES>() {
            let (frame, after) = after.split_at_checked(head[4].into()).filter(|(frame, _)| self.takes(frame))?;
            let peer = PeerNumber(u16::from_le_bytes([head[0], head[1]]));
            frames.push(NearbyFrame { peer, number: u16::from_le_bytes([head[2], head[3]]), bytes: frame.to_vec() });
            rest = after;
        }
        (rest.is_empty() && !frames.is_empty()).then_some(frames)
    }

    fn takes(&self, frame: &[u8]) -> bool {
        (1..=self.frame_bytes).contains(&frame.len())
    }
}

/// What a peer may say and hear.
#[derive(Debug)]
struct Person {
    hears: Budget,
    says: Budget,
    newest: Option<u16>,
}

/// Where a peer is (millimetres), if that is known, and whether it presents.
#[derive(Debug, Clone, Copy, Default)]
pub struct Whereabouts {
    /// Its head.
    pub place: Option<[i32; 3]>,
    /// Whether everyone hears it.
    pub presents: bool,
}

/// All that is said at a host of one kind.
#[derive(Debug)]
pub struct Nearby {
    kind: &'static Kind,
    people: BTreeMap<PeerNumber, Person>,
    spoken: Vec<NearbyFrame>,
    clock: Option<u64>,
    /// Frames that somebody was not told: too many at once, over a budget, late or doubled.
    pub dropped: u64,
}

impl Nearby {
    /// Nobody says anything of this kind yet.
    pub fn new(kind: &'static Kind) -> Self {
        Self { kind, people: BTreeMap::new(), spoken: Vec::new(), clock: None, dropped: 0 }
    }

    /// A peer can be heard and hears from now on.
    pub fn join(&mut self, peer: PeerNumber) {
        let (hears, says) = (Budget::new(self.kind.budget), Budget::new(self.kind.says));
        self.people.insert(peer, Person { hears, says, newest: None });
    }

    /// A peer has gone.
    pub fn leave(&mut self, peer: PeerNumber) {
        self.people.remove(&peer);
        self.spoken.retain(|spoken| spoken.peer != peer);
    }

    /// A peer says something. It has no more to say than anybody hears of one.
    pub fn handle_frame(&mut self, peer: PeerNumber, number: u16, frame: &[u8]) {
        let Some(person) = self.people.get_mut(&peer) else { return };
        let is_late = person.newest.is_some_and(|newest| number.wrapping_sub(newest).cast_signed() <= 0);
        let waiting = self.spoken.iter().filter(|spoken| spoken.peer == peer).count();
        if is_late || waiting >= self.kind.waiting || person.says.bytes() < frame.len() {
            self.dropped += 1;
            return;
        }
        person.newest = Some(number);
        person.says.take(frame.len());
        self.spoken.push(NearbyFrame { peer, number, bytes: frame.to_vec() });
    }

    /// The datagrams of one burst at `clock` (milliseconds).
    pub fn tick(&mut self, clock: u64, at: impl Fn(PeerNumber) -> Whereabouts) -> Vec<(PeerNumber, Vec<u8>)> {
        let passed = clock.saturating_sub(self.clock.replace(clock).unwrap_or(clock)).min(1_000);
        for person in self.people.values_mut() {
            person.says.pass(passed);
            person.hears.pass(passed);
        }
        let spoken = std::mem::take(&mut self.spoken);
        if spoken.is_empty() {
            return Vec::new();
        }
        let speakers: BTreeSet<PeerNumber> = spoken.iter().map(|spoken| spoken.peer).collect();
        let speakers: Vec<_> = speakers.into_iter().map(|speaker| (speaker, at(speaker))).collect();
        let mut out = Vec::new();
        for (listener, person) in &mut self.people {
            let heard = self.kind.audible(*listener, at(*listener), &speakers);
            let frames = spoken.iter().filter(|spoken| spoken.peer != *listener && heard.contains(&spoken.peer));
            let mut datagram = vec![self.kind.byte];
            for NearbyFrame { peer, number, bytes } in frames {
                let size = HEAD_BYTES + bytes.len();
                if person.hears.bytes() < size + limits::DATAGRAM_OVERHEAD {
                    self.dropped += 1;
                    continue;
                }
                if datagram.len() + size > limits::POSE_DATAGRAM_BYTES {
                    person.hears.take(limits::DATAGRAM_OVERHEAD);
                    out.push((*listener, std::mem::replace(&mut datagram, vec![self.kind.byte])));
                }
                datagram.extend(peer.0.to_le_bytes().into_iter().chain(number.to_le_bytes()));
                datagram.push(bytes.len() as u8);
                datagram.extend_from_slice(bytes);
                person.hears.take(size);
            }
            if datagram.len() > 1 {
                person.hears.take(limits::DATAGRAM_OVERHEAD);
                out.push((*listener, datagram));
            }
        }
        out
    }
}

impl Kind {
    /// Whom a listener hears of those who speak.
    fn audible(
        &self,
        listener: PeerNumber,
        here: Whereabouts,
        speakers: &[(PeerNumber, Whereabouts)],
    ) -> BTreeSet<PeerNumber> {
        let away = |there: &Whereabouts| match (here.place, there.place) {
            _ if there.presents => 0.0,
            (Some(here), Some(there)) => apart(here, there),
            _ => f32::INFINITY,
        };
        let others = speakers.iter().filter(|(speaker, _)| *speaker != listener);
        let mut near: Vec<_> = others.map(|(speaker, there)| (away(there), *speaker)).collect();
        near.retain(|(away, _)| *away <= self.within_mm);
        near.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        near.into_iter().take(self.people).map(|(_, speaker)| speaker).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn crowd(people: u16) -> Nearby {
        let mut voices = Nearby::new(&VOICE);
        (0..people).for_each(|n| voices.join(PeerNumber(n)));
        voices.tick(0, nowhere);
        voices
    }

    fn nowhere(_: PeerNumber) -> Whereabouts {
        Whereabouts::default()
    }

    /// In a row, a metre apart.
    fn in_a_row(peer: PeerNumber) -> Whereabouts {
        Whereabouts { place: Some([i32::from(peer.0) * 1000, 1700, 0]), presents: false }
    }

    fn heard_by(told: &[(PeerNumber, Vec<u8>)], listener: u16) -> Vec<u16> {
        let mine = told.iter().filter(|(to, _)| to.0 == listener);
        mine.flat_map(|(_, bytes)| VOICE.decode_down(bytes).unwrap()).map(|frame| frame.peer.0).collect()
    }

    #[test]
    fn the_bytes_of_voice_stay_as_they_are() {
        assert_eq!(VOICE.encode_up(0x0102, &[7, 8]), Some(vec![4, 2, 1, 7, 8]));
        let told = [4, 5, 0, 2, 1, 2, 7, 8];
        let frame = NearbyFrame { peer: PeerNumber(5), number: 0x0102, bytes: vec![7, 8] };
        assert_eq!(VOICE.decode_down(&told), Some(vec![frame]));
        assert_eq!(VOICE.encode_up(0, &[]), None);
        assert_eq!(VOICE.encode_up(0, &[0; limits::VOICE_FRAME_BYTES + 1]), None);
        for bad in [&[4][..], &[4, 5, 0, 2, 1, 3, 7, 8], &[4, 5, 0, 2, 1, 0], &[3, 5, 0, 2, 1, 1, 7]] {
            assert_eq!(VOICE.decode_down(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn the_nearest_are_heard_and_nobody_hears_themself_or_a_far_end() {
        let mut voices = crowd(60);
        (0..60).for_each(|n| voices.handle_frame(PeerNumber(n), 0, &[1; 60]));
        let told = voices.tick(20, in_a_row);
        let heard = heard_by(&told, 30);
        assert_eq!(heard.len(), limits::VOICES);
        assert!(heard.iter().all(|n| n.abs_diff(30) <= limits::VOICES as u16 / 2 && *n != 30), "{heard:?}");
        voices.handle_frame(PeerNumber(0), 1, &[1; 60]);
        let told = voices.tick(40, in_a_row);
        let farthest = (limits::HEARD_WITHIN_MM / 1000.0) as u16;
        assert_eq!(heard_by(&told, farthest), [0]);
        assert!(heard_by(&told, farthest + 1).is_empty());
    }

    #[test]
    fn a_presenter_is_heard_everywhere_and_by_who_is_nowhere() {
        let mut voices = crowd(3);
        voices.handle_frame(PeerNumber(0), 0, &[1; 60]);
        let told = voices.tick(20, |peer| Whereabouts { place: None, presents: peer.0 == 0 });
        assert_eq!([heard_by(&told, 0), heard_by(&told, 1), heard_by(&told, 2)], [vec![], vec![0], vec![0]]);
    }

    #[test]
    fn who_shouts_without_end_takes_no_more_than_their_share_and_a_late_word_is_dropped() {
        let mut voices = crowd(2);
        let mut bytes = 0;
        for millis in 0..10_000u64 {
            for n in 0..5u64 {
                voices.handle_frame(PeerNumber(0), (millis * 5 + n) as u16, &[1; limits::VOICE_FRAME_BYTES]);
            }
            if millis % 20 == 0 {
                bytes += voices.tick(millis, in_a_row).iter().map(|(_, bytes)| bytes.len()).sum::<usize>();
            }
        }
        assert!(bytes < 12 * limits::VOICE_SAYS as usize, "{bytes}");
        let before = voices.dropped;
        voices.handle_frame(PeerNumber(1), 9, &[1]);
        voices.handle_frame(PeerNumber(1), 9, &[1]);
        voices.handle_frame(PeerNumber(1), 3, &[1]);
        assert_eq!(voices.dropped - before, 2);
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = VOICE.decode_up(&bytes);
            let _ = FINGERS.decode_down(&bytes);
        }
    }
}
