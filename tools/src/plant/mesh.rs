//! Surfaces made of triangles, and the few solids every machine of the plant is drawn with.
//!
//! Counter-clockwise triangles face outwards and every vertex has a unit normal. Texture coordinates are left out: the
//! plant's materials are plain colours.

use std::f32::consts::{PI, TAU};

use glam::{Affine3A, Quat, Vec2, Vec3};

/// Neighbouring faces that meet at less than this are shaded as one round face (cosine of 40°).
const ROUND_COS: f32 = 0.766;

/// Triangles of one material.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Surface {
    /// Places of the vertices, metres.
    pub positions: Vec<Vec3>,
    /// Unit normals, one a vertex.
    pub normals: Vec<Vec3>,
    /// Three vertices a triangle.
    pub indices: Vec<u32>,
}

impl Surface {
    /// Adds a flat quad; the corners run counter-clockwise as seen from its front.
    pub(super) fn quad(&mut self, corners: [Vec3; 4]) -> &mut Self {
        let normal = (corners[1] - corners[0]).cross(corners[2] - corners[0]).normalize();
        let first = self.next();
        for corner in corners {
            self.vertex(corner, normal);
        }
        self.face(first, [0, 1, 2, 3]);
        self
    }

    /// Adds a level rectangle that faces up: a painted marking.
    pub(super) fn patch(&mut self, middle: Vec3, along_x: f32, along_z: f32) -> &mut Self {
        let (x, z) = (Vec3::X * along_x / 2.0, Vec3::Z * along_z / 2.0);
        self.quad([middle - x + z, middle + x + z, middle + x - z, middle - x - z])
    }

    /// Adds a level strip of paint from one point to another.
    pub(super) fn stripe(&mut self, from: Vec3, to: Vec3, width: f32) -> &mut Self {
        let side = (to - from).cross(Vec3::Y).normalize() * width / 2.0;
        self.quad([from + side, to + side, to - side, from - side])
    }

    /// Adds a box along the axes with sharp edges.
    pub(super) fn block(&mut self, middle: Vec3, size: Vec3) -> &mut Self {
        self.block_in(Affine3A::from_translation(middle), size)
    }

    /// Adds a box with sharp edges whose middle and axes are those of `frame`.
    pub(super) fn block_in(&mut self, frame: Affine3A, size: Vec3) -> &mut Self {
        for (normal, u, v) in faces() {
            let half = size / 2.0;
            let (n, u, v) = (normal * half, u * half, v * half);
            self.quad([n - u - v, n + u - v, n + u + v, n - u + v].map(|p| frame.transform_point3(p)));
        }
        self
    }

    /// Adds a box with its edges cut at 45°. The cut is shaded from face to face, so that it catches the light as a
    /// rounded edge does, at 24 vertices.
    pub(super) fn chamfered(&mut self, middle: Vec3, size: Vec3, chamfer: f32) -> &mut Self {
        let half = size / 2.0;
        let inner = half - Vec3::splat(chamfer);
        let first = self.next();
        let mut corner_of = [[0u32; 8]; 3];
        for (normal, u, v) in faces() {
            let axis = axis_of(normal);
            for (su, sv) in [(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)] {
                let place = normal * half + (u * su + v * sv) * inner;
                let octant = octant_of(place);
                corner_of[axis][octant] = self.next();
                self.vertex(middle + place, normal);
            }
        }
        for face in 0..6 {
            self.face(first + face * 4, [0, 1, 2, 3]);
        }
        self.chamfer_edges(&corner_of, middle);
        self
    }

    /// The twelve cuts between two faces and the eight corners between three.
    fn chamfer_edges(&mut self, corner_of: &[[u32; 8]; 3], middle: Vec3) {
        for octant in 0..8usize {
            let corner = [0, 1, 2].map(|axis| corner_of[axis][octant]);
            self.outward(&corner, middle);
            for along in 0..3 {
                let other = octant ^ (1 << along);
                if other < octant {
                    continue;
                }
                let (a, b) = ((along + 1) % 3, (along + 2) % 3);
                let quad = [corner_of[a][octant], corner_of[a][other], corner_of[b][other], corner_of[b][octant]];
                self.outward(&quad, middle);
            }
        }
    }

