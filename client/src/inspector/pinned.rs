//! Inspectors that stay open whatever is selected: windows on the desktop. Whoever has a better place for them, as the
//! headset has beside the machines, gives a [`PinScreen`]: then each is drawn into its slot there, and there are no windows.

use bevy::ecs::schedule::ScheduleLabel;
use bevy::prelude::*;
use bevy_egui::egui::{self, Rect, pos2, vec2};
use bevy_egui::{EguiContext, EguiContexts, EguiPrimaryContextPass};

use super::{Asked, Page, Shown};
use crate::schedule::Screen;
use crate::selection::SelectThing;
use crate::site::{Site, ThingIndex};
use crate::theme;
use crate::view::PlantView;

/// Most at once: more would hide the plant, and each has a slot.
pub const SLOTS: usize = 4;
/// Size of a slot, and of a window at first, points.
pub const SLOT: egui::Vec2 = vec2(320.0, 420.0);
/// Slots side by side on a [`PinScreen`].
const COLUMNS: usize = 2;
/// Size of a [`PinScreen`], points.
pub const SCREEN: egui::Vec2 = vec2(SLOT.x * COLUMNS as f32, SLOT.y * SLOTS.div_ceil(COLUMNS) as f32);
/// A window can be made so narrow, points.
const NARROWEST: f32 = 260.0;
/// Between two windows, points, and from the upper edge of one to that of one below which it does not fit.
const GAP: f32 = 12.0;
const STAGGER: f32 = 34.0;

/// What is pinned, by slots: each keeps its own until it is let go.
#[derive(Resource, Default)]
pub struct Pinned([Option<Page>; SLOTS]);

/// Something cannot be pinned: there are as many as there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AllSlotsTaken;

impl Pinned {
    /// Which thing is in which slot.
    pub fn things(&self) -> [Option<ThingIndex>; SLOTS] {
        self.0.each_ref().map(|page| page.as_ref().map(|page| page.subject.thing))
    }

    /// Whether this thing's inspector stays open.
    pub fn has(&self, thing: ThingIndex) -> bool {
        self.things().contains(&Some(thing))
    }

    /// Whether another finds room.
    pub fn has_room(&self) -> bool {
        self.0.iter().any(Option::is_none)
    }

    /// Keeps the inspector of a thing open.
    pub fn pin(&mut self, site: &Site, thing: ThingIndex) -> Result<(), AllSlotsTaken> {
        if !self.has(thing) {
            let free = self.0.iter_mut().find(|slot| slot.is_none()).ok_or(AllSlotsTaken)?;
            *free = Some(Page::of(site, thing, None));
        }
        Ok(())
    }

    /// Lets it close.
    pub fn unpin(&mut self, thing: ThingIndex) {
        for slot in &mut self.0 {
            slot.take_if(|page| page.subject.thing == thing);
        }
    }

    /// The pages that are there.
    pub(super) fn pages(&self) -> impl Iterator<Item = &Page> {
        self.0.iter().flatten()
    }

    /// Each is about what the site says now; what is not there any more is let go.
    pub(super) fn renew(&mut self, site: &Site) {
        for slot in &mut self.0 {
            slot.take_if(|page| site.thing(page.subject.thing).is_none());
            slot.iter_mut().for_each(|page| page.renew(site));
        }
    }
}

/// A context of egui, of the size of [`SCREEN`], into which all that is pinned is drawn; its schedule is [`PinPass`].
#[derive(Component, Debug, Clone, Copy)]
pub struct PinScreen;

/// Draws a [`PinScreen`].
#[derive(ScheduleLabel, Debug, Clone, PartialEq, Eq, Hash)]
pub struct PinPass;

/// Where a slot is on a [`PinScreen`], points.
pub fn slot_rect(slot: usize) -> Rect {
    let corner = pos2((slot % COLUMNS) as f32 * SLOT.x, (slot / COLUMNS) as f32 * SLOT.y);
    Rect::from_min_size(corner, SLOT)
}

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Pinned>()
        .add_systems(
            EguiPrimaryContextPass,
            show_windows.in_set(Screen::Pinned).run_if(not(any_with_component::<PinScreen>)),
        )
        .add_systems(PinPass, show_slots);
}

