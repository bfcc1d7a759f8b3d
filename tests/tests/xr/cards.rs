//! Pinned inspectors, each beside its machine.

use gemba_record::edit::Change;
use gemba_tests::editor::Editor;
use gemba_tests::picture::{assert_difference, kept_folder};
use gemba_tests::plant_site::{PlantSite, eventually};
use gemba_tests::xr_rig::{Pose, Rig, runtime};
use gemba_twin::place::Placement;
use serde_json::Value;

use crate::places::{point, pump, rig_from_world, select};

/// The one card that is there.
fn only_card(rig: &mut Rig) -> Value {
    eventually("there is one card", || {
        let cards = rig.ask()["cards"].clone();
        cards.as_array().filter(|cards| cards.len() == 1).map(|cards| cards[0].clone())
    })
}

/// Where these words are on the card.
fn written(rig: &mut Rig, words: &str) -> [f32; 3] {
    eventually(&format!("the card says '{words}'"), || {
        let card = only_card(rig);
        card["written"].as_array()?.iter().find(|written| written[0] == words).map(|w| point(&w[1]))
    })
}

fn apart(a: [f32; 3], b: [f32; 3]) -> f32 {
    (0..3).map(|axis| (a[axis] - b[axis]).powi(2)).sum::<f32>().sqrt()
}

#[test]
fn a_pinned_inspector_stays_beside_its_machine_until_a_hand_takes_it_along_or_closes_it() {
    let Some(runtime) = runtime("cards") else { return };
    let site = PlantSite::start();
    let mut colleague = Editor::join(&site.address, "Cora", 66);
    let mut rig = Rig::enter(&runtime, &site.address, site.folder.path(), "Vera");
    select(&mut rig, pump(), "Hall1/Line1/Pump1");
    rig.open_panel();
    rig.press("Pin");
    let card = only_card(&mut rig);
    assert_eq!((&card["thing"], &card["hold"]), (&"Hall1/Line1/Pump1".into(), &"plant".into()), "{card}");
    // It stays when the panels are closed, and is read where she stands.
    rig.put(|person| person.hands[0].menu = true);
    rig.put(|person| person.hands[0].menu = false);
    let standing = rig.ask();
    let target = rig_from_world(&standing, pump());
    rig.put(|person| {
        person.head = Pose::towards([target[0] + 0.3, 1.6, target[2] + 2.2], [target[0], 1.3, target[2]]);
        person.hands[0].pose = Pose::looking([target[0] - 0.2, 0.5, target[2] + 2.5], 3.0, 0.0);
        person.hands[1].pose = Pose::looking([target[0] + 0.5, 1.1, target[2] + 1.9], 3.0, 0.0);
    });
    let at = point(&only_card(&mut rig)["at"]);
    let beside = apart([at[0], 0.0, at[2]], [target[0], 0.0, target[2]]);
    assert!(beside < 1.5, "the card is {beside} m from the pump");
    let seen = rig.look();
    seen.eyes[0].write(&kept_folder().join("xr-card.png"));
    // A laser switches a curve off: less is drawn.
    let speed = written(&mut rig, "Speed");
    rig.press_at(speed);
    let changed = eventually("its curve is gone", || {
        let card = only_card(&mut rig);
        let words = card["written"].as_array()?.iter().filter(|w| w[0] == "Pump1 › Speed").count();
        (words == 0).then(|| rig.look())
    });
    assert_difference("xr-card-pressed", &changed.eyes[0], &seen.eyes[0], 0.001..=0.5);
    // It goes along with the machine.
    let [x, y, z] = gemba_twin::layout::PUMP.to_array();
    let position = [x - 0.4, y, z + 0.3];
    colleague.edit("Hall1/Line1/Pump1", Change::Move(Some(Placement { position, ..Placement::default() }))).unwrap();
    eventually("it has moved with the pump", || {
        let way = apart(point(&only_card(&mut rig)["at"]), at);
        ((way - 0.5).abs() < 0.05).then_some(())
    });
    // A hand takes it, and gives it to the plant where it opens.
    let middle = point(&only_card(&mut rig)["at"]);
    rig.aim(middle);
    rig.put(|person| person.hands[1].squeeze = 1.0);
    eventually("a hand has it", || (only_card(&mut rig)["hold"] == "hand").then_some(()));
    let held = point(&only_card(&mut rig)["at"]);
    rig.put(|person| person.hands[1].pose.place[1] += 0.3);
    rig.put(|person| person.hands[1].squeeze = 0.0);
    let put = eventually("the plant has it", || Some(only_card(&mut rig)).filter(|card| card["hold"] == "plant"));
    assert!(apart(held, middle) < 0.05, "it stays where it is while it is taken");
    let raised = point(&put["at"])[1] - held[1];
    assert!((raised - 0.3).abs() < 0.05, "it was carried {raised} m up");
    rig.look().eyes[0].write(&kept_folder().join("xr-card-carried.png"));
    let close = written(&mut rig, "×");
    rig.press_at(close);
    eventually("it is closed", || (rig.ask()["cards"] == serde_json::json!([])).then_some(()));
    let report = rig.leave();
    assert_eq!(report["errors"], serde_json::json!([]), "{report}");
}
