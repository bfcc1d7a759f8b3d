//! What the site holds, for whoever reads it.

use gemba_twin::path::{TagId, TagPath, ThingId, ThingPath};
use gemba_twin::peer::PeerKey;
use gemba_twin::sample::Timestamp;
use gemba_twin::tag::Tag;

use super::{Committed, InvitationState, LastEdit, Model, Note, Peer, Site, ThingState, ViewpointState, plant};
use crate::body::Body;
use crate::command::{AlarmAckState, CommandState};
use crate::edit::Aspect;
use crate::entry::{Entry, EntryId, KeyNumber, SiteId, VERSION};
use crate::merkle::Frontier;
use crate::policy::SitePolicy;
use crate::refusal::Refusal;
use crate::segment::Segment;
use crate::succession::SiteHost;

impl Site {
    /// Its identity.
    pub fn id(&self) -> SiteId {
        self.state.id
    }

    /// What people call it.
    pub fn name(&self) -> &str {
        &self.state.name
    }

    /// The identity of the host that sequences it now: the first key that it had.
    pub fn host(&self) -> PeerKey {
        self.state.host
    }

    /// The key of that host that is in force: it signs checkpoints, and whoever comes in expects it. None while it is
    /// revoked and no other has come.
    pub fn host_key(&self) -> Option<PeerKey> {
        self.key_of(&self.host())
    }

    /// All keys that this host ever had, the newest first.
    pub fn host_keys(&self) -> impl Iterator<Item = PeerKey> {
        self.peer(&self.host()).into_iter().flat_map(|host| host.keys.all().iter().rev().copied())
    }

    /// Whether this is the key of the host, or was before it was replaced.
    pub fn is_or_was_host_key(&self, key: &PeerKey) -> bool {
        self.peer(&self.host()).is_some_and(|host| host.keys.had(key))
    }

    /// Machines that may host it, in the order in which they succeed; none while the owners have not said.
    pub fn hosts(&self) -> &[SiteHost] {
        self.state.hosts.as_deref().unwrap_or_default()
    }

    /// The one that takes over when the host has died: the first that is not the host.
    pub fn heir(&self) -> Option<&SiteHost> {
        self.hosts().iter().find(|named| named.key != self.host())
    }

    /// The named hosts by the keys by which they are reached, the one that hosts now first. One whose key is revoked is
    /// reached by nobody.
    pub fn reachable_hosts(&self) -> Vec<(PeerKey, &SiteHost)> {
        let mut hosts: Vec<_> =
            self.hosts().iter().filter_map(|named| Some((self.key_of(&named.key)?, named))).collect();
        hosts.sort_by_key(|(_, named)| named.key != self.host());
        hosts
    }

    /// How often the site has changed its host.
    pub fn epoch(&self) -> u64 {
        self.state.epoch.unwrap_or(0)
    }

    /// Entries folded so far.
    pub fn entries(&self) -> u64 {
        self.state.tree.size()
    }

    /// The right edge of the Merkle tree over them.
    pub fn tree(&self) -> &Frontier {
        &self.state.tree
    }

    /// The newest time that any entry so far has carried. It never goes back.
    pub fn time(&self) -> Timestamp {
        self.state.time
    }

    /// One peer that was admitted, or invited and came.
    pub fn peer(&self, key: &PeerKey) -> Option<&Peer> {
        self.state.peers.get(key)
    }

    /// Whether this peer may come in: it has a role and a key in force.
    pub fn may_enter(&self, key: &PeerKey) -> bool {
        self.peer(key).is_some_and(|peer| peer.best_role().is_some() && !peer.keys.is_revoked())
    }

    /// The identity whose key in force this is: who proves to hold it is that peer.
    pub fn holder_of(&self, key: &PeerKey) -> Option<PeerKey> {
        let holds = |peer: &Peer| peer.keys.in_force(peer.keys.number()) == Some(*key);
        match self.state.peers.get(key) {
            Some(peer) if holds(peer) => Some(*key),
            _ => self.state.peers.iter().find(|(_, peer)| holds(peer)).map(|(identity, _)| *identity),
        }
    }

    /// The key in force of this identity; none while it is revoked.
    pub fn key_of(&self, identity: &PeerKey) -> Option<PeerKey> {
        let keys = &self.peer(identity)?.keys;
        keys.in_force(keys.number())
    }

    /// The identity whose key this is, or was: the host's first.
    pub fn identity_of(&self, key: &PeerKey) -> Option<PeerKey> {
        if self.is_or_was_host_key(key) {
            return Some(self.host());
        }
        self.holder_of(key).or_else(|| self.peers().find(|(_, peer)| peer.keys.had(key)).map(|(identity, _)| *identity))
    }

