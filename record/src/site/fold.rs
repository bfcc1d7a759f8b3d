//! What of an entry's content depends on the site, and what becomes of the site by it.

use gemba_twin::path::TagId;
use gemba_twin::peer::PeerKey;
use gemba_twin::tag::Tag;

use super::state::{Committed, Model, Note, ViewpointState};
use super::{Site, distinct, now, people, plant, room};
use crate::body::Body;
use crate::command::{AlarmAckState, CommandState};
use crate::entry::{Entry, EntryId};
use crate::limits;
use crate::refusal::Refusal;
use crate::role::Grant;
use crate::succession;

impl Site {
    /// Whether the site can take this.
    pub(super) fn check_body(&self, entry: &Entry) -> Result<(), Refusal> {
        let (state, index) = (&self.state, &self.plant);
        let keys = || &state.peers[&entry.author].keys;
        match &entry.body {
            Body::Found { .. } => Err(Refusal::FoundedAlready),
            Body::Admit { peer, role, .. } => people::check_admit(state, peer, *role),
            Body::GrantRole { peer, grant } => people::check_grant(state, peer, grant),
            Body::RevokeRole { peer, scope } => people::check_revoke(state, peer, *scope),
            Body::Invite(invitation) => people::check_invite(state, invitation),
            Body::RedeemInvitation { token, signature, .. } => {
                people::check_redeem(state, &entry.author, token, signature, now(state, entry.at))
            }
            Body::PromiseKey(inception) => keys().check_inception(inception),
            Body::RotateKey(new) => keys().check_rotation(new),
            Body::RecoverKey { new, approvals } => {
                let key_of = |guardian: &PeerKey| {
                    let keys = &state.peers.get(guardian)?.keys;
                    keys.in_force(keys.number())
                };
                keys().check_recovery(state.id, new, approvals, key_of)
            }
            Body::RevokeKey { peer } => people::check_revoke_key(state, peer),
            Body::ImportModel { blob, bytes, .. } => match state.models.iter().find(|m| m.blob == *blob) {
                Some(held) if held.bytes != *bytes => Err(Refusal::Content("a model with another size".to_owned())),
                Some(_) => Ok(()),
                None => room("models", state.models.len() + 1, limits::MODELS),
            },
            Body::AddThings { model, things } => {
                if self.model_number(model).is_none() {
                    return Err(Refusal::Unknown("the model".to_owned()));
                }
                distinct(things.iter().map(|thing| thing.path.as_str()))?;
                room("things", state.things.len() + plant::check_add(state, index, things)?, limits::THINGS)
            }
            Body::CreateThing(new) => plant::check_create(state, index, new),
            Body::EditThing(edit) => plant::check_edit(state, index, edit),
            Body::DeclareTags { tags } => self.check_tags(&entry.author, tags),
            _ => self.check_remark(entry),
        }
    }

