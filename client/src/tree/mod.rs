//! The tree of everything in the plant, at the left: search, open and close, select. `T` shows or hides it. Only the
//! rows on the screen are drawn, so that it stays quick with a hundred thousand things.

use bevy::ecs::system::SystemParam;
use bevy::prelude::*;
use bevy_egui::egui::{self, FontId, Sense};
use bevy_egui::{EguiContexts, EguiPrimaryContextPass};

use crate::camera::FrameSelection;
use crate::free_rect::FreeRect;
use crate::readings::Readings;
use crate::schedule::Screen;
use crate::selection::{SelectThing, Selection};
use crate::site::{Site, ThingIndex};
use crate::state_mark::StateMark;
use crate::theme;

mod faults;
mod icon;
mod rows;

use faults::Faults;
use rows::{Row, Rows};

/// Height of a row, points.
const ROW: f32 = 21.0;
/// How far parts stand to the right of what they are part of, points.
const INDENT: f32 = 13.0;
/// Deeper parts are not moved further to the right: there would be no room left for names.
const DEEPEST_INDENT: usize = 9;

/// On a narrower screen the tree begins closed: the plant comes first. Points.
const NARROW: f32 = 900.0;

/// Whether the tree is shown, and what is searched for.
#[derive(Resource, Debug)]
pub struct TreePanel {
    /// Whether it is shown.
    pub open: bool,
    /// The text in the search field.
    pub query: String,
}

/// What the tree remembers between frames.
#[derive(Default)]
struct Memory {
    rows: Rows,
    faults: Faults,
    selected: Option<ThingIndex>,
    /// A row that should come into sight.
    wanted: Option<ThingIndex>,
    offset: f32,
    /// Whether the width of the screen has decided how the panel begins.
    begun: bool,
}

/// What was done in the tree.
enum Did {
    Toggled(ThingIndex),
    Selected(ThingIndex),
    Framed(ThingIndex),
}

#[derive(SystemParam)]
struct Shown<'w> {
    site: Res<'w, Site>,
    readings: Res<'w, Readings>,
    selection: Res<'w, Selection>,
}

pub(crate) fn plugin(app: &mut App) {
    app.insert_resource(TreePanel { open: true, query: String::new() })
        .add_systems(EguiPrimaryContextPass, show.in_set(Screen::Left));
}

fn show(
    mut contexts: EguiContexts,
    mut free: ResMut<FreeRect>,
    mut panel: ResMut<TreePanel>,
    mut memory: Local<Memory>,
    mut select: MessageWriter<SelectThing>,
    mut frame: MessageWriter<FrameSelection>,
    shown: Shown,
    keys: Res<ButtonInput<KeyCode>>,
    time: Res<Time<Real>>,
) -> Result {
    let ctx = contexts.ctx_mut()?;
    if !std::mem::replace(&mut memory.begun, true) {
        panel.open = free.0.width() >= NARROW;
    }
    if keys.just_pressed(KeyCode::KeyT) && !ctx.egui_wants_keyboard_input() {
        panel.open = !panel.open;
    }
    memory.follow_selection(&shown, panel.open);
    if !panel.open {
        return Ok(());
    }
    memory.rows.update(&shown.site, &panel.query);
    memory.faults.update(&shown.site, &shown.readings, time.elapsed_secs_f64());
    let mut ui = free.ui(ctx, "tree");
    let side = egui::Panel::left("tree").resizable(true).default_size(240.0).size_range(150.0..=480.0);
    let inner = side.show(&mut ui, |ui| contents(ui, &mut panel.query, &mut memory, &shown));
    free.take(inner.response.rect);
    match inner.inner {
        Some(Did::Toggled(thing)) => memory.rows.toggle(thing),
        Some(Did::Selected(thing)) => {
            memory.selected = Some(thing);
            select.write(SelectThing(Some(thing)));
        }
        Some(Did::Framed(thing)) => {
            select.write(SelectThing(Some(thing)));
            frame.write(FrameSelection);
        }
        None => {}
    }
    Ok(())
}

impl Memory {
    /// What was selected elsewhere is brought into sight here.
    fn follow_selection(&mut self, shown: &Shown, open: bool) {
        if open && self.selected != shown.selection.0 {
            self.selected = shown.selection.0;
            self.wanted = self.selected;
            if let Some(thing) = self.selected {
                self.rows.reveal(&shown.site, thing);
            }
        }
    }

    /// Where to scroll to so that the wanted row is in sight; none if it is already.
    fn scroll_to_wanted(&mut self, height: f32) -> Option<f32> {
        let row = self.rows.position(self.wanted.take()?)?;
        let top = row as f32 * ROW;
        let in_sight = top >= self.offset && top + ROW <= self.offset + height;
        (!in_sight).then(|| (top - height * 0.4).max(0.0))
    }
}

