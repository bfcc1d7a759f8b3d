//! Who measured what: one Merkle root (RFC 9162, SHA-256) a device and segment, over one leaf a tag.
//!
//! A leaf is the hash of these bytes, integers little endian, which anyone can make from the Parquet file:
//!
//! | bytes | |
//! |---|---|
//! | `gemba run 1\n` | 12 bytes of ASCII |
//! | u32, then as many bytes | the tag's path, UTF-8 |
//! | u64 | the number of rows |
//! | the rows | those of this tag and this device, in the order of the file |
//!
//! and a row is: i64 source time and i64 server time (microseconds since the Unix epoch), u8 quality (0 good,
//! 1 uncertain, 2 bad), u8 kind (0 no value, 1 bool, 2 int, 3 float, 4 text), then nothing, a u8 (0 or 1), an i64 (of
//! column `integer`, or of `value` where that is null), the 8 bytes of the IEEE 754 double, or u32 length and UTF-8.
//! A device's leaves stand in the order of the paths' bytes, which is that of the file.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use gemba_net::BlobHash;
use gemba_record::merkle::{Hash, Tree, leaf_hash};
use gemba_twin::peer::PeerKey;
use gemba_twin::sample::{Sample, Value};
use thiserror::Error;

use super::DeviceRoot;
use super::open_segment::OpenSegment;
use super::segment::{Columns, SegmentFile, damaged, guarded};

const LABEL: &[u8; 12] = b"gemba run 1\n";

/// Why a segment is not what the record says it is.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum Unproven {
    /// Other bytes.
    #[error("the segment's hash is {found}, not {told}: it was changed or damaged; fetch it again")]
    OtherBytes {
        /// What the record says.
        told: BlobHash,
        /// What the bytes have.
        found: BlobHash,
    },
    /// Not a segment.
    #[error("the segment cannot be read: {0}")]
    Unreadable(String),
    /// Rows of a device without a root, or a root without rows.
    #[error("the record and the segment name different devices ({0}); do not trust this segment")]
    OtherDevices(PeerKey),
    /// The rows are not those the root was made of.
    #[error("what the segment says of device {0} is not what was signed; do not trust this segment")]
    OtherRoot(PeerKey),
}

/// Checks the bytes of a segment's file against what the record says of it; returns how many samples it holds.
pub fn verify_segment(bytes: &[u8], told: BlobHash, roots: &[DeviceRoot]) -> Result<u64, Unproven> {
    let found = BlobHash::of(bytes);
    if found != told {
        return Err(Unproven::OtherBytes { told, found });
    }
    // Whoever signed the hash may have made the bytes as they liked.
    let computed = guarded(|| Ok(roots_of_file(bytes))).map_err(|e| Unproven::Unreadable(e.to_string()))?;
    let (samples, computed) = computed?;
    for DeviceRoot { device, root } in roots {
        match computed.get(device) {
            None => return Err(Unproven::OtherDevices(*device)),
            Some(computed) if computed != root => return Err(Unproven::OtherRoot(*device)),
            Some(_) => {}
        }
    }
    match computed.keys().find(|device| roots.iter().all(|root| root.device != **device)) {
        Some(device) => Err(Unproven::OtherDevices(*device)),
        None => Ok(samples),
    }
}

/// Appends a row's canonical bytes.
pub fn put_row(sample: &Sample, out: &mut Vec<u8>) {
    out.extend_from_slice(&sample.source_time.0.to_le_bytes());
    out.extend_from_slice(&sample.server_time.0.to_le_bytes());
    out.push(sample.quality as u8);
    match &sample.value {
        None => out.push(0),
        Some(Value::Bool(b)) => out.extend_from_slice(&[1, u8::from(*b)]),
        Some(Value::Int(i)) => {
            out.push(2);
            out.extend_from_slice(&i.to_le_bytes());
        }
        Some(Value::Float(f)) => {
            out.push(3);
            out.extend_from_slice(&f.to_bits().to_le_bytes());
        }
        Some(Value::Text(text)) => {
            out.push(4);
            out.extend_from_slice(&(text.len() as u32).to_le_bytes());
            out.extend_from_slice(text.as_bytes());
        }
    }
}

/// The canonical bytes of a run: `rows` as [`put_row`] makes them, `count` of them.
pub fn run_bytes(path: &str, count: u64, rows: &[u8]) -> Vec<u8> {
    let path_bytes = (path.len() as u32).to_le_bytes();
    [&LABEL[..], &path_bytes, path.as_bytes(), &count.to_le_bytes(), rows].concat()
}

/// The roots of a closed segment, by device.
pub(super) fn roots(segment: &OpenSegment) -> Vec<DeviceRoot> {
    let mut trees: BTreeMap<PeerKey, Tree> = BTreeMap::new();
    let mut held: Vec<(u64, Vec<u8>)> = vec![(0, Vec::new()); segment.devices.len()];
    for run in segment.runs() {
        for row in run.sorted().iter() {
            let (count, bytes) = &mut held[row.device as usize];
            *count += 1;
            put_row(&segment.sample(row), bytes);
        }
        for (device, (count, bytes)) in segment.devices.iter().zip(&mut held) {
            push_leaf(trees.entry(*device).or_default(), &run.path, count, bytes);
        }
    }
    roots_of(trees).into_iter().map(|(device, root)| DeviceRoot { device, root }).collect()
}

fn roots_of_file(bytes: &[u8]) -> Result<(u64, BTreeMap<PeerKey, Hash>), Unproven> {
    let unreadable = |e: parquet::errors::ParquetError| Unproven::Unreadable(e.to_string());
    let file = SegmentFile::open(Bytes::copy_from_slice(bytes)).map_err(unreadable)?;
    let runs = file.runs(None).map_err(unreadable)?;
    if runs.windows(2).any(|pair| pair[0].path >= pair[1].path) {
        return Err(Unproven::Unreadable("its tags are not in order".into()));
    }
    let ranges: Vec<_> = runs.iter().map(|run| run.rows.clone()).collect();
    let mut trees: BTreeMap<PeerKey, Tree> = BTreeMap::new();
    let mut held: HashMap<PeerKey, (u64, Vec<u8>)> = HashMap::new();
    let (mut samples, mut run) = (0, 0);
    file.read(&ranges, Columns::All, |place, batch| {
        for i in 0..batch.source_time.len() {
            let device: PeerKey = batch.device(i)?.parse().map_err(|_| damaged("device"))?;
            let (count, bytes) = held.entry(device).or_default();
            *count += 1;
            put_row(&batch.sample(i)?, bytes);
            samples += 1;
            let at = runs.get(run).ok_or_else(|| damaged("tag"))?;
            if place + i + 1 == at.rows.end {
                for (device, (count, bytes)) in &mut held {
                    push_leaf(trees.entry(*device).or_default(), &at.path, count, bytes);
                }
                run += 1;
            }
        }
        Ok(())
    })
    .map_err(unreadable)?;
    Ok((samples, roots_of(trees)))
}

fn push_leaf(tree: &mut Tree, path: &str, count: &mut u64, rows: &mut Vec<u8>) {
    if *count > 0 {
        tree.push(leaf_hash(&run_bytes(path, *count, rows)));
        *count = 0;
        rows.clear();
    }
}

fn roots_of(trees: BTreeMap<PeerKey, Tree>) -> BTreeMap<PeerKey, Hash> {
    trees.into_iter().filter(|(_, tree)| tree.size() > 0).map(|(device, tree)| (device, tree.root())).collect()
}
