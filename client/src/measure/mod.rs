//! Measuring: two places in the plant, and how far they are apart. With the tool in hand (`M`, or the button in the upper
//! bar) whatever points sets one end after the other; the distance is drawn in the plant, on the desktop and in the
//! headset, and kept until it is taken back.
//!
//! A measure is this person's own: it is not said to the record, and the others do not see it.

use bevy::picking::mesh_picking::ray_cast::{MeshRayCast, MeshRayCastSettings};
use bevy::prelude::*;
use bevy_egui::{EguiContexts, EguiPrimaryContextPass, egui};

use crate::mirror::NodeOf;
use crate::pointer::{PointedBy, Pointer, Pointers};
use crate::schedule::{Frame, Screen};
use crate::tool::Tool;

mod draw;
mod span;

pub use span::Span;

/// Measures kept; the oldest goes when there are more. Nobody reads so many in one picture.
const MOST: usize = 50;
/// A pointer that turns further than this between pressing and letting go was dragged, radians: a mouse turns the camera
/// by that, a hand merely trembles while it pulls a trigger.
const STEADY: (f32, f32) = (0.004, 0.07);

/// What was measured, oldest first, and what is being measured.
#[derive(Resource, Debug, Default)]
pub struct Measures {
    done: Vec<Span>,
    /// Where the one end is that waits for the other, world frame.
    from: Option<Vec3>,
    /// Where the other end would be now.
    to: Option<Vec3>,
}

impl Measures {
    /// What was measured, and what it would be if the pointer were pressed now.
    pub fn spans(&self) -> impl Iterator<Item = Span> {
        self.done.iter().copied().chain(self.under_way())
    }

    /// The one that has one end and follows the pointer with the other.
    pub fn under_way(&self) -> Option<Span> {
        Some(Span { from: self.from?, to: self.to? })
    }

    /// The newest that has both ends.
    pub fn newest(&self) -> Option<Span> {
        self.done.last().copied()
    }

    /// Sets the next end.
    fn set_end(&mut self, place: Vec3) {
        let Some(from) = self.from.take() else {
            (self.from, self.to) = (Some(place), None);
            return;
        };
        self.done.push(Span { from, to: place });
        self.to = None;
        let surplus = self.done.len().saturating_sub(MOST);
        self.done.drain(..surplus);
    }

