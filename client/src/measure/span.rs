//! The way between two places, and how people read it.

use bevy::prelude::*;

/// Two places, world frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Span {
    /// The one.
    pub from: Vec3,
    /// The other.
    pub to: Vec3,
}

impl Span {
    /// Straight from one to the other, metres.
    pub fn length(&self) -> f32 {
        self.from.distance(self.to)
    }

    /// How much higher the one end is than the other, metres.
    pub fn rise(&self) -> f32 {
        (self.to.y - self.from.y).abs()
    }

    /// How far apart they are on the floor, metres.
    pub fn level(&self) -> f32 {
        self.from.xz().distance(self.to.xz())
    }

    /// Between the two.
    pub fn middle(&self) -> Vec3 {
        self.from.midpoint(self.to)
    }

    /// The distance with its unit.
    pub fn words(&self) -> String {
        length_words(self.length())
    }

    /// How it divides into level and upright; none where it is nearly one of them.
    pub fn parts(&self) -> Option<String> {
        let (level, rise) = (self.level(), self.rise());
        let is_oblique = level.min(rise) > 0.01;
        is_oblique.then(|| format!("{} level, {} up", length_words(level), length_words(rise)))
    }
}

/// Metres from a metre on, millimetres below; as many digits as a hand can point at from so far away.
fn length_words(metres: f32) -> String {
    match metres {
        m if m < 0.9995 => format!("{:.0} mm", m * 1000.0),
        m if m < 10.0 => format!("{m:.3} m"),
        m if m < 100.0 => format!("{m:.2} m"),
        m => format!("{m:.1} m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_told_in_the_unit_a_fitter_would_use() {
        let told = [0.0004, 0.25, 0.9996, 2.3456, 45.678, 120.04].map(length_words);
        assert_eq!(told, ["0 mm", "250 mm", "1.000 m", "2.346 m", "45.68 m", "120.0 m"]);
    }

    #[test]
    fn an_oblique_span_is_also_told_by_its_parts() {
        let span = |to| Span { from: Vec3::ZERO, to };
        assert_eq!(span(Vec3::new(3.0, 4.0, 0.0)).words(), "5.000 m");
        assert_eq!(span(Vec3::new(3.0, 4.0, 0.0)).parts().as_deref(), Some("3.000 m level, 4.000 m up"));
        assert_eq!(span(Vec3::new(3.0, 0.001, 4.0)).parts(), None);
    }
}
