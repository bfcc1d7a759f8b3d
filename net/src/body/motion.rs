//! What both ends of a lane know of one body, and where they therefore expect it next.
//!
//! Several guesses (it stays; it goes on as in the last tick, the last two, four, eight; it goes on as it has for long)
//! are weighed by how far each was off when this body was told before. A body in free flight is soon predicted by its
//! long past, one that is pushed about by its last movement, one that lies by where it lies. None of these knows physics,
//! neither gravity nor shapes; where both ends do, a [`super::Foresight`] is one guess more.

use super::lease::Epoch;
use super::placement::{Placement, inverse, product, turn_of, turned, unit};

const MOVES: usize = 8;
const TURNS: usize = 6;
/// A foresight counts as if it had missed by so much less: it knows of contacts before they come, the others after.
const FORESIGHT: f32 = 0.2;
/// Ticks over which a guess measures.
const SPANS: [u32; 4] = [1, 2, 4, 8];
const TURN_SPANS: [u32; 3] = [1, 3, 8];

/// A body at one tick, as both ends know it after a packet.
#[derive(Debug, Clone)]
pub(super) struct Known {
    /// The packet that told it.
    pub(super) packet: u32,
    /// When it was so.
    pub(super) tick: u32,
    pub(super) at: Placement,
    /// Under which lease.
    pub(super) epoch: Epoch,
    /// Whether the receiver has said that it knows; a receiver itself does not ask.
    pub(super) heard: bool,
    /// Whether it will stay there, exactly.
    pub(super) resting: bool,
    /// How large numbers have been lately, in steps.
    pub(super) place_size: f32,
    pub(super) turn_size: f32,
    /// The lasting movement: what is left of the steps when they are smoothed.
    smooth: Placement,
    velocity: [f64; 3],
    spin: [f64; 3],
    move_miss: [f32; MOVES],
    turn_miss: [f32; TURNS],
    /// What a foresight missed by, where there is one: its place, its rotation.
    foresight_miss: [f32; 2],
}

impl Known {
    /// What is told of a body for the first time: nothing is expected.
    pub(super) fn first(packet: u32, tick: u32, at: Placement, resting: bool) -> Self {
        Self {
            packet,
            tick,
            at,
            epoch: Epoch(0),
            heard: false,
            resting,
            place_size: 8.0,
            turn_size: 8.0,
            smooth: at,
            velocity: [0.0; 3],
            spin: [0.0; 3],
            move_miss: [8.0; MOVES],
            turn_miss: [8.0; TURNS],
            foresight_miss: [8.0; 2],
        }
    }
}

/// Where a body is expected, and why.
#[derive(Debug, Clone)]
pub(super) struct Expected {
    pub(super) at: Placement,
    ticks: f64,
    moves: [[f64; 3]; MOVES],
    turns: [[f64; 3]; TURNS],
    /// The movement and turn to where a foresight saw it.
    foreseen: Option<[[f64; 3]; 2]>,
}

impl Expected {
    /// At `tick`, from what is known, newest first; there is at least one. And from where a foresight saw it.
    pub(super) fn at(known: &[&Known], tick: u32, foreseen: Option<Placement>) -> Self {
        let base = known[0];
        let ticks = f64::from(tick.wrapping_sub(base.tick) as i32).clamp(0.0, 600.0);
        let mut moves = [[0.0; 3]; MOVES];
        let mut turns = [[0.0; 3]; TURNS];
        if base.resting {
            return Self { at: base.at, ticks, moves, turns, foreseen: None };
        }
        moves[1] = std::array::from_fn(|i| base.smooth.place[i] - base.at.place[i] + base.velocity[i] * ticks);
        let lasting = product(turned(base.spin.map(|s| s * ticks)), base.smooth.rotation);
        turns[1] = turn_of(product(lasting, inverse(base.at.rotation)));
        let before = |span: u32| {
            known[1..].iter().find(|past| base.tick.wrapping_sub(past.tick) >= span).or(known[1..].last()).map(|past| {
                let between = f64::from(base.tick.wrapping_sub(past.tick) as i32).max(1.0);
                (*past, between)
            })
        };
        for (number, span) in SPANS.into_iter().enumerate() {
            moves[2 + number] = before(span).map_or(moves[1], |(past, between)| {
                std::array::from_fn(|i| (base.at.place[i] - past.at.place[i]) / between * ticks)
            });
        }
        // Going on to change as between the last two ticks and the last eight.
        let change = (1.0 + ticks / 2.0) / 3.0;
        moves[6] = std::array::from_fn(|i| moves[3][i] + (moves[3][i] - moves[5][i]) * change);
        moves[7] = std::array::from_fn(|i| moves[3][i] * 0.5);
        for (number, span) in TURN_SPANS.into_iter().enumerate() {
            turns[2 + number] = before(span).map_or(turns[1], |(past, between)| {
                turn_of(product(base.at.rotation, inverse(past.at.rotation))).map(|r| r / between * ticks)
            });
        }
        turns[5] = turns[3].map(|r| r * 0.5);
        let foreseen = foreseen.map(|seen| {
            let moved = std::array::from_fn(|i| seen.place[i] - base.at.place[i]);
            [moved, turn_of(product(seen.rotation, inverse(base.at.rotation)))]
        });
        let [seen_move, seen_turn] = [0, 1].map(|n| foreseen.map(|to| (to[n], base.foresight_miss[n] * FORESIGHT)));
        let moved = weighed(&moves, &base.move_miss, seen_move);
        let turn = weighed(&turns, &base.turn_miss, seen_turn);
        let place = std::array::from_fn(|i| base.at.place[i] + moved[i]);
        let rotation = unit(product(turned(turn), base.at.rotation));
        Self { at: Placement { place, rotation }, ticks, moves, turns, foreseen }
    }

