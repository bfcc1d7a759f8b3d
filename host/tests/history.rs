//! History as peers of the real `gembad` see it, with the simulated plant's OPC UA server: what was live is recalled as it
//! was, what a killed host missed is a gap, and what the record says of a segment can be checked with the file alone.

#![allow(clippy::unwrap_used)] // Test code outside of test functions too.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use gemba_devices::opcua_server::{ServeConfig, Serving, serve};
use gemba_host::historian::{Unproven, verify_segment};
use gemba_net::{
    Address, BlobHash, Link, LinkCommand, LinkConfig, LinkEvent, Recall, RecallAnswer, TagSample, connect,
};
use gemba_record::body::Body;
use gemba_record::log::Log;
use gemba_record::merkle::{Tree, leaf_hash};
use gemba_record::segment::Segment;
use gemba_twin::path::TagId;
use gemba_twin::peer::PeerKind;
use gemba_twin::sample::{Sample, Timestamp};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};
use tokio::runtime::Runtime;

/// Longer than anything here takes on a busy machine; only a failure waits for it.
const PATIENCE: Duration = Duration::from_secs(60);
/// All that may be lost when a host dies: what was measured since the journal's last sync, microseconds.
const SYNC: i64 = 1_000_000;
const SECOND: i64 = 1_000_000;
const ALL: (Timestamp, Timestamp) = (Timestamp(0), Timestamp(i64::MAX / 2));

/// A simulated line behind a real OPC UA server.
struct Plant {
    serving: Serving,
    _runtime: Runtime,
}

impl Plant {
    fn start() -> Self {
        let runtime = Runtime::new().unwrap();
        let serving = runtime.block_on(serve(ServeConfig::new("127.0.0.1:0".parse().unwrap(), 1, 7))).unwrap();
        Self { serving, _runtime: runtime }
    }
}

/// A `gembad` of its own that keeps what a plant measures; killed, not asked, when dropped.
struct Gembad {
    child: Child,
    address: Address,
}

impl Gembad {
    fn start(dir: &Path, plant: &Plant, args: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gembad"));
        command.arg(dir).args(["--listen", "127.0.0.1:0", "--admit", "commenter"]);
        command.args(["--opcua", &plant.serving.endpoint()]).args(args).env("RUST_LOG", "off");
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim_end().parse().unwrap_or_else(|e| panic!("{line:?} is no address: {e}"));
        Self { child, address }
    }
}

