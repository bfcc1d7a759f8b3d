//! What the session with the headset has cost and kept to: the figures that a run's report and `gemba bench xr` tell.
//! Kept in one place that main and render world share; nothing is decided by them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bevy::math::UVec2;
use bevy::prelude::Resource;
use bevy::render::extract_resource::ExtractResource;

/// Frames whose costs are kept: some minutes.
const FRAMES: usize = 20_000;

/// What a session was made with: where the runtime does not offer something, the plant is seen without it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Fittings {
    /// The version of OpenXR that is spoken, such as `1.1`.
    pub openxr: String,
    /// Pixels of one eye; of its wide view, where it has an inset too.
    pub eye: UVec2,
    /// Pixels of an inset in each eye's middle, where the runtime offers foveated views.
    pub inset: Option<UVec2>,
    /// Whether that is where the person looks, and not in the middle.
    pub inset_follows_gaze: bool,
    /// Whether the runtime gets the depth of each picture too (XR_KHR_composition_layer_depth), by which it moves the
    /// picture to where the head is when it is shown.
    pub has_depth: bool,
    /// Triangles that hide what nobody can see through the lenses (XR_KHR_visibility_mask), of all views.
    pub mask_triangles: usize,
    /// The rate asked for, Hz; none where the runtime offers no choice (XR_FB_display_refresh_rate).
    pub refresh_hz: Option<f32>,
}

/// The figures of a run so far.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HeadsetReport {
    /// What the session was made with.
    pub fittings: Fittings,
    /// Sessions that have been made.
    pub sessions: u64,
    /// Frames that the runtime has asked for.
    pub frames: u64,
    /// Frames given to the runtime with a picture.
    pub pictures: u64,
    /// Times at which the display had to show an old picture, because a frame took longer than its period.
    pub late: u64,
    /// Of these, such as would have been missed had the renderer drawn in no time.
    pub late_by_us: u64,
    /// What a renderer that is the processor itself has drawn at each frame, milliseconds: middle and 99th of a hundred;
    /// 0 for a GPU, which draws meanwhile.
    pub drawn_ms: [f64; 2],
    /// Frames whose time was not after that of the frame before.
    pub disordered: u64,
    /// What our systems have worked on each frame, milliseconds, the runtime's own work and waiting left out: middle and
    /// 99th of a hundred.
    pub own_ms: [f64; 2],
    /// What the runtime has worked on our questions in each frame (hands, buttons, eyes), milliseconds: middle and 99th of a
    /// hundred.
    pub asked_ms: [f64; 2],
    /// Largest difference between the instant a picture was drawn for and that of the newest eyes the runtime had given
    /// for its frame, milliseconds.
    pub pose_age_ms: f64,
    /// Largest way between the eyes a picture was drawn with and those newest ones, metres.
    pub pose_off: f32,
}

#[derive(Debug, Default)]
struct Kept {
    report: HeadsetReport,
    /// Of this frame so far.
    own: Duration,
    own_ms: VecDeque<f64>,
    /// Of this frame so far.
    asked: Duration,
    asked_ms: VecDeque<f64>,
    /// How long this frame has been drawn.
    drawn: Duration,
    drawn_ms: VecDeque<f64>,
    /// When the frame before is shown, nanoseconds of the runtime's clock.
    before: Option<i64>,
}

/// The figures, shared by both worlds.
#[derive(Resource, Debug, Clone, Default, ExtractResource)]
pub struct HeadsetFigures(Arc<Mutex<Kept>>);

