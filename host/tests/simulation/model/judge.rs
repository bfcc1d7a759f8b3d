//! Whether an entry may stand next, and what it changes.

use std::collections::BTreeSet;

use ed25519_dalek::{Signature, VerifyingKey};
use gemba_record::body::Body;
use gemba_record::entry::{DOMAIN, Entry, UnverifiedEntry};
use gemba_record::identity::{Inception, KeyPromise, NewKey, recovery_message};
use gemba_record::invitation::redemption_message;
use gemba_record::policy::Member;
use gemba_record::role::Role;
use gemba_record::succession::SiteHost;
use gemba_twin::path::ThingId;
use gemba_twin::peer::{PeerKey, PeerKind};

use super::plant::names;
use super::{Model, Peer, TagModel, Thing};

type Judgement<T = ()> = Result<T, String>;

/// Where in the plant an entry speaks.
enum Where {
    Anywhere,
    Site,
    At(Vec<Vec<String>>),
}

impl Model {
    /// None if it may stand next; where it stands, if it stands already.
    pub(crate) fn judge(&self, bytes: &[u8]) -> Judgement<Option<usize>> {
        let read = UnverifiedEntry::read(bytes.to_vec()).map_err(|why| why.to_string())?;
        let entry = read.entry();
        if entry.site != self.site {
            return Err("another site".to_owned());
        }
        if let Some(at) = self.places.get(&entry.id) {
            return if self.log[*at] == bytes { Ok(Some(*at)) } else { Err("its id is another's".to_owned()) };
        }
        let signer = self.signer(entry)?;
        refuse_unless(is_signed(bytes, &signer), "not signed by its author's key in force")?;
        refuse_unless(entry.seen.is_none_or(|seen| seen.size <= self.len()), "it has seen the future")?;
        self.check_role(entry)?;
        self.check_sense(entry)?;
        Ok(None)
    }

    fn signer(&self, entry: &Entry) -> Judgement<PeerKey> {
        let number = entry.key.0 as usize;
        match (&entry.body, self.peers.get(&entry.author)) {
            (Body::RedeemInvitation { .. }, None) if number == 0 => Ok(entry.author),
            (_, None) => Err("unknown".to_owned()),
            (Body::RotateKey(new) | Body::RecoverKey { new, .. }, Some(peer)) if number == peer.keys.len() => {
                Ok(new.key)
            }
            (Body::RotateKey(_) | Body::RecoverKey { .. }, _) => Err("a new key signs for itself".to_owned()),
            (_, Some(peer)) if number + 1 == peer.keys.len() => peer.key_in_force().ok_or("revoked".to_owned()),
            _ => Err("another key is in force".to_owned()),
        }
    }

    fn check_role(&self, entry: &Entry) -> Judgement {
        if matches!(entry.body, Body::RedeemInvitation { .. }) {
            return Ok(());
        }
        let peer = &self.peers[&entry.author];
        let (needs, place) = self.needs(entry)?;
        let is_enough = |scope: &Option<ThingId>| peer.roles.get(scope).is_some_and(|role| *role >= needs);
        if is_enough(&None) {
            return Ok(());
        }
        let within = |path: &Vec<String>| {
            peer.roles.keys().flatten().any(|id| is_enough(&Some(*id)) && path.starts_with(&self.things[id].path))
        };
        let allowed = match place {
            Where::Anywhere => peer.roles.keys().any(is_enough),
            Where::Site => false,
            Where::At(paths) => paths.iter().all(within),
        };
        refuse_unless(allowed, "its author has no such role there")
    }

