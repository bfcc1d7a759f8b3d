//! The plant while it is being drawn: things as nodes, and the shapes they share.

use std::collections::HashMap;

use gemba_twin::binding::{Binding, Target};
use gemba_twin::path::ThingPath;
use gemba_twin::thing::{Class, Level};
use glam::{DQuat, DVec3};

use super::mesh::Surface;
use super::palette::Material;

/// What a node looks like: one surface a material, in the order they were first painted.
#[derive(Debug, Clone, Default)]
pub(super) struct Shape {
    /// The surfaces.
    pub surfaces: Vec<(Material, Surface)>,
}

impl Shape {
    /// The surface of that material, to draw on.
    pub(super) fn paint(&mut self, material: Material) -> &mut Surface {
        let place = self.surfaces.iter().position(|(m, _)| *m == material).unwrap_or_else(|| {
            self.surfaces.push((material, Surface::default()));
            self.surfaces.len() - 1
        });
        &mut self.surfaces[place].1
    }
}

/// Place of a shape among [`Plan::shapes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ShapeId(pub usize);

/// Place of a node among [`Plan::nodes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NodeId(pub usize);

/// One thing of the plant and how it is drawn.
#[derive(Debug, Clone)]
pub(super) struct Node {
    /// Full plant path; becomes the node's name.
    pub path: ThingPath,
    /// Level in ISA-95's hierarchy.
    pub level: Level,
    /// What it is.
    pub class: Class,
    /// The tags that drive it.
    pub bindings: Vec<Binding>,
    /// Place in the parent node's frame, metres.
    pub place: DVec3,
    /// Rotation in the parent node's frame.
    pub rotation: DQuat,
    /// What it looks like, if it is drawn itself.
    pub shape: Option<ShapeId>,
    /// The nodes that hang on it, filled in by [`Plan::add`].
    pub children: Vec<NodeId>,
}

impl Node {
    /// A part of a machine, or structure, at its parent's origin.
    pub(super) fn part(path: ThingPath, class: Class) -> Self {
        Self {
            path,
            level: Level::Part,
            class,
            bindings: Vec::new(),
            place: DVec3::ZERO,
            rotation: DQuat::IDENTITY,
            shape: None,
            children: Vec::new(),
        }
    }

    /// A machine, whose state its tag `State` tells where it has one.
    pub(super) fn machine(path: ThingPath, class: Class) -> Self {
        Self { level: Level::Unit, ..Self::part(path, class) }
    }

    /// The same at a place in the parent's frame, metres.
    #[must_use]
    pub(super) fn at(mut self, place: DVec3) -> Self {
        self.place = place;
        self
    }

    /// The same, turned about +Y.
    #[must_use]
    pub(super) fn turned(mut self, radians: f64) -> Self {
        self.rotation = DQuat::from_rotation_y(radians);
        self
    }

    /// The same, drawn with a shape.
    #[must_use]
    pub(super) fn drawn(mut self, shape: ShapeId) -> Self {
        self.shape = Some(shape);
        self
    }

    /// The same, driven by the tag `name` of the thing at `of`.
    #[must_use]
    pub(super) fn bound(mut self, of: &ThingPath, name: &str, target: Target, scale: f64, offset: f64) -> Self {
        let tag = of.tag(name).expect("a short name below a plant path is a tag path");
        self.bindings.push(Binding { tag, target, scale, offset });
        self
    }
}

/// Everything drawn so far.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Parents before children.
    pub nodes: Vec<Node>,
    /// The nodes without a parent.
    pub roots: Vec<NodeId>,
    /// Every shape once, under its name.
    pub shapes: Vec<(String, Shape)>,
    named: HashMap<String, ShapeId>,
}

impl Plan {
    /// Hangs a node on its parent.
    pub(super) fn add(&mut self, parent: Option<NodeId>, node: Node) -> NodeId {
        let id = NodeId(self.nodes.len());
        self.nodes.push(node);
        match parent {
            Some(parent) => self.nodes[parent.0].children.push(id),
            None => self.roots.push(id),
        }
        id
    }

    /// The shape of that name, drawn when it is asked for the first time.
    pub(super) fn shape(&mut self, name: &str, draw: impl FnOnce(&mut Shape)) -> ShapeId {
        if let Some(id) = self.named.get(name) {
            return *id;
        }
        let mut shape = Shape::default();
        draw(&mut shape);
        let id = ShapeId(self.shapes.len());
        self.shapes.push((name.to_owned(), shape));
        self.named.insert(name.to_owned(), id);
        id
    }
}

/// The path of a part.
pub(super) fn part_of(path: &ThingPath, name: &str) -> ThingPath {
    path.child(name).expect("a short name below a plant path is a plant path")
}
