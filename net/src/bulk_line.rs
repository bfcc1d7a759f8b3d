//! A peer's second connection to its host, for blobs and for where all bodies are: what is bulk has a congestion control
//! and a queue of its own, so that it cannot delay poses. Made together with the first, and again when it has ended and
//! something is wished for.
//!
//! Who comes back to a host says with the first packet already which blobs it lacks (0-RTT). Only this connection does
//! so: nothing that is asked for on it changes anything.

use std::net::SocketAddr;
use std::sync::Arc;

use ed25519_dalek::SigningKey;
use gemba_twin::peer::PeerKey;
use quinn::{Connecting, Connection, Endpoint, RecvStream, ZeroRttAccepted};
use tokio::sync::{Mutex, watch};

use crate::blob_hash::BlobHash;
use crate::tls::{self, Resumable};
use crate::wire::{self, ToHost};
use crate::{limits, transport};

/// The second connection of one session.
pub(crate) struct BulkLine {
    endpoint: Endpoint,
    client: quinn::ClientConfig,
    to: SocketAddr,
    host: PeerKey,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// Begun with the first connection, and not waited for yet.
    begun: Option<Begun>,
    made: Option<Made>,
}

/// A second connection on its way.
pub(crate) enum Begun {
    /// To a host where we have been: what was said on it has gone out with the first packet.
    Early(Connection, ZeroRttAccepted),
    /// To one where we have not.
    Late(Connecting),
}

/// A blob that was asked for early, from a byte on.
pub(crate) struct Asked {
    pub(crate) hash: BlobHash,
    pub(crate) offset: u64,
    pub(crate) stream: RecvStream,
}

impl Begun {
    /// Asks for these blobs at once, where that can be early; what is not in the answer is still to be asked for.
    pub(crate) async fn asking(connecting: Connecting, wishes: &[(BlobHash, u64)]) -> (Self, Vec<Asked>) {
        let (connection, accepted) = match connecting.into_0rtt() {
            Ok(early) => early,
            Err(connecting) => return (Self::Late(connecting), Vec::new()),
        };
        let mut asked = Vec::new();
        if greet(&connection).await.is_some() {
            for (hash, offset) in wishes.iter().copied() {
                let Some(stream) = ask(&connection, hash, offset).await else { break };
                asked.push(Asked { hash, offset, stream });
            }
        }
        (Self::Early(connection, accepted), asked)
    }
}

#[derive(Clone)]
struct Made {
    connection: Connection,
    /// Whether the host has taken, or been told again, what was said early.
    settled: watch::Receiver<bool>,
}

/// How a second connection is to be made.
pub(crate) fn client(
    resumable: &Resumable,
    key: &SigningKey,
    host: PeerKey,
) -> Result<quinn::ClientConfig, rustls::Error> {
    let mut client = quinn::ClientConfig::new(Arc::new(resumable.client(key, host)?));
    client.transport_config(Arc::new(transport::bulk()));
    Ok(client)
}

impl BulkLine {
    /// One that may have been begun.
    pub(crate) fn new(
        begun: Option<Begun>,
        endpoint: Endpoint,
        to: SocketAddr,
        client: quinn::ClientConfig,
        host: PeerKey,
    ) -> Self {
        Self { endpoint, client, to, host, known: Mutex::new(Known { begun, made: None }) }
    }

    /// The connection, made if there is none; none if it cannot be made. It may be so early that the host does not take
    /// what is said on it: whoever sees their streams end asks for the connection `again`.
    pub(crate) async fn connection(&self, again: bool) -> Option<Connection> {
        let mut made = self.made().await?;
        if again {
            // Who would say so ends with the connection.
            let _ = made.settled.wait_for(|settled| *settled).await;
        }
        Some(made.connection)
    }

    async fn made(&self) -> Option<Made> {
        let mut known = self.known.lock().await;
        if let Some(made) = known.made.as_ref().filter(|made| made.connection.close_reason().is_none()) {
            return Some(made.clone());
        }
        let begun = known.begun.take();
        let made = tokio::time::timeout(limits::CONNECT, self.connect(begun)).await.ok()??;
        Some(known.made.insert(made).clone())
    }

    async fn connect(&self, begun: Option<Begun>) -> Option<Made> {
        let name = tls::server_name(&self.host);
        let begun = match begun {
            Some(begun) => begun,
            None => {
                let connecting = self.endpoint.connect_with(self.client.clone(), self.to, &name).ok()?;
                Begun::asking(connecting, &[]).await.0
            }
        };
        let (settling, settled) = watch::channel(false);
        let connection = match begun {
            Begun::Early(connection, accepted) => {
                tokio::spawn(settle(connection.clone(), accepted, settling));
                connection
            }
            Begun::Late(connecting) => {
                let connection = connecting.await.ok()?;
                greet(&connection).await?;
                settling.send_replace(true);
                connection
            }
        };
        Some(Made { connection, settled })
    }
}

/// Asks for a blob from a byte on.
pub(crate) async fn ask(connection: &Connection, hash: BlobHash, offset: u64) -> Option<RecvStream> {
    let (mut wish, stream) = connection.open_bi().await.ok()?;
    let asked = [&hash.0[..], &offset.to_le_bytes()].concat();
    wish.write_all(&asked).await.ok()?;
    wish.finish().ok()?;
    Some(stream)
}

/// Says whose connection it is, before anything else is said on it.
async fn greet(connection: &Connection) -> Option<()> {
    let (mut send, _) = connection.open_bi().await.ok()?;
    send.write_all(&wire::frame(&ToHost::Bulk)).await.ok()?;
    send.finish().ok()
}

/// A host that does not know any more that we were there (it was started anew) takes nothing early: all streams end.
async fn settle(connection: Connection, accepted: ZeroRttAccepted, settling: watch::Sender<bool>) {
    if !accepted.await {
        // On a connection that has ended nobody waits for it.
        let _ = greet(&connection).await;
    }
    settling.send_replace(true);
}
