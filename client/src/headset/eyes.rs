//! What each eye sees, as files: for every word on stdin a line about how the person stands, and for one that begins with
//! `look-` a picture of each eye, and of its inset if it has one. Switched on by `--eyes DIR`; the tests' way to look
//! through the headset. A headset's own way to take pictures is not this.

use std::io::BufRead;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::time::Duration;

use bevy::ecs::system::SystemParam;
use bevy::prelude::*;
use bevy::render::view::screenshot::{Screenshot, ScreenshotCaptured};
use gemba_xr::{Anchor, Eye, HeadsetState, Rig, Side, Tracked, eye_texture};
use serde::Serialize;

use super::Stood;
use super::cards::Cards;
use super::moving::Arc;
use super::notices::Notices;
use super::panel::Panel;
use super::sheet::Sheet;
use super::written::Written;
use crate::camera::CameraMode;
use crate::cursor::Cursor;
use crate::people::People;
use crate::plant::PlantProgress;
use crate::pointer::{PointedBy, Pointers};
use crate::run::{RunPlan, write_png, write_whole};
use crate::schedule::Frame;
use crate::selection::Selection;
use crate::site::Site;

/// How a word begins that asks for pictures too.
const LOOK: &str = "look-";
/// XR_HAND_JOINT_INDEX_TIP_EXT.
const FOREFINGER_TIP: usize = 10;
/// The ends of the pictures' names, in the order of their views.
const NAMES: [&str; 4] = ["left", "right", "left-inset", "right-inset"];
/// Words that wait; the sender waits for each answer before the next.
const WORDS: usize = 8;

/// Where the pictures go, if anywhere.
#[derive(Resource)]
pub(crate) struct EyeFiles {
    folder: Option<PathBuf>,
    words: Option<Mutex<Receiver<String>>>,
    /// The word whose pictures are on their way, and how many are still to come.
    taking: Option<(String, usize)>,
}

impl EyeFiles {
    /// Whether somebody asks.
    pub(super) fn is_on(&self) -> bool {
        self.folder.is_some()
    }

    /// Begins to listen, if there is a folder.
    pub(crate) fn new(folder: Option<PathBuf>) -> Self {
        let words = folder.as_ref().map(|_| Mutex::new(listen()));
        Self { folder, words, taking: None }
    }
}

/// How the person stands, for a test to read.
#[derive(Serialize)]
struct Standing {
    state: String,
    /// Whether the plant is there, and the person in it if they see it.
    ready: bool,
    /// World frame, metres: where the tracking space is.
    rig: [f32; 3],
    /// Angle of the tracking space about +Y, radians.
    yaw: f32,
    scale: f32,
    /// Tracking space.
    head: Option<[f32; 3]>,
    /// Quaternion x, y, z, w.
    head_rotation: Option<[f32; 4]>,
    /// Where the eyes are, tracking space, left first.
    eyes: [Option<[f32; 3]>; 2],
    /// Tracking space, left first.
    hands: [Option<[f32; 3]>; 2],
    hand_rotations: [Option<[f32; 4]>; 2],
    triggers: [f32; 2],
    squeezes: [f32; 2],
    sticks: [[f32; 2]; 2],
    menus: [bool; 2],
    /// The lower buttons.
    lowers: [bool; 2],
    /// How many joints of each hand are tracked, and where the tip of its forefinger is, tracking space.
    joints: [usize; 2],
    fingertips: [Option<[f32; 3]>; 2],
    /// What the headset holds still, tracking space.
    anchor: Option<[f32; 3]>,
    /// Whether the panel is open.
    panel: bool,
    /// Where the panel's middle is, tracking space.
    panel_at: [f32; 3],
    /// Whether it stays there as long as nobody moves.
    panel_rests: bool,
    /// What it is held by.
    panel_hold: &'static str,
    /// What is written on it and where that is, tracking space.
    written: Vec<(String, [f32; 3])>,
    /// The pinned inspectors that are beside their machines.
    cards: Vec<CardStanding>,
    /// What is told while it is closed.
    notices: Vec<String>,
    /// Which bare hands offer the menu, left first.
    palms: [bool; 2],
    /// Whether the plant is shown as it is now.
    live: bool,
    /// How the desktop's camera moves: a choice that the panels show.
    camera: &'static str,
    /// Path of what each hand points at, left first.
    pointed: [Option<String>; 2],
    /// Where the teleport's arc lands, world frame.
    lands: Option<[f32; 3]>,
    selected: Option<String>,
    /// The others: name and where their heads are, world frame.
    people: Vec<(String, Option<[f32; 3]>)>,
}

