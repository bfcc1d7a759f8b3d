//! A peer's edge: one thread that connects, reconnects by itself and moves events and commands through two bounded
//! queues, so that the program that draws frames never waits for the network.
//!
//! ```no_run
//! # fn example(signing_key: ed25519_dalek::SigningKey) -> Result<(), gemba_net::AddressError> {
//! use gemba_net::{LinkCommand, LinkConfig, LinkEvent, connect};
//! let address = "gemba://127.0.0.1:7440/demo#00…ff".parse()?;
//! let kind = gemba_twin::peer::PeerKind::Person;
//! let mut link = connect(LinkConfig { address, signing_key, name: "Ada".into(), kind, entries_held: 0 });
//! while let Some(event) = link.poll() {
//!     if let LinkEvent::Welcome { site, .. } = event {
//!         println!("in {site}");
//!     }
//! }
//! # Ok(()) }
//! ```

use std::collections::BTreeMap;
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use ed25519_dalek::SigningKey;
use gemba_twin::path::ThingId;
use gemba_twin::peer::PeerKind;
use gemba_twin::sample::Timestamp;
use quinn::{Connection, Endpoint, SendStream, VarInt};
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TryRecvError;

use crate::address::Address;
use crate::blob_hash::BlobHash;
use crate::client_core::{ClientCore, SessionEnd};
use crate::frames::{self, close};
use crate::limits;
use crate::listener::{clock, transport};
use crate::peers::{Hello, PeerInfo, PeerNumber, Pose};
use crate::telemetry::{self, TagSample};
use crate::tls;
use crate::wire::{self, NO_BLOB, PoseUp, ToHost};

/// With whom to connect, and as whom.
#[derive(Debug, Clone)]
pub struct LinkConfig {
    /// The site.
    pub address: Address,
    /// Our key.
    pub signing_key: SigningKey,
    /// What the others call us.
    pub name: String,
    /// What we are.
    pub kind: PeerKind,
    /// Entries of the site's log that we hold already.
    pub entries_held: u64,
}

/// How the connection stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkState {
    /// On its way.
    Connecting {
        /// 0 for the first try.
        attempt: u32,
    },
    /// The host answers.
    Connected,
    /// Not there; another try follows by itself.
    Lost {
        /// Why, for a person.
        why: String,
        /// When the next try begins.
        retry_in: Duration,
    },
    /// Not there, and trying again would not help.
    Refused {
        /// Why, for a person.
        why: String,
    },
}

/// Something that has happened.
#[derive(Debug, Clone, PartialEq)]
pub enum LinkEvent {
    /// The connection stands otherwise than before.
    State(LinkState),
    /// The host has let us in.
    Welcome {
        /// Our number.
        me: PeerNumber,
        /// Name of the site.
        site: String,
        /// Entries of its log now.
        entries: u64,
    },
    /// The next entries of the log, in order, without gap or repetition even across reconnects.
    Entries {
        /// Index of the first.
        first: u64,
        /// Their signed bytes, as they stand in the log.
        entries: Vec<Vec<u8>>,
    },
    /// What became of a submission.
    Answer {
        /// Which.
        submission: u64,
        /// Its index in the log, durably, or why it was refused.
        outcome: Result<u64, String>,
    },
    /// New samples; of each tag no older one than before.
    Samples(Vec<TagSample>),
    /// Another peer is here.
    Joined(PeerInfo),
    /// Another peer has gone.
    Left(PeerNumber),
    /// Another peer has selected something.
    Selected {
        /// Who.
        peer: PeerNumber,
        /// What.
        thing: Option<ThingId>,
    },
    /// Another peer has moved.
    Pose {
        /// Who.
        peer: PeerNumber,
        /// How they stand.
        pose: Pose,
        /// When the host received it, on the host's clock.
        at: Timestamp,
    },
    /// A newer estimate of the host's clock.
    Clock {
        /// The host's clock minus ours.
        offset_micros: i64,
        /// Round-trip time.
        rtt: Duration,
    },
    /// Some of a blob is here.
    BlobProgress {
        /// Which.
        hash: BlobHash,
        /// Bytes here.
        have: u64,
        /// Bytes in all.
        total: u64,
    },
    /// A blob is here, verified by its hash.
    BlobDone {
        /// Which.
        hash: BlobHash,
        /// Its bytes.
        bytes: Vec<u8>,
    },
    /// A blob will not come.
    BlobFailed {
        /// Which.
        hash: BlobHash,
        /// Why, for a person.
        why: String,
    },
}

