//! A witness: it watches logs and cosigns what grows from what it cosigned before, as C2SP `tlog-witness` has it
//! (<https://c2sp.org/tlog-witness>). With it, a host cannot show one history to some and another to others.
//!
//! [`Witness::handle_add_checkpoint`] takes the body of a request and gives the answer, or what has to be durable
//! before the answer may leave ([`Step::Persist`]). So it never cosigns two roots for one size nor a log that shrinks,
//! whatever crash happens in between: a restarted witness knows at least what it answered.
//!
//! Left out: HTTP, which is the host's; keeping the records; `sign-subtree`, which Ed25519 cosignatures cannot serve.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::checkpoint::{CheckpointError, SignedCheckpoint, hash_from_base64, plain_number};
use crate::cosignature::Cosigner;
use crate::limits;
use crate::merkle::{Hash, empty_root, verify_consistency};
use crate::note::{SignatureKind, VerifierKey};

/// A request to cosign: the body of `add-checkpoint`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// Size of the newest checkpoint that the witness is thought to have cosigned.
    pub old: u64,
    /// Consistency proof from there to the new one.
    pub proof: Vec<Hash>,
    /// The new one.
    pub checkpoint: SignedCheckpoint,
}

/// An answer as HTTP has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// 200, 400, 403, 404, 409 or 422.
    pub status: u16,
    /// Its `Content-Type`.
    pub content_type: &'static str,
    /// Its body.
    pub body: String,
}

/// What follows from a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// This answer, and where the log signed two roots for one size, the proof.
    Answer(Response, Option<Box<Evidence>>),
    /// First something durable, then the answer.
    Persist(Persist),
}

/// What has to be durable before the answer leaves. When that fails this is dropped and the request answered as a
/// fault of the server; the witness goes on to refuse what contradicts it, which errs on the safe side.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "the record is to be made durable before the answer is taken out"]
pub struct Persist {
    origin: String,
    record: String,
    answer: Response,
}

/// Two checkpoints by one log with one size and two roots: see [`crate::equivocation`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The one that was cosigned.
    pub held: SignedCheckpoint,
    /// The one that was refused.
    pub offered: SignedCheckpoint,
}

/// A log that is watched: its keys, and the newest checkpoint that was cosigned.
#[derive(Debug, Clone)]
pub(crate) struct Watched {
    pub(crate) keys: Vec<VerifierKey>,
    pub(crate) latest: Option<SignedCheckpoint>,
}

/// Watches logs and cosigns what is consistent.
#[derive(Debug, Clone)]
pub struct Witness {
    cosigner: Cosigner,
    logs: BTreeMap<String, Watched>,
}

/// Why a log cannot be watched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WitnessError {
    /// A key that signs no checkpoints.
    #[error("{0} is the key of a cosigner and not of a log")]
    Kind(String),
    /// A record that this log's key did not sign.
    #[error("the record of {0} is damaged ({1}): restore it, or the witness could cosign two histories")]
    Record(String, CheckpointError),
    /// More than a witness takes on.
    #[error("a witness watches at most {} logs", limits::WITNESSED_LOGS)]
    TooMany,
}

impl Submission {
    /// The body of the request.
    pub fn encode(&self) -> String {
        let proof: String = self.proof.iter().map(|hash| BASE64.encode(hash) + "\n").collect();
        format!("old {}\n{proof}\n{}", self.old, self.checkpoint)
    }

    /// Reads a body of at most [`limits::SUBMISSION_BYTES`] with at most 63 hashes, as the specification has it.
    /// Nothing is verified. The error says what is wrong with its form.
    pub fn parse(body: &[u8]) -> Result<Self, CheckpointError> {
        const FORM: fn(&'static str) -> CheckpointError = CheckpointError::Form;
        if body.len() > limits::SUBMISSION_BYTES {
            return Err(FORM("too long"));
        }
        let body = str::from_utf8(body).map_err(|_| FORM("not UTF-8"))?;
        let (head, checkpoint) = body.split_once("\n\n").ok_or(FORM("no empty line before the checkpoint"))?;
        let mut lines = head.split('\n');
        let old = lines.next().and_then(|line| plain_number(line.strip_prefix("old ")?));
        let old = old.ok_or(FORM("no line with the old size"))?;
        let proof = hashes_from_lines(lines)?;
        Ok(Self { old, proof, checkpoint: SignedCheckpoint::read(checkpoint)? })
    }
}

/// One hash a line, at most 63.
pub(crate) fn hashes_from_lines<'a>(lines: impl Iterator<Item = &'a str>) -> Result<Vec<Hash>, CheckpointError> {
    let mut proof = Vec::new();
    for line in lines {
        if proof.len() == limits::PROOF_LINES {
            return Err(CheckpointError::Form("more hashes than a proof may have"));
        }
        proof.push(hash_from_base64(line).ok_or(CheckpointError::Form("a hash is not 32 bytes in base64"))?);
    }
    Ok(proof)
}

impl Response {
    pub(crate) fn new(status: u16, body: impl Into<String>) -> Self {
        Self { status, content_type: "text/plain; charset=utf-8", body: body.into() }
    }

    fn conflict(latest: u64) -> Self {
        Self { status: 409, content_type: "text/x.tlog.size", body: format!("{latest}\n") }
    }
}