    /// Adds a convex face between existing vertices, turned so that it faces away from `middle`.
    fn outward(&mut self, corners: &[u32], middle: Vec3) {
        let [a, b, c] = [0, 1, 2].map(|i| self.positions[corners[i] as usize]);
        let front = (b - a).cross(c - a).dot(a - middle) > 0.0;
        for i in 1..corners.len() - 1 {
            let (second, third) = if front { (i, i + 1) } else { (i + 1, i) };
            self.indices.extend([corners[0], corners[second], corners[third]]);
        }
    }

    /// Adds a solid of revolution about the Y axis of `frame`. The profile gives radius and height from the bottom
    /// up, with the inside on its left; `sides` facets make a full turn.
    pub(super) fn lathe(&mut self, frame: Affine3A, profile: &[Vec2], sides: u32) -> &mut Self {
        self.lathe_arc(frame, profile, sides, [0.0, TAU])
    }

    /// As [`Surface::lathe`], from one angle to another; angle 0 is +X, a quarter turn is +Z. The ends stay open.
    pub(super) fn lathe_arc(
        &mut self,
        frame: Affine3A,
        profile: &[Vec2],
        sides: u32,
        [from, to]: [f32; 2],
    ) -> &mut Self {
        let slopes: Vec<Vec2> = profile.windows(2).map(|p| (p[1] - p[0]).normalize_or_zero()).collect();
        for (i, ends) in profile.windows(2).enumerate() {
            let own = slopes[i];
            let smooth = |other: Option<&Vec2>| match other {
                Some(other) if own.dot(*other) > ROUND_COS => (own + *other).normalize(),
                _ => own,
            };
            let slope = [smooth(i.checked_sub(1).and_then(|i| slopes.get(i))), smooth(slopes.get(i + 1))];
            let first = self.next();
            for side in 0..=sides {
                let angle = from + (to - from) * side as f32 / sides as f32;
                let out = Vec3::new(angle.cos(), 0.0, angle.sin());
                for (point, slope) in ends.iter().zip(slope) {
                    let normal = out * slope.y - Vec3::Y * slope.x;
                    self.vertex(frame.transform_point3(out * point.x + Vec3::Y * point.y), turn(frame, normal));
                }
            }
            for side in 0..sides {
                let [a, b, d, c] = [0, 1, 2, 3].map(|k| first + side * 2 + k);
                if ends[1].x > 0.0 {
                    self.indices.extend([a, b, c]);
                }
                if ends[0].x > 0.0 {
                    self.indices.extend([a, c, d]);
                }
            }
        }
        self
    }

    /// Adds a cylinder between two points with flat ends and a small cut at their rims.
    pub(super) fn rod(&mut self, from: Vec3, to: Vec3, radius: f32, sides: u32) -> &mut Self {
        let length = from.distance(to);
        let cut = (radius * 0.12).min(length * 0.25);
        let profile = [
            Vec2::new(0.0, 0.0),
            Vec2::new(radius - cut, 0.0),
            Vec2::new(radius, cut),
            Vec2::new(radius, length - cut),
            Vec2::new(radius - cut, length),
            Vec2::new(0.0, length),
        ];
        self.lathe(along(from, to), &profile, sides)
    }

    /// Adds a cylinder between two points without ends or cut: for what is seen from the side only.
    pub(super) fn bar(&mut self, from: Vec3, to: Vec3, radius: f32, sides: u32) -> &mut Self {
        let profile = [Vec2::new(radius, 0.0), Vec2::new(radius, from.distance(to))];
        self.lathe(along(from, to), &profile, sides)
    }

    /// Adds a square bar between two points, without ends.
    pub(super) fn strut(&mut self, from: Vec3, to: Vec3, width: f32) -> &mut Self {
        let frame = along(from, to);
        let (h, l) = (width / 2.0, from.distance(to));
        let corners = [(h, -h), (-h, -h), (-h, h), (h, h)];
        for i in 0..4 {
            let ((ax, az), (bx, bz)) = (corners[i], corners[(i + 1) % 4]);
            let quad = [Vec3::new(ax, 0.0, az), Vec3::new(bx, 0.0, bz), Vec3::new(bx, l, bz), Vec3::new(ax, l, az)];
            self.quad(quad.map(|p| frame.transform_point3(p)));
        }
        self
    }

