//! What the eyes see.

use gemba_tests::picture::{assert_difference, kept_folder};
use gemba_tests::plant_site::{self, eventually};
use gemba_tests::xr_rig::{Fate, Loss, Pose, Rig, runtime};
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
    // Nothing flickers: what stands still looks the same in every frame.
    for again in (0..4).map(|_| rig.look()) {
        let differs = [0, 1].map(|eye| again.eyes[eye].difference(&first.eyes[eye]));
        assert_eq!(differs, [0.0, 0.0], "a picture of what stands still has changed");
    }
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

#[test]
fn the_plant_comes_onto_a_table_in_the_room_and_the_person_goes_back_into_it() {
    let Some(runtime) = runtime("room") else { return };
    let folder = tempfile::tempdir().unwrap();
    let Some(layer) = Loss::build("room", folder.path()) else { return };
    let model = folder.path().join("plant.glb");
    plant_site::generate(&model);
    let mut rig = Rig::enter_with(&runtime, model.to_str().unwrap(), folder.path(), "Vera", |viewer| {
        layer.stand_between(viewer);
        viewer.env("GEMBA_XR_ROOM", "1");
    });
    rig.put(|person| person.hands.iter_mut().for_each(|hand| hand.pose.place[1] = 0.9));
    let inside = rig.ask();
    rig.open_panel();
    rig.press("On my table");
    let table = eventually("the plant is small", || {
        let standing = rig.ask();
        (standing["scale"].as_f64()? > 5.0).then_some(standing)
    });
    rig.put(|person| person.hands[0].menu = true);
    // Down to the table, which stands a little to the left, so that the half that the layer leaves shows it.
    rig.put(|person| person.head = Pose::looking(person.head.place, 0.35, -0.75));
    let seen = rig.look();
    seen.eyes[0].write(&kept_folder().join("xr-on-the-table.png"));
    // Between the layer's mask, which hides half of each eye, and the plant there is nothing: the room.
    let half = seen.eyes[0].columns(seen.eyes[0].width / 2..seen.eyes[0].width);
    let room = half.share(|pixel| pixel == [0, 0, 0]);
    assert!((0.1..0.98).contains(&room) && half.colours() > 10, "{room} of the picture is the room: {table}");
    rig.put(|person| {
        person.head = Pose::looking(person.head.place, 0.0, 0.0);
        person.hands[0].menu = false;
    });
    rig.open_panel();
    rig.press("Back into the plant");
    let back = eventually("the plant is of life size", || Some(rig.ask()).filter(|s| s["scale"] == 1.0));
    assert_eq!((&back["rig"], &back["yaw"]), (&inside["rig"], &inside["yaw"]));
    let report = rig.leave();
    assert_eq!(report["errors"], serde_json::json!([]), "{report}");
}

#[test]
fn a_table_that_the_headset_holds_still_keeps_the_plant_when_the_tracking_space_moves() {
    let Some(runtime) = runtime("anchor") else { return };
    let folder = tempfile::tempdir().unwrap();
    let Some(layer) = Loss::build("anchor", folder.path()) else { return };
    let model = folder.path().join("plant.glb");
    plant_site::generate(&model);
    let mut rig = Rig::enter_with(&runtime, model.to_str().unwrap(), folder.path(), "Vera", |viewer| {
        layer.stand_between_with_anchor(viewer);
        viewer.env("GEMBA_XR_ROOM", "1");
    });
    rig.put(|person| person.hands.iter_mut().for_each(|hand| hand.pose.place[1] = 0.9));
    rig.open_panel();
    rig.press("On my table");
    eventually("the plant is small", || (rig.ask()["scale"].as_f64()? > 5.0).then_some(()));
    let table = eventually("the table is held", || Some(rig.ask()).filter(|s| !s["anchor"].is_null()));
    // How far the rig has gone, metres of the room.
    let moved = |standing: &Value| {
        let [a, b] = [standing, &table].map(|standing| point(&standing["rig"]));
        let scale = table["scale"].as_f64().unwrap() as f32;
        (0..3).map(|axis| (a[axis] - b[axis]).powi(2)).sum::<f32>().sqrt() / scale
    };
    for (fate, metres) in [(Fate::RoomLearnt, 0.25), (Fate::Recentred, 0.4)] {
        layer.happens(fate);
        let anchored = eventually("the table is elsewhere in the tracking space", || {
            let standing = rig.ask();
            let off = point(&standing["anchor"])[0] - point(&table["anchor"])[0];
            ((off - metres).abs() < 1e-3).then_some(standing)
        });
        assert!((moved(&anchored) - metres).abs() < 1e-3, "the plant stays on it: {fate:?}, {anchored}");
        layer.is_over();
        eventually("all is as it was", || (moved(&rig.ask()) < 1e-3).then_some(()));
    }
    let report = rig.leave();
    assert_eq!(report["errors"], serde_json::json!([]), "{report}");
}
