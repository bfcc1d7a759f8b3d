//! A window of the past as it was recalled: every tag's samples in a span of time, and when nothing was recorded.

use std::collections::HashMap;

use gemba_net::{Recall, RecallAnswer};
use gemba_twin::path::TagId;
use gemba_twin::sample::{Quality, Sample, Timestamp};

use crate::readings::Reading;

/// A source time so much before the time of receipt, or after it at all, is a wrong clock's: the historian then goes by
/// the time of receipt, and so do we.
const LATE_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

/// Motion is led into a value shortly before it is measured: no longer before than this.
const CHANGING_MICROS: i64 = 200_000;

/// A sample and when it came into force.
type Placed = (Timestamp, Sample);

/// What was recalled of all tags at once: what the picture is made of.
#[derive(Debug)]
pub(super) struct Window {
    from: Timestamp,
    to: Timestamp,
    covered: Covered,
    is_thinned: bool,
    /// By tag number.
    tracks: Vec<Vec<Placed>>,
}

/// Spans of time in which something was recorded, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Covered(Vec<(Timestamp, Timestamp)>);

impl Window {
    /// A window from a question and its answer.
    pub(super) fn new(asked: &Recall, answer: RecallAnswer) -> Self {
        let mut tracks = Vec::new();
        for (tag, placed) in answer.samples.into_iter().map(|s| (s.tag.0 as usize, placed(s.sample))) {
            if tag >= gemba_twin::limits::TAGS {
                continue;
            }
            if tag >= tracks.len() {
                tracks.resize_with(tag + 1, Vec::new);
            }
            push(&mut tracks[tag], placed);
        }
        let covered = Covered(answer.covered);
        Self { from: asked.from, to: asked.to, covered, is_thinned: answer.is_thinned, tracks }
    }

    /// Where it begins.
    pub(super) fn from(&self) -> Timestamp {
        self.from
    }

    /// Where it ends.
    pub(super) fn to(&self) -> Timestamp {
        self.to
    }

    /// Whether samples were left out between those that are here.
    pub(super) fn is_thinned(&self) -> bool {
        self.is_thinned
    }

    /// Whether it can show an instant; `exactly`: with no sample left out before it.
    pub(super) fn serves(&self, instant: Timestamp, exactly: bool) -> bool {
        let is_exact = !self.is_thinned || instant == self.from;
        (self.from..=self.to).contains(&instant) && (is_exact || !exactly)
    }

    /// Whether anything was recorded then.
    pub(super) fn is_covered(&self, instant: Timestamp) -> bool {
        self.covered.contains(instant)
    }

    /// Numbers of all tags that may have a reading.
    pub(super) fn tags(&self) -> impl Iterator<Item = TagId> {
        (0..self.tracks.len() as u32).map(TagId)
    }

    /// Whether a tag is among those.
    pub(super) fn has(&self, tag: TagId) -> bool {
        (tag.0 as usize) < self.tracks.len()
    }

    /// How many samples of a tag there are up to an instant: what tells whether its reading changed.
    pub(super) fn count_at(&self, tag: TagId, instant: Timestamp) -> usize {
        self.track(tag).partition_point(|(at, _)| *at <= instant)
    }

    /// Whether a tag is about to change at an instant, so that a part may be on its way.
    pub(super) fn is_changing(&self, tag: TagId, instant: Timestamp) -> bool {
        let next = self.track(tag).get(self.count_at(tag, instant));
        next.is_some_and(|(at, _)| at.micros_since(instant) < CHANGING_MICROS)
    }

    /// What a tag read at an instant, with what is held of the time before it. Where nothing was recorded it read nothing,
    /// whatever was in force before.
    pub(super) fn reading(&self, tag: TagId, instant: Timestamp, before: Option<&Trend>) -> Reading {
        let is_covered = self.is_covered(instant);
        let track = if is_covered { self.track(tag) } else { &[] };
        let count = track.partition_point(|(at, _)| *at <= instant);
        let mut reading = Reading {
            newest: count.checked_sub(1).map(|i| track[i].1.clone()),
            next: track.get(count).map(|(at, sample)| (*at, number(sample).unwrap_or(f64::NAN))),
            ..Reading::default()
        };
        let Some((trend, points)) = before.and_then(|trend| Some((trend, trend.points.get(&tag)?))) else {
            if let Some((at, sample)) = count.checked_sub(1).map(|i| &track[i]) {
                reading.remember(*at, number(sample));
            }
            return reading;
        };
        let held = points.iter().copied().take_while(|(at, _)| *at <= instant);
        let newer = track[..count].iter().map(|(at, sample)| (*at, number(sample)));
        let newer = newer.filter(|(at, _)| points.last().is_none_or(|(last, _)| at > last));
        let gaps = trend.covered.merged(&self.covered).gaps();
        remember_with_gaps(&mut reading, held.chain(newer), &gaps, instant);
        if !is_covered && let Some(end) = trend.covered.end_before(instant) {
            reading.remember(end.plus_micros(1), None);
        }
        reading
    }

