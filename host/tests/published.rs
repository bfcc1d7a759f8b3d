//! What a site publishes is accepted by code that is not ours (`tlog_tiles` and `signed_note`, ports of what Go's
//! checksum database runs on), at every size; and no crash leaves a checkpoint without its tiles, or two for one size.

#![allow(clippy::unwrap_used)] // Test code outside of test functions too.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, iter};

use ed25519_dalek::SigningKey;
use gemba_host::audit::{AuditConfig, audit};
use gemba_host::disk::{Disk, Faults, FileDisk, SimulatedDisk};
use gemba_host::publisher::Publisher;
use gemba_host::site_dir::{Founding, SiteDir};
use gemba_record::author::Author;
use gemba_record::body::Body;
use gemba_record::checkpoint::{SignedCheckpoint, origin, verifier_key};
use gemba_record::entry::{EntryId, SiteId};
use gemba_record::merkle::{Hash, Tree, leaf_hash};
use gemba_record::proof_file::ProofFile;
use gemba_record::role::Role;
use gemba_record::tile::{Resource, Tile};
use gemba_record::tile_tree::TileTree;
use gemba_twin::peer::{PeerKey, PeerKind};
use signed_note::{Note, StandardVerifier, VerifierList};
use tlog_tiles::{HashReader, TileHashReader, TileReader};

fn admit(n: u64) -> Body {
    let peer = PeerKey(SigningKey::from_bytes(&[(n % 200) as u8 + 1; 32]).verifying_key().to_bytes());
    Body::Admit { peer, kind: PeerKind::Person, name: format!("peer {n}"), role: Role::Viewer }
}

fn publisher(site: &SiteDir) -> Publisher {
    let disk = Arc::new(FileDisk::new(site.dir()));
    Publisher::open(disk, site.site().id(), site.site().host(), &[]).unwrap()
}

/// A stranger's reader of `log/`: knows the specification, and nothing of Gemba.
struct Stranger {
    log: PathBuf,
    vkey: String,
}

impl TileReader for Stranger {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[tlog_tiles::Tile]) -> Result<Vec<Vec<u8>>, tlog_tiles::Error> {
        // C2SP leaves out the height, which is always 8.
        let path = |tile: &tlog_tiles::Tile| tile.path().replacen("tile/8/", "tile/", 1);
        Ok(tiles.iter().map(|tile| fs::read(self.log.join(path(tile))).unwrap()).collect())
    }

    fn save_tiles(&self, _: &[tlog_tiles::Tile], _: &[Vec<u8>]) {}
}

impl Stranger {
    fn new(site: &SiteDir) -> Self {
        let vkey = verifier_key(&origin(site.site().id()), &site.site().host());
        Self { log: site.dir().join("log"), vkey }
    }

    /// The checkpoint, with its signature verified.
    fn checkpoint(&self) -> tlog_tiles::Checkpoint {
        let note = Note::from_bytes(&fs::read(self.log.join("checkpoint")).unwrap()).unwrap();
        let verifier = StandardVerifier::new(&self.vkey).unwrap();
        let (verified, others) = note.verify(&VerifierList::new(vec![Box::new(verifier)])).unwrap();
        assert_eq!((verified.len(), others.len()), (1, 0));
        tlog_tiles::Checkpoint::from_bytes(note.text()).unwrap()
    }

    /// Entries of a bundle: 16-bit lengths, big-endian.
    fn entries(&self, path: &str) -> Vec<Vec<u8>> {
        let bytes = fs::read(self.log.join("tile/entries").join(path)).unwrap();
        let mut rest = &bytes[..];
        iter::from_fn(|| {
            let (length, after) = rest.split_first_chunk::<2>()?;
            let (entry, after) = after.split_at(usize::from(u16::from_be_bytes(*length)));
            rest = after;
            Some(entry.to_vec())
        })
        .collect()
    }
}

fn theirs(proof: &[Hash]) -> Vec<tlog_tiles::Hash> {
    proof.iter().map(|hash| tlog_tiles::Hash(*hash)).collect()
}

#[test]
fn an_independent_checker_accepts_checkpoints_tiles_bundles_and_proofs() {
    let temp = tempfile::tempdir().unwrap();
    let mut site = SiteDir::create(&temp.path().join("plant"), "Plant").unwrap();
    let mut publisher = publisher(&site);
    let stranger = Stranger::new(&site);
    let mut tree = Tree::default();
    let mut roots: Vec<(u64, Hash)> = Vec::new();
    // Sizes around every edge of a tile.
    for size in [1, 2, 3, 7, 8, 200, 255, 256, 257, 300, 511, 512, 513, 700] {
        let more = size - site.log().entries();
        site.submit_all((0..more).map(admit).collect()).unwrap();
        publisher.publish(site.state_checkpoint().unwrap()).unwrap();
        for entry in site.read_entries(tree.size()).unwrap() {
            tree.push(leaf_hash(&entry));
        }
        while tree.size() < size {
            site.read_entries(tree.size()).unwrap().iter().for_each(|entry| tree.push(leaf_hash(entry)));
        }

        let checkpoint = stranger.checkpoint();
        assert_eq!((checkpoint.origin(), checkpoint.size()), (origin(site.site().id()).as_str(), size));
        let root = *checkpoint.hash();
        let hashes = TileHashReader::new(size, root, &stranger);
        for index in (0..size).step_by(37).chain([size - 1]) {
            // Theirs over our tiles, and ours over our tiles checked by theirs.
            let leaf = tlog_tiles::record_hash(&site.read_entries(index).unwrap()[0]);
            let stored = hashes.read_hashes(&[tlog_tiles::stored_hash_index(0, index)]).unwrap();
            assert_eq!(stored, [leaf], "the tile has the hash of entry {index}");
            let proof = tlog_tiles::prove_record(size, index, &hashes).unwrap();
            tlog_tiles::check_record(&proof, size, root, index, leaf).unwrap();
            assert_eq!(proof, theirs(&tree.inclusion(index, size).unwrap()));
            let from_file = ProofFile::parse(proof_file(&stranger.log, index).as_bytes()).unwrap();
            tlog_tiles::check_record(&theirs(&from_file.proof), size, root, index, leaf).unwrap();
        }
        for (old, old_root) in &roots {
            let proof = theirs(&tree.consistency(*old, size).unwrap());
            tlog_tiles::check_tree(&proof, size, root, *old, tlog_tiles::Hash(*old_root)).unwrap();
            assert_eq!(proof, tlog_tiles::prove_tree(size, *old, &hashes).unwrap());
        }
        roots.push((size, root.0));
    }
    let bundles = ["000", "001", "002.p/188"].map(|path| stranger.entries(path)).concat();
    assert_eq!(bundles.len(), 700);
    let leaves: Vec<Hash> = bundles.iter().map(|entry| tlog_tiles::record_hash(entry).0).collect();
    let mut again = Tree::default();
    leaves.into_iter().for_each(|leaf| again.push(leaf));
    assert_eq!(again.root(), roots.last().unwrap().1);
    // What a full tile has replaced is gone.
    assert_eq!(fs::read_dir(stranger.log.join("tile/0/000.p")).unwrap().count(), 0);
}

