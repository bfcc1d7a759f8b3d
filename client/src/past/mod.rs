//! The past as the host recalls it: what is asked for, what is here of it, and how it becomes what everyone reads. While
//! the cursor is not live, [`Readings`] shows what is here at the cursor, so that scene, labels, curves and lists follow
//! without knowing. Until the host has answered, the instant that was shown before goes on being shown under its own
//! time; nothing is ever shown under another.
//!
//! Absent: the plant's own past (things that came, moved and went), which the link folds ([`crate::link`]).

use std::collections::VecDeque;
use std::time::Instant;

use bevy::prelude::*;
use gemba_net::{PeerNumber, Recall, RecallAnswer};
use gemba_twin::binding::Target;
use gemba_twin::layout::tags;
use gemba_twin::path::TagId;
use gemba_twin::sample::Timestamp;

use crate::cursor::{Cursor, MoveCursor};
use crate::plant::PlantProgress;
use crate::readings::Readings;
use crate::schedule::Frame;
use crate::selection::Selection;
use crate::site::{Site, ThingIndex};

mod deeds;
mod events;
mod showing;
mod window;
mod wish;

pub use deeds::{Deed, Deeds};
pub use events::{Event, EventKind, Overview};
use showing::Showing;
pub use window::Covered;
use window::{Trend, Window};
use wish::{CURVE_MICROS, Situation, Wish};

/// Tags whose curves are recalled at most: those of the selected machine come first.
const CURVES: usize = 64;

/// Waits kept for the report.
const WAITS: usize = 1000;

/// What the link brings of the past.
#[derive(Message, Debug, Clone)]
pub enum PastNews {
    /// How far back history goes.
    History(Timestamp, Timestamp),
    /// The answer to a question.
    Answer(RecallAnswer),
}

/// Another peer invites to an instant, or withdraws that.
#[derive(Message, Debug, Clone, Copy)]
pub struct InstantShared {
    /// Who.
    pub peer: PeerNumber,
    /// When.
    pub instant: Option<Timestamp>,
}

/// What the link is to say of the past.
#[derive(Message, Debug, Clone)]
pub enum TellHost {
    /// A question.
    Recall(Recall),
    /// Invites the others to an instant, or withdraws that.
    ShareInstant(Option<Timestamp>),
}

/// The instant a run begins at, as the command line names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartAt {
    /// This one.
    Instant(Timestamp),
    /// So many microseconds before the run begins.
    Ago(i64),
}

/// What is here of the past.
#[derive(Resource, Default)]
pub struct Past {
    history: Option<(Timestamp, Timestamp)>,
    /// Instants that the run goes to one after the other, as soon as the one before has been drawn.
    route: VecDeque<StartAt>,
    /// Whether the first of them has been gone to.
    has_begun: bool,
    showing: Showing,
    asked: Option<Wish>,
    requests: u32,
    scene: Option<Window>,
    trend: Option<Trend>,
    /// The instant that is shown, and whether its readings have to be made anew.
    shown: Option<Timestamp>,
    is_changed: bool,
    overview: Overview,
    deeds: Deeds,
    states: Vec<TagId>,
    curves: Vec<TagId>,
    known: Option<(u64, Option<ThingIndex>)>,
    asked_at: Option<Instant>,
    waits_ms: VecDeque<f64>,
}

impl Past {
    /// Nothing yet; the cursor goes to the first of `route` as soon as there is history, and to each other when the one
    /// before has been drawn.
    pub fn new(route: Vec<StartAt>) -> Self {
        Self { route: route.into(), ..Self::default() }
    }

    /// The beginning of history and now, if the host keeps one.
    pub fn history(&self, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
        self.history.map(|(from, to)| (from, to.max(now)))
    }

    /// The whole history at a glance.
    pub fn overview(&self) -> &Overview {
        &self.overview
    }

    /// What people did.
    pub fn deeds(&self) -> &Deeds {
        &self.deeds
    }

    /// The instant that is shown; none while it is live, or while nothing of the past has come yet.
    pub fn shown(&self) -> Option<Timestamp> {
        self.shown
    }

    /// Whether the cursor is where nothing has been recalled yet.
    pub fn is_waiting(&self, cursor: Cursor) -> bool {
        cursor.instant().is_some_and(|instant| self.shown != Some(instant))
    }

    /// Whether anything was recorded at the instant that is shown.
    pub fn is_covered(&self) -> bool {
        self.scene.as_ref().zip(self.shown).is_some_and(|(scene, shown)| scene.is_covered(shown))
    }

    /// Whether between the values that are played there were others.
    pub fn is_thinned(&self, cursor: Cursor) -> bool {
        cursor.pace() > 0 && self.scene.as_ref().is_some_and(Window::is_thinned)
    }

