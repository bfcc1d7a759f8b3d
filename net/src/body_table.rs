//! What a host knows of the things that people carry: whose each is, under which hold it comes, and where it lies. Told
//! what peers ask for and say (`handle_…`), it gives back what is to be told ([`BodyTable::poll`]).
//!
//! A body is at home with the host. A grab takes its lease, a release, a holder's leaving or its silence returns it, and
//! each change is told to everyone with the place: so where a body rests never hangs on a datagram. Whether a peer may
//! carry a thing at all is for the host program to say; until it has, a hold is only asked for.
//!
//! Left out: what becomes of the places when the host ends (the host program keeps them), and how motions are told
//! ([`crate::relay`]).

use std::collections::BTreeMap;

use gemba_twin::path::ThingId;
use gemba_twin::sample::Timestamp;

use crate::body::{Body, BodyNumber, Epoch, Lease, LeaseBook, LeaseError};
use crate::limits;
use crate::peers::{PeerNumber, TrackedPoint};
use crate::uplink;
use crate::wire::{self, BodyNews, ToPeer};

/// Something that is to be told.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum BodyOutput {
    /// To everyone.
    All(ToPeer),
    /// To one peer.
    One(PeerNumber, ToPeer),
    /// To whom it is near: the body is there, and `rests` until something else is told.
    Moved { body: BodyNumber, at: TrackedPoint, epoch: Epoch, rests: bool },
    /// To the host program: there it lies.
    Rested { thing: ThingId, at: TrackedPoint },
    /// To nobody any more.
    Gone(BodyNumber),
}

/// A hold of a peer.
#[derive(Debug, Clone, Copy)]
enum Hold {
    /// The host program has not said whether it may. The peer may have let go meanwhile.
    Asked { thing: ThingId, from: TrackedPoint, released: Option<TrackedPoint> },
    /// It may, and does.
    Held { body: BodyNumber, epoch: Epoch },
}

/// A body that was carried at least once.
#[derive(Debug, Clone, Copy)]
struct Carried {
    thing: ThingId,
    at: TrackedPoint,
    when: Timestamp,
}

/// What a peer has left of [`limits::GRAB_RATE`], and when it was last heard.
#[derive(Debug, Clone, Copy)]
struct Hand {
    grabs: f64,
    counted: Timestamp,
    heard: Timestamp,
}

/// All bodies of a site.
#[derive(Debug, Default)]
pub(crate) struct BodyTable {
    book: LeaseBook,
    numbers: BTreeMap<ThingId, BodyNumber>,
    carried: BTreeMap<BodyNumber, Carried>,
    holds: BTreeMap<(PeerNumber, u8), Hold>,
    hands: BTreeMap<PeerNumber, Hand>,
    next: u32,
    outputs: Vec<BodyOutput>,
    /// Moves and releases of what the peer did not hold.
    pub(crate) fenced: u64,
}

impl BodyTable {
    /// What is to be told, in this order.
    pub(crate) fn poll(&mut self) -> Vec<BodyOutput> {
        std::mem::take(&mut self.outputs)
    }

    /// Bodies that were carried at least once.
    pub(crate) fn len(&self) -> usize {
        self.carried.len()
    }

    /// What a newcomer is told.
    pub(crate) fn all(&self) -> impl Iterator<Item = ToPeer> {
        self.carried.keys().filter_map(|body| self.news(*body))
    }

    /// A thing lies there since before this host began; what has been carried since stays where it is.
    pub(crate) fn restore(&mut self, thing: ThingId, at: TrackedPoint, now: Timestamp) {
        if !self.numbers.contains_key(&thing)
            && at.is_sound()
            && let Ok(body) = self.number(thing, at, now)
        {
            self.outputs.push(BodyOutput::Moved { body, at, epoch: Epoch(0), rests: true });
            let news = self.news(body);
            self.outputs.extend(news.map(BodyOutput::All));
        }
    }

    /// A peer wants to hold a thing. True if the host program is to say whether it may.
    pub(crate) fn handle_grab(
        &mut self,
        peer: PeerNumber,
        hold: u8,
        thing: ThingId,
        from: TrackedPoint,
        now: Timestamp,
    ) -> bool {
        let (per_sec, at_once) = limits::GRAB_RATE;
        let hand = self.hands.entry(peer).or_insert(Hand { grabs: at_once.into(), counted: now, heard: now });
        let passed = now.micros_since(hand.counted).max(0) as f64 / 1e6;
        hand.grabs = (hand.grabs + passed * f64::from(per_sec)).min(at_once.into());
        (hand.counted, hand.heard) = (now, now);
        let why = if self.holds.contains_key(&(peer, hold)) {
            "this hand holds something else"
        } else if self.holds.range((peer, 0)..=(peer, u8::MAX)).count() >= limits::BODIES_HELD {
            "you hold too many things at once; let some go"
        } else if hand.grabs < 1.0 {
            "you take things in hand too often; wait a moment"
        } else {
            hand.grabs -= 1.0;
            self.holds.insert((peer, hold), Hold::Asked { thing, from, released: None });
            return true;
        };
        self.refuse(peer, hold, why);
        false
    }

