//! CNC cells: an enclosure one can look into, with a two-leaf door, table, spindle, control panel and stack light.

use gemba_twin::binding::Target;
use gemba_twin::layout::{self, tags};
use gemba_twin::path::ThingPath;
use gemba_twin::thing::Class;
use glam::{DVec3, Vec3};

use super::palette::Material;
use super::plan::{Node, NodeId, Plan, Shape, part_of};
use super::stack_light;

/// Half of the footprint along X and Z, and the height, metres.
const HALF_X: f32 = 1.2;
const HALF_Z: f32 = 1.1;
const HEIGHT: f32 = 2.4;
/// Half the width of the door opening, its sill and its lintel, metres.
const OPENING: f32 = 0.6;
const SILL: f32 = 0.9;
const LINTEL: f32 = 2.1;
/// How far each leaf of the door slides, metres: open, both lie within the enclosure's width.
const SLIDE: f64 = 0.56;

/// Adds one CNC cell.
pub(super) fn add(plan: &mut Plan, line: NodeId, path: &ThingPath, place: DVec3) {
    let root = Node::machine(path.clone(), Class::Cnc).at(place).bound(path, tags::STATE, Target::State, 1.0, 0.0);
    let root = plan.add(Some(line), root);
    let mut part = |name: &str, place: DVec3, draw: fn(&mut Shape)| {
        let shape = plan.shape(&format!("Cnc{name}"), draw);
        plan.add(Some(root), Node::part(part_of(path, name), Class::Cnc).at(place).drawn(shape));
    };
    part("Enclosure", DVec3::ZERO, draw_enclosure);
    part("Chamber", DVec3::ZERO, draw_chamber);
    part("Table", layout::CNC_TABLE, draw_table);
    part("Spindle", DVec3::new(0.0, 1.75, 0.45), draw_spindle);
    part("Panel", DVec3::new(0.98, 0.0, 1.1), draw_panel);
    part("ChipBin", DVec3::new(-1.55, 0.0, -0.45), draw_chip_bin);
    part("Cabinet", DVec3::new(0.0, 1.2, -1.24), draw_cabinet);
    part("MistFilter", DVec3::new(-0.5, 2.4, -0.45), draw_mist_filter);
    for (name, shape, side) in [("Door1", "CncDoorLeft", -1.0), ("Door2", "CncDoorRight", 1.0)] {
        let shape = plan.shape(shape, |s| draw_leaf(s, side as f32));
        let node = Node::part(part_of(path, name), Class::Cnc)
            .at(DVec3::new(0.0, f64::from(SILL + LINTEL) / 2.0, f64::from(HALF_Z) + 0.03))
            .drawn(shape)
            .bound(path, tags::DOOR, Target::TranslateX, side * SLIDE, 0.0);
        plan.add(Some(root), node);
    }
    stack_light::add(plan, root, path, DVec3::new(0.95, 2.4, 0.85));
}

/// Box from corner to corner.
fn span(shape: &mut Shape, material: Material, from: Vec3, to: Vec3, chamfer: f32) {
    shape.paint(material).chamfered((from + to) / 2.0, to - from, chamfer);
}

fn draw_enclosure(shape: &mut Shape) {
    let (x, z) = (HALF_X, HALF_Z);
    let v = Vec3::new;
    span(shape, Material::SteelDark, v(-x + 0.06, 0.0, -z + 0.06), v(x - 0.06, 0.14, z - 0.06), 0.01);
    // Body behind the chamber, then what surrounds the opening: below, above, left and right of it.
    span(shape, Material::Cream, v(-x, 0.12, -z), v(x, HEIGHT, -0.35), 0.03);
    span(shape, Material::MachineGrey, v(-x, 0.12, -0.36), v(x, SILL, z), 0.03);
    span(shape, Material::Cream, v(-x, LINTEL, -0.36), v(x, HEIGHT, z), 0.03);
    span(shape, Material::Cream, v(-x, SILL - 0.03, -0.36), v(-OPENING - 0.02, LINTEL + 0.03, z - 0.01), 0.02);
    span(shape, Material::Cream, v(OPENING + 0.02, SILL - 0.03, -0.36), v(x, LINTEL + 0.03, z - 0.01), 0.02);
    // A dark window in each side wall and a stripe in the maker's colour.
    for side in [-1.0, 1.0] {
        let middle = v(side * (x + 0.002), 1.55, 0.42);
        shape.paint(Material::DarkGlass).chamfered(middle, v(0.02, 0.62, 0.7), 0.008);
    }
    shape.paint(Material::Blue).block(v(0.0, 2.25, z + 0.001), v(2.0 * x - 0.2, 0.07, 0.01));
    let rail = shape.paint(Material::SteelDark);
    for y in [SILL - 0.05, LINTEL + 0.05] {
        rail.block(v(0.0, y, z + 0.02), v(2.0 * x - 0.04, 0.04, 0.05));
    }
    for y in [0.32, 0.44, 0.56] {
        rail.block(v(-0.6, y, z + 0.001), v(0.7, 0.03, 0.008));
    }
}

/// The inner faces that are seen through the open door.
fn draw_chamber(shape: &mut Shape) {
    let (w, back, front) = (OPENING + 0.015, -0.345, HALF_Z - 0.02);
    let v = Vec3::new;
    let wall = shape.paint(Material::MachineGrey);
    wall.quad([v(-w, SILL, back), v(w, SILL, back), v(w, LINTEL, back), v(-w, LINTEL, back)]);
    wall.quad([v(-w, SILL, front), v(-w, SILL, back), v(-w, LINTEL, back), v(-w, LINTEL, front)]);
    wall.quad([v(w, SILL, back), v(w, SILL, front), v(w, LINTEL, front), v(w, LINTEL, back)]);
    let light = shape.paint(Material::LampWhite);
    light.block(v(0.0, LINTEL - 0.03, 0.2), v(0.9, 0.03, 0.06));
}

