//! The lines of each peer at a host: takes in connections, reads what peers say into the hub's queue, and writes what
//! the hub has for them. Each peer's places in that queue are its own.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use gemba_twin::peer::PeerKey;
use quinn::{Connection, Endpoint, Incoming, RecvStream, SendStream, VarInt, ZeroRttAccepted};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::AbortHandle;
use tracing::{Instrument, debug, debug_span};

use crate::allowance::{Allowance, Place, TokenBucket};
use crate::blob_hash::BlobHash;
use crate::blob_parts::BlobParts;
use crate::careful_resume::SavedWindows;
use crate::frames::{self, FrameError, close};
use crate::host_stats::{HostCounters, count};
use crate::limits;
use crate::peers::{Hello, PeerNumber};
use crate::recall::{self, Answers};
use crate::telemetry::Feed;
use crate::tls;
use crate::transport;
use crate::wire::{self, NO_BLOB, ToHost};

/// What connections tell the hub.
pub(crate) enum Input {
    Hello {
        connection: Connection,
        control: SendStream,
        key: PeerKey,
        hello: Hello,
        reply: oneshot::Sender<PeerNumber>,
    },
    /// A second connection, for blobs; answered with the session that it belongs to, if there is one.
    Bulk {
        connection: Connection,
        key: PeerKey,
        /// Whether a session from another socket will do.
        from_anywhere: bool,
        reply: oneshot::Sender<PeerNumber>,
    },
    Message(PeerNumber, ToHost, Place),
    Pose(PeerNumber, Vec<u8>, Place),
    Blob {
        peer: PeerNumber,
        hash: BlobHash,
        offset: u64,
        stream: SendStream,
    },
    /// The end of a piece of the log has been written.
    EntriesWritten(PeerNumber),
    Gone(PeerNumber, String),
}

/// Where lines bring what they hear.
#[derive(Clone)]
pub(crate) struct ToHub {
    /// How connections are made.
    pub(crate) server: quinn::ServerConfig,
    pub(crate) inputs: mpsc::Sender<Input>,
    pub(crate) counters: Arc<HostCounters>,
    /// What connections for bulk have found, for those to come.
    pub(crate) saved: Arc<SavedWindows>,
    /// Whether peers may connect: not while this host stands by for another.
    pub(crate) is_open: Arc<AtomicBool>,
}

/// Takes in connections. When many are being made at once each newcomer has to prove its address first, which costs us
/// no memory (RFC 9000, section 8.1.2); when there are too many all the same, the oldest goes: an honest one is done
/// after two round trips.
pub(crate) async fn accept(endpoint: Endpoint, hub: ToHub) {
    let mut making: VecDeque<AbortHandle> = VecDeque::new();
    while let Some(incoming) = endpoint.accept().await {
        if !hub.is_open.load(Relaxed) {
            incoming.refuse();
            continue;
        }
        making.retain(|one| !one.is_finished());
        if making.len() >= limits::HANDSHAKES_UNPROVEN && !incoming.remote_address_validated() {
            count(&hub.counters.handshakes_retried);
            // One that may not be retried any more has proved its address.
            let _ = incoming.retry();
            continue;
        }
        if making.len() >= limits::HANDSHAKES {
            count(&hub.counters.handshakes_abandoned);
            making.pop_front().inspect(AbortHandle::abort);
        }
        making.push_back(tokio::spawn(arrive(incoming, hub.clone())).abort_handle());
    }
}

