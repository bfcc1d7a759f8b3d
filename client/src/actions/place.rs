//! Puts a thing elsewhere: by hand (`drag`) or by numbers in the site's frame, with a box in the plant that shows where it would stand. And
//! places another one like it.

use bevy::math::Affine3A;
use bevy::prelude::*;
use bevy_egui::egui::{self, RichText};
use gemba_record::body::Body;
use gemba_record::edit::{Change, Edit, NewThing};
use gemba_twin::path::{ThingId, ThingPath};
use gemba_twin::place::Placement;

use super::{Decision, Did, Shown};
use crate::site::{Site, ThingIndex};
use crate::theme;

/// How far beside the original a copy stands beyond its own width, metres.
const BESIDE: f32 = 0.5;
/// Names tried for a copy.
const NAMES: u32 = 10_000;

/// Where it is to stand.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    /// Where it stands now, in the site's frame, apart from what tags do to it.
    before: Mat4,
    /// What it hangs on, in the site's frame.
    parent: Mat4,
    scale: f64,
    /// Origin, site's frame, metres.
    pub(super) position: Vec3,
    /// Turned about the vertical so far, degrees.
    turn: f32,
    /// Where it lies with a neighbour, as lines on the floor.
    pub(super) snapped: Vec<[Vec3; 2]>,
}

pub(super) fn begin(thing: ThingIndex, shown: &Shown) -> Option<Draft> {
    let (parent, local, scale) = frame_of(thing, shown)?;
    let before = parent * local;
    Some(Draft { before, parent, scale, position: before.w_axis.truncate(), turn: 0.0, snapped: Vec::new() })
}

/// What it hangs on in the site's frame, its own pose in that without what tags do, and its scale there.
fn frame_of(thing: ThingIndex, shown: &Shown) -> Option<(Mat4, Mat4, f64)> {
    let (drawn, _, hangs_on) = shown.drawn.get(shown.things.entity(thing)?).ok()?;
    let parent = hangs_on.and_then(|above| shown.worlds.get(above.parent()).ok());
    let parent = parent.map_or(Mat4::IDENTITY, GlobalTransform::to_matrix);
    let place = shown.site.standing(thing)?.place;
    let (position, rotation) = match place {
        Some(place) => {
            (Vec3::from(place.position.map(|c| c as f32)), Quat::from_array(place.rotation.map(|c| c as f32)))
        }
        None => (drawn.0.translation, drawn.0.rotation),
    };
    let local = Mat4::from_rotation_translation(rotation.normalize(), position);
    Some((parent, local, place.map_or(1.0, |place| place.scale)))
}

impl Draft {
    /// Where it would stand, in the site's frame.
    fn after(&self) -> Mat4 {
        let turned = Quat::from_rotation_y(self.turn.to_radians()) * Quat::from_mat4(&self.before).normalize();
        Mat4::from_rotation_translation(turned, self.position)
    }

    /// The same as the record holds it.
    fn placement(&self) -> Placement {
        let local = Affine3A::from_mat4(self.parent.inverse() * self.after());
        let (_, rotation, position) = local.to_scale_rotation_translation();
        placement(position, rotation, self.scale)
    }
}

fn placement(position: Vec3, rotation: Quat, scale: f64) -> Placement {
    // To a tenth of a millimetre: what a person entered shall read the same again.
    let round = |c: f32| (f64::from(c) * 1e4).round() / 1e4;
    Placement {
        position: position.to_array().map(round),
        rotation: rotation.normalize().to_array().map(f64::from),
        scale,
    }
}

pub(super) fn show(ui: &mut egui::Ui, thing: ThingIndex, draft: &mut Draft, shown: &Shown) -> Did {
    let Some(id) = shown.id(thing) else { return Did::close() };
    ui.label(RichText::new("Where it stands, metres in the site; a hand drags its box").color(theme::QUIET));
    ui.horizontal(|ui| {
        let Vec3 { x, y, z } = &mut draft.position;
        for (axis, value) in [("x", x), ("y", y), ("z", z)] {
            ui.add(
                egui::DragValue::new(value).speed(0.02).max_decimals(2).range(-1e5..=1e5).prefix(format!("{axis} ")),
            );
        }
    });
    ui.horizontal(|ui| {
        ui.label("turned by");
        ui.add(egui::DragValue::new(&mut draft.turn).speed(0.5).range(-360.0..=360.0).suffix("°"));
        if ui.button("Turn 90°").clicked() {
            draft.turn = (draft.turn + 90.0).rem_euclid(360.0);
        }
        let is_placed = shown.site.standing(thing).is_some_and(|s| s.place.is_some() && !s.is_made);
        let back = ui.add_enabled(is_placed, egui::Button::new("As drawn"));
        if back.on_hover_text("puts it where its model has it").clicked() {
            draft.scale = f64::NAN;
        }
    });
    if draft.scale.is_nan() {
        return Did::say(Body::EditThing(Edit { thing: id, based_on: 0, change: Change::Move(None), undoes: None }));
    }
    let moved = draft.position.distance(draft.before.w_axis.truncate());
    let is_moved = moved > 0.001 || draft.turn.abs() > 0.01;
    ui.label(RichText::new(format!("{moved:.2} m from where it is")).size(11.5).color(theme::QUIET));
    match super::decide(ui, "Move", theme::ACCENT, is_moved) {
        Decision::Yes => {
            let change = Change::Move(Some(draft.placement()));
            Did::say(Body::EditThing(Edit { thing: id, based_on: 0, change, undoes: None }))
        }
        Decision::No => Did::close(),
        Decision::Open => Did::default(),
    }
}

