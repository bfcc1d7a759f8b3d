//! `gembactl plant generate`: the parametric factory of `gemba_twin::layout` drawn as one glTF 2.0 binary.
//!
//! Every place and name comes from `layout` and `arm`, which the simulator reads too. One file draws one kind of
//! equipment; all draw into a plan of nodes and shared shapes, which `glb` writes. Textures, animations and cameras are
//! left out: colours are plain, motion comes from tags, and the viewer has its own camera.

mod amr;
mod cnc;
mod conveyor;
mod coolant;
mod dice;
mod fence;
mod glb;
mod hall;
mod line;
mod mesh;
mod palette;
mod plan;
mod rack;
mod robot;
mod stack_light;

use gemba_twin::layout;
use gemba_twin::thing::{Class, Level};

pub use glb::Size;
pub(crate) use glb::container;
use plan::{Node, Plan};

/// Most lines that are drawn: their nodes stay within `gemba_twin::limits::MODEL_NODES`.
pub const MOST_LINES: usize = 1000;

/// The plant with this many lines, 1 to [`MOST_LINES`], as a `.glb` file: the same bytes for the same arguments.
pub fn generate(lines: usize, seed: u64) -> (Vec<u8>, Size) {
    let mut plan = Plan::default();
    let mut dice = dice::Dice::new(seed);
    for hall in layout::halls(lines) {
        let node = Node { level: Level::Area, ..Node::part(hall.path.clone(), Class::Structure) };
        let root = plan.add(None, node.at(hall.world_from_hall));
        hall::add(&mut plan, root, &hall);
        for line in &hall.lines {
            line::add(&mut plan, root, line, hall.world_from_hall, dice.roll(usize::MAX) as u64);
        }
    }
    glb::write(&plan)
}
