//! Which views a session has: one an eye, or two where the runtime offers them: a wide one of few pixels, and an inset in its
//! middle, where the eye is sharp (OpenXR 1.1's stereo with foveated inset; XR_VARJO_quad_views before that). The runtime
//! lays the one over the other. Views are numbered as there: the wide ones first, of either kind the left eye's first.

use std::f32::consts::FRAC_PI_2;

use bevy::math::UVec2;
use bevy_mod_openxr::error::OxrError;
use bevy_mod_openxr::resources::OxrInstance;
use openxr::{AnyGraphics, Session, Space, SystemId, Time, View, ViewConfigurationType, ViewStateFlags};

use crate::foveation::{self, WITH_INSET};
use crate::runtime::{INSET, is_wanted};

/// As many as a session can have.
pub(crate) const MOST_VIEWS: u32 = 4;
/// Pixels along an edge that no view has: more is no size.
const MOST_PIXELS: u32 = 16_384;

/// The views of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Views {
    /// What the runtime calls them.
    pub(crate) kind: ViewConfigurationType,
    /// Pixels of both wide ones.
    pub(crate) wide: UVec2,
    /// Pixels of both insets, if there are any.
    pub(crate) inset: Option<UVec2>,
    /// Whether the insets are where the person looks, and not in the middle.
    pub(crate) follows_gaze: bool,
}

impl Views {
    /// Those that the runtime offers; with insets, if it can.
    pub(crate) fn choose(instance: &OxrInstance, system: SystemId) -> Result<Self, OxrError> {
        let offered = instance.enumerate_view_configurations(system)?;
        let with_inset = || {
            let sizes = foveation::sizes(instance, system).filter(|_| foveation::can_follow(instance, system));
            let following = sizes.and_then(|sizes| Self::of(WITH_INSET, &sizes));
            following.map(|views| Self { follows_gaze: true, ..views })
        };
        let as_offered = |kind| {
            let views = instance.enumerate_view_configuration_views(system, kind).ok()?;
            let size = |view: &openxr::ViewConfigurationView| {
                UVec2::new(view.recommended_image_rect_width, view.recommended_image_rect_height)
            };
            Self::of(kind, &views.iter().map(size).collect::<Vec<_>>())
        };
        let has_inset = offered.contains(&WITH_INSET) && is_wanted(INSET);
        let inset = has_inset.then(|| with_inset().or_else(|| as_offered(WITH_INSET))).flatten();
        inset
            .or_else(|| as_offered(ViewConfigurationType::PRIMARY_STEREO))
            .ok_or(OxrError::NoAvailableViewConfiguration)
    }

    /// By the sizes of all views; none if these cannot be drawn.
    fn of(kind: ViewConfigurationType, sizes: &[UVec2]) -> Option<Self> {
        let both = |left: UVec2, right: UVec2| {
            let size = left.max(right);
            (size.min_element() > 0 && size.max_element() <= MOST_PIXELS).then_some(size)
        };
        let (wide, inset) = match (kind, sizes) {
            (ViewConfigurationType::PRIMARY_STEREO, [left, right]) => (both(*left, *right)?, None),
            (WITH_INSET, [left, right, left_inset, right_inset]) => {
                (both(*left, *right)?, Some(both(*left_inset, *right_inset)?))
            }
            _ => return None,
        };
        Some(Self { kind, wide, inset, follows_gaze: false })
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u32 {
        if self.inset.is_some() { MOST_VIEWS } else { 2 }
    }

    /// Where all of them are at an instant; none while they are not tracked.
    pub(crate) fn locate(
        &self,
        session: &Session<AnyGraphics>,
        stage: &Space,
        at: Time,
    ) -> openxr::Result<Option<Vec<View>>> {
        let (flags, views) = if self.follows_gaze {
            foveation::locate(session, stage, at)?
        } else {
            session.locate_views(self.kind, at, stage)?
        };
        let both = ViewStateFlags::ORIENTATION_VALID | ViewStateFlags::POSITION_VALID;
        let is_told = flags.contains(both) && views.len() == self.count() as usize && views.iter().all(can_be_drawn);
        Ok(is_told.then_some(views))
    }

    /// The size of each pair of them, the wide ones' first.
    pub(crate) fn sizes(&self) -> impl Iterator<Item = UVec2> {
        std::iter::once(self.wide).chain(self.inset)
    }
}

/// Whether there is a picture of what a view sees.
fn can_be_drawn(view: &View) -> bool {
    let openxr::Fovf { angle_left, angle_right, angle_up, angle_down } = view.fov;
    let is_angle = |angle: f32| angle.abs() < FRAC_PI_2;
    [angle_left, angle_right, angle_up, angle_down].into_iter().all(is_angle)
        && angle_left < angle_right
        // Upside down is allowed.
        && angle_up != angle_down
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_of_nothing_cannot_be_drawn() {
        let sound = openxr::Fovf { angle_left: -0.9, angle_right: 0.7, angle_up: 0.8, angle_down: -0.8 };
        let view = |fov| View { pose: openxr::Posef::IDENTITY, fov };
        assert!(can_be_drawn(&view(sound)));
        for fov in [
            openxr::Fovf::default(),
            openxr::Fovf { angle_up: f32::NAN, ..sound },
            openxr::Fovf { angle_right: 1.6, ..sound },
            openxr::Fovf { angle_left: 0.7, ..sound },
        ] {
            assert!(!can_be_drawn(&view(fov)), "{fov:?}");
        }
    }

    #[test]
    fn views_whose_number_or_size_cannot_be_drawn_are_none() {
        const STEREO: ViewConfigurationType = ViewConfigurationType::PRIMARY_STEREO;
        const FOVEATED: ViewConfigurationType = WITH_INSET;
        let (wide, inset) = (UVec2::new(800, 900), UVec2::new(1200, 1000));
        let plain = Views::of(STEREO, &[wide, wide]).unwrap();
        assert_eq!((plain.count(), plain.sizes().collect::<Vec<_>>()), (2, vec![wide]));
        let foveated = Views::of(FOVEATED, &[wide, wide, inset, inset]).unwrap();
        assert_eq!((foveated.count(), foveated.sizes().collect::<Vec<_>>()), (4, vec![wide, inset]));
        let huge = UVec2::new(u32::MAX, 900);
        for (kind, sizes) in [
            (STEREO, &[wide][..]),
            (STEREO, &[wide, wide, inset, inset]),
            (STEREO, &[UVec2::ZERO, UVec2::ZERO]),
            (FOVEATED, &[wide, wide]),
            (FOVEATED, &[wide, wide, inset, huge]),
            (ViewConfigurationType::PRIMARY_MONO, &[wide]),
        ] {
            assert_eq!(Views::of(kind, sizes), None, "{kind:?} {sizes:?}");
        }
    }
}
