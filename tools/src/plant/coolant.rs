//! The coolant loop: two tanks whose level can be seen, a pump, two valves and the pipes between them and the cells.
//!
//! Tank1 feeds both cells through the valves, Tank2 takes the warm return, Pump1 lifts it back.

use std::f32::consts::TAU;

use gemba_twin::binding::Target;
use gemba_twin::layout::{self, tags};
use gemba_twin::path::ThingPath;
use gemba_twin::thing::Class;
use glam::{DVec3, Vec2, Vec3};

use super::mesh::at;
use super::palette::Material;
use super::plan::{Node, NodeId, Plan, Shape, part_of};

/// Height of the liquid's bottom above the floor, metres.
const BOTTOM: f32 = 0.5;
/// Thickness of a tank's wall, metres.
const WALL: f32 = 0.03;
/// Half the angle of the sight glass, radians; its middle looks along +Z, towards the aisle.
const SIGHT: f32 = 0.52;
/// Outer radius of the pipes, metres.
const PIPE: f32 = 0.05;
/// Turns of a valve's hand wheel from shut to open.
const WHEEL_TURNS: f64 = 2.0;

/// Adds the whole coolant loop of a line.
pub(super) fn add(plan: &mut Plan, line: NodeId, path: &ThingPath) {
    for (i, place) in layout::TANKS.iter().enumerate() {
        add_tank(plan, line, &part_of(path, &format!("Tank{}", i + 1)), *place);
    }
    let pump = part_of(path, "Pump1");
    let node =
        Node::machine(pump.clone(), Class::Pump).at(layout::PUMP).bound(&pump, tags::STATE, Target::State, 1.0, 0.0);
    let root = plan.add(Some(line), node);
    for (name, draw) in [("Base", draw_pump_base as fn(&mut Shape)), ("Motor", draw_pump_motor), ("Housing", draw_pump)]
    {
        let shape = plan.shape(&format!("Pump{name}"), draw);
        plan.add(Some(root), Node::part(part_of(&pump, name), Class::Pump).drawn(shape));
    }
    for (i, place) in layout::VALVES.iter().enumerate() {
        add_valve(plan, line, &part_of(path, &format!("Valve{}", i + 1)), *place);
    }
    add_pipes(plan, line, path);
}

fn add_tank(plan: &mut Plan, line: NodeId, path: &ThingPath, place: DVec3) {
    let root = plan.add(Some(line), Node::machine(path.clone(), Class::Tank).at(place));
    let parts =
        [("Shell", draw_shell as fn(&mut Shape)), ("Legs", draw_legs), ("Lid", draw_lid), ("Gauge", draw_gauge)];
    for (name, draw) in parts {
        let shape = plan.shape(&format!("Tank{name}"), draw);
        plan.add(Some(root), Node::part(part_of(path, name), Class::Tank).drawn(shape));
    }
    let shape = plan.shape("TankLiquid", draw_liquid);
    let node = Node::part(part_of(path, "Liquid"), Class::Tank).at(DVec3::Y * f64::from(BOTTOM)).drawn(shape).bound(
        path,
        tags::LEVEL,
        Target::ScaleY,
        0.01,
        0.0,
    );
    plan.add(Some(root), node);
    let shape = plan.shape("TankGlass", draw_glass);
    plan.add(Some(root), Node::part(part_of(path, "SightGlass"), Class::Tank).drawn(shape));
}

fn top() -> f32 {
    BOTTOM + layout::TANK_HEIGHT as f32
}

fn radius() -> f32 {
    layout::TANK_RADIUS as f32
}

