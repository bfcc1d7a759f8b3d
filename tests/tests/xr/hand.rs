//! What one hand can do, seated, with a laser and a trigger: every tool of the headset, and moving.

use gemba_record::edit::Aspect;
use gemba_tests::editor::Editor;
use gemba_tests::picture::{assert_difference, kept_folder};
use gemba_tests::plant_site::{self, PlantSite, eventually};
use gemba_tests::xr_rig::{Pose, Rig, runtime};
use serde_json::Value;

use crate::places::{point, pump, rig_from_world, select};

/// Seated, with the right hand alone.
fn sit_with_one_hand(rig: &mut Rig) {
    rig.put(|person| {
        person.hands[0].is_tracked = false;
        person.hands[0].pose = Pose::looking([0.0; 3], 0.0, 0.0);
        person.head.place = [0.0, 1.15, 0.0];
        person.hands[1].pose.place = [0.2, 0.9, -0.3];
    });
}

fn close_panel(rig: &mut Rig) {
    rig.put(|person| person.hands[1].menu = true);
    rig.put(|person| person.hands[1].menu = false);
    eventually("the panel is closed", || (rig.ask()["panel"] == false).then_some(()));
}

/// Points at a place of the tracking space and pulls the trigger once.
fn pull_at(rig: &mut Rig, from: [f32; 3], at: [f32; 3]) {
    rig.put(|person| person.hands[1].pose = Pose::towards(from, at));
    rig.put(|person| person.hands[1].trigger = 1.0);
    rig.put(|person| person.hands[1].trigger = 0.0);
}

#[test]
fn one_hand_measures_and_takes_back_what_it_measured() {
    let Some(runtime) = runtime("measure") else { return };
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("plant.glb");
    plant_site::generate(&model);
    let mut rig = Rig::enter(&runtime, model.to_str().unwrap(), folder.path(), "Vera");
    sit_with_one_hand(&mut rig);
    rig.open_panel();
    rig.press("Measure");
    rig.find("Point at one end and press");
    close_panel(&mut rig);
    let before = rig.look();
    // Two places on the floor, half a metre to the right of each other; or on the fence before it, and so a little less.
    pull_at(&mut rig, [0.2, 0.9, -0.3], [-0.25, 0.0, -1.2]);
    pull_at(&mut rig, [0.2, 0.9, -0.3], [0.25, 0.0, -1.2]);
    rig.put(|person| person.head = Pose::looking([0.0, 1.15, 0.0], 0.0, -0.7));
    let seen = rig.look();
    seen.eyes[0].write(&kept_folder().join("xr-measure.png"));
    assert_difference("xr-measured", &seen.eyes[0], &before.eyes[0], 0.001..=1.0);
    rig.put(|person| person.head = Pose::looking([0.0, 1.15, 0.0], 0.0, 0.0));
    rig.open_panel();
    let told = rig.find_like(" mm");
    let told: f32 = told.trim_end_matches(" mm").parse().unwrap();
    assert!((250.0..=505.0).contains(&told), "half a metre of the floor, or less before it, is told as {told} mm");
    rig.press("Take back");
    rig.find("Now the other end");
    rig.press("Done");
    rig.leave();
}

#[test]
fn a_trigger_alone_goes_turns_scales_and_sits() {
    let Some(runtime) = runtime("hand") else { return };
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("plant.glb");
    plant_site::generate(&model);
    let mut rig = Rig::enter(&runtime, model.to_str().unwrap(), folder.path(), "Vera");
    sit_with_one_hand(&mut rig);
    let before = rig.ask();
    rig.open_panel();
    rig.look().eyes[0].write(&kept_folder().join("xr-bar.png"));
    rig.press("Right");
    let turned = eventually("the person is turned", || Some(rig.ask()).filter(|s| s["yaw"] != before["yaw"]));
    let by = (before["yaw"].as_f64().unwrap() - turned["yaw"].as_f64().unwrap()).to_degrees().rem_euclid(360.0);
    assert!((by - 45.0).abs() < 0.5, "one step to the right: {by}");
    rig.press("Seated");
    let seated = eventually("the person is lifted", || Some(rig.ask()).filter(|s| s["rig"] != turned["rig"]));
    let lift = point(&seated["rig"])[1] - point(&turned["rig"])[1];
    assert!((lift - 0.45).abs() < 0.01, "seated eyes at 1.15 m are lifted to 1.6 m, by {lift}");
    rig.press("1:20");
    let small = eventually("the plant is small", || Some(rig.ask()).filter(|s| s["scale"] == 20.0));
    close_panel(&mut rig);
    rig.put(|person| person.head = Pose::looking([0.0, 1.15, 0.0], 0.0, -0.6));
    rig.look().eyes[0].write(&kept_folder().join("xr-table.png"));
    rig.put(|person| person.head = Pose::looking([0.0, 1.15, 0.0], 0.0, 0.0));
    rig.open_panel();
    rig.press("1:1");
    let back = eventually("the plant is large", || Some(rig.ask()).filter(|s| s["scale"] == 1.0));
    let floor = point(&back["rig"])[1] - 0.45;
    let stood = point(&turned["rig"])[1];
    assert!((floor - stood).abs() < 0.36, "one stands on a floor again, {floor} and not {stood}; from {small}");
    rig.press("Go");
    close_panel(&mut rig);
    // The floor between the hand and what stands ahead is free: that is where the arc of the other test lands too.
    let at = rig.ask();
    pull_at(&mut rig, [0.2, 0.9, -0.3], [0.1, -0.45, -1.3]);
    let gone = rig.ask();
    let moved = [0, 2].map(|axis| point(&gone["rig"])[axis] - point(&at["rig"])[axis]);
    assert!(moved[0].hypot(moved[1]) > 0.5, "{at} and {gone}");
    rig.leave();
}

