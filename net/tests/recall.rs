//! The past over real QUIC: a host that answers from a table, and links that ask it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, and the line says where")]

use std::time::{Duration, Instant};

use ed25519_dalek::SigningKey;
use gemba_net::{
    Address, HostCommand, HostEvent, HostPort, Link, LinkCommand, LinkConfig, LinkEvent, ListenConfig, Recall,
    RecallAnswer, TagSample, connect, listen,
};
use gemba_twin::path::TagId;
use gemba_twin::peer::{PeerKey, PeerKind};
use gemba_twin::sample::{Quality, Sample, Timestamp, Value};
use tokio::sync::mpsc;

/// Tags of the table; each has a sample at every second from 0 to 1000, but for the gap.
const TAGS: u32 = 60;
/// What history covers, seconds: between them nobody recorded.
const COVERED: [(i64, i64); 2] = [(0, 400), (600, 1000)];

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn secs(at: i64) -> Timestamp {
    Timestamp::from_secs(at)
}

fn sample(tag: u32, at: i64) -> TagSample {
    let value = Some(Value::Float(f64::from(tag) + at as f64 / 7.0));
    let sample = Sample { value, quality: Quality::Good, source_time: secs(at), server_time: secs(at) };
    TagSample { tag: TagId(tag), sample }
}

/// What the table says, as a historian would.
fn answer(recall: &Recall) -> RecallAnswer {
    let (from, to) = (recall.from.0.div_euclid(1_000_000), recall.to.0.div_euclid(1_000_000));
    let is_covered = |at: i64| COVERED.iter().any(|(a, b)| (*a..=*b).contains(&at));
    let tags = recall.tags.clone().unwrap_or_else(|| (0..TAGS).map(TagId).collect());
    let (mut samples, mut is_thinned) = (Vec::new(), false);
    for TagId(tag) in tags {
        samples.extend((0..=from).rev().find(|at| is_covered(*at)).map(|at| sample(tag, at)));
        let after: Vec<i64> = (from + 1..=to).filter(|at| is_covered(*at)).collect();
        is_thinned |= after.len() > recall.points as usize;
        samples.extend(after.into_iter().take(recall.points as usize).map(|at| sample(tag, at)));
    }
    let covered = COVERED.iter().map(|(a, b)| (secs(*a).max(recall.from), secs(*b).min(recall.to)));
    let covered = covered.filter(|(a, b)| a <= b).collect();
    RecallAnswer { request: recall.request, covered, is_thinned, samples, ..RecallAnswer::default() }
}

struct TestHost {
    _runtime: tokio::runtime::Runtime,
    address: Address,
    commands: mpsc::Sender<HostCommand>,
    /// Questions as the host program sees them, to be answered by the test.
    questions: mpsc::UnboundedReceiver<(gemba_net::PeerNumber, Recall)>,
}

fn start() -> TestHost {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let config = ListenConfig {
        address: ([127, 0, 0, 1], 0).into(),
        signing_key: key(1),
        earlier_keys: vec![],
        site: "test".to_owned(),
    };
    let port = runtime.block_on(listen(config)).unwrap();
    let address = Address {
        host: "127.0.0.1".to_owned(),
        port: port.local_addr().port(),
        site: "test".to_owned(),
        key: PeerKey(key(1).verifying_key().to_bytes()),
    };
    let commands = port.commands.clone();
    let (asked, questions) = mpsc::unbounded_channel();
    runtime.spawn(serve(port, asked));
    TestHost { _runtime: runtime, address, commands, questions }
}

async fn serve(mut port: HostPort, asked: mpsc::UnboundedSender<(gemba_net::PeerNumber, Recall)>) {
    while let Some(event) = port.events.recv().await {
        match event {
            HostEvent::Arrived { peer, .. } => {
                port.commands.send(HostCommand::Admit { peer, entries: 0 }).await.unwrap();
            }
            HostEvent::Recall { peer, recall } => drop(asked.send((peer, recall))),
            _ => {}
        }
    }
}

impl TestHost {
    fn join(&self, seed: u8) -> Link {
        let mut link = connect(LinkConfig {
            address: self.address.clone(),
            signing_key: key(seed),
            name: format!("person {seed}"),
            kind: PeerKind::Person,
            entries_held: 0,
        });
        until(&mut link, |event| matches!(event, LinkEvent::Welcome { .. }).then_some(()));
        link
    }

    /// Answers the next question and says which it was.
    fn answer_next(&mut self) -> u32 {
        let (peer, recall) = self.questions.blocking_recv().unwrap();
        self.commands.blocking_send(HostCommand::Recalled { peer, answer: answer(&recall) }).unwrap();
        recall.request
    }
}

fn until<T>(link: &mut Link, mut find: impl FnMut(LinkEvent) -> Option<T>) -> T {
    let begun = Instant::now();
    let mut seen = Vec::new();
    while begun.elapsed() < Duration::from_secs(60) {
        if let Some(event) = link.wait(Duration::from_millis(100)) {
            seen.push(format!("{event:.60?}"));
            if let Some(found) = find(event) {
                return found;
            }
        }
    }
    panic!("it did not come; instead: {seen:?}");
}