/// A proof file from what is published, as an auditor makes one.
fn proof_file(log: &Path, index: u64) -> String {
    let checkpoint = SignedCheckpoint::read(&fs::read_to_string(log.join("checkpoint")).unwrap()).unwrap();
    let stated = checkpoint.checkpoint();
    let mut tree = TileTree::new(stated.size, stated.root).unwrap();
    let fetch = |tile: Tile| fs::read(log.join(Resource::Hashes(tile).to_string())).ok();
    let proof = tree.fetching(|tree| tree.inclusion(index), fetch).unwrap();
    ProofFile { extra: None, index, proof, checkpoint }.to_string()
}

#[test]
fn a_publisher_that_comes_back_goes_on_and_mends_what_is_missing() {
    let temp = tempfile::tempdir().unwrap();
    let mut site = SiteDir::create(&temp.path().join("plant"), "Plant").unwrap();
    site.submit_all((0..300).map(admit).collect()).unwrap();
    publisher(&site).publish(site.state_checkpoint().unwrap()).unwrap();
    fs::remove_file(site.dir().join("log/tile/0/000")).unwrap();
    site.submit_all((0..300).map(admit).collect()).unwrap();
    publisher(&site).publish(site.state_checkpoint().unwrap()).unwrap();
    let whole = audit(Arc::new(FileDisk::new(site.dir())), &AuditConfig::default(), &mut |_| {
        std::ops::ControlFlow::Continue(())
    });
    let whole = whole.unwrap().unwrap();
    assert_eq!((whole.findings, whole.entries), (vec![], 601));
}

#[test]
fn no_crash_leaves_a_checkpoint_without_its_tiles_or_two_for_one_size() {
    for seed in 0..40u64 {
        let disk = SimulatedDisk::new(seed);
        let host = SigningKey::from_bytes(&[5; 32]);
        let id = SiteId([1; 16]);
        let founding = Founding { name: "Plant", site: id, host: host.clone(), owner: None, entry: EntryId([0; 16]) };
        let author = Author::new(host.clone(), id);
        drop(SiteDir::create_on(Arc::new(disk.clone()), founding).unwrap());
        let mut shown: BTreeMap<u64, Hash> = BTreeMap::new();
        let mut number = 0u64;
        for life in 1..5 {
            disk.set_faults(Faults { operations_left: Some((seed * 11 + life * 17) % 90), ..Faults::default() });
            if let Ok(mut site) = SiteDir::open_on(Arc::new(disk.clone())) {
                let mut publisher = Publisher::open(Arc::new(disk.clone()), id, site.site().host(), &[]).unwrap();
                loop {
                    let batch = 1 + (seed + number) % 130;
                    let sign = |n| author.sign(admit(n), EntryId(u128::from(n).to_be_bytes())).into_parts().0;
                    let Ok(_) = site.append((number..number + batch).map(sign).collect()) else { break };
                    number += batch;
                    let Ok(stated) = site.state_checkpoint() else { break };
                    let Ok(signed) = publisher.publish(stated) else { break };
                    note_root(&mut shown, signed, seed);
                }
            }
            disk.crash();
            disk.set_faults(Faults::default());
            // Whatever checkpoint is there now, all of its tiles are, and they are right.
            if let Ok(size) = disk.size("log/checkpoint") {
                let note = disk.read("log/checkpoint", 0, size as usize).unwrap();
                note_root(&mut shown, &SignedCheckpoint::read(&String::from_utf8(note).unwrap()).unwrap(), seed);
            }
            let watch = &mut |_| std::ops::ControlFlow::Continue(());
            let whole = audit(Arc::new(disk.clone()), &AuditConfig::default(), watch).unwrap().unwrap();
            assert_eq!(whole.findings, [], "seed {seed}, life {life}");
        }
        assert!(!shown.is_empty() || number < 200, "seed {seed}: nothing was ever published");
    }
}

fn note_root(shown: &mut BTreeMap<u64, Hash>, signed: &SignedCheckpoint, seed: u64) {
    let stated = signed.checkpoint();
    let root = shown.entry(stated.size).or_insert(stated.root);
    assert_eq!(*root, stated.root, "seed {seed}: two roots for {} entries", stated.size);
}
