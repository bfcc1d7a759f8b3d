//! Belt conveyors and the workpieces that ride on them.

use gemba_twin::binding::Target;
use gemba_twin::layout::{self, Conveyor, tags};
use gemba_twin::path::ThingPath;
use gemba_twin::thing::Class;
use glam::{DVec3, Vec2, Vec3};

use super::mesh::at;
use super::palette::Material;
use super::plan::{Node, NodeId, Plan, Shape, part_of};

/// The frame reaches this far beyond the places of the first and the last part, metres.
const OVERHANG: f64 = 0.2;
/// Thickness of the loop of belt with its slider bed, metres.
const BELT_LOOP: f32 = 0.12;

/// Adds one conveyor of a line.
pub(super) fn add(plan: &mut Plan, line: NodeId, path: &ThingPath, conveyor: &Conveyor) {
    let length = conveyor.to_x - conveyor.from_x + 2.0 * OVERHANG;
    let l = length as f32;
    // The conveyor's frame: origin on the floor under the belt's upstream end.
    let root = Node::machine(path.clone(), Class::Conveyor).at(DVec3::new(conveyor.from_x - OVERHANG, 0.0, 0.0)).bound(
        path,
        tags::STATE,
        Target::State,
        1.0,
        0.0,
    );
    let root = plan.add(Some(line), root);
    let mut part = |name: &str, place: DVec3, shape: &str, draw: &dyn Fn(&mut Shape)| {
        let shape = plan.shape(shape, draw);
        plan.add(Some(root), Node::part(part_of(path, name), Class::Conveyor).at(place).drawn(shape));
    };
    part("Belt", DVec3::ZERO, &format!("ConveyorBelt {length:.1} m"), &|s| belt(s, l));
    part("Frame", DVec3::ZERO, &format!("ConveyorFrame {length:.1} m"), &|s| frame(s, l));
    for (name, z) in [("Rail1", -0.265), ("Rail2", 0.265)] {
        let place = DVec3::new(0.0, layout::BELT_HEIGHT, z);
        part(name, place, &format!("ConveyorRail {length:.1} m"), &|s| rail(s, l));
    }
    let legs = 6;
    for leg in 0..legs {
        let x = 0.5 + (length - 1.0) * f64::from(leg) / f64::from(legs - 1);
        part(&format!("Leg{}", leg + 1), DVec3::new(x, 0.0, 0.0), "ConveyorLeg", &draw_leg);
    }
    let rollers = 44;
    for roller in 0..rollers {
        let x = 0.35 + (length - 0.7) * f64::from(roller) / f64::from(rollers - 1);
        let place = DVec3::new(x, 0.60, 0.0);
        part(&format!("Roller{}", roller + 1), place, "ConveyorRoller", &draw_roller);
    }
    part("Motor", DVec3::new(length - 0.75, 0.0, 0.0), "ConveyorMotor", &draw_motor);
    part("Sensor1", DVec3::new(OVERHANG, layout::BELT_HEIGHT, 0.34), "PhotoEye", &draw_photo_eye);
    part("Sensor2", DVec3::new(length - OVERHANG, layout::BELT_HEIGHT, 0.34), "PhotoEye", &draw_photo_eye);
    part("EmergencyStop", DVec3::new(length * 0.5, 0.0, 0.42), "EmergencyStop", &draw_emergency_stop);
}

/// Adds the line's workpieces, drawn at rest along the belts; the tags X, Y and Z are places in the line's frame.
pub(super) fn add_parts(plan: &mut Plan, line: NodeId, path: &ThingPath) {
    let shape = plan.shape("Workpiece", draw_part);
    let mut places = Vec::new();
    for (conveyor, count) in layout::CONVEYORS.iter().zip([5, 5, 4]) {
        for i in 0..count {
            let x = conveyor.to_x - (conveyor.to_x - conveyor.from_x) * f64::from(i) / f64::from(count);
            places.push(DVec3::new(x, layout::BELT_HEIGHT + layout::PART_SIZE / 2.0, 0.0));
        }
    }
    for (i, place) in places.iter().take(layout::PARTS).enumerate() {
        let path = part_of(path, &format!("Part{}", i + 1));
        let node = Node::machine(path.clone(), Class::Workpiece)
            .at(*place)
            .drawn(shape)
            .bound(&path, tags::X, Target::TranslateX, 1.0, -place.x)
            .bound(&path, tags::Y, Target::TranslateY, 1.0, -place.y)
            .bound(&path, tags::Z, Target::TranslateZ, 1.0, -place.z)
            .bound(&path, tags::PRESENT, Target::Visible, 1.0, 0.0);
        plan.add(Some(line), node);
    }
}

