//! What this person says to the record: signed here with their key and sent; it counts once it has come back in the log.

use std::collections::HashSet;

use bevy::prelude::*;
use ed25519_dalek::SigningKey;
use gemba_net::LinkCommand;
use gemba_record::author::Author;
use gemba_record::body::Body;
use gemba_record::edit::Edit;
use gemba_record::entry::{Entry, EntryId, Seen, UnverifiedEntry};
use gemba_record::refusal::Refusal;
use gemba_record::site::Site as Fold;
use gemba_twin::peer::PeerKey;

use super::Connection;
use super::receive::our_clock;

/// The key of this person, and what they have said that has not come back yet.
pub(super) struct Voice {
    signing_key: SigningKey,
    submissions: u64,
    under_way: HashSet<EntryId>,
}

/// An entry of this person's own has come back in the record.
#[derive(Message, Debug, Clone)]
pub struct Landed {
    /// Which.
    pub id: EntryId,
    /// Where it stands.
    pub index: u64,
    /// What would take it back, if anything does.
    pub inverse: Option<Body>,
}

/// The host's answer to an entry of this person's own.
#[derive(Message, Debug, Clone)]
pub struct Answered {
    /// Which, by the number it was sent under.
    pub submission: u64,
    /// Where it stands, or why it was refused.
    pub outcome: Result<u64, String>,
    /// An entry that it overruled and that was not known here when it was said.
    pub overruled: Option<u64>,
}

impl Voice {
    pub(super) fn new(signing_key: SigningKey) -> Self {
        Self { signing_key, submissions: 0, under_way: HashSet::new() }
    }
}

impl Connection {
    /// Who this person is in the record; none while the record does not know their key.
    pub fn identity(&self) -> Option<PeerKey> {
        let key = PeerKey(self.voice.as_ref()?.signing_key.verifying_key().to_bytes());
        self.log.site()?.holder_of(&key)
    }

    /// Whether this person's roles allow them to say this now; if not, why, in words for them.
    pub fn may_say(&self, body: &Body) -> Result<(), String> {
        let Some((site, me)) = self.log.site().zip(self.identity()) else {
            return Err("the record does not know you yet".to_owned());
        };
        site.may_say(&me, body).map_err(|why| match why {
            Refusal::Role { has, needs } => format!("you are {has} here and this needs {needs}: ask an owner"),
            Refusal::Scope { needs } => format!("you are {needs} in another part of the plant only: ask an owner"),
            Refusal::NotAdmitted => "you are not admitted to this site: ask an owner".to_owned(),
            why => why.to_string(),
        })
    }

    /// Signs and sends. Edits are said on the ground of all that is known here. Returns the entry's id and the number
    /// of its submission.
    pub fn say(&mut self, mut body: Body) -> Result<(EntryId, u64), String> {
        let identity = self.identity().ok_or("the record does not know you yet")?;
        let clock = our_clock().plus_micros(self.clock_offset_micros);
        let known = self.log.entries();
        let (Some(site), Some(voice), Some(link)) = (self.log.site(), &mut self.voice, &mut self.link) else {
            return Err("there is no site here".to_owned());
        };
        if let Body::EditThing(edit) = &mut body {
            edit.based_on = known;
        }
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(|e| format!("the system gives no random numbers: {e}"))?;
        let id = EntryId(id);
        let number = site.peer(&identity).map(|peer| peer.keys.number()).unwrap_or_default();
        let seen = Some(Seen { size: known, root: self.log.root() });
        let signing_key = voice.signing_key.clone();
        let author = Author { identity, number, signing_key, site: site.id(), clock: Some(clock), seen };
        let entry = author.sign(body, id).into_parts().0;
        let submission = voice.submissions;
        link.send(LinkCommand::Submit { submission, entry }).map_err(|_| "too much waits to be sent; try again")?;
        voice.submissions += 1;
        voice.under_way.insert(id);
        Ok((id, submission))
    }

    /// An entry of the record, if it is kept here.
    pub fn entry(&self, index: u64) -> Option<Entry> {
        let bytes = self.kept.entry(index)?.to_vec();
        UnverifiedEntry::read(bytes).ok().map(|entry| entry.entry().clone())
    }

    /// What landing means for an entry that is about to be appended, if it is this person's own.
    pub(super) fn own_before(&mut self, bytes: &[u8]) -> Option<Landed> {
        let voice = self.voice.as_mut().filter(|voice| !voice.under_way.is_empty())?;
        let entry = UnverifiedEntry::read(bytes.to_vec()).ok()?.entry().clone();
        if !voice.under_way.remove(&entry.id) {
            return None;
        }
        let inverse = self.log.site().and_then(|site| inverse(site, &entry));
        Some(Landed { id: entry.id, index: self.log.entries(), inverse })
    }
}

/// What would take this entry back, in the site as it is before it. Nothing takes back a command: a device has moved.
fn inverse(site: &Fold, entry: &Entry) -> Option<Body> {
    let undoes = Some(entry.id);
    Some(match &entry.body {
        Body::EditThing(edit) => {
            let change = site.inverse(edit)?;
            Body::EditThing(Edit { thing: edit.thing, based_on: 0, change, undoes })
        }
        Body::CreateThing(new) => {
            let change = gemba_record::edit::Change::Retire(true);
            Body::EditThing(Edit { thing: new.id, based_on: 0, change, undoes })
        }
        Body::AddNote { .. } => Body::ResolveNote { note: entry.id, resolved: true },
        Body::ResolveNote { note, resolved } => Body::ResolveNote { note: *note, resolved: !resolved },
        Body::SaveViewpoint { .. } => Body::RemoveViewpoint { viewpoint: entry.id },
        Body::RemoveViewpoint { viewpoint } => {
            let (_, held) = site.viewpoints().find(|(id, _)| *id == viewpoint)?;
            Body::SaveViewpoint { name: held.name.clone(), viewpoint: held.viewpoint.clone() }
        }
        _ => return None,
    })
}
