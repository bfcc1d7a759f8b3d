//! What the viewer renders, looked at: tolerant of drivers, strict about what a person would miss.

use std::path::Path;

use gemba_tests::picture::{Picture, assert_difference, distance};
use gemba_tests::plant_site::{PlantSite, generate};
use gemba_tests::program::Viewer;

const SIZE: [&str; 5] = ["--size", "480x270", "--plain", "--seconds", "1"];
/// The colour of what is behind everything.
const SKY: [u8; 3] = [22, 26, 31];
/// The colour of this person's own selection.
const ACCENT: [u8; 3] = [94, 178, 240];

fn view(target: &str, folder: &Path, name: &str, more: &[&str]) -> Picture {
    Viewer::start(target, folder, name, &[&SIZE[..], more].concat()).report();
    Picture::read(&folder.join(format!("{name}.png")))
}

#[test]
fn the_plant_is_seen_and_what_is_selected_has_an_outline() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("plant.glb");
    generate(&model);
    let model = model.to_str().unwrap();
    let plain = view(model, folder.path(), "plain", &[]);
    let plant = 1.0 - plain.share(|p| distance(p, SKY) < 12);
    assert!((0.3..0.99).contains(&plant), "the plant fills {plant:.2} of the picture");
    assert!(plain.colours() > 60, "only {} colours", plain.colours());
    let orange = |p: [u8; 3]| p[0] > 150 && p[1] < 130 && p[2] < 80;
    assert!(plain.share(orange) > 0.0003, "the robots are orange and in sight");
    let rim = |picture: &Picture| picture.share(|p| distance(p, ACCENT) < 30);
    let selected = view(model, folder.path(), "selected", &["--select", "Hall1/Line1/Robot1"]);
    assert!(rim(&plain) < 0.002, "{}", rim(&plain));
    assert!(rim(&selected) > 0.004, "the outline covers {} of the picture", rim(&selected));
}

#[test]
fn pinned_inspectors_stand_beside_each_other_over_the_plant() {
    let site = PlantSite::start();
    let folder = site.folder.path();
    let picture = |name: &str, more: &[&str]| {
        let size = ["--size", "1280x640", "--seconds", "1"];
        Viewer::start(&site.address, folder, name, &[&size[..], more].concat()).report();
        Picture::read(&folder.join(format!("{name}.png")))
    };
    let pins = ["--pin", "Hall1/Line1/Pump1", "--pin", "Hall1/Line1/Robot1"];
    let [none, two] = [picture("none", &[]), picture("two", &pins)];
    // `theme::PANEL`, of which each of them is 320 by 420 points.
    let panel = |picture: &Picture| picture.share(|p| p == [27, 30, 34]);
    let more = (panel(&two) - panel(&none)) * 1280.0 * 640.0 / (320.0 * 420.0);
    assert!((1.5..2.1).contains(&more), "they cover as much as {more:.2} of them would");
    // So egui marks what is drawn twice under one name.
    assert_eq!(two.share(|p| p[0] > 240 && p[1] < 20 && p[2] < 20), 0.0);
}

#[test]
fn parts_move_as_the_data_says() {
    let site = PlantSite::start();
    let folder = site.folder.path();
    let still = view(folder.join("plant.glb").to_str().unwrap(), folder, "still", &[]);
    let alive = view(&site.address, folder, "alive", &[]);
    // The same plant from the same place: what differs is what the tags have moved, and that is not the hall.
    assert_difference("still-alive", &still, &alive, 0.0005..=0.25);
    let later = view(&site.address, folder, "later", &[]);
    assert_difference("alive-later", &alive, &later, 0.0002..=0.25);
}

#[test]
fn the_same_model_gives_the_same_picture_twice() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("plant.glb");
    generate(&model);
    let model = model.to_str().unwrap();
    let (first, second) = (view(model, folder.path(), "first", &[]), view(model, folder.path(), "second", &[]));
    assert_difference("first-second", &first, &second, 0.0..=0.002);
}
