//! Autonomous vehicles, each with a pallet on its deck.

use std::f64::consts::PI;

use gemba_twin::binding::Target;
use gemba_twin::layout::{self, tags};
use gemba_twin::path::ThingPath;
use gemba_twin::thing::Class;
use glam::{DVec3, Vec3};

use super::palette::Material;
use super::plan::{Node, NodeId, Plan, Shape, part_of};
use super::rack::draw_pallet;

/// Corners of the loop where the vehicles are drawn: at the dock, and where full pallets are left.
const DRAWN_AT: [usize; layout::AMRS] = [0, 2];

/// Adds the vehicles of a line. X and Z are places in the line's frame, which is the parent node's.
pub(super) fn add(plan: &mut Plan, line: NodeId, path: &ThingPath) {
    for (i, corner) in DRAWN_AT.into_iter().enumerate() {
        let path = part_of(path, &format!("Amr{}", i + 1));
        let place = layout::AMR_LOOP[corner];
        let node = Node::machine(path.clone(), Class::Amr)
            .at(place)
            .bound(&path, tags::STATE, Target::State, 1.0, 0.0)
            .bound(&path, tags::X, Target::TranslateX, 1.0, -place.x)
            .bound(&path, tags::Z, Target::TranslateZ, 1.0, -place.z)
            .bound(&path, tags::HEADING, Target::RotateY, PI / 180.0, 0.0);
        let root = plan.add(Some(line), node);
        let mut part = |name: &str, place: DVec3, shape: &str, draw: fn(&mut Shape)| {
            let shape = plan.shape(shape, draw);
            plan.add(Some(root), Node::part(part_of(&path, name), Class::Amr).at(place).drawn(shape));
        };
        part("Body", DVec3::ZERO, "AmrBody", draw_body);
        part("Deck", DVec3::Y * layout::AMR_DECK, "AmrDeck", draw_deck);
        part("Pallet", DVec3::Y * layout::AMR_DECK, "PalletSmall", |s| draw_pallet(s, Vec3::new(0.8, 0.14, 0.8)));
        part("Wheel1", DVec3::new(0.0, 0.1, 0.33), "AmrWheel", draw_wheel);
        part("Wheel2", DVec3::new(0.0, 0.1, -0.33), "AmrWheel", draw_wheel);
        part("Scanner1", DVec3::new(0.46, 0.2, 0.28), "AmrScanner", draw_scanner);
        part("Scanner2", DVec3::new(-0.46, 0.2, -0.28), "AmrScanner", draw_scanner);
    }
}

fn draw_body(shape: &mut Shape) {
    let v = Vec3::new;
    shape.paint(Material::SteelDark).chamfered(v(0.0, 0.085, 0.0), v(0.94, 0.09, 0.6), 0.02);
    shape.paint(Material::Cream).chamfered(v(0.0, 0.205, 0.0), v(1.0, 0.19, 0.68), 0.045);
    shape.paint(Material::Blue).chamfered(v(0.0, 0.25, 0.0), v(1.006, 0.03, 0.686), 0.006);
    shape.paint(Material::SignalRed).rod(v(-0.3, 0.2, 0.335), v(-0.3, 0.2, 0.36), 0.025, 12);
    shape.paint(Material::LampWhite).block(v(0.5, 0.16, 0.0), v(0.012, 0.03, 0.3));
}

/// Drawn from its upper face.
fn draw_deck(shape: &mut Shape) {
    shape.paint(Material::MachineGrey).chamfered(Vec3::Y * -0.025, Vec3::new(0.9, 0.05, 0.64), 0.012);
}

fn draw_wheel(shape: &mut Shape) {
    shape.paint(Material::Rubber).rod(Vec3::Z * -0.03, Vec3::Z * 0.03, 0.1, 18);
    shape.paint(Material::Steel).rod(Vec3::Z * -0.035, Vec3::Z * 0.035, 0.05, 12);
}

fn draw_scanner(shape: &mut Shape) {
    shape.paint(Material::SafetyYellow).rod(Vec3::Y * -0.06, Vec3::Y * -0.01, 0.065, 16);
    shape.paint(Material::DarkGlass).rod(Vec3::Y * -0.01, Vec3::Y * 0.035, 0.06, 16);
    shape.paint(Material::SafetyYellow).rod(Vec3::Y * 0.035, Vec3::Y * 0.06, 0.065, 16);
}
