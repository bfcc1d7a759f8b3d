//! The store's files for those who damage them: for the fuzzer, which gets past no checksum by itself, what bytes mean once
//! somebody has made the checksums fit; for tests, where the entries end. Nothing else uses this.

use std::sync::Arc;

use gemba_record::entry::SiteId;

use super::frame::{FILE_HEADER, FileHeader, Place, Step, Walk, checksum, push};
use super::index::Index;
use super::mark::Mark;
use super::{FORMAT, INDEX, MARK, RECORD, Store};
use crate::disk::{Disk, Readers, SimulatedDisk};

const SITE: SiteId = SiteId([5; 16]);

/// Entries of the whole store that one file is spoiled of.
const ENTRIES: u64 = 5;

/// Makes a store of which one file holds what the bytes after the first say, and does with it all that can be done. What
/// that file is the first byte says.
///
/// # Panics
/// If the store opens without a problem and is not one that can be written and read; the fuzzer looks for that, and for
/// panics anywhere else.
pub fn open(bytes: &[u8]) {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    let disk = Arc::new(SimulatedDisk::new(1));
    whole(disk.clone());
    let is_derived = match kind % 6 {
        0 => put(&disk, RECORD, bytes, false),
        1 => put(&disk, INDEX, bytes, true),
        2 => put(&disk, MARK, bytes, false),
        3 => put(&disk, MARK, &mark(bytes), false),
        4 => put(&disk, INDEX, &index(bytes), false),
        _ => put(&disk, RECORD, &frames(bytes), false),
    };
    if let Ok(mut store) = Store::open_to_read(disk.clone()) {
        read_all(&store);
        store.check().expect("the disk is sound");
    }
    let Ok(mut store) = Store::open(disk) else { return };
    assert!(!is_derived || store.entries() == ENTRIES && store.problems().is_empty(), "an index decides nothing");
    if store.check().expect("the disk is sound").is_empty() {
        let first = store.entries();
        store.append(first, &[b"one more".to_vec()]).expect("a whole store takes entries");
        assert_eq!(store.read(first).expect("it was just written"), [b"one more"]);
        let mut count = 0;
        store.each(&Default::default(), |index, _| count += u64::from(index == count)).expect("the disk is sound");
        assert_eq!(count, first + 1, "every entry in its place");
    }
}

/// A whole record up to its last entry: without the room behind it, but with the zeros that entry may end with.
///
/// # Panics
/// If the record cannot be read.
pub fn without_room(disk: &dyn Disk) -> Vec<u8> {
    let size = disk.size(RECORD).expect("there is a record");
    let bytes = disk.read(RECORD, 0, size as usize).expect("the record can be read");
    let site = FileHeader::decode(&bytes[..FILE_HEADER as usize]).expect("its header is whole").site;
    let mut walk = Walk::new(disk, RECORD, Place::start(site), size);
    while let Step::Frame { .. } = walk.step().expect("the record can be read") {}
    bytes[..walk.place().offset as usize].to_vec()
}

fn whole(disk: Arc<SimulatedDisk>) {
    let mut store = Store::create(disk, SITE, b"entry 0").expect("the disk is empty");
    for n in 1..ENTRIES {
        store.append(n, &[format!("entry {n}").into_bytes()]).expect("the disk is sound");
    }
}

fn put(disk: &SimulatedDisk, name: &str, bytes: &[u8], is_derived: bool) -> bool {
    disk.create(name, Readers::Usual).expect("the disk is sound");
    disk.write(name, 0, bytes).expect("the disk is sound");
    is_derived
}

fn read_all(store: &Store) {
    let mut at = 0;
    while let Ok(entries) = store.read(at) {
        if entries.is_empty() {
            return;
        }
        at += entries.len() as u64;
    }
}

/// A mark that holds, of any number of entries.
fn mark(bytes: &[u8]) -> Vec<u8> {
    let entries = bytes.first_chunk().map_or(0, |word| u64::from_le_bytes(*word));
    Mark { site: SITE, entries }.encode()
}

/// An index that holds together, of any points.
fn index(bytes: &[u8]) -> Vec<u8> {
    let (words, _) = bytes.as_chunks::<8>();
    let words: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
    let pairs = words.chunks_exact(2).map(|pair| (pair[0], pair[1]));
    Index::forged(SITE, pairs)
}

/// A record whose frames hold, each with an entry number and a length from the bytes: the number is added to the right
/// one, the length is that of the entry after it.
fn frames(bytes: &[u8]) -> Vec<u8> {
    let mut file = FileHeader { format: FORMAT, site: SITE }.encode();
    assert_eq!(file.len() as u64, FILE_HEADER);
    let (mut place, mut rest) = (Place::start(SITE), bytes);
    while let Some(([jump, length], more)) = rest.split_first_chunk::<2>() {
        let (entry, more) = more.split_at(usize::from(*length).min(more.len()));
        place.entry = place.entry.wrapping_add(u64::from(jump >> 2));
        if jump & 2 != 0 {
            place.before = Some(checksum(&[entry]));
        }
        push(&mut file, &mut place, jump & 1 != 0, entry);
        rest = more;
    }
    file
}
