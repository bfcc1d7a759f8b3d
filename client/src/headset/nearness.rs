//! How near the panel is: before whatever of the plant stands between, at the same angle, so that nobody reads through a
//! tank. It comes at once and goes back only when there has been room for a while. The plant never hides it in any case
//! ([`front`](super::front)); but eyes that see it drawn over something nearer see that double.
//!
//! What a hand puts into the plant, or wears, stays as it was put.

use bevy::prelude::*;
use gemba_xr::{HeadsetFigures, Rig};

use super::footing::Surfaces;
use super::hold::Hold;
use super::panel::Panel;

/// Columns and rows of the ways to the panel that are looked along.
const WAYS: (usize, usize) = (7, 3);
const COUNT: usize = WAYS.0 * WAYS.1;
/// Looked along a second: one a frame at 90 Hz, so that all are known within a quarter of a second.
const WAYS_A_SEC: f32 = 89.0;
/// Nearest, as a share of the panel's own distance: half a metre, from where on eyes strain.
const NEAREST: f32 = 0.42;
/// Room between the panel and what stands behind it, as such a share.
const ROOM: f32 = 0.06;
/// It goes back only for so much more room, and when that has been there for so long, seconds.
const SLACK: f32 = 0.12;
const STAYS_SECS: f32 = 1.0;
/// How quickly it moves, seconds.
const SMOOTH_SECS: f32 = 0.1;

/// What has been found, and where the panel is on its way.
#[derive(Debug, Clone)]
pub(super) struct Nearness {
    /// How far each way is free, as a share of the panel's own distance.
    free: [f32; COUNT],
    /// Ways that have been looked along since it was opened.
    looked: usize,
    goal: f32,
    share: f32,
    waited_secs: f32,
    /// Where the rig and the panel were when it was last looked.
    stood: (Transform, Transform),
    /// Ways that have been looked along since anything moved, or was about to.
    still: usize,
}

impl Default for Nearness {
    fn default() -> Self {
        Self { free: [1.0; COUNT], looked: 0, goal: 1.0, share: 1.0, waited_secs: 0.0, stood: default(), still: 0 }
    }
}

impl Nearness {
    /// The ways to look along in this frame: all when it has just been opened, else as many as its time asks for.
    fn due(&self, secs: f32) -> impl Iterator<Item = usize> + use<> {
        let count = if self.looked < COUNT { COUNT } else { ((secs * WAYS_A_SEC).ceil() as usize).clamp(1, COUNT) };
        (self.looked..self.looked + count).map(|way| way % COUNT)
    }

    /// So far is a way free.
    fn found(&mut self, way: usize, free: f32) {
        self.free[way] = free;
        self.looked += 1;
        self.still = self.still.saturating_add(1);
    }

    /// The person, or the panel with them, is somewhere else than before: what is in the way has to be found anew.
    fn stands(&mut self, rig: Transform, place: Transform) {
        if std::mem::replace(&mut self.stood, (rig, place)) != (rig, place) {
            self.still = 0;
        }
    }

    /// Whether the panel stays where it is as long as nobody moves.
    pub(super) fn rests(&self) -> bool {
        self.still >= COUNT
    }

    /// The share of its own distance at which the panel is, so many seconds later.
    fn step(&mut self, secs: f32, is_new: bool) -> f32 {
        let nearest = self.free.iter().copied().fold(1.0, f32::min);
        let wanted = if nearest >= 1.0 { 1.0 } else { (nearest - ROOM).clamp(NEAREST, 1.0) };
        self.waited_secs = if wanted > self.goal + SLACK { self.waited_secs + secs } else { 0.0 };
        if wanted < self.goal || self.waited_secs > STAYS_SECS {
            (self.goal, self.waited_secs) = (wanted, 0.0);
        }
        let part = if is_new { 1.0 } else { 1.0 - (-secs / SMOOTH_SECS).exp() };
        self.share += (self.goal - self.share) * part;
        if self.waited_secs > 0.0 || (self.goal - self.share).abs() > 1e-3 {
            self.still = 0;
        }
        self.share
    }
}

