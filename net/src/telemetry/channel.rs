//! Makes from all samples what is wanted, once for all subscribers who want the same.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use gemba_twin::path::{TagId, TagPath};
use gemba_twin::sample::{Sample, Timestamp};

use super::{TagSample, TagWindow, Tags, Told, Want, Window};
use crate::limits;
use crate::peers::PeerNumber;

/// All that is wanted of a site's samples, and by whom.
#[derive(Debug, Default)]
pub struct Channels {
    paths: BTreeMap<TagId, TagPath>,
    newest: BTreeMap<TagId, Sample>,
    channels: BTreeMap<Want, Channel>,
    /// Of each tag the channels that it is for, but for those of all tags.
    of_tag: BTreeMap<TagId, Vec<Arc<Want>>>,
    wants: BTreeMap<PeerNumber, Vec<Want>>,
}

/// What goes out now, and to whom.
pub type Outgoing = (Vec<PeerNumber>, Arc<Told>);

impl Channels {
    /// Where tags stand, for those who want a subtree.
    pub fn set_paths(&mut self, paths: impl IntoIterator<Item = (TagId, TagPath)>) {
        for (tag, path) in paths {
            for want in self.channels.keys().filter(|want| matches!(want.tags, Tags::Under(_))) {
                if want.tags.contain(tag, |_| Some(path.as_str())) {
                    index(&mut self.of_tag, tag, &Arc::new(want.clone()));
                }
            }
            self.paths.insert(tag, path);
        }
    }

    /// A subscriber wants these from now on, and nothing else. Returns what it is told at once: what the tags read that
    /// it had not wanted before.
    pub fn subscribe(&mut self, peer: PeerNumber, mut wants: Vec<Want>) -> Told {
        let before = self.leave(peer);
        let (paths, newest) = (&self.paths, &self.newest);
        let contains =
            |wants: &[Want], tag: TagId| wants.iter().any(|want| want.tags.contain(tag, |tag| at(paths, tag)));
        let had_all = before.iter().any(|want| want.tags == Tags::All);
        let is_new = |tag: &TagId| !had_all && contains(&wants, *tag) && !contains(&before, *tag);
        let news = newest.iter().filter(|(tag, _)| is_new(tag));
        let samples = news.map(|(tag, sample)| TagSample { tag: *tag, sample: sample.clone() }).collect();
        for want in &mut wants {
            let is_wide = |want: &Want| want.tags == Tags::All;
            if is_wide(want)
                && !self.channels.contains_key(want)
                && self.channels.keys().filter(|want| is_wide(want)).count() >= limits::WIDE_CHANNELS
            {
                *want = Want::EVERYTHING;
            }
            self.channel(want).subscribers.insert(peer);
        }
        self.wants.insert(peer, wants);
        Told::new(samples, Vec::new())
    }

    fn channel(&mut self, want: &Want) -> &mut Channel {
        if !self.channels.contains_key(want) {
            let shared = Arc::new(want.clone());
            match &want.tags {
                Tags::All => {}
                Tags::These(tags) => tags.iter().for_each(|tag| index(&mut self.of_tag, *tag, &shared)),
                Tags::Under(_) => {
                    let paths =
                        self.paths.iter().filter(|(tag, path)| want.tags.contain(**tag, |_| Some(path.as_str())));
                    paths.for_each(|(tag, _)| index(&mut self.of_tag, *tag, &shared));
                }
            }
        }
        self.channels.entry(want.clone()).or_insert_with(|| Channel::new(want))
    }

    /// A subscriber wants nothing any more. Returns what it wanted.
    pub fn leave(&mut self, peer: PeerNumber) -> Vec<Want> {
        let wants = self.wants.remove(&peer).unwrap_or_default();
        for want in &wants {
            let Some(channel) = self.channels.get_mut(want) else { continue };
            channel.subscribers.remove(&peer);
            if channel.subscribers.is_empty() {
                self.channels.remove(want);
                let tags: Vec<TagId> = match &want.tags {
                    Tags::All => Vec::new(),
                    Tags::These(tags) => tags.clone(),
                    Tags::Under(_) => self.paths.keys().copied().collect(),
                };
                tags.iter().for_each(|tag| forget(&mut self.of_tag, *tag, want));
            }
        }
        wants
    }

