//! `gembactl record verify` finds every tampered copy of a real site and names what is wrong with it, also where all
//! checksums were made anew so that only signatures and hashes can tell, and where the host itself is the thief.

#![allow(clippy::unwrap_used)] // Test code outside of test functions too.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use ed25519_dalek::SigningKey;
use gemba_host::disk::FileDisk;
use gemba_host::publisher::Publisher;
use gemba_host::site_dir::SiteDir;
use gemba_host::store::{RECORD, Store};
use gemba_record::author::Author;
use gemba_record::body::Body;
use gemba_record::checkpoint::{Checkpoint, origin};
use gemba_record::entry::{EntryId, Seen, SiteId};
use gemba_record::merkle::{Tree, leaf_hash};
use gemba_record::role::Role;
use gemba_twin::path::{ThingId, ThingPath};
use gemba_twin::peer::PeerKind;
use gemba_twin::thing::Thing;
use serde_json::Value;

/// Entries of the site: two full bundles and a part of a third.
const ENTRIES: u64 = 600;

/// The host's commitment to the state, somewhere in between.
const COMMITTED: u64 = 400;

fn hall() -> ThingId {
    "Hall1".parse::<ThingPath>().unwrap().id()
}

fn thing() -> Thing {
    Thing { path: "Hall1".parse().unwrap(), level: Default::default(), class: Default::default(), bindings: vec![] }
}

fn viewer() -> SigningKey {
    SigningKey::from_bytes(&[9; 32])
}

/// A site with notes, a viewer who may not leave any, a commitment and published tiles.
struct Plant {
    temp: tempfile::TempDir,
    site: SiteId,
    host: SigningKey,
    entries: Vec<Vec<u8>>,
}

impl Plant {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("plant");
        let mut site = SiteDir::create(&dir, "Plant").unwrap();
        let blob = site.put_blob(b"glTF and so on").unwrap();
        let mut bodies = vec![Body::ImportModel { blob, bytes: 14, name: "plant.glb".into() }];
        bodies.extend(Body::add_things(blob, vec![thing()]));
        let peer = Author::new(viewer(), site.site().id()).key();
        bodies.push(Body::Admit { peer, kind: PeerKind::Person, name: "Eve".into(), role: Role::Viewer });
        bodies.extend((4..COMMITTED).map(note));
        site.submit_all(bodies).unwrap();
        let digest = site.site().digest();
        assert_eq!(site.submit(Body::CommitState { digest }).unwrap(), COMMITTED);
        let rest = site.submit_all((COMMITTED + 1..ENTRIES).map(note).collect()).unwrap();
        assert_eq!(rest.end, ENTRIES);
        publish(&mut site);
        let mut entries = Vec::new();
        while entries.len() < ENTRIES as usize {
            entries.extend(site.read_entries(entries.len() as u64).unwrap());
        }
        Self { site: site.site().id(), host: site.host_key().clone(), temp, entries }
    }

    /// A copy, for one test to spoil.
    fn copy(&self, name: &str) -> PathBuf {
        let to = self.temp.path().join(name);
        copy(&self.temp.path().join("plant"), &to);
        to
    }

    /// A copy whose record has other entries, in frames that are as they should be.
    fn with_entries(&self, name: &str, change: impl FnOnce(&mut Vec<Vec<u8>>)) -> PathBuf {
        let mut entries = self.entries.clone();
        change(&mut entries);
        let dir = self.copy(name);
        for file in [RECORD, "site.index", "site.mark"] {
            fs::remove_file(dir.join(file)).unwrap();
        }
        let mut store = Store::create(Arc::new(FileDisk::new(&dir)), self.site, &entries[0]).unwrap();
        store.append(1, &entries[1..]).unwrap();
        dir
    }

    /// The host signs for these entries, whatever they are, and publishes them.
    fn sign_anew(&self, dir: &Path, entries: &[Vec<u8>]) {
        let mut tree = Tree::default();
        entries.iter().for_each(|entry| tree.push(leaf_hash(entry)));
        let checkpoint = Checkpoint { origin: origin(self.site), size: tree.size(), root: tree.root() };
        let note = checkpoint.sign(&self.host);
        fs::write(dir.join("checkpoint"), &note).unwrap();
        fs::remove_dir_all(dir.join("log")).unwrap();
    }

    fn author(&self, key: SigningKey) -> Author {
        Author::new(key, self.site)
    }
}

