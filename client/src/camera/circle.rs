//! The camera goes round what it looks at by itself, switched on with `--circle`: for a screen that nobody touches, and for
//! runs without a window that are to move.

use bevy::prelude::*;

use super::Gaze;

/// How fast, radians a second; 0 stands still.
#[derive(Resource, Debug, Default, Clone, Copy)]
pub struct Circling(f32);

impl Circling {
    /// Once round in so many seconds; none stands still.
    pub fn once_in(secs: Option<f64>) -> Self {
        Self(secs.map_or(0.0, |secs| std::f32::consts::TAU / secs as f32))
    }
}

pub(super) fn go_round(circling: Res<Circling>, mut gaze: ResMut<Gaze>, time: Res<Time<Real>>) {
    if circling.0 != 0.0 {
        let pivot = gaze.pivot();
        gaze.turn(circling.0 * time.delta_secs(), 0.0);
        gaze.eye = pivot - gaze.forward() * gaze.distance;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_circle_ends_where_it_began_and_looks_at_the_same_place_all_the_way() {
        let mut app = App::new();
        app.insert_resource(Circling::once_in(Some(4.0))).init_resource::<Gaze>().init_resource::<Time<Real>>();
        app.add_systems(Update, go_round);
        let begin = *app.world().resource::<Gaze>();
        let mut now = bevy::platform::time::Instant::now();
        app.world_mut().resource_mut::<Time<Real>>().update_with_instant(now);
        for step in 1..=400 {
            now += std::time::Duration::from_millis(10);
            app.world_mut().resource_mut::<Time<Real>>().update_with_instant(now);
            app.update();
            let gaze = app.world().resource::<Gaze>();
            assert!(gaze.pivot().distance(begin.pivot()) < 0.05, "step {step}");
            assert!(step != 200 || gaze.eye.distance(begin.eye) > 10.0);
        }
        assert!(app.world().resource::<Gaze>().eye.distance(begin.eye) < 0.1);
    }
}
