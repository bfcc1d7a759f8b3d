//! At most so many samples of one tag out of any number, such that a chart of them looks like a chart of all: of each
//! stretch of time the first, the last, the lowest, the highest and the worst. No value is ever made up, and a stretch in
//! which anything was bad has a bad sample.

use gemba_twin::sample::{Quality, Sample, Value};

/// Samples kept of one stretch of time.
const OF_STRETCH: usize = 5;

/// A sample and what orders it: its time on the axis, then how late it came.
#[derive(Debug, Clone)]
pub(super) struct Placed {
    pub(super) at: (i64, u64, usize),
    pub(super) sample: Sample,
}

/// Takes samples of one tag in any order; holds all of them while they are few.
#[derive(Debug)]
pub(super) struct Thinning {
    from: i64,
    to: i64,
    points: usize,
    all: Vec<Placed>,
    stretches: Vec<Stretch>,
    /// Whether anything was left out.
    pub(super) is_thinned: bool,
}

/// In the order in which they are given up when even these are too many: extremes last but for the worst.
#[derive(Debug, Clone, Default)]
struct Stretch {
    worst: Option<Placed>,
    last: Option<Placed>,
    low: Option<Placed>,
    high: Option<Placed>,
    first: Option<Placed>,
}

impl Thinning {
    /// For samples after `from` and up to `to`.
    pub(super) fn new(from: i64, to: i64, points: usize) -> Self {
        Self { from, to, points, all: Vec::new(), stretches: Vec::new(), is_thinned: false }
    }

    /// Lowers the number of points; only before any sample was added.
    pub(super) fn hold_at_most(&mut self, points: usize) {
        self.points = self.points.min(points);
    }

    pub(super) fn add(&mut self, placed: Placed) {
        if self.points == 0 {
            self.is_thinned = true;
        } else if !self.stretches.is_empty() {
            self.put(placed);
        } else {
            self.all.push(placed);
            if self.all.len() > self.points {
                self.is_thinned = true;
                self.stretches = vec![Stretch::default(); (self.points / OF_STRETCH).max(1)];
                std::mem::take(&mut self.all).into_iter().for_each(|placed| self.put(placed));
            }
        }
    }

    fn put(&mut self, placed: Placed) {
        let span = i128::from(self.to) - i128::from(self.from);
        let after = i128::from(placed.at.0) - i128::from(self.from);
        let count = self.stretches.len();
        // The span is half open at its beginning, so that a time on a border belongs to what ends there.
        let stretch = ((after - 1).max(0) * count as i128 / span.max(1)).clamp(0, count as i128 - 1);
        self.stretches[stretch as usize].put(placed);
    }

    /// What is kept, in order.
    pub(super) fn finish(self) -> Vec<Sample> {
        let mut all = self.all;
        for stretch in self.stretches {
            let mut kept = Vec::with_capacity(OF_STRETCH);
            for placed in [stretch.worst, stretch.last, stretch.low, stretch.high, stretch.first].into_iter().flatten()
            {
                if kept.iter().all(|known: &Placed| known.at != placed.at) {
                    kept.push(placed);
                }
            }
            kept.truncate(self.points);
            all.append(&mut kept);
        }
        all.sort_by_key(|placed| placed.at);
        all.into_iter().map(|placed| placed.sample).collect()
    }
}

impl Stretch {
    fn put(&mut self, placed: Placed) {
        let number = placed.sample.value.as_ref().and_then(Value::as_number);
        let is_usable = placed.sample.quality != Quality::Bad;
        if let Some(number) = number.filter(|_| is_usable) {
            // Of equal ones the earliest, so that the order of arrival does not show.
            let is_earlier = |held: &Option<Placed>| held.as_ref().is_some_and(|held| placed.at < held.at);
            if value_of(&self.low).is_none_or(|low| number < low || number == low && is_earlier(&self.low)) {
                self.low = Some(placed.clone());
            }
            if value_of(&self.high).is_none_or(|high| number > high || number == high && is_earlier(&self.high)) {
                self.high = Some(placed.clone());
            }
        }
        let badness = badness(&placed.sample);
        if badness > (Quality::Good, false)
            && self.worst.as_ref().is_none_or(|known| {
                let known_badness = self::badness(&known.sample);
                badness > known_badness || badness == known_badness && placed.at < known.at
            })
        {
            self.worst = Some(placed.clone());
        }
        if self.first.as_ref().is_none_or(|first| placed.at < first.at) {
            self.first = Some(placed.clone());
        }
        if self.last.as_ref().is_none_or(|last| placed.at >= last.at) {
            self.last = Some(placed);
        }
    }
}

fn value_of(placed: &Option<Placed>) -> Option<f64> {
    placed.as_ref()?.sample.value.as_ref()?.as_number()
}

fn badness(sample: &Sample) -> (Quality, bool) {
    (sample.quality, sample.value.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use gemba_twin::sample::Timestamp;
    use proptest::prelude::*;

    fn placed(micros: i64, value: Option<f64>, quality: Quality) -> Placed {
        let time = Timestamp(micros);
        let sample = Sample { value: value.map(Value::Float), quality, source_time: time, server_time: time };
        Placed { at: (micros, 0, 0), sample }
    }

    fn thinned(samples: &[Placed], points: usize) -> Vec<Sample> {
        let mut thinning = Thinning::new(0, 1_000, points);
        samples.iter().for_each(|sample| thinning.add(sample.clone()));
        thinning.finish()
    }

    #[test]
    fn a_spike_and_a_short_gap_survive_any_thinning() {
        let mut samples: Vec<Placed> = (1..=1_000).map(|t| placed(t, Some((t % 7) as f64), Quality::Good)).collect();
        samples[500] = placed(501, Some(1e9), Quality::Good);
        samples[600] = placed(601, Some(-1e9), Quality::Uncertain);
        samples[700] = placed(701, None, Quality::Bad);
        for points in [4, 5, 10, 100] {
            let told = thinned(&samples, points);
            assert!(told.len() <= points);
            for i in [500, 600, 700] {
                assert!(told.contains(&samples[i].sample), "of {points}");
            }
        }
    }

    proptest! {
        #[test]
        fn few_samples_stay_and_many_are_only_left_out(
            times in prop::collection::btree_set(1i64..=1_000, 0..200),
            bad in any::<u64>(),
            points in 1usize..60,
        ) {
            let samples: Vec<Placed> = times.iter().enumerate().map(|(i, t)| {
                let quality = if bad >> (i % 64) & 1 == 1 && i % 5 == 0 { Quality::Bad } else { Quality::Good };
                placed(*t, Some((t * 37 % 101) as f64), quality)
            }).collect();
            let told = thinned(&samples, points);
            let all: Vec<Sample> = samples.iter().map(|placed| placed.sample.clone()).collect();
            prop_assert!(told.len() <= points);
            prop_assert!(told.iter().all(|sample| all.contains(sample)));
            prop_assert!(told.windows(2).all(|pair| pair[0].source_time < pair[1].source_time));
            if samples.len() <= points {
                prop_assert_eq!(&told, &all);
            }
            let has_bad = |samples: &[Sample]| samples.iter().any(|sample| sample.quality == Quality::Bad);
            prop_assert_eq!(has_bad(&told), has_bad(&all));
            let mut reversed = samples.clone();
            reversed.reverse();
            prop_assert_eq!(thinned(&reversed, points), told, "the order of arrival shows");
        }
    }
}
