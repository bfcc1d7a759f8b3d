//! A batch in few bytes (minor 4). It stands for itself, so that one coding serves all who are told the same.
//!
//! ```text
//! frame    0, which no batch of before minor 4 begins with and goes on; 1 byte kind: 0 samples, 1 windows
//! samples  LEB128 count; 1 byte unit of source times, 0 for µs or 1 for ms; zigzag LEB128 least source time in units and
//!          least time of receipt in µs; then blocks of 128 samples, the last one shorter, in the order of tags
//! block    in bits, columns: tags as differences, qualities, kinds, source times, times of receipt, whole numbers, decimal
//!          numbers, floats of 4 bytes, floats of 8 bytes; then, from the next byte on, texts with their lengths
//! column   7 bits of width w, 7 bits v and v bits of the least value, which is taken off all; 1 bit: 0, then the values in w
//!          bits each; or 1, then 4 bits of how many different ones there are less one, those, and which one each is
//! windows  LEB128 count; for each, LEB128 tag, samples, numbers, zigzag LEB128 span before the last one's source time
//!          (µs), 1 byte worst quality, three floats of 8 bytes; then the last ones as samples
//! ```
//!
//! Columns are as wide as their block needs. Tags that are read together share their times, which then cost next to
//! nothing; tags in a row cost nothing; a float that is a decimal number with few places, as most are that passed a sensor or a
//! person, costs what its digits need, and others as many bits as distinguish them in their block.

use gemba_twin::path::TagId;
use gemba_twin::sample::{Sample, Timestamp, Value};

use super::batch::{quality_code, quality_of};
use super::{DamagedBatch, TagSample, TagWindow, decode as decode_batch};
use crate::leb128::{get, get_signed, put, put_signed};
use crate::limits;
use crate::pose_codec::take;
use crate::relay::bits::{Bits, Reader, Writer};
use crate::wire;

const PACKED: u8 = 0;
const SAMPLES: u8 = 0;
const WINDOWS: u8 = 1;
const BLOCK: usize = 128;
/// Most values that a column names once and refers to.
const CHOICES: usize = 16;

const NONE: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const INT: u8 = 3;
const FLOAT4: u8 = 4;
const FLOAT8: u8 = 5;
const TEXT: u8 = 6;
/// A decimal number without decimals, with one, and so on.
const DECIMAL: u8 = 7;
const MOST_DECIMALS: u8 = 4;
const POWERS: [f64; 1 + MOST_DECIMALS as usize] = [1.0, 10.0, 100.0, 1_000.0, 10_000.0];
/// Largest decimal number, without its point: more digits are noise, of which a float says more in as many bits.
const MOST_DIGITS: f64 = 1e9;

/// What a frame brings.
#[derive(Debug, Clone, PartialEq)]
pub enum Frame {
    /// Samples, by tag.
    Samples(Vec<TagSample>),
    /// Windows.
    Windows(Vec<TagWindow>),
}

/// Codes samples. The caller keeps to what [`super::batches`] makes.
pub fn encode(samples: &[TagSample]) -> Vec<u8> {
    let mut out = vec![PACKED, SAMPLES];
    put_samples(samples, &mut out);
    out
}

/// Codes at most [`limits::BATCH_WINDOWS`] windows.
pub fn encode_windows(windows: &[TagWindow]) -> Vec<u8> {
    let mut sorted: Vec<&TagWindow> = windows.iter().collect();
    sorted.sort_by_key(|window| window.tag);
    let mut out = vec![PACKED, WINDOWS];
    put(sorted.len() as u64, &mut out);
    for window in &sorted {
        put(window.tag.0.into(), &mut out);
        put(window.count.into(), &mut out);
        put(window.numbers.into(), &mut out);
        put_signed(window.last.source_time.0.wrapping_sub(window.from.0), &mut out);
        out.push(quality_code(window.worst));
        [window.lowest, window.mean, window.highest].iter().for_each(|n| out.extend_from_slice(&n.to_le_bytes()));
    }
    let last = sorted.iter().map(|window| TagSample { tag: window.tag, sample: window.last.clone() });
    put_samples(&last.collect::<Vec<_>>(), &mut out);
    out
}

