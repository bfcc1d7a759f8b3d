//! The inspector, at the right while something is selected: what it is, every tag of it and of its parts with value,
//! unit, quality, source time and age, and curves of the last minutes.

use bevy::ecs::system::SystemParam;
use bevy::prelude::*;
use bevy_egui::egui::{self, RichText};
use bevy_egui::{EguiContexts, EguiPrimaryContextPass};
use gemba_twin::path::TagId;
use gemba_twin::thing::{Class, Level};

use crate::free_rect::FreeRect;
use crate::link::Connection;
use crate::readings::Readings;
use crate::schedule::Screen;
use crate::selection::{SelectThing, Selection};
use crate::site::{Site, ThingIndex};
use crate::state_mark::StateMark;
use crate::theme;

mod clock;
mod curve;
mod subject;
mod table;
mod trend;

use subject::Subject;

/// How much of what is old still shows through.
const STALE_OPACITY: f32 = 0.45;

/// What the inspector remembers between frames.
struct Memory {
    subject: Option<Subject>,
    window: trend::Window,
    stale_since: Option<f64>,
}

impl Default for Memory {
    fn default() -> Self {
        Self { subject: None, window: trend::Window::OneMinute, stale_since: None }
    }
}

#[derive(SystemParam)]
struct Shown<'w> {
    site: Res<'w, Site>,
    readings: Res<'w, Readings>,
    selection: Res<'w, Selection>,
    connection: Res<'w, Connection>,
}

/// The tags whose curves are shown now, in ascending order.
#[derive(Resource, Default, Debug, PartialEq, Eq)]
pub struct PlottedTags(pub Vec<TagId>);

pub(crate) fn plugin(app: &mut App) {
    app.init_resource::<PlottedTags>().add_systems(EguiPrimaryContextPass, show.in_set(Screen::Right));
}

fn show(
    mut contexts: EguiContexts,
    mut free: ResMut<FreeRect>,
    mut memory: Local<Memory>,
    mut select: MessageWriter<SelectThing>,
    mut plotted: ResMut<PlottedTags>,
    shown: Shown,
    time: Res<Time<Real>>,
) -> Result {
    let now_secs = time.elapsed_secs_f64();
    let memory = &mut *memory;
    let stale_since = *memory.stale_since.get_or_insert(now_secs);
    if !shown.readings.is_stale() {
        memory.stale_since = None;
    }
    let selected = shown.selection.0.filter(|thing| shown.site.thing(*thing).is_some());
    let known = memory.subject.as_ref().map(|s| (s.thing, s.revision));
    if known != selected.map(|thing| (thing, shown.site.revision)) {
        let before = memory.subject.take();
        memory.subject = selected.map(|thing| Subject::of(&shown.site, thing).with_curves_of(before));
    }
    let mut shown_now = memory.subject.as_ref().map_or_else(Vec::new, |subject| subject.plotted.clone());
    shown_now.sort_unstable();
    plotted.set_if_neq(PlottedTags(shown_now));
    let Some(subject) = &mut memory.subject else { return Ok(()) };
    let mut ui = free.ui(contexts.ctx_mut()?, "inspector");
    let side = egui::Panel::right("inspector").resizable(true).default_size(300.0).size_range(260.0..=620.0);
    let inner = side.show(&mut ui, |ui| {
        ui.add_space(6.0);
        if shown.readings.is_stale() && shown.connection.is_site() {
            let words = format!("stale: no word from the host for {:.0} s", now_secs - stale_since);
            ui.label(RichText::new(words).color(theme::WARNING));
            ui.multiply_opacity(STALE_OPACITY);
        }
        let asked = header(ui, subject.thing, &shown);
        ui.separator();
        if let Some(tag) = body(ui, subject, &mut memory.window, &shown) {
            subject.toggle(tag);
        }
        asked
    });
    free.take(inner.response.rect);
    if let Some(asked) = inner.inner {
        select.write(SelectThing(asked));
    }
    Ok(())
}

/// Name, path, class, level and state. Returns what was clicked in the path.
fn header(ui: &mut egui::Ui, index: ThingIndex, shown: &Shown) -> Option<Option<ThingIndex>> {
    let thing = shown.site.thing(index)?;
    let mut asked = None;
    ui.horizontal(|ui| {
        let width = ui.available_width() - 24.0;
        ui.allocate_ui(egui::vec2(width, 24.0), |ui| {
            ui.add(egui::Label::new(RichText::new(thing.path.name()).size(19.0).strong()).truncate());
        });
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            if ui.button("×").on_hover_text("select nothing (Esc)").clicked() {
                asked = Some(None);
            }
        });
    });
    let mut above: Vec<ThingIndex> =
        std::iter::successors(shown.site.parent(index), |at| shown.site.parent(*at)).collect();
    above.reverse();
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing.x = 4.0;
        for at in above {
            let name = shown.site.thing(at).map_or("", |t| t.path.name());
            if ui.link(RichText::new(name).size(12.0)).on_hover_text("select this").clicked() {
                asked = Some(Some(at));
            }
            ui.label(RichText::new("›").size(12.0).color(theme::QUIET));
        }
        ui.label(RichText::new(thing.path.name()).size(12.0).color(theme::QUIET));
    });
    let what = match thing.class {
        Class::Other => level_words(thing.level).to_owned(),
        class => format!("{} · {}", class_words(class), level_words(thing.level)),
    };
    ui.horizontal(|ui| {
        ui.label(RichText::new(what).size(12.0).color(theme::QUIET));
        if shown.site.is_retired(index) {
            ui.label(RichText::new("retired").size(12.0).color(theme::WARNING));
        }
        if let Some(state) = StateMark::of(&shown.site, &shown.readings, index) {
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                ui.label(RichText::new(state.label()).color(state.colour()));
                ui.label(RichText::new(state.mark()).monospace().color(state.colour()));
            });
        }
    });
    asked
}

/// The table of tags and, below it, the curves. Returns a tag whose curve was switched.
fn body(ui: &mut egui::Ui, subject: &Subject, window: &mut trend::Window, shown: &Shown) -> Option<TagId> {
    if subject.rows.is_empty() {
        let words = if shown.connection.is_site() { "It has no tags." } else { "A file has no live data." };
        ui.label(RichText::new(words).color(theme::QUIET));
        return None;
    }
    if !subject.plotted.is_empty() {
        let wanted = trend::HEADER + trend::HEIGHT * subject.plotted.len() as f32 + 8.0;
        let height = wanted.min(ui.available_height() * 0.55);
        let panel =
            egui::Panel::bottom("trends").exact_size(height).resizable(false).frame(egui::Frame::NONE.inner_margin(2));
        panel.show(ui, |ui| trend::show(ui, &subject.plotted, window, &shown.site, &shown.readings));
    }
    table::show(ui, subject, &shown.site, &shown.readings)
}

fn class_words(class: Class) -> &'static str {
    match class {
        Class::Other => "thing",
        Class::Structure => "structure",
        Class::Conveyor => "conveyor",
        Class::Robot => "robot",
        Class::Cnc => "machining cell",
        Class::Tank => "tank",
        Class::Pump => "pump",
        Class::Valve => "valve",
        Class::Pipe => "pipe",
        Class::Amr => "autonomous vehicle",
        Class::Rack => "rack",
        Class::StackLight => "stack light",
        Class::Workpiece => "workpiece",
    }
}

fn level_words(level: Level) -> &'static str {
    match level {
        Level::Site => "site",
        Level::Area => "area",
        Level::Line => "line",
        Level::Unit => "machine",
        Level::Part => "part",
    }
}
