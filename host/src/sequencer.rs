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
use gemba_record::entry::EntryId;
use gemba_record::role::Role;
use gemba_twin::path::TagId;
use gemba_twin::peer::{PeerKey, PeerKind};
use gemba_twin::tag::Tag;

use crate::key_file;
use crate::limits;
use crate::problem::SiteDirError;
use crate::site_dir::SiteDir;

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

/// The deciding part of a running host.
pub struct Sequencer {
    site: SiteDir,
    /// The role a person who is not known yet gets.
    admit: Option<Role>,
    /// For each peer that was let in, the index of the first entry it has not been sent.
    peers: BTreeMap<PeerNumber, u64>,
    commands: VecDeque<HostCommand>,
}

impl Sequencer {
    /// Begins with nobody present.
    pub fn new(site: SiteDir, admit: Option<Role>) -> Self {
        Self { site, admit, peers: BTreeMap::new(), commands: VecDeque::new() }
    }

    /// The site.
    pub fn site(&self) -> &SiteDir {
        &self.site
    }

    /// A peer asks to come in.
    pub fn handle_arrival(&mut self, peer: PeerNumber, newcomer: &Newcomer) -> Result<(), SiteDirError> {
        let Newcomer { key, name, entries_held, .. } = newcomer;
        if let Err(why) = self.admission(newcomer)? {
            tracing::info!(%key, name, why, "a peer was not let in");
            self.commands.push_back(HostCommand::Refuse { peer, why });
            return Ok(());
        }
        tracing::info!(peer = peer.0, %key, name, "a peer came in");
        self.peers.insert(peer, *entries_held);
        self.commands.push_back(HostCommand::Admit { peer, entries: self.site.log().entries() });
        Ok(())
    }

    /// A peer has gone.
    pub fn handle_leave(&mut self, peer: PeerNumber) {
        self.peers.remove(&peer);
    }

    /// Takes entries in this order, in one commit, and answers each once it is on the disk. When the disk fails nobody
    /// is answered: the authors keep their entries and send them again to the host that comes after this one.
    pub fn handle_submissions(&mut self, batch: Vec<Submission>) -> Result<(), SiteDirError> {
        if batch.is_empty() {
            return Ok(());
        }
        let (askers, entries): (Vec<_>, Vec<_>) = batch.into_iter().map(|s| ((s.peer, s.number), s.entry)).unzip();
        let outcomes = self.append(entries)?;
        for ((peer, submission), outcome) in askers.into_iter().zip(outcomes) {
            self.commands.push_back(HostCommand::Answer { peer, submission, outcome });
        }
        Ok(())
    }

