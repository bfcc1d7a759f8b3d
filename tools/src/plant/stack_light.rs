//! Stack lights: three lamps on a pole, each a node that its own tag lights.

use gemba_twin::binding::Target;
use gemba_twin::layout::tags;
use gemba_twin::path::ThingPath;
use gemba_twin::thing::Class;
use glam::{DVec3, Vec3};

use super::palette::Material;
use super::plan::{Node, NodeId, Plan, Shape, part_of};

/// Adds the stack light of a machine; `foot` is where its pole begins in the machine's frame.
pub(super) fn add(plan: &mut Plan, machine: NodeId, path: &ThingPath, foot: DVec3) {
    let path = part_of(path, "StackLight");
    let pole = plan.shape("StackLightPole", draw_pole);
    let root = plan.add(Some(machine), Node::part(path.clone(), Class::StackLight).at(foot).drawn(pole));
    let materials = [Material::LampRed, Material::LampAmber, Material::LampGreen];
    for (i, (name, material)) in tags::LAMPS.iter().zip(materials).enumerate() {
        let lamp = plan.shape(&format!("Lamp{name}"), |s| draw_lamp(s, material));
        let node = Node::part(part_of(&path, name), Class::StackLight)
            .at(DVec3::Y * (0.46 - 0.11 * i as f64))
            .drawn(lamp)
            .bound(&path, name, Target::Lamp, 1.0, 0.0);
        plan.add(Some(root), node);
    }
}

fn draw_pole(shape: &mut Shape) {
    shape.paint(Material::Stainless).bar(Vec3::ZERO, Vec3::Y * 0.24, 0.018, 10);
    let dark = shape.paint(Material::SteelDark);
    dark.rod(Vec3::ZERO, Vec3::Y * 0.02, 0.05, 12);
    dark.rod(Vec3::Y * 0.21, Vec3::Y * 0.24, 0.052, 16);
    dark.rod(Vec3::Y * 0.57, Vec3::Y * 0.595, 0.052, 16);
}

fn draw_lamp(shape: &mut Shape, material: Material) {
    shape.paint(material).rod(Vec3::Y * 0.004, Vec3::Y * 0.108, 0.048, 16);
}
