//! A site directory keeps what it was given, and says in one line what is wrong with one it cannot use.

#![allow(clippy::unwrap_used)] // Test code outside of test functions too.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use ed25519_dalek::SigningKey;
use gemba_host::disk::{Faults, FileDisk, SimulatedDisk};
use gemba_host::key_file::peer_key;
use gemba_host::problem::SiteDirError;
use gemba_host::scrub::{Scrub, Scrubbed};
use gemba_host::site_dir::{Founding, SiteDir};
use gemba_host::store::hostile::without_room;
use gemba_record::author::Author;
use gemba_record::body::Body;
use gemba_record::checkpoint::{self, Checkpoint};
use gemba_record::entry::{EntryId, KeyNumber, SiteId};
use gemba_record::identity::{Inception, KeyPromise, NewKey};
use gemba_record::limits::ENTRIES_PER_STATE;
use gemba_record::log::Log;
use gemba_record::merkle::{Tree, leaf_hash};
use gemba_record::refusal::Refusal;
use gemba_record::role::Role;
use gemba_record::site::Placed;
use gemba_twin::path::ThingPath;
use gemba_twin::peer::{PeerKey, PeerKind};
use gemba_twin::thing::Thing;

const FILE: &[u8] = b"glTF and so on";

fn thing(path: &str) -> Thing {
    Thing { path: path.parse().unwrap(), level: Default::default(), class: Default::default(), bindings: vec![] }
}

/// A site with a model and one thing.
fn imported(dir: &Path) -> SiteDir {
    let mut site = SiteDir::open_or_create(dir, "Plant").unwrap();
    let blob = site.put_blob(FILE).unwrap();
    let mut bodies = vec![Body::ImportModel { blob, bytes: FILE.len() as u64, name: "plant.glb".into() }];
    bodies.extend(Body::add_things(blob, vec![thing("Hall1")]));
    assert_eq!(site.submit_all(bodies).unwrap(), 1..3);
    site
}

fn note(text: &str) -> Body {
    Body::note("Hall1".parse::<ThingPath>().unwrap().id(), text)
}

fn problem(result: Result<SiteDir, SiteDirError>) -> String {
    match result {
        Ok(_) => panic!("opened what must not open"),
        Err(error) => {
            let line = error.to_string();
            assert!(!line.contains('\n') && line.len() < 400, "{line}");
            line
        }
    }
}

#[test]
fn a_site_opened_again_is_the_same() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("deep/plant");
    let (digest, root, entries) = {
        let mut site = imported(&dir);
        assert_eq!(site.submit(note("loud")).unwrap(), 3);
        (site.site().digest(), site.log().root(), site.read_entries(0).unwrap())
    };
    let site = SiteDir::open(&dir).unwrap();
    assert_eq!((site.site().digest(), site.log().root()), (digest, root));
    assert_eq!(site.read_entries(0).unwrap(), entries);
    assert_eq!(site.read_entries(3).unwrap(), entries[3..]);
    assert!(site.read_entries(4).unwrap().is_empty());
    assert_eq!(site.site().notes()[0].text, "loud");
    let model = &site.site().models()[0];
    assert_eq!(site.blob(&model.blob).unwrap().as_deref(), Some(FILE));
    assert_eq!(site.blob(&[0; 32]).unwrap(), None);
    let host = PeerKey(site.host_key().verifying_key().to_bytes());
    let stated = Checkpoint::verify(&site.checkpoint(), &checkpoint::origin(site.site().id()), &host).unwrap();
    assert_eq!((stated.size, stated.root), (4, root));
}

#[test]
fn one_refused_entry_does_not_keep_the_others_out() {
    let temp = tempfile::tempdir().unwrap();
    let mut site = imported(temp.path());
    let owner = Author::new(site.host_key().clone(), site.site().id());
    let stranger = Author::new(SigningKey::from_bytes(&[9; 32]), owner.site);
    let entry = |author: &Author, n| author.sign(note("hm"), EntryId([n; 16])).bytes().to_vec();
    let batch = vec![entry(&owner, 1), entry(&stranger, 2), entry(&owner, 1), b"noise".to_vec(), entry(&owner, 3)];
    let appended = site.append(batch).unwrap();
    assert_eq!(appended.outcomes[0], Ok(Placed::New(3)));
    assert_eq!(appended.outcomes[1], Err(Refusal::NotAdmitted));
    assert_eq!(appended.outcomes[2], Ok(Placed::Held(3)));
    assert!(matches!(appended.outcomes[3], Err(Refusal::Unreadable(_))));
    assert_eq!(appended.outcomes[4], Ok(Placed::New(4)));
    assert_eq!((appended.first, appended.entries.len()), (3, 2));
    assert_eq!(site.read_entries(3).unwrap(), appended.entries);
}