    fn track(&self, tag: TagId) -> &[Placed] {
        self.tracks.get(tag.0 as usize).map_or(&[], Vec::as_slice)
    }
}

/// What was recalled of a few tags, to draw as curves: numbers up to an instant, and on as time is played.
#[derive(Debug, Default)]
pub(super) struct Trend {
    tags: Vec<TagId>,
    from: Timestamp,
    to: Timestamp,
    covered: Covered,
    points: HashMap<TagId, Vec<(Timestamp, Option<f64>)>>,
}

impl Trend {
    /// Curves from a question and its answer.
    pub(super) fn new(asked: &Recall, answer: RecallAnswer) -> Self {
        let tags = asked.tags.clone().unwrap_or_default();
        let mut points: HashMap<TagId, Vec<_>> = tags.iter().map(|tag| (*tag, Vec::new())).collect();
        for sample in answer.samples {
            let (at, sample_at) = placed(sample.sample);
            if let Some(points) = points.get_mut(&sample.tag) {
                push(points, (at, number(&sample_at)));
            }
        }
        Self { tags, from: asked.from, to: asked.to, covered: Covered(answer.covered), points }
    }

    /// Whose curves they are.
    pub(super) fn tags(&self) -> impl Iterator<Item = TagId> {
        self.tags.iter().copied()
    }

    /// Whether it has this tag's curve.
    pub(super) fn has(&self, tag: TagId) -> bool {
        self.points.contains_key(&tag)
    }

    /// Whether these are the curves of these tags for so long before an instant, with what `window` knows of it.
    pub(super) fn serves(&self, tags: &[TagId], instant: Timestamp, back_micros: i64, window: &Window) -> bool {
        let is_whole = self.to >= instant || window.from <= self.to;
        self.tags == tags && self.from <= instant.plus_micros(-back_micros) && is_whole
    }

    /// Leads the curves on with what `window` holds, up to where the next one begins; forgets what lies far back.
    pub(super) fn lead_on(&mut self, window: &Window, to: Timestamp, back_micros: i64) {
        if window.from > self.to || to < self.to {
            return;
        }
        let from = to.plus_micros(-back_micros);
        for (tag, points) in &mut self.points {
            let known = points.last().map(|(at, _)| *at);
            let track = window.track(*tag);
            let newer =
                track[..window.count_at(*tag, to)].iter().filter(|(at, _)| known.is_none_or(|known| *at > known));
            points.extend(newer.map(|(at, sample)| (*at, number(sample))));
            // One from before says what held when it began.
            let old = points.partition_point(|(at, _)| *at < from).saturating_sub(1);
            points.drain(..old);
        }
        self.covered = self.covered.merged(&window.covered);
        self.from = self.from.max(from);
        self.to = to;
    }
}

impl Covered {
    /// These spans, in order and without overlap.
    pub fn new(spans: Vec<(Timestamp, Timestamp)>) -> Self {
        Self(spans)
    }

    /// The spans.
    pub fn spans(&self) -> &[(Timestamp, Timestamp)] {
        &self.0
    }

    /// Whether an instant lies in one.
    pub fn contains(&self, instant: Timestamp) -> bool {
        let next = self.0.partition_point(|(from, _)| *from <= instant);
        next.checked_sub(1).is_some_and(|i| instant <= self.0[i].1)
    }

    /// Where the last one before an instant ends.
    fn end_before(&self, instant: Timestamp) -> Option<Timestamp> {
        let next = self.0.partition_point(|(_, to)| *to < instant);
        next.checked_sub(1).map(|i| self.0[i].1)
    }

    /// What lies between them.
    pub fn gaps(&self) -> Vec<(Timestamp, Timestamp)> {
        self.0.windows(2).map(|pair| (pair[0].1, pair[1].0)).filter(|(from, to)| from < to).collect()
    }

    /// These and others together.
    #[must_use]
    pub fn merged(&self, other: &Self) -> Self {
        let mut all: Vec<_> = self.0.iter().chain(&other.0).copied().collect();
        all.sort_unstable();
        let mut merged: Vec<(Timestamp, Timestamp)> = Vec::new();
        for (from, to) in all {
            match merged.last_mut() {
                Some((_, end)) if from <= *end => *end = to.max(*end),
                _ => merged.push((from, to)),
            }
        }
        Self(merged)
    }
}