/// From the first packet to the hello; what follows has a task of its own.
async fn arrive(incoming: Incoming, hub: ToHub) {
    let is_bulk = Arc::new(AtomicBool::new(false));
    let mut server = hub.server.clone();
    let to = incoming.remote_address().ip();
    server.transport_config(Arc::new(transport::undecided(is_bulk.clone(), hub.saved.clone(), to)));
    let connecting = match incoming.accept_with(Arc::new(server)) {
        Ok(connecting) => connecting,
        Err(error) => return debug!("a peer failed to connect: {error}"),
    };
    // At this side there always is a connection to send on.
    let Ok((connection, proven)) = connecting.into_0rtt() else { return };
    let greeting = tokio::time::timeout(limits::CONNECT * 2, greet(&connection, proven, &hub)).await;
    match greeting.unwrap_or(Greeting::None) {
        Greeting::Arrived(peer, control) => {
            let session = debug_span!("session", peer = peer.0, from = %connection.remote_address());
            tokio::spawn(serve(connection, peer, control, hub).instrument(session));
        }
        Greeting::Bulk(peer) => {
            is_bulk.store(true, Relaxed);
            tokio::spawn(async move {
                // It ends with the session that it belongs to, or before.
                drop(read_blob_wishes(peer, &connection, &hub).await);
                connection.close(VarInt::from_u32(close::LEFT), b"");
            });
        }
        // It is being told why; whoever tells it closes the connection.
        Greeting::Refused => {}
        Greeting::None if tls::peer_key(&connection).is_none() => {
            debug!("a peer failed to connect: {:?}", connection.close_reason());
            connection.close(VarInt::from_u32(close::PROTOCOL), b"too slow");
        }
        Greeting::None => {
            count(&hub.counters.peers_broken);
            connection.close(VarInt::from_u32(close::PROTOCOL), b"no hello");
        }
    }
}

async fn serve(connection: Connection, peer: PeerNumber, control: RecvStream, hub: ToHub) {
    let allowance = Allowance::new();
    let span = |name| debug_span!("lane", name);
    let control = read_control(peer, control, &allowance, &hub).instrument(span("record"));
    let poses = read_datagrams(peer, &connection, &allowance, &hub).instrument(span("pose"));
    let wishes = read_blob_wishes(peer, &connection, &hub).instrument(span("blob"));
    let others = async {
        tokio::select! { end = poses => end, end = wishes => end }
    };
    tokio::pin!(control);
    let end = tokio::select! {
        end = &mut control => end,
        // Both end with the connection, and what the peer said last may have come together with its good-bye.
        LineEnd::Over(_) = others => control.await,
    };
    let why = match end {
        LineEnd::Over(why) => {
            connection.close(VarInt::from_u32(close::LEFT), b"");
            why
        }
        LineEnd::Broken(why) => {
            count(&hub.counters.peers_broken);
            connection.close(VarInt::from_u32(close::PROTOCOL), why.as_bytes());
            why
        }
    };
    // The hub has gone: so have all connections.
    let _ = hub.inputs.send(Input::Gone(peer, why)).await;
}

/// Why a line is not read any more.
enum LineEnd {
    /// The peer or the host has left, or the network has failed.
    Over(String),
    /// The peer broke the protocol.
    Broken(String),
}

impl From<FrameError> for LineEnd {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::Over => LineEnd::Over(error.to_string()),
            FrameError::Wire(error) => LineEnd::Broken(error.to_string()),
        }
    }
}

/// How a connection begins.
enum Greeting {
    Arrived(PeerNumber, RecvStream),
    Bulk(PeerNumber),
    Refused,
    None,
}

/// What comes before the peer has `proven` to be there may be a replay. Such is answered where it only reads; anything
/// else waits for the proof.
async fn greet(connection: &Connection, proven: ZeroRttAccepted, hub: &ToHub) -> Greeting {
    let Ok((control, mut recv)) = connection.accept_bi().await else { return Greeting::None };
    let Ok(body) = frames::read(&mut recv, limits::HELLO_BYTES, || {}).await else { return Greeting::None };
    let hello = match wire::decode_to_host(&body) {
        Ok(ToHost::Hello(hello)) => hello,
        Ok(ToHost::Bulk) => return greet_bulk(connection, proven, hub).await,
        _ => return Greeting::None,
    };
    proven.await;
    let Some(key) = tls::peer_key(connection) else { return Greeting::None };
    let (reply, number) = oneshot::channel();
    let input = Input::Hello { connection: connection.clone(), control, key, hello, reply };
    if hub.inputs.send(input).await.is_err() {
        return Greeting::None;
    }
    number.await.map_or(Greeting::Refused, |peer| Greeting::Arrived(peer, recv))
}