impl HeadsetFigures {
    /// Counts from now until the value is dropped as our own work on this frame.
    pub fn timed(&self) -> Timed<'_> {
        Timed { figures: self, begun: Instant::now(), outside: Duration::ZERO, asked: Duration::ZERO }
    }

    /// All figures so far.
    pub fn report(&self) -> HeadsetReport {
        let kept = self.kept();
        let [own_ms, asked_ms, drawn_ms] = [&kept.own_ms, &kept.asked_ms, &kept.drawn_ms].map(middle_and_most);
        HeadsetReport { own_ms, asked_ms, drawn_ms, ..kept.report.clone() }
    }

    /// Forgets what was counted so far: loading is not viewing.
    pub fn restart(&self) {
        let mut kept = self.kept();
        let HeadsetReport { fittings, sessions, .. } = kept.report.clone();
        kept.report = HeadsetReport { fittings, sessions, ..HeadsetReport::default() };
        kept.own_ms.clear();
        kept.asked_ms.clear();
        kept.drawn_ms.clear();
    }

    pub(crate) fn note_session(&self, fittings: Fittings) {
        let mut kept = self.kept();
        kept.report.fittings = fittings;
        kept.report.sessions += 1;
        kept.before = None;
    }

    pub(crate) fn note_mask(&self, triangles: usize) {
        self.kept().report.fittings.mask_triangles = triangles;
    }

    /// A frame that will be shown then, the runtime says; its display shows one every `period` (nanoseconds).
    pub(crate) fn note_frame(&self, shown: i64, period: i64) {
        let mut kept = self.kept();
        let (own, drawn) = (std::mem::take(&mut kept.own), std::mem::take(&mut kept.drawn));
        let asked = std::mem::take(&mut kept.asked);
        if kept.report.frames > 0 {
            keep(&mut kept.own_ms, own);
            keep(&mut kept.asked_ms, asked);
            keep(&mut kept.drawn_ms, drawn);
        }
        kept.report.frames += 1;
        match kept.before.replace(shown).map(|before| shown.saturating_sub(before)) {
            Some(step) if step <= 0 => kept.report.disordered += 1,
            Some(step) => {
                kept.report.late += missed(step, period);
                let drawn = i64::try_from(drawn.as_nanos()).unwrap_or(i64::MAX);
                kept.report.late_by_us += missed(step.saturating_sub(drawn), period);
            }
            None => {}
        }
    }

    /// The processor itself has drawn the frame for so long.
    pub(crate) fn note_drawn(&self, how_long: Duration) {
        self.kept().drawn = how_long;
    }

    /// A picture was given to the runtime, drawn for an instant that is `age` nanoseconds from its frame's, and from eyes
    /// that are `off` metres from where they were last told to be.
    pub(crate) fn note_picture(&self, age: i64, off: f32) {
        let report = &mut self.kept().report;
        report.pictures += 1;
        report.pose_age_ms = report.pose_age_ms.max(age.unsigned_abs() as f64 / 1e6);
        report.pose_off = report.pose_off.max(off);
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn keep(kept: &mut VecDeque<f64>, now: Duration) {
    if kept.len() == FRAMES {
        kept.pop_front();
    }
    kept.push_back(now.as_secs_f64() * 1e3);
}

/// The middle one, and the 99th of a hundred; 0 of none.
fn middle_and_most(of: &VecDeque<f64>) -> [f64; 2] {
    let mut sorted: Vec<f64> = of.iter().copied().collect();
    sorted.sort_by(f64::total_cmp);
    [0.5, 0.99].map(|share| {
        let at = (sorted.len().saturating_sub(1) as f64 * share).round() as usize;
        sorted.get(at).copied().unwrap_or(0.0)
    })
}

/// How many pictures the display had to show again when the next came `step` nanoseconds after the one before.
fn missed(step: i64, period: i64) -> u64 {
    if period <= 0 {
        return 0;
    }
    // Rounded: a runtime's period is an estimate.
    let periods = step.saturating_add(period / 2) / period;
    periods.saturating_sub(1).max(0) as u64
}

/// Our own work, while it lasts.
#[derive(Debug)]
pub struct Timed<'a> {
    figures: &'a HeadsetFigures,
    begun: Instant,
    outside: Duration,
    asked: Duration,
}

impl Timed<'_> {
    /// Leaves out what the runtime takes to answer, and counts it for itself.
    pub(crate) fn asking<T>(&mut self, runtime: impl FnOnce() -> T) -> T {
        let before = self.outside;
        let value = self.outside(runtime);
        self.asked += self.outside - before;
        value
    }

    /// Leaves out what the runtime does, or waits for.
    pub(crate) fn outside<T>(&mut self, runtime: impl FnOnce() -> T) -> T {
        let begun = Instant::now();
        let value = runtime();
        self.outside += begun.elapsed();
        value
    }
}

impl Drop for Timed<'_> {
    fn drop(&mut self) {
        let own = self.begun.elapsed().saturating_sub(self.outside);
        let mut kept = self.figures.kept();
        kept.own += own;
        kept.asked += self.asked;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_late_by_the_pictures_that_were_shown_again() {
        let period = 11_111_111;
        assert_eq!([1, 2, 3].map(|n| missed(n * period + 900_000, period)), [0, 1, 2]);
        assert_eq!([missed(period - 5, period), missed(period, 0), missed(i64::MAX, 1)], [0, 0, i64::MAX as u64 - 1]);
        let figures = HeadsetFigures::default();
        for shown in [10, 21, 32, 54, 54] {
            figures.note_frame(shown * 1_000_000, 11_000_000);
        }
        let report = figures.report();
        assert_eq!((report.frames, report.late, report.disordered), (5, 1, 1));
    }

    #[test]
    fn a_picture_missed_because_the_processor_had_to_draw_it_is_not_missed_by_us() {
        let figures = HeadsetFigures::default();
        for (shown, drawn) in [(0, 0), (22, 12), (55, 12), (66, 0)] {
            figures.note_drawn(Duration::from_millis(drawn));
            figures.note_frame(shown * 1_000_000, 11_000_000);
        }
        let report = figures.report();
        assert_eq!((report.late, report.late_by_us, report.drawn_ms), (3, 1, [12.0, 12.0]));
    }

    #[test]
    fn what_the_runtime_does_is_not_our_own_work() {
        let figures = HeadsetFigures::default();
        figures.note_frame(1, 1);
        let begun = Instant::now();
        let mut timed = figures.timed();
        timed.outside(|| std::thread::sleep(Duration::from_millis(30)));
        timed.asking(|| std::thread::sleep(Duration::from_millis(30)));
        drop(timed);
        let all = begun.elapsed().as_secs_f64() * 1e3;
        figures.note_frame(2, 1);
        let HeadsetReport { own_ms: [_, own], asked_ms: [_, asked], .. } = figures.report();
        assert!(own <= all - 60.0 && (30.0..=all - 30.0).contains(&asked), "{own} and {asked} of {all}");
    }

    #[test]
    fn the_worst_pose_is_told_and_a_restart_keeps_what_the_session_was_made_with() {
        let figures = HeadsetFigures::default();
        figures.note_session(Fittings { refresh_hz: Some(90.0), ..Fittings::default() });
        figures.note_picture(0, 0.0);
        figures.note_picture(-2_000_000, 0.01);
        let report = figures.report();
        assert_eq!((report.pictures, report.pose_age_ms, report.pose_off), (2, 2.0, 0.01));
        figures.restart();
        let report = figures.report();
        assert_eq!((report.pictures, report.pose_age_ms, report.sessions), (0, 0.0, 1));
        assert_eq!(report.fittings.refresh_hz, Some(90.0));
    }
}
