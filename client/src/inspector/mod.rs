//! The inspector, at the right while something is selected: what it is, every tag of it and of its parts with value,
//! unit, quality, source time and age, and curves of the last minutes. One that is pinned stays open (`pinned`).

use bevy::ecs::system::SystemParam;
use bevy::prelude::*;
use bevy_egui::egui::{self, RichText};
use bevy_egui::{EguiContexts, EguiPrimaryContextPass};
use gemba_twin::path::TagId;
use gemba_twin::thing::{Class, Level};

use crate::free_rect::FreeRect;
use crate::link::Connection;
use crate::readings::Readings;
use crate::schedule::{Frame, Screen};
use crate::selection::{SelectThing, Selection};
use crate::site::{Site, ThingIndex};
use crate::state_mark::StateMark;
use crate::theme;

mod clock;
mod curve;
mod pinned;
mod subject;
mod table;
mod trend;

pub use pinned::{AllSlotsTaken, PinPass, PinScreen, Pinned, SCREEN, SLOT, SLOTS, slot_rect};
use subject::Subject;

/// How much of what is old still shows through.
const STALE_OPACITY: f32 = 0.45;

/// One thing's inspector.
struct Page {
    subject: Subject,
    window: trend::Window,
}

/// What somebody asks for on a page.
enum Asked {
    /// It is to close.
    Close,
    /// It is to stay open, or not any more.
    Pin,
    /// Another thing.
    Select(ThingIndex),
}

#[derive(SystemParam)]
struct Shown<'w> {
    site: Res<'w, Site>,
    readings: Res<'w, Readings>,
    connection: Res<'w, Connection>,
    stale: Res<'w, StaleSince>,
    time: Res<'w, Time<Real>>,
}

/// The tags whose curves are shown now, in ascending order.
#[derive(Resource, Default, Debug, PartialEq, Eq)]
pub struct PlottedTags(pub Vec<TagId>);

/// The inspector of what is selected.
#[derive(Resource, Default)]
struct SelectedPage(Option<Page>);

/// Since when nothing was heard from the host, seconds since the start; none while something is.
#[derive(Resource, Default, Debug)]
struct StaleSince(Option<f64>);

pub(crate) fn plugin(app: &mut App) {
    app.init_resource::<PlottedTags>()
        .init_resource::<SelectedPage>()
        .init_resource::<StaleSince>()
        .add_plugins(pinned::plugin)
        .add_systems(Update, (note_stale, renew).chain().in_set(Frame::Present))
        .add_systems(EguiPrimaryContextPass, show.in_set(Screen::Right));
}

fn note_stale(mut stale: ResMut<StaleSince>, readings: Res<Readings>, time: Res<Time<Real>>) {
    stale.0 = readings.is_stale().then(|| stale.0.unwrap_or(time.elapsed_secs_f64()));
}

/// Pages are about what the site says now, and their curves are told finely.
fn renew(
    mut page: ResMut<SelectedPage>,
    mut pinned: ResMut<Pinned>,
    mut plotted: ResMut<PlottedTags>,
    selection: Res<Selection>,
    site: Res<Site>,
) {
    let selected = selection.0.filter(|thing| site.thing(*thing).is_some());
    if page.0.as_ref().map(|page| page.subject.thing) != selected {
        let window = page.0.take().map(|page| page.window);
        page.0 = selected.map(|thing| Page::of(&site, thing, window));
    }
    page.0.iter_mut().for_each(|page| page.renew(&site));
    pinned.renew(&site);
    let mut shown: Vec<TagId> =
        page.0.iter().chain(pinned.pages()).flat_map(|page| page.subject.plotted.iter().copied()).collect();
    shown.sort_unstable();
    shown.dedup();
    plotted.set_if_neq(PlottedTags(shown));
}

