//! The lines of each peer at a host: takes in connections, reads what peers say into the hub's queue, and writes what
//! the hub has for them.

use std::sync::{Arc, Mutex};

use gemba_twin::peer::PeerKey;
use quinn::{Connection, Endpoint, RecvStream, SendStream, VarInt};
use tokio::sync::{Notify, mpsc, oneshot};
use tracing::debug;

use crate::blob_hash::BlobHash;
use crate::frames::{self, FrameError, close};
use crate::limits;
use crate::peers::{Hello, PeerNumber};
use crate::recall::{self, Answers};
use crate::telemetry::{self, Conflater};
use crate::tls;
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
    Message(PeerNumber, ToHost),
    Pose(PeerNumber, Vec<u8>),
    Blob {
        peer: PeerNumber,
        hash: BlobHash,
        offset: u64,
        stream: SendStream,
    },
    Gone(PeerNumber, String),
}

pub(crate) async fn accept(endpoint: Endpoint, inputs: mpsc::Sender<Input>) {
    while let Some(incoming) = endpoint.accept().await {
        let inputs = inputs.clone();
        tokio::spawn(async move {
            match tokio::time::timeout(limits::CONNECT, incoming).await {
                Ok(Ok(connection)) => serve(connection, inputs).await,
                Ok(Err(error)) => debug!("a peer failed to connect: {error}"),
                Err(_) => debug!("a peer was too slow to connect"),
            }
        });
    }
}

async fn serve(connection: Connection, inputs: mpsc::Sender<Input>) {
    let greeting = tokio::time::timeout(limits::CONNECT, greet(&connection, &inputs)).await;
    let (peer, control) = match greeting.unwrap_or(Greeting::None) {
        Greeting::Arrived(peer, control) => (peer, control),
        // It is being told why; whoever tells it closes the connection.
        Greeting::Refused => return,
        Greeting::None => return connection.close(VarInt::from_u32(close::PROTOCOL), b"no hello"),
    };
    let end = tokio::select! {
        end = read_control(peer, control, &inputs) => end,
        end = read_datagrams(peer, &connection, &inputs) => end,
        end = read_blob_wishes(peer, &connection, &inputs) => end,
    };
    let why = match end {
        LineEnd::Over(why) => {
            connection.close(VarInt::from_u32(close::LEFT), b"");
            why
        }
        LineEnd::Broken(why) => {
            connection.close(VarInt::from_u32(close::PROTOCOL), why.as_bytes());
            why
        }
    };
    // The hub has gone: so have all connections.
    let _ = inputs.send(Input::Gone(peer, why)).await;
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
    Refused,
    None,
}

async fn greet(connection: &Connection, inputs: &mpsc::Sender<Input>) -> Greeting {
    let Some(key) = tls::peer_key(connection) else { return Greeting::None };
    let Ok((control, mut recv)) = connection.accept_bi().await else { return Greeting::None };
    let Ok(body) = frames::read(&mut recv, limits::HELLO_BYTES, || {}).await else { return Greeting::None };
    let Ok(ToHost::Hello(hello)) = wire::decode_to_host(&body) else { return Greeting::None };
    let (reply, number) = oneshot::channel();
    if inputs.send(Input::Hello { connection: connection.clone(), control, key, hello, reply }).await.is_err() {
        return Greeting::None;
    }
    number.await.map_or(Greeting::Refused, |peer| Greeting::Arrived(peer, recv))
}

async fn read_control(peer: PeerNumber, mut stream: RecvStream, inputs: &mpsc::Sender<Input>) -> LineEnd {
    loop {
        let message = match frames::read(&mut stream, limits::FRAME_BYTES, || {}).await {
            Ok(body) => wire::decode_to_host(&body),
            Err(error) => return error.into(),
        };
        match message {
            Ok(ToHost::Hello(_)) => return LineEnd::Broken("said hello twice".to_owned()),
            Ok(message) => {
                if inputs.send(Input::Message(peer, message)).await.is_err() {
                    return LineEnd::Over("the host has stopped".to_owned());
                }
            }
            Err(error) => return LineEnd::Broken(error.to_string()),
        }
    }
}

async fn read_datagrams(peer: PeerNumber, connection: &Connection, inputs: &mpsc::Sender<Input>) -> LineEnd {
    loop {
        match connection.read_datagram().await {
            Ok(bytes) => {
                // A full hub drops poses first.
                let _ = inputs.try_send(Input::Pose(peer, bytes.to_vec()));
            }
            Err(error) => return LineEnd::Over(error.to_string()),
        }
    }
}

async fn read_blob_wishes(peer: PeerNumber, connection: &Connection, inputs: &mpsc::Sender<Input>) -> LineEnd {
    loop {
        let (stream, mut wish) = match connection.accept_bi().await {
            Ok(streams) => streams,
            Err(error) => return LineEnd::Over(error.to_string()),
        };
        let inputs = inputs.clone();
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

pub(crate) async fn write_control(connection: Connection, mut stream: SendStream, mut frames: mpsc::Receiver<Vec<u8>>) {
    while let Some(frame) = frames.recv().await {
        if stream.write_all(&frame).await.is_err() {
            return;
        }
    }
    // All senders are gone: the peer has been refused or has left. What was written shall still arrive.
    let _ = stream.finish();
    let _ = tokio::time::timeout(limits::CONNECT, stream.stopped()).await;
    connection.close(VarInt::from_u32(close::REFUSED), b"");
}

/// The stream of what is measured now is opened before any other, by which the peer knows it.
pub(crate) async fn write_telemetry(
    connection: Connection,
    samples: Arc<(Mutex<Conflater>, Notify)>,
    answers: Arc<Answers>,
) {
    let Ok(stream) = connection.open_uni().await else { return };
    tokio::join!(write_samples(&connection, stream, samples), recall::write(&connection, &answers));
}

/// One batch at a time: while it is on its way the newer ones are conflated.
async fn write_samples(connection: &Connection, mut stream: SendStream, samples: Arc<(Mutex<Conflater>, Notify)>) {
    let (conflater, news) = &*samples;
    loop {
        tokio::select! {
            () = news.notified() => {}
            _ = connection.closed() => return,
        }
        let batches = conflater.lock().map(|mut c| c.take()).unwrap_or_default();
        for batch in batches {
            let body = telemetry::encode(&batch);
            let length = (body.len() as u32).to_le_bytes();
            if stream.write_all(&length).await.is_err() || stream.write_all(&body).await.is_err() {
                return;
            }
        }
        tokio::time::sleep(limits::TICK).await;
    }
}

pub(crate) async fn send_blob(mut stream: SendStream, offset: u64, bytes: Option<Arc<[u8]>>) {
    // Below every other stream of the connection: bulk must not delay what happens now.
    let _ = stream.set_priority(-10);
    let size = bytes.as_ref().map_or(NO_BLOB, |bytes| bytes.len() as u64);
    if stream.write_all(&size.to_le_bytes()).await.is_err() {
        return;
    }
    if let Some(rest) = bytes.as_deref().and_then(|bytes| bytes.get(usize::try_from(offset).ok()?..)) {
        // A peer that has gone takes no more of it.
        let _ = stream.write_all(rest).await;
    }
    let _ = stream.finish();
}