    /// Notes, views, commands, alarms, and what host and historian say.
    fn check_remark(&self, entry: &Entry) -> Result<(), Refusal> {
        let state = &self.state;
        let unknown = |what: &str| Err(Refusal::Unknown(what.to_owned()));
        match &entry.body {
            Body::AddNote { thing, .. } if self.plant.find(*thing).is_none() => unknown("the thing"),
            Body::AddNote { .. } => room("notes", state.notes.len() + 1, limits::NOTES),
            Body::ResolveNote { note, .. } if !self.notes_by_id.contains_key(note) => unknown("the note"),
            Body::SaveViewpoint { .. } => room("viewpoints", state.viewpoints.len() + 1, limits::VIEWPOINTS),
            Body::RemoveViewpoint { viewpoint } if !state.viewpoints.contains_key(viewpoint) => {
                unknown("the viewpoint")
            }
            Body::CommandDevice(command) => {
                let Some(tag) = self.tag_at(&command.tag).and_then(|id| self.tag(id)) else {
                    return unknown("the tag");
                };
                if !tag.writable || tag.kind != command.value.kind() {
                    return Err(Refusal::Content(format!("{} cannot be set to this", tag.path)));
                }
                let under_way = state.commands.len() - self.settled_commands.len();
                room("commands under way", under_way + 1, limits::COMMANDS)
            }
            Body::ReportOutcome(report) => {
                let Some(held) = state.commands.get(&report.command) else { return unknown("the command") };
                if held.outcome.is_some() {
                    return Err(Refusal::Content("this command has its outcome already".to_owned()));
                }
                let device = self.tag_at(&held.command.tag).and_then(|id| self.tag_device(id));
                if device != Some(entry.author) {
                    return Err(Refusal::TagOfAnother(held.command.tag.to_string()));
                }
                Ok(())
            }
            Body::AckAlarm(ack) => match state.acks.get(&ack.thing) {
                _ if self.plant.find(ack.thing).is_none() => unknown("the thing"),
                Some(newer) if newer.raised > ack.raised => {
                    Err(Refusal::Content("a later alarm of this thing has been acknowledged".to_owned()))
                }
                _ => Ok(()),
            },
            Body::SetPolicy(policy) => match policy.quorum(state.id, state.host) {
                Ok(_) => Ok(()),
                Err(why) => Err(Refusal::Content(why.to_string())),
            },
            Body::NameHosts { hosts } => succession::check_hosts(hosts, &state.host, |key| state.peers.get(key)),
            Body::Succeed { of, epoch } if *of != state.host || *epoch != self.epoch() + 1 => {
                Err(Refusal::Content("another host has succeeded already".to_owned()))
            }
            Body::Succeed { of, .. } if *of == entry.author => {
                Err(Refusal::Content("a host does not succeed itself".to_owned()))
            }
            Body::CommitState { digest } if *digest != self.digest() => Err(Refusal::OtherState),
            Body::AddSegment(segment) if state.segments.iter().rev().any(|s| s.blob == segment.blob) => {
                Err(Refusal::Content("this segment is in the record already".to_owned()))
            }
            Body::AddSegment(_) => room("segments", state.segments.len() + 1, limits::SEGMENTS),
            _ => Ok(()),
        }
    }

    fn check_tags(&self, author: &PeerKey, tags: &[Tag]) -> Result<(), Refusal> {
        let state = &self.state;
        distinct(tags.iter().map(|tag| tag.path.as_str()))?;
        let held = tags.iter().filter_map(|tag| self.tags_by_path.get(&tag.path));
        if let Some(id) = held.clone().find(|id| state.tag_devices[id.0 as usize] != *author) {
            return Err(Refusal::TagOfAnother(state.tags[id.0 as usize].path.to_string()));
        }
        room("tags", state.tags.len() + tags.len() - held.count(), limits::TAGS)
    }

    /// Takes what has been checked.
    pub(super) fn fold(&mut self, index: u64, entry: Entry) {
        let Entry { author, id, body, .. } = entry;
        let (state, plant) = (&mut self.state, &mut self.plant);
        let keys = |state: &mut super::State, peer: &PeerKey, change: &dyn Fn(&mut crate::identity::Keys)| {
            change(&mut state.peers.get_mut(peer).expect("check found the peer").keys);
        };
        match body {
            Body::Found { .. } => unreachable!("a second founding was refused by check"),
            Body::Admit { peer, kind, name, role } => {
                people::admit(state, peer, kind, name, Grant { role, scope: None });
            }
            Body::GrantRole { peer, grant } => {
                people::grant(state.peers.get_mut(&peer).expect("check found the peer"), grant);
            }
            Body::RevokeRole { peer, scope } => {
                let peer = state.peers.get_mut(&peer).expect("check found the peer");
                peer.grants.retain(|grant| grant.scope != scope);
            }
            Body::Invite(invitation) => people::invite(state, author, invitation),
            Body::RedeemInvitation { token, name, .. } => people::redeem(state, author, &token, name),
            Body::PromiseKey(inception) => keys(state, &author, &|keys| keys.promise(inception.clone())),
            Body::RotateKey(new) | Body::RecoverKey { new, .. } => {
                keys(state, &author, &|keys| keys.renew(new.clone()));
            }
            Body::RevokeKey { peer } => keys(state, &peer, &crate::identity::Keys::revoke),
            Body::ImportModel { blob, bytes, name } => match state.models.iter_mut().find(|m| m.blob == blob) {
                Some(held) => held.name = name,
                None => state.models.push(Model { blob, bytes, name }),
            },
            Body::AddThings { model, things } => {
                let number = self.model_number(&model).expect("check found the model");
                let (state, plant) = (&mut self.state, &mut self.plant);
                things.into_iter().for_each(|thing| plant::add(state, plant, number, thing));
            }
            Body::CreateThing(new) => plant::create(state, plant, new),
            Body::EditThing(edit) => plant::edit(state, plant, index, author, edit),
            Body::DeclareTags { tags } => tags.into_iter().for_each(|tag| self.fold_tag(author, tag)),
            body => self.fold_remark(index, author, id, body),
        }
    }

