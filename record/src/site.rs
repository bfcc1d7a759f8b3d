//! The state of a site: what everyone folds from the record, entry by entry.
//!
//! The fold reads nothing but entries: no clock, no hash order, no file. [`Site::digest`] is the same on every machine
//! that has folded the same entries, however they were batched; the host commits to it in the record now and then, and
//! whoever folds that entry checks it.

mod ask;
mod fold;
mod people;
mod placed;
mod plant;
mod state;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use gemba_twin::path::{TagId, TagPath, ThingPath};
use gemba_twin::peer::{PeerKey, PeerKind};
use gemba_twin::sample::Timestamp;

use crate::body::Body;
use crate::edit::{Change, Conflict, Edit};
use crate::entry::{Entry, EntryId, SignedEntry, UnverifiedEntry};
use crate::identity::Keys;
use crate::limits;
use crate::merkle::{Frontier, leaf_hash};
use crate::refusal::Refusal;
use crate::role::{Grant, Role};

use people::Place;
use placed::PlacedIds;
use plant::PlantIndex;
use state::State;
pub use state::{Committed, InvitationState, LastEdit, Model, Note, Peer, ThingState, ViewpointState};

/// Where an entry stands in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placed {
    /// It is new and now stands (or may stand) at this index.
    New(u64),
    /// The very same bytes stand at this index already; nothing changes.
    Held(u64),
}

impl Placed {
    /// Refuses what is not new: a stored log holds nothing twice.
    pub fn must_be_new(self) -> Result<(), Refusal> {
        match self {
            Placed::New(_) => Ok(()),
            Placed::Held(_) => Err(Refusal::IdTaken),
        }
    }

    /// The entry's index in either case: what its author is told.
    pub fn index(self) -> u64 {
        match self {
            Placed::New(index) | Placed::Held(index) => index,
        }
    }
}

/// A site as its record says it is, after [`Site::entries`] entries.
#[derive(Debug, Clone)]
pub struct Site {
    state: State,
    placed: PlacedIds,
    plant: PlantIndex,
    tags_by_path: HashMap<TagPath, TagId>,
    notes_by_id: HashMap<EntryId, usize>,
    /// Commands that have an outcome, oldest first.
    settled_commands: BTreeSet<(u64, EntryId)>,
    /// The digest after so many entries, where it has been computed: at 100,000 things that takes longer than a commit.
    digested: Option<(u64, [u8; 32])>,
}

/// Entries into state.
impl Site {
    /// The site that this first entry founds.
    pub fn found(first: SignedEntry) -> Result<Self, Refusal> {
        let (hash, leaf) = (bytes_hash(first.bytes()), leaf_hash(first.bytes()));
        if first.signer() != first.entry().author {
            return Err(Refusal::KeyNotInForce);
        }
        let Entry { site: id, author, id: entry, body, at, .. } = first.into_parts().1;
        body.check()?;
        let Body::Found { name, host } = body else { return Err(Refusal::NotFounded) };
        let kind = if author == host { PeerKind::Host } else { PeerKind::Person };
        let peer = |key: PeerKey, kind, name: &str, role| {
            let grants = vec![Grant { role, scope: None }];
            (key, Peer { kind, name: name.to_owned(), grants, keys: Keys::begin(key) })
        };
        let founders = [peer(host, PeerKind::Host, "host", Role::Viewer), peer(author, kind, "owner", Role::Owner)];
        let mut tree = Frontier::default();
        tree.push(leaf);
        let state = State {
            id,
            name,
            host,
            tree,
            time: at.unwrap_or_default(),
            peers: founders.into_iter().collect(),
            invitations: BTreeMap::new(),
            models: Vec::new(),
            things: Vec::new(),
            edits: BTreeMap::new(),
            tags: Vec::new(),
            tag_devices: Vec::new(),
            notes: Vec::new(),
            viewpoints: BTreeMap::new(),
            commands: BTreeMap::new(),
            acks: BTreeMap::new(),
            segments: Vec::new(),
            committed: None,
            policy: None,
            hosts: None,
            epoch: None,
        };
        let mut placed = PlacedIds::default();
        placed.insert(entry, 0, hash);
        Ok(Self::with_indexes(state, placed).expect("a new site has no things that could stand twice"))
    }

