//! A scene through a lane of bodies: told by a sender, heard by a receiver whose answers are so many ticks old, and what
//! that cost in bytes, errors and time.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::Context;
use gemba_net::body::{
    Acks, Body, BodyNumber, BodyReceiver, BodySender, Epoch, Foresight, Placement, Precision, Stillness, angle_between,
};

use super::scene::Scene;

/// What one packet costs on the wire besides the lane's own bytes: IPv4 (20) and UDP (8); of QUIC's short header flags,
/// connection id and packet number (1 + 8 + 2), of its datagram frame type and length (1 + 2), its seal (16); and one
/// byte that names the lane.
pub const OVERHEAD_BYTES: usize = 20 + 8 + 11 + 3 + 16 + 1;
/// Ticks before anything is counted: both ends know all bodies by then.
pub const WARM_UP_TICKS: usize = 60;

/// What a scene cost.
#[derive(Default)]
pub struct Cost {
    pub ticks: usize,
    pub packets: usize,
    /// Of packets, without [`OVERHEAD_BYTES`].
    pub bytes: usize,
    /// Bodies told.
    pub told: usize,
    /// Time to tell and write, and to read.
    pub writing: Duration,
    pub reading: Duration,
    /// Largest errors of what was told, metres on an axis and radians.
    pub place_error: f64,
    pub rotation_error: f64,
}

/// Sends a scene whose packets are acknowledged `behind` ticks later; every packet to which `lost` says so is lost. Each
/// end has a foresight of its own, if there is one.
pub fn send(
    scene: &Scene,
    precision: Precision,
    behind: usize,
    foresight: Option<fn() -> Box<dyn Foresight>>,
    mut lost: impl FnMut() -> bool,
) -> anyhow::Result<Cost> {
    let bodies = scene.ticks.first().map_or(0, Vec::len);
    let (mut sender, mut receiver) = (BodySender::new(precision), BodyReceiver::new(precision, bodies));
    if let Some(foresight) = foresight {
        (sender, receiver) = (sender.with_foresight(foresight()), receiver.with_foresight(foresight()));
    }
    let mut stillness = vec![Stillness::new(precision); bodies];
    let mut answers: VecDeque<Option<[u8; Acks::BYTES]>> = VecDeque::new();
    let mut cost = Cost::default();
    for (tick, frame) in scene.ticks.iter().enumerate() {
        let now: Vec<Body> = frame
            .iter()
            .zip(&mut stillness)
            .map(|((place, rotation), still)| {
                let (at, resting) = still.observe(Placement { place: *place, rotation: *rotation });
                Body { epoch: Epoch(0), at, resting }
            })
            .collect();
        let begun = Instant::now();
        if answers.len() >= behind
            && let Some(Some(answer)) = answers.pop_front()
        {
            sender.handle_acks(&answer);
        }
        for (number, body) in now.iter().enumerate() {
            anyhow::ensure!(sender.tell(BodyNumber(number as u32), *body), "there is no room for the scene's bodies");
        }
        let packets: Vec<_> = std::iter::from_fn(|| sender.poll_packet(tick as u32)).collect();
        let (written, counts) = (begun.elapsed(), tick >= WARM_UP_TICKS);
        for packet in packets {
            if counts {
                cost.packets += 1;
                cost.bytes += packet.len();
            }
            if lost() {
                continue;
            }
            let begun = Instant::now();
            let heard = receiver.handle_packet(&packet).context("an honest packet was not read")?;
            if counts {
                cost.reading += begun.elapsed();
                cost.told += heard.len();
            }
            for heard in heard {
                let (place, rotation) = frame[heard.number.0 as usize];
                for (heard, truly) in heard.body.at.place.iter().zip(place) {
                    cost.place_error = cost.place_error.max((heard - truly).abs());
                }
                cost.rotation_error = cost.rotation_error.max(angle_between(heard.body.at.rotation, rotation));
            }
        }
        if counts {
            cost.ticks += 1;
            cost.writing += written;
        }
        answers.push_back(receiver.acks().map(|acks| acks.encode()));
    }
    Ok(cost)
}
