//! A segment as a Parquet file: how rows become columns, and back. Only bytes whose hash has been checked are read here.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use arrow_array::builder::{Float64Builder, Int32Builder, Int64Builder, StringBuilder, TimestampMicrosecondBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, DictionaryArray, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use gemba_twin::sample::{Quality, Sample, Timestamp, Value, ValueKind};
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMask, KeyValue, PageIndexPolicy, SortingColumn};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::file::reader::ChunkReader;
use parquet::schema::types::ColumnPath;

use super::open_segment::{OpenSegment, Row, StartTable};
use crate::limits;

/// Columns by place, in the order of the file.
const TAG: usize = 0;
const DEVICE: usize = 7;
const COLUMNS: usize = 9;

const QUALITIES: [Quality; 3] = [Quality::Good, Quality::Uncertain, Quality::Bad];
const KINDS: [(ValueKind, &str); 4] =
    [(ValueKind::Bool, "bool"), (ValueKind::Int, "int"), (ValueKind::Float, "float"), (ValueKind::Text, "text")];

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let dictionary = || DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let time = || DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    Arc::new(Schema::new(vec![
        Field::new("tag", dictionary(), false),
        Field::new("source_time", time(), false),
        Field::new("server_time", time(), false),
        Field::new("value", DataType::Float64, true),
        Field::new("quality", dictionary(), false),
        Field::new("integer", DataType::Int64, true),
        Field::new("text", DataType::Utf8, true),
        Field::new("device", dictionary(), true),
        Field::new("kind", dictionary(), true),
    ]))
});

/// The closed segment as a Parquet file.
pub(super) fn encode(segment: &OpenSegment) -> Result<Vec<u8>, ParquetError> {
    let runs = segment.runs();
    let tags = StringArray::from_iter_values(runs.iter().map(|run| &*run.path));
    let devices = StringArray::from_iter_values(segment.devices.iter().map(|device| device.to_string()));
    let span = [("gemba.segment", segment.number as i64), ("gemba.from", segment.from.0), ("gemba.to", segment.to.0)];
    let mut sheet = Sheet::new(tags, devices, &span)?;
    for (tag, run) in runs.iter().enumerate() {
        for row in run.sorted().iter() {
            let value = segment.value(row);
            sheet.push(tag, row, value.as_ref())?;
        }
    }
    sheet.finish()
}

/// What was in force at the start of a segment, as a Parquet file of the same columns; the device is left out.
pub(super) fn encode_start(start: &StartTable) -> Result<Vec<u8>, ParquetError> {
    let mut known: Vec<_> = start.iter().collect();
    known.sort_by_key(|(path, _)| *path);
    let tags = StringArray::from_iter_values(known.iter().map(|(path, _)| &***path));
    let mut sheet = Sheet::new(tags, StringArray::from_iter_values::<&str, _>([]), &[])?;
    for (tag, (_, sample)) in known.iter().enumerate() {
        let times = (sample.source_time.0, sample.server_time.0);
        sheet.push_parts(tag, times, sample.quality, None, sample.value.as_ref())?;
    }
    sheet.finish()
}

/// Columns under construction; whole batches go to the writer.
struct Sheet {
    writer: ArrowWriter<Vec<u8>>,
    dictionaries: [ArrayRef; 4],
    tag: Int32Builder,
    source_time: TimestampMicrosecondBuilder,
    server_time: TimestampMicrosecondBuilder,
    value: Float64Builder,
    quality: Int32Builder,
    integer: Int64Builder,
    text: StringBuilder,
    device: Int32Builder,
    kind: Int32Builder,
    rows: usize,
}

