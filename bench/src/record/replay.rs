//! R2: a whole record folded from its bytes on one core, everything verified. The rival does nothing but verify as many
//! Ed25519 signatures of messages as long: what no program that verifies one by one can be quicker than.

use std::path::Path;

use anyhow::Context;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use gemba_host::site_dir::SiteDir;
use gemba_record::log::Log;

use super::Sizes;
use super::plant_log::long_site;
use crate::report::{Row, Runs, timed};

/// Seconds, for the million entries of the full size.
const GOAL: f64 = 30.0;
/// Of the rival's rate.
const SHARE: f64 = 0.8;
/// Messages that the rival verifies over and over: signing a million first would only take longer.
const MESSAGES: usize = 20_000;

/// Measures.
pub fn measure(sizes: &Sizes, work: &Path) -> anyhow::Result<Vec<Row>> {
    let entries = read(work, sizes.replayed)?;
    let signed = sign(&entries[..entries.len().min(MESSAGES)]);
    let (mut ours, mut theirs) = (Runs::default(), Runs::default());
    for run in 0..sizes.runs {
        theirs.push(verify_seconds(&signed, entries.len())?);
        ours.push(replay_seconds(&entries)?);
        eprintln!("gemba bench: R2, run {} of {}", run + 1, sizes.runs);
    }
    let (value, raw) = (ours.median(), theirs.median());
    let bytes = entries.iter().map(Vec::len).sum::<usize>() / entries.len();
    Ok(vec![Row {
        id: "R2".to_owned(),
        what: format!("replay of {} entries of {bytes} B with full verification, one core", entries.len()),
        value,
        unit: "s",
        spread: ours.spread(),
        goal: Some(GOAL),
        pass: Some(value < GOAL && raw / value >= SHARE),
        peers: [("ed25519-dalek verify_strict alone".to_owned(), raw)].into(),
    }])
}

/// The entries of the long site; made anew where they were written by another version of this program.
fn read(work: &Path, count: u64) -> anyhow::Result<Vec<Vec<u8>>> {
    let dir = long_site(work, count)?;
    let site = match SiteDir::open(&dir) {
        Ok(site) => site,
        Err(error) => {
            eprintln!("gemba bench: the kept record cannot be used any more ({error})");
            std::fs::remove_dir_all(&dir)?;
            let dir = long_site(work, count)?;
            SiteDir::open(&dir)?
        }
    };
    let mut entries = Vec::new();
    loop {
        let more = site.read_entries(entries.len() as u64)?;
        if more.is_empty() {
            return Ok(entries);
        }
        entries.extend(more);
    }
}

fn replay_seconds(entries: &[Vec<u8>]) -> anyhow::Result<f64> {
    let bytes = entries.to_vec();
    let (took, replayed) = timed(|| Log::replay(bytes));
    let log = replayed.context("an entry of the benchmark was refused")?;
    assert_eq!(log.entries(), entries.len() as u64, "every entry is new");
    Ok(took.as_secs_f64())
}

fn sign(messages: &[Vec<u8>]) -> Vec<(VerifyingKey, &[u8], Signature)> {
    let keys: Vec<SigningKey> = (1..=8).map(|seed| SigningKey::from_bytes(&[seed; 32])).collect();
    let sign = |(message, key): (&'_ Vec<u8>, &SigningKey)| (key.verifying_key(), key.sign(message));
    let signatures = messages.iter().zip(keys.iter().cycle()).map(sign);
    messages.iter().zip(signatures).map(|(message, (key, signature))| (key, message.as_slice(), signature)).collect()
}

fn verify_seconds(signed: &[(VerifyingKey, &[u8], Signature)], count: usize) -> anyhow::Result<f64> {
    let mut all = signed.iter().cycle().take(count);
    let (took, outcome) = timed(|| all.try_for_each(|(key, message, signature)| key.verify_strict(message, signature)));
    outcome.context("a signature of the benchmark is wrong")?;
    Ok(took.as_secs_f64())
}
