//! The host's edge: takes in peers over QUIC, feeds [`HostCore`] and carries out what it says. The site's own rules
//! (who may come in, what an entry may do) stay with the program that owns the [`HostPort`].

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use ed25519_dalek::SigningKey;
use gemba_twin::peer::PeerKey;
use gemba_twin::sample::Timestamp;
use quinn::{Connection, Endpoint, RecvStream, SendStream, TransportConfig, VarInt};
use thiserror::Error;
use tokio::sync::{Notify, mpsc};
use tracing::{debug, info};

use crate::blob_hash::BlobHash;
use crate::frames::{self, close};
use crate::host_core::{HostCore, Output};
use crate::limits;
use crate::peers::{Hello, PeerNumber};
use crate::telemetry::{self, Conflater, TagSample};
use crate::tls;
use crate::wire::{self, NO_BLOB, ToHost, ToPeer};

/// Where and as whom to listen.
#[derive(Debug, Clone)]
pub struct ListenConfig {
    /// UDP address; port 0 for any free one.
    pub address: SocketAddr,
    /// The host's key.
    pub signing_key: SigningKey,
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
    /// New samples for all.
    Publish(Vec<TagSample>),
    /// Answers a wish for a blob.
    Blob {
        /// Who asked.
        peer: PeerNumber,
        /// Which.
        hash: BlobHash,
        /// From which byte on.
        offset: u64,
        /// The whole blob, or none if there is none.
        bytes: Option<Arc<[u8]>>,
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
}

impl HostPort {
    /// The address that is listened on, with the real port.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Tells all peers that the host leaves on purpose.
    pub async fn close(self) {
        self.endpoint.close(VarInt::from_u32(close::LEFT), b"the host has been stopped");
        self.endpoint.wait_idle().await;
    }
}

/// Begins to listen.
pub async fn listen(config: ListenConfig) -> Result<HostPort, ListenError> {
    let mut server = quinn::ServerConfig::with_crypto(Arc::new(tls::server(&config.signing_key)?));
    server.transport_config(Arc::new(transport()));
    let endpoint = Endpoint::server(server, config.address).map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => ListenError::PortInUse(config.address),
        _ => ListenError::Address(config.address, error),
    })?;
    let local = endpoint.local_addr().map_err(|e| ListenError::Address(config.address, e))?;
    let (event_sender, events) = mpsc::channel(limits::EVENT_QUEUE);
    let (commands, command_receiver) = mpsc::channel(limits::COMMAND_QUEUE);
    let (inputs, input_receiver) = mpsc::channel(limits::EVENT_QUEUE);
    let hub = Hub {
        site: config.site,
        core: HostCore::default(),
        lines: HashMap::new(),
        events: event_sender,
        blobs: HashMap::new(),
    };
    tokio::spawn(hub.run(command_receiver, input_receiver));
    tokio::spawn(accept(endpoint.clone(), inputs));
    Ok(HostPort { events, commands, local, endpoint })
}

/// Settings of every connection, at both ends.
pub(crate) fn transport() -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport.max_idle_timeout(Some(limits::IDLE.try_into().expect("seconds fit a QUIC integer")));
    transport.max_concurrent_uni_streams(1u8.into());
    transport.max_concurrent_bidi_streams(VarInt::from_u32(1 + limits::BLOBS_PER_PEER as u32));
    // Late poses are worthless: a few datagrams, then the oldest goes.
    transport.datagram_send_buffer_size(16 << 10);
    transport
}

/// Our clock in the form that goes over the wire.
pub(crate) fn clock() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// What connections tell the hub.
enum Input {
    Hello { connection: Connection, control: SendStream, key: PeerKey, hello: Hello, reply: mpsc::Sender<PeerNumber> },
    Message(PeerNumber, ToHost),
    Pose(PeerNumber, Vec<u8>),
    Blob { peer: PeerNumber, hash: BlobHash, offset: u64, stream: SendStream },
    Gone(PeerNumber, String),
}

/// What the hub holds of a peer's connection.
struct Line {
    connection: Connection,
    control: mpsc::Sender<Vec<u8>>,
    samples: Arc<(Mutex<Conflater>, Notify)>,
    blobs_open: usize,
}

/// The one task that owns the core.
struct Hub {
    site: String,
    core: HostCore,
    lines: HashMap<PeerNumber, Line>,
    events: mpsc::Sender<HostEvent>,
    blobs: HashMap<(PeerNumber, BlobHash, u64), Vec<SendStream>>,
}

