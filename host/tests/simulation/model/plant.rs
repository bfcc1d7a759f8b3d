//! The plant as a list of things with their paths as lists of names.

use std::collections::BTreeMap;

use gemba_record::edit::{Aspect, Change, Edit};
use gemba_twin::path::{TagPath, ThingId, ThingPath};
use gemba_twin::peer::PeerKey;
use gemba_twin::place::Placement;
use gemba_twin::thing::{Class, Level};

use super::Model;

/// A thing of the plant.
#[derive(Debug, Clone)]
pub(crate) struct Thing {
    pub(super) path: Vec<String>,
    pub(super) place: Option<Placement>,
    pub(super) retired: bool,
    pub(super) kind: (Level, Class),
    /// Whether a person placed it, and no model draws it.
    pub(super) placed: bool,
    /// The newest edit of each aspect.
    pub(super) edits: BTreeMap<Aspect, (u64, PeerKey)>,
}

pub(super) fn names(path: &str) -> Vec<String> {
    path.split('/').map(str::to_owned).collect()
}

impl Model {
    pub(super) fn thing_at(&self, path: &[String]) -> Option<ThingId> {
        self.things.iter().find(|(_, thing)| thing.path == path).map(|(id, _)| *id)
    }

    /// Where the thing of a tag is: it belongs to what was drawn where the tag's path says, or to what was placed there.
    pub(super) fn path_of_tag(&self, tag: &TagPath) -> Vec<String> {
        let all = names(tag.as_str());
        let of_tag = &all[..all.len() - 1];
        for length in (1..=of_tag.len()).rev() {
            let path: ThingPath = of_tag[..length].join("/").parse().expect("a part of a path is a path");
            let placed = self.things.values().find(|thing| thing.placed && thing.path == of_tag[..length]);
            if let Some(thing) = self.things.get(&path.id()).or(placed) {
                return thing.path.clone();
            }
        }
        of_tag.to_vec()
    }

    /// The path a thing has after an edit; an error if it cannot have it.
    pub(super) fn path_after(&self, edit: &Edit) -> Result<Vec<String>, String> {
        let thing = self.things.get(&edit.thing).ok_or("no such thing")?;
        let mut path = thing.path.clone();
        match &edit.change {
            Change::Rename(name) => {
                if name.is_empty() || name.contains('/') {
                    return Err("no name".to_owned());
                }
                path.pop();
                path.push(name.clone());
            }
            Change::Reparent(parent) => {
                let name = path.pop().expect("a path has a name");
                path = match parent {
                    None => Vec::new(),
                    Some(parent) => self.things.get(parent).ok_or("no such parent")?.path.clone(),
                };
                if path.starts_with(&thing.path) {
                    return Err("a thing cannot be part of itself".to_owned());
                }
                path.push(name);
            }
            _ => return Ok(path),
        }
        let stay: Vec<_> = self.things.values().filter(|other| !other.path.starts_with(&thing.path)).collect();
        for moved in self.things.values().filter(|other| other.path.starts_with(&thing.path)) {
            let to = [&path[..], &moved.path[thing.path.len()..]].concat();
            if to != moved.path && stay.iter().any(|other| other.path == to) {
                return Err("another thing is there".to_owned());
            }
        }
        Ok(path)
    }

    pub(super) fn edit(&mut self, index: u64, author: PeerKey, edit: &Edit) {
        let after = self.path_after(edit).expect("judged before");
        let last = self.things[&edit.thing].edits.get(&edit.change.aspect());
        if let Some((at, by)) = last
            && *at >= edit.based_on
            && *by != author
        {
            self.overruled.insert(index, *at);
        }
        let before = self.things[&edit.thing].path.clone();
        for thing in self.things.values_mut().filter(|thing| thing.path.starts_with(&before)) {
            thing.path.splice(..before.len(), after.iter().cloned());
        }
        let thing = self.things.get_mut(&edit.thing).expect("judged before");
        match &edit.change {
            Change::Move(place) => thing.place = *place,
            Change::Retire(retired) => thing.retired = *retired,
            Change::Classify(level, class) => thing.kind = (*level, *class),
            Change::Bind(_) | Change::Rename(_) | Change::Reparent(_) => {}
        }
        thing.edits.insert(edit.change.aspect(), (index, author));
    }
}
