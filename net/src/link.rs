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

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ed25519_dalek::SigningKey;
use gemba_twin::path::ThingId;
use gemba_twin::peer::PeerKind;
use gemba_twin::sample::Timestamp;
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TryRecvError;

use crate::address::Address;
use crate::blob_hash::BlobHash;
use crate::fingers::Fingers;
use crate::limits;
use crate::nearby::NearbyFrame;
use crate::peers::{PeerInfo, PeerNumber, Pose, TrackedPoint};
use crate::recall::RecallAnswer;
use crate::telemetry::{TagSample, TagWindow, Want};
use crate::wire::Recall;
use crate::worker::Worker;

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

/// Whose a thing is that people carry, and where.
#[derive(Debug, Clone, PartialEq)]
pub struct BodyTold {
    /// Which.
    pub thing: ThingId,
    /// Who holds it; none while it rests.
    pub holder: Option<PeerNumber>,
    /// Where it was then, world frame.
    pub at: TrackedPoint,
    /// When that was, on the host's clock.
    pub when: Timestamp,
    /// Whether we held it and hold it no more, although we have not let go: we were silent for too long.
    pub is_lost: bool,
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
        /// An entry that it overruled and that its author did not know of.
        overruled: Option<u64>,
    },
    /// New samples; of each tag no older one than before.
    Samples(Vec<TagSample>),
    /// What tags read that were wanted as windows ([`LinkCommand::Subscribe`]).
    Windows(Vec<TagWindow>),
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
        /// Whether they stand so until another pose comes; hosts before minor 4 do not say.
        rests: bool,
    },
    /// Things that people carry: whose they are now and where. Of each that ever was carried after a welcome (very many at
    /// once, where there are very many), and whenever one changes hands.
    Bodies(Vec<BodyTold>),
    /// A thing has been carried on. Of one that we hold ourselves it may come too, late.
    BodyMoved {
        /// Which.
        thing: ThingId,
        /// Where to, world frame.
        at: TrackedPoint,
        /// When the host heard it, on the host's clock.
        when: Timestamp,
        /// Whether it stays there until another word comes.
        rests: bool,
    },
    /// What we wanted to hold we hold: it is where [`LinkCommand::MoveBody`] says.
    Grabbed {
        /// Which.
        thing: ThingId,
    },
    /// What we wanted to hold, or held before an interruption, we do not get.
    GrabRefused {
        /// Which.
        thing: ThingId,
        /// Why, for a person.
        why: String,
    },
    /// Somebody near says something. It comes once, in any order, or not at all.
    Voice(NearbyFrame),
    /// How the fingers of somebody near are bent; told again and again while their hands are tracked.
    Fingers {
        /// Whose.
        peer: PeerNumber,
        /// Counts their words; it wraps. An older one may come after a newer one.
        number: u16,
        /// Left and right; none of a hand whose fingers are not tracked.
        hands: [Option<Fingers>; 2],
    },
    /// A thing is where the record says, whatever was told of it.
    BodyGone {
        /// Which.
        thing: ThingId,
    },
    /// How far back history goes. It never comes from a host that keeps none.
    History {
        /// Its beginning.
        from: Timestamp,
        /// Its end when this was said; it grows with the clock.
        to: Timestamp,
    },
    /// The answer to [`LinkCommand::Recall`], whole. A question that a newer one has replaced may stay without one.
    Recalled(RecallAnswer),
    /// Another peer invites to the instant they look at, or withdraws that.
    InstantShared {
        /// Who.
        peer: PeerNumber,
        /// When.
        instant: Option<Timestamp>,
    },
    /// The host counts on us to take over when it has died.
    StandsBy {
        /// When it said so, on its clock.
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
        /// The last of those that are here: what has just come. A host of minor 4 or later has proven them.
        bytes: Vec<u8>,
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
    /// Asks for a blob. Of several the nearest come first. Goes on where it was after an interruption.
    Fetch {
        /// Which.
        hash: BlobHash,
        /// How far away what it shows is; may be said anew.
        metres: f32,
        /// The first of its bytes, where they have been kept from before: what has come of it is not asked for again.
        kept: Vec<u8>,
    },
    /// Shows the others how we stand. The newest is told a few times more, and again after a reconnect.
    Pose(Pose),
    /// Shows the others what we have selected. The newest is told again after a reconnect.
    Select(Option<ThingId>),
    /// Asks for the past. The newest is asked again after a reconnect. A host that knows no past is not asked: the
    /// answer is that nothing is covered.
    Recall(Recall),
    /// Invites the others to an instant, or withdraws that. The newest is told again after a reconnect.
    ShareInstant(Option<Timestamp>),
    /// Asks to be told of these tags, so often; until it is said, everything is told. The newest is asked for again after a
    /// reconnect. A host from before minor 4 tells everything all the same.
    Subscribe(Vec<Want>),
    /// Where the site's host may be, the likeliest first, as all of the record says that the host had when it welcomed us.
    /// From the next try to connect on; and a session with a host whose key is not among these ends, and another begins.
    Hosts(Vec<Address>),
    /// As a host that stands by: tells what is on our disk. It concerns this session only.
    StandBy {
        /// Entries of the log there.
        held: u64,
        /// The newest [`LinkEvent::StandsBy`].
        heard: Option<Timestamp>,
        /// We stand by no more.
        leaves: bool,
    },
    /// Asks to hear of this peer's avatar first, wherever it is, such as of whom we follow; or of nobody's. Numbers are of
    /// one session: it is not told again after a reconnect.
    Watch(Option<PeerNumber>),
    /// Says a frame of speech to who is near, in whatever codec the listeners know: at most
    /// [`limits::VOICE_FRAME_BYTES`]. Without a host it is lost.
    Voice(Vec<u8>),
    /// How this person's fingers are bent, left and right; to be said again as [`limits::FINGERS_INTERVAL`] says. Without a
    /// host it is lost.
    Fingers([Option<Fingers>; 2]),
    /// Takes a thing in hand, which is at `from` for us; [`LinkEvent::Grabbed`] or [`LinkEvent::GrabRefused`] follows. It
    /// is held through an interruption.
    GrabBody {
        /// Which.
        thing: ThingId,
        /// Where it is, world frame.
        from: TrackedPoint,
    },
    /// Carries what is in hand, also before it is ours; the others see it from then on.
    MoveBody {
        /// Which.
        thing: ThingId,
        /// Where to, world frame.
        at: TrackedPoint,
    },
    /// Lets go what is in hand. There it is found by whoever comes later.
    ReleaseBody {
        /// Which.
        thing: ThingId,
        /// Where it lies, world frame.
        at: TrackedPoint,
    },
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
    /// Bytes of the past received.
    pub recall_bytes: u64,
    /// Pose bytes received.
    pub pose_bytes: u64,
    /// Blob bytes received.
    pub blob_bytes: u64,
    /// Blobs asked for with the first packet of a coming back (0-RTT).
    pub blobs_early: u64,
    /// Poses thrown away because nobody polled; the newest of each peer waits.
    pub poses_dropped: u64,
    /// Packets of poses that were left out: late, doubled or damaged.
    pub packets_unread: u64,
    /// Bytes of poses and of answers sent, to a host of minor 4 or later.
    pub pose_bytes_sent: u64,
    /// Bytes of voice sent.
    pub voice_bytes_sent: u64,
    /// Frames of voices thrown away because nobody polled.
    pub voices_dropped: u64,
    /// Control bytes sent: hellos, entries, questions, pings.
    pub control_bytes_sent: u64,
    /// Sessions that were lost.
    pub sessions_lost: u64,
}

