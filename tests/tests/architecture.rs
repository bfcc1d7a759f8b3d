//! Rules about the code itself: which crate may know which, and what every source file keeps to. Asks `cargo tree`, so
//! that a dependency of a dependency counts too. Development dependencies do not count: no user gets them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A crate of the workspace, with every other crate of the workspace it may reach, directly or not.
const ARROWS: [(&str, &[&str]); 9] = [
    ("gemba-twin", &[]),
    ("gemba-record", &["gemba-twin"]),
    ("gemba-net", &["gemba-twin"]),
    ("gemba-devices", &["gemba-twin"]),
    ("gemba-xr", &["gemba-twin"]),
    ("gemba-host", &["gemba-twin", "gemba-record", "gemba-net", "gemba-devices"]),
    ("gemba-client", &["gemba-twin", "gemba-record", "gemba-net", "gemba-xr"]),
    (
        "gemba-tools",
        &["gemba-twin", "gemba-record", "gemba-net", "gemba-devices", "gemba-host", "gemba-xr", "gemba-client"],
    ),
    (
        "gemba-tests",
        &["gemba-twin", "gemba-record", "gemba-net", "gemba-devices", "gemba-host", "gemba-xr", "gemba-client"],
    ),
];

/// What must run where there is no screen.
const WITHOUT_BEVY: [&str; 5] = ["gemba-twin", "gemba-record", "gemba-net", "gemba-devices", "gemba-host"];
/// What is the same on every machine and at every hour: no clock, file or socket, and nothing that brings one.
const WITHOUT_IO: [&str; 2] = ["gemba-twin", "gemba-record"];
/// What brings clocks, files and sockets.
const IO: [&str; 8] = ["tokio", "quinn", "quinn-proto", "rustls", "redb", "mio", "socket2", "async-opcua"];
/// Names that say nothing about what a file holds.
const EMPTY_NAMES: [&str; 10] =
    ["util", "utils", "helper", "helpers", "common", "manager", "types", "misc", "components", "systems"];
/// What stands for work that was not done. Put together here so that this file does not hold them itself.
const PLACEHOLDERS: [&str; 4] =
    [concat!("to", "do!("), concat!("unimp", "lemented!("), concat!("TO", "DO"), concat!("FIX", "ME")];

#[test]
fn arrows_between_crates_only_point_down() {
    for (name, allowed) in ARROWS {
        let reached: Vec<String> =
            reached(name, None).into_iter().filter(|c| c.starts_with("gemba-") && c != name).collect();
        let uphill: Vec<_> = reached.iter().filter(|c| !allowed.contains(&c.as_str())).collect();
        assert!(uphill.is_empty(), "{name} must not know {uphill:?}");
    }
}

#[test]
fn every_crate_of_the_workspace_has_its_arrows_listed() {
    let listed: BTreeSet<String> = ARROWS.iter().map(|(name, _)| name["gemba-".len()..].to_owned()).collect();
    let present: BTreeSet<String> = members().iter().map(|m| file_name(m)).collect();
    assert_eq!(listed, present);
}

#[test]
fn what_runs_without_a_screen_runs_without_bevy() {
    for name in WITHOUT_BEVY {
        let found: Vec<_> =
            reached(name, None).into_iter().filter(|c| c.starts_with("bevy") || c.starts_with("wgpu")).collect();
        assert!(found.is_empty(), "{name} brings {found:?}");
    }
}

#[test]
fn the_twin_and_the_record_reach_no_clock_file_or_socket() {
    for name in WITHOUT_IO {
        let found: Vec<_> = reached(name, None).into_iter().filter(|c| IO.contains(&c.as_str())).collect();
        assert!(found.is_empty(), "{name} brings {found:?}");
    }
    // The list above would find nothing if these crates were called otherwise.
    let host = reached("gemba-host", None);
    for io in ["tokio", "quinn", "rustls", "parquet", "async-opcua"] {
        assert!(host.contains(io), "the host has no {io}: the list of what brings IO is out of date");
    }
}

#[test]
fn only_the_xr_crate_names_openxr() {
    for (name, _) in ARROWS {
        let direct = reached(name, Some(1));
        let openxr: Vec<_> = direct.iter().filter(|c| c.contains("openxr") || *c == "bevy_mod_xr").collect();
        assert_eq!(!openxr.is_empty(), name == "gemba-xr", "{name} names {openxr:?}");
    }
}

#[test]
fn every_source_file_begins_by_saying_what_it_is_for() {
    for (path, text) in sources() {
        assert!(text.starts_with("//! "), "{} does not begin with //!", path.display());
    }
}

#[test]
fn every_source_file_is_named_for_what_it_holds() {
    for (path, _) in sources() {
        let stem = path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
        assert!(!EMPTY_NAMES.contains(&stem.as_str()), "{}: name it for what it holds", path.display());
    }
}

#[test]
fn every_fuzz_target_has_inputs_to_begin_with() {
    let fuzz = root().join("fuzz");
    let manifest = std::fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
    let targets: Vec<&str> =
        manifest.lines().filter_map(|line| line.trim().strip_prefix("{ name = \"")?.split('"').next()).collect();
    assert!(targets.len() > 10, "the list of targets is not where it was");
    for target in targets {
        let seeds = std::fs::read_dir(fuzz.join("corpus").join(target)).map_or(0, Iterator::count);
        assert!(seeds > 0, "fuzz target {target} has no inputs: add them to fuzz/examples/seeds.rs");
    }
}

#[test]
fn no_source_file_holds_a_placeholder() {
    for (path, text) in sources() {
        for placeholder in PLACEHOLDERS {
            assert!(!text.contains(placeholder), "{} holds {placeholder}", path.display());
        }
    }
}

/// The workspace's folder.
fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The crates' folders; `fuzz` and `bench` are no members of the workspace.
fn members() -> Vec<PathBuf> {
    let folders = std::fs::read_dir(root())
        .expect("the workspace can be read")
        .map(|entry| entry.expect("the workspace can be read").path());
    let member = |folder: &PathBuf| !folder.ends_with("fuzz") && !folder.ends_with("bench");
    folders.filter(|folder| folder.join("Cargo.toml").is_file()).filter(member).collect()
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Names of the crates that a crate is built with, itself included.
fn reached(name: &str, depth: Option<u8>) -> BTreeSet<String> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root()).args(["tree", "--locked", "--edges", "normal,build", "--prefix", "none"]);
    cargo.args(["--format", "{p}", "--package", name]);
    if let Some(depth) = depth {
        cargo.args(["--depth", &depth.to_string()]);
    }
    let output = cargo.output().expect("the workspace can be read");
    assert!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("the workspace can be read");
    let crates: BTreeSet<String> =
        text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect();
    assert!(crates.contains(name), "cargo tree does not know {name}: {text}");
    crates
}

/// Every Rust file of the workspace, with its text.
fn sources() -> Vec<(PathBuf, String)> {
    let mut folders: Vec<PathBuf> = members();
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("the workspace can be read") {
            let path = entry.expect("the workspace can be read").path();
            if path.is_dir() {
                if file_name(&path) != "target" {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = std::fs::read_to_string(&path).expect("the workspace can be read");
                found.push((path, text));
            }
        }
    }
    assert!(found.len() > 50, "only {} source files were found", found.len());
    found
}
