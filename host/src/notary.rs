//! Asks the witnesses and mirrors of a site's policy to cosign its checkpoints, as their client: C2SP `tlog-witness`
//! and `tlog-mirror`. What they need as proof is taken from the published files.
//!
//! [`cosign`] asks all members at once and adds what they sign, each line verified. What is final then is for
//! [`gemba_record::quorum`] to say. Nobody is waited for longer than [`limits::COSIGN_TIME`] an answer; a member that
//! does not answer is asked again with the next checkpoint.

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use gemba_record::checkpoint::SignedCheckpoint;
use gemba_record::cosignature;
use gemba_record::mirror::{Package, Upload, read_info};
use gemba_record::note::{NoteError, SignatureLine, VerifierKey};
use gemba_record::policy::{Member, SitePolicy};
use gemba_record::quorum::Policy;
use gemba_record::tile_tree::TileTree;
use gemba_record::witness::Submission;

use crate::disk::{Disk, FileDisk, Readers, write_whole};
use crate::key_file::peer_key;
use crate::limits;
use crate::log_files::{LogFiles, LogFilesError, agent};
use crate::problem::{SiteDirError, io};
use crate::publisher::{CheckpointFile, LOG};
use crate::site_dir::SiteDir;

/// Why a member has not cosigned.
#[derive(Debug, thiserror::Error)]
pub enum CosignError {
    /// It cannot be reached.
    #[error("{0} cannot be asked: {1}")]
    Unreachable(String, String),
    /// It refuses.
    #[error("{0} does not cosign ({1}): {2}")]
    Refused(String, u16, String),
    /// It signed something else, or with another key.
    #[error("what {0} answers is no cosignature of this checkpoint by the key in the policy")]
    NoCosignature(String),
    /// The proof cannot be made.
    #[error("the proof for {0} cannot be made: {1}")]
    NoProof(String, LogFilesError),
}

/// Asks every member of the policy; returns the checkpoint with their lines, and what kept the others from it.
pub fn cosign(
    files: &LogFiles,
    checkpoint: &SignedCheckpoint,
    policy: &SitePolicy,
) -> (SignedCheckpoint, Vec<CosignError>) {
    let answers: Vec<Result<SignatureLine, CosignError>> = std::thread::scope(|scope| {
        let witnesses = policy.witnesses.iter().map(|m| (m, false));
        let mirrors = policy.mirrors.iter().map(|m| (m, true));
        let asked: Vec<_> = witnesses
            .chain(mirrors)
            .map(|(member, is_mirror)| scope.spawn(move || ask(files, checkpoint, member, is_mirror)))
            .collect();
        let joined =
            asked.into_iter().map(|asked| asked.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        joined.collect()
    });
    let (mut cosigned, mut errors) = (checkpoint.clone(), Vec::new());
    for answer in answers {
        match answer {
            Ok(line) => cosigned.add(line),
            Err(error) => errors.push(error),
        }
    }
    (cosigned, errors)
}

/// The newest checkpoint that the policy calls final, in a site's directory, with its cosignatures.
pub const FINAL: &str = "final";

/// The thread that seeks cosignatures for a running host: always for the newest published checkpoint, and again after
/// a while where it is not final.
#[derive(Debug, Clone)]
pub(crate) struct Seeking {
    sought: Arc<(Mutex<Sought>, Condvar)>,
}

#[derive(Debug, Default)]
struct Sought {
    newest: Option<(SignedCheckpoint, SitePolicy)>,
    is_over: bool,
}

impl Seeking {
    /// Starts, for this site; what is cosigned goes into the published checkpoint while that is the newest.
    pub(crate) fn start(site: &SiteDir, published: CheckpointFile) -> Result<Self, SiteDirError> {
        let seeking = Self { sought: Arc::default() };
        let (own, dir, id, host) =
            (seeking.clone(), site.dir().to_owned(), site.site().id(), peer_key(site.host_key()));
        let failed = io("start a thread for", &dir);
        let thread = std::thread::Builder::new().name("notary".to_owned());
        let run = move || own.run(&dir, &published, |policy| policy.quorum(id, host).ok());
        thread.spawn(run).map_err(failed)?;
        Ok(seeking)
    }

    /// From now on this one is sought cosignatures for, where there is a policy.
    pub(crate) fn seek(&self, checkpoint: SignedCheckpoint, policy: Option<SitePolicy>) {
        self.sought().newest = policy.map(|policy| (checkpoint, policy));
        self.sought.1.notify_one();
    }

    /// Ends the thread, soon.
    pub(crate) fn stop(&self) {
        self.sought().is_over = true;
        self.sought.1.notify_one();
    }

    fn sought(&self) -> MutexGuard<'_, Sought> {
        self.sought.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, dir: &Path, published: &CheckpointFile, quorum: impl Fn(&SitePolicy) -> Option<Policy>) {
        let (disk, files) = (FileDisk::new(dir), LogFiles::Folder(dir.join(LOG)));
        let mut retry = None;
        loop {
            let Some((checkpoint, policy)) = self.next(retry) else { return };
            let (cosigned, errors) = cosign(&files, &checkpoint, &policy);
            for error in &errors {
                tracing::warn!(%error, "no cosignature");
            }
            let standing = quorum(&policy).and_then(|quorum| quorum.judge(&cosigned).ok());
            let kept = match standing.is_some_and(|standing| standing.is_final) {
                true => write_whole(&disk, FINAL, cosigned.to_string().as_bytes(), Readers::Usual),
                false => Ok(()),
            };
            if let Err(error) = kept.map_err(io("write", &disk.path(FINAL))).and_then(|()| published.put(&cosigned)) {
                tracing::error!(%error, "a cosigned checkpoint cannot be kept");
            }
            retry = (!errors.is_empty()).then_some((checkpoint, policy));
        }
    }

    /// The newest checkpoint that has not been sought for, or after a while the one to be tried again. None at the end.
    fn next(&self, retry: Option<(SignedCheckpoint, SitePolicy)>) -> Option<(SignedCheckpoint, SitePolicy)> {
        let mut sought = self.sought();
        loop {
            if sought.is_over {
                return None;
            }
            if let Some(newest) = sought.newest.take() {
                return Some(newest);
            }
            let wait = if retry.is_some() { limits::COSIGN_RETRY } else { limits::IDLE };
            let (held, waited) = match self.sought.1.wait_timeout(sought, wait) {
                Ok(held) => held,
                Err(poisoned) => poisoned.into_inner(),
            };
            sought = held;
            if waited.timed_out() && sought.newest.is_none() && !sought.is_over && retry.is_some() {
                return retry;
            }
        }
    }
}

