//! The mirror: the one place that copies the site and the newest samples into entities. From a list of what changed,
//! never by looking at everything; features only read what it writes.

use std::collections::HashMap;

use bevy::prelude::*;
use gemba_twin::binding::Target;
use gemba_twin::path::TagId;
use gemba_twin::sample::Timestamp;

use crate::readings::{Reading, Readings};
use crate::schedule::Frame;
use crate::site::{Site, ThingIndex};

/// Longest time over which a value is led into the next one: devices report changes only.
const RAMP_MICROS: i64 = 100_000;
/// A part that moves further than this within one sample was put there, not moved, metres.
const JUMP_METRES: f64 = 1.0;
/// How long after its last change a tag is still looked at each frame.
const SETTLE_MICROS: i64 = 600_000;

/// The thing an entity draws, or a mesh of it.
#[derive(Component, Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeOf(pub ThingIndex);

/// The space a thing and its parts take up, world frame, metres, as drawn.
#[derive(Component, Debug, Clone, Copy)]
pub struct ThingBounds {
    /// Middle, as drawn.
    pub centre: Vec3,
    /// Half the extent along each axis.
    pub half: Vec3,
    /// Where the thing's own origin was drawn.
    pub origin: Vec3,
}

impl ThingBounds {
    /// Middle now, for a thing that has moved as a whole.
    pub fn centre_now(&self, transform: &GlobalTransform) -> Vec3 {
        self.centre + transform.translation() - self.origin
    }
}

/// Which entity draws which thing.
#[derive(Resource, Default)]
pub struct ThingEntities {
    by_thing: Vec<Option<Entity>>,
    /// Lowest and highest corner of everything, once the plant is there.
    pub plant: Option<(Vec3, Vec3)>,
}

impl ThingEntities {
    /// The entity that draws a thing.
    pub fn entity(&self, thing: ThingIndex) -> Option<Entity> {
        self.by_thing.get(thing.0).copied().flatten()
    }

    pub(crate) fn set(&mut self, thing: ThingIndex, entity: Entity) {
        if self.by_thing.len() <= thing.0 {
            self.by_thing.resize(thing.0 + 1, None);
        }
        self.by_thing[thing.0] = Some(entity);
    }
}

/// An entity that tags drive: the pose it was drawn in, and what the tags add to it.
#[derive(Component, Debug, Clone, Copy)]
struct Driven {
    drawn: Transform,
    translate: Vec3,
    turn: Vec3,
    scale_y: f32,
}

impl Driven {
    fn transform(&self) -> Transform {
        let turn = Quat::from_rotation_y(self.turn.y)
            * Quat::from_rotation_x(self.turn.x)
            * Quat::from_rotation_z(self.turn.z);
        Transform {
            translation: self.drawn.translation + self.translate,
            rotation: self.drawn.rotation * turn,
            scale: self.drawn.scale * Vec3::new(1.0, self.scale_y, 1.0),
        }
    }
}

struct Drive {
    entity: Entity,
    target: Target,
    scale: f64,
    offset: f64,
}

/// Which tag drives what, and which tags are moving now.
#[derive(Resource, Default)]
struct Drives {
    by_tag: HashMap<TagId, Vec<Drive>>,
    built_for: Option<(u64, usize)>,
    moving: HashMap<TagId, Timestamp>,
    lit: HashMap<AssetId<StandardMaterial>, Handle<StandardMaterial>>,
    unlit: HashMap<AssetId<StandardMaterial>, Handle<StandardMaterial>>,
}

pub(crate) fn plugin(app: &mut App) {
    app.init_resource::<ThingEntities>()
        .init_resource::<Drives>()
        .add_systems(Update, (build, drive).chain().in_set(Frame::Mirror));
}

/// Notes which tag drives which entity, whenever the site or the plant has changed.
fn build(
    mut commands: Commands,
    mut drives: ResMut<Drives>,
    site: Res<Site>,
    things: Res<ThingEntities>,
    transforms: Query<&Transform, Without<Driven>>,
) {
    let state = Some((site.revision, things.by_thing.len()));
    if drives.built_for == state || things.plant.is_none() {
        return;
    }
    drives.built_for = state;
    drives.by_tag.clear();
    for (index, thing) in site.things().iter().enumerate().filter(|(_, thing)| !thing.bindings.is_empty()) {
        let Some(entity) = things.entity(ThingIndex(index)) else { continue };
        if let Ok(drawn) = transforms.get(entity) {
            let driven = Driven { drawn: *drawn, translate: Vec3::ZERO, turn: Vec3::ZERO, scale_y: 1.0 };
            commands.entity(entity).insert(driven);
        }
        for binding in &thing.bindings {
            let Some(tag) = site.tag_id(&binding.tag) else { continue };
            let drive = Drive { entity, target: binding.target, scale: binding.scale, offset: binding.offset };
            drives.by_tag.entry(tag).or_default().push(drive);
        }
    }
    // Whatever arrived before its picture did is applied now.
    let tags: Vec<TagId> = drives.by_tag.keys().copied().collect();
    drives.moving.extend(tags.into_iter().map(|tag| (tag, Timestamp(i64::MAX))));
}

