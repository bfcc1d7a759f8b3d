//! The thread behind a [`crate::Link`]: connects, talks, reconnects. What the messages mean is decided by [`ClientCore`];
//! this file only carries bytes, commands and events.

mod blobs;
mod poses;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use gemba_twin::path::ThingId;
use gemba_twin::sample::Timestamp;
use quinn::{Connection, SendStream, VarInt};
use tokio::sync::{mpsc, oneshot};
use tracing::{Instrument, debug_span};

use crate::address::Address;
use crate::bulk_line::{self, Asked, Begun, BulkLine};
use crate::client_core::{ClientCore, Join, SessionEnd};
use crate::clock::now as clock;
use crate::dial::{self, Caller, DialError, Reached};
use crate::fetches::Fetches;
use crate::frames::close;
use crate::handover::Handover;
use crate::limits;
use crate::link::{Counters, LineStats, LinkCommand, LinkConfig, LinkEvent, LinkState};
use crate::peers::{Hello, Pose};
use crate::readers::{Arrival, Readers};
use crate::recall::RecallAnswer;
use crate::telemetry::Want;
use crate::tls::Resumable;
use crate::wire::{self, Recall, ToHost};

/// Why a session ended.
enum End {
    /// The owner has dropped the link.
    Left,
    /// Trying again would not help.
    Refused(String),
    /// Trying again may help.
    Lost(String),
}

/// Everything the thread owns.
pub(crate) struct Worker {
    config: LinkConfig,
    /// What lets a newcomer in.
    redemption: Option<Vec<u8>>,
    core: ClientCore,
    /// Where the site's host may be, the likeliest first.
    hosts: Vec<Address>,
    events: mpsc::Sender<LinkEvent>,
    commands: mpsc::Receiver<LinkCommand>,
    counters: Arc<Counters>,
    /// By which it comes back to a host.
    resumable: Resumable,
    /// Whether the host of the last session sent blobs so that each group could be verified.
    proves_blobs: bool,
    /// Submissions without an answer: told again after a reconnect, where the same entry has the same outcome.
    unanswered: BTreeMap<u64, Vec<u8>>,
    /// Blobs that are wanted, and what is here of them.
    fetches: Fetches,
    selected: Option<Option<ThingId>>,
    shared_instant: Option<Option<Timestamp>>,
    wants: Option<Vec<Want>>,
    /// Tells the reader of the second connection that what is near is here.
    near_is_here: Option<oneshot::Sender<()>>,
    /// Whether the second connection does not bring where all bodies are.
    has_no_pieces: bool,
    /// The newest question for the past, as long as it has no answer.
    recall: Option<Recall>,
    sequence: u32,
    newest_pose: Option<Pose>,
    /// Whether the pose that was shown last was another one than before.
    has_moved: bool,
    /// Whether what is in hand has moved since a datagram said where it is.
    carries: bool,
    /// Pings since the newest pose.
    pings_at_rest: u32,
    /// Where the others are, on its way to the owner.
    handover: Handover,
}