    /// The thing that a hold asks for, and who holds that now.
    pub(crate) fn asked(&self, peer: PeerNumber, hold: u8) -> Option<(ThingId, PeerNumber)> {
        let Some(Hold::Asked { thing, .. }) = self.holds.get(&(peer, hold)) else { return None };
        let lease = self.numbers.get(thing).and_then(|body| self.book.lease(*body).ok());
        Some((*thing, lease.map_or(PeerNumber::HOST, |lease| lease.holder)))
    }

    /// The host program has said whether the peer may.
    pub(crate) fn handle_decided(&mut self, peer: PeerNumber, hold: u8, outcome: Result<(), String>, now: Timestamp) {
        let Some(Hold::Asked { thing, from, released }) = self.holds.get(&(peer, hold)).copied() else { return };
        self.holds.remove(&(peer, hold));
        let granted = outcome.and_then(|()| {
            let body = self.number(thing, from, now).map_err(|error| error.to_string())?;
            let lease = self.book.grab(body, peer).map_err(|error| match error {
                LeaseError::Held(_) => "someone else holds it; wait until they let go".to_owned(),
                other => other.to_string(),
            })?;
            Ok((body, lease.epoch))
        });
        match granted {
            Ok((body, epoch)) => {
                self.holds.insert((peer, hold), Hold::Held { body, epoch });
                let at = self.carried[&body].at;
                self.outputs.push(BodyOutput::One(peer, ToPeer::Held { hold, body, epoch }));
                self.tell(body, at, epoch, false, now);
                if let Some(at) = released {
                    self.handle_release(peer, hold, at, now);
                }
            }
            Err(why) => self.refuse(peer, hold, &why),
        }
    }

    /// A peer tells where it carries what it holds. Under a lease that has ended it counts for nothing.
    pub(crate) fn handle_move(&mut self, peer: PeerNumber, hold: u8, told: Body, now: Timestamp) {
        let is_held = |held: &Hold| match held {
            Hold::Held { body, epoch } if *epoch == told.epoch && self.book.admits(*body, peer, *epoch).is_ok() => {
                Some(*body)
            }
            _ => None,
        };
        let carried = self.holds.get(&(peer, hold)).and_then(is_held);
        let Some((body, carried)) = carried.and_then(|body| Some((body, self.carried.get_mut(&body)?))) else {
            self.fenced += 1;
            return;
        };
        (carried.at, carried.when) = (uplink::tracked(&told.at), now);
        let (at, epoch, rests) = (carried.at, told.epoch, told.resting);
        self.outputs.push(BodyOutput::Moved { body, at, epoch, rests });
    }

    /// A peer lets go.
    pub(crate) fn handle_release(&mut self, peer: PeerNumber, hold: u8, at: TrackedPoint, now: Timestamp) {
        match self.holds.get_mut(&(peer, hold)) {
            Some(Hold::Asked { released, .. }) => *released = Some(at),
            Some(Hold::Held { body, epoch }) => {
                let (body, lease) = (*body, Lease { holder: peer, epoch: *epoch });
                self.holds.remove(&(peer, hold));
                match self.book.release(body, lease) {
                    Ok(home) => self.lay(body, at, home, now),
                    Err(_) => self.fenced += 1,
                }
            }
            None => self.fenced += 1,
        }
    }

    /// A peer has gone, or another one of the same person takes its place: what it held lies where it last was.
    pub(crate) fn handle_left(&mut self, peer: PeerNumber, now: Timestamp) {
        self.let_go(peer, now);
        self.hands.remove(&peer);
    }

    /// A peer lives.
    pub(crate) fn handle_heard(&mut self, peer: PeerNumber, now: Timestamp) {
        if let Some(hand) = self.hands.get_mut(&peer) {
            hand.heard = now;
        }
    }

    /// What holders of whom nothing is heard any more held, others may take.
    pub(crate) fn tick(&mut self, now: Timestamp) {
        let longest = limits::HOLDER_SILENCE.as_micros() as i64;
        let is_silent = |hand: &Hand| now.micros_since(hand.heard) > longest;
        let silent: Vec<_> = self.hands.iter().filter(|(_, hand)| is_silent(hand)).map(|(peer, _)| *peer).collect();
        for peer in silent {
            self.let_go(peer, now);
        }
    }

