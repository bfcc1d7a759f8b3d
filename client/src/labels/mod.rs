//! Labels in the scene: a machine's name, state and most telling value, beside the machine. They stay readable and
//! never pile up: the more important one gets the room. Other people's names are labels too.

use std::collections::HashMap;

use bevy::prelude::*;
use bevy_egui::egui::{Align2, Color32, FontId, Pos2, Rect, Stroke, Vec2 as Size, pos2, vec2};
use bevy_egui::{EguiContexts, EguiPrimaryContextPass};
use gemba_twin::machine_state::MachineState;
use gemba_twin::peer::PeerKind;
use gemba_twin::sample::Quality;
use gemba_twin::thing::{Class, Level};

use crate::free_rect::FreeRect;
use crate::mirror::{ThingBounds, ThingEntities};
use crate::people::People;
use crate::readings::Readings;
use crate::schedule::Screen;
use crate::selection::Selection;
use crate::site::{Site, ThingIndex};
use crate::theme;
use crate::view::{PlantCamera, PlantView};

mod place;

use place::{Candidate, place};

/// Most labels at a time.
const LABELS: usize = 40;
/// Machines farther away than this many times their own size have none.
const REACH: f32 = 45.0;
const FONT: f32 = 12.0;

/// What was shown in the last frame, so that labels keep their room rather than flicker.
#[derive(Resource, Default)]
struct Shown {
    units: Vec<ThingIndex>,
    built_for: u64,
    keep: HashMap<u64, u8>,
}

pub(crate) fn plugin(app: &mut App) {
    app.init_resource::<Shown>().add_systems(EguiPrimaryContextPass, show.in_set(Screen::Labels));
}

/// A label's text and how it is drawn.
struct Label {
    mark: Option<(Color32, MachineState)>,
    text: String,
    colour: Color32,
    anchor: Pos2,
}

fn show(
    mut contexts: EguiContexts,
    mut shown: ResMut<Shown>,
    free: Res<FreeRect>,
    view: Res<PlantView>,
    site: Res<Site>,
    things: Res<ThingEntities>,
    readings: Res<Readings>,
    selection: Res<Selection>,
    people: Res<People>,
    camera: Single<(&Camera, &GlobalTransform), With<PlantCamera>>,
    bounds: Query<(&ThingBounds, &GlobalTransform)>,
) -> Result {
    let ctx = contexts.ctx_mut()?;
    if shown.built_for != site.revision {
        let units = site.things().iter().enumerate().filter(|(_, thing)| thing.level == Level::Unit);
        shown.units = units.map(|(i, _)| ThingIndex(i)).collect();
        shown.built_for = site.revision;
    }
    let (camera, transform) = *camera;
    let on_screen = |world: Vec3| {
        let at = camera.world_to_viewport(transform, world).ok()?;
        let at = view.screen_from_viewport(at);
        view.rect.contains(at).then_some(at)
    };
    let eye = transform.translation();
    let mut labels = Vec::new();
    let mut candidates = Vec::new();
    let painter = free.ui(ctx, "labels").painter_at(view.rect);
    let measure = |text: &str, marked: bool| {
        let size = painter.layout_no_wrap(text.to_owned(), FontId::proportional(FONT), theme::TEXT).size();
        size + vec2(if marked { 26.0 } else { 12.0 }, 6.0)
    };
    for thing in shown.units.iter().copied().chain(selection.0.filter(|t| !shown.units.contains(t))) {
        let Some((bounds, place)) = things.entity(thing).and_then(|e| bounds.get(e).ok()) else { continue };
        let centre = bounds.centre_now(place);
        let distance = centre.distance(eye);
        let selected = selection.0 == Some(thing);
        if !selected && distance > REACH * bounds.half.length() {
            continue;
        }
        let Some(anchor) = on_screen(centre + Vec3::Y * bounds.half.y) else { continue };
        let label = label_of(thing, anchor, &site, &readings);
        let faulted = label.mark.is_some_and(|(_, state)| state.is_abnormal());
        let importance = if selected { 3.0 } else if faulted { 2.0 } else { 1.0 / (1.0 + distance) };
        let key = thing.0 as u64;
        candidates.push(candidate(key, importance, &shown.keep, anchor, measure(&label.text, label.mark.is_some())));
        labels.push(label);
    }
    for (number, person) in people.0.iter().filter(|(_, p)| p.info.kind == PeerKind::Person) {
        let Some((_, pose)) = &person.poses[1] else { continue };
        let Some(anchor) = on_screen(Vec3::from(pose.head.place) + Vec3::Y * 0.25) else { continue };
        let colour = theme::person_colour(&person.info.key);
        let label = Label { mark: None, text: person.info.name.clone(), colour, anchor };
        candidates.push(candidate(u64::MAX - u64::from(*number), 4.0, &shown.keep, anchor, measure(&label.text, false)));
        labels.push(label);
    }
    let placed = place(&candidates, view.rect.shrink(4.0), LABELS);
    shown.keep = placed.iter().map(|p| (candidates[p.candidate].key, p.slot)).collect();
    for place in placed {
        draw(&painter, &labels[place.candidate], place.rect);
    }
    Ok(())
}

