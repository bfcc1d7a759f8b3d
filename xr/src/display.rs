//! What a session asks of the display: how often it shows a picture, and which part of one nobody can see. Where the
//! runtime does not offer it, nothing is asked.

use bevy::prelude::*;
use openxr::{AnyGraphics, Session, VisibilityMaskTypeKHR};

use crate::views::Views;

/// As often as our frames are meant for (design: 90 Hz), Hz.
const WANTED_HZ: f32 = 90.0;
/// Vertices of a mask we take: those of headsets have some dozens.
const MOST_VERTICES: usize = 4096;

/// Triangles over the part of an eye's picture that the lenses do not show: x and y where z is -1 before the eye.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Hidden(pub(crate) Vec<Vec2>);

/// Asks for the rate that suits us; what was asked for, Hz.
pub(crate) fn choose_rate(session: &Session<AnyGraphics>) -> Option<f32> {
    session.instance().exts().fb_display_refresh_rate?;
    let offered = session.enumerate_display_refresh_rates().ok()?;
    let rate = best_rate(&offered)?;
    session.request_display_refresh_rate(rate).inspect_err(|why| debug!("no {rate} Hz: {why}")).ok()?;
    Some(rate)
}

/// The fastest that is not beyond what we want, else the slowest.
fn best_rate(offered: &[f32]) -> Option<f32> {
    let sound = || offered.iter().copied().filter(|rate| rate.is_finite() && *rate > 0.0);
    // A panel of 89.98 Hz is one of 90 Hz.
    let wanted = sound().filter(|rate| *rate < WANTED_HZ + 0.5).max_by(f32::total_cmp);
    wanted.or_else(|| sound().min_by(f32::total_cmp))
}

/// What is hidden of each view.
pub(crate) fn hidden(session: &Session<AnyGraphics>, views: &Views) -> Vec<Hidden> {
    (0..views.count()).map(|view| hidden_of(session, views, view).unwrap_or_default()).collect()
}

fn hidden_of(session: &Session<AnyGraphics>, views: &Views, view: u32) -> Option<Hidden> {
    session.instance().exts().khr_visibility_mask?;
    let mask = session.get_visibility_mask_khr(views.kind, view, VisibilityMaskTypeKHR::HIDDEN_TRIANGLE_MESH).ok()?;
    let corners: Vec<Vec2> = mask.vertices.iter().map(|corner| Vec2::new(corner.x, corner.y)).collect();
    triangles(&corners, &mask.indices)
}

/// The corners of all triangles, one after the other; none for what is no mesh.
fn triangles(corners: &[Vec2], indices: &[u32]) -> Option<Hidden> {
    if !indices.len().is_multiple_of(3) || corners.len() > MOST_VERTICES || indices.len() > MOST_VERTICES * 3 {
        return None;
    }
    let corner = |index: &u32| corners.get(*index as usize).copied().filter(|corner| corner.is_finite());
    indices.iter().map(corner).collect::<Option<Vec<Vec2>>>().map(Hidden)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_the_fastest_we_can_use() {
        assert_eq!(best_rate(&[72.0, 80.0, 89.98, 120.0]), Some(89.98));
        assert_eq!(best_rate(&[120.0, 144.0]), Some(120.0));
        assert_eq!(best_rate(&[f32::NAN, -1.0]), None);
        assert_eq!(best_rate(&[]), None);
    }

    #[test]
    fn a_mask_that_is_no_mesh_hides_nothing() {
        let corners = [Vec2::ZERO, Vec2::X, Vec2::Y];
        assert_eq!(triangles(&corners, &[0, 1, 2]), Some(Hidden(corners.to_vec())));
        assert_eq!(triangles(&corners, &[]), Some(Hidden::default()));
        assert_eq!(triangles(&corners, &[0, 1]), None);
        assert_eq!(triangles(&corners, &[0, 1, 3]), None);
        assert_eq!(triangles(&[Vec2::NAN; 3], &[0, 1, 2]), None);
    }
}