impl Drop for Gembad {
    fn drop(&mut self) {
        // SIGKILL: the process gets no say.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A person who folds the record and remembers all that was live.
struct Visitor {
    link: Link,
    log: Log,
    /// Of each tag what was seen live, and when.
    live: BTreeMap<TagId, Vec<Sample>>,
    /// When the gateway received the newest of them.
    newest: i64,
    /// From when on there is history.
    history: Option<Timestamp>,
    answers: Vec<RecallAnswer>,
    outcomes: Vec<Result<u64, String>>,
    asked: u32,
}

impl Visitor {
    fn new(host: &Gembad) -> Self {
        let link = connect(LinkConfig {
            address: host.address.clone(),
            signing_key: SigningKey::from_bytes(&[8; 32]),
            name: "Aiko".into(),
            kind: PeerKind::Person,
            entries_held: 0,
        });
        let (live, answers, outcomes) = (BTreeMap::new(), Vec::new(), Vec::new());
        Self { link, log: Log::new(), live, newest: i64::MIN, history: None, answers, outcomes, asked: 0 }
    }

    /// Takes in what comes until `is_done`.
    fn wait(&mut self, what: &str, is_done: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !is_done(self) {
            assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
            match self.link.wait(Duration::from_millis(100)) {
                Some(LinkEvent::Entries { entries, .. }) => {
                    for entry in entries {
                        self.log.append(entry).unwrap();
                    }
                }
                Some(LinkEvent::Samples(samples)) => samples.into_iter().for_each(|sample| self.see(sample)),
                Some(LinkEvent::History { from, .. }) => self.history = Some(from),
                Some(LinkEvent::Recalled(answer)) => self.answers.push(answer),
                Some(LinkEvent::Answer { outcome, .. }) => self.outcomes.push(outcome),
                _ => {}
            }
        }
    }

    fn see(&mut self, TagSample { tag, sample }: TagSample) {
        self.newest = self.newest.max(sample.server_time.0);
        self.live.entry(tag).or_default().push(sample);
    }

    /// Watches what is live for so long, by the clock of the samples.
    fn watch(&mut self, micros: i64) {
        self.wait("the first samples", |me| me.live.len() > 100);
        let end = self.newest + micros;
        self.wait("samples", |me| me.newest > end);
    }

    fn recall(&mut self, (from, to): (Timestamp, Timestamp), points: u32) -> Recalled {
        self.asked += 1;
        let request = self.asked;
        self.link.send(LinkCommand::Recall(Recall { request, tags: None, from, to, points })).unwrap();
        self.wait("an answer from the past", |me| me.answers.iter().any(|answer| answer.request == request));
        let answer = self.answers.pop().unwrap();
        let mut of_tags: BTreeMap<TagId, Vec<Sample>> = BTreeMap::new();
        for TagSample { tag, sample } in answer.samples {
            of_tags.entry(tag).or_default().push(sample);
        }
        let unreadable = answer.unreadable.into_iter().map(|span| (span.from, span.why)).collect();
        Recalled { unreadable, covered: answer.covered, is_thinned: answer.is_thinned, of_tags }
    }

    fn segments(&self) -> &[Segment] {
        self.log.site().map_or(&[], |site| site.segments())
    }
}

struct Recalled {
    unreadable: Vec<(Timestamp, String)>,
    covered: Vec<(Timestamp, Timestamp)>,
    is_thinned: bool,
    of_tags: BTreeMap<TagId, Vec<Sample>>,
}

impl Recalled {
    fn covers(&self, at: i64) -> bool {
        self.covered.iter().any(|(from, to)| (from.0..=to.0).contains(&at))
    }

    /// What was seen live, not after `until`, and is not told of the past.
    fn missing<'a>(&self, live: &'a BTreeMap<TagId, Vec<Sample>>, until: i64) -> Vec<(TagId, &'a Sample)> {
        let mut missing = Vec::new();
        for (tag, seen) in live {
            let told = self.of_tags.get(tag).map_or(&[][..], |samples| samples);
            let lost = seen.iter().filter(|sample| sample.server_time.0 <= until && !told.contains(sample));
            missing.extend(lost.map(|sample| (*tag, sample)));
        }
        missing
    }
}

fn blob_path(dir: &Path, blob: &[u8; 32]) -> PathBuf {
    let digits: String = blob.iter().map(|b| format!("{b:02x}")).collect();
    dir.join("blobs").join(digits)
}

#[test]
fn what_was_seen_live_is_recalled_as_it_was_and_proved_by_the_record() {
    let (temp, plant) = (tempfile::tempdir().unwrap(), Plant::start());
    let host = Gembad::start(temp.path(), &plant, &["--segment-secs", "2"]);
    let mut visitor = Visitor::new(&host);
    visitor.watch(6 * SECOND);
    visitor.wait("two segments in the record", |me| me.segments().len() >= 2);
    // What comes while the answer is on its way may be newer than the question.
    let newest = visitor.newest;
    let recalled = visitor.recall(ALL, 16_384);
    assert_eq!(recalled.missing(&visitor.live, newest), [], "value, quality and times as they were");
    assert!(!recalled.is_thinned && recalled.of_tags.len() == visitor.live.len());
    let in_order = |samples: &Vec<Sample>| samples.is_sorted_by_key(|sample| sample.source_time);
    assert!(recalled.of_tags.values().all(in_order));
    assert_eq!(recalled.covered.len(), 1, "one run of the host is one span: {:?}", recalled.covered);
    assert_eq!(visitor.history, Some(recalled.covered[0].0), "as the peers were told when they came");

    // Any instant: what was in force is the newest sample before it.
    let instant = visitor.newest - 3 * SECOND;
    let then = visitor.recall((Timestamp(instant), Timestamp(instant)), 0);
    assert!(then.covers(instant));
    for (tag, samples) in &recalled.of_tags {
        let newest = samples.iter().rev().find(|sample| sample.source_time.0 <= instant);
        assert_eq!(then.of_tags.get(tag).and_then(|told| told.first()), newest, "{tag:?} at {instant}");
    }
    drop(host);
    // For analysts each has a name in a folder of its own.
    let names = std::fs::read_dir(temp.path().join("history/segments")).unwrap();
    let named: Vec<Vec<u8>> = names.map(|entry| std::fs::read(entry.unwrap().path()).unwrap()).collect();
    for segment in visitor.segments() {
        let bytes = std::fs::read(blob_path(temp.path(), &segment.blob)).unwrap();
        assert!(named.contains(&bytes));
        check_as_plain_parquet(&bytes, segment);
        assert_eq!(verify_segment(&bytes, BlobHash(segment.blob), &segment.devices), Ok(segment.samples));
        let mut forged = bytes.clone();
        forged[bytes.len() / 3] ^= 1;
        let refused = verify_segment(&forged, BlobHash(segment.blob), &segment.devices);
        assert!(matches!(refused, Err(Unproven::OtherBytes { .. })));
    }
}

/// As an auditor would with any Parquet reader and this project's manual: nothing of the historian is used.
fn check_as_plain_parquet(bytes: &[u8], segment: &Segment) {
    assert_eq!((blake3::hash(bytes).as_bytes(), bytes.len() as u64), (&segment.blob, segment.bytes));
    let file = SerializedFileReader::new(Bytes::copy_from_slice(bytes)).unwrap();
    // By device, then by tag: how many rows, and their canonical bytes.
    let mut runs: BTreeMap<String, BTreeMap<String, (u64, Vec<u8>)>> = BTreeMap::new();
    let mut rows = 0;
    for row in file.get_row_iter(None).unwrap() {
        let row = row.unwrap();
        let (count, bytes) = runs.entry(text(&row, "device")).or_default().entry(text(&row, "tag")).or_default();
        *count += 1;
        put_row(&row, bytes);
        rows += 1;
    }
    assert_eq!(rows, segment.samples);
    let roots = runs.into_iter().map(|(device, tags)| {
        let mut tree = Tree::default();
        for (path, (count, rows)) in tags {
            let length = (path.len() as u32).to_le_bytes();
            let leaf = [b"gemba run 1\n", &length[..], path.as_bytes(), &count.to_le_bytes(), &rows].concat();
            tree.push(leaf_hash(&leaf));
        }
        (device, tree.root())
    });
    let recorded = segment.devices.iter().map(|root| (root.device.to_string(), root.root));
    assert_eq!(roots.collect::<Vec<_>>(), recorded.collect::<Vec<_>>());
}

fn field<'a>(row: &'a Row, name: &str) -> &'a Field {
    row.get_column_iter().find(|(column, _)| *column == name).map(|(_, field)| field).unwrap()
}

