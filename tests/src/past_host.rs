//! A host with a past: the real `gembad` over a site whose historian was given the last eight hours from a formula, so that
//! a test knows what every tag read at every second. What is measured now comes from the simulator, as ever.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ed25519_dalek::SigningKey;
use gemba_host::blobs::Blobs;
use gemba_host::disk::{Disk, FileDisk};
use gemba_host::historian::{Historian, HistorianConfig};
use gemba_host::key_file::{self, peer_key};
use gemba_host::store::Store;
use gemba_net::{LinkConfig, LinkEvent, TagSample, connect};
use gemba_record::entry::UnverifiedEntry;
use gemba_record::log::Log;
use gemba_twin::layout::tags;
use gemba_twin::path::TagId;
use gemba_twin::peer::{PeerKey, PeerKind};
use gemba_twin::sample::{Quality, Sample, Timestamp, Value, ValueKind};
use gemba_twin::tag::Tag;

use crate::plant_site::{PlantSite, serve};

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

/// A running host and its address.
pub struct PastHost {
    /// The site's address.
    pub address: String,
    /// When its history begins.
    pub beginning: Timestamp,
    /// All tags of the site.
    pub tags: Vec<Tag>,
    /// The site it serves.
    pub site: PlantSite,
}

impl PastHost {
    /// Takes over a simulated plant of one line from its own host. With `keeps_history` off it tells nothing of the past.
    pub fn start(keeps_history: bool) -> Self {
        let mut site = PlantSite::start();
        let (entries, tags, gateway) = fetch(&site);
        site.host.kill();
        // The little that it has kept itself.
        std::fs::remove_dir_all(site.site().join("history")).expect("a host with a gateway keeps history");
        let beginning = now().plus_micros(-HISTORY * 1_000_000);
        say_before(&site.site(), entries, beginning);
        if keeps_history {
            put_history(&site, &tags, gateway, beginning);
        }
        let endpoint = keeps_history.then_some(site.endpoint.as_str());
        let (host, address) = serve(&site.site(), "127.0.0.1:0", endpoint);
        site.host = host;
        Self { address, beginning, tags, site }
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

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("no machine is older than Unix");
    Timestamp(i64::try_from(since.as_micros()).expect("not for 290,000 years"))
}

/// What a peer of the site gets: the record, the gateway's tags once they are in it, and the gateway's key.
fn fetch(site: &PlantSite) -> (Vec<Vec<u8>>, Vec<Tag>, PeerKey) {
    let mut link = connect(LinkConfig {
        address: site.address.parse().expect("the host's own address"),
        signing_key: SigningKey::from_bytes(&[77; 32]),
        name: "historian".to_owned(),
        kind: PeerKind::Person,
        entries_held: 0,
    });
    let (mut log, mut all) = (Log::default(), Vec::new());
    let begun = Instant::now();
    loop {
        assert!(begun.elapsed() < Duration::from_secs(60), "the site has no tags after a minute");
        if let Some(LinkEvent::Entries { entries, .. }) = link.wait(Duration::from_millis(100)) {
            for entry in entries {
                log.append(entry.clone()).expect("a host's own record");
                all.push(entry);
            }
        }
        let held = log.site().map(|site| (site.tags(), site.tag_device(TagId(0))));
        if let Some((tags, Some(gateway))) = held {
            return (all, tags.to_vec(), gateway);
        }
    }
}

/// Writes the record of a host that has ended anew, as if all in it had been said when history begins: else there would
/// have been no plant then.
fn say_before(dir: &Path, entries: Vec<Vec<u8>>, beginning: Timestamp) {
    let disk: Arc<dyn Disk> = Arc::new(FileDisk::new(dir));
    for derived in ["site.record", "site.index", "site.mark", "checkpoint"] {
        // Some are made later than others.
        let _ = std::fs::remove_file(dir.join(derived));
    }
    let _ = std::fs::remove_dir_all(dir.join("log"));
    let keys = ["host.key", "gateway.key"].map(|name| key_file::load(&*disk, name).expect("a host with a gateway"));
    let dated = entries.into_iter().map(|bytes| {
        let mut entry = UnverifiedEntry::read(bytes).expect("it was folded").entry().clone();
        entry.at = Some(beginning);
        entry.seen = None;
        let by_it = |key: &&SigningKey| peer_key(key) == entry.author;
        let key = keys.iter().find(by_it).expect("only the host and its gateway have spoken");
        entry.clone().sign(key).into_parts().0
    });
    let dated: Vec<Vec<u8>> = dated.collect();
    let site = UnverifiedEntry::read(dated[0].clone()).expect("it was just written").entry().site;
    let mut store = Store::create(disk, site, &dated[0]).expect("the record has been removed");
    store.append(1, &dated[1..]).expect("the disk takes it");
}

/// Gives the site's historian a sample a second, but for the gap, in which no host ran.
fn put_history(site: &PlantSite, tags: &[Tag], gateway: PeerKey, beginning: Timestamp) {
    let zero = beginning.0.div_euclid(1_000_000);
    let end = now().0.div_euclid(1_000_000) - zero;
    for (from, to) in [(0, GAP.0), (GAP.1, end)] {
        let time = |at: i64| Timestamp::from_secs(zero + at);
        let blobs = Blobs::open(site.site().join("blobs")).expect("the site's own folder");
        let opened = Historian::open(&site.site().join("history"), blobs, HistorianConfig::default(), time(from));
        let mut historian = opened.expect("a new history");
        for (id, tag) in (0..).map(TagId).zip(tags) {
            historian.declare(id, &tag.path, gateway);
        }
        for at in from..=to {
            let told = (0..).map(TagId).zip(tags).filter(|(_, tag)| is_news(tag, at));
            let samples: Vec<_> =
                told.map(|(id, tag)| TagSample { tag: id, sample: past_sample(tag, at, time(at)) }).collect();
            historian.append(&samples, time(at)).expect("the disk takes it");
            historian.poll_seal(time(at)).expect("the disk takes it");
        }
        historian.seal(time(to)).expect("the disk takes it");
    }
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