/// The wall with a slot for the sight glass, its inside visible through it.
fn draw_shell(shape: &mut Shape) {
    let (low, high, outer, inner) = (BOTTOM - 0.04, top() + 0.12, radius(), radius() - WALL);
    let steel = shape.paint(Material::Stainless);
    let facing = TAU / 4.0;
    let arc = [facing + SIGHT, facing + TAU - SIGHT];
    let wall = [(outer, low), (outer, high), (inner, high), (inner, low), (outer, low)];
    steel.lathe_arc(at(Vec3::ZERO), &wall.map(Vec2::from), 22, arc);
    // Below and above the slot the wall goes all the way round.
    for (from, to) in [(low, BOTTOM + 0.06), (top() - 0.02, high)] {
        let ring = [(outer, from), (outer, to), (inner, to), (inner, from), (outer, from)];
        steel.lathe_arc(at(Vec3::ZERO), &ring.map(Vec2::from), 6, [facing - SIGHT, facing + SIGHT]);
    }
    let floor = [(0.0, low - 0.16), (outer * 0.5, low - 0.12), (outer * 0.85, low - 0.06), (outer, low)];
    steel.lathe(at(Vec3::ZERO), &floor.map(Vec2::from), 28);
    for y in [low + 0.02, high - 0.03] {
        let band = [(outer, y - 0.03), (outer + 0.02, y - 0.02), (outer + 0.02, y + 0.02), (outer, y + 0.03)];
        steel.lathe(at(Vec3::ZERO), &band.map(Vec2::from), 28);
    }
    let frame = shape.paint(Material::SteelDark);
    for side in [-SIGHT, SIGHT] {
        let out = Vec3::new((facing + side).cos(), 0.0, (facing + side).sin()) * (outer - 0.01);
        frame.strut(out + Vec3::Y * (BOTTOM + 0.04), out + Vec3::Y * top(), 0.05);
    }
}

fn draw_legs(shape: &mut Shape) {
    for i in 0..4 {
        let angle = TAU * (i as f32 + 0.5) / 4.0;
        let foot = Vec3::new(angle.cos(), 0.0, angle.sin()) * (radius() - 0.08);
        shape.paint(Material::Stainless).bar(foot, foot + Vec3::Y * 0.6, 0.05, 12);
        shape.paint(Material::SteelDark).rod(foot, foot + Vec3::Y * 0.025, 0.11, 14);
    }
}

fn draw_lid(shape: &mut Shape) {
    let (y, r) = (top() + 0.12, radius());
    let steel = shape.paint(Material::Stainless);
    let dome = [(r, y), (r * 0.93, y + 0.06), (r * 0.7, y + 0.14), (r * 0.4, y + 0.19), (0.0, y + 0.21)];
    steel.lathe(at(Vec3::ZERO), &dome.map(Vec2::from), 28);
    let dark = shape.paint(Material::SteelDark);
    dark.rod(Vec3::new(0.42, y + 0.12, 0.3), Vec3::new(0.42, y + 0.23, 0.3), 0.16, 20);
}

fn draw_gauge(shape: &mut Shape) {
    let foot = Vec3::new(0.75, 1.5, 0.62);
    shape.paint(Material::SteelDark).rod(foot, foot + Vec3::new(0.0, 0.0, 0.12), 0.02, 8);
    shape.paint(Material::SteelDark).rod(foot + Vec3::Z * 0.12, foot + Vec3::Z * 0.16, 0.09, 20);
    shape.paint(Material::MarkingWhite).rod(foot + Vec3::Z * 0.158, foot + Vec3::Z * 0.166, 0.075, 20);
}

/// Full height, its origin at its bottom, so that `scale_y` shows the level.
fn draw_liquid(shape: &mut Shape) {
    let (r, h) = (radius() - WALL - 0.01, layout::TANK_HEIGHT as f32);
    let profile = [(0.0, 0.0), (r, 0.0), (r, h), (0.0, h)];
    shape.paint(Material::Coolant).lathe(at(Vec3::ZERO), &profile.map(Vec2::from), 32);
}

fn draw_glass(shape: &mut Shape) {
    let facing = TAU / 4.0;
    let r = radius() - 0.006;
    let pane = [(r, BOTTOM + 0.06), (r, top() - 0.02)];
    shape.paint(Material::Glass).lathe_arc(at(Vec3::ZERO), &pane.map(Vec2::from), 8, [facing - SIGHT, facing + SIGHT]);
}

fn draw_pump_base(shape: &mut Shape) {
    shape.paint(Material::ConcreteDark).chamfered(Vec3::Y * 0.08, Vec3::new(0.62, 0.16, 1.2), 0.015);
    shape.paint(Material::SteelDark).block(Vec3::new(0.0, 0.20, 0.1), Vec3::new(0.34, 0.08, 1.0));
}

