//! In the headset: a real OpenXR runtime, its head and hands moved by the test, its eyes looked through.
#![allow(clippy::unwrap_used)] // a test fails by panicking

use gemba_tests::picture::{Picture, assert_difference};
use gemba_tests::plant_site::{self, PlantSite, eventually};
use gemba_tests::program::Viewer;
use gemba_tests::xr_rig::{Fate, Loss, Pose, Rig, runtime};
use serde_json::Value;

/// Where the demo plant's first pump is, world frame: `twin/src/layout.rs`, at the height of its motor.
fn pump() -> [f32; 3] {
    let hall = &gemba_twin::layout::halls(1)[0];
    let at = hall.lines[0].world_from_line + gemba_twin::layout::PUMP;
    [at.x as f32, at.y as f32 + 0.35, at.z as f32]
}

fn point(told: &Value) -> [f32; 3] {
    let told = told.as_array().unwrap();
    [0, 1, 2].map(|i| told[i].as_f64().unwrap() as f32)
}

/// The place in the tracking space of a place in the world, for a rig of life size.
fn rig_from_world(standing: &Value, place: [f32; 3]) -> [f32; 3] {
    let rig = point(&standing["rig"]);
    let (sin, cos) = (standing["yaw"].as_f64().unwrap() as f32).sin_cos();
    let [x, y, z] = [0, 1, 2].map(|i| place[i] - rig[i]);
    [cos * x - sin * z, y, sin * x + cos * z]
}

/// A pose at `from` that points to `to`.
fn towards(from: [f32; 3], to: [f32; 3]) -> Pose {
    Pose::towards(from, to)
}

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

#[test]
fn pointing_and_pulling_the_trigger_selects_the_pump_and_the_desktop_sees_hands_and_selection() {
    let Some(runtime) = runtime("presence") else { return };
    let site = PlantSite::start();
    let ada = Viewer::start(
        &site.address,
        site.folder.path(),
        "Ada",
        &["--select", "Hall1/Line1/Pump1", "--seconds", "25", "--size", "640x360"],
    );
    let mut rig = Rig::enter(&runtime, &site.address, site.folder.path(), "Vera");
    let standing = rig.ask();
    // Beside the pump, at arm's length, hands towards it.
    let target = rig_from_world(&standing, pump());
    let eye = [target[0] - 0.5, target[1] + 0.75, target[2] + 0.6];
    let hand = |side: f32| [target[0] - 0.25 + side, target[1] + 0.3, target[2] + 0.4 + side];
    rig.put(|person| {
        person.head = towards(eye, target);
        person.hands[0].pose = towards(hand(-0.15), target);
        person.hands[1].pose = towards(hand(0.15), target);
    });
    let pointed = rig.ask();
    assert!(pointed["pointed"][1].as_str().unwrap_or_default().starts_with("Hall1/Line1/Pump1"), "{pointed}");
    assert_eq!(pointed["selected"], Value::Null, "pointing alone selects nothing");
    rig.put(|person| person.hands[1].trigger = 1.0);
    let selected = eventually("the pump is selected", || Some(rig.ask()).filter(|s| s["selected"] != Value::Null));
    assert_eq!(selected["selected"], "Hall1/Line1/Pump1");
    rig.put(|person| person.hands[1].trigger = 0.0);
    let seen = rig.look();
    let kept = gemba_tests::picture::kept_folder();
    seen.eyes[0].write(&kept.join("xr-at-the-pump.png"));
    // The one on the desktop, seen from here.
    let place = eventually("the desktop's head is known", || {
        let people = rig.ask()["people"].clone();
        people.as_array()?.iter().find(|p| p[0] == "Ada" && !p[1].is_null()).map(|p| point(&p[1]))
    });
    let there = rig_from_world(&standing, place);
    rig.put(|person| person.head = towards(eye, there));
    rig.look().eyes[0].write(&kept.join("xr-the-desktop-seen.png"));
    rig.put(|person| person.head = towards(eye, target));
    let report = ada.report();
    std::fs::copy(site.folder.path().join("Ada.png"), kept.join("xr-the-headset-seen.png")).unwrap();
    let peers = report["peers"].as_array().unwrap();
    let vera = peers.iter().find(|peer| peer["name"] == "Vera").expect("Ada has met Vera");
    assert_eq!(vera["hands"], 2, "{vera}");
    assert_eq!(vera["selected"], "Hall1/Line1/Pump1", "{vera}");
    let met = rig_from_world(&standing, point(&vera["place"]));
    let off = (0..3).map(|i| (met[i] - eye[i]).abs()).fold(0.0, f32::max);
    assert!(off < 0.02, "Ada has Vera's head {off} m from where it is");
    assert!(Picture::read(&site.folder.path().join("Ada.png")).colours() > 20);
    rig.leave();
}

#[test]
fn a_teleport_goes_where_the_arc_lands_and_a_turn_goes_by_steps() {
    let Some(runtime) = runtime("teleport") else { return };
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("plant.glb");
    plant_site::generate(&model);
    let mut rig = Rig::enter(&runtime, model.to_str().unwrap(), folder.path(), "Vera");
    let before = rig.put(|person| person.hands[0].pose = Pose::looking([0.0, 1.2, -0.2], 3.1, -0.6));
    let aimed = rig.put(|person| person.hands[0].stick = [0.0, 1.0]);
    assert!(!aimed["lands"].is_null(), "the arc finds the floor: {aimed}");
    assert_eq!(aimed["rig"], before["rig"], "aiming does not move");
    let lands = point(&aimed["lands"]);
    let after = rig.put(|person| person.hands[0].stick = [0.0, 0.0]);
    let (rig_now, head) = (point(&after["rig"]), rig_from_world(&after, lands));
    // The head stands above where the arc landed.
    assert!(head[0].hypot(head[2]) < 0.1 + 0.06 && rig_now != point(&before["rig"]), "{after}");
    let turned = rig.put(|person| person.hands[1].stick = [1.0, 0.0]);
    let by = (after["yaw"].as_f64().unwrap() - turned["yaw"].as_f64().unwrap()).to_degrees().rem_euclid(360.0);
    assert!((by - 45.0).abs() < 0.5, "one step to the right: {by}");
    let held = rig.ask();
    assert_eq!(held["yaw"], turned["yaw"], "a stick that is held turns once");
    rig.leave();
}

