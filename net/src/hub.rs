//! The one task that owns a host's core: takes what peers' lines bring and what the host program commands, and carries
//! out what [`HostCore`] says.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use gemba_twin::peer::PeerKey;
use quinn::{Connection, SendStream, VarInt};
use tokio::sync::{Notify, mpsc, oneshot};
use tracing::info;

use crate::blob_hash::BlobHash;
use crate::clock::now as clock;
use crate::frames::close;
use crate::host_core::{HostCore, Output};
use crate::limits;
use crate::lines::{self, Input};
use crate::listener::{HostCommand, HostEvent};
use crate::peers::{Hello, PeerNumber};
use crate::recall::{Answers, Questions};
use crate::telemetry::Conflater;
use crate::wire::{self, ToHost, ToPeer};

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
pub(crate) struct Hub {
    site: String,
    core: HostCore,
    lines: HashMap<PeerNumber, Line>,
    events: mpsc::Sender<HostEvent>,
    blobs: HashMap<(PeerNumber, BlobHash, u64), Vec<SendStream>>,
    /// Events that commands have brought about: at most one of each peer.
    pending: VecDeque<HostEvent>,
}

impl Hub {
    /// A hub without peers.
    pub(crate) fn new(site: String, events: mpsc::Sender<HostEvent>) -> Self {
        let (lines, blobs) = (HashMap::new(), HashMap::new());
        Self { site, core: HostCore::default(), lines, events, blobs, pending: VecDeque::new() }
    }

    /// Commands are taken at any time. What the peers say waits while the host program is behind with its events:
    /// waiting for both at once would have hub and program wait for each other.
    pub(crate) async fn run(mut self, mut commands: mpsc::Receiver<HostCommand>, mut inputs: mpsc::Receiver<Input>) {
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
                    tokio::spawn(lines::send_blob(stream, offset, bytes.clone()));
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
        tokio::spawn(lines::write_control(connection.clone(), control, frames));
        match self.core.handle_hello(key, &hello) {
            Ok(peer) => {
                let samples = Arc::new((Mutex::new(Conflater::default()), Notify::new()));
                let answers = Arc::new(Answers::default());
                tokio::spawn(lines::write_telemetry(connection.clone(), samples.clone(), answers.clone()));
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
