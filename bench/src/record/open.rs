//! R7: a site directory with a long record opened, until the site's state is there to be asked. Once before the runs, so
//! that whatever opening prepares for the next time is prepared, and the file lies in the system's cache.

use std::path::Path;

use gemba_host::site_dir::SiteDir;

use super::Sizes;
use super::plant_log::long_site;
use crate::report::{Row, Runs, timed};

/// Seconds, for the million entries of the full size.
const GOAL: f64 = 1.0;

/// Measures.
pub fn measure(sizes: &Sizes, work: &Path) -> anyhow::Result<Vec<Row>> {
    let dir = long_site(work, sizes.replayed)?;
    drop(SiteDir::open(&dir)?);
    let mut runs = Runs::default();
    let mut entries = 0;
    for run in 0..sizes.runs {
        let (took, site) = timed(|| SiteDir::open(&dir));
        entries = site?.site().entries();
        runs.push(took.as_secs_f64());
        eprintln!("gemba bench: R7, run {} of {}", run + 1, sizes.runs);
    }
    Ok(vec![Row {
        id: "R7".to_owned(),
        what: format!("open a site directory of {entries} entries"),
        value: runs.median(),
        unit: "s",
        spread: runs.spread(),
        goal: Some(GOAL),
        pass: Some(runs.median() < GOAL),
        peers: [].into(),
    }])
}
