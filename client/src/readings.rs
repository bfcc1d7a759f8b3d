//! What the tags read at the instant that is shown: live, or in the past while the cursor is there. Of each tag the sample
//! in force and what came before it; and how old the data was when it arrived. Features read it and need not know which
//! of both it is. Only the link writes what is live, and only `past` what was.

use std::collections::VecDeque;
use std::time::Duration;

use bevy::prelude::*;
use gemba_net::TagWindow;
use gemba_twin::path::TagId;
use gemba_twin::sample::{Quality, Sample, Timestamp};

/// Samples kept per tag: five minutes at one every 75 ms, the densest a tag of the demo changes.
const HISTORY: usize = 4000;

/// Ages kept for the report and the status bar.
const AGES: usize = 20_000;

/// The picture of what is live lies this far behind the newest word, so that motion can be led from one sample to the
/// next instead of guessed: one publishing interval of 50 ms, and as much again for jitter.
pub const PICTURE_DELAY: Duration = Duration::from_millis(120);

/// What is known of one tag.
#[derive(Default, Clone)]
pub struct Reading {
    /// The newest sample, if there was one; in the past, the one in force.
    pub newest: Option<Sample>,
    /// Numeric samples, oldest first, strictly increasing in time. A gap is a `NaN`.
    pub history: VecDeque<(Timestamp, f64)>,
    /// Spans in which there were more samples than the history has: their beginning, end, lowest and highest number.
    /// Oldest first.
    pub envelope: VecDeque<Span>,
    /// The sample after these, which only the past knows.
    pub next: Option<(Timestamp, f64)>,
}

/// All that a fast tag read in a span of time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Span {
    /// Its beginning.
    pub from: Timestamp,
    /// Its end.
    pub to: Timestamp,
    /// The lowest number in it.
    pub lowest: f64,
    /// The highest.
    pub highest: f64,
}

/// All tags at one instant.
#[derive(Default)]
struct Lane {
    tags: Vec<Reading>,
    dirty: Vec<TagId>,
    now: Timestamp,
}

/// What the devices say, as far as it has arrived, at the instant that is shown.
#[derive(Resource, Default)]
pub struct Readings {
    live: Lane,
    /// While the cursor is not live.
    past: Option<Lane>,
    lost: bool,
    ages_micros: VecDeque<i64>,
    /// Samples taken in since the start.
    pub applied: u64,
}

impl Readings {
    /// Takes in a live sample. One that is not newer than what is known is ignored, since the wire may repeat itself.
    pub fn apply(&mut self, tag: TagId, sample: Sample) {
        let Some(reading) = self.live.reading(tag) else { return };
        if reading.newest.as_ref().is_some_and(|known| {
            (known.source_time, known.server_time, known.quality)
                >= (sample.source_time, sample.server_time, sample.quality)
        }) {
            return;
        }
        let number = match sample.quality {
            Quality::Bad => None,
            _ => sample.value.as_ref().and_then(|v| v.as_number()),
        };
        reading.remember(sample.source_time, number);
        let (quality, source_time) = (sample.quality, sample.source_time);
        reading.newest = Some(sample);
        if quality != Quality::Bad {
            self.note_age(source_time);
        }
        if self.past.is_none() {
            self.live.dirty.push(tag);
        }
        self.applied += 1;
    }

    /// Takes in all that a tag has read live in a span: its newest sample, and the numbers between which it was.
    pub fn apply_window(&mut self, window: TagWindow) {
        if let Some(reading) = self.live.reading(window.tag) {
            let (from, to) = (window.from, window.last.source_time);
            let is_next = reading.envelope.back().is_none_or(|span| span.to <= from);
            if is_next && window.numbers > 1 && window.lowest < window.highest {
                if reading.envelope.len() == HISTORY {
                    reading.envelope.pop_front();
                }
                let (lowest, highest) = (window.lowest, window.highest);
                reading.envelope.push_back(Span { from, to, lowest, highest });
            }
            if window.worst == Quality::Bad {
                // However short it was, and whatever it reads now.
                reading.remember(window.from, None);
            }
        }
        self.apply(window.tag, window.last);
    }

    fn note_age(&mut self, source_time: Timestamp) {
        if self.ages_micros.len() == AGES {
            self.ages_micros.pop_front();
        }
        self.ages_micros.push_back(self.live.now.micros_since(source_time));
    }