fn ask(
    files: &LogFiles,
    checkpoint: &SignedCheckpoint,
    member: &Member,
    is_mirror: bool,
) -> Result<SignatureLine, CosignError> {
    let verifier = member.verifier().map_err(|_| CosignError::NoCosignature(member.name.clone()))?;
    let agent = agent(limits::COSIGN_TIME);
    let post = |verb: &str, body: &[u8]| {
        let url = format!("{}/{verb}", member.url);
        let failed = |error: ureq::Error| CosignError::Unreachable(url.clone(), error.to_string());
        let request = agent.post(&url).content_type("application/octet-stream");
        // Entries are many; of a checkpoint nothing would be saved.
        let small = if verb == "add-entries" { gzip(body) } else { None };
        let sent = match small {
            Some(small) => request.header("Content-Encoding", "gzip").send(&small),
            None => request.send(body),
        };
        let mut response = sent.map_err(failed)?;
        let most = gemba_record::limits::CHECKPOINT_BYTES as u64;
        let body = response.body_mut().with_config().limit(most).read_to_string().map_err(failed)?;
        Ok((response.status().as_u16(), body))
    };
    if is_mirror { bring(files, checkpoint, &verifier, &post) } else { submit(files, checkpoint, &verifier, &post) }
}

fn gzip(body: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(body).ok()?;
    encoder.finish().ok()
}

/// How a cosigner is asked: a verb of its protocol and a body, for the status and body of its answer.
pub type Post<'a> = &'a dyn Fn(&str, &[u8]) -> Result<(u16, String), CosignError>;

/// Submits a checkpoint to a witness; its verified line.
pub fn submit(
    files: &LogFiles,
    checkpoint: &SignedCheckpoint,
    witness: &VerifierKey,
    post: Post<'_>,
) -> Result<SignatureLine, CosignError> {
    let mut asking = Asking::new(files, checkpoint, witness, post);
    let body = asking.submit()?;
    asking.line(&body)
}

/// Brings a mirror all entries up to a checkpoint; its verified line.
pub fn bring(
    files: &LogFiles,
    checkpoint: &SignedCheckpoint,
    mirror: &VerifierKey,
    post: Post<'_>,
) -> Result<SignatureLine, CosignError> {
    let mut asking = Asking::new(files, checkpoint, mirror, post);
    asking.submit()?;
    let body = asking.upload()?;
    asking.line(&body)
}

/// One cosigner being asked about one checkpoint.
struct Asking<'a> {
    files: &'a LogFiles,
    checkpoint: &'a SignedCheckpoint,
    cosigner: &'a VerifierKey,
    post: Post<'a>,
    tree: Option<TileTree>,
}

