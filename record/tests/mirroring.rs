//! A mirror takes entries only under a root its log signed, goes on after a crash, and cosigns nothing that it does not
//! hold or that breaks a rule of the record; the owners' policy says when that is enough.

#![allow(clippy::unwrap_used)] // Test code outside of test functions too.

use ed25519_dalek::SigningKey;
use gemba_record::author::Author;
use gemba_record::body::Body;
use gemba_record::checkpoint::{Checkpoint, SignedCheckpoint, origin};
use gemba_record::cosignature::{self, Cosigner};
use gemba_record::entry::{EntryId, SiteId};
use gemba_record::log::Log;
use gemba_record::merkle::{Tree, leaf_hash};
use gemba_record::mirror::{File, Mirror, Package, Step, Upload, read_info};
use gemba_record::note::{SignatureKind, SignatureLine, VerifierKey};
use gemba_record::policy::{Member, SitePolicy};
use gemba_record::refusal::Refusal;
use gemba_record::role::Role;
use gemba_record::site::Site;
use gemba_record::tile::{Bundle, Resource};
use gemba_record::tile_tree::TileTree;
use gemba_record::witness::Submission;
use gemba_twin::peer::{PeerKey, PeerKind};

const SITE: SiteId = SiteId([5; 16]);

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn peer(seed: u8) -> PeerKey {
    PeerKey(key(seed).verifying_key().to_bytes())
}

fn log_key() -> VerifierKey {
    VerifierKey::new(&origin(SITE), SignatureKind::Log, peer(1)).unwrap()
}

fn cosigner() -> Cosigner {
    Cosigner::new("m", key(2)).unwrap()
}

/// A host that plays by the rules, but for what a test makes it append.
#[derive(Default)]
struct Host {
    entries: Vec<Vec<u8>>,
    tree: Tree,
}

impl Host {
    fn new(count: u64) -> Self {
        let mut host = Self::default();
        let found = Body::Found { name: "Plant".into(), host: peer(1) };
        host.append(Author::new(key(1), SITE).sign(found, EntryId([0; 16])).bytes());
        host.grow(count);
        host
    }

    fn append(&mut self, bytes: &[u8]) {
        self.tree.push(leaf_hash(bytes));
        self.entries.push(bytes.to_vec());
    }

    fn grow(&mut self, count: u64) {
        for n in self.tree.size()..count {
            // Any key but the host's.
            let newcomer = peer(2 + (n % 250) as u8);
            let admit = Body::Admit { peer: newcomer, kind: PeerKind::Person, name: "x".into(), role: Role::Viewer };
            self.append(Author::new(key(1), SITE).sign(admit, EntryId(u128::from(n).to_be_bytes())).bytes());
        }
    }

    fn checkpoint(&self) -> SignedCheckpoint {
        let stated = Checkpoint { origin: origin(SITE), size: self.tree.size(), root: self.tree.root() };
        SignedCheckpoint::read(&stated.sign(&key(1))).unwrap()
    }

    fn submission(&self, old: u64) -> Vec<u8> {
        let proof = self.tree.consistency(old, self.tree.size()).unwrap();
        Submission { old, proof, checkpoint: self.checkpoint() }.encode().into_bytes()
    }

    /// At most so many packages from `start` on.
    fn upload(&self, start: u64, most: usize) -> Upload {
        let size = self.tree.size();
        let leaves = |index: u64| leaf_hash(&self.entries[index as usize]);
        let mut tree = TileTree::new(size, self.tree.root()).unwrap();
        let mut tiles = gemba_record::tile::TileEdge::default();
        let mut all = Vec::new();
        (0..size).for_each(|index| tiles.push(leaves(index), |tile, bytes| all.push((tile, bytes))));
        all.extend(tiles.partial());
        let tile = |wanted| all.iter().find(|(tile, _)| *tile == wanted).map(|(_, bytes)| bytes.clone());
        let (mut packages, mut at) = (Vec::new(), start);
        while at < size && packages.len() < most {
            let end = Upload::package_end(at, size);
            let entries = self.entries[at as usize..end as usize].to_vec();
            let proof = tree.fetching(|tree| tree.bundle(at - at % 256), tile).unwrap();
            packages.push(Package { entries, proof });
            at = end;
        }
        Upload { origin: origin(SITE), start, end: size, packages }
    }
}

