//! The store on a disk that breaks: whatever the crash, what was acknowledged is there, byte for byte and in order;
//! whatever the flipped bit, nothing is ever given back that was not put in.
//!
//! Every random failure names its seed; `GEMBA_SEED=N cargo test -p gemba-host --test store` tries that one alone.

#![allow(clippy::unwrap_used)] // Test code outside of test functions too.

use std::sync::Arc;

use gemba_host::disk::{Disk, Faults, SimulatedDisk};
use gemba_host::problem::{Problem, SiteDirError};
use gemba_host::store::{RECORD, Store};
use gemba_record::entry::SiteId;

const SITE: SiteId = SiteId([7; 16]);

/// The generator `SplitMix64`, so that a seed is all a failure needs.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }

    fn entry(&mut self) -> Vec<u8> {
        let length = match self.below(10) {
            0 => 0,
            1 => self.below(5000),
            _ => self.below(400),
        };
        // Runs of zeros are what a torn write looks like.
        let zeros = self.below(4) == 0;
        (0..length).map(|_| if zeros { 0 } else { self.below(256) as u8 }).collect()
    }
}

fn seeds(count: u64) -> Vec<u64> {
    match std::env::var("GEMBA_SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => (0..count).collect(),
    }
}

fn create(disk: &SimulatedDisk, first: &[u8]) -> Store {
    Store::create(Arc::new(disk.clone()), SITE, first).unwrap()
}

fn open(disk: &SimulatedDisk) -> Result<Store, SiteDirError> {
    Store::open(Arc::new(disk.clone()))
}