    /// New samples, oldest first. What is to go out at once is returned.
    pub fn publish(&mut self, samples: &[TagSample], now: Timestamp) -> Vec<Outgoing> {
        let mut out = Vec::new();
        let mut narrow: BTreeMap<&Want, Vec<&TagSample>> = BTreeMap::new();
        for sample in samples {
            self.newest.insert(sample.tag, sample.sample.clone());
            for want in self.of_tag.get(&sample.tag).into_iter().flatten() {
                narrow.entry(want).or_default().push(sample);
            }
        }
        for (_, channel) in self.channels.iter_mut().filter(|(want, _)| want.tags == Tags::All) {
            let told = channel.take_in(samples.iter(), now);
            channel.send(told, &mut out);
        }
        for (want, samples) in narrow {
            if let Some(channel) = self.channels.get_mut(want) {
                let told = channel.take_in(samples.into_iter(), now);
                channel.send(told, &mut out);
            }
        }
        out
    }

    /// What has waited long enough.
    pub fn tick(&mut self, now: Timestamp) -> Vec<Outgoing> {
        let mut out = Vec::new();
        for channel in self.channels.values_mut() {
            let told = channel.poll(now);
            channel.send(told, &mut out);
        }
        out
    }
}

fn at(paths: &BTreeMap<TagId, TagPath>, tag: TagId) -> Option<&str> {
    paths.get(&tag).map(TagPath::as_str)
}

fn index(of_tag: &mut BTreeMap<TagId, Vec<Arc<Want>>>, tag: TagId, want: &Arc<Want>) {
    let wanted = of_tag.entry(tag).or_default();
    if !wanted.contains(want) {
        wanted.push(want.clone());
    }
}

fn forget(of_tag: &mut BTreeMap<TagId, Vec<Arc<Want>>>, tag: TagId, want: &Want) {
    if let Some(wanted) = of_tag.get_mut(&tag) {
        wanted.retain(|other| **other != *want);
        if wanted.is_empty() {
            of_tag.remove(&tag);
        }
    }
}

/// One kind of telling.
#[derive(Debug)]
struct Channel {
    interval_micros: i64,
    window: Window,
    subscribers: BTreeSet<PeerNumber>,
    /// When each tag may be told again.
    due: BTreeMap<TagId, Timestamp>,
    /// Tags that wait for that.
    waiting: BTreeMap<TagId, Waiting>,
}

/// What waits of one tag.
#[derive(Debug)]
enum Waiting {
    Newest { newest: Sample, worst: Option<Sample> },
    Window(TagWindow),
}

impl Channel {
    fn new(want: &Want) -> Self {
        Self {
            interval_micros: i64::from(want.interval_millis) * 1000,
            window: want.window,
            subscribers: BTreeSet::new(),
            due: BTreeMap::new(),
            waiting: BTreeMap::new(),
        }
    }

    fn send(&self, told: Told, out: &mut Vec<Outgoing>) {
        if !told.samples.is_empty() || !told.windows.is_empty() {
            out.push((self.subscribers.iter().copied().collect(), Arc::new(told)));
        }
    }

    /// A tag that has not been told for an interval is told at once: what changes seldom is never late. What follows
    /// within the interval waits for its end.
    fn take_in<'a>(&mut self, samples: impl Iterator<Item = &'a TagSample>, now: Timestamp) -> Told {
        if self.interval_micros == 0 {
            return Told::new(samples.cloned().collect(), Vec::new());
        }
        let mut at_once = Vec::new();
        for sample in samples {
            let tag = sample.tag;
            if let Some(waiting) = self.waiting.get_mut(&tag) {
                waiting.add(sample);
            } else if self.window == Window::Newest && self.due.get(&tag).is_none_or(|due| *due <= now) {
                self.due.insert(tag, now.plus_micros(self.interval_micros));
                at_once.push(sample.clone());
            } else {
                // A window begins with its first sample.
                self.due
                    .entry(tag)
                    .and_modify(|due| *due = (*due).max(now))
                    .or_insert(now.plus_micros(self.interval_micros));
                self.waiting.insert(tag, Waiting::new(sample, self.window));
            }
        }
        Told::new(at_once, Vec::new())
    }

    fn poll(&mut self, now: Timestamp) -> Told {
        let due = &mut self.due;
        let interval = self.interval_micros;
        let (mut samples, mut newest, mut windows) = (Vec::new(), Vec::new(), Vec::new());
        self.waiting.retain(|tag, waiting| {
            let is_due = due.get(tag).is_none_or(|due| *due <= now || due.micros_since(now) > interval);
            if is_due {
                due.insert(*tag, now.plus_micros(interval));
                match waiting {
                    Waiting::Newest { newest: sample, worst } => {
                        samples.extend(worst.take().map(|sample| TagSample { tag: *tag, sample }));
                        newest.push(TagSample { tag: *tag, sample: sample.clone() });
                    }
                    Waiting::Window(window) => windows.push(window.clone()),
                }
            }
            !is_due
        });
        samples.extend(newest);
        Told::new(samples, windows)
    }
}