#[test]
fn the_host_of_a_site_owned_by_another_may_only_look() {
    let temp = tempfile::tempdir().unwrap();
    let owner = SigningKey::from_bytes(&[3; 32]);
    let mut site = SiteDir::create_for(temp.path(), "Plant", &owner).unwrap();
    let peer = PeerKey(SigningKey::from_bytes(&[4; 32]).verifying_key().to_bytes());
    let admit = Body::Admit { peer, kind: PeerKind::Person, name: "x".into(), role: Role::Viewer };
    let refused = site.submit(admit).unwrap_err();
    assert!(matches!(refused, SiteDirError::Refused(Refusal::Role { has: Role::Viewer, .. })), "{refused}");
}

#[test]
fn a_directory_that_is_no_site_is_left_alone() {
    let temp = tempfile::tempdir().unwrap();
    fs::write(temp.path().join("thesis.txt"), "precious").unwrap();
    assert!(problem(SiteDir::open_or_create(temp.path(), "x")).contains("holds files but no site"));
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 1);
    let missing = temp.path().join("nothing");
    assert!(problem(SiteDir::open(&missing)).contains("does not exist"));
    assert!(!missing.exists());
    assert!(problem(SiteDir::create(&temp.path().join("thesis.txt/site"), "x")).contains("thesis.txt"));
}

#[test]
fn an_interrupted_creation_is_taken_up_again() {
    let temp = tempfile::tempdir().unwrap();
    drop(imported(temp.path()));
    fs::rename(temp.path().join("site.record"), temp.path().join("site.record.new")).unwrap();
    let key = fs::read(temp.path().join("host.key")).unwrap();
    let site = SiteDir::open_or_create(temp.path(), "Again").unwrap();
    assert_eq!((site.site().name(), site.site().entries()), ("Again", 1));
    assert_eq!(fs::read(temp.path().join("host.key")).unwrap(), key);
    drop(site);
    assert_eq!(SiteDir::open(temp.path()).unwrap().site().entries(), 1);
}

#[test]
fn a_site_in_use_is_refused_to_a_second_process() {
    let temp = tempfile::tempdir().unwrap();
    let site = imported(temp.path());
    assert!(problem(SiteDir::open(temp.path())).contains("in use by another process"));
    assert!(problem(SiteDir::create(temp.path(), "x")).contains("is a site already"));
    drop(site);
    SiteDir::open(temp.path()).unwrap();
}

#[test]
fn a_site_of_another_format_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    drop(imported(temp.path()));
    let record = temp.path().join("site.record");
    let mut bytes = fs::read(&record).unwrap();
    bytes[16] = 3;
    let sum = blake3::hash(&bytes[..56]);
    bytes[56..64].copy_from_slice(&sum.as_bytes()[..8]);
    fs::write(&record, bytes).unwrap();
    let line = problem(SiteDir::open(temp.path()));
    assert!(line.contains("made by a newer Gemba (format 3); this one reads up to format 2"), "{line}");
    fs::remove_file(&record).unwrap();
    fs::write(temp.path().join("site.redb"), "old").unwrap();
    assert!(problem(SiteDir::open(temp.path())).contains("site.redb, a format that was never released"));
    assert!(problem(SiteDir::open_or_create(temp.path(), "x")).contains("site.redb"));
}