    fn needs(&self, entry: &Entry) -> Judgement<(Role, Where)> {
        let peer = &self.peers[&entry.author];
        let at = |id: &ThingId| Ok::<_, String>(self.things.get(id).ok_or("no such thing")?.path.clone());
        let scope = |scope: &Option<ThingId>| match scope {
            None => Ok::<_, String>(Where::Site),
            Some(id) => Ok(Where::At(vec![at(id)?])),
        };
        let is_device = peer.kind == PeerKind::Device;
        Ok(match &entry.body {
            Body::Found { .. } => return Err("founded already".to_owned()),
            Body::RedeemInvitation { .. } => return Err("a newcomer has no role".to_owned()),
            Body::PromiseKey(_) | Body::RotateKey(_) | Body::RecoverKey { .. } => (Role::Viewer, Where::Anywhere),
            Body::RevokeKey { peer } if *peer == entry.author => (Role::Viewer, Where::Anywhere),
            Body::RevokeKey { .. } | Body::Admit { .. } | Body::SetPolicy(_) | Body::NameHosts { .. } => {
                (Role::Owner, Where::Site)
            }
            Body::Succeed { .. } => (Role::Viewer, Where::Anywhere),
            Body::GrantRole { grant, .. } => (Role::Owner, scope(&grant.scope)?),
            Body::RevokeRole { scope: of, .. } => (Role::Owner, scope(of)?),
            Body::Invite(invitation) => (Role::Owner, scope(&invitation.scope)?),
            Body::SaveViewpoint { .. } => (Role::Commenter, Where::Anywhere),
            Body::RemoveViewpoint { viewpoint } => match self.viewpoints.get(viewpoint) {
                Some(author) if *author == entry.author => (Role::Commenter, Where::Anywhere),
                _ => (Role::Editor, Where::Site),
            },
            Body::ImportModel { .. } => (Role::Editor, Where::Anywhere),
            Body::AddThings { things, .. } => {
                (Role::Editor, Where::At(things.iter().map(|t| names(t.path.as_str())).collect()))
            }
            Body::DeclareTags { tags } if is_device => {
                (Role::Editor, Where::At(tags.iter().map(|tag| self.path_of_tag(&tag.path)).collect()))
            }
            Body::ReportOutcome(_) if is_device => (Role::Editor, Where::Anywhere),
            Body::AddSegment(_) | Body::DropSegments { .. } if is_device || entry.author == self.host => {
                (Role::Editor, Where::Anywhere)
            }
            Body::DeclareTags { .. } | Body::ReportOutcome(_) | Body::AddSegment(_) | Body::DropSegments { .. } => {
                return Err("no device".to_owned());
            }
            Body::CommitState { .. } if entry.author == self.host => (Role::Viewer, Where::Anywhere),
            Body::CommitState { .. } => return Err("not the host".to_owned()),
            Body::AddNote { thing, .. } => (Role::Commenter, Where::At(vec![at(thing)?])),
            Body::ResolveNote { note, .. } => {
                let (thing, _) = self.notes.get(note).ok_or("no such note")?;
                (Role::Commenter, Where::At(vec![at(thing)?]))
            }
            Body::CommandDevice(command) => (Role::Operator, Where::At(vec![self.path_of_tag(&command.tag)])),
            Body::AckAlarm(ack) => (Role::Operator, Where::At(vec![at(&ack.thing)?])),
            Body::CreateThing(new) => (Role::Editor, Where::At(vec![names(new.thing.path.as_str())])),
            Body::EditThing(edit) => (Role::Editor, Where::At(vec![at(&edit.thing)?, self.path_after(edit)?])),
        })
    }

