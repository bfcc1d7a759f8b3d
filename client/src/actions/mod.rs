//! What can be done with the selected thing: a bar at the lower edge of the plant and, above it, a card for what was
//! chosen. Only what the person's role allows is offered; the rest says why not. What is done goes out as an entry
//! ([`crate::edits`]) and comes back from the record.

use bevy::ecs::system::SystemParam;
use bevy::prelude::*;
use bevy_egui::egui::{self, RichText};
use bevy_egui::{EguiContexts, EguiPrimaryContextPass};
use gemba_record::body::Body;
use gemba_twin::path::ThingId;

use crate::cursor::Cursor;
use crate::edits::Say;
use crate::link::Connection;
use crate::mirror::{Drawn, ThingBounds, ThingEntities};
use crate::plant::PlantProgress;
use crate::readings::Readings;
use crate::schedule::{Frame, Screen};
use crate::selection::Selection;
use crate::site::{Site, ThingIndex};
use crate::theme;
use crate::view::PlantView;

mod alarm;
mod command;
mod deed;
mod drag;
mod note;
mod place;
mod rename;
mod retire;

use deed::Deed;

/// Width of a card, points.
const CARD: f32 = 320.0;
/// Room between the bar and the lower edge of the plant, points.
const EDGE: f32 = 14.0;

/// What the cards show.
#[derive(SystemParam)]
struct Shown<'w, 's> {
    site: Res<'w, Site>,
    readings: Res<'w, Readings>,
    connection: Res<'w, Connection>,
    selection: Res<'w, Selection>,
    cursor: Res<'w, Cursor>,
    things: Res<'w, ThingEntities>,
    drawn: Query<'w, 's, (&'static Drawn, &'static GlobalTransform, Option<&'static ChildOf>)>,
    bounds: Query<'w, 's, &'static ThingBounds>,
    worlds: Query<'w, 's, &'static GlobalTransform>,
}

/// A card that is open.
#[derive(Debug)]
enum Card {
    Note(note::Draft),
    Rename(rename::Draft),
    Move(place::Draft),
    Retire,
    Acknowledge(alarm::Draft),
    Command(command::Draft),
}

/// Which card is open, and of which thing.
#[derive(Resource, Debug, Default)]
struct Open(Option<(ThingIndex, Card)>);

/// What came of a card in this frame.
#[derive(Debug, Default)]
struct Did {
    say: Option<Body>,
    close: bool,
}

impl Did {
    /// Says it and is done.
    fn say(body: Body) -> Self {
        Self { say: Some(body), close: true }
    }

    /// Says it and goes on.
    fn say_on(body: Body) -> Self {
        Self { say: Some(body), close: false }
    }