#[test]
fn a_damaged_site_says_what_is_damaged() {
    let temp = tempfile::tempdir().unwrap();
    let site = imported(temp.path());
    let blob = site.site().models()[0].blob;
    let name: String = blob.iter().map(|b| format!("{b:02x}")).collect();
    fs::write(temp.path().join("blobs").join(&name), "other bytes").unwrap();
    assert!(matches!(site.blob(&blob), Err(SiteDirError::DamagedBlob(_))));
    assert_eq!(site.put_blob(FILE).unwrap(), blob);
    assert_eq!(site.blob(&blob).unwrap().as_deref(), Some(FILE));
    drop(site);

    let record = temp.path().join("site.record");
    let whole = without_room(&FileDisk::new(temp.path()));
    let mut flipped = whole.clone();
    let last = flipped.len() - 10;
    flipped[last] ^= 1;
    fs::write(&record, flipped).unwrap();
    let mut site = SiteDir::open(temp.path()).unwrap();
    assert_eq!((site.site().entries(), site.problems().len()), (2, 1));
    let line = site.submit(note("hm")).unwrap_err().to_string();
    assert!(line.contains("damaged: entry 2, at bytes") && line.contains("reading only"), "{line}");
    drop(site);

    fs::write(&record, &whole[..whole.len() - 10]).unwrap();
    let site = SiteDir::open(temp.path()).unwrap();
    assert_eq!((site.site().entries(), site.problems().len()), (2, 1), "an acknowledged entry does not just go");
    drop(site);

    let mut flipped = whole;
    flipped[100] ^= 1;
    fs::write(&record, flipped).unwrap();
    assert!(problem(SiteDir::open(temp.path())).contains("nothing of the site can be shown"));
    fs::remove_file(temp.path().join("site.mark")).unwrap();
    fs::write(&record, vec![7; 9000]).unwrap();
    assert!(problem(SiteDir::open(temp.path())).contains("site.record"));
}

/// What a mirror of the site gives.
fn copies(entries: &[Vec<u8>]) -> impl FnMut(std::ops::Range<u64>) -> Option<Vec<Vec<u8>>> {
    |range| Some(entries.get(range.start as usize..range.end as usize)?.to_vec())
}

#[test]
fn a_damaged_site_is_whole_again_with_a_mirrors_copies_and_takes_no_others() {
    let temp = tempfile::tempdir().unwrap();
    let mut site = imported(temp.path());
    for text in ["one", "two", "three", "four"] {
        site.submit(note(text)).unwrap();
    }
    let (entries, signed) = (site.read_entries(0).unwrap(), site.sign_checkpoint().unwrap());
    let digest = site.site().digest();
    drop(site);
    let record = temp.path().join("site.record");
    let mut bytes = fs::read(&record).unwrap();
    let three = bytes.windows(5).position(|w| w == b"three").unwrap();
    bytes[three] ^= 4;
    fs::write(&record, &bytes).unwrap();

    let mut site = SiteDir::open(temp.path()).unwrap();
    assert_eq!(site.site().entries(), 5);
    assert_eq!(site.signed_checkpoint(), Some(signed.as_str()));
    assert!(site.problems()[0].to_string().contains("damaged: entry 5"), "{}", site.problems()[0]);
    assert!(site.sign_checkpoint().is_err());
    let no_copy = site.repair(None, |_| None).unwrap_err();
    assert!(matches!(no_copy, SiteDirError::NoCopy(_)), "{no_copy}");
    let mut forged = entries.clone();
    forged[5] = entries[4].clone();
    assert!(matches!(site.repair(None, copies(&forged)), Err(SiteDirError::WrongCopy)));
    assert_eq!(fs::read(&record).unwrap(), bytes, "nothing changes with a wrong copy");
    assert_eq!(site.repair(None, copies(&entries)).unwrap(), 1);
    assert_eq!((site.problems().len(), site.site().digest()), (0, digest));
    assert_eq!(site.submit(note("five")).unwrap(), 7);
    drop(site);
    assert_eq!(SiteDir::open(temp.path()).unwrap().read_entries(0).unwrap()[..7], entries);
}

#[test]
fn damage_to_the_beginning_and_a_lost_tail_are_repaired_too() {
    let temp = tempfile::tempdir().unwrap();
    let mut site = imported(temp.path());
    site.submit(note("one")).unwrap();
    let (entries, signed) = (site.read_entries(0).unwrap(), site.sign_checkpoint().unwrap());
    drop(site);
    let record = temp.path().join("site.record");
    let whole = without_room(&FileDisk::new(temp.path()));
    let mut bytes = whole[..whole.len() - 20].to_vec();
    bytes[20] ^= 1;
    bytes[120] ^= 1;
    fs::write(&record, bytes).unwrap();
    fs::write(temp.path().join("checkpoint"), "no checkpoint").unwrap();
    assert!(problem(SiteDir::open(temp.path())).contains("nothing of the site"));
    let disk = || Arc::new(FileDisk::new(temp.path()));
    assert!(matches!(SiteDir::repair_on(disk(), None, copies(&entries)), Err(SiteDirError::NotCovered { .. })));
    let site = SiteDir::repair_on(disk(), Some(&signed), copies(&entries)).unwrap();
    assert_eq!((site.problems().len(), site.read_entries(0).unwrap()), (0, entries));
    assert_eq!(site.signed_checkpoint(), Some(signed.as_str()));
}

