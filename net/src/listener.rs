//! Where a host listens: events come out, commands go in. The site's own rules (who may come in, what an entry may do)
//! stay with the program that owns the [`HostPort`]; the hub behind it owns the core, and each peer has its lines.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use ed25519_dalek::SigningKey;
use gemba_twin::path::{TagId, TagPath, ThingId};
use gemba_twin::peer::PeerKey;
use gemba_twin::sample::Timestamp;
use quinn::{Endpoint, VarInt};
use thiserror::Error;
use tokio::sync::mpsc;

use crate::blob_hash::BlobHash;
use crate::blob_parts::BlobParts;
use crate::frames::close;
use crate::host_stats::{HostCounters, HostStats};
use crate::hub::Hub;
use crate::limits;
use crate::lines::{self, ToHub};
use crate::peers::{Hello, PeerNumber, TrackedPoint};
use crate::recall::RecallAnswer;
use crate::telemetry::TagSample;
use crate::tls;
use crate::transport;
use crate::wire::Recall;

/// Where and as whom to listen.
#[derive(Debug, Clone)]
pub struct ListenConfig {
    /// UDP address; port 0 for any free one.
    pub address: SocketAddr,
    /// The host's key.
    pub signing_key: SigningKey,
    /// Keys that it has replaced: shown to who comes with an address from their time, and used for nothing else.
    pub earlier_keys: Vec<SigningKey>,
    /// Name of the site.
    pub site: String,
}

/// Why a host cannot listen.
#[derive(Debug, Error)]
pub enum ListenError {
    /// Someone else has the port.
    #[error("port {port} is in use by another program; choose another one", port = .0.port())]
    PortInUse(SocketAddr),
    /// The address is not ours, or not allowed.
    #[error("cannot listen on {0}: {1}")]
    Address(SocketAddr, std::io::Error),
    /// The key cannot be used for TLS.
    #[error("the host's key cannot be used: {0}")]
    Key(#[from] rustls::Error),
}

/// Something the host program decides on.
#[derive(Debug)]
pub enum HostEvent {
    /// A peer has proven its key and said hello: answer with [`HostCommand::Admit`] or [`HostCommand::Refuse`].
    Arrived {
        /// Its number.
        peer: PeerNumber,
        /// Its key.
        key: PeerKey,
        /// What it says of itself.
        hello: Hello,
    },
    /// A peer has gone.
    Left {
        /// Its number.
        peer: PeerNumber,
        /// Why.
        why: String,
    },
    /// A peer asks to append an entry: answer with [`HostCommand::Answer`].
    Submitted {
        /// Who.
        peer: PeerNumber,
        /// Its own number for this request.
        submission: u64,
        /// The entry's signed bytes.
        entry: Vec<u8>,
    },
    /// A peer asks for a blob: answer with [`HostCommand::Blob`].
    BlobWanted {
        /// Who.
        peer: PeerNumber,
        /// Which.
        hash: BlobHash,
        /// From which byte on.
        offset: u64,
    },
    /// A host stands by for this one: answer with [`HostCommand::StandsBy`] if it is to take over one day.
    StandsBy {
        /// Who.
        peer: PeerNumber,
        /// Entries of the log that are on its disk.
        held: u64,
        /// The newest answer it has heard.
        heard: Option<Timestamp>,
        /// It stands by no more.
        leaves: bool,
    },
    /// A piece of the log that was for this peer alone has been written to its line: now the next one has room.
    EntriesTaken {
        /// Who.
        peer: PeerNumber,
    },
    /// A peer asks for the past: answer with [`HostCommand::Recalled`], always, or it can ask nothing more. Of each
    /// peer there is at most one question to be answered.
    Recall {
        /// Who.
        peer: PeerNumber,
        /// What.
        recall: Recall,
    },
    /// A peer wants to take a thing in hand: answer with [`HostCommand::Grab`].
    Grabbing {
        /// Who.
        peer: PeerNumber,
        /// Its own number for this hold.
        hold: u8,
        /// What.
        thing: ThingId,
    },
    /// A thing that was carried lies there now; for a host that wants to know after it has been started anew.
    Rested {
        /// What.
        thing: ThingId,
        /// Where.
        at: TrackedPoint,
    },
}

/// What the host program wants done.
#[derive(Debug)]
pub enum HostCommand {
    /// Lets a peer in.
    Admit {
        /// Who.
        peer: PeerNumber,
        /// Entries of the log now.
        entries: u64,
    },
    /// Sends a peer away.
    Refuse {
        /// Who.
        peer: PeerNumber,
        /// Why, for a person.
        why: String,
    },
    /// Answers a submission.
    Answer {
        /// Who asked.
        peer: PeerNumber,
        /// The request.
        submission: u64,
        /// The entry's index, or why it is refused.
        outcome: Result<u64, String>,
        /// An entry that it overruled and that its author did not know of.
        overruled: Option<u64>,
    },
    /// Tells one peer, or all that are in, the next entries of the log.
    Entries {
        /// Whom; none for all.
        peer: Option<PeerNumber>,
        /// Index of the first.
        first: u64,
        /// Their signed bytes.
        entries: Vec<Vec<u8>>,
    },
    /// Tells a host that stands by that it is counted on.
    StandsBy {
        /// Who.
        peer: PeerNumber,
        /// This host's clock.
        at: Timestamp,
    },
    /// New samples for all who want them.
    Publish(Vec<TagSample>),
    /// Where tags stand, for those who want to be told of a part of the plant; added to what was said before.
    TagPaths(Vec<(TagId, TagPath)>),
    /// Answers a wish for a blob.
    Blob {
        /// Who asked.
        peer: PeerNumber,
        /// Which.
        hash: BlobHash,
        /// From which byte on.
        offset: u64,
        /// The blob, or none if there is none.
        blob: Option<BlobParts>,
    },
    /// Answers a question for the past.
    Recalled {
        /// Who asked.
        peer: PeerNumber,
        /// The answer. With more than [`limits::RECALL_SAMPLES`] samples it cannot be sent, and is answered as if
        /// nothing were covered; of more than [`limits::RECALL_SPANS`] spans only the newest count.
        answer: RecallAnswer,
    },
    /// Says whether a peer may take a thing in hand.
    Grab {
        /// Who asked.
        peer: PeerNumber,
        /// The hold.
        hold: u8,
        /// Whether it may, or why not.
        outcome: Result<(), String>,
    },
    /// The record says where a thing is: it is no longer where it was carried to.
    PutBack {
        /// What.
        thing: ThingId,
    },
    /// Where things lie that were carried before this host began; to be said before anybody comes.
    Rests(Vec<(ThingId, TrackedPoint)>),
    /// How far back history goes, for all and for who comes later.
    History {
        /// Its beginning.
        from: Timestamp,
        /// Its end; it grows with the clock, which need not be told.
        to: Timestamp,
    },
}

/// A listening host: events come out, commands go in, both through bounded queues.
#[derive(Debug)]
pub struct HostPort {
    /// What happens.
    pub events: mpsc::Receiver<HostEvent>,
    /// What is to be done.
    pub commands: mpsc::Sender<HostCommand>,
    local: SocketAddr,
    endpoint: Endpoint,
    counters: Arc<HostCounters>,
    is_open: Arc<AtomicBool>,
}

impl HostPort {
    /// The address that is listened on, with the real port.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// What has been dropped and refused since it began to listen.
    pub fn stats(&self) -> HostStats {
        self.counters.stats()
    }