    /// Whether the run is still on its way to where it was to begin.
    pub fn is_opening(&self, cursor: Cursor) -> bool {
        !self.route.is_empty() || self.is_waiting(cursor)
    }

    /// How many instants of its route the run has not gone to yet.
    pub fn left_of_route(&self) -> usize {
        self.route.len()
    }

    /// How long `fraction` of the instants that were asked for lately took at most until they had been drawn, milliseconds.
    pub fn show_ms(&self, fraction: f64) -> Option<f64> {
        self.showing.ms(fraction)
    }

    /// Where the run goes next, if it is time. What is drawn before the plant is there is no picture of it.
    fn next_of_route(&mut self, is_plant_here: bool) -> Option<StartAt> {
        let may = self.history.is_some() && (!self.has_begun || is_plant_here && self.showing.is_over());
        let next = if may { self.route.pop_front() } else { None };
        self.has_begun |= next.is_some();
        next
    }

    /// How long `fraction` of the recent pictures were waited for at most, from question to answer, milliseconds.
    pub fn wait_ms(&self, fraction: f64) -> Option<f64> {
        let mut waits: Vec<f64> = self.waits_ms.iter().copied().collect();
        waits.sort_by(f64::total_cmp);
        let at = (waits.len().checked_sub(1)? as f64 * fraction).round() as usize;
        waits.get(at).copied()
    }

    fn note_wait(&mut self) {
        let is_scene = matches!(self.asked, Some(Wish::Scene(_)));
        let Some(since) = self.asked_at.take().filter(|_| is_scene) else { return };
        if self.waits_ms.len() == WAITS {
            self.waits_ms.pop_front();
        }
        self.waits_ms.push_back(since.elapsed().as_secs_f64() * 1000.0);
    }

    fn handle_answer(&mut self, answer: RecallAnswer) {
        // What nobody asked for, or asked for before a reconnect, is passed over.
        let is_asked = |wish: &mut Wish| wish.recall().request == answer.request;
        match self.asked.take_if(is_asked) {
            Some(Wish::Scene(asked)) => {
                let next = Window::new(&asked, answer);
                if let (Some(trend), Some(scene)) = (&mut self.trend, &self.scene) {
                    trend.lead_on(scene, asked.from, CURVE_MICROS);
                }
                self.scene = Some(next);
                self.is_changed = true;
            }
            Some(Wish::Trend(asked)) => {
                self.trend = Some(Trend::new(&asked, answer));
                self.is_changed = true;
            }
            Some(Wish::Overview(asked)) => self.overview.handle_answer(&asked, answer),
            None => {}
        }
    }

    /// The next question, unless one is out.
    fn next_wish(&mut self, cursor: Cursor, now: Timestamp) -> Option<Recall> {
        if self.asked.is_some() {
            return None;
        }
        let situation = Situation {
            cursor,
            history: self.history(now)?,
            scene: self.scene.as_ref(),
            trend: self.trend.as_ref(),
            curves: &self.curves,
            states: &self.states,
            overview_to: self.overview.known_to(),
        };
        self.requests = self.requests.wrapping_add(1);
        self.asked = wish::next(&situation, self.requests);
        self.asked.as_ref().map(|wish| wish.recall().clone())
    }

    /// Shows the cursor's instant, or goes on showing the last one that could be.
    fn show(&mut self, cursor: Cursor, readings: &mut Readings) {
        let Some(instant) = cursor.instant() else {
            if readings.is_past() {
                *self = Self { scene: None, trend: None, shown: None, ..std::mem::take(self) };
                readings.show_live();
            }
            return;
        };
        let is_served = |at| self.scene.as_ref().is_some_and(|scene| scene.serves(at, cursor.pace() == 0));
        let wanted = match (is_served(instant), self.scene.as_ref()) {
            (true, _) => Some(instant),
            // While the cursor is dragged the answers lag behind: each is shown under its own time.
            (false, Some(scene)) if self.is_changed && self.shown.is_none_or(|at| !is_served(at)) => Some(scene.from()),
            (false, _) => self.shown,
        };
        let Some((scene, wanted)) = self.scene.as_ref().zip(wanted) else {
            // Nothing of the past is here yet: nothing is known of this instant.
            readings.show_past(instant);
            return;
        };
        let before = self.shown.filter(|_| !self.is_changed);
        if before == Some(wanted) {
            return;
        }
        readings.show_past(wanted);
        let was_covered = before.is_some_and(|at| scene.is_covered(at));
        let before = before.filter(|_| was_covered == scene.is_covered(wanted));
        if before.is_none() {
            readings.forget_past();
        }
        show_scene(scene, self.trend.as_ref(), (before, wanted), readings);
        self.shown = Some(wanted);
        self.is_changed = false;
    }
}