    /// Adds a plate in the XY plane of `frame`, shaped like a chain link: round at both ends, `thickness` along Z,
    /// its rims cut by `chamfer`.
    pub(super) fn link(&mut self, frame: Affine3A, ends: [(Vec2, f32); 2], thickness: f32, chamfer: f32) -> &mut Self {
        let half = thickness / 2.0;
        let outline = |inset: f32| link_outline([(ends[0].0, ends[0].1 - inset), (ends[1].0, ends[1].1 - inset)]);
        let rings = [(chamfer, -half), (0.0, chamfer - half), (0.0, half - chamfer), (chamfer, half)];
        for pair in rings.windows(2) {
            let [(inset0, z0), (inset1, z1)] = [pair[0], pair[1]];
            if z1 - z0 <= 1e-6 {
                continue;
            }
            let slope = Vec2::new(z1 - z0, inset1 - inset0).normalize();
            let first = self.next();
            let (low, high) = (outline(inset0), outline(inset1));
            for ((a, out), (b, _)) in low.iter().zip(&high) {
                let normal = turn(frame, out.extend(0.0) * slope.x + Vec3::Z * slope.y);
                self.vertex(frame.transform_point3(a.extend(z0)), normal);
                self.vertex(frame.transform_point3(b.extend(z1)), normal);
            }
            let count = low.len() as u32;
            for i in 0..count {
                let j = (i + 1) % count;
                self.face(first, [2 * i, 2 * j, 2 * j + 1, 2 * i + 1]);
            }
        }
        for (z, normal) in [(-half, Vec3::NEG_Z), (half, Vec3::Z)] {
            let first = self.next();
            let rim = outline(chamfer);
            for (point, _) in &rim {
                self.vertex(frame.transform_point3(point.extend(z)), turn(frame, normal));
            }
            for i in 1..rim.len() as u32 - 1 {
                let (b, c) = if z > 0.0 { (i, i + 1) } else { (i + 1, i) };
                self.indices.extend([first, first + b, first + c]);
            }
        }
        self
    }

    /// Adds a round pipe through the points, its corners turned with elbows of `bend` metres, its ends open.
    pub(super) fn pipe(&mut self, points: &[Vec3], radius: f32, bend: f32, sides: u32) -> &mut Self {
        let path = bent(points, bend);
        let mut tangent = (path[1] - path[0]).normalize();
        let mut side = tangent.any_orthonormal_vector();
        let first = self.next();
        for (i, point) in path.iter().enumerate() {
            let before = (*point - path[i.saturating_sub(1)]).normalize_or_zero();
            let after = (path[(i + 1).min(path.len() - 1)] - *point).normalize_or_zero();
            let ahead = (before + after).normalize();
            side = Quat::from_rotation_arc(tangent, ahead) * side;
            tangent = ahead;
            let up = tangent.cross(side);
            for k in 0..=sides {
                let angle = TAU * k as f32 / sides as f32;
                let normal = (side * angle.cos() + up * angle.sin()).normalize();
                self.vertex(*point + normal * radius, normal);
            }
        }
        let ring = sides + 1;
        for i in 0..path.len() as u32 - 1 {
            for k in 0..sides {
                let a = i * ring + k;
                self.face(first, [a, a + 1, a + 1 + ring, a + ring]);
            }
        }
        self
    }

    fn next(&self) -> u32 {
        self.positions.len() as u32
    }

    fn vertex(&mut self, position: Vec3, normal: Vec3) {
        self.positions.push(position);
        self.normals.push(normal);
    }

    fn face(&mut self, first: u32, [a, b, c, d]: [u32; 4]) {
        self.indices.extend([a, b, c, a, c, d].map(|i| first + i));
    }
}

/// The frame whose +Y runs from one point to another, its origin at the first.
pub(super) fn along(from: Vec3, to: Vec3) -> Affine3A {
    let rotation = Quat::from_rotation_arc(Vec3::Y, (to - from).normalize());
    Affine3A::from_rotation_translation(rotation, from)
}

/// A frame moved but not turned.
pub(super) fn at(place: Vec3) -> Affine3A {
    Affine3A::from_translation(place)
}

/// Outward normal of a box's six faces and the two edges that span each, right-handed.
fn faces() -> [(Vec3, Vec3, Vec3); 6] {
    let (x, y, z) = (Vec3::X, Vec3::Y, Vec3::Z);
    [(x, y, z), (-x, z, y), (y, z, x), (-y, x, z), (z, x, y), (-z, y, x)]
}

fn axis_of(normal: Vec3) -> usize {
    let normal = normal.abs();
    if normal.x > 0.5 {
        0
    } else if normal.y > 0.5 {
        1
    } else {
        2
    }
}