/// When a sample came into force.
pub(super) fn placed(sample: Sample) -> Placed {
    let late = sample.server_time.micros_since(sample.source_time);
    let at = if (0..=LATE_MICROS).contains(&late) { sample.source_time } else { sample.server_time };
    (at, sample)
}

fn number(sample: &Sample) -> Option<f64> {
    if sample.quality == Quality::Bad { None } else { sample.value.as_ref().and_then(|v| v.as_number()) }
}

/// Appends what came later; of two at the same time the later one counts. What is out of order is dropped: a host that
/// sends it is wrong, and searching needs order.
fn push<T>(track: &mut Vec<(Timestamp, T)>, next: (Timestamp, T)) {
    match track.last() {
        Some((last, _)) if *last > next.0 => {}
        Some((last, _)) if *last == next.0 => drop(track.pop().map(|_| track.push(next))),
        _ => track.push(next),
    }
}

/// Fills a history. In a gap nothing is known; after it, what was in force holds on.
fn remember_with_gaps(
    reading: &mut Reading,
    points: impl Iterator<Item = (Timestamp, Option<f64>)>,
    gaps: &[(Timestamp, Timestamp)],
    instant: Timestamp,
) {
    let mut gaps = gaps.iter().copied().peekable();
    let mut last: Option<Option<f64>> = None;
    for (at, number) in points {
        break_at_gaps(reading, &mut gaps, last, at);
        reading.remember(at, number);
        last = Some(number);
    }
    break_at_gaps(reading, &mut gaps, last, instant);
}

