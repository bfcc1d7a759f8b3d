//! What becomes of sealed segments: the record is told, and when they are old or too many, they go. Nothing goes that the
//! record was not told of.

use std::collections::HashSet;

use gemba_net::BlobHash;
use gemba_twin::sample::Timestamp;

use super::catalogue::start_path;
use super::{Historian, HistorianError, Sealed, remove, shelf};

impl Historian {
    /// The record holds this segment.
    pub fn confirm(&mut self, sealed: &Sealed) -> Result<(), HistorianError> {
        match self.catalogue.kept.iter().find(|(kept, _)| kept.sealed.blob == sealed.blob) {
            None => Err(HistorianError::Unknown(sealed.number)),
            Some((_, true)) => Ok(()),
            Some(_) => Ok(self.catalogue.confirm(sealed.number)?),
        }
    }

    /// Sealed segments of which nobody said that the record holds them, oldest first: after a start the host looks whether
    /// it does, writes what is missing, and confirms.
    pub fn unconfirmed(&self) -> Vec<Sealed> {
        let waiting = self.catalogue.kept.iter().filter(|(_, is_confirmed)| !is_confirmed);
        waiting.map(|(kept, _)| kept.sealed.clone()).collect()
    }

    /// How many of these blobs are none of its segments.
    pub fn lacking(&self, blobs: &[BlobHash]) -> usize {
        let held: HashSet<BlobHash> = self.catalogue.kept.iter().map(|(kept, _)| kept.sealed.blob).collect();
        blobs.iter().filter(|blob| !held.contains(blob)).count()
    }

    /// Segments that are beyond what the configuration keeps, oldest first. The host tells the record, then deletes them.
    /// One that the record does not hold yet stays, and so does all that is newer.
    pub fn expired(&self, now: Timestamp) -> Vec<Sealed> {
        let mut bytes: u64 = self.catalogue.kept.iter().map(|(kept, _)| kept.bytes()).sum();
        let keep_micros = self.config.keep_age.map(|age| i64::try_from(age.as_micros()).unwrap_or(i64::MAX));
        let mut expired = Vec::new();
        for (kept, is_confirmed) in &self.catalogue.kept {
            let is_old = keep_micros.is_some_and(|most| now.micros_since(kept.sealed.to) > most);
            if !is_confirmed || !(is_old || bytes > self.config.keep_bytes) {
                break;
            }
            bytes -= kept.bytes();
            expired.push(kept.sealed.clone());
        }
        expired
    }

    /// Deletes a segment for good.
    pub fn delete(&mut self, sealed: &Sealed) -> Result<(), HistorianError> {
        let Some((kept, _)) = self.catalogue.kept.iter().find(|(kept, _)| kept.sealed.blob == sealed.blob) else {
            return Err(HistorianError::Unknown(sealed.number));
        };
        let (number, blob) = (kept.sealed.number, kept.sealed.blob);
        // The catalogue last, so that what is cut short by a crash is done again.
        shelf::remove(&self.dir, &kept.sealed)?;
        self.blobs.remove(&blob.0)?;
        remove(&start_path(&self.dir, number))?;
        Ok(self.catalogue.delete(number)?)
    }

    /// Bytes on disk of all sealed segments.
    pub fn sealed_bytes(&self) -> u64 {
        self.catalogue.kept.iter().map(|(kept, _)| kept.bytes()).sum()
    }
}
