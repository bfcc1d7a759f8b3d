//! One production line: every machine of the layout, and what surrounds them: markings, cable trays, lamps.

use gemba_twin::layout::{self, Line};
use gemba_twin::path::ThingPath;
use gemba_twin::thing::{Class, Level};
use glam::{DVec3, Vec3};

use super::dice::Dice;
use super::palette::Material;
use super::plan::{Node, NodeId, Plan, Shape, part_of};
use super::{amr, cnc, conveyor, coolant, fence, hall, rack, robot};

/// Extent of a line's aisle along X, and its edges along Z, metres in the line's frame.
const AISLE_X: [f32; 2] = [-1.5, 43.5];
const AISLE_Z: [f32; 2] = [3.6, 5.0];
/// Height of paint above the floor, and of the lines on top of an aisle's paint, metres: far enough apart for the
/// depth buffer at a hundred metres.
const PAINT: f32 = 0.006;
const PAINT_ON_PAINT: f32 = 0.012;
/// Height of the light of the hall's lamps, metres.
const LAMP_HEIGHT: f64 = 6.1;

/// Adds one line to its hall.
pub(super) fn add(plan: &mut Plan, hall: NodeId, line: &Line, hall_place: DVec3, seed: u64) {
    let path = &line.path;
    let node = Node { level: Level::Line, ..Node::part(path.clone(), Class::Other) };
    let root = plan.add(Some(hall), node.at(line.world_from_line - hall_place));
    for (i, c) in layout::CONVEYORS.iter().enumerate() {
        conveyor::add(plan, root, &part_of(path, &format!("Conveyor{}", i + 1)), c);
    }
    for (i, place) in layout::ROBOTS.iter().enumerate() {
        robot::add(plan, root, &part_of(path, &format!("Robot{}", i + 1)), *place);
        fence::add(plan, root, path, i);
    }
    for (i, place) in layout::CNCS.iter().enumerate() {
        cnc::add(plan, root, &part_of(path, &format!("Cnc{}", i + 1)), *place);
    }
    coolant::add(plan, root, path);
    amr::add(plan, root, path);
    conveyor::add_parts(plan, root, path);
    rack::add(plan, root, path, &mut Dice::new(seed));
    add_surroundings(plan, root, path);
}

fn add_surroundings(plan: &mut Plan, line: NodeId, path: &ThingPath) {
    let mut part = |name: String, place: DVec3, shape: &str, draw: fn(&mut Shape)| {
        let shape = plan.shape(shape, draw);
        plan.add(Some(line), Node::part(part_of(path, &name), Class::Structure).at(place).drawn(shape));
    };
    part("Markings".into(), DVec3::ZERO, "LineMarkings", draw_markings);
    for i in 0..7 {
        let x = f64::from(i) * 4.0 + 5.0;
        part(format!("CableTray{}", i + 1), DVec3::new(x, 4.1, -4.75), "CableTray", draw_cable_tray);
    }
    for i in 0..8 {
        let x = f64::from(i) * 4.0 + 3.0;
        part(format!("TrayPost{}", i + 1), DVec3::new(x, 0.0, -4.95), "TrayPost", draw_tray_post);
    }
    for i in 0..6 {
        let place = DVec3::new(3.0 + f64::from(i) * 7.0, LAMP_HEIGHT, 1.8);
        part(format!("Lamp{}", i + 1), place, "HallLamp", hall::draw_lamp);
    }
    let bollards = [(-0.5, 3.3), (33.2, 3.4), (41.0, 3.3), (33.2, -3.2), (41.0, -4.2), (-0.5, -1.2), (-0.5, 1.2)];
    for (i, (x, z)) in bollards.into_iter().enumerate() {
        part(format!("Bollard{}", i + 1), DVec3::new(x, 0.0, z), "Bollard", hall::draw_bollard);
    }
    for (i, x) in [15.6, 25.6].into_iter().enumerate() {
        part(format!("Cabinet{}", i + 1), DVec3::new(x, 0.0, 1.1), "LineCabinet", draw_cabinet);
    }
}

