//! The pallet rack at a line's end, with pallets of boxes on it; the seed decides which places are full and how high.

use gemba_twin::layout;
use gemba_twin::path::ThingPath;
use gemba_twin::thing::Class;
use glam::{DVec3, Vec3};

use super::dice::Dice;
use super::palette::Material;
use super::plan::{Node, NodeId, Plan, Shape, part_of};

/// Extent along X and Z and height, metres; fixed by `layout::RACK`.
const DEPTH: f32 = 1.1;
const LENGTH: f32 = 7.0;
const HEIGHT: f32 = 4.0;
const BAYS: usize = 3;
/// Height of the beams' upper edges, metres; the lowest pallets stand on the floor.
const SHELVES: [f32; 3] = [1.35, 2.6, 3.85];
/// Pallets beside each other in one bay.
const ABREAST: usize = 2;

/// Adds the rack of a line.
pub(super) fn add(plan: &mut Plan, line: NodeId, path: &ThingPath, dice: &mut Dice) {
    let path = part_of(path, "Rack1");
    let root = plan.add(Some(line), Node::machine(path.clone(), Class::Rack).at(layout::RACK));
    let bay = (LENGTH - 0.1) / BAYS as f32;
    let start = -LENGTH / 2.0 + 0.05;
    let frame = plan.shape("RackFrame", draw_frame);
    for i in 0..=BAYS {
        let place = DVec3::Z * f64::from(start + bay * i as f32);
        plan.add(
            Some(root),
            Node::part(part_of(&path, &format!("Frame{}", i + 1)), Class::Rack).at(place).drawn(frame),
        );
    }
    let beam = plan.shape("RackBeams", |s| draw_beams(s, bay));
    for b in 0..BAYS {
        for (level, y) in SHELVES.iter().enumerate() {
            let name = part_of(&path, &format!("Beam{}", b * SHELVES.len() + level + 1));
            let place = DVec3::new(0.0, f64::from(*y), f64::from(start + bay * (b as f32 + 0.5)));
            plan.add(Some(root), Node::part(name, Class::Rack).at(place).drawn(beam));
        }
    }
    let mut number = 0;
    for b in 0..BAYS {
        for y in [0.0, SHELVES[0], SHELVES[1]] {
            for side in 0..ABREAST {
                // Five places in six are taken: a full rack would look like a wall, an empty one like a ruin.
                if dice.roll(6) == 0 {
                    continue;
                }
                number += 1;
                let z = start + bay * (b as f32 + (side as f32 + 0.5) / ABREAST as f32);
                let place = DVec3::new(0.0, f64::from(y), f64::from(z));
                add_pallet(plan, root, &part_of(&path, &format!("Pallet{number}")), place, dice);
            }
        }
    }
}

fn add_pallet(plan: &mut Plan, rack: NodeId, path: &ThingPath, place: DVec3, dice: &mut Dice) {
    let shape = plan.shape("Pallet", |s| draw_pallet(s, Vec3::new(1.0, 0.14, 0.9)));
    let pallet = plan.add(Some(rack), Node::part(path.clone(), Class::Workpiece).at(place).drawn(shape));
    let boxes: [(&str, Vec3); 3] = [
        ("BoxLow", Vec3::new(0.92, 0.32, 0.82)),
        ("BoxHigh", Vec3::new(0.88, 0.46, 0.80)),
        ("BoxNarrow", Vec3::new(0.62, 0.28, 0.58)),
    ];
    let mut y = f64::from(0.14_f32);
    for i in 0..1 + dice.roll(2) {
        let (name, size) = boxes[if i == 0 { dice.roll(2) } else { 2 }];
        let shape = plan.shape(name, |s| draw_box(s, size));
        let node = Node::part(part_of(path, &format!("Box{}", i + 1)), Class::Workpiece)
            .at(DVec3::Y * y)
            .turned((dice.roll(9) as f64 - 4.0) * 0.012)
            .drawn(shape);
        plan.add(Some(pallet), node);
        y += f64::from(size.y);
    }
}

fn draw_frame(shape: &mut Shape) {
    let v = Vec3::new;
    let x = DEPTH / 2.0 - 0.05;
    let steel = shape.paint(Material::Blue);
    for side in [-x, x] {
        steel.block(v(side, HEIGHT / 2.0, 0.0), v(0.1, HEIGHT, 0.08));
    }
    let step = 0.66;
    for i in 0..5 {
        let y = 0.3 + step * i as f32;
        let (a, b) = if i % 2 == 0 { (-x, x) } else { (x, -x) };
        steel.strut(v(a, y, 0.0), v(b, y + step, 0.0), 0.04);
    }
    for side in [-x, x] {
        shape.paint(Material::SafetyYellow).block(v(side - 0.06 * side.signum(), 0.2, 0.0), v(0.02, 0.4, 0.14));
        shape.paint(Material::SteelDark).block(v(side, 0.006, 0.0), v(0.18, 0.012, 0.16));
    }
}

/// Two beams of one bay, drawn from the middle of their upper edges.
fn draw_beams(shape: &mut Shape, bay: f32) {
    let beam = shape.paint(Material::RackOrange);
    for x in [-0.47, 0.47] {
        beam.chamfered(Vec3::new(x, -0.06, 0.0), Vec3::new(0.05, 0.12, bay - 0.06), 0.008);
    }
}

/// A wooden pallet of that size, drawn from the middle of its underside.
pub(super) fn draw_pallet(shape: &mut Shape, size: Vec3) {
    let wood = shape.paint(Material::Wood);
    let (half_x, half_z) = (size.x / 2.0, size.z / 2.0);
    for i in 0..5 {
        let z = -half_z + 0.06 + (size.z - 0.12) * i as f32 / 4.0;
        wood.block(Vec3::new(0.0, size.y - 0.0125, z), Vec3::new(size.x, 0.025, 0.12));
    }
    for x in [-half_x + 0.05, 0.0, half_x - 0.05] {
        wood.block(Vec3::new(x, size.y / 2.0 - 0.0125, 0.0), Vec3::new(0.09, size.y - 0.025, size.z));
    }
}

fn draw_box(shape: &mut Shape, size: Vec3) {
    shape.paint(Material::Cardboard).chamfered(Vec3::Y * size.y / 2.0, size, 0.012);
    let tape = shape.paint(Material::Wood);
    tape.block(Vec3::Y * size.y / 2.0, Vec3::new(0.06, size.y + 0.004, size.z + 0.004));
}
