//! Decides for the host: who comes in, which entry comes next, and what every peer still has to be sent.
//!
//! [`Sequencer`] is told what happened (`handle_…`) and gives back what to do ([`Sequencer::poll_command`]). It holds
//! the site directory and so writes to the disk, but knows no socket, no clock and no task.
//!
//! Entries reach a peer in the order of the log and without a gap: a newcomer is first sent, from the disk and piece by
//! piece, what it lacks; once it has caught up it hears of new entries with everyone else.

use std::collections::{BTreeMap, VecDeque};

use gemba_net::{HostCommand, PeerNumber};
use gemba_record::author::Author;
use gemba_record::body::Body;
use gemba_record::command::CommandOutcome;
use gemba_record::entry::{EntryId, UnverifiedEntry};
use gemba_record::refusal::Refusal;
use gemba_record::role::Role;
use gemba_twin::path::TagId;
use gemba_twin::peer::{PeerKey, PeerKind};
use gemba_twin::sample::Timestamp;
use gemba_twin::tag::Tag;

use crate::device_commands::{Carried, Order};
use crate::key_file;
use crate::limits;
use crate::problem::SiteDirError;
use crate::scrub::{Scrub, Scrubbed};
use crate::site_dir::{PendingSnapshot, SiteDir, Stated};

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
}