fn draw_markings(shape: &mut Shape) {
    let v = Vec3::new;
    let [x0, x1] = AISLE_X;
    let [z0, z1] = AISLE_Z;
    let middle = v((x0 + x1) / 2.0, PAINT, (z0 + z1) / 2.0);
    shape.paint(Material::AislePaint).patch(middle, x1 - x0, z1 - z0);
    let yellow = shape.paint(Material::MarkingYellow);
    for z in [z0, z1] {
        yellow.patch(v((x0 + x1) / 2.0, PAINT_ON_PAINT, z), x1 - x0, 0.1);
    }
    // Around each robot's cell, just outside its fence.
    for robot in layout::ROBOTS {
        let r = robot.as_vec3().with_y(PAINT);
        yellow.patch(r + Vec3::Z * 1.85, 5.0, 0.1);
        for x in [-2.55, 2.55] {
            yellow.patch(r + v(x, 0.0, 1.15), 0.1, 1.5);
        }
    }
    let white = shape.paint(Material::MarkingWhite);
    // A crossing from the aisle to the middle of the line, and the dock beside the last robot.
    for i in 0..5 {
        white.patch(v(15.1 + 0.55 * i as f32, PAINT_ON_PAINT + 0.006, (z0 + z1) / 2.0), 0.3, z1 - z0 - 0.3);
    }
    let dock = layout::AMR_LOOP[0].as_vec3();
    for z in [-0.62, 0.62] {
        white.patch(dock + v(0.25, PAINT, z), 1.5, 0.08);
    }
    let places = layout::RACK.as_vec3();
    for i in 0..4 {
        white.patch(v(places.x - 0.95, PAINT, -3.45 + 2.3 * i as f32), 0.5, 0.08);
    }
    draw_amr_lane(shape);
}

/// Dashes along the loop that the AMRs drive.
fn draw_amr_lane(shape: &mut Shape) {
    let blue = shape.paint(Material::MarkingBlue);
    for (i, from) in layout::AMR_LOOP.iter().enumerate() {
        let to = layout::AMR_LOOP[(i + 1) % layout::AMR_LOOP.len()];
        let (from, to) = (from.as_vec3().with_y(PAINT), to.as_vec3().with_y(PAINT));
        let dashes = (from.distance(to) / 0.5).round().max(1.0);
        for dash in 0..dashes as u32 {
            let at = |t: f32| from.lerp(to, (dash as f32 + t) / dashes);
            blue.stripe(at(0.2), at(0.8), 0.12);
        }
    }
}

/// Four metres of tray with cables in it.
fn draw_cable_tray(shape: &mut Shape) {
    let tray = shape.paint(Material::Stainless);
    tray.block(Vec3::ZERO, Vec3::new(4.0, 0.01, 0.3));
    for z in [-0.15, 0.15] {
        tray.block(Vec3::new(0.0, 0.04, z), Vec3::new(4.0, 0.09, 0.01));
    }
    let cable = shape.paint(Material::Rubber);
    for z in [-0.09, -0.03, 0.05] {
        cable.strut(Vec3::new(-2.0, 0.03, z), Vec3::new(2.0, 0.03, z), 0.04);
    }
}

fn draw_tray_post(shape: &mut Shape) {
    let steel = shape.paint(Material::Steel);
    steel.block(Vec3::new(0.0, 2.07, 0.0), Vec3::new(0.08, 4.14, 0.08));
    steel.block(Vec3::new(0.0, 4.06, 0.2), Vec3::new(0.05, 0.05, 0.4));
    shape.paint(Material::SteelDark).block(Vec3::Y * 0.008, Vec3::new(0.22, 0.016, 0.22));
}

fn draw_cabinet(shape: &mut Shape) {
    let v = Vec3::new;
    shape.paint(Material::SteelDark).block(v(0.0, 0.05, 0.0), v(0.95, 0.1, 0.4));
    shape.paint(Material::Cream).chamfered(v(0.0, 0.85, 0.0), v(1.0, 1.5, 0.42), 0.015);
    let seam = shape.paint(Material::SteelDark);
    seam.block(v(0.0, 0.85, 0.211), v(0.012, 1.44, 0.006));
    seam.block(v(0.06, 0.9, 0.22), v(0.025, 0.16, 0.03));
    shape.paint(Material::Screen).block(v(-0.25, 1.25, 0.212), v(0.24, 0.16, 0.006));
    shape.paint(Material::SafetyYellow).block(v(0.28, 1.35, 0.212), v(0.12, 0.11, 0.004));
}
