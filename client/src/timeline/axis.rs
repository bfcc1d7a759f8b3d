//! Time along the bar: from instants to places and back, the part of history that is in sight, and marks to read it by.

use gemba_twin::sample::Timestamp;

use crate::calendar;

/// Distances between marks, seconds: those that clocks and calendars have.
const STEPS: [i64; 19] =
    [1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14_400, 28_800, 43_200, 86_400, 172_800, 604_800, 2_592_000];
/// Room that a mark with its words needs, points.
const MARK_POINTS: f32 = 64.0;
/// Shortest time that can be drawn out over the whole bar, microseconds.
const SHORTEST_MICROS: i64 = 10_000_000;

/// The stretch of time that the bar shows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Axis {
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    /// Where the bar begins and ends, points.
    pub(super) left: f32,
    pub(super) right: f32,
}

impl Axis {
    fn micros(&self) -> f64 {
        self.to.micros_since(self.from).max(1) as f64
    }

    /// Where an instant stands, which may be outside of the bar.
    pub(super) fn x(&self, instant: Timestamp) -> f32 {
        let fraction = instant.micros_since(self.from) as f64 / self.micros();
        self.left + (fraction * f64::from(self.right - self.left)) as f32
    }

    /// The instant at a place.
    pub(super) fn instant(&self, x: f32) -> Timestamp {
        let fraction = f64::from(x - self.left) / f64::from((self.right - self.left).max(1.0));
        self.from.plus_micros((fraction * self.micros()) as i64)
    }

    /// Marks with their words: days by their date, the rest by the time of day.
    pub(super) fn marks(&self) -> Vec<(f32, String)> {
        let points = f64::from((self.right - self.left).max(1.0));
        let least = self.micros() / 1e6 * f64::from(MARK_POINTS) / points;
        let step = STEPS.into_iter().find(|step| *step as f64 >= least).unwrap_or(STEPS[STEPS.len() - 1]);
        let first = (self.from.0.div_euclid(1_000_000) + step).div_euclid(step) * step;
        let marks = (0..=(points / f64::from(MARK_POINTS)) as i64).map(|i| Timestamp::from_secs(first + i * step));
        let words = |at: Timestamp| match at.0.div_euclid(1_000_000) {
            secs if secs.rem_euclid(86_400) == 0 => calendar::date(at),
            _ if step < 60 => calendar::time(at),
            _ => calendar::minutes(at),
        };
        marks.filter(|at| *at <= self.to).map(|at| (self.x(at), words(at))).collect()
    }
}

/// Which part of history is in sight: all of it, growing with it, until someone draws it out.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Sight(Option<(Timestamp, Timestamp)>);

impl Sight {
    /// The stretch to show of a history.
    pub(super) fn within(self, (from, to): (Timestamp, Timestamp)) -> (Timestamp, Timestamp) {
        match self.0 {
            Some((a, b)) if a < to && b > from => (a.max(from), b.min(to)),
            _ => (from, to),
        }
    }

    /// Draws time out about an instant, or together for a factor over 1; all together is all of history again.
    pub(super) fn zoom(&mut self, history: (Timestamp, Timestamp), about: Timestamp, factor: f64) {
        let (from, to) = self.within(history);
        let about = about.max(from).min(to);
        let scaled = |micros: i64| (micros as f64 * factor) as i64;
        let span = scaled(to.micros_since(from));
        if span >= history.1.micros_since(history.0) {
            self.0 = None;
        } else if span >= SHORTEST_MICROS {
            // What would lie outside history is shown at the other end, so that drawing together always shows more.
            let from = about.plus_micros(-scaled(about.micros_since(from)));
            let from = from.min(history.1.plus_micros(-span)).max(history.0);
            self.0 = Some((from, from.plus_micros(span)));
        }
    }

    /// Shows all of history.
    pub(super) fn reset(&mut self) {
        self.0 = None;
    }

    /// Moves on so that an instant stays in sight.
    pub(super) fn follow(&mut self, instant: Timestamp) {
        let Some((from, to)) = &mut self.0 else { return };
        let span = to.micros_since(*from);
        if instant < *from || instant > *to {
            *from = instant.plus_micros(-span / 2);
            *to = instant.plus_micros(span - span / 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(secs: i64) -> Axis {
        Axis {
            from: Timestamp::from_secs(1_000_000),
            to: Timestamp::from_secs(1_000_000 + secs),
            left: 100.0,
            right: 900.0,
        }
    }

    #[test]
    fn a_place_and_its_instant_belong_together() {
        let axis = axis(28_800);
        assert_eq!(axis.instant(100.0), axis.from);
        assert_eq!(axis.x(axis.to), 900.0);
        let middle = axis.instant(500.0);
        assert!((axis.x(middle) - 500.0).abs() < 0.01);
    }

    #[test]
    fn marks_have_room_for_their_words_over_any_time() {
        for secs in [10, 95, 600, 3600, 28_800, 86_400, 700_000, 30_000_000] {
            let marks = axis(secs).marks();
            assert!(!marks.is_empty() && marks.len() < 14, "{secs}: {marks:?}");
            assert!(marks.windows(2).all(|m| m[1].0 - m[0].0 >= MARK_POINTS - 1.0), "{secs}: {marks:?}");
        }
        assert_eq!(axis(28_800).marks()[1].1, "15:00");
    }

    #[test]
    fn time_is_drawn_out_about_the_pointer_and_all_together_again() {
        let secs = Timestamp::from_secs;
        let history = (secs(0), secs(1000));
        let mut sight = Sight::default();
        sight.zoom(history, secs(400), 0.5);
        assert_eq!(sight.within(history), (secs(200), secs(700)));
        sight.follow(secs(900));
        assert_eq!(sight.within(history), (secs(650), secs(1000)));
        (0..9).for_each(|_| sight.zoom(history, secs(400), 2.0));
        assert_eq!(sight, Sight::default());
        (0..99).for_each(|_| sight.zoom(history, secs(400), 0.5));
        let (from, to) = sight.within(history);
        assert!(to.micros_since(from) >= SHORTEST_MICROS);
    }

    #[test]
    fn a_sight_that_history_has_left_behind_shows_all() {
        let mut sight = Sight::default();
        sight.zoom((Timestamp::from_secs(0), Timestamp::from_secs(1000)), Timestamp::from_secs(10), 0.1);
        let later = (Timestamp::from_secs(5000), Timestamp::from_secs(6000));
        assert_eq!(sight.within(later), later);
    }
}
