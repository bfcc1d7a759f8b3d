//! Chance from a seed: the same seed gives the same plant. SplitMix64 (Steele, Lea and Flood, 2014), which is plenty for
//! breakdowns and noise and small enough to read.

/// A stream of chance.
#[derive(Debug, Clone)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A stream of its own, which does not depend on how much is drawn from this one later.
    pub(super) fn fork(&mut self) -> Self {
        Self(self.next())
    }

    /// From 0 up to, not including, 1.
    pub(super) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub(super) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    pub(super) fn happens(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// Time until something that happens every `mean` on average, without memory.
    pub(super) fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.unit()).ln()
    }

    /// Noise about 0, nearly always within ±1: the mean of three draws.
    pub(super) fn noise(&mut self) -> f64 {
        (self.unit() + self.unit() + self.unit()) * (2.0 / 3.0) - 1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_chance_and_another_seed_another() {
        let draw = |seed| {
            let mut chance = Chance::new(seed);
            [chance.unit(), chance.exponential(5.0), chance.noise()]
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn times_between_breakdowns_have_the_mean_they_were_given() {
        let mut chance = Chance::new(1);
        let mean = (0..20_000).map(|_| chance.exponential(60.0)).sum::<f64>() / 20_000.0;
        assert!((55.0..65.0).contains(&mean), "{mean}");
    }
}