fn octant_of(place: Vec3) -> usize {
    usize::from(place.x > 0.0) | usize::from(place.y > 0.0) << 1 | usize::from(place.z > 0.0) << 2
}

fn turn(frame: Affine3A, normal: Vec3) -> Vec3 {
    frame.transform_vector3(normal).normalize()
}

/// Points and outward directions around two circles and their common tangents, counter-clockwise.
fn link_outline([(a, ra), (b, rb)]: [(Vec2, f32); 2]) -> Vec<(Vec2, Vec2)> {
    const STEPS: u32 = 10;
    let axis = b - a;
    let heading = axis.y.atan2(axis.x);
    // A tangent touches both circles where their radii are parallel; it leans by the radii's difference.
    let lean = ((ra - rb) / axis.length()).clamp(-1.0, 1.0).acos();
    let mut outline = Vec::new();
    for (middle, radius, from, to) in
        [(b, rb, heading - lean, heading + lean), (a, ra, heading + lean, heading + 2.0 * PI - lean)]
    {
        for step in 0..=STEPS {
            let angle = from + (to - from) * step as f32 / STEPS as f32;
            let out = Vec2::new(angle.cos(), angle.sin());
            outline.push((middle + out * radius, out));
        }
    }
    outline
}

/// The points with every corner replaced by an arc of five steps.
fn bent(points: &[Vec3], bend: f32) -> Vec<Vec3> {
    const STEPS: u32 = 5;
    let mut path = vec![points[0]];
    for corner in points.windows(3) {
        let (back, ahead) = ((corner[0] - corner[1]).normalize(), (corner[2] - corner[1]).normalize());
        let (start, end) = (corner[1] + back * bend, corner[1] + ahead * bend);
        for step in 0..=STEPS {
            // A quadratic curve is within a millimetre or two of a quarter circle at these sizes.
            let t = step as f32 / STEPS as f32;
            path.push(start.lerp(corner[1], t).lerp(corner[1].lerp(end, t), t));
        }
    }
    path.push(points[points.len() - 1]);
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Volume enclosed by the surface; negative when it is inside out.
    fn volume(surface: &Surface) -> f32 {
        let corner = |i: u32| surface.positions[i as usize];
        surface.indices.chunks_exact(3).map(|t| corner(t[0]).dot(corner(t[1]).cross(corner(t[2]))) / 6.0).sum()
    }

    fn check(what: &str, draw: impl FnOnce(&mut Surface), expected: f32) {
        let mut surface = Surface::default();
        draw(&mut surface);
        let volume = volume(&surface);
        assert!((volume / expected - 1.0).abs() < 0.06, "{what}: {volume} m³, not {expected}");
        assert!(surface.normals.iter().all(|n| (n.length() - 1.0).abs() < 1e-4), "{what}: a normal is not unit");
        for t in surface.indices.chunks_exact(3) {
            let [a, b, c] = [0, 1, 2].map(|k| surface.positions[t[k] as usize]);
            let face = (b - a).cross(c - a).normalize_or_zero();
            let shaded =
                surface.normals[t[0] as usize] + surface.normals[t[1] as usize] + surface.normals[t[2] as usize];
            assert!(face.dot(shaded) > -1e-3, "{what}: a triangle is shaded from behind");
        }
    }

    #[test]
    fn every_solid_is_closed_and_faces_outwards() {
        let o = Vec3::new(0.3, 0.2, -0.1);
        check(
            "block",
            |s| {
                s.block(o, Vec3::new(1.0, 2.0, 3.0));
            },
            6.0,
        );
        check(
            "chamfered",
            |s| {
                s.chamfered(o, Vec3::new(1.0, 2.0, 3.0), 0.02);
            },
            6.0,
        );
        check(
            "rod",
            |s| {
                s.rod(o, o + Vec3::Z * 2.0, 0.5, 32);
            },
            PI * 0.5,
        );
        let ends = [(Vec2::ZERO, 0.5), (Vec2::Y, 0.5)];
        check(
            "link",
            |s| {
                s.link(at(o), ends, 1.0, 0.01);
            },
            1.0 + PI * 0.25,
        );
        let profile = [Vec2::new(0.0, 0.0), Vec2::new(1.0, 0.0), Vec2::new(1.0, 1.0), Vec2::new(0.0, 1.0)];
        check(
            "lathe",
            |s| {
                s.lathe(at(o), &profile, 32);
            },
            PI,
        );
    }
}
