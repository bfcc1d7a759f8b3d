//! All samples of a tag in a span of time, as a few numbers. What was bad or uncertain among them is said, not averaged.

use gemba_twin::path::TagId;
use gemba_twin::sample::{Quality, Sample, Timestamp};

use super::TagSample;

/// All samples of a tag in a span of time.
#[derive(Debug, Clone, PartialEq)]
pub struct TagWindow {
    /// The tag.
    pub tag: TagId,
    /// Source time of the first.
    pub from: Timestamp,
    /// How many there were.
    pub count: u32,
    /// How many of them were numbers and not bad.
    pub numbers: u32,
    /// Lowest, mean and highest of those; nothing if there was none.
    pub lowest: f64,
    /// See [`Self::lowest`]. Each sample counts alike, however long it held.
    pub mean: f64,
    /// See [`Self::lowest`].
    pub highest: f64,
    /// The worst quality among all.
    pub worst: Quality,
    /// The newest.
    pub last: Sample,
}

impl TagWindow {
    /// Of one sample.
    pub(super) fn of(TagSample { tag, sample }: &TagSample) -> Self {
        let number = sample.value.as_ref().and_then(|value| value.as_number());
        let number = number.filter(|_| sample.quality != Quality::Bad);
        let value = number.unwrap_or(0.0);
        Self {
            tag: *tag,
            from: sample.source_time,
            count: 1,
            numbers: u32::from(number.is_some()),
            lowest: value,
            mean: value,
            highest: value,
            worst: sample.quality,
            last: sample.clone(),
        }
    }

    /// This and a later one of the same tag.
    pub(super) fn add(&mut self, later: Self) {
        if self.numbers == 0 {
            (self.lowest, self.mean, self.highest) = (later.lowest, later.mean, later.highest);
        } else if later.numbers > 0 {
            let share = f64::from(later.numbers) / (f64::from(self.numbers) + f64::from(later.numbers));
            self.lowest = self.lowest.min(later.lowest);
            self.mean = self.mean * (1.0 - share) + later.mean * share;
            self.highest = self.highest.max(later.highest);
        }
        self.count = self.count.saturating_add(later.count);
        self.numbers = self.numbers.saturating_add(later.numbers);
        self.worst = self.worst.max(later.worst);
        self.last = later.last;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gemba_twin::sample::Value;

    fn window(time: i64, value: f64, quality: Quality) -> TagWindow {
        let value = (quality != Quality::Bad).then_some(Value::Float(value));
        let sample = Sample { value, quality, source_time: Timestamp(time), server_time: Timestamp(time) };
        TagWindow::of(&TagSample { tag: TagId(1), sample })
    }

    #[test]
    fn one_bad_sample_among_many_is_told_and_moves_no_number() {
        let mut all = window(1, 3.0, Quality::Good);
        all.add(window(2, 0.0, Quality::Bad));
        all.add(window(3, 9.0, Quality::Good));
        all.add(window(4, 6.0, Quality::Good));
        assert_eq!((all.lowest, all.highest, all.count, all.numbers), (3.0, 9.0, 4, 3));
        assert!((all.mean - 6.0).abs() < 1e-12);
        assert_eq!((all.worst, all.last.quality, all.last.source_time), (Quality::Bad, Quality::Good, Timestamp(4)));
        let mut bad = window(1, 0.0, Quality::Bad);
        bad.add(window(2, 5.0, Quality::Good));
        assert_eq!((bad.lowest, bad.mean, bad.highest, bad.from), (5.0, 5.0, 5.0, Timestamp(1)));
    }
}
