//! Brings what the gateway learns to the peers: tags into the record, samples onto the telemetry lane and into history.
//!
//! Samples take no detour through the sequencer, so that a commit under way does not make them late, and the history
//! takes them without anyone waiting for it.

use std::sync::Arc;

use gemba_devices::gateway::{Gateway, GatewayEvent};
use gemba_net::{HostCommand, TagSample};
use gemba_twin::path::TagId;
use gemba_twin::peer::PeerKey;
use gemba_twin::tag::Tag;
use tokio::sync::{mpsc, oneshot};

use crate::history::{Intake, MeasuredTag};

/// Tags that were found, and where their numbers are to be told.
pub struct FoundTags {
    /// All tags of the server, in its order.
    pub tags: Vec<Tag>,
    /// Takes the number of each, none for one that is not in the record.
    pub numbers: oneshot::Sender<Vec<Option<TagId>>>,
}

/// Where a gateway's samples go.
pub struct Outlets {
    /// Takes the tags it finds.
    pub found: mpsc::Sender<FoundTags>,
    /// Takes samples for the peers.
    pub commands: mpsc::Sender<HostCommand>,
    /// Takes samples for later.
    pub history: Intake,
}

/// Runs until the gateway, the sequencer or the network ends. `key` is the gateway's.
pub async fn feed(mut gateway: Gateway, key: PeerKey, outlets: Outlets) {
    let Outlets { found, commands, history } = outlets;
    let mut numbers: Vec<Option<TagId>> = Vec::new();
    let mut measured: Arc<[MeasuredTag]> = Arc::default();
    while let Some(event) = gateway.next().await {
        match event {
            GatewayEvent::Connected => tracing::info!("the OPC UA server answers"),
            GatewayEvent::Lost { why } => tracing::warn!("{why}; trying again until it answers"),
            GatewayEvent::Tags(tags) => {
                tracing::info!(count = tags.len(), "tags found");
                let paths: Vec<_> = tags.iter().map(|tag| tag.path.clone()).collect();
                let (sender, told) = oneshot::channel();
                if found.send(FoundTags { tags, numbers: sender }).await.is_err() {
                    return;
                }
                let Ok(told) = told.await else { return };
                numbers = told;
                let placed = paths.iter().zip(&numbers).filter_map(|(path, tag)| Some(((*tag)?, path.clone())));
                if commands.send(HostCommand::TagPaths(placed.collect())).await.is_err() {
                    return;
                }
                let ours = paths.into_iter().zip(&numbers);
                measured =
                    ours.filter_map(|(path, tag)| Some(MeasuredTag { tag: (*tag)?, path, device: key })).collect();
            }
            GatewayEvent::Samples(samples) => {
                let numbered = samples.into_iter().filter_map(|(place, sample)| {
                    let tag = numbers.get(place).copied().flatten()?;
                    Some(TagSample { tag, sample })
                });
                let numbered: Vec<TagSample> = numbered.collect();
                history.offer(&measured, &numbered);
                if commands.send(HostCommand::Publish(numbered)).await.is_err() {
                    return;
                }
            }
        }
    }
}