fn recalled(link: &mut Link) -> RecallAnswer {
    until(link, |event| if let LinkEvent::Recalled(answer) = event { Some(answer) } else { None })
}

fn ask(request: u32, from: i64, to: i64, points: u32) -> Recall {
    Recall { request, tags: None, from: secs(from), to: secs(to), points }
}

#[test]
fn an_answer_arrives_whole_in_order_and_with_its_gaps() {
    let mut host = start();
    let mut ada = host.join(2);
    // 48,000 samples: more than one batch.
    let recall = ask(1, 100, 1000, 2000);
    ada.send(LinkCommand::Recall(recall.clone())).unwrap();
    assert_eq!(host.answer_next(), 1);
    let got = recalled(&mut ada);
    assert_eq!(got.covered, [(secs(100), secs(400)), (secs(600), secs(1000))]);
    assert!(got == answer(&recall), "{} samples", got.samples.len());
    assert!(got.samples.len() > gemba_net::limits::BATCH_SAMPLES);
    let stats = ada.stats();
    assert!(stats.recall_bytes > 0 && stats.telemetry_bytes < 100, "{stats:?}");
}

#[test]
fn only_the_newest_question_waits_while_the_host_works_on_another() {
    let mut host = start();
    let mut ada = host.join(2);
    for request in 1..=50 {
        ada.send(LinkCommand::Recall(ask(request, i64::from(request), 300, 1))).unwrap();
    }
    // A pong means that the host has read all that was said before.
    until(&mut ada, |event| matches!(event, LinkEvent::Clock { .. }).then_some(()));
    assert_eq!(host.answer_next(), 1);
    let mut last = host.answer_next();
    // Whatever had not been read when the first was answered came as one question more.
    while last != 50 {
        last = host.answer_next();
    }
    let request = until(&mut ada, |event| match event {
        LinkEvent::Recalled(answer) if answer.request == 50 => Some(answer.request),
        _ => None,
    });
    assert_eq!(request, 50);
    assert!(host.questions.try_recv().is_err(), "nothing more waits");
}

#[test]
fn what_is_measured_now_goes_on_arriving_beside_the_past() {
    let mut host = start();
    let mut ada = host.join(2);
    ada.send(LinkCommand::Recall(ask(1, 0, 1000, 2000))).unwrap();
    host.answer_next();
    host.commands.blocking_send(HostCommand::Publish(vec![sample(3, 5000)])).unwrap();
    let (mut past, mut live) = (false, false);
    until(&mut ada, |event| {
        match event {
            LinkEvent::Recalled(_) => past = true,
            LinkEvent::Samples(samples) => live = samples == [sample(3, 5000)],
            _ => {}
        }
        (past && live).then_some(())
    });
}

#[test]
fn newcomers_and_those_present_learn_how_far_back_history_goes() {
    let host = start();
    let history = |link: &mut Link| {
        until(link, |e| if let LinkEvent::History { from, to } = e { Some((from, to)) } else { None })
    };
    let mut ada = host.join(2);
    host.commands.blocking_send(HostCommand::History { from: secs(1), to: secs(9) }).unwrap();
    assert_eq!(history(&mut ada), (secs(1), secs(9)));
    let mut grace = host.join(3);
    assert_eq!(history(&mut grace), (secs(1), secs(9)));
}

#[test]
fn an_instant_is_shared_with_those_present_and_those_who_come_until_it_is_withdrawn() {
    let host = start();
    let shared = |link: &mut Link| {
        until(link, |e| if let LinkEvent::InstantShared { instant, .. } = e { Some(instant) } else { None })
    };
    let (mut ada, mut grace) = (host.join(2), host.join(3));
    ada.send(LinkCommand::ShareInstant(Some(secs(77)))).unwrap();
    assert_eq!(shared(&mut grace), Some(secs(77)));
    let mut late = host.join(4);
    assert_eq!(shared(&mut late), Some(secs(77)));
    ada.send(LinkCommand::ShareInstant(None)).unwrap();
    assert_eq!((shared(&mut grace), shared(&mut late)), (None, None));
}

#[test]
fn an_answer_that_is_too_large_to_be_sent_is_nothing_known_and_the_link_stands() {
    let mut host = start();
    let mut ada = host.join(2);
    ada.send(LinkCommand::Recall(ask(1, 0, 0, 0))).unwrap();
    let (peer, recall) = host.questions.blocking_recv().unwrap();
    let samples = vec![sample(0, 0); gemba_net::limits::RECALL_SAMPLES + 1];
    let answer =
        RecallAnswer { request: recall.request, covered: vec![(secs(0), secs(1))], samples, ..RecallAnswer::default() };
    host.commands.blocking_send(HostCommand::Recalled { peer, answer }).unwrap();
    assert_eq!(recalled(&mut ada), RecallAnswer { request: 1, ..RecallAnswer::default() });
    ada.send(LinkCommand::Recall(ask(2, 10, 12, 1))).unwrap();
    assert_eq!(host.answer_next(), 2);
    let thinned = recalled(&mut ada);
    assert_eq!((thinned.samples.len(), thinned.is_thinned), (2 * TAGS as usize, true));
}