fn text(row: &Row, name: &str) -> String {
    let Field::Str(text) = field(row, name) else { panic!("{name} is a string") };
    text.clone()
}

fn micros(row: &Row, name: &str) -> i64 {
    let Field::TimestampMicros(micros) = field(row, name) else { panic!("{name} is a time") };
    *micros
}

fn put_row(row: &Row, out: &mut Vec<u8>) {
    ["source_time", "server_time"].iter().for_each(|name| out.extend(micros(row, name).to_le_bytes()));
    out.push(["good", "uncertain", "bad"].iter().position(|quality| *quality == text(row, "quality")).unwrap() as u8);
    let number = || match field(row, "value") {
        Field::Double(number) => *number,
        other => panic!("{other} is no number"),
    };
    match field(row, "kind") {
        Field::Null => out.push(0),
        Field::Str(kind) if kind == "bool" => out.extend([1, number() as u8]),
        Field::Str(kind) if kind == "int" => {
            out.push(2);
            let exact = match field(row, "integer") {
                Field::Long(exact) => *exact,
                _ => number() as i64,
            };
            out.extend(exact.to_le_bytes());
        }
        Field::Str(kind) if kind == "float" => {
            out.push(3);
            out.extend(number().to_le_bytes());
        }
        Field::Str(kind) if kind == "text" => {
            out.push(4);
            let text = text(row, "text");
            out.extend((text.len() as u32).to_le_bytes());
            out.extend(text.as_bytes());
        }
        other => panic!("{other} is no kind"),
    }
}

