//! Decides for the host: who comes in, which entry comes next, and what every peer still has to be sent.
//!
//! [`Sequencer`] is told what happened (`handle_…`) and gives back what to do ([`Sequencer::poll_command`]). It holds
//! the site directory and so writes to the disk, but knows no socket, no clock and no task.
//!
//! Entries reach a peer in the order of the log and without a gap: a newcomer is first sent, from the disk and piece by
//! piece, what it lacks; once it has caught up it hears of new entries with everyone else.

mod damage;
mod showing;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use gemba_net::{HostCommand, PeerNumber};
use gemba_record::author::Author;
use gemba_record::body::Body;
use gemba_record::command::CommandOutcome;
use gemba_record::entry::{EntryId, UnverifiedEntry};
use gemba_record::refusal::Refusal;
use gemba_record::role::Role;
use gemba_twin::path::{TagId, ThingId};
use gemba_twin::peer::{PeerKey, PeerKind};
use gemba_twin::sample::Timestamp;
use gemba_twin::tag::Tag;

use crate::carrying;
use crate::device_commands::{Carried, Order};
use crate::key_file;
use crate::limits;
use crate::problem::SiteDirError;
use crate::scrub::{Scrub, Scrubbed};
use crate::site_dir::{Appended, PendingSnapshot, SiteDir, Stated};

/// Who asks to come in. That it holds `key` has been proved; the rest is what it says of itself.
#[derive(Debug, Clone)]
pub struct Newcomer {
    /// Its identity.
    pub key: PeerKey,
    /// What it calls itself.
    pub name: String,
    /// What it is.
    pub kind: PeerKind,
    /// How many entries of the record it holds already.
    pub entries_held: u64,
    /// The signed entry by which it redeems an invitation.
    pub redemption: Option<Vec<u8>>,
}

/// An entry a peer wants in the record.
#[derive(Debug)]
pub struct Submission {
    /// Who sent it.
    pub peer: PeerNumber,
    /// The peer's own number for it, to recognise the answer by.
    pub number: u64,
    /// The signed entry.
    pub entry: Vec<u8>,
}

/// The index of an entry, or why it was refused.
type Outcome = Result<u64, String>;

/// The deciding part of a running host.
pub struct Sequencer {
    site: SiteDir,
    /// The role a person who is not known yet gets.
    admit: Option<Role>,
    peers: BTreeMap<PeerNumber, Present>,
    commands: VecDeque<HostCommand>,
    /// The gateway whose devices take commands, and what is to be carried out there.
    gateway: Option<PeerKey>,
    orders: VecDeque<Order>,
    /// The host's clock, as far as it has been told.
    now: Option<Timestamp>,
    /// What the disk would not take, by peers that are still here and hold no more than net lets them.
    waiting: Vec<Submission>,
    /// Likewise, what became of commands: as many as were under way.
    outcomes: Vec<Vec<u8>>,
    /// Whether entries may be taken now: not while an heir may have taken over.
    may_take: bool,
    /// Entries that others than hosts may be shown; none for all.
    shown: Option<u64>,
    /// How many entries were said to wait for the record to be mended.
    waits_for: usize,
    /// Of a damaged record: the mirrors have been asked and could not mend it.
    cannot_mend: bool,
    /// Entries that were replaced by copies since the start.
    mended: u64,
    /// Answers to entries that are not shown yet, with these. As many as peers have submissions without an answer.
    withheld: VecDeque<(u64, HostCommand)>,
}

/// A peer that was let in.
#[derive(Debug)]
struct Present {
    key: PeerKey,
    /// Index of the first entry it has not been sent.
    next: u64,
    /// Whether it has not taken the last piece of the log that it was sent alone: the next one waits, so that a slow
    /// newcomer holds no more of the log in memory than one piece.
    is_taking: bool,
    /// Whether it may host the site one day: it is sent what is not shown yet.
    is_host: bool,
}

