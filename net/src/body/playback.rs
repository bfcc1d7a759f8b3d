//! What a receiver shows: a little behind what it has heard, so that there most often is a later place to move towards.
//! [`PlayClock`] says how far behind, one for each sender; [`Playback`] holds one body's last places.

use std::collections::VecDeque;
use std::time::Duration;

use super::placement::{Placement, inverse, product, turn_of, turned, unit};
use super::receiver::Heard;
use super::sender::Body;

/// Places kept of one body: half a second at 60 Hz.
const PLACES: usize = 32;
/// Longest that a body goes on as it did when nothing is heard of it; then it waits where it is.
const EXTRAPOLATED_SECS: f64 = 0.15;
/// Longest that what is shown may be behind what is heard.
const DELAY_SECS: f64 = 0.5;
/// How long before the first word of its motion a body that rested is taken to have set off.
const SET_OFF_SECS: f64 = 0.05;
/// How much a gap between two words changes what is thought to be their pace.
const PACE_SHARE: f64 = 0.1;
/// What is told more seldom than this is shown no further behind for it.
const MOST_PACE_SECS: f64 = 0.6;
/// How long the quickest packets are remembered, at least; twice as long at most. A line may have become longer for good, and
/// the clocks of two machines drift apart.
const MEMORY: Duration = Duration::from_secs(10);
/// How quickly shown time may run faster or slower than time, so that nobody sees it.
const SLEW: f64 = 0.05;
/// How much of the jitter is forgotten each second.
const FORGOTTEN: f64 = 0.1;

/// Which of a sender's ticks is shown now. The delay grows at once when packets come late and shrinks slowly.
#[derive(Debug, Clone)]
pub struct PlayClock {
    rate_hz: f64,
    /// Seconds from a tick to the arrival of the quickest packets, on both ends' clocks: in the memory before this one
    /// and in this one, which began then.
    quickest_secs: [Option<f64>; 2],
    memory_begun: Duration,
    jitter_secs: f64,
    heard: Duration,
    shown_secs: f64,
    shown: Option<Duration>,
}

impl PlayClock {
    /// Of a sender with so many ticks a second.
    pub fn new(rate_hz: u32) -> Self {
        let rate_hz = f64::from(rate_hz.max(1));
        let heard = Duration::ZERO;
        let (quickest_secs, memory_begun) = ([None; 2], Duration::ZERO);
        Self { rate_hz, quickest_secs, memory_begun, jitter_secs: 0.0, heard, shown_secs: 0.0, shown: None }
    }

    /// A packet of this tick has arrived, `now` being any clock that runs evenly.
    pub fn handle_packet(&mut self, now: Duration, tick: u32) {
        let way = now.as_secs_f64() - f64::from(tick) / self.rate_hz;
        let since = now.saturating_sub(self.heard).as_secs_f64();
        self.heard = now;
        if now.saturating_sub(self.memory_begun) > MEMORY {
            (self.quickest_secs[0], self.quickest_secs[1], self.memory_begun) = (self.quickest_secs[1], None, now);
        }
        self.quickest_secs[1] = Some(self.quickest_secs[1].map_or(way, |quickest| quickest.min(way)));
        let quickest = self.quickest().unwrap_or(way);
        let kept = (1.0 - FORGOTTEN * since).max(0.0);
        self.jitter_secs = (self.jitter_secs * kept).max(way - quickest).min(DELAY_SECS);
    }

    fn quickest(&self) -> Option<f64> {
        self.quickest_secs.into_iter().flatten().reduce(f64::min)
    }

    /// How far behind the quickest packets what is shown should be.
    pub fn delay(&self) -> Duration {
        Duration::from_secs_f64((self.jitter_secs + 1.0 / self.rate_hz).min(DELAY_SECS))
    }

