//! Which instant of what the others do is shown: a little behind what was heard last, by as much as the line jitters and
//! no more. All that the host tells of places comes over the same line, so one clock serves for all; the link tells it
//! what arrives. Ticks are milliseconds of the host's clock.

use std::time::Duration;

use bevy::prelude::*;
use gemba_net::body::PlayClock;
use gemba_twin::sample::Timestamp;

use crate::schedule::Frame;

/// Ticks a second.
pub const TICKS: u32 = 1000;
/// What comes first may be older than what was heard first by so much.
const BEFORE: i64 = 3_600_000_000;

/// The clock by which the others are shown.
#[derive(Resource, Debug)]
pub struct Playing {
    clock: PlayClock,
    /// The instant of tick 0.
    begin: Option<Timestamp>,
    shown: Option<f64>,
}

impl Default for Playing {
    fn default() -> Self {
        Self { clock: PlayClock::new(TICKS), begin: None, shown: None }
    }
}

impl Playing {
    /// The tick of an instant on the host's clock.
    pub fn tick_of(&mut self, at: Timestamp) -> u32 {
        let begin = *self.begin.get_or_insert(at.plus_micros(-BEFORE));
        u32::try_from(at.micros_since(begin) / 1000).unwrap_or(0)
    }

    /// What was so at this instant of the host's clock, and is so no longer, has arrived; `now` is any even clock.
    pub fn handle_motion(&mut self, now: Duration, at: Timestamp) {
        let tick = self.tick_of(at);
        self.clock.handle_packet(now, tick);
    }

    /// The tick that is shown in this frame; none before anything has moved.
    pub fn shown(&self) -> Option<f64> {
        self.shown
    }

    /// How far behind the quickest words what is shown is, beside the pace of what is shown itself.
    pub fn delay(&self) -> Duration {
        self.clock.delay()
    }
}

pub(crate) fn plugin(app: &mut App) {
    app.init_resource::<Playing>().add_systems(Update, play.in_set(Frame::Act));
}

fn play(mut playing: ResMut<Playing>, time: Res<Time<Real>>) {
    let shown = playing.clock.tick(time.elapsed());
    playing.shown = shown;
}
