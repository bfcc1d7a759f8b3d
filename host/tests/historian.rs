//! The historian as a host uses it: what goes in comes out, whatever is in between. With directories of its own, and its
//! own clock.
// A test that cannot go on says so by panicking.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use gemba_devices::simulator::Simulator;
use gemba_host::blobs::Blobs;
use gemba_host::historian::{
    Historian, HistorianConfig, HistorianError, HistorianProblem, History, Sealed, Span, Unproven, proof,
    verify_segment,
};
use gemba_net::TagSample;
use gemba_record::merkle::{Tree, leaf_hash};
use gemba_twin::path::TagId;
use gemba_twin::peer::PeerKey;
use gemba_twin::sample::{Quality, Sample, Timestamp, Value};
use proptest::prelude::*;

const BEGAN: i64 = 1_795_248_000_000_000;
const SECOND: i64 = 1_000_000;
const DEVICE: PeerKey = PeerKey([7; 32]);

fn at(secs: f64) -> Timestamp {
    Timestamp(BEGAN + (secs * 1e6) as i64)
}

fn float(tag: u32, secs: f64, value: f64) -> TagSample {
    sample(tag, secs, Some(Value::Float(value)), Quality::Good)
}

fn sample(tag: u32, secs: f64, value: Option<Value>, quality: Quality) -> TagSample {
    let time = at(secs);
    TagSample { tag: TagId(tag), sample: Sample { value, quality, source_time: time, server_time: time } }
}

fn path(tag: u32) -> gemba_twin::path::TagPath {
    format!("Hall1/Line{}/Tank1/Level{tag}", tag % 3).parse().unwrap()
}

/// A historian of 8 tags of two devices.
fn open(dir: &Path, secs: f64) -> Historian {
    open_with(dir, secs, HistorianConfig::default())
}

fn open_with(dir: &Path, secs: f64, config: HistorianConfig) -> Historian {
    let mut historian = Historian::open(&dir.join("history"), blobs(dir), config, at(secs)).unwrap();
    for tag in 0..8 {
        assert!(historian.declare(TagId(tag), &path(tag), if tag < 6 { DEVICE } else { PeerKey([9; 32]) }));
    }
    historian
}

fn blobs(dir: &Path) -> Blobs {
    Blobs::open(dir.join("blobs")).unwrap()
}

fn all(historian: &Historian) -> History {
    historian.recall(None, Timestamp(i64::MIN / 4), Timestamp(i64::MAX / 4), 100_000)
}