fn candidate(key: u64, importance: f32, keep: &HashMap<u64, u8>, anchor: Pos2, size: Size) -> Candidate {
    Candidate { key, importance, anchor, size, slot_before: keep.get(&key).copied() }
}

/// Name, state and the value that says most about this class of machine.
fn label_of(index: ThingIndex, anchor: Pos2, site: &Site, readings: &Readings) -> Label {
    let (name, class) = site.thing(index).map_or(("", Class::Other), |t| (t.path.name(), t.class));
    let state = site.tag_named(index, "State").and_then(|tag| {
        let sample = readings.newest(tag).filter(|s| s.quality != Quality::Bad)?;
        MachineState::from_value(sample.value.as_ref()?)
    });
    let telling = match class {
        Class::Tank => Some("Level"),
        Class::Cnc => Some("SpindleLoad"),
        Class::Conveyor | Class::Pump => Some("Speed"),
        Class::Amr => Some("Battery"),
        Class::Valve => Some("Position"),
        _ => None,
    };
    let mut text = name.to_owned();
    if let Some(tag) = telling.and_then(|name| site.tag_named(index, name)) {
        let unit = site.tag(tag).map_or("", |t| t.unit.symbol());
        match readings.number(tag) {
            // An old number must not look like a live one.
            Some(number) if !readings.stale => text += &format!("  {number:.1} {unit}"),
            _ => text += "  –",
        }
    }
    let colour = if readings.stale { theme::QUIET } else { theme::TEXT };
    Label { mark: state.map(|s| (theme::state_colour(s), s)), text, colour, anchor }
}

fn draw(painter: &bevy_egui::egui::Painter, label: &Label, rect: Rect) {
    let foot = pos2(label.anchor.x.clamp(rect.left() + 3.0, rect.right() - 3.0), rect.bottom());
    painter.line_segment([foot, label.anchor], Stroke::new(1.0, Color32::from_white_alpha(90)));
    painter.rect_filled(rect, 3.0, Color32::from_black_alpha(185));
    let mut x = rect.left() + 6.0;
    if let Some((colour, state)) = label.mark {
        draw_mark(painter, pos2(x + 4.0, rect.center().y), colour, state);
        x += 14.0;
    }
    let at = pos2(x, rect.center().y);
    painter.text(at, Align2::LEFT_CENTER, &label.text, FontId::proportional(FONT), label.colour);
}

/// A shape of its own for each state, so that colour is never the only cue.
fn draw_mark(painter: &bevy_egui::egui::Painter, at: Pos2, colour: Color32, state: MachineState) {
    let stroke = Stroke::new(1.6, colour);
    let triangle = |direction: f32| vec![at + vec2(-3.0 * direction, -4.0), at + vec2(4.0 * direction, 0.0), at + vec2(-3.0 * direction, 4.0)];
    match state {
        MachineState::Running => {
            painter.add(bevy_egui::egui::Shape::convex_polygon(triangle(1.0), colour, Stroke::NONE));
        }
        MachineState::Starved => {
            painter.add(bevy_egui::egui::Shape::closed_line(triangle(-1.0), stroke));
        }
        MachineState::Blocked => {
            painter.add(bevy_egui::egui::Shape::closed_line(triangle(1.0), stroke));
        }
        MachineState::Faulted => {
            painter.line_segment([at + vec2(-4.0, -4.0), at + vec2(4.0, 4.0)], Stroke::new(2.2, colour));
            painter.line_segment([at + vec2(-4.0, 4.0), at + vec2(4.0, -4.0)], Stroke::new(2.2, colour));
        }
        MachineState::Idle => {
            painter.circle_stroke(at, 3.5, stroke);
        }
        MachineState::Stopped => {
            painter.rect_filled(Rect::from_center_size(at, vec2(7.0, 7.0)), 0.0, colour);
        }
    }
}