impl<'a> Asking<'a> {
    fn new(files: &'a LogFiles, checkpoint: &'a SignedCheckpoint, cosigner: &'a VerifierKey, post: Post<'a>) -> Self {
        let stated = checkpoint.checkpoint();
        Self { files, checkpoint, cosigner, post, tree: TileTree::new(stated.size, stated.root).ok() }
    }

    /// Submits the checkpoint; the answer of a witness is its line, of a mirror nothing. Tried with the size that the
    /// member says it knows, since another host's mouth may have told it of this log.
    fn submit(&mut self) -> Result<String, CosignError> {
        let mut old = 0;
        for _ in 0..3 {
            let proof = self.prove(|tree| if old > tree.size() { Ok(Vec::new()) } else { tree.consistency(old) })?;
            let submission = Submission { old, proof, checkpoint: self.checkpoint.clone() };
            let (status, body) = (self.post)("add-checkpoint", submission.encode().as_bytes())?;
            match (status, body.trim().parse()) {
                (200, _) => return Ok(body),
                (409, Ok(known)) if known != old && known <= self.checkpoint.checkpoint().size => old = known,
                _ => return Err(self.refused(status, &body)),
            }
        }
        Err(self.refused(409, "its state changes while it is asked"))
    }

    /// Sends a mirror the entries it lacks, a few at a time; its last answer is its line.
    fn upload(&mut self) -> Result<String, CosignError> {
        let size = self.checkpoint.checkpoint().size;
        let (mut start, mut end) = (0, 0);
        for _ in 0..limits::UPLOADS {
            let packages = self.packages(start, end)?;
            let upload = Upload { origin: self.checkpoint.checkpoint().origin.clone(), start, end, packages };
            let (status, body) = (self.post)("add-entries", &upload.encode())?;
            let next = match status {
                200 => return Ok(body),
                202 | 409 => read_info(&body).ok().filter(|(at, next)| *at == size && *next <= size),
                _ => None,
            };
            // Where nothing moves it would move nothing the next time.
            let Some((_, next)) = next.filter(|(_, next)| end == 0 || *next != start) else {
                return Err(self.refused(status, &body));
            };
            (start, end) = (next, size);
        }
        Err(self.refused(202, "it takes too many requests"))
    }

    /// Packages from `start` on, up to [`limits::UPLOAD_ENTRIES`] entries or so many bytes as fit.
    fn packages(&mut self, start: u64, end: u64) -> Result<Vec<Package>, CosignError> {
        let (mut packages, mut at, mut bytes) = (Vec::new(), start, 0);
        while at < end && at - start < limits::UPLOAD_ENTRIES {
            let after = Upload::package_end(at, end);
            let files = self.files;
            let (first, mut entries) = files.entries(self.tree()?, at).map_err(|e| self.no_proof(e))?;
            entries.drain(..(at - first) as usize);
            let proof = self.prove(|tree| tree.bundle(first))?;
            let package = Package { entries, proof };
            bytes += package.entries.iter().map(|entry| entry.len() + 2).sum::<usize>() + package.proof.len() * 32;
            if !packages.is_empty() && bytes > gemba_record::limits::UPLOAD_BYTES / 2 {
                break;
            }
            packages.push(package);
            at = after;
        }
        Ok(packages)
    }

    fn tree(&mut self) -> Result<&mut TileTree, CosignError> {
        let name = self.cosigner.name();
        self.tree.as_mut().ok_or_else(|| CosignError::NoCosignature(name.to_owned()))
    }

    fn prove<T>(
        &mut self,
        ask: impl Fn(&TileTree) -> Result<T, gemba_record::tile_tree::Unproved>,
    ) -> Result<T, CosignError> {
        let files = self.files;
        let proved = files.prove(self.tree()?, ask);
        proved.map_err(|error| self.no_proof(error))
    }

    fn no_proof(&self, error: LogFilesError) -> CosignError {
        CosignError::NoProof(self.name(), error)
    }

    fn name(&self) -> String {
        self.cosigner.name().to_owned()
    }

    fn refused(&self, status: u16, body: &str) -> CosignError {
        let line: String =
            body.lines().next().unwrap_or_default().chars().filter(|c| !c.is_control()).take(200).collect();
        CosignError::Refused(self.name(), status, line)
    }

    /// The member's own line among those it answers, verified.
    fn line(&self, body: &str) -> Result<SignatureLine, CosignError> {
        let nothing = |_: NoteError| CosignError::NoCosignature(self.name());
        let verifier = self.cosigner;
        let lines = SignatureLine::parse_all(body).map_err(nothing)?;
        let line = lines.into_iter().find(|line| verifier.claims(line)).ok_or_else(|| nothing(NoteError::Signature))?;
        cosignature::verify(verifier, self.checkpoint, &line).map_err(nothing)?;
        Ok(line)
    }
}
