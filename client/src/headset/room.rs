//! The plant on a table in the person's own room, where the headset can show that: a button on the panel, and back.

use bevy::camera::ClearColorConfig;
use bevy::prelude::*;
use bevy_egui::{EguiContexts, EguiPrimaryContextPass, egui};
use gemba_xr::{Anchor, Eye, HeadsetState, Rig, Room, Tracked};

use super::moving::SCALES;
use super::{Doing, Seeing};
use crate::mirror::ThingEntities;
use crate::schedule::Screen;
use crate::view::PlantView;

/// How wide the plant stands on the table, metres of the room.
const TABLE_WIDTH: f32 = 1.0;
/// How high the table is, metres above the floor.
const TABLE_HEIGHT: f32 = 0.75;
/// How far its middle is from the person, metres.
const TABLE_AWAY: f32 = 0.9;

/// Where the person stood in the plant before it came onto their table.
#[derive(Resource, Default)]
struct Before(Option<Transform>);

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Before>()
        .add_systems(Update, (step, hold).chain().in_set(Doing::Table))
        .add_systems(Update, clear.in_set(Seeing::Room))
        .add_systems(EguiPrimaryContextPass, offer.in_set(Screen::Room));
}

/// Onto the table when the room appears; back to where one stood when it goes.
fn step(
    mut before: ResMut<Before>,
    mut anchor: ResMut<Anchor>,
    mut rig: Single<&mut Transform, With<Rig>>,
    room: Res<Room>,
    tracked: Res<Tracked>,
    things: Res<ThingEntities>,
) {
    match (room.is_shown(), before.0) {
        (true, None) => {
            let (Some(head), Some(plant)) = (tracked.head, things.plant) else { return };
            before.0 = Some(**rig);
            **rig = on_table(plant, head, rig.rotation);
            anchor.put(Transform::from_translation(table(head)));
        }
        (false, Some(stood)) => {
            **rig = stood;
            before.0 = None;
            anchor.lift();
        }
        _ => {}
    }
}

/// What the headset holds still in the room stays where it is in the plant, wherever the tracking space has it.
fn hold(mut last: Local<Option<Transform>>, mut rig: Single<&mut Transform, With<Rig>>, anchor: Res<Anchor>) {
    let now = anchor.place();
    if let (Some(last), Some(now)) = (*last, now)
        && last != now
    {
        **rig = held(**rig, last, now);
    }
    // Out of sight for a moment, it is still the same one when it is seen again.
    *last = if *anchor == Anchor::default() { None } else { now.or(*last) };
}

/// The rig in which a place of the tracking space is where another one was before: turned about the vertical only, for a
/// floor stays one.
fn held(rig: Transform, last: Transform, now: Transform) -> Transform {
    let yaw = |place: Transform| place.rotation.to_euler(EulerRot::YXZ).0;
    let turn = Quat::from_rotation_y(yaw(last) - yaw(now));
    let rotation = rig.rotation * turn;
    let translation = rig.transform_point(last.translation) - rotation * (rig.scale * now.translation);
    Transform { translation, rotation, ..rig }
}

/// Where the middle of the table is before a head, tracking space.
fn table(head: Transform) -> Vec3 {
    let ahead = head.forward().with_y(0.0).normalize_or(Vec3::NEG_Z) * TABLE_AWAY;
    (head.translation + ahead).with_y(TABLE_HEIGHT)
}

/// The rig of a person before whom the plant stands on a table, turned as it is.
fn on_table((lowest, highest): (Vec3, Vec3), head: Transform, rotation: Quat) -> Transform {
    let span = highest - lowest;
    let scale = (span.x.max(span.z) / TABLE_WIDTH).clamp(SCALES.0, SCALES.1);
    let table = table(head);
    let middle = ((lowest + highest) / 2.0).with_y(lowest.y);
    Transform { translation: middle - rotation * (table * scale), rotation, scale: Vec3::splat(scale) }
}

/// Where there is no plant the eyes see the room.
fn clear(room: Res<Room>, mut eyes: Query<(&mut Camera, Ref<Eye>)>) {
    for (mut camera, eye) in &mut eyes {
        if room.is_changed() || eye.is_added() {
            let nothing = ClearColorConfig::Custom(Color::NONE);
            camera.clear_color = if room.is_shown() { nothing } else { ClearColorConfig::Default };
        }
    }
}

/// The button, while the headset is worn and can show the room.
pub(super) fn offer(
    mut contexts: EguiContexts,
    mut room: ResMut<Room>,
    state: Res<HeadsetState>,
    view: Res<PlantView>,
) -> Result {
    if !state.is_seen() || !room.is_offered {
        return Ok(());
    }
    let area = egui::Area::new("room".into())
        .order(egui::Order::Foreground)
        .pivot(egui::Align2::RIGHT_TOP)
        .fixed_pos(view.rect.right_top() + egui::vec2(-12.0, 12.0));
    let words = if room.is_wanted { "Back into the plant" } else { "On my table" };
    let shown = area.show(contexts.ctx_mut()?, |ui| ui.button(words).clicked());
    if shown.inner {
        room.is_wanted = !room.is_wanted;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_still_stays_where_it_was_in_the_plant_and_the_floor_stays_level() {
        let rig =
            Transform::from_xyz(3.0, 0.5, -2.0).with_rotation(Quat::from_rotation_y(0.4)).with_scale(Vec3::splat(40.0));
        let last = Transform::from_xyz(0.3, 0.75, -0.9).with_rotation(Quat::from_rotation_y(0.1));
        let moved =
            Transform::from_xyz(0.5, 0.74, -1.0).with_rotation(Quat::from_euler(EulerRot::YXZ, 0.9, 0.02, 0.01));
        let now = held(rig, last, moved);
        assert!(now.transform_point(moved.translation).distance(rig.transform_point(last.translation)) < 1e-3);
        assert!((now.rotation * Vec3::Y).distance(Vec3::Y) < 1e-5 && now.scale == rig.scale);
        // What lay ahead of it lies ahead of it.
        let ahead = |rig: Transform, place: Transform| {
            rig.rotation * Quat::from_rotation_y(place.rotation.to_euler(EulerRot::YXZ).0) * Vec3::NEG_Z
        };
        assert!(ahead(now, moved).distance(ahead(rig, last)) < 1e-5);
        assert!(held(rig, last, last).translation.distance(rig.translation) < 1e-4);
    }

    #[test]
    fn the_plant_stands_on_the_table_before_the_person_whichever_way_they_look() {
        let plant = (Vec3::new(-10.0, 0.0, -30.0), Vec3::new(10.0, 8.0, 10.0));
        for yaw in [0.0, 2.0, -1.3] {
            let head = Transform::from_xyz(0.3, 1.6, 0.2).with_rotation(Quat::from_rotation_y(yaw));
            let rig = on_table(plant, head, Quat::from_rotation_y(0.7));
            let table = (head.translation + *head.forward() * TABLE_AWAY).with_y(TABLE_HEIGHT);
            let stands = rig.transform_point(table);
            assert!(stands.distance(Vec3::new(0.0, 0.0, -10.0)) < 1e-3, "{stands}");
            assert_eq!(rig.scale, Vec3::splat(40.0));
        }
    }
}