fn contents(ui: &mut egui::Ui, query: &mut String, memory: &mut Memory, shown: &Shown) -> Option<Did> {
    ui.add_space(6.0);
    ui.horizontal(|ui| {
        let clear = !query.is_empty();
        let width = ui.available_width() - if clear { 28.0 } else { 0.0 };
        ui.add(egui::TextEdit::singleline(query).hint_text("search by name or path").desired_width(width));
        if clear && ui.button("✖").on_hover_text("clear the search").clicked() {
            query.clear();
            memory.wanted = memory.selected;
        }
    });
    let count = memory.rows.all().len();
    if memory.rows.searched() {
        let found = if count == 1 { "1 thing found".to_owned() } else { format!("{count} things found") };
        ui.label(egui::RichText::new(found).size(11.0).color(theme::QUIET));
    } else if shown.site.things().is_empty() {
        ui.label(egui::RichText::new("nothing known of this plant yet").color(theme::QUIET));
    }
    ui.spacing_mut().item_spacing.y = 0.0;
    let mut area = egui::ScrollArea::vertical().auto_shrink(false);
    if let Some(offset) = memory.scroll_to_wanted(ui.available_height()) {
        area = area.vertical_scroll_offset(offset);
    }
    let mut did = None;
    let output = area.show_rows(ui, ROW, count, |ui, range| {
        for row in memory.rows.all().get(range).unwrap_or_default() {
            did = show_row(ui, row, memory, shown).or(did.take());
        }
    });
    memory.offset = output.state.offset.y;
    did
}

fn show_row(ui: &mut egui::Ui, row: &Row, memory: &Memory, shown: &Shown) -> Option<Did> {
    let thing = shown.site.thing(row.thing)?;
    let (rect, response) = ui.allocate_exact_size(egui::vec2(ui.available_width(), ROW), Sense::click());
    let selected = shown.selection.0 == Some(row.thing);
    response.widget_info(|| {
        egui::WidgetInfo::selected(egui::WidgetType::SelectableLabel, true, selected, thing.path.name())
    });
    let painter = ui.painter();
    if selected {
        painter.rect_filled(rect, 3.0, ui.visuals().selection.bg_fill);
    } else if response.hovered() {
        painter.rect_filled(rect, 3.0, ui.visuals().faint_bg_color);
    }
    let left = rect.left() + 4.0 + row.depth.min(DEEPEST_INDENT) as f32 * INDENT;
    let middle = rect.center().y;
    if row.has_parts {
        triangle(painter, egui::pos2(left + 4.0, middle), row.expanded);
    }
    icon::draw(painter, egui::pos2(left + 18.0, middle), thing.class, thing.level, theme::QUIET);
    let right = state(painter, rect, row, memory, shown);
    let text = egui::Rect::from_x_y_ranges(left + 29.0..=(right - 6.0).max(left + 29.0), rect.y_range());
    let painter = painter.with_clip_rect(text.intersect(ui.clip_rect()));
    let name = painter.layout_no_wrap(thing.path.name().to_owned(), FontId::proportional(13.0), theme::TEXT);
    let after = text.left() + name.size().x + 8.0;
    painter.galley(egui::pos2(text.left(), middle - name.size().y / 2.0), name, theme::TEXT);
    if memory.rows.searched()
        && let Some((above, _)) = thing.path.as_str().rsplit_once('/')
    {
        let at = egui::pos2(after, middle);
        painter.text(at, egui::Align2::LEFT_CENTER, above, FontId::proportional(11.0), theme::QUIET);
    }
    let on_triangle = response.interact_pointer_pos().is_some_and(|at| at.x < left + 11.0);
    let response = response.on_hover_text(thing.path.as_str());
    if row.has_parts && on_triangle && response.clicked() {
        Some(Did::Toggled(row.thing))
    } else if response.double_clicked() {
        Some(Did::Framed(row.thing))
    } else {
        response.clicked().then_some(Did::Selected(row.thing))
    }
}

fn triangle(painter: &egui::Painter, at: egui::Pos2, expanded: bool) {
    let corners =
        if expanded { [(-4.0, -2.0), (4.0, -2.0), (0.0, 3.0)] } else { [(-2.0, -4.0), (3.0, 0.0), (-2.0, 4.0)] };
    let points = corners.map(|(x, y)| at + egui::vec2(x, y)).to_vec();
    painter.add(egui::Shape::convex_polygon(points, theme::QUIET, egui::Stroke::NONE));
}

/// At the right: the thing's own state, or how many machines inside it are out of order. Returns what is left of it.
fn state(painter: &egui::Painter, rect: egui::Rect, row: &Row, memory: &Memory, shown: &Shown) -> f32 {
    let mark = StateMark::of(&shown.site, &shown.readings, row.thing);
    let own = u32::from(mark.is_some_and(|m| m.urgency() == 2));
    let inside = memory.faults.below(row.thing).saturating_sub(own);
    let at = egui::pos2(rect.right() - 8.0, rect.center().y);
    let text = |text: String, colour| {
        painter.text(at, egui::Align2::RIGHT_CENTER, text, FontId::monospace(11.0), colour).left()
    };
    match mark {
        Some(mark) if inside == 0 => {
            // The word only where a person should look; the mark always.
            let words =
                if mark.urgency() > 0 { format!("{} {}", mark.label(), mark.mark()) } else { mark.mark().to_owned() };
            text(words, mark.colour())
        }
        _ if inside > 0 => text(format!("{inside} ✖"), theme::ALARM),
        _ => rect.right(),
    }
}