impl Hub {
    async fn run(mut self, mut commands: mpsc::Receiver<HostCommand>, mut inputs: mpsc::Receiver<Input>) {
        let mut tick = tokio::time::interval(limits::TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = tick.tick() => self.core.tick(),
                command = commands.recv() => match command {
                    Some(command) => self.command(command),
                    None => break,
                },
                input = inputs.recv() => match input {
                    Some(input) => self.input(input).await,
                    None => break,
                },
            }
            self.carry_out();
        }
    }

    fn command(&mut self, command: HostCommand) {
        match command {
            HostCommand::Admit { peer, entries } => self.core.admit(peer, &self.site, entries),
            HostCommand::Refuse { peer, why } => self.core.refuse(peer, &why),
            HostCommand::Answer { peer, submission, outcome } => {
                let answer = match outcome {
                    Ok(index) => ToPeer::Accepted { submission, index },
                    Err(why) => ToPeer::Rejected { submission, why: wire::cut(&why, limits::REASON_BYTES) },
                };
                self.send(peer, wire::frame(&answer));
            }
            HostCommand::Entries { peer, first, entries } => self.entries(peer, first, entries),
            HostCommand::Publish(samples) => self.core.publish(&samples),
            HostCommand::Blob { peer, hash, offset, bytes } => {
                for stream in self.blobs.remove(&(peer, hash, offset)).unwrap_or_default() {
                    if let Some(line) = self.lines.get_mut(&peer) {
                        line.blobs_open -= 1;
                    }
                    tokio::spawn(send_blob(stream, offset, bytes.clone()));
                }
            }
        }
    }

    /// Entries in frames that keep to the limits.
    fn entries(&mut self, peer: Option<PeerNumber>, mut first: u64, entries: Vec<Vec<u8>>) {
        let to: Vec<PeerNumber> = match peer {
            Some(peer) => vec![peer],
            None => self.lines.keys().copied().filter(|peer| self.core.is_admitted(*peer)).collect(),
        };
        let mut part = Vec::new();
        let mut bytes = 0;
        let mut rest = entries.into_iter().peekable();
        while let Some(entry) = rest.next() {
            bytes += entry.len() + 8;
            part.push(entry.into());
            let full = rest.peek().is_none_or(|next| bytes + next.len() > limits::FRAME_BYTES / 2);
            if full || part.len() == limits::ENTRIES {
                let count = part.len() as u64;
                let frame = wire::frame(&ToPeer::Entries { first, entries: std::mem::take(&mut part) });
                to.iter().for_each(|peer| self.send(*peer, frame.clone()));
                first += count;
                bytes = 0;
            }
        }
    }

    async fn input(&mut self, input: Input) {
        match input {
            Input::Hello { connection, control, key, hello, reply } => {
                self.hello(connection, control, key, hello, &reply).await
            }
            Input::Message(peer, ToHost::Submit { submission, entry }) if self.core.is_admitted(peer) => {
                self.tell(HostEvent::Submitted { peer, submission, entry: entry.into() }).await;
            }
            Input::Message(peer, ToHost::Select(thing)) => self.core.handle_select(peer, thing),
            Input::Message(peer, ToHost::Ping { sent }) => {
                self.send(peer, wire::frame(&ToPeer::Pong { sent, host: clock() }));
            }
            Input::Message(..) => {}
            Input::Pose(peer, bytes) => self.core.handle_pose(peer, &bytes, clock()),
            Input::Blob { peer, hash, offset, stream } => {
                let Some(line) = self.lines.get_mut(&peer).filter(|line| line.blobs_open < limits::BLOBS_PER_PEER)
                else {
                    return;
                };
                if !self.core.is_admitted(peer) {
                    return;
                }
                line.blobs_open += 1;
                self.blobs.entry((peer, hash, offset)).or_default().push(stream);
                self.tell(HostEvent::BlobWanted { peer, hash, offset }).await;
            }
            Input::Gone(peer, why) => {
                self.core.handle_left(peer);
                self.blobs.retain(|(of, _, _), _| *of != peer);
                if self.lines.remove(&peer).is_some() {
                    self.tell(HostEvent::Left { peer, why }).await;
                }
            }
        }
    }

    async fn hello(
        &mut self,
        connection: Connection,
        control: SendStream,
        key: PeerKey,
        hello: Hello,
        reply: &mpsc::Sender<PeerNumber>,
    ) {
        let (sender, frames) = mpsc::channel(limits::CONTROL_QUEUE);
        tokio::spawn(write_control(connection.clone(), control, frames));
        match self.core.handle_hello(key, &hello) {
            Ok(peer) => {
                let samples = Arc::new((Mutex::new(Conflater::default()), Notify::new()));
                tokio::spawn(write_samples(connection.clone(), samples.clone()));
                self.lines.insert(peer, Line { connection, control: sender, samples, blobs_open: 0 });
                // Whoever said hello waits for its number; if it has gone meanwhile it will say so.
                let _ = reply.send(peer).await;
                info!("{} ({}) has come", hello.name, key.short());
                self.tell(HostEvent::Arrived { peer, key, hello }).await;
            }
            Err(why) => {
                let _ = sender.send(wire::frame(&ToPeer::Refused { why })).await;
            }
        }
    }

    async fn tell(&self, event: HostEvent) {
        // The program that owns the port has gone: then so does this task, at its next command.
        let _ = self.events.send(event).await;
    }

    fn send(&self, peer: PeerNumber, frame: Vec<u8>) {
        let Some(line) = self.lines.get(&peer) else { return };
        if line.control.try_send(frame).is_err() {
            line.connection.close(VarInt::from_u32(close::TOO_SLOW), b"too slow to be told what happens");
        }
    }

    fn carry_out(&mut self) {
        for output in self.core.poll_outputs() {
            match output {
                Output::Control(peer, message) => self.send(peer, wire::frame(&message)),
                Output::Datagram(peer, bytes) => {
                    if let Some(line) = self.lines.get(&peer) {
                        // Lost here or on the way is the same: the next pose is newer.
                        let _ = line.connection.send_datagram(bytes.into());
                    }
                }
                Output::Samples(peer, samples) => {
                    if let Some(line) = self.lines.get(&peer) {
                        let (conflater, news) = &*line.samples;
                        if let Ok(mut conflater) = conflater.lock() {
                            conflater.add(&samples);
                        }
                        news.notify_one();
                    }
                }
            }
        }
    }
}