    fn with_indexes(state: State, placed: PlacedIds) -> Option<Self> {
        let plant = PlantIndex::of(&state)?;
        let tags_by_path = (0..).zip(&state.tags).map(|(id, tag)| (tag.path.clone(), TagId(id))).collect();
        let notes_by_id = state.notes.iter().enumerate().map(|(at, note)| (note.id, at)).collect();
        let settled = state.commands.iter().filter(|(_, c)| c.outcome.is_some()).map(|(id, c)| (c.index, *id));
        let settled_commands = settled.collect();
        Some(Self { state, placed, plant, tags_by_path, notes_by_id, settled_commands, digested: None })
    }

    /// Where these very bytes stand already; refuses other bytes under the same id.
    pub fn held(&self, id: EntryId, bytes: &[u8]) -> Result<Option<u64>, Refusal> {
        match self.placed.find(id) {
            Some((index, hash)) if hash == bytes_hash(bytes) => Ok(Some(index)),
            Some(_) => Err(Refusal::IdTaken),
            None => Ok(None),
        }
    }

    /// The key that must have signed an entry that claims to be this one: its author's key in force or, where the
    /// entry itself brings the key, that one.
    pub fn signer_of(&self, entry: &UnverifiedEntry) -> Result<PeerKey, Refusal> {
        self.signer(entry.entry())
    }

    fn signer(&self, entry: &Entry) -> Result<PeerKey, Refusal> {
        let keys = self.state.peers.get(&entry.author).map(|peer| &peer.keys);
        match (&entry.body, keys) {
            // Nobody but the holder of the new key brings it in: its number is the next one, and it signs.
            (Body::RotateKey(new) | Body::RecoverKey { new, .. }, Some(keys)) => {
                if entry.key == keys.next_number() {
                    Ok(new.key)
                } else {
                    Err(Refusal::KeyNotInForce)
                }
            }
            (Body::RedeemInvitation { .. }, None) if entry.key.is_first() => Ok(entry.author),
            (_, Some(keys)) => keys.in_force(entry.key).ok_or(Refusal::KeyNotInForce),
            (_, None) => Err(Refusal::NotAdmitted),
        }
    }

    /// Whether the entry may stand next, or stands already.
    pub fn check(&self, signed: &SignedEntry) -> Result<Placed, Refusal> {
        let entry = signed.entry();
        if entry.site != self.state.id {
            return Err(Refusal::OtherSite);
        }
        if let Some(index) = self.held(entry.id, signed.bytes())? {
            return Ok(Placed::Held(index));
        }
        if self.signer(entry)? != signed.signer() {
            return Err(Refusal::KeyNotInForce);
        }
        if entry.seen.is_some_and(|seen| seen.size > self.entries()) {
            return Err(Refusal::Content("it names a checkpoint of entries that are not there".to_owned()));
        }
        entry.body.check()?;
        self.check_permission(entry)?;
        self.check_body(entry)?;
        Ok(Placed::New(self.entries()))
    }

    /// Checks the entry and folds it in. After a refusal nothing has changed.
    pub fn apply(&mut self, signed: SignedEntry) -> Result<Placed, Refusal> {
        let placed = self.check(&signed)?;
        if let Placed::New(index) = placed {
            let (hash, leaf) = (bytes_hash(signed.bytes()), leaf_hash(signed.bytes()));
            let entry = signed.into_parts().1;
            let commits = matches!(entry.body, Body::CommitState { .. });
            if commits {
                // What was hashed for the digest is in order now: keep it so.
                self.placed.settle();
            }
            self.placed.insert(entry.id, index, hash);
            self.state.tree.push(leaf);
            self.state.time = self.state.time.max(entry.at.unwrap_or_default());
            self.fold(index, entry);
        }
        Ok(placed)
    }

    /// What this edit by this author would overrule that the author did not know of. Ask before it is applied.
    pub fn conflict(&self, author: &PeerKey, edit: &Edit) -> Option<Conflict> {
        plant::conflict(&self.state, author, edit)
    }

    /// The change that would take this edit back. Ask before it is applied; none if its thing is unknown.
    pub fn inverse(&self, edit: &Edit) -> Option<Change> {
        plant::inverse(&self.state, &self.plant, edit)
    }
}

