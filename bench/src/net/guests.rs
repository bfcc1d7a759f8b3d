//! The peers of a full house, as cheap as they can be on cores that they share with the host they measure: real QUIC,
//! but on quinn's state machines (quinn-proto) in one thread that looks at its sockets every millisecond, instead of five
//! tasks for each.

use std::io::IoSliceMut;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::BytesMut;
use ed25519_dalek::SigningKey;
use gemba_net::client_core::ClientCore;
use gemba_net::wire::{self, ToHost};
use gemba_net::{Hello, LinkEvent, limits, tls, transport};
use gemba_twin::peer::{PeerKey, PeerKind};
use gemba_twin::sample::Timestamp;
use quinn_proto::{ClientConfig, Connection, ConnectionHandle, DatagramEvent, Dir, Endpoint, EndpointConfig, Event};
use quinn_proto::{ReadError, StreamId, Transmit};
use quinn_udp::{BATCH_SIZE, RecvMeta, UdpSockRef, UdpSocketState};

use super::tracked::Tracked;

/// People of one room; rooms are beyond each other's reach.
pub const ROOM: usize = 21;
const APART_METRES: f32 = 400.0;
const FRAME: Duration = Duration::from_millis(33);
/// How often a peer says that it is there, until all move.
const WAITING: Duration = Duration::from_secs(1);
/// How long nothing is looked at: what came meanwhile is read at once.
const NAP: Duration = Duration::from_millis(1);
/// Frames from one ping to the next.
const FRAMES_PER_PING: u32 = 6;
/// Longest datagram that is read.
const DATAGRAM_BYTES: usize = 65_536;

/// What all peers have seen together, and what they are to do.
#[derive(Default)]
pub struct Seen {
    /// Places of neighbours that they were told.
    pub poses: AtomicU64,
    /// How many are there.
    pub here: AtomicUsize,
    /// Whether all move.
    pub moves: AtomicBool,
    /// Whether they leave.
    pub stops: AtomicBool,
}

/// One peer.
struct Guest {
    number: usize,
    handle: ConnectionHandle,
    connection: Connection,
    core: ClientCore,
    control: Option<StreamId>,
    /// What has come of a message so far.
    heard: Vec<u8>,
    next_beat: Instant,
    frames: u32,
    /// Whether it may have something to send.
    is_due: bool,
    is_here: bool,
}

/// The peers of one room behind one socket; on machines of their own it would be one for each.
struct Room {
    socket: UdpSocket,
    state: UdpSocketState,
    endpoint: Endpoint,
    guests: Vec<Guest>,
}

/// Everybody.
pub struct Guests {
    rooms: Vec<Room>,
    host: SocketAddr,
    host_key: PeerKey,
    motion: Arc<Tracked>,
    seen: Arc<Seen>,
    begun: Instant,
    moves: bool,
    buffers: Vec<Vec<u8>>,
}

fn clock() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

impl Guests {
    /// Nobody yet.
    pub fn new(host: SocketAddr, host_key: PeerKey, motion: Arc<Tracked>, seen: Arc<Seen>) -> Self {
        let buffers = (0..BATCH_SIZE).map(|_| vec![0; DATAGRAM_BYTES]).collect();
        Self { rooms: Vec::new(), host, host_key, motion, seen, begun: Instant::now(), moves: false, buffers }
    }

    /// Comes, `peers` strong and one after the other, moves when told to, and leaves when told to.
    pub fn live(mut self, peers: usize) -> anyhow::Result<()> {
        while !self.seen.stops.load(Relaxed) {
            let here: usize = self.rooms.iter().map(|room| room.guests.iter().filter(|g| g.is_here).count()).sum();
            self.seen.here.store(here, Relaxed);
            let invited: usize = self.rooms.iter().map(|room| room.guests.len()).sum();
            if here == invited && invited < peers {
                self.invite(invited)?;
            }
            let now = Instant::now();
            if self.seen.moves.load(Relaxed) && !self.moves {
                self.begin_to_move(now);
            }
            for room in &mut self.rooms {
                room.read(now, &mut self.buffers)?;
                for guest in &mut room.guests {
                    guest.hear(&self.seen)?;
                    if now >= guest.next_beat && guest.is_here {
                        guest.beat(self.moves, (now - self.begun).as_secs_f64(), &self.motion)?;
                        guest.next_beat += if self.moves { FRAME } else { WAITING };
                    }
                }
                room.write(now)?;
            }
            std::thread::sleep(NAP);
        }
        Ok(())
    }

