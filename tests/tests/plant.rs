//! The generated plant: valid by the Khronos validator, and driven by tags that the simulator really has.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use gemba_devices::simulator::Simulator;
use gemba_tests::program;
use gemba_twin::model::outline;

fn generate(lines: usize, model: &Path) {
    let arguments = ["plant", "generate", "--lines", &lines.to_string(), "--out"].map(Into::into);
    program::run("gembactl", arguments.into_iter().chain([model.as_os_str().to_owned()]));
}

/// Where npm has put the validator; none, with a clear line, where it has not.
fn validator() -> Option<PathBuf> {
    let home = std::env::home_dir().unwrap_or_default().join(".cache/gemba/node");
    let prefix = std::env::var_os("GEMBA_NODE_MODULES").map_or(home, PathBuf::from);
    let module = prefix.join("node_modules/gltf-validator");
    let node = Command::new("node").arg("--version").output().is_ok_and(|run| run.status.success());
    if node && module.is_dir() {
        return Some(module);
    }
    println!("validator: skipped, Node or its package gltf-validator is missing");
    None
}

/// Prints errors and warnings of the file named last.
const SCRIPT: &str = "const fs = require('fs'); const [module, file] = process.argv.slice(-2); \
    require(module).validateBytes(new Uint8Array(fs.readFileSync(file)), { maxIssues: 20 }).then(r => { \
    console.log(r.issues.numErrors, r.issues.numWarnings, JSON.stringify(r.issues.messages.slice(0, 5))) })";

#[test]
fn the_khronos_validator_finds_no_errors_in_the_generated_plant() {
    let Some(module) = validator() else { return };
    let folder = tempfile::tempdir().unwrap();
    for lines in [1, 9] {
        let model = folder.path().join(format!("{lines}.glb"));
        generate(lines, &model);
        let output = Command::new("node").args(["-e", SCRIPT]).arg(&module).arg(&model).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.starts_with("0 0 "), "{lines} lines: {text}{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn every_binding_of_the_plant_names_a_tag_that_the_simulator_has() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("plant.glb");
    generate(2, &model);
    let outline = outline(&std::fs::read(&model).unwrap()).unwrap();
    assert_eq!(outline.problems, Vec::<String>::new());
    assert!((950..1100).contains(&outline.things.len()), "two lines have {} things", outline.things.len());
    let simulator = Simulator::new(2, 7);
    let tags: HashSet<String> = simulator.tags().iter().map(|tag| tag.path.to_string()).collect();
    let bindings: Vec<_> = outline.things.iter().flat_map(|node| &node.thing.bindings).collect();
    let unknown: Vec<_> = bindings.iter().filter(|b| !tags.contains(b.tag.as_str())).map(|b| &b.tag).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    let bound: HashSet<&str> = bindings.iter().map(|b| b.tag.as_str()).collect();
    for moving in ["Robot1/Joint4/Angle", "Part3/X", "Tank1/Level", "Amr1/Heading", "Cnc1/Door"] {
        assert!(bound.contains(format!("Hall1/Line2/{moving}").as_str()), "nothing shows {moving}");
    }
}

#[test]
fn the_same_arguments_draw_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a.glb"), folder.path().join("b.glb"));
    generate(3, &a);
    generate(3, &b);
    assert!(std::fs::read(a).unwrap() == std::fs::read(b).unwrap());
}
