//! The rows of the tree: what is expanded, what a search finds, in which order. No drawing; rebuilt only when the site,
//! the query or the expansion has changed.

use std::cmp::Ordering;
use std::collections::HashSet;

use gemba_twin::thing::Level;

use crate::site::{Site, ThingIndex};

/// A first look shows whole lines only while there are this few of them.
const LINES_OPEN_AT_FIRST: usize = 2;

/// One row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) thing: ThingIndex,
    /// How far to the right.
    pub(super) depth: usize,
    pub(super) has_parts: bool,
    pub(super) expanded: bool,
}

/// All rows, in order.
#[derive(Debug, Default)]
pub(super) struct Rows {
    rows: Vec<Row>,
    expanded: HashSet<ThingIndex>,
    query: String,
    revision: Option<u64>,
    changed: bool,
    /// Paths in lower case, for the search; made when first searched.
    lower: Vec<String>,
}

impl Rows {
    pub(super) fn all(&self) -> &[Row] {
        &self.rows
    }

    /// Whether the rows are what a search found.
    pub(super) fn searched(&self) -> bool {
        !self.query.trim().is_empty()
    }

    /// The row of a thing, if it has one.
    pub(super) fn position(&self, thing: ThingIndex) -> Option<usize> {
        self.rows.iter().position(|row| row.thing == thing)
    }

    /// Opens or closes a thing.
    pub(super) fn toggle(&mut self, thing: ThingIndex) {
        if !self.expanded.remove(&thing) {
            self.expanded.insert(thing);
        }
        self.changed = true;
    }

    /// Opens everything above a thing.
    pub(super) fn reveal(&mut self, site: &Site, thing: ThingIndex) {
        let mut above = site.parent(thing);
        while let Some(at) = above {
            self.changed |= self.expanded.insert(at);
            above = site.parent(at);
        }
    }

    /// Brings the rows up to date; does nothing when nothing has changed.
    pub(super) fn update(&mut self, site: &Site, query: &str) {
        if self.revision != Some(site.revision) {
            if self.expanded.is_empty() {
                self.open_at_first(site);
            }
            self.lower.clear();
            self.revision = Some(site.revision);
            self.changed = true;
        }
        if self.query != query {
            self.query = query.to_owned();
            self.changed = true;
        }
        if std::mem::take(&mut self.changed) {
            self.rows = if self.searched() { self.found(site) } else { self.unfolded(site) };
        }
    }

    fn open_at_first(&mut self, site: &Site) {
        let lines = site.things().iter().filter(|t| t.level == Level::Line).count();
        for &root in site.roots() {
            self.expanded.insert(root);
            let is_line = |at: &&ThingIndex| site.thing(**at).is_some_and(|t| t.level == Level::Line);
            let below = site.children(root).iter().filter(is_line);
            self.expanded.extend(below.filter(|_| lines <= LINES_OPEN_AT_FIRST));
        }
    }

    fn unfolded(&self, site: &Site) -> Vec<Row> {
        let mut rows = Vec::new();
        // The next one to show lies on top.
        let mut waiting: Vec<(ThingIndex, usize)> =
            ordered(site, site.roots()).into_iter().rev().map(|t| (t, 0)).collect();
        while let Some((index, depth)) = waiting.pop() {
            let has_parts = !site.children(index).is_empty();
            let expanded = has_parts && self.expanded.contains(&index);
            rows.push(Row { thing: index, depth, has_parts, expanded });
            if expanded {
                waiting.extend(ordered(site, site.children(index)).into_iter().rev().map(|t| (t, depth + 1)));
            }
        }
        rows
    }

    /// Things whose path holds every word of the query, wherever, in any case.
    fn found(&mut self, site: &Site) -> Vec<Row> {
        if self.lower.len() != site.things().len() {
            self.lower = site.things().iter().map(|t| t.path.as_str().to_lowercase()).collect();
        }
        let query = self.query.to_lowercase();
        let words: Vec<&str> = query.split_whitespace().collect();
        let found = site.present().filter(|thing| words.iter().all(|word| self.lower[thing.0].contains(word)));
        found.map(|thing| Row { thing, depth: 0, has_parts: false, expanded: false }).collect()
    }
}

