//! X5: from the start of the viewer to the first picture of the plant from where the head is.

use std::path::Path;
use std::time::UNIX_EPOCH;

use gemba_tests::plant_site::PlantSite;
use gemba_tests::xr_rig::Rig;

use super::{Sizes, number, row};
use crate::report::{Row, Runs};

pub(super) fn measure(sizes: &Sizes, runtime: &Path) -> anyhow::Result<Vec<Row>> {
    let site = PlantSite::start();
    let mut secs = Runs::default();
    for run in 0..=sizes.runs {
        let rig = Rig::enter(runtime, &site.address, site.folder.path(), "Bench");
        let begun = rig.begun().duration_since(UNIX_EPOCH)?.as_secs_f64();
        let report = rig.leave();
        // The first fills what the machine remembers of files.
        if run > 0 {
            secs.push(number(&report, "/headset/first_picture_unix_ms")? / 1e3 - begun);
        }
    }
    let what = "from the viewer's start to the first picture of the demo plant from the head".to_owned();
    Ok(vec![row("X5", what, "s", &secs, 4.0)])
}