/// How the line to the host is, in the newest session. What QUIC knows of it, renewed with every ping.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LineStats {
    /// Who and where the host is; none before the first session.
    pub host: Option<Address>,
    /// Round-trip time, smoothed.
    pub rtt: Duration,
    /// Bytes that may be under way to the host.
    pub window_bytes: u64,
    /// Packets sent to the host.
    pub packets_sent: u64,
    /// Those of them that got lost.
    pub packets_lost: u64,
    /// Bytes of UDP datagrams sent, the second connection for blobs aside.
    pub bytes_sent: u64,
    /// Bytes of UDP datagrams received, likewise.
    pub bytes_received: u64,
}

impl LineStats {
    pub(crate) fn of(host: &Address, connection: &quinn::Connection) -> Self {
        let stats = connection.stats();
        Self {
            host: Some(host.clone()),
            rtt: stats.path.rtt,
            window_bytes: stats.path.cwnd,
            packets_sent: stats.path.sent_packets,
            packets_lost: stats.path.lost_packets,
            bytes_sent: stats.udp_tx.bytes,
            bytes_received: stats.udp_rx.bytes,
        }
    }
}

/// What the thread counts and the owner reads.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) control: AtomicU64,
    pub(crate) telemetry: AtomicU64,
    pub(crate) recall: AtomicU64,
    pub(crate) pose: AtomicU64,
    pub(crate) blob: AtomicU64,
    pub(crate) poses_dropped: AtomicU64,
    pub(crate) packets_unread: AtomicU64,
    pub(crate) blobs_early: AtomicU64,
    pub(crate) pose_up: AtomicU64,
    pub(crate) voice_up: AtomicU64,
    pub(crate) voices_dropped: AtomicU64,
    pub(crate) control_up: AtomicU64,
    pub(crate) sessions_lost: AtomicU64,
    pub(crate) line: Mutex<LineStats>,
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
    /// The host that the newest session is with; none before there was one.
    pub fn host(&self) -> Option<Address> {
        self.line().host
    }

    /// How the line to it is.
    pub fn line(&self) -> LineStats {
        self.counters.line.lock().map(|line| line.clone()).unwrap_or_default()
    }

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
            recall_bytes: self.counters.recall.load(Relaxed),
            pose_bytes: self.counters.pose.load(Relaxed),
            blob_bytes: self.counters.blob.load(Relaxed),
            poses_dropped: self.counters.poses_dropped.load(Relaxed),
            packets_unread: self.counters.packets_unread.load(Relaxed),
            blobs_early: self.counters.blobs_early.load(Relaxed),
            pose_bytes_sent: self.counters.pose_up.load(Relaxed),
            voice_bytes_sent: self.counters.voice_up.load(Relaxed),
            voices_dropped: self.counters.voices_dropped.load(Relaxed),
            control_bytes_sent: self.counters.control_up.load(Relaxed),
            sessions_lost: self.counters.sessions_lost.load(Relaxed),
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
    begin(config, None)
}

/// As [`connect`], as a newcomer: `redemption` is the signed entry that redeems an invitation. A host that knows us
/// passes it over.
pub fn redeem(config: LinkConfig, redemption: Vec<u8>) -> Link {
    begin(config, Some(redemption))
}

fn begin(config: LinkConfig, redemption: Option<Vec<u8>>) -> Link {
    let (event_sender, events) = mpsc::channel(limits::EVENT_QUEUE);
    let (commands, command_receiver) = mpsc::channel(limits::COMMAND_QUEUE);
    let counters = Arc::new(Counters::default());
    let mut worker = Worker::new((config, redemption), event_sender, command_receiver, counters.clone());
    let thread = std::thread::Builder::new().name("gemba-link".to_owned()).spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        match runtime {
            Ok(runtime) => {
                runtime.block_on(worker.run());
                // A name that is still being looked up holds up nobody.
                runtime.shutdown_background();
            }
            Err(error) => {
                let why = format!("no network runtime: {error}");
                worker.give_up(why);
            }
        }
    });
    Link { events, commands: Some(commands), counters, thread: thread.ok() }
}
