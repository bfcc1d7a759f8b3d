//! What the eyes see.

use gemba_tests::picture::assert_difference;
use gemba_tests::plant_site;
use gemba_tests::xr_rig::{Pose, Rig, runtime};
use serde_json::Value;

use crate::places::point;

#[test]
fn the_eyes_see_the_plant_from_the_head_and_by_the_right_parallax() {
    let Some(runtime) = runtime("parallax") else { return };
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("plant.glb");
    plant_site::generate(&model);
    let mut rig = Rig::enter(&runtime, model.to_str().unwrap(), folder.path(), "Vera");
    // Hands down and behind, so that nothing of the person themself is seen.
    rig.put(|person| person.hands.iter_mut().for_each(|hand| hand.pose = Pose::looking([0.0, 0.5, 1.0], 3.0, 0.0)));
    let first = rig.look();
    assert!(first.eyes[0].colours() > 20, "the left eye sees the plant: {:?}", first.eyes[0].colours());
    let [left, right] = [0, 1].map(|eye| point(&first.standing["eyes"][eye]));
    let apart = right[0] - left[0];
    assert!((0.05..0.08).contains(&apart), "eyes lie {apart} m apart, the right one to the right");
    assert_difference("xr-parallax", &first.eyes[0], &first.eyes[1], 0.02..=1.0);
    // A head so far to the right has its left eye where the right one was.
    rig.put(|person| person.head.place[0] += apart);
    let second = rig.look();
    assert_difference("xr-eye-for-eye", &second.eyes[0], &first.eyes[1], 0.0..=0.005);
    // Somewhere else, something else is seen.
    rig.put(|person| person.head = Pose::looking([0.0, 1.6, 0.0], 2.0, 0.0));
    assert_difference("xr-turned", &rig.look().eyes[0], &first.eyes[0], 0.2..=1.0);
    for step in 0..8 {
        rig.put(|person| person.head = Pose::looking([0.01 * step as f32, 1.6, 0.0], 0.1 * step as f32, 0.0));
    }
    let report = rig.leave();
    assert_eq!(report["errors"].as_array().unwrap().len(), 0, "{report}");
    let headset = &report["headset"];
    assert_eq!(
        (&headset["depth"], &headset["refresh_hz"]),
        (&Value::Bool(true), &serde_json::json!(20.0)),
        "{headset}"
    );
    assert_eq!(headset["disordered"], 0, "{headset}");
    // X4: every picture was drawn for the instant it is shown at, from where the runtime has last said the eyes will be.
    assert_eq!((&headset["pose_age_ms"], &headset["pose_off"]), (&serde_json::json!(0.0), &serde_json::json!(0.0)));
    assert!(headset["pictures"].as_u64().unwrap() > 3, "{headset}");
}