#[test]
fn the_menu_button_opens_the_panels_of_the_desktop_and_the_laser_presses_them() {
    let Some(runtime) = runtime("panel") else { return };
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("plant.glb");
    plant_site::generate(&model);
    let mut rig = Rig::enter(&runtime, model.to_str().unwrap(), folder.path(), "Vera");
    rig.put(|person| person.hands.iter_mut().for_each(|hand| hand.pose.place[1] = 0.9));
    let before = rig.look();
    rig.put(|person| person.hands[0].menu = true);
    let open = eventually("the panel is open", || Some(rig.ask()).filter(|s| s["panel"] == true));
    assert_eq!(open["selected"], Value::Null);
    rig.put(|person| person.hands[0].menu = false);
    let seen = rig.look();
    seen.eyes[0].write(&gemba_tests::picture::kept_folder().join("xr-panel.png"));
    assert_difference("xr-panel-opens", &seen.eyes[0], &before.eyes[0], 0.1..=1.0);
    // The button "Walk" is at 480, 15 of 640 by 360 points: on a curve of 1.2 m about a middle below the head.
    let (angle, up) = ((480.0 / 640.0 - 0.5f32) * 640.0 * (1.5f32 / 14.0).to_radians(), 0.5 - 15.0 / 360.0);
    let height = 640.0 * (1.5f32 / 14.0).to_radians() * 1.2 * 360.0 / 640.0;
    let walk = [0.05 + 1.2 * angle.sin(), 1.53 + up * height, -1.2 * angle.cos()];
    let at_panel = rig.put(|person| person.hands[1].pose = towards([0.2, 1.3, -0.1], walk));
    assert_eq!(at_panel["pointed"][1], Value::Null, "a laser on the panel does not reach the plant: {at_panel}");
    assert_eq!(at_panel["camera"], "Orbit");
    rig.put(|person| person.hands[1].trigger = 1.0);
    rig.put(|person| person.hands[1].trigger = 0.0);
    let pressed = eventually("the button is pressed", || Some(rig.ask()).filter(|s| s["camera"] == "Walk"));
    assert_eq!(pressed["panel"], true);
    rig.put(|person| person.hands[0].menu = true);
    assert_eq!(rig.ask()["panel"], false, "the same button closes it");
    rig.leave();
}

#[test]
fn the_desktop_goes_on_when_session_or_runtime_are_lost_and_the_headset_comes_back() {
    let Some(runtime) = runtime("loss") else { return };
    let folder = tempfile::tempdir().unwrap();
    let Some(loss) = Loss::build("loss", folder.path()) else { return };
    let model = folder.path().join("plant.glb");
    plant_site::generate(&model);
    let mut rig = Rig::enter_with(&runtime, model.to_str().unwrap(), folder.path(), "Vera", |viewer| {
        loss.stand_between(viewer);
    });
    let before = rig.look();
    // The layer's mask hides the outer half of each eye.
    for (eye, outer) in
        [(0, 0..before.eyes[0].width / 2 - 12), (1, before.eyes[1].width / 2 + 12..before.eyes[1].width)]
    {
        let inner = before.eyes[eye].width - outer.end..before.eyes[eye].width - outer.start;
        let [outer, inner] = [outer, inner].map(|columns| before.eyes[eye].columns(columns).colours());
        assert!(outer <= 2 && inner > 20, "eye {eye}: {outer} colours where nobody sees, {inner} where they do");
    }
    for fate in [Fate::SessionLost, Fate::LossAnnounced, Fate::RuntimeGone] {
        loss.happens(fate);
        let away = rig.await_state("Away");
        assert_eq!((&away["head"], &away["hands"]), (&Value::Null, &serde_json::json!([null, null])), "{fate:?}");
        if fate == Fate::RuntimeGone {
            rig.unplug();
            eventually("the viewer has asked for the runtime in vain", || {
                rig.stderr().contains("no session with the headset").then_some(())
            });
            assert_eq!(rig.ask()["state"], "Away", "the desktop goes on without a runtime");
        }
        loss.is_over();
        rig.await_state("Focused");
        if fate == Fate::RuntimeGone {
            rig.wear();
        }
        rig.put(|person| person.head.place[1] += 0.05);
    }
    rig.put(|person| person.head.place[1] -= 0.15);
    let after = rig.look();
    assert!(after.eyes[0].colours() > 20, "the eyes see the plant again");
    assert_difference("xr-back", &after.eyes[0], &before.eyes[0], 0.0..=0.01);
    let report = rig.leave();
    assert_eq!(report["headset"]["sessions"], 4, "{}", report["headset"]);
    assert_eq!(report["headset"]["mask_triangles"], 4, "{}", report["headset"]);
    let errors = report["errors"].as_array().unwrap();
    // The same words are kept once.
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(errors[0].as_str().unwrap().contains("the headset was lost"), "{errors:?}");
    assert!(errors[1].as_str().unwrap().contains("runtime has gone"), "{errors:?}");
}
