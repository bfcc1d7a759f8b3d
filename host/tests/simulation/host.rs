//! The host: the real site directory, sequencer and session core, on a disk that breaks. It is killed or loses power
//! anywhere, and comes back.

use std::collections::BTreeMap;
use std::sync::Arc;

use gemba_host::disk::{Disk, Faults, SimulatedDisk};
use gemba_host::problem::{Problem, SiteDirError};
use gemba_host::scrub::{Scrub, Scrubbed};
use gemba_host::sequencer::{Newcomer, Sequencer, Submission};
use gemba_host::site_dir::{Founding, SiteDir, Stated};
use gemba_net::host_core::{HostCore, Output};
use gemba_net::wire::ToPeer;
use gemba_net::{Hello, HostCommand, PeerNumber};
use gemba_record::checkpoint::{Checkpoint, origin};
use gemba_record::entry::EntryId;
use gemba_twin::peer::PeerKey;
use gemba_twin::sample::Timestamp;

use crate::model::{Model, Violation, ensure};
use crate::network::{Message, Node, Packet};
use crate::random::Random;
use crate::speech::{OWNER, SITE, beginning, secret};

/// Entries between two states that the host commits to: few, so that every run has some.
const ENTRIES_PER_STATE: u64 = 12;

/// What the store's file consists of: its header, and before each entry a frame's.
const FILE_HEADER: usize = 64;
const FRAME_HEADER: usize = 28;

pub(crate) struct HostNode {
    pub(crate) disk: SimulatedDisk,
    running: Option<Running>,
    /// Which bit of which file was turned while it was down.
    flipped: Option<(String, usize, u8)>,
    /// Whether its disk refuses something on purpose.
    faulty: bool,
    /// Whether it answers that all is well, whatever is.
    pub(crate) flatters: bool,
    pub(crate) crashes: u32,
    pub(crate) repairs: u32,
}

struct Running {
    sequencer: Sequencer,
    core: HostCore,
    sessions: BTreeMap<u64, (Node, PeerNumber)>,
    inbox: Vec<Submission>,
    /// Submitted and not answered yet, in the order in which the sequencer has them.
    asked: Vec<Submission>,
}

pub(crate) fn host_key() -> ed25519_dalek::SigningKey {
    secret(255, 0)
}

pub(crate) fn host_identity() -> PeerKey {
    PeerKey(host_key().verifying_key().to_bytes())
}

impl HostNode {
    /// A host with a new site, and what is to be true of it.
    pub(crate) fn found(seed: u64, random: &mut Random) -> (Self, Model) {
        let disk = SimulatedDisk::new(seed);
        let (owner, entry) = (secret(OWNER, 0), EntryId(random.bytes()));
        let founding = Founding { name: "Plant", site: SITE, host: host_key(), owner: Some(&owner), entry };
        let mut site = SiteDir::create_on(Arc::new(disk.clone()), founding).expect("a new disk has no faults");
        site.set_entries_per_state(ENTRIES_PER_STATE);
        let mut model = Model::new(&site.read_entries(0).expect("a new disk can be read")[0]);
        let appended = site.append(beginning(random)).expect("a new disk can be written");
        for entry in appended.entries {
            model.take(&entry).expect("a site begins with what it may begin with");
        }
        let (running, flipped, faulty) = (Some(Running::new(site)), None, false);
        (Self { disk, running, flipped, faulty, flatters: false, crashes: 0, repairs: 0 }, model)
    }

    pub(crate) fn is_up(&self) -> bool {
        self.running.is_some()
    }

    /// From now on the disk does this.
    pub(crate) fn set_faults(&mut self, faults: Faults) {
        self.faulty = faults.sync_fails || faults.read_only || faults.space.is_some();
        self.disk.set_faults(faults);
    }

    /// The process ends, by a signal nobody can refuse. What it has written is still there.
    pub(crate) fn kill(&mut self) {
        self.running = None;
        self.crashes += 1;
    }