impl Sheet {
    fn new(tags: StringArray, devices: StringArray, about: &[(&str, i64)]) -> Result<Self, ParquetError> {
        let about = about.iter().map(|(key, value)| KeyValue::new((*key).to_owned(), value.to_string())).collect();
        let writer = ArrowWriter::try_new(Vec::new(), SCHEMA.clone(), Some(properties(about)))?;
        let qualities = StringArray::from_iter_values(QUALITIES.map(Quality::label));
        let kinds = StringArray::from_iter_values(KINDS.map(|(_, name)| name));
        Ok(Self {
            writer,
            dictionaries: [Arc::new(tags), Arc::new(qualities), Arc::new(devices), Arc::new(kinds)],
            tag: Int32Builder::new(),
            source_time: TimestampMicrosecondBuilder::new().with_timezone("UTC"),
            server_time: TimestampMicrosecondBuilder::new().with_timezone("UTC"),
            value: Float64Builder::new(),
            quality: Int32Builder::new(),
            integer: Int64Builder::new(),
            text: StringBuilder::new(),
            device: Int32Builder::new(),
            kind: Int32Builder::new(),
            rows: 0,
        })
    }

    fn push(&mut self, tag: usize, row: &Row, value: Option<&Value>) -> Result<(), ParquetError> {
        let times = (row.source_time, row.server_time);
        self.push_parts(tag, times, row.quality, Some(row.device as i32), value)
    }

    fn push_parts(
        &mut self,
        tag: usize,
        (source_time, server_time): (i64, i64),
        quality: Quality,
        device: Option<i32>,
        value: Option<&Value>,
    ) -> Result<(), ParquetError> {
        self.tag.append_value(tag as i32);
        self.source_time.append_value(source_time);
        self.server_time.append_value(server_time);
        self.quality.append_value(quality as i32);
        self.device.append_option(device);
        self.kind.append_option(value.map(|value| value.kind() as i32));
        let (mut number, mut integer, mut text) = (None, None, None);
        match value {
            None => {}
            Some(Value::Bool(b)) => number = Some(f64::from(u8::from(*b))),
            Some(Value::Int(i)) => {
                number = Some(*i as f64);
                integer = (*i as f64 as i128 != i128::from(*i)).then_some(*i);
            }
            Some(Value::Float(f)) => number = Some(*f),
            Some(Value::Text(held)) => text = Some(held),
        }
        self.value.append_option(number);
        self.integer.append_option(integer);
        self.text.append_option(text);
        self.rows += 1;
        if self.rows == limits::BATCH_ROWS { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), ParquetError> {
        let dictionary = |keys: &mut Int32Builder, place: usize| -> Result<ArrayRef, ParquetError> {
            let values = self.dictionaries[place].clone();
            Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(keys.finish(), values)?))
        };
        let columns: [ArrayRef; COLUMNS] = [
            dictionary(&mut self.tag, 0)?,
            Arc::new(self.source_time.finish()),
            Arc::new(self.server_time.finish()),
            Arc::new(self.value.finish()),
            dictionary(&mut self.quality, 1)?,
            Arc::new(self.integer.finish()),
            Arc::new(self.text.finish()),
            dictionary(&mut self.device, 2)?,
            dictionary(&mut self.kind, 3)?,
        ];
        self.rows = 0;
        self.writer.write(&RecordBatch::try_new(SCHEMA.clone(), columns.into())?)
    }

    fn finish(mut self) -> Result<Vec<u8>, ParquetError> {
        if self.rows > 0 {
            self.flush()?;
        }
        self.writer.into_inner()
    }
}

fn properties(about: Vec<KeyValue>) -> WriterProperties {
    let column = |name: &str| ColumnPath::from(name);
    let zstd = Compression::ZSTD(ZstdLevel::try_new(limits::ZSTD_LEVEL).expect("the limit is a level zstd has"));
    let mut properties = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_created_by("gemba".to_owned())
        .set_compression(zstd)
        .set_max_row_group_row_count(Some(limits::ROW_GROUP_ROWS))
        .set_data_page_row_count_limit(limits::PAGE_ROWS)
        .set_dictionary_page_size_limit(limits::DICTIONARY_BYTES)
        .set_column_index_truncate_length(None)
        .set_statistics_truncate_length(None)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_column_statistics_enabled(column("tag"), EnabledStatistics::Page)
        .set_column_statistics_enabled(column("source_time"), EnabledStatistics::Page)
        .set_column_statistics_enabled(column("text"), EnabledStatistics::None)
        .set_key_value_metadata(Some(about))
        .set_sorting_columns(Some(
            [0, 1].map(|column_idx| SortingColumn { column_idx, descending: false, nulls_first: false }).to_vec(),
        ));
    // Measured on the simulator's data, bytes a sample: source times 0.36 as differences (1.42 with a dictionary), server
    // times 1.26 plain (2.63 as differences, since they jitter; but every tag has the same ones, which zstd finds), values
    // 0.76 plain (0.89 with a dictionary, 1.03 with their bytes split).
    for name in ["source_time", "server_time", "value"] {
        properties = properties.set_column_dictionary_enabled(column(name), false);
    }
    properties = properties.set_column_encoding(column("source_time"), Encoding::DELTA_BINARY_PACKED);
    properties.build()
}

