//! The building: floor, walls with window bands, columns, trusses and lamps.
//!
//! Walls face inwards only, so that a camera outside looks through them; there is no roof, since cameras look from
//! above; the front and the east side are open above a kerb.

use std::f64::consts::FRAC_PI_2;

use gemba_twin::layout::{self, Hall};
use gemba_twin::thing::Class;
use glam::{DVec3, Vec2, Vec3};

use super::mesh::at;
use super::palette::Material;
use super::plan::{Node, NodeId, Plan, Shape, part_of};

/// Distance between two rows of columns along X, metres.
const BAY: f64 = 8.0;
/// Heights of a wall's zones, metres: wainscot, sill and lintel of the window band.
const WAINSCOT: f32 = 1.2;
const SILL: f32 = 4.0;
const WINDOW_TOP: f32 = 6.4;
const HEIGHT: f32 = layout::HALL_HEIGHT as f32;

/// Adds everything of a hall that belongs to no line.
pub(super) fn add(plan: &mut Plan, root: NodeId, hall: &Hall) {
    let (length, width) = (layout::HALL_LENGTH as f32, hall.width as f32);
    let part = |name: String| Node::part(part_of(&hall.path, &name), Class::Structure);
    let floor = plan.shape(&format!("Floor {width:.0} m"), |s| draw_floor(s, length, width));
    plan.add(Some(root), part("Floor".into()).drawn(floor));
    let kerb = plan.shape(&format!("Kerb {width:.0} m"), |s| draw_kerb(s, length, width));
    plan.add(Some(root), part("Kerb".into()).drawn(kerb));

    let bays = (layout::HALL_LENGTH / BAY) as usize;
    for bay in 0..bays {
        let wall = plan.shape(&wall_name(BAY), |s| draw_wall(s, BAY as f32));
        let place = DVec3::X * (BAY * bay as f64);
        plan.add(Some(root), part(format!("WallNorth{}", bay + 1)).at(place).drawn(wall));
    }
    let rows = rows(hall);
    for (i, pair) in rows.windows(2).enumerate() {
        let span = pair[1] - pair[0];
        let wall = plan.shape(&wall_name(span), |s| draw_wall(s, span as f32));
        let place = DVec3::Z * pair[1];
        plan.add(Some(root), part(format!("WallWest{}", i + 1)).at(place).turned(FRAC_PI_2).drawn(wall));
    }
    add_frame(plan, root, hall, &rows, bays);
}

/// Columns at every row and bay, and trusses from row to row.
fn add_frame(plan: &mut Plan, root: NodeId, hall: &Hall, rows: &[f64], bays: usize) {
    let part = |name: String| Node::part(part_of(&hall.path, &name), Class::Structure);
    let column = plan.shape("Column", draw_column);
    for (r, z) in rows.iter().enumerate() {
        for bay in 0..=bays {
            let place = DVec3::new((BAY * bay as f64).clamp(0.2, layout::HALL_LENGTH - 0.2), 0.0, *z);
            let place = place.with_z(z.clamp(0.2, hall.width - 0.2));
            plan.add(Some(root), part(format!("Column{}", r * (bays + 1) + bay + 1)).at(place).drawn(column));
        }
    }
    for (r, pair) in rows.windows(2).enumerate() {
        let span = pair[1] - pair[0];
        let truss = plan.shape(&format!("Truss {span:.1} m"), |s| draw_truss(s, span as f32));
        for bay in 0..=bays {
            let x = (BAY * bay as f64).clamp(0.2, layout::HALL_LENGTH - 0.2);
            let name = format!("Truss{}", r * (bays + 1) + bay + 1);
            plan.add(Some(root), part(name).at(DVec3::new(x, 0.0, pair[0])).drawn(truss));
        }
    }
}

/// Places of the rows of columns along Z: both walls, and half-way between neighbouring lines.
fn rows(hall: &Hall) -> Vec<f64> {
    let between = (1..hall.lines.len()).map(|i| layout::HALL_MARGIN + layout::LINE_PITCH * (i as f64 - 0.5));
    std::iter::once(0.0).chain(between).chain(std::iter::once(hall.width)).collect()
}

fn wall_name(length: f64) -> String {
    format!("Wall {length:.1} m")
}

fn draw_floor(shape: &mut Shape, length: f32, width: f32) {
    let middle = Vec3::new(length / 2.0, 0.0, width / 2.0);
    shape.paint(Material::Concrete).patch(middle, length, width);
    let edge = shape.paint(Material::ConcreteDark);
    edge.chamfered(middle - Vec3::Y * 0.155, Vec3::new(length + 0.8, 0.3, width + 0.8), 0.03);
    for bay in 1..(length / BAY as f32) as u32 {
        edge.patch(Vec3::new(bay as f32 * BAY as f32, 0.005, width / 2.0), 0.025, width);
    }
}