/// Everything the historian knows, in bytes that tell NaNs and zeros apart.
fn bytes_of(samples: &[Sample]) -> Vec<Vec<u8>> {
    let of = |sample: &Sample| {
        let mut bytes = Vec::new();
        proof::put_row(sample, &mut bytes);
        bytes
    };
    samples.iter().map(of).collect()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn value() -> impl Strategy<Value = Option<Value>> {
    prop_oneof![
        Just(None),
        any::<bool>().prop_map(|b| Some(Value::Bool(b))),
        any::<i64>().prop_map(|i| Some(Value::Int(i))),
        (-50i64..50).prop_map(|i| Some(Value::Int(i))),
        any::<u64>().prop_map(|bits| Some(Value::Float(f64::from_bits(bits)))),
        prop::sample::select(vec![0.0, -0.0, f64::NAN, f64::INFINITY, 1.5]).prop_map(|f| Some(Value::Float(f))),
        "[a-zäöü\u{0}]{0,12}".prop_map(|t| Some(Value::Text(t))),
    ]
}

fn quality() -> impl Strategy<Value = Quality> {
    prop::sample::select(vec![Quality::Good, Quality::Uncertain, Quality::Bad])
}

/// Samples whose times are anything, but mostly close to each other and often equal.
fn any_sample() -> impl Strategy<Value = TagSample> {
    let time = prop_oneof![8 => (0..40i64).prop_map(|s| BEGAN + s * SECOND), 1 => any::<i64>().prop_map(|t| t / 8)];
    (0u32..8, value(), quality(), time, 0..40i64).prop_map(|(tag, value, quality, source, server)| TagSample {
        tag: TagId(tag),
        sample: Sample {
            value,
            quality,
            source_time: Timestamp(source),
            server_time: Timestamp(BEGAN + server * SECOND),
        },
    })
}

/// Where time travel places a sample, written down a second time.
fn axis(sample: &Sample) -> i64 {
    let late = i128::from(sample.server_time.0) - i128::from(sample.source_time.0);
    let is_plausible = late >= 0 && late <= 24 * 3600 * i128::from(SECOND);
    if is_plausible { sample.source_time.0 } else { sample.server_time.0 }
}

/// The naive historian: a list.
fn model(given: &[TagSample], tag: u32, from: Timestamp, to: Timestamp) -> (Option<&Sample>, Vec<&Sample>) {
    let mut own: Vec<&Sample> = given.iter().filter(|s| s.tag.0 == tag).map(|s| &s.sample).collect();
    own.sort_by_key(|s| axis(s));
    let in_force = own.iter().rev().find(|s| axis(s) <= from.0).copied();
    (in_force, own.into_iter().filter(|s| axis(s) > from.0 && axis(s) <= to.0).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_goes_in_comes_out_and_proves_itself_whatever_the_batches(
        given in prop::collection::vec(any_sample(), 1..120),
        cuts in prop::collection::vec(0usize..120, 0..6),
    ) {
        let mut seals: Vec<Sealed> = Vec::new();
        for cuts in [cuts, Vec::new()] {
            let dir = tempfile::tempdir().unwrap();
            let mut historian = open(dir.path(), 0.0);
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| (*cut).min(given.len())).collect();
            cuts.extend([0, given.len()]);
            cuts.sort_unstable();
            for cut in cuts.windows(2) {
                historian.append(&given[cut[0]..cut[1]], at(0.0)).unwrap();
            }
            let before = all(&historian);
            let sealed = historian.seal(at(50.0)).unwrap().remove(0);
            let after = all(&historian);
            let file = blobs(dir.path()).read(&sealed.blob.0).unwrap().unwrap();
            prop_assert_eq!(verify_segment(&file, sealed.blob, &sealed.devices), Ok(given.len() as u64));
            for (tag, (before, after)) in (0..8).zip(before.tags.iter().zip(&after.tags)) {
                prop_assert_eq!(before.tag, TagId(tag));
                let mut all: Vec<Sample> = after.in_force.iter().cloned().collect();
                all.extend(after.samples.iter().cloned());
                let (_, model) = model(&given, tag, Timestamp(i64::MIN), Timestamp(i64::MAX));
                let mut told = bytes_of(&all);
                let mut expected = bytes_of(&model.into_iter().cloned().collect::<Vec<_>>());
                prop_assert_eq!(bytes_of(&before.samples), bytes_of(&after.samples));
                told.sort();
                expected.sort();
                prop_assert_eq!(told, expected);
            }
            seals.push(sealed);
        }
        prop_assert_eq!(&seals[0], &seals[1], "the batches show in the file");
    }

    #[test]
    fn any_instant_is_recalled_as_by_a_list(
        parts in prop::collection::vec((prop::collection::vec(ordered_sample(), 0..30), 0u8..4), 1..6),
        asked in prop::collection::vec((0..80i64, 0..30i64), 1..12),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut historian = open(dir.path(), 0.0);
        let mut given: Vec<TagSample> = Vec::new();
        for (i, (samples, then)) in parts.iter().enumerate() {
            // Each part ten seconds after the one before; samples come up to fifteen late.
            let now = at(i as f64 * 10.0 + 10.0);
            let samples: Vec<TagSample> = samples.iter().map(|sample| {
                let mut sample = sample.clone();
                sample.sample.source_time.0 += i as i64 * 10 * SECOND;
                sample.sample.server_time = sample.sample.server_time.max(now).min(now.plus_micros(9 * SECOND));
                sample
            }).collect();
            historian.append(&samples, now).unwrap();
            given.extend(samples);
            match then {
                0 => {}
                1 => { historian.seal(now).unwrap(); }
                2 => { historian.sync().unwrap(); drop(historian); historian = open(dir.path(), i as f64 * 10.0 + 10.0); }
                _ => { historian.seal(now).unwrap(); drop(historian); historian = open(dir.path(), i as f64 * 10.0 + 10.0); }
            }
        }
        for (from, length) in asked {
            let (from, to) = (at(from as f64 - 10.0), at((from + length) as f64 - 10.0));
            let history = historian.recall(None, from, to, 1_000);
            prop_assert_eq!(&history.damaged, &[]);
            for (tag, told) in (0..8).zip(&history.tags) {
                let (in_force, samples) = model(&given, tag, from, to);
                prop_assert_eq!(told.in_force.as_ref().map(|s| bytes_of(std::slice::from_ref(s))),
                    in_force.map(|s| bytes_of(std::slice::from_ref(s))), "tag {} at {:?}", tag, from);
                // Samples of one instant may come in any order but by arrival in one segment.
                let mut told = bytes_of(&told.samples);
                let mut expected = bytes_of(&samples.into_iter().cloned().collect::<Vec<_>>());
                told.sort();
                expected.sort();
                prop_assert_eq!(told, expected);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_forged_segment_is_refused_and_the_host_goes_on(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        static SEALED: std::sync::OnceLock<(Vec<u8>, Sealed)> = std::sync::OnceLock::new();
        let (file, sealed) = SEALED.get_or_init(|| {
            let dir = tempfile::tempdir().unwrap();
            let mut historian = open(dir.path(), 0.0);
            let texts = (0..40).map(|i| sample(i % 8, 1.0, Some(Value::Text(format!("recipe {i}"))), Quality::Good));
            let numbers = (0..400).map(|i| float(i % 8, f64::from(i), f64::from(i).sqrt()));
            historian.append(&texts.chain(numbers).collect::<Vec<_>>(), at(400.0)).unwrap();
            let sealed = historian.seal(at(400.0)).unwrap().remove(0);
            (blobs(dir.path()).read(&sealed.blob.0).unwrap().unwrap(), sealed)
        });
        let mut bytes = file.clone();
        for (place, byte) in damage {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        // The forger signs the hash of what they made.
        let told = gemba_net::BlobHash::of(&bytes);
        let verified = verify_segment(&bytes, told, &sealed.devices);
        prop_assert!(verified.is_err() || verified == Ok(sealed.samples));
    }
}

/// A sample whose time no other is likely to have, so that which is the newest is not a matter of arrival.
fn ordered_sample() -> impl Strategy<Value = TagSample> {
    (0u32..8, value(), quality(), -15 * SECOND..10 * SECOND).prop_map(|(tag, value, quality, source)| TagSample {
        tag: TagId(tag),
        sample: Sample { value, quality, source_time: Timestamp(BEGAN + source), server_time: Timestamp(BEGAN) },
    })
}

#[test]
fn a_crash_at_any_byte_of_the_journal_leaves_the_batches_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut historian = open(dir.path(), 0.0);
    historian.append(&[float(1, 0.5, 9.0)], at(0.5)).unwrap();
    historian.seal(at(1.0)).unwrap();
    let journal = dir.path().join("history/journal-1");
    let mut lengths = vec![std::fs::metadata(&journal).unwrap().len()];
    for i in 1..4 {
        let secs = f64::from(i);
        historian.append(&[float(1, secs, secs), float(7, secs, -secs)], at(1.0)).unwrap();
        lengths.push(std::fs::metadata(&journal).unwrap().len());
    }
    let whole = std::fs::read(&journal).unwrap();
    for length in 0..=whole.len() {
        let crashed = tempfile::tempdir().unwrap();
        copy(dir.path(), crashed.path());
        std::fs::write(crashed.path().join("history/journal-1"), &whole[..length]).unwrap();
        let mut historian = open(crashed.path(), 10.0);
        let batches = lengths.iter().filter(|end| **end <= length as u64).count().saturating_sub(1);
        let told = all(&historian).tags[1].samples.len();
        assert_eq!(told, 1 + batches, "after {length} of {} bytes", whole.len());
        let is_torn = historian.take_problems().iter().any(|p| matches!(p, HistorianProblem::TornJournal { .. }));
        let is_mid_batch = length as u64 > lengths[0] && !lengths.contains(&(length as u64));
        assert!(!is_torn || is_mid_batch, "nothing was torn at {length}");
        assert_eq!(historian.seal(at(11.0)).unwrap().len(), usize::from(batches > 0), "at {length}");
    }
}

#[test]
fn a_crash_between_sealing_and_confirming_neither_loses_nor_doubles() {
    let dir = tempfile::tempdir().unwrap();
    let mut historian = open(dir.path(), 0.0);
    historian.append(&[float(1, 1.0, 1.0)], at(1.0)).unwrap();
    let before = tempfile::tempdir().unwrap();
    copy(dir.path(), before.path());
    let sealed = historian.seal(at(1.0)).unwrap();
    drop(historian);
    let mut historian = open(dir.path(), 2.0);
    assert_eq!(historian.unconfirmed(), sealed);
    historian.confirm(&sealed[0]).unwrap();
    historian.confirm(&sealed[0]).unwrap();
    drop(historian);
    let historian = open(dir.path(), 3.0);
    assert_eq!(historian.unconfirmed(), []);
    assert_eq!(all(&historian).tags[1].samples.len(), 1);
}

#[test]
fn a_crash_while_sealing_writes_the_same_file_again() {
    let dir = tempfile::tempdir().unwrap();
    let config = HistorianConfig { segment_length: Duration::from_secs(5), ..HistorianConfig::default() };
    let mut historian = open_with(dir.path(), 0.0, config);
    historian.append(&[float(1, 1.0, 1.0), float(3, 1.0, 2.0)], at(1.0)).unwrap();
    // A folder that is a file: the disk refuses.
    std::fs::remove_dir(dir.path().join("blobs")).unwrap();
    std::fs::write(dir.path().join("blobs"), "").unwrap();
    assert!(matches!(historian.seal(at(6.0)), Err(HistorianError::Disk(_))));
    let copied = tempfile::tempdir().unwrap();
    copy(dir.path(), copied.path());
    for dir in [dir.path(), copied.path()] {
        std::fs::remove_file(dir.join("blobs")).unwrap();
        std::fs::create_dir(dir.join("blobs")).unwrap();
    }
    let sealed = historian.seal(at(7.0)).unwrap();
    assert_eq!(sealed[0].samples, 2);
    assert_eq!(open(copied.path(), 100.0).seal(at(100.0)).unwrap(), sealed);
}

#[test]
fn samples_are_refused_and_not_lost_while_the_disk_takes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut historian = open(dir.path(), 0.0);
    std::fs::remove_dir(dir.path().join("blobs")).unwrap();
    std::fs::write(dir.path().join("blobs"), "").unwrap();
    let batch = vec![float(1, 0.0, 1.0); 1 << 20];
    let (mut taken, mut refused) = (0, None);
    while refused.is_none() {
        match historian.append(&batch, at(1.0)) {
            Ok(()) => taken += batch.len() as u64,
            Err(why) => refused = Some(why),
        }
        assert!(taken < 20 << 20, "memory is not bounded");
    }
    assert_eq!(historian.stats().taken, taken);
    std::fs::remove_file(dir.path().join("blobs")).unwrap();
    std::fs::create_dir(dir.path().join("blobs")).unwrap();
    let sealed = historian.seal(at(20.0)).unwrap();
    assert_eq!(sealed.iter().map(|sealed| sealed.samples).sum::<u64>(), taken);
}

#[test]
fn a_damaged_segment_is_named_and_the_others_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let mut historian = open(dir.path(), 0.0);
    let mut sealed = Vec::new();
    for i in 0..3 {
        let secs = f64::from(i) * 10.0 + 5.0;
        historian.append(&[float(1, secs, secs)], at(secs)).unwrap();
        sealed.extend(historian.seal(at(secs + 5.0)).unwrap());
    }
    drop(historian);
    let file = blobs(dir.path()).path(&sealed[1].blob.0);
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    assert!(matches!(verify_segment(&bytes, sealed[1].blob, &sealed[1].devices), Err(Unproven::OtherBytes { .. })));
    std::fs::remove_file(dir.path().join("history/start-2.parquet")).unwrap();
    let historian = open(dir.path(), 100.0);
    let history = historian.recall(Some(&[TagId(1)]), at(0.0), at(40.0), 100);
    assert_eq!(history.tags[0].samples, [float(1, 5.0, 5.0).sample, float(1, 25.0, 25.0).sample]);
    assert_eq!(history.damaged.iter().map(|d| d.number).collect::<Vec<_>>(), [1]);
    assert_eq!(history.coverage, [span(0.0, 10.0), span(20.0, 30.0)]);
    let later = historian.recall(Some(&[TagId(1)]), at(22.0), at(22.0), 0);
    assert_eq!(later.tags[0].in_force, Some(float(1, 5.0, 5.0).sample), "the last that can be read");
    assert_eq!(later.damaged.iter().map(|d| d.number).collect::<Vec<_>>(), [2, 1]);
}

fn span(from: f64, to: f64) -> Span {
    Span { from: at(from), to: at(to) }
}

#[test]
fn time_with_the_host_down_is_a_gap() {
    let dir = tempfile::tempdir().unwrap();
    let mut historian = open(dir.path(), 0.0);
    historian.append(&[float(1, 1.0, 1.0)], at(1.0)).unwrap();
    historian.poll_seal(at(5.0)).unwrap();
    drop(historian);
    let historian = open(dir.path(), 60.0);
    let history = historian.recall(None, at(0.0), at(60.0), 10);
    assert_eq!(history.coverage, [span(0.0, 5.0), span(60.0, 60.0)]);
    assert_eq!(historian.recall(None, at(30.0), at(40.0), 10).coverage, []);
}

#[test]
fn one_tag_of_a_segment_of_many_pages_is_recalled_whole() {
    let dir = tempfile::tempdir().unwrap();
    let mut historian = open(dir.path(), 0.0);
    let given: Vec<TagSample> =
        (0..200_000).map(|i| float(if i % 1000 == 0 { 5 } else { i % 5 }, f64::from(i) / 1e4, f64::from(i))).collect();
    historian.append(&given, at(20.0)).unwrap();
    historian.seal(at(20.0)).unwrap();
    for tag in 0..6 {
        let history = historian.recall(Some(&[TagId(tag)]), at(-1.0), at(20.0), 200_000);
        let (_, samples) = model(&given, tag, at(-1.0), at(20.0));
        assert!(history.tags[0].samples.iter().eq(samples), "tag {tag}");
    }
}

#[test]
fn a_segment_without_any_value_is_recalled() {
    let dir = tempfile::tempdir().unwrap();
    let mut historian = open(dir.path(), 0.0);
    let given = sample(0, 1.0, None, Quality::Bad);
    historian.append(std::slice::from_ref(&given), at(1.0)).unwrap();
    historian.seal(at(2.0)).unwrap();
    let history = all(&historian);
    assert_eq!((history.damaged.len(), &history.tags[0].samples), (0, &vec![given.sample.clone()]));
    drop(historian);
    let later = open(dir.path(), 3.0).recall(None, at(3.0), at(3.0), 0);
    assert_eq!((later.damaged.len(), later.tags[0].in_force.clone()), (0, Some(given.sample)));
}

#[test]
fn a_quiet_plant_has_history_too() {
    let dir = tempfile::tempdir().unwrap();
    let mut historian = open(dir.path(), 0.0);
    let day = 24.0 * 3600.0;
    historian.poll_seal(at(day / 2.0)).unwrap();
    historian.poll_seal(at(day)).unwrap();
    let sealed = historian.seal(at(day)).unwrap();
    assert_eq!((sealed[0].samples, sealed[0].devices.len()), (0, 0));
    assert_eq!(historian.recall(None, at(0.0), at(day), 10).coverage, [span(0.0, day)]);
    let file = blobs(dir.path()).read(&sealed[0].blob.0).unwrap().unwrap();
    assert_eq!(verify_segment(&file, sealed[0].blob, &[]), Ok(0));
}

#[test]
fn a_clock_set_back_begins_a_segment_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut historian = open(dir.path(), 0.0);
    historian.append(&[float(1, 3600.0, 1.0)], at(3600.0)).unwrap();
    historian.append(&[float(1, 10.0, 2.0)], at(10.0)).unwrap();
    historian.append(&[float(1, 20.0, 3.0)], at(20.0)).unwrap();
    assert_eq!(historian.stats().clock_set_back, 1);
    historian.seal(at(30.0)).unwrap();
    let in_force = |secs| historian.recall(Some(&[TagId(1)]), at(secs), at(secs), 0).tags[0].in_force.clone();
    assert_eq!(in_force(5.0), None);
    assert_eq!(in_force(15.0), Some(float(1, 10.0, 2.0).sample));
    assert_eq!(in_force(25.0), Some(float(1, 20.0, 3.0).sample));
    assert_eq!(in_force(3700.0), Some(float(1, 3600.0, 1.0).sample));
}

#[test]
fn samples_of_a_tag_that_nobody_declared_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let mut historian = open(dir.path(), 0.0);
    historian.append(&[float(99, 1.0, 1.0), float(2, 1.0, 1.0)], at(1.0)).unwrap();
    assert_eq!((historian.stats().undeclared, historian.stats().taken), (1, 1));
    assert!(!historian.declare(TagId(u32::MAX), &path(0), DEVICE));
}

