//! What an entry says. Encoded as `[kind, {0: field, 1: field …}]`; new kinds and new optional fields get new numbers,
//! so that a record written today reads the same for ever.

use gemba_twin::path::ThingId;
use gemba_twin::peer::{PeerKey, PeerKind};
use gemba_twin::tag::Tag;
use gemba_twin::thing::Thing;
use minicbor::{Decode, Encode};

use crate::limits;
use crate::refusal::Refusal;
use crate::role::Role;

/// What an entry says.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(map)]
pub enum Body {
    /// The first entry: founds the site. Its author becomes the owner.
    #[n(0)]
    Found {
        /// What people call the site.
        #[n(0)]
        name: String,
        /// The key of the host that sequences the site, which its address names.
        #[n(1)]
        host: PeerKey,
    },
    /// Admits a peer, or gives one already admitted another name, kind or role.
    #[n(1)]
    Admit {
        /// Who.
        #[n(0)]
        peer: PeerKey,
        /// What kind of participant it is.
        #[n(1)]
        kind: PeerKind,
        /// What people call it.
        #[n(2)]
        name: String,
        /// What it may do.
        #[n(3)]
        role: Role,
    },
    /// Brings a glTF model in; its bytes are a blob of the site.
    #[n(2)]
    ImportModel {
        /// BLAKE3 of the file.
        #[cbor(n(0), with = "minicbor::bytes")]
        blob: [u8; 32],
        /// Size of the file.
        #[n(1)]
        bytes: u64,
        /// Its file name, for people.
        #[n(2)]
        name: String,
    },
    /// Adds the things of a model. One whose path is in the site already is replaced: the last in the log wins.
    #[n(3)]
    AddThings {
        /// The model that draws them, imported before.
        #[cbor(n(0), with = "minicbor::bytes")]
        model: [u8; 32],
        /// At most [`limits::BATCH`].
        #[n(1)]
        things: Vec<Thing>,
    },
    /// A device says what its tags mean. New paths get the next [`gemba_twin::path::TagId`]s, in this order; a path
    /// the same device declared before keeps its id.
    #[n(4)]
    DeclareTags {
        /// At most [`limits::BATCH`], no path twice.
        #[n(0)]
        tags: Vec<Tag>,
    },
    /// Leaves a note at a thing.
    #[n(5)]
    AddNote {
        /// Where.
        #[n(0)]
        thing: ThingId,
        /// What.
        #[n(1)]
        text: String,
    },
}

impl Body {
    /// The entries that add these things: as few as the limits allow.
    pub fn add_things(model: [u8; 32], things: Vec<Thing>) -> Vec<Body> {
        batches(things).into_iter().map(|things| Body::AddThings { model, things }).collect()
    }

    /// The entries that declare these tags: as few as the limits allow.
    pub fn declare_tags(tags: Vec<Tag>) -> Vec<Body> {
        batches(tags).into_iter().map(|tags| Body::DeclareTags { tags }).collect()
    }

    /// What can be said of the content without knowing the site.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        match self {
            Body::Found { name, host } => check_name(name).and(check_key(host)),
            Body::Admit { peer, name, .. } => check_name(name).and(check_key(peer)),
            Body::ImportModel { bytes, name, .. } => {
                if *bytes == 0 || *bytes > gemba_twin::limits::MODEL_BYTES {
                    return content("a model of no bytes or too many");
                }
                check_name(name)
            }
            Body::AddThings { things, .. } => {
                check_batch(things.len())?;
                things.iter().try_for_each(check_thing)
            }
            Body::DeclareTags { tags } => {
                check_batch(tags.len())?;
                tags.iter().try_for_each(check_tag)
            }
            Body::AddNote { text, .. } => check_text(text, limits::NOTE_BYTES),
        }
    }
}

fn batches<T: Encode<()>>(items: Vec<T>) -> Vec<Vec<T>> {
    let mut batches = Vec::new();
    let (mut batch, mut bytes) = (Vec::new(), 0);
    for item in items {
        let size = minicbor::to_vec(&item).map_or(limits::BATCH_BYTES, |bytes| bytes.len());
        if batch.len() == limits::BATCH || (bytes + size > limits::BATCH_BYTES && !batch.is_empty()) {
            batches.push(std::mem::take(&mut batch));
            bytes = 0;
        }
        bytes += size;
        batch.push(item);
    }
    if !batch.is_empty() {
        batches.push(batch);
    }
    batches
}

fn content<T>(what: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Content(what.into()))
}

fn check_key(key: &PeerKey) -> Result<(), Refusal> {
    crate::entry::verifying_key(key).map(|_| ())
}

fn check_name(name: &str) -> Result<(), Refusal> {
    if name.trim() != name || name.chars().any(char::is_control) {
        return content("a name with control characters or spaces around it");
    }
    check_text(name, limits::NAME_BYTES)
}

fn check_text(text: &str, most: usize) -> Result<(), Refusal> {
    if text.is_empty() || text.len() > most {
        return content(format!("a text of {} bytes; it may have 1 to {most}", text.len()));
    }
    Ok(())
}

fn check_batch(count: usize) -> Result<(), Refusal> {
    if count == 0 || count > limits::BATCH {
        return content(format!("{count} items; an entry may have 1 to {}", limits::BATCH));
    }
    Ok(())
}

fn check_thing(thing: &Thing) -> Result<(), Refusal> {
    if thing.bindings.len() > gemba_twin::limits::BINDINGS_PER_THING {
        return content(format!("{} has too many bindings", thing.path));
    }
    if thing.bindings.iter().any(|b| !b.scale.is_finite() || !b.offset.is_finite()) {
        return content(format!("{} has a binding whose scale or offset is no number", thing.path));
    }
    Ok(())
}

fn check_tag(tag: &Tag) -> Result<(), Refusal> {
    if tag.unit.symbol().len() > gemba_twin::limits::UNIT_BYTES {
        return content(format!("the unit of {} is too long", tag.path));
    }
    if tag.range.is_some_and(|r| gemba_twin::tag::Range::new(r.low, r.high).is_none()) {
        return content(format!("the range of {} is empty", tag.path));
    }
    Ok(())
}
