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

/// A log that is watched: its key, those that it replaced, and the newest checkpoint that was cosigned.
#[derive(Debug, Clone)]
pub(crate) struct Watched {
    key: VerifierKey,
    /// They vouch for what was cosigned while they counted, and for nothing else any more.
    earlier: Vec<VerifierKey>,
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
    /// A log with this key as it was left, with the newest checkpoint that was recorded, by this key or by one of those
    /// that it replaced.
    pub(crate) fn restore(
        key: VerifierKey,
        earlier: &[VerifierKey],
        record: Option<&str>,
    ) -> Result<Self, WitnessError> {
        if let Some(key) = earlier.iter().chain([&key]).find(|key| key.kind() != SignatureKind::Log) {
            return Err(WitnessError::Kind(key.name().to_owned()));
        }
        let mut watched = Self { key, earlier: earlier.to_vec(), latest: None };
        if let Some(record) = record {
            let damaged = |error| WitnessError::Record(watched.key.name().to_owned(), error);
            let latest = SignedCheckpoint::read(record).map_err(damaged)?;
            watched.verify_recorded(&latest).map_err(damaged)?;
            watched.latest = Some(latest);
        }
        Ok(watched)
    }

    fn verify_recorded(&self, checkpoint: &SignedCheckpoint) -> Result<(), CheckpointError> {
        let by_another = self.earlier.iter().any(|key| checkpoint.verify(key).is_ok());
        if by_another { Ok(()) } else { checkpoint.verify(&self.key) }
    }

    /// The checks of `add-checkpoint`, in the specification's order, of a submission for this log. What passes is the
    /// newest checkpoint from now on, with the log's own signatures only.
    pub(crate) fn advance(
        &mut self,
        submission: Submission,
    ) -> Result<&SignedCheckpoint, (Response, Option<Box<Evidence>>)> {
        let Submission { old, proof, checkpoint } = submission;
        if let Err(error) = checkpoint.verify(&self.key) {
            let hint =
                "where the host's key was replaced, start this one again with --log of the old key and of the new";
            return Err((Response::new(403, format!("{error}; {hint}\n")), None));
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
        Ok(self.latest.insert(checkpoint.only(&[&self.key])))
    }
}

impl Witness {
    /// A witness that watches nothing yet.
    pub fn new(cosigner: Cosigner) -> Self {
        Self { cosigner, logs: BTreeMap::new() }
    }

    /// Begins to watch the log with this key, whose name is the log's origin; with the newest record where there is
    /// one, whose signature is verified again: it may be by one of the `earlier` keys, which this one has replaced and
    /// which sign for nothing new.
    pub fn watch(
        &mut self,
        log: VerifierKey,
        earlier: &[VerifierKey],
        record: Option<&str>,
    ) -> Result<(), WitnessError> {
        let origin = log.name().to_owned();
        if !self.logs.contains_key(&origin) && self.logs.len() == limits::WITNESSED_LOGS {
            return Err(WitnessError::TooMany);
        }
        self.logs.insert(origin, Watched::restore(log, earlier, record)?);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::Checkpoint;
    use crate::merkle::{Tree, leaf_hash};
    use ed25519_dalek::SigningKey;
    use gemba_twin::peer::PeerKey;

    const ORIGIN: &str = "gemba/site/1";

    fn host(seed: u8) -> (SigningKey, VerifierKey) {
        let key = SigningKey::from_bytes(&[seed; 32]);
        let public = PeerKey(key.verifying_key().to_bytes());
        (key, VerifierKey::new(ORIGIN, SignatureKind::Log, public).unwrap())
    }

    /// A request to cosign a log of `size` entries, signed by this host, to a witness that knows of `old`.
    fn submission(seed: u8, old: u64, size: u64) -> Vec<u8> {
        let mut tree = Tree::default();
        (0..size).for_each(|n| tree.push(leaf_hash(&n.to_be_bytes())));
        let note = Checkpoint { origin: ORIGIN.to_owned(), size, root: tree.root() }.sign(&host(seed).0);
        let checkpoint = SignedCheckpoint::read(&note).unwrap();
        Submission { old, proof: tree.consistency(old, size).unwrap(), checkpoint }.encode().into_bytes()
    }

    fn witness(log: u8, earlier: &[VerifierKey], record: Option<&str>) -> Result<Witness, WitnessError> {
        let mut witness = Witness::new(Cosigner::new("w.example", SigningKey::from_bytes(&[9; 32])).unwrap());
        witness.watch(host(log).1, earlier, record).map(|()| witness)
    }

    #[test]
    fn a_log_whose_key_was_replaced_goes_on_under_the_new_one_and_the_old_one_signs_nothing_new() {
        let mut before = witness(1, &[], None).unwrap();
        let Step::Persist(held) = before.handle_add_checkpoint(&submission(1, 0, 3), 7) else { panic!("refused") };
        let Step::Answer(refused, _) = before.handle_add_checkpoint(&submission(2, 3, 5), 7) else { panic!("taken") };
        assert!(refused.status == 403 && refused.body.contains("--log"), "it says what to do: {}", refused.body);
        assert!(witness(2, &[], Some(held.record())).is_err(), "what another key signed is no record of this one");
        let mut after = witness(2, &[host(1).1], Some(held.record())).unwrap();
        let Step::Answer(refused, _) = after.handle_add_checkpoint(&submission(1, 3, 5), 7) else { panic!("taken") };
        assert_eq!(refused.status, 403);
        assert!(matches!(after.handle_add_checkpoint(&submission(2, 3, 5), 7), Step::Persist(_)));
    }
}
