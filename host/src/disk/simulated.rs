//! A disk in memory that breaks as disks do, the same way every time for the same seed.
//!
//! Every file has the bytes a reader sees and the bytes that are safe; what lies between is a list of writes. When the
//! power goes, the seed decides for each file what of that list reached the platter: nothing, all, the first few
//! writes with the last one torn at any byte, or some sectors and not others. Names are kept the same way, folder by
//! folder, in the order they were changed (as a journal does). Folders themselves are durable at once.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::disk::{Disk, Lock, Readers, folder_of};

/// What a disk writes whole or not at all, except where it is torn.
const SECTOR: usize = 512;

/// What is wrong with a [`SimulatedDisk`] from now on.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// Syncs return at once and nothing is safe.
    pub lies: bool,
    /// Syncs fail.
    pub sync_fails: bool,
    /// Nothing can be changed.
    pub read_only: bool,
    /// Bytes that fit on it; `None` for no end.
    pub space: Option<u64>,
    /// After so many more changes and syncs the power goes and every call fails, until [`SimulatedDisk::crash`].
    pub operations_left: Option<u64>,
}

/// A disk in memory. Clones are the same disk.
#[derive(Debug, Clone)]
pub struct SimulatedDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    random: u64,
    faults: Faults,
    files: Vec<File>,
    folders: BTreeSet<String>,
    names: BTreeMap<String, usize>,
    safe_names: BTreeMap<String, usize>,
    /// What happened to names since their folders were synced.
    renamings: Vec<Naming>,
    locked: BTreeSet<String>,
}

#[derive(Debug, Clone, Default)]
struct File {
    safe: Vec<u8>,
    seen: Vec<u8>,
    waiting: Vec<Change>,
}

#[derive(Debug, Clone)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Truncate(usize),
}

#[derive(Debug, Clone)]
enum Naming {
    Create(String, usize),
    Rename(String, String),
    Remove(String),
}

