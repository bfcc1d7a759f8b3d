//! Session and runtime, lost and found.

use gemba_tests::picture::assert_difference;
use gemba_tests::plant_site::{self, eventually};
use gemba_tests::xr_rig::{Fate, Loss, Rig, runtime};
use serde_json::Value;

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
