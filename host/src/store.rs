//! The entries of a site in one redb file. A commit is one fsynced transaction: after a crash the file holds exactly
//! the commits that returned, and perhaps the one that was under way. Opening it locks it against other processes.
//!
//! It stores bytes in order and knows nothing of what they say.

use std::fs;
use std::path::{Path, PathBuf};

use gemba_record::entry::SiteId;
use redb::{Database, ReadableDatabase, ReadableTableMetadata, TableDefinition};

use crate::key_file::sync_parent;
use crate::limits;
use crate::problem::{SiteDirError, io};

/// The format of site directories that this program writes, and the newest it reads.
pub const FORMAT: u32 = 1;

const ENTRIES: TableDefinition<u64, &[u8]> = TableDefinition::new("entries");
const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");

/// An open store.
pub struct Store {
    database: Database,
    path: PathBuf,
    site: SiteId,
}

impl Store {
    /// Creates the file with its first entry. It appears under its name whole or not at all.
    pub fn create(path: &Path, site: SiteId, first: &[u8]) -> Result<Self, SiteDirError> {
        let new = path.with_extension("redb.new");
        let database = builder().create(&new).map_err(|e| open_error(&new, e))?;
        // The new file's lock is held from here on, so that of two creators only one comes this far at a time.
        if path.exists() {
            return Err(SiteDirError::AlreadyASite(path.to_owned()));
        }
        let store = Self { database, path: path.to_owned(), site };
        store.begin(first).map_err(|e| store.error(e))?;
        fs::rename(&new, path).map_err(io("create", path))?;
        sync_parent(path)?;
        Ok(store)
    }

    /// Opens the file.
    pub fn open(path: &Path) -> Result<Self, SiteDirError> {
        let database = builder().open(path).map_err(|e| open_error(path, e))?;
        let mut store = Self { database, path: path.to_owned(), site: SiteId([0; 16]) };
        let (format, site) = store.meta().map_err(|e| store.error(e))?;
        let format = format.ok_or_else(|| store.incomplete("its format"))?;
        if format != FORMAT {
            return Err(SiteDirError::Newer { path: path.to_owned(), found: format, known: FORMAT });
        }
        store.site = site.ok_or_else(|| store.incomplete("the site's id"))?;
        Ok(store)
    }

    /// The site it belongs to.
    pub fn site(&self) -> SiteId {
        self.site
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes entries `first`, `first + 1`, … and returns when they are on the disk.
    ///
    /// # Panics
    /// If `first` is not the number of entries held: a gap or an overwritten entry must never come to be.
    pub fn append(&self, first: u64, entries: &[Vec<u8>]) -> Result<(), SiteDirError> {
        self.commit(first, entries).map_err(|e| self.error(e))
    }

    /// Entries from `first` on, in order, about [`limits::READ_BYTES`] of them; empty at the end.
    pub fn read(&self, first: u64) -> Result<Vec<Vec<u8>>, SiteDirError> {
        self.read_some(first).map_err(|e| self.error(e))
    }

    fn begin(&self, first: &[u8]) -> Result<(), redb::Error> {
        let transaction = self.database.begin_write()?;
        // A creation that was interrupted may have left its own first entry.
        transaction.delete_table(ENTRIES)?;
        {
            let mut meta = transaction.open_table(META)?;
            meta.insert("format", FORMAT.to_be_bytes().as_slice())?;
            meta.insert("site", self.site.0.as_slice())?;
            transaction.open_table(ENTRIES)?.insert(0, first)?;
        }
        Ok(transaction.commit()?)
    }

    fn meta(&self) -> Result<(Option<u32>, Option<SiteId>), redb::Error> {
        let transaction = self.database.begin_read()?;
        let meta = match transaction.open_table(META) {
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok((None, None)),
            other => other?,
        };
        let format = meta.get("format")?.and_then(|v| Some(u32::from_be_bytes(v.value().try_into().ok()?)));
        let site = meta.get("site")?.and_then(|v| Some(SiteId(v.value().try_into().ok()?)));
        Ok((format, site))
    }

    fn commit(&self, first: u64, entries: &[Vec<u8>]) -> Result<(), redb::Error> {
        let transaction = self.database.begin_write()?;
        {
            let mut table = transaction.open_table(ENTRIES)?;
            assert_eq!(table.len()?, first, "entries are stored without gaps and never twice");
            for (index, bytes) in (first..).zip(entries) {
                table.insert(index, bytes.as_slice())?;
            }
        }
        Ok(transaction.commit()?)
    }

    fn read_some(&self, first: u64) -> Result<Vec<Vec<u8>>, redb::Error> {
        let table = self.database.begin_read()?.open_table(ENTRIES)?;
        let (mut entries, mut bytes) = (Vec::new(), 0);
        for (row, index) in table.range(first..)?.zip(first..) {
            let (key, value) = row?;
            // A gap is damage; what lies behind it is not the next entry.
            if key.value() != index || bytes >= limits::READ_BYTES || entries.len() == limits::BATCH_ENTRIES {
                break;
            }
            bytes += value.value().len();
            entries.push(value.value().to_vec());
        }
        Ok(entries)
    }

    fn error(&self, source: redb::Error) -> SiteDirError {
        SiteDirError::Store { path: self.path.clone(), source: Box::new(source) }
    }

    fn incomplete(&self, what: &'static str) -> SiteDirError {
        SiteDirError::Incomplete { path: self.path.clone(), what }
    }
}

fn builder() -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(limits::CACHE_BYTES);
    builder
}

fn open_error(path: &Path, error: redb::DatabaseError) -> SiteDirError {
    match error {
        redb::DatabaseError::DatabaseAlreadyOpen => SiteDirError::InUse(path.parent().unwrap_or(path).to_owned()),
        redb::DatabaseError::Storage(redb::StorageError::Io(source)) => io("open", path)(source),
        other => SiteDirError::Store { path: path.to_owned(), source: Box::new(other.into()) },
    }
}
