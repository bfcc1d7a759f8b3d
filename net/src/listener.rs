//! The host's edge: takes in peers over QUIC, feeds [`HostCore`] and carries out what it says. The site's own rules
//! (who may come in, what an entry may do) stay with the program that owns the [`HostPort`].

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use ed25519_dalek::SigningKey;
use gemba_twin::peer::PeerKey;
use gemba_twin::sample::Timestamp;
use quinn::{Connection, Endpoint, RecvStream, SendStream, TransportConfig, VarInt};
use thiserror::Error;
use tokio::sync::{Notify, mpsc, oneshot};
use tracing::{debug, info};

use crate::blob_hash::BlobHash;
use crate::frames::{self, FrameError, close};
use crate::host_core::{HostCore, Output};
use crate::limits;
use crate::peers::{Hello, PeerNumber};
use crate::recall::{self, Answers, Questions, RecallAnswer};
use crate::rt_controller::RtConfig;
use crate::telemetry::{self, Conflater, TagSample};
use crate::tls;
use crate::wire::{self, NO_BLOB, Recall, ToHost, ToPeer};

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
    /// A peer asks for the past: answer with [`HostCommand::Recalled`], always, or it can ask nothing more. Of each
    /// peer there is at most one question to be answered.
    Recall {
        /// Who.
        peer: PeerNumber,
        /// What.
        recall: Recall,
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
    /// Answers a question for the past.
    Recalled {
        /// Who asked.
        peer: PeerNumber,
        /// The answer. With more than [`limits::RECALL_SAMPLES`] samples it cannot be sent, and is answered as if
        /// nothing were covered; of more than [`limits::RECALL_SPANS`] spans only the newest count.
        answer: RecallAnswer,
    },
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
        pending: VecDeque::new(),
    };
    tokio::spawn(hub.run(command_receiver, input_receiver));
    tokio::spawn(accept(endpoint.clone(), inputs));
    Ok(HostPort { events, commands, local, endpoint })
}

/// Settings of every connection, at both ends.
pub(crate) fn transport() -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport.max_idle_timeout(Some(limits::IDLE.try_into().expect("seconds fit a QUIC integer")));
    // What is measured now, and answers from the past.
    transport.max_concurrent_uni_streams((1 + limits::RECALL_STREAMS).into());
    transport.max_concurrent_bidi_streams(VarInt::from_u32(1 + limits::BLOBS_PER_PEER as u32));
    // Late poses are worthless: a few datagrams, then the oldest goes.
    transport.datagram_send_buffer_size(16 << 10);
    transport.congestion_controller_factory(Arc::new(RtConfig::default()));
    transport
}

/// Our clock in the form that goes over the wire.
pub(crate) fn clock() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// What connections tell the hub.
enum Input {
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

/// What the hub holds of a peer's connection.
struct Line {
    connection: Connection,
    /// None once the peer has been refused: what was written goes out, then the connection is closed.
    control: Option<mpsc::Sender<Vec<u8>>>,
    samples: Arc<(Mutex<Conflater>, Notify)>,
    questions: Questions,
    answers: Arc<Answers>,
    blobs_open: usize,
    submissions_open: usize,
}

/// The one task that owns the core.
struct Hub {
    site: String,
    core: HostCore,
    lines: HashMap<PeerNumber, Line>,
    events: mpsc::Sender<HostEvent>,
    blobs: HashMap<(PeerNumber, BlobHash, u64), Vec<SendStream>>,
    /// Events that commands have brought about: at most one of each peer.
    pending: VecDeque<HostEvent>,
}

impl Hub {
    /// Commands are taken at any time. What the peers say waits while the host program is behind with its events:
    /// waiting for both at once would have hub and program wait for each other.
    async fn run(mut self, mut commands: mpsc::Receiver<HostCommand>, mut inputs: mpsc::Receiver<Input>) {
        let events = self.events.clone();
        let mut waiting: Option<HostEvent> = None;
        let mut tick = tokio::time::interval(limits::TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = tick.tick() => self.core.tick(),
                command = commands.recv() => match command {
                    Some(command) => self.command(command),
                    None => break,
                },
                place = events.reserve(), if waiting.is_some() => {
                    // The program that owns the port has gone: then nobody needs to know.
                    if let (Ok(place), Some(event)) = (place, waiting.take()) {
                        place.send(event);
                    }
                }
                input = inputs.recv(), if waiting.is_none() => match input {
                    Some(input) => waiting = self.input(input),
                    None => break,
                },
            }
            if waiting.is_none() {
                waiting = self.pending.pop_front();
            }
            self.carry_out();
        }
    }