#[test]
fn entries_that_hold_but_are_not_those_the_host_signed_for_are_noticed() {
    let temp = tempfile::tempdir().unwrap();
    let mut site = imported(temp.path());
    let before = fs::read(temp.path().join("site.record")).unwrap();
    site.submit(note("one")).unwrap();
    let (entries, _) = (site.read_entries(0).unwrap(), site.sign_checkpoint().unwrap());
    drop(site);
    let checkpoint = fs::read(temp.path().join("checkpoint")).unwrap();
    // The record of before, and another history from there on.
    fs::write(temp.path().join("site.record"), before).unwrap();
    fs::remove_file(temp.path().join("site.mark")).unwrap();
    fs::remove_file(temp.path().join("checkpoint")).unwrap();
    let mut site = SiteDir::open(temp.path()).unwrap();
    site.submit(note("other")).unwrap();
    drop(site);
    fs::write(temp.path().join("checkpoint"), checkpoint).unwrap();
    let mut site = SiteDir::open(temp.path()).unwrap();
    assert!(site.problems()[0].to_string().contains("are not those whose root the host signed"));
    assert!(site.sign_checkpoint().is_err(), "no second root for the same size");
    assert_eq!(site.repair(None, copies(&entries)).unwrap(), 4);
    assert_eq!(site.read_entries(0).unwrap(), entries);
}

#[test]
fn a_lost_or_exchanged_host_key_is_noticed() {
    let temp = tempfile::tempdir().unwrap();
    drop(imported(temp.path()));
    let key = temp.path().join("host.key");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    }
    fs::remove_file(&key).unwrap();
    assert!(problem(SiteDir::open(temp.path())).contains("host.key"));
    assert!(!key.exists());
    fs::write(&key, "no key").unwrap();
    assert!(problem(SiteDir::open(temp.path())).contains("holds no secret key"));
    fs::write(&key, "07".repeat(32)).unwrap();
    assert!(problem(SiteDir::open(temp.path())).contains("is not the key of this site's host"));
}

/// A site with so many notes that its state is kept, and some more.
fn long(dir: &Path) -> SiteDir {
    let mut site = imported(dir);
    let owner = Author::new(site.host_key().clone(), site.site().id());
    for batch in 0..65u64 {
        let numbers = batch * 512..(batch + 1) * 512;
        let entry = |n: u64| owner.sign(note("hm"), EntryId(u128::from(n).to_be_bytes())).bytes().to_vec();
        site.append(numbers.map(entry).collect()).unwrap();
    }
    site
}

#[test]
fn a_long_site_opens_from_its_snapshot_to_what_a_whole_replay_gives() {
    let temp = tempfile::tempdir().unwrap();
    let mut site = long(temp.path());
    let folded = site.snapshot_entries();
    assert!(folded >= ENTRIES_PER_STATE && site.site().committed().unwrap().entries == folded);
    site.submit(note("behind the snapshot")).unwrap();
    site.sign_checkpoint().unwrap();
    site.submit(note("behind the checkpoint")).unwrap();
    let (digest, root) = (site.site().digest(), site.log().root());
    let mut replayed = Log::new();
    let mut entries = site.read_entries(0).unwrap();
    while !entries.is_empty() {
        entries.into_iter().for_each(|entry| replayed.replay_next(entry).unwrap());
        entries = site.read_entries(replayed.entries()).unwrap();
    }
    assert_eq!((replayed.site().unwrap().digest(), replayed.root()), (digest, root));
    drop(site);

    let site = SiteDir::open(temp.path()).unwrap();
    assert_eq!(site.problems(), []);
    assert_eq!((site.snapshot_entries(), site.site().digest(), site.log().root()), (folded, digest, root));
    drop(site);

    // A snapshot that is damaged is passed over; so is one that no entry commits to, however new.
    let folder = temp.path().join("snapshots");
    let kept = fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    let mut damaged = fs::read(&kept).unwrap();
    damaged[1000] ^= 1;
    fs::write(&kept, damaged).unwrap();
    let forged = replayed.site().unwrap().snapshot();
    let name: String = blake3::hash(&forged).as_bytes().iter().map(|b| format!("{b:02x}")).collect();
    fs::write(folder.join(name), forged).unwrap();
    let site = SiteDir::open(temp.path()).unwrap();
    assert_eq!((site.snapshot_entries(), site.site().digest(), site.log().root()), (0, digest, root));
}

