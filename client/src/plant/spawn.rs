//! Puts the nodes of a decoded glTF into the scene, parents before parts, a slice a frame.

use std::collections::HashMap;

use bevy::camera::primitives::{Aabb, MeshAabb};
use bevy::camera::visibility::NoCpuCulling;
use bevy::gltf::{Gltf, GltfMaterial, GltfMesh, GltfNode};
use bevy::light::NotShadowCaster;
use bevy::math::Affine3A;
use bevy::prelude::*;
use gemba_twin::model::Outline;
use gemba_twin::thing::Class;

use super::material::standard_material;
use super::reach::Sharpness;
use super::{PlantProgress, PlantReady};
use crate::mirror::{Drawn, Extent, NodeOf, ThingBounds, ThingEntities};
use crate::quality::Quality;
use crate::site::{Site, ThingIndex};

/// Nodes spawned a frame: about 10 ms of work.
const SLICE: usize = 1500;

/// The spawning under way.
#[derive(Resource, Default)]
pub(super) struct Spawning(Option<Plan>);

struct Plan {
    gltf: Handle<Gltf>,
    outline: Outline,
    next: usize,
    entities: Vec<Option<Entity>>,
    world_from_node: Vec<Affine3A>,
    parents: Vec<Option<usize>>,
    materials: HashMap<(AssetId<GltfMaterial>, bool), Handle<StandardMaterial>>,
    plain: Handle<StandardMaterial>,
    bounds: HashMap<ThingIndex, (Vec3, Vec3)>,
    origins: HashMap<ThingIndex, Vec3>,
    smallest_shadow: f32,
}

impl Spawning {
    pub(super) fn begin(&mut self, gltf: Handle<Gltf>, outline: Outline) {
        self.0 = Some(Plan {
            gltf,
            outline,
            next: 0,
            entities: Vec::new(),
            world_from_node: Vec::new(),
            parents: Vec::new(),
            materials: HashMap::new(),
            plain: Handle::default(),
            bounds: HashMap::new(),
            origins: HashMap::new(),
            smallest_shadow: 0.0,
        });
    }
}

/// What spawning reads of the decoded file.
#[derive(bevy::ecs::system::SystemParam)]
pub(super) struct Decoded<'w> {
    gltfs: Res<'w, Assets<Gltf>>,
    nodes: Res<'w, Assets<GltfNode>>,
    gltf_meshes: Res<'w, Assets<GltfMesh>>,
    gltf_materials: Res<'w, Assets<GltfMaterial>>,
    meshes: Res<'w, Assets<Mesh>>,
}

/// Spawns the next slice.
pub(super) fn spawn(
    mut commands: Commands,
    mut spawning: ResMut<Spawning>,
    mut progress: ResMut<PlantProgress>,
    mut things: ResMut<ThingEntities>,
    mut ready: MessageWriter<PlantReady>,
    mut materials: ResMut<Assets<StandardMaterial>>,
    decoded: Decoded,
    site: Res<Site>,
    (quality, sharpness): (Res<Quality>, Res<Sharpness>),
) {
    let Some(plan) = &mut spawning.0 else { return };
    let Some(gltf) = decoded.gltfs.get(&plan.gltf) else { return };
    if plan.entities.is_empty() {
        plan.prepare(gltf, &decoded, &mut materials);
        plan.smallest_shadow = quality.smallest_shadow;
    }
    let end = (plan.next + SLICE).min(plan.outline.things.len());
    while plan.next < end {
        let parts = plan.spawn_node(gltf, &mut commands, &mut things, &decoded, &mut materials, &site);
        for (part, radius) in parts {
            if let Some(range) = quality.smallest_pixels.and_then(|pixels| sharpness.range(radius, pixels)) {
                commands.entity(part).insert(range);
            }
        }
        plan.next += 1;
    }
    let total = plan.outline.things.len();
    *progress = PlantProgress::Spawning { done: plan.next, total };
    if plan.next == total {
        plan.note_bounds(&mut commands, &mut things, &site);
        *progress = PlantProgress::Ready;
        ready.write(PlantReady);
        spawning.0 = None;
    }
}

impl Plan {
    fn prepare(&mut self, gltf: &Gltf, decoded: &Decoded, materials: &mut Assets<StandardMaterial>) {
        let count = gltf.nodes.len();
        self.entities = vec![None; count];
        self.world_from_node = vec![Affine3A::IDENTITY; count];
        self.parents = vec![None; count];
        for (index, handle) in gltf.nodes.iter().enumerate() {
            let Some(node) = decoded.nodes.get(handle) else { continue };
            for child in node.children.iter().filter_map(|c| decoded.nodes.get(c)) {
                self.parents[child.index] = Some(index);
            }
        }
        self.plain = materials.add(StandardMaterial { perceptual_roughness: 0.8, ..default() });
    }

