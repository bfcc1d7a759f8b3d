//! Finds room for labels: the most important first, each in one of a few slots around its anchor, none over another.
//! A label that was shown keeps its slot where it can, and weighs a little more than one that was not, so that nothing
//! flickers while the camera moves.

use bevy_egui::egui::{Pos2, Rect, Vec2, vec2};

/// A label that would like to be shown.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    /// Stable name of what it labels.
    pub(super) key: u64,
    /// More is placed first.
    pub(super) importance: f32,
    /// What it points at.
    pub(super) anchor: Pos2,
    /// Its size.
    pub(super) size: Vec2,
    /// Where it was shown in the last frame.
    pub(super) slot_before: Option<u8>,
}

/// A label that has found room.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Placed {
    /// Index of the candidate.
    pub(super) candidate: usize,
    /// Which slot.
    pub(super) slot: u8,
    /// Where.
    pub(super) rect: Rect,
}

/// Where a label's bottom middle may stand from its anchor, in heights and widths of itself.
const SLOTS: [Vec2; 6] =
    [vec2(0.0, -0.8), vec2(0.45, -1.0), vec2(-0.45, -1.0), vec2(0.0, -2.0), vec2(0.5, -2.4), vec2(-0.5, -2.4)];
/// What having been shown is worth.
const LOYALTY: f32 = 1.3;

/// Places at most `most` labels within `screen`.
pub(super) fn place(candidates: &[Candidate], screen: Rect, most: usize) -> Vec<Placed> {
    let weight = |c: &Candidate| c.importance * if c.slot_before.is_some() { LOYALTY } else { 1.0 };
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    order.sort_by(|a, b| {
        let (a, b) = (&candidates[*a], &candidates[*b]);
        weight(b).total_cmp(&weight(a)).then(a.key.cmp(&b.key))
    });
    let mut placed: Vec<Placed> = Vec::new();
    for index in order {
        if placed.len() == most {
            break;
        }
        let candidate = &candidates[index];
        let slots = candidate.slot_before.into_iter().chain(0..SLOTS.len() as u8);
        let free = slots.map(|slot| (slot, rect(candidate, slot))).find(|(_, rect)| {
            screen.contains_rect(*rect) && placed.iter().all(|other| !other.rect.expand(2.0).intersects(*rect))
        });
        if let Some((slot, rect)) = free {
            placed.push(Placed { candidate: index, slot, rect });
        }
    }
    placed
}

fn rect(candidate: &Candidate, slot: u8) -> Rect {
    let offset = SLOTS[usize::from(slot) % SLOTS.len()] * candidate.size;
    Rect::from_center_size(candidate.anchor + offset - vec2(0.0, candidate.size.y / 2.0), candidate.size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bevy_egui::egui::pos2;

    const SCREEN: Rect = Rect { min: pos2(0.0, 0.0), max: pos2(800.0, 600.0) };

    fn candidate(key: u64, importance: f32, x: f32, y: f32) -> Candidate {
        Candidate { key, importance, anchor: pos2(x, y), size: vec2(80.0, 18.0), slot_before: None }
    }

    #[test]
    fn labels_never_lie_over_each_other() {
        let crowd: Vec<_> = (0..200).map(|i| candidate(i, 1.0, 100.0 + (i % 20) as f32 * 9.0, 300.0 + (i / 20) as f32 * 7.0)).collect();
        let placed = place(&crowd, SCREEN, 100);
        assert!(placed.len() > 10, "only {} found room", placed.len());
        for (i, a) in placed.iter().enumerate() {
            assert!(placed[i + 1..].iter().all(|b| !a.rect.intersects(b.rect)));
        }
    }

    #[test]
    fn the_most_important_label_gets_the_room() {
        let crowd: Vec<_> = (0..50).map(|i| candidate(i, if i == 33 { 5.0 } else { 1.0 }, 400.0, 300.0)).collect();
        let placed = place(&crowd, SCREEN, 1);
        assert_eq!(placed[0].candidate, 33);
    }

    #[test]
    fn a_label_that_was_shown_keeps_its_slot_when_the_camera_moves_a_little() {
        let mut crowd = vec![candidate(1, 1.0, 400.0, 300.0), candidate(2, 1.1, 410.0, 302.0)];
        let before = place(&crowd, SCREEN, 10);
        for p in &before {
            crowd[p.candidate].slot_before = Some(p.slot);
            crowd[p.candidate].anchor += vec2(3.0, -1.0);
        }
        // The other one is now a little more important; nobody shall see anything jump.
        crowd[0].importance = 1.15;
        let mut slots = |placed: Vec<Placed>| {
            let mut slots: Vec<_> = placed.iter().map(|p| (p.candidate, p.slot)).collect();
            slots.sort_unstable();
            slots
        };
        let (a, b) = (slots(before), slots(place(&crowd, SCREEN, 10)));
        assert_eq!(a.len(), 2);
        assert_eq!(a.iter().map(|s| s.0).collect::<Vec<_>>(), b.iter().map(|s| s.0).collect::<Vec<_>>());
    }

    #[test]
    fn a_label_that_would_leave_the_screen_is_not_shown() {
        assert_eq!(place(&[candidate(1, 1.0, -200.0, 300.0)], SCREEN, 10), []);
    }
}
