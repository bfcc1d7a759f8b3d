//! The mirror: the one place that copies the site and the newest samples into entities. From a list of what changed,
//! never by looking at everything; features only read what it writes.
//!
//! `standing` puts things where people have put them, takes away what is retired and draws what people have made;
//! `drive` moves what tags drive; `carried` has what people carry where they carry it.

use bevy::prelude::*;

use crate::schedule::Frame;
use crate::site::ThingIndex;

mod carried;
mod copy;
mod drive;
mod standing;

/// The thing an entity draws, or a mesh of it.
#[derive(Component, Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeOf(pub ThingIndex);

/// How an entity's model draws it, in the frame of what it hangs on.
#[derive(Component, Debug, Clone, Copy)]
pub struct Drawn(pub Transform);

/// How large a mesh is as its model draws it.
#[derive(Component, Debug, Clone, Copy)]
pub struct Extent {
    /// Of the sphere around it, metres.
    pub radius: f32,
}

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
    /// Counts changes.
    revision: u64,
    /// Lowest and highest corner of everything, once the plant is there.
    pub plant: Option<(Vec3, Vec3)>,
}

impl ThingEntities {
    /// The entity that draws a thing.
    pub fn entity(&self, thing: ThingIndex) -> Option<Entity> {
        self.by_thing.get(thing.0).copied().flatten()
    }

    /// Counts changes.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    pub(crate) fn set(&mut self, thing: ThingIndex, entity: Entity) {
        if self.by_thing.len() <= thing.0 {
            self.by_thing.resize(thing.0 + 1, None);
        }
        self.by_thing[thing.0] = Some(entity);
        self.revision += 1;
    }

    fn forget(&mut self, thing: ThingIndex) {
        if let Some(held) = self.by_thing.get_mut(thing.0) {
            *held = None;
            self.revision += 1;
        }
    }
}

pub(crate) fn plugin(app: &mut App) {
    app.init_resource::<ThingEntities>()
        .init_resource::<drive::Drives>()
        .init_resource::<standing::Standings>()
        .add_systems(
            Update,
            (standing::stand, drive::build, drive::drive, carried::carry).chain().in_set(Frame::Mirror),
        );
}