    /// Returns the meshes with the radius of each, metres.
    fn spawn_node(
        &mut self,
        gltf: &Gltf,
        commands: &mut Commands,
        things: &mut ThingEntities,
        decoded: &Decoded,
        materials: &mut Assets<StandardMaterial>,
        site: &Site,
    ) -> Vec<(Entity, f32)> {
        let mut parts = Vec::new();
        let at = &self.outline.things[self.next];
        let index = at.node;
        let (path, class) = (at.thing.path.clone(), at.thing.class);
        let Some(node) = gltf.nodes.get(index).and_then(|n| decoded.nodes.get(n)) else { return parts };
        let parent = self.parents[index];
        let world_from_parent = parent.map_or(Affine3A::IDENTITY, |p| self.world_from_node[p]);
        let world_from_node = world_from_parent * node.transform.compute_affine();
        self.world_from_node[index] = world_from_node;
        let name = Name::new(path.to_string());
        let mut entity = commands.spawn((name, node.transform, Drawn(node.transform), Visibility::Inherited));
        // What it shows are its meshes, which hang on it: for each eye Bevy would look whether it is in sight by itself.
        entity.insert(NoCpuCulling);
        if let Some(parent) = parent.and_then(|p| self.entities[p]) {
            entity.insert(ChildOf(parent));
        }
        let id = entity.id();
        self.entities[index] = Some(id);
        // A model names its things as they were first called, whatever people call them now.
        let thing = site.find_id(path.id());
        if let Some(thing) = thing {
            entity.insert(NodeOf(thing));
            things.set(thing, id);
            self.origins.insert(thing, world_from_node.translation.into());
        }
        let Some(mesh) = node.mesh.as_ref().and_then(|m| decoded.gltf_meshes.get(m)) else { return parts };
        let inverted = world_from_node.matrix3.determinant() < 0.0;
        for primitive in &mesh.primitives {
            let material = self.material(primitive.material.as_ref(), inverted, decoded, materials);
            let mut part = commands.spawn((
                Mesh3d(primitive.mesh.clone()),
                MeshMaterial3d(material),
                Transform::default(),
                Drawn(Transform::IDENTITY),
                ChildOf(id),
            ));
            if let Some(thing) = thing {
                part.insert(NodeOf(thing));
            }
            let Some(aabb) = decoded.meshes.get(&primitive.mesh).and_then(Mesh::compute_aabb) else { continue };
            let radius = world_from_node.transform_vector3(aabb.half_extents.into()).length();
            if class == Class::StackLight || radius < self.smallest_shadow {
                part.insert(NotShadowCaster);
            }
            part.insert(Extent { radius });
            parts.push((part.id(), radius));
            if let Some(thing) = thing {
                self.grow(thing, &aabb, &world_from_node);
            }
        }
        parts
    }

    fn material(
        &mut self,
        material: Option<&Handle<GltfMaterial>>,
        inverted: bool,
        decoded: &Decoded,
        materials: &mut Assets<StandardMaterial>,
    ) -> Handle<StandardMaterial> {
        let Some((id, source)) = material.and_then(|m| Some((m.id(), decoded.gltf_materials.get(m)?))) else {
            return self.plain.clone();
        };
        let make = || materials.add(standard_material(source, inverted));
        self.materials.entry((id, inverted)).or_insert_with(make).clone()
    }

    fn grow(&mut self, thing: ThingIndex, aabb: &Aabb, world_from_node: &Affine3A) {
        let (centre, half) = (Vec3::from(aabb.center), Vec3::from(aabb.half_extents));
        for corner in 0..8u8 {
            let sign = |bit: u8| if corner & bit == 0 { -1.0 } else { 1.0 };
            let point = world_from_node.transform_point3(centre + half * Vec3::new(sign(1), sign(2), sign(4)));
            if point.is_finite() {
                let (low, high) = self.bounds.entry(thing).or_insert((point, point));
                *low = low.min(point);
                *high = high.max(point);
            }
        }
    }

    /// Gives every thing the bounds of itself and all its parts.
    fn note_bounds(&mut self, commands: &mut Commands, things: &mut ThingEntities, site: &Site) {
        let mut whole = self.bounds.clone();
        for (thing, (low, high)) in &self.bounds {
            let mut above = site.parent(*thing);
            while let Some(parent) = above {
                let (parent_low, parent_high) = whole.entry(parent).or_insert((*low, *high));
                *parent_low = parent_low.min(*low);
                *parent_high = parent_high.max(*high);
                above = site.parent(parent);
            }
        }
        for (thing, (low, high)) in &whole {
            let Some(entity) = things.entity(*thing) else { continue };
            let origin = self.origins.get(thing).copied().unwrap_or_default();
            let bounds = ThingBounds { centre: (*low + *high) / 2.0, half: (*high - *low) / 2.0, origin };
            commands.entity(entity).insert(bounds);
        }
        let all = whole.values().copied().reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
        things.plant = all;
    }
}
