//! What the viewer knows of the plant: its things as a tree and its tags, folded from the site's record or, for a
//! bare file, read from its glTF. Features read it; only the link and the plant loader write it.

use std::collections::HashMap;

use bevy::prelude::*;
use gemba_record::site::{Site as Fold, ThingState};
use gemba_twin::path::{TagId, TagPath, ThingId, ThingPath};
use gemba_twin::place::Placement;
use gemba_twin::tag::Tag;
use gemba_twin::thing::Thing;

/// Number of a thing within [`Site::things`]. A record only ever adds things at the end, so that it stays what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ThingIndex(pub usize);

/// What people have made of a thing, beside what it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Standing {
    /// Its identity, whatever its path becomes.
    pub id: ThingId,
    /// Where a person has put it; none for where its model draws it.
    pub place: Option<Placement>,
    /// The thing it is drawn like, if no model draws it.
    pub like: Option<ThingId>,
    /// Whether a person has made it: no model draws it.
    pub is_made: bool,
    /// Whether it was taken out of the plant itself. See [`Site::is_retired`].
    pub retired: bool,
}

/// The plant as the viewer shows it: as it is now, or as it was.
#[derive(Resource, Default)]
pub struct Site {
    /// What people call the site: its name in the record, or the file's name.
    pub name: String,
    /// Counts changes of things and tags.
    pub revision: u64,
    things: Vec<Thing>,
    standings: Vec<Standing>,
    retired: Vec<bool>,
    tags: Vec<Tag>,
    parents: Vec<Option<ThingIndex>>,
    children: Vec<Vec<ThingIndex>>,
    roots: Vec<ThingIndex>,
    by_path: HashMap<ThingPath, ThingIndex>,
    by_id: HashMap<ThingId, ThingIndex>,
    tags_of: Vec<Vec<TagId>>,
    tag_by_path: HashMap<TagPath, TagId>,
}

impl Site {
    /// A site of which only the name is known yet.
    pub fn named(name: String) -> Self {
        Self { name, ..Self::default() }
    }

    /// Replaces all things by those of a model that nobody has changed. Parents may stand after their parts; a thing
    /// whose parent is unknown is a root.
    pub fn set_things(&mut self, things: Vec<Thing>) {
        let standing =
            |t: &Thing| Standing { id: t.path.id(), place: None, like: None, is_made: false, retired: false };
        self.standings = things.iter().map(standing).collect();
        self.things = things;
        self.arrange();
        self.assign_tags(|site, tag| nearest(&site.by_path, tag.path.thing()));
    }

    /// Replaces all tags; their order is their [`TagId`].
    pub fn set_tags(&mut self, tags: Vec<Tag>) {
        self.take_tags(tags);
        self.assign_tags(|site, tag| nearest(&site.by_path, tag.path.thing()));
    }

    /// Becomes what the record says. Does as little as the difference asks for.
    pub fn follow(&mut self, fold: &Fold) {
        let (mut is_changed, mut is_rearranged) = (false, self.things.len() != fold.things().len());
        self.things.truncate(fold.things().len());
        self.standings.truncate(fold.things().len());
        for (at, state) in fold.things().iter().enumerate() {
            let ThingState { id, thing, model, like, place, retired } = state;
            let (is_made, retired) = (model.is_none(), *retired);
            let standing = Standing { id: *id, place: *place, like: *like, is_made, retired };
            if at == self.things.len() {
                self.things.push(thing.clone());
                self.standings.push(standing);
                continue;
            }
            is_rearranged |= self.things[at].path != thing.path || self.standings[at].retired != retired;
            if self.things[at] != *thing || self.standings[at] != standing {
                self.things[at].clone_from(thing);
                self.standings[at] = standing;
                is_changed = true;
            }
        }
        let has_other_tags = self.tags != fold.tags();
        if is_rearranged {
            self.arrange();
        }
        if has_other_tags {
            self.take_tags(fold.tags().to_vec());
        }
        if is_rearranged || has_other_tags {
            self.assign_tags(|site, tag| site.find_id(fold.thing_of_tag(&tag.path)?.id));
        } else if is_changed {
            self.revision += 1;
        }
    }

    /// Makes the tree from the paths. What is retired is in no tree, but is found.
    fn arrange(&mut self) {
        let things = &self.things;
        self.by_path = things.iter().enumerate().map(|(i, t)| (t.path.clone(), ThingIndex(i))).collect();
        self.by_id = self.standings.iter().enumerate().map(|(i, s)| (s.id, ThingIndex(i))).collect();
        self.parents = things.iter().map(|t| nearest(&self.by_path, t.path.parent())).collect();
        self.children = vec![Vec::new(); things.len()];
        self.roots.clear();
        let up = |from: usize| std::iter::successors(Some(from), |at| self.parents[*at].map(|parent| parent.0));
        self.retired = (0..things.len()).map(|i| up(i).any(|at| self.standings[at].retired)).collect();
        for (i, parent) in self.parents.iter().enumerate().filter(|(i, _)| !self.retired[*i]) {
            match parent {
                Some(parent) => self.children[parent.0].push(ThingIndex(i)),
                None => self.roots.push(ThingIndex(i)),
            }
        }
    }

    fn take_tags(&mut self, tags: Vec<Tag>) {
        self.tag_by_path = (0..).zip(&tags).map(|(id, tag)| (tag.path.clone(), TagId(id))).collect();
        self.tags = tags;
    }