    /// Whether this peer's roles allow it to say this, here. Whether the site can take it is another question.
    pub fn may_say(&self, author: &PeerKey, body: &Body) -> Result<(), Refusal> {
        let (site, id, body) = (self.id(), EntryId([0; 16]), body.clone());
        let (version, author, key) = (VERSION, *author, KeyNumber::default());
        self.check_permission(&Entry { version, site, author, id, body, key, at: None, seen: None })
    }

    /// All peers, by key.
    pub fn peers(&self) -> impl Iterator<Item = (&PeerKey, &Peer)> {
        self.state.peers.iter()
    }

    /// All invitations that are remembered, by their tokens.
    pub fn invitations(&self) -> impl Iterator<Item = &InvitationState> {
        self.state.invitations.values()
    }

    /// The invitation with this token, while it is remembered.
    pub fn invitation(&self, token: &PeerKey) -> Option<&InvitationState> {
        self.state.invitations.get(token)
    }

    /// All models, the newest last.
    pub fn models(&self) -> &[Model] {
        &self.state.models
    }

    /// All things, retired ones too, in the order they were first added.
    pub fn things(&self) -> &[ThingState] {
        &self.state.things
    }

    /// One thing.
    pub fn thing(&self, id: ThingId) -> Option<&ThingState> {
        self.plant.find(id).map(|at| &self.state.things[at])
    }

    /// The thing at this path now.
    pub fn thing_at(&self, path: &ThingPath) -> Option<&ThingState> {
        self.plant.at_path(path.as_str()).map(|at| &self.state.things[at])
    }

    /// The thing a tag belongs to, wherever it is now: the nearest one at or above the tag's path as it was first drawn.
    pub fn thing_of_tag(&self, tag: &TagPath) -> Option<&ThingState> {
        plant::thing_of_tag(&self.state, &self.plant, tag).map(|at| &self.state.things[at])
    }

    /// Whether the thing, or one it is part of, was taken out of the plant.
    pub fn is_retired(&self, id: ThingId) -> bool {
        plant::is_retired(&self.state, &self.plant, id)
    }

    /// The model that draws a thing.
    pub fn model_of(&self, id: ThingId) -> Option<&Model> {
        self.state.models.get(self.thing(id)?.model? as usize)
    }

    /// The newest edit of one aspect of a thing.
    pub fn last_edit(&self, thing: ThingId, aspect: Aspect) -> Option<&LastEdit> {
        self.state.edits.get(&(thing, aspect))
    }

    /// All tags; the place in the slice is the [`TagId`].
    pub fn tags(&self) -> &[Tag] {
        &self.state.tags
    }

    /// One tag.
    pub fn tag(&self, id: TagId) -> Option<&Tag> {
        self.state.tags.get(id.0 as usize)
    }

    /// The number of the tag at this path.
    pub fn tag_at(&self, path: &TagPath) -> Option<TagId> {
        self.tags_by_path.get(path).copied()
    }

    /// The device that declared a tag, and alone may say more of it.
    pub fn tag_device(&self, id: TagId) -> Option<PeerKey> {
        self.state.tag_devices.get(id.0 as usize).copied()
    }

    /// All notes, the newest last.
    pub fn notes(&self) -> &[Note] {
        &self.state.notes
    }

    /// All views that are kept, by the ids of the entries that saved them.
    pub fn viewpoints(&self) -> impl Iterator<Item = (&EntryId, &ViewpointState)> {
        self.state.viewpoints.iter()
    }

    /// Commands that are under way, and the newest of those that are not, by the ids of their entries.
    pub fn commands(&self) -> impl Iterator<Item = (&EntryId, &CommandState)> {
        self.state.commands.iter()
    }

    /// One command, while it is remembered.
    pub fn command(&self, id: EntryId) -> Option<&CommandState> {
        self.state.commands.get(&id)
    }

    /// The newest acknowledged alarm of a thing.
    pub fn alarm_ack(&self, thing: ThingId) -> Option<&AlarmAckState> {
        self.state.acks.get(&thing)
    }

    /// The historian's segments, the newest last.
    pub fn segments(&self) -> &[Segment] {
        &self.state.segments
    }

    /// What makes an entry final; none while the owners have not said.
    pub fn policy(&self) -> Option<&SitePolicy> {
        self.state.policy.as_ref()
    }

    /// The newest state the host has committed to.
    pub fn committed(&self) -> Option<Committed> {
        self.state.committed
    }

    /// Where the entry with this id stands.
    pub fn index_of(&self, id: EntryId) -> Option<u64> {
        self.placed.find(id).map(|(index, _)| index)
    }
}
