//! `gemba bench record`: how quick the record is, from one edit to a million entries. One file a row.

mod append;
mod edit;
mod ingest;
mod instant;
pub mod memory;
mod open;
mod plant_log;
mod replay;
mod sample_size;
mod shift;
mod viewer;

use std::path::Path;

use crate::report::Row;

/// How much each row measures.
pub struct Sizes {
    /// Runs of each row.
    pub runs: usize,
    /// R1: entries appended in a run.
    pub appended: u64,
    /// R2 and R7: entries of the long record.
    pub replayed: u64,
    /// R5: edits in a run.
    pub edits: u64,
    /// R6: things of the plant, a multiple of 1,000.
    pub things: u64,
    /// R3: samples taken in a run, at least.
    pub ingested: usize,
    /// R4 and R8: length of the shift.
    pub shift_hours: f64,
    /// R8: instants asked for in a run.
    pub instants: usize,
}

impl Sizes {
    /// Shows in seconds that everything runs.
    pub const QUICK: Self = Self {
        runs: 1,
        appended: 1_024,
        replayed: 5_000,
        edits: 50,
        things: 2_000,
        ingested: 200_000,
        shift_hours: 0.1,
        instants: 50,
    };

    /// What the goals are about.
    pub fn full(runs: usize) -> Self {
        Self {
            runs,
            appended: 20_480,
            replayed: 1_000_000,
            edits: 2_000,
            things: 100_000,
            ingested: 6_000_000,
            shift_hours: 8.0,
            instants: 400,
        }
    }
}

type Measure = fn(&Sizes, &Path) -> anyhow::Result<Vec<Row>>;

const ROWS: [(&str, Measure); 8] = [
    ("R1", append::measure),
    ("R2", replay::measure),
    ("R3", ingest::measure),
    ("R4", sample_size::measure),
    ("R5", edit::measure),
    ("R6", memory::measure),
    ("R7", open::measure),
    ("R8", instant::measure),
];

/// Measures the rows named, all if none is; returns the rows, and the problems of those that could not be measured.
pub fn run(sizes: &Sizes, work: &Path, only: &[String]) -> (Vec<Row>, Vec<String>) {
    let (mut rows, mut problems) = (Vec::new(), Vec::new());
    if let Some(unknown) = only.iter().find(|id| ROWS.iter().all(|(known, _)| known != id)) {
        problems.push(format!("there is no row {unknown} in record"));
    }
    for (id, measure) in ROWS {
        if !only.is_empty() && !only.iter().any(|wanted| wanted == id) {
            continue;
        }
        eprintln!("gemba bench: {id}");
        match measure(sizes, work) {
            Ok(measured) => rows.extend(measured),
            Err(error) => problems.push(format!("{id} could not be measured: {error:#}")),
        }
    }
    (rows, problems)
}
