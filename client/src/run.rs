//! The course of a run: what happens once the plant is there, how long to stay, the last frame to a PNG, the report
//! to a file, and which failures end it. The same in a window and headless.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bevy::prelude::*;
use bevy::render::view::screenshot::{Screenshot, ScreenshotCaptured};
use gemba_net::LinkState;

use crate::args::Viewing;
use crate::camera::FrameSelection;
use crate::cursor::Cursor;
use crate::inspector::{AllSlotsTaken, Pinned, SLOTS};
use crate::link::Connection;
use crate::past::Past;
use crate::plant::PlantProgress;
use crate::problems::Problems;
use crate::readings::Readings;
use crate::report::{FrameTimes, Seen};
use crate::selection::SelectThing;
use crate::site::Site;

/// The first connection must stand by then, or the address is taken to be wrong.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);
/// A headless run whose plant has not come by then has failed: nobody watches its progress bar.
const LOAD_PATIENCE: Duration = Duration::from_secs(180);
/// A host that keeps history says so at once, and recalls an instant well within this.
const PAST_PATIENCE: Duration = Duration::from_secs(15);
/// Frames after the plant has been put together in which shaders are compiled and first shadows drawn: the plant is
/// shown, and what is measured begins, when they are over.
const SETTLING_FRAMES: u32 = 8;
/// A picture is read back within a few frames, or never.
const CAPTURE_PATIENCE: Duration = Duration::from_secs(30);

/// What this run is to do.
#[derive(Resource)]
pub struct RunPlan {
    /// Leave so long after the plant is there.
    pub stay: Option<Duration>,
    /// Where the last frame goes.
    pub screenshot: Option<PathBuf>,
    /// Where the report goes.
    pub report: Option<PathBuf>,
    /// Path of a thing to select.
    pub select: Option<String>,
    /// Paths of things whose inspectors stay open.
    pub pin: Vec<String>,
    /// Whether it begins in the past.
    pub travels: bool,
    /// Whether nobody watches.
    pub headless: bool,
    /// The image that is the screen, when there is no window.
    pub screen: Option<Handle<Image>>,
}

impl RunPlan {
    /// The plan that the command line asks for.
    pub fn from_arguments(viewing: &Viewing) -> Self {
        let stay = viewing.seconds.or((viewing.headless && viewing.eyes.is_none()).then_some(2.0));
        Self {
            stay: stay.map(Duration::from_secs_f64),
            screenshot: viewing.screenshot.clone(),
            report: viewing.report.clone(),
            select: viewing.select.clone(),
            pin: viewing.pin.clone(),
            travels: !viewing.at.is_empty(),
            headless: viewing.headless,
            screen: None,
        }
    }
}

/// How far the run is.
#[derive(Resource, Debug)]
enum Stage {
    /// The plant is on its way.
    Opening { since: Instant },
    /// The plant is shown.
    Shown { since: Instant },
    /// The last frame is being read back.
    Capturing { shown_secs: f64, since: Instant },
    /// It has been written, or why not.
    Captured { shown_secs: f64, written: Result<(), String> },
    /// The plant did not come, or not what was asked for with it.
    Failed { why: String },
    /// The app has been asked to exit.
    Over,
}

pub(crate) fn plugin(app: &mut App) {
    app.init_resource::<Problems>()
        .insert_resource(Stage::Opening { since: Instant::now() })
        .add_systems(PostUpdate, (open, leave, give_up_capture, finish).chain());
}

/// Waits for the plant, or finds that it will not come.
fn open(
    mut stage: ResMut<Stage>,
    mut select: MessageWriter<SelectThing>,
    mut frame: MessageWriter<FrameSelection>,
    mut times: ResMut<FrameTimes>,
    mut readings: ResMut<Readings>,
    mut pinned: Option<ResMut<Pinned>>,
    mut frames: Local<u32>,
    mut waited: Local<Option<(usize, Instant)>>,
    plan: Res<RunPlan>,
    progress: Res<PlantProgress>,
    connection: Res<Connection>,
    site: Res<Site>,
    cursor: Res<Cursor>,
    past: Res<Past>,
) {
    let Stage::Opening { since } = *stage else { return };
    let mut failure = failed_to_open(&connection, &progress, since.elapsed(), plan.headless);
    *frames = if *progress == PlantProgress::Ready { *frames + 1 } else { 0 };
    if plan.travels && *frames > 0 && past.is_opening(*cursor) {
        // For each instant of the route anew.
        let left = past.left_of_route();
        waited.take_if(|(of, _)| *of != left);
        let (_, since) = *waited.get_or_insert((left, Instant::now()));
        failure = failure.or_else(|| failed_to_travel(&connection, since.elapsed()));
        *frames = 1;
    }
    if failure.is_none() && *frames > SETTLING_FRAMES {
        times.restart();
        readings.forget_ages();
        *stage = Stage::Shown { since: Instant::now() };
        if let Some(path) = &plan.select {
            match site.find(path) {
                Some(thing) => {
                    select.write(SelectThing(Some(thing)));
                    frame.write(FrameSelection);
                }
                None => failure = Some(not_here(path)),
            }
        }
        failure = failure.or_else(|| pin(&plan.pin, &site, pinned.as_deref_mut()?));
    }
    if let Some(why) = failure {
        *stage = Stage::Failed { why };
    }
}

