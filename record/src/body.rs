//! What an entry says. Encoded as `[kind, {0: field, 1: field …}]`; new kinds and new optional fields get new numbers,
//! so that a record written today reads the same for ever.

use gemba_twin::path::ThingId;
use gemba_twin::peer::{PeerKey, PeerKind};
use gemba_twin::tag::Tag;
use gemba_twin::thing::Thing;
use gemba_twin::viewpoint::Viewpoint;
use minicbor::{Decode, Encode};

use crate::command::{AlarmAck, Command, CommandOutcome, Outcome};
use crate::edit::{Change, Edit, NewThing};
use crate::entry::EntryId;
use crate::identity::{Approval, Inception, NewKey};
use crate::invitation::Invitation;
use crate::limits;
use crate::policy::SitePolicy;
use crate::refusal::Refusal;
use crate::role::{Grant, Role};
use crate::segment::Segment;
use crate::succession::{self, SiteHost};

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
        /// A spot on the thing, in its own frame, metres.
        #[n(2)]
        spot: Option<[f64; 3]>,
    },
    /// Says that a note is dealt with, or that it is not after all.
    #[n(6)]
    ResolveNote {
        /// Id of the note's entry.
        #[n(0)]
        note: EntryId,
        /// Whether it is.
        #[n(1)]
        resolved: bool,
    },
    /// Places a new thing.
    #[n(7)]
    CreateThing(#[n(0)] NewThing),
    /// Changes a thing.
    #[n(8)]
    EditThing(#[n(0)] Edit),
    /// Keeps a view of the site; the entry's id names it.
    #[n(9)]
    SaveViewpoint {
        /// What people call it.
        #[n(0)]
        name: String,
        /// What it shows.
        #[n(1)]
        viewpoint: Viewpoint,
    },
    /// Drops a view.
    #[n(10)]
    RemoveViewpoint {
        /// Id of the entry that saved it.
        #[n(0)]
        viewpoint: EntryId,
    },
    /// Tells a device to do something.
    #[n(11)]
    CommandDevice(#[n(0)] Command),
    /// Says what became of a command.
    #[n(12)]
    ReportOutcome(#[n(0)] CommandOutcome),
    /// Says that an alarm has been seen.
    #[n(13)]
    AckAlarm(#[n(0)] AlarmAck),
    /// Gives an admitted peer a role in a part of the plant, or in all of it; replaces the role it had there.
    #[n(14)]
    GrantRole {
        /// Who.
        #[n(0)]
        peer: PeerKey,
        /// What and where.
        #[n(1)]
        grant: Grant,
    },
    /// Takes a peer's role in a part of the plant, or its role in all of it. A peer without any role is out.
    #[n(15)]
    RevokeRole {
        /// Who.
        #[n(0)]
        peer: PeerKey,
        /// Where it was granted.
        #[n(1)]
        scope: Option<ThingId>,
    },
    /// Offers a role to who holds a token.
    #[n(16)]
    Invite(#[n(0)] Invitation),
    /// Comes in with a token; the author is the newcomer.
    #[n(17)]
    RedeemInvitation {
        /// The token's public half.
        #[n(0)]
        token: PeerKey,
        /// The token's signature over site and newcomer.
        #[cbor(n(1), with = "minicbor::bytes")]
        signature: Vec<u8>,
        /// What people call the newcomer.
        #[n(2)]
        name: String,
    },
    /// Promises the author's next key and names its guardians.
    #[n(18)]
    PromiseKey(#[n(0)] Inception),
    /// The author goes on with the promised key, which signs this.
    #[n(19)]
    RotateKey(#[n(0)] NewKey),
    /// The author goes on with a key that its guardians vouch for, which signs this.
    #[n(20)]
    RecoverKey {
        /// The key.
        #[n(0)]
        new: NewKey,
        /// The guardians' words, in the order of their keys.
        #[n(1)]
        approvals: Vec<Approval>,
    },
    /// The key in force of a peer counts no more: it was lost or stolen. Said by itself or by an owner.
    #[n(21)]
    RevokeKey {
        /// Whose.
        #[n(0)]
        peer: PeerKey,
    },
    /// The host commits to the state that all entries before this one fold to.
    #[n(22)]
    CommitState {
        /// [`crate::site::Site::digest`] of that state.
        #[cbor(n(0), with = "minicbor::bytes")]
        digest: [u8; 32],
    },
    /// The historian has closed a segment.
    #[n(23)]
    AddSegment(#[n(0)] Segment),
    /// The historian has deleted segments, as its policy says.
    #[n(24)]
    DropSegments {
        /// Their blobs.
        #[n(0)]
        blobs: Vec<BlobHash>,
    },
    /// An owner says which witnesses and mirrors have to have cosigned what is final; replaces what was said before.
    #[n(25)]
    SetPolicy(#[n(0)] SitePolicy),
    /// An owner says which machines may host the site, in the order in which they succeed; replaces what was said before.
    #[n(26)]
    NameHosts {
        /// At most [`limits::HOSTS`], the present one among them; none at all for a site that nobody succeeds in.
        #[n(0)]
        hosts: Vec<SiteHost>,
    },
    /// The author hosts the site from here on.
    #[n(27)]
    Succeed {
        /// The host it succeeds.
        #[n(0)]
        of: PeerKey,
        /// The epoch that begins: one more than the one before.
        #[n(1)]
        epoch: u64,
    },
}

/// BLAKE3 of a blob, in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct BlobHash(#[cbor(n(0), with = "minicbor::bytes")] pub [u8; 32]);

impl Body {
    /// A note at a thing as a whole.
    pub fn note(thing: ThingId, text: impl Into<String>) -> Body {
        Body::AddNote { thing, text: text.into(), spot: None }
    }

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
            Body::AddNote { text, spot, .. } => {
                if spot.is_some_and(|spot| spot.iter().any(|c| !c.is_finite())) {
                    return content("a note at no place");
                }
                check_text(text, limits::NOTE_BYTES)
            }
            Body::CreateThing(new) => {
                Change::Move(Some(new.place)).check()?;
                check_thing(&new.thing)
            }
            Body::EditThing(edit) => edit.change.check().and(check_bindings(&edit.change)),
            Body::SaveViewpoint { name, viewpoint } => {
                if !viewpoint.is_sound() {
                    return content("a viewpoint that cannot be shown");
                }
                check_name(name)
            }
            Body::CommandDevice(command) => match &command.value {
                gemba_twin::sample::Value::Text(text) => check_text(text, gemba_twin::limits::TEXT_BYTES),
                gemba_twin::sample::Value::Float(f) if !f.is_finite() => content("a command that is no number"),
                _ => Ok(()),
            },
            Body::ReportOutcome(CommandOutcome { outcome: Outcome::Failed(why), .. }) => {
                check_text(why, limits::NOTE_BYTES)
            }
            Body::AckAlarm(ack) if ack.text.len() > limits::NOTE_BYTES => content("too long a text"),
            Body::Invite(invitation) => check_key(&invitation.token),
            Body::RedeemInvitation { name, .. } => check_name(name),
            Body::AddSegment(segment) => check_segment(segment),
            Body::DropSegments { blobs } => check_batch(blobs.len()),
            Body::SetPolicy(policy) if !policy.has_sound_urls() => {
                content("a policy with a URL that is none; it looks like http://host:port/path")
            }
            Body::NameHosts { hosts } => {
                hosts.iter().try_for_each(|host| check_key(&host.key)).and(succession::check_list(hosts))
            }
            _ => Ok(()),
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
    crate::signature::verifying_key(key).map(|_| ())
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

fn check_bindings(change: &Change) -> Result<(), Refusal> {
    let Change::Bind(bindings) = change else { return Ok(()) };
    if bindings.len() > gemba_twin::limits::BINDINGS_PER_THING {
        return content("too many bindings");
    }
    if bindings.iter().any(|b| !b.scale.is_finite() || !b.offset.is_finite()) {
        return content("a binding whose scale or offset is no number");
    }
    Ok(())
}

fn check_segment(segment: &Segment) -> Result<(), Refusal> {
    if segment.samples == 0 || segment.bytes == 0 || segment.from > segment.to {
        return content("a segment without samples, or that ends before it begins");
    }
    let devices = &segment.devices;
    if devices.is_empty() || devices.len() > limits::DEVICES_PER_SEGMENT {
        return content("a segment of no devices or too many");
    }
    if !devices.is_sorted_by(|a, b| a.device < b.device) {
        return content("a segment's devices must be in order, none twice");
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