    /// The gateway that holds `gateway`'s key has found these tags: declares what the record does not have so, and
    /// returns the number of each; none for a tag that is another device's, or that the record refuses.
    pub fn handle_tags(&mut self, gateway: &Author, tags: &[Tag]) -> Result<Vec<Option<TagId>>, SiteDirError> {
        let site = self.site.site();
        let wanted = |tag: &&Tag| match site.tag_at(&tag.path) {
            None => true,
            Some(id) => site.tag_device(id) == Some(gateway.key()) && site.tag(id) != Some(*tag),
        };
        let declared = Body::declare_tags(tags.iter().filter(wanted).cloned().collect());
        let entries = declared.into_iter().map(|body| gateway.sign(body, EntryId(key_file::random())).into_parts().0);
        for outcome in self.append(entries.collect())? {
            if let Err(why) = outcome {
                tracing::error!(why, "tags of the gateway were refused by the record");
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
            self.admit_peer(Body::Admit { peer: gateway, kind: PeerKind::Device, name, role: Role::Editor })?;
        }
        Ok(())
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
        let Some((peer, first)) = self.lagging() else { return Ok(None) };
        let entries = self.site.read_entries(first)?;
        self.peers.insert(peer, first + entries.len() as u64);
        Ok(Some(HostCommand::Entries { peer: Some(peer), first, entries }))
    }

    /// A peer that has not been sent everything, and where to go on.
    fn lagging(&self) -> Option<(PeerNumber, u64)> {
        let entries = self.site.log().entries();
        self.peers.iter().find(|(_, next)| **next < entries).map(|(peer, next)| (*peer, *next))
    }

    /// Whether this peer may come in; writes it into the record when that is what the host was told to do.
    fn admission(&mut self, newcomer: &Newcomer) -> Result<Result<(), String>, SiteDirError> {
        let Newcomer { key, name, kind, entries_held } = newcomer;
        let entries = self.site.log().entries();
        if *entries_held > entries {
            return Ok(Err(format!(
                "you hold {entries_held} entries of this site and its host only {entries}: it was restored from an \
                 older copy; delete your copy to follow it"
            )));
        }
        let site = self.site.site();
        if let Some(identity) = site.holder_of(key) {
            let out = || format!("key {key} may do nothing in {} any more; ask an owner for a role", site.name());
            return Ok(if site.may_enter(&identity) { Ok(()) } else { Err(out()) });
        }
        if site.peer(key).is_some() {
            return Ok(Err(format!("key {key} was replaced or revoked; come with the newest key of this identity")));
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
                "key {key} is not admitted to {}; ask an owner to admit it, or start gembad with --admit viewer",
                self.site.site().name()
            ))),
        }
    }

    /// Says these in the host's own name, in one commit; tells the index of each, or why the record refuses it.
    pub fn handle_own(&mut self, bodies: Vec<Body>) -> Result<Vec<Result<u64, String>>, SiteDirError> {
        if bodies.is_empty() {
            return Ok(Vec::new());
        }
        let author = Author::new(self.site.host_key().clone(), self.site.site().id());
        let sign = |body| author.sign(body, EntryId(key_file::random())).into_parts().0;
        self.append(bodies.into_iter().map(sign).collect())
    }

    fn admit_peer(&mut self, body: Body) -> Result<(), SiteDirError> {
        let author = Author::new(self.site.host_key().clone(), self.site.site().id());
        let entry = author.sign(body, EntryId(key_file::random()));
        let appended = self.site.append(vec![entry.into_parts().0])?;
        self.broadcast(appended.first, appended.entries);
        appended.outcomes.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(())
    }

    fn append(&mut self, entries: Vec<Vec<u8>>) -> Result<Vec<Result<u64, String>>, SiteDirError> {
        let appended = self.site.append(entries)?;
        self.broadcast(appended.first, appended.entries);
        let told = |outcome: Result<gemba_record::site::Placed, gemba_record::refusal::Refusal>| {
            outcome.map(|placed| placed.index()).map_err(|why| why.to_string())
        };
        Ok(appended.outcomes.into_iter().map(told).collect())
    }

    /// Sends new entries to all who have everything before them; the others get them from the disk in their turn.
    fn broadcast(&mut self, first: u64, entries: Vec<Vec<u8>>) {
        let current: Vec<PeerNumber> = self.peers.iter().filter(|(_, n)| **n == first).map(|(p, _)| *p).collect();
        if entries.is_empty() || current.is_empty() {
            return;
        }
        let next = first + entries.len() as u64;
        for peer in &current {
            self.peers.insert(*peer, next);
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
    use gemba_record::entry::KeyNumber;
    use gemba_record::identity::{Inception, KeyPromise, NewKey};
    use gemba_twin::path::ThingPath;
    use gemba_twin::sample::ValueKind;
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
        Newcomer { key, name: " Ai\nko ".into(), kind: PeerKind::Person, entries_held }
    }

    fn commands(host: &mut Host) -> Vec<HostCommand> {
        std::iter::from_fn(|| host.sequencer.poll_command().unwrap()).collect()
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
        assert!(
            matches!(&commands[..], [HostCommand::Refuse { why, .. }] if why.contains(&key.to_string()) && why.contains("--admit"))
        );
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
            host.sequencer.append(vec![entry]).unwrap()[0].clone().unwrap();
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
                HostCommand::Answer { peer: VISITOR, submission, outcome } => (*submission, outcome.clone().ok()),
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
}