fn note(n: u64) -> Body {
    Body::note(hall(), format!("note {n}"))
}

fn publish(site: &mut SiteDir) {
    let disk = Arc::new(FileDisk::new(site.dir()));
    let mut publisher = Publisher::open(disk, site.site().id(), site.site().host(), &[]).unwrap();
    publisher.publish(site.state_checkpoint().unwrap()).unwrap();
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

fn flip(file: &Path, at: usize) {
    let mut bytes = fs::read(file).unwrap();
    bytes[at] ^= 1;
    fs::write(file, bytes).unwrap();
}

/// What the command says, and whether it is content.
fn verify(dir: &Path, more: &[&str]) -> (bool, Value) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gembactl"));
    let output = command.args(["record", "verify", "--json"]).arg(dir).args(more).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let json: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {said}"));
    assert_eq!(said.lines().count(), usize::from(!output.status.success()), "one line says what is wrong: {said}");
    assert_eq!(output.status.code(), Some(i32::from(!output.status.success())));
    assert_eq!(json["holds"], output.status.success());
    (output.status.success(), json)
}

/// That the copy is refused with a finding in this file, about this entry, saying this.
fn assert_found(dir: &Path, file: &str, entry: Option<u64>, what: &str) -> Value {
    let (holds, json) = verify(dir, &[]);
    assert!(!holds, "{} was taken for whole", dir.display());
    let findings = json["findings"].as_array().unwrap();
    let names = |finding: &&Value| {
        let about = |entry: u64| {
            finding["entries"][0].as_u64().is_some_and(|first| first <= entry)
                && finding["entries"][1].as_u64().is_some_and(|last| entry <= last)
        };
        Path::new(finding["file"].as_str().unwrap()) == dir.join(file)
            && entry.is_none_or(about)
            && finding["what"].as_str().unwrap().contains(what)
    };
    assert!(findings.iter().any(|finding| names(&finding)), "{file}, {entry:?}, {what:?} not in {findings:#?}");
    json
}

#[test]
fn the_untouched_site_is_accepted_whole() {
    let plant = Plant::new();
    let (holds, json) = verify(&plant.copy("same"), &[]);
    assert!(holds, "{json:#}");
    assert_eq!(
        (&json["entries"], &json["entries_that_hold"], &json["signed_entries"]),
        (&600.into(), &600.into(), &600.into())
    );
    // Two full tiles and a partial one at level 0, one at level 1, and three bundles.
    assert_eq!((&json["tiles"], &json["state_digests"], &json["blobs"]), (&7.into(), &1.into(), &1.into()));
    // Without tiles and checkpoint it holds too, as far as that goes.
    let bare = plant.copy("bare");
    fs::remove_dir_all(bare.join("log")).unwrap();
    fs::remove_file(bare.join("checkpoint")).unwrap();
    let (holds, json) = verify(&bare, &[]);
    assert!(holds && json["signed_entries"] == 0, "{json:#}");
}

#[test]
fn a_flipped_bit_in_an_entry_is_found() {
    let plant = Plant::new();
    let place = |dir: &Path, entry: usize| {
        let record = fs::read(dir.join(RECORD)).unwrap();
        let bytes = &plant.entries[entry];
        record.windows(bytes.len()).position(|window| window == bytes).unwrap() + bytes.len() / 2
    };
    for entry in [0usize, 1, 300, 598, 599] {
        let dir = plant.copy(&format!("bit{entry}"));
        let at = place(&dir, entry);
        flip(&dir.join(RECORD), at);
        let json = assert_found(&dir, RECORD, Some(entry as u64), "damaged");
        let [first, last] = [0, 1].map(|n| json["findings"][0]["bytes"][n].as_u64().unwrap());
        assert!(first <= at as u64 && at as u64 <= last, "byte {at} is not in {first}..={last}");
        // As a thief would do it: the frame fits again, and only the signature can tell.
        let dir = plant.with_entries(&format!("resealed{entry}"), |entries| {
            let at = entries[entry].len() - 10;
            entries[entry][at] ^= 1;
        });
        assert_found(&dir, RECORD, Some(entry as u64), "signature is wrong");
    }
}

