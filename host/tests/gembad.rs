//! The real `gembad` with real peers over QUIC: what it acknowledged survives kill -9, strangers stay out, a plant's
//! tags arrive, and what cannot work is said in one line.

#![allow(clippy::unwrap_used)] // Test code outside of test functions too.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ed25519_dalek::SigningKey;
use gemba_devices::opcua_server::{ServeConfig, serve};
use gemba_host::site_dir::SiteDir;
use gemba_net::{Address, BlobHash, Link, LinkCommand, LinkConfig, LinkEvent, LinkState, connect};
use gemba_record::author::Author;
use gemba_record::body::Body;
use gemba_record::entry::EntryId;
use gemba_record::log::Log;
use gemba_record::role::Role;
use gemba_twin::path::{TagId, ThingId, ThingPath};
use gemba_twin::peer::PeerKind;
use gemba_twin::sample::Quality;
use gemba_twin::thing::Thing;

const FILE: &[u8] = b"glTF and so on";

/// Longer than anything here takes on a busy machine; only a failure waits for it.
const PATIENCE: Duration = Duration::from_secs(60);

fn hall() -> ThingId {
    "Hall1".parse::<ThingPath>().unwrap().id()
}

/// A site with a model and one thing, not served.
fn imported(dir: &Path) {
    let mut site = SiteDir::create(dir, "Plant").unwrap();
    let blob = site.put_blob(FILE).unwrap();
    let thing = Thing {
        path: "Hall1".parse().unwrap(),
        level: Default::default(),
        class: Default::default(),
        bindings: vec![],
    };
    let mut bodies = vec![Body::ImportModel { blob, bytes: FILE.len() as u64, name: "plant.glb".into() }];
    bodies.extend(Body::add_things(blob, vec![thing]));
    site.submit_all(bodies).unwrap();
}

/// A `gembad` of its own; killed, not asked, when dropped.
struct Gembad {
    child: Child,
    address: Address,
}

impl Gembad {
    fn start(dir: &Path, args: &[&str]) -> Self {
        let mut child = command(dir, args).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim_end().parse().unwrap_or_else(|e| panic!("{line:?} is no address: {e}"));
        Self { child, address }
    }