impl Waiting {
    fn new(sample: &TagSample, window: Window) -> Self {
        match window {
            Window::Newest => Self::Newest { newest: sample.sample.clone(), worst: None },
            Window::Extremes => Self::Window(TagWindow::of(sample)),
        }
    }

    fn add(&mut self, sample: &TagSample) {
        match self {
            Self::Window(window) => window.add(TagWindow::of(sample)),
            Self::Newest { newest, worst } => {
                let replaced = std::mem::replace(newest, sample.sample.clone());
                let is_worse = replaced.quality > newest.quality;
                if is_worse && worst.as_ref().is_none_or(|worst| worst.quality <= replaced.quality) {
                    *worst = Some(replaced);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gemba_twin::sample::{Quality, Value};

    const ADA: PeerNumber = PeerNumber(1);
    const BOB: PeerNumber = PeerNumber(2);

    fn sample(tag: u32, millis: i64, value: f64) -> TagSample {
        let at = Timestamp(millis * 1000);
        let quality = if value < 0.0 { Quality::Bad } else { Quality::Good };
        let sample = Sample { value: Some(Value::Float(value)), quality, source_time: at, server_time: at };
        TagSample { tag: TagId(tag), sample }
    }

    fn want(tags: Tags, interval_millis: u32, window: Window) -> Want {
        Want { tags, interval_millis, window }
    }

    /// What is told to `peer` when a tag is measured once a millisecond for a second, and at which times.
    fn a_second_of(channels: &mut Channels, tag: u32, peer: PeerNumber) -> Vec<(i64, Arc<Told>)> {
        let mut told = Vec::new();
        for millis in 0..1000 {
            let value = if millis == 555 { -1.0 } else { f64::from((millis % 100) as i32) };
            let mut out = channels.publish(&[sample(tag, millis, value)], Timestamp(millis * 1000));
            if millis % 10 == 0 {
                out.extend(channels.tick(Timestamp(millis * 1000)));
            }
            told.extend(out.into_iter().filter(|(to, _)| to.contains(&peer)).map(|(_, told)| (millis, told)));
        }
        told
    }

    #[test]
    fn a_fast_tag_is_told_no_more_often_than_is_wanted_and_its_bad_quality_all_the_same() {
        let mut channels = Channels::default();
        channels.subscribe(ADA, vec![want(Tags::All, 100, Window::Newest)]);
        let told = a_second_of(&mut channels, 1, ADA);
        assert_eq!(told.len(), 10);
        let samples: Vec<&TagSample> = told.iter().flat_map(|(_, told)| &told.samples).collect();
        let bad = samples.iter().filter(|s| s.sample.quality == Quality::Bad).count();
        assert_eq!((samples.len(), bad), (11, 1), "each newest, and the one that was bad");
        assert!(told.iter().all(|(at, told)| told.samples.last().unwrap().sample.source_time == Timestamp(at * 1000)));
    }

    #[test]
    fn windows_of_a_fast_tag_show_its_extremes() {
        let mut channels = Channels::default();
        channels.subscribe(ADA, vec![want(Tags::These(vec![TagId(1)]), 200, Window::Extremes)]);
        let told = a_second_of(&mut channels, 1, ADA);
        let windows: Vec<&TagWindow> = told.iter().flat_map(|(_, told)| &told.windows).collect();
        assert!((4..=5).contains(&windows.len()), "{}", windows.len());
        assert!(windows.iter().all(|w| w.lowest == 0.0 && w.highest == 99.0 && (30.0..70.0).contains(&w.mean)));
        assert_eq!(windows.iter().filter(|w| w.worst == Quality::Bad).count(), 1);
        let others = a_second_of(&mut channels, 2, ADA);
        assert!(
            others.iter().all(|(_, told)| told.samples.is_empty() && told.windows.iter().all(|w| w.tag == TagId(1)))
        );
    }

    #[test]
    fn who_wants_the_same_is_told_the_same_once_and_who_wants_more_is_told_more() {
        let mut channels = Channels::default();
        let slow = want(Tags::All, 1000, Window::Newest);
        channels.subscribe(ADA, vec![slow.clone()]);
        channels.subscribe(BOB, vec![slow, want(Tags::These(vec![TagId(3)]), 0, Window::Newest)]);
        let out = channels.publish(&[sample(3, 0, 1.0)], Timestamp(0));
        let to: BTreeSet<Vec<PeerNumber>> = out.into_iter().map(|(to, _)| to).collect();
        assert_eq!(to, [vec![ADA, BOB], vec![BOB]].into());
        channels.leave(BOB);
        assert_eq!(channels.publish(&[sample(3, 1, 1.0)], Timestamp(1000)), []);
        channels.leave(ADA);
        assert!(channels.channels.is_empty() && channels.of_tag.is_empty(), "what nobody wants costs nothing");
    }

    #[test]
    fn who_wants_a_subtree_is_told_at_once_what_it_reads_and_later_only_that() {
        let mut channels = Channels::default();
        let paths = ["Hall/Line1/Speed", "Hall/Line2/Speed"];
        channels.set_paths((0..).map(TagId).zip(paths.map(|path| path.parse().unwrap())));
        channels.publish(&[sample(0, 0, 1.0), sample(1, 0, 2.0)], Timestamp(0));
        let line = |n: u32| want(Tags::Under(format!("Hall/Line{n}").parse().unwrap()), 0, Window::Newest);
        assert_eq!(channels.subscribe(ADA, vec![line(2)]).samples, [sample(1, 0, 2.0)]);
        assert_eq!(channels.subscribe(ADA, vec![line(1), line(2)]).samples, [sample(0, 0, 1.0)]);
        assert_eq!(channels.subscribe(ADA, vec![line(2)]).samples, []);
        let out = channels.publish(&[sample(0, 1, 3.0), sample(1, 1, 4.0)], Timestamp(1000));
        let told: Vec<TagSample> = out.iter().flat_map(|(_, told)| told.samples.clone()).collect();
        assert_eq!(told, [sample(1, 1, 4.0)]);
    }

    #[test]
    fn a_tag_that_comes_later_belongs_to_the_subtree_that_was_wanted_before() {
        let mut channels = Channels::default();
        channels.subscribe(ADA, vec![want(Tags::Under("Hall".parse().unwrap()), 0, Window::Newest)]);
        assert_eq!(channels.publish(&[sample(7, 0, 1.0)], Timestamp(0)), []);
        channels.set_paths([(TagId(7), "Hall/Speed".parse().unwrap())]);
        assert_eq!(channels.publish(&[sample(7, 1, 1.0)], Timestamp(1)).len(), 1);
    }

    #[test]
    fn so_many_ways_to_want_everything_there_are_and_who_wants_another_is_told_more() {
        let mut channels = Channels::default();
        for n in 0..2 * limits::WIDE_CHANNELS as u16 {
            channels.subscribe(PeerNumber(n), vec![want(Tags::All, 1 + u32::from(n), Window::Newest)]);
        }
        assert_eq!(channels.channels.len(), limits::WIDE_CHANNELS + 1);
        let told = channels.publish(&[sample(3, 0, 1.0)], Timestamp(0));
        assert_eq!(told.iter().map(|(to, _)| to.len()).sum::<usize>(), 2 * limits::WIDE_CHANNELS);
    }

    #[test]
    fn a_clock_that_was_set_back_holds_nothing_up() {
        let mut channels = Channels::default();
        channels.subscribe(ADA, vec![want(Tags::All, 100, Window::Newest)]);
        let late = Timestamp::from_secs(1_000_000);
        assert_eq!(channels.publish(&[sample(1, 0, 1.0)], late).len(), 1);
        assert_eq!(channels.publish(&[sample(1, 1, 2.0)], Timestamp(0)).len(), 0);
        assert_eq!(channels.tick(Timestamp(1000)).len(), 1);
    }
}
