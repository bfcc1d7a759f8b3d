//! Where a thing stands and how it is turned.

use minicbor::{Decode, Encode};

/// Pose of a thing, in the frame of what its node hangs on in the model, or of the site for a thing that no model draws:
/// metres, right-handed, +Y up.
#[derive(Debug, Clone, Copy, PartialEq, Encode, Decode)]
pub struct Placement {
    /// Origin of the thing's own frame, metres.
    #[n(0)]
    pub position: [f64; 3],
    /// Unit quaternion x, y, z, w.
    #[n(1)]
    pub rotation: [f64; 4],
    /// Factor of its size, above 0; the same along all axes.
    #[n(2)]
    pub scale: f64,
}

impl Default for Placement {
    fn default() -> Self {
        Self { position: [0.0; 3], rotation: [0.0, 0.0, 0.0, 1.0], scale: 1.0 }
    }
}

impl Placement {
    /// Farthest place from the origin, metres: a site spans some kilometres; beyond this `f32` pictures shake.
    pub const FARTHEST: f64 = 100_000.0;

    /// Whether it can be drawn: finite, near enough, a rotation of length 1, a scale above 0.
    pub fn is_sound(&self) -> bool {
        let length: f64 = self.rotation.iter().map(|c| c * c).sum();
        self.position.iter().all(|c| c.abs() <= Self::FARTHEST)
            && (length - 1.0).abs() < 1e-3
            && (1e-6..=1e6).contains(&self.scale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_cannot_be_drawn_is_not_sound() {
        let sound = Placement::default();
        assert!(sound.is_sound());
        assert!(!Placement { position: [f64::NAN, 0.0, 0.0], ..sound }.is_sound());
        assert!(!Placement { position: [0.0, 1e9, 0.0], ..sound }.is_sound());
        assert!(!Placement { rotation: [0.0; 4], ..sound }.is_sound());
        assert!(!Placement { scale: 0.0, ..sound }.is_sound());
        assert!(!Placement { scale: f64::INFINITY, ..sound }.is_sound());
    }
}
