//! A host with a past: it serves a site as `gembad` would, and answers for the last eight hours from a formula, so that
//! a test knows what every tag read at every second. No historian, no disk.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ed25519_dalek::SigningKey;
use gemba_net::{
    Address, BlobHash, BlobParts, HostCommand, HostEvent, HostPort, LinkCommand, LinkConfig, LinkEvent, ListenConfig,
    Recall, RecallAnswer, TagSample, connect, listen,
};
use gemba_record::log::Log;
use gemba_twin::layout::tags;
use gemba_twin::path::TagId;
use gemba_twin::peer::PeerKind;
use gemba_twin::sample::{Quality, Sample, Timestamp, Value, ValueKind};
use gemba_twin::tag::Tag;

use crate::plant_site::PlantSite;

/// How far back history goes, seconds.
pub const HISTORY: i64 = 8 * 3600;
/// When nothing was recorded, seconds after the beginning of history.
pub const GAP: (i64, i64) = (3 * 3600, 3 * 3600 + 1500);
/// How often a machine goes through its states, seconds.
pub const PERIOD: i64 = 3000;
/// Second of that at which it goes out of order, and for how long.
pub const FAULT: (i64, i64) = (1200, 240);
/// Second of that from which nobody knows its state, and for how long.
const LOST: (i64, i64) = (2400, 120);
/// What every number tag reads now: nothing that it ever read in the past.
pub const LIVE: f64 = -777.0;

/// A running host and its address.
pub struct PastHost {
    /// The site's address.
    pub address: String,
    /// When its history begins.
    pub beginning: Timestamp,
    /// The site it serves: its host has ended, its simulator is idle.
    pub site: PlantSite,
    _runtime: tokio::runtime::Runtime,
}

/// The record of a site and its model, as its host gave them to a peer.
struct Plant {
    entries: Vec<Vec<u8>>,
    tags: Vec<Tag>,
    model: Arc<[u8]>,
}

impl PastHost {
    /// Takes over a simulated plant of one line from its own host. With `keeps_history` off it tells nothing of the past.
    pub fn start(keeps_history: bool) -> Self {
        let mut site = PlantSite::start();
        let plant = fetch(&site);
        site.host.kill();
        let signing_key = key_of(&site);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let before: Address = site.address.parse().expect("the host's own address");
        let config = ListenConfig { address: ([127, 0, 0, 1], 0).into(), signing_key, site: before.site.clone() };
        let port = runtime.block_on(listen(config)).expect("a free port");
        let address = Address { port: port.local_addr().port(), ..before }.to_string();
        let beginning = now().plus_micros(-HISTORY * 1_000_000);
        runtime.spawn(serve(port, plant, beginning, keeps_history));
        Self { address, beginning, site, _runtime: runtime }
    }

    /// So many seconds after the beginning of history, as `--at` takes it.
    pub fn at(&self, secs: i64) -> String {
        format!("@{}", self.instant(secs).0.div_euclid(1_000_000))
    }

    /// The whole second that is so many after the beginning of history.
    pub fn instant(&self, secs: i64) -> Timestamp {
        Timestamp::from_secs(self.beginning.0.div_euclid(1_000_000) + secs)
    }
}

/// The key of a site's host, 64 hexadecimal digits in its directory.
fn key_of(site: &PlantSite) -> SigningKey {
    let text = std::fs::read_to_string(site.site().join("host.key")).expect("a host has its key beside its site");
    let digits: Vec<u8> = text.trim().chars().map(|c| c.to_digit(16).expect("a hexadecimal digit") as u8).collect();
    let bytes: Vec<u8> = digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    SigningKey::from_bytes(&bytes.try_into().expect("a key has 32 bytes"))
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("no machine is older than Unix");
    Timestamp(i64::try_from(since.as_micros()).expect("not for 290,000 years"))
}

/// What a peer of the site gets: all entries once the gateway's tags are among them, and the model.
fn fetch(site: &PlantSite) -> Plant {
    let mut link = connect(LinkConfig {
        address: site.address.parse().expect("the host's own address"),
        signing_key: SigningKey::from_bytes(&[77; 32]),
        name: "historian".to_owned(),
        kind: PeerKind::Person,
        entries_held: 0,
    });
    let (mut log, mut all, mut hash) = (Log::default(), Vec::new(), None);
    let begun = Instant::now();
    loop {
        assert!(begun.elapsed() < Duration::from_secs(60), "the site has no tags or no model after a minute");
        match link.wait(Duration::from_millis(100)) {
            Some(LinkEvent::Entries { entries, .. }) => {
                for entry in entries {
                    log.append(entry.clone()).expect("a host's own record");
                    all.push(entry);
                }
            }
            Some(LinkEvent::BlobDone { bytes, .. }) => {
                let tags = log.site().expect("it was founded").tags().to_vec();
                return Plant { entries: all, tags, model: bytes.into() };
            }
            _ => {}
        }
        let has_tags = log.site().filter(|site| !site.tags().is_empty());
        if let Some(model) = has_tags.and_then(|site| site.models().first()).filter(|_| hash.is_none()) {
            hash = Some(BlobHash(model.blob));
            link.send(LinkCommand::Fetch(BlobHash(model.blob))).expect("an idle link");
        }
    }
}