#[test]
fn a_flipped_bit_in_a_tile_is_found() {
    let plant = Plant::new();
    for (file, at, entry) in [
        ("log/tile/0/000", 32 * 17 + 5, 17),
        ("log/tile/0/001", 0, 256),
        ("log/tile/0/002.p/88", 32 * 87, 599),
        ("log/tile/1/000.p/2", 40, 256),
        ("log/tile/entries/000", 9_000, 0),
        ("log/tile/entries/002.p/88", 1, 512),
    ] {
        let dir = plant.copy(&file.replace('/', "-"));
        flip(&dir.join(file), at);
        let json = assert_found(&dir, file, None, "differs from the record");
        assert_eq!(json["findings"].as_array().unwrap().len(), 1, "{json:#}");
        let found = &json["findings"][0];
        assert_eq!(found["bytes"][0], at, "{found:#}");
        if !file.ends_with("entries/000") {
            assert_eq!(found["entries"][0], entry, "{found:#}");
        }
    }
    let dir = plant.copy("tile-gone");
    fs::remove_file(dir.join("log/tile/0/001")).unwrap();
    assert_found(&dir, "log/tile/0/001", None, "is not there");
    let dir = plant.copy("tile-short");
    fs::write(dir.join("log/tile/0/001"), [0; 31]).unwrap();
    assert_found(&dir, "log/tile/0/001", None, "length");
}

#[test]
fn a_flipped_bit_in_a_checkpoint_is_found() {
    let plant = Plant::new();
    let length = fs::read(plant.temp.path().join("plant/checkpoint")).unwrap().len();
    for file in ["checkpoint", "log/checkpoint"] {
        // Every byte of it: text, size, root, name, key id, signature.
        for at in (0..length).step_by(7) {
            let dir = plant.copy("flipped");
            flip(&dir.join(file), at);
            assert_found(&dir, file, None, "checkpoint");
            fs::remove_dir_all(dir).unwrap();
        }
    }
}

#[test]
fn entries_that_changed_places_are_named() {
    let plant = Plant::new();
    // Two notes say the same in either order: no rule of the record is broken, and only the root tells.
    let dir = plant.with_entries("swapped", |entries| entries.swap(450, 451));
    assert_found(&dir, RECORD, Some(450), "was signed as entry 451");
    assert_found(&dir, RECORD, Some(451), "was signed as entry 450");
    fs::remove_dir_all(dir.join("log")).unwrap();
    // Without tiles the host's commitment still says where it cannot be.
    let json = assert_found(&dir, RECORD, Some(450), "moved");
    assert_eq!(json["findings"][0]["entries"], serde_json::json!([COMMITTED, 599]), "{json:#}");
    // Before the commitment, the state it commits to is another one.
    let dir = plant.with_entries("swapped-early", |entries| entries.swap(100, 300));
    assert_found(&dir, RECORD, Some(100), "was signed as entry 300");
    assert_found(&dir, RECORD, Some(COMMITTED), "another state");
}

#[test]
fn an_entry_that_was_left_out_is_named() {
    let plant = Plant::new();
    let dir = plant.with_entries("dropped", |entries| drop(entries.remove(450)));
    assert_found(&dir, RECORD, Some(450), "entry 450 as it was signed is not in the record");
    let dir = plant.with_entries("dropped-last", |entries| drop(entries.pop()));
    assert_found(&dir, RECORD, Some(599), "not there");
    fs::remove_dir_all(dir.join("log")).unwrap();
    assert_found(&dir, RECORD, Some(599), "not there");
    let dir = plant.with_entries("dropped-admission", |entries| drop(entries.remove(3)));
    assert_found(&dir, RECORD, Some(3), "entry 3 as it was signed is not in the record");
}

#[test]
fn an_entry_that_stands_twice_is_named() {
    let plant = Plant::new();
    let dir = plant.with_entries("doubled", |entries| entries.insert(451, entries[450].clone()));
    assert_found(&dir, RECORD, Some(451), "same id");
    // In place of another one, so that the number of entries is right.
    let dir = plant.with_entries("overwritten", |entries| entries[500] = entries[450].clone());
    assert_found(&dir, RECORD, Some(500), "same id");
    assert_found(&dir, RECORD, Some(500), "entry 500 as it was signed is not in the record");
    let dir = plant.with_entries("doubled-at-the-end", |entries| entries.push(entries[450].clone()));
    assert_found(&dir, RECORD, Some(600), "same id");
}

