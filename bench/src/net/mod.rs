//! `gemba bench net`: how a site feels over a real line. One file a row.

mod asteroids;
mod bit_packing;
mod body_lane;
mod cubes;
mod fairness;
mod line;
mod motion;
mod scene;
mod site;

use crate::report::Row;

/// How much each row measures.
pub struct Sizes {
    /// Runs of each row.
    pub runs: usize,
    /// N5: seconds of motion in a run, and of the transfers of N5-fair.
    pub seconds: u32,
    /// N1 and N2: ticks of each scene.
    pub ticks: usize,
}

impl Sizes {
    /// Shows in seconds that everything runs.
    pub const QUICK: Self = Self { runs: 1, seconds: 4, ticks: 150 };

    /// What the goals are about.
    pub fn full(runs: usize) -> Self {
        Self { runs, seconds: 15, ticks: 1_800 }
    }
}

type Measure = fn(&Sizes) -> anyhow::Result<Vec<Row>>;

const ROWS: [(&str, Measure); 5] = [
    ("N1", asteroids::measure),
    ("N2", cubes::measure),
    ("N3-codec", site::measure),
    ("N5", motion::measure),
    ("N5-fair", fairness::measure),
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