/// Reads a frame, packed or from before; never allocates more than its limits and bytes justify.
pub fn decode(bytes: &[u8]) -> Result<Frame, DamagedBatch> {
    let read = match bytes {
        [PACKED, SAMPLES, rest @ ..] => get_samples(rest).map(Frame::Samples),
        [PACKED, WINDOWS, rest @ ..] => get_windows(rest).map(Frame::Windows),
        _ => return decode_batch(bytes).map(Frame::Samples),
    };
    read.ok_or(DamagedBatch)
}

fn put_samples(samples: &[TagSample], out: &mut Vec<u8>) {
    let mut sorted: Vec<&TagSample> = samples.iter().collect();
    sorted.sort_by_key(|s| s.tag);
    let source_times = || sorted.iter().map(|s| s.sample.source_time.0);
    let in_millis = source_times().all(|time| time % 1000 == 0);
    let unit = if in_millis { 1000 } else { 1 };
    let least = source_times().min().unwrap_or(0) / unit;
    let received = sorted.iter().map(|s| s.sample.server_time.0).min().unwrap_or(0);
    put(sorted.len() as u64, out);
    out.push(u8::from(in_millis));
    put_signed(least, out);
    put_signed(received, out);
    let mut before = 0;
    for block in sorted.chunks(BLOCK) {
        let mut writer = Writer::new(std::mem::take(out));
        let columns = Columns::of(block, &mut before, (unit, least, received));
        columns.all().iter().for_each(|column| put_column(&mut writer, column));
        *out = writer.finish();
        for sample in block {
            if let Some(Value::Text(text)) = &sample.sample.value {
                // A longer one would have every subscriber refuse the whole batch.
                let text = wire::cut(text, gemba_twin::limits::TEXT_BYTES);
                put(text.len() as u64, out);
                out.extend_from_slice(text.as_bytes());
            }
        }
    }
}

fn get_samples(mut bytes: &[u8]) -> Option<Vec<TagSample>> {
    let samples = take_samples(&mut bytes)?;
    bytes.is_empty().then_some(samples)
}

fn take_samples(bytes: &mut &[u8]) -> Option<Vec<TagSample>> {
    let count = usize::try_from(get(bytes)?).ok().filter(|count| *count <= limits::BATCH_SAMPLES)?;
    let unit = match take::<1>(bytes)? {
        [0] => 1,
        [1] => 1000,
        _ => return None,
    };
    let (least, received) = (get_signed(bytes)?, get_signed(bytes)?);
    let mut samples = Vec::with_capacity(count);
    let mut before = 0u32;
    while samples.len() < count {
        let mut reader = Reader::new(bytes);
        let rows = (count - samples.len()).min(BLOCK);
        let columns = Columns::read(&mut reader, rows)?;
        *bytes = reader.rest()?;
        columns.rows((&mut before, bytes), (unit, least, received), &mut samples)?;
    }
    Some(samples)
}

fn get_windows(mut bytes: &[u8]) -> Option<Vec<TagWindow>> {
    let count = usize::try_from(get(&mut bytes)?).ok().filter(|count| *count <= limits::BATCH_WINDOWS)?;
    // Every window takes at least 29 bytes.
    if count > bytes.len() / 29 {
        return None;
    }
    let mut heads = Vec::with_capacity(count);
    for _ in 0..count {
        let tag = TagId(u32::try_from(get(&mut bytes)?).ok()?);
        let (count, numbers) = (u32::try_from(get(&mut bytes)?).ok()?, u32::try_from(get(&mut bytes)?).ok()?);
        let span = get_signed(&mut bytes)?;
        let worst = quality_of(take::<1>(&mut bytes)?[0])?;
        let mut number = || Some(f64::from_le_bytes(take::<8>(&mut bytes)?)).filter(|number| number.is_finite());
        heads.push((tag, (count, numbers), span, worst, [number()?, number()?, number()?]));
    }
    let last = get_samples(bytes).filter(|last| last.len() == heads.len())?;
    let windows = heads.into_iter().zip(last).map(|((tag, (count, numbers), span, worst, values), last)| {
        let [lowest, mean, highest] = values;
        let from = Timestamp(last.sample.source_time.0.wrapping_sub(span));
        let is_sound = last.tag == tag && numbers <= count;
        is_sound.then_some(TagWindow { tag, from, count, numbers, lowest, mean, highest, worst, last: last.sample })
    });
    windows.collect()
}

