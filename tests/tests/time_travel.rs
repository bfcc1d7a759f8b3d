//! A viewer in the past: what it shows is what was, whatever is now; against a host that answers from a formula.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, and the line says where")]

use gemba_tests::past_host::{GAP, LIVE, PastHost, past_number};
use gemba_tests::program::{Program, Viewer};
use gemba_twin::path::TagPath;
use gemba_twin::sample::ValueKind;
use gemba_twin::tag::{Range, Tag, Unit};
use serde_json::Value;

const SMALL: [&str; 4] = ["--size", "640x360", "--seconds", "1"];

fn travel(host: &PastHost, name: &str, at: &str) -> Value {
    Viewer::start(&host.address, host.site.folder.path(), name, &[&SMALL[..], &["--at", at]].concat()).report()
}

/// A tag as the simulator declares it.
fn tank_level() -> Tag {
    let path: TagPath = "Hall1/Line1/Tank1/Level".parse().unwrap();
    let range = Some(Range { low: 0.0, high: 100.0 });
    Tag { path, kind: ValueKind::Float, unit: Unit::new("%"), range, writable: false }
}

fn level(report: &Value) -> f64 {
    report["values"]["Hall1/Line1/Tank1/Level"]["number"].as_f64().unwrap_or(f64::NAN)
}

#[test]
fn a_viewer_in_the_past_shows_what_was_and_never_what_is() {
    let host = PastHost::start(true);
    for secs in [100, 7000, 20_000] {
        let report = travel(&host, &format!("at-{secs}"), &host.at(secs));
        let expected = past_number(&tank_level(), secs);
        assert!((level(&report) - expected).abs() < 1e-6, "{} instead of {expected}", level(&report));
        assert_eq!(report["cursor"]["live"], false);
        assert_eq!(report["cursor"]["waiting"], false);
        let values = report["values"].as_object().unwrap();
        assert!(values.len() > 100 && values.values().all(|value| value["number"].as_f64() != Some(LIVE)));
        let instant = host.instant(secs).0;
        let times = values.values().map(|value| value["source_time_micros"].as_i64().unwrap());
        assert!(times.max() == Some(instant), "nothing that came after the instant is shown");
        assert_eq!(report["errors"], serde_json::json!([]));
    }
    let live = Viewer::start(&host.address, host.site.folder.path(), "live", &SMALL).report();
    assert_eq!((level(&live), &live["cursor"]["live"]), (LIVE, &Value::Bool(true)));
    assert_eq!(live["cursor"]["instant"], Value::Null);
}

#[test]
fn where_nothing_was_recorded_nothing_is_known() {
    let host = PastHost::start(true);
    let report = travel(&host, "gap", &host.at(GAP.0 + 600));
    assert_eq!(report["values"], serde_json::json!({}));
    assert_eq!((&report["cursor"]["live"], &report["cursor"]["waiting"]), (&Value::Bool(false), &Value::Bool(false)));
}

#[test]
fn a_run_that_cannot_begin_in_the_past_says_why() {
    let host = PastHost::start(false);
    let viewer = ["view", &host.address, "--headless", "--size", "320x180", "--at", "-30s"];
    let ended = Program::start("gemba", viewer).wait();
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("--at"), "{}", ended.stderr);
    let file = host.site.folder.path().join("plant.glb");
    let viewer = ["view", file.to_str().unwrap(), "--headless", "--size", "320x180", "--at", "-30s"];
    let ended = Program::start("gemba", viewer).wait();
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("a file has no past"), "{}", ended.stderr);
}
