//! Who is in: roles and where they hold, invitations, keys.

use gemba_twin::path::ThingPath;
use gemba_twin::peer::{PeerKey, PeerKind};
use gemba_twin::sample::Timestamp;

use super::plant::{PlantIndex, covers};
use super::state::{InvitationState, Peer, State};
use crate::identity::Keys;
use crate::invitation::{Invitation, redemption_message};
use crate::limits;
use crate::refusal::Refusal;
use crate::role::{Grant, Role};
use crate::signature;

/// Where in the plant something is done.
pub(super) enum Place {
    /// In no place in particular: a role anywhere will do.
    Any,
    /// In the whole site.
    Site,
    /// At these paths, in all of them.
    Paths(Vec<ThingPath>),
}

/// Whether the peer has this role in that place.
pub(super) fn check_role(
    state: &State,
    index: &PlantIndex,
    peer: &Peer,
    needs: Role,
    place: Place,
) -> Result<(), Refusal> {
    let Some(best) = peer.best_role() else { return Err(Refusal::NotAdmitted) };
    if best < needs {
        return Err(Refusal::Role { has: best, needs });
    }
    if peer.role().is_some_and(|role| role >= needs) {
        return Ok(());
    }
    let scopes: Vec<&ThingPath> = peer
        .grants
        .iter()
        .filter(|grant| grant.role >= needs)
        .filter_map(|grant| Some(&state.things[index.find(grant.scope?)?].thing.path))
        .collect();
    let within = |path: &ThingPath| scopes.iter().any(|scope| covers(scope, path.as_str()));
    let reaches = match place {
        Place::Any => true,
        Place::Site => false,
        Place::Paths(paths) => paths.iter().all(within),
    };
    if reaches { Ok(()) } else { Err(Refusal::Scope { needs }) }
}

/// The place that a grant's scope is.
pub(super) fn place_of_scope(state: &State, index: &PlantIndex, grant: &Grant) -> Result<Place, Refusal> {
    let Some(scope) = grant.scope else { return Ok(Place::Site) };
    let at = index.find(scope).ok_or_else(super::plant::unknown)?;
    Ok(Place::Paths(vec![state.things[at].thing.path.clone()]))
}

/// Whether the site still has an owner when this peer is one no more.
pub(super) fn check_owner_left(state: &State, without: &PeerKey) -> Result<(), Refusal> {
    let is_owner = |peer: &Peer| peer.role() == Some(Role::Owner);
    if !state.peers.get(without).is_some_and(is_owner) {
        return Ok(());
    }
    let able = |peer: &Peer| is_owner(peer) && (!peer.keys.is_revoked() || peer.keys.can_return());
    let another = state.peers.iter().any(|(key, peer)| key != without && able(peer));
    if another { Ok(()) } else { Err(Refusal::LastOwner) }
}

pub(super) fn check_admit(state: &State, peer: &PeerKey, role: Role) -> Result<(), Refusal> {
    if role != Role::Owner {
        check_owner_left(state, peer)?;
    }
    super::room("peers", state.peers.len() + usize::from(!state.peers.contains_key(peer)), limits::PEERS)
}

pub(super) fn admit(state: &mut State, key: PeerKey, kind: PeerKind, name: String, grant: Grant) {
    let begin = || Peer { kind, name: String::new(), grants: Vec::new(), keys: Keys::begin(key) };
    let peer = state.peers.entry(key).or_insert_with(begin);
    (peer.kind, peer.name) = (kind, name);
    self::grant(peer, grant);
}

pub(super) fn check_grant(state: &State, peer: &PeerKey, grant: &Grant) -> Result<(), Refusal> {
    let held = state.peers.get(peer).ok_or_else(|| Refusal::Unknown("the peer".to_owned()))?;
    if grant.scope.is_none() && grant.role != Role::Owner {
        check_owner_left(state, peer)?;
    }
    let added = usize::from(!held.grants.iter().any(|g| g.scope == grant.scope));
    super::room("roles of one peer", held.grants.len() + added, limits::GRANTS_PER_PEER)
}

pub(super) fn grant(peer: &mut Peer, grant: Grant) {
    peer.grants.retain(|held| held.scope != grant.scope);
    peer.grants.push(grant);
}

pub(super) fn check_revoke(
    state: &State,
    peer: &PeerKey,
    scope: Option<gemba_twin::path::ThingId>,
) -> Result<(), Refusal> {
    let held = state.peers.get(peer).ok_or_else(|| Refusal::Unknown("the peer".to_owned()))?;
    if !held.grants.iter().any(|grant| grant.scope == scope) {
        return Err(Refusal::Unknown("this role of the peer".to_owned()));
    }
    if scope.is_none() { check_owner_left(state, peer) } else { Ok(()) }
}

pub(super) fn check_invite(state: &State, invitation: &Invitation) -> Result<(), Refusal> {
    if state.invitations.contains_key(&invitation.token) {
        return Err(Refusal::Invitation("its token stands in the record already"));
    }
    let open = |i: &&InvitationState| i.used_by.is_none() && i.invitation.expires >= state.time;
    if state.invitations.len() >= limits::INVITATIONS && state.invitations.values().all(|i| open(&i)) {
        return Err(Refusal::Full("invitations"));
    }
    Ok(())
}

pub(super) fn invite(state: &mut State, author: PeerKey, invitation: Invitation) {
    if state.invitations.len() >= limits::INVITATIONS {
        let time = state.time;
        state.invitations.retain(|_, i| i.used_by.is_none() && i.invitation.expires >= time);
    }
    state.invitations.insert(invitation.token, InvitationState { invitation, author, used_by: None });
}

/// `now` is the newest time the log or the newcomer knows.
pub(super) fn check_redeem(
    state: &State,
    newcomer: &PeerKey,
    token: &PeerKey,
    proof: &[u8],
    now: Timestamp,
) -> Result<(), Refusal> {
    let held = state.invitations.get(token).ok_or(Refusal::Invitation("it is not in this site's record"))?;
    if held.used_by.is_some() {
        return Err(Refusal::Invitation("it has been used"));
    }
    if now > held.invitation.expires {
        return Err(Refusal::Invitation("it has ended"));
    }
    if state.peers.get(newcomer).is_some_and(|peer| peer.best_role().is_some()) {
        return Err(Refusal::Invitation("you are in already"));
    }
    signature::verify(token, &redemption_message(state.id, newcomer), proof)
        .map_err(|_| Refusal::Invitation("it was not made for you"))?;
    super::room("peers", state.peers.len() + 1, limits::PEERS)
}

pub(super) fn redeem(state: &mut State, newcomer: PeerKey, token: &PeerKey, name: String) {
    let held = state.invitations.get_mut(token).expect("check_redeem found the invitation");
    held.used_by = Some(newcomer);
    let Invitation { role, scope, kind, .. } = held.invitation;
    admit(state, newcomer, kind, name, Grant { role, scope });
}

/// Whether the key in force of a peer may be revoked without leaving the site to nobody.
pub(super) fn check_revoke_key(state: &State, peer: &PeerKey) -> Result<(), Refusal> {
    let held = state.peers.get(peer).ok_or_else(|| Refusal::Unknown("the peer".to_owned()))?;
    if held.keys.is_revoked() {
        return Err(Refusal::KeyNotInForce);
    }
    if held.keys.can_return() { Ok(()) } else { check_owner_left(state, peer) }
}