fn belt(shape: &mut Shape, length: f32) {
    let radius = BELT_LOOP / 2.0;
    let y = layout::BELT_HEIGHT as f32 - radius;
    let ends = [(Vec2::new(radius, y), radius), (Vec2::new(length - radius, y), radius)];
    shape.paint(Material::Rubber).link(at(Vec3::ZERO), ends, 0.50, 0.0);
    let steel = shape.paint(Material::Stainless);
    for x in [radius, length - radius] {
        steel.rod(Vec3::new(x, y, -0.30), Vec3::new(x, y, 0.30), 0.025, 12);
    }
}

fn frame(shape: &mut Shape, length: f32) {
    let steel = shape.paint(Material::Steel);
    for z in [-0.28, 0.28] {
        let middle = Vec3::new(length / 2.0, 0.715, z);
        steel.chamfered(middle, Vec3::new(length - 0.04, 0.15, 0.05), 0.008);
    }
    let bearing = shape.paint(Material::SteelDark);
    for (x, z) in [(0.06, -0.315), (0.06, 0.315), (length - 0.06, -0.315), (length - 0.06, 0.315)] {
        bearing.chamfered(Vec3::new(x, 0.74, z), Vec3::new(0.14, 0.11, 0.03), 0.01);
    }
}

fn rail(shape: &mut Shape, length: f32) {
    let rail = shape.paint(Material::Stainless);
    rail.chamfered(Vec3::new(length / 2.0, 0.10, 0.0), Vec3::new(length - 0.1, 0.045, 0.02), 0.006);
    let bracket = shape.paint(Material::SteelDark);
    for i in 0..8 {
        let x = 0.25 + (length - 0.5) * i as f32 / 7.0;
        bracket.block(Vec3::new(x, 0.035, 0.0), Vec3::new(0.03, 0.11, 0.014));
    }
}

fn draw_leg(shape: &mut Shape) {
    let steel = shape.paint(Material::Steel);
    for z in [-0.26, 0.26] {
        steel.block(Vec3::new(0.0, 0.34, z), Vec3::new(0.06, 0.62, 0.06));
    }
    steel.block(Vec3::new(0.0, 0.22, 0.0), Vec3::new(0.04, 0.05, 0.46));
    let foot = shape.paint(Material::SteelDark);
    for z in [-0.26, 0.26] {
        foot.rod(Vec3::new(0.0, 0.0, z), Vec3::new(0.0, 0.03, z), 0.06, 12);
    }
}

fn draw_roller(shape: &mut Shape) {
    shape.paint(Material::Stainless).rod(Vec3::new(0.0, 0.0, -0.25), Vec3::new(0.0, 0.0, 0.25), 0.035, 12);
}

fn draw_motor(shape: &mut Shape) {
    shape.paint(Material::Blue).chamfered(Vec3::new(0.0, 0.52, 0.16), Vec3::new(0.22, 0.24, 0.2), 0.02);
    let motor = shape.paint(Material::SteelDark);
    motor.rod(Vec3::new(-0.11, 0.52, 0.16), Vec3::new(-0.42, 0.52, 0.16), 0.09, 16);
    for i in 0..4 {
        let x = -0.17 - 0.06 * i as f32;
        motor.rod(Vec3::new(x, 0.52, 0.16), Vec3::new(x - 0.02, 0.52, 0.16), 0.105, 16);
    }
}

fn draw_photo_eye(shape: &mut Shape) {
    shape.paint(Material::SteelDark).block(Vec3::new(0.0, 0.06, 0.0), Vec3::new(0.03, 0.26, 0.02));
    shape.paint(Material::SafetyYellow).chamfered(Vec3::new(0.0, 0.19, -0.015), Vec3::new(0.05, 0.08, 0.06), 0.008);
}

fn draw_emergency_stop(shape: &mut Shape) {
    shape.paint(Material::SteelDark).rod(Vec3::ZERO, Vec3::Y * 0.03, 0.11, 16);
    shape.paint(Material::Steel).bar(Vec3::ZERO, Vec3::Y * 0.95, 0.025, 12);
    shape.paint(Material::SafetyYellow).chamfered(Vec3::new(0.0, 1.02, 0.0), Vec3::new(0.13, 0.17, 0.09), 0.012);
    shape.paint(Material::SignalRed).rod(Vec3::new(0.0, 1.03, 0.045), Vec3::new(0.0, 1.03, 0.085), 0.04, 16);
}

fn draw_part(shape: &mut Shape) {
    let size = layout::PART_SIZE as f32;
    shape.paint(Material::Aluminium).chamfered(Vec3::ZERO, Vec3::splat(size), 0.02);
    // A bore and two slots, so that it reads as a machined block and shows which way it lies.
    let bore = shape.paint(Material::SteelDark);
    bore.rod(Vec3::Y * (size / 2.0 - 0.02), Vec3::Y * (size / 2.0 + 0.004), 0.075, 16);
    for z in [-size / 2.0, size / 2.0] {
        bore.block(Vec3::new(0.0, 0.0, z), Vec3::new(0.16, 0.05, 0.008));
    }
}