    /// The power goes.
    pub(crate) fn lose_power(&mut self) {
        self.kill();
        self.disk.crash();
    }

    /// Turns one bit somewhere in the site's files while nobody looks after them.
    pub(crate) fn flip(&mut self, random: &mut Random) {
        let derived = ["checkpoint", "site.mark", "site.index"][random.below(3)];
        let name = if random.chance(60) { "site.record" } else { derived };
        let bytes = self.disk.read(name, 0, usize::MAX >> 1).unwrap_or_default();
        // Behind the last entry of a record lies nothing that could be damaged.
        let size = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        // Where the disk refused the mark too, the end of the record cannot be told from a torn one.
        if self.running.is_none() && self.flipped.is_none() && !self.faulty && size > 0 {
            let (byte, bit) = (random.below(size), random.below(8) as u8);
            self.disk.flip(name, byte, bit);
            self.flipped = Some((name.to_owned(), byte, bit));
        }
    }

    /// Whether the power has gone in the midst of what it did; then it is down.
    pub(crate) fn notice_power(&mut self) -> bool {
        let gone = self.disk.list("").is_err();
        if gone {
            self.lose_power();
        }
        gone
    }

    /// Starts the process on what the disk holds. `mirror` gives a checkpoint and copies, should something be damaged.
    pub(crate) fn start(&mut self, model: &mut Model, mirror: (Option<&str>, &[Vec<u8>])) -> Result<(), Violation> {
        if self.flipped.is_some() {
            self.disk.set_faults(Faults::default());
            self.faulty = false;
        }
        let lost_checkpoint = self.flipped.as_ref().is_some_and(|(name, ..)| name == "checkpoint");
        let opened = SiteDir::open_on(Arc::new(self.disk.clone()));
        if self.notice_power() {
            return Ok(());
        }
        let mut site = match (opened, self.flipped.take()) {
            (Ok(site), None) => site,
            (opened, Some(flipped)) => self.mend(opened, &flipped, model, mirror)?,
            (Err(_), None) if self.faulty => return Ok(()),
            (Err(error), None) => return Err(format!("the site does not open any more: {error}")),
        };
        ensure(site.problems().is_empty(), || format!("a crash is no damage: {}", site.problems()[0]))?;
        site.set_entries_per_state(ENTRIES_PER_STATE);
        model.reopened(&all(&site)?)?;
        let kept = site.signed_checkpoint().map(verified).transpose()?;
        // In the place of a damaged one stands a mirror's, which may be older.
        model.kept(kept.as_ref().map_or(0, |kept| kept.size), lost_checkpoint)?;
        if let Some(kept) = kept {
            model.signed(kept.size, kept.root)?;
        }
        model.agrees(site.site())?;
        self.running = Some(Running::new(site));
        Ok(())
    }