fn draw_pump_motor(shape: &mut Shape) {
    let motor = shape.paint(Material::Blue);
    motor.rod(Vec3::new(0.0, 0.45, 0.12), Vec3::new(0.0, 0.45, 0.62), 0.17, 20);
    motor.chamfered(Vec3::new(0.0, 0.64, 0.36), Vec3::new(0.16, 0.1, 0.18), 0.015);
    for i in 0..6 {
        let z = 0.18 + 0.06 * i as f32;
        motor.rod(Vec3::new(0.0, 0.45, z), Vec3::new(0.0, 0.45, z + 0.02), 0.19, 20);
    }
    shape.paint(Material::SteelDark).rod(Vec3::new(0.0, 0.45, 0.62), Vec3::new(0.0, 0.45, 0.68), 0.18, 20);
}

fn draw_pump(shape: &mut Shape) {
    let housing = shape.paint(Material::Blue);
    housing.rod(Vec3::new(0.0, 0.45, -0.16), Vec3::new(0.0, 0.45, 0.04), 0.24, 24);
    housing.chamfered(Vec3::new(0.0, 0.62, -0.06), Vec3::new(0.18, 0.3, 0.18), 0.02);
    shape.paint(Material::SteelDark).rod(Vec3::new(0.0, 0.45, 0.02), Vec3::new(0.0, 0.45, 0.14), 0.07, 16);
    shape.paint(Material::Stainless).rod(Vec3::new(0.0, 0.76, -0.06), Vec3::new(0.0, 0.80, -0.06), 0.10, 18);
}

fn add_valve(plan: &mut Plan, line: NodeId, path: &ThingPath, place: DVec3) {
    let body = plan.shape("ValveBody", draw_valve);
    let root = plan.add(Some(line), Node::machine(path.clone(), Class::Valve).at(place).drawn(body));
    let wheel = plan.shape("ValveWheel", draw_wheel);
    let node = Node::part(part_of(path, "Wheel"), Class::Valve).at(DVec3::Y * 0.36).drawn(wheel).bound(
        path,
        tags::POSITION,
        Target::RotateY,
        WHEEL_TURNS * std::f64::consts::TAU / 100.0,
        0.0,
    );
    plan.add(Some(root), node);
}

/// Flow runs along X.
fn draw_valve(shape: &mut Shape) {
    let steel = shape.paint(Material::Stainless);
    for side in [-1.0, 1.0] {
        steel.rod(Vec3::X * (0.13 * side), Vec3::X * (0.17 * side), 0.10, 20);
    }
    steel.bar(Vec3::Y * 0.1, Vec3::Y * 0.38, 0.016, 10);
    let body = shape.paint(Material::Blue);
    body.rod(Vec3::X * -0.13, Vec3::X * 0.13, 0.075, 18);
    body.rod(Vec3::ZERO, Vec3::Y * 0.17, 0.06, 16);
    body.rod(Vec3::Y * 0.17, Vec3::Y * 0.20, 0.085, 18);
    let yoke = shape.paint(Material::SteelDark);
    for side in [-1.0, 1.0] {
        yoke.strut(Vec3::new(side * 0.06, 0.2, 0.0), Vec3::new(side * 0.03, 0.33, 0.0), 0.016);
    }
    yoke.chamfered(Vec3::Y * 0.335, Vec3::new(0.09, 0.02, 0.03), 0.004);
}

fn draw_wheel(shape: &mut Shape) {
    const STEPS: u32 = 12;
    let wheel = shape.paint(Material::SignalRed);
    let rim: Vec<Vec3> = (0..=STEPS)
        .map(|i| TAU * i as f32 / STEPS as f32)
        .map(|angle| Vec3::new(angle.cos(), 0.0, angle.sin()) * 0.13)
        .collect();
    wheel.pipe(&rim, 0.014, 0.02, 6);
    for spoke in rim.iter().step_by(3).take(4) {
        wheel.strut(Vec3::ZERO, *spoke, 0.018);
    }
    wheel.rod(Vec3::Y * -0.015, Vec3::Y * 0.02, 0.03, 12);
}