impl SimulatedDisk {
    /// An empty disk without faults.
    pub fn new(seed: u64) -> Self {
        let state = State {
            random: seed,
            faults: Faults::default(),
            files: Vec::new(),
            folders: BTreeSet::from([String::new()]),
            names: BTreeMap::new(),
            safe_names: BTreeMap::new(),
            renamings: Vec::new(),
            locked: BTreeSet::new(),
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Changes what is wrong with it.
    pub fn set_faults(&self, faults: Faults) {
        self.state().faults = faults;
    }

    /// The power goes and comes back: what was not synced is lost, in part or whole, and nobody holds a lock. Whoever
    /// had the disk open must not use it any more. A limit of [`Faults::operations_left`] is over.
    pub fn crash(&self) {
        let mut state = self.state();
        state.lose_names();
        let State { files, random, .. } = &mut *state;
        for file in files {
            file.lose(random);
        }
        state.locked.clear();
        state.faults.operations_left = None;
    }

    /// A bit of this file is another from now on, wherever the bytes lie.
    ///
    /// # Panics
    /// If there is no such file or it is shorter.
    pub fn flip(&self, name: &str, byte: usize, bit: u8) {
        let mut state = self.state();
        let file = state.names.get(name).copied().expect("only a file that is there can have a bit flipped");
        let file = &mut state.files[file];
        file.seen[byte] ^= 1 << bit;
        if let Some(safe) = file.safe.get_mut(byte) {
            *safe ^= 1 << bit;
        }
    }

    /// Flips one bit somewhere in this range of a file's bytes; returns which byte it was.
    ///
    /// # Panics
    /// If the range is empty or not within the file.
    pub fn flip_somewhere(&self, name: &str, bytes: Range<usize>) -> usize {
        let (byte, bit) = {
            let mut state = self.state();
            (bytes.start + below(&mut state.random, bytes.len()), below(&mut state.random, 8) as u8)
        };
        self.flip(name, byte, bit);
        byte
    }

    /// A copy that lives on by itself.
    pub fn copy(&self) -> Self {
        let state = self.state();
        let copy = State {
            random: state.random,
            faults: state.faults.clone(),
            files: state.files.clone(),
            folders: state.folders.clone(),
            names: state.names.clone(),
            safe_names: state.safe_names.clone(),
            renamings: state.renamings.clone(),
            locked: BTreeSet::new(),
        };
        Self { state: Arc::new(Mutex::new(copy)) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn find(&self, name: &str) -> io::Result<usize> {
        self.powered()?;
        self.names.get(name).copied().ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn powered(&self) -> io::Result<()> {
        match self.faults.operations_left {
            Some(0) => Err(io::Error::other("the power is off")),
            _ => Ok(()),
        }
    }

    /// Counts a change or a sync towards the power cut.
    fn step(&mut self) -> io::Result<()> {
        self.powered()?;
        if let Some(left) = &mut self.faults.operations_left {
            *left -= 1;
        }
        Ok(())
    }

    fn change(&mut self) -> io::Result<()> {
        self.step()?;
        if self.faults.read_only { Err(ErrorKind::ReadOnlyFilesystem.into()) } else { Ok(()) }
    }

    fn used(&self) -> u64 {
        self.names.values().map(|file| self.files[*file].seen.len() as u64).sum()
    }

    /// How many of these bytes still fit.
    fn fitting(&self, file: usize, offset: usize, bytes: usize) -> usize {
        let Some(space) = self.faults.space else { return bytes };
        let free = usize::try_from(space.saturating_sub(self.used())).unwrap_or(usize::MAX);
        let held = self.files[file].seen.len().saturating_sub(offset);
        bytes.min(held.saturating_add(free))
    }

    /// What the journal of names has when the power goes: of each folder the first few changes.
    fn lose_names(&mut self) {
        let mut names = std::mem::take(&mut self.safe_names);
        for folder in &self.folders {
            let of_folder: Vec<&Naming> = self.renamings.iter().filter(|n| folder_of(n.name()) == folder).collect();
            let kept = below(&mut self.random, of_folder.len() + 1);
            of_folder[..kept].iter().for_each(|naming| naming.apply(&mut names));
        }
        self.renamings.clear();
        self.names.clone_from(&names);
        self.safe_names = names;
    }
}

impl Naming {
    fn name(&self) -> &str {
        match self {
            Naming::Create(name, _) | Naming::Rename(name, _) | Naming::Remove(name) => name,
        }
    }

    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Naming::Create(name, file) => {
                names.insert(name.clone(), *file);
            }
            Naming::Rename(from, to) => {
                if let Some(file) = names.remove(from) {
                    names.insert(to.clone(), file);
                }
            }
            Naming::Remove(name) => {
                names.remove(name);
            }
        }
    }
}

impl File {
    /// The power goes: decides what of the waiting changes is safe, and that is what is seen from now on.
    fn lose(&mut self, random: &mut u64) {
        let waiting = std::mem::take(&mut self.waiting);
        match below(random, 4) {
            0 => {}
            1 => waiting.iter().for_each(|change| change.apply(&mut self.safe)),
            2 => {
                let kept = below(random, waiting.len() + 1);
                waiting[..kept].iter().for_each(|change| change.apply(&mut self.safe));
                if let Some(Change::Write { offset, bytes }) = waiting.get(kept) {
                    put(&mut self.safe, *offset, &bytes[..below(random, bytes.len() + 1)]);
                }
            }
            _ => waiting.iter().for_each(|change| change.scatter(&mut self.safe, random)),
        }
        self.seen.clone_from(&self.safe);
    }
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Change::Write { offset, bytes } => put(content, *offset, bytes),
            Change::Truncate(size) => content.resize(*size, 0),
        }
    }

    /// Some sectors and not others, each whole or torn.
    fn scatter(&self, content: &mut Vec<u8>, random: &mut u64) {
        let Change::Write { offset, bytes } = self else {
            if below(random, 2) == 0 {
                self.apply(content);
            }
            return;
        };
        let mut at = 0;
        while at < bytes.len() {
            let end = bytes.len().min(at + SECTOR - (offset + at) % SECTOR);
            match below(random, 5) {
                0 | 1 => {}
                2 => put(content, offset + at, &bytes[at..at + below(random, end - at + 1)]),
                _ => put(content, offset + at, &bytes[at..end]),
            }
            at = end;
        }
    }
}

fn put(content: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    if content.len() < offset + bytes.len() {
        content.resize(offset + bytes.len(), 0);
    }
    content[offset..offset + bytes.len()].copy_from_slice(bytes);
}

/// The next number below `bound`, by the generator `SplitMix64` (Steele, Lea and Flood, 2014).
fn below(random: &mut u64, bound: usize) -> usize {
    *random = random.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *random;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) % bound as u64) as usize
}

