//! Viewpoints: views of the site that people keep in its record, to come back to and to show to others. The window is
//! opened by the button in the upper bar or `V`.

use bevy::ecs::system::SystemParam;
use bevy::prelude::*;
use bevy_egui::egui::{self, RichText};
use bevy_egui::{EguiContexts, EguiPrimaryContextPass};
use gemba_record::body::Body;
use gemba_record::entry::EntryId;
use gemba_record::site::ViewpointState;
use gemba_twin::viewpoint::Viewpoint;

use crate::calendar;
use crate::camera::Gaze;
use crate::cursor::{Cursor, MoveCursor};
use crate::edits::Say;
use crate::link::Connection;
use crate::schedule::{Frame, Screen};
use crate::selection::{SelectThing, Selection};
use crate::site::Site;
use crate::theme;
use crate::view::{PlantCamera, PlantView};

/// Views listed at most.
const LISTED: usize = 500;

/// Asks to show the window, or to hide it if it is shown.
#[derive(Message, Debug, Clone, Copy)]
pub struct ToggleViewpoints;

/// Asks to look as this view does.
#[derive(Message, Debug, Clone)]
struct GoTo(Viewpoint);

/// The window.
#[derive(Resource, Default)]
struct Panel {
    open: bool,
    name: String,
}

/// What the window shows.
#[derive(SystemParam)]
struct Shown<'w> {
    site: Res<'w, Site>,
    selection: Res<'w, Selection>,
    connection: Res<'w, Connection>,
    cursor: Res<'w, Cursor>,
    gaze: Res<'w, Gaze>,
}

pub(crate) fn plugin(app: &mut App) {
    app.add_message::<ToggleViewpoints>()
        .add_message::<GoTo>()
        .init_resource::<Panel>()
        .add_systems(Update, go.in_set(Frame::Edit))
        .add_systems(EguiPrimaryContextPass, show.in_set(Screen::Views));
}

/// Looks as a view does: camera, selection, time.
fn go(
    mut wanted: MessageReader<GoTo>,
    mut gaze: ResMut<Gaze>,
    mut select: MessageWriter<SelectThing>,
    mut cursor: MessageWriter<MoveCursor>,
    site: Res<Site>,
) {
    let Some(GoTo(viewpoint)) = wanted.read().last() else { return };
    *gaze = gaze_of(viewpoint);
    select.write(SelectThing(viewpoint.selected.first().and_then(|id| site.find_id(*id))));
    cursor.write(viewpoint.instant.map_or(MoveCursor::ToLive, MoveCursor::To));
}

fn show(
    mut contexts: EguiContexts,
    mut panel: ResMut<Panel>,
    mut toggles: MessageReader<ToggleViewpoints>,
    mut say: MessageWriter<Say>,
    mut go: MessageWriter<GoTo>,
    shown: Shown,
    view: Res<PlantView>,
    camera: Single<&Projection, With<PlantCamera>>,
) -> Result {
    let ctx = contexts.ctx_mut()?;
    let pressed = !ctx.egui_wants_keyboard_input() && ctx.input(|i| i.key_pressed(egui::Key::V));
    if (toggles.read().count() + usize::from(pressed)) % 2 == 1 {
        panel.open = !panel.open;
    }
    if !panel.open || !shown.connection.is_site() {
        return Ok(());
    }
    let Projection::Perspective(lens) = *camera else { return Ok(()) };
    let Panel { open, name } = &mut *panel;
    let mut did = None;
    egui::Window::new("Views")
        .open(open)
        .collapsible(false)
        .resizable(false)
        .default_width(280.0)
        .pivot(egui::Align2::RIGHT_TOP)
        .default_pos(view.rect.right_top() + egui::vec2(-14.0, 14.0))
        .show(ctx, |ui| {
            did = list(ui, &shown);
            ui.separator();
            did = save(ui, name, lens.fov, &shown).map(Done::Say).or(did.take());
        });
    match did {
        Some(Done::Go(viewpoint)) => drop(go.write(GoTo(viewpoint))),
        Some(Done::Say(body)) => drop(say.write(Say(body))),
        None => {}
    }
    Ok(())
}

/// What was pressed.
enum Done {
    Go(Viewpoint),
    Say(Body),
}

