//! Six-axis arms: a chain of joint nodes with the kinematics of `gemba_twin::arm`, a gripper, a pedestal, a stack light
//! and a controller cabinet. Each joint's shape is drawn in that joint's frame, at angle zero.

use std::f64::consts::PI;

use gemba_twin::arm::{JOINTS, Joint, TOOL};
use gemba_twin::binding::Target;
use gemba_twin::layout::tags;
use gemba_twin::path::ThingPath;
use gemba_twin::thing::Class;
use glam::{DVec3, Vec2, Vec3};

use super::mesh::{along, at};
use super::palette::Material;
use super::plan::{Node, NodeId, Plan, Shape, part_of};
use super::stack_light;

/// Adds one robot with all that belongs to it.
pub(super) fn add(plan: &mut Plan, line: NodeId, path: &ThingPath, place: DVec3) {
    let root = Node::machine(path.clone(), Class::Robot).at(place).bound(path, tags::STATE, Target::State, 1.0, 0.0);
    let root = plan.add(Some(line), root);
    let pedestal = plan.shape("RobotPedestal", draw_pedestal);
    plan.add(Some(root), Node::part(part_of(path, "Pedestal"), Class::Robot).drawn(pedestal));
    let cabinet = plan.shape("RobotCabinet", draw_cabinet);
    let node = Node::part(part_of(path, "Controller"), Class::Robot).at(DVec3::new(1.75, 0.0, 2.15)).drawn(cabinet);
    plan.add(Some(root), node);
    stack_light::add(plan, root, path, DVec3::new(-1.15, 2.0, 1.55));

    let draw: [fn(&mut Shape); 6] = [draw_joint1, draw_joint2, draw_joint3, draw_joint4, draw_joint5, draw_joint6];
    let mut parent = root;
    for (i, (joint, draw)) in JOINTS.iter().zip(draw).enumerate() {
        let name = format!("Joint{}", i + 1);
        let shape = plan.shape(&format!("Robot{name}"), draw);
        let path = part_of(path, &name);
        let node = Node::part(path.clone(), Class::Robot).at(joint.offset).drawn(shape).bound(
            &path,
            tags::ANGLE,
            turns_about(joint),
            PI / 180.0,
            0.0,
        );
        parent = plan.add(Some(parent), node);
    }
    add_gripper(plan, parent, path);
}

/// The binding target that turns a node about the joint's axis.
fn turns_about(joint: &Joint) -> Target {
    let axis = joint.axis.abs();
    if axis.x > axis.y && axis.x > axis.z {
        Target::RotateX
    } else if axis.y > axis.z {
        Target::RotateY
    } else {
        Target::RotateZ
    }
}

fn add_gripper(plan: &mut Plan, flange: NodeId, robot: &ThingPath) {
    let shape = plan.shape("Gripper", draw_gripper);
    let path = part_of(robot, "Gripper");
    let gripper = plan.add(Some(flange), Node::part(path.clone(), Class::Robot).drawn(shape));
    let shape = plan.shape("GripperFinger", draw_finger);
    // Open, the fingers stand 20 mm off a workpiece; `Gripper` closes them by as much.
    for (name, z, close, turned) in [("Finger1", 0.17, -0.02, 0.0), ("Finger2", -0.17, 0.02, PI)] {
        let node = Node::part(part_of(&path, name), Class::Robot).at(DVec3::new(TOOL, 0.0, z)).drawn(shape).bound(
            robot,
            tags::GRIPPER,
            Target::TranslateZ,
            close,
            0.0,
        );
        plan.add(Some(gripper), Node { rotation: glam::DQuat::from_rotation_x(turned), ..node });
    }
}

