//! What the inspector is about: the selected thing, its tags grouped by part, and which of them are plotted.

use gemba_twin::layout::tags;
use gemba_twin::path::TagId;
use gemba_twin::sample::ValueKind;

use crate::site::{Site, ThingIndex};

/// Most curves at once: more would leave no room to read one.
pub(super) const PLOTS: usize = 6;
/// Curves shown without being asked for.
const PLOTS_AT_FIRST: usize = 2;
/// Most rows listed; a hall has tens of thousands of tags, which nobody reads in one table.
const ROWS: usize = 20_000;

/// What a person most likely wants to see over time, most wanted first.
const INTERESTING: [&str; 11] = [
    tags::LEVEL,
    tags::TEMPERATURE,
    tags::SPINDLE_LOAD,
    tags::FLOW,
    tags::PRESSURE,
    tags::SPEED,
    tags::POSITION,
    tags::BATTERY,
    tags::ANGLE,
    tags::CURRENT,
    tags::OEE[0],
];

/// A row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Row {
    /// The part whose tags follow.
    Part(ThingIndex),
    /// One tag.
    Tag(TagId),
}

/// The selected thing, as the inspector shows it.
#[derive(Debug)]
pub(super) struct Subject {
    pub(super) thing: ThingIndex,
    pub(super) revision: u64,
    pub(super) rows: Vec<Row>,
    /// Tags with a curve, in the order they were chosen.
    pub(super) plotted: Vec<TagId>,
}

impl Subject {
    /// Gathers what there is to show of a thing.
    pub(super) fn of(site: &Site, thing: ThingIndex) -> Self {
        let mut rows = Vec::new();
        for part in depth_first(site, thing) {
            let tags = by_name(site, site.tags_of(part));
            if tags.is_empty() || rows.len() >= ROWS {
                continue;
            }
            if part != thing {
                rows.push(Row::Part(part));
            }
            rows.extend(tags.into_iter().map(Row::Tag));
        }
        rows.truncate(ROWS);
        let plotted = interesting(site, thing, &rows);
        Self { thing, revision: site.revision, rows, plotted }
    }

    /// With the curves that were chosen before an edit of the same thing.
    pub(super) fn with_curves_of(mut self, before: &Subject) -> Self {
        self.plotted = before.plotted.iter().copied().filter(|tag| self.rows.contains(&Row::Tag(*tag))).collect();
        self
    }

    /// Plots a tag, or no longer; the oldest curve makes room when there are too many.
    pub(super) fn toggle(&mut self, tag: TagId) {
        if let Some(at) = self.plotted.iter().position(|plotted| *plotted == tag) {
            self.plotted.remove(at);
            return;
        }
        if self.plotted.len() == PLOTS {
            self.plotted.remove(0);
        }
        self.plotted.push(tag);
    }
}

/// Whether a tag's values can be drawn as a curve that means something.
pub(super) fn can_be_plotted(site: &Site, tag: TagId) -> bool {
    site.tag(tag).is_some_and(|tag| tag.kind != ValueKind::Text && tag.path.name() != tags::STATE)
}

/// The state first, then by name: devices declare their tags in no order a person would know.
fn by_name(site: &Site, tags: &[TagId]) -> Vec<TagId> {
    let mut ordered = tags.to_vec();
    ordered.sort_by_key(|id| site.tag(*id).map(|tag| (tag.path.name() != tags::STATE, tag.path.name())));
    ordered
}

/// The tags to plot unasked: those of the thing itself before those of its parts.
fn interesting(site: &Site, thing: ThingIndex, rows: &[Row]) -> Vec<TagId> {
    let own = site.tags_of(thing);
    let wanted = |tag: TagId| INTERESTING.iter().position(|name| site.tag(tag).is_some_and(|t| t.path.name() == *name));
    let tags = rows.iter().filter_map(|row| if let Row::Tag(tag) = row { Some(*tag) } else { None });
    let mut ranked: Vec<_> = tags.filter_map(|tag| Some((!own.contains(&tag), wanted(tag)?, tag))).collect();
    ranked.sort_by_key(|(of_part, rank, _)| (*of_part, *rank));
    ranked.into_iter().map(|(.., tag)| tag).filter(|tag| can_be_plotted(site, *tag)).take(PLOTS_AT_FIRST).collect()
}

/// A thing and its parts, each part followed by its own.
fn depth_first(site: &Site, thing: ThingIndex) -> Vec<ThingIndex> {
    let (mut all, mut waiting) = (Vec::new(), vec![thing]);
    while let Some(at) = waiting.pop() {
        all.push(at);
        waiting.extend(site.children(at).iter().rev());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use gemba_twin::tag::{Tag, Unit};
    use gemba_twin::thing::{Class, Level, Thing};

    fn robot() -> Site {
        let mut site = Site::default();
        let thing = |path: &str| Thing {
            path: path.parse().unwrap(),
            level: Level::Part,
            class: Class::Robot,
            bindings: Vec::new(),
        };
        let tag = |path: &str| Tag {
            path: path.parse().unwrap(),
            kind: ValueKind::Float,
            unit: Unit::default(),
            range: None,
            writable: false,
        };
        site.set_things(["Robot1", "Robot1/Joint1", "Robot1/Joint1/Joint2", "Robot2"].map(thing).to_vec());
        let paths =
            ["Robot1/State", "Robot1/Joint1/Angle", "Robot1/Joint1/Joint2/Angle", "Robot2/State", "Robot1/Gripper"];
        site.set_tags(paths.map(tag).to_vec());
        site
    }

    #[test]
    fn a_robot_shows_the_tags_of_its_joints_under_their_names() {
        let site = robot();
        let subject = Subject::of(&site, ThingIndex(0));
        let (part, tag) = (|i| Row::Part(ThingIndex(i)), |i| Row::Tag(TagId(i)));
        assert_eq!(subject.rows, [tag(0), tag(4), part(1), tag(1), part(2), tag(2)]);
    }

    #[test]
    fn the_most_telling_curves_come_first_and_a_state_is_no_curve() {
        let site = robot();
        assert_eq!(Subject::of(&site, ThingIndex(0)).plotted, [TagId(1), TagId(2)]);
        assert!(!can_be_plotted(&site, TagId(0)));
    }

    #[test]
    fn an_edit_of_what_is_selected_leaves_the_curves_alone() {
        let site = robot();
        let mut before = Subject::of(&site, ThingIndex(0));
        before.toggle(TagId(4));
        let chosen = before.plotted.clone();
        assert_eq!(Subject::of(&site, ThingIndex(0)).with_curves_of(&before).plotted, chosen);
    }

    #[test]
    fn one_curve_too_many_takes_the_place_of_the_oldest() {
        let mut subject = Subject::of(&robot(), ThingIndex(3));
        assert!(subject.plotted.is_empty());
        (0..=PLOTS as u32).for_each(|i| subject.toggle(TagId(i)));
        assert_eq!(subject.plotted.first(), Some(&TagId(1)));
        assert_eq!(subject.plotted.len(), PLOTS);
        subject.toggle(TagId(3));
        assert!(!subject.plotted.contains(&TagId(3)));
    }
}
