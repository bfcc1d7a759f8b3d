//! What a peer holds, and what it knows of the bodies of its site: takes what its owner wants and what the host says, and
//! gives back what to say. A hold outlives an interruption: it is asked for again, and if that fails the owner is told.

use std::collections::{BTreeMap, BTreeSet};

use gemba_twin::path::ThingId;
use gemba_twin::sample::Timestamp;

use crate::body::{Body, BodyNumber, Epoch};
use crate::limits;
use crate::link::{BodyTold, LinkEvent};
use crate::peers::{PeerNumber, TrackedPoint};
use crate::relay::Sample;
use crate::uplink::{self, Teller};
use crate::wire::{BodyNews, ToHost};

/// One thing in hand.
#[derive(Debug)]
struct Hold {
    number: u8,
    /// None until the host has said that it is ours.
    epoch: Option<Epoch>,
    at: TrackedPoint,
    /// Let go while there was no host to tell.
    is_over: bool,
    /// Whether it was moved since the last ping, and whether the host is told that it was not.
    has_moved: bool,
    rests: bool,
}

/// A body as the host last told it.
#[derive(Debug)]
struct Known {
    thing: ThingId,
    epoch: Epoch,
    when: Timestamp,
}

/// All that one peer holds and knows.
#[derive(Debug, Default)]
pub(crate) struct Holding {
    me: Option<PeerNumber>,
    holds: BTreeMap<ThingId, Hold>,
    next: u8,
    bodies: BTreeMap<BodyNumber, Known>,
    /// Those that are gone: what a newcomer is told of them is late.
    gone: BTreeSet<BodyNumber>,
    /// To be said on the control stream.
    said: Vec<ToHost>,
}

impl Holding {
    /// What is to be said to the host.
    pub(crate) fn poll(&mut self) -> Vec<ToHost> {
        std::mem::take(&mut self.said)
    }

    /// A session begins: what is in hand is asked for again.
    pub(crate) fn handle_welcome(&mut self, me: PeerNumber) {
        self.me = Some(me);
        self.said.clear();
        for (thing, hold) in &self.holds {
            self.said.push(ToHost::Grab { hold: hold.number, thing: *thing, from: hold.at });
            if hold.is_over {
                self.said.push(ToHost::Release { hold: hold.number, at: hold.at });
            }
        }
        self.holds.retain(|_, hold| !hold.is_over);
    }

    /// The session is over. Numbers of bodies, peers and leases were of that one.
    pub(crate) fn handle_lost(&mut self) {
        (self.me, self.bodies) = (None, BTreeMap::new());
        self.gone.clear();
        self.said.clear();
        self.holds.values_mut().for_each(|hold| hold.epoch = None);
    }

    /// Takes a thing in hand; whether it becomes ours the host says.
    pub(crate) fn grab(&mut self, thing: ThingId, from: TrackedPoint) {
        if self.holds.contains_key(&thing) || self.holds.len() >= limits::BODIES_HELD {
            return;
        }
        // Fewer are in hand than there are numbers.
        while self.holds.values().any(|hold| hold.number == self.next) {
            self.next = self.next.wrapping_add(1);
        }
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        let hold = Hold { number, epoch: None, at: from, is_over: false, has_moved: false, rests: false };
        self.holds.insert(thing, hold);
        if self.me.is_some() {
            self.said.push(ToHost::Grab { hold: number, thing, from });
        }
    }

    /// Carries what is in hand. True if there is something to send.
    pub(crate) fn carry(&mut self, thing: ThingId, at: TrackedPoint, teller: &mut Teller) -> bool {
        let Some(hold) = self.holds.get_mut(&thing).filter(|hold| !hold.is_over) else { return false };
        (hold.at, hold.has_moved, hold.rests) = (at, true, false);
        hold.tell(teller);
        hold.epoch.is_some()
    }

