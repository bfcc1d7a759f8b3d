//! Moving through the plant.

use gemba_tests::plant_site;
use gemba_tests::xr_rig::{Pose, Rig, runtime};

use crate::places::{point, rig_from_world};

#[test]
fn a_teleport_goes_where_the_arc_lands_and_a_turn_goes_by_steps() {
    let Some(runtime) = runtime("teleport") else { return };
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("plant.glb");
    plant_site::generate(&model);
    let mut rig = Rig::enter(&runtime, model.to_str().unwrap(), folder.path(), "Vera");
    let before = rig.put(|person| person.hands[0].pose = Pose::looking([0.0, 1.2, -0.2], 1.2, -0.6));
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
