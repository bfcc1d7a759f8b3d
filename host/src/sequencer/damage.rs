//! What is done with what peers say while the record is damaged, until copies of what is damaged have come.

use gemba_net::HostCommand;
use gemba_record::entry::UnverifiedEntry;

use super::{Sequencer, Submission};
use crate::mending::Fetched;
use crate::problem::{Problem, SiteDirError};

impl Sequencer {
    /// Nothing is added to a damaged record. While mirrors are asked, what peers say waits; and where not all of the log is
    /// known, since it may stand there. Else its authors are told: they are not to believe that it stands.
    pub(super) fn hold_or_refuse(&mut self, untaken: Vec<Submission>, problem: &Problem) {
        if !self.cannot_mend || !self.site.is_known_whole() {
            if self.waits_for != untaken.len() {
                tracing::error!("{problem}; what peers say waits with them until the site is repaired");
            }
            (self.waits_for, self.waiting) = (untaken.len(), untaken);
            return;
        }
        tracing::error!(entries = untaken.len(), "{problem}; what peers say is refused until the site is repaired");
        for Submission { peer, number: submission, entry } in untaken {
            let read = UnverifiedEntry::read(entry).ok();
            let held = read.and_then(|entry| self.site.site().held(entry.entry().id, entry.bytes()).ok().flatten());
            let refused = || format!("{problem}; nothing is added until it is mended: say it again then");
            let outcome = held.ok_or_else(refused);
            self.commands.push_back(HostCommand::Answer { peer, submission, outcome, overruled: None });
        }
    }

    /// The mirrors have been asked for copies of what is damaged: the first that add up take its place, and what has waited
    /// is taken.
    pub(crate) fn handle_copies(&mut self, fetched: &[Fetched]) -> Result<(), SiteDirError> {
        let mended = fetched.iter().any(|copies| {
            let mirror = &copies.mirror;
            match self.site.repair(Some(&copies.note), |wanted| copies.take(wanted)) {
                Ok(entries) => {
                    self.mended += entries;
                    tracing::warn!(
                        "{entries} damaged entries were replaced by the copies of {mirror}; entries are taken again"
                    );
                    true
                }
                Err(error) => {
                    tracing::warn!("{mirror} could not mend the record: {error}");
                    false
                }
            }
        });
        (self.cannot_mend, self.waits_for) = (!mended, 0);
        self.handle_retry()
    }

    /// Entries that are damaged, and that were and have been replaced since the start.
    pub fn damaged_and_mended(&self) -> (u64, u64) {
        let damaged = self.site.problems().iter().filter_map(Problem::wanted);
        (damaged.map(|entries| entries.end - entries.start).sum(), self.mended)
    }
}
