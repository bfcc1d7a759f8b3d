//! The one time cursor: which instant the viewer shows. Live, or an instant of the past, standing or being played.
//! Scene, labels, curves and lists follow it through [`crate::readings::Readings`]; nobody else keeps a time of their own.

use std::time::Duration;

use bevy::prelude::*;
use gemba_twin::sample::Timestamp;

/// So close to now the past ends and live begins: what is measured takes that long to be kept and asked for again.
const LIVE_MARGIN_MICROS: i64 = 1_000_000;

/// How fast the past is played.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Speed {
    /// As it was.
    #[default]
    X1,
    /// Ten times.
    X10,
    /// A minute a second.
    X60,
    /// Ten minutes a second: a shift in under a minute.
    X600,
}

impl Speed {
    /// All, slowest first.
    pub const ALL: [Speed; 4] = [Speed::X1, Speed::X10, Speed::X60, Speed::X600];

    /// Seconds of the plant in a second of ours.
    pub fn factor(self) -> i64 {
        match self {
            Speed::X1 => 1,
            Speed::X10 => 10,
            Speed::X60 => 60,
            Speed::X600 => 600,
        }
    }
}

/// Which instant is shown.
#[derive(Resource, Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Cursor {
    /// What is now.
    #[default]
    Live,
    /// What was.
    At {
        /// When, on the host's clock.
        instant: Timestamp,
        /// How fast it is played, when it is.
        speed: Speed,
        /// Whether it is being played.
        playing: bool,
    },
}

/// Asks the cursor to move. Without history it stays live.
#[derive(Message, Debug, Clone, Copy, PartialEq, Eq)]
pub enum MoveCursor {
    /// Back to what is now.
    ToLive,
    /// To an instant, where it stands.
    To(Timestamp),
    /// On or back by so many microseconds; it stands then.
    By(i64),
    /// Plays, or stands still if it is being played. From live: stands where it is.
    TogglePlay,
    /// Plays at this speed from where it is.
    Play(Speed),
}

impl Cursor {
    /// The instant, if it is not live.
    pub fn instant(self) -> Option<Timestamp> {
        match self {
            Cursor::Live => None,
            Cursor::At { instant, .. } => Some(instant),
        }
    }

    /// Plant seconds that pass in a second; 0 while it stands.
    pub fn pace(self) -> i64 {
        match self {
            Cursor::At { speed, playing: true, .. } => speed.factor(),
            _ => 0,
        }
    }

    /// Does what was asked, within the history that there is: its beginning, and now.
    pub fn handle(&mut self, asked: MoveCursor, history: Option<(Timestamp, Timestamp)>) {
        let Some((from, now)) = history else { return };
        let was = *self;
        let (speed, playing) = match was {
            Cursor::Live => (Speed::X1, false),
            Cursor::At { speed, playing, .. } => (speed, playing),
        };
        let here = was.instant().unwrap_or(now.plus_micros(-2 * LIVE_MARGIN_MICROS));
        *self = match asked {
            MoveCursor::ToLive => Cursor::Live,
            MoveCursor::To(instant) => Cursor::At { instant, speed, playing: false },
            MoveCursor::By(micros) if was == Cursor::Live && micros > 0 => Cursor::Live,
            MoveCursor::By(micros) => Cursor::At { instant: here.plus_micros(micros), speed, playing: false },
            MoveCursor::TogglePlay => Cursor::At { instant: here, speed, playing: was != Cursor::Live && !playing },
            MoveCursor::Play(speed) => Cursor::At { instant: here, speed, playing: true },
        };
        self.keep_within(from, now);
    }

