//! Where labels go so that they never pile up: the most important first, each in the first free place beside its
//! anchor. What is shown stays while it can, so that labels do not flicker. No drawing; time is passed in.

use std::collections::HashMap;

use bevy_egui::egui::{Pos2, Rect, Vec2, vec2};

use crate::site::ThingIndex;

/// Most labels shown: a person reads no more at a glance.
pub(super) const LIMIT: usize = 40;
/// Most labels for which room is sought; the rest is further away than all of these.
const SOUGHT: usize = 160;
/// A label that has come stays so long unless something more important covers it, seconds.
const STAY_SECS: f64 = 0.5;
/// One that is shown counts as this much nearer than it is.
const SHOWN_NEARER: f32 = 0.8;
/// Free room between two labels, points.
const GAP: f32 = 3.0;
/// Square points of the view for each label: more of them would hide what they name.
const ROOM: f32 = 24_000.0;
/// From the anchor to the label, points.
const LEADER: f32 = 14.0;

/// What a label belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Owner {
    /// Another person, by peer number.
    Person(u16),
    /// A thing.
    Thing(ThingIndex),
}

/// How important a label is, most important first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    Person,
    Selected,
    Faulted,
    Warning,
    Ordinary,
}

/// A label that would like to be shown.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Candidate {
    pub(super) owner: Owner,
    pub(super) rank: Rank,
    /// Where on the screen its owner is, points.
    pub(super) anchor: Pos2,
    /// Size of the label, points.
    pub(super) size: Vec2,
    /// From the eye to its owner, metres.
    pub(super) distance: f32,
}

/// A label that has found its place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Placed {
    /// Which of the candidates.
    pub(super) candidate: usize,
    /// Its place on the screen, points.
    pub(super) rect: Rect,
    /// 0 to 1 while it comes.
    pub(super) opacity: f32,
}

/// A label that was shown in the last frame.
#[derive(Debug, Clone, Copy)]
struct Shown {
    since_secs: f64,
    slot: usize,
}

/// What was shown in the last frame.
#[derive(Debug, Default)]
pub(super) struct Placement {
    shown: HashMap<Owner, Shown>,
}

impl Placement {
    /// Whether a label was shown in the last frame.
    pub(super) fn is_shown(&self, owner: Owner) -> bool {
        self.shown.contains_key(&owner)
    }

    /// Finds places within `area` at `now_secs`. No two of them overlap.
    pub(super) fn place(&mut self, candidates: &[Candidate], area: Rect, now_secs: f64) -> Vec<Placed> {
        let most = LIMIT.min((area.area() / ROOM) as usize);
        let mut placed: Vec<Placed> = Vec::new();
        let mut shown = HashMap::new();
        for candidate in self.in_order(candidates, now_secs).into_iter().take(SOUGHT) {
            if placed.len() >= most {
                break;
            }
            let wanted = &candidates[candidate];
            let before = self.shown.get(&wanted.owner);
            let free = |rect: &Rect| {
                area.contains_rect(*rect) && placed.iter().all(|other| !other.rect.expand(GAP).intersects(*rect))
            };
            // The place it has comes first: a label that hops about cannot be read.
            let slots = before.map(|b| b.slot).into_iter().chain(0..SLOTS);
            let found = slots.map(|slot| (slot, slot_rect(slot, wanted))).find(|(_, rect)| free(rect));
            let Some((slot, rect)) = found else { continue };
            let since_secs = before.map_or(now_secs, |b| b.since_secs);
            shown.insert(wanted.owner, Shown { since_secs, slot });
            let opacity = ((now_secs - since_secs) / 0.15).clamp(0.15, 1.0) as f32;
            placed.push(Placed { candidate, rect, opacity });
        }
        self.shown = shown;
        placed
    }

    /// The candidates, most important first.
    fn in_order(&self, candidates: &[Candidate], now_secs: f64) -> Vec<usize> {
        let key = |candidate: &Candidate| {
            let shown = self.shown.get(&candidate.owner);
            let stays = candidate.rank >= Rank::Warning && shown.is_some_and(|s| now_secs - s.since_secs < STAY_SECS);
            let nearer = if shown.is_some() { SHOWN_NEARER } else { 1.0 };
            let rank = if stays { Rank::Warning } else { candidate.rank };
            (rank, !stays, candidate.distance * nearer, candidate.owner)
        };
        let mut order: Vec<_> = candidates.iter().map(key).zip(0..).collect();
        order.sort_by(|((rank_a, new_a, near_a, owner_a), _), ((rank_b, new_b, near_b, owner_b), _)| {
            (rank_a, new_a)
                .cmp(&(rank_b, new_b))
                .then_with(|| near_a.total_cmp(near_b))
                .then_with(|| owner_a.cmp(owner_b))
        });
        order.into_iter().map(|(_, candidate)| candidate).collect()
    }
}

/// Places tried around an anchor.
const SLOTS: usize = 5;