#[test]
fn one_hand_drags_a_machine_by_its_preview_and_the_record_has_it_when_confirmed_and_not_when_undone() {
    let Some(runtime) = runtime("move") else { return };
    let site = PlantSite::start();
    let mut colleague = Editor::join(&site.address, "Cora", 63);
    let mut rig = Rig::enter(&runtime, &site.address, site.folder.path(), "Vera");
    sit_with_one_hand(&mut rig);
    select(&mut rig, pump(), "Hall1/Line1/Pump1");
    rig.open_panel();
    rig.press("Move");
    rig.find_like("drags its box");
    close_panel(&mut rig);
    // From above the pump, so that the laser meets its box and then the level of where it was met.
    let target = rig_from_world(&rig.ask(), pump());
    let hand = [target[0], target[1] + 0.8, target[2] + 0.9];
    let away = rig.person;
    rig.put(|person| person.head.place = [target[0] + 0.1, target[1] + 1.0, target[2] + 1.5]);
    rig.put(|person| person.hands[1].pose = Pose::towards(hand, target));
    rig.put(|person| person.hands[1].trigger = 1.0);
    rig.put(|person| person.hands[1].pose = Pose::towards(hand, [target[0], target[1], target[2] + 0.45]));
    rig.look().eyes[0].write(&kept_folder().join("xr-move.png"));
    rig.put(|person| person.hands[1].trigger = 0.0);
    rig.put(|person| *person = away);
    rig.open_panel();
    let moved = rig.find_like("m from where it is");
    assert!(!moved.starts_with("0.00"), "{moved}");
    let thing = colleague.thing("Hall1/Line1/Pump1");
    assert!(colleague.site().last_edit(thing, Aspect::Place).is_none(), "nothing has moved before it is confirmed");
    // The card's own button stands above that of the bar.
    let at = rig.find("Cancel");
    let button = rig.find_before("Cancel");
    assert!(button != at);
    rig.press_at(button);
    eventually("the record has the move", || {
        colleague.hear();
        colleague.site().last_edit(thing, Aspect::Place).is_some().then_some(())
    });
    let entries = colleague.site().last_edit(thing, Aspect::Place).unwrap().index;
    rig.press("Undo");
    eventually("the record has it undone", || {
        colleague.hear();
        colleague.site().last_edit(thing, Aspect::Place).filter(|last| last.index > entries).map(drop)
    });
    rig.leave();
}

#[test]
fn a_finger_presses_the_panel_by_going_through_it_and_writes_a_search_with_its_keys() {
    let Some(runtime) = runtime("touch") else { return };
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("plant.glb");
    plant_site::generate(&model);
    let mut rig = Rig::enter(&runtime, model.to_str().unwrap(), folder.path(), "Vera");
    rig.put(|person| person.hands[0].pose.place[1] = 0.6);
    rig.open_panel();
    let walk = rig.find("Walk");
    touch(&mut rig, walk);
    eventually("the button is pressed", || (rig.ask()["camera"] == "Walk").then_some(()));
    let search = rig.find("search by name or path");
    touch(&mut rig, search);
    for key in ["p", "u", "m"] {
        let at = eventually(&format!("there is a key '{key}'"), || {
            rig.ask()["written"].as_array()?.iter().rfind(|w| w[0] == key).map(|w| point(&w[1]))
        });
        touch(&mut rig, at);
    }
    rig.find("pum");
    let found = rig.find_like(" found");
    assert!(!found.starts_with("0 "), "{found}");
    rig.look().eyes[0].write(&kept_folder().join("xr-touch.png"));
    rig.leave();
}

/// Puts the finger of the right hand before a place of the panel, through it, and back.
fn touch(rig: &mut Rig, at: [f32; 3]) {
    let head = rig.person.head.place;
    // The finger ends a decimetre before the grip.
    let away = |far: f32| {
        let [x, z] = [at[0] - head[0], at[2] - head[2]];
        let reach = x.hypot(z);
        let shorter = 1.0 - (0.1 + far) / reach;
        Pose::towards([head[0] + x * shorter, at[1], head[2] + z * shorter], at)
    };
    for far in [0.04, -0.02, 0.04] {
        rig.put(|person| person.hands[1].pose = away(far));
    }
}

#[test]
fn who_looks_through_the_eyes_of_the_headset_is_where_its_head_is() {
    let Some(runtime) = runtime("through") else { return };
    let site = PlantSite::start();
    let mut rig = Rig::enter(&runtime, &site.address, site.folder.path(), "Vera");
    let viewer = gemba_tests::program::Viewer::start(
        &site.address,
        site.folder.path(),
        "Ada",
        &["--through", "Vera", "--seconds", "20", "--size", "960x600"],
    );
    let target = rig_from_world(&rig.ask(), pump());
    let eye = [target[0] - 0.5, target[1] + 0.75, target[2] + 1.6];
    rig.put(|person| person.head = Pose::towards(eye, target));
    eventually("Ada's eyes are Vera's", || {
        let standing = rig.ask();
        let people = standing["people"].as_array()?.clone();
        let ada = people.iter().find(|person| person[0] == "Ada" && !person[1].is_null())?;
        let at = rig_from_world(&standing, point(&ada[1]));
        let off = (0..3).map(|i| (at[i] - eye[i]).abs()).fold(0.0, f32::max);
        (off < 0.02).then_some(())
    });
    rig.look().eyes[0].write(&kept_folder().join("xr-own-eyes.png"));
    let report = viewer.report();
    assert_eq!(report["selected"], Value::Null);
    std::fs::copy(site.folder.path().join("Ada.png"), kept_folder().join("xr-through-her-eyes.png")).unwrap();
    rig.leave();
}