fn draw_pedestal(shape: &mut Shape) {
    let plate = shape.paint(Material::SteelDark);
    plate.chamfered(Vec3::new(0.0, 0.02, 0.0), Vec3::new(0.78, 0.04, 0.78), 0.008);
    for (x, z) in [(-0.33, -0.33), (0.33, -0.33), (-0.33, 0.33), (0.33, 0.33)] {
        plate.rod(Vec3::new(x, 0.04, z), Vec3::new(x, 0.07, z), 0.03, 6);
    }
    let base = shape.paint(Material::RobotOrange);
    let profile = [(0.0, 0.04), (0.31, 0.04), (0.31, 0.08), (0.25, 0.17), (0.25, 0.26), (0.23, 0.28), (0.0, 0.28)];
    base.lathe(at(Vec3::ZERO), &profile.map(Vec2::from), 24);
    let plug = shape.paint(Material::SteelDark);
    plug.chamfered(Vec3::new(-0.30, 0.16, 0.0), Vec3::new(0.16, 0.16, 0.22), 0.015);
    plug.pipe(
        &[Vec3::new(-0.36, 0.14, 0.05), Vec3::new(-0.55, 0.14, 0.05), Vec3::new(-0.55, 0.0, 0.05)],
        0.025,
        0.1,
        8,
    );
}

fn draw_joint1(shape: &mut Shape) {
    let shoulder = JOINTS[1].offset.as_vec3();
    let ring = shape.paint(Material::SteelDark);
    ring.rod(Vec3::Y * -0.02, Vec3::Y * 0.015, 0.235, 24);
    // Motor of the first axis, upright at the back.
    ring.rod(Vec3::new(-0.14, 0.10, -0.10), Vec3::new(-0.14, 0.40, -0.10), 0.075, 16);
    let casting = shape.paint(Material::RobotOrange);
    let profile = [(0.0, 0.015), (0.26, 0.015), (0.27, 0.05), (0.25, 0.10), (0.16, 0.14), (0.0, 0.14)];
    casting.lathe(at(Vec3::ZERO), &profile.map(Vec2::from), 24);
    for z in [-0.17, 0.17] {
        let ends = [(Vec2::new(0.0, 0.08), 0.15), (shoulder.truncate(), 0.155)];
        casting.link(at(Vec3::Z * z), ends, 0.075, 0.015);
    }
    casting.chamfered(Vec3::new(-0.05, 0.16, 0.0), Vec3::new(0.24, 0.14, 0.28), 0.03);
    let motor = shape.paint(Material::SteelDark);
    motor.rod(shoulder + Vec3::Z * 0.205, shoulder + Vec3::Z * 0.36, 0.085, 20);
    shape.paint(Material::MachineGrey).rod(shoulder + Vec3::Z * -0.205, shoulder + Vec3::Z * -0.235, 0.11, 20);
}

fn draw_joint2(shape: &mut Shape) {
    let elbow = JOINTS[2].offset.as_vec3();
    shape.paint(Material::SteelDark).rod(Vec3::Z * -0.13, Vec3::Z * 0.13, 0.125, 20);
    let arm = shape.paint(Material::RobotOrange);
    let ends = [(Vec2::ZERO, 0.15), (elbow.truncate(), 0.125)];
    arm.link(at(Vec3::ZERO), ends, 0.17, 0.03);
    // The cast web along the arm that gives it its waist.
    arm.chamfered(elbow * 0.5, Vec3::new(0.15, 0.52, 0.205), 0.025);
    shape.paint(Material::MachineGrey).chamfered(elbow * 0.5, Vec3::new(0.07, 0.40, 0.222), 0.01);
    let hose = shape.paint(Material::Rubber);
    let points = [
        Vec3::new(-0.06, -0.02, -0.12),
        Vec3::new(-0.17, 0.10, -0.12),
        Vec3::new(-0.17, 0.80, -0.12),
        Vec3::new(-0.08, 0.95, -0.12),
    ];
    hose.pipe(&points, 0.022, 0.08, 8);
}

fn draw_joint3(shape: &mut Shape) {
    let wrist = JOINTS[3].offset.as_vec3();
    let hub = shape.paint(Material::SteelDark);
    hub.rod(Vec3::Z * -0.10, Vec3::Z * 0.10, 0.10, 20);
    let housing = shape.paint(Material::RobotOrange);
    for z in [-0.115, 0.115] {
        let ends = [(Vec2::ZERO, 0.125), (Vec2::new(0.06, 0.10), 0.12)];
        housing.link(at(Vec3::Z * z), ends, 0.06, 0.012);
    }
    housing.chamfered(Vec3::new(0.06, 0.12, 0.0), Vec3::new(0.26, 0.20, 0.22), 0.035);
    housing.rod(Vec3::new(0.14, wrist.y, 0.0), wrist, 0.105, 20);
    // Three motors for the wrist axes at the back balance the forearm.
    let motor = shape.paint(Material::SteelDark);
    for (y, z) in [(0.18, 0.0), (0.08, -0.06), (0.08, 0.06)] {
        motor.rod(Vec3::new(-0.06, y, z), Vec3::new(-0.24, y, z), 0.05, 14);
    }
    let cap = shape.paint(Material::MachineGrey);
    cap.rod(Vec3::Z * 0.145, Vec3::Z * 0.16, 0.085, 20);
    cap.rod(Vec3::Z * -0.145, Vec3::Z * -0.16, 0.085, 20);
}

