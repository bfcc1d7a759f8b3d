//! The plant as people change it: every viewer follows, whether it was there or comes later.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, and the line says where")]

use gemba_record::body::Body;
use gemba_record::edit::{Change, NewThing};
use gemba_tests::editor::Editor;
use gemba_tests::plant_site::PlantSite;
use gemba_tests::program::Viewer;
use gemba_twin::path::ThingId;
use gemba_twin::place::Placement;
use gemba_twin::thing::{Class, Level, Thing};
use serde_json::{Value, json};

const SMALL: [&str; 2] = ["--size", "640x360"];

fn put(position: [f64; 3]) -> Placement {
    Placement { position, ..Placement::default() }
}

fn place(report: &Value, path: &str) -> [f64; 3] {
    let place = report["changed"][path]["place"].as_array().unwrap_or_else(|| panic!("{path}: {}", report["changed"]));
    [0, 1, 2].map(|i| place[i].as_f64().unwrap())
}

fn near(a: [f64; 3], b: [f64; 3]) -> bool {
    a.iter().zip(b).all(|(a, b)| (a - b).abs() < 0.01)
}

/// What the edits below make of the plant.
fn assert_edited(report: &Value, who: &str) {
    assert_eq!(report["errors"], json!([]), "{who}");
    assert!(near(place(report, "Hall1/Line1/Spare"), [3.0, 0.0, 9.0]), "{who}: {}", report["changed"]);
    assert!(near(place(report, "Hall1/Gate"), [1.0, 0.0, 11.0]), "{who}: {}", report["changed"]);
    assert_eq!(report["changed"]["Hall1/Line1/Spare"]["made"], true, "{who}");
    let changed = &report["changed"];
    assert_eq!(
        (&changed["Hall1/Line1/Rack1"]["retired"], &changed["Hall1/Line1/Rack1"]["shown"]),
        (&json!(true), &json!(false)),
        "{who}: {changed}"
    );
    assert_eq!(changed["Hall1/Line1/Vat"]["shown"], true, "{who}: what was renamed and moved is there: {changed}");
    assert_eq!(report["notes"], 1, "{who}");
    assert_eq!(report["viewpoints"], 1, "{who}");
    let level = &report["values"]["Hall1/Line1/Tank1/Level"];
    assert_eq!(level["quality"], "good", "{who}: a tag keeps its name");
}

#[test]
fn every_edit_of_the_plant_is_followed_live_and_by_whoever_joins_later() {
    let site = PlantSite::start();
    let mut editor = Editor::join(&site.address, "Edith", 61);
    let before = editor.site().things().len();
    let stay = [&SMALL[..], &["--seconds", "12"]].concat();
    let live = Viewer::start(&site.address, site.folder.path(), "Lively", &stay);
    editor.await_person("Lively");
    let new = |id: u8, path: &str, like, position| {
        let thing =
            Thing { path: path.parse().unwrap(), level: Level::Unit, class: Class::Other, bindings: Vec::new() };
        Body::CreateThing(NewThing { id: ThingId([id; 16]), thing, place: put(position), like })
    };
    let untouched = gemba_tests::editor::now();
    let robot = editor.thing("Hall1/Line1/Robot1");
    editor.say(new(1, "Hall1/Line1/Spare", Some(robot), [0.0, 0.0, 9.0])).unwrap();
    editor.say(new(2, "Hall1/Gate", None, [1.0, 0.0, 11.0])).unwrap();
    editor.edit("Hall1/Line1/Spare", Change::Move(Some(put([3.0, 0.0, 9.0])))).unwrap();
    editor.edit("Hall1/Line1/Tank1", Change::Rename("Vat".to_owned())).unwrap();
    editor.edit("Hall1/Line1/Vat", Change::Move(Some(put([8.0, 0.0, 5.0])))).unwrap();
    editor.edit("Hall1/Line1/Rack1", Change::Retire(true)).unwrap();
    let vat = editor.thing("Hall1/Line1/Vat");
    editor.say(Body::note(vat, "the seal leaks")).unwrap();
    editor.say(Body::SaveViewpoint { name: "From the gate".to_owned(), viewpoint: viewpoint(vat) }).unwrap();
    let late = Viewer::start(&site.address, site.folder.path(), "Late", &[&SMALL[..], &["--seconds", "2"]].concat());
    let (live, late) = (live.report(), late.report());
    assert_edited(&live, "who was there");
    assert_edited(&late, "who came later");
    let at = format!("@{}", untouched.0 / 1_000_000);
    let past = [&SMALL[..], &["--seconds", "1", "--at", &at]].concat();
    let past = Viewer::start(&site.address, site.folder.path(), "Past", &past).report();
    assert_eq!((&past["cursor"]["live"], &past["changed"]), (&json!(false), &json!({})), "as it was before all edits");
    assert_eq!((past["things"].as_u64(), &past["notes"]), (Some(before as u64), &json!(0)));
    let retired = before + 2 - late["things"].as_u64().unwrap() as usize;
    assert!(retired >= 1, "what is retired is not counted");
}

fn viewpoint(selected: ThingId) -> gemba_twin::viewpoint::Viewpoint {
    gemba_twin::viewpoint::Viewpoint {
        eye: [0.0, 5.0, 20.0],
        target: [8.0, 1.0, 5.0],
        field_of_view: 0.9,
        hidden: Vec::new(),
        selected: vec![selected],
        section: None,
        instant: None,
    }
}
