//! The line to the host: round trip, loss, what each lane carries, how far what is shown lies behind. Shown in a window by
//! the round trip in the lower bar or `C`, begun with `--network`, and told in the report (`network`).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bevy::prelude::*;
use bevy_egui::{EguiContexts, EguiPrimaryContextPass, egui};
use gemba_net::Link;

use crate::link::Connection;
use crate::people::People;
use crate::playing::Playing;
use crate::readings::{PICTURE_DELAY, Readings};
use crate::report::MoreSeen;
use crate::schedule::{Frame, Screen};
use crate::view::PlantView;

mod figures;
mod lateness;
mod panel;

use figures::{Figures, Reading};
use lateness::Lateness;

/// Between two looks at the counters: two points of a curve each second.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Asks to show the window, or to hide it if it is shown.
#[derive(Message, Debug, Clone, Copy)]
pub struct ToggleNetwork;

/// Whether the window is open; only its own systems change it.
#[derive(Resource, Debug, Default, Clone, Copy)]
pub struct NetworkWindow(pub bool);

/// What is known of the line, and what the report says of it.
#[derive(Resource, Default)]
struct Network {
    figures: Figures,
    lateness: Lateness,
    told: Arc<Mutex<serde_json::Value>>,
}

pub(crate) fn plugin(app: &mut App) {
    app.add_message::<ToggleNetwork>()
        .init_resource::<NetworkWindow>()
        .init_resource::<Network>()
        .add_systems(Startup, add_to_report)
        .add_systems(Update, look.in_set(Frame::Present))
        .add_systems(EguiPrimaryContextPass, show.in_set(Screen::Network));
}

fn add_to_report(mut more: ResMut<MoreSeen>, network: Res<Network>) {
    let told = network.told.clone();
    more.add("network", move || told.lock().unwrap_or_else(PoisonError::into_inner).clone());
}

/// Reads the counters now and then, and of each pose that is new how old it is.
fn look(
    mut network: ResMut<Network>,
    mut since: Local<Duration>,
    connection: Res<Connection>,
    people: Res<People>,
    readings: Res<Readings>,
    playing: Res<Playing>,
    time: Res<Time<Real>>,
) {
    let Some(link) = connection.link() else { return };
    let newest = people.0.iter().filter_map(|(peer, person)| Some((*peer, person.poses[1].as_ref()?.0)));
    network.lateness.note(newest, readings.live_now());
    *since += time.delta();
    if *since < LOOK_EVERY {
        return;
    }
    *since = Duration::ZERO;
    network.figures.note(time.elapsed(), reading(link));
    let report = network.figures.report(&network.lateness, playing.delay(), PICTURE_DELAY);
    *network.told.lock().unwrap_or_else(PoisonError::into_inner) = report;
}

fn reading(link: &Link) -> Reading {
    Reading { line: link.line(), lanes: link.stats() }
}

fn show(
    mut contexts: EguiContexts,
    mut toggles: MessageReader<ToggleNetwork>,
    mut window: ResMut<NetworkWindow>,
    network: Res<Network>,
    connection: Res<Connection>,
    playing: Res<Playing>,
    view: Res<PlantView>,
) -> Result {
    let ctx = contexts.ctx_mut()?;
    let pressed = !ctx.egui_wants_keyboard_input() && ctx.input(|i| i.key_pressed(egui::Key::C));
    if (toggles.read().count() + usize::from(pressed)) % 2 == 1 {
        window.0 = !window.0;
    }
    if window.0 && connection.is_site() {
        let mut is_open = true;
        let hosts = connection.log().site().map_or(0, |site| site.hosts().len());
        let shown = panel::Shown {
            figures: &network.figures,
            lateness: &network.lateness,
            is_here: connection.is_here(),
            behind: [playing.delay(), PICTURE_DELAY],
            others: hosts.saturating_sub(1),
        };
        panel::window(ctx, &mut is_open, view.rect, &shown);
        window.0 = is_open;
    }
    Ok(())
}