async fn serve(mut port: HostPort, plant: Plant, beginning: Timestamp, keeps_history: bool) {
    let commands = port.commands.clone();
    let say = async |command| commands.send(command).await.expect("the hub takes commands as long as the host runs");
    if keeps_history {
        say(HostCommand::History { from: beginning, to: now() }).await;
    }
    let live = (0..).map(TagId).zip(&plant.tags).map(|(id, tag)| TagSample { tag: id, sample: live_sample(tag) });
    say(HostCommand::Publish(live.collect())).await;
    while let Some(event) = port.events.recv().await {
        match event {
            HostEvent::Arrived { peer, hello, .. } => {
                say(HostCommand::Admit { peer, entries: plant.entries.len() as u64 }).await;
                let (peer, first) = (Some(peer), hello.entries_held);
                let entries = plant.entries.get(first as usize..).unwrap_or_default().to_vec();
                say(HostCommand::Entries { peer, first, entries }).await;
            }
            HostEvent::BlobWanted { peer, hash, offset } => {
                let blob = (hash == BlobHash::of(&plant.model)).then(|| BlobParts::of(&plant.model, offset));
                say(HostCommand::Blob { peer, hash, offset, blob }).await;
            }
            HostEvent::Recall { peer, recall } => {
                let answer = answer(&plant.tags, beginning, &recall);
                say(HostCommand::Recalled { peer, answer }).await;
            }
            HostEvent::Submitted { peer, submission, .. } => {
                let outcome = Err("the past cannot be edited".to_owned());
                say(HostCommand::Answer { peer, submission, outcome, overruled: None }).await;
            }
            HostEvent::Left { .. } | HostEvent::EntriesTaken { .. } => {}
        }
    }
}

fn live_sample(tag: &Tag) -> Sample {
    let value = match tag.kind {
        ValueKind::Bool => Value::Bool(false),
        ValueKind::Int => Value::Int(2),
        ValueKind::Float => Value::Float(LIVE),
        ValueKind::Text => Value::Text("now".to_owned()),
    };
    Sample { value: Some(value), quality: Quality::Good, source_time: now(), server_time: now() }
}

/// What the historian would say: a sample every second, but for the gap.
fn answer(tags: &[Tag], beginning: Timestamp, recall: &Recall) -> RecallAnswer {
    let zero = beginning.0.div_euclid(1_000_000);
    let end = now().0.div_euclid(1_000_000) - zero;
    let covered = [(0, GAP.0), (GAP.1, end)];
    let is_covered = |at: i64| covered.iter().any(|(from, to)| (*from..=*to).contains(&at));
    let (from, to) = (recall.from.0.div_euclid(1_000_000) - zero, recall.to.0.div_euclid(1_000_000) - zero);
    let wanted = recall.tags.clone().unwrap_or_else(|| (0..tags.len() as u32).map(TagId).collect());
    let mut answer = RecallAnswer { request: recall.request, ..RecallAnswer::default() };
    for id in wanted {
        let Some(tag) = tags.get(id.0 as usize) else { continue };
        let sample = |at: i64| TagSample { tag: id, sample: past_sample(tag, at, Timestamp::from_secs(zero + at)) };
        let in_force = (0..=from.min(end)).rev().find(|at| is_covered(*at) && is_news(tag, *at));
        answer.samples.extend(in_force.map(sample));
        let after: Vec<i64> = (from + 1..=to.min(end)).filter(|at| is_covered(*at) && is_news(tag, *at)).collect();
        let step = after.len().div_ceil((recall.points as usize).max(1)).max(1);
        answer.is_thinned |= after.len() > recall.points as usize;
        answer.samples.extend(after.into_iter().step_by(step).take(recall.points as usize).map(sample));
    }
    let spans = covered.map(|(a, b)| (Timestamp::from_secs(zero + a), Timestamp::from_secs(zero + b)));
    let cut = spans.map(|(a, b)| (a.max(recall.from), b.min(recall.to)));
    answer.covered = cut.into_iter().filter(|(a, b)| a <= b).collect();
    answer
}

/// Whether a tag is reported at this second: a state only when it changes.
fn is_news(tag: &Tag, at: i64) -> bool {
    tag.path.name() != tags::STATE || at == 0 || state(tag, at) != state(tag, at - 1)
}

/// State and quality of a machine, each machine at its own time.
fn state(tag: &Tag, at: i64) -> (i64, Quality) {
    let phase = (at + offset(tag)).rem_euclid(PERIOD);
    let within = |(from, length): (i64, i64)| (from..from + length).contains(&phase);
    match phase {
        _ if within(FAULT) => (5, Quality::Good),
        _ if within(LOST) => (2, Quality::Bad),
        _ if phase % 900 < 60 => (3, Quality::Good),
        _ => (2, Quality::Good),
    }
}

/// Seconds by which a tag is ahead of others of its kind: the same in every run.
pub fn offset(tag: &Tag) -> i64 {
    tag.path.as_str().bytes().fold(7, |sum: i64, byte| (sum * 31 + i64::from(byte)) % 2711)
}

/// What a tag read at a second of history.
fn past_sample(tag: &Tag, at: i64, instant: Timestamp) -> Sample {
    let number = past_number(tag, at);
    let (value, quality) = match tag.kind {
        _ if tag.path.name() == tags::STATE => {
            let (state, quality) = state(tag, at);
            (Value::Int(state), quality)
        }
        ValueKind::Bool => (Value::Bool((at + offset(tag)) % 20 < 10), Quality::Good),
        ValueKind::Int => (Value::Int(number as i64), Quality::Good),
        ValueKind::Float => (Value::Float(number), Quality::Good),
        ValueKind::Text => (Value::Text(format!("batch {}", at / 600)), Quality::Good),
    };
    Sample { value: Some(value), quality, source_time: instant, server_time: instant }
}

/// What a number tag read at a second of history: a wave over its range.
pub fn past_number(tag: &Tag, at: i64) -> f64 {
    let (low, high) = tag.range.map_or((0.0, 100.0), |range| (range.low, range.high));
    let wave = (((at + offset(tag)) as f64) * std::f64::consts::TAU / 97.0).sin();
    low + (high - low) * (0.5 + 0.42 * wave)
}