/// Drawn from the middle of the workpiece that rests on it.
fn draw_table(shape: &mut Shape) {
    let top = -layout::PART_SIZE as f32 / 2.0;
    let steel = shape.paint(Material::Stainless);
    steel.chamfered(Vec3::new(0.0, top - 0.03, -0.25), Vec3::new(0.9, 0.06, 0.78), 0.008);
    let slot = shape.paint(Material::SteelDark);
    for i in 0..4 {
        slot.block(Vec3::new(-0.3 + 0.2 * i as f32, top, -0.25), Vec3::new(0.025, 0.006, 0.76));
    }
    slot.chamfered(Vec3::new(0.0, top - 0.09, -0.3), Vec3::new(0.6, 0.06, 0.6), 0.01);
    // The jaws of the vice stand behind and beside the part, clear of the gripper.
    slot.chamfered(Vec3::new(0.0, top + 0.03, -0.19), Vec3::new(0.26, 0.06, 0.05), 0.006);
}

fn draw_spindle(shape: &mut Shape) {
    let head = shape.paint(Material::Cream);
    head.chamfered(Vec3::new(0.0, 0.16, -0.3), Vec3::new(0.42, 0.36, 0.7), 0.02);
    shape.paint(Material::SteelDark).rod(Vec3::new(0.0, 0.0, -0.05), Vec3::new(0.0, -0.10, -0.05), 0.11, 20);
    let tool = shape.paint(Material::Stainless);
    tool.rod(Vec3::new(0.0, -0.10, -0.05), Vec3::new(0.0, -0.17, -0.05), 0.055, 16);
    tool.rod(Vec3::new(0.0, -0.17, -0.05), Vec3::new(0.0, -0.28, -0.05), 0.018, 10);
}

fn draw_panel(shape: &mut Shape) {
    let v = Vec3::new;
    shape.paint(Material::SteelDark).chamfered(v(0.0, 1.5, 0.1), v(0.08, 0.08, 0.22), 0.01);
    shape.paint(Material::MachineGrey).chamfered(v(0.0, 1.5, 0.24), v(0.44, 0.66, 0.10), 0.02);
    shape.paint(Material::Screen).block(v(0.0, 1.63, 0.291), v(0.34, 0.26, 0.006));
    let keys = shape.paint(Material::Cream);
    for row in 0..3 {
        for column in 0..5 {
            let place = v(-0.13 + 0.065 * column as f32, 1.43 - 0.055 * row as f32, 0.291);
            keys.block(place, v(0.045, 0.035, 0.008));
        }
    }
    shape.paint(Material::SignalRed).rod(v(0.15, 1.24, 0.285), v(0.15, 1.24, 0.325), 0.032, 14);
}

fn draw_chip_bin(shape: &mut Shape) {
    let v = Vec3::new;
    shape.paint(Material::Blue).chamfered(v(0.0, 0.42, 0.0), v(0.5, 0.6, 0.8), 0.03);
    shape.paint(Material::MachineGrey).chamfered(v(0.22, 0.86, 0.0), v(0.5, 0.24, 0.34), 0.03);
    let wheel = shape.paint(Material::Rubber);
    for (x, z) in [(-0.18, -0.3), (0.18, -0.3), (-0.18, 0.3), (0.18, 0.3)] {
        wheel.rod(v(x - 0.02, 0.06, z), v(x + 0.02, 0.06, z), 0.06, 12);
    }
}

fn draw_cabinet(shape: &mut Shape) {
    let v = Vec3::new;
    shape.paint(Material::MachineGrey).chamfered(v(0.0, 0.0, 0.0), v(1.6, 1.7, 0.28), 0.02);
    let seam = shape.paint(Material::SteelDark);
    seam.block(v(0.0, 0.0, -0.141), v(0.012, 1.6, 0.006));
    seam.block(v(0.08, 0.1, -0.15), v(0.025, 0.18, 0.03));
}

fn draw_mist_filter(shape: &mut Shape) {
    let v = Vec3::new;
    shape.paint(Material::Blue).chamfered(v(0.0, 0.22, 0.0), v(0.6, 0.4, 0.5), 0.04);
    shape.paint(Material::SteelDark).rod(v(0.0, 0.42, 0.0), v(0.0, 0.5, 0.0), 0.16, 20);
}

/// One leaf of the door, beside the middle of the opening on the given side.
fn draw_leaf(shape: &mut Shape, side: f32) {
    let v = Vec3::new;
    let (width, height) = (OPENING + 0.02, LINTEL - SILL + 0.06);
    let x = side * width / 2.0;
    let frame = shape.paint(Material::MachineGrey);
    for y in [-1.0, 1.0] {
        frame.chamfered(v(x, y * (height / 2.0 - 0.06), 0.0), v(width, 0.12, 0.045), 0.008);
    }
    for end in [-1.0, 1.0] {
        frame.chamfered(v(x + end * (width / 2.0 - 0.05), 0.0, 0.0), v(0.1, height - 0.2, 0.045), 0.008);
    }
    shape.paint(Material::DarkGlass).block(v(x, 0.0, 0.0), v(width - 0.16, height - 0.2, 0.02));
    shape.paint(Material::Stainless).rod(v(side * 0.06, -0.2, 0.045), v(side * 0.06, 0.2, 0.045), 0.014, 8);
}
