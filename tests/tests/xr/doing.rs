//! What is done to the plant from within the headset.

use gemba_devices::simulator::Simulator;
use gemba_tests::editor::Editor;
use gemba_tests::picture::kept_folder;
use gemba_tests::plant_site::{PlantSite, eventually};
use gemba_tests::program::Viewer;
use gemba_tests::xr_rig::{Pose, Rig, runtime};
use gemba_twin::sample::Value as GembaValue;
use serde_json::Value;

use crate::places::{point, rig_from_world, select, valve};

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
    rig.find("Preview…");
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
    let past = eventually("the past is shown", || Some(rig.ask()).filter(|s| s["live"] == false));
    assert_eq!(past["notices"], serde_json::json!([]), "the panel says so itself");
    rig.put(|person| person.hands[1].menu = true);
    rig.put(|person| person.hands[1].menu = false);
    let told = eventually("it is told without the panel too", || {
        rig.ask()["notices"][0].as_str().filter(|words| words.starts_with("NOT LIVE  ")).map(str::to_owned)
    });
    assert!(told.ends_with(|c: char| c.is_ascii_digit()), "with the instant that is shown: {told}");
    rig.look().eyes[0].write(&kept_folder().join("xr-not-live.png"));
    rig.open_panel();
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
fn who_looks_at_the_past_brings_another_to_the_same_instant() {
    let Some(runtime) = runtime("invited") else { return };
    let site = PlantSite::start();
    let mut ada = Rig::enter(&runtime, &site.address, site.folder.path(), "Ada");
    let mut ben = Rig::enter(&runtime, &site.address, site.folder.path(), "Ben");
    ada.open_panel();
    ada.find_like(":");
    // The panel comes nearer at first, and the ticks of a short history move on.
    eventually("Ada is in the past", || {
        let track = tick(&ada.ask());
        ada.press_at(track);
        // A press is done some frames later; one at the very end of the line leads back to live.
        (0..8).all(|_| ada.ask()["live"] == false).then_some(())
    });
    ada.press("Bring others here");
    ada.find("Others invited");
    assert_eq!(ben.ask()["live"], true, "nobody is taken to the past unasked");
    eventually("Ben reads of it with his panels closed", || {
        let notice = ben.ask()["notices"][0].clone();
        notice.as_str()?.starts_with("Ada invites you to").then_some(())
    });
    ben.look().eyes[0].write(&kept_folder().join("xr-invited-closed.png"));
    ben.open_panel();
    ben.find("invites you to");
    ben.look().eyes[0].write(&kept_folder().join("xr-invited.png"));
    ben.press("Go there");
    eventually("Ben is in the past", || (ben.ask()["live"] == false).then_some(()));
    let instants = [ada.leave(), ben.leave()].map(|report| report["cursor"]["instant"].clone());
    assert!(instants[0].is_string() && instants[0] == instants[1], "they look at {instants:?}");
}

#[test]
fn an_alarm_is_acknowledged_with_the_laser_and_everyone_hears_who_has_seen_it() {
    let Some(runtime) = runtime("alarm") else { return };
    let (machine, after) = faulted();
    let mut site = PlantSite::start_with(&["--speed", "0.1", "--warm-up", &after.to_string()]);
    let link = site.invite("operator");
    let mut colleague = Editor::join(&site.address, "Cora", 62);
    let mut rig = Rig::enter(&runtime, &link, site.folder.path(), "Vera");
    let before = rig.open_panel();
    // The bar's button says how many nobody has seen.
    let count = rig.find_like("Alarms ");
    rig.press(&count);
    rig.find("Acknowledge");
    rig.look().eyes[0].write(&kept_folder().join("xr-alarms.png"));
    rig.press("Acknowledge");
    assert_eq!(rig.find_like("has seen it"), "Vera has seen it");
    let place = listed(&rig.ask(), &machine).expect("what has been seen is listed, and marked so");
    let thing = colleague.thing(&machine);
    eventually("the acknowledgement is in the record", || {
        colleague.hear();
        colleague.site().alarm_ack(thing).is_some().then_some(())
    });
    // Its name selects it and goes there.
    rig.press_at(place);
    let gone = eventually("the person is brought before it", || Some(rig.ask()).filter(|s| s["rig"] != before["rig"]));
    assert_eq!(gone["selected"], machine.as_str());
    rig.put(|person| person.hands[0].menu = true);
    rig.put(|person| person.hands[0].menu = false);
    rig.look().eyes[0].write(&kept_folder().join("xr-at-the-alarm.png"));
    rig.leave();
}

