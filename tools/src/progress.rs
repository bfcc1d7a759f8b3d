//! A bar for what takes longer than a second, on stderr, and none for what does not.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// After so long a person begins to wonder.
const PATIENCE: Duration = Duration::from_secs(1);

/// A bar that appears when it is wanted and goes when it is dropped.
pub(crate) struct Progress {
    begun: Instant,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Begins now.
    pub(crate) fn begin() -> Self {
        Self { begun: Instant::now(), bar: None }
    }

    /// How long it has been.
    pub(crate) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Shows how far `what` is.
    pub(crate) fn show(&mut self, what: &'static str, done: u64, total: u64) {
        if self.begun.elapsed() < PATIENCE {
            return;
        }
        let bar = self.bar.get_or_insert_with(|| {
            let style = ProgressStyle::with_template("{msg:>10} {wide_bar} {human_pos}/{human_len} {eta}");
            ProgressBar::new(total).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        bar.set_length(total);
        bar.set_message(what);
        bar.set_position(done);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
