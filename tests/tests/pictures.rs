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
