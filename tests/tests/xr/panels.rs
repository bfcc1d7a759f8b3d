//! The desktop's panels around the person.

use gemba_tests::picture::{assert_difference, kept_folder};
use gemba_tests::plant_site::{self, eventually};
use gemba_tests::xr_rig::{Pose, Rig, runtime};
use serde_json::Value;

use crate::places::{mill, point, rig_from_world};

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
fn a_panel_comes_before_a_machine_that_stands_in_its_way_and_nothing_hides_it() {
    let Some(runtime) = runtime("hidden") else { return };
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("plant.glb");
    plant_site::generate(&model);
    let mut rig = Rig::enter(&runtime, model.to_str().unwrap(), folder.path(), "Vera");
    let away = |hand: &mut gemba_tests::xr_rig::Controller| hand.pose = Pose::looking([0.0, 0.4, 1.0], 3.0, 0.0);
    rig.put(|person| person.hands.iter_mut().for_each(away));
    let standing = rig.open_panel();
    let far = distance(&standing);
    assert!((0.4..1.25).contains(&far), "the panel is {far} m away");
    let free = rig.look();
    rig.put(|person| person.hands[0].menu = true);
    rig.put(|person| person.hands[0].menu = false);
    // So close to the machine that it stands between the eyes and where the panel would be.
    let [x, y, z] = mill();
    let (eye, front) = ([x, y, z + 0.8], [x, y, z]);
    let [eye, front] = [eye, front].map(|place| rig_from_world(&standing, place));
    rig.put(|person| person.head = Pose::towards(eye, front));
    let before = rig.look();
    before.eyes[0].write(&kept_folder().join("xr-before-the-mill.png"));
    rig.open_panel();
    let near = eventually("the panel has come nearer", || Some(distance(&rig.ask())).filter(|near| *near < 1.0));
    assert!(near > 0.45, "nobody is made to squint at {near} m");
    let seen = rig.look();
    seen.eyes[0].write(&kept_folder().join("xr-panel-before-the-mill.png"));
    // It is seen under the same angle, and nothing of the machine over it.
    assert_difference("xr-panel-hidden", &seen.eyes[0], &free.eyes[0], 0.0..=0.5);
    // The panel's own dark blue covers most of the middle, where the machine's grey front was.
    let [panel, machine] = [&seen, &before].map(|look| {
        let middle = look.eyes[0].columns(110..270);
        middle.share(|[_, _, blue]| (30..36).contains(&blue))
    });
    assert!(panel > 0.4 && machine < 0.2, "{panel} of the middle is the panel's colour, {machine} without it");
    rig.leave();
}

/// From the head to the middle of the panel, metres.
fn distance(standing: &Value) -> f32 {
    let (head, panel) = (point(&standing["head"]), point(&standing["panel_at"]));
    (0..3).map(|axis| (head[axis] - panel[axis]).powi(2)).sum::<f32>().sqrt()
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
