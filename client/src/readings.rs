//! The newest sample of every tag, its recent past, and how old the data was when it arrived. Only the link writes it.

use std::collections::VecDeque;

use bevy::prelude::*;
use gemba_twin::path::TagId;
use gemba_twin::sample::{Quality, Sample, Timestamp};

/// Samples kept per tag: five minutes at one every 75 ms, the densest a tag of the demo changes.
const HISTORY: usize = 4000;

/// Ages kept for the report and the status bar.
const AGES: usize = 20_000;

/// What is known of one tag.
#[derive(Default)]
pub struct Reading {
    /// The newest sample, if there was one.
    pub newest: Option<Sample>,
    /// Numeric samples, oldest first, strictly increasing in time. A gap is a `NaN`.
    pub history: VecDeque<(Timestamp, f64)>,
}

/// What the devices say, as far as it has arrived.
#[derive(Resource, Default)]
pub struct Readings {
    tags: Vec<Reading>,
    dirty: Vec<TagId>,
    ages_micros: VecDeque<i64>,
    /// Samples taken in since the start.
    pub applied: u64,
    /// Set while nothing is heard from the host: everything shown is old.
    pub stale: bool,
    /// Newest word from the host, on the host's clock: "now" for everything that is live.
    pub now: Timestamp,
}

impl Readings {
    /// Takes in a sample. One that is not newer than what is known is ignored, since the wire may repeat itself.
    pub fn apply(&mut self, tag: TagId, sample: Sample) {
        let index = tag.0 as usize;
        if index >= gemba_twin::limits::TAGS {
            return;
        }
        if index >= self.tags.len() {
            self.tags.resize_with(index + 1, Reading::default);
        }
        let reading = &mut self.tags[index];
        if reading.newest.as_ref().is_some_and(|known| {
            (known.source_time, known.server_time, known.quality)
                >= (sample.source_time, sample.server_time, sample.quality)
        }) {
            return;
        }
        reading.remember(&sample);
        let (quality, source_time) = (sample.quality, sample.source_time);
        reading.newest = Some(sample);
        if quality != Quality::Bad {
            self.note_age(source_time);
        }
        self.dirty.push(tag);
        self.applied += 1;
    }

    fn note_age(&mut self, source_time: Timestamp) {
        if self.ages_micros.len() == AGES {
            self.ages_micros.pop_front();
        }
        self.ages_micros.push_back(self.now.micros_since(source_time));
    }

    /// What is known of a tag.
    pub fn get(&self, tag: TagId) -> Option<&Reading> {
        self.tags.get(tag.0 as usize)
    }

    /// The newest sample of a tag.
    pub fn newest(&self, tag: TagId) -> Option<&Sample> {
        self.get(tag)?.newest.as_ref()
    }

    /// The newest number of a tag that is not bad.
    pub fn number(&self, tag: TagId) -> Option<f64> {
        let sample = self.newest(tag).filter(|s| s.quality != Quality::Bad)?;
        sample.value.as_ref()?.as_number()
    }

    /// The tags that changed since the last call.
    pub fn take_dirty(&mut self) -> Vec<TagId> {
        std::mem::take(&mut self.dirty)
    }

    /// Age at arrival that `fraction` of the recent samples stayed below, in milliseconds.
    pub fn age_ms(&self, fraction: f64) -> Option<f64> {
        let mut ages: Vec<i64> = self.ages_micros.iter().copied().collect();
        if ages.is_empty() {
            return None;
        }
        let at = ((ages.len() - 1) as f64 * fraction).round() as usize;
        let (_, age, _) = ages.select_nth_unstable(at);
        Some(*age as f64 / 1000.0)
    }

    /// Forgets the ages so far: the host sends what it holds to a newcomer, however old that is.
    pub fn forget_ages(&mut self) {
        self.ages_micros.clear();
    }

    /// Seconds since a sample was true at its source.
    pub fn age_secs(&self, sample: &Sample) -> f64 {
        self.now.micros_since(sample.source_time) as f64 / 1e6
    }
}

impl Reading {
    fn remember(&mut self, sample: &Sample) {
        let number = match sample.quality {
            Quality::Bad => None,
            _ => sample.value.as_ref().and_then(|v| v.as_number()),
        };
        let number = number.unwrap_or(f64::NAN);
        if self.history.back().is_some_and(|(at, _)| *at >= sample.source_time) {
            return;
        }
        if self.history.len() == HISTORY {
            self.history.pop_front();
        }
        self.history.push_back((sample.source_time, number));
    }

    /// The number at an instant: held from the sample before it and, for a continuous quantity, led over into the
    /// next sample during the last `ramp_micros` before that (devices report changes only, so that a long silence
    /// means "as before" and not a slow drift). A step larger than `jump` is not led over.
    pub fn at(&self, instant: Timestamp, ramp_micros: i64, jump: f64) -> Option<f64> {
        let next = self.history.partition_point(|(at, _)| *at <= instant);
        let before = next.checked_sub(1).and_then(|i| self.history.get(i)).map(|(_, number)| *number);
        let Some((next_at, next_number)) = self.history.get(next) else { return before.filter(|n| !n.is_nan()) };
        let before = before.filter(|n| !n.is_nan())?;
        let left = next_at.micros_since(instant);
        if next_number.is_nan() || left >= ramp_micros || (next_number - before).abs() > jump {
            return Some(before);
        }
        let (last_at, _) = self.history[next - 1];
        let span = next_at.micros_since(last_at).min(ramp_micros) as f64;
        Some(next_number + (before - next_number) * (left as f64 / span).min(1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gemba_twin::sample::Value;

    fn sample(at_ms: i64, value: f64) -> Sample {
        Sample {
            value: Some(Value::Float(value)),
            quality: Quality::Good,
            source_time: Timestamp(at_ms * 1000),
            server_time: Timestamp(at_ms * 1000),
        }
    }

    fn reading(samples: &[(i64, f64)]) -> Reading {
        let mut reading = Reading::default();
        samples.iter().for_each(|(at, v)| reading.remember(&sample(*at, *v)));
        reading
    }

    #[test]
    fn a_value_is_held_through_silence_and_led_over_only_just_before_the_next() {
        let r = reading(&[(0, 1.0), (10_000, 2.0)]);
        let at = |ms: i64| r.at(Timestamp(ms * 1000), 100_000, f64::INFINITY).unwrap();
        assert_eq!((at(5_000), at(9_900), at(9_950), at(10_000), at(20_000)), (1.0, 1.0, 1.5, 2.0, 2.0));
    }

    #[test]
    fn a_jump_is_not_smeared() {
        let r = reading(&[(0, 0.0), (50, 30.0)]);
        assert_eq!(r.at(Timestamp(25_000), 100_000, 1.0), Some(0.0));
    }

    #[test]
    fn bad_quality_is_a_gap_not_a_value() {
        let mut readings = Readings::default();
        readings.apply(TagId(0), sample(0, 5.0));
        let bad = Sample { quality: Quality::Bad, value: None, ..sample(10, 0.0) };
        readings.apply(TagId(0), bad);
        assert_eq!(readings.number(TagId(0)), None);
        assert_eq!(readings.get(TagId(0)).unwrap().at(Timestamp(20_000), 0, 0.0), None);
    }

    #[test]
    fn a_repeated_sample_counts_once() {
        let mut readings = Readings::default();
        readings.apply(TagId(3), sample(10, 1.0));
        readings.apply(TagId(3), sample(10, 1.0));
        assert_eq!((readings.applied, readings.take_dirty()), (1, vec![TagId(3)]));
    }
}
