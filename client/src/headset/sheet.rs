//! A curved sheet on which something is written, around where its reader stands: its shape, what of it a laser or a finger
//! meets. The desktop's panels are one ([`panel`](super::panel)), each pinned inspector is another ([`cards`](super::cards)).

use bevy::asset::RenderAssetUsages;
use bevy::mesh::{Indices, PrimitiveTopology};
use bevy::prelude::*;

use super::hold::Hold;

/// Distance of a sheet from its reader's middle, metres: near enough to read, beyond a reaching hand.
pub(super) const RADIUS: f32 = 1.2;
/// Height of egui's body text, points.
const BODY: f32 = 13.0;
/// Body text must cover 1.5° (issue 5, point 6): so many degrees a point.
const DEGREES_PER_POINT: f32 = 1.5 / BODY;
/// A sheet as wide as this surrounds the person; a wider one would be behind them.
const WIDEST_DEGREES: f32 = 110.0;
/// Width of a sheet per piece of its curve at most: 106° are 32 pieces.
const PIECE_DEGREES: f32 = 3.4;

/// One sheet: its shape, where it is and what it is held by.
#[derive(Debug, Clone)]
pub(super) struct Sheet {
    /// Whether it is there to be seen and touched.
    pub(super) is_open: bool,
    /// Where the middle of its curve is, the rig's frame, as its hold has it in this frame.
    pub(super) place: Transform,
    pub(super) hold: Hold,
    /// Width and height in points.
    pub(super) points: Vec2,
    /// How large it is in the plant, for the person: 1 as before their face.
    pub(super) size: f32,
    /// Whether it comes before what stands in its way ([`nearness`](super::nearness)), and so has no size of its own.
    pub(super) comes_near: bool,
}

/// Width of a sheet as an angle, radians, and its height, metres.
pub(super) fn extent(points: Vec2) -> (f32, f32) {
    let arc = (points.x * DEGREES_PER_POINT).min(WIDEST_DEGREES).to_radians();
    (arc, arc * RADIUS * points.y / points.x.max(1.0))
}

impl Sheet {
    /// A closed one of this size that stays where it is put.
    pub(super) fn of(points: Vec2) -> Self {
        Self {
            is_open: false,
            place: Transform::default(),
            hold: Hold::default(),
            points,
            size: 1.0,
            comes_near: false,
        }
    }

    /// Where the middle of it is, the rig's frame.
    pub(super) fn middle(&self) -> Vec3 {
        self.place_of(self.points / 2.0)
    }

    /// Where a place on it is (points from its upper left corner), the rig's frame.
    pub(super) fn place_of(&self, at: Vec2) -> Vec3 {
        let (arc, height) = extent(self.points);
        let (sin, cos) = ((at.x / self.points.x.max(1.0) - 0.5) * arc).sin_cos();
        let up = (0.5 - at.y / self.points.y.max(1.0)) * height;
        self.place.transform_point(Vec3::new(sin * RADIUS, up, -cos * RADIUS))
    }

    /// The same, for shares of its width and height.
    pub(super) fn place_of_share(&self, at: Vec2) -> Vec3 {
        self.place_of(at * self.points)
    }

    /// Where its entity is: in its middle, so that of two sheets the nearer is drawn last.
    pub(super) fn drawn(&self) -> Transform {
        self.place.mul_transform(Transform::from_xyz(0.0, 0.0, -RADIUS))
    }

    /// Where on it a place of the rig's frame is, and how far before its surface, metres; none beside it.
    pub(super) fn nearest(&self, place: Vec3) -> Option<(Vec2, f32)> {
        let there = self.place.to_matrix().inverse().transform_point3(place);
        let before = (RADIUS - there.xz().length()) * self.place.scale.x;
        let at = self.at(there)?;
        self.is_open.then_some((at, before))
    }

    /// The place in points of a direction from the middle of the curve, if the sheet lies there.
    fn at(&self, there: Vec3) -> Option<Vec2> {
        let (arc, height) = extent(self.points);
        let at = Vec2::new(there.x.atan2(-there.z) / arc + 0.5, 0.5 - there.y / height);
        let is_on = at.cmpge(Vec2::ZERO).all() && at.cmple(Vec2::ONE).all();
        is_on.then_some(at * self.points)
    }

    /// Where a ray meets it: the place in points from its upper left corner, and how far along the ray. The ray is in the
    /// rig's frame. From behind nothing is met: nobody reads from there.
    pub(super) fn meets(&self, ray: Ray3d) -> Option<(Vec2, f32)> {
        if !self.is_open {
            return None;
        }
        let sheet_from_rig = self.place.to_matrix().inverse();
        let from = sheet_from_rig.transform_point3(ray.origin);
        let along = sheet_from_rig.transform_vector3(*ray.direction);
        // |(from + t along)| = RADIUS in the plane of x and z; from inside and before it the larger root is on the way out.
        let (a, b) = (along.xz().length_squared(), from.xz().dot(along.xz()));
        let c = from.xz().length_squared() - RADIUS * RADIUS;
        let root = b * b - a * c;
        if a < 1e-8 || root < 0.0 {
            return None;
        }
        let t = (root.sqrt() - b) / a;
        self.at(from + along * t).filter(|_| t > 0.0).map(|at| (at, t))
    }