/// The columns of one block.
#[derive(Debug, Default)]
struct Columns {
    tags: Vec<u64>,
    qualities: Vec<u64>,
    kinds: Vec<u64>,
    source_times: Vec<u64>,
    received: Vec<u64>,
    ints: Vec<u64>,
    decimals: Vec<u64>,
    floats4: Vec<u64>,
    floats8: Vec<u64>,
}

impl Columns {
    fn of(block: &[&TagSample], before: &mut u32, (unit, least, received): (i64, i64, i64)) -> Self {
        let mut columns = Self::default();
        // All decimal numbers of a block are told with as many places as one of them needs.
        let decimals = block.iter().filter_map(|s| match &s.sample.value {
            Some(Value::Float(float)) => decimal(*float).map(|(_, decimals)| decimals),
            _ => None,
        });
        let places = decimals.max().unwrap_or(0);
        for TagSample { tag, sample } in block {
            columns.tags.push(u64::from(tag.0 - *before));
            *before = tag.0;
            columns.source_times.push((sample.source_time.0 / unit).wrapping_sub(least).cast_unsigned());
            columns.received.push(sample.server_time.0.wrapping_sub(received).cast_unsigned());
            columns.qualities.push(quality_code(sample.quality).into());
            let kind = columns.put_value(sample.value.as_ref(), places);
            columns.kinds.push(kind.into());
        }
        columns
    }

    fn put_value(&mut self, value: Option<&Value>, places: u8) -> u8 {
        match value {
            None => NONE,
            Some(Value::Bool(false)) => FALSE,
            Some(Value::Bool(true)) => TRUE,
            Some(Value::Int(int)) => {
                self.ints.push(folded(*int));
                INT
            }
            Some(Value::Float(float)) => {
                if let Some((digits, decimals)) = decimal(*float) {
                    self.decimals.push(folded(digits * 10i64.pow((places - decimals).into())));
                    DECIMAL + places
                } else if f64::from(*float as f32).to_bits() == float.to_bits() {
                    self.floats4.push((*float as f32).to_bits().into());
                    FLOAT4
                } else {
                    self.floats8.push(float.to_bits());
                    FLOAT8
                }
            }
            Some(Value::Text(_)) => TEXT,
        }
    }

    fn all(&self) -> [&[u64]; 9] {
        let Self { tags, qualities, kinds, source_times, received, ints, decimals, floats4, floats8 } = self;
        [tags, qualities, kinds, source_times, received, ints, decimals, floats4, floats8]
    }

    fn read(reader: &mut Reader, rows: usize) -> Option<Self> {
        let (tags, qualities, kinds) =
            (get_column(reader, rows)?, get_column(reader, rows)?, get_column(reader, rows)?);
        let (source_times, received) = (get_column(reader, rows)?, get_column(reader, rows)?);
        let of = |kind: u8| kinds.iter().filter(|code| **code == u64::from(kind)).count();
        let decimals = kinds.iter().filter(|code| **code >= u64::from(DECIMAL)).count();
        let (ints, floats4, floats8) = (of(INT), of(FLOAT4), of(FLOAT8));
        Some(Self {
            ints: get_column(reader, ints)?,
            decimals: get_column(reader, decimals)?,
            floats4: get_column(reader, floats4)?,
            floats8: get_column(reader, floats8)?,
            tags,
            qualities,
            kinds,
            source_times,
            received,
        })
    }