/// Where the machine's name stands in the list of alarms: after the mark of what has been seen.
fn listed(standing: &Value, machine: &str) -> Option<[f32; 3]> {
    let name = machine.rsplit('/').next()?;
    let written = standing["written"].as_array()?;
    let row = written.windows(2).find(|row| row[0][0] == "✔" && row[1][0] == name)?;
    Some(point(&row[1][1]))
}

#[test]
fn a_hand_carries_a_box_and_the_desktop_sees_where_it_was_put() {
    let Some(runtime) = runtime("carry") else { return };
    let site = PlantSite::start();
    let mut rig = Rig::enter(&runtime, &site.address, site.folder.path(), "Vera");
    let standing = rig.ask();
    let line = gemba_twin::layout::halls(1)[0].lines[0].world_from_line;
    let rack = [line.x, line.y, line.z].map(|c| c as f32);
    // Along the front of the rack until a box lies before the hand.
    let ways = (0..14).flat_map(|n| [0.3, 1.7].map(|up| [rack[0] + 38.4, up, rack[2] - 3.0 + 0.45 * n as f32]));
    let found = ways.into_iter().find_map(|at| {
        let hand = rig_from_world(&standing, [at[0] - 1.6, at[1] + 0.1, at[2]]);
        let target = rig_from_world(&standing, at);
        rig.put(|person| {
            person.head.place = [hand[0], hand[1] + 0.5, hand[2]];
            person.hands[1].pose = Pose::towards(hand, target);
        });
        let pointed = rig.ask()["pointed"][1].as_str().unwrap_or_default().to_owned();
        pointed.contains("/Box").then_some((pointed, at))
    });
    let (carried, from) = found.expect("the rack has boxes");
    rig.put(|person| person.hands[1].squeeze = 1.0);
    // Out of the rack, towards the line.
    let [here, there] = [[0.0; 3], [-1.5, 0.0, 0.0]].map(|step| rig_from_world(&standing, step));
    rig.put(|person| (0..3).for_each(|axis| person.hands[1].pose.place[axis] += there[axis] - here[axis]));
    rig.look().eyes[0].write(&kept_folder().join("xr-carry.png"));
    rig.put(|person| person.hands[1].squeeze = 0.0);
    let ada = Viewer::start(&site.address, site.folder.path(), "Ada", &["--size", "640x360", "--seconds", "2"]);
    let report = ada.report();
    let seen = &report["changed"][&carried];
    assert_eq!(seen["carried"], true, "{carried}: {}", report["changed"]);
    let lies = point(&seen["place"]);
    let off = (lies[0] - (from[0] - 1.5)).hypot(lies[2] - from[2]);
    assert!(off < 0.7, "{carried} was taken at {from:?}, put 1.5 m before the rack, and lies at {lies:?}");
    rig.leave();
}

#[test]
fn a_note_is_written_with_the_keys_over_the_panel_and_everyone_reads_it() {
    let Some(runtime) = runtime("note") else { return };
    let mut site = PlantSite::start();
    let link = site.invite("editor");
    let mut colleague = Editor::join(&site.address, "Cora", 64);
    let mut rig = Rig::enter_with(&runtime, &link, site.folder.path(), "Vera", |viewer| {
        viewer.args(["--select", "Hall1/Line1/Pump1"]);
    });
    rig.open_panel();
    rig.press("Note");
    rig.find("leave a note");
    rig.type_keys(&["Shift", "H", "o", "t"]);
    rig.find("Hot");
    rig.look().eyes[0].write(&kept_folder().join("xr-note.png"));
    rig.press("Done");
    rig.press("Leave note");
    let thing = colleague.thing("Hall1/Line1/Pump1");
    eventually("the note is in the record", || {
        colleague.hear();
        colleague.site().notes().iter().any(|note| note.thing == thing && note.text == "Hot").then_some(())
    });
    rig.leave();
}

/// Just above a tick of the time line: the lowest clock time on the panel but for the status bar's.
fn tick(standing: &Value) -> [f32; 3] {
    let is_time = |words: &str| words.len() == 8 && words.bytes().filter(|b| *b == b':').count() == 2;
    let times = standing["written"].as_array().unwrap().iter().filter(|written| is_time(written[0].as_str().unwrap()));
    let places: Vec<[f32; 3]> = times.map(|written| point(&written[1])).collect();
    let newest = *places.last().expect("a time line with ticks");
    // The oldest of its row: what is newest may be so near the present that it is live there.
    let row = places.into_iter().filter(|at| (at[1] - newest[1]).abs() < 0.005);
    let mut tick = row.min_by(|a, b| a[0].total_cmp(&b[0])).expect("at least the newest");
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
