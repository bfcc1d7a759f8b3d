//! What waits for one subscriber. Whoever keeps up is told what all others are told who want the same, in the same bytes.
//! For whoever does not, only the newest of each tag waits, and windows grow longer; quality is never lost: while a tag
//! waits, its worst quality is delivered too, since a spike of bad data is news.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, OnceLock};

use gemba_twin::path::TagId;
use gemba_twin::sample::Sample;

use super::{TagSample, TagWindow, batches, encode, packed};
use crate::limits;

/// What is told at once to all who want the same, and its bytes once somebody has coded it.
#[derive(Debug, Default)]
pub struct Told {
    /// Samples.
    pub samples: Vec<TagSample>,
    /// Windows.
    pub windows: Vec<TagWindow>,
    coded: OnceLock<Vec<Vec<u8>>>,
    coded_before: OnceLock<Vec<Vec<u8>>>,
}

impl Told {
    /// These samples and windows.
    pub fn new(samples: Vec<TagSample>, windows: Vec<TagWindow>) -> Self {
        Self { samples, windows, ..Self::default() }
    }

    /// As bodies of frames.
    pub fn frames(&self) -> &[Vec<u8>] {
        self.coded.get_or_init(|| {
            let samples = batches(self.samples.clone()).into_iter().map(|batch| packed::encode(&batch));
            samples.chain(self.windows.chunks(limits::BATCH_WINDOWS).map(packed::encode_windows)).collect()
        })
    }

    /// The same for a peer from before minor 4.
    pub fn frames_before_packing(&self) -> &[Vec<u8>] {
        self.coded_before.get_or_init(|| batches(self.samples.clone()).iter().map(|batch| encode(batch)).collect())
    }
}

impl PartialEq for Told {
    fn eq(&self, other: &Self) -> bool {
        (&self.samples, &self.windows) == (&other.samples, &other.windows)
    }
}

/// What waits for one subscriber.
#[derive(Debug, Default)]
pub struct Feed {
    /// As long as it keeps up.
    next: VecDeque<Arc<Told>>,
    waiting: BTreeMap<TagId, Sample>,
    worst: BTreeMap<TagId, Sample>,
    windows: BTreeMap<TagId, TagWindow>,
    /// Samples that a newer one has replaced, and windows that became part of a longer one, before they could be sent.
    pub dropped: u64,
}

impl Feed {
    /// Adds what is told, oldest first.
    pub fn add(&mut self, told: Arc<Told>) {
        if self.next.len() < limits::FEED_AHEAD && self.waiting.is_empty() && self.windows.is_empty() {
            self.next.push_back(told);
            return;
        }
        for told in std::mem::take(&mut self.next) {
            self.conflate(&told);
        }
        self.conflate(&told);
    }

    fn conflate(&mut self, told: &Told) {
        for TagSample { tag, sample } in &told.samples {
            let Some(replaced) = self.waiting.insert(*tag, sample.clone()) else { continue };
            if replaced.quality > sample.quality
                && self.worst.get(tag).is_none_or(|known| known.quality <= replaced.quality)
            {
                self.dropped += u64::from(self.worst.insert(*tag, replaced).is_some());
            } else {
                self.dropped += 1;
            }
        }
        for window in &told.windows {
            match self.windows.get_mut(&window.tag) {
                Some(known) => {
                    known.add(window.clone());
                    self.dropped += 1;
                }
                None => drop(self.windows.insert(window.tag, window.clone())),
            }
        }
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.next.is_empty() && self.waiting.is_empty() && self.windows.is_empty()
    }

    /// Takes what is to be sent, in this order: the worst of each tag before its newest.
    pub fn take(&mut self) -> Vec<Arc<Told>> {
        let mut all: Vec<Arc<Told>> = std::mem::take(&mut self.next).into();
        let samples = |map: BTreeMap<TagId, Sample>| -> Vec<TagSample> {
            map.into_iter().map(|(tag, sample)| TagSample { tag, sample }).collect()
        };
        let worst = samples(std::mem::take(&mut self.worst));
        if !worst.is_empty() {
            all.push(Arc::new(Told::new(worst, Vec::new())));
        }
        let newest = samples(std::mem::take(&mut self.waiting));
        let windows: Vec<TagWindow> = std::mem::take(&mut self.windows).into_values().collect();
        if !newest.is_empty() || !windows.is_empty() {
            all.push(Arc::new(Told::new(newest, windows)));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gemba_twin::sample::{Quality, Timestamp, Value};

    fn at(time: i64, value: f64, quality: Quality) -> TagSample {
        let (source_time, server_time) = (Timestamp(time), Timestamp(time));
        TagSample {
            tag: TagId(1),
            sample: Sample { value: Some(Value::Float(value)), quality, source_time, server_time },
        }
    }

    fn told(samples: Vec<TagSample>, windows: Vec<TagWindow>) -> Arc<Told> {
        Arc::new(Told::new(samples, windows))
    }

    #[test]
    fn a_slow_subscriber_gets_the_newest_value_and_the_worst_quality() {
        let mut feed = Feed::default();
        let all =
            [at(1, 1.0, Quality::Good), at(2, 2.0, Quality::Bad), at(3, 3.0, Quality::Good), at(4, 4.0, Quality::Good)];
        for _ in 0..limits::FEED_AHEAD {
            feed.add(told(vec![all[0].clone()], Vec::new()));
        }
        assert_eq!(feed.take().len(), limits::FEED_AHEAD, "who keeps up misses nothing");
        for _ in 0..limits::FEED_AHEAD {
            feed.add(told(Vec::new(), Vec::new()));
        }
        all.iter().for_each(|sample| feed.add(told(vec![sample.clone()], Vec::new())));
        let taken: Vec<Vec<TagSample>> = feed.take().iter().map(|told| told.samples.clone()).collect();
        assert_eq!(taken, [vec![all[1].clone()], vec![all[3].clone()]]);
        assert_eq!(feed.dropped, 2);
        assert!(feed.is_empty());
    }

    #[test]
    fn a_slow_subscriber_gets_longer_windows_that_leave_nothing_out() {
        let mut feed = Feed::default();
        for n in 0..20 {
            let quality = if n == 3 { Quality::Bad } else { Quality::Good };
            let window = TagWindow::of(&at(n, f64::from(n as i32), quality));
            feed.add(told(Vec::new(), vec![window]));
        }
        let windows: Vec<TagWindow> = feed.take().iter().flat_map(|told| told.windows.clone()).collect();
        let [window] = &windows[..] else { panic!("{windows:?}") };
        assert_eq!((window.lowest, window.highest, window.count, window.worst), (0.0, 19.0, 20, Quality::Bad));
    }
}
