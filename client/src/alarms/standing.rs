//! Which alarms stand, looked at a few times a second. Deciding only; nothing is drawn here.

use bevy::prelude::*;
use gemba_record::command::AlarmAckState;
use gemba_twin::layout::tags;
use gemba_twin::path::ThingId;
use gemba_twin::sample::Timestamp;

use crate::link::Connection;
use crate::readings::Readings;
use crate::site::{Site, ThingIndex};
use crate::state_mark::StateMark;

/// Looked at this often: people do not read faster.
const EVERY_SECS: f64 = 0.25;

/// An alarm that stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    /// What is out of order.
    pub thing: ThingIndex,
    /// Its name in the record.
    pub id: ThingId,
    /// Since when, the device's clock.
    pub raised: Timestamp,
    /// Who has acknowledged it.
    pub seen: Option<Seen>,
}

/// An acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// What people call who said so.
    pub by: String,
    /// What they said with it.
    pub text: String,
}

/// The alarms that stand at the instant shown: those that nobody has seen first, then the newest.
#[derive(Resource, Debug, Default)]
pub struct Alarms {
    all: Vec<Alarm>,
    /// Machines whose state nobody knows.
    pub unknown: usize,
    with_state: Vec<ThingIndex>,
    revision: Option<u64>,
    looked_at: Option<f64>,
}

impl Alarms {
    /// All of them, in the order people read them.
    pub fn all(&self) -> &[Alarm] {
        &self.all
    }

    /// How many nobody has seen.
    pub fn unseen(&self) -> usize {
        self.all.iter().take_while(|alarm| alarm.seen.is_none()).count()
    }

    /// Looks at every machine.
    fn update(&mut self, site: &Site, readings: &Readings, seen: impl Fn(ThingId, Timestamp) -> Option<Seen>) {
        if self.revision != Some(site.revision) {
            self.with_state = site.present().filter(|thing| site.tag_named(*thing, tags::STATE).is_some()).collect();
            self.revision = Some(site.revision);
        }
        let marks = self.with_state.iter().map(|thing| StateMark::of(site, readings, *thing));
        self.unknown = marks.filter(|mark| *mark == Some(StateMark::Unknown)).count();
        let alarm = |&thing: &ThingIndex| {
            let raised = StateMark::raised(site, readings, thing)?;
            let id = site.standing(thing)?.id;
            Some(Alarm { thing, id, raised, seen: seen(id, raised) })
        };
        self.all = self.with_state.iter().filter_map(alarm).collect();
        self.all.sort_by_key(|alarm| (alarm.seen.is_some(), std::cmp::Reverse(alarm.raised), alarm.thing));
    }
}

/// Looks, if it is time.
pub(super) fn look(
    mut alarms: ResMut<Alarms>,
    site: Res<Site>,
    readings: Res<Readings>,
    connection: Res<Connection>,
    time: Res<Time<Real>>,
) {
    let now = time.elapsed_secs_f64();
    if alarms.looked_at.is_some_and(|at| now - at < EVERY_SECS) {
        return;
    }
    alarms.looked_at = Some(now);
    let fold = connection.fold();
    alarms.update(&site, &readings, |thing, raised| {
        let fold = fold?;
        let ack = acknowledged(fold.alarm_ack(thing)?, raised)?;
        let by = fold.peer(&ack.author).map_or_else(|| "Somebody".to_owned(), |peer| peer.name.clone());
        Some(Seen { by, text: ack.text.clone() })
    });
}

/// An acknowledgement is of one alarm: the next of the same machine is another.
fn acknowledged(ack: &AlarmAckState, raised: Timestamp) -> Option<&AlarmAckState> {
    (ack.raised >= raised).then_some(ack)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gemba_twin::path::TagId;
    use gemba_twin::sample::{Quality, Sample, Value, ValueKind};
    use gemba_twin::tag::{Tag, Unit};
    use gemba_twin::thing::{Class, Level, Thing};

    fn site() -> Site {
        let mut site = Site::default();
        let thing = |path: &str| Thing {
            path: path.parse().unwrap(),
            level: Level::Unit,
            class: Class::Other,
            bindings: Vec::new(),
        };
        let tag = |path: &str| Tag {
            path: path.parse().unwrap(),
            kind: ValueKind::Int,
            unit: Unit::default(),
            range: None,
            writable: false,
        };
        site.set_things(["Cnc1", "Cnc2", "Cnc3", "Wall"].map(thing).to_vec());
        site.set_tags(["Cnc1/State", "Cnc2/State", "Cnc3/State"].map(tag).to_vec());
        site
    }

    fn told(readings: &mut Readings, tag: u32, state: i64, at: i64) {
        let at = Timestamp(at);
        let sample =
            Sample { value: Some(Value::Int(state)), quality: Quality::Good, source_time: at, server_time: at };
        readings.apply(TagId(tag), sample);
    }

    #[test]
    fn what_nobody_has_seen_comes_first_then_the_newest_and_what_runs_is_no_alarm() {
        let (site, mut readings, mut alarms) = (site(), Readings::default(), Alarms::default());
        for (tag, state, at) in [(0, 5, 30), (1, 5, 10), (2, 5, 20)] {
            told(&mut readings, tag, state, at);
        }
        let somebody =
            |_, raised| (raised == Timestamp(30)).then(|| Seen { by: "Ada".to_owned(), text: String::new() });
        alarms.update(&site, &readings, somebody);
        let order: Vec<_> = alarms.all().iter().map(|alarm| alarm.raised.0).collect();
        assert_eq!((order, alarms.unseen(), alarms.unknown), (vec![20, 10, 30], 2, 0));
        told(&mut readings, 2, 2, 40);
        alarms.update(&site, &readings, somebody);
        assert_eq!((alarms.all().len(), alarms.unseen()), (2, 1));
    }

    #[test]
    fn a_lost_host_leaves_no_alarm_and_nobody_knows_any_state() {
        let (site, mut readings, mut alarms) = (site(), Readings::default(), Alarms::default());
        told(&mut readings, 0, 5, 1);
        readings.set_lost(true);
        alarms.update(&site, &readings, |_, _| None);
        assert_eq!((alarms.all().len(), alarms.unknown), (0, 3));
    }

    #[test]
    fn an_acknowledgement_is_of_one_alarm_and_not_of_the_next() {
        let ack = AlarmAckState {
            raised: Timestamp(10),
            text: String::new(),
            author: gemba_twin::peer::PeerKey([1; 32]),
            index: 1,
        };
        assert!(acknowledged(&ack, Timestamp(10)).is_some());
        assert!(acknowledged(&ack, Timestamp(11)).is_none());
    }
}
