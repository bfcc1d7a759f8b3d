//! A hand's laser or finger on a sheet is a mouse there: on the panels, or on a card. Of several sheets the first that it meets.

use bevy::prelude::*;
use bevy_egui::input::EguiInputEvent;
use bevy_egui::{EguiContexts, PrimaryEguiContext, egui};
use gemba_xr::{Buzz, HeadsetFigures, Rig, Side, Tracked};

use super::cards::Cards;
use super::keyboard::Keyboard;
use super::panel::Panel;
use super::point::pointed_by;
use super::sheet::Sheet;
use crate::inspector::slot_rect;
use crate::pointer::{Met, OnPanel, PointedBy, Pointer, Pointers};

/// Longest time and way between pulling the trigger and letting it go that are still a click.
const CLICK_SECS: f64 = 4.0;
const CLICK_POINTS: f32 = 24.0;

/// What the hands do on sheets.
#[derive(Resource, Debug, Default)]
pub(super) struct Pressing {
    /// Which pointer pressed last and has not let go, and on which context.
    held: Option<(PointedBy, Entity)>,
    /// The context that a pointer was over, and whether over what can be pressed.
    over: Option<(Entity, bool)>,
    /// Which hands are on a sheet, left first.
    sides: [bool; 2],
}

impl Pressing {
    /// Whether this hand is on a sheet: what its stick does is then for that.
    pub(super) fn is_under(&self, side: Side) -> bool {
        self.sides[side as usize]
    }
}

/// The sheets by their numbers in [`OnPanel`]: the panels, then the cards by their slots.
pub(super) fn sheets<'a>(panel: &'a Panel, cards: &'a Cards) -> impl Iterator<Item = (usize, &'a Sheet)> + Clone {
    std::iter::once((0, &panel.sheet)).chain(cards.iter().map(|(slot, card)| (slot + 1, &card.sheet)))
}

/// The first sheet that a laser meets, and where in the world; the ray is in the world's frame.
pub(super) fn lit<'a>(
    sheets: impl Iterator<Item = (usize, &'a Sheet)>,
    ray: Ray3d,
    rig: &Transform,
) -> Option<(OnPanel, Vec3)> {
    let rig_from_world = rig.to_matrix().inverse();
    let origin = rig_from_world.transform_point3(ray.origin);
    let direction = Dir3::new(rig_from_world.transform_vector3(*ray.direction)).ok()?;
    let met = sheets.filter_map(|(sheet, shape)| {
        let (at, along) = shape.meets(Ray3d::new(origin, direction))?;
        Some((OnPanel { sheet, at }, along))
    });
    let (on, along) = met.min_by(|a, b| a.1.total_cmp(&b.1))?;
    Some((on, rig.transform_point(origin + *direction * along)))
}

pub(super) fn press(
    mut pressing: ResMut<Pressing>,
    mut pointers: ResMut<Pointers>,
    mut contexts: EguiContexts,
    mut events: MessageWriter<EguiInputEvent>,
    mut buzz: MessageWriter<Buzz>,
    mut keyboard: ResMut<Keyboard>,
    (panel, cards): (Res<Panel>, Res<Cards>),
    context: Single<Entity, With<PrimaryEguiContext>>,
    tracked: Res<Tracked>,
    rig: Single<&Transform, With<Rig>>,
    figures: Res<HeadsetFigures>,
) {
    let _own = figures.timed();
    let pressing = &mut *pressing;
    pressing.sides = [false, false];
    let was_over = pressing.over.take();
    for side in [Side::Right, Side::Left] {
        let Some(pointer) = pointers.of(pointed_by(side)).copied() else { continue };
        let Some(on) = on_sheet(&pointer, &panel, &cards, &rig, &mut pointers) else { continue };
        pressing.sides[side as usize] = true;
        let Some((context, pos)) = place_in_context(on, *context, cards.screen()) else { continue };
        if pressing.over.is_some() {
            continue;
        }
        pressing.over = Some((context, false));
        let mut say = |event| {
            events.write(EguiInputEvent { context, event });
        };
        if on.sheet == 0 && pressing.held.is_none() && keyboard.has(pos) {
            if pointer.was_pressed {
                keyboard.press(pos).into_iter().for_each(&mut say);
                buzz.write(Buzz { side, strength: 0.4, secs: 0.015 });
            }
            continue;
        }
        if pressing.turn(&pointer, context, pos, &mut say) {
            if let Ok(ctx) = contexts.ctx_for_entity_mut(context) {
                forgive(ctx);
            }
            buzz.write(Buzz { side, strength: 0.5, secs: 0.02 });
        }
        scroll(tracked.hand(side).stick, &mut say);
        let icon = contexts.ctx_for_entity_mut(context).map(|ctx| ctx.output(|o| o.cursor_icon));
        let hovers = icon.is_ok_and(|icon| icon == egui::CursorIcon::PointingHand);
        pressing.over = Some((context, hovers));
        if hovers && was_over != Some((context, true)) {
            buzz.write(Buzz { side, strength: 0.15, secs: 0.01 });
        }
    }
    let left = was_over.map(|(context, _)| context).filter(|was| pressing.over.is_none_or(|(is, _)| is != *was));
    if let Some(context) = left {
        pressing.held.take_if(|(_, held)| *held == context);
        events.write(EguiInputEvent { context, event: egui::Event::PointerGone });
    }
}