    fn command(&mut self, command: HostCommand) {
        match command {
            HostCommand::Admit { peer, entries } => self.core.admit(peer, &self.site, entries),
            HostCommand::Refuse { peer, why } => {
                self.core.refuse(peer, &why);
                self.carry_out();
                if let Some(line) = self.lines.get_mut(&peer) {
                    line.control = None;
                }
            }
            HostCommand::Answer { peer, submission, outcome, overruled } => {
                if let Some(line) = self.lines.get_mut(&peer) {
                    line.submissions_open = line.submissions_open.saturating_sub(1);
                }
                let answer = match outcome {
                    Ok(index) => {
                        let overruled = overruled.filter(|_| self.core.knows_edits(peer));
                        ToPeer::Accepted { submission, index, overruled }
                    }
                    Err(why) => ToPeer::Rejected { submission, why: wire::cut(&why, limits::REASON_BYTES) },
                };
                self.send(peer, wire::frame(&answer));
            }
            HostCommand::Entries { peer, first, entries } => self.entries(peer, first, entries),
            HostCommand::Recalled { peer, answer } => {
                let Some(line) = self.lines.get_mut(&peer) else { return };
                let next = line.questions.handle_answered(answer.request);
                line.answers.put(answer);
                self.pending.extend(next.map(|recall| HostEvent::Recall { peer, recall }));
            }
            HostCommand::History { from, to } => self.core.set_history(from, to),
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
            let full = rest.peek().is_none_or(|next| bytes + next.len() > limits::ENTRIES_BYTES);
            if full || part.len() == limits::ENTRIES {
                let count = part.len() as u64;
                let frame = wire::frame(&ToPeer::Entries { first, entries: std::mem::take(&mut part) });
                to.iter().for_each(|peer| self.send(*peer, frame.clone()));
                first += count;
                bytes = 0;
            }
        }
    }

    /// Handles what a connection says; returns what the host program is to decide on.
    fn input(&mut self, input: Input) -> Option<HostEvent> {
        match input {
            Input::Hello { connection, control, key, hello, reply } => {
                return self.hello(connection, control, key, hello, reply);
            }
            Input::Message(peer, ToHost::Submit { submission, entry }) if self.core.is_admitted(peer) => {
                let line = self.lines.get_mut(&peer)?;
                if line.submissions_open >= limits::SUBMISSIONS_PER_PEER {
                    let why = "too many submissions at once; wait for the answers".to_owned();
                    self.send(peer, wire::frame(&ToPeer::Rejected { submission, why }));
                    return None;
                }
                line.submissions_open += 1;
                return Some(HostEvent::Submitted { peer, submission, entry: entry.into() });
            }
            Input::Message(peer, ToHost::Select(thing)) => self.core.handle_select(peer, thing),
            Input::Message(peer, ToHost::ShareInstant(instant)) => self.core.handle_share_instant(peer, instant),
            Input::Message(peer, ToHost::Recall(recall)) if self.core.knows_past(peer) => {
                let recall = self.lines.get_mut(&peer)?.questions.handle_asked(recall)?;
                return Some(HostEvent::Recall { peer, recall });
            }
            Input::Message(peer, ToHost::Ping { sent }) => {
                self.send(peer, wire::frame(&ToPeer::Pong { sent, host: clock() }));
            }
            Input::Message(..) => {}
            Input::Pose(peer, bytes) => self.core.handle_pose(peer, &bytes, clock()),
            Input::Blob { peer, hash, offset, stream } if self.core.is_admitted(peer) => {
                let line = self.lines.get_mut(&peer).filter(|line| line.blobs_open < limits::BLOBS_PER_PEER)?;
                line.blobs_open += 1;
                self.blobs.entry((peer, hash, offset)).or_default().push(stream);
                return Some(HostEvent::BlobWanted { peer, hash, offset });
            }
            Input::Blob { .. } => {}
            Input::Gone(peer, why) => {
                self.core.handle_left(peer);
                self.blobs.retain(|(of, _, _), _| *of != peer);
                self.pending.retain(|event| !matches!(event, HostEvent::Recall { peer: of, .. } if *of == peer));
                return self.lines.remove(&peer).map(|_| HostEvent::Left { peer, why });
            }
        }
        None
    }

