//! A workpiece: where it is, and whether it is any good.

use gemba_twin::layout::tags;
use gemba_twin::layout::{BELT_HEIGHT, CONVEYORS, PART_SIZE};
use gemba_twin::path::ThingPath;
use glam::DVec3;

use super::table::{Gauge, TagTable, gauge};

/// Distance that two parts' middles keep on a belt, metres.
pub(super) const PITCH: f64 = PART_SIZE + 0.06;

const PLACE: Gauge = gauge("m", -6.0, 48.0, 0.0005);

/// Where the middle of a part on a belt is.
pub(super) fn on_belt(x: f64) -> DVec3 {
    DVec3::new(x, BELT_HEIGHT + PART_SIZE / 2.0, 0.0)
}

/// One of a line's workpieces.
#[derive(Debug, Clone)]
pub(super) struct Part {
    /// Middle, in the line's frame.
    pub(super) place: DVec3,
    /// Whether it is in the plant at all.
    pub(super) is_present: bool,
    pub(super) is_scrap: bool,
}

impl Part {
    /// A part that waits to arrive. Its place is where it will appear, so that no picture shows it flying there.
    pub(super) fn absent() -> Self {
        Self { place: on_belt(CONVEYORS[0].from_x), is_present: false, is_scrap: false }
    }

    pub(super) fn tell(&self, table: &mut TagTable, line: &ThingPath, name: &str) {
        table.thing(line, name);
        table.quantity(tags::X, self.place.x, PLACE);
        table.quantity(tags::Y, self.place.y, PLACE);
        table.quantity(tags::Z, self.place.z, PLACE);
        table.switch(tags::PRESENT, self.is_present);
    }
}