    fn kill(&mut self) {
        // SIGKILL: the process gets no say.
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Gembad {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gembad"));
    command.arg(dir).args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    command.env("RUST_LOG", "off");
    command
}

/// Runs a `gembad` that ends by itself; its exit code and what it said on stderr.
fn failure(dir: &Path, args: &[&str]) -> (i32, String) {
    let mut child = command(dir, args).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    (child.wait().unwrap().code().unwrap(), said)
}

/// A person with a link, who folds what comes.
struct Visitor {
    link: Link,
    key: SigningKey,
    log: Log,
    bytes: Vec<Vec<u8>>,
}

impl Visitor {
    fn new(address: &Address, seed: u8) -> Self {
        Self::back(address, SigningKey::from_bytes(&[seed; 32]), Log::new(), Vec::new())
    }

    /// Comes back with what was folded before.
    fn back(address: &Address, key: SigningKey, log: Log, bytes: Vec<Vec<u8>>) -> Self {
        let link = connect(LinkConfig {
            address: address.clone(),
            signing_key: key.clone(),
            name: "Aiko".into(),
            kind: PeerKind::Person,
            entries_held: log.entries(),
        });
        Self { link, key, log, bytes }
    }

    /// Polls until `wanted` finds what it looks for. Entries are folded on the way.
    fn wait<T>(&mut self, what: &str, mut wanted: impl FnMut(&Self, &LinkEvent) -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            match self.link.poll() {
                Some(event) => {
                    if let LinkEvent::Entries { first, entries } = &event {
                        assert_eq!(*first, self.log.entries(), "entries come without gaps");
                        for bytes in entries {
                            self.log.append(bytes.clone()).unwrap();
                            self.bytes.push(bytes.clone());
                        }
                    }
                    if let Some(found) = wanted(self, &event) {
                        return found;
                    }
                }
                None => std::thread::park_timeout(Duration::from_millis(1)),
            }
            assert!(start.elapsed() < PATIENCE, "waited in vain for {what}");
        }
    }

    fn wait_entries(&mut self, count: u64) {
        if self.log.entries() < count {
            self.wait("entries", |me, _| (me.log.entries() >= count).then_some(()));
        }
    }

    fn note(&self, n: u32) -> Vec<u8> {
        let author = Author::new(self.key.clone(), self.log.site().unwrap().id());
        let mut id = [0; 16];
        id[..4].copy_from_slice(&n.to_le_bytes());
        author.sign(Body::note(hall(), format!("note {n}")), EntryId(id)).bytes().to_vec()
    }
}

#[test]
fn nothing_acknowledged_is_lost_when_the_host_is_killed_again_and_again() {
    let temp = tempfile::tempdir().unwrap();
    imported(temp.path());
    let mut acknowledged: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    let mut unanswered: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
    let (mut key, mut log, mut bytes) = (SigningKey::from_bytes(&[7; 32]), Log::new(), Vec::new());
    let (mut next, mut random) = (0u32, 0x2545_f491_4f6c_dd1du64);
    for round in 0..12 {
        let mut host = Gembad::start(temp.path(), &["--listen", "127.0.0.1:0", "--admit", "commenter"]);
        let mut visitor = Visitor::back(&host.address, key, log, bytes);
        visitor.wait("welcome", |_, event| matches!(event, LinkEvent::Welcome { .. }).then_some(()));
        visitor.wait_entries(4 + acknowledged.len() as u64);
        // xorshift64: how many answers this round waits for before the host dies with more under way.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let goal = acknowledged.len() + 1 + (random % 80) as usize;
        // What a killed host left unanswered is sent again: the same entry twice stands once.
        let mut to_send: Vec<u32> = unanswered.keys().copied().collect();
        while acknowledged.len() < goal {
            while to_send.is_empty() && unanswered.len() < 32 {
                unanswered.insert(next, visitor.note(next));
                to_send.push(next);
                next += 1;
            }
            for n in to_send.drain(..) {
                let command = LinkCommand::Submit { submission: n.into(), entry: unanswered[&n].clone() };
                visitor.link.send(command).unwrap_or_else(|_| panic!("the link's queue is full in round {round}"));
            }
            let (submission, index) = visitor.wait("an answer", |_, event| match event {
                LinkEvent::Answer { submission, outcome, .. } => Some((*submission as u32, *outcome.as_ref().unwrap())),
                _ => None,
            });
            let entry = unanswered.remove(&submission).unwrap();
            assert_eq!(acknowledged.insert(index, entry), None, "an index is given once");
        }
        host.kill();
        (key, log, bytes) = (visitor.key, visitor.log, visitor.bytes);
    }
    let site = SiteDir::open(temp.path()).unwrap();
    let mut stored = Vec::new();
    while (stored.len() as u64) < site.log().entries() {
        stored.extend(site.read_entries(stored.len() as u64).unwrap());
    }
    for (index, entry) in &acknowledged {
        assert_eq!(stored.get(*index as usize), Some(entry), "acknowledged entry {index}");
    }
    assert_eq!(stored[..bytes.len()], bytes, "what peers were sent is what the host holds");
    assert!(acknowledged.len() >= 12);
}

#[test]
fn a_guest_gets_the_record_and_the_model_and_a_stranger_a_reason() {
    let temp = tempfile::tempdir().unwrap();
    imported(temp.path());
    let closed = Gembad::start(temp.path(), &["--listen", "127.0.0.1:0"]);
    let mut stranger = Visitor::new(&closed.address, 8);
    let why = stranger.wait("a refusal", |_, event| match event {
        LinkEvent::State(LinkState::Refused { why }) => Some(why.clone()),
        _ => None,
    });
    assert!(why.contains("not admitted") && why.contains("--admit"), "{why}");
    drop(closed);

    let open = Gembad::start(temp.path(), &["--listen", "127.0.0.1:0", "--admit", "commenter"]);
    assert_eq!(open.address.site, "Plant");
    let (mut first, mut second) = (Visitor::new(&open.address, 8), Visitor::new(&open.address, 9));
    first.wait_entries(5);
    second.wait_entries(5);
    let model = first.log.site().unwrap().models()[0].blob;
    first
        .link
        .send(LinkCommand::Fetch { hash: BlobHash(model), metres: 0.0, kept: vec![] })
        .unwrap_or_else(|_| panic!("queue full"));
    let bytes = first.wait("the model", |_, event| match event {
        LinkEvent::BlobDone { bytes, .. } => Some(bytes.clone()),
        LinkEvent::BlobFailed { why, .. } => panic!("{why}"),
        _ => None,
    });
    assert_eq!(bytes, FILE);
    first
        .link
        .send(LinkCommand::Fetch { hash: BlobHash([3; 32]), metres: 0.0, kept: vec![] })
        .unwrap_or_else(|_| panic!("queue full"));
    first.wait("the failure", |_, event| matches!(event, LinkEvent::BlobFailed { .. }).then_some(()));
    let entry = second.note(1);
    second.link.send(LinkCommand::Submit { submission: 77, entry }).unwrap_or_else(|_| panic!("queue full"));
    first.wait_entries(6);
    second.wait_entries(6);
    let (a, b) = (first.log.site().unwrap(), second.log.site().unwrap());
    assert_eq!((a.notes()[0].text.as_str(), a.digest()), ("note 1", b.digest()));
    let role = |key: &SigningKey| a.peer(&gemba_host::key_file::peer_key(key)).unwrap().role();
    assert_eq!((role(&first.key), role(&second.key)), (Some(Role::Commenter), Some(Role::Commenter)));
}

#[test]
fn a_plants_tags_come_alive_and_survive_its_server() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let temp = tempfile::tempdir().unwrap();
    let plant = runtime.block_on(serve(ServeConfig::new("127.0.0.1:0".parse().unwrap(), 1, 7))).unwrap();
    let (endpoint, place) = (plant.endpoint(), plant.address());
    let host = Gembad::start(temp.path(), &["--listen", "127.0.0.1:0", "--admit", "viewer", "--opcua", &endpoint]);
    let mut visitor = Visitor::new(&host.address, 8);
    // The newest quality of every tag; what is waited for is the share of good ones among all that the record knows.
    let mut newest: BTreeMap<TagId, Quality> = BTreeMap::new();
    let mut wait_share = |visitor: &mut Visitor, what: &str, wanted: fn(usize, usize) -> bool| {
        visitor.wait(what, |me, event| {
            let LinkEvent::Samples(samples) = event else { return None };
            newest.extend(samples.iter().map(|s| (s.tag, s.sample.quality)));
            let good = newest.values().filter(|quality| **quality == Quality::Good).count();
            let tags = me.log.site()?.tags().len();
            (tags >= 100 && newest.len() == tags && wanted(good, tags)).then_some(tags)
        })
    };
    let tags = wait_share(&mut visitor, "good samples of most tags", |good, tags| good > tags / 2);
    runtime.block_on(plant.stop());
    wait_share(&mut visitor, "bad samples of all tags", |good, _| good == 0);
    let _again = runtime.block_on(serve(ServeConfig::new(place, 1, 7))).unwrap();
    wait_share(&mut visitor, "good samples again", |good, tags| good > tags / 2);
    assert_eq!(visitor.log.site().unwrap().tags().len(), tags, "known tags are not declared again");
}

