//! The plant tree: adding things from models and by hand, moving, renaming, reparenting and retiring them.
//!
//! A thing keeps the identity that its first path gave it, so that a model that is imported again finds the things that
//! people have renamed since, and a device's tags stay with the machine they belong to.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use gemba_twin::path::{TagPath, ThingId, ThingPath};
use gemba_twin::peer::PeerKey;
use gemba_twin::thing::Thing;

use super::state::{LastEdit, State, ThingState};
use crate::edit::{Aspect, Change, Conflict, Edit, NewThing};
use crate::limits;
use crate::refusal::Refusal;

/// Ways to find a thing, made from the canonical state.
#[derive(Debug, Clone, Default)]
pub(super) struct PlantIndex {
    by_id: HashMap<ThingId, usize>,
    by_path: BTreeMap<ThingPath, usize>,
    /// Whether any thing has another path than its model gives it.
    renamed: bool,
}

impl PlantIndex {
    /// None if an id or a path stands twice.
    pub(super) fn of(state: &State) -> Option<Self> {
        let mut index = Self { renamed: state.edits.keys().any(|(_, a)| *a == Aspect::Path), ..Self::default() };
        for (at, thing) in state.things.iter().enumerate() {
            let fresh = index.by_id.insert(thing.id, at).is_none();
            if !fresh || index.by_path.insert(thing.thing.path.clone(), at).is_some() {
                return None;
            }
        }
        Some(index)
    }

    pub(super) fn find(&self, id: ThingId) -> Option<usize> {
        self.by_id.get(&id).copied()
    }

    pub(super) fn at_path(&self, path: &str) -> Option<usize> {
        self.by_path.get(path).copied()
    }

    fn insert(&mut self, id: ThingId, path: ThingPath, at: usize) {
        self.by_id.insert(id, at);
        self.by_path.insert(path, at);
    }

    /// The parts below a path, at any depth.
    fn below<'a>(&'a self, path: &ThingPath) -> impl Iterator<Item = (&'a ThingPath, usize)> + use<'a> {
        // '0' is the character after '/': the range holds all that begins with the path and a slash.
        let (from, to) = (format!("{path}/"), format!("{path}0"));
        let range = self.by_path.range::<str, _>((Bound::Included(from.as_str()), Bound::Excluded(to.as_str())));
        range.map(|(path, at)| (path, *at))
    }
}

/// The thing whose id the path, or the nearest one above it, has given.
pub(super) fn drawn_at(state: &State, index: &PlantIndex, path: Option<ThingPath>) -> Option<usize> {
    let mut up = path;
    while let Some(path) = up {
        // While nothing was renamed a path leads to the same thing without hashing it.
        let found = if index.renamed {
            // A thing that a person placed has no path that it was drawn at: it is found where it is.
            let placed = || index.at_path(path.as_str()).filter(|at| state.things[*at].model.is_none());
            index.find(path.id()).or_else(placed)
        } else {
            index.at_path(path.as_str())
        };
        if found.is_some() {
            debug_assert!(found.is_none_or(|at| at < state.things.len()), "the index is of this state");
            return found;
        }
        up = path.parent();
    }
    None
}

/// Where a thing of a model stands now: below where people have put what it is part of.
pub(super) fn current_path(state: &State, index: &PlantIndex, drawn: &ThingPath) -> Result<ThingPath, Refusal> {
    if !index.renamed {
        return Ok(drawn.clone());
    }
    let mut up = Some(drawn.clone());
    while let Some(path) = up {
        if let Some(at) = index.find(path.id()) {
            let now = &state.things[at].thing.path;
            let rest = &drawn.as_str()[path.as_str().len()..];
            return format!("{now}{rest}").parse().map_err(|e| Refusal::Content(format!("{drawn}: {e}")));
        }
        up = path.parent();
    }
    Ok(drawn.clone())
}

