//! One host takes over from another that has died, and never are there two at once. Decided here, without clocks, files
//! or sockets.
//!
//! The heir (the first of the hosts named in the record that is not the host) follows the host as a peer and has on its
//! disk what comes. A few times a second it tells how much that is, and the newest time of the host's that it has heard.
//! So there is a [`Bond`] between them:
//!
//! - The host shows and acknowledges only what is on both disks, and takes entries only while the heir has heard it less
//!   than [`limits::LEASE`] ago by the host's own clock.
//! - The heir takes over only when it has heard nothing for longer than that ([`Watch`]). By then the host, if it should
//!   live after all, takes no entries any more.
//!
//! The bond begins when the heir has all there is and the host has written down that it is bound; it ends when the heir
//! says good-bye. While an heir that is bound is silent, entries wait with their authors: whether it has died or taken
//! over cannot be known from here.
//!
//! What this does not do: choose among several heirs (the owner's list does), or go on without the heir's word (an
//! operator can say so: `gembad --alone`).

use std::time::{Duration, Instant};

use gemba_twin::peer::PeerKey;

use crate::limits;

/// A host's end: what it may take and show.
#[derive(Debug, Default)]
pub struct Consent {
    bond: Option<Bond>,
}

/// That the heir may take over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bond {
    /// Who.
    pub heir: PeerKey,
    /// Entries of the log that are on its disk.
    pub held: u64,
    /// Until when entries may be taken; none before it has been heard.
    until: Option<Instant>,
}

impl Bond {
    /// One that was written down, of an heir that has not been heard yet.
    pub fn of(heir: PeerKey, held: u64) -> Self {
        Self { heir, held, until: None }
    }
}

/// What an heir has told.
#[derive(Debug, Clone, Copy)]
pub struct Told {
    /// Whose word it is.
    pub peer: PeerKey,
    /// Entries of the log on its disk.
    pub held: u64,
    /// How long ago the host said what it has heard last, by the host's own clock; none if it has heard nothing yet.
    pub heard: Option<Duration>,
    /// It stands by no more.
    pub leaves: bool,
}

/// What an heir's word leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply {
    /// The bond has begun or ended: it is to be written down before anything else is done.
    pub is_news: bool,
    /// The heir is to be told that it is counted on.
    pub counts: bool,
}

impl Consent {
    /// Goes on from what was written down.
    pub fn new(bond: Option<Bond>) -> Self {
        Self { bond }
    }

    /// The bond, if there is one.
    pub fn bond(&self) -> Option<&Bond> {
        self.bond.as_ref()
    }

    /// A host that stands by has spoken. `heir` is who the record says it is, and `entries` are the log's.
    pub fn handle(&mut self, now: Instant, told: Told, heir: Option<PeerKey>, entries: u64) -> Reply {
        let Told { peer, held, heard, leaves } = told;
        let has_all = held >= entries;
        match &mut self.bond {
            Some(bond) if bond.heir == peer => {
                bond.held = bond.held.max(held);
                let until = heard.and_then(|ago| Some(now.checked_sub(ago)? + limits::LEASE));
                bond.until = bond.until.max(until);
                // Who is heir no more takes over no more, as soon as it knows.
                let ends = leaves || (has_all && heir != Some(peer));
                if ends {
                    self.bond = None;
                }
                Reply { is_news: ends, counts: !ends }
            }
            None if heir == Some(peer) && has_all && !leaves => {
                // It hears so from now on, and takes over no sooner than that.
                self.bond = Some(Bond { until: Some(now + limits::LEASE), ..Bond::of(peer, held) });
                Reply { is_news: true, counts: true }
            }
            _ => Reply { is_news: false, counts: false },
        }
    }

    /// Whether entries may be taken now.
    pub fn may_take(&self, now: Instant) -> bool {
        self.bond.is_none_or(|bond| bond.until.is_some_and(|until| now < until))
    }

    /// How many entries may be shown and acknowledged; none for all there are.
    pub fn shown(&self) -> Option<u64> {
        self.bond.map(|bond| bond.held)
    }
}

/// An heir's end: when it takes over.
#[derive(Debug)]
pub struct Watch {
    patience: Duration,
    /// When the host said last that it counts on us.
    counted: Option<Instant>,
}

impl Watch {
    /// Takes over after so long a silence, and never earlier than the host knows.
    pub fn new(patience: Duration) -> Self {
        Self { patience: patience.max(limits::LEAST_PATIENCE), counted: None }
    }

    /// The host counts on us.
    pub fn handle_counted(&mut self, now: Instant) {
        self.counted = Some(now);
    }

    /// Another host is followed now, which has not said so.
    pub fn handle_other_host(&mut self) {
        self.counted = None;
    }