/// Machines before their parts and walls, then by name as people count: `Joint2` before `Joint10`.
fn ordered(site: &Site, things: &[ThingIndex]) -> Vec<ThingIndex> {
    let mut things = things.to_vec();
    let key = |t: &ThingIndex| site.thing(*t).map(|t| (t.level, t.path.name()));
    things.sort_by(|a, b| match (key(a), key(b)) {
        (Some((level_a, name_a)), Some((level_b, name_b))) => {
            level_a.cmp(&level_b).then_with(|| as_counted(name_a, name_b))
        }
        (a, b) => a.is_some().cmp(&b.is_some()),
    });
    things
}

/// Compares names with the numbers in them taken as numbers.
fn as_counted(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    while let (Some(first_a), Some(first_b)) = (a.chars().next(), b.chars().next()) {
        let (digits_a, digits_b) = (digits(a), digits(b));
        let order = if digits_a.is_empty() || digits_b.is_empty() {
            a = &a[first_a.len_utf8()..];
            b = &b[first_b.len_utf8()..];
            first_a.cmp(&first_b)
        } else {
            a = &a[digits_a.len()..];
            b = &b[digits_b.len()..];
            let (value_a, value_b) = (digits_a.trim_start_matches('0'), digits_b.trim_start_matches('0'));
            value_a.len().cmp(&value_b.len()).then_with(|| value_a.cmp(value_b))
        };
        if order.is_ne() {
            return order;
        }
    }
    a.len().cmp(&b.len())
}

fn digits(text: &str) -> &str {
    &text[..text.bytes().take_while(u8::is_ascii_digit).count()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use gemba_twin::thing::{Class, Thing};

    fn site(paths: &[&str]) -> Site {
        let level =
            |path: &str| if path.contains("Robot") && !path.contains("Joint") { Level::Unit } else { Level::Part };
        let mut site = Site::default();
        let things = paths.iter().map(|path| Thing {
            path: path.parse().unwrap(),
            level: level(path),
            class: Class::Other,
            bindings: Vec::new(),
        });
        site.set_things(things.collect());
        site
    }

    fn names<'a>(rows: &Rows, site: &'a Site) -> Vec<&'a str> {
        rows.all().iter().map(|row| site.thing(row.thing).unwrap().path.as_str()).collect()
    }

    const PLANT: [&str; 6] =
        ["Hall1/Wall1", "Hall1", "Hall1/Robot10", "Hall1/Robot2", "Hall1/Robot2/Joint1", "Hall1/Robot2/Joint1/Cover"];

    #[test]
    fn machines_come_first_and_numbers_count() {
        let site = site(&PLANT);
        let mut rows = Rows::default();
        rows.update(&site, "");
        assert_eq!(names(&rows, &site), ["Hall1", "Hall1/Robot2", "Hall1/Robot10", "Hall1/Wall1"]);
    }

    #[test]
    fn revealing_opens_every_ancestor() {
        let site = site(&PLANT);
        let mut rows = Rows::default();
        rows.update(&site, "");
        let cover = site.find("Hall1/Robot2/Joint1/Cover").unwrap();
        assert_eq!(rows.position(cover), None);
        rows.reveal(&site, cover);
        rows.update(&site, "");
        assert_eq!(rows.position(cover), Some(3));
    }

    #[test]
    fn a_search_finds_any_part_of_the_path_in_any_case() {
        let site = site(&PLANT);
        let mut rows = Rows::default();
        rows.update(&site, "ROBOT2 joint");
        assert_eq!(names(&rows, &site), ["Hall1/Robot2/Joint1", "Hall1/Robot2/Joint1/Cover"]);
        rows.update(&site, "nothing like it");
        assert!(rows.all().is_empty());
        rows.update(&site, " ");
        assert_eq!(rows.all().len(), 4, "blanks are no search");
    }

    #[test]
    fn a_hundred_thousand_things_are_searched_while_a_key_is_held() {
        let paths: Vec<String> = (0..100_000).map(|i| format!("Hall{}/Line{}/Part{i}", i / 10_000, i / 500)).collect();
        let site = site(&paths.iter().map(String::as_str).collect::<Vec<_>>());
        let mut rows = Rows::default();
        rows.update(&site, "part");
        assert_eq!(rows.all().len(), 100_000);
        rows.update(&site, "part99999");
        assert_eq!(rows.all().len(), 1);
    }

    #[test]
    fn long_numbers_compare_without_overflow() {
        assert!(as_counted("a99999999999999999999999", "a100000000000000000000000").is_lt());
        assert!(as_counted("a007", "a7b").is_lt());
        assert!(as_counted("ä2", "ä10").is_lt());
    }
}