impl Sequencer {
    /// Begins with nobody present.
    pub fn new(site: SiteDir, admit: Option<Role>) -> Self {
        let (peers, commands, orders) = (BTreeMap::new(), VecDeque::new(), VecDeque::new());
        let (waiting, outcomes) = (Vec::new(), Vec::new());
        let (may_take, shown, withheld) = (true, None, VecDeque::new());
        Self {
            site,
            admit,
            peers,
            commands,
            gateway: None,
            orders,
            now: None,
            waiting,
            outcomes,
            may_take,
            shown,
            waits_for: 0,
            cannot_mend: false,
            mended: 0,
            withheld,
        }
    }

    /// The site.
    pub fn site(&self) -> &SiteDir {
        &self.site
    }

    /// What follows happens at this time: what is said in the host's and the gateway's names carries it, and what others
    /// date far ahead of it is refused.
    pub fn handle_time(&mut self, now: Timestamp) {
        self.now = Some(now);
    }

    /// Signs size and root of the record, withheld until they are kept.
    pub fn state_checkpoint(&mut self) -> Result<Stated, SiteDirError> {
        self.site.state_checkpoint()
    }

    /// The key with which this peer came in; none for who is not here.
    pub fn key_of(&self, peer: PeerNumber) -> Option<PeerKey> {
        self.peers.get(&peer).map(|present| present.key)
    }

    /// Who this peer is; none for who is not here.
    pub fn identity_of(&self, peer: PeerNumber) -> Option<PeerKey> {
        self.site.site().holder_of(&self.key_of(peer)?)
    }

    /// A peer asks to come in.
    pub fn handle_arrival(&mut self, peer: PeerNumber, newcomer: &Newcomer) -> Result<(), SiteDirError> {
        let Newcomer { key, name, entries_held, .. } = newcomer;
        let admission = match self.admission(newcomer) {
            // It may come in as soon as the disk takes its admission.
            Err(why @ (SiteDirError::Io { .. } | SiteDirError::ReadOnly(_) | SiteDirError::NoConsent)) => {
                Err(format!("the site cannot take in anybody new at present: {why}"))
            }
            other => other?,
        };
        if let Err(why) = admission {
            tracing::info!(%key, name, why, "a peer was not let in");
            self.commands.push_back(HostCommand::Refuse { peer, why });
            return Ok(());
        }
        tracing::info!(peer = peer.0, %key, name, "a peer came in");
        let identity = self.site.site().holder_of(key);
        let is_host = self.site.site().hosts().iter().any(|host| Some(host.key) == identity);
        self.peers.insert(peer, Present { key: *key, next: *entries_held, is_taking: false, is_host });
        let entries = if is_host { self.site.readable() } else { self.shown() };
        self.commands.push_back(HostCommand::Admit { peer, entries });
        Ok(())
    }

    /// A peer has gone.
    pub fn handle_leave(&mut self, peer: PeerNumber) {
        self.peers.remove(&peer);
        // It sends them again when it comes back.
        self.waiting.retain(|submission| submission.peer != peer);
    }

    /// A peer has room for the next piece of the log.
    pub fn handle_entries_taken(&mut self, peer: PeerNumber) {
        if let Some(present) = self.peers.get_mut(&peer) {
            present.is_taking = false;
        }
    }

    /// A peer wants to take a thing in hand.
    pub fn handle_grab(&mut self, peer: PeerNumber, hold: u8, thing: ThingId) {
        let outcome = carrying::may_carry(self.site.site(), self.key_of(peer), thing);
        self.commands.push_back(HostCommand::Grab { peer, hold, outcome });
    }

    /// Takes entries in this order, in commits of at most [`limits::COMMIT_ENTRIES`], and answers each once it is on the
    /// disk.
    ///
    /// When the disk fails, those of the commits before are answered and nobody else, since nobody knows what a crash would
    /// leave of the others: they wait for
    /// [`Sequencer::handle_retry`], and their authors keep them. Likewise while the record is damaged and may be mended.
    pub fn handle_submissions(&mut self, batch: Vec<Submission>) -> Result<(), SiteDirError> {
        self.waiting.extend(batch);
        self.handle_retry()
    }