/// A low upstand on the open sides.
fn draw_kerb(shape: &mut Shape, length: f32, width: f32) {
    let kerb = shape.paint(Material::ConcreteDark);
    let h = 0.35;
    kerb.chamfered(Vec3::new(length / 2.0, h / 2.0, width + 0.1), Vec3::new(length + 0.4, h, 0.2), 0.02);
    kerb.chamfered(Vec3::new(length + 0.1, h / 2.0, width / 2.0), Vec3::new(0.2, h, width), 0.02);
}

/// One bay of wall along +X that faces +Z.
fn draw_wall(shape: &mut Shape, length: f32) {
    let mut band = |material: Material, from: f32, to: f32, z: f32| {
        let v = |x: f32, y: f32| Vec3::new(x, y, z);
        shape.paint(material).quad([v(0.0, from), v(length, from), v(length, to), v(0.0, to)]);
    };
    band(Material::Wainscot, 0.0, WAINSCOT, 0.0);
    band(Material::Wall, WAINSCOT, SILL, 0.0);
    band(Material::Daylight, SILL, WINDOW_TOP, -0.04);
    band(Material::Wall, WINDOW_TOP, HEIGHT, 0.0);
    let frame = shape.paint(Material::Steel);
    let panes = (length / 1.5).round();
    for i in 0..=panes as u32 {
        let x = (length * i as f32 / panes).clamp(0.03, length - 0.03);
        frame.block(Vec3::new(x, (SILL + WINDOW_TOP) / 2.0, 0.0), Vec3::new(0.06, WINDOW_TOP - SILL, 0.07));
    }
    for y in [SILL, (SILL + WINDOW_TOP) / 2.0, WINDOW_TOP] {
        frame.block(Vec3::new(length / 2.0, y, 0.0), Vec3::new(length, 0.07, 0.09));
    }
    frame.block(Vec3::new(length / 2.0, WAINSCOT, 0.0), Vec3::new(length, 0.06, 0.04));
}

/// A rolled I-section with a painted guard at its foot.
fn draw_column(shape: &mut Shape) {
    let steel = shape.paint(Material::Steel);
    for z in [-0.13, 0.13] {
        steel.block(Vec3::new(0.0, HEIGHT / 2.0, z), Vec3::new(0.26, HEIGHT, 0.025));
    }
    steel.block(Vec3::Y * HEIGHT / 2.0, Vec3::new(0.02, HEIGHT, 0.24));
    let foot = shape.paint(Material::ConcreteDark);
    foot.chamfered(Vec3::Y * 0.06, Vec3::new(0.55, 0.12, 0.55), 0.02);
    shape.paint(Material::SafetyYellow).chamfered(Vec3::Y * 0.62, Vec3::new(0.30, 1.0, 0.31), 0.01);
}

/// A lattice girder along +Z under the eaves.
fn draw_truss(shape: &mut Shape, span: f32) {
    let steel = shape.paint(Material::Steel);
    let v = Vec3::new;
    let (low, high) = (HEIGHT - 0.9, HEIGHT - 0.06);
    for y in [low, high] {
        steel.strut(v(0.0, y, 0.0), v(0.0, y, span), 0.11);
    }
    let steps = (span / 1.4).round() as u32;
    for i in 0..steps {
        let (a, b) = (span * i as f32 / steps as f32, span * (i + 1) as f32 / steps as f32);
        let (from, to) = if i % 2 == 0 { (low, high) } else { (high, low) };
        steel.strut(v(0.0, from, a), v(0.0, to, b), 0.055);
    }
}

/// A lamp of the hall, hung from above; drawn from the middle of its light.
pub(super) fn draw_lamp(shape: &mut Shape) {
    shape.paint(Material::LampWhite).block(Vec3::Y * -0.01, Vec3::new(1.5, 0.02, 0.2));
    shape.paint(Material::MachineGrey).chamfered(Vec3::Y * 0.04, Vec3::new(1.6, 0.08, 0.3), 0.015);
    let wire = shape.paint(Material::SteelDark);
    for x in [-0.6, 0.6] {
        wire.strut(Vec3::new(x, 0.08, 0.0), Vec3::new(x, 0.9, 0.0), 0.012);
    }
}

/// A bollard at the corner of an aisle.
pub(super) fn draw_bollard(shape: &mut Shape) {
    let profile = [(0.0, 0.0), (0.07, 0.0), (0.07, 0.88), (0.055, 0.94), (0.0, 0.97)];
    shape.paint(Material::SafetyYellow).lathe(at(Vec3::ZERO), &profile.map(Vec2::from), 14);
    let band = shape.paint(Material::SteelDark);
    for y in [0.45, 0.72] {
        band.bar(Vec3::Y * y, Vec3::Y * (y + 0.1), 0.072, 14);
    }
}
