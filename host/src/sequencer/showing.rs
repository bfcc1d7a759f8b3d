//! What of the log is shown to whom: a site with an heir shows and acknowledges only what that has, too.

use gemba_net::{HostCommand, PeerNumber};

use super::{Present, Sequencer};

impl Sequencer {
    /// Whether entries may be taken from now on, and how many may be shown to others than hosts; none for all. What was
    /// taken and may be shown now is answered.
    pub fn handle_consent(&mut self, may_take: bool, shown: Option<u64>) {
        (self.may_take, self.shown) = (may_take, shown);
        let (shown, withheld) = (self.shown(), self.withheld.len());
        while self.withheld.front().is_some_and(|(index, _)| *index < shown) {
            self.commands.extend(self.withheld.pop_front().map(|(_, answer)| answer));
        }
        if self.withheld.len() < withheld {
            // Who has been answered may have given up its own key by that.
            self.dismiss();
        }
    }

    /// Whether all entries are shown to everyone.
    pub fn shows_all(&self) -> bool {
        self.shown() >= self.site.log().entries()
    }

    /// How many entries others than hosts are shown.
    pub(super) fn shown(&self) -> u64 {
        self.shown.unwrap_or(u64::MAX).min(self.site.readable())
    }

    /// A peer that has not been sent everything it may be and has room for more, where to go on, and up to where.
    pub(super) fn lagging(&self) -> Option<(PeerNumber, u64, u64)> {
        let (entries, shown) = (self.site.readable(), self.shown());
        let end = |present: &Present| if present.is_host { entries } else { shown };
        let lags = |(_, present): &(&PeerNumber, &Present)| present.next < end(present) && !present.is_taking;
        self.peers.iter().find(lags).map(|(peer, present)| (*peer, present.next, end(present)))
    }

    /// Sends new entries to all who have everything before them; the others get them from the disk in their turn.
    pub(super) fn broadcast(&mut self, first: u64, entries: Vec<Vec<u8>>) {
        // Who may not be shown them yet is sent them from the disk in its turn.
        let is_next = |present: &Present| present.next == first && (present.is_host || self.shown.is_none());
        let current: Vec<PeerNumber> =
            self.peers.iter().filter(|(_, present)| is_next(present)).map(|(peer, _)| *peer).collect();
        if entries.is_empty() || current.is_empty() {
            return;
        }
        let next = first + entries.len() as u64;
        for peer in &current {
            if let Some(present) = self.peers.get_mut(peer) {
                present.next = next;
            }
        }
        if current.len() == self.peers.len() {
            self.commands.push_back(HostCommand::Entries { peer: None, first, entries });
            return;
        }
        for peer in current {
            self.commands.push_back(HostCommand::Entries { peer: Some(peer), first, entries: entries.clone() });
        }
    }
}