/// Something to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum LinkCommand {
    /// Asks to append an entry. Waits through an interruption; an answer follows.
    Submit {
        /// Our number for it.
        submission: u64,
        /// The entry's signed bytes.
        entry: Vec<u8>,
    },
    /// Asks for a blob. Goes on where it was after an interruption.
    Fetch(BlobHash),
    /// Shows the others how we stand. Not kept while there is no connection.
    Pose(Pose),
    /// Shows the others what we have selected. The newest is told again after a reconnect.
    Select(Option<ThingId>),
}

/// The link takes no more commands just now; try again in the next frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the link's queue is full")]
pub struct QueueFull;

/// Counters since the link was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LinkStats {
    /// Control bytes received.
    pub control_bytes: u64,
    /// Telemetry bytes received.
    pub telemetry_bytes: u64,
    /// Pose bytes received.
    pub pose_bytes: u64,
    /// Blob bytes received.
    pub blob_bytes: u64,
    /// Poses thrown away because nobody polled.
    pub poses_dropped: u64,
}

#[derive(Debug, Default)]
struct Counters {
    control: AtomicU64,
    telemetry: AtomicU64,
    pose: AtomicU64,
    blob: AtomicU64,
    poses_dropped: AtomicU64,
}

/// A connection to a site that mends itself. Dropping it leaves.
#[derive(Debug)]
pub struct Link {
    events: mpsc::Receiver<LinkEvent>,
    commands: Option<mpsc::Sender<LinkCommand>>,
    counters: Arc<Counters>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Link {
    /// The next event, if there is one. Never waits.
    pub fn poll(&mut self) -> Option<LinkEvent> {
        self.events.try_recv().ok()
    }

    /// Waits for the next event at most so long: for programs without frames.
    pub fn wait(&mut self, at_most: Duration) -> Option<LinkEvent> {
        let until = Instant::now() + at_most;
        loop {
            match self.events.try_recv() {
                Ok(event) => return Some(event),
                Err(TryRecvError::Disconnected) => return None,
                Err(TryRecvError::Empty) if Instant::now() >= until => return None,
                Err(TryRecvError::Empty) => std::thread::sleep(Duration::from_millis(2)),
            }
        }
    }

    /// Gives a command to the link. Never waits.
    pub fn send(&mut self, command: LinkCommand) -> Result<(), QueueFull> {
        let commands = self.commands.as_ref().ok_or(QueueFull)?;
        commands.try_send(command).map_err(|_| QueueFull)
    }

    /// Counters since the link was made.
    pub fn stats(&self) -> LinkStats {
        LinkStats {
            control_bytes: self.counters.control.load(Relaxed),
            telemetry_bytes: self.counters.telemetry.load(Relaxed),
            pose_bytes: self.counters.pose.load(Relaxed),
            blob_bytes: self.counters.blob.load(Relaxed),
            poses_dropped: self.counters.poses_dropped.load(Relaxed),
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // Without commands the thread says good-bye and ends, also when it waits to hand over an event.
        self.commands = None;
        self.events.close();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has left as well.
            let _ = thread.join();
        }
    }
}

/// Makes a link and returns at once; what happens comes as events.
pub fn connect(config: LinkConfig) -> Link {
    let (event_sender, events) = mpsc::channel(limits::EVENT_QUEUE);
    let (commands, command_receiver) = mpsc::channel(limits::COMMAND_QUEUE);
    let counters = Arc::new(Counters::default());
    let mut worker = Worker {
        core: ClientCore::new(config.entries_held),
        config,
        events: event_sender,
        commands: command_receiver,
        counters: counters.clone(),
        unanswered: BTreeMap::new(),
        fetching: BTreeMap::new(),
        selected: None,
        sequence: 0,
    };
    let thread = std::thread::Builder::new().name("gemba-link".to_owned()).spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        match runtime {
            Ok(runtime) => runtime.block_on(worker.run()),
            Err(error) => {
                let why = format!("no network runtime: {error}");
                // Nobody polls any more: then nobody needs to know.
                let _ = worker.events.try_send(LinkEvent::State(LinkState::Refused { why }));
            }
        }
    });
    Link { events, commands: Some(commands), counters, thread: thread.ok() }
}

