//! The controller on a simulated line, alone and beside a Reno that always has more to send.

use std::collections::BTreeMap;

use super::*;
use crate::test_network::{Conditions, Direction};

const PACKET: usize = 1200;
const BUDGET: u64 = 500_000;
const STEP: Duration = Duration::from_millis(1);

enum Sender {
    /// Offers so many bytes a second.
    Ours { control: Box<RtControl>, offered: f64 },
    /// Always has more.
    Reno { window: f64, newest_cut: Instant },
}

struct Flow {
    sender: Sender,
    under_way: BTreeMap<u64, Instant>,
    next: u64,
    credit: f64,
    delivered: Vec<(Instant, Instant)>,
}

impl Flow {
    fn ours(offered: f64, now: Instant) -> Self {
        Self::new(Sender::Ours { control: Box::new(RtControl::new(BUDGET, PACKET as u16, now)), offered })
    }

    fn reno(now: Instant) -> Self {
        Self::new(Sender::Reno { window: 10.0 * PACKET as f64, newest_cut: now })
    }

    fn new(sender: Sender) -> Self {
        Self { sender, under_way: BTreeMap::new(), next: 0, credit: 0.0, delivered: Vec::new() }
    }

    fn wants_to_send(&mut self) -> bool {
        let under_way = (self.under_way.len() * PACKET) as f64;
        let window = match &self.sender {
            Sender::Ours { control, .. } => control.window() as f64,
            Sender::Reno { window, .. } => *window,
        };
        under_way + PACKET as f64 <= window && self.credit >= PACKET as f64
    }

    /// A millisecond's worth more may be sent: what is offered, or 1.25 windows a round trip as quinn paces.
    fn handle_step(&mut self) {
        self.credit += match &self.sender {
            Sender::Ours { offered, .. } => offered * STEP.as_secs_f64(),
            Sender::Reno { window, .. } => window * 1.25 * STEP.as_secs_f64() / 0.05,
        };
        // What a real-time sender could not send is worthless a tick later.
        self.credit = self.credit.min(12.0 * PACKET as f64);
    }

    fn handle_ack(&mut self, now: Instant, number: u64) {
        let Some(sent) = self.under_way.remove(&number) else { return };
        self.lose(now, sent, number.saturating_sub(2));
        match &mut self.sender {
            Sender::Ours { control, .. } => control.handle_ack(now, sent, PACKET as u64),
            Sender::Reno { window, .. } => *window += (PACKET * PACKET) as f64 / *window,
        }
    }

    /// What was sent before `number`, or half a second ago, does not come any more.
    fn lose(&mut self, now: Instant, sent: Instant, number: u64) {
        let is_late = |at: Instant| now - at > Duration::from_millis(500) + (now - sent);
        let is_lost = |(n, at): &(&u64, &Instant)| **n < number || is_late(**at);
        let lost: Vec<u64> = self.under_way.iter().filter(is_lost).map(|(n, _)| *n).collect();
        self.under_way.retain(|n, _| !lost.contains(n));
        match &mut self.sender {
            _ if lost.is_empty() => {}
            Sender::Ours { control, .. } => control.handle_loss(now, (lost.len() * PACKET) as u64, false),
            Sender::Reno { window, newest_cut } if sent > *newest_cut => {
                (*window, *newest_cut) = ((*window / 2.0).max(2.0 * PACKET as f64), now);
            }
            Sender::Reno { .. } => {}
        }
    }

    /// Bytes a second delivered in the last `seconds`.
    fn rate(&self, seconds: f64) -> f64 {
        let Some((newest, _)) = self.delivered.last() else { return 0.0 };
        let since = *newest - Duration::from_secs_f64(seconds);
        self.delivered.iter().filter(|(at, _)| *at > since).count() as f64 * PACKET as f64 / seconds
    }

    /// Of what was delivered in the last `seconds`, how long 95 of 100 packets took at most.
    fn way_millis(&self, seconds: f64) -> u128 {
        let Some((newest, _)) = self.delivered.last() else { return 0 };
        let since = *newest - Duration::from_secs_f64(seconds);
        let mut ways: Vec<u128> =
            self.delivered.iter().filter(|(at, _)| *at > since).map(|(at, sent)| (*at - *sent).as_millis()).collect();
        ways.sort_unstable();
        ways[ways.len() * 95 / 100]
    }
}

