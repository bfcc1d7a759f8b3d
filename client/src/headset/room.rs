//! The plant on a table in the person's own room, where the headset can show that: a button on the panel, and back.

use bevy::camera::ClearColorConfig;
use bevy::prelude::*;
use bevy_egui::{EguiContexts, EguiPrimaryContextPass, egui};
use gemba_xr::{Eye, HeadsetState, Rig, Room, Tracked};

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
        .add_systems(Update, step.in_set(Doing::Table))
        .add_systems(Update, clear.in_set(Seeing::Room))
        .add_systems(EguiPrimaryContextPass, offer.in_set(Screen::Room));
}

/// Onto the table when the room appears; back to where one stood when it goes.
fn step(
    mut before: ResMut<Before>,
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
        }
        (false, Some(stood)) => {
            **rig = stood;
            before.0 = None;
        }
        _ => {}
    }
}

/// The rig of a person before whom the plant stands on a table, turned as it is.
fn on_table((lowest, highest): (Vec3, Vec3), head: Transform, rotation: Quat) -> Transform {
    let span = highest - lowest;
    let scale = (span.x.max(span.z) / TABLE_WIDTH).clamp(SCALES.0, SCALES.1);
    let ahead = head.forward().with_y(0.0).normalize_or(Vec3::NEG_Z) * TABLE_AWAY;
    let table = (head.translation + ahead).with_y(TABLE_HEIGHT);
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
