//! What a machine's state is shown as: mark, word and colour, the same in tree, inspector and labels. A state that is
//! bad or stale is shown as unknown, never as the last one that was heard.

use bevy_egui::egui::Color32;
use gemba_twin::layout::tags;
use gemba_twin::machine_state::MachineState;
use gemba_twin::sample::{Quality, Sample, Timestamp};

use crate::readings::Readings;
use crate::site::{Site, ThingIndex};
use crate::theme;

/// The state of a thing that has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateMark {
    /// The machine says so now.
    Known(MachineState),
    /// Nobody knows at the moment.
    Unknown,
}

impl StateMark {
    /// The state of a thing; none for what has no state, such as a wall.
    pub fn of(site: &Site, readings: &Readings, thing: ThingIndex) -> Option<Self> {
        let tag = site.tag_named(thing, tags::STATE)?;
        Some(Self::from_sample(readings.newest(tag), readings.is_stale()))
    }

    /// When the thing went into alarm, the device's clock; none unless it is in alarm now.
    pub fn raised(site: &Site, readings: &Readings, thing: ThingIndex) -> Option<Timestamp> {
        let tag = site.tag_named(thing, tags::STATE)?;
        let sample = readings.newest(tag);
        let is_faulted = Self::from_sample(sample, readings.is_stale()) == StateMark::Known(MachineState::Faulted);
        sample.filter(|_| is_faulted).map(|sample| sample.source_time)
    }

    fn from_sample(sample: Option<&Sample>, stale: bool) -> Self {
        let live = sample.filter(|s| s.quality != Quality::Bad && !stale);
        let state = live.and_then(|s| s.value.as_ref()).and_then(MachineState::from_value);
        state.map_or(StateMark::Unknown, StateMark::Known)
    }

    /// A mark that needs no colour; in the monospace font, which has them all.
    pub fn mark(self) -> &'static str {
        match self {
            StateMark::Known(state) => state.mark(),
            StateMark::Unknown => "–",
        }
    }

    /// What a person reads.
    pub fn label(self) -> &'static str {
        match self {
            StateMark::Known(state) => state.label(),
            StateMark::Unknown => "state unknown",
        }
    }

    /// Grey unless a person should look.
    pub fn colour(self) -> Color32 {
        match self {
            StateMark::Known(state) => theme::state_colour(state),
            StateMark::Unknown => theme::QUIET,
        }
    }

    /// How much a person should look: 2 now, 1 soon, 0 not.
    pub fn urgency(self) -> u8 {
        match self {
            StateMark::Known(MachineState::Faulted) => 2,
            StateMark::Known(MachineState::Starved | MachineState::Blocked) => 1,
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gemba_twin::sample::{Timestamp, Value};

    fn sample(value: Value, quality: Quality) -> Sample {
        Sample { value: Some(value), quality, source_time: Timestamp(0), server_time: Timestamp(0) }
    }

    #[test]
    fn a_state_that_is_bad_or_stale_or_no_state_is_unknown() {
        let running = sample(Value::Int(2), Quality::Good);
        assert_eq!(StateMark::from_sample(Some(&running), false), StateMark::Known(MachineState::Running));
        assert_eq!(StateMark::from_sample(Some(&running), true), StateMark::Unknown);
        assert_eq!(StateMark::from_sample(Some(&sample(Value::Int(2), Quality::Bad)), false), StateMark::Unknown);
        assert_eq!(StateMark::from_sample(Some(&sample(Value::Int(77), Quality::Good)), false), StateMark::Unknown);
        assert_eq!(StateMark::from_sample(None, false), StateMark::Unknown);
    }
}