#[test]
fn a_stolen_role_is_found_even_if_the_host_signs_for_it() {
    let plant = Plant::new();
    let eve = plant.author(viewer());
    let stranger = plant.author(SigningKey::from_bytes(&[10; 32]));
    for (name, author, why) in [("viewer", &eve, "needs commenter"), ("stranger", &stranger, "not admitted")] {
        let stolen = author.sign(note(500), EntryId([77; 16])).bytes().to_vec();
        let mut all = plant.entries.clone();
        all[500] = stolen.clone();
        let dir = plant.with_entries(name, |entries| entries[500] = stolen);
        assert_found(&dir, RECORD, Some(500), why);
        assert_found(&dir, RECORD, Some(500), "entry 500 is not the one that was signed");
        plant.sign_anew(&dir, &all);
        let json = assert_found(&dir, RECORD, Some(500), why);
        assert_eq!(json["findings"].as_array().unwrap().len(), 1, "all else is as a malicious host has it: {json:#}");
    }
    // The host cannot make itself an owner by committing to a state in which it is one.
    let lie = plant.author(plant.host.clone()).sign(Body::CommitState { digest: [7; 32] }, EntryId([78; 16]));
    let mut all = plant.entries.clone();
    all[COMMITTED as usize] = lie.bytes().to_vec();
    let dir = plant.with_entries("lie", |entries| entries.clone_from(&all));
    plant.sign_anew(&dir, &all);
    assert_found(&dir, RECORD, Some(COMMITTED), "another state");
}

#[test]
fn a_record_that_its_host_wrote_anew_is_found_by_what_others_kept() {
    let plant = Plant::new();
    let kept = plant.temp.path().join("kept");
    fs::copy(plant.temp.path().join("plant/checkpoint"), &kept).unwrap();
    let other = plant.author(plant.host.clone()).sign(note(7_000), EntryId([79; 16])).bytes().to_vec();
    let mut all = plant.entries.clone();
    all[450] = other;
    let dir = plant.with_entries("anew", |entries| entries.clone_from(&all));
    plant.sign_anew(&dir, &all);
    assert!(verify(&dir, &[]).0, "nothing within the directory contradicts it");
    assert!(!verify(&dir, &["--checkpoint", kept.to_str().unwrap()]).0);
    assert!(verify(&plant.copy("true"), &["--checkpoint", kept.to_str().unwrap()]).0);
    let key = |seed: u8| Author::new(SigningKey::from_bytes(&[seed; 32]), plant.site).key().to_string();
    assert!(!verify(&plant.copy("whose"), &["--host", &key(1)]).0);
    // Or by an author, who says what the host had shown it.
    let mut author = plant.author(plant.host.clone());
    author.seen = Some(Seen { size: 460, root: [1; 32] });
    all.push(author.sign(note(7_001), EntryId([80; 16])).bytes().to_vec());
    let dir = plant.with_entries("seen", |entries| entries.clone_from(&all));
    plant.sign_anew(&dir, &all);
    assert_found(&dir, RECORD, Some(600), "was shown another record");
}

#[test]
fn a_spoiled_snapshot_or_blob_is_named() {
    let plant = Plant::new();
    let dir = plant.copy("snapshot");
    fs::create_dir_all(dir.join("snapshots")).unwrap();
    let name = format!("snapshots/{}", hex(&[3; 32]));
    fs::write(dir.join(&name), b"another state").unwrap();
    assert_found(&dir, &name, None, "its hash is not its name");
    let dir = plant.copy("blob");
    let blob = fs::read_dir(dir.join("blobs")).unwrap().next().unwrap().unwrap().path();
    flip(&blob, 3);
    let name = format!("blobs/{}", blob.file_name().unwrap().to_str().unwrap());
    assert_found(&dir, &name, None, "its hash is not its name");
    fs::remove_file(&blob).unwrap();
    assert_found(&dir, &name, None, "missing");
}
