//! The desktop's panels around the person.

use gemba_record::edit::Change;
use gemba_tests::editor::Editor;
use gemba_tests::picture::{assert_difference, kept_folder};
use gemba_tests::plant_site::{self, PlantSite, eventually};
use gemba_tests::xr_rig::{Loss, Pose, Rig, runtime};
use gemba_twin::place::Placement;
use serde_json::Value;

use crate::places::{mill, point, pump, rig_from_world, select};

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
fn a_bare_hand_opens_the_panels_by_a_pinch_with_its_palm_before_the_eyes() {
    let Some(runtime) = runtime("palm") else { return };
    let folder = tempfile::tempdir().unwrap();
    let Some(layer) = Loss::build("palm", folder.path()) else { return };
    let model = folder.path().join("plant.glb");
    plant_site::generate(&model);
    let mut rig = Rig::enter_with(&runtime, model.to_str().unwrap(), folder.path(), "Vera", |viewer| {
        layer.stand_between(viewer);
        viewer.env("GEMBA_XR_BARE", "1");
    });
    rig.put(|person| person.hands.iter_mut().for_each(|hand| hand.pose.place[1] = 0.9));
    // A trigger that is pulled elsewhere is none of the menu.
    rig.put(|person| person.hands[0].trigger = 1.0);
    let pulled = rig.put(|person| person.hands[0].trigger = 0.0);
    assert_eq!((&pulled["panel"], &pulled["palms"]), (&false.into(), &serde_json::json!([false, false])));
    // +X of the left grip is away from its palm: to the eyes, which are behind it.
    let before_the_eyes = Pose::looking([0.05, 1.6, -0.4], -std::f32::consts::FRAC_PI_2, 0.0);
    rig.put(|person| person.hands[0].pose = before_the_eyes);
    let shown = eventually("the palm offers the menu", || Some(rig.ask()).filter(|s| s["palms"][0] == true));
    assert_eq!((&shown["palms"][1], &shown["panel"]), (&false.into(), &false.into()));
    rig.look().eyes[0].write(&kept_folder().join("xr-palm.png"));
    let selected = shown["selected"].clone();
    let pinch = |rig: &mut Rig, is_open: bool| {
        rig.tell(|person| person.hands[0].trigger = 1.0);
        let what = format!("the panel is open: {is_open}");
        let pinched = eventually(&what, || Some(rig.ask()).filter(|s| s["panel"] == is_open && s["menus"][0] == true));
        assert_eq!(
            (&pinched["triggers"][0], &pinched["selected"]),
            (&0.0.into(), &selected),
            "it presses nothing else"
        );
        rig.put(|person| person.hands[0].trigger = 0.0);
    };
    pinch(&mut rig, true);
    rig.press("Walk");
    eventually("the other hand presses on it", || (rig.ask()["camera"] == "Walk").then_some(()));
    pinch(&mut rig, false);
    let report = rig.leave();
    assert_eq!(report["errors"], serde_json::json!([]), "{report}");
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
    // The panel's own dark grey (`theme::FIELD`) covers most of the middle, where the machine's front was.
    let [panel, machine] = [&seen, &before].map(|look| {
        let middle = look.eyes[0].columns(110..270);
        middle.share(|pixel| pixel == [20, 22, 25])
    });
    assert!(panel > 0.4 && machine < 0.05, "{panel} of the middle is the panel's colour, {machine} without it");
    rig.leave();
}

#[test]
fn a_panel_put_beside_a_machine_goes_along_when_that_is_moved() {
    let Some(runtime) = runtime("pin") else { return };
    let site = PlantSite::start();
    let mut colleague = Editor::join(&site.address, "Cora", 64);
    let mut rig = Rig::enter(&runtime, &site.address, site.folder.path(), "Vera");
    select(&mut rig, pump(), "Hall1/Line1/Pump1");
    rig.open_panel();
    rig.press("In the plant");
    eventually("the plant has it", || (rig.ask()["panel_hold"] == "plant").then_some(()));
    rig.look().eyes[0].write(&kept_folder().join("xr-pinned.png"));
    let before = point(&rig.ask()["panel_at"]);
    let [x, y, z] = gemba_twin::layout::PUMP.to_array();
    let position = [x + 0.4, y, z + 0.3];
    colleague.edit("Hall1/Line1/Pump1", Change::Move(Some(Placement { position, ..Placement::default() }))).unwrap();
    let moved = eventually("the panel has moved with the pump", || {
        let now = point(&rig.ask()["panel_at"]);
        let way = (0..3).map(|axis| (now[axis] - before[axis]).powi(2)).sum::<f32>().sqrt();
        (way > 0.4).then_some(way)
    });
    assert!((moved - 0.5).abs() < 0.02, "by {moved} m");
    // It came towards her: her hand makes room.
    rig.put(|person| person.hands[1].pose.place = [0.3, 1.3, 0.2]);
    rig.press("With me");
    eventually("the person has it again", || (rig.ask()["panel_hold"] == "person").then_some(()));
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
