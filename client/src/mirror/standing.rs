//! Puts things where people have put them, takes what is retired out of sight, and draws what people have made.

use std::collections::{HashMap, HashSet};

use bevy::prelude::*;
use gemba_twin::place::Placement;

use super::copy::{self, Originals};
use super::drive::Driven;
use super::{Drawn, NodeOf, ThingEntities};
use crate::site::{Site, ThingIndex};

/// Marks what was taken out of the plant.
#[derive(Component, Debug, Clone, Copy)]
pub(super) struct Retired;

/// How a thing is seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Life {
    /// As its model has it.
    #[default]
    Here,
    /// Although what it hangs on in the model is retired: it has become part of another thing.
    HereAlone,
    /// Not at all.
    Retired,
}

/// What the entities show now, for each thing, and which of them were drawn here.
#[derive(Resource, Default)]
pub(super) struct Standings {
    shown: Vec<(Option<Placement>, Life)>,
    made: HashMap<ThingIndex, Entity>,
    /// What somebody else has moved since: it is to stand where the site has it again.
    strayed: HashSet<ThingIndex>,
    done_for: Option<(u64, u64)>,
}

impl Standings {
    /// The thing is to stand where the site has it again.
    pub(super) fn put_back(&mut self, thing: ThingIndex) {
        self.strayed.insert(thing);
        self.done_for = None;
    }
}

/// Follows the site, whenever it or the plant has changed.
pub(super) fn stand(
    mut commands: Commands,
    mut standings: ResMut<Standings>,
    mut things: ResMut<ThingEntities>,
    mut meshes: ResMut<Assets<Mesh>>,
    mut materials: ResMut<Assets<StandardMaterial>>,
    mut nodes: Query<(&Drawn, &mut Transform, &mut Visibility, Option<&mut Driven>)>,
    site: Res<Site>,
    originals: Originals,
    above: Query<&ChildOf>,
    of: Query<&NodeOf>,
) {
    if standings.done_for == Some((site.revision, things.revision)) || things.plant.is_none() {
        return;
    }
    let Standings { shown, made, strayed, .. } = &mut *standings;
    // In an earlier state of the site what was made later is not there.
    made.retain(|thing, entity| {
        let stays = thing.0 < site.things().len();
        if !stays {
            commands.entity(*entity).despawn();
            things.forget(*thing);
            shown[thing.0] = default();
        }
        stays
    });
    let any_retired = site.present().count() < site.things().len();
    shown.resize(site.things().len().max(shown.len()), default());
    for (index, shown) in shown.iter_mut().enumerate().take(site.things().len()) {
        let thing = ThingIndex(index);
        let Some(standing) = site.standing(thing) else { continue };
        let Some(entity) = things.entity(thing) else {
            if let Some(place) = standing.place.filter(|_| standing.is_made && !site.is_retired(thing)) {
                let drawn = transform_from_placement(&place, Vec3::ONE);
                let original = copy::original(&site, &things, thing);
                let copied = match original {
                    Some(original) => copy::spawn(&mut commands, &originals, original, (thing, drawn)),
                    None => copy::spawn_mark(&mut commands, &mut meshes, &mut materials, (thing, drawn)),
                };
                made.insert(thing, copied);
                things.set(thing, copied);
                *shown = (standing.place, Life::Here);
            }
            continue;
        };
        let life = match (site.is_retired(thing), any_retired && hangs_on_retired(entity, &site, &above, &of)) {
            (true, _) => Life::Retired,
            (false, true) => Life::HereAlone,
            (false, false) => Life::Here,
        };
        if *shown == (standing.place, life) && !strayed.remove(&thing) {
            continue;
        }
        let Ok((drawn, mut transform, mut visibility, driven)) = nodes.get_mut(entity) else { continue };
        let scale = if standing.is_made { Vec3::ONE } else { drawn.0.scale };
        let base = standing.place.map_or(drawn.0, |place| transform_from_placement(&place, scale));
        match driven {
            Some(mut driven) => {
                driven.base = base;
                transform.set_if_neq(driven.transform());
            }
            None => drop(transform.set_if_neq(base)),
        }
        if shown.1 != life {
            match life {
                Life::Retired => drop(commands.entity(entity).insert(Retired)),
                _ => drop(commands.entity(entity).remove::<Retired>()),
            }
            *visibility = match life {
                Life::Here => Visibility::Inherited,
                Life::HereAlone => Visibility::Visible,
                Life::Retired => Visibility::Hidden,
            };
        }
        *shown = (standing.place, life);
    }
    standings.done_for = Some((site.revision, things.revision));
}

/// Whether the entity hangs, in its model, on one of a retired thing.
fn hangs_on_retired(entity: Entity, site: &Site, above: &Query<&ChildOf>, of: &Query<&NodeOf>) -> bool {
    above.iter_ancestors(entity).any(|at| of.get(at).is_ok_and(|node| site.is_retired(node.0)))
}

/// `scale` is that of the model itself.
fn transform_from_placement(place: &Placement, scale: Vec3) -> Transform {
    let [x, y, z] = place.position.map(|c| c as f32);
    let [i, j, k, w] = place.rotation.map(|c| c as f32);
    Transform {
        translation: Vec3::new(x, y, z),
        rotation: Quat::from_xyzw(i, j, k, w).normalize(),
        scale: scale * place.scale as f32,
    }
}