    /// Takes back the end that was set last.
    fn undo(&mut self) {
        self.to = None;
        if self.from.take().is_none() {
            self.from = self.done.pop().map(|span| span.from);
        }
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}

pub(crate) fn plugin(app: &mut App) {
    app.init_resource::<Measures>()
        .init_gizmo_group::<draw::Lines>()
        .add_systems(Startup, draw::configure)
        .add_systems(Update, (keys, measure).chain().in_set(Frame::Edit).before(crate::edits::TakeBack))
        .add_systems(Update, draw::lines.in_set(Frame::Present))
        .add_systems(EguiPrimaryContextPass, (draw::words, bar).chain().in_set(Screen::Measures));
}

/// `M` takes the tool in hand or puts it away; with it in hand Ctrl+Z and Backspace take back an end, Esc puts it away.
fn keys(mut contexts: EguiContexts, mut tool: ResMut<Tool>, mut measures: ResMut<Measures>) -> Result {
    let ctx = contexts.ctx_mut()?;
    if ctx.egui_wants_keyboard_input() {
        return Ok(());
    }
    if ctx.input(|i| i.key_pressed(egui::Key::M)) {
        *tool = tool.toggled(Tool::Measure);
    }
    if *tool != Tool::Measure {
        return Ok(());
    }
    let (undo, leave) = ctx.input_mut(|i| {
        let undo = i.consume_key(egui::Modifiers::COMMAND, egui::Key::Z);
        (undo || i.key_pressed(egui::Key::Backspace), i.key_pressed(egui::Key::Escape))
    });
    if undo {
        measures.undo();
    }
    if leave {
        *tool = Tool::Select;
    }
    Ok(())
}

/// A press that was not dragged away.
#[derive(Debug, Clone, Copy)]
struct Press {
    by: PointedBy,
    place: Vec3,
    towards: Dir3,
}

/// Sets an end where a pointer was pressed and let go again.
fn measure(
    mut ray_cast: MeshRayCast,
    mut measures: ResMut<Measures>,
    mut press: Local<Option<Press>>,
    pointers: Res<Pointers>,
    tool: Res<Tool>,
    nodes: Query<&NodeOf>,
) {
    if *tool != Tool::Measure {
        // An end without another means nothing once the tool is away.
        if measures.from.is_some() {
            (measures.from, measures.to) = (None, None);
        }
        *press = None;
        return;
    }
    let mut place_of = |pointer: &Pointer| {
        let is_thing = |entity| nodes.contains(entity);
        let settings = MeshRayCastSettings::default().with_filter(&is_thing);
        let mut looked = || ray_cast.cast_ray(pointer.ray, &settings).first().map(|(_, hit)| hit.point);
        if pointer.by == PointedBy::Mouse { looked() } else { pointer.met.map(|met| met.place) }
    };
    let in_plant = || pointers.iter().filter(|pointer| pointer.on_panel.is_none());
    if let Some(pointer) = in_plant().find(|pointer| pointer.was_pressed) {
        let (by, towards) = (pointer.by, pointer.ray.direction);
        *press = place_of(pointer).map(|place| Press { by, place, towards });
    }
    if let Some(held) = *press {
        let pointer = in_plant().find(|pointer| pointer.by == held.by);
        if pointer.is_none_or(|pointer| !held.is_steady(pointer)) {
            *press = None;
        } else if pointer.is_some_and(|pointer| !pointer.is_pressed) {
            *press = None;
            measures.set_end(held.place);
        }
    }
    if measures.from.is_some() {
        // The one that pressed last, or whatever points at something.
        let to = press.map(|press| press.place).or_else(|| in_plant().find_map(&mut place_of));
        if measures.to != to {
            measures.to = to;
        }
    }
}

impl Press {
    fn is_steady(&self, pointer: &Pointer) -> bool {
        let most = if self.by == PointedBy::Mouse { STEADY.0 } else { STEADY.1 };
        self.towards.angle_between(*pointer.ray.direction) < most
    }
}

/// What to do next, what was measured last, and what takes it back.
fn bar(
    mut contexts: EguiContexts,
    mut measures: ResMut<Measures>,
    mut tool: ResMut<Tool>,
    view: Res<crate::view::PlantView>,
) -> Result {
    if *tool != Tool::Measure {
        return Ok(());
    }
    let area = egui::Area::new("measure".into())
        .order(egui::Order::Foreground)
        .pivot(egui::Align2::CENTER_TOP)
        .constrain_to(view.rect)
        .fixed_pos(view.rect.center_top() + egui::vec2(0.0, draw::EDGE));
    area.show(contexts.ctx_mut()?, |ui| {
        draw::frame(crate::theme::ACCENT).show(ui, |ui| {
            ui.horizontal(|ui| {
                draw::told(ui, &measures);
                let is_any = measures.from.is_some() || !measures.done.is_empty();
                let undo = ui.add_enabled(is_any, egui::Button::new("Take back"));
                if undo.on_hover_text("the end that was set last (Ctrl+Z)").clicked() {
                    measures.undo();
                }
                if ui.add_enabled(is_any, egui::Button::new("Clear")).on_hover_text("all measures").clicked() {
                    measures.clear();
                }
                if ui.button("Done").on_hover_text("select again (Esc)").clicked() {
                    *tool = Tool::Select;
                }
            });
        });
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_set_in_pairs_and_taken_back_one_by_one() {
        let mut measures = Measures::default();
        [0.0, 1.0, 5.0].iter().for_each(|x| measures.set_end(Vec3::X * *x));
        assert_eq!(measures.newest().map(|span| span.length()), Some(1.0));
        measures.to = Some(Vec3::X * 7.0);
        assert_eq!(measures.under_way().map(|span| span.length()), Some(2.0), "the pointer carries the other end");
        measures.undo();
        assert_eq!((measures.under_way(), measures.spans().count()), (None, 1));
        measures.undo();
        assert_eq!((measures.from, measures.spans().count()), (Some(Vec3::ZERO), 0), "only the last end is taken back");
        measures.undo();
        measures.undo();
        assert_eq!(measures.from, None);
    }

    #[test]
    fn a_measure_too_many_costs_the_oldest() {
        let mut measures = Measures::default();
        (0..2 * (MOST + 3)).for_each(|n| measures.set_end(Vec3::X * n as f32));
        assert_eq!((measures.done.len(), measures.done[0].from), (MOST, Vec3::X * 6.0));
    }

    #[test]
    fn turning_the_camera_with_the_tool_in_hand_measures_nothing_but_a_trembling_hand_does() {
        let pointer = |by, angle: f32| {
            let towards = Dir3::new(Quat::from_rotation_y(angle) * Vec3::NEG_Z).unwrap();
            let ray = Ray3d::new(Vec3::ZERO, towards);
            Pointer { by, ray, met: None, on_panel: None, is_pressed: true, was_pressed: false }
        };
        let press = |by| Press { by, place: Vec3::ZERO, towards: Dir3::NEG_Z };
        assert!(!press(PointedBy::Mouse).is_steady(&pointer(PointedBy::Mouse, 0.02)));
        assert!(press(PointedBy::RightHand).is_steady(&pointer(PointedBy::RightHand, 0.02)));
    }
}