/// A segment's file, open for reading.
pub(super) struct SegmentFile<R> {
    reader: R,
    metadata: ArrowReaderMetadata,
}

/// What is read of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Columns {
    /// All, for proof.
    All,
    /// All but the device.
    Samples,
}

/// Whose rows lie where in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RunAt {
    pub(super) path: Arc<str>,
    pub(super) rows: Range<usize>,
}

impl<R: ChunkReader + Clone + 'static> SegmentFile<R> {
    /// Reads the footer and where the pages lie.
    pub(super) fn open(reader: R) -> Result<Self, ParquetError> {
        let options = ArrowReaderOptions::new()
            .with_skip_arrow_metadata(true)
            .with_schema(SCHEMA.clone())
            .with_column_index_policy(PageIndexPolicy::Optional)
            .with_column_index_mask(ColumnChunkMask::columns([TAG]))
            .with_offset_index_policy(PageIndexPolicy::Optional);
        let metadata = ArrowReaderMetadata::load(&reader, options)?;
        Ok(Self { reader, metadata })
    }

    /// Every tag's rows, by path; with `paths`, which are sorted, at least theirs.
    pub(super) fn runs(&self, paths: Option<&[&str]>) -> Result<Vec<RunAt>, ParquetError> {
        let ranges = self.pages_with(paths);
        let selection = RowSelection::from_consecutive_ranges(ranges.iter().cloned(), self.rows()?);
        let mut ranges = ranges.into_iter();
        let mut left = ranges.next().unwrap_or(0..0);
        let mut runs: Vec<RunAt> = Vec::new();
        for batch in self.builder(&[TAG]).with_row_selection(selection).build()? {
            let batch = batch?;
            let (keys, values) = words(batch.column(0))?;
            for same in keys.chunk_by(|a, b| a == b) {
                let path = word(values, same[0])?;
                let mut count = same.len();
                while count > 0 {
                    if left.is_empty() {
                        left = ranges.next().ok_or_else(|| damaged("tag"))?;
                    }
                    let rows = left.start..left.end.min(left.start + count);
                    (left.start, count) = (rows.end, count - rows.len());
                    match runs.last_mut() {
                        Some(last) if *last.path == *path && last.rows.end == rows.start => last.rows.end = rows.end,
                        _ => runs.push(RunAt { path: path.into(), rows }),
                    }
                }
            }
        }
        Ok(runs)
    }

    /// Rows of the pages that may hold one of these tags, from the file's page index; without that, all.
    fn pages_with(&self, paths: Option<&[&str]>) -> Vec<Range<usize>> {
        let metadata = self.metadata.metadata();
        let mut ranges: Vec<Range<usize>> = Vec::new();
        let mut first = 0;
        for (i, group) in metadata.row_groups().iter().enumerate() {
            let end = first + usize::try_from(group.num_rows()).unwrap_or(0);
            let index = metadata.page_index_for_row_group(i);
            match (paths, index.column_index(TAG), index.page_locations(TAG)) {
                (Some(paths), Some(ColumnIndexMetaData::BYTE_ARRAY(tags)), Some(pages))
                    if tags.num_pages() == pages.len() as u64 =>
                {
                    let start = |page: usize| pages.get(page).map_or(end, |page| first + page.first_row_index as usize);
                    let held = (0..pages.len()).filter(|page| {
                        let (Some(low), Some(high)) = (tags.min_value(*page), tags.max_value(*page)) else {
                            return true;
                        };
                        let next = paths.partition_point(|path| path.as_bytes() < low);
                        paths.get(next).is_some_and(|path| path.as_bytes() <= high)
                    });
                    ranges.extend(held.map(|page| start(page)..start(page + 1)));
                }
                _ => ranges.push(first..end),
            }
            first = end;
        }
        ranges.retain(|range| !range.is_empty());
        ranges
    }

    fn rows(&self) -> Result<usize, ParquetError> {
        usize::try_from(self.metadata.metadata().file_metadata().num_rows()).map_err(|_| damaged("tag"))
    }

    /// Reads these rows, in order and a batch at a time; `take` gets the place of a batch's first row among them.
    pub(super) fn read(
        &self,
        rows: &[Range<usize>],
        columns: Columns,
        mut take: impl FnMut(usize, &RowBatch) -> Result<(), ParquetError>,
    ) -> Result<(), ParquetError> {
        let columns: Vec<usize> = (1..COLUMNS).filter(|c| columns == Columns::All || *c != DEVICE).collect();
        let selection = RowSelection::from_consecutive_ranges(rows.iter().cloned(), self.rows()?);
        let mut at = 0;
        for batch in self.builder(&columns).with_row_selection(selection).build()? {
            let batch = batch?;
            take(at, &RowBatch::new(&batch)?)?;
            at += batch.num_rows();
        }
        Ok(())
    }

    fn builder(&self, columns: &[usize]) -> ParquetRecordBatchReaderBuilder<R> {
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(self.reader.clone(), self.metadata.clone());
        let mask = ProjectionMask::roots(builder.parquet_schema(), columns.iter().copied());
        builder.with_projection(mask).with_batch_size(limits::BATCH_ROWS)
    }
}