fn list(ui: &mut egui::Ui, shown: &Shown) -> Option<Done> {
    let fold = shown.connection.fold()?;
    let mut all: Vec<(&EntryId, &ViewpointState)> = fold.viewpoints().take(LISTED).collect();
    all.sort_by_key(|(id, held)| (held.name.to_lowercase(), **id));
    if all.is_empty() {
        ui.label(RichText::new("No view has been saved yet.").color(theme::QUIET));
    }
    let mut did = None;
    egui::ScrollArea::vertical().max_height(260.0).show(ui, |ui| {
        for (id, held) in all {
            let row = row(ui, id, held, shown);
            did = row.or(did.take());
        }
    });
    did
}

fn row(ui: &mut egui::Ui, id: &EntryId, held: &ViewpointState, shown: &Shown) -> Option<Done> {
    let mut did = None;
    ui.horizontal(|ui| {
        let author = shown.connection.fold().and_then(|fold| fold.peer(&held.author));
        let author = author.map_or("somebody", |peer| peer.name.as_str());
        let when = held.viewpoint.instant.map(|at| format!(", of {}", calendar::date_and_time(at)));
        let hover = format!("saved by {author}{}", when.as_deref().unwrap_or_default());
        if ui.link(&held.name).on_hover_text(hover).clicked() {
            did = Some(Done::Go(held.viewpoint.clone()));
        }
        if held.viewpoint.instant.is_some() {
            ui.label(RichText::new("past").size(11.0).color(theme::PAST));
        }
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            let body = Body::RemoveViewpoint { viewpoint: *id };
            let may = shown.connection.may_say(&body);
            let button = ui.add_enabled(may.is_ok(), egui::Button::new("×").small());
            let button = match &may {
                Ok(()) => button.on_hover_text("remove this view"),
                Err(why) => button.on_disabled_hover_text(why),
            };
            if button.clicked() {
                did = Some(Done::Say(body));
            }
        });
    });
    did
}

/// A field for a name, and what saves what is seen now under it.
fn save(ui: &mut egui::Ui, name: &mut String, field_of_view: f32, shown: &Shown) -> Option<Body> {
    let mut said = None;
    ui.horizontal(|ui| {
        let field = egui::TextEdit::singleline(name).hint_text("name of this view").desired_width(180.0);
        let entered = ui.add(field.char_limit(80)).lost_focus() && ui.input(|i| i.key_pressed(egui::Key::Enter));
        let selected = shown.selection.0.and_then(|thing| shown.site.standing(thing)).map(|s| s.id);
        let viewpoint = Viewpoint {
            selected: selected.into_iter().collect(),
            instant: shown.cursor.instant(),
            ..viewpoint_of(&shown.gaze, field_of_view)
        };
        let body = Body::SaveViewpoint { name: name.trim().to_owned(), viewpoint };
        let may = shown.connection.may_say(&body);
        let is_ready = may.is_ok() && !name.trim().is_empty();
        let button = ui.add_enabled(is_ready, egui::Button::new("Save"));
        let button = match may {
            Ok(()) => button.on_disabled_hover_text("give it a name"),
            Err(why) => button.on_disabled_hover_text(why),
        };
        if button.clicked() || entered && is_ready {
            said = Some(body);
        }
    });
    if said.is_some() {
        name.clear();
    }
    said
}

fn viewpoint_of(gaze: &Gaze, field_of_view: f32) -> Viewpoint {
    Viewpoint {
        eye: gaze.eye.to_array().map(f64::from),
        target: gaze.pivot().to_array().map(f64::from),
        field_of_view: f64::from(field_of_view),
        hidden: Vec::new(),
        selected: Vec::new(),
        section: None,
        instant: None,
    }
}

fn gaze_of(viewpoint: &Viewpoint) -> Gaze {
    let point = |p: [f64; 3]| Vec3::from(p.map(|c| c as f32));
    let (eye, target) = (point(viewpoint.eye), point(viewpoint.target));
    let towards = target - eye;
    let level = towards.xz().length();
    let yaw = (-towards.x).atan2(-towards.z);
    Gaze { eye, yaw, pitch: towards.y.atan2(level).clamp(-1.55, 1.55), distance: towards.length().max(0.05) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_that_was_saved_looks_the_same_again() {
        let gaze = Gaze { eye: Vec3::new(3.0, 9.0, -4.0), yaw: 0.7, pitch: -0.5, distance: 12.0 };
        let viewpoint = viewpoint_of(&gaze, 0.87);
        assert!(viewpoint.is_sound());
        let again = gaze_of(&viewpoint);
        assert!((again.forward() - gaze.forward()).length() < 1e-4 && (again.pivot() - gaze.pivot()).length() < 1e-3);
        assert!((again.eye - gaze.eye).length() < 1e-4 && (again.yaw - gaze.yaw).abs() < 1e-4);
    }
}
