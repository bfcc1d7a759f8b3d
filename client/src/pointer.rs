//! Pointers: whatever a person points with (a mouse, either hand, a controller, their eyes) as one kind of thing, so
//! that a tool which works with one works with all. Whoever owns the device writes its pointer; tools read.
//!
//! The mouse's pointer is written here; those of the headset by `headset/point.rs`.

use bevy::prelude::*;
use bevy_egui::EguiContexts;

use crate::schedule::Frame;
use crate::site::ThingIndex;
use crate::view::{PlantCamera, PlantView};

/// What a pointer is moved by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PointedBy {
    /// The mouse over the plant's view.
    Mouse,
    /// The left hand, bare or with a controller.
    LeftHand,
    /// The right hand.
    RightHand,
    /// The eyes.
    Gaze,
}

/// What a pointer meets first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Met {
    /// The thing, or none for a surface of nothing.
    pub thing: Option<ThingIndex>,
    /// Where, world frame.
    pub place: Vec3,
    /// Away from the surface, unit length.
    pub normal: Vec3,
}

/// A place on a panel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OnPanel {
    /// Which: 0 shows what the desktop does, the others one pinned inspector each.
    pub sheet: usize,
    /// Points from its upper left corner.
    pub at: Vec2,
}

/// One pointer now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pointer {
    /// What moves it.
    pub by: PointedBy,
    /// Where it points, world frame.
    pub ray: Ray3d,
    /// What it meets, as far as whoever wrote it has looked.
    pub met: Option<Met>,
    /// Where it is on a panel that lies before all else; the plant is not pointed at then.
    pub on_panel: Option<OnPanel>,
    /// Whether it is pressed: a button is down, a trigger pulled, fingers pinch.
    pub is_pressed: bool,
    /// Whether that began in this frame.
    pub was_pressed: bool,
}

/// All pointers of this person that point at something now, in the order of [`PointedBy`].
#[derive(Resource, Debug, Default)]
pub struct Pointers(Vec<Pointer>);

impl Pointers {
    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Pointer> {
        self.0.iter()
    }

    /// One of them.
    pub fn of(&self, by: PointedBy) -> Option<&Pointer> {
        self.0.iter().find(|pointer| pointer.by == by)
    }

    /// Replaces the pointer of `by`; `None` takes it away.
    pub fn set(&mut self, by: PointedBy, pointer: Option<Pointer>) {
        self.0.retain(|held| held.by != by);
        if let Some(pointer) = pointer {
            let at = self.0.partition_point(|held| held.by < by);
            self.0.insert(at, Pointer { by, ..pointer });
        }
    }
}

/// Whether a tool has the mouse for itself, so that a drag does not move the camera. Tools write it before the cameras read.
#[derive(Resource, Debug, Default)]
pub struct MouseTaken(pub bool);

/// Whether the mouse is free.
pub fn mouse_is_free(taken: Res<MouseTaken>) -> bool {
    !taken.0
}

/// Turns how far a trigger is pulled into pressed or not: it must be let go further than it had to be pulled, so that a
/// finger that trembles presses once.
pub fn is_pressed(pulled: f32, was_pressed: bool) -> bool {
    pulled > if was_pressed { 0.35 } else { 0.6 }
}

pub(crate) fn plugin(app: &mut App) {
    app.init_resource::<Pointers>()
        .init_resource::<MouseTaken>()
        .add_systems(Update, follow_mouse.in_set(Frame::Receive));
}

fn follow_mouse(
    mut contexts: EguiContexts,
    mut pointers: ResMut<Pointers>,
    view: Res<PlantView>,
    camera: Single<(&Camera, &GlobalTransform), With<PlantCamera>>,
) -> Result {
    let ctx = contexts.ctx_mut()?;
    let (camera, transform) = *camera;
    let at = ctx.pointer_hover_pos().filter(|_| view.hovered && camera.is_active);
    let ray = at.and_then(|at| camera.viewport_to_world(transform, view.viewport_from_screen(at)).ok());
    let (is_pressed, was_pressed) = ctx.input(|i| (i.pointer.primary_down(), i.pointer.primary_pressed()));
    let pointer =
        ray.map(|ray| Pointer { by: PointedBy::Mouse, ray, met: None, on_panel: None, is_pressed, was_pressed });
    pointers.set(PointedBy::Mouse, pointer);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trembling_finger_presses_once() {
        let mut was = false;
        let mut presses = 0;
        for pulled in [0.0, 0.3, 0.58, 0.62, 0.57, 0.61, 0.5, 0.63, 0.2, 0.0] {
            let now = is_pressed(pulled, was);
            presses += u32::from(now && !was);
            was = now;
        }
        assert_eq!((presses, was), (1, false));
    }

    #[test]
    fn a_pointer_is_there_once_and_goes_when_it_points_at_nothing() {
        let ray = Ray3d::new(Vec3::ZERO, Dir3::NEG_Z);
        let pointer =
            Pointer { by: PointedBy::Gaze, ray, met: None, on_panel: None, is_pressed: false, was_pressed: false };
        let mut pointers = Pointers::default();
        for by in [PointedBy::RightHand, PointedBy::Mouse, PointedBy::RightHand] {
            pointers.set(by, Some(pointer));
        }
        let order: Vec<_> = pointers.iter().map(|p| p.by).collect();
        assert_eq!(order, [PointedBy::Mouse, PointedBy::RightHand]);
        pointers.set(PointedBy::Mouse, None);
        assert!(pointers.of(PointedBy::Mouse).is_none() && pointers.of(PointedBy::RightHand).is_some());
    }
}