impl Sequencer {
    /// Begins with nobody present.
    pub fn new(site: SiteDir, admit: Option<Role>) -> Self {
        let (peers, commands, orders) = (BTreeMap::new(), VecDeque::new(), VecDeque::new());
        let (waiting, outcomes) = (Vec::new(), Vec::new());
        Self { site, admit, peers, commands, gateway: None, orders, now: None, waiting, outcomes }
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

    /// A peer asks to come in.
    pub fn handle_arrival(&mut self, peer: PeerNumber, newcomer: &Newcomer) -> Result<(), SiteDirError> {
        let Newcomer { key, name, entries_held, .. } = newcomer;
        let admission = match self.admission(newcomer) {
            // It may come in as soon as the disk takes its admission.
            Err(why @ (SiteDirError::Io { .. } | SiteDirError::ReadOnly(_))) => {
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
        self.peers.insert(peer, Present { key: *key, next: *entries_held, is_taking: false });
        self.commands.push_back(HostCommand::Admit { peer, entries: self.site.readable() });
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

    /// Takes entries in this order, in one commit, and answers each once it is on the disk.
    ///
    /// When the disk fails nobody is answered, since nobody knows what of it a crash would leave: the entries wait for
    /// [`Sequencer::handle_retry`], and their authors keep them. Nor is anybody answered while the record is damaged: an
    /// entry may stand behind the damage.
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
        let (outcomes, overruled) = match self.append(batch.iter().map(|s| s.entry.clone()).collect()) {
            Ok(outcomes) => outcomes,
            Err(error @ SiteDirError::Io { .. }) => {
                tracing::error!(entries = batch.len(), "{error}; what peers say waits until it can be written");
                self.waiting = batch;
                return Ok(());
            }
            Err(SiteDirError::ReadOnly(problem)) => {
                tracing::error!("{problem}; what peers say waits with them until the site is repaired");
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        for ((Submission { peer, number: submission, .. }, outcome), overruled) in
            batch.into_iter().zip(outcomes).zip(overruled)
        {
            self.commands.push_back(HostCommand::Answer { peer, submission, outcome, overruled });
        }
        self.dismiss();
        Ok(())
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
            Err(error @ (SiteDirError::Io { .. } | SiteDirError::ReadOnly(_))) => {
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
                Err(error @ (SiteDirError::Io { .. } | SiteDirError::ReadOnly(_))) => {
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
            Err(error @ (SiteDirError::Io { .. } | SiteDirError::ReadOnly(_))) => {
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

    /// The same author, now.
    fn dated(&self, author: &Author) -> Author {
        Author { clock: self.now.or(author.clock), ..author.clone() }
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
        while let Some((peer, first)) = self.lagging() {
            match self.site.read_entries(first) {
                Ok(entries) => {
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

    /// A peer that has not been sent everything there is and has room for more, and where to go on.
    fn lagging(&self) -> Option<(PeerNumber, u64)> {
        let entries = self.site.readable();
        let lags = |(_, present): &(&PeerNumber, &Present)| present.next < entries && !present.is_taking;
        self.peers.iter().find(lags).map(|(peer, present)| (*peer, present.next))
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
        if identity.is_none() && site.peer(key).is_some() {
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
        let author = self.dated(&Author::new(self.site.host_key().clone(), self.site.site().id()));
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
        let author = self.dated(&Author::new(self.site.host_key().clone(), self.site.site().id()));
        let entry = author.sign(body, EntryId(key_file::random()));
        let appended = self.site.append(vec![entry.into_parts().0])?;
        self.broadcast(appended.first, appended.entries);
        appended.outcomes.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(())
    }

    /// Sends away who has lost its role or its key: what is said from now on is not for them.
    fn dismiss(&mut self) {
        let site = self.site.site();
        let may_stay = |key: &PeerKey| site.holder_of(key).is_some_and(|identity| site.may_enter(&identity));
        let gone: Vec<PeerNumber> =
            self.peers.iter().filter(|(_, present)| !may_stay(&present.key)).map(|(peer, _)| *peer).collect();
        for peer in gone {
            self.handle_leave(peer);
            let why = "your role or your key in this site was taken back; ask an owner".to_owned();
            self.commands.push_back(HostCommand::Refuse { peer, why });
        }
    }

    /// What became of each entry, and what each has overruled.
    fn append(&mut self, entries: Vec<Vec<u8>>) -> Result<(Vec<Outcome>, Vec<Option<u64>>), SiteDirError> {
        let appended = self.site.append_at(entries, self.now)?;
        self.order(appended.commands);
        self.broadcast(appended.first, appended.entries);
        let told = |outcome: Result<gemba_record::site::Placed, Refusal>| {
            outcome.map(|placed| placed.index()).map_err(|why| why.to_string())
        };
        Ok((appended.outcomes.into_iter().map(told).collect(), appended.overruled))
    }

    /// Sends new entries to all who have everything before them; the others get them from the disk in their turn.
    fn broadcast(&mut self, first: u64, entries: Vec<Vec<u8>>) {
        let current: Vec<PeerNumber> =
            self.peers.iter().filter(|(_, present)| present.next == first).map(|(peer, _)| *peer).collect();
        if entries.is_empty() || current.is_empty() {
            return;
        }
        let next = first + entries.len() as u64;
        self.peers.values_mut().filter(|present| present.next == first).for_each(|present| present.next = next);
        if current.len() == self.peers.len() {
            self.commands.push_back(HostCommand::Entries { peer: None, first, entries });
            return;
        }
        for peer in current {
            self.commands.push_back(HostCommand::Entries { peer: Some(peer), first, entries: entries.clone() });
        }
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
mod tests {
    use ed25519_dalek::SigningKey;
    use gemba_record::command::{Command, Outcome as DeviceOutcome};
    use gemba_record::edit::{Change, Edit};
    use gemba_record::entry::KeyNumber;
    use gemba_record::identity::{Inception, KeyPromise, NewKey};
    use gemba_record::invitation::{Invitation, Token};
    use gemba_twin::path::ThingPath;
    use gemba_twin::sample::{Value, ValueKind};
    use gemba_twin::tag::Unit;
    use gemba_twin::thing::Thing;

    use super::*;

    const VISITOR: PeerNumber = PeerNumber(1);

    struct Host {
        sequencer: Sequencer,
        _dir: tempfile::TempDir,
    }

    /// A site of three entries with one thing, and nobody present.
    fn host(admit: Option<Role>) -> Host {
        let dir = tempfile::tempdir().unwrap();
        let mut site = SiteDir::create(dir.path(), "Plant").unwrap();
        let thing = Thing { path: hall(), level: Default::default(), class: Default::default(), bindings: vec![] };
        let mut bodies = vec![Body::ImportModel { blob: [1; 32], bytes: 9, name: "a.glb".into() }];
        bodies.extend(Body::add_things([1; 32], vec![thing]));
        site.submit_all(bodies).unwrap();
        Host { sequencer: Sequencer::new(site, admit), _dir: dir }
    }

    fn hall() -> ThingPath {
        "Hall1".parse().unwrap()
    }

    fn person(host: &Host, seed: u8) -> Author {
        Author::new(SigningKey::from_bytes(&[seed; 32]), host.sequencer.site().site().id())
    }

    fn note(author: &Author, n: u8) -> Vec<u8> {
        author.sign(Body::note(hall().id(), "hm"), EntryId([n; 16])).bytes().to_vec()
    }

    fn newcomer(key: PeerKey, entries_held: u64) -> Newcomer {
        Newcomer { key, name: " Ai\nko ".into(), kind: PeerKind::Person, entries_held, redemption: None }
    }

    fn commands(host: &mut Host) -> Vec<HostCommand> {
        let next = || {
            let command = host.sequencer.poll_command().unwrap();
            if let Some(HostCommand::Entries { peer: Some(peer), .. }) = &command {
                host.sequencer.handle_entries_taken(*peer);
            }
            command
        };
        std::iter::from_fn(next).collect()
    }

    /// Up to where a peer that holds `next` entries is sent more by these commands; all of them without a gap.
    fn sent(commands: &[HostCommand], to: PeerNumber, mut next: u64) -> u64 {
        let admitted = commands.iter().position(|c| matches!(c, HostCommand::Admit { peer, .. } if *peer == to));
        for command in &commands[admitted.unwrap_or(0)..] {
            if let HostCommand::Entries { peer, first, entries } = command
                && peer.is_none_or(|peer| peer == to)
            {
                assert_eq!(*first, next, "entries come in order, without a gap");
                next += entries.len() as u64;
            }
        }
        next
    }

    #[test]
    fn a_stranger_is_refused_with_a_way_in() {
        let mut host = host(None);
        let key = person(&host, 5).key();
        host.sequencer.handle_arrival(VISITOR, &newcomer(key, 0)).unwrap();
        let commands = commands(&mut host);
        let why = refusal(&commands);
        assert!(why.contains(&key.to_string()) && why.contains("--admit") && why.contains("invitation"), "{why}");
        assert_eq!(host.sequencer.site().site().entries(), 3);
    }

    #[test]
    fn a_guest_is_written_into_the_record_once_and_sent_all_of_it() {
        let mut host = host(Some(Role::Commenter));
        let guest = person(&host, 5);
        host.sequencer.handle_arrival(VISITOR, &newcomer(guest.key(), 0)).unwrap();
        let first = commands(&mut host);
        assert!(matches!(first[0], HostCommand::Admit { peer: VISITOR, entries: 4 }));
        assert_eq!(sent(&first, VISITOR, 0), 4);
        let peer = host.sequencer.site().site().peer(&guest.key()).unwrap();
        assert_eq!((peer.name.as_str(), peer.role()), ("Aiko", Some(Role::Commenter)));
        host.sequencer.handle_leave(VISITOR);
        host.sequencer.handle_arrival(PeerNumber(2), &newcomer(guest.key(), 4)).unwrap();
        let again = commands(&mut host);
        assert!(matches!(again[..], [HostCommand::Admit { peer: PeerNumber(2), entries: 4 }]));
    }

    #[test]
    fn a_peer_comes_in_with_its_key_in_force_and_only_while_it_has_a_role() {
        let mut host = host(Some(Role::Viewer));
        let owner = Author::new(host.sequencer.site.host_key().clone(), host.sequencer.site().site().id());
        let (first, second) = (SigningKey::from_bytes(&[5; 32]), SigningKey::from_bytes(&[6; 32]));
        let aiko = Author::new(first, owner.site);
        let next = key_file::peer_key(&second);
        let renewed = Author { number: KeyNumber(1), signing_key: second, ..aiko.clone() };
        let promise = Inception { next: Some(KeyPromise::of(&next)), guardians: None };
        let admit = Body::Admit { peer: aiko.key(), kind: PeerKind::Person, name: "Aiko".into(), role: Role::Viewer };
        let mut arrives = |author: &Author, body, key| {
            let entry = author.sign(body, EntryId(key_file::random())).into_parts().0;
            host.sequencer.append(vec![entry]).unwrap().0[0].clone().unwrap();
            host.sequencer.handle_arrival(VISITOR, &newcomer(key, 0)).unwrap();
            let arrived = commands(&mut host).into_iter().find_map(|command| match command {
                HostCommand::Refuse { why, .. } => Some(Err(why)),
                HostCommand::Admit { .. } => Some(Ok(())),
                _ => None,
            });
            host.sequencer.handle_leave(VISITOR);
            arrived.unwrap()
        };
        assert_eq!(arrives(&owner, admit, aiko.key()), Ok(()));
        assert_eq!(arrives(&aiko, Body::PromiseKey(promise), aiko.key()), Ok(()));
        let rotate = Body::RotateKey(NewKey { key: next, next: None });
        assert!(arrives(&renewed, rotate, aiko.key()).unwrap_err().contains("replaced"), "the old key stays out");
        let note = |text: &str| Body::note(hall().id(), text);
        assert_eq!(arrives(&owner, note("1"), next), Ok(()), "the new key is the same peer");
        let revoke = Body::RevokeRole { peer: aiko.key(), scope: None };
        assert!(arrives(&owner, revoke, next).unwrap_err().contains("ask an owner"), "who is out stays out");
        assert!(arrives(&owner, note("2"), aiko.key()).unwrap_err().contains("replaced"), "and is no guest either");
    }

    #[test]
    fn who_loses_their_role_while_present_is_sent_away_after_their_own_answer() {
        let mut host = host(Some(Role::Viewer));
        let owner = Author::new(host.sequencer.site.host_key().clone(), host.sequencer.site().site().id());
        let guest = person(&host, 5);
        host.sequencer.handle_arrival(VISITOR, &newcomer(guest.key(), 0)).unwrap();
        commands(&mut host);
        let say = |author: &Author, body, n| author.sign(body, EntryId([n; 16])).into_parts().0;
        let revoke = say(&owner, Body::RevokeRole { peer: guest.key(), scope: None }, 1);
        let late = say(&guest, Body::note(hall().id(), "hm"), 2);
        let batch = (1..).zip([revoke, late]).map(|(number, entry)| Submission { peer: VISITOR, number, entry });
        host.sequencer.handle_submissions(batch.collect()).unwrap();
        let last: Vec<_> = commands(&mut host).into_iter().rev().take(3).collect();
        assert!(matches!(&last[0], HostCommand::Refuse { peer: VISITOR, why } if why.contains("taken back")));
        assert!(matches!(&last[1], HostCommand::Answer { submission: 2, outcome: Err(_), .. }));
        assert!(matches!(&last[2], HostCommand::Answer { submission: 1, outcome: Ok(_), .. }));
        let revived = say(&owner, Body::note(hall().id(), "without them"), 3);
        host.sequencer.handle_submissions(vec![Submission { peer: PeerNumber(9), number: 1, entry: revived }]).unwrap();
        let told = commands(&mut host);
        assert!(
            !told.iter().any(|command| matches!(command, HostCommand::Entries { .. })),
            "nobody is left to be told"
        );
    }

    #[test]
    fn a_device_is_never_let_in_as_a_guest() {
        let mut host = host(Some(Role::Editor));
        let key = person(&host, 5).key();
        let device = Newcomer { kind: PeerKind::Device, ..newcomer(key, 0) };
        host.sequencer.handle_arrival(VISITOR, &device).unwrap();
        assert!(matches!(commands(&mut host)[..], [HostCommand::Refuse { .. }]));
    }

    #[test]
    fn a_peer_that_holds_more_than_the_host_is_told_so() {
        let mut host = host(Some(Role::Viewer));
        let key = person(&host, 5).key();
        host.sequencer.handle_arrival(VISITOR, &newcomer(key, 9)).unwrap();
        assert!(matches!(&commands(&mut host)[..], [HostCommand::Refuse { why, .. }] if why.contains("older copy")));
    }

    #[test]
    fn submissions_are_answered_each_and_seen_by_all_present() {
        let mut host = host(Some(Role::Commenter));
        let (guest, stranger) = (person(&host, 5), person(&host, 6));
        host.sequencer.handle_arrival(VISITOR, &newcomer(guest.key(), 0)).unwrap();
        commands(&mut host);
        let batch = [note(&guest, 1), note(&stranger, 2), note(&guest, 1)];
        let batch = (10..).zip(batch).map(|(number, entry)| Submission { peer: VISITOR, number, entry });
        host.sequencer.handle_submissions(batch.collect()).unwrap();
        let commands = commands(&mut host);
        assert!(matches!(&commands[0], HostCommand::Entries { peer: None, first: 4, entries } if entries.len() == 1));
        let answers: Vec<_> = commands[1..]
            .iter()
            .map(|command| match command {
                HostCommand::Answer { peer: VISITOR, submission, outcome, .. } => (*submission, outcome.clone().ok()),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(answers, [(10, Some(4)), (11, None), (12, Some(4))]);
    }

    #[test]
    fn a_newcomer_who_is_still_catching_up_gets_new_entries_in_their_turn() {
        let mut host = host(Some(Role::Commenter));
        let (present, late) = (person(&host, 5), person(&host, 6));
        host.sequencer.handle_arrival(VISITOR, &newcomer(present.key(), 0)).unwrap();
        let to_first = commands(&mut host);
        host.sequencer.handle_arrival(PeerNumber(2), &newcomer(late.key(), 1)).unwrap();
        let entry = note(&present, 1);
        host.sequencer.handle_submissions(vec![Submission { peer: VISITOR, number: 1, entry }]).unwrap();
        let rest = commands(&mut host);
        assert_eq!(sent(&to_first, VISITOR, 0), 4);
        assert_eq!(sent(&rest, VISITOR, 4), 6);
        assert_eq!(sent(&rest, PeerNumber(2), 1), 6);
    }

    #[test]
    fn a_newcomer_that_takes_nothing_is_sent_one_piece_of_the_log_and_holds_up_nobody() {
        let mut host = host(Some(Role::Commenter));
        let author = person(&host, 5);
        let long = |n: u8| author.sign(Body::note(hall().id(), "x".repeat(4000)), EntryId([n; 16])).bytes().to_vec();
        host.sequencer.handle_arrival(VISITOR, &newcomer(author.key(), 0)).unwrap();
        commands(&mut host);
        host.sequencer.handle_leave(VISITOR);
        for first in 0..8u8 {
            let batch = (0..32).map(|n| Submission { peer: VISITOR, number: 1, entry: long(first * 32 + n) });
            host.sequencer.handle_submissions(batch.collect()).unwrap();
        }
        commands(&mut host);
        let entries = host.sequencer.site().log().entries();
        assert!(entries > 256, "{entries}");
        host.sequencer.handle_arrival(PeerNumber(2), &newcomer(author.key(), 0)).unwrap();
        let poll = |host: &mut Host| std::iter::from_fn(|| host.sequencer.poll_command().unwrap()).collect::<Vec<_>>();
        let stuck = sent(&poll(&mut host), PeerNumber(2), 0);
        assert!(stuck > 0 && stuck < entries, "{stuck} of {entries}");
        host.sequencer.handle_arrival(PeerNumber(3), &newcomer(author.key(), 0)).unwrap();
        assert_eq!(sent(&commands(&mut host), PeerNumber(3), 0), entries);
        host.sequencer.handle_entries_taken(PeerNumber(2));
        assert_eq!(sent(&poll(&mut host), PeerNumber(2), stuck), entries);
    }

    #[test]
    fn only_new_tags_are_declared_and_numbers_stay() {
        let mut host = host(None);
        let gateway = person(&host, 7);
        host.sequencer.admit_gateway(gateway.key()).unwrap();
        host.sequencer.admit_gateway(gateway.key()).unwrap();
        assert_eq!(host.sequencer.site().site().entries(), 4);
        let tag = |n: usize, unit: &str| Tag {
            path: format!("Hall1/T{n}").parse().unwrap(),
            kind: ValueKind::Float,
            unit: Unit::new(unit),
            range: None,
            writable: false,
        };
        let tags: Vec<Tag> = (0..2500).map(|n| tag(n, "s")).collect();
        let numbers = host.sequencer.handle_tags(&gateway, &tags).unwrap();
        assert_eq!(numbers, (0..2500).map(|n| Some(TagId(n))).collect::<Vec<_>>());
        assert_eq!(host.sequencer.site().site().entries(), 7);
        let reversed: Vec<Tag> = tags.iter().rev().cloned().chain([tag(9000, "s")]).collect();
        let numbers = host.sequencer.handle_tags(&gateway, &reversed).unwrap();
        assert_eq!((numbers[0], numbers[2500]), (Some(TagId(2499)), Some(TagId(2500))));
        assert_eq!(host.sequencer.site().site().entries(), 8);
        host.sequencer.handle_tags(&gateway, &[tag(0, "min")]).unwrap();
        assert_eq!(host.sequencer.site().site().tag(TagId(0)).unwrap().unit.symbol(), "min");
        let other = person(&host, 8);
        host.sequencer.admit_gateway(other.key()).unwrap();
        assert_eq!(host.sequencer.handle_tags(&other, &[tag(0, "h")]).unwrap(), [None]);
    }

    /// An owner's invitation, and the token that redeems it.
    fn invite(host: &mut Host, role: Role, expires: i64) -> Token {
        let token = Token::new([9; 32]);
        let expires = Timestamp::from_secs(expires);
        let invitation = Invitation { token: token.public(), role, scope: None, kind: PeerKind::Person, expires };
        host.sequencer.handle_own(vec![Body::Invite(invitation)]).unwrap().remove(0).unwrap();
        token
    }

    /// What a newcomer says who redeems `token` for the holder of `proven`.
    fn redeeming(host: &Host, token: &Token, newcomer_seed: u8, proven: PeerKey) -> Newcomer {
        let author = person(host, newcomer_seed);
        let signature = token.redeem(author.site, &proven);
        let body = Body::RedeemInvitation { token: token.public(), signature, name: "Noa".to_owned() };
        let entry = author.sign(body, EntryId([newcomer_seed; 16])).into_parts().0;
        Newcomer { redemption: Some(entry), ..newcomer(author.key(), 0) }
    }

    fn refusal(commands: &[HostCommand]) -> &str {
        let refused = commands.iter().find_map(|command| match command {
            HostCommand::Refuse { why, .. } => Some(why.as_str()),
            _ => None,
        });
        refused.unwrap_or("")
    }

    #[test]
    fn an_invitation_lets_one_newcomer_in_once_and_before_its_end_by_the_hosts_clock() {
        let mut host = host(None);
        // Later than what the site says itself, which is dated by this machine's clock.
        let begin = host.sequencer.site().site().time().0 / 1_000_000 + 1;
        let at = |secs| Timestamp::from_secs(begin + secs);
        host.sequencer.handle_time(at(0));
        let token = invite(&mut host, Role::Operator, begin + 1000);
        let (first, second) = (person(&host, 5).key(), person(&host, 6).key());
        let stolen = redeeming(&host, &token, 6, first);
        host.sequencer.handle_arrival(VISITOR, &stolen).unwrap();
        assert!(refusal(&commands(&mut host)).contains("not made for you"));
        host.sequencer.handle_time(at(1001));
        let good = redeeming(&host, &token, 5, first);
        host.sequencer.handle_arrival(VISITOR, &good).unwrap();
        assert!(refusal(&commands(&mut host)).contains("it has ended"), "however the newcomer dates its entry");
        host.sequencer.handle_time(at(999));
        host.sequencer.handle_arrival(VISITOR, &good).unwrap();
        assert!(matches!(commands(&mut host)[..], [HostCommand::Admit { .. }, HostCommand::Entries { .. }]));
        let peer = host.sequencer.site().site().peer(&first).unwrap();
        assert_eq!((peer.role(), peer.name.as_str()), (Some(Role::Operator), "Noa"));
        host.sequencer.handle_arrival(PeerNumber(2), &good).unwrap();
        assert_eq!(refusal(&commands(&mut host)), "", "who is in comes again with the same link");
        let late = redeeming(&host, &token, 6, second);
        host.sequencer.handle_arrival(PeerNumber(3), &late).unwrap();
        assert!(refusal(&commands(&mut host)).contains("it has been used"));
        let forged = redeeming(&host, &Token::new([8; 32]), 6, second);
        host.sequencer.handle_arrival(PeerNumber(4), &forged).unwrap();
        assert!(refusal(&commands(&mut host)).contains("not in this site's record"));
        let nonsense = Newcomer { redemption: Some(vec![1, 2]), ..newcomer(second, 0) };
        host.sequencer.handle_arrival(PeerNumber(5), &nonsense).unwrap();
        assert!(refusal(&commands(&mut host)).contains("no invitation"));
    }

    #[test]
    fn who_was_put_out_is_not_let_in_again() {
        let mut host = host(Some(Role::Editor));
        let guest = person(&host, 5).key();
        host.sequencer.handle_arrival(VISITOR, &newcomer(guest, 0)).unwrap();
        host.sequencer.handle_leave(VISITOR);
        commands(&mut host);
        host.sequencer.handle_own(vec![Body::RevokeRole { peer: guest, scope: None }]).unwrap().remove(0).unwrap();
        host.sequencer.handle_arrival(VISITOR, &newcomer(guest, 0)).unwrap();
        assert!(refusal(&commands(&mut host)).contains("ask an owner for a role"));
    }

    #[test]
    fn an_edit_on_old_ground_is_answered_with_what_it_overruled() {
        let mut host = host(Some(Role::Editor));
        let (ada, ben) = (person(&host, 5), person(&host, 6));
        host.sequencer.handle_arrival(VISITOR, &newcomer(ada.key(), 0)).unwrap();
        host.sequencer.handle_arrival(PeerNumber(2), &newcomer(ben.key(), 0)).unwrap();
        commands(&mut host);
        let based_on = host.sequencer.site().log().entries();
        let rename = |author: &Author, number: u64, name: &str| {
            let edit = Edit { thing: hall().id(), based_on, change: Change::Rename(name.to_owned()), undoes: None };
            let entry = author.sign(Body::EditThing(edit), EntryId([number as u8; 16])).into_parts().0;
            Submission { peer: VISITOR, number, entry }
        };
        host.sequencer.handle_submissions(vec![rename(&ada, 1, "North"), rename(&ben, 2, "South")]).unwrap();
        let answers: Vec<_> = commands(&mut host)
            .into_iter()
            .filter_map(|command| match command {
                HostCommand::Answer { submission, outcome, overruled, .. } => Some((submission, outcome, overruled)),
                _ => None,
            })
            .collect();
        assert_eq!(answers, [(1, Ok(based_on), None), (2, Ok(based_on + 1), Some(based_on))]);
    }

    #[test]
    fn what_is_dated_far_ahead_of_the_hosts_clock_is_refused() {
        let mut host = host(Some(Role::Commenter));
        let guest = person(&host, 5);
        host.sequencer.handle_time(Timestamp::from_secs(10_000));
        host.sequencer.handle_arrival(VISITOR, &newcomer(guest.key(), 0)).unwrap();
        commands(&mut host);
        let dated = |number: u64, secs| {
            let guest = guest.clone().at(Timestamp::from_secs(secs));
            Submission { peer: VISITOR, number, entry: note(&guest, number as u8) }
        };
        host.sequencer.handle_submissions(vec![dated(1, 10_300), dated(2, 10_301), dated(3, 5)]).unwrap();
        let mut outcomes = Vec::new();
        for command in commands(&mut host) {
            if let HostCommand::Answer { outcome, .. } = command {
                outcomes.push(outcome);
            }
        }
        assert!(outcomes[0].is_ok() && outcomes[2].is_ok(), "{outcomes:?}");
        assert!(outcomes[1].as_ref().unwrap_err().contains("5 min ahead"), "{outcomes:?}");
    }

    #[test]
    fn a_command_goes_to_its_device_once_and_again_only_after_a_crash() {
        let mut host = host(None);
        let (gateway, operator) = (person(&host, 7), person(&host, 5));
        host.sequencer.admit_gateway(gateway.key()).unwrap();
        let admit =
            Body::Admit { peer: operator.key(), kind: PeerKind::Person, name: "Op".to_owned(), role: Role::Operator };
        host.sequencer.handle_own(vec![admit]).unwrap().remove(0).unwrap();
        let tag = Tag {
            path: "Hall1/Valve".parse().unwrap(),
            kind: ValueKind::Float,
            unit: Unit::new("%"),
            range: None,
            writable: true,
        };
        host.sequencer.handle_tags(&gateway, std::slice::from_ref(&tag)).unwrap();
        let command = Command { tag: tag.path, value: Value::Float(40.0), until: Timestamp::from_secs(99) };
        let id = EntryId([4; 16]);
        let entry = operator.sign(Body::CommandDevice(command.clone()), id).into_parts().0;
        let again = Submission { peer: VISITOR, number: 2, entry: entry.clone() };
        host.sequencer.handle_submissions(vec![Submission { peer: VISITOR, number: 1, entry }, again]).unwrap();
        assert_eq!(host.sequencer.poll_order(), Some(Order { id, command: command.clone() }));
        assert_eq!(host.sequencer.poll_order(), None, "the same entry sent twice is one command");
        let dir = host.sequencer.site().dir().to_owned();
        drop(host.sequencer);
        let mut after = Sequencer::new(SiteDir::open(&dir).unwrap(), None);
        after.admit_gateway(gateway.key()).unwrap();
        assert_eq!(after.poll_order(), Some(Order { id, command }), "it has no outcome yet");
        after.handle_carried(&gateway, Carried { id, outcome: DeviceOutcome::Done }).unwrap();
        assert_eq!(after.site().site().command(id).unwrap().outcome, Some(DeviceOutcome::Done));
        drop(after);
        let mut later = Sequencer::new(SiteDir::open(&dir).unwrap(), None);
        later.admit_gateway(gateway.key()).unwrap();
        assert_eq!(later.poll_order(), None);
    }
}