#[test]
fn a_host_killed_again_and_again_loses_no_sealed_segment_and_shows_the_time_between_as_gaps() {
    let (temp, plant) = (tempfile::tempdir().unwrap(), Plant::start());
    let mut seen: BTreeMap<TagId, Vec<Sample>> = BTreeMap::new();
    // When the gateway of a run received its first and its last sample that was seen.
    let mut runs: Vec<(i64, i64)> = Vec::new();
    let mut sealed: BTreeSet<[u8; 32]> = BTreeSet::new();
    for round in 0..5 {
        let host = Gembad::start(temp.path(), &plant, &["--segment-secs", "1"]);
        let mut visitor = Visitor::new(&host);
        // Killed at another moment of journal and sealing each time, and long enough after the first sample: history
        // begins when the historian takes that, which is after it was measured.
        visitor.watch(SYNC + SECOND + 370_000 * round);
        visitor.wait("what the last run left", |me| me.segments().len() >= runs.len());
        let held: BTreeSet<[u8; 32]> = visitor.segments().iter().map(|segment| segment.blob).collect();
        assert!(sealed.is_subset(&held), "what is sealed and recorded stays");
        assert_eq!(held.len(), visitor.segments().len(), "and is recorded once");
        sealed = held;
        drop(host);
        let first = visitor.live.values().flatten().map(|sample| sample.server_time.0).min().unwrap();
        runs.push((first, visitor.newest));
        visitor.live.into_iter().for_each(|(tag, samples)| seen.entry(tag).or_default().extend(samples));
    }
    let host = Gembad::start(temp.path(), &plant, &[]);
    let mut visitor = Visitor::new(&host);
    visitor.watch(SECOND);
    let recalled = visitor.recall(ALL, 16_384);
    for (run, (first, last)) in runs.iter().enumerate() {
        let seen: BTreeMap<TagId, Vec<Sample>> = seen
            .iter()
            .map(|(tag, seen)| (*tag, seen.iter().filter(|s| s.server_time.0 >= *first).cloned().collect()))
            .collect();
        assert_eq!(recalled.missing(&seen, last - SYNC), [], "of run {run}");
        assert!(recalled.covers(last - SYNC), "run {run}");
    }
    let begun = visitor.live.values().flatten().map(|sample| sample.server_time.0).min().unwrap();
    let next = runs[1..].iter().map(|(first, _)| *first).chain([begun]);
    for ((_, last), next) in runs.iter().zip(next) {
        assert!(!recalled.covers(last + (next - last) * 3 / 4), "nobody knows what was between {last} and {next}");
    }
    assert!(recalled.covered.len() > runs.len(), "{:?}", recalled.covered);
    for blob in sealed {
        let bytes = std::fs::read(blob_path(temp.path(), &blob)).unwrap();
        assert_eq!(blake3::hash(&bytes).as_bytes(), &blob);
    }
}

#[test]
fn a_damaged_or_missing_segment_is_a_gap_and_the_rest_is_told() {
    let (temp, plant) = (tempfile::tempdir().unwrap(), Plant::start());
    let host = Gembad::start(temp.path(), &plant, &["--segment-secs", "1"]);
    let mut visitor = Visitor::new(&host);
    visitor.wait("five segments", |me| me.segments().len() >= 5);
    drop(host);
    let segments = visitor.segments().to_vec();
    let (damaged, missing) = (&segments[1], &segments[3]);
    let path = blob_path(temp.path(), &damaged.blob);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    std::fs::remove_file(blob_path(temp.path(), &missing.blob)).unwrap();

    let host = Gembad::start(temp.path(), &plant, &["--segment-secs", "1"]);
    let mut again = Visitor::new(&host);
    again.watch(SECOND);
    let recalled = again.recall(ALL, 16_384);
    let middle = |segment: &Segment| segment.from.0 + segment.to.micros_since(segment.from) / 2;
    let told: Vec<Timestamp> = recalled.unreadable.iter().map(|(from, _)| *from).collect();
    assert_eq!(told, [damaged.from, missing.from]);
    assert!(recalled.unreadable[0].1.contains("its hash is not its name"), "{:?}", recalled.unreadable);
    for segment in [damaged, missing] {
        assert!(!recalled.covers(middle(segment)), "{:?}", recalled.covered);
    }
    for segment in [&segments[0], &segments[2], &segments[4]] {
        assert!(recalled.covers(middle(segment)), "{:?}", recalled.covered);
        let bytes = std::fs::read(blob_path(temp.path(), &segment.blob)).unwrap();
        let file = SerializedFileReader::new(Bytes::from(bytes)).unwrap();
        for row in file.get_row_iter(None).unwrap().map(Result::unwrap) {
            let tag = again.log.site().unwrap().tag_at(&text(&row, "tag").parse().unwrap()).unwrap();
            let time = Timestamp(micros(&row, "source_time"));
            assert!(recalled.of_tags[&tag].iter().any(|sample| sample.source_time == time), "{tag:?} at {time:?}");
        }
    }
}

