//! Safety fences around the robot cells.

use std::f64::consts::FRAC_PI_2;

use gemba_twin::layout;
use gemba_twin::path::ThingPath;
use gemba_twin::thing::Class;
use glam::{DVec3, Vec3};

use super::palette::Material;
use super::plan::{Node, NodeId, Plan, Shape, part_of};

/// Width and height of one panel, metres.
const PANEL: f64 = 1.15;
const HEIGHT: f32 = 1.9;
/// From the robot to the fence along Z, metres.
const FRONT: f64 = 1.55;

/// Panels of one cell: where each begins, from the robot, and whether it runs along X or else along Z.
fn panels(robot: usize) -> Vec<(DVec3, bool)> {
    let corner = 2.0 * PANEL;
    let mut panels: Vec<(DVec3, bool)> =
        (0..4).map(|i| (DVec3::new(-corner + PANEL * f64::from(i), 0.0, FRONT), true)).collect();
    // Beside the conveyor that brings parts, and the one that takes them where there is one.
    let sides = if robot + 1 < layout::ROBOTS.len() { vec![-corner, corner] } else { vec![-corner] };
    for x in sides {
        panels.push((DVec3::new(x, 0.0, FRONT - PANEL), false));
        panels.push((DVec3::new(x, 0.0, -FRONT), false));
    }
    // At the back up to the CNC cell, or all the way where there is none.
    let back = if robot < layout::CNCS.len() { vec![0, 3] } else { vec![0, 1, 2, 3] };
    panels.extend(back.into_iter().map(|i| (DVec3::new(-corner + PANEL * f64::from(i), 0.0, -FRONT), true)));
    panels
}

/// Adds the fence of one robot's cell.
pub(super) fn add(plan: &mut Plan, line: NodeId, path: &ThingPath, robot: usize) {
    let path = part_of(path, &format!("Fence{}", robot + 1));
    let root = plan.add(Some(line), Node::part(path.clone(), Class::Structure).at(layout::ROBOTS[robot]));
    let panel = plan.shape("FencePanel", draw_panel);
    let post = plan.shape("FencePost", draw_post);
    let mut posts: Vec<DVec3> = Vec::new();
    for (i, (start, along_x)) in panels(robot).into_iter().enumerate() {
        let turn = if along_x { 0.0 } else { -FRAC_PI_2 };
        let node = Node::part(part_of(&path, &format!("Panel{}", i + 1)), Class::Structure)
            .at(start)
            .turned(turn)
            .drawn(panel);
        plan.add(Some(root), node);
        let end = start + if along_x { DVec3::X } else { DVec3::Z } * PANEL;
        for place in [start, end] {
            // Where the back panel meets a CNC cell, the cell holds it.
            let held = robot < layout::CNCS.len() && place.z < 0.0 && place.x.abs() < PANEL + 0.1;
            if !held && posts.iter().all(|p| p.distance(place) > 0.05) {
                posts.push(place);
            }
        }
    }
    for (i, place) in posts.into_iter().enumerate() {
        let node = Node::part(part_of(&path, &format!("Post{}", i + 1)), Class::Structure).at(place).drawn(post);
        plan.add(Some(root), node);
    }
}

/// A frame of tube filled with wires, drawn from one lower end along +X.
fn draw_panel(shape: &mut Shape) {
    let v = Vec3::new;
    let (from, to, low, high) = (0.05, PANEL as f32 - 0.05, 0.18, HEIGHT - 0.04);
    let frame = shape.paint(Material::SafetyYellow);
    for y in [low, high] {
        frame.strut(v(from, y, 0.0), v(to, y, 0.0), 0.03);
    }
    for x in [from, to] {
        frame.strut(v(x, low, 0.0), v(x, high, 0.0), 0.03);
    }
    let wire = shape.paint(Material::SteelDark);
    for i in 1..10 {
        let x = from + (to - from) * i as f32 / 10.0;
        wire.strut(v(x, low, 0.0), v(x, high, 0.0), 0.008);
    }
    for i in 1..4 {
        let y = low + (high - low) * i as f32 / 4.0;
        wire.strut(v(from, y, 0.0), v(to, y, 0.0), 0.008);
    }
}

fn draw_post(shape: &mut Shape) {
    let post = shape.paint(Material::SafetyYellow);
    post.block(Vec3::Y * (HEIGHT / 2.0), Vec3::new(0.06, HEIGHT, 0.06));
    shape.paint(Material::SteelDark).block(Vec3::Y * 0.006, Vec3::new(0.16, 0.012, 0.16));
}
