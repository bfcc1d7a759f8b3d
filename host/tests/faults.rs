//! The real `gembad` on a machine where things go wrong: a full disk, a directory that may not be written, a damaged
//! record, a clock that goes back, a launcher that dies.

#![cfg(unix)]
#![allow(clippy::unwrap_used)] // Test code outside of test functions too.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use ed25519_dalek::SigningKey;
use gemba_host::disk::FileDisk;
use gemba_host::sequencer::{Sequencer, Submission};
use gemba_host::site_dir::SiteDir;
use gemba_host::store::hostile::without_room;
use gemba_net::{Address, HostCommand, Link, LinkCommand, LinkConfig, LinkEvent, LinkState, PeerNumber, connect};
use gemba_record::author::Author;
use gemba_record::body::Body;
use gemba_record::entry::EntryId;
use gemba_record::log::Log;
use gemba_twin::path::ThingPath;
use gemba_twin::peer::PeerKind;
use gemba_twin::sample::Timestamp;
use gemba_twin::thing::Thing;

/// Longer than anything here takes on a busy machine; only a failure waits for it.
const PATIENCE: Duration = Duration::from_secs(120);

fn hall() -> ThingPath {
    "Hall1".parse().unwrap()
}

/// A site with one thing, not served.
fn site(dir: &Path) -> SiteDir {
    let mut site = SiteDir::create(dir, "Plant").unwrap();
    let thing = Thing { path: hall(), level: Default::default(), class: Default::default(), bindings: vec![] };
    let mut bodies = vec![Body::ImportModel { blob: [1; 32], bytes: 9, name: "plant.glb".into() }];
    bodies.extend(Body::add_things([1; 32], vec![thing]));
    site.submit_all(bodies).unwrap();
    site
}

/// A `gembad` of its own; killed, not asked, when dropped.
struct Gembad {
    child: Child,
    address: Address,
    said: BufReader<ChildStderr>,
}

impl Gembad {
    fn start(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).env("RUST_LOG", "gemba_host=info");
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let Ok(address) = line.trim_end().parse() else {
            let mut why = String::new();
            said.read_to_string(&mut why).unwrap();
            panic!("{line:?} is no address: {why}");
        };
        Self { child, address, said }
    }

    /// The next line on stderr that speaks of this.
    fn says(&mut self, words: &str) -> String {
        loop {
            let mut line = String::new();
            assert!(self.said.read_line(&mut line).unwrap() > 0, "gembad ended without a word of {words:?}");
            if line.contains(words) {
                return line;
            }
        }
    }
}

impl Drop for Gembad {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn gembad(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gembad"));
    command.arg(dir).args(["--listen", "127.0.0.1:0"]).stdin(Stdio::null());
    command
}

/// A person who folds what comes.
struct Visitor {
    link: Link,
    author: Author,
    log: Log,
}

impl Visitor {
    /// The host itself is a peer of its site, so that its key needs no admission.
    fn new(address: &Address, key: &SigningKey, site: gemba_record::entry::SiteId) -> Self {
        let config = LinkConfig {
            address: address.clone(),
            signing_key: key.clone(),
            name: "Aiko".into(),
            kind: PeerKind::Person,
            entries_held: 0,
        };
        Self { link: connect(config), author: Author::new(key.clone(), site), log: Log::new() }
    }

