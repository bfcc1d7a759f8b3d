//! A mirror: it holds a copy of a log and cosigns what it holds, as C2SP `tlog-mirror` has it
//! (<https://c2sp.org/tlog-mirror>). What a mirror has cosigned survives the host.
//!
//! First `add-checkpoint` moves the *pending* checkpoint, as at a witness; then `add-entries` brings the entries up to
//! it in packages, each proved to be under its root. Only when all are there and durable does the mirror cosign. What
//! has to be durable before an answer leaves comes with it ([`Step`]): the caller writes the files in their order and
//! then takes the answer out. After a crash it goes on from the checkpoint that it cosigned last, and is sent the rest
//! again.
//!
//! Beyond the specification a mirror of a site folds what it is sent, so that it never cosigns an entry that breaks
//! a rule of the record: a host that steals a role finds no mirror.
//!
//! Left out: HTTP and files, which are the host's; tickets, since only the newest pending checkpoint is taken;
//! `sign-subtree`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest, Sha256};

use crate::checkpoint::{CheckpointError, SignedCheckpoint};
use crate::cosignature::Cosigner;
use crate::limits;
use crate::log::Log;
use crate::merkle::{Frontier, Hash, leaf_hash, verify_bundle};
use crate::note::VerifierKey;
use crate::tile::{BUNDLE_BYTES, Bundle, Resource, TileEdge, WIDTH, take_entry};
use crate::witness::{Response, Submission, Watched, WitnessError};

/// A file of the mirror's copy that has to be durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Which.
    pub resource: Resource,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// What follows from a request: what has to be durable, in this order, and then the answer. When something cannot be
/// written the request is answered as a fault of the server, and the mirror is to be restored from what it has.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "the files are to be made durable before the answer leaves"]
pub struct Step {
    /// The pending checkpoint, in place of the one before.
    pub pending: Option<String>,
    /// Files of the copy; the checkpoint comes last.
    pub files: Vec<File>,
    /// The answer.
    pub answer: Response,
}

/// Holds a copy of one log.
#[derive(Debug, Clone)]
pub struct Mirror {
    cosigner: Cosigner,
    pending: Watched,
    /// The newest one that was cosigned.
    held: Option<SignedCheckpoint>,
    edge: TileEdge,
    /// The entries of the bundle that is not full.
    bundle: Vec<Vec<u8>>,
    log: Log,
}

/// A request to take entries: the body of `add-entries`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// The log's origin.
    pub origin: String,
    /// Index of the first entry.
    pub start: u64,
    /// Entries of the pending checkpoint they lead to.
    pub end: u64,
    /// Packages from `start` on: each up to a multiple of 256, or to `end`. They may end before it.
    pub packages: Vec<Package>,
}

/// Entries with the proof that they are in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// The entries.
    pub entries: Vec<Vec<u8>>,
    /// Proof for [`verify_bundle`], of the whole bundle up to the last of them.
    pub proof: Vec<Hash>,
}

/// Bytes that are no upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an upload of entries: {0}")]
pub struct UploadError(&'static str);

impl Upload {
    /// The range of entries of the package that begins at `start`.
    pub fn package_end(start: u64, end: u64) -> u64 {
        let width = u64::from(WIDTH);
        (start / width + 1).saturating_mul(width).min(end)
    }

    /// The body of the request.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend((self.origin.len() as u16).to_be_bytes());
        bytes.extend(self.origin.as_bytes());
        bytes.extend(self.start.to_be_bytes());
        bytes.extend(self.end.to_be_bytes());
        bytes.extend(0u16.to_be_bytes());
        for package in &self.packages {
            for entry in &package.entries {
                bytes.extend((entry.len() as u16).to_be_bytes());
                bytes.extend(entry);
            }
            bytes.push(package.proof.len() as u8);
            package.proof.iter().for_each(|hash| bytes.extend(hash));
        }
        bytes
    }

    /// Reads a body of at most [`limits::UPLOAD_BYTES`]. Bytes after the last whole package are passed over, as the
    /// specification asks. Nothing is verified.
    pub fn parse(body: &[u8]) -> Result<Self, UploadError> {
        if body.len() > limits::UPLOAD_BYTES {
            return Err(UploadError("it is too long; send fewer packages at once"));
        }
        let mut rest = body;
        let origin = take_entry(&mut rest).ok_or(UploadError("it ends within the origin"))?;
        let origin = str::from_utf8(origin).map_err(|_| UploadError("its origin is not UTF-8"))?.to_owned();
        let mut word = || {
            let (word, after) = rest.split_first_chunk::<8>()?;
            rest = after;
            Some(u64::from_be_bytes(*word))
        };
        let (start, end) = word().zip(word()).ok_or(UploadError("it ends within its range"))?;
        if start > end {
            return Err(UploadError("it ends before it begins"));
        }
        take_entry(&mut rest).ok_or(UploadError("it ends within the ticket"))?;
        let mut packages = Vec::new();
        let mut at = start;
        while at < end {
            let after = Self::package_end(at, end);
            let Some(package) = take_package(&mut rest, after - at) else { break };
            packages.push(package);
            at = after;
        }
        Ok(Self { origin, start, end, packages })
    }
}