fn draw_joint4(shape: &mut Shape) {
    let wrist = JOINTS[4].offset.as_vec3();
    shape.paint(Material::SteelDark).rod(Vec3::ZERO, Vec3::X * 0.02, 0.108, 20);
    let forearm = shape.paint(Material::RobotOrange);
    let profile = [(0.0, 0.02), (0.105, 0.02), (0.10, 0.10), (0.078, 0.40), (0.078, 0.49), (0.06, 0.51), (0.0, 0.51)];
    forearm.lathe(along(Vec3::ZERO, Vec3::X), &profile.map(Vec2::from), 20);
    for z in [-0.066, 0.066] {
        let ends = [(Vec2::new(0.44, 0.0), 0.06), (wrist.truncate(), 0.058)];
        forearm.link(at(Vec3::Z * z), ends, 0.034, 0.008);
    }
    let cap = shape.paint(Material::MachineGrey);
    for side in [-1.0, 1.0] {
        cap.rod(wrist + Vec3::Z * (0.083 * side), wrist + Vec3::Z * (0.095 * side), 0.042, 16);
    }
}

fn draw_joint5(shape: &mut Shape) {
    let flange = JOINTS[5].offset.as_vec3();
    shape.paint(Material::SteelDark).rod(Vec3::Z * -0.047, Vec3::Z * 0.047, 0.056, 18);
    let wrist = shape.paint(Material::RobotOrange);
    wrist.rod(Vec3::X * 0.03, flange - Vec3::X * 0.015, 0.052, 18);
}

fn draw_joint6(shape: &mut Shape) {
    shape.paint(Material::Stainless).rod(Vec3::X * -0.015, Vec3::X * 0.015, 0.05, 18);
}

fn draw_gripper(shape: &mut Shape) {
    let body = shape.paint(Material::MachineGrey);
    body.chamfered(Vec3::X * 0.045, Vec3::new(0.06, 0.10, 0.16), 0.012);
    let slide = shape.paint(Material::SteelDark);
    slide.chamfered(Vec3::X * 0.078, Vec3::new(0.03, 0.06, 0.46), 0.006);
}

/// Drawn from the tool point; +Z is away from the workpiece.
fn draw_finger(shape: &mut Shape) {
    let reach = TOOL as f32;
    let finger = shape.paint(Material::MachineGrey);
    finger.chamfered(Vec3::new(-reach / 2.0 + 0.055, 0.0, 0.018), Vec3::new(reach - 0.05, 0.05, 0.022), 0.005);
    shape.paint(Material::Rubber).chamfered(Vec3::new(0.0, 0.0, 0.003), Vec3::new(0.08, 0.05, 0.008), 0.002);
}

fn draw_cabinet(shape: &mut Shape) {
    let plinth = shape.paint(Material::SteelDark);
    plinth.block(Vec3::new(0.0, 0.05, 0.0), Vec3::new(0.64, 0.1, 0.46));
    plinth.block(Vec3::new(0.18, 0.62, 0.242), Vec3::new(0.03, 0.16, 0.02));
    shape.paint(Material::Cream).chamfered(Vec3::new(0.0, 0.58, 0.0), Vec3::new(0.68, 0.96, 0.48), 0.02);
    shape.paint(Material::Screen).block(Vec3::new(-0.12, 0.86, 0.241), Vec3::new(0.2, 0.13, 0.006));
    shape.paint(Material::SignalRed).rod(Vec3::new(0.18, 0.86, 0.24), Vec3::new(0.18, 0.86, 0.275), 0.03, 14);
}
