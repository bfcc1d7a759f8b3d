//! Reads the whole record again while it is served, slowly: a site that is opened from its snapshot does not look at
//! entries that are older, so that a disk that forgets would be found out only when somebody asks for them.
//!
//! What is found is a problem of the site as if it had been opened with it ([`SiteDir::problems`]). Left out: blobs, which
//! are verified whenever they are read and of which a copy can be imported again.

use crate::problem::{Problem, SiteDirError};
use crate::site_dir::SiteDir;

/// How far the record has been read.
#[derive(Debug, Default)]
pub struct Scrub {
    next: u64,
}

/// What one step of a [`Scrub`] has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scrubbed {
    /// More is to be read.
    Some,
    /// The end; so many entries have been read, and the next step begins anew.
    All(u64),
    /// Entries that are not as they were written, which is a problem of the site from now on.
    Damage(Problem),
}

impl Scrub {
    /// Reads about [`crate::limits::READ_BYTES`] more.
    pub fn step(&mut self, site: &mut SiteDir) -> Result<Scrubbed, SiteDirError> {
        let read = match site.read_entries(self.next) {
            Ok(entries) => entries.len() as u64,
            Err(SiteDirError::ReadOnly(problem)) => {
                if let Problem::Damaged { entries, .. } = &problem {
                    self.next = entries.end;
                }
                site.add_problem(problem.clone());
                return Ok(Scrubbed::Damage(problem));
            }
            Err(error) => return Err(error),
        };
        if read == 0 {
            return Ok(Scrubbed::All(std::mem::take(&mut self.next)));
        }
        self.next += read;
        Ok(Scrubbed::Some)
    }
}