#[test]
fn a_renamed_tag_keeps_its_history() {
    let dir = tempfile::tempdir().unwrap();
    let mut historian = open(dir.path(), 0.0);
    historian.append(&[float(1, 1.0, 1.0)], at(1.0)).unwrap();
    historian.declare(TagId(1), &"Hall2/Moved/Level".parse().unwrap(), DEVICE);
    historian.append(&[float(1, 2.0, 2.0)], at(2.0)).unwrap();
    historian.seal(at(3.0)).unwrap();
    let history = historian.recall(Some(&[TagId(1)]), at(0.0), at(9.0), 10);
    assert_eq!(history.tags[0].samples, [float(1, 1.0, 1.0).sample, float(1, 2.0, 2.0).sample]);
}

#[test]
fn the_oldest_segments_go_when_they_are_old_or_too_large_but_never_unconfirmed() {
    let dir = tempfile::tempdir().unwrap();
    let config = HistorianConfig { keep_age: Some(Duration::from_secs(25)), ..HistorianConfig::default() };
    let mut historian = open_with(dir.path(), 0.0, config);
    let mut sealed = Vec::new();
    for i in 0..3 {
        let secs = f64::from(i) * 10.0 + 5.0;
        historian.append(&[float(1, secs, secs)], at(secs)).unwrap();
        sealed.extend(historian.seal(at(secs)).unwrap());
    }
    assert_eq!(historian.expired(at(1000.0)), [], "the record holds none of them");
    historian.confirm(&sealed[0]).unwrap();
    historian.confirm(&sealed[1]).unwrap();
    assert_eq!(historian.expired(at(31.0)), sealed[..1]);
    assert_eq!(historian.expired(at(1000.0)), sealed[..2]);
    historian.delete(&sealed[0]).unwrap();
    assert!(!blobs(dir.path()).path(&sealed[0].blob.0).exists());
    assert!(matches!(historian.delete(&sealed[0]), Err(HistorianError::Unknown(0))));
    drop(historian);
    let config = HistorianConfig { keep_age: None, keep_bytes: 1, ..config };
    let historian = open_with(dir.path(), 50.0, config);
    assert_eq!(historian.expired(at(50.0)), sealed[1..2]);
    let history = historian.recall(Some(&[TagId(1)]), at(7.0), at(7.0), 0);
    assert_eq!((history.tags[0].in_force.clone(), history.damaged.len()), (Some(float(1, 5.0, 5.0).sample), 0));
}

