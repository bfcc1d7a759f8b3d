//! Overall equipment effectiveness (OEE) as ISO 22400-2 defines it: availability × performance × quality.

/// What was counted over a span of planned production time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Production {
    /// Planned production time, seconds.
    pub planned_secs: f64,
    /// Time the machine was not faulted or stopped, seconds.
    pub up_secs: f64,
    /// Ideal time for one part, seconds.
    pub ideal_cycle_secs: f64,
    /// Parts finished.
    pub parts: u64,
    /// Parts finished that were scrap; at most `parts`.
    pub scrap: u64,
}

/// The three factors and their product, each 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Oee {
    /// Share of planned time the machine could run.
    pub availability: f64,
    /// Share of the ideal rate it reached while it could.
    pub performance: f64,
    /// Share of good parts.
    pub quality: f64,
}

impl Oee {
    /// The product.
    pub fn total(&self) -> f64 {
        self.availability * self.performance * self.quality
    }
}

impl Production {
    /// The factors; none before any planned time has passed, since no number would be honest.
    pub fn oee(&self) -> Option<Oee> {
        if self.planned_secs <= 0.0 {
            return None;
        }
        let ratio = |a: f64, b: f64| if b > 0.0 { (a / b).clamp(0.0, 1.0) } else { 0.0 };
        let parts = self.parts as f64;
        Some(Oee {
            availability: ratio(self.up_secs, self.planned_secs),
            performance: ratio(parts * self.ideal_cycle_secs, self.up_secs),
            quality: if self.parts == 0 { 1.0 } else { ratio(parts - self.scrap as f64, parts) },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oee_multiplies_availability_performance_and_quality() {
        let p = Production { planned_secs: 480.0, up_secs: 360.0, ideal_cycle_secs: 6.0, parts: 50, scrap: 5 };
        let oee = p.oee().unwrap();
        assert!((oee.availability - 0.75).abs() < 1e-12);
        assert!((oee.performance - 300.0 / 360.0).abs() < 1e-12);
        assert!((oee.quality - 0.9).abs() < 1e-12);
        assert!((oee.total() - 0.5625).abs() < 1e-12);
    }

    #[test]
    fn oee_is_unknown_before_any_planned_time() {
        assert_eq!(Production::default().oee(), None);
    }
}
