//! Labels over the plant: what a machine is called, what it does and its one most telling value; and the names of the
//! other people. They are pictures only: a click goes through to the plant.

use std::collections::HashSet;

use bevy::ecs::system::SystemParam;
use bevy::prelude::*;
use bevy_egui::egui;
use bevy_egui::{EguiContexts, EguiPrimaryContextPass};
use gemba_twin::peer::PeerKind;
use gemba_twin::thing::{Class, Level};

use crate::mirror::{ThingBounds, ThingEntities};
use crate::people::People;
use crate::readings::Readings;
use crate::schedule::Screen;
use crate::selection::Selection;
use crate::site::{Site, ThingIndex};
use crate::state_mark::StateMark;
use crate::theme;
use crate::view::{PlantCamera, PlantView};

mod place;
mod plate;
mod words;

use place::{Candidate, Owner, Placement, Rank};
use plate::{Plate, Words};
pub(crate) use words::key_value;

/// Machines further away than this have no label unless someone should look at them, metres.
const FAR_METRES: f32 = 45.0;
/// A label that is shown stays until its machine is this much further away than it had to be to come.
const FAR_STAYS: f32 = 1.15;
/// Height of a name over a person's eyes, metres.
const OVER_HEAD: f32 = 0.32;
/// Machines that are given a label at most before places are sought: text is laid out for each.
const NEAREST: usize = 120;
/// Longest name on a label, characters.
const NAME_CHARS: usize = 32;

/// What the labels remember between frames.
#[derive(Default)]
struct Memory {
    placement: Placement,
    machines: Vec<ThingIndex>,
    /// Names that more than one machine has.
    shared_names: HashSet<String>,
    revision: Option<u64>,
}

/// What the labels are about.
#[derive(SystemParam)]
struct Shown<'w, 's> {
    site: Res<'w, Site>,
    readings: Res<'w, Readings>,
    selection: Res<'w, Selection>,
    people: Res<'w, People>,
    things: Res<'w, ThingEntities>,
    bounds: Query<'w, 's, (&'static ThingBounds, &'static GlobalTransform)>,
}

/// The camera that looks at the plant, and where its picture is on the screen.
struct Eye<'a> {
    camera: &'a Camera,
    transform: &'a GlobalTransform,
    view: &'a PlantView,
}

/// Something in sight that could have a label.
struct InSight {
    owner: Owner,
    rank: Rank,
    anchor: egui::Pos2,
    distance: f32,
}

pub(crate) fn plugin(app: &mut App) {
    app.add_systems(EguiPrimaryContextPass, show.in_set(Screen::Labels));
}

fn show(
    mut contexts: EguiContexts,
    mut memory: Local<Memory>,
    shown: Shown,
    view: Res<PlantView>,
    camera: Single<(&Camera, &GlobalTransform), With<PlantCamera>>,
    time: Res<Time<Real>>,
) -> Result {
    let ctx = contexts.ctx_mut()?;
    memory.update(&shown.site);
    let (camera, transform) = *camera;
    if !camera.is_active {
        return Ok(());
    }
    let eye = Eye { camera, transform, view: &view };
    let mut in_sight = people(&shown, &eye);
    in_sight.extend(machines(&shown, &eye, &memory));
    in_sight.sort_by(|a, b| a.rank.cmp(&b.rank).then_with(|| a.distance.total_cmp(&b.distance)));
    in_sight.truncate(NEAREST);
    let painter = ctx.layer_painter(egui::LayerId::background()).with_clip_rect(view.rect);
    let plates: Vec<Plate> = in_sight.iter().map(|seen| plate(&painter, seen, &shown, &memory.shared_names)).collect();
    let candidate = |(seen, plate): (&InSight, &Plate)| Candidate {
        owner: seen.owner,
        rank: seen.rank,
        anchor: seen.anchor,
        size: plate.size,
        distance: seen.distance,
    };
    let candidates: Vec<Candidate> = in_sight.iter().zip(&plates).map(candidate).collect();
    let placed = memory.placement.place(&candidates, view.rect.shrink(4.0), time.elapsed_secs_f64());
    // The most important one is drawn last, over the leader lines of the others.
    for label in placed.iter().rev() {
        plates[label.candidate].draw(&painter, label.rect, candidates[label.candidate].anchor, label.opacity);
    }
    Ok(())
}

