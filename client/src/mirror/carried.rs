//! Has bodies where people carry them, or have left them: whatever the model or the record says, as long as the site is
//! shown as it is now. Of another instant nobody knows where things were carried; then they are where the record has them.

use std::collections::BTreeSet;

use bevy::prelude::*;

use super::ThingEntities;
use super::standing::Standings;
use crate::bodies::Bodies;
use crate::cursor::Cursor;
use crate::playing::Playing;
use crate::site::{Site, ThingIndex};

/// Puts every body where it is shown in this frame.
pub(super) fn carry(
    mut carried: Local<BTreeSet<ThingIndex>>,
    mut standings: ResMut<Standings>,
    mut transforms: Query<(&mut Transform, Option<&ChildOf>)>,
    (bodies, playing, cursor): (Res<Bodies>, Res<Playing>, Res<Cursor>),
    (site, things): (Res<Site>, Res<ThingEntities>),
    worlds: Query<&GlobalTransform>,
) {
    let before = std::mem::take(&mut *carried);
    let shown = bodies.shown(playing.shown()).filter(|_| *cursor == Cursor::Live);
    for (id, world_from_thing) in shown {
        let Some(thing) = site.find_id(id).filter(|thing| !site.is_retired(*thing)) else { continue };
        let Some(entity) = things.entity(thing) else { continue };
        let Ok((mut transform, above)) = transforms.get_mut(entity) else { continue };
        let parent = above.and_then(|above| worlds.get(above.parent()).ok()).copied().unwrap_or_default();
        let local =
            transform.with_translation(parent.affine().inverse().transform_point3(world_from_thing.translation.into()));
        transform.set_if_neq(local.with_rotation(parent.rotation().inverse() * world_from_thing.rotation));
        carried.insert(thing);
    }
    before.difference(&carried).for_each(|thing| standings.put_back(*thing));
}