    /// Moves on what is live to the newest word from the host, on the host's clock.
    pub fn set_live_now(&mut self, now: Timestamp) {
        self.live.now = now;
    }

    /// Notes whether the host is lost: everything live is old then.
    pub fn set_lost(&mut self, lost: bool) {
        self.lost = lost;
    }

    /// Shows an instant of the past from now on. Until [`Self::recall`] says more, nothing is known of it.
    pub fn show_past(&mut self, instant: Timestamp) {
        let past = self.past.get_or_insert_with(|| Lane {
            dirty: (0..self.live.tags.len() as u32).map(TagId).collect(),
            ..Lane::default()
        });
        past.now = instant;
    }

    /// Says what one tag was in the past that is shown.
    pub fn recall(&mut self, tag: TagId, reading: Reading) {
        let Some(past) = &mut self.past else { return };
        if let Some(known) = past.reading(tag) {
            *known = reading;
            past.dirty.push(tag);
        }
    }

    /// Notes that a tag's number at the instant shown may differ from that at the one before.
    pub fn touch(&mut self, tag: TagId) {
        if let Some(past) = &mut self.past {
            past.dirty.push(tag);
        }
    }

    /// Forgets what was said of the past that is shown.
    pub fn forget_past(&mut self) {
        if let Some(past) = &mut self.past {
            past.dirty.extend((0..past.tags.len() as u32).map(TagId));
            past.tags.clear();
        }
    }

    /// Shows again what is live; it has gone on in the meantime.
    pub fn show_live(&mut self) {
        if let Some(past) = self.past.take() {
            let tags = past.tags.len().max(self.live.tags.len()) as u32;
            self.live.dirty = (0..tags).map(TagId).collect();
        }
    }

    fn shown(&self) -> &Lane {
        self.past.as_ref().unwrap_or(&self.live)
    }

    /// The instant that is shown, on the host's clock.
    pub fn now(&self) -> Timestamp {
        self.shown().now
    }

    /// Newest word from the host, whatever is shown.
    pub fn live_now(&self) -> Timestamp {
        self.live.now
    }

    /// Whether the past is shown.
    pub fn is_past(&self) -> bool {
        self.past.is_some()
    }

    /// The instant that the picture of the plant shows.
    pub fn picture_instant(&self) -> Timestamp {
        match &self.past {
            Some(past) => past.now,
            None => self.live.now.plus_micros(-(PICTURE_DELAY.as_micros() as i64)),
        }
    }

    /// Whether what is shown as live is old, because nothing is heard from the host. The past is never stale.
    pub fn is_stale(&self) -> bool {
        self.lost && self.past.is_none()
    }

    /// Whether nothing is heard from the host, whatever is shown.
    pub fn is_lost(&self) -> bool {
        self.lost
    }

    /// What is known of a tag.
    pub fn get(&self, tag: TagId) -> Option<&Reading> {
        self.shown().tags.get(tag.0 as usize)
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
        std::mem::take(&mut self.past.as_mut().unwrap_or(&mut self.live).dirty)
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

    /// Seconds since a sample was true at its source, at the instant that is shown.
    pub fn age_secs(&self, sample: &Sample) -> f64 {
        self.now().micros_since(sample.source_time) as f64 / 1e6
    }
}

impl Lane {
    /// The place of a tag; none beyond what a site may have.
    fn reading(&mut self, tag: TagId) -> Option<&mut Reading> {
        let index = tag.0 as usize;
        if index >= gemba_twin::limits::TAGS {
            return None;
        }
        if index >= self.tags.len() {
            self.tags.resize_with(index + 1, Reading::default);
        }
        self.tags.get_mut(index)
    }
}

impl Reading {
    /// Adds a number to the history, or the beginning of a gap. One that is not newer than the last is ignored.
    pub fn remember(&mut self, at: Timestamp, number: Option<f64>) {
        if self.history.back().is_some_and(|(known, _)| *known >= at) {
            return;
        }
        if self.history.len() == HISTORY {
            self.history.pop_front();
        }
        self.history.push_back((at, number.unwrap_or(f64::NAN)));
    }