/// Brings the panel before what stands in its way.
pub(super) fn approach(
    mut panel: ResMut<Panel>,
    surfaces: Surfaces,
    rig: Single<&Transform, With<Rig>>,
    time: Res<Time>,
    figures: Res<HeadsetFigures>,
) {
    let _own = figures.timed();
    if !panel.is_open() || matches!(panel.sheet.hold, Hold::Plant { .. } | Hold::Wrist(_)) {
        panel.nearness.still = usize::MAX;
        return;
    }
    let is_new = panel.nearness.looked == 0;
    panel.sheet.place.scale = Vec3::ONE;
    let place = panel.sheet.place;
    panel.nearness.stands(**rig, place);
    let from = rig.transform_point(panel.sheet.place.translation);
    for way in panel.nearness.due(time.delta_secs()) {
        let to = rig.transform_point(panel.sheet.place_of_share(share_of(way)));
        let free = surfaces.meets(from, to).map_or(1.0, |(at, _)| at.distance(from) / to.distance(from).max(1e-3));
        panel.nearness.found(way, free);
    }
    let share = panel.nearness.step(time.delta_secs(), is_new);
    panel.sheet.place.scale = Vec3::splat(share);
}

/// Where on the panel a way ends, as shares of its width and height.
fn share_of(way: usize) -> Vec2 {
    let (column, row) = (way % WAYS.0, way / WAYS.0);
    Vec2::new(column as f32 / (WAYS.0 - 1) as f32, row as f32 / (WAYS.1 - 1) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(nearness: &mut Nearness, free: f32, secs: f32) -> f32 {
        (0..COUNT).for_each(|way| nearness.found(way, if way == 4 { free } else { 1.0 }));
        (0..(secs * 90.0) as usize).fold(nearness.share, |_, _| nearness.step(1.0 / 90.0, false))
    }

    #[test]
    fn it_comes_before_what_is_in_the_way_at_once_and_goes_back_only_when_there_is_room_for_good() {
        let mut nearness = Nearness::default();
        assert_eq!(told(&mut nearness, 1.0, 1.0), 1.0, "nothing is in the way");
        let near = told(&mut nearness, 0.7, 0.5);
        assert!((near - 0.64).abs() < 0.01, "{near}");
        assert_eq!(told(&mut nearness, 0.74, 3.0), told(&mut nearness, 0.71, 3.0), "what trembles moves nothing");
        let waits = told(&mut nearness, 1.0, 0.9);
        assert!(waits < 0.65, "{waits}");
        let back = told(&mut nearness, 1.0, 0.8);
        assert!(back > 0.95, "{back}");
        let closest = told(&mut nearness, 0.1, 2.0);
        assert!((closest - NEAREST).abs() < 1e-3, "nobody is made to squint: {closest}");
    }

    #[test]
    fn it_rests_only_once_it_will_not_move_by_itself() {
        let mut nearness = Nearness::default();
        told(&mut nearness, 0.7, 1.0);
        told(&mut nearness, 0.7, 0.1);
        assert!(nearness.rests());
        nearness.stands(Transform::from_xyz(1.0, 0.0, 0.0), Transform::IDENTITY);
        assert!(!nearness.rests(), "who stands elsewhere may have something else before them");
        told(&mut nearness, 1.0, 0.5);
        told(&mut nearness, 1.0, 0.1);
        assert!(!nearness.rests(), "it is about to go back");
        told(&mut nearness, 1.0, 2.0);
        told(&mut nearness, 1.0, 0.1);
        assert!(nearness.rests());
    }

    #[test]
    fn all_ways_are_looked_along_at_first_and_then_one_after_the_other_at_any_pace() {
        for (hz, a_frame) in [(90.0, 1), (20.0, 5), (1.0, COUNT)] {
            let mut nearness = Nearness::default();
            let mut look = || {
                let due: Vec<usize> = nearness.due(1.0 / hz).collect();
                due.iter().for_each(|way| nearness.found(*way, 1.0));
                due
            };
            let all: Vec<usize> = (0..COUNT).collect();
            assert_eq!(look(), all, "when it opens");
            let seen: Vec<usize> = (0..COUNT).flat_map(|_| look()).collect();
            assert_eq!(seen.len(), COUNT * a_frame);
            assert_eq!(seen[..COUNT], all, "at {hz} Hz");
        }
        let corners = [share_of(0), share_of(COUNT - 1)];
        assert_eq!(corners, [Vec2::ZERO, Vec2::ONE]);
    }
}