fn take_package(bytes: &mut &[u8], count: u64) -> Option<Package> {
    let mut rest = *bytes;
    let entries = (0..count).map(|_| take_entry(&mut rest).map(<[u8]>::to_vec)).collect::<Option<Vec<_>>>()?;
    let (hashes, after) = rest.split_first()?;
    if usize::from(*hashes) > limits::PROOF_LINES {
        return None;
    }
    let (proof, after) = after.split_at_checked(usize::from(*hashes) * 32)?;
    let (proof, _) = proof.as_chunks::<32>();
    *bytes = after;
    Some(Package { entries, proof: proof.to_vec() })
}

impl Mirror {
    /// A mirror of the log with this key, with the pending checkpoint and the cosigned one as they were left, by this key
    /// or by one of the `earlier` ones that it has replaced. The entries under the latter follow with [`Mirror::refill`].
    pub fn restore(
        cosigner: Cosigner,
        log: VerifierKey,
        earlier: &[VerifierKey],
        pending: Option<&str>,
        held: Option<&str>,
    ) -> Result<Self, WitnessError> {
        let held = Watched::restore(log.clone(), earlier, held)?.latest;
        let mut pending = Watched::restore(log, earlier, pending)?;
        let ahead =
            |a: &SignedCheckpoint| pending.latest.as_ref().is_none_or(|b| b.checkpoint().size < a.checkpoint().size);
        if held.as_ref().is_some_and(ahead) {
            pending.latest.clone_from(&held);
        }
        Ok(Self { cosigner, pending, held, edge: TileEdge::default(), bundle: Vec::new(), log: Log::new() })
    }

    /// Takes the next entries of its own copy, which were verified before they were written. An error says that the
    /// copy is damaged.
    pub fn refill(&mut self, entries: impl IntoIterator<Item = Vec<u8>>) -> Result<(), crate::log::Damaged> {
        for entry in entries {
            let leaf = leaf_hash(&entry);
            self.log.replay_next_under_checkpoint(entry.clone())?;
            self.push(leaf, entry, &mut Vec::new());
        }
        Ok(())
    }

    /// Whether the copy is as long as what it cosigned, and has its root: to be asked after [`Mirror::refill`].
    pub fn is_whole(&self) -> bool {
        match &self.held {
            Some(held) => held.checkpoint().size == self.edge.size() && held.checkpoint().root == self.edge.root(),
            None => self.edge.size() == 0,
        }
    }

    /// What others verify its cosignatures with.
    pub fn verifier(&self) -> &VerifierKey {
        self.cosigner.verifier()
    }

    /// The newest checkpoint it has cosigned; without the cosignature where it was restored.
    pub fn held(&self) -> Option<&SignedCheckpoint> {
        self.held.as_ref()
    }

    /// The state folded from what it holds.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Handles the body of a request to `add-checkpoint`. It moves the pending checkpoint and cosigns nothing.
    pub fn handle_add_checkpoint(&mut self, body: &[u8]) -> Step {
        let submission = match Submission::parse(body) {
            Ok(submission) => submission,
            Err(error) => return Step::answer(Response::new(400, format!("{error}\n"))),
        };
        match self.pending.advance(submission) {
            Err((answer, _)) => Step::answer(answer),
            Ok(latest) => {
                Step { pending: Some(latest.to_string()), files: Vec::new(), answer: Response::new(200, String::new()) }
            }
        }
    }

    /// Handles the body of a request to `add-entries` at a time in seconds since 1970.
    pub fn handle_add_entries(&mut self, body: &[u8], now_secs: u64) -> Step {
        let upload = match Upload::parse(body) {
            Ok(upload) => upload,
            Err(error) => return Step::answer(Response::new(400, format!("{error}\n"))),
        };
        let Some(pending) = self.pending.latest.clone() else { return self.conflict() };
        let (size, root) = (pending.checkpoint().size, pending.checkpoint().root);
        if upload.origin != pending.checkpoint().origin {
            return Step::answer(Response::new(404, "this log is not mirrored here\n"));
        }
        if upload.end != size || upload.start != self.edge.size() {
            return self.conflict();
        }
        if upload.packages.is_empty() && upload.start < upload.end {
            return Step::answer(Response::new(400, "not one whole package\n"));
        }
        let mut files = Vec::new();
        for package in upload.packages {
            if let Err(why) = self.take(package, size, &root, &mut files) {
                // What was taken of it before stays; its files are written with the answer.
                return Step { pending: None, files, answer: Response::new(422, why) };
            }
        }
        if self.edge.size() < size {
            return Step { pending: None, files, answer: self.info(202) };
        }
        self.finish(pending, files, now_secs)
    }