/// Makes the readings of all tags that differ between two instants of a window.
fn show_scene(
    scene: &Window,
    trend: Option<&Trend>,
    (before, wanted): (Option<Timestamp>, Timestamp),
    readings: &mut Readings,
) {
    // A tag of which the scene says nothing may have a curve all the same.
    let curves = trend.into_iter().flat_map(Trend::tags).filter(|tag| !scene.has(*tag));
    for tag in scene.tags().chain(curves) {
        let is_same = before.is_some_and(|before| scene.count_at(tag, before) == scene.count_at(tag, wanted));
        if !is_same || trend.is_some_and(|trend| trend.has(tag)) {
            readings.recall(tag, scene.reading(tag, wanted, trend));
        } else if scene.is_changing(tag, wanted) {
            readings.touch(tag);
        }
    }
}

impl Wish {
    fn recall(&self) -> &Recall {
        match self {
            Wish::Scene(recall) | Wish::Trend(recall) | Wish::Overview(recall) => recall,
        }
    }
}

pub(crate) fn plugin(app: &mut App) {
    app.add_message::<PastNews>()
        .add_message::<InstantShared>()
        .add_message::<TellHost>()
        .add_systems(First, begin_frame)
        .add_systems(Update, (take_news, move_cursor, show).chain().in_set(Frame::Act))
        .add_systems(Update, (deeds::follow, choose_tags, ask).chain().in_set(Frame::Present));
}

fn take_news(mut past: ResMut<Past>, mut news: ResMut<Messages<PastNews>>) {
    for news in news.drain() {
        match news {
            PastNews::History(from, to) => {
                past.history = Some((from, to));
                past.overview.forget_before(from);
            }
            PastNews::Answer(answer) => {
                past.note_wait();
                past.handle_answer(answer);
            }
        }
    }
}

fn move_cursor(
    mut cursor: ResMut<Cursor>,
    mut past: ResMut<Past>,
    mut asked: MessageReader<MoveCursor>,
    readings: Res<Readings>,
    plant: Res<PlantProgress>,
    time: Res<Time<Real>>,
) {
    let now = readings.live_now();
    let history = past.history(now);
    let mut moved = *cursor;
    if let Some(start) = past.next_of_route(*plant == PlantProgress::Ready) {
        let instant = match start {
            StartAt::Instant(instant) => instant,
            StartAt::Ago(micros) => now.plus_micros(-micros),
        };
        moved.handle(MoveCursor::To(instant), history);
    }
    asked.read().for_each(|asked| moved.handle(*asked, history));
    // What is played waits for what has to come first.
    if !past.is_waiting(moved) {
        moved.advance(time.delta(), history);
    }
    if moved != *cursor {
        let standing = moved.instant().filter(|_| moved.pace() == 0);
        past.showing.ask(standing, Instant::now());
    }
    cursor.set_if_neq(moved);
}

fn begin_frame(mut past: ResMut<Past>) {
    let shown = past.shown;
    past.showing.begin_frame(shown, Instant::now());
}

fn show(mut past: ResMut<Past>, mut readings: ResMut<Readings>, cursor: Res<Cursor>) {
    past.show(*cursor, &mut readings);
}

/// Which tags tell states, and which may be drawn as curves.
fn choose_tags(mut past: ResMut<Past>, site: Res<Site>, selection: Res<Selection>) {
    let state = Some((site.revision, selection.0));
    if past.known == state {
        return;
    }
    if past.known.map(|(revision, _)| revision) != Some(site.revision) {
        let bound = site
            .present()
            .filter_map(|thing| site.thing(thing))
            .flat_map(|thing| &thing.bindings)
            .filter(|b| b.target == Target::State);
        let mut states: Vec<TagId> = bound.filter_map(|binding| site.tag_id(&binding.tag)).collect();
        let named = (0..).map(TagId).zip(site.tags()).filter(|(_, tag)| tag.path.name() == tags::STATE);
        states.extend(named.map(|(id, _)| id));
        states.sort_unstable();
        states.dedup();
        states.truncate(gemba_net::limits::RECALL_TAGS);
        if past.states != states {
            past.states = states;
            past.overview = Overview::default();
            past.asked.take_if(|wish| matches!(wish, Wish::Overview(_)));
        }
    }
    let below = selection.0.map_or_else(Vec::new, |thing| site.subtree(thing));
    past.curves = below.into_iter().flat_map(|thing| site.tags_of(thing)).copied().take(CURVES).collect();
    past.known = state;
}