    fn fold_remark(&mut self, index: u64, author: PeerKey, id: EntryId, body: Body) {
        let state = &mut self.state;
        match body {
            Body::AddNote { thing, text, spot } => {
                self.notes_by_id.insert(id, state.notes.len());
                state.notes.push(Note { thing, author, text, index, id, spot, resolved: false });
            }
            Body::ResolveNote { note, resolved } => state.notes[self.notes_by_id[&note]].resolved = resolved,
            Body::SaveViewpoint { name, viewpoint } => {
                state.viewpoints.insert(id, ViewpointState { name, viewpoint, author });
            }
            Body::RemoveViewpoint { viewpoint } => {
                state.viewpoints.remove(&viewpoint);
            }
            Body::CommandDevice(command) => {
                if state.commands.len() >= limits::COMMANDS
                    && let Some((_, oldest)) = self.settled_commands.pop_first()
                {
                    state.commands.remove(&oldest);
                }
                state.commands.insert(id, CommandState { command, author, index, outcome: None });
            }
            Body::ReportOutcome(report) => {
                let held = state.commands.get_mut(&report.command).expect("check found the command");
                held.outcome = Some(report.outcome);
                self.settled_commands.insert((held.index, report.command));
            }
            Body::AckAlarm(ack) => {
                state.acks.insert(ack.thing, AlarmAckState { raised: ack.raised, text: ack.text, author, index });
            }
            Body::CommitState { digest } => state.committed = Some(Committed { entries: index, digest }),
            Body::SetPolicy(policy) => state.policy = Some(policy),
            Body::NameHosts { hosts } => state.hosts = Some(hosts),
            Body::Succeed { epoch, .. } => (state.host, state.epoch) = (author, Some(epoch)),
            Body::AddSegment(segment) => state.segments.push(segment),
            Body::DropSegments { blobs } => {
                let blobs: std::collections::HashSet<[u8; 32]> = blobs.iter().map(|blob| blob.0).collect();
                state.segments.retain(|segment| !blobs.contains(&segment.blob));
            }
            _ => unreachable!("fold takes all others"),
        }
    }

    fn fold_tag(&mut self, device: PeerKey, tag: Tag) {
        let state = &mut self.state;
        let next = TagId(u32::try_from(state.tags.len()).expect("limits::TAGS is far below 2^32"));
        let id = *self.tags_by_path.entry(tag.path.clone()).or_insert(next);
        if id == next {
            state.tags.push(tag);
            state.tag_devices.push(device);
        } else {
            state.tags[id.0 as usize] = tag;
        }
    }

    pub(super) fn model_number(&self, blob: &[u8; 32]) -> Option<u32> {
        let at = self.state.models.iter().position(|m| m.blob == *blob)?;
        Some(u32::try_from(at).expect("limits::MODELS is far below 2^32"))
    }
}