    /// All entries are there: their last tiles, the cosigned checkpoint, the answer.
    fn finish(&mut self, pending: SignedCheckpoint, mut files: Vec<File>, now_secs: u64) -> Step {
        files.extend(self.edge.partial().map(|(tile, bytes)| File { resource: Resource::Hashes(tile), bytes }));
        let size = self.edge.size();
        if let Some(bundle) = Bundle::of(size.saturating_sub(1), size).filter(|bundle| bundle.width() < WIDTH) {
            files.push(bundle_file(bundle, &self.bundle));
        }
        let mut held = pending;
        let line = self.cosigner.cosign(&held, now_secs);
        held.add(line.clone());
        files.push(File { resource: Resource::Checkpoint, bytes: held.to_string().into_bytes() });
        self.held = Some(held);
        Step { pending: None, files, answer: Response::new(200, line.to_string()) }
    }

    /// Verifies a package and takes its entries.
    fn take(&mut self, package: Package, size: u64, root: &Hash, files: &mut Vec<File>) -> Result<(), String> {
        let start = self.edge.size();
        let end = start + package.entries.len() as u64;
        let mut subtree = Frontier::default();
        self.bundle.iter().for_each(|entry| subtree.push(leaf_hash(entry)));
        let leaves: Vec<Hash> = package.entries.iter().map(|entry| leaf_hash(entry)).collect();
        leaves.iter().for_each(|leaf| subtree.push(*leaf));
        let rounded = start - start % u64::from(WIDTH);
        if !verify_bundle(&subtree.root(), rounded..end, size, &package.proof, root) {
            return Err(format!("entries {start} to {} are not those of the checkpoint\n", end - 1));
        }
        for (leaf, entry) in leaves.into_iter().zip(package.entries) {
            // Under the host's root they are what the host stands for. That the host may is another matter.
            if let Err(damaged) = self.log.replay_next(entry.clone()) {
                return Err(format!("{damaged}; this mirror cosigns nothing that breaks the rules of the record\n"));
            }
            self.push(leaf, entry, files);
        }
        Ok(())
    }

    fn push(&mut self, leaf: Hash, entry: Vec<u8>, files: &mut Vec<File>) {
        self.edge.push(leaf, |tile, bytes| files.push(File { resource: Resource::Hashes(tile), bytes }));
        self.bundle.push(entry);
        if self.bundle.len() == usize::from(WIDTH) {
            let size = self.edge.size();
            files.extend(Bundle::of(size - 1, size).map(|bundle| bundle_file(bundle, &self.bundle)));
            self.bundle.clear();
        }
    }

    fn conflict(&self) -> Step {
        Step::answer(self.info(409))
    }

    /// What a client needs to go on: the pending size, the next entry, and no ticket.
    fn info(&self, status: u16) -> Response {
        let size = self.pending.latest.as_ref().map_or(0, |pending| pending.checkpoint().size);
        let body = format!("{size}\n{}\n{}\n", self.edge.size(), BASE64.encode([]));
        Response { status, content_type: "text/x.tlog.mirror-info", body }
    }
}

impl Step {
    fn answer(answer: Response) -> Self {
        Self { pending: None, files: Vec::new(), answer }
    }
}

/// The folder below a mirror's prefix under which it serves the log of this origin: its SHA-256 in hexadecimal digits.
pub fn origin_hash(origin: &str) -> String {
    Sha256::digest(origin).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Size and next entry from the body of an answer of type `text/x.tlog.mirror-info`.
pub fn read_info(body: &str) -> Result<(u64, u64), CheckpointError> {
    let mut lines = body.lines().map(crate::checkpoint::plain_number);
    match (lines.next().flatten(), lines.next().flatten()) {
        (Some(size), Some(next)) => Ok((size, next)),
        _ => Err(CheckpointError::Form("not what a mirror says of itself")),
    }
}

fn bundle_file(bundle: Bundle, entries: &[Vec<u8>]) -> File {
    let bytes = Bundle::encode(entries.iter().map(Vec::as_slice));
    let bytes = bytes.expect("entries came with 16-bit lengths, and a bundle has at most 256");
    debug_assert!(bytes.len() <= BUNDLE_BYTES);
    File { resource: Resource::Entries(bundle), bytes }
}
