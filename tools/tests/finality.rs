//! Real witnesses and a real mirror (processes of `gembactl`) make the entries of a real host final; what they hold
//! proves, repairs and convicts afterwards.

#![allow(clippy::unwrap_used)] // Test code outside of test functions too.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use ed25519_dalek::SigningKey;
use gemba_host::daemon::{Daemon, DaemonConfig};
use gemba_host::disk::FileDisk;
use gemba_host::site_dir::SiteDir;
use gemba_host::store::hostile::without_room;
use gemba_record::body::Body;
use gemba_record::checkpoint::{Checkpoint, SignedCheckpoint, origin, verifier_key};
use gemba_record::mirror::origin_hash;
use gemba_record::role::Role;
use gemba_record::witness::Submission;
use gemba_twin::peer::{PeerKey, PeerKind};
use serde_json::Value;

/// Longer than anything here takes on a busy machine; only a failure waits for it.
const PATIENCE: Duration = Duration::from_secs(120);

/// More than one bundle.
const ENTRIES: u64 = 400;

fn gembactl(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gembactl")).args(["record"]).args(args).output().unwrap()
}

fn ok(args: &[&str]) -> String {
    let output = gembactl(args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The one line on stderr of a command that fails.
fn fails(args: &[&str]) -> String {
    let output = gembactl(args);
    assert_eq!(output.status.code(), Some(1), "{args:?}: {}", String::from_utf8_lossy(&output.stdout));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A process that cosigns; killed when dropped.
struct Cosigner {
    child: Child,
    /// As `record policy` takes it.
    member: String,
}

impl Cosigner {
    fn start(args: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gembactl"));
        let command = command.arg("record").args(args).args(["--listen", "127.0.0.1:0"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut member = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut member).unwrap();
        Self { child, member: member.trim_end().to_owned() }
    }

    fn key(&self) -> &str {
        self.member.rsplit_once("=http").unwrap().0
    }

    fn address(&self) -> &str {
        self.member.rsplit_once("=http://").unwrap().1
    }

    fn post(&self, path: &str, body: &[u8]) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address()).unwrap();
        let head =
            format!("POST /{path} HTTP/1.1\r\nHost: w\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }
}

impl Drop for Cosigner {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A site with entries, and the key of its log.
fn site(dir: &Path) -> (String, SigningKey) {
    let mut site = SiteDir::create(dir, "Plant").unwrap();
    let admit = |n: u64| {
        let peer = PeerKey(SigningKey::from_bytes(&[(n % 200) as u8 + 1; 32]).verifying_key().to_bytes());
        Body::Admit { peer, kind: PeerKind::Person, name: format!("peer {n}"), role: Role::Viewer }
    };
    site.submit_all((1..ENTRIES).map(admit).collect()).unwrap();
    (verifier_key(&origin(site.site().id()), &site.site().host()), site.host_key().clone())
}

/// Runs the real host until the file is there and says what is wanted.
fn host_until(dir: &Path, wanted: impl Fn(&SignedCheckpoint) -> bool) -> SignedCheckpoint {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let config = DaemonConfig {
        dir: dir.to_owned(),
        listen: "127.0.0.1:0".parse().unwrap(),
        opcua: None,
        admit: None,
        name: None,
        publish: Some("127.0.0.1:0".parse().unwrap()),
        history: Default::default(),
    };
    let daemon = runtime.block_on(Daemon::start(config)).unwrap();
    let running = runtime.spawn(daemon.run(async {
        let _ = stopped.await;
    }));
    let begun = Instant::now();
    let found = loop {
        let note = fs::read_to_string(dir.join("final")).ok();
        if let Some(signed) = note.and_then(|note| SignedCheckpoint::read(&note).ok()).filter(&wanted) {
            break signed;
        }
        assert!(begun.elapsed() < PATIENCE, "nothing became final");
        std::thread::park_timeout(Duration::from_millis(20));
    };
    stop.send(()).unwrap();
    runtime.block_on(running).unwrap().unwrap();
    found
}

struct Plant {
    temp: tempfile::TempDir,
    log: String,
    host: SigningKey,
    witnesses: Vec<Cosigner>,
    mirror: Cosigner,
}

impl Plant {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("plant");
        let (log, host) = site(&dir);
        let witness = |n: usize| {
            let own = temp.path().join(format!("w{n}"));
            Cosigner::start(&["witness", text(&own), "--name", &format!("w{n}.example"), "--log", &log])
        };
        let witnesses: Vec<Cosigner> = (1..=2).map(witness).collect();
        let own = temp.path().join("m1");
        // Where it could fetch nothing: it has to be sent all of it by the host.
        let nothing = temp.path().join("nothing");
        let args = ["mirror", text(&nothing), "--dir", text(&own), "--name", "m1.example", "--log", &log];
        let mirror = Cosigner::start(&args);
        Self { log, host, witnesses, mirror, temp }
    }

    fn dir(&self) -> PathBuf {
        self.temp.path().join("plant")
    }

    /// The mirror's copy.
    fn copy(&self) -> PathBuf {
        self.temp.path().join("m1").join(origin_hash(self.log.split('+').next().unwrap()))
    }

    fn set_policy(&self) {
        let dir = self.dir();
        let [a, b] = [0, 1].map(|n: usize| self.witnesses[n].member.as_str());
        ok(&["policy", text(&dir), "--witness", a, "--witness", b, "--mirror", &self.mirror.member]);
    }
}

fn verify(dir: &Path) -> Value {
    serde_json::from_slice(&gembactl(&["verify", text(dir), "--json"]).stdout).unwrap()
}

#[test]
fn entries_become_final_and_prove_repair_and_convict() {
    let plant = Plant::new();
    let dir = plant.dir();
    plant.set_policy();
    let policy_entry = ENTRIES;
    let signed = host_until(&dir, |signed| signed.checkpoint().size > policy_entry);
    let size = signed.checkpoint().size;
    let json = verify(&dir);
    assert_eq!(json["holds"], true, "{json:#}");
    assert_eq!(json["final_entries"], size, "{json:#}");
    assert_eq!(
        (&json["witnesses"], &json["mirrors"]),
        (&serde_json::json!(["w1.example", "w2.example"]), &serde_json::json!(["m1.example"]))
    );
    let shown: Value = serde_json::from_str(&ok(&["show", text(&dir), "--json"])).unwrap();
    assert!(shown.as_array().unwrap().iter().all(|entry| entry["is_final"] == true), "{shown:#}");
    assert_eq!(verify_copy(&plant), size, "the mirror has what it cosigned");
    prove_and_refute(&plant);
    copy_over_http(&plant, size);
    repair_from_the_mirror(&plant);
    a_host_mends_its_record_by_itself(&plant, size);
    convict_a_host_that_forks(&plant, &signed);
}

/// Entries in the mirror's copy, every bundle under the root that the host signed.
fn verify_copy(plant: &Plant) -> u64 {
    let files: gemba_host::log_files::LogFiles = text(&plant.copy()).parse().unwrap();
    let signed = files.checkpoint().unwrap();
    let stated = signed.checkpoint();
    let mut tree = gemba_record::tile_tree::TileTree::new(stated.size, stated.root).unwrap();
    let mut at = 0;
    while at < stated.size {
        let (first, entries) = files.entries(&mut tree, at).unwrap();
        at = first + entries.len() as u64;
    }
    at
}

fn prove_and_refute(plant: &Plant) {
    let (dir, file) = (plant.dir(), plant.temp.path().join("proof"));
    ok(&["prove", text(&dir), "300", "--out", text(&file)]);
    let [w1, w2] = [0, 1].map(|n: usize| plant.witnesses[n].key());
    let keys = ["--log", &plant.log, "--witness", w1, "--witness", w2, "--mirror", plant.mirror.key()];
    let with = |file: &Path, keys: &[&str]| [&["verify-proof", file.to_str().unwrap()], keys].concat().join("\0");
    let run = |joined: String| gembactl(&joined.split('\0').collect::<Vec<_>>());
    assert!(run(with(&file, &keys)).status.success());
    assert!(ok(&["verify-proof", text(&file), "--site", text(&dir)]).contains("final"));
    // By index or by id, from the site or from the mirror, it is the same entry.
    let json: Value = serde_json::from_str(&ok(&["verify-proof", text(&file), "--log", &plant.log, "--json"])).unwrap();
    assert_eq!(json["index"], 300);
    let by_id = ok(&["prove", text(&plant.copy()), json["id"].as_str().unwrap()]);
    assert!(by_id.contains("index 300\n"), "{by_id}");
    let proof = fs::read_to_string(&file).unwrap();
    let other = plant.temp.path().join("other");
    for (what, changed) in [
        ("index", proof.replace("index 300", "index 301")),
        ("entry", proof.replacen("extra o", "extra p", 1)),
        ("size", proof.replace("\n401\n", "\n402\n")),
        ("cosignature", proof.lines().filter(|line| !line.contains("w2.example")).map(|l| format!("{l}\n")).collect()),
    ] {
        assert_ne!(changed, proof, "{what}");
        fs::write(&other, changed).unwrap();
        assert!(!run(with(&other, &keys)).status.success(), "a proof with another {what} was taken");
    }
    fails(&["prove", text(&dir), "401000"]);
}

/// Another mirror copies the first one's copy, by its URL.
fn copy_over_http(plant: &Plant, size: u64) {
    let hash = origin_hash(plant.log.split('+').next().unwrap());
    let url = format!("http://{}/{hash}/", plant.mirror.address());
    let own = plant.temp.path().join("m2");
    let copy = || ok(&["mirror", &url, "--dir", text(&own), "--name", "m2.example", "--log", &plant.log, "--once"]);
    assert!(copy().starts_with(&format!("{size} entries are held and cosigned by m2.example+")));
    assert!(copy().starts_with(&format!("{size} entries")), "again, with nothing to do");
    for file in ["checkpoint", "tile/0/000", "tile/entries/000", "tile/0/001.p/145"] {
        let [first, second] = [plant.copy().join(file), own.join(&hash).join(file)].map(|path| fs::read(path).unwrap());
        assert!(first == second || file == "checkpoint", "{file} differs");
    }
    assert!(ok(&["prove", &url, "7"]).contains("index 7\n"));
    assert!(fails(&["prove", &format!("http://{}/elsewhere/", plant.mirror.address()), "7"]).contains("not there"));
    assert_eq!(gembactl(&["prove", "https://w.example/", "7"]).status.code(), Some(2), "https is a proxy's matter");
}

fn repair_from_the_mirror(plant: &Plant) {
    let dir = plant.dir();
    let mut record = without_room(&FileDisk::new(&dir));
    let middle = record.len() / 2;
    record[middle] ^= 4;
    fs::write(dir.join("site.record"), record).unwrap();
    assert_eq!(verify(&dir)["holds"], false);
    let said = ok(&["repair", text(&dir), "--from", text(&plant.copy())]);
    assert!(said.contains("1 entries were replaced"), "{said}");
    let json = verify(&dir);
    assert_eq!(json["holds"], true, "{json:#}");
}

/// What is damaged lies before the policy that names the mirror; and the founding itself.
fn a_host_mends_its_record_by_itself(plant: &Plant, size: u64) {
    let dir = plant.dir();
    let record = without_room(&FileDisk::new(&dir));
    for at in [record.len() / 2, 100] {
        let mut damaged = record.clone();
        damaged[at] ^= 4;
        fs::write(dir.join("site.record"), damaged).unwrap();
        assert_eq!(verify(&dir)["holds"], false);
        host_until(&dir, |signed| signed.checkpoint().size >= size);
        let json = verify(&dir);
        assert_eq!(json["holds"], true, "{json:#}");
    }
}

fn convict_a_host_that_forks(plant: &Plant, signed: &SignedCheckpoint) {
    let stated = signed.checkpoint();
    let lie = Checkpoint { root: [7; 32], ..stated.clone() }.sign(&plant.host);
    let lie = SignedCheckpoint::read(&lie).unwrap();
    let file = plant.temp.path().join("lie");
    fs::write(&file, lie.to_string()).unwrap();
    let fork = |a: &Path, b: &Path| gembactl(&["fork", text(a), text(b), "--log", &plant.log]);
    let output = fork(&file, &plant.copy());
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("equivocation: the log signed two different roots"));
    assert!(fork(&plant.dir().join("final"), &plant.copy()).status.success(), "one history is no fork");
    // A smaller checkpoint that the log does not begin with, by the mirror's tiles.
    let smaller = Checkpoint { size: 256, root: [9; 32], ..stated.clone() }.sign(&plant.host);
    fs::write(&file, smaller).unwrap();
    let output = fork(&file, &plant.copy());
    assert!(String::from_utf8_lossy(&output.stdout).contains("do not begin with the 256"), "{output:?}");
    // The witness refuses, also after it was killed, and keeps both as evidence.
    let own = plant.temp.path().join("w1");
    let submission = Submission { old: stated.size, proof: Vec::new(), checkpoint: lie };
    let (status, _) = plant.witnesses[0].post("add-checkpoint", submission.encode().as_bytes());
    assert_eq!(status, 409);
    let evidence: Vec<PathBuf> =
        fs::read_dir(&own).unwrap().map(|e| e.unwrap().path()).filter(|p| text(p).contains("fork-")).collect();
    assert_eq!(evidence.len(), 2);
    assert!(String::from_utf8_lossy(&fork(&evidence[0], &evidence[1]).stdout).starts_with("equivocation"));
}

#[test]
fn a_witness_that_is_killed_cosigns_no_other_history() {
    let temp = tempfile::tempdir().unwrap();
    let (log, host) = site(&temp.path().join("plant"));
    let start = || Cosigner::start(&["witness", text(&temp.path().join("w")), "--name", "w", "--log", &log]);
    let origin = log.split('+').next().unwrap().to_owned();
    let submission = |size: u64, root: [u8; 32], old: u64| {
        let checkpoint = Checkpoint { origin: origin.clone(), size, root }.sign(&host);
        Submission { old, proof: Vec::new(), checkpoint: SignedCheckpoint::read(&checkpoint).unwrap() }.encode()
    };
    let first = start();
    let key = first.key().to_owned();
    let (status, line) = first.post("add-checkpoint", submission(5, [1; 32], 0).as_bytes());
    assert_eq!((status, line.starts_with("\u{2014} w ")), (200, true));
    drop(first);
    let again = start();
    assert_eq!(again.key(), key);
    assert_eq!(again.post("add-checkpoint", submission(5, [2; 32], 0).as_bytes()), (409, "5\n".to_owned()));
    assert_eq!(again.post("add-checkpoint", submission(5, [2; 32], 5).as_bytes()), (409, "5\n".to_owned()));
    assert_eq!(again.post("add-checkpoint", submission(5, [1; 32], 5).as_bytes()).0, 200);
    assert_eq!(again.post("add-checkpoint", submission(4, [2; 32], 5).as_bytes()).0, 400);
    assert_eq!(again.post("add-checkpoint", b"old 0\n\nnoise").0, 400);
    assert_eq!(again.post("add-entries", b"").0, 404);
    // Two processes with one key could be played against each other.
    let second =
        gembactl(&["witness", text(&temp.path().join("w")), "--name", "w", "--log", &log, "--listen", "127.0.0.1:0"]);
    assert!(String::from_utf8_lossy(&second.stderr).contains("in use by another process"));
}

#[test]
fn a_site_goes_to_another_machine_and_no_archive_leads_astray() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("plant");
    site(&dir);
    let path = |name: &str| temp.path().join(name);
    ok(&["export", text(&dir), text(&path("all.tar")), "--with-keys"]);
    ok(&["export", text(&dir), text(&path("public.tar"))]);
    ok(&["import", text(&path("all.tar")), text(&path("other"))]);
    assert_eq!(SiteDir::open(&path("other")).unwrap().site().digest(), SiteDir::open(&dir).unwrap().site().digest());
    assert!(ok(&["import", text(&path("public.tar")), text(&path("public"))]).contains("host.key"));
    assert_eq!(verify(&path("public"))["entries"], ENTRIES);
    assert!(!path("public/host.key").exists());
    assert!(fails(&["export", text(&dir), text(&path("all.tar"))]).contains("there already"));
    assert!(fails(&["import", text(&path("all.tar")), text(&dir)]).contains("there already"));

    // A flipped bit, names that lead out or that no site has, links, the same twice, a file cut short.
    let whole = fs::read(path("public.tar")).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    let mut evil: Vec<(&str, Vec<u8>)> = vec![
        ("flipped", flipped),
        ("short", whole[..whole.len() / 2].to_vec()),
        ("empty", Vec::new()),
        ("noise", vec![7; 4096]),
    ];
    let out = path("escaped");
    let long = "x".repeat(90);
    for (what, name) in [
        ("up", "../escaped"),
        ("root", text(&out)),
        ("inner", "blobs/../../escaped"),
        ("own", "site.lock"),
        ("long", &long),
        ("hidden", "history/.x"),
    ] {
        evil.push((what, archive(name, tar::EntryType::Regular)));
    }
    evil.push(("link", archive("checkpoint", tar::EntryType::Symlink)));
    evil.push(("hard link", archive("checkpoint", tar::EntryType::Link)));
    evil.push(("device", archive("checkpoint", tar::EntryType::Char)));
    evil.push((
        "twice",
        [&archive("checkpoint", tar::EntryType::Regular)[..1024], &archive("checkpoint", tar::EntryType::Regular)]
            .concat(),
    ));
    for (what, bytes) in evil {
        fs::write(path("evil.tar"), bytes).unwrap();
        fails(&["import", text(&path("evil.tar")), text(&path("victim"))]);
        assert!(!path("victim").exists() && !out.exists(), "{what}");
        let left = fs::read_dir(temp.path())
            .unwrap()
            .filter(|e| text(&e.as_ref().unwrap().path()).contains("importing"))
            .count();
        assert_eq!(left, 0, "{what} left something behind");
    }
}

/// An archive with one file, under a name that the library itself would not write.
fn archive(name: &str, kind: tar::EntryType) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    if !kind.is_file() {
        header.set_link_name("/etc/passwd").unwrap();
    }
    header.set_size(if kind.is_file() { 4 } else { 0 });
    header.set_mode(0o644);
    header.set_cksum();
    let mut archive = tar::Builder::new(Vec::new());
    archive.append(&header, if kind.is_file() { &b"evil"[..] } else { &b""[..] }).unwrap();
    archive.into_inner().unwrap()
}
