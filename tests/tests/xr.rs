//! In the headset: a real OpenXR runtime, its head and hands moved by the test, its eyes looked through.
#![allow(clippy::unwrap_used)] // a test fails by panicking

use gemba_devices::simulator::Simulator;
use gemba_tests::editor::Editor;
use gemba_tests::picture::{Picture, assert_difference, kept_folder};
use gemba_tests::plant_site::{self, PlantSite, eventually};
use gemba_tests::program::Viewer;
use gemba_tests::xr_rig::{Fate, Loss, Pose, Rig, runtime};
use gemba_twin::sample::Value as GembaValue;
use serde_json::Value;

/// Where the demo plant's first pump is, world frame: `twin/src/layout.rs`, at the height of its motor.
fn pump() -> [f32; 3] {
    let hall = &gemba_twin::layout::halls(1)[0];
    let at = hall.lines[0].world_from_line + gemba_twin::layout::PUMP;
    [at.x as f32, at.y as f32 + 0.35, at.z as f32]
}

/// Where its first valve is.
fn valve() -> [f32; 3] {
    let at = gemba_twin::layout::halls(1)[0].lines[0].world_from_line + gemba_twin::layout::VALVES[0];
    [at.x as f32, at.y as f32, at.z as f32]
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
        &["--select", "Hall1/Line1/Pump1", "--seconds", "25", "--size", "960x600"],
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
    let kept = kept_folder();
    seen.eyes[0].write(&kept.join("xr-at-the-pump.png"));
    // Face to face with the one on the desktop, three metres before her eyes, both hands raised.
    let place = eventually("the desktop's head is known", || {
        let people = rig.ask()["people"].clone();
        people.as_array()?.iter().find(|p| p[0] == "Ada" && !p[1].is_null()).map(|p| point(&p[1]))
    });
    let there = rig_from_world(&standing, place);
    let apart = [0, 1, 2].map(|axis| target[axis] - there[axis]);
    let near = 3.0 / apart.iter().map(|c| c * c).sum::<f32>().sqrt();
    let eye = [0, 1, 2].map(|axis| there[axis] + apart[axis] * near);
    // To the side, as seen from here, and a little towards her.
    let aside = [-apart[2] * near / 3.0, apart[0] * near / 3.0];
    rig.put(|person| {
        person.head = towards(eye, there);
        for (hand, side) in person.hands.iter_mut().zip([-0.35, 0.35]) {
            let at = |axis: usize, aside: f32| eye[axis] - apart[axis] * near / 12.0 + aside * side;
            let place = [at(0, aside[0]), eye[1] - 0.25, at(2, aside[1])];
            hand.pose = towards(place, there);
        }
    });
    rig.look().eyes[0].write(&kept.join("xr-the-desktop-seen.png"));
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
    rig.open_panel();
    let seen = rig.look();
    assert_eq!(seen.standing["selected"], Value::Null);
    seen.eyes[0].write(&kept_folder().join("xr-panel.png"));
    assert_difference("xr-panel-opens", &seen.eyes[0], &before.eyes[0], 0.1..=1.0);
    let walk = rig.find("Walk");
    let at_panel = rig.aim(walk);
    assert_eq!(at_panel["pointed"][1], Value::Null, "a laser on the panel does not reach the plant: {at_panel}");
    assert_eq!(at_panel["camera"], "Orbit");
    rig.press_at(walk);
    let pressed = eventually("the button is pressed", || Some(rig.ask()).filter(|s| s["camera"] == "Walk"));
    assert_eq!(pressed["panel"], true);
    rig.put(|person| person.hands[0].menu = true);
    assert_eq!(rig.ask()["panel"], false, "the same button closes it");
    rig.leave();
}

#[test]
fn a_closed_hand_carries_the_panel_and_leaves_it_with_person_or_plant() {
    let Some(runtime) = runtime("carry") else { return };
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("plant.glb");
    plant_site::generate(&model);
    let mut rig = Rig::enter(&runtime, model.to_str().unwrap(), folder.path(), "Vera");
    rig.open_panel();
    let before = point(&rig.ask()["panel_at"]);
    rig.aim(before);
    rig.put(|person| person.hands[1].squeeze = 1.0);
    let held = rig.put(|person| person.hands[1].pose.place[0] += 0.3);
    assert_eq!(held["panel_hold"], "hand", "{held}");
    let left = rig.put(|person| person.hands[1].squeeze = 0.0);
    let moved = point(&left["panel_at"])[0] - before[0];
    assert!((moved - 0.3).abs() < 0.01 && left["panel_hold"] == "person", "it was carried {moved} m");
    assert_eq!(left["rig"], held["rig"], "one hand carries the panel and not the world");
    // The lower button chooses, meanwhile, what holds it.
    for hold in ["plant", "wrist"] {
        let at = point(&rig.ask()["panel_at"]);
        rig.aim(at);
        rig.put(|person| person.hands[1].squeeze = 1.0);
        for _ in 0..if hold == "plant" { 1 } else { 2 } {
            rig.put(|person| person.hands[1].lower = true);
            rig.put(|person| person.hands[1].lower = false);
        }
        let left = rig.put(|person| person.hands[1].squeeze = 0.0);
        assert_eq!(left["panel_hold"], hold, "{left}");
    }
    // Cameras that see a bare hand tell its joints, and the hand is drawn by them.
    rig.put(|person| person.hands[1].fingers = Some([0.1; 5]));
    let bare = eventually("all joints of a bare hand are told", || Some(rig.ask()).filter(|s| s["joints"][1] == 26));
    let (tip, wrist) = (point(&bare["fingertips"][1]), point(&bare["hands"][1]));
    let away = (0..3).map(|i| (tip[i] - wrist[i]).powi(2)).sum::<f32>().sqrt();
    assert!((0.02..0.3).contains(&away), "the forefinger's tip is {away} m from the hand");
    rig.look().eyes[0].write(&kept_folder().join("xr-worn-and-bare.png"));
    let report = rig.leave();
    assert_eq!(report["errors"].as_array().unwrap().len(), 0, "{report}");
}

