//! The state of a site: what everyone folds from the record, entry by entry.
//!
//! The fold reads nothing but entries: no clock, no hash order, no file. [`Site::digest`] is the same on every machine
//! that has folded the same entries, however they were batched.

use std::collections::{BTreeMap, HashMap, HashSet};

use gemba_twin::path::{TagId, TagPath, ThingId, ThingPath};
use gemba_twin::peer::{PeerKey, PeerKind};
use gemba_twin::tag::Tag;
use gemba_twin::thing::Thing;
use minicbor::{Decode, Encode};

use crate::body::Body;
use crate::entry::{Entry, EntryId, SignedEntry, SiteId};
use crate::limits;
use crate::refusal::Refusal;
use crate::role::Role;

/// A participant the site has admitted.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Peer {
    /// What kind of participant it is.
    #[n(0)]
    pub kind: PeerKind,
    /// What people call it.
    #[n(1)]
    pub name: String,
    /// What it may do.
    #[n(2)]
    pub role: Role,
}

/// A glTF model whose bytes are a blob of the site.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Model {
    /// BLAKE3 of the file.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub blob: [u8; 32],
    /// Size of the file.
    #[n(1)]
    pub bytes: u64,
    /// Its file name.
    #[n(2)]
    pub name: String,
}

/// A note left at a thing.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Note {
    /// Where.
    #[n(0)]
    pub thing: ThingId,
    /// Who left it.
    #[n(1)]
    pub author: PeerKey,
    /// What it says.
    #[n(2)]
    pub text: String,
    /// Index of its entry.
    #[n(3)]
    pub index: u64,
}

/// Where an entry stands in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placed {
    /// It is new and now stands (or may stand) at this index.
    New(u64),
    /// The very same bytes stand at this index already; nothing changes.
    Held(u64),
}

impl Placed {
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
    id: SiteId,
    name: String,
    host: PeerKey,
    peers: BTreeMap<PeerKey, Peer>,
    models: Vec<Model>,
    things: Vec<Thing>,
    /// Number in `models`, for each of `things`.
    model_of: Vec<u32>,
    tags: Vec<Tag>,
    /// Who declared it, for each of `tags`.
    tag_devices: Vec<PeerKey>,
    notes: Vec<Note>,
    entries: u64,
    things_by_id: HashMap<ThingId, usize>,
    tags_by_path: HashMap<TagPath, TagId>,
    placed: HashMap<EntryId, (u64, [u8; 32])>,
}

impl Site {
    /// The site that this first entry founds.
    pub fn found(first: SignedEntry) -> Result<Self, Refusal> {
        let hash = bytes_hash(&first);
        let Entry { site: id, author, id: entry, body, .. } = first.into_parts().1;
        body.check()?;
        let Body::Found { name, host } = body else { return Err(Refusal::NotFounded) };
        let kind = if author == host { PeerKind::Host } else { PeerKind::Person };
        let mut peers = BTreeMap::new();
        peers.insert(host, Peer { kind: PeerKind::Host, name: "host".to_owned(), role: Role::Viewer });
        peers.insert(author, Peer { kind, name: "owner".to_owned(), role: Role::Owner });
        Ok(Self {
            id,
            name,
            host,
            peers,
            models: Vec::new(),
            things: Vec::new(),
            model_of: Vec::new(),
            tags: Vec::new(),
            tag_devices: Vec::new(),
            notes: Vec::new(),
            entries: 1,
            things_by_id: HashMap::new(),
            tags_by_path: HashMap::new(),
            placed: HashMap::from([(entry, (0, hash))]),
        })
    }

    /// Whether the entry may stand next, or stands already.
    pub fn check(&self, signed: &SignedEntry) -> Result<Placed, Refusal> {
        let entry = signed.entry();
        if entry.site != self.id {
            return Err(Refusal::OtherSite);
        }
        if let Some((index, hash)) = self.placed.get(&entry.id) {
            return if *hash == bytes_hash(signed) { Ok(Placed::Held(*index)) } else { Err(Refusal::IdTaken) };
        }
        let author = self.peers.get(&entry.author).ok_or(Refusal::NotAdmitted)?;
        author.role.allows(author.kind, &entry.body)?;
        entry.body.check()?;
        self.check_body(&entry.author, &entry.body)?;
        Ok(Placed::New(self.entries))
    }