impl Watched {
    /// A log with this key as it was left, with the newest checkpoint that was recorded.
    pub(crate) fn restore(keys: Vec<VerifierKey>, record: Option<&str>) -> Result<Self, WitnessError> {
        if let Some(key) = keys.iter().find(|key| key.kind() != SignatureKind::Log) {
            return Err(WitnessError::Kind(key.name().to_owned()));
        }
        let mut watched = Self { keys, latest: None };
        if let Some(record) = record {
            let name = watched.keys.first().map_or(String::new(), |key| key.name().to_owned());
            let damaged = |error| WitnessError::Record(name.clone(), error);
            let latest = SignedCheckpoint::read(record).map_err(damaged)?;
            watched.verify(&latest).map_err(damaged)?;
            watched.latest = Some(latest);
        }
        Ok(watched)
    }

    /// Whether one of the log's keys signed it.
    pub(crate) fn verify(&self, checkpoint: &SignedCheckpoint) -> Result<(), CheckpointError> {
        let mut error = CheckpointError::Unsigned;
        for key in &self.keys {
            match checkpoint.verify(key) {
                Ok(()) => return Ok(()),
                Err(CheckpointError::Unsigned) => {}
                Err(other) => error = other,
            }
        }
        Err(error)
    }

    /// The checks of `add-checkpoint`, in the specification's order, of a submission for this log. What passes is the
    /// newest checkpoint from now on, with the log's own signatures only.
    pub(crate) fn advance(
        &mut self,
        submission: Submission,
    ) -> Result<&SignedCheckpoint, (Response, Option<Box<Evidence>>)> {
        let Submission { old, proof, checkpoint } = submission;
        if let Err(error) = self.verify(&checkpoint) {
            return Err((Response::new(403, format!("{error}\n")), None));
        }
        let new = checkpoint.checkpoint();
        if old > new.size {
            return Err((Response::new(400, "the old size is larger than the checkpoint's\n"), None));
        }
        let (size, root) = match &self.latest {
            Some(latest) => (latest.checkpoint().size, latest.checkpoint().root),
            None => (0, empty_root()),
        };
        if old != size {
            return Err((Response::conflict(size), None));
        }
        if new.size == size && new.root != root {
            let evidence = self.latest.clone().map(|held| Box::new(Evidence { held, offered: checkpoint }));
            return Err((Response::conflict(size), evidence));
        }
        if !verify_consistency(old, &root, new.size, &new.root, &proof) {
            return Err((Response::new(422, "the consistency proof does not hold\n"), None));
        }
        let own: Vec<&VerifierKey> = self.keys.iter().collect();
        Ok(self.latest.insert(checkpoint.only(&own)))
    }
}

impl Witness {
    /// A witness that watches nothing yet.
    pub fn new(cosigner: Cosigner) -> Self {
        Self { cosigner, logs: BTreeMap::new() }
    }

    /// Begins to watch the log with this key, whose name is the log's origin; with the newest record where there is
    /// one, whose signature is verified again. A second key of the same origin is trusted as well.
    pub fn watch(&mut self, log: VerifierKey, record: Option<&str>) -> Result<(), WitnessError> {
        let origin = log.name().to_owned();
        let known = self.logs.get(&origin);
        if known.is_none() && self.logs.len() == limits::WITNESSED_LOGS {
            return Err(WitnessError::TooMany);
        }
        let mut keys = known.map(|watched| watched.keys.clone()).unwrap_or_default();
        keys.push(log);
        let held = known.and_then(|watched| watched.latest.clone());
        let mut watched = Watched::restore(keys, record)?;
        watched.latest = watched.latest.into_iter().chain(held).max_by_key(|latest| latest.checkpoint().size);
        self.logs.insert(origin, watched);
        Ok(())
    }

    /// What others verify its cosignatures with.
    pub fn verifier(&self) -> &VerifierKey {
        self.cosigner.verifier()
    }

    /// The newest checkpoint of a log that was cosigned, or is about to be.
    pub fn latest(&self, origin: &str) -> Option<&SignedCheckpoint> {
        self.logs.get(origin)?.latest.as_ref()
    }

    /// Handles the body of a request to `add-checkpoint` at a time in seconds since 1970.
    pub fn handle_add_checkpoint(&mut self, body: &[u8], now_secs: u64) -> Step {
        let submission = match Submission::parse(body) {
            Ok(submission) => submission,
            Err(error) => return Step::Answer(Response::new(400, format!("{error}\n")), None),
        };
        let origin = submission.checkpoint.checkpoint().origin.clone();
        let Some(watched) = self.logs.get_mut(&origin) else {
            return Step::Answer(Response::new(404, "this log is not watched here\n"), None);
        };
        match watched.advance(submission) {
            Err((answer, evidence)) => Step::Answer(answer, evidence),
            Ok(latest) => Step::Persist(Persist {
                record: latest.to_string(),
                answer: Response::new(200, self.cosigner.cosign(latest, now_secs).to_string()),
                origin,
            }),
        }
    }
}

impl Persist {
    /// Which log it is about.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// What is to be durable, in place of the log's record before it: the checkpoint with the log's signature, which
    /// is evidence too. Records of one log are to be written in the order they were given.
    pub fn record(&self) -> &str {
        &self.record
    }

    /// The answer: the record is durable.
    pub fn done(self) -> Response {
        self.answer
    }
}
