//! How an arm moves from one pose to another: all joints together, from rest to rest, along a quintic whose speed and
//! acceleration begin and end at zero.

use gemba_twin::arm::Angles;

/// Fastest turn of each joint, radians a second (260, 240, 260, 355, 355 and 420 °/s: a quick arm of this size).
pub(super) const SPEED_LIMITS: Angles = [4.54, 4.19, 4.54, 6.2, 6.2, 7.33];
/// Largest acceleration of any joint, radians a second squared.
const ACCELERATION_LIMIT: f64 = 21.0;
/// Shortest movement, seconds.
const SHORTEST: f64 = 0.2;
/// Peak speed of the quintic 10τ³ − 15τ⁴ + 6τ⁵, in distances a duration.
const PEAK_SPEED: f64 = 1.875;
/// Its peak acceleration, in distances a duration squared: 10/√3.
const PEAK_ACCELERATION: f64 = 5.7735;

/// One movement.
#[derive(Debug, Clone)]
pub(super) struct Motion {
    from: Angles,
    to: Angles,
    secs: f64,
    elapsed: f64,
}

impl Motion {
    /// The quickest movement within all limits.
    pub(super) fn new(from: Angles, to: Angles) -> Self {
        let secs = from.iter().zip(to).zip(SPEED_LIMITS).fold(SHORTEST, |secs, ((from, to), limit)| {
            let distance = (to - from).abs();
            secs.max(PEAK_SPEED * distance / limit).max((PEAK_ACCELERATION * distance / ACCELERATION_LIMIT).sqrt())
        });
        Self { from, to, secs, elapsed: 0.0 }
    }

    /// Moves on by `dt` of the movement's own time; the pose it reaches.
    pub(super) fn step(&mut self, dt: f64) -> Angles {
        self.elapsed = (self.elapsed + dt).min(self.secs);
        let t = self.elapsed / self.secs;
        let share = t * t * t * (10.0 + t * (6.0 * t - 15.0));
        std::array::from_fn(|joint| self.from[joint] + (self.to[joint] - self.from[joint]) * share)
    }

    pub(super) fn is_over(&self) -> bool {
        self.elapsed >= self.secs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_movement_ends_where_it_should_and_keeps_every_limit_on_the_way() {
        let to = [3.0, -1.0, 0.7, 0.0, -2.0, 6.0];
        let mut motion = Motion::new([0.0; 6], to);
        let (dt, mut last, mut last_speed) = (1e-3, [0.0; 6], [0.0; 6]);
        while !motion.is_over() {
            let now = motion.step(dt);
            for joint in 0..6 {
                let speed = (now[joint] - last[joint]) / dt;
                assert!(speed.abs() <= SPEED_LIMITS[joint] * 1.001);
                assert!((speed - last_speed[joint]).abs() / dt <= ACCELERATION_LIMIT * 1.05);
                last_speed[joint] = speed;
            }
            last = now;
        }
        assert!(last.iter().zip(to).all(|(a, b)| (a - b).abs() < 1e-12));
    }
}