fn show_windows(
    mut contexts: EguiContexts,
    mut pinned: ResMut<Pinned>,
    mut select: MessageWriter<SelectThing>,
    shown: Shown,
    view: Res<PlantView>,
) -> Result {
    let ctx = contexts.ctx_mut()?;
    let mut asked = Vec::new();
    for (slot, page) in pinned.bypass_change_detection().0.iter_mut().enumerate() {
        let Some(page) = page else { continue };
        let size = SLOT.min(view.rect.size() * 0.9);
        let window = egui::Window::new("pinned")
            .id(egui::Id::new(("pinned", page.subject.thing.0)))
            .title_bar(false)
            .constrain_to(view.rect)
            .default_pos(corner(slot, view.rect))
            .default_size(size)
            .min_width(NARROWEST.min(size.x));
        let inner = window.show(ctx, |ui| page.show(ui, &shown, None));
        asked.extend(inner.and_then(|inner| inner.inner?).map(|what| (page.subject.thing, what)));
    }
    carry_out(asked, &mut pinned, &mut select);
    Ok(())
}

/// Where a window is at first: beside the others while they fit, then over them so that the upper edge of each is seen.
fn corner(slot: usize, view: Rect) -> egui::Pos2 {
    let columns = ((view.width() - GAP) / (SLOT.x + GAP)).floor().max(1.0) as usize;
    let (column, row) = ((slot % columns) as f32, (slot / columns) as f32);
    view.min + vec2(GAP, GAP) + vec2(column * (SLOT.x + GAP), row * STAGGER)
}

fn show_slots(
    mut pinned: ResMut<Pinned>,
    mut select: MessageWriter<SelectThing>,
    shown: Shown,
    mut screen: Single<&mut EguiContext, With<PinScreen>>,
) {
    let ctx = screen.get_mut().clone();
    theme::clothe(&ctx);
    let mut asked = Vec::new();
    for (slot, page) in pinned.bypass_change_detection().0.iter_mut().enumerate() {
        let Some(page) = page else { continue };
        let rect = slot_rect(slot);
        let layer = egui::UiBuilder::new().layer_id(egui::LayerId::background()).max_rect(rect);
        let mut ui = egui::Ui::new(ctx.clone(), egui::Id::new(("slot", page.subject.thing.0)), layer);
        let edge = egui::Stroke::new(1.0, theme::LINE);
        ui.painter().rect(rect, 0.0, theme::PANEL, edge, egui::StrokeKind::Inside);
        let mut inner = ui.new_child(egui::UiBuilder::new().max_rect(rect.shrink(10.0)));
        asked.extend(page.show(&mut inner, &shown, None).map(|what| (page.subject.thing, what)));
    }
    carry_out(asked, &mut pinned, &mut select);
}

/// What was asked for on these pages.
fn carry_out(asked: Vec<(ThingIndex, Asked)>, pinned: &mut ResMut<Pinned>, select: &mut MessageWriter<SelectThing>) {
    for (thing, what) in asked {
        match what {
            Asked::Close | Asked::Pin => pinned.unpin(thing),
            Asked::Select(thing) => drop(select.write(SelectThing(Some(thing)))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_begin_beside_each_other_and_never_one_right_over_another() {
        for width in [300.0, 740.0, 1900.0] {
            let view = Rect::from_min_size(pos2(240.0, 32.0), vec2(width, 620.0));
            let all = [0, 1, 2, 3].map(|slot| corner(slot, view));
            assert!(all.iter().enumerate().all(|(n, at)| !all[n + 1..].contains(at)), "{all:?}");
            let beside = all.windows(2).filter(|two| two[1].x - two[0].x >= SLOT.x).count();
            assert_eq!(
                beside,
                if width < 400.0 {
                    0
                } else if width < 800.0 {
                    2
                } else {
                    3
                }
            );
        }
    }

    #[test]
    fn slots_lie_side_by_side_on_their_screen_and_nowhere_over_each_other() {
        let all = [0, 1, 2, 3].map(slot_rect);
        let screen = Rect::from_min_size(pos2(0.0, 0.0), SCREEN);
        for (n, rect) in all.iter().enumerate() {
            assert!(screen.contains_rect(*rect) && rect.size() == SLOT);
            assert!(all[n + 1..].iter().all(|other| !rect.shrink(0.1).intersects(*other)));
        }
    }
}