    fn invite(&mut self, number: usize) -> anyhow::Result<()> {
        if number.is_multiple_of(ROOM) {
            self.rooms.push(Room::new()?);
        }
        let room = self.rooms.last_mut().context("no room")?;
        let mut seed = [2; 32];
        seed[..8].copy_from_slice(&(number as u64 + 1).to_le_bytes());
        let mut config = ClientConfig::new(Arc::new(tls::client(&SigningKey::from_bytes(&seed), self.host_key)?));
        config.transport_config(Arc::new(transport::real_time()));
        let (handle, connection) = room.endpoint.connect(Instant::now(), config, self.host, "gemba")?;
        room.guests.push(Guest {
            number,
            handle,
            connection,
            core: ClientCore::new(0),
            control: None,
            heard: Vec::new(),
            next_beat: Instant::now(),
            frames: 0,
            is_due: true,
            is_here: false,
        });
        Ok(())
    }

    /// No two of a room at the same moment.
    fn begin_to_move(&mut self, now: Instant) {
        self.moves = true;
        for guest in self.rooms.iter_mut().flat_map(|room| &mut room.guests) {
            guest.next_beat = now + FRAME * (guest.number % 33) as u32 / 33;
        }
    }
}

impl Room {
    fn new() -> anyhow::Result<Self> {
        let socket = UdpSocket::bind(("127.0.0.1", 0))?;
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        // A system that gives less is measured all the same.
        let _ = state.set_recv_buffer_size(UdpSockRef::from(&socket), limits::SOCKET_BYTES);
        let endpoint = Endpoint::new(Arc::new(EndpointConfig::default()), None, !state.may_fragment(), None);
        Ok(Self { socket, state, endpoint, guests: Vec::new() })
    }

    /// Everything that has come.
    fn read(&mut self, now: Instant, buffers: &mut [Vec<u8>]) -> anyhow::Result<()> {
        loop {
            let mut metas = [RecvMeta::default(); BATCH_SIZE];
            let mut slices: Vec<IoSliceMut<'_>> = buffers.iter_mut().map(|buffer| IoSliceMut::new(buffer)).collect();
            let count = match self.state.recv(UdpSockRef::from(&self.socket), &mut slices, &mut metas) {
                Ok(count) => count,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            for (meta, buffer) in metas.iter().zip(&*buffers).take(count) {
                for datagram in buffer[..meta.len].chunks(meta.stride.max(1)) {
                    self.take_in(now, meta, datagram)?;
                }
            }
        }
    }

    fn take_in(&mut self, now: Instant, meta: &RecvMeta, datagram: &[u8]) -> anyhow::Result<()> {
        let mut answer = Vec::new();
        let ecn = meta.ecn.and_then(|ecn| quinn_proto::EcnCodepoint::from_bits(ecn as u8));
        match self.endpoint.handle(now, meta.addr, meta.dst_ip, ecn, BytesMut::from(datagram), &mut answer) {
            Some(DatagramEvent::ConnectionEvent(handle, event)) => {
                let guest = self.guests.iter_mut().find(|guest| guest.handle == handle).context("nobody's packet")?;
                guest.connection.handle_event(event);
                guest.is_due = true;
                Ok(())
            }
            Some(DatagramEvent::Response(transmit)) => send(&self.socket, &self.state, &transmit, &answer),
            Some(DatagramEvent::NewConnection(_)) | None => Ok(()),
        }
    }

    /// Everything that is due.
    fn write(&mut self, now: Instant) -> anyhow::Result<()> {
        let mut bytes = Vec::with_capacity(DATAGRAM_BYTES);
        for guest in &mut self.guests {
            while guest.connection.poll_timeout().is_some_and(|due| due <= now) {
                guest.connection.handle_timeout(now);
                guest.is_due = true;
            }
            if !std::mem::take(&mut guest.is_due) {
                continue;
            }
            loop {
                bytes.clear();
                let Some(transmit) = guest.connection.poll_transmit(now, 1, &mut bytes) else { break };
                send(&self.socket, &self.state, &transmit, &bytes)?;
            }
            while let Some(event) = guest.connection.poll_endpoint_events() {
                if let Some(event) = self.endpoint.handle_event(guest.handle, event) {
                    guest.connection.handle_event(event);
                    guest.is_due = true;
                }
            }
        }
        Ok(())
    }
}

fn send(socket: &UdpSocket, state: &UdpSocketState, transmit: &Transmit, bytes: &[u8]) -> anyhow::Result<()> {
    let sent = state.send(
        UdpSockRef::from(socket),
        &quinn_udp::Transmit {
            destination: transmit.destination,
            ecn: transmit.ecn.and_then(|ecn| quinn_udp::EcnCodepoint::from_bits(ecn as u8)),
            contents: &bytes[..transmit.size],
            segment_size: transmit.segment_size,
            src_ip: transmit.src_ip,
        },
    );
    match sent {
        // Lost here or on the way is the same.
        Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => Err(error.into()),
        _ => Ok(()),
    }
}

impl Guest {
    /// Everything that the connection has to say.
    fn hear(&mut self, seen: &Seen) -> anyhow::Result<()> {
        while let Some(event) = self.connection.poll() {
            match event {
                Event::Connected => self.say_hello()?,
                Event::ConnectionLost { reason } => anyhow::bail!("peer {} was lost: {reason}", self.number),
                Event::Stream(_) => self.read_control()?,
                Event::DatagramReceived => {
                    while let Some(bytes) = self.connection.datagrams().recv() {
                        let events = self.core.handle_datagram(&bytes);
                        let room = self.number / ROOM;
                        // Peers came one after the other: their numbers at the host are their own.
                        let is_near = |event: &&LinkEvent| matches!(event, LinkEvent::Pose { peer, .. } if usize::from(peer.0) / ROOM == room);
                        seen.poses.fetch_add(events.iter().filter(is_near).count() as u64, Relaxed);
                    }
                }
                Event::HandshakeDataReady | Event::DatagramsUnblocked => {}
            }
        }
        Ok(())
    }