    /// The number at an instant: held from the sample before it and, for a continuous quantity, led over into the
    /// next sample during the last `ramp_micros` before that (devices report changes only, so that a long silence
    /// means "as before" and not a slow drift). A step larger than `jump` is not led over.
    pub fn at(&self, instant: Timestamp, ramp_micros: i64, jump: f64) -> Option<f64> {
        let next = self.history.partition_point(|(at, _)| *at <= instant);
        let last = next.checked_sub(1).and_then(|i| self.history.get(i));
        let before = last.map(|(_, number)| *number).filter(|n| !n.is_nan());
        let Some((next_at, next_number)) = self.history.get(next).or(self.next.as_ref()) else { return before };
        let (before, (last_at, _)) = (before?, last?);
        let left = next_at.micros_since(instant);
        if next_number.is_nan() || left >= ramp_micros || (next_number - before).abs() > jump {
            return Some(before);
        }
        let span = next_at.micros_since(*last_at).min(ramp_micros) as f64;
        Some(next_number + (before - next_number) * (left as f64 / span).min(1.0))
    }

    /// The last number before a gap that has not ended.
    pub fn last_number(&self) -> Option<f64> {
        self.history.iter().rev().map(|(_, number)| *number).find(|number| !number.is_nan())
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
        samples.iter().for_each(|(at, v)| reading.remember(Timestamp(at * 1000), Some(*v)));
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
    fn the_past_is_shown_alone_and_what_is_live_has_gone_on_meanwhile() {
        let mut readings = Readings::default();
        let tag = TagId(2);
        readings.set_live_now(Timestamp(99_000));
        readings.apply(tag, sample(50, 1.0));
        readings.set_lost(true);
        readings.show_past(Timestamp(20_000));
        assert_eq!(readings.take_dirty(), [TagId(0), TagId(1), tag], "the picture of what is live must go");
        assert_eq!((readings.number(tag), readings.is_stale(), readings.is_lost()), (None, false, true));
        readings.recall(tag, Reading { newest: Some(sample(10, 7.0)), ..Reading::default() });
        readings.apply(tag, sample(60, 2.0));
        assert_eq!((readings.number(tag), readings.now()), (Some(7.0), Timestamp(20_000)));
        assert_eq!(readings.take_dirty(), [tag]);
        readings.forget_past();
        assert_eq!(readings.number(tag), None);
        readings.show_live();
        assert_eq!((readings.number(tag), readings.now()), (Some(2.0), Timestamp(99_000)));
        assert!(readings.take_dirty().contains(&tag));
    }

    #[test]
    fn the_past_knows_what_comes_next_and_leads_over_into_it() {
        let r = Reading { next: Some((Timestamp(10_000_000), 2.0)), ..reading(&[(0, 1.0)]) };
        let at = |ms: i64| r.at(Timestamp(ms * 1000), 100_000, f64::INFINITY).unwrap();
        assert_eq!((at(5_000), at(9_950)), (1.0, 1.5));
    }

    #[test]
    fn a_window_shows_its_extremes_its_newest_number_and_that_something_was_bad() {
        let mut readings = Readings::default();
        let window = |from_ms: i64, numbers, worst| TagWindow {
            tag: TagId(0),
            from: Timestamp(from_ms * 1000),
            count: 5,
            numbers,
            lowest: 1.0,
            mean: 2.0,
            highest: 9.0,
            worst,
            last: sample(from_ms + 90, 4.0),
        };
        readings.apply_window(window(0, 5, Quality::Good));
        readings.apply_window(window(100, 4, Quality::Bad));
        readings.apply_window(window(100, 4, Quality::Bad));
        let reading = readings.get(TagId(0)).unwrap();
        let spans: Vec<_> =
            reading.envelope.iter().map(|span| (span.from.0, span.to.0, span.lowest, span.highest)).collect();
        assert_eq!(spans, [(0, 90_000, 1.0, 9.0), (100_000, 190_000, 1.0, 9.0)]);
        let gaps: Vec<bool> = reading.history.iter().map(|(_, number)| number.is_nan()).collect();
        assert_eq!((readings.number(TagId(0)), gaps), (Some(4.0), vec![false, true, false]));
    }

    #[test]
    fn a_repeated_sample_counts_once() {
        let mut readings = Readings::default();
        readings.apply(TagId(3), sample(10, 1.0));
        readings.apply(TagId(3), sample(10, 1.0));
        assert_eq!((readings.applied, readings.take_dirty()), (1, vec![TagId(3)]));
    }
}
