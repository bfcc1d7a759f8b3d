//! The one task that owns a host's core: takes what peers' lines bring and what the host program commands, and carries
//! out what [`HostCore`] says.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use gemba_twin::path::ThingId;
use gemba_twin::peer::PeerKey;
use quinn::{Connection, SendStream, VarInt};
use tokio::sync::{Notify, mpsc, oneshot};
use tracing::{info, trace_span};

use crate::allowance::Place;
use crate::blob_hash::BlobHash;
use crate::clock::now as clock;
use crate::frames::close;
use crate::host_core::{HostCore, Output};
use crate::host_stats::{HostCounters, count};
use crate::interest::Turn;
use crate::limits;
use crate::lines::{self, Input, Outbox, Outgoing, ToHub};
use crate::listener::{HostCommand, HostEvent};
use crate::peers::{Hello, PeerNumber, TrackedPoint};
use crate::recall::{Answers, Questions};
use crate::telemetry::Feed;
use crate::wire::{self, ToHost, ToPeer};

/// What the hub holds of a peer's connection.
struct Line {
    connection: Connection,
    key: PeerKey,
    /// None once the peer has been refused: what was written goes out, then the connection is closed.
    control: Option<mpsc::Sender<Outgoing>>,
    /// Bytes of the frames that wait in it.
    control_bytes: Arc<AtomicUsize>,
    samples: Arc<(Mutex<Feed>, Notify)>,
    questions: Questions,
    answers: Arc<Answers>,
    /// Submissions without an answer, with their places.
    submissions: HashMap<u64, Place>,
    /// Its connection for blobs, and one that may not be known to have ended.
    bulk: Vec<Connection>,
    /// A connection for blobs that was there before the site had let the peer in.
    early: Option<Bulk>,
    /// Where all bodies are, as soon as there is a connection to tell it on.
    pieces: Vec<Arc<[u8]>>,
    /// Streams on which blobs are wished for.
    blobs: HashMap<(BlobHash, u64), Vec<SendStream>>,
}

/// A connection for blobs, and who waits to hear whose it is.
type Bulk = (Connection, oneshot::Sender<PeerNumber>);

impl Line {
    /// Takes one more connection for blobs; one too many is told nothing, and ends.
    fn add_bulk(&mut self, peer: PeerNumber, (connection, reply): Bulk, counters: &HostCounters) {
        self.bulk.retain(|bulk| bulk.close_reason().is_none());
        if self.bulk.len() < limits::BULK_LINES && reply.send(peer).is_ok() {
            count(&counters.bulk_lines);
            self.bulk.push(connection);
            self.tell_pieces(Vec::new());
        }
    }

    /// Where all bodies are goes out on the newest connection for blobs, as soon as there is one.
    fn tell_pieces(&mut self, pieces: Vec<Arc<[u8]>>) {
        self.pieces.extend(pieces);
        if let Some(bulk) = self.bulk.last().filter(|_| !self.pieces.is_empty()) {
            tokio::spawn(lines::write_pieces(bulk.clone(), std::mem::take(&mut self.pieces)));
        }
    }
}

/// The one task that owns the core.
pub(crate) struct Hub {
    site: String,
    core: HostCore,
    lines: HashMap<PeerNumber, Line>,
    events: mpsc::Sender<HostEvent>,
    inputs: mpsc::WeakSender<Input>,
    counters: Arc<HostCounters>,
    /// Events that wait for the host program. Of each peer no more than it has places for.
    pending: VecDeque<HostEvent>,
}

impl Hub {
    /// A hub without peers, whose lines bring what they hear to `lines`.
    pub(crate) fn new(site: String, events: mpsc::Sender<HostEvent>, lines: &ToHub) -> Self {
        let (inputs, counters) = (lines.inputs.downgrade(), lines.counters.clone());
        let (core, lines, pending) = (HostCore::default(), HashMap::new(), VecDeque::new());
        Self { site, core, lines, events, inputs, counters, pending }
    }

