//! How many machines below each thing are out of order, so that a closed branch does not hide one.

use gemba_twin::layout::tags;

use crate::readings::Readings;
use crate::site::{Site, ThingIndex};
use crate::state_mark::StateMark;

/// Looked at this often: people do not read faster.
const EVERY_SECS: f64 = 0.25;

/// Counts of faulted things by thing, itself included.
#[derive(Debug, Default)]
pub(super) struct Faults {
    counts: Vec<u32>,
    with_state: Vec<ThingIndex>,
    revision: Option<u64>,
    counted_at: Option<f64>,
}

impl Faults {
    /// How many things at or below this one are faulted.
    pub(super) fn below(&self, thing: ThingIndex) -> u32 {
        self.counts.get(thing.0).copied().unwrap_or(0)
    }

    /// Counts again, if it is time.
    pub(super) fn update(&mut self, site: &Site, readings: &Readings, now_secs: f64) {
        let changed = self.revision != Some(site.revision);
        if changed {
            self.with_state = site.present().filter(|thing| site.tag_named(*thing, tags::STATE).is_some()).collect();
            self.revision = Some(site.revision);
        } else if self.counted_at.is_some_and(|at| now_secs - at < EVERY_SECS) {
            return;
        }
        self.counted_at = Some(now_secs);
        self.counts.clear();
        self.counts.resize(site.things().len(), 0);
        for &thing in &self.with_state {
            if StateMark::of(site, readings, thing).is_none_or(|mark| mark.urgency() < 2) {
                continue;
            }
            let mut at = Some(thing);
            while let Some(above) = at {
                self.counts[above.0] += 1;
                at = site.parent(above);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gemba_twin::path::TagId;
    use gemba_twin::sample::{Quality, Sample, Timestamp, Value, ValueKind};
    use gemba_twin::tag::{Tag, Unit};
    use gemba_twin::thing::{Class, Level, Thing};

    fn site() -> Site {
        let mut site = Site::default();
        let thing = |path: &str| Thing {
            path: path.parse().unwrap(),
            level: Level::Part,
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
        site.set_things(["Hall1", "Hall1/Line1", "Hall1/Line1/Cnc1", "Hall1/Line2"].map(thing).to_vec());
        site.set_tags(vec![tag("Hall1/Line1/Cnc1/State")]);
        site
    }

    #[test]
    fn a_fault_is_seen_on_every_branch_above_it_and_goes_when_stale() {
        let site = site();
        let mut readings = Readings::default();
        let (quality, at) = (Quality::Good, Timestamp(1));
        let faulted = Sample { value: Some(Value::Int(5)), quality, source_time: at, server_time: at };
        readings.apply(TagId(0), faulted);
        let mut faults = Faults::default();
        let below =
            |faults: &Faults| ["Hall1", "Hall1/Line1", "Hall1/Line2"].map(|p| faults.below(site.find(p).unwrap()));
        faults.update(&site, &readings, 0.0);
        assert_eq!(below(&faults), [1, 1, 0]);
        readings.set_lost(true);
        faults.update(&site, &readings, 10.0);
        assert_eq!(below(&faults), [0, 0, 0], "a state nobody knows is not shown as if it were known");
    }
}