async fn write_control(connection: Connection, mut stream: SendStream, mut frames: mpsc::Receiver<Vec<u8>>) {
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

/// One batch at a time: while it is on its way the newer ones are conflated.
async fn write_samples(connection: Connection, samples: Arc<(Mutex<Conflater>, Notify)>) {
    let Ok(mut stream) = connection.open_uni().await else { return };
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

async fn send_blob(mut stream: SendStream, offset: u64, bytes: Option<Arc<[u8]>>) {
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

async fn accept(endpoint: Endpoint, inputs: mpsc::Sender<Input>) {
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
    let Ok(Some((peer, control))) = greeting else {
        connection.close(VarInt::from_u32(close::PROTOCOL), b"no hello");
        return;
    };
    let why = tokio::select! {
        why = read_control(peer, control, &inputs) => why,
        why = read_datagrams(peer, &connection, &inputs) => why,
        why = read_blob_wishes(peer, &connection, &inputs) => why,
    };
    let _ = inputs.send(Input::Gone(peer, why)).await;
    connection.close(VarInt::from_u32(close::PROTOCOL), b"");
}

async fn greet(connection: &Connection, inputs: &mpsc::Sender<Input>) -> Option<(PeerNumber, RecvStream)> {
    let key = tls::peer_key(connection)?;
    let (send, mut recv) = connection.accept_bi().await.ok()?;
    let body = frames::read(&mut recv, limits::FRAME_BYTES).await.ok()?;
    let Ok(ToHost::Hello(hello)) = wire::decode_to_host(&body) else { return None };
    let (reply, mut number) = mpsc::channel(1);
    inputs.send(Input::Hello { connection: connection.clone(), control: send, key, hello, reply }).await.ok()?;
    Some((number.recv().await?, recv))
}

async fn read_control(peer: PeerNumber, mut stream: RecvStream, inputs: &mpsc::Sender<Input>) -> String {
    loop {
        let message = match frames::read(&mut stream, limits::FRAME_BYTES).await {
            Ok(body) => wire::decode_to_host(&body),
            Err(error) => return error.to_string(),
        };
        match message {
            Ok(ToHost::Hello(_)) => return "said hello twice".to_owned(),
            Ok(message) => {
                if inputs.send(Input::Message(peer, message)).await.is_err() {
                    return "the host has stopped".to_owned();
                }
            }
            Err(error) => return error.to_string(),
        }
    }
}

async fn read_datagrams(peer: PeerNumber, connection: &Connection, inputs: &mpsc::Sender<Input>) -> String {
    loop {
        match connection.read_datagram().await {
            Ok(bytes) => {
                // A full hub drops poses first.
                let _ = inputs.try_send(Input::Pose(peer, bytes.to_vec()));
            }
            Err(error) => return error.to_string(),
        }
    }
}

async fn read_blob_wishes(peer: PeerNumber, connection: &Connection, inputs: &mpsc::Sender<Input>) -> String {
    loop {
        let (stream, mut wish) = match connection.accept_bi().await {
            Ok(streams) => streams,
            Err(error) => return error.to_string(),
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
