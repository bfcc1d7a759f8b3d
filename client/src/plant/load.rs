//! From a file or a blob to a decoded glTF: checked by `twin::model` before Bevy's loader sees a byte.

use std::fs;
use std::path::{Path, PathBuf};

use bevy::asset::{AssetPath, LoadState};
use bevy::gltf::Gltf;
use bevy::prelude::*;
use bevy::tasks::{AsyncComputeTaskPool, Task, block_on, futures_lite::future};
use gemba_net::{BlobHash, LinkCommand};
use gemba_twin::model::{self, Outline};

use super::model_cache::{self, Download};
use super::spawn::Spawning;
use super::{ModelSource, PlantProgress};
use crate::link::{BlobArrived, Connection};
use crate::site::Site;

/// What is under way.
#[derive(Resource, Default)]
pub(super) enum Loading {
    /// Nothing has been asked for.
    #[default]
    Idle,
    /// A thread looks for what an earlier run left of the model.
    TakingUp(BlobHash, Task<(Download, Vec<u8>)>),
    /// The host is to be asked for the model, of which these bytes were kept.
    Asking(BlobHash, Vec<u8>),
    /// The host was asked for the model.
    Fetching(BlobHash),
    /// A thread reads and checks the file.
    Checking(Task<Result<(PathBuf, Outline), String>>),
    /// Bevy decodes it.
    Decoding { gltf: Handle<Gltf>, path: PathBuf, outline: Outline },
    /// Handed over to spawning, or failed.
    Done,
}

/// Moves the loading on by one step, if it can.
pub(super) fn load(
    mut download: Local<Option<Download>>,
    mut loading: ResMut<Loading>,
    mut progress: ResMut<PlantProgress>,
    mut spawning: ResMut<Spawning>,
    mut site: ResMut<Site>,
    mut connection: ResMut<Connection>,
    mut blobs: MessageReader<BlobArrived>,
    source: Res<ModelSource>,
    assets: Res<AssetServer>,
) {
    let next = match &mut *loading {
        Loading::Idle => begin(&source, &connection),
        Loading::TakingUp(hash, task) => block_on(future::poll_once(task)).map(|(begun, kept)| {
            *download = Some(begun);
            Ok(Loading::Asking(*hash, kept))
        }),
        Loading::Asking(hash, kept) => ask(*hash, kept, &mut connection),
        Loading::Fetching(hash) => fetched(*hash, blobs.read(), &mut download, &mut progress),
        Loading::Checking(task) => block_on(future::poll_once(task)).map(|checked| {
            checked.map(|(path, outline)| Loading::Decoding { gltf: load_asset(&assets, &path), path, outline })
        }),
        Loading::Decoding { gltf, path, outline } => match assets.load_state(&*gltf) {
            LoadState::Failed(error) => Some(Err(format!("{}: {error}", path.display()))),
            _ if assets.is_loaded_with_dependencies(&*gltf) => {
                if matches!(*source, ModelSource::File(_)) {
                    site.set_things(outline.things.iter().map(|t| t.thing.clone()).collect());
                }
                spawning.begin(gltf.clone(), std::mem::replace(outline, Outline { things: vec![], problems: vec![] }));
                Some(Ok(Loading::Done))
            }
            _ => None,
        },
        Loading::Done => None,
    };
    match next {
        None => {}
        Some(Ok(next)) => {
            match &next {
                Loading::Fetching(_) => *progress = PlantProgress::Fetching { have: 0, total: 0 },
                Loading::Checking(_) => *progress = PlantProgress::Reading,
                _ => {}
            }
            *loading = next;
        }
        Some(Err(why)) => {
            *progress = PlantProgress::Failed(why);
            *loading = Loading::Done;
        }
    }
}

fn load_asset(assets: &AssetServer, path: &Path) -> Handle<Gltf> {
    let below_root = path.strip_prefix(root_of(path)).unwrap_or(path).to_owned();
    assets.load(AssetPath::from_path_buf(below_root))
}

/// Where the disk begins that a path of the whole machine is on: `/`, or a drive.
fn root_of(path: &Path) -> &Path {
    path.ancestors().last().unwrap_or(path)
}

impl ModelSource {
    /// Below which the model lies, whatever else lies there.
    pub fn root(&self) -> PathBuf {
        match self {
            Self::File(path) => root_of(path).to_owned(),
            Self::Site => root_of(&model_cache::folder()).to_owned(),
        }
    }
}

fn begin(source: &ModelSource, connection: &Connection) -> Option<Result<Loading, String>> {
    match source {
        ModelSource::File(path) => Some(Ok(check(path.clone()))),
        ModelSource::Site => {
            let hash = BlobHash(connection.log().site()?.models().last()?.blob);
            let cached = model_cache::path(hash);
            if cached.exists() {
                model_cache::note_seen(&cached);
                return Some(Ok(check(cached)));
            }
            let task = AsyncComputeTaskPool::get().spawn(async move { Download::begin(hash) });
            Some(Ok(Loading::TakingUp(hash, task)))
        }
    }
}

fn ask(hash: BlobHash, kept: &[u8], connection: &mut Connection) -> Option<Result<Loading, String>> {
    let link = connection.link_mut()?;
    // A full queue empties within a tick; the next frame asks again.
    let asked = link.send(LinkCommand::Fetch { hash, metres: 0.0, kept: kept.to_vec() });
    asked.ok().map(|()| Ok(Loading::Fetching(hash)))
}

fn fetched<'a>(
    hash: BlobHash,
    blobs: impl Iterator<Item = &'a BlobArrived>,
    download: &mut Option<Download>,
    progress: &mut PlantProgress,
) -> Option<Result<Loading, String>> {
    for blob in blobs {
        match blob {
            BlobArrived::Part { hash: of, have, total, bytes } if *of == hash => {
                if let Some(download) = download {
                    download.keep(*have, bytes);
                }
                *progress = PlantProgress::Fetching { have: *have, total: *total };
            }
            BlobArrived::Whole { hash: of, bytes } if *of == hash => {
                return Some(download.take()?.finish(bytes).map(check));
            }
            BlobArrived::Failed { hash: of, why } if *of == hash => {
                return Some(Err(format!("the host could not send the plant's model: {why}")));
            }
            _ => {}
        }
    }
    None
}

fn check(path: PathBuf) -> Loading {
    Loading::Checking(AsyncComputeTaskPool::get().spawn(async move {
        let bytes = fs::read(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        let outline = model::outline(&bytes).map_err(|e| format!("{}: {e}", path.display()))?;
        Ok((path, outline))
    }))
}