/// Why a session ended.
enum End {
    /// The owner has dropped the link.
    Left,
    /// Trying again would not help.
    Refused(String),
    /// Trying again may help.
    Lost(String),
}

struct Worker {
    config: LinkConfig,
    core: ClientCore,
    events: mpsc::Sender<LinkEvent>,
    commands: mpsc::Receiver<LinkCommand>,
    counters: Arc<Counters>,
    /// Submissions without an answer: told again after a reconnect, where the same entry has the same outcome.
    unanswered: BTreeMap<u64, Vec<u8>>,
    /// Blobs under way, and what is here of them.
    fetching: BTreeMap<BlobHash, Vec<u8>>,
    selected: Option<Option<ThingId>>,
    sequence: u32,
}

impl Worker {
    async fn run(&mut self) {
        for attempt in 0.. {
            if self.tell(LinkEvent::State(LinkState::Connecting { attempt })).await.is_err() {
                return;
            }
            let state = match self.session().await {
                End::Left => return,
                End::Refused(why) => LinkState::Refused { why },
                End::Lost(why) => LinkState::Lost { why, retry_in: self.core.handle_lost() },
            };
            let wait = match &state {
                LinkState::Lost { retry_in, .. } => Some(*retry_in),
                _ => None,
            };
            if self.tell(LinkEvent::State(state)).await.is_err() || self.idle(wait).await.is_err() {
                return;
            }
        }
    }

    async fn tell(&self, event: LinkEvent) -> Result<(), ()> {
        self.events.send(event).await.map_err(drop)
    }