/// Applies the tags that changed, at the instant the picture shows.
fn drive(
    mut commands: Commands,
    mut drives: ResMut<Drives>,
    mut readings: ResMut<Readings>,
    mut materials: ResMut<Assets<StandardMaterial>>,
    mut driven: Query<(&mut Driven, &mut Transform, &mut Visibility)>,
    children: Query<&Children>,
    surfaces: Query<&MeshMaterial3d<StandardMaterial>>,
) {
    let (now, shown, is_past) = (readings.now(), readings.picture_instant(), readings.is_past());
    for tag in readings.take_dirty() {
        drives.moving.insert(tag, now);
    }
    let Drives { by_tag, moving, lit, unlit, .. } = &mut *drives;
    moving.retain(|tag, since| {
        let Some(list) = by_tag.get(tag) else { return false };
        let reading = readings.get(*tag);
        for drive in list {
            let jump = match drive.target {
                Target::TranslateX | Target::TranslateY | Target::TranslateZ => JUMP_METRES / drive.scale.abs(),
                target if target.is_continuous() => f64::INFINITY,
                _ => 0.0,
            };
            let told = reading.filter(|reading| !is_past || reading.newest.is_some());
            let known = told.and_then(|reading| number_at(reading, shown, jump, drive, is_past));
            // Another instant's picture would be a lie: what is not known of the past is shown as it was drawn.
            let Some(number) = known.or(is_past.then(|| as_drawn(drive.target))) else { continue };
            if drive.target == Target::Lamp {
                let meshes = children.get(drive.entity).into_iter().flatten();
                for (mesh, surface) in meshes.filter_map(|c| Some((*c, surfaces.get(*c).ok()?))) {
                    let wanted = lamp(surface, number >= 0.5, &mut materials, lit, unlit);
                    if let Some(wanted) = wanted {
                        commands.entity(mesh).insert(MeshMaterial3d(wanted));
                    }
                }
            } else if let Ok((mut driven, mut transform, mut visibility)) = driven.get_mut(drive.entity) {
                apply(drive.target, number, &mut driven, &mut visibility);
                transform.set_if_neq(driven.transform());
            }
        }
        if since.0 == i64::MAX {
            *since = now;
        }
        // A cursor that goes back leaves tags that seem to have changed in the future.
        (0..SETTLE_MICROS).contains(&now.micros_since(*since))
    });
}

/// The number a drive shows at an instant; for a turn, led the short way round.
fn number_at(reading: &Reading, shown: Timestamp, jump: f64, drive: &Drive, is_past: bool) -> Option<f64> {
    let full_turn = std::f64::consts::TAU / drive.scale.abs();
    let number = match drive.target {
        // A heading that passes from 180° to −180° has not spun round: such a step is shown at once.
        Target::RotateX | Target::RotateY | Target::RotateZ => reading.at(shown, RAMP_MICROS, full_turn / 2.0),
        _ => reading.at(shown, RAMP_MICROS, jump),
    };
    let number = number.or_else(|| match is_past {
        // In a gap the picture stands as it last was.
        true => reading.last_number(),
        // Before the first sample's instant the picture shows that first sample rather than nothing.
        false => reading.history.front().map(|(_, n)| *n).filter(|n| !n.is_nan()),
    })?;
    Some(number * drive.scale + drive.offset)
}

/// What leaves a thing as its designers drew it.
fn as_drawn(target: Target) -> f64 {
    if matches!(target, Target::ScaleY | Target::Visible) { 1.0 } else { 0.0 }
}

fn apply(target: Target, number: f64, driven: &mut Driven, visibility: &mut Mut<Visibility>) {
    let value = number as f32;
    match target {
        Target::TranslateX => driven.translate.x = value,
        Target::TranslateY => driven.translate.y = value,
        Target::TranslateZ => driven.translate.z = value,
        Target::RotateX => driven.turn.x = value,
        Target::RotateY => driven.turn.y = value,
        Target::RotateZ => driven.turn.z = value,
        // A tank that is empty must still be a valid matrix.
        Target::ScaleY => driven.scale_y = value.max(1e-3),
        Target::Visible => {
            let wanted = if number >= 0.5 { Visibility::Inherited } else { Visibility::Hidden };
            visibility.set_if_neq(wanted);
        }
        Target::Lamp | Target::State => {}
    }
}

/// The material a lamp's surface should have, if it is not that already. The lit twin of a material glows in its colour.
fn lamp(
    surface: &MeshMaterial3d<StandardMaterial>,
    on: bool,
    materials: &mut Assets<StandardMaterial>,
    lit: &mut HashMap<AssetId<StandardMaterial>, Handle<StandardMaterial>>,
    unlit: &mut HashMap<AssetId<StandardMaterial>, Handle<StandardMaterial>>,
) -> Option<Handle<StandardMaterial>> {
    let id = surface.0.id();
    let is_lit = unlit.contains_key(&id);
    match (on, is_lit) {
        (true, false) => {
            if let Some(known) = lit.get(&id) {
                return Some(known.clone());
            }
            let mut glowing = materials.get(&surface.0)?.clone();
            glowing.emissive = glowing.base_color.to_linear() * 12.0;
            let glowing = materials.add(glowing);
            lit.insert(id, glowing.clone());
            unlit.insert(glowing.id(), surface.0.clone());
            Some(glowing)
        }
        (false, true) => unlit.get(&id).cloned(),
        _ => None,
    }
}