/// One pinned inspector.
#[derive(Serialize)]
struct CardStanding {
    thing: Option<String>,
    /// Where its middle is, tracking space.
    at: [f32; 3],
    hold: &'static str,
    /// What is written on it and where that is, tracking space.
    written: Vec<(String, [f32; 3])>,
}

pub(super) fn plugin(app: &mut App) {
    app.add_systems(Update, take.in_set(Frame::Send));
}

/// A thread that reads stdin: the channel ends with it.
fn listen() -> Receiver<String> {
    let (sender, words) = sync_channel(WORDS);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { break };
            if sender.send(line.trim().to_owned()).is_err() {
                break;
            }
        }
    });
    words
}

/// What a standing is made of.
#[derive(SystemParam)]
struct Seen<'w, 's> {
    tracked: Res<'w, Tracked>,
    state: Res<'w, HeadsetState>,
    pointers: Res<'w, Pointers>,
    selection: Res<'w, Selection>,
    site: Res<'w, Site>,
    arc: Res<'w, Arc>,
    anchor: Res<'w, Anchor>,
    panel: Res<'w, Panel>,
    cards: Res<'w, Cards>,
    written: Res<'w, Written>,
    notices: Res<'w, Notices>,
    cursor: Res<'w, Cursor>,
    mode: Res<'w, CameraMode>,
    progress: Res<'w, PlantProgress>,
    stood: Res<'w, Stood>,
    people: Res<'w, People>,
    rig: Single<'w, 's, &'static Transform, With<Rig>>,
    eyes: Query<'w, 's, (&'static Eye, &'static Transform), Without<Rig>>,
}

impl Seen<'_, '_> {
    fn cards(&self) -> Vec<CardStanding> {
        let cards = self.cards.iter().map(|(slot, card)| CardStanding {
            thing: self.site.thing(card.thing).map(|thing| thing.path.to_string()),
            at: card.sheet.middle().to_array(),
            hold: card.sheet.hold.words(),
            written: placed(&self.written.on_cards[slot], &card.sheet),
        });
        cards.collect()
    }

    fn standing(&self) -> Standing {
        let Self { tracked, site, pointers, rig, .. } = self;
        let path = |thing| site.thing(thing).map(|t| t.path.to_string());
        let pointed = |by| pointers.of(by).and_then(|p| p.met).and_then(|met| met.thing).and_then(path);
        let hand = |side| tracked.hand(side);
        let eye = |eye| self.eyes.iter().find(|(e, _)| e.0 == eye).map(|(_, place)| place.translation.to_array());
        let others = self.people.0.values();
        Standing {
            state: format!("{:?}", *self.state),
            ready: *self.progress == PlantProgress::Ready && (self.stood.0 || !self.state.is_seen()),
            rig: rig.translation.to_array(),
            yaw: rig.rotation.to_euler(EulerRot::YXZ).0,
            scale: rig.scale.x,
            head: tracked.head.map(|head| head.translation.to_array()),
            head_rotation: tracked.head.map(|head| head.rotation.to_array()),
            eyes: [0, 1].map(eye),
            hands: Side::BOTH.map(|side| hand(side).grip.map(|grip| grip.translation.to_array())),
            hand_rotations: Side::BOTH.map(|side| hand(side).grip.map(|grip| grip.rotation.to_array())),
            triggers: Side::BOTH.map(|side| hand(side).trigger),
            squeezes: Side::BOTH.map(|side| hand(side).squeeze),
            sticks: Side::BOTH.map(|side| hand(side).stick.to_array()),
            menus: Side::BOTH.map(|side| hand(side).menu),
            lowers: Side::BOTH.map(|side| hand(side).primary),
            joints: Side::BOTH.map(|side| hand(side).joints.len()),
            fingertips: Side::BOTH
                .map(|side| hand(side).joints.get(FOREFINGER_TIP).map(|tip| tip.translation.to_array())),
            anchor: self.anchor.place().map(|place| place.translation.to_array()),
            panel: self.panel.is_open(),
            panel_at: self.panel.sheet.middle().to_array(),
            panel_rests: self.panel.nearness.rests(),
            panel_hold: self.panel.sheet.hold.words(),
            written: placed(&self.written.on_panel, &self.panel.sheet),
            cards: self.cards(),
            notices: self.notices.lines().map(str::to_owned).collect(),
            palms: Side::BOTH.map(|side| hand(side).offers_menu),
            live: *self.cursor == Cursor::Live,
            camera: self.mode.label(),
            pointed: [pointed(PointedBy::LeftHand), pointed(PointedBy::RightHand)],
            lands: self.arc.lands.map(|place| place.to_array()),
            selected: self.selection.0.and_then(path),
            people: others
                .map(|p| (p.info.name.clone(), p.poses[1].as_ref().map(|(_, pose)| pose.head.place)))
                .collect(),
        }
    }
}