    fn check_sense(&self, entry: &Entry) -> Judgement {
        let author = &entry.author;
        match &entry.body {
            Body::Admit { peer, role, .. } => {
                refuse_unless(is_strong(peer), "a weak key")?;
                refuse_unless(*role == Role::Owner || self.has_other_owner(peer), "the last owner")
            }
            Body::GrantRole { peer, grant } => {
                refuse_unless(self.peers.contains_key(peer), "no such peer")?;
                let stays = grant.scope.is_some() || grant.role == Role::Owner || self.has_other_owner(peer);
                refuse_unless(stays, "the last owner")
            }
            Body::RevokeRole { peer, scope } => {
                let held = self.peers.get(peer).is_some_and(|peer| peer.roles.contains_key(scope));
                refuse_unless(held, "no such role")?;
                refuse_unless(scope.is_some() || self.has_other_owner(peer), "the last owner")
            }
            Body::Invite(invitation) => {
                refuse_unless(!self.invitations.contains_key(&invitation.token), "a used token")
            }
            Body::RedeemInvitation { token, signature, .. } => {
                let (invitation, used) = self.invitations.get(token).ok_or("no such invitation")?;
                let now = self.time.max(entry.at.map_or(0, |at| at.0));
                refuse_unless(!used && now <= invitation.expires.0, "used or ended")?;
                refuse_unless(self.peers.get(author).is_none_or(|peer| peer.roles.is_empty()), "in already")?;
                refuse_unless(verifies(token, &redemption_message(self.site, author), signature), "not its token")
            }
            Body::PromiseKey(_) | Body::RotateKey(_) | Body::RecoverKey { .. } | Body::RevokeKey { .. } => {
                self.check_key(entry)
            }
            Body::AddThings { model, .. } => refuse_unless(self.models.contains(model), "no such model"),
            Body::DeclareTags { tags } => {
                let others = |tag: &gemba_twin::tag::Tag| self.tags.get(&tag.path).is_some_and(|t| t.device != *author);
                refuse_unless(!tags.iter().any(others), "another's tag")
            }
            Body::AddNote { text, .. } => refuse_unless(!text.is_empty(), "no text"),
            Body::CreateThing(new) => {
                let path = names(new.thing.path.as_str());
                let taken = self.things.contains_key(&new.id) || self.thing_at(&path).is_some();
                refuse_unless(!taken && new.like.is_none_or(|like| self.things.contains_key(&like)), "taken")
            }
            Body::EditThing(edit) => refuse_unless(edit.based_on <= self.len(), "based on the future"),
            Body::RemoveViewpoint { viewpoint } => {
                refuse_unless(self.viewpoints.contains_key(viewpoint), "no such viewpoint")
            }
            Body::CommandDevice(command) => {
                let tag = self.tags.get(&command.tag).ok_or("no such tag")?;
                refuse_unless(tag.writable && tag.kind == command.value.kind(), "cannot be set")
            }
            Body::ReportOutcome(report) => {
                let (tag, outcome) = self.commands.get(&report.command).ok_or("no such command")?;
                refuse_unless(outcome.is_none() && self.tags[tag].device == *author, "another's command, or settled")
            }
            Body::AckAlarm(ack) => {
                refuse_unless(self.acks.get(&ack.thing).is_none_or(|at| *at <= ack.raised.0), "an older alarm")
            }
            Body::SetPolicy(policy) => {
                let distinct = |members: &[Member]| members.iter().map(|m| m.key).collect::<BTreeSet<_>>();
                let (witnesses, mirrors) = (distinct(&policy.witnesses), distinct(&policy.mirrors));
                let enough = policy.witnesses_needed as usize <= witnesses.len()
                    && policy.mirrors_needed as usize <= mirrors.len();
                refuse_unless(enough && witnesses.is_disjoint(&mirrors), "a policy that cannot be met")
            }
            Body::NameHosts { hosts } => {
                // The only host there is here.
                let only = |named: &[SiteHost]| named.iter().all(|named| named.key == self.host) && named.len() < 2;
                refuse_unless(only(hosts), "no host of this site")
            }
            Body::Succeed { .. } => Err("nobody else is a host".to_owned()),
            Body::AddSegment(segment) => refuse_unless(!self.segments.contains(&segment.blob), "here already"),
            _ => Ok(()),
        }
    }

    fn check_key(&self, entry: &Entry) -> Judgement {
        let peer = &self.peers[&entry.author];
        let is_fresh = |new: &NewKey| !peer.keys.contains(&new.key) && is_strong(&new.key);
        match &entry.body {
            Body::PromiseKey(Inception { next, guardians }) => {
                refuse_unless(peer.next.is_none() || *next == peer.next, "another key is promised")?;
                let Some(guardians) = guardians else { return Ok(()) };
                let distinct = guardians.members.windows(2).all(|two| two[0] < two[1]);
                let needed = guardians.needed as usize;
                let sound = distinct && needed > 0 && needed <= guardians.members.len();
                refuse_unless(sound && !guardians.members.contains(&entry.author), "no guardians")
            }
            Body::RotateKey(new) => {
                refuse_unless(is_fresh(new) && peer.next == Some(KeyPromise::of(&new.key)), "not the promised key")
            }
            Body::RecoverKey { new, approvals } => {
                let guardians = peer.guardians.as_ref().ok_or("no guardians")?;
                let message = recovery_message(self.site, &entry.author, entry.key, new);
                let counts = |approval: &gemba_record::identity::Approval| {
                    let key = self.peers.get(&approval.guardian).and_then(Peer::key_in_force);
                    guardians.members.contains(&approval.guardian)
                        && key.is_some_and(|key| verifies(&key, &message, &approval.signature))
                };
                let distinct = approvals.windows(2).all(|two| two[0].guardian < two[1].guardian);
                let enough = approvals.len() >= guardians.needed as usize;
                refuse_unless(is_fresh(new) && distinct && enough && approvals.iter().all(counts), "too few agree")
            }
            Body::RevokeKey { peer } => {
                let held = self.peers.get(peer).ok_or("no such peer")?;
                let returns = held.next.is_some() || held.guardians.is_some();
                refuse_unless(!held.revoked && (returns || self.has_other_owner(peer)), "revoked, or the last owner")
            }
            _ => Ok(()),
        }
    }