    /// Checks the entry and folds it in. After a refusal nothing has changed.
    pub fn apply(&mut self, signed: SignedEntry) -> Result<Placed, Refusal> {
        let placed = self.check(&signed)?;
        if let Placed::New(index) = placed {
            let hash = bytes_hash(&signed);
            let entry = signed.into_parts().1;
            self.placed.insert(entry.id, (index, hash));
            self.entries += 1;
            self.fold(index, entry.author, entry.body);
        }
        Ok(placed)
    }

    /// What of the content depends on the site.
    fn check_body(&self, author: &PeerKey, body: &Body) -> Result<(), Refusal> {
        match body {
            Body::Found { .. } => Err(Refusal::FoundedAlready),
            Body::Admit { peer, role, .. } => {
                let owners = self.peers.iter().filter(|(_, p)| p.role == Role::Owner);
                if *role != Role::Owner && owners.map(|(key, _)| key).eq([peer]) {
                    return Err(Refusal::LastOwner);
                }
                room("peers", self.peers.len() + usize::from(!self.peers.contains_key(peer)), limits::PEERS)
            }
            Body::ImportModel { blob, bytes, .. } => match self.models.iter().find(|m| m.blob == *blob) {
                Some(held) if held.bytes != *bytes => Err(Refusal::Content("a model with another size".to_owned())),
                Some(_) => Ok(()),
                None => room("models", self.models.len() + 1, limits::MODELS),
            },
            Body::AddThings { model, things } => {
                if self.model_number(model).is_none() {
                    return Err(Refusal::Unknown("the model".to_owned()));
                }
                distinct(things.iter().map(|thing| thing.path.as_str()))?;
                let added = things.iter().filter(|t| !self.things_by_id.contains_key(&t.path.id())).count();
                room("things", self.things.len() + added, limits::THINGS)
            }
            Body::DeclareTags { tags } => {
                distinct(tags.iter().map(|tag| tag.path.as_str()))?;
                let held = tags.iter().filter_map(|tag| self.tags_by_path.get(&tag.path));
                if let Some(id) = held.clone().find(|id| self.tag_devices[id.0 as usize] != *author) {
                    return Err(Refusal::TagOfAnother(self.tags[id.0 as usize].path.to_string()));
                }
                room("tags", self.tags.len() + tags.len() - held.count(), limits::TAGS)
            }
            Body::AddNote { thing, .. } => {
                if !self.things_by_id.contains_key(thing) {
                    return Err(Refusal::Unknown("the thing".to_owned()));
                }
                room("notes", self.notes.len() + 1, limits::NOTES)
            }
        }
    }

    /// Takes what has been checked.
    fn fold(&mut self, index: u64, author: PeerKey, body: Body) {
        match body {
            Body::Found { .. } => unreachable!("a second founding was refused by check"),
            Body::Admit { peer, kind, name, role } => {
                self.peers.insert(peer, Peer { kind, name, role });
            }
            Body::ImportModel { blob, bytes, name } => match self.models.iter_mut().find(|m| m.blob == blob) {
                Some(held) => held.name = name,
                None => self.models.push(Model { blob, bytes, name }),
            },
            Body::AddThings { model, things } => {
                let number = self.model_number(&model).expect("check found the model");
                things.into_iter().for_each(|thing| self.fold_thing(number, thing));
            }
            Body::DeclareTags { tags } => tags.into_iter().for_each(|tag| self.fold_tag(author, tag)),
            Body::AddNote { thing, text } => self.notes.push(Note { thing, author, text, index }),
        }
    }

    fn fold_thing(&mut self, model: u32, thing: Thing) {
        let at = *self.things_by_id.entry(thing.path.id()).or_insert(self.things.len());
        if at == self.things.len() {
            self.things.push(thing);
            self.model_of.push(model);
        } else {
            self.things[at] = thing;
            self.model_of[at] = model;
        }
    }