    /// Lets go.
    pub(crate) fn release(&mut self, thing: ThingId, at: TrackedPoint, teller: &mut Teller) {
        let Some(hold) = self.holds.get_mut(&thing) else { return };
        if self.me.is_none() {
            (hold.at, hold.is_over) = (at, true);
            return;
        }
        self.said.push(ToHost::Release { hold: hold.number, at });
        teller.forget_body(hold.number);
        self.holds.remove(&thing);
    }

    /// Now and then: what is in hand and was not moved since the last time rests there.
    pub(crate) fn rest(&mut self, teller: &mut Teller) {
        for hold in self.holds.values_mut() {
            if !std::mem::take(&mut hold.has_moved) && !hold.rests {
                hold.rests = true;
                hold.tell(teller);
            }
        }
    }

    /// The host has given us what we asked for.
    pub(crate) fn handle_held(&mut self, number: u8, epoch: Epoch, teller: &mut Teller) -> Option<LinkEvent> {
        let (thing, hold) = self.holds.iter_mut().find(|(_, hold)| hold.number == number)?;
        (hold.epoch, hold.rests) = (Some(epoch), false);
        hold.tell(teller);
        Some(LinkEvent::Grabbed { thing: *thing })
    }

    /// The host has not.
    pub(crate) fn handle_refused(&mut self, number: u8, why: String) -> Option<LinkEvent> {
        let thing = self.holds.iter().find(|(_, hold)| hold.number == number).map(|(thing, _)| *thing)?;
        self.holds.remove(&thing);
        Some(LinkEvent::GrabRefused { thing, why })
    }

    /// A body has changed hands.
    pub(crate) fn handle_body(&mut self, news: BodyNews, teller: &mut Teller) -> BodyTold {
        let BodyNews { body, thing, lease, at, when } = news;
        self.bodies.insert(body, Known { thing, epoch: lease.epoch, when });
        let held = self.holds.get(&thing).and_then(|hold| Some((hold.number, hold.epoch?)));
        let lost = held.filter(|(_, epoch)| *epoch != lease.epoch && !is_older(lease.epoch, *epoch));
        if let Some((number, _)) = lost {
            teller.forget_body(number);
            self.holds.remove(&thing);
        }
        let holder = Some(lease.holder).filter(|holder| *holder != PeerNumber::HOST);
        BodyTold { thing, holder, at, when, is_lost: lost.is_some() }
    }

    /// As [`Self::handle_body`], of what a newcomer is told of all bodies: newer words may have overtaken it.
    pub(crate) fn handle_joined(&mut self, news: BodyNews, teller: &mut Teller) -> Option<BodyTold> {
        let is_late = self.bodies.get(&news.body).is_some_and(|known| !is_older(known.epoch, news.lease.epoch));
        (!is_late && !self.gone.contains(&news.body)).then(|| self.handle_body(news, teller))
    }

    /// A body is where the record says.
    pub(crate) fn handle_gone(&mut self, body: BodyNumber, teller: &mut Teller) -> Option<LinkEvent> {
        self.gone.insert(body);
        let thing = self.bodies.remove(&body)?.thing;
        if let Some(hold) = self.holds.remove(&thing) {
            teller.forget_body(hold.number);
        }
        Some(LinkEvent::BodyGone { thing })
    }

    /// A datagram has told of a body. What newer words have overtaken, or a former holder has said, is left out.
    pub(crate) fn handle_sample(&mut self, body: BodyNumber, sample: &Sample) -> Option<LinkEvent> {
        // One that has not been heard of yet is told with its place when it is.
        let known = self.bodies.get_mut(&body)?;
        let when = Timestamp(sample.millis().cast_signed().saturating_mul(1000));
        let (at, epoch) = sample.body();
        let behind = known.when.micros_since(when);
        // Far behind is a host whose clock was set back.
        let is_late = (0..limits::POSE_OVERTAKEN.as_micros() as i64).contains(&behind) && known.when != when;
        if is_late || is_older(epoch, known.epoch) {
            return None;
        }
        known.when = when;
        Some(LinkEvent::BodyMoved { thing: known.thing, at, when, rests: sample.is_resting() })
    }
}