/// Its session's hello comes on another connection, from the same socket: it may be a little behind. A session from
/// elsewhere is taken for its own only when there is no other: it may be the one that was lost before this peer came back.
async fn greet_bulk(connection: &Connection, proven: ZeroRttAccepted, hub: &ToHub) -> Greeting {
    let find = async |is_last| {
        let key = tls::peer_key(connection)?;
        let (reply, number) = oneshot::channel();
        let input = Input::Bulk { connection: connection.clone(), key, from_anywhere: is_last, reply };
        hub.inputs.send(input).await.ok()?;
        number.await.ok()
    };
    if let Some(peer) = find(false).await {
        return Greeting::Bulk(peer);
    }
    proven.await;
    for (tried, wait) in limits::HELLO_BEHIND.into_iter().enumerate() {
        tokio::time::sleep(wait).await;
        if let Some(peer) = find(tried + 1 == limits::HELLO_BEHIND.len()).await {
            return Greeting::Bulk(peer);
        }
    }
    Greeting::None
}

/// Whoever says more than it may is not read for a while; QUIC's flow control then holds it up at its own end.
async fn read_control(peer: PeerNumber, mut stream: RecvStream, allowance: &Allowance, hub: &ToHub) -> LineEnd {
    let mut rate = TokenBucket::new(limits::MESSAGE_RATE, Instant::now());
    loop {
        let body = match frames::read(&mut stream, limits::FRAME_BYTES, || {}).await {
            Ok(body) => body,
            Err(error) => return error.into(),
        };
        let message = match wire::decode_to_host(&body) {
            Ok(ToHost::Hello(_) | ToHost::Bulk) => return LineEnd::Broken("said hello twice".to_owned()),
            Ok(message) => message,
            Err(error) => return LineEnd::Broken(error.to_string()),
        };
        // Submissions are held up by their answers.
        while let Err(wait) = rate.take(Instant::now())
            && !matches!(message, ToHost::Submit { .. })
        {
            count(&hub.counters.messages_paced);
            tokio::time::sleep(wait).await;
        }
        let Some(place) = allowance.place(body.len()).await else { return stopped() };
        if hub.inputs.send(Input::Message(peer, message, place)).await.is_err() {
            return stopped();
        }
    }
}

fn stopped() -> LineEnd {
    LineEnd::Over("the host has stopped".to_owned())
}

async fn read_datagrams(peer: PeerNumber, connection: &Connection, allowance: &Allowance, hub: &ToHub) -> LineEnd {
    let mut rate = TokenBucket::new(limits::POSE_RATE, Instant::now());
    loop {
        let bytes = match connection.read_datagram().await {
            Ok(bytes) => bytes,
            Err(error) => return LineEnd::Over(error.to_string()),
        };
        if rate.take(Instant::now()).is_err() {
            count(&hub.counters.poses_over_rate);
            continue;
        }
        let pose = allowance.place_now().map(|place| Input::Pose(peer, bytes.to_vec(), place));
        if pose.is_none_or(|pose| hub.inputs.try_send(pose).is_err()) {
            count(&hub.counters.poses_waiting);
        }
    }
}

async fn read_blob_wishes(peer: PeerNumber, connection: &Connection, hub: &ToHub) -> LineEnd {
    loop {
        let (stream, mut wish) = match connection.accept_bi().await {
            Ok(streams) => streams,
            Err(error) => return LineEnd::Over(error.to_string()),
        };
        if wish.is_0rtt() {
            count(&hub.counters.blobs_early);
        }
        let inputs = hub.inputs.clone();
        tokio::spawn(async move {
            let (mut hash, mut offset) = ([0; 32], [0; 8]);
            let read = async { wish.read_exact(&mut hash).await.is_ok() && wish.read_exact(&mut offset).await.is_ok() };
            if tokio::time::timeout(limits::CONNECT, read).await == Ok(true) {
                let (hash, offset) = (BlobHash(hash), u64::from_le_bytes(offset));
                // If the hub has gone so has the connection.
                let _ = inputs.send(Input::Blob { peer, hash, offset, stream }).await;
            }
        });
    }
}

/// A frame on its way to one peer.
pub(crate) struct Outgoing {
    pub(crate) frame: Vec<u8>,
    /// Whether the hub wants to know when it has been written.
    pub(crate) is_end_of_piece: bool,
}

/// What waits to be written to one peer; `bytes` is the sum of the frames'.
pub(crate) struct Outbox {
    pub(crate) frames: mpsc::Receiver<Outgoing>,
    pub(crate) bytes: Arc<AtomicUsize>,
}