/// The runs of pipe in the line's frame. A run's name says where it goes.
fn add_pipes(plan: &mut Plan, line: NodeId, path: &ThingPath) {
    let [tank1, tank2] = layout::TANKS.map(|t| t.as_vec3());
    let [valve1, valve2] = layout::VALVES.map(|v| v.as_vec3());
    let [cnc1, cnc2] = layout::CNCS.map(|c| c.as_vec3());
    let pump = layout::PUMP.as_vec3() + Vec3::new(0.0, 0.0, -0.06);
    let (r, lid, back) = (radius(), top() + 0.3, -4.75);
    let v = Vec3::new;
    let run = |x: f32, z: f32, y: f32| v(x, y, z);
    let runs: [(&str, Vec<Vec3>); 7] = [
        ("Pipe1", vec![v(tank1.x - r + 0.02, valve1.y, valve1.z), valve1 + Vec3::X * 0.15]),
        ("Pipe2", vec![valve1 - Vec3::X * 0.15, v(cnc1.x + 1.18, valve1.y, valve1.z)]),
        (
            "Pipe3",
            vec![
                v(tank1.x, valve2.y, tank1.z - r + 0.02),
                v(tank1.x, valve2.y, back),
                v(valve2.x - 0.32, valve2.y, back),
                v(valve2.x - 0.32, valve2.y, valve2.z),
                valve2 - Vec3::X * 0.15,
            ],
        ),
        ("Pipe4", vec![valve2 + Vec3::X * 0.15, v(cnc2.x - 1.18, valve2.y, valve2.z)]),
        (
            "Pipe5",
            vec![
                run(cnc1.x + 0.7, cnc1.z - 0.7, 2.38),
                run(cnc1.x + 0.7, cnc1.z - 0.7, 3.5),
                run(tank2.x - 0.3, cnc1.z - 0.7, 3.5),
                run(tank2.x - 0.3, tank2.z, 3.5),
                run(tank2.x - 0.3, tank2.z, lid - 0.05),
            ],
        ),
        (
            "Pipe6",
            vec![
                run(cnc2.x - 0.7, cnc2.z - 0.7, 2.38),
                run(cnc2.x - 0.7, cnc2.z - 0.7, 3.5),
                run(tank2.x + 0.3, cnc2.z - 0.7, 3.5),
                run(tank2.x + 0.3, tank2.z, 3.5),
                run(tank2.x + 0.3, tank2.z, lid - 0.05),
            ],
        ),
        (
            "Pipe7",
            vec![
                v(pump.x, 0.78, pump.z),
                v(pump.x, 3.3, pump.z),
                v(tank1.x, 3.3, pump.z),
                v(tank1.x, lid - 0.03, tank1.z - 0.06),
            ],
        ),
    ];
    for (name, points) in runs {
        // A branch of two points is straight; a run of more turns with elbows.
        let shape = plan.shape(&format!("Coolant{name}"), |s| draw_run(s, &points));
        plan.add(Some(line), Node::part(part_of(path, name), Class::Pipe).drawn(shape));
    }
    let suction = [v(tank2.x - r + 0.02, 0.62, pump.z), v(pump.x, 0.62, pump.z), v(pump.x, 0.45, pump.z)];
    let shape = plan.shape("CoolantPipe8", |s| draw_run(s, &suction));
    plan.add(Some(line), Node::part(part_of(path, "Pipe8"), Class::Pipe).drawn(shape));
    let shape = plan.shape("PipeStand", draw_stand);
    for (i, x) in [13.4_f64, 15.6, 17.8].into_iter().enumerate() {
        let place = DVec3::new(x, 0.0, f64::from(back));
        plan.add(
            Some(line),
            Node::part(part_of(path, &format!("PipeStand{}", i + 1)), Class::Pipe).at(place).drawn(shape),
        );
    }
}

/// A run of pipe with a flange at both ends and an elbow at every corner.
fn draw_run(shape: &mut Shape, points: &[Vec3]) {
    let steel = shape.paint(Material::Stainless);
    steel.pipe(points, PIPE, 0.14, 14);
    for (end, next) in [(points[0], points[1]), (points[points.len() - 1], points[points.len() - 2])] {
        let inwards = (next - end).normalize();
        steel.rod(end, end + inwards * 0.035, PIPE + 0.045, 16);
    }
}

fn draw_stand(shape: &mut Shape) {
    let steel = shape.paint(Material::Steel);
    steel.block(Vec3::Y * 0.57, Vec3::new(0.06, 1.14, 0.06));
    steel.block(Vec3::Y * 1.135, Vec3::new(0.08, 0.02, 0.16));
    shape.paint(Material::SteelDark).block(Vec3::Y * 0.01, Vec3::new(0.2, 0.02, 0.2));
}
