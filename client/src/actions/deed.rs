//! What can be done with a thing, in the order of the bar, and what it would say to the record.

use gemba_record::body::Body;
use gemba_record::command::AlarmAck;
use gemba_record::edit::{Change, Edit, NewThing};
use gemba_twin::path::ThingId;
use gemba_twin::place::Placement;
use gemba_twin::sample::Timestamp;

use super::{Shown, alarm, command};
use crate::site::ThingIndex;

/// Something that can be done with a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    /// Look at its notes and leave one.
    Note,
    /// Say that its alarm has been seen.
    Acknowledge,
    /// Set one of its tags.
    Command,
    /// Call it otherwise.
    Rename,
    /// Put it elsewhere.
    Move,
    /// Place another one like it.
    Copy,
    /// Take it out of the plant.
    Retire,
    /// Put it back into the plant.
    BringBack,
}

impl Deed {
    /// What there is to do with this thing, whoever may do it.
    pub(super) fn for_thing(thing: ThingIndex, shown: &Shown) -> Vec<Deed> {
        if shown.site.is_retired(thing) {
            return vec![Deed::Note, Deed::BringBack];
        }
        let mut deeds = vec![Deed::Note];
        deeds.extend(alarm::raised(thing, shown).map(|_| Deed::Acknowledge));
        deeds.extend((!command::writable(thing, shown).is_empty()).then_some(Deed::Command));
        deeds.extend([Deed::Rename, Deed::Move, Deed::Copy, Deed::Retire]);
        deeds
    }

    pub(super) fn label(self, thing: ThingIndex, shown: &Shown) -> String {
        let words = match self {
            Deed::Note => {
                return match super::note::open_count(thing, shown) {
                    0 => "Note".to_owned(),
                    count => format!("Notes {count}"),
                };
            }
            Deed::Acknowledge => "Acknowledge",
            Deed::Command => "Command",
            Deed::Rename => "Rename",
            Deed::Move => "Move",
            Deed::Copy => "Duplicate",
            Deed::Retire => "Retire",
            Deed::BringBack => "Bring back",
        };
        words.to_owned()
    }

    pub(super) fn hover(self) -> &'static str {
        match self {
            Deed::Note => "read the notes at it, or leave one",
            Deed::Acknowledge => "tell everyone that its alarm has been seen",
            Deed::Command => "tell the device to set a value",
            Deed::Rename => "call it otherwise; its tags stay with it",
            Deed::Move => "put it elsewhere",
            Deed::Copy => "place another one like it beside it",
            Deed::Retire => "take it out of the plant; it can be brought back",
            Deed::BringBack => "put it back into the plant",
        }
    }

    /// An entry of the kind that doing it says, to ask whether it may be said; none if nothing speaks against looking.
    pub(super) fn example(self, thing: ThingIndex, shown: &Shown) -> Option<Body> {
        let id = shown.id(thing)?;
        let edit = |change| Some(Body::EditThing(Edit { thing: id, based_on: 0, change, undoes: None }));
        match self {
            // Reading is free; what is left below says for itself whether it may be.
            Deed::Note => None,
            Deed::Acknowledge => {
                Some(Body::AckAlarm(AlarmAck { thing: id, raised: Timestamp(0), text: String::new() }))
            }
            Deed::Command => command::example(thing, shown),
            Deed::Rename => edit(Change::Rename("x".to_owned())),
            Deed::Move => edit(Change::Move(None)),
            Deed::Retire => edit(Change::Retire(true)),
            Deed::BringBack => edit(Change::Retire(false)),
            Deed::Copy => {
                let (id, like) = (ThingId([0; 16]), Some(id));
                let thing = shown.site.thing(thing)?.clone();
                Some(Body::CreateThing(NewThing { id, thing, place: Placement::default(), like }))
            }
        }
    }
}