/// Some rows of a file, with typed columns.
pub(super) struct RowBatch<'a> {
    pub(super) source_time: &'a [i64],
    pub(super) server_time: &'a [i64],
    value: &'a arrow_array::Float64Array,
    integer: &'a arrow_array::Int64Array,
    text: &'a StringArray,
    quality: (&'a [i32], Vec<Option<Quality>>),
    kind: (&'a DictionaryArray<Int32Type>, Vec<Option<ValueKind>>),
    device: Option<(&'a DictionaryArray<Int32Type>, &'a StringArray)>,
}

impl<'a> RowBatch<'a> {
    fn new(batch: &'a RecordBatch) -> Result<Self, ParquetError> {
        let column = |name: &str| batch.column_by_name(name).ok_or_else(|| damaged(name));
        let time = |name: &str| -> Result<&'a [i64], ParquetError> {
            let times = column(name)?.as_primitive_opt::<TimestampMicrosecondType>();
            Ok(times.ok_or_else(|| damaged(name))?.values())
        };
        let (qualities, labels) = words(column("quality")?)?;
        let quality_of = |label: &str| QUALITIES.into_iter().find(|quality| quality.label() == label);
        let kind_of = |label: &str| KINDS.into_iter().find(|(_, name)| *name == label).map(|(kind, _)| kind);
        let kinds = dictionary(column("kind")?)?;
        let device = match batch.column_by_name("device") {
            Some(column) => {
                let devices = dictionary(column)?;
                Some((devices, strings(devices)?))
            }
            None => None,
        };
        Ok(Self {
            source_time: time("source_time")?,
            server_time: time("server_time")?,
            value: column("value")?.as_primitive_opt::<Float64Type>().ok_or_else(|| damaged("value"))?,
            integer: column("integer")?.as_primitive_opt::<Int64Type>().ok_or_else(|| damaged("integer"))?,
            text: column("text")?.as_string_opt::<i32>().ok_or_else(|| damaged("text"))?,
            quality: (qualities, meanings(labels, quality_of)),
            kind: (kinds, meanings(strings(kinds)?, kind_of)),
            device,
        })
    }

    /// The sample of row `i`.
    pub(super) fn sample(&self, i: usize) -> Result<Sample, ParquetError> {
        Ok(Sample {
            value: self.value(i)?,
            quality: known(&self.quality.1, self.quality.0[i])?,
            source_time: Timestamp(self.source_time[i]),
            server_time: Timestamp(self.server_time[i]),
        })
    }

    /// The key of the device that row `i` came from, as text.
    pub(super) fn device(&self, i: usize) -> Result<&str, ParquetError> {
        let (devices, keys) = self.device.ok_or_else(|| damaged("device"))?;
        if devices.is_null(i) {
            return Err(damaged("device"));
        }
        word(keys, devices.keys().value(i))
    }

    fn value(&self, i: usize) -> Result<Option<Value>, ParquetError> {
        if self.kind.0.is_null(i) {
            return Ok(None);
        }
        let number = || if self.value.is_null(i) { Err(damaged("value")) } else { Ok(self.value.value(i)) };
        Ok(Some(match known(&self.kind.1, self.kind.0.keys().value(i))? {
            ValueKind::Bool => Value::Bool(number()? != 0.0),
            ValueKind::Int if self.integer.is_valid(i) => Value::Int(self.integer.value(i)),
            ValueKind::Int => Value::Int(number()? as i64),
            ValueKind::Float => Value::Float(number()?),
            ValueKind::Text if self.text.is_null(i) => return Err(damaged("text")),
            ValueKind::Text => Value::Text(self.text.value(i).to_owned()),
        }))
    }
}

