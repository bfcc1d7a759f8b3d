//! What must be true of a site, said a second time and in the simplest way: lists and maps, no index, no snapshot, no
//! encoding. It shares with the record only what an entry's bytes say, and judges every entry by itself: who signed it,
//! whether that key counted then, whether that role allowed it, whether the plant could take it.

mod judge;
mod plant;
mod tree;

use std::collections::BTreeMap;

use gemba_record::checkpoint::SignedCheckpoint;
use gemba_record::command::Outcome;
use gemba_record::entry::{EntryId, SiteId, UnverifiedEntry};
use gemba_record::identity::{Guardians, KeyPromise};
use gemba_record::invitation::Invitation;
use gemba_record::note::VerifierKey;
use gemba_record::policy::SitePolicy;
use gemba_record::quorum::Policy;
use gemba_record::role::Role;
use gemba_record::site::Site;
use gemba_twin::path::{TagPath, ThingId};
use gemba_twin::peer::{PeerKey, PeerKind};
use gemba_twin::sample::ValueKind;

pub(crate) use plant::Thing;

/// What was found to be wrong.
pub(crate) type Violation = String;

/// Fails with a text unless something holds.
pub(crate) fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), Violation> {
    if holds { Ok(()) } else { Err(otherwise()) }
}

/// A peer of the site.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    kind: PeerKind,
    roles: BTreeMap<Option<ThingId>, Role>,
    keys: Vec<PeerKey>,
    revoked: bool,
    next: Option<KeyPromise>,
    guardians: Option<Guardians>,
}

impl Peer {
    fn key_in_force(&self) -> Option<PeerKey> {
        if self.revoked { None } else { self.keys.last().copied() }
    }

    fn is_owner(&self) -> bool {
        self.roles.get(&None) == Some(&Role::Owner)
    }
}

/// A device's tag, and whose it is.
#[derive(Debug, Clone)]
struct TagModel {
    device: PeerKey,
    kind: ValueKind,
    writable: bool,
}

/// The site, and all that anybody was ever told about it.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    site: SiteId,
    host: PeerKey,
    /// Entries the host must never lose.
    pub(crate) log: Vec<Vec<u8>>,
    places: BTreeMap<EntryId, usize>,
    time: i64,
    peers: BTreeMap<PeerKey, Peer>,
    invitations: BTreeMap<PeerKey, (Invitation, bool)>,
    things: BTreeMap<ThingId, Thing>,
    models: Vec<[u8; 32]>,
    notes: BTreeMap<EntryId, (ThingId, bool)>,
    viewpoints: BTreeMap<EntryId, PeerKey>,
    tags: BTreeMap<TagPath, TagModel>,
    commands: BTreeMap<EntryId, (TagPath, Option<Outcome>)>,
    acks: BTreeMap<ThingId, i64>,
    segments: Vec<[u8; 32]>,
    policy: Option<SitePolicy>,
    leaves: Vec<[u8; 32]>,
    /// The root of every size that was ever signed.
    signed: BTreeMap<u64, [u8; 32]>,
    /// The size of the newest checkpoint that was shown.
    shown: u64,
    /// Which entry each edit overruled without its author knowing, if any.
    overruled: BTreeMap<u64, u64>,
    /// What was answered to whom, by the entry's bytes.
    answers: BTreeMap<Vec<u8>, u64>,
    /// Taken entries by their kind, for the sum of all runs.
    pub(crate) kinds: [u32; 28],
}

impl Model {
    /// Of a site that this entry founds.
    pub(crate) fn new(first: &[u8]) -> Self {
        let entry = UnverifiedEntry::read(first.to_vec()).expect("a site is founded with an entry");
        let gemba_record::body::Body::Found { host, .. } = entry.entry().body else { panic!("founded with another") };
        let peer = |key, kind, role| Peer {
            kind,
            roles: BTreeMap::from([(None, role)]),
            keys: vec![key],
            revoked: false,
            next: None,
            guardians: None,
        };
        let (author, id) = (entry.entry().author, entry.entry().id);
        let mut model = Self {
            site: entry.entry().site,
            host,
            log: vec![first.to_vec()],
            places: BTreeMap::from([(id, 0)]),
            time: 0,
            peers: BTreeMap::new(),
            invitations: BTreeMap::new(),
            things: BTreeMap::new(),
            models: Vec::new(),
            notes: BTreeMap::new(),
            viewpoints: BTreeMap::new(),
            tags: BTreeMap::new(),
            commands: BTreeMap::new(),
            acks: BTreeMap::new(),
            segments: Vec::new(),
            policy: None,
            leaves: vec![tree::leaf(first)],
            signed: BTreeMap::new(),
            shown: 0,
            overruled: BTreeMap::new(),
            answers: BTreeMap::new(),
            kinds: [0; 28],
        };
        model.peers.insert(host, peer(host, PeerKind::Host, Role::Viewer));
        model.peers.insert(author, peer(author, PeerKind::Person, Role::Owner));
        model
    }

