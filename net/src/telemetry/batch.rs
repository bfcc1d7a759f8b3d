//! Samples as journals keep them, as answers from the past bring them, and as peers before minor 4 are told them.
//!
//! A batch holds its samples sorted by tag, column by column: tag numbers as differences, then one byte a sample for
//! quality and type, then source times as differences, then how much later the gateway received them, then the values.
//! Integers are LEB128, signed ones zigzag; a float is 4 bytes where that loses nothing, else 8.

use gemba_twin::path::TagId;
use gemba_twin::sample::{Quality, Sample, Timestamp, Value};

use super::{DamagedBatch, TagSample};
use crate::leb128::{get, get_signed, put, put_signed};
use crate::limits;
use crate::pose_codec::take;
use crate::wire;

const NONE: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const INT: u8 = 3;
const FLOAT4: u8 = 4;
const FLOAT8: u8 = 5;
const TEXT: u8 = 6;

/// Codes samples, sorted by tag. The caller keeps to what [`batches`] makes.
pub fn encode(samples: &[TagSample]) -> Vec<u8> {
    let mut sorted: Vec<&TagSample> = samples.iter().collect();
    sorted.sort_by_key(|s| s.tag);
    let mut out = Vec::with_capacity(8 + sorted.len() * 16);
    put(sorted.len() as u64, &mut out);
    let mut last = 0;
    for s in &sorted {
        put(u64::from(s.tag.0 - last), &mut out);
        last = s.tag.0;
    }
    out.extend(sorted.iter().map(|s| quality_code(s.sample.quality) << 4 | kind_code(s.sample.value.as_ref())));
    let mut last = 0i64;
    for s in &sorted {
        put_signed(s.sample.source_time.0.wrapping_sub(last), &mut out);
        last = s.sample.source_time.0;
    }
    for s in &sorted {
        put_signed(s.sample.server_time.0.wrapping_sub(s.sample.source_time.0), &mut out);
    }
    for s in &sorted {
        put_value(s.sample.value.as_ref(), &mut out);
    }
    out
}

/// Splits samples into batches that keep to [`limits::BATCH_SAMPLES`] and [`limits::BATCH_BYTES`].
pub fn batches(samples: Vec<TagSample>) -> Vec<Vec<TagSample>> {
    let mut all = vec![Vec::new()];
    let mut bytes = COUNT_BYTES;
    for sample in samples {
        let size = most_bytes(&sample);
        let batch = all.last().map_or(0, Vec::len);
        if batch > 0 && (batch == limits::BATCH_SAMPLES || bytes + size > limits::BATCH_BYTES) {
            all.push(Vec::new());
            bytes = COUNT_BYTES;
        }
        bytes += size;
        all.last_mut().expect("it begins with one and only grows").push(sample);
    }
    all.retain(|batch| !batch.is_empty());
    all
}

/// Of a batch with one sample, as [`super::packed`] writes it: its head, and that of its one block.
const COUNT_BYTES: usize = 128;

/// Most bytes a coded sample can take, however it is coded: 5 of tag, 1 of kind, 10 each of the two times, and its value.
fn most_bytes(sample: &TagSample) -> usize {
    let value = match &sample.sample.value {
        Some(Value::Text(text)) => 2 + text.len().min(gemba_twin::limits::TEXT_BYTES),
        _ => 10,
    };
    26 + value
}

/// Reads a batch; never allocates more than the bytes themselves justify.
pub fn decode(mut bytes: &[u8]) -> Result<Vec<TagSample>, DamagedBatch> {
    decode_columns(&mut bytes).filter(|_| bytes.is_empty()).ok_or(DamagedBatch)
}

fn decode_columns(bytes: &mut &[u8]) -> Option<Vec<TagSample>> {
    let count = usize::try_from(get(bytes)?).ok()?;
    // Every sample takes at least four bytes: one in each column but the values'.
    if count > limits::BATCH_SAMPLES || count > bytes.len() / 4 {
        return None;
    }
    let mut tags = Vec::with_capacity(count);
    let mut last = 0u32;
    for _ in 0..count {
        last = last.checked_add(u32::try_from(get(bytes)?).ok()?)?;
        tags.push(TagId(last));
    }
    let codes = bytes.get(..count)?.to_vec();
    *bytes = &bytes[count..];
    let mut source_times = Vec::with_capacity(count);
    let mut last = 0i64;
    for _ in 0..count {
        last = last.wrapping_add(get_signed(bytes)?);
        source_times.push(last);
    }
    let mut server_times = Vec::with_capacity(count);
    for source_time in &source_times {
        server_times.push(source_time.wrapping_add(get_signed(bytes)?));
    }
    let mut samples = Vec::with_capacity(count);
    for i in 0..count {
        let sample = Sample {
            value: get_value(codes[i] & 15, bytes)?,
            quality: quality_of(codes[i] >> 4)?,
            source_time: Timestamp(source_times[i]),
            server_time: Timestamp(server_times[i]),
        };
        samples.push(TagSample { tag: tags[i], sample });
    }
    Some(samples)
}

pub(super) fn quality_code(quality: Quality) -> u8 {
    match quality {
        Quality::Good => 0,
        Quality::Uncertain => 1,
        Quality::Bad => 2,
    }
}