impl Disk for SimulatedDisk {
    fn path(&self, name: &str) -> PathBuf {
        PathBuf::from("simulated").join(name)
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let state = self.state();
        state.powered()?;
        if !state.folders.contains(folder) {
            return Err(ErrorKind::NotFound.into());
        }
        let in_folder = |name: &String| folder_of(name) == folder && !name.is_empty();
        let names: BTreeSet<&String> =
            state.names.keys().chain(&state.folders).filter(|name| in_folder(name)).collect();
        Ok(names.into_iter().map(|name| name.rsplit('/').next().unwrap_or(name).to_owned()).collect())
    }

    fn size(&self, name: &str) -> io::Result<u64> {
        let state = self.state();
        let file = state.find(name)?;
        Ok(state.files[file].seen.len() as u64)
    }

    fn read(&self, name: &str, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let state = self.state();
        let file = state.find(name)?;
        let seen = &state.files[file].seen;
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(seen.len());
        Ok(seen[start..seen.len().min(start.saturating_add(length))].to_vec())
    }

    fn make_folder(&self, folder: &str) -> io::Result<()> {
        let mut state = self.state();
        state.powered()?;
        if !state.folders.contains(folder) {
            state.change()?;
            let ends = folder.match_indices('/').map(|(end, _)| end).chain([folder.len()]);
            state.folders.extend(ends.map(|end| folder[..end].to_owned()));
        }
        Ok(())
    }

    fn create(&self, name: &str, _: Readers) -> io::Result<()> {
        let mut state = self.state();
        state.change()?;
        if !state.folders.contains(folder_of(name)) {
            return Err(ErrorKind::NotFound.into());
        }
        if let Some(file) = state.names.get(name).copied() {
            state.files[file].truncate(0);
        } else {
            let file = state.files.len();
            state.files.push(File::default());
            state.names.insert(name.to_owned(), file);
            state.renamings.push(Naming::Create(name.to_owned(), file));
        }
        Ok(())
    }

    fn write(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        state.change()?;
        let file = match state.names.get(name) {
            Some(file) => *file,
            None => return Err(ErrorKind::NotFound.into()),
        };
        let offset = usize::try_from(offset).map_err(|_| io::Error::from(ErrorKind::FileTooLarge))?;
        let fitting = state.fitting(file, offset, bytes.len());
        let held = &mut state.files[file];
        put(&mut held.seen, offset, &bytes[..fitting]);
        held.waiting.push(Change::Write { offset, bytes: bytes[..fitting].to_vec() });
        if fitting == bytes.len() { Ok(()) } else { Err(ErrorKind::StorageFull.into()) }
    }

    fn truncate(&self, name: &str, size: u64) -> io::Result<()> {
        let mut state = self.state();
        let file = state.find(name)?;
        state.change()?;
        let size = usize::try_from(size).map_err(|_| io::Error::from(ErrorKind::FileTooLarge))?;
        state.files[file].truncate(size);
        Ok(())
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        let file = state.find(name)?;
        state.step()?;
        if state.faults.sync_fails {
            return Err(io::Error::other("the disk reports an error"));
        }
        if !state.faults.lies {
            let file = &mut state.files[file];
            file.waiting.clear();
            let File { safe, seen, .. } = file;
            safe.clone_from(seen);
        }
        Ok(())
    }

    fn sync_folder(&self, folder: &str) -> io::Result<()> {
        let mut state = self.state();
        state.step()?;
        if state.faults.sync_fails {
            return Err(io::Error::other("the disk reports an error"));
        }
        if !state.faults.lies {
            let State { renamings, safe_names, .. } = &mut *state;
            renamings.retain(|naming| {
                let here = folder_of(naming.name()) == folder;
                if here {
                    naming.apply(safe_names);
                }
                !here
            });
        }
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        assert_eq!(folder_of(from), folder_of(to), "a file is renamed within its folder");
        let mut state = self.state();
        state.find(from)?;
        state.change()?;
        let naming = Naming::Rename(from.to_owned(), to.to_owned());
        naming.apply(&mut state.names);
        state.renamings.push(naming);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        state.find(name)?;
        state.change()?;
        let naming = Naming::Remove(name.to_owned());
        naming.apply(&mut state.names);
        state.renamings.push(naming);
        Ok(())
    }

    fn lock(&self, name: &str) -> io::Result<Lock> {
        let mut state = self.state();
        state.powered()?;
        if !state.locked.insert(name.to_owned()) {
            return Err(ErrorKind::WouldBlock.into());
        }
        Ok(Lock { _held: Some(Box::new(SimulatedLock { disk: self.clone(), name: name.to_owned() })) })
    }
}