#[test]
fn a_root_that_was_not_made_of_these_rows_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut historian = open(dir.path(), 0.0);
    historian.append(&[float(1, 1.0, 1.0), float(7, 1.0, 1.0)], at(1.0)).unwrap();
    let sealed = historian.seal(at(1.0)).unwrap().remove(0);
    let file = blobs(dir.path()).read(&sealed.blob.0).unwrap().unwrap();
    let mut roots = sealed.devices.clone();
    assert_eq!(roots.len(), 2);
    roots[1].root[0] ^= 1;
    assert_eq!(verify_segment(&file, sealed.blob, &roots), Err(Unproven::OtherRoot(roots[1].device)));
    assert_eq!(
        verify_segment(&file, sealed.blob, &roots[..1]),
        Err(Unproven::OtherRoot(roots[0].device)).or(Err(Unproven::OtherDevices(roots[1].device)))
    );
    roots[1].device = PeerKey([1; 32]);
    assert_eq!(verify_segment(&file, sealed.blob, &roots), Err(Unproven::OtherDevices(PeerKey([1; 32]))));
}

#[test]
fn canonical_bytes_stay_what_they_were() {
    let rows = [
        sample(0, 0.0, None, Quality::Bad),
        sample(0, 0.0, Some(Value::Bool(true)), Quality::Good),
        sample(0, 0.0, Some(Value::Int(-2)), Quality::Good),
        sample(0, 0.0, Some(Value::Float(1.5)), Quality::Uncertain),
        sample(0, 0.0, Some(Value::Text("é".into())), Quality::Good),
    ];
    let mut bytes = Vec::new();
    rows.iter().for_each(|row| proof::put_row(&row.sample, &mut bytes));
    let run = proof::run_bytes("A/b", rows.len() as u64, &bytes);
    let hex: String = run.iter().map(|b| format!("{b:02x}")).collect();
    let time = "00e052bfc4600600";
    assert_eq!(BEGAN.to_le_bytes().iter().map(|b| format!("{b:02x}")).collect::<String>(), time);
    let expected = [
        "67656d62612072756e20310a03000000412f620500000000000000",
        &format!("{time}{time}0200"),
        &format!("{time}{time}000101"),
        &format!("{time}{time}0002feffffffffffffff"),
        &format!("{time}{time}0103000000000000f83f"),
        &format!("{time}{time}000402000000c3a9"),
    ];
    assert_eq!(hex, expected.concat());
    let mut tree = Tree::default();
    tree.push(leaf_hash(&run));
    assert_ne!(tree.root(), [0; 32]);
}