    /// Takes commands while there is no connection, for so long or, with none, until the owner leaves.
    async fn idle(&mut self, wait: Option<Duration>) -> Result<(), ()> {
        let until = tokio::time::Instant::now() + wait.unwrap_or(Duration::from_secs(u32::MAX.into()));
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(until) => return Ok(()),
                command = self.commands.recv() => self.keep(&command.ok_or(())?),
            }
        }
    }

    /// Notes what must outlive the session.
    fn keep(&mut self, command: &LinkCommand) {
        match command {
            LinkCommand::Submit { submission, entry } => drop(self.unanswered.insert(*submission, entry.clone())),
            LinkCommand::Fetch(hash) => drop(self.fetching.entry(*hash).or_default()),
            LinkCommand::Select(thing) => self.selected = Some(*thing),
            LinkCommand::Pose(_) => {}
        }
    }

    async fn session(&mut self) -> End {
        let (_endpoint, connection) = match tokio::time::timeout(limits::CONNECT, self.dial()).await {
            Ok(Ok(pair)) => pair,
            Ok(Err(end)) => return end,
            Err(_) => {
                return End::Lost(format!("no answer from {}:{}", self.config.address.host, self.config.address.port));
            }
        };
        let end = match self.talk(&connection).await {
            Ok(never) => never,
            Err(end) => end,
        };
        connection.close(VarInt::from_u32(close::LEFT), b"");
        if matches!(end, End::Left) {
            // The good-bye is a packet that must still leave this machine.
            let _ = tokio::time::timeout(Duration::from_millis(100), _endpoint.wait_idle()).await;
        }
        end
    }

    async fn dial(&self) -> Result<(Endpoint, Connection), End> {
        let Address { host, port, .. } = &self.config.address;
        let unknown = |e: std::io::Error| End::Lost(format!("the name {host} is not known here: {e}"));
        let mut found = tokio::net::lookup_host((host.as_str(), *port)).await.map_err(unknown)?;
        let to = found.next().ok_or_else(|| End::Lost(format!("the name {host} has no address")))?;
        let any = if to.is_ipv6() {
            SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))
        } else {
            SocketAddr::from(([0, 0, 0, 0], 0))
        };
        let crypto = tls::client(&self.config.signing_key, self.config.address.key)
            .map_err(|e| End::Refused(format!("this person's key cannot be used: {e}")))?;
        let mut client = quinn::ClientConfig::new(Arc::new(crypto));
        client.transport_config(Arc::new(transport()));
        let endpoint = Endpoint::client(any).map_err(|e| End::Lost(format!("no socket: {e}")))?;
        let connecting = endpoint.connect_with(client, to, "gemba").map_err(|e| End::Lost(e.to_string()))?;
        let connection = connecting.await.map_err(|e| self.explain(&e))?;
        Ok((endpoint, connection))
    }

    /// What a failed handshake means.
    fn explain(&self, error: &quinn::ConnectionError) -> End {
        let text = error.to_string();
        if text.contains("ApplicationVerificationFailure") {
            let key = self.config.address.key.short();
            return End::Refused(format!(
                "the host at this address does not have the key {key}… that the address names; ask the site's owner for its address"
            ));
        }
        if text.contains("application protocol") {
            return End::Refused(
                "the host speaks another major version of the protocol; update the older one".to_owned(),
            );
        }
        let Address { host, port, .. } = &self.config.address;
        End::Lost(format!("no connection to {host}:{port}: {text}"))
    }

    async fn talk(&mut self, connection: &Connection) -> Result<End, End> {
        let over = |e: &dyn std::fmt::Display| End::Lost(e.to_string());
        let (mut control, mut incoming) = connection.open_bi().await.map_err(|e| over(&e))?;
        let hello = Hello {
            oldest_minor: *wire::MINORS.start(),
            newest_minor: *wire::MINORS.end(),
            name: wire::cut(&self.config.name, limits::NAME_BYTES),
            kind: self.config.kind,
            entries_held: self.core.entries_held(),
        };
        say(&mut control, &ToHost::Hello(hello)).await?;
        self.core.handle_connected(Instant::now());
        let (heard, mut arrivals) = mpsc::channel(256);
        let readers = Readers { heard, counters: self.counters.clone() };
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(readers.clone().samples(connection.clone()));
        tasks.spawn(readers.clone().datagrams(connection.clone()));
        let control_reader = readers.clone();
        tasks.spawn(async move {
            while let Ok(body) = frames::read(&mut incoming, limits::FRAME_BYTES).await {
                control_reader.counters.control.fetch_add(body.len() as u64, Relaxed);
                if control_reader.heard.send(Arrival::Control(body)).await.is_err() {
                    return;
                }
            }
            // The reason comes with the connection's end.
        });
        let mut ping = tokio::time::interval(limits::PING_INTERVAL);
        ping.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut welcomed = false;
        loop {
            let deadline = self.core.deadline().unwrap_or_else(Instant::now);
            tokio::select! {
                biased;
                arrival = arrivals.recv() => {
                    let arrival = arrival.ok_or_else(|| End::Lost("the connection is over".to_owned()))?;
                    self.core.handle_heard(Instant::now());
                    if self.arrived(arrival).await? {
                        welcomed = true;
                        self.resume(&mut control, connection, &readers, &mut tasks).await?;
                    }
                }
                error = connection.closed() => {
                    // What the host said last, such as why it refuses us, may still wait.
                    while let Ok(Some(arrival)) = tokio::time::timeout(Duration::from_millis(50), arrivals.recv()).await {
                        self.arrived(arrival).await?;
                    }
                    return Err(over(&error));
                }
                command = self.commands.recv() => {
                    let Some(command) = command else { return Ok(End::Left) };
                    self.keep(&command);
                    if welcomed {
                        self.carry_out(command, &mut control, connection, &readers, &mut tasks).await?;
                    }
                }
                _ = ping.tick() => say(&mut control, &ToHost::Ping { sent: clock().0 }).await?,
                () = tokio::time::sleep_until(deadline.into()) => {
                    return Err(End::Lost("no word from the host for a second".to_owned()));
                }
            }
        }
    }

    /// After a welcome: everything that still waits is asked for again.
    async fn resume(
        &mut self,
        control: &mut SendStream,
        connection: &Connection,
        readers: &Readers,
        tasks: &mut tokio::task::JoinSet<()>,
    ) -> Result<(), End> {
        if let Some(thing) = self.selected {
            say(control, &ToHost::Select(thing)).await?;
        }
        for (submission, entry) in &self.unanswered {
            say(control, &ToHost::Submit { submission: *submission, entry: entry.clone().into() }).await?;
        }
        for (hash, have) in &self.fetching {
            tasks.spawn(readers.clone().blob(connection.clone(), *hash, have.len() as u64));
        }
        Ok(())
    }

    async fn carry_out(
        &mut self,
        command: LinkCommand,
        control: &mut SendStream,
        connection: &Connection,
        readers: &Readers,
        tasks: &mut tokio::task::JoinSet<()>,
    ) -> Result<(), End> {
        match command {
            LinkCommand::Submit { submission, entry } => {
                say(control, &ToHost::Submit { submission, entry: entry.into() }).await
            }
            LinkCommand::Select(thing) => say(control, &ToHost::Select(thing)).await,
            LinkCommand::Fetch(hash) => {
                let have = self.fetching.get(&hash).map_or(0, |bytes| bytes.len() as u64);
                tasks.spawn(readers.clone().blob(connection.clone(), hash, have));
                Ok(())
            }
            LinkCommand::Pose(pose) => {
                self.sequence = self.sequence.wrapping_add(1);
                let up = PoseUp { sequence: self.sequence, pose };
                // Lost here or on the way is the same: the next pose is newer.
                let _ = connection.send_datagram(up.encode().into());
                Ok(())
            }
        }
    }

    /// Handles what a reader brought; true for a welcome.
    async fn arrived(&mut self, arrival: Arrival) -> Result<bool, End> {
        let left = |()| End::Left;
        match arrival {
            Arrival::Control(body) => {
                let message = wire::decode_to_peer(&body).map_err(|e| End::Lost(format!("from the host: {e}")))?;
                let event = self.core.handle_message(message, clock()).map_err(|end| match end {
                    SessionEnd::Refused(why) => End::Refused(why),
                    SessionEnd::Broken(why) => End::Lost(why.to_owned()),
                })?;
                let Some(event) = event else { return Ok(false) };
                if let LinkEvent::Answer { submission, .. } = &event {
                    self.unanswered.remove(submission);
                }
                let welcome = matches!(event, LinkEvent::Welcome { .. });
                if welcome {
                    self.tell(LinkEvent::State(LinkState::Connected)).await.map_err(left)?;
                }
                self.tell(event).await.map_err(left)?;
                return Ok(welcome);
            }
            Arrival::Samples(samples) => self.tell(LinkEvent::Samples(samples)).await.map_err(left)?,
            Arrival::Datagram(bytes) => {
                for event in self.core.handle_datagram(&bytes) {
                    if self.events.try_send(event).is_err() {
                        self.counters.poses_dropped.fetch_add(1, Relaxed);
                    }
                }
            }
            Arrival::BlobPart { hash, offset, bytes, total } => {
                let Some(have) = self.fetching.get_mut(&hash).filter(|have| have.len() as u64 == offset) else {
                    return Ok(false);
                };
                have.extend_from_slice(&bytes);
                let have = have.len() as u64;
                self.tell(LinkEvent::BlobProgress { hash, have, total }).await.map_err(left)?;
                if have == total {
                    let bytes = self.fetching.remove(&hash).unwrap_or_default();
                    let event = if BlobHash::of(&bytes) == hash {
                        LinkEvent::BlobDone { hash, bytes }
                    } else {
                        LinkEvent::BlobFailed { hash, why: "what the host sent is not what was asked for".to_owned() }
                    };
                    self.tell(event).await.map_err(left)?;
                }
            }
            Arrival::BlobFailed { hash, why } => {
                self.fetching.remove(&hash);
                self.tell(LinkEvent::BlobFailed { hash, why }).await.map_err(left)?;
            }
            Arrival::Nonsense(why) => return Err(End::Lost(format!("from the host: {why}"))),
        }
        Ok(false)
    }
}

