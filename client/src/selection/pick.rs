//! A click in the plant selects the thing under the pointer; a double click also brings it into the frame.

use bevy::picking::mesh_picking::ray_cast::{MeshRayCast, MeshRayCastSettings};
use bevy::prelude::*;
use bevy_egui::{EguiContexts, egui};
use gemba_twin::thing::Level;

use super::{SelectThing, take};
use crate::camera::FrameSelection;
use crate::mirror::NodeOf;
use crate::schedule::Frame;
use crate::site::{Site, ThingIndex};
use crate::tool::selects;
use crate::view::{PlantCamera, PlantView};

pub(super) fn plugin(app: &mut App) {
    app.add_systems(Update, pick.run_if(selects).in_set(Frame::Act).before(take));
}

fn pick(
    mut contexts: EguiContexts,
    mut ray_cast: MeshRayCast,
    mut select: MessageWriter<SelectThing>,
    mut frame: MessageWriter<FrameSelection>,
    view: Res<PlantView>,
    site: Res<Site>,
    camera: Single<(&Camera, &GlobalTransform), With<PlantCamera>>,
    nodes: Query<&NodeOf>,
    keys: Res<ButtonInput<KeyCode>>,
) -> Result {
    let ctx = contexts.ctx_mut()?;
    if keys.just_pressed(KeyCode::Escape) && !ctx.egui_wants_keyboard_input() {
        select.write(SelectThing(None));
    }
    let (clicked, double, at) = ctx.input(|i| {
        (
            i.pointer.button_clicked(egui::PointerButton::Primary),
            i.pointer.button_double_clicked(egui::PointerButton::Primary),
            i.pointer.interact_pos(),
        )
    });
    let Some(at) = at.filter(|at| clicked && view.hovered && view.rect.contains(*at)) else { return Ok(()) };
    let (camera, transform) = *camera;
    let Ok(ray) = camera.viewport_to_world(transform, view.viewport_from_screen(at)) else { return Ok(()) };
    let is_thing = |entity| nodes.contains(entity);
    let settings = MeshRayCastSettings::default().with_filter(&is_thing);
    let hit = ray_cast.cast_ray(ray, &settings).first();
    let thing = hit.and_then(|(entity, _)| nodes.get(*entity).ok()).map(|node| unit_of(&site, node.0));
    select.write(SelectThing(thing));
    if double && thing.is_some() {
        frame.write(FrameSelection);
    }
    Ok(())
}

/// What a person means by a click on a screw is the machine; on what belongs to no machine, the thing itself.
pub(crate) fn unit_of(site: &Site, thing: ThingIndex) -> ThingIndex {
    let mut at = Some(thing);
    while let Some(above) = at {
        if site.thing(above).is_some_and(|t| t.level == Level::Unit) {
            return above;
        }
        at = site.parent(above);
    }
    thing
}
