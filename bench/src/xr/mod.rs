//! `gemba bench xr`: what the headset costs. The viewer is the real one, in a real OpenXR runtime (Monado with a
//! compositor that shows nothing), worn by the tests' rig; figures are the viewer's own, from its report. There is no
//! rival to run: vendors' clients do not run here. One file a row, or for rows of the same run.

mod crowd;
mod start;
mod worn;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Duration;

use anyhow::anyhow;
use gemba_tests::xr_rig;
use serde_json::Value;

use crate::report::{Row, Runs};

/// How much each row measures.
pub struct Sizes {
    /// Runs of each row.
    pub runs: usize,
    /// Seconds the headset is worn in a run of X1, X2 and X4.
    pub worn: Duration,
    /// Seconds of X3.
    pub minute: Duration,
    /// Production lines of X2's plant, so that more than 1,000 tags are live.
    pub lines: u16,
}

impl Sizes {
    /// Shows in seconds that everything runs.
    pub const QUICK: Self = Self { runs: 1, worn: Duration::from_secs(4), minute: Duration::from_secs(6), lines: 2 };

    /// What the goals are about.
    pub fn full(runs: usize) -> Self {
        Self { runs, worn: Duration::from_secs(12), minute: Duration::from_secs(60), lines: 7 }
    }
}

type Measure = fn(&Sizes, &Path) -> anyhow::Result<Vec<Row>>;

/// Rows that are measured together, and how.
const ROWS: [(&[&str], Measure); 4] = [
    (&["X1", "X4"], worn::cost),
    (&["X2", "X2-work"], crowd::measure),
    (&["X3"], worn::minute),
    (&["X5"], start::measure),
];

/// Measures the rows named, all if none is; returns the rows, and the problems of those that could not be measured.
pub fn run(sizes: &Sizes, only: &[String]) -> (Vec<Row>, Vec<String>) {
    let (mut rows, mut problems) = (Vec::new(), Vec::new());
    if let Some(unknown) = only.iter().find(|id| ROWS.iter().all(|(ids, _)| !ids.contains(&id.as_str()))) {
        problems.push(format!("there is no row {unknown} in xr"));
    }
    let Some(runtime) = xr_rig::runtime("gemba bench xr") else {
        problems.push("all rows are skipped: there is no OpenXR runtime here".to_owned());
        return (rows, problems);
    };
    for (ids, measure) in ROWS {
        let is_wanted = |id: &str| only.is_empty() || only.iter().any(|wanted| wanted == id);
        if !ids.iter().any(|id| is_wanted(id)) {
            continue;
        }
        eprintln!("gemba bench: {}", ids.join(", "));
        // The rig fails as tests do: by panicking.
        let measured = catch_unwind(AssertUnwindSafe(|| measure(sizes, &runtime)));
        match measured.unwrap_or_else(|_| Err(anyhow!("the rig failed; its message stands above"))) {
            Ok(measured) => rows.extend(measured.into_iter().filter(|row| is_wanted(&row.id))),
            Err(error) => problems.push(format!("{} could not be measured: {error:#}", ids.join(", "))),
        }
    }
    (rows, problems)
}

/// A number of the viewer's report.
fn number(report: &Value, pointer: &str) -> anyhow::Result<f64> {
    let found = report.pointer(pointer).and_then(Value::as_f64);
    found.ok_or_else(|| anyhow!("the viewer's report has no {pointer}: {}", report["headset"]))
}

/// A row whose value must not be above `goal`.
fn row(id: &str, what: String, unit: &'static str, runs: &Runs, goal: f64) -> Row {
    let value = runs.median();
    Row {
        id: id.to_owned(),
        what,
        value,
        unit,
        spread: runs.spread(),
        goal: Some(goal),
        pass: Some(value <= goal),
        peers: [].into(),
    }
}