    /// Whether there is an owner still when this peer is none; true for who is none.
    fn has_other_owner(&self, without: &PeerKey) -> bool {
        let able = |peer: &Peer| peer.is_owner() && (!peer.revoked || peer.next.is_some() || peer.guardians.is_some());
        !self.peers.get(without).is_some_and(Peer::is_owner)
            || self.peers.iter().any(|(key, peer)| key != without && able(peer))
    }

    pub(super) fn fold(&mut self, bytes: &[u8]) {
        let index = self.len();
        let entry = UnverifiedEntry::read(bytes.to_vec()).expect("judged before").entry().clone();
        self.log.push(bytes.to_vec());
        self.leaves.push(super::tree::leaf(bytes));
        self.places.insert(entry.id, index as usize);
        self.time = self.time.max(entry.at.map_or(0, |at| at.0));
        self.kinds[kind(&entry.body)] += 1;
        let author = entry.author;
        match entry.body {
            Body::CreateThing(new) => {
                let thing = Thing { place: Some(new.place), placed: true, ..drawn(&new.thing) };
                self.things.insert(new.id, thing);
            }
            Body::AddThings { things, .. } => {
                things.iter().for_each(|thing| drop(self.things.insert(thing.path.id(), drawn(thing))));
            }
            Body::EditThing(edit) => self.edit(index, author, &edit),
            Body::ImportModel { blob, .. } if !self.models.contains(&blob) => self.models.push(blob),
            Body::AddNote { thing, .. } => drop(self.notes.insert(entry.id, (thing, false))),
            Body::ResolveNote { note, resolved } => self.notes.get_mut(&note).expect("judged before").1 = resolved,
            Body::SaveViewpoint { .. } => drop(self.viewpoints.insert(entry.id, author)),
            Body::RemoveViewpoint { viewpoint } => drop(self.viewpoints.remove(&viewpoint)),
            Body::CommandDevice(command) => drop(self.commands.insert(entry.id, (command.tag, None))),
            Body::ReportOutcome(report) => {
                self.commands.get_mut(&report.command).expect("judged before").1 = Some(report.outcome);
            }
            Body::AckAlarm(ack) => drop(self.acks.insert(ack.thing, ack.raised.0)),
            Body::DeclareTags { tags } => {
                let model =
                    |tag: &gemba_twin::tag::Tag| TagModel { device: author, kind: tag.kind, writable: tag.writable };
                self.tags.extend(tags.iter().map(|tag| (tag.path.clone(), model(tag))));
            }
            Body::AddSegment(segment) => self.segments.push(segment.blob),
            Body::SetPolicy(policy) => self.policy = Some(policy),
            Body::DropSegments { blobs } => self.segments.retain(|s| !blobs.iter().any(|blob| blob.0 == *s)),
            body => self.fold_people(author, body),
        }
    }