    fn say_hello(&mut self) -> anyhow::Result<()> {
        self.control = Some(self.connection.streams().open(Dir::Bi).context("the host takes no stream")?);
        let (oldest_minor, newest_minor) = (*wire::MINORS.start(), *wire::MINORS.end());
        let name = format!("p{}", self.number);
        let kind = PeerKind::Person;
        self.say(&ToHost::Hello(Hello {
            oldest_minor,
            newest_minor,
            name,
            kind,
            entries_held: 0,
            redemption: None,
            here: None,
        }))
    }

    fn say(&mut self, message: &ToHost) -> anyhow::Result<()> {
        let frame = wire::frame(message);
        let stream = self.control.context("nothing can be said yet")?;
        let written = self.connection.send_stream(stream).write(&frame)?;
        anyhow::ensure!(written == frame.len(), "the host does not read");
        self.is_due = true;
        Ok(())
    }

    fn read_control(&mut self) -> anyhow::Result<()> {
        let Some(stream) = self.control else { return Ok(()) };
        let mut stream = self.connection.recv_stream(stream);
        if let Ok(mut chunks) = stream.read(true) {
            loop {
                match chunks.next(usize::MAX) {
                    Ok(Some(chunk)) => self.heard.extend_from_slice(&chunk.bytes),
                    Err(ReadError::Blocked) => break,
                    Ok(None) | Err(ReadError::Reset(_)) => anyhow::bail!("the host has gone"),
                }
            }
            self.is_due |= chunks.finalize().should_transmit();
        }
        while let Some((length, rest)) = self.heard.split_first_chunk::<4>() {
            let length = u32::from_le_bytes(*length) as usize;
            anyhow::ensure!(length <= limits::FRAME_BYTES, "a frame of {length} bytes");
            let Some(body) = rest.get(..length) else { break };
            let event = self.core.handle_message(wire::decode_to_peer(body)?, clock());
            self.is_here |= matches!(event, Ok(Some(LinkEvent::Welcome { .. })));
            event.map_err(|end| anyhow::anyhow!("{end:?}"))?;
            self.heard.drain(..4 + length);
        }
        Ok(())
    }

    /// Tells where head and hands are; answers and pings go along.
    fn beat(&mut self, moves: bool, seconds: f64, motion: &Tracked) -> anyhow::Result<()> {
        self.frames += 1;
        if moves {
            let n = self.number;
            let at = [(n / ROOM) as f32 * APART_METRES + (n % 5) as f32, (n % ROOM / 5) as f32];
            self.core.tell_pose(&motion.at(n, seconds, at), false);
            for bytes in self.core.poll_datagrams() {
                // Lost here or on the way is the same.
                let _ = self.connection.datagrams().send(bytes.into(), true);
                self.is_due = true;
            }
        }
        if !moves || self.frames.is_multiple_of(FRAMES_PER_PING) {
            self.say(&ToHost::Ping { sent: clock().0 })?;
        }
        Ok(())
    }
}
