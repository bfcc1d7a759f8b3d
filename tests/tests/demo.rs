//! The whole slice, with real processes: simulator, OPC UA, gateway, host, viewers.

use gemba_net::{LinkConfig, LinkEvent, connect};
use gemba_tests::picture::Picture;
use gemba_tests::plant_site::{PlantSite, eventually};
use gemba_tests::program::{Program, Viewer};
use gemba_twin::peer::PeerKind;
use serde_json::Value;

const SMALL: [&str; 2] = ["--size", "320x180"];

fn peers(report: &Value) -> Vec<(&str, Option<&str>)> {
    let peers = report["peers"].as_array().expect("a list of peers").iter();
    peers.map(|p| (p["name"].as_str().unwrap_or_default(), p["selected"].as_str())).collect()
}

#[test]
fn a_valve_turned_in_the_simulator_is_seen_by_two_people_who_see_each_other() {
    let site = PlantSite::start();
    let folder = site.folder.path();
    let start = |name: &str, select: &str| {
        let stay = [&SMALL[..], &["--seconds", "14", "--select", select]].concat();
        Viewer::start(&site.address, folder, name, &stay)
    };
    let (ada, grace) = (start("Ada", "Hall1/Line1/Tank1"), start("Grace", "Hall1/Line1/Robot1"));
    site.command("Hall1/Line1/Valve1/Position", 37.0);
    let (ada, grace) = (ada.report(), grace.report());
    for report in [&ada, &grace] {
        let valve = &report["values"]["Hall1/Line1/Valve1/Position"];
        let position = valve["number"].as_f64().expect("the valve's position");
        assert!((position - 37.0).abs() < 1.0, "the valve was turned to 37 %, seen is {valve}");
        assert_eq!(valve["quality"], "good");
        assert!(report["things"].as_u64() >= Some(400) && report["tags"].as_u64() >= Some(100), "{report}");
        assert!(report["samples_applied"].as_u64() > Some(500));
        assert_eq!(report["errors"], serde_json::json!([]));
        assert_eq!(report["stale"], false);
    }
    assert_eq!(peers(&ada), [("Grace", Some("Hall1/Line1/Robot1"))]);
    assert_eq!(peers(&grace), [("Ada", Some("Hall1/Line1/Tank1"))]);
}

#[test]
fn a_viewer_marks_everything_stale_when_its_host_dies_and_goes_on_when_it_is_back() {
    let mut site = PlantSite::start();
    let mut watcher = connect(LinkConfig {
        address: site.address.parse().unwrap(),
        signing_key: ed25519_dalek::SigningKey::from_bytes(&[42; 32]),
        name: "watcher".to_owned(),
        kind: PeerKind::Person,
        entries_held: 0,
    });
    let start = |name: &str, secs: &str| {
        let stay = [&SMALL[..], &["--seconds", secs, "--select", "Hall1/Line1/Tank1"]].concat();
        Viewer::start(&site.address, site.folder.path(), name, &stay)
    };
    let (short, long) = (start("short", "5"), start("long", "25"));
    // A viewer tells its selection once the plant is on its screen.
    let mut shown = 0;
    eventually("both viewers show the plant", || {
        while let Some(event) = watcher.poll() {
            shown += u32::from(matches!(event, LinkEvent::Selected { thing: Some(_), .. }));
        }
        (shown >= 2).then_some(())
    });
    site.host.kill();
    let short = short.report();
    assert_eq!(short["stale"], true, "{}", short["connection"]);
    let here = short["peers"].as_array().expect("a list of peers").iter().filter(|p| p["here"] == true).count();
    assert_eq!(here, 0, "who cannot be heard is not shown as being here");
    site.serve_again();
    let long = long.report();
    assert_eq!((&long["stale"], &long["connection"]), (&false.into(), &"Connected".into()));
    let newest = long["values"]["Hall1/Line1/Robot1/Joint1/Angle"]["source_time_micros"].as_i64();
    let before = short["values"]["Hall1/Line1/Robot1/Joint1/Angle"]["source_time_micros"].as_i64();
    assert!(newest > before, "data flows again after the host has come back");
}

/// Processes that this one has started and that still run.
fn children(process: u32) -> Vec<u32> {
    let listed = std::fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap_or_default();
    listed.split_whitespace().filter_map(|child| child.parse().ok()).collect()
}

/// Whether a process runs; one that has ended and that nobody has asked about does not.
fn runs(process: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().next()).is_some_and(|state| state != "Z")
}

#[test]
fn a_demo_that_is_killed_leaves_no_process_behind() {
    let mut demo =
        Program::start("gemba", ["demo", "--lines", "1", "--headless", "--size", "320x180", "--seconds", "600"]);
    let name = |process: &u32| std::fs::read_to_string(format!("/proc/{process}/comm")).unwrap_or_default();
    let started = eventually("simulator and host run", || {
        let started = children(demo.id());
        let is_host = started.iter().any(|process| name(process).trim() == "gembad");
        (is_host && started.len() >= 2).then_some(started)
    });
    demo.kill();
    eventually("what the demo started ends with it", || (!started.iter().any(|process| runs(*process))).then_some(()));
}

#[test]
fn the_demo_is_one_command_that_shows_a_living_plant() {
    let folder = tempfile::tempdir().unwrap();
    let (picture, report) = (folder.path().join("a.png"), folder.path().join("a.json"));
    let arguments = ["demo", "--headless", "--seconds", "8", "--size", "640x360", "--screenshot"].map(Into::into);
    let files = [picture.clone().into_os_string(), "--report".into(), report.clone().into_os_string()];
    let temporary = folder.path().join("temporary");
    std::fs::create_dir(&temporary).unwrap();
    let demo = Program::start_with("gemba", arguments.into_iter().chain(files), |command| {
        command.env("TMPDIR", &temporary);
    });
    let ended = demo.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(std::fs::read_dir(temporary).unwrap().count(), 0, "a demo leaves nothing behind");
    assert_eq!(ended.stdout, "", "a viewing command prints nothing on stdout");
    let report: Value = serde_json::from_str(&std::fs::read_to_string(report).unwrap()).unwrap();
    assert!(report["things"].as_u64() >= Some(500) && report["tags"].as_u64() >= Some(100), "{report}");
    assert!(report["samples_applied"].as_u64() > Some(0));
    assert_eq!(report["errors"], serde_json::json!([]));
    let picture = Picture::read(&picture);
    assert_eq!((picture.width, picture.height), (640, 360));
    assert!(picture.colours() > 60, "the picture shows hardly anything: {} colours", picture.colours());
}
