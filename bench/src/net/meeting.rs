//! N6: what one person is sent when a hundred stand in one cell, with heads and hands as a headset tracked them at 30 Hz, with
//! fingers that never rest, and eight of them speak. Peers and host are the cores that run in viewer and `gembad`, with
//! nothing lost between them; what UDP, IP and QUIC add to each datagram is counted.

use std::collections::BTreeMap;

use anyhow::Context;
use gemba_net::client_core::ClientCore;
use gemba_net::fingers::Fingers;
use gemba_net::host_core::{HostCore, Output};
use gemba_net::interest::Turn;
use gemba_net::{Hello, LinkEvent, limits, wire};
use gemba_twin::peer::{PeerKey, PeerKind};
use gemba_twin::sample::Timestamp;

use super::Sizes;
use super::tracked::Tracked;
use crate::report::{Row, Runs};

const GOAL_MBIT: f64 = 1.0;
const GOAL_POSES_MBIT: f64 = 0.4;
/// A frame of 20 ms at 24 kbit/s, what speech needs of Opus.
const VOICE_BYTES: usize = 60;
const SPEAKERS: usize = 8;
/// Seconds that do not count: all come at once.
const WARM_UP_SECS: u32 = 3;

/// One person's second.
struct Cost {
    poses_mbit: f64,
    voices_mbit: f64,
    fingers_mbit: f64,
    /// Times a second that another avatar is told, mean over all.
    rate: f64,
    /// Frames of voices heard, of those that should be.
    heard: f64,
}

fn run(people: usize, seconds: u32, first: usize, motion: &Tracked) -> anyhow::Result<Cost> {
    let (mut host, mut peers) = (HostCore::default(), Vec::new());
    for n in 0..people {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&(n as u64).to_le_bytes());
        let name = format!("p{n}");
        let hello = Hello {
            oldest_minor: 0,
            newest_minor: *wire::MINORS.end(),
            name,
            kind: PeerKind::Person,
            entries_held: 0,
            redemption: None,
            here: None,
        };
        let number = host.handle_hello(PeerKey(key), &hello).map_err(anyhow::Error::msg)?;
        host.admit(number, "meeting", 0);
        peers.push((number, ClientCore::new(0)));
    }
    let begin = 1_700_000_000_000i64;
    let [mut poses, mut voices, mut bent, mut told, mut heard] = [0u64; 5];
    for millis in 0..i64::from(seconds + WARM_UP_SECS) * 1000 {
        let now = Timestamp((begin + millis) * 1000);
        let counts = millis >= i64::from(WARM_UP_SECS) * 1000;
        for (n, (number, core)) in peers.iter_mut().enumerate() {
            // Nobody's tracker keeps another's time.
            if (millis + n as i64 * 7) % 33 == 0 {
                let place = [(n % 10) as f32 * 0.7, (n / 10) as f32 * 0.7];
                core.tell_pose(&motion.at(first + n, millis as f64 / 1000.0, place), false);
                core.poll_datagrams().iter().for_each(|bytes| host.handle_pose(*number, bytes, now));
            }
            if (millis + n as i64 * 11) % 50 == 0 {
                // Never the same twice.
                let bone = [(millis as f32 / 300.0).sin(), -0.5, -1.0];
                let fingers = Some(Fingers::new(0.09, [[bone; 3]; 5]));
                let word = core.tell_fingers(&[fingers, fingers]);
                word.iter().for_each(|bytes| host.handle_pose(*number, bytes, now));
            }
            if n < SPEAKERS && (millis + n as i64 * 3) % 20 == 0 {
                let frame = core.tell_voice(&[n as u8 + 1; VOICE_BYTES]);
                frame.iter().for_each(|bytes| host.handle_pose(*number, bytes, now));
            }
        }
        // A hub with so many peers has a burst every other tick.
        if millis % 20 == 0 {
            host.tick(now, Turn::ALL);
        }
        for output in host.poll_outputs() {
            let (to, events) = match output {
                Output::Control(to, message) => {
                    let core = core_of(&mut peers, to)?;
                    core.handle_message(message, now).map_err(|end| anyhow::anyhow!("{end:?}"))?;
                    continue;
                }
                Output::Datagram(to, bytes) => {
                    let core = core_of(&mut peers, to)?;
                    let events = core.handle_datagram(&bytes);
                    let cost = (bytes.len() + limits::DATAGRAM_OVERHEAD) as u64;
                    let lane = match events.first() {
                        Some(LinkEvent::Voice(_)) => &mut voices,
                        Some(LinkEvent::Fingers { .. }) => &mut bent,
                        _ => &mut poses,
                    };
                    *lane += if counts { cost } else { 0 };
                    (to, events)
                }
                _ => continue,
            };
            if counts {
                let poses = events.iter().filter(|event| matches!(event, LinkEvent::Pose { peer, .. } if *peer != to));
                told += poses.count() as u64;
                heard += events.iter().filter(|event| matches!(event, LinkEvent::Voice(_))).count() as u64;
            }
        }
        if millis % 40 == 0 {
            for (number, core) in &mut peers {
                core.poll_datagrams().iter().for_each(|bytes| host.handle_pose(*number, bytes, now));
            }
        }
    }
    let (people, seconds, speakers) = (people as f64, f64::from(seconds), SPEAKERS.min(people) as f64);
    let mbit = |bytes: u64| bytes as f64 * 8.0 / 1e6 / (people * seconds);
    let spoken = speakers * (people - 1.0) * 50.0 * seconds;
    Ok(Cost {
        poses_mbit: mbit(poses),
        voices_mbit: mbit(voices),
        fingers_mbit: mbit(bent),
        rate: told as f64 / (people * (people - 1.0) * seconds),
        heard: heard as f64 / spoken * 100.0,
    })
}