    /// Its mesh, about [`Self::drawn`], of the part of a picture between two corners (shares of width and height).
    pub(super) fn mesh(&self, part: Rect) -> Mesh {
        let (arc, height) = extent(self.points);
        let pieces = ((arc.to_degrees() / PIECE_DEGREES).ceil() as u32).max(1);
        let (mut places, mut normals, mut corners, mut indices) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for piece in 0..=pieces {
            let u = piece as f32 / pieces as f32;
            let (sin, cos) = ((u - 0.5) * arc).sin_cos();
            for v in [0.0, 1.0] {
                places.push([sin * RADIUS, (0.5 - v) * height, (1.0 - cos) * RADIUS]);
                normals.push([-sin, 0.0, cos]);
                corners.push((part.min + part.size() * Vec2::new(u, v)).to_array());
            }
            if piece < pieces {
                let at = piece * 2;
                indices.extend([at, at + 1, at + 2, at + 2, at + 1, at + 3]);
            }
        }
        Mesh::new(PrimitiveTopology::TriangleList, RenderAssetUsages::default())
            .with_inserted_attribute(Mesh::ATTRIBUTE_POSITION, places)
            .with_inserted_attribute(Mesh::ATTRIBUTE_NORMAL, normals)
            .with_inserted_attribute(Mesh::ATTRIBUTE_UV_0, corners)
            .with_inserted_indices(Indices::U32(indices))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bevy_egui::egui;

    const SIZES: [Vec2; 2] = [Vec2::new(920.0, 570.4), Vec2::new(320.0, 420.0)];

    fn sheet(points: Vec2) -> Sheet {
        Sheet { is_open: true, place: Transform::from_xyz(0.0, 1.5, 0.0), ..Sheet::of(points) }
    }

    #[test]
    fn body_text_covers_one_and_a_half_degrees_on_a_sheet_that_fits_before_the_person() {
        let body = egui::Style::default().text_styles[&egui::TextStyle::Body].size;
        for points in SIZES {
            let (arc, height) = extent(points);
            let text = arc.to_degrees() / points.x * body;
            assert!(text > 1.4999 && arc.to_degrees() < WIDEST_DEGREES && height < 1.5, "{text}° and {height} m");
            // From the middle of the curve, where the person is, every place on it is equally far.
            let sheet = sheet(points);
            assert!((sheet.place_of(points / 2.0).distance(sheet.place.translation) - RADIUS).abs() < 1e-4);
            assert!(sheet.drawn().translation.distance(sheet.middle()) < 1e-5);
        }
    }

    #[test]
    fn a_finger_is_told_where_on_the_sheet_it_is_and_how_far_before_it() {
        let mut sheet = sheet(SIZES[0]);
        for scale in [1.0, 0.3] {
            sheet.place = Transform::from_xyz(0.3, 1.2, -0.2).with_rotation(Quat::from_rotation_y(0.7));
            sheet.place.scale = Vec3::splat(scale);
            for at in [Vec2::new(10.0, 10.0), Vec2::new(500.0, 310.0)] {
                let surface = sheet.place_of(at);
                let inwards = (sheet.place.translation - surface).with_y(0.0).normalize();
                let (found, before) = sheet.nearest(surface + inwards * 0.02).expect("it is before the sheet");
                assert!(found.distance(at) < 0.5 && (before - 0.02).abs() < 1e-3, "{found} and {before}");
            }
        }
        assert_eq!(sheet.nearest(sheet.place_of(Vec2::new(-40.0, 10.0))), None);
    }

    #[test]
    fn a_laser_meets_the_sheet_where_the_eye_sees_it() {
        let sheet = sheet(SIZES[0]);
        let forward = |at: Vec3| sheet.meets(Ray3d::new(Vec3::new(0.1, 1.4, 0.0), Dir3::new(at).unwrap()));
        let (middle, along) = sheet.meets(Ray3d::new(Vec3::Y * 1.5, Dir3::NEG_Z)).unwrap();
        assert!(middle.distance(SIZES[0] / 2.0) < 0.1 && (along - RADIUS).abs() < 1e-4);
        let (right, _) = forward(Vec3::new(0.5, 0.1, -1.0)).unwrap();
        assert!(right.x > SIZES[0].x / 2.0, "{right}");
        let (up, _) = forward(Vec3::new(0.0, 0.4, -1.0)).unwrap();
        assert!(up.y < SIZES[0].y / 2.0, "{up}");
        assert_eq!(forward(Vec3::Z), None, "nothing is behind the person");
        assert_eq!(forward(Vec3::Y), None);
    }

    #[test]
    fn a_laser_towards_a_place_on_the_sheet_meets_that_place_from_near_and_far() {
        for points in SIZES {
            let mut sheet = sheet(points);
            sheet.place = Transform::from_xyz(0.3, 1.2, -0.2).with_rotation(Quat::from_rotation_y(0.7));
            for at in [Vec2::new(10.0, 10.0), points / 2.0, points - 10.0] {
                for back in [0.0, 3.0] {
                    let from = Vec3::new(0.2, 1.1, 0.0) + sheet.place.rotation * Vec3::Z * back;
                    let ray = Ray3d::new(from, Dir3::new(sheet.place_of(at) - from).unwrap());
                    let (met, _) = sheet.meets(ray).expect("it is aimed at");
                    assert!(met.distance(at) < 0.5, "{met} is not {at}");
                }
            }
        }
    }

    #[test]
    fn a_closed_sheet_is_not_met() {
        let closed = Sheet { is_open: false, ..sheet(SIZES[0]) };
        assert_eq!(closed.meets(Ray3d::new(Vec3::Y * 1.5, Dir3::NEG_Z)), None);
    }
}