/// The canonical bytes of a state.
impl Site {
    /// The whole state as bytes, from which [`Site::from_snapshot`] makes the same site.
    pub fn snapshot(&self) -> Vec<u8> {
        let ids = self.placed.encode();
        let mut bytes = Vec::with_capacity(ids.len() + 200 * self.state.things.len() + 4096);
        let mut encoder = minicbor::Encoder::new(&mut bytes);
        encoder
            .array(3)
            .and_then(|e| e.u32(SNAPSHOT_FORMAT))
            .and_then(|e| e.encode(&self.state))
            .and_then(|e| e.bytes(&ids))
            .expect("writing to memory cannot fail, and no encoder of this crate refuses a value");
        bytes
    }

    /// BLAKE3 of [`Site::snapshot`]: equal on all machines that folded the same entries, and the snapshot's name.
    pub fn digest(&self) -> [u8; 32] {
        match self.digested {
            Some((entries, digest)) if entries == self.entries() => digest,
            _ => *blake3::hash(&self.snapshot()).as_bytes(),
        }
    }

    /// The snapshot with its digest, which is not computed again for who asks next.
    pub fn snapshot_and_digest(&mut self) -> (Vec<u8>, [u8; 32]) {
        let snapshot = self.snapshot();
        let digest = *blake3::hash(&snapshot).as_bytes();
        self.digested = Some((self.entries(), digest));
        (snapshot, digest)
    }

    /// The site whose snapshot has these bytes. That they are the right ones the caller knows by their hash.
    pub fn from_snapshot(bytes: &[u8]) -> Result<Self, SnapshotError> {
        if bytes.len() > limits::SNAPSHOT_BYTES {
            return Err(SnapshotError::Damaged);
        }
        let mut decoder = minicbor::Decoder::new(bytes);
        let format = decoder.array().and_then(|_| decoder.u32()).map_err(|_| SnapshotError::Damaged)?;
        if format != SNAPSHOT_FORMAT {
            return Err(SnapshotError::Newer(format));
        }
        let state: State = decoder.decode().map_err(|_| SnapshotError::Damaged)?;
        let ids = decoder.bytes().map_err(|_| SnapshotError::Damaged)?;
        let entries = state.tree.size();
        let placed = PlacedIds::decode(ids, entries).ok_or(SnapshotError::Damaged)?;
        let models = u32::try_from(state.models.len()).unwrap_or(u32::MAX);
        let sound = decoder.position() == bytes.len()
            && entries > 0
            && state.tree.is_sound()
            && state.tags.len() == state.tag_devices.len()
            && state.things.iter().all(|thing| thing.model.is_none_or(|model| model < models));
        if !sound {
            return Err(SnapshotError::Damaged);
        }
        Self::with_indexes(state, placed).ok_or(SnapshotError::Damaged)
    }
}

/// The form of snapshots that this program writes and reads. One of another form is folded anew from the entries.
const SNAPSHOT_FORMAT: u32 = 1;

/// Bytes that are no snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// Another form.
    #[error("the snapshot has form {0}, which this program does not read")]
    Newer(u32),
    /// Not what a site wrote.
    #[error("the snapshot is damaged")]
    Damaged,
}