    /// Lets peers connect from now on.
    pub fn open(&self) {
        self.is_open.store(true, Relaxed);
    }

    /// Tells all peers that the host leaves on purpose.
    pub async fn close(self) {
        self.endpoint.close(VarInt::from_u32(close::LEFT), b"the host has been stopped");
        self.endpoint.wait_idle().await;
    }
}

/// Begins to listen.
pub async fn listen(config: ListenConfig) -> Result<HostPort, ListenError> {
    begin(config, true)
}

/// Begins to listen as a host that stands by: whoever connects is sent away at once, until [`HostPort::open`].
pub async fn stand_by(config: ListenConfig) -> Result<HostPort, ListenError> {
    begin(config, false)
}

fn begin(config: ListenConfig, is_open: bool) -> Result<HostPort, ListenError> {
    let mut server =
        quinn::ServerConfig::with_crypto(Arc::new(tls::server(&config.signing_key, &config.earlier_keys)?));
    server.transport_config(Arc::new(transport::real_time()));
    let endpoint = transport::endpoint(config.address, Some(server.clone())).map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => ListenError::PortInUse(config.address),
        _ => ListenError::Address(config.address, error),
    })?;
    let local = endpoint.local_addr().map_err(|e| ListenError::Address(config.address, e))?;
    let (event_sender, events) = mpsc::channel(limits::EVENT_QUEUE);
    let (commands, command_receiver) = mpsc::channel(limits::COMMAND_QUEUE);
    let (inputs, input_receiver) = mpsc::channel(limits::INPUT_QUEUE);
    let is_open = Arc::new(AtomicBool::new(is_open));
    let (counters, saved) = (Arc::default(), Arc::default());
    let lines = ToHub { server, inputs, counters, saved, is_open: is_open.clone() };
    let counters = lines.counters.clone();
    tokio::spawn(Hub::new(config.site, event_sender, &lines).run(command_receiver, input_receiver));
    tokio::spawn(lines::accept(endpoint.clone(), lines));
    Ok(HostPort { events, commands, local, endpoint, counters, is_open })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use quinn::{Connection, RecvStream, SendStream};

    use crate::frames;
    use crate::wire::{self, ToHost, ToPeer};

    use gemba_twin::peer::PeerKind;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    async fn host() -> HostPort {
        let address = ([127, 0, 0, 1], 0).into();
        listen(ListenConfig { address, signing_key: key(1), earlier_keys: vec![], site: "test".to_owned() })
            .await
            .unwrap()
    }

    /// A peer that may say what a link never would.
    async fn raw_peer(host: &HostPort) -> (Endpoint, Connection, SendStream, RecvStream) {
        let endpoint = Endpoint::client(([127, 0, 0, 1], 0).into()).unwrap();
        let crypto = tls::client(&key(2), PeerKey(key(1).verifying_key().to_bytes())).unwrap();
        let mut client = quinn::ClientConfig::new(Arc::new(crypto));
        client.transport_config(Arc::new(transport::real_time()));
        let connection = endpoint.connect_with(client, host.local_addr(), "gemba").unwrap().await.unwrap();
        let (send, recv) = connection.open_bi().await.unwrap();
        (endpoint, connection, send, recv)
    }

    fn hello(minor: u16) -> Vec<u8> {
        let name = "raw".to_owned();
        let (kind, redemption) = (PeerKind::Device, None);
        let hello =
            Hello { oldest_minor: minor, newest_minor: minor, name, kind, entries_held: 0, redemption, here: None };
        wire::frame(&ToHost::Hello(hello))
    }

    async fn within_seconds<F: Future>(what: F) -> F::Output {
        tokio::time::timeout(Duration::from_secs(10), what).await.expect("it takes no ten seconds")
    }

    #[tokio::test]
    async fn a_peer_of_another_version_reads_why_before_the_connection_ends() {
        let host = host().await;
        let (_endpoint, connection, mut send, mut recv) = raw_peer(&host).await;
        send.write_all(&hello(9)).await.unwrap();
        let body = within_seconds(frames::read(&mut recv, limits::FRAME_BYTES, || {})).await.unwrap();
        let ToPeer::Refused { why } = wire::decode_to_peer(&body).unwrap() else { panic!("not refused") };
        assert!(why.contains("1.9"), "{why}");
        let end = within_seconds(connection.closed()).await;
        let quinn::ConnectionError::ApplicationClosed(end) = end else { panic!("{end}") };
        assert_eq!(end.error_code, VarInt::from_u32(close::REFUSED));
    }

    #[tokio::test]
    async fn a_peer_that_floods_submissions_does_not_keep_the_host_from_its_commands() {
        let mut host = host().await;
        let (_endpoint, _connection, mut send, _recv) = raw_peer(&host).await;
        send.write_all(&hello(0)).await.unwrap();
        let Some(HostEvent::Arrived { peer, .. }) = within_seconds(host.events.recv()).await else { panic!("nobody") };
        host.commands.send(HostCommand::Admit { peer, entries: 0 }).await.unwrap();
        let flood: Vec<u8> = (0..3 * limits::EVENT_QUEUE as u64)
            .flat_map(|submission| wire::frame(&ToHost::Submit { submission, entry: vec![0].into() }))
            .collect();
        let flooding = tokio::spawn(async move { send.write_all(&flood).await });
        // The host program is busy with something else: it reads no events, but goes on publishing.
        for _ in 0..4 * limits::COMMAND_QUEUE {
            within_seconds(host.commands.send(HostCommand::Publish(Vec::new()))).await.unwrap();
            tokio::task::yield_now().await;
        }
        flooding.abort();
    }

    #[tokio::test]
    async fn a_connection_for_blobs_may_be_a_little_ahead_of_its_sessions_hello() {
        let mut host = host().await;
        let (_first, _session, mut control, _recv) = raw_peer(&host).await;
        let (_second, bulk, mut send, _recv) = raw_peer(&host).await;
        send.write_all(&wire::frame(&ToHost::Bulk)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        control.write_all(&hello(*wire::MINORS.end())).await.unwrap();
        let Some(HostEvent::Arrived { peer, .. }) = within_seconds(host.events.recv()).await else { panic!("nobody") };
        host.commands.send(HostCommand::Admit { peer, entries: 0 }).await.unwrap();
        let taken = async {
            while host.counters.bulk_lines.load(Relaxed) == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        within_seconds(taken).await;
        assert!(bulk.close_reason().is_none());
    }

    #[tokio::test]
    async fn a_peer_that_talks_nonsense_is_closed_with_the_protocols_code() {
        let host = host().await;
        let (_endpoint, connection, mut send, _recv) = raw_peer(&host).await;
        let _ = send.write_all(&[4, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]).await;
        let end = within_seconds(connection.closed()).await;
        let quinn::ConnectionError::ApplicationClosed(end) = end else { panic!("{end}") };
        assert_eq!(end.error_code, VarInt::from_u32(close::PROTOCOL));
    }
}