/// The thing a tag belongs to, wherever it is now.
pub(super) fn thing_of_tag(state: &State, index: &PlantIndex, tag: &TagPath) -> Option<usize> {
    drawn_at(state, index, tag.thing())
}

/// Whether things of a model may be added; how many of them are new.
pub(super) fn check_add(state: &State, index: &PlantIndex, things: &[Thing]) -> Result<usize, Refusal> {
    let mut added = 0;
    for thing in things {
        if index.find(thing.path.id()).is_some() {
            continue;
        }
        added += 1;
        let path = current_path(state, index, &thing.path)?;
        if index.at_path(path.as_str()).is_some() {
            return Err(taken(&path));
        }
    }
    Ok(added)
}

/// Adds a thing of a model, or renews what the model says of one that is known.
pub(super) fn add(state: &mut State, index: &mut PlantIndex, model: u32, mut thing: Thing) {
    let id = thing.path.id();
    if let Some(at) = index.find(id) {
        let held = &mut state.things[at];
        thing.path = held.thing.path.clone();
        held.thing = thing;
        held.model = Some(model);
        return;
    }
    thing.path = current_path(state, index, &thing.path).expect("check_add found the path to be one");
    index.insert(id, thing.path.clone(), state.things.len());
    state.things.push(ThingState { id, thing, model: Some(model), like: None, place: None, retired: false });
}

pub(super) fn check_create(state: &State, index: &PlantIndex, new: &NewThing) -> Result<(), Refusal> {
    if state.things.len() >= limits::THINGS {
        return Err(Refusal::Full("things"));
    }
    if index.find(new.id).is_some() {
        return Err(Refusal::Content("a thing with this id is in the site already".to_owned()));
    }
    if index.at_path(new.thing.path.as_str()).is_some() {
        return Err(taken(&new.thing.path));
    }
    match new.like {
        Some(like) if index.find(like).is_none() => Err(unknown()),
        _ => Ok(()),
    }
}

pub(super) fn create(state: &mut State, index: &mut PlantIndex, new: NewThing) {
    let NewThing { id, thing, place, like } = new;
    index.insert(id, thing.path.clone(), state.things.len());
    state.things.push(ThingState { id, thing, model: None, like, place: Some(place), retired: false });
}

/// The path a thing would have after this change; none if it keeps the one it has.
pub(super) fn path_after(state: &State, index: &PlantIndex, edit: &Edit) -> Result<Option<ThingPath>, Refusal> {
    let at = index.find(edit.thing).ok_or_else(unknown)?;
    let path = &state.things[at].thing.path;
    let name_under = |parent: Option<ThingPath>, name: &str| match parent {
        Some(parent) => parent.child(name),
        None => name.parse(),
    };
    let after = match &edit.change {
        Change::Rename(name) => name_under(path.parent(), name),
        Change::Reparent(None) => name_under(None, path.name()),
        Change::Reparent(Some(parent)) => {
            let parent = index.find(*parent).ok_or_else(unknown)?;
            let parent = &state.things[parent].thing.path;
            if covers(path, parent.as_str()) {
                return Err(Refusal::Content(format!(
                    "{parent} is part of {path}, which cannot be part of it in turn"
                )));
            }
            name_under(Some(parent.clone()), path.name())
        }
        _ => return Ok(None),
    };
    after.map(Some).map_err(|e| Refusal::Content(e.to_string()))
}

pub(super) fn check_edit(state: &State, index: &PlantIndex, edit: &Edit) -> Result<(), Refusal> {
    let at = index.find(edit.thing).ok_or_else(unknown)?;
    if edit.based_on > state.tree.size() {
        return Err(Refusal::Content("the edit is based on entries that are not there yet".to_owned()));
    }
    let path = &state.things[at].thing.path;
    let Some(after) = path_after(state, index, edit)?.filter(|after| after != path) else { return Ok(()) };
    let moved = std::iter::once((path, at)).chain(index.below(path));
    for (from, _) in moved {
        let to = moved_path(path, &after, from).map_err(|e| Refusal::Content(format!("{from}: {e}")))?;
        if index.at_path(to.as_str()).is_some() && !covers(path, to.as_str()) {
            return Err(taken(&to));
        }
    }
    Ok(())
}