impl Memory {
    fn update(&mut self, site: &Site) {
        if self.revision != Some(site.revision) {
            self.revision = Some(site.revision);
            // Workpieces are units of the record too, but a cloud of their names would hide the machines.
            let is_machine = |index: &ThingIndex| {
                site.thing(*index).is_some_and(|t| t.level == Level::Unit && t.class != Class::Workpiece)
            };
            self.machines = site.present().filter(is_machine).collect();
            let mut names = HashSet::new();
            let machines = self.machines.iter().filter_map(|index| site.thing(*index));
            let shared = machines.map(|t| t.path.name()).filter(|name| !names.insert(*name));
            self.shared_names = shared.map(str::to_owned).collect();
        }
    }
}

impl Eye<'_> {
    /// Where a place in the world is on the screen, and how far from the eye; none when it is not in the picture.
    fn see(&self, place: Vec3) -> Option<(egui::Pos2, f32)> {
        if !place.is_finite() || !self.transform.translation().is_finite() {
            return None;
        }
        let viewport = self.camera.world_to_viewport(self.transform, place).ok()?;
        let at = self.view.screen_from_viewport(viewport);
        let distance = place.distance(self.transform.translation());
        self.view.rect.contains(at).then_some((at, distance))
    }
}

fn people(shown: &Shown, eye: &Eye) -> Vec<InSight> {
    let here = shown.people.0.iter().filter(|(_, person)| person.info.kind == PeerKind::Person);
    let seen = here.filter_map(|(number, person)| {
        let (_, pose) = person.poses[1].as_ref()?;
        let (anchor, distance) = eye.see(Vec3::from(pose.head.place) + Vec3::Y * OVER_HEAD)?;
        Some(InSight { owner: Owner::Person(*number), rank: Rank::Person, anchor, distance })
    });
    seen.collect()
}

fn machines(shown: &Shown, eye: &Eye, memory: &Memory) -> Vec<InSight> {
    let selected = shown.selection.0;
    // What is selected has a label even if it is no machine.
    let other = selected.filter(|index| !memory.machines.contains(index));
    let seen = memory.machines.iter().copied().chain(other).filter_map(|index| {
        let owner = Owner::Thing(index);
        let (bounds, transform) = shown.bounds.get(shown.things.entity(index)?).ok()?;
        let top = bounds.centre_now(transform) + Vec3::Y * bounds.half.y;
        let (anchor, distance) = eye.see(top)?;
        let urgency = StateMark::of(&shown.site, &shown.readings, index).map_or(0, StateMark::urgency);
        let rank = match urgency {
            _ if selected == Some(index) => Rank::Selected,
            2 => Rank::Faulted,
            1 => Rank::Warning,
            _ => Rank::Ordinary,
        };
        let far = if memory.placement.is_shown(owner) { FAR_METRES * FAR_STAYS } else { FAR_METRES };
        (rank <= Rank::Faulted || distance < far).then_some(InSight { owner, rank, anchor, distance })
    });
    seen.collect()
}

fn plate(painter: &egui::Painter, seen: &InSight, shown: &Shown, shared_names: &HashSet<String>) -> Plate {
    let plain = |name, name_colour| Words { mark: None, place: "", name, name_colour, value: None, edge: None };
    match seen.owner {
        Owner::Person(number) => {
            let person = shown.people.0.get(&number);
            let colour = person.map_or(theme::TEXT, |p| theme::person_colour(&p.info.key));
            let name: String = person.map_or("", |p| p.info.name.as_str()).chars().take(NAME_CHARS).collect();
            Plate::new(painter, &Words { edge: Some(colour), ..plain(&name, colour) })
        }
        Owner::Thing(index) => {
            let state = StateMark::of(&shown.site, &shown.readings, index);
            let name = shown.site.thing(index).map_or("", |t| t.path.name());
            let name: String = name.chars().take(NAME_CHARS).collect();
            // Every line has its Robot1: the line's name tells them apart.
            let parent = shown.site.parent(index).filter(|_| shared_names.contains(&name));
            let place = parent.and_then(|parent| shown.site.thing(parent)).map_or("", |t| t.path.name());
            let place: String = place.chars().take(NAME_CHARS).collect();
            let value = words::key_value(&shown.site, &shown.readings, index);
            let edge = match seen.rank {
                Rank::Selected => Some(theme::ACCENT),
                Rank::Faulted => Some(theme::ALARM),
                _ => None,
            };
            let value = value.or_else(|| state.map(|state| state.label().to_owned()));
            let mark = state.map(|state| (state.mark(), state.colour()));
            Plate::new(painter, &Words { mark, place: &place, value, edge, ..plain(&name, theme::TEXT) })
        }
    }
}