    fn hello(
        &mut self,
        connection: Connection,
        control: SendStream,
        key: PeerKey,
        hello: Hello,
        reply: oneshot::Sender<PeerNumber>,
    ) -> Option<HostEvent> {
        let (sender, frames) = mpsc::channel(limits::CONTROL_QUEUE);
        tokio::spawn(write_control(connection.clone(), control, frames));
        match self.core.handle_hello(key, &hello) {
            Ok(peer) => {
                let samples = Arc::new((Mutex::new(Conflater::default()), Notify::new()));
                let answers = Arc::new(Answers::default());
                tokio::spawn(write_telemetry(connection.clone(), samples.clone(), answers.clone()));
                let (control, questions) = (Some(sender), Questions::default());
                let line =
                    Line { connection, control, samples, questions, answers, blobs_open: 0, submissions_open: 0 };
                self.lines.insert(peer, line);
                // Whoever said hello waits for its number; if it has gone meanwhile it will say so.
                let _ = reply.send(peer);
                info!("{} ({}) has come", hello.name, key.short());
                Some(HostEvent::Arrived { peer, key, hello })
            }
            Err(why) => {
                // The queue is new and empty. Its only sender ends here: what is in it goes out, then all is closed.
                let _ = sender.try_send(wire::frame(&ToPeer::Refused { why }));
                None
            }
        }
    }

    fn send(&self, peer: PeerNumber, frame: Vec<u8>) {
        let Some(line) = self.lines.get(&peer) else { return };
        let Some(control) = &line.control else { return };
        if control.try_send(frame).is_err() {
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

/// The stream of what is measured now is opened before any other, by which the peer knows it.
async fn write_telemetry(connection: Connection, samples: Arc<(Mutex<Conflater>, Notify)>, answers: Arc<Answers>) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use gemba_twin::peer::PeerKind;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    async fn host() -> HostPort {
        let address = ([127, 0, 0, 1], 0).into();
        listen(ListenConfig { address, signing_key: key(1), site: "test".to_owned() }).await.unwrap()
    }

    /// A peer that may say what a link never would.
    async fn raw_peer(host: &HostPort) -> (Endpoint, Connection, SendStream, RecvStream) {
        let endpoint = Endpoint::client(([127, 0, 0, 1], 0).into()).unwrap();
        let crypto = tls::client(&key(2), PeerKey(key(1).verifying_key().to_bytes())).unwrap();
        let mut client = quinn::ClientConfig::new(Arc::new(crypto));
        client.transport_config(Arc::new(transport()));
        let connection = endpoint.connect_with(client, host.local_addr(), "gemba").unwrap().await.unwrap();
        let (send, recv) = connection.open_bi().await.unwrap();
        (endpoint, connection, send, recv)
    }

    fn hello(minor: u16) -> Vec<u8> {
        let name = "raw".to_owned();
        let (kind, redemption) = (PeerKind::Device, None);
        let hello = Hello { oldest_minor: minor, newest_minor: minor, name, kind, entries_held: 0, redemption };
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
    async fn a_peer_that_talks_nonsense_is_closed_with_the_protocols_code() {
        let host = host().await;
        let (_endpoint, connection, mut send, _recv) = raw_peer(&host).await;
        let _ = send.write_all(&[4, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]).await;
        let end = within_seconds(connection.closed()).await;
        let quinn::ConnectionError::ApplicationClosed(end) = end else { panic!("{end}") };
        assert_eq!(end.error_code, VarInt::from_u32(close::PROTOCOL));
    }
}
