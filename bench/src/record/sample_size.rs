//! R4: bytes of a sample in the historian's segments, of a shift of the simulated plant: every change of 1,000 tags, 20
//! looks a second, sealed every five minutes. What finds an instant (start tables) is counted too. The journal is not: it
//! goes when its segment is sealed.

use std::path::Path;

use anyhow::ensure;

use super::Sizes;
use super::shift;
use crate::report::{Row, Runs};

const GOAL: f64 = 3.0;

/// Measures; one run, since every run writes the same bytes. The spread is that of the segments.
pub fn measure(sizes: &Sizes, work: &Path) -> anyhow::Result<Vec<Row>> {
    let (_, shift) = shift::site_with_shift(work, sizes.shift_hours)?;
    ensure!(shift.segments.iter().map(|(_, samples)| samples).sum::<u64>() == shift.samples, "samples were lost");
    let mut segments = Runs::default();
    shift.segments.iter().for_each(|(bytes, samples)| segments.push(*bytes as f64 / *samples as f64));
    let value = shift.bytes as f64 / shift.samples as f64;
    Ok(vec![Row {
        id: "R4".to_owned(),
        what: format!(
            "a sample on the disk: {} samples of {} tags in {} h, {} segments (their spread)",
            shift.samples,
            shift::tags(),
            sizes.shift_hours,
            shift.segments.len()
        ),
        value,
        unit: "B",
        spread: segments.spread(),
        goal: Some(GOAL),
        pass: Some(value <= GOAL),
        peers: [].into(),
    }])
}