#[test]
fn pandas_duckdb_and_polars_read_segments_as_they_are() {
    let Some(python) = python() else { return };
    let dir = tempfile::tempdir().unwrap();
    let (sealed, given) = a_plants_segments(dir.path());
    let mut tags: BTreeMap<String, (u64, f64)> = BTreeMap::new();
    for (path, sample) in &given {
        let (count, sum) = tags.entry(path.clone()).or_default();
        *count += 1;
        // Summed exactly: the simulator's values are made even here, and the large integer is a power of two.
        *sum += sample.value.as_ref().and_then(Value::as_number).unwrap_or(0.0);
    }
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let file = |sealed: &Sealed| {
        let roots: BTreeMap<String, String> =
            sealed.devices.iter().map(|d| (d.device.to_string(), hex(&d.root))).collect();
        serde_json::json!({"path": blobs(dir.path()).path(&sealed.blob.0), "samples": sealed.samples, "roots": roots})
    };
    let tags: BTreeMap<_, _> =
        tags.into_iter().map(|(tag, (count, sum))| (tag, serde_json::json!({"count": count, "sum": sum}))).collect();
    let bad = given.iter().filter(|(_, sample)| sample.quality == Quality::Bad).count();
    let files: Vec<_> = sealed.iter().map(file).collect();
    let expected = dir.path().join("expected.json");
    std::fs::write(&expected, serde_json::json!({"files": files, "tags": tags, "bad": bad}).to_string()).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/read_segments.py");
    let output = Command::new(python).arg(script).arg(&expected).output().unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    println!("{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn what_the_manual_shows_analysts_works() {
    let Some(python) = python() else { return };
    let dir = tempfile::tempdir().unwrap();
    let (sealed, _) = a_plants_segments(dir.path());
    let samples: u64 = sealed.iter().map(|sealed| sealed.samples).sum();
    let manual = include_str!("../../docs/history.md");
    let blocks: Vec<&str> = manual.split("```python\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(blocks.len(), 3, "pandas, DuckDB and Polars");
    for block in blocks {
        assert_eq!(block.lines().count(), 3, "{block}");
        let script = block.replace("SITE", dir.path().to_str().unwrap());
        let counted = if block.contains("pandas") {
            ""
        } else {
            "\nprint('rows', len(history.pl()) if 'duckdb' in dir() else history.collect().height)"
        };
        let output = Command::new(&python).args(["-c", &(script + counted)]).output().unwrap();
        let (said, wrong) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && said.lines().count() > 2, "{block}\n{said}{wrong}");
        assert!(counted.is_empty() || said.contains(&format!("rows {samples}")), "all segments are found: {said}");
    }
}

/// The Python with all that analysts use; without it such a test says that it was skipped.
fn python() -> Option<std::path::PathBuf> {
    let python = std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache/gemba/python/bin/python"));
    let has_tools = |python: &std::path::PathBuf| {
        let tried = Command::new(python).args(["-c", "import pandas, pyarrow, duckdb, polars"]).output();
        tried.is_ok_and(|output| output.status.success())
    };
    let python = python.filter(has_tools);
    if python.is_none() {
        println!("skipped: no pandas, pyarrow, duckdb and polars in ~/.cache/gemba/python; ./gemba test installs them");
    }
    python
}

/// Two segments of a minute of a simulated line each, and one tag of each awkward sort.
fn a_plants_segments(dir: &Path) -> (Vec<Sealed>, Vec<(String, Sample)>) {
    let mut historian = Historian::open(&dir.join("history"), blobs(dir), HistorianConfig::default(), at(0.0)).unwrap();
    let mut plant = Simulator::new(1, 3);
    let odd = plant.tags().len() as u32;
    let mut paths: Vec<_> = plant.tags().iter().map(|tag| tag.path.clone()).collect();
    paths.extend(["Odd/Integer", "Odd/Text", "Odd/None"].map(|path| path.parse().unwrap()));
    for (i, path) in paths.iter().enumerate() {
        historian.declare(TagId(i as u32), path, if i % 2 == 0 { DEVICE } else { PeerKey([8; 32]) });
    }
    let (mut sealed, mut given) = (Vec::new(), Vec::new());
    for minute in 0..2 {
        for tick in 0..60 {
            let secs = f64::from(minute * 60 + tick);
            plant.run(1.0);
            let mut batch = vec![
                sample(odd, secs, Some(Value::Int(1 << 60)), Quality::Good),
                sample(odd + 1, secs, Some(Value::Text(format!("recipe {tick}"))), Quality::Uncertain),
                sample(odd + 2, secs, None, Quality::Bad),
            ];
            for (i, reading) in plant.readings().iter().enumerate() {
                let value = match &reading.value {
                    Value::Float(f) => Value::Float((f * 4.0).round() / 4.0),
                    other => other.clone(),
                };
                batch.push(sample(i as u32, secs, Some(value), reading.quality));
            }
            historian.append(&batch, at(secs)).unwrap();
            given.extend(batch.into_iter().map(|s| (paths[s.tag.0 as usize].to_string(), s.sample)));
        }
        sealed.extend(historian.seal(at(f64::from(minute * 60 + 60))).unwrap());
    }
    (sealed, given)
}
