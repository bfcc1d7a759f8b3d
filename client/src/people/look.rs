//! The people at the site as a list, and looking through the eyes of one of them: the desktop's camera is then where their
//! head is and looks where they look, until it is moved by hand, they leave, or Esc. Their head's tilt is left out: on a
//! screen that stands still it makes people ill.

use bevy::prelude::*;
use bevy_egui::egui::{self, RichText};
use bevy_egui::{EguiContexts, EguiPrimaryContextPass};
use gemba_net::{PeerNumber, Pose};
use gemba_twin::peer::PeerKind;

use super::{People, Person};
use crate::camera::{CameraMode, Gaze};
use crate::plant::PlantProgress;
use crate::schedule::{Frame, Screen};
use crate::site::Site;
use crate::theme;
use crate::toasts::Toast;
use crate::view::PlantView;

/// People listed at most.
const LISTED: usize = 200;
/// How far ahead lies what somebody else looks at, metres: what the camera turns about afterwards.
const AHEAD: f32 = 3.0;

/// Whose eyes this person looks through.
#[derive(Resource, Debug, Default, Clone, PartialEq)]
pub struct LookingThrough {
    /// The name of whom to begin with as soon as they are here and the plant is shown.
    awaited: Option<String>,
    whose: Option<PeerNumber>,
    /// How the camera moved before, and how it was put last: who moves it has had enough.
    before: CameraMode,
    put: Option<Gaze>,
}

impl LookingThrough {
    /// Begins with the person of this name.
    pub(crate) fn begin_with(awaited: Option<String>) -> Self {
        Self { awaited, ..default() }
    }

    /// The one that is awaited, once they have shown where they are.
    fn come(&self, people: &People) -> Option<PeerNumber> {
        let name = self.awaited.as_ref()?;
        let is_seen = |person: &&Person| person.info.name == *name && person.poses[1].is_some();
        people.0.values().find(is_seen).map(|person| person.info.number)
    }

    /// Whose, if anybody's.
    pub fn whose(&self) -> Option<PeerNumber> {
        self.whose
    }
}

/// Asks to show the list of people, or to hide it.
#[derive(Message, Debug, Clone, Copy)]
pub struct TogglePeople;

/// Asks to look through somebody's eyes, or through one's own again.
#[derive(Message, Debug, Clone, Copy)]
pub struct LookThrough(pub Option<PeerNumber>);

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<LookingThrough>()
        .add_message::<TogglePeople>()
        .add_message::<LookThrough>()
        .add_systems(Update, look.in_set(Frame::Mirror))
        .add_systems(EguiPrimaryContextPass, (list, banner).chain().in_set(Screen::People));
}

/// Puts the camera where their head is.
fn look(
    mut looking: ResMut<LookingThrough>,
    mut asked: MessageReader<LookThrough>,
    mut gaze: ResMut<Gaze>,
    mut mode: ResMut<CameraMode>,
    mut toasts: MessageWriter<Toast>,
    people: Res<People>,
    progress: Res<PlantProgress>,
    keys: Res<ButtonInput<KeyCode>>,
) {
    let come = looking.come(&people).filter(|_| *progress == PlantProgress::Ready).map(|come| LookThrough(Some(come)));
    if let Some(LookThrough(whose)) = asked.read().last().copied().or(come) {
        let before = if looking.whose.is_some() { looking.before } else { *mode };
        looking.set_if_neq(LookingThrough { awaited: None, whose, before, put: None });
        mode.set_if_neq(if whose.is_some() { CameraMode::Fly } else { before });
    }
    let Some(whose) = looking.whose else { return };
    let person = people.0.get(&whose.0);
    let is_moved = looking.put.is_some_and(|put| put != *gaze);
    if person.is_none() || is_moved || keys.just_pressed(KeyCode::Escape) {
        if person.is_none() {
            toasts.write(Toast::plain("Whose eyes you looked through has left"));
        }
        mode.set_if_neq(looking.before);
        *looking = LookingThrough::default();
        return;
    }
    if let Some((_, pose)) = person.and_then(|person| person.poses[1].as_ref()) {
        let seen = gaze_of(pose);
        gaze.set_if_neq(seen);
        looking.put = Some(seen);
    }
}

/// The view that this head has.
fn gaze_of(pose: &Pose) -> Gaze {
    let rotation = Quat::from_array(pose.head.rotation).normalize();
    let (yaw, pitch, _) = rotation.to_euler(EulerRot::YXZ);
    let mut gaze = Gaze { eye: pose.head.place.into(), yaw: 0.0, pitch: 0.0, distance: AHEAD };
    gaze.turn(yaw, pitch);
    gaze
}

