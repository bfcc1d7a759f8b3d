//! What a benchmark prints: rows of figures, and the machine they hold for.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::machine::Machine;

/// All that was measured.
#[derive(Serialize)]
pub struct Report {
    /// Where.
    pub machine: Machine,
    /// What.
    pub rows: Vec<Row>,
}

/// One figure.
#[derive(Serialize)]
pub struct Row {
    /// Its name in the table of goals.
    pub id: String,
    /// What was measured, with the sizes.
    pub what: String,
    /// Median of the runs.
    pub value: f64,
    /// Of the value, the spread, the goal and the rivals.
    pub unit: &'static str,
    /// Lowest and highest run.
    pub spread: [f64; 2],
    /// What the value must reach, where there is a goal for exactly this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub goal: Option<f64>,
    /// Whether it does, and keeps up with its rivals as asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pass: Option<bool>,
    /// What others did in the same run, medians.
    pub peers: BTreeMap<String, f64>,
}

/// The runs of one thing, in its unit.
#[derive(Debug, Default, Clone)]
pub struct Runs(Vec<f64>);

impl Runs {
    /// Adds a run.
    pub fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    /// The middle one; of an even number, the lower of the two.
    ///
    /// # Panics
    /// If there is no run.
    pub fn median(&self) -> f64 {
        self.sorted()[(self.0.len() - 1) / 2]
    }

    /// Lowest and highest.
    ///
    /// # Panics
    /// If there is no run.
    pub fn spread(&self) -> [f64; 2] {
        let sorted = self.sorted();
        [sorted[0], sorted[sorted.len() - 1]]
    }

    /// The smallest value that `share` (0 to 1) of the runs do not exceed.
    ///
    /// # Panics
    /// If there is no run.
    pub fn percentile(&self, share: f64) -> f64 {
        let rank = (self.0.len() as f64 * share).ceil() as usize;
        self.sorted()[rank.clamp(1, self.0.len()) - 1]
    }

    fn sorted(&self) -> Vec<f64> {
        assert!(!self.0.is_empty(), "a figure is of at least one run");
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }
}

/// How long `work` took, and what it gave.
pub fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let begun = Instant::now();
    let result = work();
    (begun.elapsed(), result)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n", self.machine)?;
        for row in &self.rows {
            let verdict = match row.pass {
                Some(true) => "pass",
                Some(false) => "FAIL",
                None => "",
            };
            let goal = row.goal.map(|goal| format!("goal {goal}")).unwrap_or_default();
            let [low, high] = row.spread.map(figure);
            let value = figure(row.value);
            writeln!(
                f,
                "{:6} {value:>10} {:10} {verdict:4} {goal:12} {low} to {high}   {}",
                row.id, row.unit, row.what
            )?;
            for (peer, value) in &row.peers {
                writeln!(f, "       {:>10} {:10} {peer}", figure(*value), row.unit)?;
            }
        }
        Ok(())
    }
}

/// Three digits, and all that stand before the point.
fn figure(value: f64) -> String {
    let decimals = match value.abs() {
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        v if v >= 1.0 => 2,
        _ => 4,
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_the_ends_and_the_percentiles_are_of_the_sorted_runs() {
        let mut runs = Runs::default();
        (1..=200).rev().for_each(|n| runs.push(f64::from(n)));
        assert_eq!(runs.median(), 100.0);
        assert_eq!(runs.spread(), [1.0, 200.0]);
        assert_eq!(runs.percentile(0.99), 198.0);
        assert_eq!(runs.percentile(1.0), 200.0);
    }
}
