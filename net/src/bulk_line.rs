//! A peer's second connection to its host, for blobs and for where all bodies are: what is bulk has a congestion control
//! and a queue of its own, so that it cannot delay poses. Made together with the first, and again when it has ended and
//! something is wished for.

use std::net::SocketAddr;
use std::sync::Arc;

use ed25519_dalek::SigningKey;
use gemba_twin::peer::PeerKey;
use quinn::{Connecting, Connection, Endpoint};
use tokio::sync::Mutex;

use crate::wire::{self, ToHost};
use crate::{limits, tls, transport};

/// The second connection of one session.
#[derive(Debug)]
pub(crate) struct BulkLine {
    endpoint: Endpoint,
    client: quinn::ClientConfig,
    to: SocketAddr,
    host: PeerKey,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// Begun with the first connection, and not waited for yet.
    begun: Option<Connecting>,
    made: Option<Connection>,
}

impl BulkLine {
    /// One that may have been begun. Fails when the key cannot be used.
    pub(crate) fn new(
        begun: Option<Connecting>,
        endpoint: Endpoint,
        to: SocketAddr,
        key: &SigningKey,
        host: PeerKey,
    ) -> Result<Self, rustls::Error> {
        let mut client = quinn::ClientConfig::new(Arc::new(tls::client(key, host)?));
        client.transport_config(Arc::new(transport::bulk()));
        Ok(Self { endpoint, client, to, host, known: Mutex::new(Known { begun, made: None }) })
    }

    /// The connection, made if there is none; none if it cannot be made.
    pub(crate) async fn connection(&self) -> Option<Connection> {
        let mut known = self.known.lock().await;
        if let Some(connection) = known.made.as_ref().filter(|connection| connection.close_reason().is_none()) {
            return Some(connection.clone());
        }
        let begun = known.begun.take();
        let made = tokio::time::timeout(limits::CONNECT, self.connect(begun)).await.ok()??;
        Some(known.made.insert(made).clone())
    }

    async fn connect(&self, begun: Option<Connecting>) -> Option<Connection> {
        let name = tls::server_name(&self.host);
        let begin = || self.endpoint.connect_with(self.client.clone(), self.to, &name).ok();
        let connection = begun.or_else(begin)?.await.ok()?;
        let (mut send, _) = connection.open_bi().await.ok()?;
        send.write_all(&wire::frame(&ToHost::Bulk)).await.ok()?;
        send.finish().ok()?;
        Some(connection)
    }
}
