//! How a link's thread hands over what is worthless when late: where others are, and what they say. It never waits for the
//! program that polls. Of each avatar and body the newest place that found no room waits; of a voice nothing does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use gemba_twin::path::ThingId;
use tokio::sync::mpsc;

use crate::link::{Counters, LinkEvent};
use crate::peers::PeerNumber;

/// Whose place an event tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Whose {
    Avatar(PeerNumber),
    Fingers(PeerNumber),
    Body(ThingId),
}

/// What waits to be handed over.
#[derive(Debug)]
pub(crate) struct Handover {
    events: mpsc::Sender<LinkEvent>,
    counters: Arc<Counters>,
    waiting: BTreeMap<Whose, LinkEvent>,
}

impl Handover {
    /// Into this queue.
    pub(crate) fn new(events: mpsc::Sender<LinkEvent>, counters: Arc<Counters>) -> Self {
        Self { events, counters, waiting: BTreeMap::new() }
    }

    /// Hands on what has come.
    pub(crate) fn offer(&mut self, events: Vec<LinkEvent>) {
        for event in events {
            let Some(whose) = whose(&event) else {
                // A word that nobody has time for now is worth nothing later.
                if self.events.try_send(event).is_err() {
                    self.counters.voices_dropped.fetch_add(1, Relaxed);
                }
                continue;
            };
            if self.waiting.remove(&whose).is_some() {
                self.counters.poses_dropped.fetch_add(1, Relaxed);
            }
            if let Err(error) = self.events.try_send(event) {
                self.waiting.insert(whose, error.into_inner());
            }
        }
    }

    /// A word that must not be overtaken by an older place is about to be told: that place is worthless.
    pub(crate) fn make_way(&mut self, event: &LinkEvent) {
        match event {
            LinkEvent::Left(peer) => {
                self.waiting.remove(&Whose::Fingers(*peer));
                self.waiting.remove(&Whose::Avatar(*peer));
            }
            LinkEvent::Bodies(told) if !self.waiting.is_empty() => {
                told.iter().for_each(|told| drop(self.waiting.remove(&Whose::Body(told.thing))));
            }
            LinkEvent::BodyGone { thing } => drop(self.waiting.remove(&Whose::Body(*thing))),
            _ => {}
        }
    }

    /// Tries again.
    pub(crate) fn retry(&mut self) {
        let events = &self.events;
        self.waiting.retain(|_, event| events.try_send(event.clone()).is_err());
    }
}

fn whose(event: &LinkEvent) -> Option<Whose> {
    match event {
        LinkEvent::Pose { peer, .. } => Some(Whose::Avatar(*peer)),
        LinkEvent::Fingers { peer, .. } => Some(Whose::Fingers(*peer)),
        LinkEvent::BodyMoved { thing, .. } => Some(Whose::Body(*thing)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nearby::NearbyFrame;
    use crate::peers::TrackedPoint;
    use gemba_twin::sample::Timestamp;

    #[test]
    fn the_newest_place_waits_for_a_program_that_is_busy_and_old_words_are_lost() {
        let (sender, mut events) = mpsc::channel(1);
        let counters = Arc::new(Counters::default());
        let mut handover = Handover::new(sender, counters.clone());
        let moved = |thing: u8, x: f32| {
            let at = TrackedPoint { place: [x, 0.0, 0.0], rotation: [0.0, 0.0, 0.0, 1.0] };
            LinkEvent::BodyMoved { thing: ThingId([thing; 16]), at, when: Timestamp(0), rests: false }
        };
        let word = LinkEvent::Voice(NearbyFrame { peer: PeerNumber(1), number: 0, bytes: vec![1] });
        handover.offer(vec![moved(1, 1.0), moved(2, 1.0), moved(2, 2.0), moved(3, 1.0), word]);
        assert_eq!(counters.poses_dropped.load(Relaxed), 1);
        assert_eq!(counters.voices_dropped.load(Relaxed), 1);
        handover.make_way(&LinkEvent::BodyGone { thing: ThingId([3; 16]) });
        assert_eq!(events.try_recv(), Ok(moved(1, 1.0)));
        handover.retry();
        assert_eq!(events.try_recv(), Ok(moved(2, 2.0)));
        handover.retry();
        assert!(events.try_recv().is_err());
    }
}
