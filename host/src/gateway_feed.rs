//! Brings what the gateway learns to the peers: tags into the record, samples onto the telemetry lane.
//!
//! Samples take no detour through the sequencer, so that a commit under way does not make them late.

use gemba_devices::gateway::{Gateway, GatewayEvent};
use gemba_net::{HostCommand, TagSample};
use gemba_twin::path::TagId;
use gemba_twin::tag::Tag;
use tokio::sync::{mpsc, oneshot};

/// Tags that were found, and where their numbers are to be told.
pub struct FoundTags {
    /// All tags of the server, in its order.
    pub tags: Vec<Tag>,
    /// Takes the number of each, none for one that is not in the record.
    pub numbers: oneshot::Sender<Vec<Option<TagId>>>,
}

/// Runs until the gateway, the sequencer or the network ends.
pub async fn feed(mut gateway: Gateway, found: mpsc::Sender<FoundTags>, commands: mpsc::Sender<HostCommand>) {
    let mut numbers: Vec<Option<TagId>> = Vec::new();
    while let Some(event) = gateway.next().await {
        match event {
            GatewayEvent::Connected => tracing::info!("the OPC UA server answers"),
            GatewayEvent::Lost { why } => tracing::warn!("{why}; trying again until it answers"),
            GatewayEvent::Tags(tags) => {
                tracing::info!(count = tags.len(), "tags found");
                let (sender, told) = oneshot::channel();
                if found.send(FoundTags { tags, numbers: sender }).await.is_err() {
                    return;
                }
                let Ok(told) = told.await else { return };
                numbers = told;
            }
            GatewayEvent::Samples(samples) => {
                let numbered = samples.into_iter().filter_map(|(place, sample)| {
                    let tag = numbers.get(place).copied().flatten()?;
                    Some(TagSample { tag, sample })
                });
                if commands.send(HostCommand::Publish(numbered.collect())).await.is_err() {
                    return;
                }
            }
        }
    }
}
