//! Draws things that people have made: as a copy of another thing, or, where it is like none, as a mark.

use bevy::camera::visibility::VisibilityRange;
use bevy::ecs::system::SystemParam;
use bevy::light::NotShadowCaster;
use bevy::prelude::*;

use super::{Drawn, Extent, NodeOf, ThingBounds, ThingEntities};
use crate::site::{Site, ThingIndex};

/// Entities copied for one thing at most: a machine has some hundreds. What is beyond is not drawn.
const ENTITIES: usize = 20_000;
/// Copies of copies are followed so far.
const STEPS: usize = 16;
/// Height and half width of the mark for a thing that looks like no other, metres.
const MARK: (f32, f32) = (1.0, 0.18);

/// What a copy is made from.
#[derive(SystemParam)]
pub(super) struct Originals<'w, 's> {
    drawn: Query<'w, 's, (&'static Drawn, &'static GlobalTransform)>,
    bounds: Query<'w, 's, &'static ThingBounds>,
    children: Query<'w, 's, &'static Children>,
    surfaces: Query<
        'w,
        's,
        (
            &'static Mesh3d,
            &'static MeshMaterial3d<StandardMaterial>,
            (Option<&'static Extent>, Option<&'static VisibilityRange>),
            Has<NotShadowCaster>,
        ),
    >,
}

/// The entity that a made thing is a copy of: that of a thing which a model draws.
pub(super) fn original(site: &Site, things: &ThingEntities, thing: ThingIndex) -> Option<Entity> {
    let like = |at: ThingIndex| site.standing(at)?.like.and_then(|id| site.find_id(id));
    let mut chain = std::iter::successors(like(thing), |at| like(*at)).take(STEPS);
    let drawn = chain.find(|at| site.standing(*at).is_some_and(|standing| !standing.is_made))?;
    things.entity(drawn)
}

/// A copy of `original` with all its parts as they were drawn, as the entity of `thing` at this place in the site.
pub(super) fn spawn(
    commands: &mut Commands,
    originals: &Originals,
    original: Entity,
    (thing, place): (ThingIndex, Transform),
) -> Entity {
    let root = commands.spawn((Name::new("copy"), place, Drawn(place), Visibility::Inherited, NodeOf(thing))).id();
    let (scale, turn) = originals
        .drawn
        .get(original)
        .map_or((Vec3::ONE, Quat::IDENTITY), |(drawn, world)| (drawn.0.scale, world.rotation()));
    if let Ok(bounds) = originals.bounds.get(original) {
        let turned = Mat3::from_quat(place.rotation * turn.inverse());
        let centre = place.translation + turned * (bounds.centre - bounds.origin) * place.scale;
        let half = turned.abs() * bounds.half * place.scale;
        commands.entity(root).insert(ThingBounds { centre, half, origin: place.translation });
    }
    // The model's own scale is its parts', not the place's.
    let scaled = commands.spawn((Transform::from_scale(scale), Visibility::Inherited, ChildOf(root))).id();
    let mut waiting = vec![(original, scaled)];
    let mut count = 0;
    while let Some((from, onto)) = waiting.pop() {
        for child in originals.children.get(from).into_iter().flatten().copied() {
            let Ok((drawn, _)) = originals.drawn.get(child) else { continue };
            count += 1;
            if count > ENTITIES {
                warn!("a copy is not drawn whole: it has more than {ENTITIES} parts");
                return root;
            }
            let mut part = commands.spawn((drawn.0, Visibility::Inherited, NodeOf(thing), ChildOf(onto)));
            if let Ok((mesh, surface, (extent, range), is_dark)) = originals.surfaces.get(child) {
                part.insert((mesh.clone(), surface.clone()));
                extent.map(|extent| part.insert(*extent));
                range.map(|range| part.insert(range.clone()));
                is_dark.then(|| part.insert(NotShadowCaster));
            }
            let part = part.id();
            waiting.push((child, part));
        }
    }
    root
}

/// A mark for a thing that looks like no other: a pin that stands on its place.
pub(super) fn spawn_mark(
    commands: &mut Commands,
    meshes: &mut Assets<Mesh>,
    materials: &mut Assets<StandardMaterial>,
    (thing, place): (ThingIndex, Transform),
) -> Entity {
    let (height, radius) = MARK;
    let colour = Color::srgb_u8(94, 178, 240);
    let surface = materials.add(StandardMaterial { base_color: colour, perceptual_roughness: 0.8, ..default() });
    let bounds = ThingBounds {
        centre: place.translation + Vec3::Y * height / 2.0 * place.scale,
        half: Vec3::new(radius, height / 2.0, radius) * place.scale,
        origin: place.translation,
    };
    let root =
        commands.spawn((Name::new("mark"), place, Drawn(place), Visibility::Inherited, NodeOf(thing), bounds)).id();
    let upside_down = Quat::from_rotation_x(std::f32::consts::PI);
    let cone = Cone { radius, height: height - 2.0 * radius };
    commands.spawn((
        Mesh3d(meshes.add(cone)),
        MeshMaterial3d(surface.clone()),
        Transform::from_xyz(0.0, cone.height / 2.0, 0.0).with_rotation(upside_down),
        NodeOf(thing),
        ChildOf(root),
    ));
    commands.spawn((
        Mesh3d(meshes.add(Sphere::new(radius))),
        MeshMaterial3d(surface),
        Transform::from_xyz(0.0, height - radius, 0.0),
        NodeOf(thing),
        ChildOf(root),
    ));
    root
}