pub(crate) async fn write_control(
    connection: Connection,
    mut stream: SendStream,
    mut outbox: Outbox,
    peer: Option<PeerNumber>,
    hub: mpsc::WeakSender<Input>,
) {
    while let Some(Outgoing { frame, is_end_of_piece }) = outbox.frames.recv().await {
        if stream.write_all(&frame).await.is_err() {
            return;
        }
        outbox.bytes.fetch_sub(frame.len(), Relaxed);
        if is_end_of_piece && let (Some(peer), Some(hub)) = (peer, hub.upgrade()) {
            // A hub that has gone sends no more.
            let _ = hub.send(Input::EntriesWritten(peer)).await;
        }
    }
    // All senders are gone: the peer has been refused or has left. What was written shall still arrive.
    let _ = stream.finish();
    let _ = tokio::time::timeout(limits::CONNECT, stream.stopped()).await;
    connection.close(VarInt::from_u32(close::REFUSED), b"");
}

/// The stream of what is measured now is opened before any other, by which the peer knows it. `fed` with whether it
/// reads packed samples.
pub(crate) async fn write_telemetry(
    connection: Connection,
    fed: (Arc<(Mutex<Feed>, Notify)>, bool),
    answers: Arc<Answers>,
    counters: Arc<HostCounters>,
) {
    let Ok(stream) = connection.open_uni().await else { return };
    tokio::join!(write_samples(&connection, stream, fed, &counters), recall::write(&connection, &answers));
}

/// One batch at a time: while it is on its way newer ones wait, and are conflated.
async fn write_samples(
    connection: &Connection,
    mut stream: SendStream,
    (fed, is_packed): (Arc<(Mutex<Feed>, Notify)>, bool),
    counters: &HostCounters,
) {
    let (feed, news) = &*fed;
    loop {
        tokio::select! {
            () = news.notified() => {}
            _ = connection.closed() => return,
        }
        let taken = feed.lock().map(|mut feed| (feed.take(), std::mem::take(&mut feed.dropped)));
        let (all, dropped) = taken.unwrap_or_default();
        counters.samples_conflated.fetch_add(dropped, Relaxed);
        for told in all {
            let frames = if is_packed { told.frames() } else { told.frames_before_packing() };
            for body in frames {
                let length = (body.len() as u32).to_le_bytes();
                if stream.write_all(&length).await.is_err() || stream.write_all(body).await.is_err() {
                    return;
                }
            }
        }
        tokio::time::sleep(limits::TELEMETRY_TICK).await;
    }
}

/// Above the blobs that are wished for on the same connection.
pub(crate) async fn write_pieces(connection: Connection, pieces: Vec<Arc<[u8]>>) {
    let Ok(mut stream) = connection.open_uni().await else { return };
    for piece in pieces {
        let length = (piece.len() as u32).to_le_bytes();
        // A peer that has gone asks again when it is back.
        if stream.write_all(&length).await.is_err() || stream.write_all(&piece).await.is_err() {
            return;
        }
    }
    let _ = stream.finish();
}

/// `is_proven` says whether the peer verifies each group.
pub(crate) async fn send_blob(mut stream: SendStream, offset: u64, blob: Option<BlobParts>, is_proven: bool) {
    // Below every other stream of the connection: bulk must not delay what happens now.
    let _ = stream.set_priority(-10);
    let size = blob.as_ref().map_or(NO_BLOB, |blob| blob.tree.size());
    let mut head = size.to_le_bytes().to_vec();
    if let Some(blob) = blob.as_ref().filter(|_| is_proven) {
        head.extend(blob.tree.values());
    }
    if stream.write_all(&head).await.is_err() {
        return;
    }
    let Some(BlobParts { mut parts, .. }) = blob else { return drop(stream.finish()) };
    let mut sent = offset;
    while let Some(part) = parts.recv().await {
        sent += part.len() as u64;
        // A peer that has gone takes no more of it.
        if stream.write_all(&part).await.is_err() {
            return;
        }
    }
    // Cut off: the peer asks again, from where it is.
    let _ = if sent >= size { stream.finish().is_ok() } else { stream.reset(VarInt::from_u32(close::BUSY)).is_ok() };
}
