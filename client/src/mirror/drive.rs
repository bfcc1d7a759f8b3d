//! Moves what tags drive: which tag drives which entity, and what it does to it at the instant that is shown.

use std::collections::{HashMap, HashSet};

use bevy::prelude::*;
use gemba_twin::binding::Target;
use gemba_twin::path::TagId;
use gemba_twin::sample::Timestamp;

use super::ThingEntities;
use super::standing::Retired;
use crate::readings::{Reading, Readings};
use crate::site::Site;

/// Longest time over which a value is led into the next one: devices report changes only.
const RAMP_MICROS: i64 = 100_000;
/// A part that moves further than this within one sample was put there, not moved, metres.
const JUMP_METRES: f64 = 1.0;
/// How long after its last change a tag is still looked at each frame.
const SETTLE_MICROS: i64 = 600_000;

/// An entity that tags drive: the pose it has without them, and what they add to it.
#[derive(Component, Debug, Clone, Copy)]
pub(super) struct Driven {
    /// As drawn, or as a person has put it.
    pub(super) base: Transform,
    translate: Vec3,
    turn: Vec3,
    scale_y: f32,
}

impl Driven {
    fn at_rest(base: Transform) -> Self {
        Self { base, translate: Vec3::ZERO, turn: Vec3::ZERO, scale_y: 1.0 }
    }

    pub(super) fn transform(&self) -> Transform {
        let turn = Quat::from_rotation_y(self.turn.y)
            * Quat::from_rotation_x(self.turn.x)
            * Quat::from_rotation_z(self.turn.z);
        Transform {
            translation: self.base.translation + self.translate,
            rotation: self.base.rotation * turn,
            scale: self.base.scale * Vec3::new(1.0, self.scale_y, 1.0),
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
pub(super) struct Drives {
    by_tag: HashMap<TagId, Vec<Drive>>,
    built_for: Option<(u64, u64)>,
    lamps: HashSet<Entity>,
    moving: HashMap<TagId, Timestamp>,
    lit: HashMap<AssetId<StandardMaterial>, Handle<StandardMaterial>>,
    unlit: HashMap<AssetId<StandardMaterial>, Handle<StandardMaterial>>,
}

/// Notes which tag drives which entity, whenever the site or the plant has changed.
pub(super) fn build(
    mut commands: Commands,
    mut drives: ResMut<Drives>,
    mut driven: Query<(&mut Driven, &mut Transform, &mut Visibility, Has<Retired>)>,
    site: Res<Site>,
    things: Res<ThingEntities>,
    resting: Query<&Transform, Without<Driven>>,
    children: Query<&Children>,
    surfaces: Query<&MeshMaterial3d<StandardMaterial>>,
) {
    let state = Some((site.revision, things.revision));
    if drives.built_for == state || things.plant.is_none() {
        return;
    }
    drives.built_for = state;
    drives.by_tag.clear();
    // What no tag drives any more is as it was put; what one still drives is driven again in this frame.
    for (mut driven, mut transform, mut visibility, is_retired) in &mut driven {
        *driven = Driven::at_rest(driven.base);
        transform.set_if_neq(driven.transform());
        if !is_retired && *visibility == Visibility::Hidden {
            *visibility = Visibility::Inherited;
        }
    }
    let were_lamps = std::mem::take(&mut drives.lamps);
    for index in site.present() {
        let Some(thing) = site.thing(index).filter(|thing| !thing.bindings.is_empty()) else { continue };
        let Some(entity) = things.entity(index) else { continue };
        if let Ok(base) = resting.get(entity) {
            commands.entity(entity).insert(Driven::at_rest(*base));
        }
        for binding in &thing.bindings {
            let Some(tag) = site.tag_id(&binding.tag) else { continue };
            let drive = Drive { entity, target: binding.target, scale: binding.scale, offset: binding.offset };
            drives.by_tag.entry(tag).or_default().push(drive);
            if binding.target == Target::Lamp {
                drives.lamps.insert(entity);
            }
        }
    }
    for lamp in were_lamps.difference(&drives.lamps) {
        for mesh in children.get(*lamp).into_iter().flatten() {
            let dark = surfaces.get(*mesh).ok().and_then(|surface| drives.unlit.get(&surface.0.id()));
            if let Some(dark) = dark {
                commands.entity(*mesh).insert(MeshMaterial3d(dark.clone()));
            }
        }
    }
    // Whatever arrived before its picture did is applied now.
    let tags: Vec<TagId> = drives.by_tag.keys().copied().collect();
    drives.moving.extend(tags.into_iter().map(|tag| (tag, Timestamp(i64::MAX))));
}

/// Applies the tags that changed, at the instant the picture shows.
pub(super) fn drive(
    mut commands: Commands,
    mut drives: ResMut<Drives>,
    mut readings: ResMut<Readings>,
    mut materials: ResMut<Assets<StandardMaterial>>,
    mut driven: Query<(&mut Driven, &mut Transform, &mut Visibility, Has<Retired>)>,
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
            } else if let Ok((mut driven, mut transform, mut visibility, is_retired)) = driven.get_mut(drive.entity) {
                // Nothing brings back into sight what is not in the plant.
                if !(is_retired && drive.target == Target::Visible) {
                    apply(drive.target, number, &mut driven, &mut visibility);
                }
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