    /// Gives each thing the tags that belong to it and to no nearer thing.
    fn assign_tags(&mut self, thing_of: impl Fn(&Self, &Tag) -> Option<ThingIndex>) {
        let mut tags_of = vec![Vec::new(); self.things.len()];
        for (id, tag) in (0..).zip(&self.tags) {
            if let Some(thing) = thing_of(self, tag) {
                tags_of[thing.0].push(TagId(id));
            }
        }
        self.tags_of = tags_of;
        self.revision += 1;
    }

    /// All things, retired ones too, in the order of the record.
    pub fn things(&self) -> &[Thing] {
        &self.things
    }

    /// All tags, in the order of their ids.
    pub fn tags(&self) -> &[Tag] {
        &self.tags
    }

    /// One thing.
    pub fn thing(&self, index: ThingIndex) -> Option<&Thing> {
        self.things.get(index.0)
    }

    /// The things that are in the plant.
    pub fn present(&self) -> impl Iterator<Item = ThingIndex> {
        (0..self.things.len()).filter(|i| !self.retired[*i]).map(ThingIndex)
    }

    /// What people have made of a thing.
    pub fn standing(&self, index: ThingIndex) -> Option<&Standing> {
        self.standings.get(index.0)
    }

    /// Whether a thing was taken out of the plant, itself or with what it is part of.
    pub fn is_retired(&self, index: ThingIndex) -> bool {
        self.retired.get(index.0).copied().unwrap_or(false)
    }

    /// What a tag means.
    pub fn tag(&self, id: TagId) -> Option<&Tag> {
        self.tags.get(id.0 as usize)
    }

    /// The tag at a path.
    pub fn tag_id(&self, path: &TagPath) -> Option<TagId> {
        self.tag_by_path.get(path).copied()
    }

    /// The tags of one thing itself, without those of its parts.
    pub fn tags_of(&self, thing: ThingIndex) -> &[TagId] {
        self.tags_of.get(thing.0).map_or(&[], Vec::as_slice)
    }

    /// The tag of this name of one thing.
    pub fn tag_named(&self, thing: ThingIndex, name: &str) -> Option<TagId> {
        self.tags_of(thing).iter().copied().find(|id| self.tags[id.0 as usize].path.name() == name)
    }

    /// Things that are part of no other.
    pub fn roots(&self) -> &[ThingIndex] {
        &self.roots
    }

    /// The parts of a thing.
    pub fn children(&self, thing: ThingIndex) -> &[ThingIndex] {
        self.children.get(thing.0).map_or(&[], Vec::as_slice)
    }

    /// What a thing is part of.
    pub fn parent(&self, thing: ThingIndex) -> Option<ThingIndex> {
        self.parents.get(thing.0).copied().flatten()
    }

    /// The thing at a path.
    pub fn find(&self, path: &str) -> Option<ThingIndex> {
        self.by_path.get(path).copied()
    }

    /// The thing with an identity.
    pub fn find_id(&self, id: ThingId) -> Option<ThingIndex> {
        self.by_id.get(&id).copied()
    }

    /// The thing and all its parts, itself first.
    pub fn subtree(&self, thing: ThingIndex) -> Vec<ThingIndex> {
        let mut all = vec![thing];
        let mut next = 0;
        while let Some(&at) = all.get(next) {
            all.extend_from_slice(self.children(at));
            next += 1;
        }
        all
    }
}

/// The thing at `path`, or else the nearest one above it.
fn nearest(by_path: &HashMap<ThingPath, ThingIndex>, mut path: Option<ThingPath>) -> Option<ThingIndex> {
    while let Some(at) = path {
        if let Some(&index) = by_path.get(&at) {
            return Some(index);
        }
        path = at.parent();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use gemba_twin::sample::ValueKind;
    use gemba_twin::tag::Unit;
    use gemba_twin::thing::{Class, Level};

    fn site(things: &[&str], tags: &[&str]) -> Site {
        let mut site = Site::default();
        let thing = |path: &&str| Thing {
            path: path.parse().unwrap(),
            level: Level::Part,
            class: Class::Other,
            bindings: Vec::new(),
        };
        let tag = |path: &&str| Tag {
            path: path.parse().unwrap(),
            kind: ValueKind::Float,
            unit: Unit::default(),
            range: None,
            writable: false,
        };
        site.set_things(things.iter().map(thing).collect());
        site.set_tags(tags.iter().map(tag).collect());
        site
    }

    #[test]
    fn a_tag_belongs_to_the_nearest_thing_above_it() {
        let site = site(&["Hall1", "Hall1/Robot1"], &["Hall1/Robot1/Joint1/Angle", "Hall1/Light", "Elsewhere/X"]);
        let robot = site.find("Hall1/Robot1").unwrap();
        assert_eq!(site.tags_of(robot), [TagId(0)]);
        assert_eq!(site.tags_of(site.find("Hall1").unwrap()), [TagId(1)]);
    }

    #[test]
    fn a_subtree_holds_every_part_however_deep() {
        let site = site(&["a/b/c", "a", "a/b", "d"], &[]);
        let names: Vec<_> =
            site.subtree(site.find("a").unwrap()).iter().map(|t| site.thing(*t).unwrap().path.as_str()).collect();
        assert_eq!(names, ["a", "a/b", "a/b/c"]);
    }
}