    fn fold_people(&mut self, author: PeerKey, body: Body) {
        let known = "judged before";
        match body {
            Body::Admit { peer, kind, role, .. } => self.admit(peer, kind, None, role),
            Body::GrantRole { peer, grant } => {
                self.peers.get_mut(&peer).expect(known).roles.insert(grant.scope, grant.role);
            }
            Body::RevokeRole { peer, scope } => drop(self.peers.get_mut(&peer).expect(known).roles.remove(&scope)),
            Body::Invite(invitation) => drop(self.invitations.insert(invitation.token, (invitation, false))),
            Body::RedeemInvitation { token, .. } => {
                let (invitation, used) = self.invitations.get_mut(&token).expect(known);
                *used = true;
                let (kind, scope, role) = (invitation.kind, invitation.scope, invitation.role);
                self.admit(author, kind, scope, role);
            }
            Body::PromiseKey(Inception { next, guardians }) => {
                let peer = self.peers.get_mut(&author).expect(known);
                (peer.next, peer.guardians) = (next, guardians);
            }
            Body::RotateKey(new) | Body::RecoverKey { new, .. } => {
                let peer = self.peers.get_mut(&author).expect(known);
                peer.keys.push(new.key);
                (peer.next, peer.revoked) = (new.next, false);
            }
            Body::RevokeKey { peer } => self.peers.get_mut(&peer).expect(known).revoked = true,
            _ => {}
        }
    }

    fn admit(&mut self, key: PeerKey, kind: PeerKind, scope: Option<ThingId>, role: Role) {
        let roles = std::collections::BTreeMap::new();
        let fresh = Peer { kind, roles, keys: vec![key], revoked: false, next: None, guardians: None };
        let peer = self.peers.entry(key).or_insert(fresh);
        peer.kind = kind;
        peer.roles.insert(scope, role);
    }
}

fn refuse_unless(holds: bool, why: &str) -> Judgement {
    if holds { Ok(()) } else { Err(why.to_owned()) }
}

fn drawn(thing: &gemba_twin::thing::Thing) -> Thing {
    let kind = (thing.level, thing.class);
    let path = names(thing.path.as_str());
    Thing { path, place: None, retired: false, kind, placed: false, edits: std::collections::BTreeMap::new() }
}

fn is_strong(key: &PeerKey) -> bool {
    VerifyingKey::from_bytes(&key.0).is_ok_and(|key| !key.is_weak())
}

fn verifies(key: &PeerKey, message: &[u8], signature: &[u8]) -> bool {
    let (Ok(key), Ok(signature)) = (VerifyingKey::from_bytes(&key.0), Signature::from_slice(signature)) else {
        return false;
    };
    key.verify_strict(message, &signature).is_ok()
}

/// The bytes are a map of payload, algorithm and signature: the last 64 are the signature, and before them stand five
/// that say so; in front of the payload stands its length.
fn is_signed(bytes: &[u8], key: &PeerKey) -> bool {
    let Some((rest, signature)) = bytes.split_last_chunk::<64>() else { return false };
    let Some(rest) = rest.strip_suffix(&[1, 1, 2, 0x58, 64]).and_then(|rest| rest.strip_prefix(&[0xa3, 0])) else {
        return false;
    };
    let payload = match rest {
        [0x58, length, payload @ ..] if *length as usize == payload.len() => payload,
        [0x59, high, low, payload @ ..] if u16::from_be_bytes([*high, *low]) as usize == payload.len() => payload,
        _ => return false,
    };
    verifies(key, &[DOMAIN, &1u32.to_be_bytes(), payload].concat(), signature)
}

pub(crate) fn kind(body: &Body) -> usize {
    match body {
        Body::Found { .. } => 0,
        Body::Admit { .. } => 1,
        Body::ImportModel { .. } => 2,
        Body::AddThings { .. } => 3,
        Body::DeclareTags { .. } => 4,
        Body::AddNote { .. } => 5,
        Body::ResolveNote { .. } => 6,
        Body::CreateThing(_) => 7,
        Body::EditThing(_) => 8,
        Body::SaveViewpoint { .. } => 9,
        Body::RemoveViewpoint { .. } => 10,
        Body::CommandDevice(_) => 11,
        Body::ReportOutcome(_) => 12,
        Body::AckAlarm(_) => 13,
        Body::GrantRole { .. } => 14,
        Body::RevokeRole { .. } => 15,
        Body::Invite(_) => 16,
        Body::RedeemInvitation { .. } => 17,
        Body::PromiseKey(_) => 18,
        Body::RotateKey(_) => 19,
        Body::RecoverKey { .. } => 20,
        Body::RevokeKey { .. } => 21,
        Body::CommitState { .. } => 22,
        Body::AddSegment(_) => 23,
        Body::DropSegments { .. } => 24,
        Body::SetPolicy(_) => 25,
        Body::NameHosts { .. } => 26,
        Body::Succeed { .. } => 27,
    }
}
