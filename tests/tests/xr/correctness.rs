//! OpenXR used as it is meant to be.

use gemba_tests::plant_site;
use gemba_tests::xr_rig::{Loss, Pose, Rig, Validation, runtime};
use serde_json::Value;

#[test]
fn a_runtime_that_knows_openxr_1_0_only_is_spoken_to_in_that() {
    let Some(runtime) = runtime("1.0") else { return };
    let folder = tempfile::tempdir().unwrap();
    let Some(layer) = Loss::build("1.0", folder.path()) else { return };
    let model = folder.path().join("plant.glb");
    plant_site::generate(&model);
    let mut rig = Rig::enter_with(&runtime, model.to_str().unwrap(), folder.path(), "Vera", |viewer| {
        layer.stand_between(viewer);
        viewer.env("GEMBA_XR_OLD", "1");
    });
    assert!(rig.look().eyes[0].colours() > 20, "the plant is seen");
    let report = rig.leave();
    assert_eq!(report["headset"]["openxr"], "1.0", "{}", report["headset"]);
    assert_eq!(report["errors"], Value::Array(Vec::new()), "{report}");
}

#[test]
fn khronos_validation_and_best_practices_find_nothing_and_openxr_1_1_is_spoken() {
    let Some(runtime) = runtime("validation") else { return };
    let folder = tempfile::tempdir().unwrap();
    let Some(validation) = Validation::find("validation", folder.path()) else { return };
    let model = folder.path().join("plant.glb");
    plant_site::generate(&model);
    let mut rig = Rig::enter_with(&runtime, model.to_str().unwrap(), folder.path(), "Vera", |viewer| {
        validation.listen_to(viewer);
    });
    validation.assert_heard(rig.process());
    for step in 0..6 {
        rig.put(|person| person.head = Pose::looking([0.02 * step as f32, 1.6, 0.0], 0.2 * step as f32, 0.0));
    }
    rig.put(|person| person.hands[1].trigger = 1.0);
    rig.put(|person| person.hands[1].trigger = 0.0);
    rig.open_panel();
    rig.look();
    let stderr = rig.stderr();
    let report = rig.leave();
    let found = validation.found(&stderr);
    assert!(found.is_empty(), "{} faults: {:#?}", found.len(), &found[..found.len().min(20)]);
    assert_eq!(report["headset"]["openxr"], "1.1", "{}", report["headset"]);
    assert_eq!(report["errors"], Value::Array(Vec::new()), "{report}");
}

#[test]
fn khronos_validation_of_usage_finds_nothing_in_foveated_views_either() {
    let Some(runtime) = runtime("foveated validation") else { return };
    let folder = tempfile::tempdir().unwrap();
    let validation = Validation::find("foveated validation", folder.path());
    let Some(validation) = validation.map(Validation::of_valid_usage) else { return };
    let Some(layer) = Loss::build("foveated validation", folder.path()) else { return };
    let model = folder.path().join("plant.glb");
    plant_site::generate(&model);
    let mut rig = Rig::enter_with(&runtime, model.to_str().unwrap(), folder.path(), "Vera", |viewer| {
        layer.stand_between(viewer);
        viewer.env("GEMBA_XR_INSET", "1");
        validation.listen_to(viewer);
    });
    validation.assert_heard(rig.process());
    for step in 0..4 {
        rig.put(|person| person.head = Pose::looking([0.02 * step as f32, 1.6, 0.0], 0.2 * step as f32, 0.0));
    }
    assert!(rig.look().insets.is_some(), "there are insets");
    let stderr = rig.stderr();
    let report = rig.leave();
    let found = validation.found(&stderr);
    assert!(found.is_empty(), "{} faults: {:#?}", found.len(), &found[..found.len().min(20)]);
    assert_eq!(report["errors"], Value::Array(Vec::new()), "{report}");
}