/// All flows over one line with 25 ms back, for so many seconds.
fn run(flows: &mut [Flow], line: &str, begin: Instant, seconds: u32) {
    let mut there: Direction<(usize, u64, Instant)> = Direction::new(line.parse().unwrap(), 1);
    let mut back: Direction<(usize, u64)> = Direction::new("delay=25ms".parse::<Conditions>().unwrap(), 2);
    for step in 0..seconds * 1000 {
        let now = begin + STEP * step;
        while let Some((at, (flow, number, sent))) = there.poll_delivery(now) {
            flows[flow].delivered.push((at, sent));
            back.handle_packet(now, 40, (flow, number));
        }
        while let Some((_, (flow, number))) = back.poll_delivery(now) {
            flows[flow].handle_ack(now, number);
        }
        for (n, flow) in flows.iter_mut().enumerate() {
            flow.handle_step();
            if step % 50 == 0 {
                flow.lose(now, now, 0);
            }
            while flow.wants_to_send() {
                flow.credit -= PACKET as f64;
                flow.under_way.insert(flow.next, now);
                there.handle_packet(now, PACKET, (n, flow.next, now));
                flow.next += 1;
            }
        }
    }
}

#[test]
fn single_losses_do_not_slow_it_down() {
    let begin = Instant::now();
    let mut flows = [Flow::ours(BUDGET as f64, begin)];
    run(&mut flows, "delay=25ms,loss=3%,bandwidth=20Mbit", begin, 20);
    assert!(flows[0].rate(15.0) > 0.93 * BUDGET as f64, "{} bytes a second", flows[0].rate(15.0));
    assert!(flows[0].way_millis(15.0) <= 28);
}

#[test]
fn it_never_sends_more_than_its_budget() {
    let begin = Instant::now();
    let mut flows = [Flow::ours(BUDGET as f64 * 10.0, begin)];
    run(&mut flows, "delay=25ms,bandwidth=100Mbit,queue=1MB", begin, 10);
    let rate = flows[0].rate(8.0);
    // A little above: the window allows for late acknowledgements, and quinn's pacer for a quarter more.
    assert!(rate > 0.9 * BUDGET as f64 && rate < 2.0 * BUDGET as f64, "{rate} bytes a second");
}

#[test]
fn a_line_narrower_than_what_is_offered_is_filled_without_filling_its_queue() {
    let begin = Instant::now();
    let mut flows = [Flow::ours(BUDGET as f64, begin)];
    run(&mut flows, "delay=25ms,bandwidth=2Mbit,queue=256kB", begin, 30);
    let rate = flows[0].rate(20.0);
    assert!(rate > 0.8 * 250_000.0, "{rate} bytes a second of 250,000");
    assert!(flows[0].way_millis(20.0) < 25 + 80, "the full queue takes a second: {}", flows[0].way_millis(20.0));
}

#[test]
fn sustained_loss_without_a_queue_slows_it_down() {
    let begin = Instant::now();
    let mut flows = [Flow::ours(BUDGET as f64, begin)];
    // A policer: no queue to speak of, and half of what is offered.
    run(&mut flows, "delay=25ms,bandwidth=2Mbit,queue=3kB", begin, 20);
    let Sender::Ours { control, .. } = &flows[0].sender else { panic!("ours") };
    assert!(control.rate() < 1.4 * 250_000.0, "{}", control.rate());
    assert!(flows[0].rate(10.0) > 0.3 * 250_000.0, "{}", flows[0].rate(10.0));
}

#[test]
fn beside_bulk_transfers_it_neither_starves_nor_takes_all() {
    for queue in ["16kB", "32kB", "64kB", "128kB", "256kB", "1MB"] {
        let begin = Instant::now();
        let mut flows = [Flow::ours(BUDGET as f64, begin), Flow::ours(BUDGET as f64, begin), Flow::reno(begin)];
        run(&mut flows, &format!("delay=25ms,bandwidth=6Mbit,queue={queue}"), begin, 60);
        let rates: Vec<f64> = flows.iter().map(|flow| flow.rate(40.0)).collect();
        let fair = 750_000.0 / 3.0;
        let shares: Vec<f64> = rates.iter().map(|rate| rate / fair).collect();
        assert!(shares.iter().all(|share| (0.3..=2.0).contains(share)), "queue {queue}: shares {shares:?}");
        assert!(rates.iter().sum::<f64>() > 0.85 * 750_000.0, "queue {queue}: {rates:?}");
    }
}

#[test]
fn two_of_ours_alone_share_a_line_without_filling_its_queue() {
    let begin = Instant::now();
    let mut flows = [Flow::ours(BUDGET as f64, begin), Flow::ours(BUDGET as f64, begin)];
    run(&mut flows, "delay=25ms,bandwidth=4Mbit,queue=256kB", begin, 60);
    let shares = flows.iter().map(|flow| flow.rate(40.0) / 250_000.0).collect::<Vec<_>>();
    assert!(shares.iter().all(|share| (0.5..=1.4).contains(share)), "{shares:?}");
    assert!(flows.iter().all(|flow| flow.way_millis(40.0) < 25 + 80), "{}", flows[0].way_millis(40.0));
}