async fn say(stream: &mut SendStream, message: &ToHost) -> Result<(), End> {
    stream.write_all(&wire::frame(message)).await.map_err(|e| End::Lost(e.to_string()))
}

/// What the readers of a session bring.
enum Arrival {
    Control(Vec<u8>),
    Samples(Vec<TagSample>),
    Datagram(Vec<u8>),
    BlobPart { hash: BlobHash, offset: u64, bytes: Vec<u8>, total: u64 },
    BlobFailed { hash: BlobHash, why: String },
    Nonsense(String),
}

/// One task a stream, all into one queue.
#[derive(Clone)]
struct Readers {
    heard: mpsc::Sender<Arrival>,
    counters: Arc<Counters>,
}

impl Readers {
    async fn samples(self, connection: Connection) {
        let Ok(mut stream) = connection.accept_uni().await else { return };
        while let Ok(body) = frames::read(&mut stream, limits::BATCH_BYTES).await {
            self.counters.telemetry.fetch_add(body.len() as u64, Relaxed);
            let arrival = match telemetry::decode(&body) {
                Ok(samples) => Arrival::Samples(samples),
                Err(error) => Arrival::Nonsense(error.to_string()),
            };
            if self.heard.send(arrival).await.is_err() {
                return;
            }
        }
    }