impl Worker {
    /// A worker that has not begun.
    pub(crate) fn new(
        (config, redemption): (LinkConfig, Option<Vec<u8>>),
        events: mpsc::Sender<LinkEvent>,
        commands: mpsc::Receiver<LinkCommand>,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            core: ClientCore::new(config.entries_held),
            hosts: vec![config.address.clone()],
            resumable: Resumable::default(),
            proves_blobs: false,
            config,
            redemption,
            handover: Handover::new(events.clone(), counters.clone()),
            events,
            commands,
            counters,
            unanswered: BTreeMap::new(),
            fetches: Fetches::default(),
            selected: None,
            shared_instant: None,
            wants: None,
            near_is_here: None,
            has_no_pieces: false,
            recall: None,
            sequence: 0,
            newest_pose: None,
            has_moved: false,
            carries: false,
            pings_at_rest: 0,
        }
    }

    /// Says that there will be no connection.
    pub(crate) fn give_up(&self, why: String) {
        // Nobody polls any more: then nobody needs to know.
        let _ = self.events.try_send(LinkEvent::State(LinkState::Refused { why }));
    }

    /// Connects, and connects again, until the owner leaves.
    pub(crate) async fn run(&mut self) {
        for attempt in 0.. {
            if self.tell(LinkEvent::State(LinkState::Connecting { attempt })).await.is_err() {
                return;
            }
            let state = match self.session(attempt).await {
                End::Left => return,
                End::Refused(why) => LinkState::Refused { why },
                End::Lost(why) => {
                    let wait = self.core.handle_lost();
                    self.counters.sessions_lost.fetch_add(1, Relaxed);
                    // Where another host may take over, that is looked for without a pause.
                    let retry_in = if self.hosts.len() > 1 { limits::RETRY.0 } else { wait };
                    LinkState::Lost { why, retry_in }
                }
            };
            self.fetches.handle_lost();
            (self.near_is_here, self.has_no_pieces) = (None, false);
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
                command = self.commands.recv() => drop(self.keep(&mut command.ok_or(())?).await?),
            }
        }
    }

    /// Notes what must outlive the session. False if it cannot be taken, which its owner is told.
    async fn keep(&mut self, command: &mut LinkCommand) -> Result<bool, ()> {
        match command {
            LinkCommand::Submit { submission, .. } if self.unanswered.len() >= limits::SUBMISSIONS_PER_PEER => {
                let outcome = Err("too many submissions without an answer".to_owned());
                self.tell(LinkEvent::Answer { submission: *submission, outcome, overruled: None }).await?;
                return Ok(false);
            }
            LinkCommand::Submit { submission, entry } => drop(self.unanswered.insert(*submission, entry.clone())),
            LinkCommand::Fetch { hash, metres, kept } => self.fetches.want(*hash, *metres, std::mem::take(kept)),
            LinkCommand::Select(thing) => self.selected = Some(*thing),
            LinkCommand::ShareInstant(instant) => self.shared_instant = Some(*instant),
            LinkCommand::Recall(recall) => self.recall = Some(recall.clone()),
            LinkCommand::Hosts(hosts) if hosts.is_empty() => {}
            LinkCommand::Hosts(hosts) => self.hosts.clone_from(hosts),
            LinkCommand::Watch(_) | LinkCommand::Voice(_) | LinkCommand::Fingers(_) | LinkCommand::StandBy { .. } => {}
            LinkCommand::GrabBody { thing, from } => self.core.grab(*thing, *from),
            LinkCommand::MoveBody { thing, at } => self.carries |= self.core.carry(*thing, *at),
            LinkCommand::ReleaseBody { thing, at } => self.core.release(*thing, *at),
            LinkCommand::Subscribe(wants) => self.wants = Some(wants.clone()),
            LinkCommand::Pose(pose) => {
                self.has_moved = self.newest_pose.as_ref() != Some(pose);
                if self.has_moved {
                    self.pings_at_rest = 0;
                    self.newest_pose = Some(pose.clone());
                }
            }
        }
        Ok(true)
    }

    /// As [`Worker::keep`] in a session with this host, which ends where the host has another key by now.
    async fn keep_in_session(&mut self, command: &mut LinkCommand, host: &Address) -> Result<bool, End> {
        let is_kept = self.keep(command).await.map_err(|()| End::Left)?;
        if matches!(command, LinkCommand::Hosts(_)) && !self.hosts.iter().any(|at| at.key == host.key) {
            return Err(End::Lost("the host has another key than it had, and is asked for that".to_owned()));
        }
        Ok(is_kept)
    }

    async fn session(&mut self, attempt: u32) -> End {
        let owner = self.events.clone();
        let caller = Caller {
            key: self.config.signing_key.clone(),
            resumable: self.resumable.clone(),
            wishes: self.early_wishes(),
        };
        let dialled = tokio::select! {
            dialled = dial::dial(&self.hosts, &caller, attempt) => dialled,
            () = owner.closed() => return End::Left,
        };
        let mut reached = match dialled {
            Ok(reached) => reached,
            Err(DialError::Refused(why)) => return End::Refused(why),
            Err(DialError::Lost(why)) => return End::Lost(why),
        };
        let is_likeliest = self.hosts.first() == Some(&reached.host);
        self.note_line(&reached);
        let (bulk, asked) = (reached.bulk.take(), std::mem::take(&mut reached.asked));
        let (endpoint, connection) = (&reached.endpoint, &reached.connection);
        let session = debug_span!("session", host = %reached.host.host, port = reached.host.port);
        let end = tokio::select! {
            end = self.talk(&reached, bulk, asked).instrument(session) => match end {
                // Only the record's own host says the last word.
                Err(End::Refused(why)) if !is_likeliest => End::Lost(why),
                Ok(end) | Err(end) => end,
            },
            // It leaves by itself, unless it is stuck.
            () = async { owner.closed().await; tokio::time::sleep(limits::GOODBYE).await } => End::Left,
        };
        connection.close(VarInt::from_u32(close::LEFT), b"");
        if matches!(end, End::Left) {
            // The good-bye is a packet that must still leave this machine.
            let _ = tokio::time::timeout(Duration::from_millis(100), endpoint.wait_idle()).await;
        }
        end
    }

    async fn talk(&mut self, reached: &Reached, bulk: Option<Begun>, asked: Vec<Asked>) -> Result<End, End> {
        let Reached { endpoint, connection, host, .. } = reached;
        let over = |e: &dyn std::fmt::Display| End::Lost(e.to_string());
        let (mut control, incoming) = connection.open_bi().await.map_err(|e| over(&e))?;
        self.say(&mut control, &ToHost::Hello(self.hello())).await?;
        self.core.handle_connected(Instant::now());
        let (heard, mut arrivals) = mpsc::channel(256);
        let key = &self.config.signing_key;
        let client = bulk_line::client(&self.resumable, key, host.key).map_err(|e| over(&e))?;
        let bulk = BulkLine::new(bulk, endpoint.clone(), connection.remote_address(), client, host.key);
        let readers = Readers { heard, counters: self.counters.clone(), bulk: Arc::new(bulk) };
        let mut tasks = tokio::task::JoinSet::new();
        // After the hello, and before anything is wished for on it.
        self.fetch_asked(asked, connection, &readers, &mut tasks);
        tasks.spawn(readers.clone().bulk_line());
        tasks.spawn(readers.clone().telemetry(connection.clone()));
        tasks.spawn(readers.clone().datagrams(connection.clone()));
        tasks.spawn(readers.clone().control(incoming));
        let (mut ping, mut pulse) = (every(limits::PING_INTERVAL), every(limits::LANE_PULSE));
        let mut welcomed = false;
        loop {
            let deadline = self.core.deadline().unwrap_or_else(Instant::now);
            tokio::select! {
                biased;
                arrival = arrivals.recv() => {
                    let arrival = arrival.ok_or_else(|| End::Lost("the connection is over".to_owned()))?;
                    self.core.handle_heard(Instant::now());
                    // An owner who has gone hears no more; what they have asked for still waits among the commands.
                    let is_welcome = match self.arrived(arrival).await {
                        Err(End::Left) => false,
                        arrived => arrived?,
                    };
                    if is_welcome {
                        welcomed = true;
                        self.resume(&mut control, connection, &readers, &mut tasks).await?;
                    } else if welcomed {
                        self.go_on(&mut control, connection, &readers, &mut tasks).await?;
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
                    let Some(mut command) = command else {
                        // What was asked for last shall still arrive: closing a connection throws away what waits.
                        let _ = control.finish();
                        let _ = tokio::time::timeout(limits::GOODBYE, control.stopped()).await;
                        return Ok(End::Left);
                    };
                    if self.keep_in_session(&mut command, host).await? && welcomed {
                        self.carry_out(command, &mut control, connection, &readers, &mut tasks).await?;
                    }
                }
                _ = ping.tick() => {
                    self.ping(&mut control, reached).await?;
                    self.pings_at_rest = self.pings_at_rest.saturating_add(1);
                    if welcomed {
                        self.core.rest_held();
                        self.rest(connection);
                    }
                }
                _ = pulse.tick(), if welcomed => self.pulse(connection),
                () = tokio::time::sleep_until(deadline.into()) => {
                    return Err(End::Lost("no word from the host for a second".to_owned()));
                }
            }
        }
    }

    fn hello(&self) -> Hello {
        Hello {
            oldest_minor: *wire::MINORS.start(),
            newest_minor: *wire::MINORS.end(),
            name: wire::cut(&self.config.name, limits::NAME_BYTES),
            kind: self.config.kind,
            entries_held: self.core.entries_held(),
            redemption: self.redemption.clone().map(Into::into),
            here: Some(self.here()),
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
        self.pings_at_rest = 0;
        self.proves_blobs = self.core.host_proves_blobs();
        self.show_pose(connection);
        if let Some(thing) = self.selected {
            self.say(control, &ToHost::Select(thing)).await?;
        }
        self.say_held(control).await?;
        if let Some(instant) = self.shared_instant.filter(|_| self.core.host_knows_past()) {
            self.say(control, &ToHost::ShareInstant(instant)).await?;
        }
        if let Some(wants) = self.wants.clone().filter(|_| self.core.host_takes_wants()) {
            self.say(control, &ToHost::Subscribe(wants)).await?;
        }
        if let Some(recall) = self.recall.clone() {
            self.ask_past(recall, control).await?;
        }
        for (submission, entry) in &self.unanswered {
            self.say(control, &ToHost::Submit { submission: *submission, entry: entry.clone().into() }).await?;
        }
        self.fetch(connection, readers, tasks);
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
                self.say(control, &ToHost::Submit { submission, entry: entry.into() }).await
            }
            LinkCommand::Select(thing) => self.say(control, &ToHost::Select(thing)).await,
            LinkCommand::Recall(recall) => self.ask_past(recall, control).await,
            LinkCommand::ShareInstant(instant) if self.core.host_knows_past() => {
                self.say(control, &ToHost::ShareInstant(instant)).await
            }
            LinkCommand::ShareInstant(_) => Ok(()),
            LinkCommand::Watch(whom) if self.core.host_takes_bodies() => self.say(control, &ToHost::Watch(whom)).await,
            LinkCommand::StandBy { held, heard, leaves } if self.core.host_has_heirs() => {
                self.say(control, &ToHost::StandBy { held, heard, leaves }).await
            }
            LinkCommand::Watch(_) | LinkCommand::StandBy { .. } | LinkCommand::Hosts(_) => Ok(()),
            LinkCommand::Subscribe(wants) if self.core.host_takes_wants() => {
                self.say(control, &ToHost::Subscribe(wants)).await
            }
            LinkCommand::Subscribe(_) => Ok(()),
            LinkCommand::Fetch { .. } => {
                self.fetch(connection, readers, tasks);
                Ok(())
            }
            LinkCommand::Voice(frame) => {
                if let Some(datagram) = self.core.tell_voice(&frame) {
                    self.counters.voice_up.fetch_add(datagram.len() as u64, Relaxed);
                    // Lost here or on the way is the same: the next word is newer.
                    let _ = connection.send_datagram(datagram.into());
                }
                Ok(())
            }
            LinkCommand::Fingers(hands) => {
                if let Some(datagram) = self.core.tell_fingers(&hands) {
                    self.counters.pose_up.fetch_add(datagram.len() as u64, Relaxed);
                    let _ = connection.send_datagram(datagram.into());
                }
                Ok(())
            }
            LinkCommand::GrabBody { thing, .. } if !self.core.host_takes_bodies() => {
                let why = "the host of this site is too old for things to be carried; update it".to_owned();
                self.tell(LinkEvent::GrabRefused { thing, why }).await.map_err(|()| End::Left)
            }
            LinkCommand::GrabBody { .. } | LinkCommand::ReleaseBody { .. } => self.say_held(control).await,
            LinkCommand::MoveBody { .. } => {
                if std::mem::take(&mut self.carries) {
                    self.send_datagrams(connection);
                }
                Ok(())
            }
            LinkCommand::Pose(_) => {
                // The same again is no motion; hosts before minor 4 are told all the same, as ever.
                if self.has_moved || !self.core.host_takes_bodies() {
                    self.show_pose(connection);
                }
                Ok(())
            }
        }
    }

    async fn say_held(&mut self, control: &mut SendStream) -> Result<(), End> {
        for message in self.core.poll_said() {
            self.say(control, &message).await?;
        }
        Ok(())
    }

    /// After each arrival: what is to be asked for because of it.
    async fn go_on(
        &mut self,
        control: &mut SendStream,
        connection: &Connection,
        readers: &Readers,
        tasks: &mut tokio::task::JoinSet<()>,
    ) -> Result<(), End> {
        self.fetch(connection, readers, tasks);
        if let Some(join) = self.core.take_join() {
            if join == Join::MustBeAsked {
                self.join(control, false).await?;
            }
            let (near_is_here, is_due) = oneshot::channel();
            self.near_is_here = Some(near_is_here);
            tasks.spawn(readers.clone().pieces(is_due));
        }
        if self.core.take_rest()
            && let Some(near_is_here) = self.near_is_here.take()
        {
            // A connection that brings no pieces has said so.
            let _ = near_is_here.send(());
        }
        if std::mem::take(&mut self.has_no_pieces) {
            self.join(control, true).await?;
        }
        Ok(())
    }

    /// Asks where all bodies are.
    async fn join(&self, control: &mut SendStream, is_alone: bool) -> Result<(), End> {
        self.say(control, &ToHost::Join { here: self.here(), is_alone }).await
    }

    /// Where this person is, millimetres.
    fn here(&self) -> [i32; 3] {
        self.newest_pose.as_ref().map_or([0; 3], |pose| pose.head.place.map(|c| (c * 1000.0) as i32))
    }

    async fn ask_past(&mut self, recall: Recall, control: &mut SendStream) -> Result<(), End> {
        if self.core.host_knows_past() {
            return self.say(control, &ToHost::Recall(recall)).await;
        }
        self.recall = None;
        let nothing = RecallAnswer { request: recall.request, ..RecallAnswer::default() };
        self.tell(LinkEvent::Recalled(nothing)).await.map_err(|()| End::Left)
    }

    async fn tell_joined(&mut self) -> Result<(), End> {
        let Some(event) = self.core.take_joined() else { return Ok(()) };
        self.handover.make_way(&event);
        self.tell(event).await.map_err(|()| End::Left)
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
                self.tell_joined().await?;
                let Some(event) = event else { return Ok(false) };
                if let LinkEvent::Answer { submission, .. } = &event {
                    self.unanswered.remove(submission);
                }
                let welcome = matches!(event, LinkEvent::Welcome { .. });
                if welcome {
                    self.tell(LinkEvent::State(LinkState::Connected)).await.map_err(left)?;
                }
                self.handover.make_way(&event);
                self.tell(event).await.map_err(left)?;
                let early = self.core.poll_early();
                self.handover.offer(early);
                return Ok(welcome);
            }
            Arrival::Samples(samples) => self.tell(LinkEvent::Samples(samples)).await.map_err(left)?,
            Arrival::Windows(windows) => self.tell(LinkEvent::Windows(windows)).await.map_err(left)?,
            Arrival::Recalled(answer) => {
                self.recall.take_if(|recall| recall.request == answer.request);
                self.tell(LinkEvent::Recalled(answer)).await.map_err(left)?;
            }
            Arrival::Datagram(bytes) => {
                let events = self.core.handle_datagram(&bytes);
                self.handover.offer(events);
            }
            Arrival::BlobPart { hash, offset, bytes, total } => {
                self.blob_part(hash, (offset, bytes), total).await.map_err(left)?;
            }
            Arrival::Piece(piece) => {
                self.core
                    .handle_piece(&piece)
                    .map_err(|_| End::Lost("from the host: bodies it did not announce".to_owned()))?;
                self.tell_joined().await?;
            }
            Arrival::NoPieces => self.has_no_pieces = true,
            Arrival::BlobFailed { hash, why } => self.blob_failed(hash, why).await.map_err(left)?,
            Arrival::Part => {}
            Arrival::Nonsense(why) => return Err(End::Lost(format!("from the host: {why}"))),
        }
        Ok(false)
    }

    async fn say(&self, stream: &mut SendStream, message: &ToHost) -> Result<(), End> {
        let frame = wire::frame(message);
        self.counters.control_up.fetch_add(frame.len() as u64, Relaxed);
        stream.write_all(&frame).await.map_err(|e| End::Lost(e.to_string()))
    }

    async fn ping(&self, control: &mut SendStream, reached: &Reached) -> Result<(), End> {
        self.note_line(reached);
        self.say(control, &ToHost::Ping { sent: clock().0 }).await
    }

    fn note_line(&self, Reached { connection, host, .. }: &Reached) {
        if let Ok(mut line) = self.counters.line.lock() {
            *line = LineStats::of(host, connection);
        }
    }
}

/// What was missed is not made up for.
fn every(period: Duration) -> tokio::time::Interval {
    let mut interval = tokio::time::interval(period);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    interval
}