fn break_at_gaps(
    reading: &mut Reading,
    gaps: &mut std::iter::Peekable<impl Iterator<Item = (Timestamp, Timestamp)>>,
    last: Option<Option<f64>>,
    until: Timestamp,
) {
    while let Some((from, to)) = gaps.next_if(|(_, to)| *to <= until) {
        if let Some(number) = last {
            reading.remember(from.plus_micros(1), None);
            reading.remember(to, number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gemba_net::TagSample;
    use gemba_twin::sample::Value;

    const TAG: TagId = TagId(1);

    fn secs(at: i64) -> Timestamp {
        Timestamp::from_secs(at)
    }

    fn sample(at: i64, value: f64) -> TagSample {
        let value = Some(Value::Float(value));
        TagSample {
            tag: TAG,
            sample: Sample { value, quality: Quality::Good, source_time: secs(at), server_time: secs(at) },
        }
    }

    fn recalled(span: (i64, i64), covered: &[(i64, i64)], samples: Vec<TagSample>) -> (Recall, RecallAnswer) {
        let recall = Recall { request: 1, tags: Some(vec![TAG]), from: secs(span.0), to: secs(span.1), points: 9 };
        let covered = covered.iter().map(|(a, b)| (secs(*a), secs(*b))).collect();
        (recall, RecallAnswer { request: 1, covered, samples, ..RecallAnswer::default() })
    }

    fn window(span: (i64, i64), covered: &[(i64, i64)], samples: Vec<TagSample>) -> Window {
        let (asked, answer) = recalled(span, covered, samples);
        Window::new(&asked, answer)
    }

    fn trend(span: (i64, i64), covered: &[(i64, i64)], samples: Vec<TagSample>) -> Trend {
        let (asked, answer) = recalled(span, covered, samples);
        Trend::new(&asked, answer)
    }

    fn value_at(window: &Window, at: i64) -> Option<f64> {
        window.reading(TAG, secs(at), None).newest.and_then(|s| s.value?.as_number())
    }

    #[test]
    fn what_was_in_force_holds_until_the_next_sample_and_nothing_is_known_before_the_first() {
        let window = window((100, 200), &[(0, 200)], vec![sample(90, 1.0), sample(150, 2.0)]);
        assert_eq!([100, 149, 150, 200].map(|at| value_at(&window, at)), [Some(1.0), Some(1.0), Some(2.0), Some(2.0)]);
        let late = super::tests::window((100, 200), &[(0, 200)], vec![sample(150, 2.0)]);
        assert_eq!(value_at(&late, 149), None);
        let reading = window.reading(TAG, secs(149), None);
        assert_eq!(reading.next, Some((secs(150), 2.0)));
    }

    #[test]
    fn a_thinned_window_serves_exactly_only_where_it_begins() {
        let mut window = window((100, 200), &[(0, 200)], vec![]);
        assert!(window.serves(secs(150), true) && !window.serves(secs(201), false));
        window.is_thinned = true;
        assert!(window.serves(secs(100), true) && !window.serves(secs(150), true) && window.serves(secs(150), false));
    }

    #[test]
    fn a_gap_breaks_a_curve_and_what_was_in_force_holds_after_it() {
        let covered = [(0, 50), (80, 200)];
        let trend = trend((0, 100), &covered, vec![sample(10, 1.0), sample(40, 2.0), sample(90, 3.0)]);
        let window = window((100, 100), &[(80, 200)], vec![sample(90, 3.0)]);
        let history = window.reading(TAG, secs(100), Some(&trend)).history;
        let shape: Vec<_> = history.iter().map(|(at, n)| (at.0 / 1_000_000, n.is_nan())).collect();
        assert_eq!(shape, [(10, false), (40, false), (50, true), (80, false), (90, false)]);
        assert_eq!(history[3].1, 2.0);
    }

    #[test]
    fn within_a_gap_there_is_no_value_and_the_curve_ends_where_it_began() {
        let trend = trend((0, 60), &[(0, 50)], vec![sample(10, 1.0)]);
        let window = window((60, 60), &[], vec![sample(10, 1.0)]);
        let reading = window.reading(TAG, secs(60), Some(&trend));
        assert!(reading.newest.is_none() && reading.next.is_none());
        let shape: Vec<_> = reading.history.iter().map(|(at, n)| (at.0 / 1_000_000, n.is_nan())).collect();
        assert_eq!(shape, [(10, false), (50, true)]);
    }

    #[test]
    fn nothing_after_the_instant_is_in_its_curve() {
        let trend = trend((0, 100), &[(0, 200)], vec![sample(10, 1.0), sample(90, 3.0)]);
        let window = window((60, 100), &[(0, 200)], vec![sample(10, 1.0), sample(90, 3.0)]);
        assert_eq!(window.reading(TAG, secs(70), Some(&trend)).history.len(), 1);
        assert_eq!(window.reading(TAG, secs(95), Some(&trend)).history.len(), 2);
    }

    #[test]
    fn curves_are_led_on_from_window_to_window_without_a_hole() {
        let mut trend = trend((0, 100), &[(0, 100)], vec![sample(10, 1.0)]);
        let first = window((100, 200), &[(100, 200)], vec![sample(10, 1.0), sample(150, 2.0), sample(190, 3.0)]);
        trend.lead_on(&first, secs(160), 100_000_000);
        let second = window((160, 300), &[(160, 300)], vec![sample(150, 2.0), sample(190, 3.0)]);
        assert!(trend.serves(&[TAG], secs(250), 100_000_000, &second));
        let history = second.reading(TAG, secs(250), Some(&trend)).history;
        assert_eq!(history.iter().map(|(_, n)| *n).collect::<Vec<_>>(), [1.0, 2.0, 3.0]);
        let far = super::tests::window((390, 500), &[], vec![]);
        assert!(!trend.serves(&[TAG], secs(400), 100_000_000, &far), "nothing is known from 160 to 390");
    }

    #[test]
    fn a_host_that_sends_samples_out_of_order_makes_no_nonsense() {
        let window =
            window((0, 100), &[(0, 100)], vec![sample(50, 5.0), sample(40, 4.0), sample(60, 6.0), sample(60, 7.0)]);
        assert_eq!([45, 55, 60].map(|at| value_at(&window, at)), [None, Some(5.0), Some(7.0)]);
        let far = TagSample { tag: TagId(u32::MAX), ..sample(1, 1.0) };
        let (asked, answer) = recalled((0, 1), &[], vec![far]);
        assert_eq!(Window::new(&asked, answer).tags().count(), 0);
    }

    #[test]
    fn spans_merge_and_leave_gaps_between_them() {
        let covered = |spans: &[(i64, i64)]| Covered(spans.iter().map(|(a, b)| (secs(*a), secs(*b))).collect());
        let merged = covered(&[(0, 10), (20, 30)]).merged(&covered(&[(10, 12), (28, 40)]));
        assert_eq!(merged, covered(&[(0, 12), (20, 40)]));
        assert_eq!(merged.gaps(), [(secs(12), secs(20))]);
        assert!(merged.contains(secs(20)) && !merged.contains(secs(15)) && !merged.contains(secs(41)));
    }

    #[test]
    fn a_wrong_device_clock_does_not_move_a_sample_in_time() {
        let mut sample = sample(0, 1.0).sample;
        sample.server_time = secs(1_000_000);
        assert_eq!(placed(sample.clone()).0, secs(1_000_000), "days late");
        sample.source_time = secs(1_000_001);
        assert_eq!(placed(sample.clone()).0, secs(1_000_000), "measured after it was received");
        sample.source_time = secs(999_990);
        assert_eq!(placed(sample).0, secs(999_990));
    }
}
