//! X2: the main thread's frame in a live plant full of people: more than 1,000 tags, ten avatars that walk about.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use gemba_net::{Pose, TrackedPoint};
use gemba_tests::editor::Editor;
use gemba_tests::plant_site::PlantSite;
use gemba_tests::xr_rig::Rig;

use super::worn::look_about;
use super::{Sizes, number, row};
use crate::report::{Row, Runs};

const GOAL_MS: f64 = 5.0;
/// People besides the one in the headset.
const PEOPLE: u8 = 10;
/// As often as desktops tell where they stand.
const STEP: Duration = Duration::from_millis(50);

/// People who walk in circles until told otherwise.
fn walk(address: &str, is_over: &Arc<AtomicBool>) -> std::thread::JoinHandle<()> {
    let mut people: Vec<Editor> = (0..PEOPLE).map(|n| Editor::join(address, &format!("Walker {n}"), 100 + n)).collect();
    let is_over = Arc::clone(is_over);
    std::thread::spawn(move || {
        let begun = Instant::now();
        while !is_over.load(Ordering::Relaxed) {
            for (n, person) in people.iter_mut().enumerate() {
                person.stand(pose(n as f32, begun.elapsed().as_secs_f32()));
            }
            std::thread::sleep(STEP);
        }
    })
}

fn pose(n: f32, t: f32) -> Pose {
    let (sin, cos) = (0.4 * t + n).sin_cos();
    let at = |x: f32, y: f32, z: f32| TrackedPoint { place: [x, y, z], rotation: [0.0, 0.0, 0.0, 1.0] };
    let (x, z) = (2.0 * n + 1.5 * cos, 3.0 + 1.5 * sin);
    Pose {
        head: at(x, 1.7, z),
        hands: [Some(at(x - 0.2, 1.2, z - 0.3)), Some(at(x + 0.2, 1.2, z - 0.3))],
        pointer: None,
    }
}

pub(super) fn measure(sizes: &Sizes, runtime: &Path) -> anyhow::Result<Vec<Row>> {
    let site = PlantSite::start_lines(sizes.lines, &[]);
    let is_over = Arc::new(AtomicBool::new(false));
    let people = walk(&site.address, &is_over);
    let [mut slow, mut middle, mut all] = std::array::from_fn(|_| Runs::default());
    let (mut tags, mut met) = (0.0, 0);
    for _ in 0..sizes.runs {
        let mut rig = Rig::enter(runtime, &site.address, site.folder.path(), "Bench");
        look_about(&mut rig, sizes.worn);
        let report = rig.leave();
        slow.push(number(&report, "/frame_cpu_ms/p99")?);
        middle.push(number(&report, "/frame_cpu_ms/p50")?);
        all.push(number(&report, "/frame_ms/p99")?);
        tags = number(&report, "/tags")?;
        met = report["peers"].as_array().map_or(0, Vec::len);
    }
    is_over.store(true, Ordering::Relaxed);
    anyhow::ensure!(people.join().is_ok(), "the people who walk about have ended before the run");
    anyhow::ensure!(met >= usize::from(PEOPLE), "only {met} people were met");
    let scene = format!("{} lines with {tags} live tags and {PEOPLE} avatars", sizes.lines);
    let frame = format!(
        "main thread's frame by the clock, p99, {scene}; renderer, host and people are on the same cores and take it from them"
    );
    let work = format!("what the thread itself works on it, p99; median {:.2}", middle.median());
    Ok(vec![row("X2", frame, "ms", &all, GOAL_MS), row("X2-work", work, "ms", &slow, GOAL_MS)])
}