    /// Lets time pass; at its end the past that is played becomes live. Who stands stays where they stand, also when the
    /// host's clock turns out to be a little behind what it was taken for.
    pub fn advance(&mut self, elapsed: Duration, history: Option<(Timestamp, Timestamp)>) {
        let pace = self.pace();
        let Cursor::At { instant, .. } = self else { return };
        let micros = i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX).saturating_mul(pace);
        *instant = instant.plus_micros(micros);
        match history {
            Some((from, now)) if pace > 0 => self.keep_within(from, now),
            Some((from, _)) => *instant = (*instant).max(from),
            None => {}
        }
    }

    fn keep_within(&mut self, from: Timestamp, now: Timestamp) {
        let Cursor::At { instant, .. } = self else { return };
        if now.micros_since(*instant) < LIVE_MARGIN_MICROS {
            *self = Cursor::Live;
        } else {
            *instant = (*instant).max(from);
        }
    }
}

pub(crate) fn plugin(app: &mut App) {
    app.init_resource::<Cursor>().add_message::<MoveCursor>();
}

#[cfg(test)]
mod tests {
    use super::*;

    const HISTORY: Option<(Timestamp, Timestamp)> = Some((Timestamp(100_000_000), Timestamp(1_000_000_000)));

    #[test]
    fn who_stands_just_before_the_present_is_not_thrown_into_it_when_the_clock_is_corrected() {
        let mut cursor = Cursor::Live;
        cursor.handle(MoveCursor::To(Timestamp(998_900_000)), HISTORY);
        let stands = cursor;
        let corrected = HISTORY.map(|(from, now)| (from, now.plus_micros(-500_000)));
        cursor.advance(Duration::from_millis(16), corrected);
        assert_eq!(cursor, stands);
        cursor.handle(MoveCursor::Play(Speed::X1), HISTORY);
        cursor.advance(Duration::from_millis(16), corrected);
        assert_eq!(cursor, Cursor::Live, "what is played has caught up");
    }

    fn at(secs: i64) -> MoveCursor {
        MoveCursor::To(Timestamp::from_secs(secs))
    }

    fn standing(secs: i64) -> Cursor {
        Cursor::At { instant: Timestamp::from_secs(secs), speed: Speed::X1, playing: false }
    }

    #[test]
    fn without_history_it_stays_live_whatever_is_asked() {
        let mut cursor = Cursor::Live;
        for asked in [at(500), MoveCursor::By(-5), MoveCursor::TogglePlay, MoveCursor::Play(Speed::X60)] {
            cursor.handle(asked, None);
        }
        assert_eq!(cursor, Cursor::Live);
    }

    #[test]
    fn it_stays_within_history_and_becomes_live_at_its_end() {
        let mut cursor = Cursor::Live;
        cursor.handle(at(5), HISTORY);
        assert_eq!(cursor, standing(100));
        cursor.handle(at(5000), HISTORY);
        assert_eq!(cursor, Cursor::Live);
        cursor.handle(at(990), HISTORY);
        cursor.handle(MoveCursor::Play(Speed::X10), HISTORY);
        cursor.advance(Duration::from_millis(500), HISTORY);
        assert_eq!((cursor.instant(), cursor.pace()), (Some(Timestamp::from_secs(995)), 10));
        cursor.advance(Duration::from_millis(500), HISTORY);
        assert_eq!(cursor, Cursor::Live);
    }

    #[test]
    fn a_pause_out_of_live_stands_just_behind_now_and_a_step_on_stays_live() {
        let mut cursor = Cursor::Live;
        cursor.handle(MoveCursor::By(1_000_000), HISTORY);
        assert_eq!(cursor, Cursor::Live);
        cursor.handle(MoveCursor::TogglePlay, HISTORY);
        assert_eq!(cursor, standing(998));
        cursor.handle(MoveCursor::TogglePlay, HISTORY);
        assert_eq!(cursor.pace(), 1);
        cursor.handle(MoveCursor::By(-8_000_000), HISTORY);
        assert_eq!(cursor, standing(990));
    }

    #[test]
    fn a_cursor_that_stands_is_not_moved_by_time() {
        let mut cursor = standing(300);
        cursor.advance(Duration::from_secs(60), HISTORY);
        assert_eq!(cursor, standing(300));
        cursor.advance(Duration::MAX, None);
        assert_eq!(cursor, standing(300));
    }
}
