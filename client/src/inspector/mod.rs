//! What is known of the selected thing: what it is, what every tag of it and its parts reads, how good and how old that
//! is, and how it went in the last minutes.

use std::collections::HashSet;

use bevy::prelude::*;
use bevy_egui::{EguiContexts, EguiPrimaryContextPass, egui};
use gemba_twin::machine_state::MachineState;
use gemba_twin::path::TagId;
use gemba_twin::sample::Quality;

use crate::free_rect::FreeRect;
use crate::link::Connection;
use crate::readings::Readings;
use crate::schedule::Screen;
use crate::selection::{SelectThing, Selection};
use crate::site::{Site, ThingIndex};
use crate::theme;

mod trends;

/// Most tags listed for one thing: a hall has thousands, and nobody reads them here.
const TAGS: usize = 60;
/// Tags whose trend is shown unasked.
const TRENDS: usize = 2;

/// The panel's state.
#[derive(Resource, Default)]
struct Inspector {
    shown_for: Option<ThingIndex>,
    tags: Vec<TagId>,
    more: usize,
    plotted: HashSet<TagId>,
    minutes: f64,
    built_for: u64,
}

pub(crate) fn plugin(app: &mut App) {
    app.insert_resource(Inspector { minutes: 1.0, ..default() })
        .add_systems(EguiPrimaryContextPass, show.in_set(Screen::Right));
}

fn show(
    mut contexts: EguiContexts,
    mut free: ResMut<FreeRect>,
    mut inspector: ResMut<Inspector>,
    mut select: MessageWriter<SelectThing>,
    site: Res<Site>,
    selection: Res<Selection>,
    readings: Res<Readings>,
    connection: Res<Connection>,
) -> Result {
    let Some(thing) = selection.0 else { return Ok(()) };
    inspector.gather(thing, &site, &readings);
    let ctx = contexts.ctx_mut()?;
    let width = (free.0.width() * 0.4).min(320.0);
    let mut ui = free.ui(ctx, "inspector");
    let panel = egui::Panel::right("inspector").default_size(width).max_size(480.0).show(&mut ui, |ui| {
        if let Some(clicked) = header(ui, thing, &site, &readings) {
            select.write(SelectThing(Some(clicked)));
        }
        if readings.stale && connection.is_site() {
            ui.colored_label(theme::WARNING, "stale: no word from the host; these values are old");
        }
        egui::ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            tags(ui, &mut inspector, thing, &site, &readings);
            ui.add_space(8.0);
            let Inspector { minutes, tags, plotted, .. } = &mut *inspector;
            trends::show(ui, minutes, tags, plotted, &site, &readings);
        });
    });
    free.take(panel.response.rect);
    Ok(())
}

impl Inspector {
    /// Lists the tags of the thing and its parts, and chooses the first trends.
    fn gather(&mut self, thing: ThingIndex, site: &Site, readings: &Readings) {
        if self.shown_for == Some(thing) && self.built_for == site.revision {
            return;
        }
        let all: Vec<TagId> = site.subtree(thing).into_iter().flat_map(|part| site.tags_of(part).to_vec()).collect();
        self.more = all.len().saturating_sub(TAGS);
        self.tags = all.into_iter().take(TAGS).collect();
        // What varies and has a unit is worth a curve: levels and temperatures before on and off.
        let worth = |id: &&TagId| {
            let has_unit = site.tag(**id).is_some_and(|tag| !tag.unit.symbol().is_empty());
            has_unit && readings.number(**id).is_some()
        };
        self.plotted = self.tags.iter().filter(worth).take(TRENDS).copied().collect();
        self.shown_for = Some(thing);
        self.built_for = site.revision;
    }
}

/// Name, place and state; an ancestor that was clicked.
fn header(ui: &mut egui::Ui, index: ThingIndex, site: &Site, readings: &Readings) -> Option<ThingIndex> {
    let thing = site.thing(index)?;
    ui.add_space(4.0);
    ui.label(egui::RichText::new(thing.path.name()).size(18.0).strong());
    let mut clicked = None;
    ui.horizontal_wrapped(|ui| {
        let mut above = Vec::new();
        let mut at = site.parent(index);
        while let Some(parent) = at {
            above.push(parent);
            at = site.parent(parent);
        }
        for parent in above.into_iter().rev() {
            let name = site.thing(parent).map_or("", |t| t.path.name());
            if ui.link(egui::RichText::new(format!("{name} /")).small()).clicked() {
                clicked = Some(parent);
            }
        }
    });
    ui.horizontal(|ui| {
        let words = format!("{:?}, {:?}", thing.class, thing.level).to_lowercase();
        ui.colored_label(theme::QUIET, words);
        let sample = site.tag_named(index, "State").and_then(|tag| readings.newest(tag));
        let state = sample.filter(|s| s.quality != Quality::Bad).and_then(|s| MachineState::from_value(s.value.as_ref()?));
        if let Some(state) = state {
            ui.colored_label(theme::state_colour(state), format!("{} {}", state.mark(), state.label()));
        }
    });
    ui.separator();
    clicked
}