/// The box that it would take up.
pub(super) fn preview(thing: ThingIndex, draft: &Draft, shown: &Shown) -> Option<Transform> {
    let bounds = shown.bounds.get(shown.things.entity(thing)?).ok()?;
    let turn = Quat::from_rotation_y(draft.turn.to_radians());
    let centre = draft.position + turn * (bounds.centre - bounds.origin);
    Some(Transform { translation: centre, rotation: turn, scale: (bounds.half * 2.0).max(Vec3::splat(0.05)) })
}

/// Another thing like this one, beside it.
pub(super) fn copy(thing: ThingIndex, shown: &Shown) -> Option<Body> {
    let (parent, local, scale) = frame_of(thing, shown)?;
    let bounds = shown.bounds.get(shown.things.entity(thing)?).ok()?;
    let world = Affine3A::from_mat4(parent * local);
    let (_, rotation, position) = world.to_scale_rotation_translation();
    let beside = position + Vec3::Z * (bounds.half.z * 2.0 + BESIDE);
    let mut id = [0; 16];
    getrandom::fill(&mut id).ok()?;
    let mut made = shown.site.thing(thing)?.clone();
    made.path = free_path(&shown.site, &made.path)?;
    // The same tags must not seem to drive two machines.
    made.bindings.clear();
    let place = placement(beside, rotation, scale);
    Some(Body::CreateThing(NewThing { id: ThingId(id), thing: made, place, like: shown.id(thing) }))
}

/// A path beside this one that nothing has: `Tank1` becomes `Tank3` where there is a `Tank2`.
fn free_path(site: &Site, path: &ThingPath) -> Option<ThingPath> {
    let stem = path.name().trim_end_matches(|c: char| c.is_ascii_digit());
    let number: u32 = path.name()[stem.len()..].parse().unwrap_or(1);
    let named = |n: u32| {
        let name = format!("{stem}{n}");
        match path.parent() {
            Some(parent) => parent.child(&name).ok(),
            None => name.parse().ok(),
        }
    };
    let mut candidates = (1..NAMES).filter_map(|n| named(number.saturating_add(n)));
    candidates.find(|path| site.find(path.as_str()).is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use gemba_twin::thing::{Class, Level, Thing};

    #[test]
    fn a_copy_gets_the_next_free_number() {
        let mut site = Site::default();
        let thing = |path: &str| Thing {
            path: path.parse().unwrap(),
            level: Level::Unit,
            class: Class::Tank,
            bindings: Vec::new(),
        };
        site.set_things(["Hall1/Tank1", "Hall1/Tank2", "Hall1/Gate"].map(thing).to_vec());
        let free = |path: &str| free_path(&site, &path.parse().unwrap()).unwrap().to_string();
        assert_eq!([free("Hall1/Tank1"), free("Hall1/Gate")], ["Hall1/Tank3", "Hall1/Gate2"]);
    }

    #[test]
    fn a_place_in_the_site_is_said_in_the_frame_that_the_thing_hangs_on() {
        let parent = Mat4::from_rotation_translation(Quat::from_rotation_y(1.0), Vec3::new(5.0, 0.0, 2.0));
        let local = Mat4::from_rotation_translation(Quat::from_rotation_y(0.3), Vec3::new(1.0, 2.0, 3.0));
        let before = parent * local;
        let position = before.w_axis.truncate();
        let mut draft = Draft { before, parent, scale: 2.0, position, turn: 0.0, snapped: Vec::new() };
        let same = draft.placement();
        assert!(same.position.iter().zip([1.0, 2.0, 3.0]).all(|(a, b)| (a - b).abs() < 1e-3), "{same:?}");
        assert_eq!(same.scale, 2.0);
        draft.position += Vec3::X;
        draft.turn = 90.0;
        let placed = draft.placement();
        let position = Vec3::from(placed.position.map(|c| c as f32));
        let rotation = Quat::from_array(placed.rotation.map(|c| c as f32));
        let world = parent * Mat4::from_rotation_translation(rotation, position);
        assert!((world.w_axis.truncate() - before.w_axis.truncate() - Vec3::X).length() < 1e-3);
        let turned = Quat::from_mat4(&world) * Quat::from_mat4(&before).inverse();
        assert!(turned.angle_between(Quat::from_rotation_y(90f32.to_radians())) < 1e-3);
        assert!(placed.is_sound());
    }
}
