//! What to ask the host of the past next: decided from where the cursor is and what is here. One question at a time; the
//! picture comes before curves, and these before the overview.

use gemba_net::Recall;
use gemba_twin::path::TagId;
use gemba_twin::sample::Timestamp;

use super::window::{Trend, Window};
use crate::cursor::Cursor;

/// What is played is asked for so long ahead, seconds of ours: several round trips to the other side of the earth.
const AHEAD_SECS: i64 = 8;
/// And asked for again when less than this is left of it.
const REFILL_SECS: i64 = 4;
/// Samples of each tag in what is asked for ahead: 20 a second for ten seconds are kept whole at normal speed.
const POINTS_AHEAD: u32 = 512;
/// Samples of each curve: what the inspector's plots take.
const POINTS_CURVE: u32 = 400;
/// How far back the inspector's longest curve reaches, and a little.
pub(super) const CURVE_MICROS: i64 = 305_000_000;
/// Changes of state of each machine that are asked for at once: one every 15 seconds of a shift.
const POINTS_STATE: u32 = 2000;
/// The overview is brought up to date this often.
const OVERVIEW_MICROS: i64 = 5_000_000;

/// A question and what its answer is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wish {
    /// All tags, for the picture.
    Scene(Recall),
    /// A few tags, for their curves.
    Trend(Recall),
    /// The states of all machines, for the whole of history.
    Overview(Recall),
}

/// Everything that decides what to ask for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Situation<'a> {
    pub(super) cursor: Cursor,
    /// The beginning of history, and now.
    pub(super) history: (Timestamp, Timestamp),
    pub(super) scene: Option<&'a Window>,
    pub(super) trend: Option<&'a Trend>,
    /// Tags whose curves may be drawn.
    pub(super) curves: &'a [TagId],
    /// Tags that tell a machine's state.
    pub(super) states: &'a [TagId],
    /// Up to when the overview is known.
    pub(super) overview_to: Option<Timestamp>,
}

/// The next question, if there is one; under the number `request`.
pub(super) fn next(situation: &Situation, request: u32) -> Option<Wish> {
    let Situation { cursor, history: (beginning, now), scene, trend, curves, states, overview_to } = *situation;
    if let Some(instant) = cursor.instant() {
        let shown = scene.filter(|scene| scene.serves(instant, cursor.pace() == 0));
        let Some(scene) = shown.filter(|scene| !runs_out(scene, cursor, instant, now)) else {
            let ahead = cursor.pace().saturating_mul(AHEAD_SECS * 1_000_000);
            let to = instant.plus_micros(ahead).min(now).max(instant);
            let points = if ahead == 0 { 0 } else { POINTS_AHEAD };
            return Some(Wish::Scene(Recall { request, tags: None, from: instant, to, points }));
        };
        let is_drawn = curves.is_empty() || trend.is_some_and(|t| t.serves(curves, instant, CURVE_MICROS, scene));
        if !is_drawn {
            let (tags, from) = (Some(curves.to_vec()), instant.plus_micros(-CURVE_MICROS));
            return Some(Wish::Trend(Recall { request, tags, from, to: instant, points: POINTS_CURVE }));
        }
    }
    let from = overview_to.unwrap_or(beginning);
    if overview_to.is_some_and(|known| now.micros_since(known) < OVERVIEW_MICROS) || from > now {
        return None;
    }
    let tags = Some(states.to_vec());
    Some(Wish::Overview(Recall { request, tags, from, to: now, points: POINTS_STATE }))
}

/// Whether what is here will soon have been played; not where there is nothing more to come.
fn runs_out(scene: &Window, cursor: Cursor, instant: Timestamp, now: Timestamp) -> bool {
    let left = scene.to().micros_since(instant);
    let is_last = now.micros_since(scene.to()) < 1_000_000;
    left < cursor.pace().saturating_mul(REFILL_SECS * 1_000_000) && !is_last
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cursor::{MoveCursor, Speed};
    use gemba_net::RecallAnswer;

    fn secs(at: i64) -> Timestamp {
        Timestamp::from_secs(at)
    }

    fn situation(cursor: Cursor) -> Situation<'static> {
        Situation {
            cursor,
            history: (secs(0), secs(10_000)),
            scene: None,
            trend: None,
            curves: &[],
            states: &[],
            overview_to: Some(secs(9999)),
        }
    }

    fn standing(at: i64) -> Cursor {
        Cursor::At { instant: secs(at), speed: Speed::X1, playing: false }
    }

    fn playing(at: i64, speed: Speed) -> Cursor {
        let mut cursor = standing(at);
        cursor.handle(MoveCursor::Play(speed), Some((secs(0), secs(10_000))));
        cursor
    }

    fn window(from: i64, to: i64) -> Window {
        let asked = Recall { request: 0, tags: None, from: secs(from), to: secs(to), points: 9 };
        Window::new(&asked, RecallAnswer::default())
    }

    #[test]
    fn an_instant_that_stands_is_asked_for_exactly_and_once() {
        let mut at = situation(standing(500));
        let Some(Wish::Scene(recall)) = next(&at, 7) else { panic!("no picture") };
        assert_eq!((recall.request, recall.from, recall.to, recall.points), (7, secs(500), secs(500), 0));
        let held = window(500, 500);
        at.scene = Some(&held);
        assert_eq!(next(&at, 8), None);
        assert!(matches!(next(&Situation { cursor: standing(501), ..at }, 9), Some(Wish::Scene(_))));
    }

    #[test]
    fn what_is_played_is_asked_for_ahead_and_again_before_it_runs_out() {
        let mut at = situation(playing(500, Speed::X60));
        let Some(Wish::Scene(recall)) = next(&at, 1) else { panic!("no picture") };
        assert_eq!((recall.from, recall.to), (secs(500), secs(500 + 8 * 60)));
        let held = window(500, 980);
        at.scene = Some(&held);
        assert_eq!(next(&at, 2), None);
        at.cursor = playing(750, Speed::X60);
        assert!(matches!(next(&at, 3), Some(Wish::Scene(recall)) if recall.from == secs(750)));
        let last = window(9000, 10_000);
        let end = Situation { cursor: playing(9990, Speed::X1), scene: Some(&last), ..at };
        assert_eq!(next(&end, 4), None, "nothing more is to come");
    }

    #[test]
    fn curves_come_after_the_picture_and_the_overview_last() {
        let curves = [TagId(4)];
        let held = window(500, 500);
        let mut at = Situation { curves: &curves, overview_to: None, ..situation(standing(500)) };
        assert!(matches!(next(&at, 1), Some(Wish::Scene(_))));
        at.scene = Some(&held);
        let Some(Wish::Trend(asked)) = next(&at, 2) else { panic!("no curves") };
        assert_eq!((asked.to, asked.tags.as_deref()), (secs(500), Some(&curves[..])));
        let trend = Trend::new(&asked, RecallAnswer::default());
        at.trend = Some(&trend);
        assert!(matches!(next(&at, 3), Some(Wish::Overview(recall)) if recall.from == secs(0)));
        at.overview_to = Some(secs(9998));
        assert_eq!(next(&at, 4), None);
    }

    #[test]
    fn a_live_cursor_asks_for_the_overview_alone() {
        let mut at = situation(Cursor::Live);
        assert_eq!(next(&at, 1), None);
        at.overview_to = Some(secs(9000));
        assert!(matches!(next(&at, 2), Some(Wish::Overview(recall)) if recall.from == secs(9000)));
    }
}