#[test]
fn a_snapshot_that_waits_for_another_thread_or_is_never_kept_costs_time_only() {
    for is_kept in [true, false] {
        let temp = tempfile::tempdir().unwrap();
        let mut site = imported(temp.path());
        site.defer_snapshots();
        site.set_entries_per_state(4);
        site.submit(note("one")).unwrap();
        let at = site.site().committed().unwrap().entries;
        let pending = site.take_snapshot().unwrap();
        // The site goes on meanwhile.
        site.submit(note("two")).unwrap();
        if is_kept {
            std::thread::spawn(|| pending.keep()).join().unwrap().unwrap();
        }
        let digest = site.site().digest();
        drop(site);
        let site = SiteDir::open(temp.path()).unwrap();
        assert_eq!((site.snapshot_entries(), site.site().digest()), (if is_kept { at } else { 0 }, digest));
    }
}

/// What a commit costs that commits to the state: `cargo test -p gemba-host --test site_dir -- --nocapture a_commit_to`.
#[test]
fn a_commit_to_the_state_of_a_large_site_hands_its_snapshot_over() {
    let temp = tempfile::tempdir().unwrap();
    let mut site = imported(temp.path());
    site.defer_snapshots();
    let blob = site.site().models()[0].blob;
    let things = (0..100_000).map(|n| thing(&format!("Hall1/Line{}/Robot{}/Joint{n}", n % 100, n % 1000))).collect();
    site.set_entries_per_state(u64::MAX);
    site.submit_all(Body::add_things(blob, things)).unwrap();
    let mut time = |entries| {
        site.set_entries_per_state(entries);
        let start = std::time::Instant::now();
        site.submit(note("hm")).unwrap();
        (start.elapsed(), site.take_snapshot())
    };
    let (usual, none) = time(u64::MAX);
    let (committing, pending) = time(1);
    let start = std::time::Instant::now();
    pending.unwrap().keep().unwrap();
    println!("100,000 things: a commit {usual:?}, one to the state {committing:?}, keeping it {:?}", start.elapsed());
    let committed = site.site().committed().unwrap();
    assert!(none.is_none());
    drop(site);
    assert_eq!(SiteDir::open(temp.path()).unwrap().snapshot_entries(), committed.entries);
}

#[test]
fn damage_that_a_snapshot_hides_is_found_by_reading_all_again_and_mended() {
    let temp = tempfile::tempdir().unwrap();
    let mut site = long(temp.path());
    let (signed, digest) = (site.sign_checkpoint().unwrap(), site.site().digest());
    let mut entries = Vec::new();
    while (entries.len() as u64) < site.log().entries() {
        entries.extend(site.read_entries(entries.len() as u64).unwrap());
    }
    drop(site);
    let record = temp.path().join("site.record");
    let mut bytes = without_room(&FileDisk::new(temp.path()));
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&record, bytes).unwrap();
    let mut site = SiteDir::open(temp.path()).unwrap();
    assert!(site.snapshot_entries() > 0 && site.problems().is_empty(), "the snapshot hides it");
    let (mut scrub, mut found) = (Scrub::default(), 0);
    let read = loop {
        match scrub.step(&mut site).unwrap() {
            Scrubbed::Some => {}
            Scrubbed::Damage(_) => found += 1,
            Scrubbed::All(read) => break read,
        }
    };
    assert_eq!((read, found, site.problems().len()), (entries.len() as u64, 1, 1));
    assert!(site.submit(note("hm")).is_err(), "nothing is added to a damaged record");
    assert_eq!(site.repair(Some(&signed), copies(&entries)).unwrap(), 1);
    assert_eq!((site.problems().len(), site.site().digest()), (0, digest));
    assert_eq!(site.submit(note("hm")).unwrap(), entries.len() as u64);
}

