//! `gembactl record`: what one does with a site's record from outside: look into it, verify it, prove something with
//! it.

use std::path::Path;

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use gemba_host::site_dir::{SiteDir, SiteView};
use gemba_record::checkpoint::SignedCheckpoint;
use gemba_record::site::Site;

use crate::progress::Progress;

mod archive;
mod fork;
mod hosts;
mod mirror;
mod policy;
mod prove;
mod repair;
mod serve;
mod show;
mod verify;
mod witness;
pub(crate) mod words;

/// What to do with the record.
#[derive(Debug, Subcommand)]
pub(crate) enum RecordCommand {
    /// Verify everything: signatures, roles, state digests, the signed root, tiles, snapshots, blobs.
    Verify(verify::VerifyArgs),
    /// List the entries in words.
    Show(show::ShowArgs),
    /// Write a proof that an entry is in the record, to be verified offline.
    Prove(prove::ProveArgs),
    /// Verify such a proof.
    VerifyProof(prove::VerifyProofArgs),
    /// Write a whole site into one file.
    Export(archive::ExportArgs),
    /// Make a site of such a file.
    Import(archive::ImportArgs),
    /// Compare two checkpoints: do they prove that the log told two stories?
    Fork(fork::ForkArgs),
    /// Replace what is damaged by a mirror's copies.
    Repair(repair::RepairArgs),
    /// Say which witnesses and mirrors make an entry final.
    Policy(policy::PolicyArgs),
    /// Say which machines may host the site, in the order in which they take over.
    Hosts(hosts::HostsArgs),
    /// Watch logs and cosign what is consistent.
    Witness(witness::WitnessArgs),
    /// Hold a copy of a log, serve it, and cosign what is held.
    Mirror(mirror::MirrorArgs),
}

/// Runs the command.
pub(crate) fn run(command: &RecordCommand) -> Result<()> {
    match command {
        RecordCommand::Verify(args) => verify::run(args),
        RecordCommand::Show(args) => show::run(args),
        RecordCommand::Prove(args) => prove::prove(args),
        RecordCommand::VerifyProof(args) => prove::verify(args),
        RecordCommand::Export(args) => archive::export(args),
        RecordCommand::Import(args) => archive::import(args),
        RecordCommand::Fork(args) => fork::run(args),
        RecordCommand::Repair(args) => repair::run(args),
        RecordCommand::Policy(args) => policy::run(args),
        RecordCommand::Hosts(args) => hosts::run(args),
        RecordCommand::Witness(args) => witness::run(args),
        RecordCommand::Mirror(args) => mirror::run(args),
    }
}

/// Opens a site to change it, which its host must not have open.
fn open(dir: &Path) -> Result<SiteDir> {
    let mut progress = Progress::begin();
    Ok(SiteDir::open_watched(dir, &mut |done, total| progress.show("entries", done, total))?)
}

/// Looks at a site, whether its host runs or not.
fn look(dir: &Path) -> Result<SiteView> {
    let mut progress = Progress::begin();
    Ok(SiteView::open(dir, &mut |done, total| progress.show("entries", done, total))?)
}

/// How many entries from the first on the policy of the site in this directory calls final; none without a policy.
fn final_entries(site: &Site, dir: &Path) -> Option<u64> {
    let policy = site.policy()?;
    let note = std::fs::read_to_string(dir.join(gemba_host::notary::FINAL)).ok();
    let signed = note.and_then(|note| SignedCheckpoint::read(&note).ok());
    // The newest that is final may be of before the host's key was replaced.
    let judge = |signed| site.host_keys().find_map(|key| policy.quorum(site.id(), key).ok()?.judge(&signed).ok());
    let standing = signed.and_then(judge).filter(|standing| standing.is_final);
    Some(standing.map_or(0, |standing| standing.size))
}

/// The whole of a file that has at most `most` bytes.
pub(crate) fn read_file(path: &Path, most: usize) -> Result<Vec<u8>> {
    use std::io::Read;
    let failed = || format!("cannot read {}", path.display());
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).with_context(failed)?;
    file.take(most as u64 + 1).read_to_end(&mut bytes).with_context(failed)?;
    if bytes.len() > most {
        bail!("{} has more than {most} bytes, which is more than what it should be may have", path.display());
    }
    Ok(bytes)
}

/// Writes a file that is not there yet.
fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    use std::io::Write;
    let failed = || format!("cannot write {}", path.display());
    let mut file = std::fs::File::create_new(path).with_context(failed)?;
    file.write_all(bytes).with_context(failed)
}