    /// Entries so far.
    pub(crate) fn len(&self) -> u64 {
        self.log.len() as u64
    }

    /// The host has taken entries on from here. Each must be one that it may take.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<(), Violation> {
        match self.judge(bytes) {
            Ok(None) => {
                self.fold(bytes);
                Ok(())
            }
            Ok(Some(at)) => Err(format!("entry {at} stands in the log a second time, at {}", self.len())),
            Err(why) => Err(format!("entry {} must not be in the log: {why}", self.len())),
        }
    }

    /// The host tells an author what became of an entry.
    pub(crate) fn answer(&mut self, bytes: &[u8], outcome: &Result<u64, String>) -> Result<(), Violation> {
        let verdict = self.judge(bytes);
        let fits = match (outcome, &verdict) {
            (Ok(index), Ok(None)) => *index == self.len(),
            (Ok(index), Ok(Some(at))) => *index == *at as u64,
            (Err(_), Err(_)) => true,
            _ => false,
        };
        ensure(fits, || {
            let said = UnverifiedEntry::read(bytes.to_vec()).map(|e| e.entry().clone());
            format!("the host answers {outcome:?} and the model {verdict:?} at {} to {said:?}", self.len())
        })?;
        if verdict == Ok(None) {
            self.fold(bytes);
        }
        Ok(())
    }

    /// An author has heard what became of its entry.
    pub(crate) fn heard(&mut self, bytes: &[u8], outcome: &Result<u64, String>) -> Result<(), Violation> {
        let before = self.answers.get(bytes).copied();
        match (outcome, before) {
            (Err(why), Some(at)) => Err(format!("an entry that was acknowledged at {at} is refused later: {why}")),
            (Ok(index), Some(at)) if *index != at => Err(format!("an entry was acknowledged at {at} and at {index}")),
            (Ok(index), _) => {
                let stands = self.log.get(*index as usize).is_some_and(|held| held == bytes);
                ensure(stands, || format!("what was acknowledged at {index} does not stand there"))?;
                self.answers.insert(bytes.to_vec(), *index);
                Ok(())
            }
            (Err(_), None) => Ok(()),
        }
    }

    /// A peer has received entries.
    pub(crate) fn received(&self, first: u64, entries: &[Vec<u8>]) -> Result<(), Violation> {
        let first = first as usize;
        let same = self.log.get(first..first + entries.len()).is_some_and(|held| held == entries);
        ensure(same, || format!("a peer is sent entries from {first} on that are not those of the log"))
    }

    /// The host's directory was opened: all that the model knows is there, and what follows may be there. It was sent
    /// and never answered.
    pub(crate) fn reopened(&mut self, entries: &[Vec<u8>]) -> Result<(), Violation> {
        ensure(entries.len() >= self.log.len() && entries[..self.log.len()] == self.log, || {
            let same = entries.iter().zip(&self.log).take_while(|(a, b)| a == b).count();
            format!("of {} durable entries only {same} are there after a restart", self.log.len())
        })?;
        entries[self.log.len()..].iter().try_for_each(|entry| self.take(entry))
    }

    /// The host has signed size and root, for anyone to see.
    pub(crate) fn signed(&mut self, size: u64, root: [u8; 32]) -> Result<(), Violation> {
        let before = *self.signed.entry(size).or_insert(root);
        ensure(before == root, || format!("two roots are signed for {size} entries"))?;
        ensure(size <= self.len() && tree::root(&self.leaves[..size as usize]) == root, || {
            format!("the root signed for {size} entries is not that of the log")
        })
    }

    /// A checkpoint of this size was shown to others.
    pub(crate) fn shown(&mut self, size: u64) {
        self.shown = self.shown.max(size);
    }

    /// The host's directory, opened again, has its own checkpoint of this size.
    pub(crate) fn kept(&mut self, size: u64, may_be_older: bool) -> Result<(), Violation> {
        self.shown = if may_be_older { self.shown.min(size) } else { self.shown };
        ensure(size >= self.shown, || format!("the host showed a checkpoint of {} and kept one of {size}", self.shown))
    }

    /// Somebody says by this checkpoint that entries are final, as many as it covers or none.
    pub(crate) fn judged_final(&self, note: &SignedCheckpoint, policy: &Policy, said: bool) -> Result<(), Violation> {
        let distinct = |keys: &[VerifierKey]| {
            let lines = note.note().signatures();
            let mut found: Vec<PeerKey> =
                keys.iter().filter(|k| lines.iter().any(|l| k.claims(l))).map(VerifierKey::key).collect();
            found.sort();
            found.dedup();
            found.len()
        };
        let enough = distinct(&policy.witnesses().keys) >= policy.witnesses().needed
            && distinct(&policy.mirrors().keys) >= policy.mirrors().needed;
        ensure(!said || enough, || {
            "entries are called final though too few different members have cosigned".to_owned()
        })?;
        ensure(said || !enough, || "entries are not final though enough different members have cosigned".to_owned())
    }

    /// A peer finds that the edit at this index overrules another one, or none.
    pub(crate) fn overrules(&self, index: u64, found: Option<u64>) -> Result<(), Violation> {
        let expected = self.overruled.get(&index).copied();
        ensure(expected == found, || format!("edit {index} overrules {expected:?} and a peer is told {found:?}"))
    }

    /// Whether who comes with this key may come in.
    pub(crate) fn may_enter(&self, key: &PeerKey) -> bool {
        self.peers.values().any(|peer| peer.key_in_force() == Some(*key) && !peer.roles.is_empty())
    }

    /// Whether a folded site that has come as far says the same.
    pub(crate) fn agrees(&self, site: &Site) -> Result<(), Violation> {
        let same = |what: &str, holds: bool| ensure(holds, || format!("site and model differ in {what}"));
        same("entries", site.entries() == self.len())?;
        same("the root", site.tree().root() == tree::root(&self.leaves))?;
        same("time", site.time().0 == self.time)?;
        same("how many peers there are", site.peers().count() == self.peers.len())?;
        for (key, peer) in &self.peers {
            let held = site.peer(key).ok_or("a peer is missing")?;
            let mut roles: Vec<_> = held.grants.iter().map(|grant| (grant.scope, grant.role)).collect();
            roles.sort_by_key(|(scope, _)| *scope);
            same("roles", roles == peer.roles.iter().map(|(scope, role)| (*scope, *role)).collect::<Vec<_>>())?;
            same("keys", held.keys.number().0 as usize + 1 == peer.keys.len())?;
            same("the key in force", held.keys.in_force(held.keys.number()) == peer.key_in_force())?;
        }
        same("who owns it", self.peers.values().any(Peer::is_owner))?;
        same("how many things there are", site.things().len() == self.things.len())?;
        for (id, thing) in &self.things {
            let held = site.thing(*id).ok_or("a thing is missing")?;
            same("a path", held.thing.path.as_str() == thing.path.join("/"))?;
            same("a place", held.place == thing.place)?;
            same("a retired thing", held.retired == thing.retired)?;
            same("a kind", (held.thing.level, held.thing.class) == thing.kind)?;
        }
        same("notes", site.notes().len() == self.notes.len())?;
        let note = |n: &gemba_record::site::Note| self.notes.get(&n.id) == Some(&(n.thing, n.resolved));
        same("a note", site.notes().iter().all(note))?;
        same("viewpoints", site.viewpoints().map(|(id, v)| (*id, v.author)).eq(self.viewpoints.clone()))?;
        same("tags", site.tags().len() == self.tags.len())?;
        let commands = site.commands().map(|(id, c)| (*id, (c.command.tag.clone(), c.outcome.clone())));
        same("commands", commands.eq(self.commands.clone()))?;
        same("acks", self.acks.iter().all(|(thing, at)| site.alarm_ack(*thing).map(|a| a.raised.0) == Some(*at)))?;
        same("segments", site.segments().iter().map(|s| s.blob).eq(self.segments.iter().copied()))?;
        same("the policy", site.policy() == self.policy.as_ref())?;
        same("invitations", site.invitations().count() == self.invitations.len())?;
        same("who has come by invitation", {
            let used = |i: &gemba_record::site::InvitationState| {
                self.invitations.get(&i.invitation.token).map(|(_, used)| *used)
            };
            site.invitations().all(|i| used(i) == Some(i.used_by.is_some()))
        })
    }
}