#[test]
fn a_host_without_its_opc_ua_server_runs_all_the_same() {
    let temp = tempfile::tempdir().unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("opc.tcp://{}", free.local_addr().unwrap());
    drop(free);
    let host = Gembad::start(temp.path(), &["--listen", "127.0.0.1:0", "--admit", "viewer", "--opcua", &endpoint]);
    Visitor::new(&host.address, 8).wait_entries(3);
}

#[test]
fn what_cannot_work_is_said_in_one_line_and_leaves_nothing_behind() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("site");
    let check = |dir: &Path, args: &[&str], code: i32, words: &str| {
        let (got, said) = failure(dir, args);
        assert_eq!(got, code, "{said}");
        assert!(said.contains(words), "{said:?} should speak of {words:?}");
        assert!(code == 2 || said.lines().count() == 1, "{said:?}");
    };
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    check(&dir, &["--listen", &listen], 1, "in use");
    check(&dir, &["--listen", "192.0.2.1:7"], 1, "192.0.2.1:7");
    check(&dir, &["--listen", "nonsense"], 2, "--listen");
    check(&dir, &["--listen", "127.0.0.1:0", "--admit", "owner"], 2, "viewer, commenter or editor");
    check(&dir, &["--listen", "127.0.0.1:0", "--opcua", "http://x"], 2, "opc.tcp://");
    check(&dir, &[], 2, "--listen");
    assert!(!dir.exists());
    std::fs::write(&dir, "a file").unwrap();
    check(&dir, &["--listen", "127.0.0.1:0"], 1, "site");
    std::fs::remove_file(&dir).unwrap();
    let _first = Gembad::start(&dir, &["--listen", "127.0.0.1:0"]);
    check(&dir, &["--listen", "127.0.0.1:0"], 1, "in use by another process");
}

#[cfg(unix)]
#[test]
fn sigterm_ends_the_host_well() {
    let temp = tempfile::tempdir().unwrap();
    let mut host = Gembad::start(temp.path(), &["--listen", "127.0.0.1:0"]);
    let told = Command::new("kill").args(["-TERM", &host.child.id().to_string()]).status().unwrap();
    assert!(told.success());
    assert_eq!(host.child.wait().unwrap().code(), Some(0));
}