    fn fold_tag(&mut self, device: PeerKey, tag: Tag) {
        let next = TagId(u32::try_from(self.tags.len()).expect("limits::TAGS is far below 2^32"));
        let id = *self.tags_by_path.entry(tag.path.clone()).or_insert(next);
        if id == next {
            self.tags.push(tag);
            self.tag_devices.push(device);
        } else {
            self.tags[id.0 as usize] = tag;
        }
    }

    fn model_number(&self, blob: &[u8; 32]) -> Option<u32> {
        let at = self.models.iter().position(|m| m.blob == *blob)?;
        Some(u32::try_from(at).expect("limits::MODELS is far below 2^32"))
    }
}

/// What the site holds.
impl Site {
    /// Its identity.
    pub fn id(&self) -> SiteId {
        self.id
    }

    /// What people call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key of the host that sequences it.
    pub fn host(&self) -> PeerKey {
        self.host
    }

    /// Entries folded so far.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// One admitted peer.
    pub fn peer(&self, key: &PeerKey) -> Option<&Peer> {
        self.peers.get(key)
    }

    /// All admitted peers, by key.
    pub fn peers(&self) -> impl Iterator<Item = (&PeerKey, &Peer)> {
        self.peers.iter()
    }

    /// All models, the newest last.
    pub fn models(&self) -> &[Model] {
        &self.models
    }

    /// All things, in the order they were first added.
    pub fn things(&self) -> &[Thing] {
        &self.things
    }

    /// One thing.
    pub fn thing(&self, id: ThingId) -> Option<&Thing> {
        self.things_by_id.get(&id).map(|at| &self.things[*at])
    }

    /// The thing at this path.
    pub fn thing_at(&self, path: &ThingPath) -> Option<&Thing> {
        self.thing(path.id())
    }

    /// The model that draws a thing.
    pub fn model_of(&self, id: ThingId) -> Option<&Model> {
        self.things_by_id.get(&id).map(|at| &self.models[self.model_of[*at] as usize])
    }

    /// All tags; the place in the slice is the [`TagId`].
    pub fn tags(&self) -> &[Tag] {
        &self.tags
    }

    /// One tag.
    pub fn tag(&self, id: TagId) -> Option<&Tag> {
        self.tags.get(id.0 as usize)
    }

    /// The number of the tag at this path.
    pub fn tag_at(&self, path: &TagPath) -> Option<TagId> {
        self.tags_by_path.get(path).copied()
    }

    /// The device that declared a tag, and alone may say more of it.
    pub fn tag_device(&self, id: TagId) -> Option<PeerKey> {
        self.tag_devices.get(id.0 as usize).copied()
    }

    /// All notes, the newest last.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// Where the entry with this id stands.
    pub fn index_of(&self, id: EntryId) -> Option<u64> {
        self.placed.get(&id).map(|(index, _)| *index)
    }

    /// BLAKE3 over the canonical encoding of the whole state: equal on all machines that folded the same entries.
    pub fn digest(&self) -> [u8; 32] {
        let mut hash = Hashed(blake3::Hasher::new_derive_key("gemba 2026 site state digest"));
        let mut encoder = minicbor::Encoder::new(&mut hash);
        encoder
            .encode((self.id, &self.name, self.host, self.entries))
            .and_then(|e| e.encode(&self.peers))
            .and_then(|e| e.encode(&self.models))
            .and_then(|e| e.encode(&self.things))
            .and_then(|e| e.encode(&self.model_of))
            .and_then(|e| e.encode(&self.tags))
            .and_then(|e| e.encode(&self.tag_devices))
            .and_then(|e| e.encode(&self.notes))
            .expect("hashing cannot fail, and no encoder of this crate refuses a value");
        *hash.0.finalize().as_bytes()
    }
}

/// Lets the encoder write straight into the hash.
struct Hashed(blake3::Hasher);

impl minicbor::encode::Write for &mut Hashed {
    type Error = std::convert::Infallible;

    fn write_all(&mut self, bytes: &[u8]) -> Result<(), Self::Error> {
        self.0.update(bytes);
        Ok(())
    }
}

fn bytes_hash(entry: &SignedEntry) -> [u8; 32] {
    *blake3::hash(entry.bytes()).as_bytes()
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