/// Pins what the plan says; why not, if it cannot.
fn pin(paths: &[String], site: &Site, pinned: &mut Pinned) -> Option<String> {
    paths.iter().find_map(|path| {
        let Some(thing) = site.find(path) else { return Some(not_here(path)) };
        pinned.pin(site, thing).err().map(|AllSlotsTaken| format!("at most {SLOTS} things can be pinned"))
    })
}

fn not_here(path: &str) -> String {
    format!("there is no thing called {path} here")
}

fn failed_to_open(
    connection: &Connection,
    progress: &PlantProgress,
    waited: Duration,
    headless: bool,
) -> Option<String> {
    if let PlantProgress::Failed(why) = progress {
        return Some(why.clone());
    }
    if let Some(LinkState::Refused { why }) = &connection.state {
        return Some(why.clone());
    }
    if connection.is_site() && !connection.was_connected && waited > CONNECT_PATIENCE {
        let why = match &connection.state {
            Some(LinkState::Lost { why, .. }) => why.clone(),
            _ => "no answer".to_owned(),
        };
        return Some(format!("cannot reach the host: {why}; is it running, and is the address right?"));
    }
    (headless && waited > LOAD_PATIENCE).then(|| format!("the plant did not come: {}", progress.words()))
}

/// Why a run cannot begin in the past, once it is clear.
fn failed_to_travel(connection: &Connection, waited: Duration) -> Option<String> {
    if !connection.is_site() {
        return Some("a file has no past; leave out --at".to_owned());
    }
    let why = "the host tells nothing of the past: it keeps no history, or is older than this viewer; leave out --at";
    (waited > PAST_PATIENCE).then(|| why.to_owned())
}

/// Takes the last picture when the time is over.
fn leave(mut commands: Commands, mut stage: ResMut<Stage>, plan: Res<RunPlan>) {
    let Stage::Shown { since } = *stage else { return };
    if plan.stay.is_none_or(|stay| since.elapsed() < stay) {
        return;
    }
    let shown_secs = since.elapsed().as_secs_f64();
    let Some(path) = plan.screenshot.clone() else {
        *stage = Stage::Captured { shown_secs, written: Ok(()) };
        return;
    };
    let shot = match &plan.screen {
        Some(image) => Screenshot::image(image.clone()),
        None => Screenshot::primary_window(),
    };
    commands.spawn(shot).observe(move |shot: On<ScreenshotCaptured>, mut stage: ResMut<Stage>| {
        if let Stage::Capturing { shown_secs, .. } = *stage {
            *stage = Stage::Captured { shown_secs, written: write_png(&shot.image, &path) };
        }
    });
    *stage = Stage::Capturing { shown_secs, since: Instant::now() };
}

fn give_up_capture(mut stage: ResMut<Stage>) {
    if let Stage::Capturing { shown_secs, since } = *stage
        && since.elapsed() > CAPTURE_PATIENCE
    {
        *stage = Stage::Captured { shown_secs, written: Err("the renderer gave no picture".to_owned()) };
    }
}

/// Writes the report and exits. A run that has failed has a report too, which says why; so does one line on stderr, with
/// exit status 1.
fn finish(mut stage: ResMut<Stage>, mut exit: MessageWriter<AppExit>, plan: Res<RunPlan>, seen: Seen) {
    let (shown_secs, outcome) = match &*stage {
        Stage::Captured { shown_secs, written } => (*shown_secs, written.clone()),
        Stage::Failed { why } => (0.0, Err(why.clone())),
        Stage::Opening { .. } | Stage::Shown { .. } | Stage::Capturing { .. } | Stage::Over => return,
    };
    *stage = Stage::Over;
    let json = || seen.json(shown_secs, outcome.as_ref().err());
    let report = plan.report.as_deref().map_or(Ok(()), |path| write_report(path, &json()));
    let failures: Vec<String> = [outcome, report].into_iter().filter_map(Result::err).collect();
    failures.iter().for_each(|why| eprintln!("gemba: {why}"));
    exit.write(if failures.is_empty() { AppExit::Success } else { AppExit::error() });
}

/// A reader never sees half a file.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    std::fs::write(&part, bytes)?;
    std::fs::rename(&part, path)
}

fn write_report(path: &Path, json: &str) -> Result<(), String> {
    write_whole(path, json.as_bytes()).map_err(|e| format!("cannot write the report {}: {e}", path.display()))
}

pub(crate) fn write_png(image: &Image, path: &Path) -> Result<(), String> {
    let encode = || -> Result<Vec<u8>, String> {
        let pixels = image.clone().try_into_dynamic().map_err(|e| e.to_string())?.to_rgb8();
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, pixels.width(), pixels.height());
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header().map_err(|e| e.to_string())?;
        writer.write_image_data(&pixels).map_err(|e| e.to_string())?;
        writer.finish().map_err(|e| e.to_string())?;
        Ok(bytes)
    };
    let bytes = encode().map_err(|e| format!("cannot make a PNG of the picture: {e}"))?;
    write_whole(path, &bytes).map_err(|e| format!("cannot write the picture {}: {e}", path.display()))
}