    /// Is done without a word.
    fn close() -> Self {
        Self { say: None, close: true }
    }
}

pub(crate) fn plugin(app: &mut App) {
    app.init_resource::<Open>()
        .add_systems(
            Update,
            (drag::drag.in_set(Frame::Edit).before(crate::edits::TakeBack), preview.in_set(Frame::Present)),
        )
        .add_systems(EguiPrimaryContextPass, show.in_set(Screen::Actions));
}

fn show(
    mut contexts: EguiContexts,
    mut open: ResMut<Open>,
    mut say: MessageWriter<Say>,
    shown: Shown,
    view: Res<PlantView>,
    progress: Res<PlantProgress>,
) -> Result {
    let selected = shown.selection.0.filter(|thing| shown.site.thing(*thing).is_some());
    if open.0.as_ref().is_some_and(|(of, _)| Some(*of) != selected) || *shown.cursor != Cursor::Live {
        open.0 = None;
    }
    let Some(thing) = selected.filter(|_| shown.connection.is_site() && *progress == PlantProgress::Ready) else {
        return Ok(());
    };
    let ctx = contexts.ctx_mut()?;
    let area = egui::Area::new("actions".into())
        .order(egui::Order::Foreground)
        .pivot(egui::Align2::CENTER_BOTTOM)
        .constrain_to(view.rect)
        .fixed_pos(view.rect.center_bottom() - egui::vec2(0.0, EDGE));
    let mut did = Did::default();
    let mut chosen = None;
    area.show(ctx, |ui| {
        ui.vertical_centered(|ui| {
            if let Some((_, card)) = &mut open.0 {
                did = card_frame(ui, |ui| show_card(ui, thing, card, &shown));
                ui.add_space(6.0);
            }
            chosen = bar(ui, thing, open.0.as_ref().map(|(_, card)| card.deed()), &shown);
        });
    });
    say.write_batch(did.say.map(Say));
    if did.close {
        open.0 = None;
    }
    if let Some(deed) = chosen {
        let is_open = open.0.as_ref().is_some_and(|(_, card)| card.deed() == deed);
        match begin(deed, thing, &shown) {
            Begun::Card(card) => open.0 = (!is_open).then_some((thing, card)),
            Begun::Said(body) => drop(say.write(Say(body))),
            Begun::Nothing => {}
        }
    }
    Ok(())
}

/// Buttons for all that can be done. Returns the one that was pressed.
fn bar(ui: &mut egui::Ui, thing: ThingIndex, open: Option<Deed>, shown: &Shown) -> Option<Deed> {
    let mut chosen = None;
    let frame = egui::Frame::NONE.fill(theme::PANEL).corner_radius(8).inner_margin(egui::Margin::symmetric(10, 6));
    frame.stroke(egui::Stroke::new(1.0, theme::LINE)).show(ui, |ui| {
        ui.horizontal(|ui| {
            ui.spacing_mut().item_spacing.x = 4.0;
            let name = shown.site.thing(thing).map_or("", |thing| thing.path.name());
            let name: String = name.chars().take(24).collect();
            ui.label(RichText::new(name).strong());
            ui.label(RichText::new("·").color(theme::LINE));
            for deed in Deed::for_thing(thing, shown) {
                let hindrance = hindrance(deed, thing, shown);
                let words = deed.label(thing, shown);
                let button = egui::Button::selectable(open == Some(deed), words);
                let response = ui.add_enabled(hindrance.is_none(), button);
                let response = match hindrance {
                    Some(why) => response.on_disabled_hover_text(why),
                    None => response.on_hover_text(deed.hover()),
                };
                if response.clicked() {
                    chosen = Some(deed);
                }
            }
        });
    });
    chosen
}

/// Why this cannot be done, in words for this person; none if it can.
fn hindrance(deed: Deed, thing: ThingIndex, shown: &Shown) -> Option<String> {
    if *shown.cursor != Cursor::Live {
        return Some("this is the past, which cannot be changed: go back to live (L)".to_owned());
    }
    shown.connection.may_say(&deed.example(thing, shown)?).err()
}

/// What pressing a button begins.
enum Begun {
    Card(Card),
    Said(Body),
    Nothing,
}

fn begin(deed: Deed, thing: ThingIndex, shown: &Shown) -> Begun {
    let card = match deed {
        Deed::Note => Card::Note(note::Draft::default()),
        Deed::Rename => Card::Rename(rename::begin(thing, shown)),
        Deed::Move => match place::begin(thing, shown) {
            Some(draft) => Card::Move(draft),
            None => return Begun::Nothing,
        },
        Deed::Copy => return place::copy(thing, shown).map_or(Begun::Nothing, Begun::Said),
        Deed::Retire => Card::Retire,
        Deed::BringBack => return retire::bring_back(thing, shown).map_or(Begun::Nothing, Begun::Said),
        Deed::Acknowledge => Card::Acknowledge(alarm::Draft::default()),
        Deed::Command => Card::Command(command::begin(thing, shown)),
    };
    Begun::Card(card)
}

fn show_card(ui: &mut egui::Ui, thing: ThingIndex, card: &mut Card, shown: &Shown) -> Did {
    match card {
        Card::Note(draft) => note::show(ui, thing, draft, shown),
        Card::Rename(draft) => rename::show(ui, thing, draft, shown),
        Card::Move(draft) => place::show(ui, thing, draft, shown),
        Card::Retire => retire::show(ui, thing, shown),
        Card::Acknowledge(draft) => alarm::show(ui, thing, draft, shown),
        Card::Command(draft) => command::show(ui, draft, shown),
    }
}

impl Card {
    fn deed(&self) -> Deed {
        match self {
            Card::Note(_) => Deed::Note,
            Card::Rename(_) => Deed::Rename,
            Card::Move(_) => Deed::Move,
            Card::Retire => Deed::Retire,
            Card::Acknowledge(_) => Deed::Acknowledge,
            Card::Command(_) => Deed::Command,
        }
    }
}

impl Shown<'_, '_> {
    fn id(&self, thing: ThingIndex) -> Option<ThingId> {
        self.site.standing(thing).map(|standing| standing.id)
    }

    /// What people call a peer.
    fn name_of(&self, peer: &gemba_twin::peer::PeerKey) -> String {
        let known = self.connection.fold().and_then(|fold| fold.peer(peer));
        known.map_or_else(|| "somebody".to_owned(), |peer| peer.name.clone())
    }
}

fn card_frame(ui: &mut egui::Ui, contents: impl FnOnce(&mut egui::Ui) -> Did) -> Did {
    let frame = egui::Frame::NONE.fill(theme::PANEL).corner_radius(8).inner_margin(12);
    let shown = frame.stroke(egui::Stroke::new(1.0, theme::ACCENT)).show(ui, |ui| {
        ui.set_width(CARD);
        ui.vertical(contents).inner
    });
    shown.inner
}

/// The last row of a card: what does it, and what leaves it. True for the former.
fn decide(ui: &mut egui::Ui, words: &str, colour: egui::Color32, is_ready: bool) -> Decision {
    let mut decided = Decision::Open;
    ui.add_space(4.0);
    ui.horizontal(|ui| {
        let words = RichText::new(words).strong().color(egui::Color32::BLACK);
        if ui.add_enabled(is_ready, egui::Button::new(words).fill(colour)).clicked() {
            decided = Decision::Yes;
        }
        if ui.button("Cancel").clicked() {
            decided = Decision::No;
        }
    });
    decided
}

/// What the last row of a card was pressed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decision {
    Open,
    Yes,
    No,
}

/// Where a thing would stand that is being moved: a box, until it has moved.
fn preview(mut gizmos: Gizmos, open: Res<Open>, shown: Shown) {
    if let Some((thing, Card::Move(draft))) = &open.0
        && let Some(shape) = place::preview(*thing, draft, &shown)
    {
        let [r, g, b, _] = theme::ACCENT.to_array();
        gizmos.cube(shape, Color::srgb_u8(r, g, b));
        let [r, g, b, _] = theme::WARNING.to_array();
        draft.snapped.iter().for_each(|[from, to]| gizmos.line(*from, *to, Color::srgb_u8(r, g, b)));
    }
}