impl Hold {
    fn tell(&self, teller: &mut Teller) {
        if let Some(epoch) = self.epoch {
            let at = uplink::placement_of(&self.at);
            teller.tell_body(self.number, Body { epoch, at, resting: self.rests });
        }
    }
}

/// Whether an epoch came before another; they wrap.
fn is_older(epoch: Epoch, than: Epoch) -> bool {
    (epoch.0.wrapping_sub(than.0) as i32) < 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::Lease;

    const ME: PeerNumber = PeerNumber(4);
    const CRATE: ThingId = ThingId([7; 16]);

    fn at(x: f32) -> TrackedPoint {
        TrackedPoint { place: [x, 0.0, 0.0], rotation: [0.0, 0.0, 0.0, 1.0] }
    }

    fn news(holder: PeerNumber, epoch: u32, x: f32) -> BodyNews {
        let lease = Lease { holder, epoch: Epoch(epoch) };
        BodyNews { body: BodyNumber(0), thing: CRATE, lease, at: at(x), when: Timestamp(i64::from(epoch)) }
    }

    #[test]
    fn a_hold_is_asked_for_again_after_an_interruption_and_what_was_let_go_meanwhile_lies_there() {
        let (mut holding, mut teller) = (Holding::default(), Teller::default());
        holding.grab(CRATE, at(0.0));
        assert_eq!(holding.poll(), [], "there is nobody to ask yet");
        holding.handle_welcome(ME);
        assert_eq!(holding.poll(), [ToHost::Grab { hold: 0, thing: CRATE, from: at(0.0) }]);
        assert!(!holding.carry(CRATE, at(1.0), &mut teller), "it is not ours yet");
        assert_eq!(holding.handle_held(0, Epoch(1), &mut teller), Some(LinkEvent::Grabbed { thing: CRATE }));
        assert_eq!(teller.packets().len(), 1, "where it is by now");
        holding.handle_lost();
        holding.carry(CRATE, at(2.0), &mut teller);
        holding.release(CRATE, at(3.0), &mut teller);
        holding.handle_welcome(ME);
        let again = [ToHost::Grab { hold: 0, thing: CRATE, from: at(3.0) }, ToHost::Release { hold: 0, at: at(3.0) }];
        assert_eq!(holding.poll(), again);
    }

    #[test]
    fn whose_lease_is_gone_is_told_so_once_and_an_old_word_takes_nothing_away() {
        let (mut holding, mut teller) = (Holding::default(), Teller::default());
        holding.handle_welcome(ME);
        holding.grab(CRATE, at(0.0));
        holding.handle_held(0, Epoch(3), &mut teller);
        let lost = |told: BodyTold| told.is_lost;
        assert!(!lost(holding.handle_body(news(PeerNumber::HOST, 2, 0.0), &mut teller)), "of before we had it");
        assert!(!lost(holding.handle_body(news(ME, 3, 0.0), &mut teller)));
        assert!(lost(holding.handle_body(news(PeerNumber::HOST, 4, 0.0), &mut teller)));
        assert!(!lost(holding.handle_body(news(PeerNumber(9), 5, 0.0), &mut teller)));
        assert!(!holding.carry(CRATE, at(1.0), &mut teller));
    }

    #[test]
    fn a_former_holders_motion_and_a_late_one_are_not_shown() {
        let (mut holding, mut teller) = (Holding::default(), Teller::default());
        holding.handle_body(news(ME, 5, 0.0), &mut teller);
        let mut shown = |epoch, millis| {
            let sample = Sample::of_body(&uplink::placement_of(&at(1.0)), Epoch(epoch), millis);
            holding.handle_sample(BodyNumber(0), &sample).is_some()
        };
        assert_eq!(
            [shown(5, 40), shown(4, 60), shown(5, 20), shown(5, 40), shown(6, 80)],
            [true, false, false, true, true]
        );
        let unheard = Sample::of_body(&uplink::placement_of(&at(1.0)), Epoch(0), 1);
        assert!(holding.handle_sample(BodyNumber(9), &unheard).is_none());
    }
}