    /// A bit was turned: what is damaged is said, and a mirror's copies mend it, or else a copy of the file does.
    fn mend(
        &mut self,
        opened: Result<SiteDir, SiteDirError>,
        (name, byte, bit): &(String, usize, u8),
        model: &Model,
        (checkpoint, copies): (Option<&str>, &[Vec<u8>]),
    ) -> Result<SiteDir, Violation> {
        let copy = |range: std::ops::Range<u64>| Some(copies.get(range.start as usize..range.end as usize)?.to_vec());
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        let damaged = (name == "site.record").then(|| entry_at(*byte, &model.log)).flatten();
        let mut opened = opened;
        if let Ok(site) = &mut opened
            && site.problems().is_empty()
        {
            // What is older than the snapshot is not looked at before.
            let mut scrub = Scrub::default();
            while scrub.step(site).map_err(|error| format!("reading all again: {error}"))? == Scrubbed::Some {}
        }
        let problems = match &opened {
            Ok(site) => site.problems().to_vec(),
            Err(SiteDirError::Unreadable(problem)) => vec![problem.clone()],
            Err(error) => return Err(format!("after a bit of {name} was turned: {error}")),
        };
        let names_it = |problem: &Problem| match (problem, damaged) {
            (Problem::Damaged { entries, .. }, Some(entry)) => entries.contains(&entry),
            (Problem::Header { .. }, None) => name == "site.record",
            (Problem::Checkpoint { .. }, _) => name == "checkpoint",
            _ => false,
        };
        // What lies behind all that was acknowledged is passed over as the torn end that it looks like.
        let matters = damaged.map_or(name != "site.mark" && name != "site.index", |entry| entry < model.len());
        ensure(problems.iter().any(names_it) || !matters, || {
            let dropped = opened.as_ref().ok().and_then(|site| site.dropped().cloned());
            format!(
                "bit {bit} of byte {byte} of {name} (entry {damaged:?} of {}) was turned; what is said is {problems:?}, \
                 {dropped:?}",
                model.len()
            )
        })?;
        let repaired = match opened {
            Ok(site) if problems.is_empty() => return Ok(site),
            Ok(mut site) => site.repair(checkpoint, copy).ok().map(|_| site),
            Err(_) => SiteDir::repair_on(disk.clone(), checkpoint, copy).ok(),
        };
        if let Some(site) = repaired {
            self.repairs += 1;
            return Ok(site);
        }
        // No mirror has gone that far: the file comes back from a copy of the disk.
        self.disk.flip(name, *byte, *bit);
        SiteDir::open_on(disk).map_err(|error| format!("restored from a copy, the site does not open: {error}"))
    }

    /// A packet has arrived. What is to be sent at once.
    pub(crate) fn receive(&mut self, packet: Packet, model: &Model) -> Result<Vec<Packet>, Violation> {
        let Some(running) = &mut self.running else { return Ok(Vec::new()) };
        let Packet { from, session, message, .. } = packet;
        match message {
            Message::Hello { key, hello } => running.arrive(from, session, key, hello, model),
            Message::Submit { submission, entry } => {
                let peer = running.sessions.get(&session).map(|(_, peer)| *peer);
                if let Some(peer) = peer.filter(|peer| running.core.is_admitted(*peer)) {
                    running.inbox.push(Submission { peer, number: submission, entry });
                }
                Ok(Vec::new())
            }
            _ => Ok(Vec::new()),
        }
    }

    /// Takes some of what has gathered as one commit, and says what follows.
    pub(crate) fn work(&mut self, random: &mut Random, model: &mut Model) -> Result<Vec<Packet>, Violation> {
        let flatters = self.flatters;
        let Some(running) = &mut self.running else { return Ok(Vec::new()) };
        let count = random.below(running.inbox.len() + 1);
        let batch: Vec<Submission> = running.inbox.drain(..count).collect();
        let copy = |s: &Submission| Submission { peer: s.peer, number: s.number, entry: s.entry.clone() };
        running.asked.extend(batch.iter().map(copy));
        let worked = running.sequencer.handle_submissions(batch);
        let commands = worked.and_then(|()| {
            std::iter::from_fn(|| running.sequencer.poll_command().transpose()).collect::<Result<Vec<_>, _>>()
        });
        match commands {
            Ok(commands) => or_power_cut(running.carry_out(commands, model, flatters)),
            Err(_) if self.disk.list("").is_err() || self.faulty => {
                self.kill();
                Ok(Vec::new())
            }
            Err(error) => Err(format!("the host ends: {error}")),
        }
    }

    /// Signs what it has, for anyone to see.
    pub(crate) fn sign(&mut self, model: &mut Model) -> Result<Option<String>, Violation> {
        let Some(running) = &mut self.running else { return Ok(None) };
        let Ok(note) = running.sequencer.state_checkpoint().and_then(Stated::keep) else {
            // A commit may have been found to be there after all.
            return Ok(None);
        };
        let stated = verified(&note)?;
        if stated.size > model.len() {
            // What failed to be written is on the disk after all; nobody was told.
            let Some(entries) = or_power_cut(all(running.sequencer.site()).map(Some))? else { return Ok(None) };
            model.reopened(&entries)?;
        }
        model.shown(stated.size);
        model.signed(stated.size, stated.root)?;
        Ok(Some(note))
    }