    /// Takes commands and inputs at any time, also while the host program is behind with its events: poses and pings
    /// must not wait for its disk.
    pub(crate) async fn run(mut self, mut commands: mpsc::Receiver<HostCommand>, mut inputs: mpsc::Receiver<Input>) {
        let events = self.events.clone();
        let (mut turns, mut before) = (0u64, Instant::now());
        let mut next_burst = before;
        let mut tick = tokio::time::interval(limits::TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = tick.tick() => {
                    let now = Instant::now();
                    self.counters.beat.note_tick(now - std::mem::replace(&mut before, now), limits::TICK);
                    if now >= next_burst {
                        let _span = trace_span!("tick", peers = self.lines.len()).entered();
                        let round = limits::turns(self.lines.len());
                        self.core.tick(clock(), Turn::after(turns, round));
                        self.carry_out();
                        turns += 1;
                        let took = now.elapsed();
                        self.counters.beat.note(took);
                        // A third of the time is for what peers say: a host that cannot keep up tells all of them less
                        // often. One burst that was slow may be made up for within a round.
                        let earliest = now.checked_sub(limits::TICK * round as u32).unwrap_or(now);
                        next_burst = next_burst.max(earliest) + took * 3 / 2;
                    }
                    let (refused, fenced) = (self.core.poses_dropped, self.core.moves_fenced());
                    self.counters.note(refused, fenced, &self.core.crowd_stats());
                    let (voices, fingers) = self.core.nearby_dropped();
                    self.counters.voices_dropped.store(voices, Relaxed);
                    self.counters.fingers_dropped.store(fingers, Relaxed);
                    let waiting = self.lines.values().map(|line| line.control_bytes.load(Relaxed)).sum();
                    self.counters.note_queues(self.lines.len(), self.pending.len(), waiting);
                }
                command = commands.recv() => match command {
                    Some(command) => self.command(command),
                    None => break,
                },
                place = events.reserve(), if !self.pending.is_empty() => {
                    // The program that owns the port has gone: then nobody needs to know.
                    if let (Ok(place), Some(event)) = (place, self.pending.pop_front()) {
                        place.send(event);
                    }
                }
                input = inputs.recv() => match input {
                    Some(input) => {
                        let event = self.input(input);
                        self.pending.extend(event);
                    }
                    None => break,
                },
            }
            self.carry_out();
        }
    }

    fn command(&mut self, command: HostCommand) {
        match command {
            HostCommand::Admit { peer, entries } => {
                self.core.admit(peer, &self.site, entries);
                let pieces = self.core.tell_newcomer(peer, clock());
                if let Some(line) = self.lines.get_mut(&peer) {
                    line.tell_pieces(pieces);
                    if let Some(bulk) = line.early.take() {
                        line.add_bulk(peer, bulk, &self.counters);
                    }
                }
            }
            HostCommand::Refuse { peer, why } => {
                self.core.refuse(peer, &why, clock());
                self.carry_out();
                if let Some(line) = self.lines.get_mut(&peer) {
                    line.control = None;
                }
            }
            HostCommand::Answer { peer, submission, outcome, overruled } => {
                if let Some(line) = self.lines.get_mut(&peer) {
                    line.submissions.remove(&submission);
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
            HostCommand::Grab { peer, hold, outcome } => self.core.decide_grab(peer, hold, outcome, clock()),
            HostCommand::PutBack { thing } => self.core.put_back(thing, clock()),
            HostCommand::Rests(rests) => self.core.restore_rests(rests, clock()),
            HostCommand::TagPaths(paths) => self.core.set_tag_paths(paths),
            HostCommand::StandsBy { peer, at } => self.send(peer, wire::frame(&ToPeer::StandsBy { at })),
            HostCommand::History { from, to } => self.core.set_history(from, to),
            HostCommand::Publish(samples) => self.core.publish(&samples, clock()),
            HostCommand::Blob { peer, hash, offset, blob } => {
                let is_proven = self.core.knows_blob_trees(peer);
                let Some(line) = self.lines.get_mut(&peer) else { return };
                let Entry::Occupied(mut waiting) = line.blobs.entry((hash, offset)) else { return };
                if let Some(stream) = waiting.get_mut().pop() {
                    tokio::spawn(lines::send_blob(stream, offset, blob, is_proven));
                }
                if waiting.get().is_empty() {
                    waiting.remove();
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
                // Who owns the port sends a newcomer the next piece of the log when this one has been written.
                let is_end_of_piece = peer.is_some() && rest.peek().is_none();
                to.iter().for_each(|peer| self.send_as(*peer, Outgoing { frame: frame.clone(), is_end_of_piece }));
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
            Input::Bulk { connection, key, from_anywhere, reply } => self.bulk((connection, reply), key, from_anywhere),
            Input::Message(peer, ToHost::Submit { submission, entry }, place) if self.core.is_admitted(peer) => {
                let line = self.lines.get_mut(&peer)?;
                if line.submissions.contains_key(&submission) {
                    let why = "another submission with this number has no answer yet".to_owned();
                    self.send(peer, wire::frame(&ToPeer::Rejected { submission, why }));
                    return None;
                }
                line.submissions.insert(submission, place.until_answered());
                return Some(HostEvent::Submitted { peer, submission, entry: entry.into() });
            }
            Input::Message(peer, ToHost::Select(thing), _) => self.core.handle_select(peer, thing),
            Input::Message(peer, ToHost::ShareInstant(instant), _) => self.core.handle_share_instant(peer, instant),
            Input::Message(peer, ToHost::Watch(whom), _) => self.core.handle_watch(peer, whom),
            Input::Message(peer, ToHost::Join { here, is_alone }, _) => {
                let pieces = self.core.handle_join(peer, here, is_alone, clock());
                self.lines.get_mut(&peer)?.tell_pieces(pieces);
            }
            Input::Message(peer, ToHost::Subscribe(wants), _) => self.core.handle_subscribe(peer, wants),
            Input::Message(peer, ToHost::Recall(recall), _) if self.core.knows_past(peer) => {
                let recall = self.lines.get_mut(&peer)?.questions.handle_asked(recall)?;
                return Some(HostEvent::Recall { peer, recall });
            }
            Input::Message(peer, ToHost::Grab { hold, thing, from }, _) => {
                return self.grab(peer, hold, thing, from);
            }
            Input::Message(peer, ToHost::Release { hold, at }, _) => self.core.handle_release(peer, hold, at, clock()),
            Input::Message(peer, ToHost::StandBy { held, heard, leaves }, _) if self.core.is_admitted(peer) => {
                return Some(HostEvent::StandsBy { peer, held, heard, leaves });
            }
            Input::Message(peer, ToHost::Ping { sent }, _) => {
                self.core.handle_heard(peer, clock());
                self.send(peer, wire::frame(&ToPeer::Pong { sent, host: clock() }));
            }
            Input::Message(..) => {}
            Input::Pose(peer, bytes, place) => {
                self.core.handle_pose(peer, &bytes, clock());
                drop(place);
            }
            Input::Blob { peer, hash, offset, stream } if self.core.is_admitted(peer) => {
                // How many there are is bounded by the streams that a peer may have open.
                self.lines.get_mut(&peer)?.blobs.entry((hash, offset)).or_default().push(stream);
                return Some(HostEvent::BlobWanted { peer, hash, offset });
            }
            Input::Blob { mut stream, .. } => {
                count(&self.counters.blobs_refused);
                // If it is over already nobody waits.
                let _ = stream.reset(VarInt::from_u32(close::BUSY));
            }
            Input::EntriesWritten(peer) if self.lines.contains_key(&peer) => {
                return Some(HostEvent::EntriesTaken { peer });
            }
            Input::EntriesWritten(_) => {}
            Input::Gone(peer, why) => {
                self.core.handle_left(peer, clock());
                // What it asked for and the program has not taken up concerns nobody any more; what it wants in the
                // record does.
                self.pending.retain(|event| match event {
                    HostEvent::Recall { peer: of, .. }
                    | HostEvent::BlobWanted { peer: of, .. }
                    | HostEvent::Grabbing { peer: of, .. } => *of != peer,
                    _ => true,
                });
                let line = self.lines.remove(&peer)?;
                line.bulk.iter().for_each(|bulk| bulk.close(VarInt::from_u32(close::LEFT), b""));
                return Some(HostEvent::Left { peer, why });
            }
        }
        None
    }

    fn grab(&mut self, peer: PeerNumber, hold: u8, thing: ThingId, from: TrackedPoint) -> Option<HostEvent> {
        let is_asked = self.core.handle_grab(peer, hold, thing, from, clock());
        is_asked.then_some(HostEvent::Grabbing { peer, hold, thing })
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
        let control_bytes = Arc::new(AtomicUsize::new(0));
        let outbox = Outbox { frames, bytes: control_bytes.clone() };
        let number = self.room_for(&key).and_then(|()| self.core.handle_hello(key, &hello));
        let write = |peer| lines::write_control(connection.clone(), control, outbox, peer, self.inputs.clone());
        tokio::spawn(write(number.as_ref().ok().copied()));
        match number {
            Ok(peer) => {
                let samples = Arc::new((Mutex::new(Feed::default()), Notify::new()));
                let answers = Arc::new(Answers::default());
                let (counters, is_packed) = (self.counters.clone(), self.core.knows_packing(peer));
                let fed = (samples.clone(), is_packed);
                tokio::spawn(lines::write_telemetry(connection.clone(), fed, answers.clone(), counters));
                let (control, questions) = (Some(sender), Questions::default());
                let (submissions, blobs, bulk, pieces) = (HashMap::new(), HashMap::new(), Vec::new(), Vec::new());
                let line = Line {
                    connection,
                    key,
                    control,
                    control_bytes,
                    samples,
                    questions,
                    answers,
                    submissions,
                    blobs,
                    bulk,
                    early: None,
                    pieces,
                };
                self.lines.insert(peer, line);
                // Whoever said hello waits for its number; if it has gone meanwhile it will say so.
                let _ = reply.send(peer);
                info!("{} ({}) has come", hello.name, key.short());
                Some(HostEvent::Arrived { peer, key, hello })
            }
            Err(why) => {
                // The queue is new and empty. Its only sender ends here: what is in it goes out, then all is closed.
                let frame = wire::frame(&ToPeer::Refused { why });
                control_bytes.fetch_add(frame.len(), Relaxed);
                let _ = sender.try_send(Outgoing { frame, is_end_of_piece: false });
                None
            }
        }
    }

    /// Gives a connection for blobs to a session of the same key: to the one of the same socket, or to any where that will
    /// do. Peers open it before they know whether the site lets them in.
    fn bulk(&mut self, bulk: Bulk, key: PeerKey, from_anywhere: bool) {
        let from = bulk.0.remote_address();
        let is_elsewhere = |line: &Line| line.connection.remote_address() != from;
        let sessions = self.lines.iter_mut().filter(|(_, line)| line.key == key && line.control.is_some());
        let sessions = sessions.filter(|(_, line)| from_anywhere || !is_elsewhere(line));
        let likeliest = |(_, line): &(_, &mut Line)| (is_elsewhere(line), line.bulk.len());
        let Some((peer, line)) = sessions.min_by_key(likeliest) else { return };
        if self.core.is_admitted(*peer) {
            line.add_bulk(*peer, bulk, &self.counters);
        } else {
            line.early = Some(bulk);
        }
    }

    /// Whether one more session of this key fits, or why not.
    fn room_for(&self, key: &PeerKey) -> Result<(), String> {
        let why = if self.lines.values().filter(|line| line.key == *key).count() >= limits::SESSIONS_PER_KEY {
            "you are here too many times already; leave elsewhere first"
        } else if self.pending.len() >= limits::PENDING_EVENTS {
            "this host is busy; try again later"
        } else {
            return Ok(());
        };
        count(&self.counters.peers_surplus);
        Err(why.to_owned())
    }

    fn send(&self, peer: PeerNumber, frame: Vec<u8>) {
        self.send_as(peer, Outgoing { frame, is_end_of_piece: false });
    }

    fn send_as(&self, peer: PeerNumber, outgoing: Outgoing) {
        let Some(line) = self.lines.get(&peer) else { return };
        let Some(control) = &line.control else { return };
        let bytes = outgoing.frame.len();
        let waiting = line.control_bytes.fetch_add(bytes, Relaxed);
        if (waiting > 0 && waiting + bytes > limits::CONTROL_BYTES) || control.try_send(outgoing).is_err() {
            count(&self.counters.peers_too_slow);
            line.connection.close(VarInt::from_u32(close::TOO_SLOW), b"too slow to be told what happens");
        }
    }

    fn carry_out(&mut self) {
        for output in self.core.poll_outputs() {
            match output {
                Output::Control(peer, message) => self.send(peer, wire::frame(&message)),
                Output::Datagram(peer, bytes) => {
                    if let Some(line) = self.lines.get(&peer) {
                        if line.connection.datagram_send_buffer_space() < bytes.len() {
                            count(&self.counters.poses_unsent);
                        }
                        // Lost here or on the way is the same: the next pose is newer.
                        let _ = line.connection.send_datagram(bytes.into());
                    }
                }
                Output::Rested(thing, at) => self.pending.push_back(HostEvent::Rested { thing, at }),
                Output::Samples(peer, told) => {
                    if let Some(line) = self.lines.get(&peer) {
                        let (feed, news) = &*line.samples;
                        if let Ok(mut feed) = feed.lock() {
                            feed.add(told);
                        }
                        news.notify_one();
                    }
                }
            }
        }
    }
}