pub(super) fn edit(state: &mut State, index: &mut PlantIndex, entry: u64, author: PeerKey, edit: Edit) {
    let at = index.find(edit.thing).expect("check_edit found the thing");
    if let Some(after) = path_after(state, index, &edit).expect("check_edit asked the same") {
        let before = state.things[at].thing.path.clone();
        let moved: Vec<(ThingPath, usize)> =
            std::iter::once((before.clone(), at)).chain(index.below(&before).map(|(p, at)| (p.clone(), at))).collect();
        moved.iter().for_each(|(path, _)| {
            index.by_path.remove(path);
        });
        for (path, at) in moved {
            let path = moved_path(&before, &after, &path).expect("check_edit made the same paths");
            state.things[at].thing.path = path.clone();
            index.by_path.insert(path, at);
        }
        index.renamed = true;
    }
    let aspect = edit.change.aspect();
    let thing = &mut state.things[at];
    match edit.change {
        Change::Move(place) => thing.place = place,
        Change::Retire(retired) => thing.retired = retired,
        Change::Bind(bindings) => thing.thing.bindings = bindings,
        Change::Classify(level, class) => (thing.thing.level, thing.thing.class) = (level, class),
        Change::Rename(_) | Change::Reparent(_) => {}
    }
    state.edits.insert((edit.thing, aspect), LastEdit { index: entry, author });
}

/// What this edit would overrule that its author did not know of.
pub(super) fn conflict(state: &State, author: &PeerKey, edit: &Edit) -> Option<Conflict> {
    let aspect = edit.change.aspect();
    let last = state.edits.get(&(edit.thing, aspect))?;
    (last.index >= edit.based_on && last.author != *author).then_some(Conflict {
        thing: edit.thing,
        aspect,
        overruled: last.index,
    })
}

/// The change that would take this one back.
pub(super) fn inverse(state: &State, index: &PlantIndex, edit: &Edit) -> Option<Change> {
    let held = &state.things[index.find(edit.thing)?];
    Some(match &edit.change {
        Change::Move(_) => Change::Move(held.place),
        Change::Rename(_) => Change::Rename(held.thing.path.name().to_owned()),
        Change::Reparent(_) => {
            let parent = held.thing.path.parent().and_then(|parent| index.at_path(parent.as_str()));
            Change::Reparent(parent.map(|at| state.things[at].id))
        }
        Change::Retire(_) => Change::Retire(held.retired),
        Change::Bind(_) => Change::Bind(held.thing.bindings.clone()),
        Change::Classify(..) => Change::Classify(held.thing.level, held.thing.class),
    })
}

/// Whether the thing, or one it is part of, was taken out of the plant.
pub(super) fn is_retired(state: &State, index: &PlantIndex, id: ThingId) -> bool {
    let Some(at) = index.find(id) else { return false };
    let mut up = Some(state.things[at].thing.path.clone());
    while let Some(path) = up {
        if index.at_path(path.as_str()).is_some_and(|at| state.things[at].retired) {
            return true;
        }
        up = path.parent();
    }
    false
}

/// Whether `path` is that of the thing or of one of its parts.
pub(super) fn covers(thing: &ThingPath, path: &str) -> bool {
    path.strip_prefix(thing.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn moved_path(
    before: &ThingPath,
    after: &ThingPath,
    path: &ThingPath,
) -> Result<ThingPath, gemba_twin::path::PathError> {
    format!("{after}{}", &path.as_str()[before.as_str().len()..]).parse()
}

fn taken(path: &ThingPath) -> Refusal {
    Refusal::Content(format!("there is another thing at {path}"))
}

pub(super) fn unknown() -> Refusal {
    Refusal::Unknown("the thing".to_owned())
}
