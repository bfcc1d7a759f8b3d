//! The historian's decoders for the fuzzer, which gets past no checksum by itself: what bytes mean once somebody has made
//! the checksums fit. Nothing else uses this.

use bytes::Bytes;
use gemba_net::BlobHash;

use super::frames::put_frame;
use super::segment::{Columns, SegmentFile, guarded};
use super::{journal, proof, segment};

/// Reads a journal of these payloads, writes what it holds as a segment, and checks that against its own roots. Returns
/// the number of samples; none if there is no journal.
///
/// # Panics
/// If a segment is written that does not prove itself: that is what the fuzzer looks for.
pub fn replay(payloads: &[&[u8]]) -> Option<u64> {
    let mut bytes = Vec::new();
    payloads.iter().for_each(|payload| put_frame(payload, &mut bytes));
    let replayed = journal::replay(&bytes)?.segment;
    let file = segment::encode(&replayed).expect("what was taken can be written");
    let told = BlobHash::of(&file);
    let samples = proof::verify_segment(&file, told, &proof::roots(&replayed)).expect("what was written proves itself");
    assert_eq!(samples, replayed.samples as u64, "no sample is lost on the way");
    Some(samples)
}

/// Reads these bytes as a segment in all the ways there are: for proof, for a recall, and as a start table. Returns the
/// number of rows; none if they are no segment.
pub fn read_segment(bytes: &[u8]) -> Option<usize> {
    // Without roots it proves nothing, but all of it is read.
    let _ = proof::verify_segment(bytes, BlobHash::of(bytes), &[]);
    let _ = guarded(|| segment::decode_start(bytes.to_vec()));
    guarded(|| {
        let file = SegmentFile::open(Bytes::copy_from_slice(bytes))?;
        let few = file.runs(Some(&["Hall1/Line1/Tank1/Level"]))?;
        let all = file.runs(None)?;
        let mut count = 0;
        for runs in [few, all] {
            count = 0;
            let rows: Vec<_> = runs.into_iter().map(|run| run.rows).collect();
            file.read(&rows, Columns::Samples, |_, batch| {
                for row in 0..batch.source_time.len() {
                    batch.sample(row)?;
                    count += 1;
                }
                Ok(())
            })?;
        }
        Ok(count)
    })
    .ok()
}