fn show(
    mut contexts: EguiContexts,
    mut free: ResMut<FreeRect>,
    mut page: ResMut<SelectedPage>,
    mut pinned: ResMut<Pinned>,
    mut select: MessageWriter<SelectThing>,
    shown: Shown,
) -> Result {
    let Some(page) = &mut page.0 else { return Ok(()) };
    let thing = page.subject.thing;
    let mut ui = free.ui(contexts.ctx_mut()?, "inspector");
    let side = egui::Panel::right("inspector").resizable(true).default_size(300.0).size_range(260.0..=620.0);
    let pin = PinButton { is_on: pinned.has(thing), is_offered: pinned.has(thing) || pinned.has_room() };
    let inner = side.show(&mut ui, |ui| {
        ui.add_space(6.0);
        page.show(ui, &shown, Some(pin))
    });
    free.take(inner.response.rect);
    match inner.inner {
        Some(Asked::Close) => drop(select.write(SelectThing(None))),
        Some(Asked::Select(thing)) => drop(select.write(SelectThing(Some(thing)))),
        Some(Asked::Pin) if pinned.has(thing) => pinned.unpin(thing),
        // It is offered only while there is room.
        Some(Asked::Pin) => drop(pinned.pin(&shown.site, thing)),
        None => {}
    }
    Ok(())
}

/// The button that has the inspector stay open.
#[derive(Clone, Copy)]
struct PinButton {
    is_on: bool,
    is_offered: bool,
}

impl Page {
    fn of(site: &Site, thing: ThingIndex, window: Option<trend::Window>) -> Self {
        Self { subject: Subject::of(site, thing), window: window.unwrap_or(trend::Window::OneMinute) }
    }

    /// An edit of a thing leaves the curves as they were chosen.
    fn renew(&mut self, site: &Site) {
        if self.subject.revision != site.revision {
            self.subject = Subject::of(site, self.subject.thing).with_curves_of(&self.subject);
        }
    }

    fn show(&mut self, ui: &mut egui::Ui, shown: &Shown, pin: Option<PinButton>) -> Option<Asked> {
        if let Some(since) = shown.stale.0.filter(|_| shown.connection.is_site()) {
            let secs = shown.time.elapsed_secs_f64() - since;
            let words = format!("stale: no word from the host for {secs:.0} s");
            ui.label(RichText::new(words).color(theme::WARNING));
            ui.multiply_opacity(STALE_OPACITY);
        }
        let asked = header(ui, self.subject.thing, shown, pin);
        ui.separator();
        if let Some(tag) = body(ui, &self.subject, &mut self.window, shown) {
            self.subject.toggle(tag);
        }
        asked
    }
}

/// Name, path, class, level and state. Returns what was asked for there.
fn header(ui: &mut egui::Ui, index: ThingIndex, shown: &Shown, pin: Option<PinButton>) -> Option<Asked> {
    let thing = shown.site.thing(index)?;
    let mut asked = None;
    ui.horizontal(|ui| {
        let buttons = if pin.is_some() { 64.0 } else { 24.0 };
        ui.allocate_ui(egui::vec2(ui.available_width() - buttons, 24.0), |ui| {
            ui.add(egui::Label::new(RichText::new(thing.path.name()).size(19.0).strong()).truncate());
        });
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            let close = if pin.is_some() { "select nothing (Esc)" } else { "close" };
            if ui.button("×").on_hover_text(close).clicked() {
                asked = Some(Asked::Close);
            }
            let Some(PinButton { is_on, is_offered }) = pin else { return };
            let button = ui.add_enabled(is_offered, egui::Button::selectable(is_on, "Pin"));
            let full = format!("{SLOTS} are pinned already: close one of them");
            let button = button.on_hover_text("keep this open whatever is selected").on_disabled_hover_text(full);
            if button.clicked() {
                asked = Some(Asked::Pin);
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
                asked = Some(Asked::Select(at));
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
        let height = wanted.min(room_for_curves(ui.available_height(), subject.rows.len()));
        let panel = egui::Panel::bottom(ui.id().with("trends"))
            .exact_size(height)
            .resizable(false)
            .frame(egui::Frame::NONE.inner_margin(2));
        panel.show(ui, |ui| trend::show(ui, &subject.plotted, window, &shown.site, &shown.readings));
    }
    table::show(ui, subject, &shown.site, &shown.readings)
}

/// Height that curves may take of what there is, points: what the table leaves, and more than half in any case.
fn room_for_curves(all: f32, rows: usize) -> f32 {
    (all - rows as f32 * table::ROW - 12.0).max(all * 0.55)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_take_what_a_short_table_leaves_and_a_long_one_leaves_them_half() {
        let two_rows = room_for_curves(400.0, 2);
        assert!(two_rows > 300.0 && two_rows + 2.0 * table::ROW < 400.0, "{two_rows}");
        assert_eq!(room_for_curves(400.0, 90), 220.0);
    }
}
