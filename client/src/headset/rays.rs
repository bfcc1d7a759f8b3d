//! Where a straight way through the plant meets it first. As Bevy's own ray cast finds it, and cheaper, since hands point
//! in every frame: of thousands of meshes nearly all are told apart by the sphere around them, without the inverse of
//! where they are, and beyond the nearest meeting nothing is looked at. Whether anybody sees a surface does not matter:
//! one can step back into a machine.

use bevy::asset::Assets;
use bevy::camera::primitives::Aabb;
use bevy::ecs::system::SystemParam;
use bevy::math::bounding::Aabb3d;
use bevy::mesh::{Indices, PrimitiveTopology, VertexAttributeValues};
use bevy::picking::mesh_picking::ray_cast::{Backfaces, RayMeshHit, ray_aabb_intersection_3d, ray_mesh_intersection};
use bevy::prelude::*;

use crate::mirror::NodeOf;
use crate::pointer::Met;

/// One mesh of the plant.
type Solid = (&'static NodeOf, &'static Aabb, &'static GlobalTransform, &'static InheritedVisibility, &'static Mesh3d);

/// The plant's surfaces, to be met.
#[derive(SystemParam)]
pub(super) struct Rays<'w, 's> {
    solids: Query<'w, 's, Solid>,
    meshes: Res<'w, Assets<Mesh>>,
}

impl Rays<'_, '_> {
    /// What a ray meets first within so many metres, world frame.
    pub(super) fn first(&self, ray: Ray3d, reach: f32) -> Option<Met> {
        let mut near: Vec<(f32, NodeOf, &Mesh3d, &GlobalTransform)> = Vec::new();
        for (node, aabb, world, visibility, mesh) in &self.solids {
            if visibility.get() && passes_sphere(ray, reach, aabb, world) {
                let shape = Aabb3d::new(aabb.center, aabb.half_extents);
                let enters = ray_aabb_intersection_3d(ray, &shape, &world.affine());
                near.extend(enters.filter(|at| *at <= reach).map(|at| (at, *node, mesh, world)));
            }
        }
        near.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut first: Option<(f32, Met)> = None;
        for (enters, node, mesh, world) in near {
            if first.is_some_and(|(distance, _)| distance < enters) {
                break;
            }
            let hit = self.meshes.get(&mesh.0).and_then(|mesh| meet(mesh, world, ray));
            let nearest = first.map_or(reach, |(distance, _)| distance);
            if let Some(hit) = hit.filter(|hit| hit.distance <= nearest) {
                let met = Met { thing: Some(node.0), place: hit.point, normal: hit.normal };
                first = Some((hit.distance, met));
            }
        }
        first.map(|(_, met)| met)
    }
}

/// Whether a ray comes within the sphere around a box.
fn passes_sphere(ray: Ray3d, reach: f32, aabb: &Aabb, world: &GlobalTransform) -> bool {
    let affine = world.affine();
    let axes = affine.matrix3;
    let scale = axes.x_axis.length_squared().max(axes.y_axis.length_squared()).max(axes.z_axis.length_squared());
    let radius_squared = aabb.half_extents.length_squared() * scale;
    let to = Vec3::from(affine.transform_point3a(aabb.center)) - ray.origin;
    let along = to.dot(*ray.direction);
    if to.length_squared() - along * along > radius_squared {
        return false;
    }
    let radius = radius_squared.sqrt();
    along >= -radius && along - radius <= reach
}

/// Where a ray meets a mesh, from its outer side.
fn meet(mesh: &Mesh, world: &GlobalTransform, ray: Ray3d) -> Option<RayMeshHit> {
    if mesh.primitive_topology() != PrimitiveTopology::TriangleList {
        return None;
    }
    let positions = mesh.try_attribute(Mesh::ATTRIBUTE_POSITION).ok()?.as_float3()?;
    let normals = mesh.try_attribute(Mesh::ATTRIBUTE_NORMAL).ok().and_then(VertexAttributeValues::as_float3);
    let (world, outer) = (world.affine(), Backfaces::Cull);
    match mesh.try_indices().ok() {
        Some(Indices::U16(i)) => ray_mesh_intersection(ray, &world, positions, normals, Some(i), None, outer),
        Some(Indices::U32(i)) => ray_mesh_intersection(ray, &world, positions, normals, Some(i), None, outer),
        None => ray_mesh_intersection::<u32>(ray, &world, positions, normals, None, None, outer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::ThingIndex;
    use bevy::ecs::system::RunSystemOnce;

    #[test]
    fn a_way_meets_the_nearest_surface_that_is_there_and_none_beyond_its_end() {
        let mut world = World::new();
        let mut meshes = Assets::<Mesh>::default();
        let cube = meshes.add(Cuboid::new(1.0, 1.0, 1.0));
        world.insert_resource(meshes);
        let boxes = [(-9.0, 0.0, true), (-5.0, 0.0, true), (-3.0, 0.0, false), (-2.0, 4.0, true), (4.0, 0.0, true)];
        for (n, (z, x, is_there)) in boxes.into_iter().enumerate() {
            let place = Transform::from_xyz(x, 0.0, z).with_rotation(Quat::from_rotation_z(0.3));
            world.spawn((
                NodeOf(ThingIndex(n)),
                Aabb::from_min_max(Vec3::splat(-0.5), Vec3::splat(0.5)),
                GlobalTransform::from(place),
                if is_there { InheritedVisibility::VISIBLE } else { InheritedVisibility::HIDDEN },
                Mesh3d(cube.clone()),
            ));
        }
        let met = |world: &mut World, reach: f32| {
            let ray = Ray3d::new(Vec3::new(0.1, 0.1, 0.0), Dir3::NEG_Z);
            world.run_system_once(move |rays: Rays| rays.first(ray, reach)).unwrap()
        };
        let first = met(&mut world, 100.0).expect("a box is ahead");
        assert_eq!(first.thing, Some(ThingIndex(1)));
        assert!((first.place.z + 4.5).abs() < 1e-4 && first.normal.dot(Vec3::Z) > 0.999, "{first:?}");
        assert_eq!(met(&mut world, 4.4), None);
    }
}