    /// Which peers are present that may not be.
    pub(crate) fn strangers(&self, model: &Model) -> usize {
        let Some(running) = &self.running else { return 0 };
        let is_stranger = |(_, peer): &(Node, PeerNumber)| {
            running.core.is_admitted(*peer) && running.keys_of(*peer).is_some_and(|key| !model.may_enter(&key))
        };
        running.sessions.values().filter(|session| is_stranger(session)).count()
    }

    pub(crate) fn site(&self) -> Option<&SiteDir> {
        self.running.as_ref().map(|running| running.sequencer.site())
    }
}

impl Running {
    fn new(site: SiteDir) -> Self {
        let sequencer = Sequencer::new(site, None);
        let core = HostCore::default();
        Self { sequencer, core, sessions: BTreeMap::new(), inbox: Vec::new(), asked: Vec::new() }
    }

    fn arrive(
        &mut self,
        from: Node,
        session: u64,
        key: PeerKey,
        hello: Hello,
        model: &Model,
    ) -> Result<Vec<Packet>, Violation> {
        if self.sessions.contains_key(&session) {
            // The same hello a second time.
            return Ok(Vec::new());
        }
        let before: Vec<u64> = self.sessions.iter().filter(|(_, (node, _))| *node == from).map(|(s, _)| *s).collect();
        for old in before {
            if let Some((_, peer)) = self.sessions.remove(&old) {
                self.leave(peer);
            }
        }
        let peer = self.core.handle_hello(key, &hello).map_err(|why| format!("the host sends a peer away: {why}"))?;
        self.sessions.insert(session, (from, peer));
        let Hello { name, kind, entries_held, redemption, .. } = hello;
        ensure(entries_held <= model.len(), || "a peer holds more than was ever acknowledged".to_owned())?;
        let redemption = redemption.map(Into::into);
        let newcomer = Newcomer { key, name, kind, entries_held, redemption };
        self.sequencer.handle_arrival(peer, &newcomer).map_err(|error| format!("an arrival ends the host: {error}"))?;
        Ok(Vec::new())
    }

    fn leave(&mut self, peer: PeerNumber) {
        self.core.handle_left(peer, Timestamp(0));
        self.sequencer.handle_leave(peer);
        self.inbox.retain(|submission| submission.peer != peer);
        self.asked.retain(|submission| submission.peer != peer);
    }

    fn keys_of(&self, peer: PeerNumber) -> Option<PeerKey> {
        self.sequencer.key_of(peer)
    }