fn tags(ui: &mut egui::Ui, inspector: &mut Inspector, thing: ThingIndex, site: &Site, readings: &Readings) {
    if inspector.tags.is_empty() {
        ui.colored_label(theme::QUIET, "no tags");
        return;
    }
    let prefix = site.thing(thing).map_or(0, |t| t.path.as_str().len() + 1);
    let Inspector { tags, plotted, .. } = inspector;
    egui::Grid::new("tags").num_columns(4).striped(true).spacing([8.0, 3.0]).show(ui, |ui| {
        for heading in ["", "tag", "value", "age  (UTC)"] {
            ui.label(egui::RichText::new(heading).small().color(theme::QUIET));
        }
        ui.end_row();
        for id in tags.iter() {
            let Some(tag) = site.tag(*id) else { continue };
            let mut wanted = plotted.contains(id);
            if ui.checkbox(&mut wanted, "").on_hover_text("show the trend").changed() {
                if wanted { plotted.insert(*id) } else { plotted.remove(id) };
            }
            let path = tag.path.as_str();
            ui.add(egui::Label::new(path.get(prefix..).unwrap_or(path)).truncate()).on_hover_text(path);
            value(ui, *id, tag, readings);
            age(ui, *id, readings);
            ui.end_row();
        }
    });
    if inspector.more > 0 {
        ui.colored_label(theme::QUIET, format!("and {} more; select a part to see them", inspector.more));
    }
}

/// Value and unit, where it lies in its range, and the quality in words unless it is good.
fn value(ui: &mut egui::Ui, id: TagId, tag: &gemba_twin::tag::Tag, readings: &Readings) {
    let Some(sample) = readings.newest(id) else {
        ui.colored_label(theme::QUIET, "not yet");
        return;
    };
    let colour = if readings.stale { theme::QUIET } else { theme::quality_colour(sample.quality) };
    ui.vertical(|ui| {
        let text = sample.value.as_ref().map_or("–".to_owned(), ToString::to_string);
        let unit = tag.unit.symbol();
        ui.label(egui::RichText::new(format!("{text:>9} {unit}")).monospace().color(colour));
        if sample.quality != Quality::Good {
            ui.label(egui::RichText::new(format!("⚠ {}", sample.quality.label())).small().color(colour));
        }
        if let (Some(range), Some(number)) = (tag.range, readings.number(id)) {
            let (rect, response) = ui.allocate_exact_size(egui::vec2(90.0, 3.0), egui::Sense::hover());
            ui.painter().rect_filled(rect, 1.0, theme::LINE);
            let mut filled = rect;
            filled.set_width(rect.width() * range.fraction(number).clamp(0.0, 1.0) as f32);
            ui.painter().rect_filled(filled, 1.0, colour);
            response.on_hover_text(format!("range {} to {} {unit}", range.low, range.high));
        }
    });
}

/// How old the value is at its source, and when that was.
fn age(ui: &mut egui::Ui, id: TagId, readings: &Readings) {
    let Some(sample) = readings.newest(id) else {
        ui.label("");
        return;
    };
    let secs = readings.age_secs(sample).max(0.0);
    let age = match secs {
        s if s < 10.0 => format!("{s:4.1} s"),
        s if s < 600.0 => format!("{s:4.0} s"),
        s => format!("{:4.0} min", s / 60.0),
    };
    let day_ms = sample.source_time.0.div_euclid(1000).rem_euclid(86_400_000);
    let (h, m, s, ms) = (day_ms / 3_600_000, day_ms / 60_000 % 60, day_ms / 1000 % 60, day_ms % 1000);
    let text = egui::RichText::new(age).monospace().small().color(theme::QUIET);
    ui.label(text).on_hover_text(format!("measured at {h:02}:{m:02}:{s:02}.{ms:03} UTC"));
}
