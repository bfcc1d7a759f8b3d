//! Outlines: a rim around what this person has selected, and around what others have, in their colour.

use std::collections::{BTreeMap, HashMap};

use bevy::asset::{RenderAssetUsages, load_internal_asset, uuid_handle};
use bevy::light::{NotShadowCaster, NotShadowReceiver};
use bevy::mesh::{MeshVertexBufferLayoutRef, PrimitiveTopology, VertexAttributeValues};
use bevy::pbr::{MaterialPipeline, MaterialPipelineKey};
use bevy::prelude::*;
use bevy::render::render_resource::{
    AsBindGroup, Face, RenderPipelineDescriptor, ShaderType, SpecializedMeshPipelineError,
};
use bevy::shader::{Shader, ShaderRef};

use super::Selection;
use crate::mirror::{NodeOf, ThingEntities};
use crate::people::People;
use crate::schedule::Frame;
use crate::site::{Site, ThingIndex};
use crate::theme;

const SHADER: Handle<Shader> = uuid_handle!("6b0f1a7e-54a2-4a0c-9d3b-2f6f0c1e8a11");
/// Width of the rim, pixels of the picture.
const WIDTH: f32 = 2.5;
/// Most meshes outlined for one selection: a whole hall would double the cost of the picture.
const MESHES: usize = 400;

/// Draws a rim of one colour.
#[derive(Asset, TypePath, AsBindGroup, Debug, Clone)]
pub struct OutlineMaterial {
    #[uniform(0)]
    outline: OutlineUniform,
}

#[derive(ShaderType, Debug, Clone)]
struct OutlineUniform {
    colour: LinearRgba,
    width: f32,
}

impl Material for OutlineMaterial {
    fn vertex_shader() -> ShaderRef {
        SHADER.into()
    }
    fn fragment_shader() -> ShaderRef {
        SHADER.into()
    }
    fn enable_prepass() -> bool {
        false
    }
    fn enable_shadows() -> bool {
        false
    }
    fn specialize(
        _: &MaterialPipeline,
        descriptor: &mut RenderPipelineDescriptor,
        layout: &MeshVertexBufferLayoutRef,
        _: MaterialPipelineKey<Self>,
    ) -> Result<(), SpecializedMeshPipelineError> {
        let attributes = [Mesh::ATTRIBUTE_POSITION.at_shader_location(0), Mesh::ATTRIBUTE_NORMAL.at_shader_location(1)];
        descriptor.vertex.buffers = vec![layout.0.get_layout(&attributes)?];
        descriptor.primitive.cull_mode = Some(Face::Front);
        Ok(())
    }
}

/// A rim in the scene, and whose it is.
#[derive(Component)]
struct Rim;

/// What is outlined now, by thing and colour, and the grown shapes made so far.
#[derive(Resource, Default)]
struct Rims {
    shown: BTreeMap<ThingIndex, [u8; 3]>,
    /// Of the things' entities, when that was.
    revision: u64,
    shapes: HashMap<AssetId<Mesh>, Option<Handle<Mesh>>>,
    materials: HashMap<[u8; 3], Handle<OutlineMaterial>>,
}

pub(super) fn plugin(app: &mut App) {
    load_internal_asset!(app, SHADER, "../../../shaders/outline.wgsl", Shader::from_wgsl);
    app.add_plugins(MaterialPlugin::<OutlineMaterial>::default())
        .init_resource::<Rims>()
        .add_systems(Update, outline.in_set(Frame::Present));
}