/// All entries up to the end or the first that is damaged.
fn all(store: &Store) -> Vec<Vec<u8>> {
    let mut entries = Vec::new();
    loop {
        match store.read(entries.len() as u64) {
            Ok(more) if more.is_empty() => return entries,
            Ok(more) => entries.extend(more),
            Err(SiteDirError::ReadOnly(_)) => return entries,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Three commits of two entries each on a disk without faults.
fn small() -> (SimulatedDisk, Vec<Vec<u8>>) {
    let disk = SimulatedDisk::new(1);
    let entries: Vec<Vec<u8>> = (1..=6u8).map(|n| vec![n; 20 + usize::from(n)]).collect();
    let mut store = create(&disk, &entries[0]);
    store.append(1, &entries[1..2]).unwrap();
    store.append(2, &entries[2..4]).unwrap();
    store.append(4, &entries[4..]).unwrap();
    (disk, entries)
}

/// Where the zeros behind all that was written begin.
fn filled(disk: &SimulatedDisk) -> u64 {
    let bytes = disk.read(RECORD, 0, 1 << 20).unwrap();
    bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last as u64 + 1)
}

/// Two ways in which what lies behind this byte may be lost: the file ends there, or zeros stand in its place.
fn cut(disk: &SimulatedDisk, at: u64) -> [SimulatedDisk; 2] {
    [0, 5000].map(|zeros| {
        let disk = disk.copy();
        disk.truncate(RECORD, at).unwrap();
        disk.write(RECORD, at, &vec![0; zeros]).unwrap();
        disk
    })
}

/// One life of a store: commits until the power goes at a random step; then what is there is compared.
fn live(disk: &SimulatedDisk, dice: &mut Dice, acknowledged: &mut Vec<Vec<u8>>, seed: u64) {
    disk.set_faults(Faults { operations_left: Some(dice.below(60) as u64), ..Faults::default() });
    let mut under_way = Vec::new();
    if let Ok(mut store) = open(disk) {
        assert_eq!(store.entries(), acknowledged.len() as u64, "seed {seed}: what was found once stays");
        loop {
            let batch: Vec<Vec<u8>> = (0..1 + dice.below(6)).map(|_| dice.entry()).collect();
            if store.append(acknowledged.len() as u64, &batch).is_err() {
                under_way = batch;
                break;
            }
            acknowledged.extend(batch);
            assert_eq!(store.entries(), acknowledged.len() as u64, "seed {seed}");
        }
    }
    disk.crash();
    disk.set_faults(Faults::default());
    let store = open(disk).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
    assert_eq!(store.problems(), [], "seed {seed}: a crash is no damage");
    let left = all(&store);
    assert!(left.len() >= acknowledged.len(), "seed {seed}: {} of {} are left", left.len(), acknowledged.len());
    assert!(left.len() <= acknowledged.len() + under_way.len(), "seed {seed}");
    let tried: Vec<_> = acknowledged.iter().chain(&under_way).take(left.len()).collect();
    assert!(left.iter().eq(tried), "seed {seed}: an entry is not as it was written");
    *acknowledged = left;
}

#[test]
fn what_was_acknowledged_survives_every_crash() {
    for seed in seeds(1500) {
        let (disk, mut dice) = (SimulatedDisk::new(seed), Dice(!seed));
        let mut acknowledged = vec![dice.entry()];
        drop(create(&disk, &acknowledged[0]));
        for _ in 0..6 {
            live(&disk, &mut dice, &mut acknowledged, seed);
        }
    }
}

#[test]
fn a_creation_that_a_crash_ends_is_there_whole_or_not_at_all() {
    for seed in seeds(300) {
        let disk = SimulatedDisk::new(seed);
        disk.set_faults(Faults { operations_left: Some(seed % 16), ..Faults::default() });
        let created = Store::create(Arc::new(disk.clone()), SITE, b"first").is_ok();
        disk.crash();
        match open(&disk) {
            Ok(store) => assert_eq!(all(&store), [b"first"], "seed {seed}"),
            Err(_) => {
                assert!(!created && disk.size(RECORD).is_err(), "seed {seed}");
                create(&disk, b"first");
            }
        }
    }
}

#[test]
fn a_commit_torn_at_any_byte_is_dropped_and_said() {
    let (disk, entries) = small();
    let whole = filled(&disk);
    let frames = [64, 113, 163, 214, 266, 319, 373];
    assert_eq!(frames[6], whole, "28 bytes and the entry each, behind 64 of header");
    let torn_commit = frames[4];
    for (size, disk) in (torn_commit..=whole).flat_map(|size| cut(&disk, size).map(|disk| (size, disk))) {
        // The crash tore the last commit before it was acknowledged: no mark says that it ever was whole.
        disk.remove("site.mark").unwrap();
        let torn_at = filled(&disk);
        let mut store = open(&disk).unwrap();
        let left = frames.iter().filter(|end| **end <= size).count() - 1;
        assert_eq!(all(&store), entries[..left], "torn at {size}");
        assert_eq!(store.problems(), [], "torn at {size}");
        let dropped = store.dropped().map(|d| (d.entry, d.bytes.clone()));
        assert_eq!(dropped, (!frames.contains(&size)).then(|| (left as u64, frames[left]..torn_at)), "torn at {size}");
        store.append(left as u64, &[b"next".to_vec()]).unwrap();
        drop(store);
        assert_eq!(all(&open(&disk).unwrap()).last().unwrap(), b"next", "torn at {size}");
    }
}

#[test]
fn what_was_acknowledged_and_is_cut_off_at_any_byte_is_damage() {
    let (disk, entries) = small();
    for disk in (64..filled(&disk)).flat_map(|size| cut(&disk, size)) {
        let mut store = open(&disk).unwrap();
        let left = all(&store);
        assert_eq!(left, entries[..left.len()]);
        assert!(matches!(store.problems(), [Problem::Damaged { entries, .. }] if *entries == (left.len() as u64..6)));
        assert!(matches!(store.append(6, &[vec![]]), Err(SiteDirError::ReadOnly(_))));
    }
}

/// With and without the mark and the index: damage before the last commit is known by the commits behind it.
#[test]
fn every_flipped_bit_is_found_where_it_is() {
    let (disk, entries) = small();
    let frames = [64u64, 113, 163, 214, 266, 319, 373];
    for (byte, bit, beside) in
        (0..373).flat_map(|byte| (0..8).flat_map(move |bit| [(byte, bit, true), (byte, bit, false)]))
    {
        let at = format!("byte {byte}, bit {bit}, with mark and index: {beside}");
        let disk = disk.copy();
        disk.flip(RECORD, byte, bit);
        if !beside {
            disk.remove("site.mark").unwrap();
            disk.remove("site.index").unwrap();
        }
        let opened = open(&disk);
        if byte < 64 {
            // The header: the mark stands in for it, and every entry is there.
            let Ok(mut store) = opened else {
                assert!(!beside, "{at}");
                continue;
            };
            assert!(beside && all(&store) == entries, "{at}");
            assert!(matches!(store.check().unwrap(), [Problem::Header { .. }]), "{at}");
            continue;
        }
        let mut store = opened.unwrap();
        let hit = frames.iter().filter(|start| **start <= byte as u64).count() - 1;
        assert_eq!(all(&store), entries[..hit], "{at}");
        if hit >= 4 && !beside {
            assert_eq!(store.dropped().map(|d| d.entry), Some(hit as u64), "{at}: not known to be more than torn");
            continue;
        }
        let [Problem::Damaged { entries: found, bytes, .. }] = store.check().unwrap() else { panic!("{at}") };
        assert_eq!((found.clone(), bytes.clone()), (hit as u64..hit as u64 + 1, frames[hit]..frames[hit + 1]), "{at}");
        let behind = store.read(hit as u64 + 1).unwrap();
        assert_eq!(behind, entries[hit + 1..], "{at}: what is behind the damage is still there");
    }
}

#[test]
fn a_flipped_bit_in_mark_or_index_changes_nothing() {
    let (disk, entries) = small();
    for name in ["site.mark", "site.index"] {
        for byte in 0..disk.size(name).unwrap() as usize {
            let disk = disk.copy();
            disk.flip(name, byte, (byte % 8) as u8);
            let mut store = open(&disk).unwrap();
            assert_eq!((all(&store), store.problems().len()), (entries.clone(), 0), "{name}, byte {byte}");
            store.append(6, &[b"next".to_vec()]).unwrap();
        }
    }
}

#[test]
fn a_disk_that_lies_is_found_out() {
    let (mut lost, mut told) = (0, 0);
    for seed in seeds(400) {
        let disk = SimulatedDisk::new(seed);
        let mut acknowledged = vec![b"first".to_vec()];
        let mut store = create(&disk, b"first");
        disk.set_faults(Faults { lies: true, ..Faults::default() });
        let mut dice = Dice(seed);
        for _ in 0..5 {
            let batch = vec![dice.entry()];
            store.append(acknowledged.len() as u64, &batch).unwrap();
            acknowledged.extend(batch);
        }
        drop(store);
        disk.crash();
        disk.set_faults(Faults::default());
        // Someone else still knows how many there were: a signed checkpoint.
        let mut store = open(&disk).unwrap();
        store.expect_entries(6);
        let left = all(&store);
        assert_eq!(left, acknowledged[..left.len()], "seed {seed}");
        lost += usize::from(left.len() < 6);
        told += usize::from(!store.problems().is_empty());
    }
    assert_eq!(lost, told, "what is lost is said");
    assert!(lost > 0, "this disk does lose something");
}

#[test]
fn a_full_disk_loses_nothing_and_goes_on_once_there_is_space() {
    let (disk, mut entries) = small();
    let mut store = open(&disk).unwrap();
    let used: u64 = disk.list("").unwrap().iter().map(|name| disk.size(name).unwrap()).sum();
    // More than there is room for already.
    let large = vec![9; 9000];
    for space in 0..200 {
        disk.set_faults(Faults { space: Some(used + space), ..Faults::default() });
        let error = store.append(6, std::slice::from_ref(&large)).unwrap_err().to_string();
        assert!(error.contains("cannot write") && !error.contains('\n'), "{error}");
        assert_eq!(all(&store), entries);
        let again = disk.copy();
        again.crash();
        assert_eq!(all(&open(&again).unwrap()), entries, "after a crash with {space} bytes free");
    }
    let used: u64 = disk.list("").unwrap().iter().map(|name| disk.size(name).unwrap()).sum();
    disk.set_faults(Faults { space: Some(used + 200), ..Faults::default() });
    assert!(store.put_small("checkpoint", &[1; 300]).is_err());
    assert_eq!(store.small("checkpoint").unwrap(), None);
    disk.set_faults(Faults { space: Some(used + 9100), ..Faults::default() });
    store.append(6, std::slice::from_ref(&large)).unwrap();
    entries.push(large);
    assert_eq!(all(&store), entries, "without space for more than that");
    drop(store);
    assert_eq!(all(&open(&disk).unwrap()), entries);
}

#[test]
fn a_commit_writes_into_room_that_is_there_and_what_lies_in_it_is_no_entry() {
    let (disk, entries) = small();
    let (end, size) = (filled(&disk), disk.size(RECORD).unwrap());
    assert!(size >= end + 3000, "{size}");
    let mut store = open(&disk).unwrap();
    assert_eq!((store.dropped(), store.problems(), all(&store)), (None, &[][..], entries.clone()));
    store.append(6, &[vec![9; 1000]]).unwrap();
    assert_eq!(disk.size(RECORD).unwrap(), size, "the file does not grow");
    store.append(7, &[vec![9; 3000], vec![0; 500]]).unwrap();
    assert!(disk.size(RECORD).unwrap() > filled(&disk), "but before it is full");
    drop(store);
    let store = open(&disk).unwrap();
    assert_eq!((store.entries(), store.dropped()), (9, None), "an entry that ends with zeros is whole");
    drop(store);
    // A bit that falls into the room was never anybody's.
    disk.flip(RECORD, disk.size(RECORD).unwrap() as usize - 1, 0);
    let mut store = open(&disk).unwrap();
    assert_eq!((store.entries(), store.problems().len()), (9, 0));
    store.append(9, &[vec![1; 10]]).unwrap();
    drop(store);
    assert_eq!(open(&disk).unwrap().dropped(), None, "it was cut");
}

#[test]
fn a_sync_that_fails_acknowledges_nothing() {
    for seed in seeds(200) {
        let disk = SimulatedDisk::new(seed);
        let mut store = create(&disk, b"first");
        disk.set_faults(Faults { sync_fails: true, ..Faults::default() });
        assert!(store.append(1, &[vec![1; 700], vec![2; 700]]).is_err());
        disk.set_faults(Faults::default());
        store.append(1, &[vec![3; 700]]).unwrap();
        drop(store);
        disk.crash();
        assert_eq!(all(&open(&disk).unwrap()), [b"first".to_vec(), vec![3; 700]], "seed {seed}");
    }
}

#[test]
fn a_read_only_directory_is_read_and_not_written() {
    let (disk, entries) = small();
    disk.set_faults(Faults { read_only: true, ..Faults::default() });
    let mut store = open(&disk).unwrap();
    assert_eq!(all(&store), entries);
    let error = store.append(6, &[vec![1]]).unwrap_err().to_string();
    assert!(error.contains("read-only") && !error.contains('\n'), "{error}");
    disk.set_faults(Faults::default());
    store.append(6, &[vec![1]]).unwrap();
}

#[test]
fn a_small_file_is_the_old_one_or_the_new_one_after_a_crash() {
    for seed in seeds(400) {
        let disk = SimulatedDisk::new(seed);
        let store = create(&disk, b"first");
        store.put_small("checkpoint", b"old").unwrap();
        disk.set_faults(Faults { operations_left: Some(seed % 6), ..Faults::default() });
        let put = store.put_small("checkpoint", b"new").is_ok();
        drop(store);
        disk.crash();
        let held = open(&disk).unwrap().small("checkpoint").unwrap().unwrap();
        assert!(held == b"new" || (!put && held == b"old"), "seed {seed}");
    }
}

#[test]
fn a_second_process_is_refused_and_a_crash_frees_the_store() {
    let (disk, _) = small();
    let first = open(&disk).unwrap();
    assert!(matches!(open(&disk), Err(SiteDirError::InUse(_))));
    drop(first);
    drop(open(&disk).unwrap());
}

#[test]
fn entries_are_found_through_the_index_and_without_it() {
    let disk = SimulatedDisk::new(5);
    let mut dice = Dice(5);
    let mut entries: Vec<Vec<u8>> = vec![dice.entry()];
    let mut store = create(&disk, &entries[0]);
    for _ in 0..40 {
        let batch: Vec<Vec<u8>> = (0..50).map(|_| dice.entry()).collect();
        store.append(entries.len() as u64, &batch).unwrap();
        entries.extend(batch);
    }
    assert!(disk.size("site.index").unwrap() > 24 * 20);
    for first in (0..entries.len()).step_by(37) {
        assert_eq!(store.read(first as u64).unwrap()[0], entries[first]);
    }
    drop(store);
    assert_eq!(all(&open(&disk).unwrap()), entries);
    disk.remove("site.index").unwrap();
    let store = open(&disk).unwrap();
    assert_eq!((store.read(2000).unwrap()[0].clone(), store.problems().len()), (entries[2000].clone(), 0));
    // An index whose every point is wrong in the same plausible way: of another, longer store.
    drop(store);
    disk.truncate("site.index", 24).unwrap();
    assert_eq!(all(&open(&disk).unwrap()), entries);
}

#[test]
fn damage_is_replaced_by_copies_and_a_crash_meanwhile_leaves_one_or_the_other() {
    for seed in seeds(300) {
        let (disk, entries) = small();
        let damaged = disk.flip_somewhere(RECORD, 64..300);
        let mut store = open(&disk).unwrap();
        let [Problem::Damaged { entries: lost, .. }] = store.check().unwrap() else { panic!("byte {damaged}") };
        let copies = lost.clone().map(|index| (index, entries[index as usize].clone())).collect();
        disk.set_faults(Faults { operations_left: Some(seed % 12), ..Faults::default() });
        let repaired = store.rewrite(&copies).is_ok();
        drop(store);
        disk.crash();
        let mut store = open(&disk).unwrap();
        let whole = store.check().unwrap().is_empty();
        assert!(whole || !repaired, "seed {seed}");
        if whole {
            assert_eq!(all(&store), entries, "seed {seed}");
            store.append(6, &[b"next".to_vec()]).unwrap();
        }
    }
}

#[test]
fn an_index_that_points_into_the_files_head_is_made_anew() {
    // Found by the fuzzer: a point with the right checksum, of entry 4 at byte 43, where no frame can begin.
    let forged = [&[4, 4, 0, 0, 0, 0, 0, 0, 0, 43][..], &[0; 8]].concat();
    gemba_host::store::hostile::open(&forged);
}

#[test]
fn a_file_of_any_bytes_is_opened_or_refused_whether_its_checksums_fit_or_not() {
    // What the fuzzer does for longer: see fuzz/fuzz_targets/store_files.rs.
    for seed in seeds(600) {
        let mut dice = Dice(seed);
        let mut bytes = dice.entry();
        bytes.insert(0, seed as u8);
        gemba_host::store::hostile::open(&bytes);
    }
}
