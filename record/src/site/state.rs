//! What the fold keeps: the canonical part, whose encoding is the snapshot and whose hash is the digest. No hash map, so
//! that the same state has the same bytes everywhere.

use std::collections::BTreeMap;

use gemba_twin::path::ThingId;
use gemba_twin::peer::{PeerKey, PeerKind};
use gemba_twin::place::Placement;
use gemba_twin::sample::Timestamp;
use gemba_twin::tag::Tag;
use gemba_twin::thing::Thing;
use gemba_twin::viewpoint::Viewpoint;
use minicbor::{Decode, Encode};

use crate::command::{AlarmAckState, CommandState};
use crate::edit::Aspect;
use crate::entry::{EntryId, SiteId};
use crate::identity::Keys;
use crate::invitation::Invitation;
use crate::merkle::Frontier;
use crate::policy::SitePolicy;
use crate::role::{Grant, Role};
use crate::segment::Segment;
use crate::succession::SiteHost;

/// A participant the site has admitted.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Peer {
    /// What kind of participant it is.
    #[n(0)]
    pub kind: PeerKind,
    /// What people call it.
    #[n(1)]
    pub name: String,
    /// What it may do where; no scope twice.
    #[n(2)]
    pub grants: Vec<Grant>,
    /// Its keys.
    #[n(3)]
    pub keys: Keys,
}

impl Peer {
    /// What it may do in the whole site.
    pub fn role(&self) -> Option<Role> {
        self.grants.iter().find(|grant| grant.scope.is_none()).map(|grant| grant.role)
    }

    /// The most it may do anywhere; none for one whose roles have all been revoked, who is out.
    pub fn best_role(&self) -> Option<Role> {
        self.grants.iter().map(|grant| grant.role).max()
    }
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

/// A thing of the plant as it is after all edits.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub struct ThingState {
    /// Its identity, whatever its path becomes.
    #[n(0)]
    pub id: ThingId,
    /// What it is and where in the plant tree.
    #[n(1)]
    pub thing: Thing,
    /// Number of the model that draws it, within [`super::Site::models`].
    #[n(2)]
    pub model: Option<u32>,
    /// The thing it is drawn like, if it is a copy.
    #[n(3)]
    pub like: Option<ThingId>,
    /// Where a person has put it; none for where its model draws it.
    #[n(4)]
    pub place: Option<Placement>,
    /// Whether it was taken out of the plant. So are all its parts then, whatever they say themselves.
    #[n(5)]
    pub retired: bool,
}

/// The newest edit of one aspect of one thing.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct LastEdit {
    /// Its entry.
    #[n(0)]
    pub index: u64,
    /// Who made it.
    #[n(1)]
    pub author: PeerKey,
}

/// A note left at a thing.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
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
    /// Id of its entry.
    #[n(4)]
    pub id: EntryId,
    /// A spot on the thing, in its own frame, metres.
    #[n(5)]
    pub spot: Option<[f64; 3]>,
    /// Whether it is dealt with.
    #[n(6)]
    pub resolved: bool,
}

/// A kept view.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub struct ViewpointState {
    /// What people call it.
    #[n(0)]
    pub name: String,
    /// What it shows.
    #[n(1)]
    pub viewpoint: Viewpoint,
    /// Who saved it.
    #[n(2)]
    pub author: PeerKey,
}

/// An invitation and whether it has been used.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct InvitationState {
    /// What was offered.
    #[n(0)]
    pub invitation: Invitation,
    /// By whom.
    #[n(1)]
    pub author: PeerKey,
    /// Who has used it.
    #[n(2)]
    pub used_by: Option<PeerKey>,
}

/// The newest state the host has committed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Committed {
    /// Entries it folds.
    #[n(0)]
    pub entries: u64,
    /// Its digest, which is the name of its snapshot.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub digest: [u8; 32],
}

/// The canonical state.
#[derive(Debug, Clone, Encode, Decode)]
pub(super) struct State {
    #[n(0)]
    pub(super) id: SiteId,
    #[n(1)]
    pub(super) name: String,
    #[n(2)]
    pub(super) host: PeerKey,
    /// The right edge of the Merkle tree over the entries' bytes.
    #[n(3)]
    pub(super) tree: Frontier,
    /// The newest time an entry has carried.
    #[n(4)]
    pub(super) time: Timestamp,
    #[n(5)]
    pub(super) peers: BTreeMap<PeerKey, Peer>,
    #[n(6)]
    pub(super) invitations: BTreeMap<PeerKey, InvitationState>,
    #[n(7)]
    pub(super) models: Vec<Model>,
    #[n(8)]
    pub(super) things: Vec<ThingState>,
    #[n(9)]
    pub(super) edits: BTreeMap<(ThingId, Aspect), LastEdit>,
    #[n(10)]
    pub(super) tags: Vec<Tag>,
    /// Who declared it, for each of `tags`.
    #[n(11)]
    pub(super) tag_devices: Vec<PeerKey>,
    #[n(12)]
    pub(super) notes: Vec<Note>,
    #[n(13)]
    pub(super) viewpoints: BTreeMap<EntryId, ViewpointState>,
    #[n(14)]
    pub(super) commands: BTreeMap<EntryId, CommandState>,
    #[n(15)]
    pub(super) acks: BTreeMap<ThingId, AlarmAckState>,
    #[n(16)]
    pub(super) segments: Vec<Segment>,
    #[n(17)]
    pub(super) committed: Option<Committed>,
    #[n(18)]
    pub(super) policy: Option<SitePolicy>,
    /// Machines that may host it, in the order in which they succeed; none while the owners have not said.
    #[n(19)]
    pub(super) hosts: Option<Vec<SiteHost>>,
    /// How many successions there have been; none before the first.
    #[n(20)]
    pub(super) epoch: Option<u64>,
}
