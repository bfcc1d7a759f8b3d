//! What people see of each other, in headsets and on desktops.

use gemba_net::TrackedPoint;
use gemba_tests::editor::Editor;
use gemba_tests::picture::{Picture, assert_difference, kept_folder};
use gemba_tests::plant_site::{PlantSite, eventually};
use gemba_tests::program::Viewer;
use gemba_tests::xr_rig::{Pose, Rig, runtime};
use serde_json::Value;

use crate::places::{point, pump, rig_from_world};

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
        person.head = Pose::towards(eye, target);
        person.hands[0].pose = Pose::towards(hand(-0.15), target);
        person.hands[1].pose = Pose::towards(hand(0.15), target);
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
    // Face to face with the one on the desktop, nearer than the pump she looks at, both hands raised.
    let place = eventually("the desktop's head is known", || {
        let people = rig.ask()["people"].clone();
        people.as_array()?.iter().find(|p| p[0] == "Ada" && !p[1].is_null()).map(|p| point(&p[1]))
    });
    let there = rig_from_world(&standing, place);
    let apart = [0, 1, 2].map(|axis| target[axis] - there[axis]);
    let length = apart.iter().map(|c| c * c).sum::<f32>().sqrt();
    let away = apart.map(|c| c / length);
    let eye = [0, 1, 2].map(|axis| there[axis] + 1.4 * away[axis]);
    rig.put(|person| {
        person.head = Pose::towards(eye, there);
        for (hand, side) in person.hands.iter_mut().zip([-0.35, 0.35]) {
            // To the side, as seen from here, and a little towards her.
            let place =
                [eye[0] - 0.25 * away[0] + side * away[2], eye[1] - 0.2, eye[2] - 0.25 * away[2] - side * away[0]];
            hand.pose = Pose::towards(place, there);
        }
    });
    rig.look().eyes[0].write(&kept.join("xr-the-desktop-seen.png"));
    // Cameras see both hands bare: the left one open, the other a fist with the forefinger out.
    rig.put(|person| {
        person.hands[0].fingers = Some([0.0; 5]);
        person.hands[1].fingers = Some([1.0, 1.0, 1.0, 0.0, 0.6]);
    });
    rig.look().eyes[0].write(&kept.join("xr-own-bare-hands.png"));
    let report = ada.report();
    std::fs::copy(site.folder.path().join("Ada.png"), kept.join("xr-the-headset-seen.png")).unwrap();
    let peers = report["peers"].as_array().unwrap();
    let vera = peers.iter().find(|peer| peer["name"] == "Vera").expect("Ada has met Vera");
    assert_eq!(vera["hands"], 2, "{vera}");
    // Ada sees the left one open and of the right one the forefinger alone out, as cameras saw them.
    let bent =
        |hand: usize| [1, 2, 3, 4].map(|finger| vera["fingers"][hand][finger].as_u64().expect("it is told") > 60);
    assert_eq!([bent(0), bent(1)], [[false; 4], [false, true, true, true]], "{vera}");
    assert_eq!(vera["selected"], "Hall1/Line1/Pump1", "{vera}");
    let met = rig_from_world(&standing, point(&vera["place"]));
    let off = (0..3).map(|i| (met[i] - eye[i]).abs()).fold(0.0, f32::max);
    assert!(off < 0.02, "Ada has Vera's head {off} m from where it is");
    assert!(Picture::read(&site.folder.path().join("Ada.png")).colours() > 20);
    rig.leave();
}

#[test]
fn the_laser_of_who_is_on_a_desktop_is_seen_in_the_headset() {
    let Some(runtime) = runtime("laser") else { return };
    let site = PlantSite::start();
    let mut cora = Editor::join(&site.address, "Cora", 65);
    let mut rig = Rig::enter(&runtime, &site.address, site.folder.path(), "Vera");
    // Above the plant nothing moves; the hands are away.
    let standing = rig.put(|person| {
        person.head = Pose::looking([0.0, 1.65, 0.0], 0.0, 1.4);
        person.hands.iter_mut().for_each(|hand| hand.pose = Pose::looking([0.0, 0.4, 1.0], 3.0, 0.0));
    });
    let (sin, cos) = (standing["yaw"].as_f64().unwrap() as f32).sin_cos();
    let rig_at = point(&standing["rig"]);
    // Of the tracking space, in the world.
    let world = |[x, y, z]: [f32; 3]| [rig_at[0] + cos * x + sin * z, rig_at[1] + y, rig_at[2] - sin * x + cos * z];
    let head = TrackedPoint { place: world([-2.5, 1.6, -1.0]), rotation: [0.0, 0.0, 0.0, 1.0] };
    let stand = |pointer| gemba_net::Pose { head, hands: [None, None], pointer };
    let is_there = |rig: &mut Rig| rig.ask()["people"].as_array().is_some_and(|p| p.iter().any(|p| !p[1].is_null()));
    eventually("Cora is there", || {
        cora.stand(stand(None));
        is_there(&mut rig).then_some(())
    });
    let [before, again] = [rig.look(), rig.look()];
    assert_difference("xr-no-laser", &again.eyes[0], &before.eyes[0], 0.0..=0.0005);
    let end = world([1.5, 4.5, -2.0]);
    let seen = eventually("her laser is seen", || {
        cora.stand(stand(Some(end)));
        let seen = rig.look();
        (seen.eyes[0].difference(&before.eyes[0]) > 0.002).then_some(seen)
    });
    seen.eyes[0].write(&kept_folder().join("xr-their-laser.png"));
    // A line and not half the sky.
    assert_difference("xr-their-laser", &seen.eyes[0], &before.eyes[0], 0.002..=0.05);
    rig.leave();
}
