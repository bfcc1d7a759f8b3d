//! The shape of lasers and bones: a cylinder of length 1 along Y, put between two points.

use bevy::prelude::*;

/// From one point to another; as thick as the cylinder is, times `thickness`.
pub fn between(from: Vec3, to: Vec3, thickness: f32) -> Transform {
    let span = to - from;
    Transform {
        translation: (from + to) / 2.0,
        rotation: Quat::from_rotation_arc(Vec3::Y, span.normalize_or(Vec3::Y)),
        scale: Vec3::new(thickness, span.length().max(1e-3), thickness),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beam_ends_at_both_points() {
        let (from, to) = (Vec3::new(1.0, 2.0, 3.0), Vec3::new(-4.0, 0.5, 9.0));
        let beam = between(from, to, 0.02);
        for (end, at) in [(-0.5, from), (0.5, to)] {
            assert!(beam.transform_point(Vec3::Y * end).distance(at) < 1e-4, "{end}: {beam:?}");
        }
        assert!(between(from, from, 1.0).is_finite(), "a beam of no length has a transform");
    }
}