/// A host on a disk that loses power at a random step, again and again. The seed is all that a failure needs.
#[test]
fn no_crash_takes_what_was_acknowledged_or_signed() {
    for seed in 0..300u64 {
        let disk = SimulatedDisk::new(seed);
        let host = SigningKey::from_bytes(&[5; 32]);
        let founding =
            Founding { name: "Plant", site: SiteId([1; 16]), host: host.clone(), owner: None, entry: EntryId([0; 16]) };
        let author = Author::new(host.clone(), SiteId([1; 16]));
        drop(SiteDir::create_on(Arc::new(disk.clone()), founding).unwrap());
        let (mut acknowledged, mut signed, mut number) = (1, None::<Checkpoint>, 0u64);
        for life in 1..6 {
            disk.set_faults(Faults { operations_left: Some((seed * 7 + life * 13) % 45), ..Faults::default() });
            if let Ok(mut site) = SiteDir::open_on(Arc::new(disk.clone())) {
                loop {
                    number += 1;
                    let name = format!("peer {number}");
                    let peer = PeerKey(SigningKey::from_bytes(&[number as u8; 32]).verifying_key().to_bytes());
                    let admit = Body::Admit { peer, kind: PeerKind::Person, name, role: Role::Viewer };
                    let entry = author.sign(admit, EntryId(u128::from(number).to_be_bytes()));
                    let Ok(appended) = site.append(vec![entry.bytes().to_vec()]) else { break };
                    acknowledged += appended.entries.len() as u64;
                    let Ok(note) = site.sign_checkpoint() else { break };
                    let origin = checkpoint::origin(site.site().id());
                    signed = Some(Checkpoint::verify(&note, &origin, &site.site().host()).unwrap());
                }
            }
            disk.crash();
            disk.set_faults(Faults::default());
            let site = SiteDir::open_on(Arc::new(disk.clone())).unwrap();
            assert_eq!(site.problems(), [], "seed {seed}: a crash is no damage");
            assert!(site.site().entries() >= acknowledged, "seed {seed}: an acknowledged entry is gone");
            acknowledged = site.site().entries();
            if let Some(signed) = &signed {
                let mut tree = Tree::default();
                let mut entries = site.read_entries(0).unwrap();
                while !entries.is_empty() {
                    entries.iter().for_each(|entry| tree.push(leaf_hash(entry)));
                    entries = site.read_entries(tree.size()).unwrap();
                }
                assert_eq!(
                    tree.root_at(signed.size),
                    Some(signed.root),
                    "seed {seed}: what was signed is no longer the record"
                );
                let kept = site.signed_checkpoint().unwrap();
                let kept = Checkpoint::verify(kept, &signed.origin, &site.site().host()).unwrap();
                assert!(kept.size >= signed.size, "seed {seed}: a checkpoint that was shown is not on the disk");
            }
        }
    }
}

/// Runs this same test in a process of its own, which finds `dir` in its environment, and returns what it printed.
#[cfg(unix)]
fn in_a_child(test: &str, dir: &Path, mut command: std::process::Command) -> String {
    let output = command.args([test, "--exact", "--nocapture"]).env(CHILD_DIR, dir).output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    printed
}

#[cfg(unix)]
const CHILD_DIR: &str = "GEMBA_TEST_CHILD_DIR";

#[cfg(unix)]
#[test]
fn a_disk_without_space_loses_nothing_and_the_site_goes_on_afterwards() {
    if let Some(dir) = std::env::var_os(CHILD_DIR) {
        let mut site = SiteDir::open(Path::new(&dir)).unwrap();
        let error = loop {
            if let Err(error) = site.submit(note(&"x".repeat(900))) {
                break error.to_string();
            }
        };
        assert!(error.contains("cannot write") && !error.contains('\n'), "{error}");
        assert!(site.submit(note(&"x".repeat(900))).is_err());
        println!("acknowledged={}=", site.site().entries());
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    drop(imported(temp.path()));
    // No file longer than some 50 kB: for the one that writes it is as if the disk were full.
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "trap '' XFSZ; ulimit -f 100; exec \"$0\" \"$@\""]).arg(std::env::current_exe().unwrap());
    let test = "a_disk_without_space_loses_nothing_and_the_site_goes_on_afterwards";
    let printed = in_a_child(test, temp.path(), command);
    let acknowledged: u64 = printed.split('=').nth(1).unwrap().parse().unwrap();
    assert!(acknowledged > 20, "{printed}");
    let mut site = SiteDir::open(temp.path()).unwrap();
    assert_eq!((site.site().entries(), site.problems().len(), site.dropped()), (acknowledged, 0, None));
    assert_eq!(site.submit(note("after")).unwrap(), acknowledged);
}

