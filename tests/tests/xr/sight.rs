//! What the eyes see.

use gemba_tests::picture::{assert_difference, kept_folder};
use gemba_tests::plant_site::{self, eventually};
use gemba_tests::xr_rig::{Fate, Loss, Offer, Pose, Rig, runtime};
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
fn where_the_runtime_offers_foveated_views_the_middle_of_each_eye_is_drawn_once_more_and_sharper() {
    let Some(runtime) = runtime("inset") else { return };
    let folder = tempfile::tempdir().unwrap();
    let Some(layer) = Loss::build("inset", folder.path()) else { return };
    let model = folder.path().join("plant.glb");
    plant_site::generate(&model);
    let mut rig = Rig::enter_with(&runtime, model.to_str().unwrap(), folder.path(), "Vera", |viewer| {
        layer.stand_between(viewer);
        viewer.env("GEMBA_XR_INSET", "1");
    });
    rig.put(|person| person.hands.iter_mut().for_each(|hand| hand.pose = Pose::looking([0.0, 0.5, 1.0], 3.0, 0.0)));
    let seen = rig.look();
    let insets = seen.insets.expect("each eye has an inset");
    for (eye, name) in [(0, "left"), (1, "right")] {
        let (wide, inset) = (&seen.eyes[eye], &insets[eye]);
        wide.write(&kept_folder().join(format!("xr-{name}-wide.png")));
        inset.write(&kept_folder().join(format!("xr-{name}-inset.png")));
        // The layer has put it over the middle half: the same is seen there, by nine pixels for one.
        let [middle, whole, inset_coarse] = [&wide.half(0.25, 0.25), wide, inset].map(|seen| seen.sized(16, 12));
        assert_difference(&format!("xr-{name}-inset-middle"), &inset_coarse, &middle, 0.0..=0.1);
        assert_difference(&format!("xr-{name}-inset-whole"), &inset_coarse, &whole, 0.3..=1.0);
        assert!(inset.colours() > 20, "{}", inset.colours());
    }
    // It goes with the head, and a session that was lost comes back with it.
    rig.put(|person| person.head = Pose::looking([0.0, 1.6, 0.0], 0.6, 0.0));
    let turned = rig.look().insets.expect("each eye has an inset");
    assert_difference("xr-inset-turned", &turned[0], &insets[0], 0.15..=1.0);
    layer.happens(Fate::SessionLost);
    rig.await_state("Away");
    layer.is_over();
    rig.await_state("Focused");
    assert!(rig.look().insets.is_some(), "the new session has insets");
    let report = rig.leave();
    assert_eq!(report["headset"]["sessions"], 2, "{report}");
    let [wide, inset] = ["eye", "inset"].map(|size| report["headset"][size][0].as_u64().unwrap());
    assert_eq!(wide * 3, inset * 2, "{}", report["headset"]);
    assert!(report["headset"]["depth"] == true && report["headset"]["pose_off"] == 0.0, "{}", report["headset"]);
}

#[test]
fn where_the_runtime_knows_the_gaze_the_sharp_inset_is_where_the_person_looks() {
    let Some(runtime) = runtime("gaze") else { return };
    let folder = tempfile::tempdir().unwrap();
    let Some(layer) = Loss::build("gaze", folder.path()) else { return };
    let model = folder.path().join("plant.glb");
    plant_site::generate(&model);
    let mut rig = Rig::enter_with(&runtime, model.to_str().unwrap(), folder.path(), "Vera", |viewer| {
        layer.stand_between_offering(viewer, Offer::GazeInsets);
    });
    rig.put(|person| person.hands.iter_mut().for_each(|hand| hand.pose = Pose::looking([0.0, 0.5, 1.0], 3.0, 0.0)));
    let ahead = rig.look();
    layer.happens(Fate::LooksLeft);
    let aside = eventually("the inset follows the gaze", || {
        let seen = rig.look();
        let [inset, before] = [&seen, &ahead].map(|look| &look.insets.as_ref().expect("each eye has an inset")[0]);
        (inset.difference(before) > 0.15).then_some(seen)
    });
    assert_eq!(aside.eyes[0].difference(&ahead.eyes[0]), 0.0, "the head has not moved");
    for (look, from) in [(&ahead, 0.25), (&aside, 0.0)] {
        let (wide, inset) = (&look.eyes[0], &look.insets.as_ref().expect("each eye has an inset")[0]);
        let [part, inset] = [&wide.half(from, 0.25), inset].map(|seen| seen.sized(16, 12));
        assert_difference("xr-gaze", &inset, &part, 0.0..=0.1);
    }
    let report = rig.leave();
    let headset = &report["headset"];
    assert_eq!((&headset["inset_follows_gaze"], &headset["eye"]), (&Value::Bool(true), &headset["inset"]), "{report}");
    assert_eq!(report["errors"], serde_json::json!([]), "{report}");
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
        layer.stand_between_offering(viewer, Offer::Anchor);
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