impl Pressing {
    /// Moves the mouse of a context there, presses it or lets it go. Whether it was pressed.
    fn turn(&mut self, pointer: &Pointer, context: Entity, pos: egui::Pos2, say: &mut impl FnMut(egui::Event)) -> bool {
        let button = |pressed| egui::Event::PointerButton {
            pos,
            button: egui::PointerButton::Primary,
            pressed,
            modifiers: egui::Modifiers::NONE,
        };
        say(egui::Event::PointerMoved(pos));
        if pointer.was_pressed && self.held.is_none() {
            self.held = Some((pointer.by, context));
            say(button(true));
            return true;
        }
        if self.held == Some((pointer.by, context)) && !pointer.is_pressed {
            self.held = None;
            say(button(false));
        }
        false
    }
}

/// Where a pointer is on a sheet: a finger that has been told so, else a laser, which then meets nothing behind that.
fn on_sheet(
    pointer: &Pointer,
    panel: &Panel,
    cards: &Cards,
    rig: &Transform,
    pointers: &mut Pointers,
) -> Option<OnPanel> {
    if pointer.on_panel.is_some() {
        return pointer.on_panel;
    }
    let (on, place) = lit(sheets(panel, cards), pointer.ray, rig)?;
    // A card in the plant can be behind something: a laser that meets that first is not on it.
    let is_hidden =
        |met: &Met| on.sheet > 0 && met.place.distance(pointer.ray.origin) + 0.01 < place.distance(pointer.ray.origin);
    if pointer.met.as_ref().is_some_and(is_hidden) {
        return None;
    }
    let met = Some(Met { thing: None, place, normal: -pointer.ray.direction.as_vec3() });
    pointers.set(pointer.by, Some(Pointer { met, on_panel: Some(on), ..*pointer }));
    Some(on)
}

/// The context of egui that draws a sheet, and where a place on it is there.
fn place_in_context(on: OnPanel, panels: Entity, cards: Option<Entity>) -> Option<(Entity, egui::Pos2)> {
    let at = egui::vec2(on.at.x, on.at.y);
    match on.sheet.checked_sub(1) {
        None => Some((panels, at.to_pos2())),
        Some(slot) => Some((cards?, slot_rect(slot).min + at)),
    }
}

/// A trigger is pulled more slowly than a mouse clicks, and a laser trembles while it is.
fn forgive(ctx: &egui::Context) {
    ctx.options_mut(|o| {
        o.input_options.max_click_duration = CLICK_SECS;
        o.input_options.max_click_dist = CLICK_POINTS;
    });
}

fn scroll(stick: Vec2, say: &mut impl FnMut(egui::Event)) {
    if stick.y.abs() > 0.3 {
        say(egui::Event::MouseWheel {
            unit: egui::MouseWheelUnit::Point,
            delta: egui::vec2(0.0, stick.y * 12.0),
            phase: egui::TouchPhase::Move,
            modifiers: egui::Modifiers::NONE,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_sheets_the_nearer_is_pressed_and_a_closed_one_never() {
        let sheet =
            |z: f32| Sheet { is_open: true, place: Transform::from_xyz(0.0, 1.5, z), ..Sheet::of(Vec2::splat(400.0)) };
        let (mut near, far) = (sheet(0.0), sheet(-1.0));
        let ray = Ray3d::new(Vec3::Y * 1.5, Dir3::NEG_Z);
        let first = |near: &Sheet| lit([(0, &far), (1, near)].into_iter(), ray, &Transform::IDENTITY).unwrap();
        let (on, place) = first(&near);
        assert!(on.sheet == 1 && on.at.distance(Vec2::splat(200.0)) < 0.1 && (place.z + 1.2).abs() < 1e-4, "{on:?}");
        near.is_open = false;
        assert_eq!(first(&near).0.sheet, 0);
    }
}
