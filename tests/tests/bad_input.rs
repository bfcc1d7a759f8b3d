//! Wrong words on the command line, broken files, absent hosts: one line that says what happened and what to do, the
//! right exit code, nothing half-written.

use std::path::Path;

use gemba_tests::plant_site::{generate, serve};
use gemba_tests::program::{self, Ended, Program};

fn view(target: &str, more: &[&str]) -> Ended {
    Program::start("gemba", [&["view", target, "--headless"], more].concat()).wait()
}

/// The program has failed with this code and one line that holds these words.
fn check(ended: &Ended, code: i32, words: &[&str]) {
    assert_eq!(ended.code, Some(code), "{}", ended.stderr);
    let lines: Vec<&str> = ended.stderr.lines().filter(|l| l.starts_with("gemba") || l.starts_with("error")).collect();
    let line = lines.join("\n");
    for word in words {
        assert!(line.contains(word), "{word:?} is not said: {}", ended.stderr);
    }
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
}

#[test]
fn a_word_that_is_no_target_is_bad_usage() {
    check(&view("gemba://nowhere", &[]), 2, &["is not an address"]);
    check(&view("gemba://x:1/site#12", &[]), 2, &["64 hexadecimal digits"]);
    check(&view("plant.glb", &["--size", "huge"]), 2, &["1280x720"]);
    check(&view("plant.glb", &["--pin", "Hall1", "--plain"]), 2, &["--plain"]);
    check(&Program::start("gemba", ["dance"]).wait(), 2, &["dance"]);
    check(&Program::start("gembactl", ["import"]).wait(), 2, &["required arguments"]);
}

#[test]
fn a_file_that_is_missing_broken_or_cut_off_is_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    check(&view(&path("none.glb"), &[]), 1, &["none.glb", "No such file"]);
    std::fs::write(path("text.glb"), "not a model").unwrap();
    check(&view(&path("text.glb"), &[]), 1, &["text.glb", "not a valid glTF"]);
    generate(Path::new(&path("whole.glb")));
    let whole = std::fs::read(path("whole.glb")).unwrap();
    std::fs::write(path("half.glb"), &whole[..whole.len() / 2]).unwrap();
    check(&view(&path("half.glb"), &[]), 1, &["half.glb"]);
    check(&view(&path("whole.glb"), &["--pin", "Hall1/Nope"]), 1, &["no thing called Hall1/Nope"]);
    let five =
        ["Line1", "Line1/Pump1", "Line1/Tank1", "Line1/Robot1", "Line1/Robot2"].map(|name| format!("Hall1/{name}"));
    let five: Vec<&str> = five.iter().flat_map(|path| ["--pin", path]).collect();
    check(&view(&path("whole.glb"), &five), 1, &["at most 4"]);
    let site = path("site");
    let refused = Program::start("gembactl", ["import", &path("half.glb"), "--site", &site]).wait();
    check(&refused, 1, &["half.glb"]);
    assert!(!Path::new(&site).exists(), "a refused import leaves nothing behind");
    std::fs::write(path("notes.txt"), "hello").unwrap();
    check(&view(&path("notes.txt"), &[]), 1, &["neither a gemba:// address"]);
}

#[test]
fn damage_anywhere_in_a_model_never_makes_the_viewer_panic() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("plant.glb");
    generate(&model);
    let whole = std::fs::read(&model).unwrap();
    let json_bytes = u32::from_le_bytes(whole[12..16].try_into().unwrap()) as usize;
    // Spread over the text, where every byte means something, and a few in the geometry.
    for i in 0..5 {
        let mut damaged = whole.clone();
        let at = 20 + json_bytes / 6 * (i + 1);
        damaged[at..at + 4].copy_from_slice(b"9999");
        std::fs::write(&model, &damaged).unwrap();
        let ended = view(model.to_str().unwrap(), &["--size", "160x90", "--seconds", "0.1"]);
        assert!(matches!(ended.code, Some(0 | 1)) && !ended.stderr.contains("panicked"), "at {at}: {}", ended.stderr);
    }
}

#[test]
fn a_host_that_is_absent_or_another_one_is_said_to_be() {
    let folder = tempfile::tempdir().unwrap();
    let (host, address) = serve(&folder.path().join("site"), "127.0.0.1:0", None);
    let (place, key) = address.split_once('#').unwrap();
    let flipped = if key.starts_with('0') { "1" } else { "0" };
    check(&view(&format!("{place}#{flipped}{}", &key[1..]), &[]), 1, &["does not have the key"]);
    let again = Program::start("gembad", ["other".as_ref(), "--listen".as_ref(), port_of(&address).as_os_str()]);
    drop(again);
    drop(host);
    let report = folder.path().join("report.json");
    check(&view(&address, &["--report", report.to_str().unwrap()]), 1, &["cannot reach the host"]);
    let report = std::fs::read_to_string(report).expect("a run that has failed has a report too");
    assert!(report.contains("cannot reach the host"), "{report}");
}

fn port_of(address: &str) -> std::ffi::OsString {
    address.trim_start_matches("gemba://").split('/').next().unwrap_or_default().into()
}

#[test]
fn a_port_in_use_is_said_to_be() {
    let folder = tempfile::tempdir().unwrap();
    let (_host, address) = serve(&folder.path().join("site"), "127.0.0.1:0", None);
    let second = folder.path().join("second");
    let ended = Program::start("gembad", [second.as_os_str(), "--listen".as_ref(), &port_of(&address)]).wait();
    check(&ended, 1, &["in use"]);
}

#[test]
fn a_site_whose_opc_ua_server_is_absent_is_served_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (host, _) = serve(&folder.path().join("site"), "127.0.0.1:0", Some("opc.tcp://127.0.0.1:1/"));
    drop(host);
}

#[test]
fn without_a_display_or_a_driver_the_viewer_says_what_to_do() {
    let bare = |command: &mut std::process::Command| {
        command.env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY");
    };
    let ended = Program::start_with("gemba", ["view", "x.glb"], bare).wait();
    assert_eq!(ended.code, Some(1));
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("plant.glb");
    generate(&model);
    let arguments = ["view".as_ref(), model.as_os_str()];
    check(&Program::start_with("gemba", arguments, bare).wait(), 1, &["no display", "--headless"]);
    let no_driver = |command: &mut std::process::Command| {
        command.env("VK_DRIVER_FILES", "/nonexistent").env("WGPU_BACKEND", "vulkan");
    };
    let arguments = ["view".as_ref(), model.as_os_str(), "--headless".as_ref()];
    check(
        &Program::start_with("gemba", arguments, no_driver).wait(),
        1,
        &["no driver is installed", "mesa-vulkan-drivers"],
    );
}

#[test]
fn what_a_person_asks_for_help_with_shows_examples() {
    for arguments in [&["--help"][..], &["view", "--help"]] {
        assert!(program::run("gemba", arguments).stdout.contains("gemba"));
    }
    assert!(program::run("gembactl", ["import", "--help"]).stdout.contains("Examples"));
}