    /// When to take over, unless the host speaks before; none while it does not count on us.
    pub fn deadline(&self) -> Option<Instant> {
        self.counted.map(|at| at + self.patience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEIR: PeerKey = PeerKey([2; 32]);
    const OTHER: PeerKey = PeerKey([3; 32]);

    fn told(held: u64, heard_ms: Option<u64>) -> Told {
        Told { peer: HEIR, held, heard: heard_ms.map(Duration::from_millis), leaves: false }
    }

    fn bound(now: Instant) -> Consent {
        let mut consent = Consent::default();
        let reply = consent.handle(now, told(7, None), Some(HEIR), 7);
        assert_eq!(reply, Reply { is_news: true, counts: true });
        consent.handle(now, told(7, Some(0)), Some(HEIR), 7);
        consent
    }

    #[test]
    fn a_host_whom_nobody_can_succeed_takes_and_shows_all() {
        let consent = Consent::default();
        assert!(consent.may_take(Instant::now()) && consent.shown().is_none());
    }

    #[test]
    fn an_heir_is_counted_on_only_once_it_has_all_there_is() {
        let now = Instant::now();
        let mut consent = Consent::default();
        let nothing = Reply { is_news: false, counts: false };
        assert_eq!(consent.handle(now, told(6, None), Some(HEIR), 7), nothing);
        assert_eq!(consent.handle(now, told(7, None), Some(OTHER), 7), nothing, "it is not the heir");
        assert!(consent.may_take(now));
        assert!(consent.handle(now, told(7, None), Some(HEIR), 7).counts);
        assert!(consent.may_take(now) && !consent.may_take(now + limits::LEASE), "it may never have heard so");
        assert_eq!(consent.shown(), Some(7));
    }

    #[test]
    fn entries_are_shown_when_they_are_on_both_disks() {
        let now = Instant::now();
        let mut consent = bound(now);
        consent.handle(now, told(9, Some(5)), Some(HEIR), 12);
        assert_eq!(consent.shown(), Some(9));
        consent.handle(now, told(8, Some(5)), Some(HEIR), 12);
        assert_eq!(consent.shown(), Some(9), "an older word says nothing new");
    }

    #[test]
    fn never_do_both_take_entries_whenever_the_line_between_them_is_cut() {
        let begin = Instant::now();
        let at = |ms: u64| begin + Duration::from_millis(ms);
        // Words take from 0 to 800 ms each way, and the line is cut at any moment.
        for (there, back) in [(0, 0), (0, 800), (800, 0), (400, 300)] {
            for cut in (0..4000).step_by(50) {
                let mut consent = bound(begin);
                let mut watch = Watch::new(Duration::ZERO);
                watch.handle_counted(begin);
                for said in (0..cut).step_by(200) {
                    if said + there <= cut {
                        watch.handle_counted(at(said + there));
                    }
                    let arrives = said + there + back;
                    if arrives <= cut {
                        consent.handle(at(arrives), told(7, Some(there + back)), Some(HEIR), 7);
                    }
                }
                let takes_over = watch.deadline().unwrap();
                assert!(!consent.may_take(takes_over), "cut at {cut} ms, {there} ms there and {back} ms back");
            }
        }
    }

    #[test]
    fn a_silent_heir_holds_entries_up_until_it_speaks_or_has_left() {
        let now = Instant::now();
        let mut consent = bound(now);
        let later = now + Duration::from_secs(60);
        assert!(!consent.may_take(later));
        consent.handle(later, told(7, Some(60_000)), Some(HEIR), 7);
        assert!(!consent.may_take(later), "what it has heard is too long ago");
        consent.handle(later, told(7, Some(10)), Some(HEIR), 7);
        assert!(consent.may_take(later));
        let left = consent.handle(later, Told { leaves: true, ..told(7, Some(0)) }, Some(HEIR), 7);
        assert_eq!(left, Reply { is_news: true, counts: false });
        assert!(consent.may_take(later + Duration::from_secs(60)) && consent.shown().is_none());
    }

    #[test]
    fn who_is_heir_no_more_lets_go_when_it_knows() {
        let now = Instant::now();
        let mut consent = bound(now);
        assert!(consent.handle(now, told(7, Some(0)), Some(OTHER), 8).counts, "it has not got the entry that says so");
        assert!(!consent.handle(now, told(8, Some(0)), Some(OTHER), 8).counts);
        assert_eq!(consent.bond(), None);
    }

    #[test]
    fn a_bond_that_was_written_down_binds_a_host_that_has_started_anew() {
        let now = Instant::now();
        let mut consent = Consent::new(Some(Bond::of(HEIR, 5)));
        assert!(!consent.may_take(now) && consent.shown() == Some(5));
        consent.handle(now, told(7, Some(3)), Some(HEIR), 7);
        assert!(consent.may_take(now) && consent.shown() == Some(7));
    }

    #[test]
    fn an_heir_takes_over_from_nobody_who_has_not_counted_on_it() {
        let now = Instant::now();
        let mut watch = Watch::new(Duration::from_secs(3));
        assert_eq!(watch.deadline(), None);
        watch.handle_counted(now);
        assert_eq!(watch.deadline(), Some(now + Duration::from_secs(3)));
        watch.handle_other_host();
        assert_eq!(watch.deadline(), None);
    }
}