pub(super) fn quality_of(code: u8) -> Option<Quality> {
    [Quality::Good, Quality::Uncertain, Quality::Bad].get(usize::from(code)).copied()
}

fn kind_code(value: Option<&Value>) -> u8 {
    match value {
        None => NONE,
        Some(Value::Bool(false)) => FALSE,
        Some(Value::Bool(true)) => TRUE,
        Some(Value::Int(_)) => INT,
        Some(Value::Float(f)) if f64::from(*f as f32).to_bits() == f.to_bits() => FLOAT4,
        Some(Value::Float(_)) => FLOAT8,
        Some(Value::Text(_)) => TEXT,
    }
}

fn put_value(value: Option<&Value>, out: &mut Vec<u8>) {
    match value {
        None | Some(Value::Bool(_)) => {}
        Some(Value::Int(i)) => put_signed(*i, out),
        Some(Value::Float(f)) if kind_code(value) == FLOAT4 => out.extend_from_slice(&(*f as f32).to_le_bytes()),
        Some(Value::Float(f)) => out.extend_from_slice(&f.to_le_bytes()),
        Some(Value::Text(text)) => {
            // A longer one would have every subscriber refuse the whole batch.
            let text = wire::cut(text, gemba_twin::limits::TEXT_BYTES);
            put(text.len() as u64, out);
            out.extend_from_slice(text.as_bytes());
        }
    }
}

fn get_value(kind: u8, bytes: &mut &[u8]) -> Option<Option<Value>> {
    Some(match kind {
        NONE => None,
        FALSE => Some(Value::Bool(false)),
        TRUE => Some(Value::Bool(true)),
        INT => Some(Value::Int(get_signed(bytes)?)),
        FLOAT4 => Some(Value::Float(f64::from(f32::from_le_bytes(take::<4>(bytes)?)))),
        FLOAT8 => Some(Value::Float(f64::from_le_bytes(take::<8>(bytes)?))),
        TEXT => {
            let length = usize::try_from(get(bytes)?).ok().filter(|n| *n <= gemba_twin::limits::TEXT_BYTES)?;
            let text = std::str::from_utf8(bytes.get(..length)?).ok()?.to_owned();
            *bytes = &bytes[length..];
            Some(Value::Text(text))
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value() -> impl Strategy<Value = Option<Value>> {
        prop_oneof![
            Just(None),
            any::<bool>().prop_map(|b| Some(Value::Bool(b))),
            any::<i64>().prop_map(|i| Some(Value::Int(i))),
            any::<f64>().prop_filter("equal to itself", |f| !f.is_nan()).prop_map(|f| Some(Value::Float(f))),
            any::<f32>().prop_filter("equal to itself", |f| !f.is_nan()).prop_map(|f| Some(Value::Float(f.into()))),
            "[a-zäöü]{0,12}".prop_map(|t| Some(Value::Text(t))),
        ]
    }

    fn sample() -> impl Strategy<Value = TagSample> {
        let quality = prop_oneof![Just(Quality::Good), Just(Quality::Uncertain), Just(Quality::Bad)];
        (0u32..1_000_000, value(), quality, any::<i64>(), any::<i64>()).prop_map(|(tag, value, quality, a, b)| {
            let sample = Sample { value, quality, source_time: Timestamp(a), server_time: Timestamp(b) };
            TagSample { tag: TagId(tag), sample }
        })
    }

    proptest! {
        #[test]
        fn a_batch_comes_back_as_it_was(mut samples in proptest::collection::vec(sample(), 0..60)) {
            samples.sort_by_key(|s| s.tag);
            prop_assert_eq!(decode(&encode(&samples)), Ok(samples));
        }

        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
        }

        #[test]
        fn a_truncated_batch_is_refused(samples in proptest::collection::vec(sample(), 1..20), cut in 1usize..40) {
            let bytes = encode(&samples);
            prop_assert!(decode(&bytes[..bytes.len().saturating_sub(cut)]).is_err());
        }
    }

    #[test]
    fn a_batch_that_claims_more_than_it_holds_allocates_nothing() {
        let mut bytes = Vec::new();
        put(u64::MAX, &mut bytes);
        assert_eq!(decode(&bytes), Err(DamagedBatch));
    }

    #[test]
    fn a_plant_full_of_long_texts_goes_out_in_batches_that_the_other_end_takes() {
        let text = "ä".repeat(gemba_twin::limits::TEXT_BYTES);
        let sample = |time| Sample {
            value: Some(Value::Text(text.clone())),
            quality: Quality::Good,
            source_time: Timestamp(time),
            server_time: Timestamp(-time),
        };
        let samples = (0..1000).map(|tag| TagSample { tag: TagId(tag * 4_000_000), sample: sample(i64::MIN + 1) });
        let batches = batches(samples.collect());
        assert!(batches.len() > 1);
        let coded: Vec<Vec<u8>> = batches.iter().map(|batch| encode(batch)).collect();
        assert!(coded.iter().all(|bytes| bytes.len() <= limits::BATCH_BYTES));
        assert_eq!(coded.iter().map(|bytes| decode(bytes).unwrap().len()).sum::<usize>(), 1000);
    }
}