    fn wait<T>(&mut self, what: &str, mut wanted: impl FnMut(&Self, &LinkEvent) -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            match self.link.poll() {
                Some(event) => {
                    if let LinkEvent::Entries { entries, .. } = &event {
                        for entry in entries {
                            self.log.append(entry.clone()).unwrap();
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

    fn submit(&mut self, number: u64, text: &str) {
        let id = EntryId(u128::from(number + 1).to_be_bytes());
        let entry = self.author.sign(Body::note(hall().id(), text), id).into_parts().0;
        let sent = self.link.send(LinkCommand::Submit { submission: number, entry });
        sent.unwrap_or_else(|_| panic!("the link's queue is full"));
    }

    fn wait_answer(&mut self) -> (u64, Result<u64, String>) {
        self.wait("an answer", |_, event| match event {
            LinkEvent::Answer { submission, outcome, .. } => Some((*submission, outcome.clone())),
            _ => None,
        })
    }
}

#[test]
fn a_host_without_space_loses_nothing_goes_on_and_catches_up_when_there_is_room() {
    let temp = tempfile::tempdir().unwrap();
    let (key, id) = {
        let site = site(temp.path());
        (site.host_key().clone(), site.site().id())
    };
    // No file longer than some 50 kB: for the one that writes it is as if the disk were full.
    let mut limited = Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -S -f 100; exec \"$0\" \"$@\""]);
    let whole = gembad(temp.path());
    limited.arg(whole.get_program()).args(whole.get_args()).stdin(Stdio::null());
    let mut host = Gembad::start(limited);
    let mut visitor = Visitor::new(&host.address, &key, id);
    visitor.wait_entries(3);
    let text = "x".repeat(1000);
    let mut acknowledged = Vec::new();
    // One at a time, until one is not answered because there is no room: the host says so.
    for number in 0..30 {
        visitor.submit(number, &text);
        acknowledged.push(visitor.wait_answer());
    }
    for number in 30..60 {
        visitor.submit(number, &text);
    }
    host.says("waits until it can be written");
    // Room is made, and nobody has to do anything.
    let made = Command::new("prlimit").args(["--pid", &host.child.id().to_string(), "--fsize=unlimited"]).status();
    if made.is_ok_and(|made| made.success()) {
        while acknowledged.len() < 60 {
            acknowledged.push(visitor.wait_answer());
        }
    }
    drop(host);
    let site = SiteDir::open(temp.path()).unwrap();
    assert!(site.problems().is_empty() && acknowledged.len() >= 30);
    for (number, outcome) in acknowledged {
        let index = outcome.unwrap();
        let id = EntryId(u128::from(number + 1).to_be_bytes());
        assert_eq!(site.site().index_of(id), Some(index), "acknowledged entry {index}");
    }
}

#[test]
fn a_directory_that_may_not_be_written_is_shown_to_its_peers() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("plant");
    let (key, id) = {
        let mut site = site(&dir);
        site.submit(Body::note(hall().id(), "loud")).unwrap();
        (site.host_key().clone(), site.site().id())
    };
    // gembad makes these on first use.
    drop(Gembad::start(gembad(&dir)));
    let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    set_all(&dir, &|path, is_folder| set(path, if is_folder { 0o555 } else { 0o444 }));
    set(temp.path(), 0o755);
    // A copy: where it was built may be closed to the one it runs as.
    let program = temp.path().join("gembad");
    fs::copy(env!("CARGO_BIN_EXE_gembad"), &program).unwrap();
    let mut command = Command::new(&program);
    command.arg(&dir).args(["--listen", "127.0.0.1:0"]).stdin(Stdio::null());
    if fs::write(dir.join("probe"), "").is_ok() {
        // We are root, whom nothing is forbidden: the child is nobody, whose keys these are then.
        fs::remove_file(dir.join("probe")).unwrap();
        command.uid(65534).gid(65534).current_dir(temp.path());
    }
    let mut host = Gembad::start(command);
    let mut visitor = Visitor::new(&host.address, &key, id);
    visitor.wait_entries(4);
    visitor.submit(1, "hm");
    assert!(host.says("waits until it can be written").contains("site.record"));
    set_all(&dir, &|path, is_folder| set(path, if is_folder { 0o755 } else { 0o644 }));
}

fn set_all(dir: &Path, set: &dyn Fn(&Path, bool)) {
    set(dir, true);
    for path in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() { set_all(&path, set) } else { set(&path, false) }
    }
}

#[test]
fn a_damaged_record_is_named_served_up_to_the_damage_and_mended_from_a_mirrors_copy() {
    let temp = tempfile::tempdir().unwrap();
    let (key, id, entries, signed) = {
        let mut site = site(temp.path());
        for text in ["one", "two", "three", "four"] {
            site.submit(Body::note(hall().id(), text)).unwrap();
        }
        let signed = site.sign_checkpoint().unwrap();
        (site.host_key().clone(), site.site().id(), site.read_entries(0).unwrap(), signed)
    };
    let record = temp.path().join("site.record");
    let mut bytes = fs::read(&record).unwrap();
    let three = bytes.windows(5).position(|w| w == b"three").unwrap();
    bytes[three] ^= 4;
    fs::write(&record, &bytes).unwrap();

    let mut host = Gembad::start(gembad(temp.path()));
    let said = host.says("damaged");
    assert!(said.contains("site.record: damaged: entry 5, at bytes") && said.contains("reading only"), "{said}");
    let mut visitor = Visitor::new(&host.address, &key, id);
    visitor.wait_entries(5);
    visitor.submit(1, "hm");
    host.says("waits with them until the site is repaired");
    let mut again = Visitor::new(&host.address, &key, id);
    again.wait_entries(5);
    drop(host);

    let mut site = SiteDir::open(temp.path()).unwrap();
    let copies = |range: std::ops::Range<u64>| Some(entries.get(range.start as usize..range.end as usize)?.to_vec());
    assert_eq!(site.repair(Some(&signed), copies).unwrap(), 1);
    drop(site);
    let host = Gembad::start(gembad(temp.path()));
    let mut visitor = Visitor::new(&host.address, &key, id);
    visitor.wait_entries(7);
    visitor.submit(1, "hm");
    assert_eq!(visitor.wait_answer(), (1, Ok(7)));
}

#[test]
fn a_host_that_is_started_twice_is_refused_and_the_first_goes_on() {
    let temp = tempfile::tempdir().unwrap();
    let (key, id) = {
        let site = site(temp.path());
        (site.host_key().clone(), site.site().id())
    };
    let first = Gembad::start(gembad(temp.path()));
    let second = gembad(temp.path()).env("RUST_LOG", "off").output().unwrap();
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(1));
    assert!(said.contains("is in use by another process; stop that one first") && said.lines().count() == 1, "{said}");
    let mut visitor = Visitor::new(&first.address, &key, id);
    visitor.wait_entries(3);
    visitor.submit(1, "hm");
    assert_eq!(visitor.wait_answer(), (1, Ok(3)));
}

#[test]
fn a_clock_that_goes_back_neither_stops_a_host_nor_brings_back_what_has_ended() {
    let temp = tempfile::tempdir().unwrap();
    let site = site(temp.path());
    let owner = Author::new(site.host_key().clone(), site.site().id());
    let begun = site.site().time();
    let mut host = Sequencer::new(site, None);
    let mut said = |now: Timestamp, at: Timestamp, number: u64| {
        host.handle_time(now);
        let author = owner.clone().at(at);
        let entry = author.sign(Body::note(hall().id(), "hm"), EntryId(u128::from(number).to_be_bytes()));
        let submission = Submission { peer: PeerNumber(1), number, entry: entry.into_parts().0 };
        host.handle_submissions(vec![submission]).unwrap();
        let answer = std::iter::from_fn(|| host.poll_command().unwrap()).find_map(|command| match command {
            HostCommand::Answer { outcome, .. } => Some(outcome),
            _ => None,
        });
        (answer.unwrap().is_ok(), host.site().site().time())
    };
    let secs = |secs: i64| begun.plus_micros(secs * 1_000_000);
    assert_eq!(said(secs(9_000), secs(9_000), 1), (true, secs(9_000)));
    assert_eq!(said(secs(-50), secs(-50), 2), (true, secs(9_000)), "the log's time never goes back");
    assert_eq!(said(secs(9_000), secs(9_001), 3), (true, secs(9_001)));
}

#[test]
fn a_host_ends_with_whoever_started_it() {
    let temp = tempfile::tempdir().unwrap();
    drop(site(temp.path()));
    let mut command = gembad(temp.path());
    command.arg("--until-stdin-closes").stdin(Stdio::piped());
    let mut host = Gembad::start(command);
    assert!(host.child.try_wait().unwrap().is_none());
    // What happens to the pipe when a launcher is killed.
    drop(host.child.stdin.take());
    assert_eq!(host.child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_stranger_cannot_be_let_in_while_the_record_is_damaged_and_is_told_why() {
    let temp = tempfile::tempdir().unwrap();
    let id = {
        let mut site = site(temp.path());
        site.submit(Body::note(hall().id(), "loud")).unwrap();
        site.site().id()
    };
    let record = temp.path().join("site.record");
    let mut bytes = without_room(&FileDisk::new(temp.path()));
    let last = bytes.len() - 10;
    bytes[last] ^= 1;
    fs::write(&record, bytes).unwrap();
    let mut command = gembad(temp.path());
    command.args(["--admit", "viewer"]);
    let host = Gembad::start(command);
    let mut stranger = Visitor::new(&host.address, &SigningKey::from_bytes(&[9; 32]), id);
    let why = stranger.wait("a refusal", |_, event| match event {
        LinkEvent::State(LinkState::Refused { why }) => Some(why.clone()),
        _ => None,
    });
    assert!(why.contains("cannot take in anybody new") && why.contains("damaged"), "{why}");
}
