//! The report of a run: what it saw, as JSON, in the format `ARCHITECTURE.md` fixes.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use bevy::ecs::system::NonSendMarker;
use bevy::prelude::*;
use gemba_twin::peer::PeerKey;
use serde::Serialize;

use crate::bodies::Bodies;
use crate::calendar::rfc3339;
use crate::cursor::Cursor;
use crate::link::Connection;
use crate::mirror::ThingEntities;
use crate::past::Past;
use crate::people::{People, bends};
use crate::problems::Problems;
use crate::quality::Quality;
use crate::readings::Readings;
use crate::schedule::Frame;
use crate::selection::Selection;
use crate::site::{Site, ThingIndex};

/// Frames whose times are kept: some minutes.
const FRAMES: usize = 20_000;

/// What each frame took on the main thread, milliseconds.
#[derive(Resource, Default)]
pub struct FrameTimes {
    begun: Option<Moment>,
    /// By the clock: with what the thread waited for, and what others took of its processor.
    all_ms: VecDeque<f64>,
    /// What the thread itself worked.
    cpu_ms: VecDeque<f64>,
    /// Frames since the start.
    pub frames: u64,
}

/// An instant of the main thread.
#[derive(Debug, Clone, Copy)]
struct Moment {
    at: Instant,
    worked: Duration,
}

impl Moment {
    fn now() -> Self {
        Self { at: Instant::now(), worked: worked() }
    }
}

/// How long this thread has had a processor.
#[cfg(unix)]
fn worked() -> Duration {
    use rustix::time::{ClockId, clock_gettime};
    // The clock is never negative.
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

/// Elsewhere by the clock, which is never less.
#[cfg(not(unix))]
fn worked() -> Duration {
    static BEGUN: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    BEGUN.elapsed()
}

impl FrameTimes {
    /// Forgets what was measured so far: loading is not viewing.
    pub fn restart(&mut self) {
        self.all_ms.clear();
        self.cpu_ms.clear();
        self.frames = 0;
    }
}

fn percentiles(of: &VecDeque<f64>) -> Percentiles {
    let mut times: Vec<f64> = of.iter().copied().collect();
    times.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let at = (times.len().checked_sub(1)? as f64 * share).round() as usize;
        times.get(at).copied()
    };
    Percentiles { p50: at(0.5), p99: at(0.99) }
}

#[derive(Serialize)]
struct Percentiles {
    p50: Option<f64>,
    p99: Option<f64>,
}

/// Someone who was there during the run, as last seen.
#[derive(Serialize, Clone)]
struct PeerReport {
    name: String,
    key: String,
    /// Where their head is, world frame, metres; none before their first pose.
    place: Option<[f32; 3]>,
    /// Hands that a headset tracks.
    hands: usize,
    /// Of those whose fingers are told: how far each finger is bent, degrees, thumb first.
    fingers: Vec<[u16; 5]>,
    /// Path of the thing they have selected.
    selected: Option<String>,
    /// Whether they are there now.
    here: bool,
}

/// Everyone met during the run, by key: a run reports what it saw, also of who left before it ended.
#[derive(Resource, Default)]
pub struct Met(BTreeMap<PeerKey, PeerReport>);

