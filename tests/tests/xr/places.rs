//! Where things of the demo plant are, in the world and in the tracking space.

use gemba_tests::plant_site::eventually;
use gemba_tests::xr_rig::{Pose, Rig};
use serde_json::Value;

/// Where the demo plant's first pump is, world frame: `twin/src/layout.rs`, at the height of its motor.
pub(crate) fn pump() -> [f32; 3] {
    let hall = &gemba_twin::layout::halls(1)[0];
    let at = hall.lines[0].world_from_line + gemba_twin::layout::PUMP;
    [at.x as f32, at.y as f32 + 0.35, at.z as f32]
}

/// Where its first valve is.
pub(crate) fn valve() -> [f32; 3] {
    let at = gemba_twin::layout::halls(1)[0].lines[0].world_from_line + gemba_twin::layout::VALVES[0];
    [at.x as f32, at.y as f32, at.z as f32]
}

/// The middle of the first milling machine's front, at eye height; its front looks along +Z.
pub(crate) fn mill() -> [f32; 3] {
    let at = gemba_twin::layout::halls(1)[0].lines[0].world_from_line + gemba_twin::layout::CNCS[0];
    [at.x as f32, 1.6, at.z as f32 + 0.95]
}

pub(crate) fn point(told: &Value) -> [f32; 3] {
    let told = told.as_array().unwrap();
    [0, 1, 2].map(|i| told[i].as_f64().unwrap() as f32)
}

/// The place in the tracking space of a place in the world, for a rig of life size.
pub(crate) fn rig_from_world(standing: &Value, place: [f32; 3]) -> [f32; 3] {
    let rig = point(&standing["rig"]);
    let (sin, cos) = (standing["yaw"].as_f64().unwrap() as f32).sin_cos();
    let [x, y, z] = [0, 1, 2].map(|i| place[i] - rig[i]);
    [cos * x - sin * z, y, sin * x + cos * z]
}

/// Points at a place in the plant from beside it and pulls the trigger.
pub(crate) fn select(rig: &mut Rig, place: [f32; 3], path: &str) {
    let standing = rig.ask();
    let target = rig_from_world(&standing, place);
    let away = rig.person;
    rig.put(|person| {
        person.head.place = [target[0] + 0.2, target[1] + 0.4, target[2] + 1.3];
        person.hands[1].pose = Pose::towards([target[0] + 0.3, target[1] + 0.1, target[2] + 0.9], target);
    });
    rig.put(|person| person.hands[1].trigger = 1.0);
    rig.put(|person| person.hands[1].trigger = 0.0);
    let selected = eventually("it is selected", || Some(rig.ask()).filter(|s| s["selected"] != Value::Null));
    assert_eq!(selected["selected"], path);
    rig.put(|person| *person = away);
}