fn ask(mut past: ResMut<Past>, mut tell: MessageWriter<TellHost>, cursor: Res<Cursor>, readings: Res<Readings>) {
    if let Some(recall) = past.next_wish(*cursor, readings.live_now()) {
        past.asked_at = Some(Instant::now());
        tell.write(TellHost::Recall(recall));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gemba_net::TagSample;
    use gemba_twin::sample::{Quality, Sample, Value};

    use crate::cursor::Speed;

    const TAG: TagId = TagId(0);
    const NOW: Timestamp = Timestamp(1_000_000_000);

    fn secs(at: i64) -> Timestamp {
        Timestamp::from_secs(at)
    }

    fn sample(at: i64, value: f64) -> Sample {
        Sample {
            value: Some(Value::Float(value)),
            quality: Quality::Good,
            source_time: secs(at),
            server_time: secs(at),
        }
    }

    fn standing(at: i64) -> Cursor {
        Cursor::At { instant: secs(at), speed: Speed::X1, playing: false }
    }

    /// A viewer whose only tag reads 99 now, and a host that answers by hand.
    struct Viewer {
        past: Past,
        readings: Readings,
    }

    impl Viewer {
        fn new() -> Self {
            let mut viewer = Self { past: Past::default(), readings: Readings::default() };
            viewer.past.history = Some((secs(0), NOW));
            viewer.past.overview.handle_answer(&recall(secs(0), NOW), answer(0, &[(0, 1000)], &[]));
            viewer.readings.set_live_now(NOW);
            viewer.readings.apply(TAG, sample(999, 99.0));
            viewer
        }

        fn show(&mut self, cursor: Cursor) -> Option<f64> {
            self.past.show(cursor, &mut self.readings);
            self.readings.number(TAG)
        }

        /// Answers what is asked at this cursor: the value is the instant's second, where it is covered.
        fn answer(&mut self, cursor: Cursor, covered: &[(i64, i64)]) {
            let asked = self.past.next_wish(cursor, NOW).expect("something is asked");
            let at = asked.from.0 / 1_000_000;
            self.past.handle_answer(answer(asked.request, covered, &[(at, at as f64)]));
        }
    }

    fn recall(from: Timestamp, to: Timestamp) -> Recall {
        Recall { request: 0, tags: None, from, to, points: 0 }
    }

    fn answer(request: u32, covered: &[(i64, i64)], samples: &[(i64, f64)]) -> RecallAnswer {
        let covered = covered.iter().map(|(a, b)| (secs(*a), secs(*b))).collect();
        let samples = samples.iter().map(|(at, value)| TagSample { tag: TAG, sample: sample(*at, *value) }).collect();
        RecallAnswer { request, covered, is_thinned: false, unreadable: Vec::new(), samples }
    }

    #[test]
    fn a_value_is_shown_under_its_own_time_and_no_live_value_in_the_past() {
        let mut viewer = Viewer::new();
        assert_eq!(viewer.show(Cursor::Live), Some(99.0));
        assert_eq!(viewer.show(standing(300)), None, "nothing is known until the host has answered");
        assert!(viewer.past.is_waiting(standing(300)) && viewer.past.shown().is_none());
        viewer.answer(standing(300), &[(0, 1000)]);
        assert_eq!((viewer.show(standing(300)), viewer.past.shown()), (Some(300.0), Some(secs(300))));
        assert_eq!(viewer.show(standing(400)), Some(300.0), "it goes on being shown");
        assert_eq!((viewer.past.shown(), viewer.readings.now()), (Some(secs(300)), secs(300)), "under its own time");
        viewer.answer(standing(400), &[(0, 1000)]);
        assert_eq!(viewer.show(standing(500)), Some(400.0), "the cursor has been dragged on meanwhile");
        assert_eq!((viewer.past.shown(), viewer.past.is_waiting(standing(500))), (Some(secs(400)), true));
        assert_eq!(viewer.show(Cursor::Live), Some(99.0));
        assert_eq!(viewer.past.shown(), None);
    }

    #[test]
    fn in_a_gap_nothing_is_known_whatever_was_in_force_before() {
        let mut viewer = Viewer::new();
        viewer.answer(standing(300), &[]);
        assert_eq!((viewer.show(standing(300)), viewer.past.is_covered()), (None, false));
        assert_eq!(viewer.past.shown(), Some(secs(300)), "that nothing is known is known");
    }

    #[test]
    fn an_answer_to_nothing_changes_nothing() {
        let mut viewer = Viewer::new();
        viewer.past.handle_answer(answer(7, &[(0, 1000)], &[(1, 5.0)]));
        assert_eq!(viewer.show(standing(300)), None);
        let asked = viewer.past.next_wish(standing(300), NOW).expect("something is asked");
        assert!(viewer.past.next_wish(standing(400), NOW).is_none(), "one question at a time");
        viewer.past.handle_answer(answer(asked.request.wrapping_add(1), &[(0, 1000)], &[(1, 5.0)]));
        assert_eq!(viewer.show(standing(300)), None);
    }
}