/// The start table in these bytes, whose hash has been checked.
pub(super) fn decode_start(bytes: Vec<u8>) -> Result<StartTable, ParquetError> {
    let file = SegmentFile::open(bytes::Bytes::from(bytes))?;
    let runs = file.runs(None)?;
    let mut table = HashMap::with_capacity(runs.len());
    let ranges: Vec<_> = runs.iter().map(|run| run.rows.clone()).collect();
    file.read(&ranges, Columns::Samples, |place, batch| {
        for i in 0..batch.source_time.len() {
            // One row a tag, so that the place of a row is that of its run.
            let run = runs.get(place + i).ok_or_else(|| damaged("tag"))?;
            table.insert(run.path.clone(), batch.sample(i)?);
        }
        Ok(())
    })?;
    Ok(table)
}

/// What a key stands for; keys are not to be trusted more than the file.
fn known<T: Copy>(meanings: &[Option<T>], key: i32) -> Result<T, ParquetError> {
    let known = usize::try_from(key).ok().and_then(|key| meanings.get(key).copied().flatten());
    known.ok_or_else(|| damaged("dictionary"))
}

fn word(words: &StringArray, key: i32) -> Result<&str, ParquetError> {
    let key = usize::try_from(key).ok().filter(|key| *key < words.len() && words.is_valid(*key));
    Ok(words.value(key.ok_or_else(|| damaged("dictionary"))?))
}

/// What the words of a dictionary mean; a reader may give it words that no row has, even none at all.
fn meanings<T>(labels: &StringArray, of: impl Fn(&str) -> Option<T>) -> Vec<Option<T>> {
    labels.iter().map(|label| label.and_then(&of)).collect()
}

fn dictionary(column: &ArrayRef) -> Result<&DictionaryArray<Int32Type>, ParquetError> {
    column.as_dictionary_opt::<Int32Type>().ok_or_else(|| damaged("dictionary"))
}

fn strings(column: &DictionaryArray<Int32Type>) -> Result<&StringArray, ParquetError> {
    column.values().as_string_opt::<i32>().ok_or_else(|| damaged("dictionary"))
}

/// Keys and values of a dictionary column without nulls.
fn words(column: &ArrayRef) -> Result<(&[i32], &StringArray), ParquetError> {
    let column = dictionary(column)?;
    if column.null_count() > 0 {
        return Err(damaged("dictionary"));
    }
    Ok((column.keys().values(), strings(column)?))
}

/// Runs something that reads a file. The parquet crate asserts what a forged file need not keep (negative lengths, pages
/// shorter than they say): here that ends as an error and not with the host.
pub(super) fn guarded<T>(read: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, ParquetError> {
    let contradicts = |_| Err(ParquetError::General("its pages contradict each other".into()));
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(read)).unwrap_or_else(contradicts)
}

pub(super) fn damaged(column: &str) -> ParquetError {
    ParquetError::General(format!("column {column} is not that of a segment"))
}
