//! A viewer in the past: what it shows is what was, whatever is now; against a real host whose history is a formula's.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, and the line says where")]

use gemba_tests::past_host::{GAP, PastHost, past_number};
use gemba_tests::program::{Program, Viewer};
use gemba_twin::sample::ValueKind;
use serde_json::Value;

const SMALL: [&str; 4] = ["--size", "640x360", "--seconds", "1"];

fn travel(host: &PastHost, name: &str, at: &str) -> Value {
    Viewer::start(&host.address, host.site.folder.path(), name, &[&SMALL[..], &["--at", at]].concat()).report()
}

#[test]
fn a_viewer_in_the_past_shows_what_was_and_never_what_is() {
    let host = PastHost::start(true);
    for secs in [100, 7000, 20_000] {
        let report = travel(&host, &format!("at-{secs}"), &host.at(secs));
        assert_eq!(report["cursor"]["live"], false);
        assert_eq!(report["cursor"]["waiting"], false);
        let values = report["values"].as_object().unwrap();
        assert_eq!(values.len(), host.tags.len(), "every tag of the plant was measured");
        for tag in host.tags.iter().filter(|tag| tag.kind == ValueKind::Float) {
            let (shown, expected) = (&values[tag.path.as_str()]["number"], past_number(tag, secs));
            assert!((shown.as_f64().unwrap() - expected).abs() < 1e-6, "{} is {shown}, not {expected}", tag.path);
        }
        let instant = host.instant(secs).0;
        let times = values.values().map(|value| value["source_time_micros"].as_i64().unwrap());
        assert!(times.max() == Some(instant), "nothing that came after the instant is shown");
        assert_eq!(report["errors"], serde_json::json!([]));
    }
    let live = Viewer::start(&host.address, host.site.folder.path(), "live", &SMALL).report();
    assert_eq!((&live["cursor"]["live"], &live["cursor"]["instant"]), (&Value::Bool(true), &Value::Null));
    let times = live["values"].as_object().unwrap().values().map(|value| value["source_time_micros"].as_i64().unwrap());
    assert!(times.max() > Some(host.instant(8 * 3600).0), "what is shown live was measured after all of the formula's");
}

#[test]
fn a_run_goes_from_instant_to_instant_and_tells_how_long_each_took_to_be_drawn() {
    let host = PastHost::start(true);
    let route = [100, 7000, 20_000].map(|secs| format!("--at={}", host.at(secs)));
    let route: Vec<&str> = SMALL.into_iter().chain(route.iter().map(String::as_str)).collect();
    let report = Viewer::start(&host.address, host.site.folder.path(), "route", &route).report();
    let times = report["values"].as_object().unwrap().values().map(|value| value["source_time_micros"].as_i64());
    assert_eq!(times.max().flatten(), Some(host.instant(20_000).0), "it ends at the last one");
    let drawn = &report["cursor"]["show_ms"];
    assert!(drawn["p50"].as_f64() > Some(0.0) && drawn["p99"].as_f64() >= drawn["p50"].as_f64(), "{drawn}");
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