/// What features that are not always there add to the report, by name: asked when it is written.
#[derive(Resource, Default)]
pub struct MoreSeen(BTreeMap<&'static str, Box<dyn Fn() -> serde_json::Value + Send + Sync>>);

impl MoreSeen {
    /// Adds a part.
    pub fn add(&mut self, name: &'static str, part: impl Fn() -> serde_json::Value + Send + Sync + 'static) {
        self.0.insert(name, Box::new(part));
    }
}

/// Which instant was shown at the end, and so is that of `values`.
#[derive(Serialize)]
struct CursorReport {
    live: bool,
    /// RFC 3339; none when it is live, or when nothing of the past had come.
    instant: Option<String>,
    /// Whether the cursor was at another instant, of which nothing had come yet.
    waiting: bool,
    /// From asking the host for an instant to its answer.
    wait_ms: Percentiles,
    /// From asking for an instant, to stand there, until it had been drawn.
    show_ms: Percentiles,
}

#[derive(Serialize)]
struct TagReport {
    value: Option<String>,
    number: Option<f64>,
    unit: String,
    quality: &'static str,
    source_time_micros: i64,
}

#[derive(Serialize)]
struct Report {
    site: String,
    things: usize,
    tags: usize,
    entries: u64,
    samples_applied: u64,
    sample_age_ms: Percentiles,
    frames: u64,
    /// What the main thread worked on each frame.
    frame_cpu_ms: Percentiles,
    /// What each frame took there by the clock.
    frame_ms: Percentiles,
    seconds: f64,
    peers: Vec<PeerReport>,
    selected: Option<String>,
    connection: String,
    stale: bool,
    cursor: CursorReport,
    adapter: String,
    /// The sample of every tag in force at the instant shown, by path.
    values: BTreeMap<String, TagReport>,
    /// What people have moved, made or retired, by path, at the instant shown.
    changed: BTreeMap<String, ThingReport>,
    notes: usize,
    viewpoints: usize,
    errors: Vec<String>,
    #[serde(flatten)]
    more: BTreeMap<&'static str, serde_json::Value>,
}

/// A thing that people have changed, as it is drawn.
#[derive(Serialize)]
struct ThingReport {
    /// Where its own frame is, site's frame, metres; none if nothing draws it.
    place: Option<[f32; 3]>,
    retired: bool,
    /// Whether it is in sight, as far as that is for the plant to say.
    shown: bool,
    /// Whether a person has made it.
    made: bool,
    /// Whether people carry it about, or have.
    carried: bool,
}

/// What the report is made of.
#[derive(bevy::ecs::system::SystemParam)]
pub struct Seen<'w, 's> {
    site: Res<'w, Site>,
    readings: Res<'w, Readings>,
    met: Res<'w, Met>,
    problems: Res<'w, Problems>,
    connection: Res<'w, Connection>,
    quality: Res<'w, Quality>,
    selection: Res<'w, Selection>,
    times: Res<'w, FrameTimes>,
    cursor: Res<'w, Cursor>,
    past: Res<'w, Past>,
    more: Res<'w, MoreSeen>,
    things: Res<'w, ThingEntities>,
    bodies: Res<'w, Bodies>,
    drawn: Query<'w, 's, (&'static GlobalTransform, &'static InheritedVisibility)>,
}

impl Seen<'_, '_> {
    /// The report as JSON text. `seconds` is how long the plant was shown, `failure` why the run has failed.
    pub fn json(&self, seconds: f64, failure: Option<&String>) -> String {
        let path_of = |thing| self.site.thing(thing).map(|t| t.path.to_string());
        let report = Report {
            site: self.site.name.clone(),
            things: self.site.present().count(),
            tags: self.site.tags().len(),
            entries: self.connection.log().entries(),
            samples_applied: self.readings.applied,
            sample_age_ms: Percentiles { p50: self.readings.age_ms(0.5), p99: self.readings.age_ms(0.99) },
            frames: self.times.frames,
            frame_cpu_ms: percentiles(&self.times.cpu_ms),
            frame_ms: percentiles(&self.times.all_ms),
            seconds,
            peers: self.met.0.values().cloned().collect(),
            selected: self.selection.0.and_then(path_of),
            connection: self.connection.state.as_ref().map_or("file".to_owned(), |s| format!("{s:?}")),
            stale: self.readings.is_lost(),
            cursor: CursorReport {
                live: *self.cursor == Cursor::Live,
                instant: self.past.shown().map(rfc3339),
                waiting: self.past.is_waiting(*self.cursor),
                wait_ms: Percentiles { p50: self.past.wait_ms(0.5), p99: self.past.wait_ms(0.99) },
                show_ms: Percentiles { p50: self.past.show_ms(0.5), p99: self.past.show_ms(0.99) },
            },
            adapter: self.quality.adapter.clone(),
            values: self.values(),
            changed: self.changed(),
            notes: self.connection.fold().map_or(0, |fold| fold.notes().len()),
            viewpoints: self.connection.fold().map_or(0, |fold| fold.viewpoints().count()),
            errors: self.problems.all().iter().chain(failure).cloned().collect(),
            more: self.more.0.iter().map(|(name, part)| (*name, part())).collect(),
        };
        serde_json::to_string_pretty(&report).expect("a report holds nothing that JSON cannot")
    }

    fn values(&self) -> BTreeMap<String, TagReport> {
        let tags = (0..).map(gemba_twin::path::TagId).zip(self.site.tags());
        let value = |(id, tag): (gemba_twin::path::TagId, &gemba_twin::tag::Tag)| {
            let sample = self.readings.newest(id)?;
            let report = TagReport {
                value: sample.value.as_ref().map(ToString::to_string),
                number: sample.value.as_ref().and_then(|v| v.as_number()),
                unit: tag.unit.to_string(),
                quality: sample.quality.label(),
                source_time_micros: sample.source_time.0,
            };
            Some((tag.path.to_string(), report))
        };
        tags.filter_map(value).collect()
    }

    fn changed(&self) -> BTreeMap<String, ThingReport> {
        let all = (0..self.site.things().len()).map(ThingIndex);
        let report = |index: ThingIndex| {
            let standing = self.site.standing(index)?;
            let retired = self.site.is_retired(index);
            let carried = self.bodies.knows(standing.id);
            if standing.place.is_none() && !retired && !standing.is_made && !carried {
                return None;
            }
            let drawn = self.things.entity(index).and_then(|entity| self.drawn.get(entity).ok());
            let place = drawn.map(|(world, _)| world.translation().to_array());
            let shown = drawn.is_some_and(|(_, visibility)| visibility.get());
            let report = ThingReport { place, retired, shown, made: standing.is_made, carried };
            Some((self.site.thing(index)?.path.to_string(), report))
        };
        all.filter_map(report).collect()
    }
}

pub(crate) fn plugin(app: &mut App) {
    app.init_resource::<FrameTimes>()
        .init_resource::<Met>()
        .init_resource::<MoreSeen>()
        .add_systems(First, begin)
        .add_systems(Update, meet.in_set(Frame::Present))
        .add_systems(Last, end);
}

fn meet(mut met: ResMut<Met>, people: Res<People>, site: Res<Site>, time: Res<Time<Real>>) {
    met.0.values_mut().for_each(|peer| peer.here = false);
    for person in people.0.values() {
        let thing = person.selected.and_then(|id| site.find_id(id)).and_then(|thing| site.thing(thing));
        let peer = PeerReport {
            name: person.info.name.clone(),
            key: person.info.key.to_string(),
            place: person.poses[1].as_ref().map(|(_, pose)| pose.head.place),
            hands: person.poses[1].as_ref().map_or(0, |(_, pose)| pose.hands.iter().flatten().count()),
            fingers: person.fingers.hands(time.elapsed()).iter().flatten().map(bends).collect(),
            selected: thing.map(|thing| thing.path.to_string()),
            here: true,
        };
        met.0.insert(person.info.key, peer);
    }
}

/// Both in the main thread, whose clock is asked.
fn begin(mut times: ResMut<FrameTimes>, _main: NonSendMarker) {
    times.begun = Some(Moment::now());
}

fn end(mut times: ResMut<FrameTimes>, _main: NonSendMarker) {
    let Some(begun) = times.begun.take() else { return };
    let now = Moment::now();
    let (all, worked) = (now.at - begun.at, now.worked.saturating_sub(begun.worked));
    let FrameTimes { all_ms, cpu_ms, .. } = &mut *times;
    for (kept, new) in [(all_ms, all), (cpu_ms, worked)] {
        if kept.len() == FRAMES {
            kept.pop_front();
        }
        kept.push_back(new.as_secs_f64() * 1000.0);
    }
    times.frames += 1;
}
