//! From how far a part of the plant is drawn. On a software renderer a part that would cover only a few pixels costs its
//! triangles and is hardly seen, so that it is left out; how few depends on how sharp the picture is, on a screen or in an eye.

use bevy::camera::visibility::VisibilityRange;
use bevy::prelude::*;

use crate::mirror::Extent;
use crate::quality::Quality;
use crate::schedule::Frame;

/// By which factor pictures must be sharper or less sharp for all parts to be looked at again: a window that is dragged
/// larger does that a few times and not in each frame.
const NOTICED: f32 = 1.2;

/// Pixels that a length of one metre covers at a distance of one, in the sharpest picture; 0 before there is one.
#[derive(Resource, Default)]
pub(super) struct Sharpness(f32);

impl Sharpness {
    /// From how far a part of this radius (metres) is drawn that must be `pixels` high; none before there is a picture. Parts
    /// are spawned with it: when they got it a frame later, they had no shadows in one run of many. Another range in the
    /// place of the first takes no shadow away.
    pub(super) fn range(&self, radius: f32, pixels: f32) -> Option<VisibilityRange> {
        (self.0 > 0.0).then(|| VisibilityRange::abrupt(0.0, farthest(radius, self.0, pixels)))
    }
}

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Sharpness>().add_systems(Update, fit.in_set(Frame::Present));
}

fn fit(
    mut commands: Commands,
    mut sharpness: ResMut<Sharpness>,
    cameras: Query<&Camera, With<Camera3d>>,
    parts: Query<(Entity, &Extent)>,
    new: Query<(Entity, &Extent), (Added<Extent>, Without<VisibilityRange>)>,
    quality: Res<Quality>,
) {
    let Some(pixels) = quality.smallest_pixels else { return };
    let sharpest = cameras.iter().filter(|camera| camera.is_active).filter_map(pixels_of_a_metre).fold(0.0, f32::max);
    if sharpest == 0.0 {
        return;
    }
    let factor = sharpest / sharpness.0;
    let is_noticed = !factor.is_finite() || !(1.0 / NOTICED..NOTICED).contains(&factor);
    if is_noticed {
        sharpness.0 = sharpest;
    }
    let mut give = |(part, extent): (Entity, &Extent)| {
        // A part may have gone since.
        if let (Ok(mut part), Some(range)) = (commands.get_entity(part), sharpness.range(extent.radius, pixels)) {
            part.try_insert(range);
        }
    };
    if is_noticed { parts.iter().for_each(&mut give) } else { new.iter().for_each(&mut give) }
}

/// At a distance of one; none for a camera that has not drawn yet.
fn pixels_of_a_metre(camera: &Camera) -> Option<f32> {
    let lines = camera.physical_viewport_size()?.y as f32;
    // Half the picture's height is one in clip space.
    Some(lines / 2.0 * camera.clip_from_view().y_axis.y)
}

/// The distance at which a sphere of this radius is `pixels` high, in metres as the radius.
fn farthest(radius: f32, pixels_of_a_metre: f32, pixels: f32) -> f32 {
    2.0 * radius * pixels_of_a_metre / pixels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_the_lines_let_a_part_go_at_half_the_distance() {
        let whole = farthest(0.5, 1000.0, 4.0);
        assert_eq!(whole, 250.0, "a metre is 4 pixels there");
        assert_eq!(farthest(0.5, 500.0, 4.0), whole / 2.0);
    }
}
