//! The published files of a log, wherever they are: in a directory, or behind a URL. Nothing that is read is believed;
//! who asks verifies it under a signed root ([`gemba_record::tile_tree`]).

use std::fmt;
use std::io::Read;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use gemba_record::checkpoint::{CheckpointError, SignedCheckpoint};
use gemba_record::limits::CHECKPOINT_BYTES;
use gemba_record::merkle::leaf_hash;
use gemba_record::tile::{BUNDLE_BYTES, Bundle, Resource, Tile, TileError, WIDTH};
use gemba_record::tile_tree::{TileTree, Unproved};

use crate::http::Answer;
use crate::limits;

/// Where a published log is.
#[derive(Debug, Clone)]
pub enum LogFiles {
    /// The folder with `checkpoint` and `tile/`.
    Folder(PathBuf),
    /// What their paths are appended to, with a slash at its end.
    Url(String, ureq::Agent),
}

/// Why something of a published log is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum LogFilesError {
    /// Not there.
    #[error("{0} is not there")]
    Absent(String),
    /// The disk or the network refuses.
    #[error("{0} cannot be read: {1}")]
    Failed(String, String),
    /// The checkpoint is none, or not the log's.
    #[error("{0}: {1}")]
    Checkpoint(String, CheckpointError),
    /// A tile that is not under the signed root, or missing.
    #[error("{0}: {1}")]
    Tile(String, TileError),
    /// A URL that this program does not read.
    #[error("{0} is no URL that is read here: it begins with http://, and a proxy speaks https for it")]
    Scheme(String),
}

impl FromStr for LogFiles {
    type Err = LogFilesError;

    /// A URL, or a directory: that of a site, or of the files themselves.
    fn from_str(text: &str) -> Result<Self, LogFilesError> {
        if text.starts_with("http://") {
            let slash = if text.ends_with('/') { "" } else { "/" };
            return Ok(Self::Url(format!("{text}{slash}"), agent(limits::HTTP_ASK_TIME)));
        }
        if text.contains("://") {
            return Err(LogFilesError::Scheme(text.to_owned()));
        }
        let dir = PathBuf::from(text);
        let inner = dir.join(crate::publisher::LOG);
        Ok(Self::Folder(if inner.is_dir() { inner } else { dir }))
    }
}

impl fmt::Display for LogFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => folder.display().fmt(f),
            Self::Url(url, _) => f.write_str(url),
        }
    }
}

/// Asks with a limit on everything; an answer that is no success is an answer.
pub(crate) fn agent(time: Duration) -> ureq::Agent {
    let config = ureq::Agent::config_builder();
    config.timeout_global(Some(time)).http_status_as_error(false).max_redirects(3).build().into()
}

impl LogFiles {
    /// One file of at most the length that it may have.
    pub fn fetch(&self, resource: Resource) -> Result<Vec<u8>, LogFilesError> {
        let most = match resource {
            Resource::Checkpoint => CHECKPOINT_BYTES,
            Resource::Hashes(_) => usize::from(WIDTH) * 32,
            Resource::Entries(_) => BUNDLE_BYTES,
        };
        match self {
            Self::Folder(folder) => {
                let path = folder.join(resource.to_string());
                let failed = |e: std::io::Error| match e.kind() {
                    std::io::ErrorKind::NotFound => LogFilesError::Absent(path.display().to_string()),
                    _ => LogFilesError::Failed(path.display().to_string(), e.to_string()),
                };
                let mut bytes = Vec::new();
                let file = std::fs::File::open(&path).map_err(failed)?;
                file.take(most as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
                Ok(bytes)
            }
            Self::Url(url, agent) => {
                let url = format!("{url}{resource}");
                let failed = |e: ureq::Error| LogFilesError::Failed(url.clone(), e.to_string());
                let mut response = agent.get(&url).call().map_err(failed)?;
                match response.status().as_u16() {
                    200 => response.body_mut().with_config().limit(most as u64 + 1).read_to_vec().map_err(failed),
                    404 | 410 => Err(LogFilesError::Absent(url)),
                    status => Err(LogFilesError::Failed(url, format!("the server answers {status}"))),
                }
            }
        }
    }

    /// The newest checkpoint, not verified.
    pub fn checkpoint(&self) -> Result<SignedCheckpoint, LogFilesError> {
        let failed = |error| LogFilesError::Checkpoint(self.to_string(), error);
        let bytes = self.fetch(Resource::Checkpoint)?;
        let note = String::from_utf8(bytes).map_err(|_| failed(CheckpointError::Form("not a text")))?;
        SignedCheckpoint::read(&note).map_err(failed)
    }

    /// Asks a tree, fetching the tiles that it lacks.
    pub fn prove<T>(
        &self,
        tree: &mut TileTree,
        ask: impl Fn(&TileTree) -> Result<T, Unproved>,
    ) -> Result<T, LogFilesError> {
        let proved = tree.fetching(ask, |tile: Tile| self.fetch(Resource::Hashes(tile)).ok());
        proved.map_err(|error| LogFilesError::Tile(self.to_string(), error))
    }

    /// The entries of the bundle that this one is in, each verified under the tree's root, and the first one's index.
    pub fn entries(&self, tree: &mut TileTree, index: u64) -> Result<(u64, Vec<Vec<u8>>), LogFilesError> {
        let failed = |error| LogFilesError::Tile(self.to_string(), error);
        let bundle =
            Bundle::of(index, tree.size()).ok_or_else(|| failed(TileError::Elsewhere(Resource::Checkpoint)))?;
        let resource = Resource::Entries(bundle);
        // What was partial when the checkpoint was signed may have been replaced by the full one.
        let (bytes, read) = match self.fetch(resource) {
            Err(LogFilesError::Absent(_)) if bundle.width() < WIDTH => {
                (self.fetch(Resource::Entries(bundle.full()))?, bundle.full())
            }
            other => (other?, bundle),
        };
        let entries = read.decode(&bytes).map_err(failed)?;
        let mut verified = Vec::with_capacity(usize::from(bundle.width()));
        for (index, entry) in (bundle.start()..bundle.end()).zip(entries) {
            let leaf = self.prove(tree, |tree| tree.leaf(index))?;
            if leaf != leaf_hash(entry) {
                return Err(failed(TileError::Forged(resource)));
            }
            verified.push(entry.to_vec());
        }
        Ok((bundle.start(), verified))
    }

    /// One of these files as an HTTP answer.
    pub fn answer(&self, path: &str) -> Answer {
        // Only paths of the specification are read, so that none leads out of the folder.
        let Ok(resource) = path.parse::<Resource>() else { return Answer::text(404, "no file of a published log") };
        match self.fetch(resource) {
            Ok(body) => {
                let is_text = resource == Resource::Checkpoint;
                let content_type = if is_text { "text/plain; charset=utf-8" } else { "application/octet-stream" };
                Answer { status: 200, content_type, immutable: !is_text, body }
            }
            Err(LogFilesError::Absent(_)) => Answer::text(404, "not published"),
            Err(error) => {
                tracing::warn!(%error, "a published file cannot be served");
                Answer::text(500, "the file cannot be read")
            }
        }
    }
}