fn list(
    mut contexts: EguiContexts,
    mut is_open: Local<bool>,
    mut toggles: MessageReader<TogglePeople>,
    mut look: MessageWriter<LookThrough>,
    people: Res<People>,
    site: Res<Site>,
    looking: Res<LookingThrough>,
    view: Res<PlantView>,
) -> Result {
    *is_open ^= toggles.read().count() % 2 == 1;
    let ctx = contexts.ctx_mut()?;
    egui::Window::new("People")
        .open(&mut is_open)
        .collapsible(false)
        .resizable(false)
        .default_width(280.0)
        .pivot(egui::Align2::RIGHT_TOP)
        .default_pos(view.rect.right_top() + egui::vec2(-14.0, 14.0))
        .show(ctx, |ui| {
            let persons = people.0.iter().filter(|(_, person)| person.info.kind == PeerKind::Person);
            let mut here: Vec<(PeerNumber, &Person)> = persons.map(|(n, person)| (PeerNumber(*n), person)).collect();
            here.sort_by_key(|(_, person)| person.info.name.to_lowercase());
            if here.is_empty() {
                ui.label(RichText::new("Nobody else is here.").color(theme::QUIET));
            }
            egui::ScrollArea::vertical().max_height(320.0).show(ui, |ui| {
                for (number, person) in here.into_iter().take(LISTED) {
                    let is_on = looking.whose == Some(number);
                    if row(ui, person, is_on, &site) {
                        look.write(LookThrough((!is_on).then_some(number)));
                    }
                }
            });
        });
    Ok(())
}

/// One person. Returns whether the button was pressed.
fn row(ui: &mut egui::Ui, person: &Person, is_on: bool, site: &Site) -> bool {
    let mut pressed = false;
    ui.horizontal(|ui| {
        let colour = theme::person_colour(&person.info.key);
        ui.label(RichText::new("●").color(colour));
        ui.vertical(|ui| {
            ui.label(&person.info.name);
            ui.label(RichText::new(doing(person, site)).size(11.0).color(theme::QUIET));
        });
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            let words = if is_on { "Own eyes" } else { "Their eyes" };
            let button = ui.add_enabled(person.poses[1].is_some(), egui::Button::selectable(is_on, words));
            let button = button.on_disabled_hover_text("they have not been seen yet");
            pressed = button.on_hover_text("look through their eyes").clicked();
        });
    });
    pressed
}

/// Where they are and what they have selected.
fn doing(person: &Person, site: &Site) -> String {
    let in_headset = person.poses[1].as_ref().is_some_and(|(_, pose)| pose.hands.iter().any(Option::is_some));
    let at = if in_headset { "in the headset" } else { "on a desktop" };
    let selected = person.selected.and_then(|id| site.find_id(id)).and_then(|thing| site.thing(thing));
    selected.map_or_else(|| at.to_owned(), |thing| format!("{at}, at {}", thing.path.name()))
}

/// Whose eyes one looks through, so that nobody takes the view for their own.
fn banner(
    mut contexts: EguiContexts,
    mut look: MessageWriter<LookThrough>,
    looking: Res<LookingThrough>,
    people: Res<People>,
    view: Res<PlantView>,
) -> Result {
    let person = looking.whose.and_then(|whose| people.0.get(&whose.0));
    let Some(person) = person else { return Ok(()) };
    let colour = theme::person_colour(&person.info.key);
    let ctx = contexts.ctx_mut()?;
    let painter = ctx.layer_painter(egui::LayerId::background()).with_clip_rect(view.rect);
    painter.rect_stroke(view.rect, 0.0, egui::Stroke::new(3.0, colour), egui::StrokeKind::Inside);
    let area = egui::Area::new("looking through".into())
        .order(egui::Order::Foreground)
        .pivot(egui::Align2::CENTER_TOP)
        .fixed_pos(view.rect.center_top() + egui::vec2(0.0, 14.0));
    area.show(ctx, |ui| {
        let frame = egui::Frame::NONE.fill(theme::PANEL).corner_radius(8).inner_margin(egui::Margin::symmetric(10, 6));
        frame.stroke(egui::Stroke::new(1.0, colour)).show(ui, |ui| {
            ui.horizontal(|ui| {
                ui.label(format!("Through {}'s eyes", person.info.name));
                if ui.button("Own eyes").on_hover_text("Esc, or move the camera").clicked() {
                    look.write(LookThrough(None));
                }
            });
        });
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use gemba_net::TrackedPoint;

    #[test]
    fn the_camera_looks_where_the_head_looks_and_stays_level() {
        let head = Quat::from_rotation_y(0.7) * Quat::from_rotation_x(-0.4);
        let tilted = head * Quat::from_rotation_z(0.3);
        let point = TrackedPoint { place: [1.0, 1.6, -2.0], rotation: tilted.to_array() };
        let gaze = gaze_of(&Pose { head: point, hands: [None, None], pointer: None });
        assert!((gaze.forward() - tilted * Vec3::NEG_Z).length() < 1e-4, "{gaze:?}");
        assert_eq!(gaze.eye, Vec3::new(1.0, 1.6, -2.0));
        assert!((gaze.rotation() * Vec3::X).y.abs() < 1e-5, "level");
    }
}