    fn carry_out(
        &mut self,
        commands: Vec<HostCommand>,
        model: &mut Model,
        flatters: bool,
    ) -> Result<Vec<Packet>, Violation> {
        self.take_unasked(&commands, model)?;
        // What is answered is judged before anything of it is seen.
        for command in &commands {
            let HostCommand::Answer { peer, submission, outcome, overruled } = command else { continue };
            let same = |asked: &Submission| asked.peer == *peer && asked.number == *submission;
            let at = self.asked.iter().position(same).ok_or("an answer to what nobody asked")?;
            let outcome = if flatters { Ok(model.len()) } else { outcome.clone() };
            model.answer(&self.asked.remove(at).entry, &outcome)?;
            if let Ok(index) = outcome
                && overruled.is_some()
            {
                model.overrules(index, *overruled)?;
            }
        }
        let held = self.sequencer.site().log().entries();
        if held > model.len() {
            // The host's own word on the state of the site.
            model.reopened(&all(self.sequencer.site())?)?;
        }
        ensure(held == model.len() || self.sequencer.is_waiting(), || "the host has lost entries".to_owned())?;
        let mut packets = Vec::new();
        for command in commands {
            match command {
                HostCommand::Admit { peer, entries } => self.core.admit(peer, "Plant", entries),
                HostCommand::Refuse { peer, why } => self.core.refuse(peer, &why, Timestamp(0)),
                HostCommand::Answer { peer, submission, outcome, overruled } => packets.extend(self.packet(
                    peer,
                    match outcome {
                        Ok(index) => ToPeer::Accepted { submission, index, overruled },
                        Err(why) => ToPeer::Rejected { submission, why },
                    },
                )),
                HostCommand::Entries { peer, first, entries } => {
                    if let Some(peer) = peer {
                        self.sequencer.handle_entries_taken(peer);
                    }
                    let to: Vec<PeerNumber> = match peer {
                        Some(peer) => vec![peer],
                        None => self
                            .sessions
                            .values()
                            .map(|(_, peer)| *peer)
                            .filter(|p| self.core.is_admitted(*p))
                            .collect(),
                    };
                    let entries: Vec<_> = entries.into_iter().map(Into::into).collect();
                    packets.extend(
                        to.into_iter()
                            .filter_map(|peer| self.packet(peer, ToPeer::Entries { first, entries: entries.clone() })),
                    );
                }
                _ => {}
            }
            for output in self.core.poll_outputs() {
                if let Output::Control(peer, message) = output {
                    packets.extend(self.packet(peer, message));
                }
            }
        }
        Ok(packets)
    }

    /// Before the first new entry that is answered there may stand some that nobody waits for: an invitation redeemed at
    /// an arrival, and what failed to be written and is on the disk after all. Each must be one that the host may take.
    fn take_unasked(&self, commands: &[HostCommand], model: &mut Model) -> Result<(), Violation> {
        let new = |command: &HostCommand| match command {
            HostCommand::Answer { outcome: Ok(index), .. } => Some(*index).filter(|index| *index >= model.len()),
            _ => None,
        };
        let Some(first) = commands.iter().filter_map(new).min().filter(|first| *first > model.len()) else {
            return Ok(());
        };
        let entries = all(self.sequencer.site())?;
        let before = usize::try_from(first).ok().and_then(|first| entries.get(..first));
        model.reopened(before.ok_or("an answer names an entry that is not in the log")?)
    }

    fn packet(&self, peer: PeerNumber, message: ToPeer) -> Option<Packet> {
        let (session, (node, _)) = self.sessions.iter().find(|(_, (_, number))| *number == peer)?;
        Some(Packet { from: Node::Host, to: *node, session: *session, message: Message::ToPeer(message) })
    }
}

/// What was found to be wrong is nothing but that the power went meanwhile: the simulated disk says so.
fn or_power_cut<T: Default>(outcome: Result<T, Violation>) -> Result<T, Violation> {
    outcome.or_else(|why| if why.contains("the power is off") { Ok(T::default()) } else { Err(why) })
}

/// Every entry of the record.
fn all(site: &SiteDir) -> Result<Vec<Vec<u8>>, Violation> {
    let mut entries = Vec::new();
    while (entries.len() as u64) < site.log().entries() {
        let more =
            site.read_entries(entries.len() as u64).map_err(|error| format!("the record is unreadable: {error}"))?;
        ensure(!more.is_empty(), || "the record ends too early".to_owned())?;
        entries.extend(more);
    }
    Ok(entries)
}

fn verified(note: &str) -> Result<Checkpoint, Violation> {
    Checkpoint::verify(note, &origin(SITE), &host_identity()).map_err(|why| format!("the host's own checkpoint: {why}"))
}

/// The entry in whose frame this byte of the store's file lies; none for the file's header.
fn entry_at(byte: usize, log: &[Vec<u8>]) -> Option<u64> {
    let mut end = FILE_HEADER;
    if byte < end {
        return None;
    }
    let found = log.iter().position(|entry| {
        end += FRAME_HEADER + entry.len();
        byte < end
    });
    // Behind all that was acknowledged lies what was not.
    Some(found.unwrap_or(log.len()) as u64)
}
