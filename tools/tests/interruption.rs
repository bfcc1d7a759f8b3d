//! A command that is told to stop leaves nothing behind.
#![cfg(unix)]
#![allow(clippy::unwrap_used)] // Test code outside of test functions too.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use gemba_host::site_dir::SiteDir;

/// Longer than anything here takes on a busy machine; only a failure waits for it.
const PATIENCE: Duration = Duration::from_secs(60);

/// A blob that nobody archives before the signal comes: a hole, which takes no space until it is copied.
const BLOB_BYTES: u64 = 4 << 30;

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn an_export_that_is_interrupted_leaves_no_archive_and_not_half_of_one() {
    let temp = tempfile::tempdir().unwrap();
    let site = temp.path().join("plant");
    drop(SiteDir::create(&site, "Plant").unwrap());
    File::create(site.join("blobs").join("ab".repeat(32))).unwrap().set_len(BLOB_BYTES).unwrap();
    let archives = temp.path().join("archives");
    fs::create_dir(&archives).unwrap();
    let mut export = Command::new(env!("CARGO_BIN_EXE_gembactl"));
    let export = export.args(["record", "export"]).arg(&site).arg(archives.join("plant.tar"));
    let export = export.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let begun = Instant::now();
    while names(&archives).is_empty() {
        assert!(begun.elapsed() < PATIENCE, "the export has not begun to write");
        std::thread::sleep(Duration::from_millis(2));
    }
    assert_ne!(names(&archives), ["plant.tar"], "what is not whole has another name");
    assert!(Command::new("kill").args(["-INT", &export.id().to_string()]).status().unwrap().success());
    let ended = export.wait_with_output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains("interrupted; nothing was left behind"), "{said}");
    assert_eq!(names(&archives), [""; 0]);
    // And the site goes on as it was.
    assert_eq!(SiteDir::open(&site).unwrap().problems(), []);
}

#[test]
fn a_simulator_that_is_told_to_stop_leaves_nothing_behind() {
    let temp = tempfile::tempdir().unwrap();
    for signal in ["-TERM", "-INT"] {
        let mut simulate = Command::new(env!("CARGO_BIN_EXE_gembactl"));
        let simulate = simulate.args(["simulate", "--listen", "127.0.0.1:0", "--warm-up", "0"]);
        let simulate = simulate.env("TMPDIR", temp.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut simulate = simulate.spawn().unwrap();
        let mut endpoint = String::new();
        BufReader::new(simulate.stdout.take().unwrap()).read_line(&mut endpoint).unwrap();
        assert!(endpoint.starts_with("opc.tcp://"), "{endpoint}");
        assert_eq!(names(temp.path()).len(), 1, "the server's certificates have a folder");
        assert!(Command::new("kill").args([signal, &simulate.id().to_string()]).status().unwrap().success());
        let ended = simulate.wait_with_output().unwrap();
        assert_eq!(ended.status.code(), Some(0), "{signal}: {}", String::from_utf8_lossy(&ended.stderr));
        assert_eq!(names(temp.path()), [""; 0], "{signal}");
    }
}