    /// The record says where a thing is: from now on that holds.
    pub(crate) fn put_back(&mut self, thing: ThingId) {
        let Some(body) = self.numbers.remove(&thing) else { return };
        self.book.remove(body);
        self.carried.remove(&body);
        self.holds.retain(|_, hold| !matches!(hold, Hold::Held { body: held, .. } if *held == body));
        self.outputs.push(BodyOutput::Gone(body));
        self.outputs.push(BodyOutput::All(ToPeer::BodyGone(body)));
    }

    fn let_go(&mut self, peer: PeerNumber, now: Timestamp) {
        self.holds.retain(|(holder, _), _| *holder != peer);
        for (body, home) in self.book.handle_left(peer) {
            if let Some(at) = self.carried.get(&body).map(|carried| carried.at) {
                self.lay(body, at, home, now);
            }
        }
    }

    fn lay(&mut self, body: BodyNumber, at: TrackedPoint, home: Lease, now: Timestamp) {
        self.tell(body, at, home.epoch, true, now);
        self.outputs.extend(self.carried.get(&body).map(|carried| BodyOutput::Rested { thing: carried.thing, at }));
    }

    fn tell(&mut self, body: BodyNumber, at: TrackedPoint, epoch: Epoch, rests: bool, now: Timestamp) {
        if let Some(carried) = self.carried.get_mut(&body) {
            (carried.at, carried.when) = (at, now);
        }
        self.outputs.push(BodyOutput::Moved { body, at, epoch, rests });
        let news = self.news(body);
        self.outputs.extend(news.map(BodyOutput::All));
    }

    fn news(&self, body: BodyNumber) -> Option<ToPeer> {
        let (lease, carried) = (self.book.lease(body).ok()?, self.carried.get(&body)?);
        Some(ToPeer::Body(BodyNews { body, thing: carried.thing, lease, at: carried.at, when: carried.when }))
    }

    fn number(&mut self, thing: ThingId, at: TrackedPoint, now: Timestamp) -> Result<BodyNumber, LeaseError> {
        if let Some(body) = self.numbers.get(&thing) {
            return Ok(*body);
        }
        let body = BodyNumber(self.next);
        self.book.add(body, PeerNumber::HOST)?;
        // Numbers are not used again: a late datagram about what is gone must not move another thing.
        self.next += 1;
        self.numbers.insert(thing, body);
        self.carried.insert(body, Carried { thing, at, when: now });
        Ok(body)
    }

