//! X1, X3 and X4: the headset is worn for a while before the demo plant, and the head and hands move all the time.

use std::path::Path;
use std::time::{Duration, Instant};

use gemba_tests::plant_site;
use gemba_tests::xr_rig::{Pose, Rig};
use serde_json::Value;

use super::{Sizes, number, row};
use crate::report::{Row, Runs};

/// Frames of Monado's null compositor last 50 ms; the person moves between any two.
const STEP: Duration = Duration::from_millis(25);

/// Looks around and points about for so long.
pub(super) fn look_about(rig: &mut Rig, how_long: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < how_long {
        let t = begun.elapsed().as_secs_f32();
        rig.tell(|person| {
            person.head =
                Pose::looking([0.05 + 0.1 * t.sin(), 1.65, 0.1 * (0.7 * t).cos()], 0.8 * (0.5 * t).sin(), 0.0);
            for (hand, side) in person.hands.iter_mut().zip([-0.22, 0.22]) {
                hand.pose = Pose::looking([side, 1.25 + 0.1 * (2.0 * t).sin(), -0.35], 0.5 * t.sin(), -0.2);
            }
        });
        std::thread::sleep(STEP);
    }
}

/// Wears the headset before the demo plant of one line for so long; the viewer's report.
fn wear(runtime: &Path, how_long: Duration) -> anyhow::Result<Value> {
    let folder = tempfile::tempdir()?;
    let model = folder.path().join("plant.glb");
    plant_site::generate(&model);
    let target = model.to_string_lossy().into_owned();
    let mut rig = Rig::enter(runtime, &target, folder.path(), "Bench");
    look_about(&mut rig, how_long);
    Ok(rig.leave())
}

/// X1: what our systems for the headset work in a frame, both worlds, the runtime's own work left out; both eyes' drawing
/// is Bevy's and not among them. X4: how far apart are the instants of the pose drawn with and the newest.
pub(super) fn cost(sizes: &Sizes, runtime: &Path) -> anyhow::Result<Vec<Row>> {
    let (mut own, mut age) = (Runs::default(), Runs::default());
    let (mut slow, mut asked) = (Runs::default(), Runs::default());
    for _ in 0..sizes.runs {
        let report = wear(runtime, sizes.worn)?;
        own.push(number(&report, "/headset/own_ms/p50")?);
        slow.push(number(&report, "/headset/own_ms/p99")?);
        asked.push(number(&report, "/headset/asked_ms/p50")?);
        age.push(number(&report, "/headset/pose_age_ms")?);
        let off = number(&report, "/headset/pose_off")?;
        anyhow::ensure!(off == 0.0, "pictures were drawn from {off} m beside the newest pose");
    }
    let what = format!(
        "a frame's own work for the headset, median of frames; p99 {:.2}; the runtime's answers take {:.2} more",
        slow.median(),
        asked.median()
    );
    let poses = "largest difference between a picture's pose and the newest for its instant".to_owned();
    Ok(vec![row("X1", what, "ms", &own, 0.5), row("X4", poses, "ms", &age, 0.0)])
}

/// X3: frames late or out of order by our fault in a minute: those that would have been late had the renderer, which has the
/// same processor as we, drawn in no time. Beside it stand all that were late, and what it has drawn at each.
pub(super) fn minute(sizes: &Sizes, runtime: &Path) -> anyhow::Result<Vec<Row>> {
    let mut bad = Runs::default();
    // A minute is long enough to be one run.
    let report = wear(runtime, sizes.minute)?;
    bad.push(number(&report, "/headset/late_by_us")? + number(&report, "/headset/disordered")?);
    let (frames, size) = (number(&report, "/headset/frames")?, &report["headset"]["eye"]);
    let (drawn, late) = (number(&report, "/headset/drawn_ms/p50")?, number(&report, "/headset/late")?);
    let secs = sizes.minute.as_secs();
    let what = format!(
        "frames out of order, or late with a renderer that takes no time, in {secs} s; of {frames:.0} of {size} pixels an eye \
         {late:.0} were late in all, each drawn in {drawn:.0} ms (median)"
    );
    Ok(vec![row("X3", what, "count", &bad, 0.0)])
}