impl File {
    fn truncate(&mut self, size: usize) {
        self.seen.resize(size, 0);
        self.waiting.push(Change::Truncate(size));
    }
}

#[derive(Debug)]
struct SimulatedLock {
    disk: SimulatedDisk,
    name: String,
}

impl Drop for SimulatedLock {
    fn drop(&mut self) {
        self.disk.state().locked.remove(&self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEEDS: u64 = 200;

    /// A disk with a synced `a` of ten bytes, and `more` written to it that is not.
    fn with_unsynced(seed: u64, more: &[u8]) -> SimulatedDisk {
        let disk = SimulatedDisk::new(seed);
        disk.create("a", Readers::Usual).unwrap();
        disk.write("a", 0, b"0123456789").unwrap();
        disk.sync("a").unwrap();
        disk.sync_folder("").unwrap();
        disk.write("a", 10, more).unwrap();
        disk
    }

    fn content(disk: &SimulatedDisk, name: &str) -> Vec<u8> {
        disk.read(name, 0, usize::MAX).unwrap()
    }

    #[test]
    fn what_was_synced_survives_and_what_was_not_is_torn_anywhere() {
        let mut lengths = BTreeSet::new();
        for seed in 0..SEEDS {
            let disk = with_unsynced(seed, b"abcdef");
            assert_eq!(content(&disk, "a"), b"0123456789abcdef");
            disk.crash();
            let left = content(&disk, "a");
            assert!(left.starts_with(b"0123456789"), "seed {seed}");
            lengths.insert(left.len());
        }
        assert_eq!(lengths, (10..=16).collect());
    }

    #[test]
    fn a_later_sector_may_survive_an_earlier_one() {
        let survived = (0..SEEDS).any(|seed| {
            let disk = with_unsynced(seed, &[7; 3 * SECTOR]);
            disk.crash();
            let left = content(&disk, "a");
            left.len() == 10 + 3 * SECTOR && left[10..].contains(&0)
        });
        assert!(survived);
    }

    #[test]
    fn a_new_name_is_safe_only_with_its_folder() {
        let (mut undone, mut kept) = (false, false);
        for seed in 0..SEEDS {
            let disk = with_unsynced(seed, b"");
            disk.create("b", Readers::Usual).unwrap();
            disk.write("b", 0, b"new").unwrap();
            disk.sync("b").unwrap();
            disk.rename("b", "a").unwrap();
            let synced = disk.copy();
            synced.sync_folder("").unwrap();
            synced.crash();
            assert_eq!(content(&synced, "a"), b"new");
            disk.crash();
            let left = content(&disk, "a");
            undone |= left == b"0123456789";
            kept |= left == b"new";
        }
        assert!(undone && kept);
    }

    #[test]
    fn the_same_seed_breaks_the_same_way() {
        for seed in 0..SEEDS {
            let (one, two) = (with_unsynced(seed, &[9; 2000]), with_unsynced(seed, &[9; 2000]));
            one.crash();
            two.crash();
            assert_eq!(content(&one, "a"), content(&two, "a"), "seed {seed}");
        }
    }

    #[test]
    fn a_liar_loses_what_it_said_was_safe() {
        let lost = (0..SEEDS).any(|seed| {
            let disk = with_unsynced(seed, b"abcdef");
            disk.set_faults(Faults { lies: true, ..Faults::default() });
            disk.sync("a").unwrap();
            disk.crash();
            content(&disk, "a").len() == 10
        });
        assert!(lost);
    }

    #[test]
    fn a_full_disk_takes_what_fits_and_a_read_only_one_nothing() {
        let disk = with_unsynced(1, b"");
        disk.set_faults(Faults { space: Some(14), ..Faults::default() });
        assert_eq!(disk.write("a", 8, b"abcdefgh").unwrap_err().kind(), ErrorKind::StorageFull);
        assert_eq!(content(&disk, "a"), b"01234567abcdef");
        disk.set_faults(Faults { read_only: true, ..Faults::default() });
        assert_eq!(disk.remove("a").unwrap_err().kind(), ErrorKind::ReadOnlyFilesystem);
    }

    #[test]
    fn without_power_nothing_answers() {
        let disk = with_unsynced(1, b"");
        disk.set_faults(Faults { operations_left: Some(1), ..Faults::default() });
        disk.write("a", 0, b"x").unwrap();
        assert!(disk.write("a", 1, b"y").is_err() && disk.size("a").is_err() && disk.lock("l").is_err());
        disk.crash();
        assert!(disk.size("a").is_ok());
    }
}