    fn refuse(&mut self, peer: PeerNumber, hold: u8, why: &str) {
        let why = wire::cut(why, limits::REASON_BYTES);
        self.outputs.push(BodyOutput::One(peer, ToPeer::GrabRefused { hold, why }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: PeerNumber = PeerNumber(1);
    const BOB: PeerNumber = PeerNumber(2);
    const CRATE: ThingId = ThingId([7; 16]);

    fn at(x: f32) -> TrackedPoint {
        TrackedPoint { place: [x, 0.0, 0.0], rotation: [0.0, 0.0, 0.0, 1.0] }
    }

    fn moved(x: f32, epoch: u32) -> Body {
        Body { epoch: Epoch(epoch), at: uplink::placement_of(&at(x)), resting: false }
    }

    fn grab(table: &mut BodyTable, peer: PeerNumber, hold: u8, now: i64) -> Result<Epoch, String> {
        if table.handle_grab(peer, hold, CRATE, at(0.0), Timestamp(now)) {
            table.handle_decided(peer, hold, Ok(()), Timestamp(now));
        }
        let answer = |output| match output {
            BodyOutput::One(_, ToPeer::Held { epoch, .. }) => Some(Ok(epoch)),
            BodyOutput::One(_, ToPeer::GrabRefused { why, .. }) => Some(Err(why)),
            _ => None,
        };
        table.poll().into_iter().find_map(answer).expect("every grab is answered")
    }

    fn lies(table: &BodyTable) -> (PeerNumber, f32) {
        let Some(ToPeer::Body(news)) = table.all().next() else { panic!("no body") };
        (news.lease.holder, news.at.place[0])
    }

    #[test]
    fn what_was_carried_lies_where_it_was_left_and_its_former_holder_is_fenced() {
        let mut table = BodyTable::default();
        assert_eq!(grab(&mut table, ADA, 3, 0), Ok(Epoch(1)));
        assert!(grab(&mut table, BOB, 3, 0).unwrap_err().contains("someone else"));
        table.handle_move(ADA, 3, moved(1.0, 1), Timestamp(10));
        table.handle_move(ADA, 3, moved(9.0, 0), Timestamp(11));
        table.handle_move(BOB, 3, moved(9.0, 1), Timestamp(11));
        assert_eq!((lies(&table), table.fenced), ((ADA, 1.0), 2));
        table.handle_release(BOB, 3, at(9.0), Timestamp(12));
        table.handle_release(ADA, 3, at(2.0), Timestamp(12));
        assert_eq!((lies(&table), table.fenced), ((PeerNumber::HOST, 2.0), 3));
        assert!(table.poll().contains(&BodyOutput::Rested { thing: CRATE, at: at(2.0) }));
        table.handle_move(ADA, 3, moved(5.0, 1), Timestamp(13));
        assert_eq!(grab(&mut table, BOB, 0, 14), Ok(Epoch(3)));
        assert_eq!((lies(&table), table.fenced), ((BOB, 2.0), 4), "it does not jump to where it was before");
    }

    #[test]
    fn a_lease_goes_home_when_its_holder_leaves_or_falls_silent() {
        let mut table = BodyTable::default();
        grab(&mut table, ADA, 0, 0).unwrap();
        table.handle_move(ADA, 0, moved(4.0, 1), Timestamp(10));
        let silence = limits::HOLDER_SILENCE.as_micros() as i64;
        table.handle_heard(ADA, Timestamp(500_000));
        table.tick(Timestamp(silence + 400_000));
        assert_eq!(lies(&table), (ADA, 4.0), "she was heard");
        table.tick(Timestamp(silence + 500_001));
        assert_eq!(lies(&table), (PeerNumber::HOST, 4.0));
        table.handle_move(ADA, 0, moved(5.0, 1), Timestamp(10));
        assert_eq!(table.fenced, 1, "what she says afterwards comes too late");
        grab(&mut table, BOB, 0, silence).unwrap();
        table.handle_left(BOB, Timestamp(silence + 1));
        assert_eq!(lies(&table), (PeerNumber::HOST, 4.0));
    }

    #[test]
    fn who_lets_go_before_the_answer_has_put_it_there_all_the_same() {
        let mut table = BodyTable::default();
        assert!(table.handle_grab(ADA, 0, CRATE, at(0.0), Timestamp(0)));
        table.handle_release(ADA, 0, at(6.0), Timestamp(1));
        table.handle_decided(ADA, 0, Ok(()), Timestamp(2));
        assert_eq!(lies(&table), (PeerNumber::HOST, 6.0));
        assert!(table.handle_grab(ADA, 0, CRATE, at(0.0), Timestamp(3)), "the number of the hold is free again");
        table.handle_decided(ADA, 0, Err("not yours".to_owned()), Timestamp(4));
        assert_eq!(lies(&table), (PeerNumber::HOST, 6.0));
    }

    #[test]
    fn who_grabs_without_end_is_told_to_wait_and_holds_no_more_than_two_hands_full() {
        let mut table = BodyTable::default();
        let asked = (0..=255u8).filter(|n| table.handle_grab(ADA, *n, ThingId([*n; 16]), at(0.0), Timestamp(0)));
        assert_eq!(asked.count(), limits::BODIES_HELD);
        table.handle_left(ADA, Timestamp(0));
        assert_eq!(table.holds.len(), 0);
        table.poll();
        let mut taken = 0;
        for n in 0..1000i64 {
            if grab(&mut table, ADA, 0, n * 1000).is_ok() {
                taken += 1;
                table.handle_release(ADA, 0, at(0.0), Timestamp(n * 1000));
            }
        }
        let (per_sec, at_once) = limits::GRAB_RATE;
        assert!((at_once..=at_once + per_sec).contains(&taken), "{taken}");
    }

    #[test]
    fn what_the_record_has_put_elsewhere_is_no_body_any_more() {
        let mut table = BodyTable::default();
        table.restore(CRATE, at(3.0), Timestamp(0));
        assert_eq!(lies(&table), (PeerNumber::HOST, 3.0));
        grab(&mut table, ADA, 0, 0).unwrap();
        table.put_back(CRATE);
        assert!(table.all().next().is_none());
        table.handle_move(ADA, 0, moved(5.0, 1), Timestamp(1));
        table.handle_release(ADA, 0, at(5.0), Timestamp(2));
        assert_eq!(table.fenced, 2);
        assert_eq!(grab(&mut table, ADA, 0, 3), Ok(Epoch(1)), "it can be carried again, as another body");
    }
}