    /// How little it moved lately: 0 (many steps) to 4 (less than one), 5 at rest.
    pub(super) fn calm(&self, base: &Known) -> usize {
        if base.resting {
            return 5;
        }
        // The guess that it stays missed by as much as it moved.
        match base.move_miss[0] + base.turn_miss[0] {
            moved if moved > 64.0 => 0,
            moved if moved > 16.0 => 1,
            moved if moved > 6.0 => 2,
            moved if moved > 2.0 => 3,
            _ => 4,
        }
    }

    /// What is known once the body is known to be at `at`, `sizes` being what had to be told.
    pub(super) fn learn(
        &self,
        base: &Known,
        (packet, tick): (u32, u32),
        (at, resting): (Placement, bool),
        steps: [f64; 2],
        sizes: [f32; 2],
    ) -> Known {
        let mut known = Known { packet, tick, at, resting, heard: false, ..base.clone() };
        known.place_size = base.place_size * 0.5 + sizes[0] * 0.5;
        known.turn_size = base.turn_size * 0.5 + sizes[1] * 0.5;
        if resting {
            (known.smooth, known.velocity, known.spin) = (at, [0.0; 3], [0.0; 3]);
            return known;
        }
        let moved: [f64; 3] = std::array::from_fn(|i| at.place[i] - base.at.place[i]);
        let turn = turn_of(product(at.rotation, inverse(base.at.rotation)));
        known.move_miss = std::array::from_fn(|n| missed(&self.moves[n], &moved, steps[0], base.move_miss[n]));
        known.turn_miss = std::array::from_fn(|n| missed(&self.turns[n], &turn, steps[1], base.turn_miss[n]));
        if let Some([seen_move, seen_turn]) = self.foreseen {
            known.foresight_miss = [
                missed(&seen_move, &moved, steps[0], base.foresight_miss[0]),
                missed(&seen_turn, &turn, steps[1], base.foresight_miss[1]),
            ];
        }
        let ticks = self.ticks.max(1.0);
        for (i, moved) in moved.into_iter().enumerate() {
            let (place, velocity) = gains(moved - self.moves[1][i], steps[0]);
            known.smooth.place[i] = at.place[i] - place;
            known.velocity[i] = base.velocity[i] + velocity / ticks;
        }
        let mut left = [0.0; 3];
        for (i, turn) in turn.into_iter().enumerate() {
            let (rotation, spin) = gains(turn - self.turns[1][i], steps[1]);
            left[i] = -rotation;
            known.spin[i] = base.spin[i] + spin / ticks;
        }
        known.smooth.rotation = product(turned(left), at.rotation);
        known
    }
}

/// Of a surprise: how much of it the lasting movement does not follow, and how much it changes by. A surprise of one
/// step says only that the edge of a step was crossed; one of many steps says where the body is.
fn gains(surprise: f64, step: f64) -> (f64, f64) {
    let steps = surprise.abs() / step;
    let trust = ((steps - 1.0) / 4.0).clamp(0.0, 1.0);
    (surprise * (0.5 - 0.5 * trust), surprise * (0.15 + 0.45 * trust))
}

fn missed(guess: &[f64; 3], truly: &[f64; 3], step: f64, before: f32) -> f32 {
    let off = ((truly[0] - guess[0]).abs() + (truly[1] - guess[1]).abs() + (truly[2] - guess[2]).abs()) / step;
    (f64::from(before) * 0.4 + off.min(1e6) * 0.6) as f32
}

/// The guesses, each weighed by the inverse sixth power of what it missed by: nearly the best one alone. And one more,
/// with what that missed by.
fn weighed<const N: usize>(guesses: &[[f64; 3]; N], missed: &[f32; N], more: Option<([f64; 3], f32)>) -> [f64; 3] {
    let mut sum = [0.0; 3];
    let mut weights = 0.0;
    for (guess, miss) in guesses.iter().zip(missed).chain(more.as_ref().map(|(guess, miss)| (guess, miss))) {
        let missed = f64::from(*miss) + 0.1;
        let squared = missed * missed;
        let weight = 1.0 / (squared * squared * squared);
        weights += weight;
        (0..3).for_each(|i| sum[i] += guess[i] * weight);
    }
    sum.map(|s| s / weights)
}
