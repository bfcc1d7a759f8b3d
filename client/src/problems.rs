//! What went wrong in this run, for the person and for the report. Bounded; the same thing is noted once.

use bevy::prelude::*;

/// Most problems kept.
const LIMIT: usize = 100;

/// Everything that went wrong, oldest first, in words for a person.
#[derive(Resource, Default)]
pub struct Problems(Vec<String>);

impl Problems {
    /// Notes a problem and logs it.
    pub fn note(&mut self, what: String) {
        if self.0.len() < LIMIT && !self.0.contains(&what) {
            error!("{what}");
            self.0.push(what);
        }
    }

    /// All of them.
    pub fn all(&self) -> &[String] {
        &self.0
    }
}