    /// The tick to show now, and how far into the next; none before the first packet.
    pub fn tick(&mut self, now: Duration) -> Option<f64> {
        let wanted = now.as_secs_f64() - self.quickest()? - self.delay().as_secs_f64();
        let Some(before) = self.shown.replace(now) else {
            self.shown_secs = wanted;
            return Some(wanted * self.rate_hz);
        };
        let since = now.saturating_sub(before).as_secs_f64();
        let even = self.shown_secs + since;
        // Far off is not slewed: the lane was interrupted.
        let far = (wanted - even).abs() > 2.0 * DELAY_SECS;
        self.shown_secs = if far { wanted } else { even + (wanted - even).clamp(-SLEW * since, SLEW * since) };
        Some(self.shown_secs * self.rate_hz)
    }
}

/// The last places of one body.
#[derive(Debug, Clone, Default)]
pub struct Playback {
    places: VecDeque<(u32, Body)>,
    /// Mean ticks between two words lately; 0 before there were two.
    pace: f64,
}

impl Playback {
    /// The body was heard of; in any order.
    pub fn handle_heard(&mut self, heard: &Heard) {
        let later = self.places.iter().rev().take_while(|(tick, _)| tick.wrapping_sub(heard.tick) as i32 > 0).count();
        let place = self.places.len() - later;
        if place > 0 && self.places[place - 1].0 == heard.tick {
            return;
        }
        if later == 0
            && let Some((newest, body)) = self.places.back()
            && !body.resting
        {
            // What rested is told anew when it moves: that is no pace.
            let gap = f64::from(heard.tick.wrapping_sub(*newest));
            self.pace = if self.pace == 0.0 { gap } else { self.pace + (gap - self.pace) * PACE_SHARE };
        }
        self.places.insert(place, (heard.tick, heard.body));
        if self.places.len() > PLACES {
            self.places.pop_front();
        }
    }

    /// Whether nothing was heard of the body.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// As [`Self::at`], so far behind that there most often is a later place to move towards, however often this body is
    /// told: for bodies of which each is told at a pace of its own, with one clock.
    pub fn behind(&self, tick: f64, rate_hz: u32) -> Option<Placement> {
        self.at(tick - self.pace.min(MOST_PACE_SECS * f64::from(rate_hz)), rate_hz)
    }

    /// Where the body is to be shown at a tick of its sender, `rate_hz` of which make a second.
    pub fn at(&self, tick: f64, rate_hz: u32) -> Option<Placement> {
        let since = |told: u32| tick - f64::from(told);
        let next = self.places.iter().position(|(told, _)| since(*told) < 0.0);
        let (before, after) = match next {
            Some(0) => return self.places.front().map(|(_, body)| body.at),
            Some(next) => (next - 1, next),
            None => {
                let last = self.places.len().checked_sub(1)?;
                // A body that rests is exactly where it was told, and so is one of which nothing else is known.
                if self.places[last].1.resting || last == 0 {
                    return Some(self.places[last].1.at);
                }
                (last - 1, last)
            }
        };
        let ((from, a), (to, b)) = (self.places[before], self.places[after]);
        // What rested set off a moment before it was first heard to move, not when it came to rest.
        let least = if a.resting { to.wrapping_sub((SET_OFF_SECS * f64::from(rate_hz)) as u32) } else { from };
        let from = if least.wrapping_sub(from) as i32 > 0 { least } else { from };
        let between = f64::from(to.wrapping_sub(from)).max(1.0);
        let ahead = between + EXTRAPOLATED_SECS * f64::from(rate_hz);
        Some(mixed(a.at, b.at, since(from).clamp(0.0, ahead) / between))
    }
}