/// Who may say it.
impl Site {
    fn check_permission(&self, entry: &Entry) -> Result<(), Refusal> {
        if matches!(entry.body, Body::RedeemInvitation { .. }) {
            return Ok(());
        }
        let peer = self.state.peers.get(&entry.author).ok_or(Refusal::NotAdmitted)?;
        let (needs, place) = match &entry.body {
            Body::Found { .. } => return Err(Refusal::FoundedAlready),
            Body::PromiseKey(_) | Body::RotateKey(_) | Body::RecoverKey { .. } => (Role::Viewer, Place::Any),
            Body::RevokeKey { peer } if *peer == entry.author => (Role::Viewer, Place::Any),
            Body::Admit { .. } | Body::RevokeKey { .. } | Body::SetPolicy(_) | Body::NameHosts { .. } => {
                (Role::Owner, Place::Site)
            }
            Body::GrantRole { grant, .. } => (Role::Owner, people::place_of_scope(&self.state, &self.plant, grant)?),
            Body::RevokeRole { scope, .. } => {
                let grant = Grant { role: Role::Owner, scope: *scope };
                (Role::Owner, people::place_of_scope(&self.state, &self.plant, &grant)?)
            }
            Body::Invite(invitation) => {
                let grant = Grant { role: invitation.role, scope: invitation.scope };
                (Role::Owner, people::place_of_scope(&self.state, &self.plant, &grant)?)
            }
            Body::SaveViewpoint { .. } => (Role::Commenter, Place::Any),
            Body::RemoveViewpoint { viewpoint } => {
                let own = self.state.viewpoints.get(viewpoint).is_some_and(|v| v.author == entry.author);
                if own { (Role::Commenter, Place::Any) } else { (Role::Editor, Place::Site) }
            }
            Body::ImportModel { .. } => (Role::Editor, Place::Any),
            Body::DeclareTags { .. } | Body::ReportOutcome(_) if peer.kind != PeerKind::Device => {
                return Err(Refusal::NoDevice);
            }
            Body::ReportOutcome(_) => (Role::Editor, Place::Any),
            Body::AddSegment(_) | Body::DropSegments { .. } => {
                if peer.kind != PeerKind::Device && entry.author != self.state.host {
                    return Err(Refusal::NoDevice);
                }
                (Role::Editor, Place::Any)
            }
            Body::CommitState { .. } if entry.author != self.state.host => return Err(Refusal::NotTheHost),
            Body::CommitState { .. } => (Role::Viewer, Place::Any),
            Body::Succeed { .. } if !self.hosts().iter().any(|host| host.key == entry.author) => {
                return Err(Refusal::NotTheHost);
            }
            Body::Succeed { .. } => (Role::Viewer, Place::Any),
            body => {
                let needs = match body {
                    Body::AddNote { .. } | Body::ResolveNote { .. } => Role::Commenter,
                    Body::CommandDevice(_) | Body::AckAlarm(_) => Role::Operator,
                    _ => Role::Editor,
                };
                // For most peers their role in the whole site decides, and no path needs to be looked up.
                if peer.role().is_some_and(|role| role >= needs) {
                    return Ok(());
                }
                (needs, Place::Paths(self.paths_of(body)?))
            }
        };
        people::check_role(&self.state, &self.plant, peer, needs, place)
    }

    /// The places in the plant that an entry is about.
    fn paths_of(&self, body: &Body) -> Result<Vec<ThingPath>, Refusal> {
        let (state, index) = (&self.state, &self.plant);
        let path = |at: usize| state.things[at].thing.path.clone();
        let thing = |id| Ok(path(index.find(id).ok_or_else(plant::unknown)?));
        let of_tag = |tag: &TagPath| match plant::thing_of_tag(state, index, tag) {
            Some(at) => Ok(path(at)),
            None => tag.thing().ok_or_else(plant::unknown),
        };
        match body {
            Body::AddThings { things, .. } => {
                things.iter().map(|thing| plant::current_path(state, index, &thing.path)).collect()
            }
            Body::DeclareTags { tags } => tags.iter().map(|tag| of_tag(&tag.path)).collect(),
            Body::AddNote { thing: at, .. } => Ok(vec![thing(*at)?]),
            Body::ResolveNote { note, .. } => {
                let note = self.notes_by_id.get(note).ok_or_else(|| Refusal::Unknown("the note".to_owned()))?;
                Ok(vec![thing(state.notes[*note].thing)?])
            }
            Body::CreateThing(new) => Ok(vec![new.thing.path.clone()]),
            Body::EditThing(edit) => {
                let after = plant::path_after(state, index, edit)?;
                Ok([Some(thing(edit.thing)?), after].into_iter().flatten().collect())
            }
            Body::CommandDevice(command) => Ok(vec![of_tag(&command.tag)?]),
            Body::AckAlarm(ack) => Ok(vec![thing(ack.thing)?]),
            _ => Ok(Vec::new()),
        }
    }
}

fn bytes_hash(bytes: &[u8]) -> [u8; 32] {
    *blake3::hash(bytes).as_bytes()
}

fn room(what: &'static str, count: usize, most: usize) -> Result<(), Refusal> {
    if count > most { Err(Refusal::Full(what)) } else { Ok(()) }
}

fn distinct<'a>(paths: impl Iterator<Item = &'a str>) -> Result<(), Refusal> {
    let mut seen = HashSet::new();
    for path in paths {
        if !seen.insert(path) {
            return Err(Refusal::Content(format!("{path} stands twice in one entry")));
        }
    }
    Ok(())
}

/// The later of a log's time and an entry's own.
fn now(state: &State, at: Option<Timestamp>) -> Timestamp {
    state.time.max(at.unwrap_or_default())
}