/// What a mirror's directory holds.
#[derive(Default)]
struct Disk {
    pending: Option<String>,
    files: std::collections::BTreeMap<Resource, Vec<u8>>,
}

impl Disk {
    fn keep(&mut self, step: &Step) {
        self.pending = step.pending.clone().or(self.pending.take());
        self.files.extend(step.files.iter().map(|File { resource, bytes }| (*resource, bytes.clone())));
    }

    fn restore(&self) -> Mirror {
        let held = self.files.get(&Resource::Checkpoint).map(|note| String::from_utf8(note.clone()).unwrap());
        let mut mirror = Mirror::restore(cosigner(), log_key(), &[], self.pending.as_deref(), held.as_deref()).unwrap();
        let size = mirror.held().map_or(0, |held| held.checkpoint().size);
        let mut at = 0;
        while at < size {
            let bundle = Bundle::of(at, size).unwrap();
            let bytes = &self.files[&Resource::Entries(bundle)];
            mirror.refill(bundle.decode(bytes).unwrap().into_iter().map(<[u8]>::to_vec)).unwrap();
            at = bundle.end();
        }
        assert!(mirror.is_whole());
        mirror
    }
}

#[test]
fn a_mirror_that_crashes_anywhere_ends_with_a_whole_copy_and_cosigns_only_that() {
    let mut host = Host::new(700);
    let mut disk = Disk::default();
    for (old, grown) in [(0, 700), (700, 701), (701, 1100)] {
        host.grow(grown);
        let mut mirror = disk.restore();
        let step = mirror.handle_add_checkpoint(&host.submission(old));
        assert_eq!((step.answer.status, step.answer.body.as_str()), (200, ""));
        disk.keep(&step);
        // The host asks where to begin.
        let asked = disk.restore().handle_add_entries(&Upload { end: 0, ..host.upload(0, 0) }.encode(), 9).answer;
        assert_eq!((asked.status, read_info(&asked.body)), (409, Ok((grown, old))));
        // A first part, then a crash that forgets it, then all of it piece by piece.
        let mut mirror = disk.restore();
        let step = mirror.handle_add_entries(&host.upload(old, 1).encode(), 9);
        let mut done = step.answer.status == 200;
        if !done {
            assert_eq!(step.answer.status, 202);
            disk.keep(&step);
            let mut mirror = disk.restore();
            let mut next = old;
            while !done {
                let step = mirror.handle_add_entries(&host.upload(next, 1).encode(), 9);
                disk.keep(&step);
                done = step.answer.status == 200;
                if !done {
                    next = read_info(&step.answer.body).unwrap().1;
                } else {
                    let line = SignatureLine::parse_all(&step.answer.body).unwrap().remove(0);
                    let time = cosignature::verify(cosigner().verifier(), &host.checkpoint(), &line);
                    assert_eq!(time, Ok(9));
                }
            }
        } else {
            disk.keep(&step);
        }
        let again = disk.restore();
        assert_eq!(again.held().unwrap().checkpoint().size, grown);
        assert_eq!(again.log().entries(), grown);
    }
}