#[test]
fn what_is_beyond_what_is_kept_goes_from_the_disk_and_from_the_record() {
    let (temp, plant) = (tempfile::tempdir().unwrap(), Plant::start());
    // 200 kB: some three segments.
    let host = Gembad::start(temp.path(), &plant, &["--segment-secs", "1", "--keep-gib", "0.0002"]);
    let mut visitor = Visitor::new(&host);
    visitor.wait("the first segment", |me| !me.segments().is_empty());
    let (first, beginning) = (visitor.segments()[0].clone(), visitor.history);
    let is_gone = |me: &Visitor| me.segments().iter().all(|segment| segment.blob != first.blob);
    visitor.wait("the first segment to be dropped", is_gone);
    visitor.wait("news of a later beginning", |me| me.history > beginning);
    assert!(!blob_path(temp.path(), &first.blob).exists());
    let names = std::fs::read_dir(temp.path().join("history/segments")).unwrap();
    let mut left = names.map(|entry| entry.unwrap().path()).map(std::fs::read);
    assert!(left.all(|bytes| bytes.is_err() || blake3::hash(&bytes.unwrap()).as_bytes() != &first.blob));
    assert!(!visitor.segments().is_empty());
    let newest = visitor.newest;
    let recalled = visitor.recall(ALL, 16);
    assert!(!recalled.covers(first.from.0) && recalled.covers(newest));
}

#[test]
fn a_disk_that_takes_no_history_stops_neither_the_record_nor_what_is_live() {
    let (temp, plant) = (tempfile::tempdir().unwrap(), Plant::start());
    // Where the folder of history should be.
    drop(gemba_host::site_dir::SiteDir::create(temp.path(), "Plant").unwrap());
    std::fs::write(temp.path().join("history"), "no folder").unwrap();
    let host = Gembad::start(temp.path(), &plant, &[]);
    let mut visitor = Visitor::new(&host);
    visitor.watch(SECOND);
    let recalled = visitor.recall(ALL, 10);
    assert!(recalled.covered.is_empty() && recalled.of_tags.is_empty(), "an answer all the same");
    let site = visitor.log.site().unwrap();
    let author = gemba_record::author::Author::new(SigningKey::from_bytes(&[8; 32]), site.id());
    let note = author.sign(Body::note(gemba_twin::path::ThingId([0; 16]), "hm"), gemba_record::entry::EntryId([1; 16]));
    let entry = note.bytes().to_vec();
    visitor.link.send(LinkCommand::Submit { submission: 1, entry }).unwrap();
    visitor.wait("an answer of the record", |me| !me.outcomes.is_empty());
}

#[test]
fn a_host_without_a_gateway_tells_the_past_and_adds_nothing_to_it() {
    let (temp, plant) = (tempfile::tempdir().unwrap(), Plant::start());
    let host = Gembad::start(temp.path(), &plant, &["--segment-secs", "1"]);
    let mut visitor = Visitor::new(&host);
    visitor.watch(2 * SECOND);
    drop(host);
    let mut command = Command::new(env!("CARGO_BIN_EXE_gembad"));
    command.arg(temp.path()).args(["--listen", "127.0.0.1:0", "--admit", "commenter"]).env("RUST_LOG", "off");
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let host = Gembad { child, address: line.trim_end().parse().unwrap() };
    let mut reader = Visitor::new(&host);
    reader.wait("the reach of history", |me| me.history.is_some());
    let recalled = reader.recall(ALL, 16_384);
    assert_eq!(recalled.missing(&visitor.live, visitor.newest - SYNC), []);
    let end = recalled.covered.last().unwrap().1;
    let again = reader.recall(ALL, 0);
    assert_eq!(again.covered.last().unwrap().1, end, "history does not grow while nothing is measured");
}
