//! A peer that follows the record: what it holds, what it has to say, and its session with the host.

use std::collections::BTreeMap;
use std::time::Instant;

use gemba_net::client_core::ClientCore;
use gemba_net::wire::ToPeer;
use gemba_net::{Hello, LinkEvent};
use gemba_record::body::Body;
use gemba_record::entry::UnverifiedEntry;
use gemba_record::log::Log;
use gemba_record::site::Site;
use gemba_twin::peer::PeerKind;
use gemba_twin::sample::Timestamp;

use crate::model::{Model, Violation, ensure};
use crate::network::Message;
use crate::random::Random;
use crate::speech::{GATEWAY, MIRROR, NEWCOMER, Speaker, identity, key_number, public};

/// Most entries that wait for an answer.
const OUTBOX: usize = 6;

pub(crate) struct Reader {
    pub(crate) speaker: Speaker,
    core: ClientCore,
    /// The session that is on, or begins; 0 for none.
    pub(crate) session: u64,
    welcome: bool,
    pub(crate) log: Log,
    pub(crate) entries: Vec<Vec<u8>>,
    /// Whether it verifies every signature; others rely on the host, so that more seeds fit into a minute.
    verifies: bool,
    /// With what it would come in for the first time.
    redemption: Option<Vec<u8>>,
    outbox: BTreeMap<u64, Vec<u8>>,
    next: u64,
    /// The newest checkpoint of the host that this mirror holds all entries of.
    pub(crate) checkpoint: Option<String>,
}

impl Reader {
    pub(crate) fn new(who: u8, verifies: bool) -> Self {
        Self {
            speaker: Speaker::new(who),
            core: ClientCore::new(0),
            session: 0,
            welcome: false,
            log: Log::new(),
            entries: Vec::new(),
            verifies,
            redemption: None,
            outbox: BTreeMap::new(),
            next: 1,
            checkpoint: None,
        }
    }

    pub(crate) fn site(&self) -> Option<&Site> {
        self.log.site()
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.outbox.is_empty()
    }

    pub(crate) fn is_in(&self) -> bool {
        self.session != 0 && self.welcome
    }

    /// Where it is, for a message.
    pub(crate) fn standing(&self) -> String {
        let Self { speaker, session, welcome, outbox, .. } = self;
        let entries = self.log.entries();
        format!(
            "peer {} with {entries} entries, session {session}, welcome {welcome}, {} unanswered",
            speaker.who,
            outbox.len()
        )
    }

    /// Begins a session, whatever became of the last one.
    pub(crate) fn connect(&mut self, session: u64, random: &mut Random, start: Instant) -> Message {
        self.core.handle_lost();
        self.core.handle_connected(start);
        (self.session, self.welcome) = (session, false);
        let who = self.speaker.who;
        // What it holds of the record may be from before its newest key.
        let guess = if random.chance(50) { random.below(4) as u32 } else { 0 };
        let key = public(who, key_number(self.site(), who) + guess);
        let is_new = self.site().is_none_or(|site| site.peer(&identity(who)).is_none());
        if who == NEWCOMER && is_new && (self.redemption.is_none() || random.chance(30)) {
            self.redemption = Some(self.speaker.redemption(random));
        }
        let kind = if who == GATEWAY { PeerKind::Device } else { PeerKind::Person };
        let entries_held = self.core.entries_held();
        let hello = Hello {
            oldest_minor: 0,
            newest_minor: 2,
            name: format!("peer {who}"),
            kind,
            entries_held,
            redemption: self.redemption.clone().map(Into::into),
            here: None,
        };
        Message::Hello { key, hello }
    }

    /// Something new to send, if it has been let in.
    pub(crate) fn speak(&mut self, random: &mut Random) -> Option<Message> {
        if !self.is_in() || self.outbox.len() >= OUTBOX || self.speaker.who == MIRROR {
            return None;
        }
        let entry = self.speaker.speak(random, self.log.site()?);
        let submission = self.next;
        self.next += 1;
        self.outbox.insert(submission, entry.clone());
        Some(Message::Submit { submission, entry })
    }

    /// All that waits for an answer, once more.
    pub(crate) fn again(&self) -> Vec<Message> {
        let submit =
            |(submission, entry): (&u64, &Vec<u8>)| Message::Submit { submission: *submission, entry: entry.clone() };
        self.outbox.iter().map(submit).collect()
    }

    /// A message has arrived. What is to be sent at once.
    pub(crate) fn handle(&mut self, message: ToPeer, model: &mut Model) -> Result<Vec<Message>, Violation> {
        let event = match self.core.handle_message(message, Timestamp(self.speaker.clock)) {
            Ok(event) => event,
            // A gap, since packets are lost here: the link would connect anew. A refusal: it would come again later.
            Err(_) => {
                self.session = 0;
                return Ok(Vec::new());
            }
        };
        match event {
            Some(LinkEvent::Welcome { .. }) => {
                self.welcome = true;
                return Ok(self.again());
            }
            Some(LinkEvent::Entries { first, entries }) => {
                ensure(first == self.log.entries(), || "entries came with a gap".to_owned())?;
                model.received(first, &entries)?;
                entries.into_iter().try_for_each(|entry| self.take(entry, model))?;
            }
            Some(LinkEvent::Answer { submission, outcome, .. }) => {
                if let Some(entry) = self.outbox.remove(&submission) {
                    model.heard(&entry, &outcome)?;
                }
            }
            _ => {}
        }
        Ok(Vec::new())
    }

    fn take(&mut self, entry: Vec<u8>, model: &Model) -> Result<(), Violation> {
        let index = self.log.entries();
        let read = UnverifiedEntry::read(entry.clone()).map_err(|why| why.to_string())?;
        if let (Body::EditThing(edit), Some(site)) = (&read.entry().body, self.log.site()) {
            let conflict = site.conflict(&read.entry().author, edit);
            model.overrules(index, conflict.map(|conflict| conflict.overruled))?;
        }
        let taken = if self.verifies {
            self.log.replay_next(entry.clone())
        } else {
            self.log.replay_next_under_checkpoint(entry.clone())
        };
        taken.map_err(|damaged| format!("a peer cannot fold entry {index}: {damaged}"))?;
        self.entries.push(entry);
        Ok(())
    }

    /// The process ends. It comes back with its own entries that wait, and with a part of what it held.
    pub(crate) fn crash(&mut self, random: &mut Random, model: &Model) -> Result<(), Violation> {
        let kept = match self.speaker.who {
            // A mirror says that it holds entries only when it holds them for good.
            MIRROR => self.entries.len(),
            _ if random.chance(50) => 0,
            _ => random.below(self.entries.len() + 1),
        };
        let entries: Vec<Vec<u8>> = self.entries.drain(..).take(kept).collect();
        self.log = Log::new();
        for entry in entries {
            self.take(entry, model)?;
        }
        self.core = ClientCore::new(self.log.entries());
        self.session = 0;
        Ok(())
    }
}
