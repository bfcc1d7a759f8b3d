//! `gemba bench net`: how a site feels over a real line. One file a row.

mod asteroids;
mod bad_peers;
mod bit_packing;
mod body_lane;
mod cube_field;
mod cubes;
mod fairness;
mod full_house;
mod guests;
mod host_cost;
mod join;
mod join_beside;
mod join_scene;
mod lightyear;
mod line;
mod meeting;
mod motion;
mod replicon;
mod replicon_join;
mod samples;
mod scene;
mod served;
mod site;
mod tracked;

use crate::report::Row;

/// How much each row measures.
pub struct Sizes {
    /// Runs of each row.
    pub runs: usize,
    /// N5: seconds of motion in a run, and of the transfers of N5-fair; N8: seconds of telemetry; N9: three times the seconds.
    pub seconds: u32,
    /// N1 and N2: ticks of each scene.
    pub ticks: usize,
    /// N3: clients, bodies and ticks.
    pub crowd: (u32, u32, u32),
    /// N6: people and seconds.
    pub meeting: (usize, u32),
    /// N7: peers and seconds.
    pub house: (usize, u32),
}

impl Sizes {
    /// Shows in seconds that everything runs.
    pub const QUICK: Self =
        Self { runs: 1, seconds: 4, ticks: 150, crowd: (4, 2_000, 20), meeting: (20, 2), house: (42, 2) };

    /// What the goals are about.
    pub fn full(runs: usize) -> Self {
        Self { runs, seconds: 15, ticks: 1_800, crowd: (50, 100_000, 120), meeting: (100, 10), house: (500, 10) }
    }
}

type Measure = fn(&Sizes) -> anyhow::Result<Vec<Row>>;

const ROWS: [(&str, Measure); 12] = [
    ("N1", asteroids::measure),
    ("N2", cubes::measure),
    ("N3", host_cost::measure),
    ("N3-codec", site::measure),
    ("N4", join::measure),
    ("N4-beside", join_beside::measure),
    ("N5", motion::measure),
    ("N5-fair", fairness::measure),
    ("N6", meeting::measure),
    ("N7", full_house::measure),
    ("N8", samples::measure),
    ("N9", bad_peers::measure),
];

/// Measures the rows named, all if none is; returns the rows, and the problems of those that could not be measured.
pub fn run(sizes: &Sizes, only: &[String]) -> (Vec<Row>, Vec<String>) {
    let (mut rows, mut problems) = (Vec::new(), Vec::new());
    if let Some(unknown) = only.iter().find(|id| ROWS.iter().all(|(known, _)| known != id)) {
        problems.push(format!("there is no row {unknown} in net"));
    }
    for (id, measure) in ROWS {
        if !only.is_empty() && !only.iter().any(|wanted| wanted == id) {
            continue;
        }
        eprintln!("gemba bench: {id}");
        match measure(sizes) {
            Ok(measured) => rows.extend(measured),
            Err(error) => problems.push(format!("{id} could not be measured: {error:#}")),
        }
    }
    (rows, problems)
}