/// Puts rims where the selections are, whenever they have changed.
fn outline(
    mut commands: Commands,
    mut rims: ResMut<Rims>,
    mut meshes: ResMut<Assets<Mesh>>,
    mut materials: ResMut<Assets<OutlineMaterial>>,
    selection: Res<Selection>,
    people: Res<People>,
    site: Res<Site>,
    things: Res<ThingEntities>,
    existing: Query<Entity, With<Rim>>,
    children: Query<&Children>,
    drawn: Query<&Mesh3d, With<NodeOf>>,
) {
    let mut wanted = BTreeMap::new();
    for person in people.0.values() {
        if let Some(thing) = person.selected.and_then(|id| site.find_id(id)) {
            let [r, g, b, _] = theme::person_colour(&person.info.key).to_array();
            wanted.insert(thing, [r, g, b]);
        }
    }
    if let Some(thing) = selection.0 {
        let [r, g, b, _] = theme::ACCENT.to_array();
        wanted.insert(thing, [r, g, b]);
    }
    let revision = things.revision();
    if (wanted == rims.shown && rims.revision == revision) || things.plant.is_none() {
        return;
    }
    existing.iter().for_each(|rim| commands.entity(rim).despawn());
    rims.revision = revision;
    let Rims { shown, shapes, materials: known, .. } = &mut *rims;
    for (thing, colour) in &wanted {
        let material = known.entry(*colour).or_insert_with(|| {
            let [r, g, b] = *colour;
            let colour = Color::srgb_u8(r, g, b).to_linear();
            materials.add(OutlineMaterial { outline: OutlineUniform { colour, width: WIDTH } })
        });
        let parts = site.subtree(*thing).into_iter().flat_map(|part| surfaces(part, &site, &things, &children));
        for (part, mesh) in parts.filter_map(|part| Some((part, drawn.get(part).ok()?))).take(MESHES) {
            let shape =
                shapes.entry(mesh.id()).or_insert_with(|| meshes.get(mesh.id()).and_then(grown).map(|m| meshes.add(m)));
            if let Some(shape) = shape {
                let rim = (Mesh3d(shape.clone()), MeshMaterial3d(material.clone()), Transform::default());
                commands.spawn((Rim, rim, ChildOf(part), NotShadowCaster, NotShadowReceiver));
            }
        }
    }
    *shown = wanted;
}

/// What may be a surface of a thing itself: the entities on its own or, of a copy, all below it.
fn surfaces(thing: ThingIndex, site: &Site, things: &ThingEntities, children: &Query<&Children>) -> Vec<Entity> {
    let Some(entity) = things.entity(thing) else { return Vec::new() };
    match site.standing(thing) {
        Some(standing) if standing.is_made => children.iter_descendants(entity).collect(),
        _ => children.get(entity).into_iter().flatten().copied().collect(),
    }
}

/// The mesh with positions and normals only, the normals smoothed over all corners at one place: an edge whose sides
/// have normals of their own would tear open when grown. None for what has no surface.
fn grown(mesh: &Mesh) -> Option<Mesh> {
    if mesh.primitive_topology() != PrimitiveTopology::TriangleList {
        return None;
    }
    let VertexAttributeValues::Float32x3(positions) = mesh.attribute(Mesh::ATTRIBUTE_POSITION)? else { return None };
    let VertexAttributeValues::Float32x3(normals) = mesh.attribute(Mesh::ATTRIBUTE_NORMAL)? else { return None };
    let key = |p: &[f32; 3]| p.map(|c| (c * 1e4).round() as i64);
    let mut sums: HashMap<[i64; 3], Vec3> = HashMap::new();
    for (position, normal) in positions.iter().zip(normals) {
        *sums.entry(key(position)).or_default() += Vec3::from(*normal);
    }
    let smooth: Vec<[f32; 3]> = positions.iter().map(|p| sums[&key(p)].normalize_or(Vec3::Y).into()).collect();
    let mut shape = Mesh::new(PrimitiveTopology::TriangleList, RenderAssetUsages::RENDER_WORLD)
        .with_inserted_attribute(Mesh::ATTRIBUTE_POSITION, positions.clone())
        .with_inserted_attribute(Mesh::ATTRIBUTE_NORMAL, smooth);
    if let Some(indices) = mesh.indices() {
        shape.insert_indices(indices.clone());
    }
    Some(shape)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corners_of_a_grown_box_point_outwards_from_its_middle() {
        let shape = grown(&Cuboid::new(2.0, 2.0, 2.0).mesh().build()).unwrap();
        let Some(VertexAttributeValues::Float32x3(normals)) = shape.attribute(Mesh::ATTRIBUTE_NORMAL) else { panic!() };
        let Some(VertexAttributeValues::Float32x3(places)) = shape.attribute(Mesh::ATTRIBUTE_POSITION) else {
            panic!()
        };
        for (normal, place) in normals.iter().zip(places) {
            let outwards = Vec3::from(*place).normalize();
            assert!(Vec3::from(*normal).dot(outwards) > 0.999, "{place:?} has {normal:?}");
        }
    }
}
