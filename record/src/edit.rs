//! Changes of the plant by people: what is changed, on the ground of which knowledge, and how it is taken back.

use gemba_twin::binding::Binding;
use gemba_twin::path::ThingId;
use gemba_twin::place::Placement;
use gemba_twin::thing::{Class, Level, Thing};
use minicbor::{Decode, Encode};

use crate::entry::EntryId;
use crate::refusal::Refusal;

/// A new thing, placed by a person.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct NewThing {
    /// Its identity, drawn at random by the author.
    #[n(0)]
    pub id: ThingId,
    /// What it is and where in the plant tree.
    #[n(1)]
    pub thing: Thing,
    /// Where it stands.
    #[n(2)]
    pub place: Placement,
    /// The thing whose part of a model draws it, as a copy; none for one that is only a place.
    #[n(3)]
    pub like: Option<ThingId>,
}

/// A change of one thing.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct Edit {
    /// Which thing.
    #[n(0)]
    pub thing: ThingId,
    /// How many entries its author had folded: what came after, they did not know.
    #[n(1)]
    pub based_on: u64,
    /// What becomes of it.
    #[n(2)]
    pub change: Change,
    /// The edit that this one takes back.
    #[n(3)]
    pub undoes: Option<EntryId>,
}

/// What becomes of a thing.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub enum Change {
    /// It stands elsewhere; none puts it back to where its model draws it.
    #[n(0)]
    Move(#[n(0)] Option<Placement>),
    /// It has another name, in the same place of the plant tree.
    #[n(1)]
    Rename(#[n(0)] String),
    /// It is part of another thing, or of none.
    #[n(2)]
    Reparent(#[n(0)] Option<ThingId>),
    /// It is no longer in the plant, with all its parts; or is again.
    #[n(3)]
    Retire(#[n(0)] bool),
    /// Other tags drive how it looks.
    #[n(4)]
    Bind(#[n(0)] Vec<Binding>),
    /// It is something else than was thought.
    #[n(5)]
    Classify(#[n(0)] Level, #[n(1)] Class),
}

/// What of a thing a change concerns: two edits conflict only over the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum Aspect {
    /// Where it stands.
    #[n(0)]
    Place,
    /// Its name and what it is part of.
    #[n(1)]
    Path,
    /// Whether it is in the plant.
    #[n(2)]
    Life,
    /// Its bindings.
    #[n(3)]
    Bindings,
    /// Its level and class.
    #[n(4)]
    Kind,
}

impl Change {
    /// What it concerns.
    pub fn aspect(&self) -> Aspect {
        match self {
            Change::Move(_) => Aspect::Place,
            Change::Rename(_) | Change::Reparent(_) => Aspect::Path,
            Change::Retire(_) => Aspect::Life,
            Change::Bind(_) => Aspect::Bindings,
            Change::Classify(..) => Aspect::Kind,
        }
    }

    pub(crate) fn check(&self) -> Result<(), Refusal> {
        match self {
            Change::Move(Some(place)) if !place.is_sound() => {
                Err(Refusal::Content("a place that cannot be drawn".to_owned()))
            }
            Change::Rename(name) if name.contains('/') => {
                Err(Refusal::Content("a name has no / in it: reparent the thing instead".to_owned()))
            }
            _ => Ok(()),
        }
    }
}

/// Two people changed the same thing without knowing of each other. The later one in the log holds; its author is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The thing.
    pub thing: ThingId,
    /// What of it.
    pub aspect: Aspect,
    /// The entry that was overruled.
    pub overruled: u64,
}
