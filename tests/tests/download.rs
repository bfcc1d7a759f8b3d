//! A model that is large, a line that is slow, and a viewer that dies meanwhile: what has come is not asked for again.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, and the line says where")]

use std::fs;
use std::path::Path;

use gemba_tests::plant_site::{PlantSite, eventually};
use gemba_tests::program::Program;
use serde_json::{Value, json};

/// A line on which the model takes some seconds.
const LINE: &str = "delay=10ms,bandwidth=1Mbit";
/// So much has come when the viewer dies, bytes: some groups that are proven.
const COME: u64 = 200_000;
/// What else comes with the rest: the proofs of its groups, and the group that was under way.
const BESIDE: u64 = 140_000;

fn view(address: &str, folder: &Path) -> Program {
    let mut command = vec!["view".into(), address.into(), "--headless".into(), "--plain".into()];
    command.extend(["--size", "160x90", "--seconds", "0.5", "--name", "Ada", "--key"].map(Into::into));
    command.extend([folder.join("key").into_os_string(), "--report".into(), folder.join("json").into_os_string()]);
    Program::start_with("gemba", command, |viewer| {
        viewer.env("XDG_CACHE_HOME", folder);
    })
}

/// The only file in the cache whose name ends so: its bytes.
fn cached(folder: &Path, ending: &str) -> Option<Vec<u8>> {
    let models = fs::read_dir(folder.join("gemba/models")).ok()?.flatten().map(|entry| entry.path());
    models.filter(|path| path.extension().is_some_and(|e| e == ending)).find_map(|path| fs::read(path).ok())
}

#[test]
fn a_viewer_that_dies_while_the_plant_comes_goes_on_there_the_next_time() {
    let site = PlantSite::start_lines(4, &[]);
    let folder = site.folder.path().join("visitor");
    fs::create_dir(&folder).unwrap();
    let model = fs::read(site.folder.path().join("plant.glb")).unwrap();
    assert!(model.len() as u64 > 3 * COME, "{} bytes are too few to be broken off", model.len());
    let (_proxy, through) = site.behind(LINE);
    let mut first = view(&through, &folder);
    let come = || cached(&folder, "part").map_or(0, |part| part.len() as u64);
    eventually("some of the model is here", || (come() >= COME).then_some(()));
    first.kill();
    let kept = come();
    assert!(kept < model.len() as u64, "it was broken off");
    assert_eq!(cached(&folder, "glb"), None);

    let ended = view(&site.address, &folder).wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let report: Value = serde_json::from_slice(&fs::read(folder.join("json")).unwrap()).unwrap();
    assert_eq!(report["errors"], json!([]));
    assert!(cached(&folder, "glb").unwrap() == model && cached(&folder, "part").is_none());
    let asked = report["network"]["lane_bytes"]["down"]["files"].as_u64().unwrap();
    let rest = model.len() as u64 - kept;
    assert!((rest..rest + BESIDE).contains(&asked), "{kept} were here, {rest} were not, and {asked} came");
}
