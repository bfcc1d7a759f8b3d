//! Machines break down after some running and are mended after a while.

use super::chance::Chance;

/// Shortest repair, seconds: someone has to walk there.
const SHORTEST_REPAIR: f64 = 6.0;
/// Mean of what comes on top of it, seconds; repairs take some 20 s in the mean.
const FURTHER_REPAIR: f64 = 14.0;

/// When a machine breaks down and until when it is out of order.
#[derive(Debug, Clone)]
pub(super) struct Breakdown {
    mean_between: f64,
    running_left: f64,
    repair_left: f64,
}

impl Breakdown {
    /// A machine that runs for `mean_between` seconds in the mean before it breaks down.
    pub(super) fn new(mean_between: f64, chance: &mut Chance) -> Self {
        Self { mean_between, running_left: chance.exponential(mean_between), repair_left: 0.0 }
    }

    pub(super) fn is_broken(&self) -> bool {
        self.repair_left > 0.0
    }

    /// Wear counts only while the machine runs. True in the step in which it breaks.
    pub(super) fn step(&mut self, dt: f64, runs: bool, chance: &mut Chance) -> bool {
        if self.is_broken() {
            self.repair_left = (self.repair_left - dt).max(0.0);
            return false;
        }
        if runs {
            self.running_left -= dt;
        }
        let breaks = self.running_left <= 0.0;
        if breaks {
            self.repair_left = SHORTEST_REPAIR + chance.exponential(FURTHER_REPAIR);
            self.running_left = chance.exponential(self.mean_between);
        }
        breaks
    }
}