    /// The samples in them; texts are taken off `bytes`.
    fn rows(
        self,
        (before, bytes): (&mut u32, &mut &[u8]),
        (unit, least, received): (i64, i64, i64),
        samples: &mut Vec<TagSample>,
    ) -> Option<()> {
        let (mut ints, mut decimals) = (self.ints.into_iter(), self.decimals.into_iter());
        let (mut floats4, mut floats8) = (self.floats4.into_iter(), self.floats8.into_iter());
        for row in 0..self.tags.len() {
            *before = before.checked_add(u32::try_from(self.tags[row]).ok()?)?;
            let value = match u8::try_from(self.kinds[row]).ok()? {
                NONE => None,
                FALSE => Some(Value::Bool(false)),
                TRUE => Some(Value::Bool(true)),
                INT => Some(Value::Int(unfolded(ints.next()?))),
                FLOAT4 => Some(Value::Float(f32::from_bits(u32::try_from(floats4.next()?).ok()?).into())),
                FLOAT8 => Some(Value::Float(f64::from_bits(floats8.next()?))),
                TEXT => Some(Value::Text(text(bytes)?)),
                kind => {
                    let power = POWERS.get(usize::from(kind - DECIMAL))?;
                    Some(Value::Float(unfolded(decimals.next()?) as f64 / power))
                }
            };
            let source_time = least.wrapping_add(self.source_times[row].cast_signed()).wrapping_mul(unit);
            let server_time = Timestamp(received.wrapping_add(self.received[row].cast_signed()));
            let quality = quality_of(u8::try_from(self.qualities[row]).ok()?)?;
            let source_time = Timestamp(source_time);
            samples
                .push(TagSample { tag: TagId(*before), sample: Sample { value, quality, source_time, server_time } });
        }
        Some(())
    }
}