/// Words on a sheet, if it is open, with their places.
fn placed(words: &[(String, Vec2)], sheet: &Sheet) -> Vec<(String, [f32; 3])> {
    let words = words.iter().filter(|_| sheet.is_open);
    words.map(|(words, at)| (words.clone(), sheet.place_of(*at).to_array())).collect()
}

/// The next word, if one has come; the end of the words ends the run.
fn next_word(files: &mut EyeFiles, plan: &mut RunPlan) -> Option<String> {
    let next = files.words.as_mut()?.get_mut().ok()?.try_recv();
    match next {
        Ok(word) if !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') => Some(word),
        Ok(_) => {
            eprintln!("gemba: a word for --eyes is letters, digits and hyphens");
            None
        }
        Err(TryRecvError::Empty) => None,
        Err(TryRecvError::Disconnected) => {
            plan.stay = Some(Duration::ZERO);
            None
        }
    }
}

fn take(mut commands: Commands, mut files: ResMut<EyeFiles>, mut plan: ResMut<RunPlan>, seen: Seen) {
    if !seen.state.is_seen()
        && let Some((word, _)) = files.taking.take()
    {
        // The headset is lost, and with it the pictures that were on their way.
        println!("{word}");
    }
    let Some(folder) = files.folder.clone().filter(|_| files.taking.is_none()) else { return };
    let Some(word) = next_word(&mut files, &mut plan) else { return };
    let json = serde_json::to_string(&seen.standing()).expect("a standing holds nothing that JSON cannot");
    if let Err(why) = write_whole(&folder.join(format!("{word}.json")), json.as_bytes()) {
        eprintln!("gemba: cannot write into {}: {why}", folder.display());
    }
    if !seen.state.is_seen() || !word.starts_with(LOOK) {
        println!("{word}");
        return;
    }
    files.taking = Some((word.clone(), seen.eyes.iter().count()));
    for Eye(eye) in seen.eyes.iter().map(|(eye, _)| *eye) {
        let Some(name) = NAMES.get(eye as usize) else { continue };
        let file = folder.join(format!("{word}-{name}.png"));
        let word = word.clone();
        commands.spawn(Screenshot(bevy::camera::RenderTarget::TextureView(eye_texture(eye)))).observe(
            move |shot: On<ScreenshotCaptured>, mut files: ResMut<EyeFiles>| {
                if let Err(why) = write_png(&shot.image, &file) {
                    eprintln!("gemba: {why}");
                }
                if let Some((_, left)) = files.taking.as_mut().filter(|(taking, _)| *taking == word) {
                    *left -= 1;
                    if *left == 0 {
                        println!("{word}");
                        files.taking = None;
                    }
                }
            },
        );
    }
}