    /// Whether entries wait for a disk that takes them.
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty() || !self.outcomes.is_empty()
    }

    /// Tries again what the disk would not take.
    pub fn handle_retry(&mut self) -> Result<(), SiteDirError> {
        if !self.outcomes.is_empty() {
            self.record_outcomes()?;
        }
        let batch = std::mem::take(&mut self.waiting);
        if batch.is_empty() {
            return Ok(());
        }
        let (outcomes, overruled, failed) = self.append_in_commits(batch.iter().map(|s| s.entry.clone()).collect());
        let mut batch = batch;
        let untaken = batch.split_off(outcomes.len());
        self.answer(batch, outcomes, overruled);
        match failed {
            None => Ok(()),
            Some(error @ SiteDirError::Io { .. }) => {
                tracing::error!(entries = untaken.len(), "{error}; what peers say waits until it can be written");
                self.waiting = untaken;
                Ok(())
            }
            // It is said where the heir is listened to.
            Some(SiteDirError::NoConsent) => {
                self.waiting = untaken;
                Ok(())
            }
            Some(SiteDirError::ReadOnly(problem)) => {
                self.hold_or_refuse(untaken, &problem);
                Ok(())
            }
            Some(error) => Err(error),
        }
    }

    /// Tells peers what became of their entries, each as soon as its entry is shown.
    fn answer(&mut self, batch: Vec<Submission>, outcomes: Vec<Outcome>, overruled: Vec<Option<u64>>) {
        for ((Submission { peer, number: submission, .. }, outcome), overruled) in
            batch.into_iter().zip(outcomes).zip(overruled)
        {
            let index = outcome.as_ref().ok().copied().filter(|index| *index >= self.shown());
            let answer = HostCommand::Answer { peer, submission, outcome, overruled };
            match index {
                Some(index) => self.withheld.push_back((index, answer)),
                None => self.commands.push_back(answer),
            }
        }
        self.dismiss();
    }

    /// A state of the site that is to be kept, by whatever thread has the time; see [`SiteDir::take_snapshot`].
    pub fn poll_snapshot(&mut self) -> Option<PendingSnapshot> {
        self.site.take_snapshot()
    }

    /// Reads a little more of the record again; true when all of it has been read. What is damaged is said, and the site is
    /// open for reading only from then on.
    pub fn handle_scrub(&mut self, scrub: &mut Scrub) -> bool {
        match scrub.step(&mut self.site) {
            Ok(Scrubbed::Some) => false,
            Ok(Scrubbed::All(entries)) => {
                tracing::debug!(entries, "the record is as it was written");
                true
            }
            Ok(Scrubbed::Damage(problem)) => {
                tracing::error!("{problem}; the site is open for reading only until it is repaired from a mirror");
                false
            }
            Err(error) => {
                tracing::error!("{error}; the record is read again later");
                true
            }
        }
    }

    /// The gateway that holds `gateway`'s key has found these tags: declares what the record does not have so, and
    /// returns the number of each; none for a tag that is another device's, or that the record refuses.
    pub fn handle_tags(&mut self, gateway: &Author, tags: &[Tag]) -> Result<Vec<Option<TagId>>, SiteDirError> {
        let site = self.site.site();
        let wanted = |tag: &&Tag| match site.tag_at(&tag.path) {
            None => true,
            Some(id) => site.tag_device(id) == Some(gateway.key()) && site.tag(id) != Some(*tag),
        };
        let gateway = self.dated(gateway);
        let declared = Body::declare_tags(tags.iter().filter(wanted).cloned().collect());
        let entries = declared.into_iter().map(|body| gateway.sign(body, EntryId(key_file::random())).into_parts().0);
        match self.append(entries.collect()) {
            // What the record knows already goes on; the gateway finds the others again when it connects anew.
            Err(error @ (SiteDirError::Io { .. } | SiteDirError::ReadOnly(_) | SiteDirError::NoConsent)) => {
                tracing::error!("{error}; new tags of the gateway are passed over");
            }
            outcomes => {
                for why in outcomes?.0.into_iter().filter_map(Result::err) {
                    tracing::error!(why, "tags of the gateway were refused by the record");
                }
            }
        }
        let site = self.site.site();
        let ours = |id: &TagId| site.tag_device(*id) == Some(gateway.key());
        Ok(tags.iter().map(|tag| site.tag_at(&tag.path).filter(ours)).collect())
    }

    /// Lets the key that speaks for devices into the record, once.
    pub fn admit_gateway(&mut self, gateway: PeerKey) -> Result<(), SiteDirError> {
        if self.site.site().peer(&gateway).is_none() {
            let name = "gateway".to_owned();
            match self.admit_peer(Body::Admit { peer: gateway, kind: PeerKind::Device, name, role: Role::Editor }) {
                Err(error @ (SiteDirError::Io { .. } | SiteDirError::ReadOnly(_) | SiteDirError::NoConsent)) => {
                    tracing::error!("{error}; the gateway's tags are passed over until the host starts again");
                }
                admitted => admitted?,
            }
        }
        self.gateway = Some(gateway);
        let site = self.site.site();
        let waiting = site.commands().filter(|(_, held)| held.outcome.is_none()).map(|(id, _)| *id);
        let waiting: Vec<EntryId> = waiting.collect();
        self.order(waiting);
        Ok(())
    }

    /// The next command that is to be carried out at a device of the gateway.
    pub fn poll_order(&mut self) -> Option<Order> {
        self.orders.pop_front()
    }

    /// The gateway that holds `gateway`'s key tells what became of a command.
    pub fn handle_carried(&mut self, gateway: &Author, carried: Carried) -> Result<(), SiteDirError> {
        let Carried { id, outcome } = carried;
        let body = Body::ReportOutcome(CommandOutcome { command: id, outcome });
        self.outcomes.push(self.dated(gateway).sign(body, EntryId(key_file::random())).into_parts().0);
        self.record_outcomes()
    }

    /// What the disk would not take is kept: a command without its outcome would be carried out again.
    fn record_outcomes(&mut self) -> Result<(), SiteDirError> {
        let outcomes = match self.append(self.outcomes.clone()) {
            Err(error @ (SiteDirError::Io { .. } | SiteDirError::ReadOnly(_) | SiteDirError::NoConsent)) => {
                tracing::error!("{error}; what became of commands waits until it can be written");
                return Ok(());
            }
            outcomes => outcomes?.0,
        };
        self.outcomes.clear();
        for why in outcomes.into_iter().filter_map(Result::err) {
            tracing::error!(why, "the record refuses the outcome of a command");
        }
        Ok(())
    }

    /// Notes those of these commands that are for the gateway's devices.
    fn order(&mut self, commands: Vec<EntryId>) {
        let site = self.site.site();
        for id in commands {
            let Some(held) = site.command(id) else { continue };
            let device = site.tag_at(&held.command.tag).and_then(|tag| site.tag_device(tag));
            if device.is_some() && device == self.gateway {
                self.orders.push_back(Order { id, command: held.command.clone() });
            }
        }
    }

    /// The same author now, who knows all of the log.
    fn dated(&self, author: &Author) -> Author {
        Author { clock: self.now.or(author.clock), seen: self.site.seen(), ..author.clone() }
    }

    /// Whether [`Sequencer::poll_command`] has something to give.
    pub fn has_commands(&self) -> bool {
        !self.commands.is_empty() || self.lagging().is_some()
    }

    /// What to do next; none when there is nothing until something happens.
    pub fn poll_command(&mut self) -> Result<Option<HostCommand>, SiteDirError> {
        if let Some(command) = self.commands.pop_front() {
            return Ok(Some(command));
        }
        while let Some((peer, first, end)) = self.lagging() {
            match self.site.read_entries(first) {
                Ok(mut entries) => {
                    entries.truncate(usize::try_from(end - first).unwrap_or(usize::MAX));
                    if let Some(present) = self.peers.get_mut(&peer) {
                        present.next = first + entries.len() as u64;
                        present.is_taking = true;
                    }
                    return Ok(Some(HostCommand::Entries { peer: Some(peer), first, entries }));
                }
                // What lies before the damage is still sent.
                Err(SiteDirError::ReadOnly(problem)) => {
                    tracing::error!("{problem}; the site is open for reading only until it is repaired");
                    self.site.add_problem(problem);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Whether this peer may come in; writes it into the record when that is what the host was told to do.
    fn admission(&mut self, newcomer: &Newcomer) -> Result<Result<(), String>, SiteDirError> {
        let Newcomer { key, name, kind, entries_held, redemption } = newcomer;
        // Nobody comes in on the strength of what a failed commit has left in memory.
        self.site.catch_up()?;
        let entries = self.site.log().entries();
        if *entries_held > entries && self.site.problems().is_empty() {
            return Ok(Err(format!(
                "you hold {entries_held} entries of this site and its host only {entries}: it was restored from an \
                 older copy; delete your copy to follow it"
            )));
        }
        let site = self.site.site();
        let identity = site.holder_of(key);
        if identity.is_some_and(|identity| site.may_enter(&identity)) {
            return Ok(Ok(()));
        }
        if identity.is_none() && site.peers().any(|(_, peer)| peer.keys.had(key)) {
            return Ok(Err(format!("key {key} was replaced or revoked; come with the newest key of this identity")));
        }
        if let Some(entry) = redemption {
            return self.redemption(&identity.unwrap_or(*key), entry);
        }
        if identity.is_some() {
            let name = site.name();
            return Ok(Err(format!("key {key} may do nothing in {name} any more; ask an owner for a role")));
        }
        match self.admit {
            Some(role) if *kind == PeerKind::Person => {
                let name = person_name(name, key);
                match self.admit_peer(Body::Admit { peer: *key, kind: PeerKind::Person, name, role }) {
                    Err(SiteDirError::Refused(why)) => Ok(Err(why.to_string())),
                    other => other.map(Ok),
                }
            }
            _ => Ok(Err(format!(
                "key {key} is not admitted to {}; ask an owner for an invitation (gemba invite), or start gembad with \
                 --admit viewer",
                self.site.site().name()
            ))),
        }
    }

    /// Says these in the host's own name, in one commit; tells the index of each, or why the record refuses it.
    pub fn handle_own(&mut self, bodies: Vec<Body>) -> Result<Vec<Result<u64, String>>, SiteDirError> {
        if bodies.is_empty() {
            return Ok(Vec::new());
        }
        let author = self.dated(&self.site.author());
        let sign = |body| author.sign(body, EntryId(key_file::random())).into_parts().0;
        Ok(self.append(bodies.into_iter().map(sign).collect())?.0)
    }

    /// Whether the invitation that this entry redeems lets the newcomer with this identity in. That its time is over the
    /// host says by its own clock too: a newcomer may date its entry as it likes.
    fn redemption(&mut self, key: &PeerKey, entry: &[u8]) -> Result<Result<(), String>, SiteDirError> {
        let said = UnverifiedEntry::read(entry.to_vec());
        let token = match said.as_ref().map(|said| (said.entry().author, &said.entry().body)) {
            Ok((author, Body::RedeemInvitation { token, .. })) if author == *key => *token,
            _ => return Ok(Err("what this peer brings is no invitation of its own; ask for a new one".to_owned())),
        };
        let held = self.site.site().invitation(&token).filter(|held| held.used_by.is_none());
        let is_over = held.zip(self.now).is_some_and(|(held, now)| now > held.invitation.expires);
        if is_over {
            return Ok(Err(Refusal::Invitation("it has ended").to_string()));
        }
        let (mut outcomes, _) = self.append(vec![entry.to_vec()])?;
        Ok(outcomes.pop().unwrap_or_else(|| Err("the entry was lost".to_owned())).map(drop))
    }

    fn admit_peer(&mut self, body: Body) -> Result<(), SiteDirError> {
        if !self.may_take {
            return Err(SiteDirError::NoConsent);
        }
        let author = self.dated(&self.site.author());
        let entry = author.sign(body, EntryId(key_file::random()));
        let appended = self.site.append(vec![entry.into_parts().0])?;
        self.broadcast(appended.first, appended.entries);
        appended.outcomes.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(())
    }

    /// Sends away who has lost its role or its key: what is said from now on is not for them. Who is still to be answered
    /// hears that first.
    fn dismiss(&mut self) {
        let site = self.site.site();
        let may_stay = |key: &PeerKey| site.holder_of(key).is_some_and(|identity| site.may_enter(&identity));
        let answers = self.withheld.iter().map(|(_, answer)| answer);
        let awaited = answers.filter_map(|answer| match answer {
            HostCommand::Answer { peer, .. } => Some(*peer),
            _ => None,
        });
        let awaited: BTreeSet<PeerNumber> = awaited.collect();
        let is_gone = |(peer, present): &(&PeerNumber, &Present)| !may_stay(&present.key) && !awaited.contains(peer);
        let gone: Vec<PeerNumber> = self.peers.iter().filter(is_gone).map(|(peer, _)| *peer).collect();
        for peer in gone {
            self.handle_leave(peer);
            let why = "your role or your key in this site was taken back; ask an owner".to_owned();
            self.commands.push_back(HostCommand::Refuse { peer, why });
        }
    }

    /// What became of each entry, and what each has overruled.
    fn append(&mut self, entries: Vec<Vec<u8>>) -> Result<(Vec<Outcome>, Vec<Option<u64>>), SiteDirError> {
        if !self.may_take {
            return Err(SiteDirError::NoConsent);
        }
        let appended = self.site.append_at(entries, self.now)?;
        Ok(self.publish(appended))
    }

    /// As [`Sequencer::append`], of as many as a peer may have sent at once; with why it ended before all were taken.
    fn append_in_commits(&mut self, entries: Vec<Vec<u8>>) -> (Vec<Outcome>, Vec<Option<u64>>, Option<SiteDirError>) {
        if !self.may_take {
            return (Vec::new(), Vec::new(), Some(SiteDirError::NoConsent));
        }
        let taken = self.site.append_in_commits(entries, limits::COMMIT_ENTRIES, self.now);
        let (mut outcomes, mut overruled) = (Vec::new(), Vec::new());
        for appended in taken.commits {
            let told = self.publish(appended);
            outcomes.extend(told.0);
            overruled.extend(told.1);
        }
        (outcomes, overruled, taken.failed)
    }

    /// Gives out what is on the disk.
    fn publish(&mut self, appended: Appended) -> (Vec<Outcome>, Vec<Option<u64>>) {
        self.order(appended.commands);
        self.broadcast(appended.first, appended.entries);
        self.commands.extend(appended.placed.into_iter().map(|thing| HostCommand::PutBack { thing }));
        let told = |outcome: Result<gemba_record::site::Placed, Refusal>| {
            outcome.map(|placed| placed.index()).map_err(|why| why.to_string())
        };
        (appended.outcomes.into_iter().map(told).collect(), appended.overruled)
    }
}

/// A name that a record takes, from what a stranger calls itself.
fn person_name(said: &str, key: &PeerKey) -> String {
    let plain: String = said.chars().filter(|c| !c.is_control()).take(limits::GUEST_NAME_CHARS).collect();
    match plain.trim() {
        "" => format!("guest {}", key.short()),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests;