fn slot_rect(slot: usize, candidate: &Candidate) -> Rect {
    let Candidate { anchor, size, .. } = candidate;
    let above = vec2(0.0, -LEADER - size.y / 2.0);
    let aside = size.x / 2.0 + LEADER;
    let offset = match slot {
        0 => above,
        1 => vec2(aside, above.y),
        2 => vec2(-aside, above.y),
        3 => above - vec2(0.0, size.y + GAP * 2.0),
        _ => above - vec2(0.0, (size.y + GAP * 2.0) * 2.0),
    };
    // Whole points, so that the text stays sharp.
    let least = (*anchor + offset - *size / 2.0).round();
    Rect::from_min_size(least, *size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bevy_egui::egui::pos2;

    const AREA: Rect = Rect { min: Pos2::ZERO, max: Pos2 { x: 800.0, y: 500.0 } };

    fn thing(index: usize, rank: Rank, at: (f32, f32), distance: f32) -> Candidate {
        let owner = Owner::Thing(ThingIndex(index));
        Candidate { owner, rank, anchor: pos2(at.0, at.1), size: vec2(90.0, 22.0), distance }
    }

    /// A crowd: anchors from a small generator of its own, so that it is the same everywhere.
    fn crowd(count: usize, shift: f32) -> Vec<Candidate> {
        let mut seed = 7u64;
        let mut random = |most: f32| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 40) as f32 / (1u64 << 24) as f32 * most
        };
        (0..count).map(|i| thing(i, Rank::Ordinary, (random(800.0) + shift, random(500.0)), random(60.0))).collect()
    }

    fn owners(candidates: &[Candidate], placed: &[Placed]) -> Vec<Owner> {
        placed.iter().map(|p| candidates[p.candidate].owner).collect()
    }

    #[test]
    fn no_two_labels_ever_overlap_or_leave_the_view() {
        let mut placement = Placement::default();
        for frame in 0..50 {
            let candidates = crowd(300, frame as f32 * 3.0);
            let placed = placement.place(&candidates, AREA, f64::from(frame) * 0.016);
            assert!(placed.len() > 10 && placed.len() <= LIMIT);
            for (i, a) in placed.iter().enumerate() {
                assert!(AREA.contains_rect(a.rect));
                assert!(placed[..i].iter().all(|b| !a.rect.intersects(b.rect)), "frame {frame}");
            }
        }
    }

    #[test]
    fn in_a_crowd_the_most_important_label_wins() {
        let spot = (400.0, 250.0);
        let mut candidates: Vec<_> = (0..20).map(|i| thing(i, Rank::Ordinary, spot, 1.0 + i as f32)).collect();
        candidates.push(thing(98, Rank::Faulted, spot, 50.0));
        candidates.push(thing(99, Rank::Selected, spot, 60.0));
        let placed = Placement::default().place(&candidates, AREA, 0.0);
        let things: Vec<_> = owners(&candidates, &placed);
        assert_eq!(things[..3], [99, 98, 0].map(|i| Owner::Thing(ThingIndex(i))));
    }

    #[test]
    fn a_tiny_motion_of_the_camera_changes_no_choice() {
        let mut placement = Placement::default();
        let first = crowd(200, 0.0);
        let chosen = owners(&first, &placement.place(&first, AREA, 0.0));
        for frame in 1..20 {
            let candidates = crowd(200, if frame % 2 == 0 { 0.0 } else { 0.3 });
            let placed = placement.place(&candidates, AREA, f64::from(frame) * 0.016);
            let now = owners(&candidates, &placed);
            let kept = chosen.iter().filter(|owner| now.contains(owner)).count();
            assert!(kept + 1 >= chosen.len(), "frame {frame}: {kept} of {} stayed", chosen.len());
        }
    }

    #[test]
    fn a_label_stays_half_a_second_though_another_comes_nearer() {
        let mut placement = Placement::default();
        // So wide that only one of them has room.
        let wide = |index, distance| Candidate {
            size: vec2(780.0, 300.0),
            ..thing(index, Rank::Ordinary, (400.0, 400.0), distance)
        };
        let first = |placed: &[Placed], candidates: &[Candidate]| owners(candidates, placed);
        let alone = [wide(1, 10.0)];
        placement.place(&alone, AREA, 0.0);
        let both = [wide(1, 10.0), wide(2, 1.0)];
        let at = |placement: &mut Placement, secs| first(&placement.place(&both, AREA, secs), &both);
        assert_eq!(at(&mut placement, 0.3), [Owner::Thing(ThingIndex(1))]);
        assert_eq!(at(&mut placement, 0.6), [Owner::Thing(ThingIndex(2))]);
    }

    #[test]
    fn a_selected_thing_takes_its_place_at_once() {
        let mut placement = Placement::default();
        let wide = |index, rank| Candidate { size: vec2(780.0, 300.0), ..thing(index, rank, (400.0, 400.0), 5.0) };
        placement.place(&[wide(1, Rank::Ordinary)], AREA, 0.0);
        let candidates = [wide(1, Rank::Ordinary), wide(2, Rank::Selected)];
        let placed = placement.place(&candidates, AREA, 0.1);
        assert_eq!(owners(&candidates, &placed), [Owner::Thing(ThingIndex(2))]);
    }
}
