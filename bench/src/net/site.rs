//! The codec's share of N3: what a host spends on one client that sees 2,000 bodies of which 1 % move. Who sees what is
//! not in it.

use std::collections::BTreeMap;
use std::time::Instant;

use gemba_net::body::{Body, BodyNumber, BodyReceiver, BodySender, Epoch, Placement, Precision};

use super::Sizes;
use crate::report::{Row, Runs};

const VISIBLE: u32 = 2_000;
const MOVING: u32 = 20;
const TICKS: u32 = 600;

pub fn measure(sizes: &Sizes) -> anyhow::Result<Vec<Row>> {
    let mut spent = Runs::default();
    for _ in 0..sizes.runs {
        let mut sender = BodySender::new(Precision::of_hands());
        let mut receiver = BodyReceiver::new(Precision::of_hands(), VISIBLE as usize);
        let (mut time, mut counted) = (0.0, 0);
        for tick in 0..TICKS {
            let moving = (0..VISIBLE).filter(|number| tick == 0 || number % (VISIBLE / MOVING) == 0);
            let now: Vec<_> = moving.map(|number| (BodyNumber(number), body(number, tick))).collect();
            let begun = Instant::now();
            for (number, body) in now {
                sender.tell(number, body);
            }
            let packets: Vec<_> = std::iter::from_fn(|| sender.poll_packet(tick)).collect();
            let writing = begun.elapsed();
            for packet in &packets {
                receiver.handle_packet(packet)?;
            }
            let begun = Instant::now();
            if let Some(acks) = receiver.acks() {
                sender.handle_acks(&acks.encode());
            }
            if tick >= TICKS / 2 {
                time += (writing + begun.elapsed()).as_nanos() as f64;
                counted += VISIBLE;
            }
        }
        spent.push(time / f64::from(counted));
    }
    Ok(vec![Row {
        id: "N3-codec".to_owned(),
        what: format!("core time a client, visible body and tick for telling: {VISIBLE} visible, {MOVING} moving"),
        value: spent.median(),
        unit: "ns",
        spread: spent.spread(),
        goal: None,
        pass: None,
        peers: BTreeMap::new(),
    }])
}

fn body(number: u32, tick: u32) -> Body {
    let time = f64::from(tick) / 30.0 + f64::from(number);
    let place = [4.0 * time.sin(), 1.0 + 0.3 * (2.3 * time).cos(), f64::from(number) * 0.1 + (0.7 * time).sin()];
    let rotation = [0.0, (0.4 * time).sin(), 0.0, (0.4 * time).cos()];
    let resting = !number.is_multiple_of(VISIBLE / MOVING);
    Body { epoch: Epoch(0), at: Placement { place, rotation }, resting }
}
