//! Measures the store against redb, which it replaced: entries a second by the size of a commit, the time to open a
//! million entries, and the bytes they take. Both store the same 250 B entries, each commit durable when it returns.
//!
//! `cargo run --release -p gemba-host --example store_choice [DIR]`; the directory should be on the disk of interest.
//! The figures it gave are in the documentation of `gemba_host::store`.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use gemba_host::disk::{Disk, FileDisk};
use gemba_host::limits;
use gemba_host::store::Store;
use gemba_record::entry::SiteId;
use redb::{Database, ReadableDatabase, ReadableTableMetadata, TableDefinition};

const ENTRY_BYTES: usize = 250;
const MANY: u64 = 1_000_000;
/// How long each commit size is measured.
const WHILE: Duration = Duration::from_secs(3);
const ENTRIES: TableDefinition<u64, &[u8]> = TableDefinition::new("entries");

/// What both are asked to do.
trait Contender: Sized {
    const NAME: &str;
    fn create(dir: &Path) -> Result<Self>;
    fn open(dir: &Path) -> Result<Self>;
    fn append(&mut self, first: u64, entries: &[Vec<u8>]) -> Result<()>;
    fn entries(&self) -> Result<u64>;
    /// This entry and those that follow it, 512 in all.
    fn read(&self, first: u64) -> Result<Vec<Vec<u8>>>;
}

impl Contender for Store {
    const NAME: &str = "one file";

    fn create(dir: &Path) -> Result<Self> {
        Ok(Store::create(Arc::new(FileDisk::new(dir)), SiteId([1; 16]), &entry(0))?)
    }

    fn open(dir: &Path) -> Result<Self> {
        Ok(Store::open(Arc::new(FileDisk::new(dir)))?)
    }

    fn append(&mut self, first: u64, entries: &[Vec<u8>]) -> Result<()> {
        Ok(Store::append(self, first, entries)?)
    }

    fn entries(&self) -> Result<u64> {
        Ok(Store::entries(self))
    }

    fn read(&self, first: u64) -> Result<Vec<Vec<u8>>> {
        Ok(Store::read(self, first)?)
    }
}

struct Redb(Database);

impl Contender for Redb {
    const NAME: &str = "redb";

    fn create(dir: &Path) -> Result<Self> {
        let mut redb = Redb(Database::builder().set_cache_size(64 << 20).create(dir.join("redb"))?);
        redb.append(0, &[entry(0)])?;
        Ok(redb)
    }

    fn open(dir: &Path) -> Result<Self> {
        Ok(Redb(Database::builder().set_cache_size(64 << 20).open(dir.join("redb"))?))
    }

    fn append(&mut self, first: u64, entries: &[Vec<u8>]) -> Result<()> {
        let transaction = self.0.begin_write()?;
        {
            let mut table = transaction.open_table(ENTRIES)?;
            for (index, entry) in (first..).zip(entries) {
                table.insert(index, entry.as_slice())?;
            }
        }
        Ok(transaction.commit()?)
    }

    fn entries(&self) -> Result<u64> {
        Ok(self.0.begin_read()?.open_table(ENTRIES)?.len()?)
    }

    fn read(&self, first: u64) -> Result<Vec<Vec<u8>>> {
        let table = self.0.begin_read()?.open_table(ENTRIES)?;
        let rows = table.range(first..)?.take(limits::BATCH_ENTRIES);
        rows.map(|row| Ok(row?.1.value().to_vec())).collect()
    }
}

/// Bytes that do not compress, different for each entry.
fn entry(index: u64) -> Vec<u8> {
    let mut bytes = vec![0; ENTRY_BYTES];
    blake3::Hasher::new().update(&index.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

fn main() -> Result<()> {
    let dir = std::env::args_os().nth(1).map_or_else(std::env::temp_dir, Into::into);
    measure::<Store>(&dir)?;
    measure::<Redb>(&dir)
}

fn measure<C: Contender>(dir: &Path) -> Result<()> {
    for commit in [1, 64, 512] {
        let temp = tempfile::tempdir_in(dir)?;
        let mut contender = C::create(temp.path())?;
        let (start, mut next, mut commits) = (Instant::now(), 1, Vec::new());
        while start.elapsed() < WHILE {
            let batch: Vec<Vec<u8>> = (next..next + commit).map(entry).collect();
            let begin = Instant::now();
            contender.append(next, &batch)?;
            commits.push(begin.elapsed());
            next += commit;
        }
        let seconds: f64 = commits.iter().map(Duration::as_secs_f64).sum();
        commits.sort();
        let p99 = commits[commits.len() * 99 / 100];
        println!("{}, {commit} a commit: {:.0} entries/s, p99 {p99:.2?}", C::NAME, (next - 1) as f64 / seconds);
    }
    open_many::<C>(dir)
}

fn open_many<C: Contender>(dir: &Path) -> Result<()> {
    let temp = tempfile::tempdir_in(dir)?;
    let mut contender = C::create(temp.path())?;
    let mut next = 1;
    while next < MANY {
        let end = MANY.min(next + 512);
        contender.append(next, &(next..end).map(entry).collect::<Vec<_>>())?;
        next = end;
    }
    drop(contender);
    let disk = FileDisk::new(temp.path());
    let bytes: u64 = disk.list("")?.iter().map(|name| disk.size(name)).sum::<Result<_, _>>()?;
    println!("{}, {MANY} entries: {:.1} MB, {:.1} B each", C::NAME, bytes as f64 / 1e6, bytes as f64 / MANY as f64);
    open_and_read::<C>(temp.path(), "opens")?;
    if disk.remove("site.index").is_ok() {
        open_and_read::<C>(temp.path(), "opens without its index")?;
    }
    Ok(())
}

fn open_and_read<C: Contender>(dir: &Path, what: &str) -> Result<()> {
    let begin = Instant::now();
    let contender = C::open(dir)?;
    let entries = contender.entries()?;
    let opened = begin.elapsed();
    assert_eq!(entries, MANY, "all of them are there");
    let begin = Instant::now();
    for first in (0..MANY).step_by(9973) {
        let some = contender.read(first)?;
        let expected = (first..MANY).take(limits::BATCH_ENTRIES);
        assert_eq!(some.len(), expected.clone().count(), "as many as there are");
        assert_eq!((&some[0], some.last()), (&entry(first), expected.last().map(entry).as_ref()), "as written");
    }
    let reads = MANY.div_ceil(9973) as u32;
    println!("{} {what} in {opened:.2?}; 512 entries read anywhere in {:.2?}", C::NAME, begin.elapsed() / reads);
    Ok(())
}