    async fn datagrams(self, connection: Connection) {
        while let Ok(bytes) = connection.read_datagram().await {
            self.counters.pose.fetch_add(bytes.len() as u64, Relaxed);
            // A session that has ended reads no more.
            let _ = self.heard.send(Arrival::Datagram(bytes.to_vec())).await;
        }
    }

    async fn blob(self, connection: Connection, hash: BlobHash, mut offset: u64) {
        let Ok((mut wish, mut stream)) = connection.open_bi().await else { return };
        let asked = [&hash.0[..], &offset.to_le_bytes()].concat();
        if wish.write_all(&asked).await.is_err() || wish.finish().is_err() {
            return;
        }
        let mut total = [0; 8];
        if stream.read_exact(&mut total).await.is_err() {
            return;
        }
        let total = u64::from_le_bytes(total);
        if total == NO_BLOB || total > limits::BLOB_BYTES {
            let why = if total == NO_BLOB { "the host does not have it" } else { "it is too large" };
            // A session that has ended reads no more.
            let _ = self.heard.send(Arrival::BlobFailed { hash, why: why.to_owned() }).await;
            return;
        }
        if total == 0 {
            let _ = self.heard.send(Arrival::BlobPart { hash, offset: 0, bytes: Vec::new(), total }).await;
        }
        while offset < total {
            let most = usize::try_from(total - offset).unwrap_or(usize::MAX).min(256 << 10);
            let Ok(Some(chunk)) = stream.read_chunk(most, true).await else { return };
            let part = Arrival::BlobPart { hash, offset, bytes: chunk.bytes.to_vec(), total };
            offset += chunk.bytes.len() as u64;
            self.counters.blob.fetch_add(chunk.bytes.len() as u64, Relaxed);
            if self.heard.send(part).await.is_err() {
                return;
            }
        }
    }
}