type Peers = Vec<(gemba_net::PeerNumber, ClientCore)>;

fn core_of(peers: &mut Peers, number: gemba_net::PeerNumber) -> anyhow::Result<&mut ClientCore> {
    let found = peers.iter_mut().find(|(of, _)| *of == number);
    found.map(|(_, core)| core).context("the host speaks to nobody")
}

pub fn measure(sizes: &Sizes) -> anyhow::Result<Vec<Row>> {
    let motion = Tracked::load();
    let [mut all, mut poses, mut fingers, mut rate, mut heard] = std::array::from_fn(|_| Runs::default());
    let (people, seconds) = sizes.meeting;
    for n in 0..sizes.runs {
        let cost = run(people, seconds, n * 31, &motion)?;
        all.push(cost.poses_mbit + cost.voices_mbit + cost.fingers_mbit);
        poses.push(cost.poses_mbit);
        fingers.push(cost.fingers_mbit);
        rate.push(cost.rate);
        heard.push(cost.heard);
    }
    let row = |id: &str, what: String, unit, runs: &Runs, goal: Option<f64>| Row {
        id: id.to_owned(),
        what,
        value: runs.median(),
        unit,
        spread: runs.spread(),
        goal,
        pass: goal.map(|goal| runs.median() <= goal),
        peers: BTreeMap::new(),
    };
    let scene = format!(
        "{people} avatars (head, two hands with fingers; {}) in one cell at 30 Hz, 8 voices of 24 kbit/s",
        motion.source
    );
    Ok(vec![
        row("N6", format!("downlink of one person, {scene}"), "Mbit/s", &all, Some(GOAL_MBIT)),
        row("N6-poses", "of that, poses".to_owned(), "Mbit/s", &poses, Some(GOAL_POSES_MBIT)),
        row("N6-fingers", "of that, fingers of who is nearest".to_owned(), "Mbit/s", &fingers, None),
        row("N6-rate", "times a second that each other avatar is told within that".to_owned(), "Hz", &rate, None),
        row("N6-voice", "frames of those voices that are heard".to_owned(), "%", &heard, None),
    ])
}
