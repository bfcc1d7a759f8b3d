//! Two people at their desks see each other go about over a bad line: motion that is smooth, not merely motion.
//!
//! Each viewer says where it drew the other in every frame, and where it was itself. What was drawn is laid on the way that
//! the other really went: every drawn place was the other's at some instant, and that instant has to go on as time does.
//! So nothing here depends on how many frames a busy machine draws; where a machine stopped to draw, nothing is judged.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, and the line says where")]

use gemba_tests::plant_site::PlantSite;
use gemba_tests::program::Viewer;
use serde_json::{Value, json};

/// A line from home to the plant, each way.
const LINE: &str = "delay=40ms,jitter=15ms,loss=2%,reorder=1%";
/// Once round in so many seconds, so that any two places of five seconds are apart.
const CIRCLE_SECS: &str = "24";
const SECONDS: &str = "24";
/// Farthest behind that anybody may be shown, seconds.
const BEHIND: f64 = 3.0;
/// A machine that draws nothing for so long, in frames and in seconds, has stopped for a moment.
const STOPPED: (f64, f64) = (4.0, 0.4);

/// A place at an instant (seconds since 1970).
#[derive(Debug, Clone, Copy)]
struct Seen {
    at: f64,
    place: [f64; 3],
}

fn path(seen: &Value, begun: f64) -> Vec<Seen> {
    let number = |value: &Value| value.as_f64().unwrap();
    let rows = seen.as_array().unwrap().iter();
    rows.map(|row| Seen { at: begun + number(&row[0]), place: [1, 2, 3].map(|i| number(&row[i])) }).collect()
}

/// The instant at which somebody was nearest to a place, and how near: looked for on their way in the last seconds before.
fn when_there(way: &[Seen], drawn: Seen) -> Option<(f64, f64)> {
    let dot = |a: [f64; 3], b: [f64; 3]| a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
    let minus = |a: [f64; 3], b: [f64; 3]| [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
    let recent = way.windows(2).filter(|leg| leg[1].at > drawn.at - BEHIND && leg[0].at < drawn.at + 0.5);
    let near = recent.map(|leg| {
        let (step, to) = (minus(leg[1].place, leg[0].place), minus(drawn.place, leg[0].place));
        let share = (dot(to, step) / dot(step, step).max(1e-12)).clamp(0.0, 1.0);
        let off = minus(to, step.map(|metres| metres * share));
        (leg[0].at + (leg[1].at - leg[0].at) * share, dot(off, off).sqrt())
    });
    near.min_by(|a, b| a.1.total_cmp(&b.1))
}

/// When a machine stopped drawing for a moment, and until when.
fn stops(frames: &[Seen]) -> Vec<(f64, f64)> {
    let mut gaps: Vec<f64> = frames.windows(2).map(|pair| pair[1].at - pair[0].at).collect();
    gaps.sort_by(f64::total_cmp);
    let long = (gaps[gaps.len() / 2] * STOPPED.0).max(STOPPED.1);
    frames.windows(2).filter(|pair| pair[1].at - pair[0].at > long).map(|pair| (pair[0].at, pair[1].at)).collect()
}

/// One frame of the watcher: its instant, that of what it shows, and how far beside the way that is.
type Shown = (f64, f64, f64);

/// What a watcher has shown, in spans in which both machines went on drawing.
fn spans(watcher: &Value, other: &Value, name: &str) -> Vec<Vec<Shown>> {
    let begun = |report: &Value| report["own"]["begun_unix_secs"].as_f64().unwrap();
    let way = path(&other["own"]["head"], begun(other));
    let drawn = path(&watcher["avatars"][name], begun(watcher));
    let frames = path(&watcher["own"]["head"], begun(watcher));
    let (from, until) = (drawn[0].at + BEHIND, way.last().unwrap().at.min(drawn.last().unwrap().at));
    let breaks: Vec<(f64, f64)> = stops(&way).into_iter().chain(stops(&frames)).collect();
    let is_judged = |at: f64| at > from && at < until && breaks.iter().all(|(stop, on)| at < *stop || at > *on + 1.5);
    let mut spans = vec![Vec::new()];
    for seen in drawn {
        match when_there(&way, seen).filter(|_| is_judged(seen.at)) {
            Some((then, off)) => spans.last_mut().unwrap().push((seen.at, then, off)),
            None if spans.last().unwrap().is_empty() => {}
            None => spans.push(Vec::new()),
        }
    }
    spans
}

fn assert_is_smooth(who: &str, spans: &[Vec<Shown>], metres_a_second: f64) {
    let frames: usize = spans.iter().map(Vec::len).sum();
    let (mut paces, mut halts) = (Vec::new(), 0);
    for span in spans {
        for pair in span.windows(2) {
            let (now, then) = (pair[1].0 - pair[0].0, pair[1].1 - pair[0].1);
            // A hand's breadth of somebody who walks: what was foretold while a word was late is put right.
            assert!(then > -0.08, "{who}: shown {then:.3} s back after {now:.3} s");
            assert!(then < 2.0 * now + 0.2, "{who}: shown {then:.3} s on after {now:.3} s");
            halts += usize::from(then < now * 0.1);
        }
        for (_, _, off) in span {
            assert!(*off < 0.1 * metres_a_second, "{who}: {off:.2} m beside the way, at {metres_a_second:.2} m/s");
        }
        // Nobody stands still, nor runs: a second takes about a second.
        for (i, first) in span.iter().enumerate() {
            if let Some(last) = span[i..].iter().find(|shown| shown.0 - first.0 >= 1.0) {
                paces.push((last.1 - first.1) / (last.0 - first.0));
            }
        }
    }
    assert!(frames >= 20 && !paces.is_empty(), "{who}: only {frames} frames can be judged");
    paces.sort_by(f64::total_cmp);
    let (least, most) = (paces[0], paces[paces.len() - 1]);
    eprintln!("{who}: {frames} frames, {halts} without motion; at {least:.2} to {most:.2} of its pace over a second");
    assert!(halts * 20 <= frames, "{who}: stands still in {halts} of {frames} frames");
    assert!(least > 0.6 && most < 1.6, "{who}: shown at {least:.2} to {most:.2} of its pace");
}

fn speed(report: &Value) -> f64 {
    let way = path(&report["own"]["head"], 0.0);
    let half = &way[way.len() / 2..];
    let length = |pair: &[Seen]| {
        let squares = pair[0].place.iter().zip(pair[1].place).map(|(a, b)| (b - a) * (b - a));
        squares.sum::<f64>().sqrt()
    };
    half.windows(2).map(length).sum::<f64>() / (half[half.len() - 1].at - half[0].at)
}

#[test]
fn two_people_on_a_bad_line_see_each_other_move_without_jumps_and_halts() {
    let site = PlantSite::start();
    let (proxy, through) = site.behind(LINE);
    let more = ["--size", "160x90", "--plain", "--circle", CIRCLE_SECS, "--seconds", SECONDS, "--trace"];
    let start = |name| Viewer::start(&through, site.folder.path(), name, &more);
    let (ada, grace) = (start("Ada"), start("Grace"));
    let (ada, grace) = (ada.report(), grace.report());
    for (name, watcher, moving, other) in [("Grace", &ada, "Ada", &grace), ("Ada", &grace, "Grace", &ada)] {
        assert_eq!(watcher["errors"], json!([]), "{moving}");
        let who = format!("{name} as {moving} sees it");
        assert_is_smooth(&who, &spans(watcher, other, name), speed(other));
    }
    let lost = proxy.counts();
    assert!(lost.up.lost > 0 && lost.down.lost > 0, "the line was not bad: {lost:?}");
}