/// On the way from `a` (share 0) to `b` (share 1), and beyond.
fn mixed(a: Placement, b: Placement, share: f64) -> Placement {
    let place = std::array::from_fn(|i| a.place[i] + (b.place[i] - a.place[i]) * share);
    let turn = turn_of(product(b.rotation, inverse(a.rotation))).map(|radians| radians * share);
    Placement { place, rotation: unit(product(turned(turn), a.rotation)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::{BodyNumber, Epoch};

    fn heard(tick: u32, metres: f64, resting: bool) -> Heard {
        let at = Placement { place: [metres, 0.0, 0.0], ..Placement::ORIGIN };
        Heard { number: BodyNumber(1), tick, body: Body { epoch: Epoch(0), at, resting } }
    }

    #[test]
    fn a_body_is_led_between_places_and_not_far_beyond_the_last() {
        let mut playback = Playback::default();
        assert_eq!(playback.at(0.0, 30), None);
        for tick in [20, 10, 10, 30] {
            playback.handle_heard(&heard(tick, f64::from(tick), false));
        }
        let shown = |playback: &Playback, tick| playback.at(tick, 30).unwrap().place[0];
        assert_eq!([shown(&playback, 5.0), shown(&playback, 15.0), shown(&playback, 27.5)], [10.0, 15.0, 27.5]);
        assert!((shown(&playback, 33.0) - 33.0).abs() < 1e-9);
        assert!((shown(&playback, 300.0) - 34.5).abs() < 1e-9, "it waits 0.15 s after the last word");
        playback.handle_heard(&heard(40, 31.5, true));
        assert_eq!(shown(&playback, 1e6), 31.5, "what rests is shown exactly where it rests");
    }

    #[test]
    fn what_rested_for_long_sets_off_only_when_it_moves() {
        let mut playback = Playback::default();
        playback.handle_heard(&heard(0, 1.0, true));
        playback.handle_heard(&heard(9_000, 2.0, false));
        let shown = |tick| playback.at(tick, 1000).unwrap().place[0];
        assert_eq!([shown(5_000.0), shown(8_950.0), shown(8_975.0), shown(9_000.0)], [1.0, 1.0, 1.5, 2.0]);
    }

    #[test]
    fn a_body_told_seldom_is_shown_further_behind_and_so_moves_evenly() {
        for gap in [30u32, 100, 500] {
            let mut playback = Playback::default();
            let mut shown = Vec::new();
            for millis in 0..6_000u32 {
                if millis % gap == 0 {
                    playback.handle_heard(&heard(millis, f64::from(millis), false));
                }
                if millis > 3_000 {
                    shown.push(playback.behind(f64::from(millis), 1000).unwrap().place[0]);
                }
            }
            for pair in shown.windows(2) {
                assert!((0.9..1.1).contains(&(pair[1] - pair[0])), "every {gap} ms: {pair:?}");
            }
        }
    }

    #[test]
    fn a_line_that_becomes_longer_for_good_is_followed() {
        let mut clock = PlayClock::new(1000);
        let mut early = 0.0f64;
        for millis in (0..60_000u32).step_by(20) {
            let way = if millis < 5_000 { 100 } else { 900 };
            let now = Duration::from_millis(u64::from(millis + way));
            clock.handle_packet(now, millis);
            let shown = clock.tick(now).unwrap();
            if millis > 40_000 {
                early = early.max(shown - f64::from(millis));
            }
        }
        assert!(early <= 1.0, "what is shown is {early} ms ahead of what was heard");
    }

    #[test]
    fn the_delay_follows_the_jitter_and_shown_time_never_jumps_or_runs_back() {
        let mut clock = PlayClock::new(30);
        let mut shown = Vec::new();
        let mut delays = Vec::new();
        for tick in 0..900u32 {
            let late = if (300..330).contains(&tick) { u64::from(tick % 4) * 20 } else { 0 };
            clock.handle_packet(Duration::from_millis(u64::from(tick) * 100 / 3 + 500 + late), tick);
            shown.push(clock.tick(Duration::from_millis(u64::from(tick) * 100 / 3 + 580)).unwrap());
            delays.push(clock.delay());
        }
        assert!(
            delays[299] < Duration::from_millis(40) && delays[331] > Duration::from_millis(85),
            "{:?}",
            delays[331]
        );
        assert!(delays[899] < delays[331], "a calm line is followed more closely again");
        for pair in shown.windows(2) {
            assert!((0.9..1.1).contains(&(pair[1] - pair[0])), "{pair:?}");
        }
    }
}
