//! Ctrl-C for commands that have something to clean up: they ask now and then, and stop by themselves.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail};

/// Whether Ctrl-C was pressed.
#[derive(Debug, Clone)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// From now on Ctrl-C ends the process only through [`Interrupt::check`].
    pub(crate) fn watch() -> Result<Self> {
        let pressed = Arc::new(AtomicBool::new(false));
        let told = pressed.clone();
        ctrlc::set_handler(move || told.store(true, Ordering::Relaxed)).context("cannot watch for Ctrl-C")?;
        Ok(Self(pressed))
    }

    /// An error once it was pressed.
    pub(crate) fn check(&self) -> Result<()> {
        if self.0.load(Ordering::Relaxed) {
            bail!("interrupted; nothing was left behind");
        }
        Ok(())
    }
}
