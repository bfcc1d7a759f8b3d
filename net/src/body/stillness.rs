//! Whether a body rests. A simulation or a tracker seldom says so; its places do.

use super::placement::{Placement, Precision, angle_between};

/// Ticks without movement after which a body rests.
const TICKS: usize = 3;

/// What one body did lately.
#[derive(Debug, Clone)]
pub struct Stillness {
    precision: Precision,
    past: [Option<Placement>; TICKS],
    rest: Option<Placement>,
}

impl Stillness {
    /// Of a body that is told with this precision.
    pub fn new(precision: Precision) -> Self {
        Self { precision, past: [None; TICKS], rest: None }
    }

    /// The body is at `at` in this tick; returns what to tell, and whether it rests. What shivers by less than a quarter
    /// of what can be told rests; where it rests is told anew once that is off by more than the precision.
    pub fn observe(&mut self, at: Placement) -> (Placement, bool) {
        let oldest = self.past[0];
        self.past.rotate_left(1);
        self.past[TICKS - 1] = Some(at);
        if !oldest.is_some_and(|past| self.near(past, at, 0.25)) {
            self.rest = None;
            return (at, false);
        }
        if !self
            .rest
            .is_some_and(|rest| self.near(self.precision.on_lattice(rest), at, 0.5) && self.near(rest, at, 0.45))
        {
            self.rest = Some(at);
        }
        (self.rest.unwrap_or(at), true)
    }

    /// Whether two placements differ by less than this share of a step.
    fn near(&self, a: Placement, b: Placement, share: f64) -> bool {
        let places = a.place.iter().zip(b.place).all(|(a, b)| (a - b).abs() <= share * self.precision.place_step());
        places && angle_between(a.rotation, b.rotation) <= share * self.precision.turn_step()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(metres: f64) -> Placement {
        Placement { place: [metres, 0.0, 0.0], ..Placement::ORIGIN }
    }

    #[test]
    fn what_shivers_rests_and_what_creeps_is_told_again() {
        let precision = Precision::of_hands();
        let mut stillness = Stillness::new(precision);
        let mut told = Vec::new();
        for tick in 0..200 {
            let shiver = if tick % 2 == 0 { 1e-5 } else { 0.0 };
            let (placement, resting) = stillness.observe(at(shiver + f64::from(tick) * 1e-4));
            assert_eq!(resting, tick >= 3);
            assert!(
                (precision.on_lattice(placement).place[0] - f64::from(tick) * 1e-4).abs()
                    <= precision.place_metres() + 2e-5
            );
            if told.last() != Some(&placement.place[0]) {
                told.push(placement.place[0]);
            }
        }
        assert!(told.len() < 40, "{}", told.len());
        assert!(!stillness.observe(at(1.0)).1, "it moves");
    }
}