#[cfg(unix)]
#[test]
fn a_directory_that_is_read_only_is_shown_and_not_written() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    if let Some(dir) = std::env::var_os(CHILD_DIR) {
        let mut site = SiteDir::open(Path::new(&dir)).unwrap();
        assert_eq!(site.site().entries(), 3);
        let error = site.submit(note("hm")).unwrap_err().to_string();
        assert!(error.contains("cannot write") && !error.contains('\n'), "{error}");
        assert!(site.put_blob(b"new").is_err() && site.sign_checkpoint().is_err());
        assert_eq!(site.site().entries(), 3);
        println!("read-only=done=");
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("plant");
    drop(imported(&dir));
    let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    for file in fs::read_dir(&dir).unwrap().map(|file| file.unwrap().path()) {
        set(&file, if file.is_dir() { 0o555 } else { 0o444 });
    }
    set(&dir, 0o555);
    set(temp.path(), 0o755);
    // The child runs a copy: where the tests were built may be closed to the one it runs as.
    let program = temp.path().join("test");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let mut command = std::process::Command::new(program);
    if fs::write(dir.join("probe"), "").is_ok() {
        // We are root, whom nothing is forbidden: the child is nobody.
        fs::remove_file(dir.join("probe")).unwrap();
        command.uid(65534).gid(65534).current_dir(temp.path());
    }
    let printed = in_a_child("a_directory_that_is_read_only_is_shown_and_not_written", &dir, command);
    assert!(printed.contains("read-only=done="), "{printed}");
    set(&dir, 0o755);
    set(&dir.join("blobs"), 0o755);
    for name in ["site.record", "site.mark", "site.lock"] {
        set(&dir.join(name), 0o644);
    }
    assert_eq!(SiteDir::open(&dir).unwrap().submit(note("after")).unwrap(), 3);
}

/// What comes after an owner's promise of another key: good entries, repeated ones, forged ones, ones that their author may
/// not say, and in the middle that key.
fn mixed_batch(owner: &Author, next: &SigningKey) -> Vec<Vec<u8>> {
    let renewed = Author { number: KeyNumber(1), signing_key: next.clone(), ..owner.clone() };
    let stranger = Author::new(SigningKey::from_bytes(&[101; 32]), owner.site);
    let mut entries: Vec<Vec<u8>> = Vec::new();
    for n in 2..220u8 {
        let peer = peer_key(&SigningKey::from_bytes(&[100 + n % 20; 32]));
        let admit = Body::Admit { peer, kind: PeerKind::Person, name: format!("peer {n}"), role: Role::Viewer };
        let (author, body) = match n {
            110 => (&renewed, Body::RotateKey(NewKey { key: peer_key(next), next: None })),
            n if n % 13 == 0 => (&stranger, admit),
            // Some still come with the old key.
            n if n > 110 && n % 7 != 0 => (&renewed, admit),
            _ => (owner, admit),
        };
        let mut bytes = author.sign(body, EntryId([n; 16])).into_parts().0;
        // Of what is forged under an old key either may be said.
        if n % 17 == 0 && n % 7 != 0 {
            *bytes.last_mut().unwrap() ^= 1;
        }
        if n % 19 == 0 {
            entries.push(bytes.clone());
        }
        entries.push(bytes);
    }
    entries
}

/// A site of the same host with the same entries, on a disk of its own.
fn copy_of(site: &SiteDir) -> SiteDir {
    let (host, entries) = (site.host_key().clone(), site.read_entries(0).unwrap());
    let founding = Founding { name: "Plant", site: site.site().id(), host, owner: None, entry: EntryId([0; 16]) };
    let mut copy = SiteDir::create_on(Arc::new(SimulatedDisk::new(2)), founding).unwrap();
    copy.append(entries.into_iter().skip(1).collect()).unwrap();
    assert_eq!(copy.log().root(), site.log().root());
    copy
}

