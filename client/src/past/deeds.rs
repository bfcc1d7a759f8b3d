//! What people did, from the record: notes, changes of the plant, commands, alarms seen. Marks on the time line beside what
//! happened to the machines, and places to jump to.

use std::collections::VecDeque;

use bevy::prelude::*;
use gemba_record::body::Body;
use gemba_record::edit::Change;
use gemba_record::entry::Entry;
use gemba_twin::path::ThingId;
use gemba_twin::peer::PeerKey;
use gemba_twin::sample::Timestamp;

use super::Past;
use crate::link::Connection;

/// Deeds kept, the newest: as many as the events of machines.
const DEEDS: usize = 20_000;

/// Entries looked at in one frame: each takes some 2 µs to read.
const ENTRIES_PER_FRAME: u64 = 2_000;

/// Longest text that is quoted, characters.
const QUOTED: usize = 60;

/// Somebody did something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deed {
    /// When, as they say.
    pub at: Timestamp,
    /// Who.
    pub author: PeerKey,
    /// To what, if it is about a thing.
    pub thing: Option<ThingId>,
    /// What, as a person says it: a verb first.
    pub what: String,
}

/// All that was done, as far as the record has been read.
#[derive(Debug, Default)]
pub struct Deeds {
    /// By their times.
    all: VecDeque<Deed>,
    /// Index of the entry that is read next.
    next: u64,
}

impl Deeds {
    /// Oldest first.
    pub fn all(&self) -> &VecDeque<Deed> {
        &self.all
    }

    /// The first one after an instant.
    pub fn after(&self, instant: Timestamp) -> Option<&Deed> {
        self.all.get(self.all.partition_point(|deed| deed.at <= instant))
    }

    /// The last one before an instant.
    pub fn before(&self, instant: Timestamp) -> Option<&Deed> {
        let next = self.all.partition_point(|deed| deed.at < instant);
        next.checked_sub(1).and_then(|i| self.all.get(i))
    }

    fn take(&mut self, entry: &Entry) {
        let Some((at, (thing, what))) = entry.at.zip(words(&entry.body)) else { return };
        // Clocks of authors differ a little: almost always it is the last.
        let place = self.all.partition_point(|deed| deed.at <= at);
        self.all.insert(place, Deed { at, author: entry.author, thing, what });
        if self.all.len() > DEEDS {
            self.all.pop_front();
        }
    }
}

/// Reads on in the record as it grows.
pub(super) fn follow(mut past: ResMut<Past>, connection: Res<Connection>) {
    let end = connection.log().entries().min(past.deeds.next + ENTRIES_PER_FRAME);
    if past.deeds.next == end {
        return;
    }
    for index in past.deeds.next..end {
        if let Some(entry) = connection.entry(index) {
            past.deeds.take(&entry);
        }
    }
    past.deeds.next = end;
}

/// What a person did with this entry, and to what; none where a machine or a host speaks, or about people.
fn words(body: &Body) -> Option<(Option<ThingId>, String)> {
    let quoted = |text: &str| match text.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    };
    let (thing, what) = match body {
        Body::AddNote { thing, text, .. } => (Some(*thing), format!("noted: {}", quoted(text))),
        Body::CreateThing(new) => (Some(new.id), "placed it".to_owned()),
        Body::EditThing(edit) => {
            let what = match &edit.change {
                Change::Move(_) => "moved it".to_owned(),
                Change::Rename(name) => format!("called it {name}"),
                Change::Reparent(_) => "put it elsewhere in the tree".to_owned(),
                Change::Retire(true) => "retired it".to_owned(),
                Change::Retire(false) => "brought it back".to_owned(),
                Change::Bind(_) => "bound its tags".to_owned(),
                Change::Classify(..) => "said what it is".to_owned(),
            };
            (Some(edit.thing), what)
        }
        Body::CommandDevice(command) => (None, format!("set {} to {}", command.tag, command.value)),
        Body::AckAlarm(ack) => (Some(ack.thing), "acknowledged its alarm".to_owned()),
        Body::ImportModel { name, .. } => (None, format!("brought {name} in")),
        _ => return None,
    };
    Some((thing, what))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::SigningKey;
    use gemba_record::author::Author;
    use gemba_record::command::AlarmAck;
    use gemba_record::entry::{EntryId, SiteId};

    #[test]
    fn what_people_did_is_found_by_time_and_what_machines_said_is_not() {
        let author = Author::new(SigningKey::from_bytes(&[7; 32]), SiteId([1; 16]));
        let thing = ThingId([3; 16]);
        let mut deeds = Deeds::default();
        let mut take = |secs: Option<i64>, body| {
            let author = Author { clock: secs.map(Timestamp::from_secs), ..author.clone() };
            deeds.take(author.sign(body, EntryId([0; 16])).entry());
        };
        take(Some(30), Body::note(thing, "hot"));
        take(Some(20), Body::AckAlarm(AlarmAck { thing, raised: Timestamp(0), text: String::new() }));
        take(Some(25), Body::CommitState { digest: [0; 32] });
        take(None, Body::note(thing, "at no time"));
        let long = "x".repeat(QUOTED + 1);
        take(Some(40), Body::note(thing, long));
        let found: Vec<(i64, &str)> = deeds.all().iter().map(|deed| (deed.at.0 / 1_000_000, &deed.what[..])).collect();
        assert_eq!(found[..2], [(20, "acknowledged its alarm"), (30, "noted: hot")]);
        assert!(found.len() == 3 && found[2].1.ends_with("xx…"));
        let secs = Timestamp::from_secs;
        assert_eq!(deeds.after(secs(20)).map(|deed| deed.at), Some(secs(30)));
        assert_eq!(deeds.before(secs(20)), None);
        assert_eq!(deeds.before(secs(99)).map(|deed| deed.at), Some(secs(40)));
    }
}