fn text(bytes: &mut &[u8]) -> Option<String> {
    let length = usize::try_from(get(bytes)?).ok().filter(|n| *n <= gemba_twin::limits::TEXT_BYTES)?;
    let (text, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(std::str::from_utf8(text).ok()?.to_owned())
}

fn put_column(writer: &mut Writer, values: &[u64]) {
    // An empty one has no width either: everybody knows how many there are.
    let Some(least) = values.iter().min().copied() else { return };
    let most = values.iter().max().copied().unwrap_or(0);
    let (width, length) = (64 - (most - least).leading_zeros(), 64 - least.leading_zeros());
    writer.bits(7, width);
    writer.bits(7, length);
    put_bits(writer, length, least);
    let different = few_different(values);
    let choice = different.len().next_power_of_two().ilog2();
    let chosen = 4 + different.len() * width as usize + values.len() * choice as usize;
    let is_chosen = !different.is_empty() && chosen < values.len() * width as usize;
    writer.flag(is_chosen);
    if !is_chosen {
        return values.iter().for_each(|value| put_bits(writer, width, value - least));
    }
    writer.bits(4, different.len() as u32 - 1);
    different.iter().for_each(|value| put_bits(writer, width, value - least));
    for value in values {
        let which = different.iter().position(|other| other == value).unwrap_or(0);
        writer.bits(choice, which as u32);
    }
}

/// The different ones among the values; none if they are more than [`CHOICES`].
fn few_different(values: &[u64]) -> Vec<u64> {
    let mut different: Vec<u64> = Vec::with_capacity(CHOICES);
    for value in values {
        if different.contains(value) {
            continue;
        }
        if different.len() == CHOICES {
            return Vec::new();
        }
        different.push(*value);
    }
    different
}

fn get_column(reader: &mut Reader, count: usize) -> Option<Vec<u64>> {
    if count == 0 {
        return Some(Vec::new());
    }
    let (width, length) = (reader.bits(7, 0), reader.bits(7, 0));
    if width > 64 || length > 64 {
        return None;
    }
    let least = get_bits(reader, length);
    let value = |reader: &mut Reader| least.checked_add(get_bits(reader, width));
    let column: Option<Vec<u64>> = if reader.flag(false) {
        let choices = reader.bits(4, 0) as usize + 1;
        let different = (0..choices).map(|_| value(reader)).collect::<Option<Vec<u64>>>()?;
        let choice = choices.next_power_of_two().ilog2();
        (0..count).map(|_| different.get(reader.bits(choice, 0) as usize).copied()).collect()
    } else {
        (0..count).map(|_| value(reader)).collect()
    };
    column.filter(|_| !reader.is_broken())
}

fn put_bits(writer: &mut Writer, width: u32, value: u64) {
    if width > 32 {
        writer.bits(width - 32, (value >> 32) as u32);
    }
    writer.bits(width.min(32), value as u32);
}

fn get_bits(reader: &mut Reader, width: u32) -> u64 {
    let high = if width > 32 { reader.bits(width - 32, 0) } else { 0 };
    u64::from(high) << 32 | u64::from(reader.bits(width.min(32), 0))
}

fn folded(int: i64) -> u64 {
    ((int << 1) ^ (int >> 63)).cast_unsigned()
}

fn unfolded(folded: u64) -> i64 {
    (folded >> 1).cast_signed() ^ -(folded & 1).cast_signed()
}

/// The digits of a float that is a decimal number with few of them, and how many stand behind the point. The division
/// that reads it again is exact in all bits, since IEEE 754 rounds it as it rounds the number that a person wrote.
fn decimal(float: f64) -> Option<(i64, u8)> {
    POWERS.iter().zip(0..).find_map(|(power, decimals)| {
        let digits = (float * power).round_ties_even();
        let is_it = digits.abs() < MOST_DIGITS && ((digits as i64) as f64 / power).to_bits() == float.to_bits();
        is_it.then_some((digits as i64, decimals))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use gemba_twin::sample::Quality;
    use proptest::prelude::*;

    fn value() -> impl Strategy<Value = Option<Value>> {
        prop_oneof![
            Just(None),
            any::<bool>().prop_map(|b| Some(Value::Bool(b))),
            any::<i64>().prop_map(|i| Some(Value::Int(i))),
            any::<f64>().prop_filter("equal to itself", |f| !f.is_nan()).prop_map(|f| Some(Value::Float(f))),
            any::<f32>().prop_filter("equal to itself", |f| !f.is_nan()).prop_map(|f| Some(Value::Float(f.into()))),
            (-100_000i32..100_000).prop_map(|n| Some(Value::Float(f64::from(n) / 1000.0))),
            "[a-zäöü]{0,12}".prop_map(|t| Some(Value::Text(t))),
        ]
    }

    fn sample() -> impl Strategy<Value = TagSample> {
        let quality = prop_oneof![Just(Quality::Good), Just(Quality::Uncertain), Just(Quality::Bad)];
        let time = prop_oneof![any::<i64>(), (0i64..100_000).prop_map(|millis| 1_790_000_000_000_000 + millis * 1000)];
        (0u32..1_000_000, value(), quality, time, any::<i64>()).prop_map(|(tag, value, quality, a, b)| {
            let sample = Sample { value, quality, source_time: Timestamp(a), server_time: Timestamp(b) };
            TagSample { tag: TagId(tag), sample }
        })
    }

    fn by_tag(mut samples: Vec<TagSample>) -> Vec<TagSample> {
        samples.sort_by_key(|s| s.tag);
        samples
    }

    proptest! {
        #[test]
        fn a_batch_comes_back_as_it_was(samples in proptest::collection::vec(sample(), 0..300)) {
            let samples = by_tag(samples);
            prop_assert_eq!(decode(&encode(&samples)), Ok(Frame::Samples(samples)));
        }

        #[test]
        fn a_batch_of_before_is_read_too(samples in proptest::collection::vec(sample(), 0..60)) {
            let samples = by_tag(samples);
            prop_assert_eq!(decode(&super::super::encode(&samples)), Ok(Frame::Samples(samples)));
        }

        #[test]
        fn windows_come_back_as_they_were(samples in proptest::collection::btree_map(0u32..500, sample(), 0..40)) {
            let windows: Vec<TagWindow> = samples
                .into_iter()
                .map(|(tag, sample)| {
                    let mut window = TagWindow::of(&TagSample { tag: TagId(tag), ..sample.clone() });
                    window.add(TagWindow::of(&TagSample { tag: TagId(tag), ..sample }));
                    window
                })
                .filter(|window| [window.lowest, window.mean, window.highest].iter().all(|n| n.is_finite()))
                .collect();
            prop_assert_eq!(decode(&encode_windows(&windows)), Ok(Frame::Windows(windows)));
        }

        #[test]
        fn no_bytes_make_the_decoder_panic(kind in 0u8..3, bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&[&[PACKED, kind], &bytes[..]].concat());
        }

        #[test]
        fn a_truncated_batch_is_refused(samples in proptest::collection::vec(sample(), 1..20), cut in 1usize..40) {
            let bytes = encode(&samples);
            prop_assert!(decode(&bytes[..bytes.len().saturating_sub(cut).max(2)]).is_err());
        }

        #[test]
        fn any_batch_keeps_to_the_size_it_was_planned_for(samples in proptest::collection::vec(sample(), 1..200)) {
            for batch in super::super::batches(samples) {
                let text = |s: &TagSample| matches!(&s.sample.value, Some(Value::Text(t)) if !t.is_empty());
                let texts: usize = batch.iter().filter(|s| text(s)).count() * 64;
                prop_assert!(encode(&batch).len() <= 128 + batch.len() * 36 + texts);
            }
        }
    }

    #[test]
    fn the_bytes_of_a_packed_batch_stay_as_they_are() {
        let at = |tag, value, millis: i64| {
            let (source_time, server_time) = (Timestamp(millis * 1000), Timestamp(5_007));
            TagSample { tag: TagId(tag), sample: Sample { value, quality: Quality::Good, source_time, server_time } }
        };
        let samples = vec![
            at(1, Some(Value::Float(21.5)), 4),
            at(2, Some(Value::Float(0.1f32.into())), 5),
            at(3, Some(Value::Text("on".to_owned())), 5),
            at(9, Some(Value::Int(-3)), 5),
        ];
        let hex: String = encode(&samples).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "00000401089e4e060600500000c16a580200e0000003a00275c007bdcccccd00026f6e");
        assert_eq!(decode(&encode(&samples)), Ok(Frame::Samples(samples)));
    }

    #[test]
    fn a_plant_that_is_read_together_takes_few_bytes_a_sample() {
        let at = |tag: u32, value| {
            let (source_time, server_time) = (Timestamp(1_790_000_000_123_000), Timestamp(1_790_000_000_130_456));
            TagSample { tag: TagId(tag), sample: Sample { value, quality: Quality::Good, source_time, server_time } }
        };
        let noise = |n: u32| f64::from(n.wrapping_mul(2_654_435_761)) / f64::from(u32::MAX);
        let bytes = |value: &dyn Fn(u32) -> f64| {
            let samples: Vec<TagSample> = (0..5_000).map(|n| at(n, Some(Value::Float(value(n))))).collect();
            encode(&samples).len() as f64 / 5_000.0
        };
        let decimals = bytes(&|n| (noise(n) * 10_000.0).round() / 100.0);
        assert!(decimals <= 2.2, "{decimals}");
        let floats = bytes(&|n| f64::from((20.0 + noise(n)) as f32));
        assert!(floats <= 3.0, "{floats}");
    }

    #[test]
    fn a_batch_that_claims_more_than_it_holds_allocates_nothing() {
        let mut bytes = vec![PACKED, SAMPLES];
        put(u64::MAX, &mut bytes);
        assert_eq!(decode(&bytes), Err(DamagedBatch));
        let mut bytes = vec![PACKED, WINDOWS];
        put(limits::BATCH_WINDOWS as u64, &mut bytes);
        assert_eq!(decode(&bytes), Err(DamagedBatch));
    }
}