/// The seed is all that a failure needs.
#[test]
fn where_one_of_several_commits_fails_those_before_it_stay_and_what_is_behind_can_be_said_again() {
    let mut failures = 0;
    for seed in 0..60u64 {
        let disk = SimulatedDisk::new(seed);
        let host = SigningKey::from_bytes(&[5; 32]);
        let founding =
            Founding { name: "Plant", site: SiteId([1; 16]), host: host.clone(), owner: None, entry: EntryId([0; 16]) };
        let author = Author::new(host, SiteId([1; 16]));
        let mut site = SiteDir::create_on(Arc::new(disk.clone()), founding).unwrap();
        let admit = |n: u8| {
            let peer = peer_key(&SigningKey::from_bytes(&[100 + n; 32]));
            let admit = Body::Admit { peer, kind: PeerKind::Person, name: format!("peer {n}"), role: Role::Viewer };
            author.sign(admit, EntryId([n; 16])).into_parts().0
        };
        let entries: Vec<Vec<u8>> = (1..=50).map(admit).collect();
        disk.set_faults(Faults { operations_left: Some(seed % 30), ..Faults::default() });
        let taken = site.append_in_commits(entries.clone(), 10, None);
        failures += usize::from(taken.failed.is_some());
        let told: u64 = taken.commits.iter().map(|commit| commit.entries.len() as u64).sum();
        assert!(taken.failed.is_some() == (told < 50), "seed {seed}: {told} were taken, {:?}", taken.failed);
        drop(site);
        disk.crash();
        disk.set_faults(Faults::default());
        let mut site = SiteDir::open_on(Arc::new(disk)).unwrap();
        assert_eq!(site.problems(), [], "seed {seed}");
        let stored = site.site().entries() - 1;
        assert!(stored >= told, "seed {seed}: {told} were told to be stored, and {stored} are");
        // An author who was told nothing says all of it again.
        let again = site.append_in_commits(entries, 10, None);
        assert!(again.failed.is_none(), "seed {seed}: {:?}", again.failed);
        let outcomes: Vec<_> = again.commits.into_iter().flat_map(|commit| commit.outcomes).collect();
        let places: Vec<u64> = outcomes.into_iter().map(|outcome| outcome.unwrap().index()).collect();
        assert_eq!(places, (1..=50).collect::<Vec<_>>(), "seed {seed}: the same entries, the same places");
    }
    assert!(failures > 10, "most seeds let a commit fail");
}

#[test]
fn entries_that_all_cores_look_at_while_others_are_taken_end_as_they_do_one_by_one() {
    let (host, next, id) = (SigningKey::from_bytes(&[1; 32]), SigningKey::from_bytes(&[2; 32]), SiteId([1; 16]));
    let founding = Founding { name: "Plant", site: id, host: host.clone(), owner: None, entry: EntryId([0; 16]) };
    let mut site = SiteDir::create_on(Arc::new(SimulatedDisk::new(1)), founding).unwrap();
    let owner = Author::new(host, id);
    let promise = Inception { next: Some(KeyPromise::of(&peer_key(&next))), guardians: None };
    site.append(vec![owner.sign(Body::PromiseKey(promise), EntryId([1; 16])).into_parts().0]).unwrap();
    let mut one_by_one = Log::replay(site.read_entries(0).unwrap()).unwrap();
    let entries = mixed_batch(&owner, &next);
    let expected: Vec<_> = entries.iter().map(|entry| one_by_one.append(entry.clone())).collect();
    let mut in_commits = copy_of(&site);
    let outcomes = site.append(entries.clone()).unwrap().outcomes;
    assert_eq!(outcomes, expected);
    assert_eq!(site.log().root(), one_by_one.root());
    // The same while the disk takes a few of them at a time.
    let taken = in_commits.append_in_commits(entries, 37, None);
    assert!(taken.failed.is_none(), "{:?}", taken.failed);
    assert_eq!(taken.commits.len(), expected.len().div_ceil(37));
    let outcomes: Vec<_> = taken.commits.into_iter().flat_map(|commit| commit.outcomes).collect();
    assert_eq!(outcomes, expected);
    assert_eq!(in_commits.log().root(), one_by_one.root());
    drop(in_commits);
    let count = |wanted: fn(&Result<Placed, Refusal>) -> bool| outcomes.iter().filter(|o| wanted(o)).count();
    assert!(count(|o| matches!(o, Ok(Placed::New(_)))) > 100 && count(|o| matches!(o, Ok(Placed::Held(_)))) > 5);
    assert!(count(|o| *o == Err(Refusal::Signature)) > 5 && count(|o| *o == Err(Refusal::KeyNotInForce)) > 5);
}