#[test]
fn entries_that_are_not_under_the_signed_root_are_not_taken() {
    let host = Host::new(300);
    let mut mirror = Disk::default().restore();
    let _ = mirror.handle_add_checkpoint(&host.submission(0));
    let refused = |upload: &Upload, status: u16| {
        let step = mirror.clone().handle_add_entries(&upload.encode(), 9);
        assert_eq!(step.answer.status, status, "{}", step.answer.body);
        assert!(step.files.iter().all(|file| file.resource != Resource::Checkpoint), "nothing is cosigned");
    };
    let good = host.upload(0, 2);
    let mut other = good.clone();
    other.packages[0].entries.swap(7, 8);
    refused(&other, 422);
    let mut other = good.clone();
    other.packages[1].proof.clear();
    refused(&other, 422);
    let mut other = good.clone();
    let last = other.packages[1].entries.len() - 1;
    other.packages[1].entries[last][20] ^= 1;
    refused(&other, 422);
    refused(&Upload { start: 256, ..good.clone() }, 409);
    refused(&Upload { end: 299, ..good.clone() }, 409);
    refused(&Upload { origin: "another".into(), ..good.clone() }, 404);
    refused(&Upload { packages: Vec::new(), ..good.clone() }, 400);
    let cut = good.encode();
    let step = mirror.clone().handle_add_entries(&cut[..cut.len() - 1], 9);
    assert_eq!((step.answer.status, read_info(&step.answer.body)), (202, Ok((300, 256))), "whole packages are taken");
    assert_eq!(mirror.handle_add_entries(&good.encode(), 9).answer.status, 200);
}

#[test]
fn a_host_that_steals_a_role_finds_no_mirror() {
    let mut host = Host::new(200);
    // One whom it admitted as a viewer admits somebody: the host lets it pass, and signs for it.
    let admit = Body::Admit { peer: peer(250), kind: PeerKind::Person, name: "y".into(), role: Role::Owner };
    host.append(Author::new(key(9), SITE).sign(admit, EntryId([77; 16])).bytes());
    host.grow(260);
    let mut mirror = Disk::default().restore();
    assert_eq!(mirror.handle_add_checkpoint(&host.submission(0)).answer.status, 200);
    let step = mirror.handle_add_entries(&host.upload(0, 2).encode(), 9);
    assert_eq!(step.answer.status, 422);
    assert!(step.answer.body.contains("entry 200") && step.answer.body.contains("viewer"), "{}", step.answer.body);
    assert_eq!(mirror.held(), None);
}

fn policy(witnesses: &[u8], needed: u32) -> SitePolicy {
    let member = |seed: &u8| Member { name: format!("w{seed}"), key: peer(*seed), url: format!("http://w{seed}:1") };
    SitePolicy { witnesses: witnesses.iter().map(member).collect(), witnesses_needed: needed, ..SitePolicy::default() }
}

#[test]
fn only_owners_say_what_is_final_and_only_what_can_be_met() {
    let mut log = Log::replay(Host::new(3).entries).unwrap();
    let mut say = |author: u8, id: u8, policy: SitePolicy| {
        let entry = Author::new(key(author), SITE).sign(Body::SetPolicy(policy), EntryId([id; 16]));
        log.append(entry.bytes().to_vec()).map(|_| log.site().unwrap().policy().cloned())
    };
    assert_eq!(say(1, 101, policy(&[20, 21], 2)), Ok(Some(policy(&[20, 21], 2))));
    assert!(matches!(say(3, 102, policy(&[20], 0)), Err(Refusal::Role { needs: Role::Owner, .. })));
    assert!(matches!(say(1, 103, policy(&[20, 21], 3)), Err(Refusal::Content(why)) if why.contains("3 witnesses")));
    assert!(matches!(say(1, 104, policy(&[20, 20], 2)), Err(Refusal::Content(_))), "one key is one member");
    assert!(matches!(say(1, 105, policy(&[1], 1)), Err(Refusal::Content(_))), "the host does not vouch for itself");
    for url in ["", "w:1", "http://", "http://w/", "ftp://w", "http://w x", &format!("http://{}", "x".repeat(300))] {
        let mut unsound = policy(&[20], 1);
        unsound.witnesses[0].url = url.to_owned();
        assert!(matches!(say(1, 106, unsound), Err(Refusal::Content(_))), "{url:?} was taken for a URL");
    }
    assert_eq!(say(1, 107, policy(&[22], 1)), Ok(Some(policy(&[22], 1))), "the last in the log wins");
    let site = log.site().unwrap();
    assert_eq!(Site::from_snapshot(&site.snapshot()).unwrap().policy(), Some(&policy(&[22], 1)));
}
