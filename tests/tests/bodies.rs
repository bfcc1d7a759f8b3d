//! Things that people carry: one takes a box out of the rack and puts it down, the others see it lie there, whether they
//! were there, come later, or come after the host was started anew.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, and the line says where")]

use gemba_net::{LinkCommand, LinkEvent, TrackedPoint};
use gemba_record::edit::Change;
use gemba_tests::editor::Editor;
use gemba_tests::plant_site::PlantSite;
use gemba_tests::program::Viewer;
use serde_json::{Value, json};

const BOX: &str = "Hall1/Line1/Rack1/Pallet1/Box1";
const VIEW: [&str; 4] = ["--size", "640x360", "--seconds", "2"];

fn at(place: [f32; 3]) -> TrackedPoint {
    TrackedPoint { place, rotation: [0.0, 0.0, 0.0, 1.0] }
}

fn assert_lies(report: &Value, place: [f64; 3], who: &str) {
    let seen = &report["changed"][BOX];
    assert_eq!(report["errors"], json!([]), "{who}");
    for (i, wanted) in place.into_iter().enumerate() {
        let seen = seen["place"][i].as_f64().unwrap_or_else(|| panic!("{who}: {}", report["changed"]));
        assert!((seen - wanted).abs() < 0.002, "{who}: {seen} for {wanted}");
    }
}

#[test]
fn a_box_lies_where_it_was_left_for_who_was_there_who_came_later_and_after_a_restart() {
    let mut site = PlantSite::start();
    let mut carrier = Editor::join(&site.address, "Carrie", 71);
    let stay = ["--size", "640x360", "--seconds", "8"];
    let live = Viewer::start(&site.address, site.folder.path(), "Lively", &stay);
    carrier.await_person("Lively");
    let (thing, robot) = (carrier.thing(BOX), carrier.thing("Hall1/Line1/Robot1"));
    carrier.send(LinkCommand::GrabBody { thing: robot, from: at([0.0; 3]) });
    let why = carrier.until("a robot is refused", |event| match event {
        LinkEvent::GrabRefused { why, .. } => Some(why.clone()),
        _ => None,
    });
    assert!(why.contains("Robot1"), "{why}");
    carrier.send(LinkCommand::GrabBody { thing, from: at([40.0, 1.0, 1.0]) });
    carrier.until("the box is in hand", |event| matches!(event, LinkEvent::Grabbed { .. }).then_some(()));
    for step in 0..50u8 {
        carrier.send(LinkCommand::MoveBody { thing, at: at([30.0 - f32::from(step) * 0.2, 1.0, 4.0]) });
        carrier.hear();
    }
    carrier.send(LinkCommand::ReleaseBody { thing, at: at([20.0, 0.5, 4.25]) });
    carrier.until("the box lies", |event| {
        matches!(event, LinkEvent::Bodies(told) if told.iter().any(|told| told.holder.is_none())).then_some(())
    });
    let late = Viewer::start(&site.address, site.folder.path(), "Late", &VIEW);
    assert_lies(&live.report(), [20.0, 0.5, 4.25], "who was there");
    assert_lies(&late.report(), [20.0, 0.5, 4.25], "who came later");
    // A host that is killed has kept where things lay a few seconds before.
    let kept = site.site().join("rests");
    gemba_tests::plant_site::eventually("where the box lies is kept", || kept.exists().then_some(()));
    site.host.kill();
    site.serve_again();
    let again = Viewer::start(&site.address, site.folder.path(), "Again", &VIEW);
    assert_lies(&again.report(), [20.0, 0.5, 4.25], "after the host was started anew");
    // Whoever puts it back in the record has the last word.
    carrier.until("the host is there again", |event| matches!(event, LinkEvent::Welcome { .. }).then_some(()));
    carrier.edit(BOX, Change::Move(None)).unwrap();
    let put_back = Viewer::start(&site.address, site.folder.path(), "Tidy", &VIEW).report();
    assert_eq!(put_back["changed"], json!({}));
}