#[test]
fn a_valve_is_commanded_through_a_preview_and_time_is_scrubbed_with_one_hand() {
    let Some(runtime) = runtime("valve") else { return };
    let mut site = PlantSite::start();
    let link = site.invite("operator");
    let mut rig = Rig::enter(&runtime, &link, site.folder.path(), "Vera");
    // One hand, and seated: the other hand is not there, the head is low.
    rig.put(|person| {
        person.hands[0].is_tracked = false;
        person.hands[0].pose = Pose::looking([0.0; 3], 0.0, 0.0);
        person.head.place[1] = 1.15;
        person.hands[1].pose.place = [0.2, 0.9, -0.3];
    });
    select(&mut rig, valve(), "Hall1/Line1/Valve1");
    rig.open_panel();
    rig.press("Command");
    let value = rig.find_after("›");
    rig.press_at(value);
    rig.look().eyes[0].write(&kept_folder().join("xr-keyboard.png"));
    rig.type_keys(&["4", "2", "Enter"]);
    rig.press("Preview…");
    let change = rig.find_like("  to  ");
    assert!(change.ends_with("to  42.0 %"), "{change}");
    rig.press("Send to the device");
    rig.find_like("the device has taken it");
    rig.look().eyes[0].write(&kept_folder().join("xr-valve.png"));
    // The track of the time line lies a little above its ticks.
    let now = rig.find_like(":");
    assert_eq!(rig.ask()["live"], true, "{now}");
    let track = tick(&rig.ask());
    rig.press_at(track);
    eventually("the past is shown", || (rig.ask()["live"] == false).then_some(()));
    rig.press("Back to live");
    eventually("the present is shown", || (rig.ask()["live"] == true).then_some(()));
    let position = eventually("the valve has moved", || {
        let report = rig.find_like("42.");
        Some(report)
    });
    assert!(position.contains("42."), "{position}");
    rig.leave();
}

#[test]
fn an_alarm_is_acknowledged_with_the_laser_and_everyone_hears_who_has_seen_it() {
    let Some(runtime) = runtime("alarm") else { return };
    let (machine, after) = faulted();
    let mut site = PlantSite::start_with(&["--speed", "0.1", "--warm-up", &after.to_string()]);
    let link = site.invite("operator");
    let mut colleague = Editor::join(&site.address, "Cora", 62);
    let mut rig = Rig::enter_with(&runtime, &link, site.folder.path(), "Vera", |viewer| {
        viewer.args(["--select", &machine]);
    });
    rig.open_panel();
    rig.press("Acknowledge");
    rig.press("I have seen it");
    let thing = colleague.thing(&machine);
    eventually("the acknowledgement is in the record", || {
        colleague.hear();
        colleague.site().alarm_ack(thing).is_some().then_some(())
    });
    rig.press("Acknowledge");
    assert_eq!(rig.find_like("has seen it"), "Vera has seen it");
    rig.look().eyes[0].write(&kept_folder().join("xr-alarm.png"));
    rig.leave();
}

/// Points at a place in the plant from beside it and pulls the trigger.
fn select(rig: &mut Rig, place: [f32; 3], path: &str) {
    let standing = rig.ask();
    let target = rig_from_world(&standing, place);
    let away = rig.person;
    rig.put(|person| {
        person.head.place = [target[0] + 0.2, target[1] + 0.4, target[2] + 1.3];
        person.hands[1].pose = towards([target[0] + 0.3, target[1] + 0.1, target[2] + 0.9], target);
    });
    rig.put(|person| person.hands[1].trigger = 1.0);
    rig.put(|person| person.hands[1].trigger = 0.0);
    let selected = eventually("it is selected", || Some(rig.ask()).filter(|s| s["selected"] != Value::Null));
    assert_eq!(selected["selected"], path);
    rig.put(|person| *person = away);
}

/// Just above a tick of the time line: the lowest clock time on the panel but for the status bar's.
fn tick(standing: &Value) -> [f32; 3] {
    let is_time = |words: &str| words.len() == 8 && words.bytes().filter(|b| *b == b':').count() == 2;
    let ticks = standing["written"].as_array().unwrap().iter().filter(|written| is_time(written[0].as_str().unwrap()));
    let mut tick = point(&ticks.last().expect("a time line with ticks")[1]);
    tick[1] += 0.035;
    tick
}

/// A machine of the plant that is out of order for some time, and after how many simulated seconds.
fn faulted() -> (String, u32) {
    let mut plant = Simulator::new(1, 7);
    let states = |plant: &Simulator| -> Vec<(String, bool)> {
        let read = plant.tags().iter().zip(plant.readings());
        let states = read.filter(|(tag, _)| tag.path.name() == gemba_twin::layout::tags::STATE);
        states.map(|(tag, now)| (tag.path.thing().unwrap().to_string(), now.value == GembaValue::Int(5))).collect()
    };
    for second in 1..3000 {
        plant.run(1.0);
        // Machines of a line: what is built into another is not selected by itself.
        let faulted = states(&plant).into_iter().find(|(path, is)| *is && path.split('/').count() == 3);
        let Some((machine, _)) = faulted else { continue };
        let mut later = plant.clone();
        later.run(12.0);
        if states(&later).contains(&(machine.clone(), true)) {
            return (machine, second);
        }
    }
    panic!("no machine breaks down in an hour of simulation");
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
