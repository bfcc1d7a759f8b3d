//! Session and runtime, lost and found.

use gemba_tests::picture::assert_difference;
use gemba_tests::plant_site::{self, eventually};
use gemba_tests::program::Program;
use gemba_tests::xr_rig::{Fate, Loss, Rig, runtime};
use serde_json::Value;

use crate::places::point;

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
    let stderr = rig.stderr();
    let report = rig.leave();
    assert_eq!(report["headset"]["sessions"], 4, "{}", report["headset"]);
    assert_eq!(report["headset"]["mask_triangles"], 4, "{}", report["headset"]);
    let errors = report["errors"].as_array().unwrap();
    // The same words are kept once.
    assert_eq!(errors.len(), 2, "{errors:?}\n{stderr}");
    assert!(errors[0].as_str().unwrap().contains("the headset was lost"), "{errors:?}");
    assert!(errors[1].as_str().unwrap().contains("runtime has gone"), "{errors:?}");
}

#[test]
fn a_menu_hides_the_hands_a_headset_taken_off_shows_nothing_and_recentring_moves_nobody_in_the_plant() {
    let Some(runtime) = runtime("menu") else { return };
    let folder = tempfile::tempdir().unwrap();
    let Some(loss) = Loss::build("menu", folder.path()) else { return };
    let model = folder.path().join("plant.glb");
    plant_site::generate(&model);
    let mut rig = Rig::enter_with(&runtime, model.to_str().unwrap(), folder.path(), "Vera", |viewer| {
        loss.stand_between(viewer);
    });
    let none = serde_json::json!([null, null]);
    let before = rig.put(|person| person.hands[1].stick = [0.0, -0.9]);
    assert_ne!(before["hands"], none);
    loss.happens(Fate::MenuOpen);
    let seen = rig.await_state("Visible");
    // The head goes on; hands are gone and nothing they do counts.
    assert!(!seen["head"].is_null() && seen["hands"] == none, "{seen}");
    assert_eq!(seen["sticks"], serde_json::json!([[0.0, 0.0], [0.0, 0.0]]), "{seen}");
    assert!(rig.look().eyes[0].colours() > 20, "the plant stays in sight");
    loss.is_over();
    rig.await_state("Focused");
    rig.put(|person| person.hands[1].stick = [0.0, 0.0]);
    loss.happens(Fate::TakenOff);
    let off = rig.await_state("Unseen");
    assert_eq!((&off["head"], &off["hands"]), (&Value::Null, &none), "{off}");
    loss.is_over();
    rig.await_state("Focused");
    let before = rig.put(|_| {});
    loss.happens(Fate::Recentred);
    let after = eventually("the tracking space lies elsewhere", || {
        let now = rig.ask();
        let moved = point(&now["head"])[0] - point(&before["head"])[0];
        (moved > 0.39).then_some(now)
    });
    // Where the head is in the plant, which is turned by `yaw` against the tracking space.
    let in_plant = |standing: &Value| {
        let (rig, head) = (point(&standing["rig"]), point(&standing["head"]));
        let (sin, cos) = (standing["yaw"].as_f64().unwrap() as f32).sin_cos();
        [rig[0] + cos * head[0] + sin * head[2], rig[2] - sin * head[0] + cos * head[2]]
    };
    let (was, is) = (in_plant(&before), in_plant(&after));
    assert!((was[0] - is[0]).hypot(was[1] - is[1]) < 1e-3, "the person was moved from {was:?} to {is:?}");
    let report = rig.leave();
    assert_eq!(report["errors"], serde_json::json!([]), "{report}");
    assert_eq!(report["headset"]["sessions"], 1, "{}", report["headset"]);
}

#[test]
fn a_headset_that_comes_later_is_entered_from_the_running_desktop() {
    let Some(runtime) = runtime("later") else { return };
    let folder = tempfile::tempdir().unwrap();
    let Some(loss) = Loss::build("later", folder.path()) else { return };
    let model = folder.path().join("plant.glb");
    plant_site::generate(&model);
    loss.happens(Fate::RuntimeGone);
    let mut rig = Rig::start(&runtime, model.to_str().unwrap(), folder.path(), "Vera", |viewer| {
        loss.stand_between(viewer);
    });
    let desk = rig.await_state("Away");
    assert_eq!(desk["head"], Value::Null, "the desktop works without a headset");
    assert!(rig.stderr().contains("staying on the desktop until there is one"), "{}", rig.stderr());
    loss.is_over();
    rig.await_state("Focused");
    rig.wear();
    assert!(rig.look().eyes[0].colours() > 20, "the plant is seen by who came later");
    let report = rig.leave();
    assert_eq!(report["errors"], serde_json::json!([]), "{report}");
}

#[test]
fn without_a_runtime_the_desktop_works_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("plant.glb");
    plant_site::generate(&model);
    let report = folder.path().join("report.json");
    let arguments = ["view".as_ref(), model.as_os_str(), "--xr".as_ref(), "--headless".as_ref()];
    let files = ["--size", "320x200", "--report"].map(AsRef::as_ref).into_iter().chain([report.as_os_str()]);
    let viewer = Program::start_with("gemba", arguments.into_iter().chain(files), |viewer| {
        viewer.env("XR_RUNTIME_JSON", folder.path().join("none.json"));
    });
    let ended = viewer.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("no headset: "), "{}", ended.stderr);
    assert_eq!(ended.stderr.lines().filter(|line| line.starts_with("gemba:")).count(), 1, "{}", ended.stderr);
    let report: Value = serde_json::from_str(&std::fs::read_to_string(report).unwrap()).unwrap();
    assert_eq!(report["errors"], serde_json::json!([]), "{report}");
}
