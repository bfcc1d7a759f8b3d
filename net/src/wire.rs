//! Every message of the protocol, on one page. Minor versions 0 to 6 of `gemba/1`; what is new in 1 or 2 says so, and
//! goes only to a peer that speaks it.
//!
//! | lane | carried by | frames |
//! |---|---|---|
//! | record and control | the first bidirectional stream a peer opens | `u32` length, little endian, then CBOR: [`ToHost`] one way, [`ToPeer`] the other |
//! | telemetry | one unidirectional stream from the host | `u32` length, then a batch ([`crate::telemetry::packed`], before minor 4 [`crate::telemetry::encode`]) |
//! | telemetry, past | a unidirectional stream from the host for each answer (minor 1) | `u32` length, then [`RecallHead`] as CBOR; then batches as before minor 4; an empty frame is the last |
//! | pose | datagrams | [`PoseUp`] to the host, [`PoseDown`] from it; from minor 4 on answers and packets both ways (`uplink.rs`): of [`crate::body`] to the host, of [`crate::relay`] from it; and frames of [`crate::nearby`], of fingers from minor 5 on |
//! | bodies, to a newcomer | a unidirectional stream from the host on the second connection (minor 4) | `u32` length, then a piece ([`crate::join`]) |
//! | blob | a bidirectional stream each, on a second connection whose first frame is [`ToHost::Bulk`] (minor 3; with the first packet, 0-RTT, by who comes back) or on the same | 32 bytes hash, `u64` offset; back: `u64` size, from minor 4 on the values of its groups ([`crate::blob_intake`]), then the bytes from the offset |

use gemba_twin::path::{TagId, ThingId};
use gemba_twin::sample::Timestamp;
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};
use thiserror::Error;

use crate::body::{BodyNumber, Epoch, Lease};
use crate::limits;
use crate::peers::{Hello, PeerInfo, PeerNumber, Pose, TrackedPoint};
use crate::pose_codec::{self, take};
use crate::telemetry::Want;

/// What both ends must agree on (TLS ALPN): the major version.
pub const ALPN: &[u8] = b"gemba/1";
/// Minor versions this program speaks, oldest to newest.
pub const MINORS: std::ops::RangeInclusive<u16> = 0..=6;
/// First minor version that knows the past: [`Recall`], [`ToPeer::History`] and shared instants.
pub const PAST_MINOR: u16 = 1;
/// First minor version that tells an author what an edit has overruled, and in which a newcomer can bring the entry that
/// redeems an invitation.
pub const EDIT_MINOR: u16 = 2;
/// First minor version with a second connection for blobs: [`ToHost::Bulk`].
pub const BULK_MINOR: u16 = 3;
/// First minor version in which poses and bodies are told by differences that are acknowledged, to each peer what it is
/// near to.
pub const BODY_MINOR: u16 = 4;
/// First minor version in which a peer says which tags it wants to be told how often, and samples come packed.
pub const TELEMETRY_MINOR: u16 = 4;
/// First minor version in which the groups of a blob are verified as they come.
pub const BLOB_TREE_MINOR: u16 = 4;
/// First minor version in which a host can stand by for another.
pub const SUCCESSION_MINOR: u16 = 4;
/// First minor version that passes on how fingers are bent.
pub const FINGERS_MINOR: u16 = 5;
/// First minor version in which a hello says where its peer is, so that a newcomer need not ask where all bodies are.
pub const HERE_MINOR: u16 = 6;
/// Size that stands for "no such blob".
pub const NO_BLOB: u64 = u64::MAX;

/// From a peer to the host.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub enum ToHost {
    /// First of all.
    #[n(0)]
    Hello(#[n(0)] Hello),
    /// Asks to append a signed entry.
    #[n(1)]
    Submit {
        /// The peer's own number for this request.
        #[n(0)]
        submission: u64,
        /// The entry's signed bytes.
        #[n(1)]
        entry: ByteVec,
    },
    /// Tells what this person has selected.
    #[n(2)]
    Select(#[n(0)] Option<ThingId>),
    /// Asks for the host's clock, and shows that the peer lives.
    #[n(3)]
    Ping {
        /// The peer's clock, microseconds.
        #[n(0)]
        sent: i64,
    },
    /// Asks for the past (minor 1). The answer comes on a stream of its own.
    #[n(4)]
    Recall(#[n(0)] Recall),
    /// Invites the others to the instant this person looks at, or withdraws that (minor 1).
    #[n(5)]
    ShareInstant(#[n(0)] Option<Timestamp>),
    /// In place of a hello (minor 3): this connection is for blobs alone, and belongs to the session that the same key has.
    #[n(6)]
    Bulk,
    /// Wants to be told of another peer's avatar first, wherever that is; or of nobody's (minor 4).
    #[n(7)]
    Watch(#[n(0)] Option<PeerNumber>),
    /// Takes a thing in hand (minor 4). Where it is carried comes as datagrams, under the number of the hold.
    #[n(8)]
    Grab {
        /// The peer's own number for this hold, which it uses for no other one until it has released it.
        #[n(0)]
        hold: u8,
        /// What.
        #[n(1)]
        thing: ThingId,
        /// Where the peer sees it now: where it is, if nobody has carried it before.
        #[n(2)]
        from: TrackedPoint,
    },
    /// Lets go what it holds (minor 4): whatever datagrams get lost, there it lies.
    #[n(9)]
    Release {
        /// The hold.
        #[n(0)]
        hold: u8,
        /// Where it lies.
        #[n(1)]
        at: TrackedPoint,
    },
    /// Wants to be told of these tags so often (minor 4), and of no others. Who has not said so is told everything.
    #[n(12)]
    Subscribe(#[n(0)] Vec<Want>),
    /// Asks where all bodies are, after [`ToPeer::Bodies`] (minor 4): those around it come as [`ToPeer::Piece`], the rest
    /// on a stream of the second connection. Whoever has said in its hello where it is (minor 6) is told without asking.
    #[n(13)]
    Join {
        /// Where the peer is, millimetres; what is near there comes first.
        #[n(0)]
        here: [i32; 3],
        /// Whether there is no second connection, so that the rest too is to come as [`ToPeer::Piece`].
        #[n(1)]
        is_alone: bool,
    },
    /// A host that stands by for this one tells what it has on its disk (minor 4).
    #[n(24)]
    StandBy {
        /// Entries of the log there.
        #[n(0)]
        held: u64,
        /// The newest [`ToPeer::StandsBy`] that it has heard: it does not take over before this is too long ago.
        #[n(1)]
        heard: Option<Timestamp>,
        /// It stands by no more, and will not take over before it has begun to again.
        #[n(2)]
        leaves: bool,
    },
}

/// A thing that people carry, whose it is now and where.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub struct BodyNews {
    /// Its number at this host, by which datagrams name it.
    #[n(0)]
    pub body: BodyNumber,
    /// The thing.
    #[n(1)]
    pub thing: ThingId,
    /// Who may move it; [`PeerNumber::HOST`] while it rests.
    #[n(2)]
    pub lease: Lease,
    /// Where it was when this was said.
    #[n(3)]
    pub at: TrackedPoint,
    /// When that was, on the host's clock.
    #[n(4)]
    pub when: Timestamp,
}

/// A question for the past: of each tag the sample in force at `from`, and up to `points` samples after `from` and not
/// after `to`. While a peer's question is being answered its next one waits, and a newer one takes that one's place.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Recall {
    /// The peer's own number for this question.
    #[n(0)]
    pub request: u32,
    /// Of which tags; none for all.
    #[n(1)]
    pub tags: Option<Vec<TagId>>,
    /// Beginning.
    #[n(2)]
    pub from: Timestamp,
    /// End, not before the beginning.
    #[n(3)]
    pub to: Timestamp,
    /// Most samples of each tag after the beginning.
    #[n(4)]
    pub points: u32,
}

/// How the answer to a [`Recall`] begins.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct RecallHead {
    /// The question.
    #[n(0)]
    pub request: u32,
    /// Beginnings and ends of the spans that history covers, in order; of all else nothing is known.
    #[n(1)]
    pub covered: Vec<(Timestamp, Timestamp)>,
    /// Whether of some tag there were more samples than are sent: what is sent was measured, but between two of them
    /// there may have been others.
    #[n(2)]
    pub is_thinned: bool,
    /// What history had and cannot be read any more; none instead of an empty list, and of earlier hosts.
    #[n(3)]
    pub unreadable: Option<Vec<UnreadableSpan>>,
}

/// A span that history covered and of which nothing is known any more.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct UnreadableSpan {
    /// Its beginning.
    #[n(0)]
    pub from: Timestamp,
    /// Its end.
    #[n(1)]
    pub to: Timestamp,
    /// What is wrong, for a person.
    #[n(2)]
    pub why: String,
}

/// From the host to a peer.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub enum ToPeer {
    /// The peer is in.
    #[n(0)]
    Welcome {
        /// Its number.
        #[n(0)]
        me: PeerNumber,
        /// Name of the site.
        #[n(1)]
        site: String,
        /// Entries of the log now.
        #[n(2)]
        entries: u64,
        /// Minor version that is spoken from here on.
        #[n(3)]
        minor: u16,
    },
    /// The peer is not let in.
    #[n(1)]
    Refused {
        /// Why, for a person.
        #[n(0)]
        why: String,
    },
    /// The next entries of the log.
    #[n(2)]
    Entries {
        /// Index of the first.
        #[n(0)]
        first: u64,
        /// Their signed bytes.
        #[n(1)]
        entries: Vec<ByteVec>,
    },
    /// The entry is in the log, durably.
    #[n(3)]
    Accepted {
        /// The request.
        #[n(0)]
        submission: u64,
        /// Where it stands.
        #[n(1)]
        index: u64,
        /// An entry that it overruled and that its author did not know of (minor 2).
        #[n(2)]
        overruled: Option<u64>,
    },
    /// The entry is not in the log.
    #[n(4)]
    Rejected {
        /// The request.
        #[n(0)]
        submission: u64,
        /// Why, for a person.
        #[n(1)]
        why: String,
    },
    /// Another peer is here.
    #[n(5)]
    Joined(#[n(0)] PeerInfo),
    /// Another peer has gone.
    #[n(6)]
    Left(#[n(0)] PeerNumber),
    /// Another peer has selected something.
    #[n(7)]
    Selected {
        /// Who.
        #[n(0)]
        peer: PeerNumber,
        /// What.
        #[n(1)]
        thing: Option<ThingId>,
    },
    /// Answer to a ping.
    #[n(8)]
    Pong {
        /// The ping's own time.
        #[n(0)]
        sent: i64,
        /// The host's clock.
        #[n(1)]
        host: Timestamp,
    },
    /// How far back history goes (minor 1): told after the welcome if there is any, and when that changes.
    #[n(9)]
    History {
        /// Its beginning.
        #[n(0)]
        from: Timestamp,
        /// Its end when this was said; it grows with the clock.
        #[n(1)]
        to: Timestamp,
    },
    /// The host counts on the peer to take over when it has died (minor 4): what is acknowledged from here on is on both disks.
    #[n(24)]
    StandsBy {
        /// The host's clock.
        #[n(0)]
        at: Timestamp,
    },
    /// Another peer invites to the instant they look at, or withdraws that (minor 1).
    #[n(10)]
    InstantShared {
        /// Who.
        #[n(0)]
        peer: PeerNumber,
        /// When.
        #[n(1)]
        instant: Option<Timestamp>,
    },
    /// A thing is carried from now on, or lies (minor 4); after the welcome of every one that ever was.
    #[n(11)]
    Body(#[n(0)] BodyNews),
    /// The peer has what it wanted to hold (minor 4).
    #[n(12)]
    Held {
        /// The hold.
        #[n(0)]
        hold: u8,
        /// What it holds.
        #[n(1)]
        body: BodyNumber,
        /// Its lease's epoch, under which it is to tell where it carries it.
        #[n(2)]
        epoch: Epoch,
    },
    /// The peer does not get what it wanted to hold (minor 4).
    #[n(13)]
    GrabRefused {
        /// The hold, whose number is free again.
        #[n(0)]
        hold: u8,
        /// Why, for a person.
        #[n(1)]
        why: String,
    },
    /// There are so many bodies that they are told only to who asks with [`ToHost::Join`] (minor 4), or has said where it is
    /// (minor 6).
    #[n(16)]
    Bodies(#[n(0)] u32),
    /// Where bodies are (minor 4): see [`crate::join`].
    #[n(17)]
    Piece(#[n(0)] ByteVec),
    /// A thing is where the record says, and no body any more (minor 4).
    #[n(14)]
    BodyGone(#[n(0)] BodyNumber),
}

/// Why a frame cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WireError {
    /// Over [`limits::FRAME_BYTES`] or another limit.
    #[error("a message is larger than allowed")]
    TooLarge,
    /// Not a message.
    #[error("a message is damaged")]
    Damaged,
}

/// A message as a frame: its length, then itself.
pub fn frame<M: Encode<()>>(message: &M) -> Vec<u8> {
    let mut out = vec![0; 4];
    minicbor::encode(message, &mut out).expect("writing to memory does not fail");
    let length = (out.len() - 4) as u32;
    out[..4].copy_from_slice(&length.to_le_bytes());
    out
}

/// A message from the body of a frame.
pub fn decode_to_host(body: &[u8]) -> Result<ToHost, WireError> {
    let message = decode(body)?;
    let fits = match &message {
        ToHost::Hello(hello) => {
            let redemption = hello.redemption.as_ref().map_or(0, |entry| entry.len());
            hello.name.len() <= limits::NAME_BYTES && redemption <= limits::REDEMPTION_BYTES
        }
        ToHost::Grab { from: at, .. } | ToHost::Release { at, .. } if !at.is_sound() => return Err(WireError::Damaged),
        ToHost::Subscribe(wants) => wants.len() <= limits::WANTS && wants.iter().all(Want::fits),
        ToHost::Recall(recall) if recall.to < recall.from => return Err(WireError::Damaged),
        ToHost::Recall(recall) => {
            recall.points <= limits::RECALL_POINTS
                && recall.tags.as_ref().is_none_or(|tags| tags.len() <= limits::RECALL_TAGS)
        }
        _ => true,
    };
    if fits { Ok(message) } else { Err(WireError::TooLarge) }
}

/// A message from the body of a frame.
pub fn decode_to_peer(body: &[u8]) -> Result<ToPeer, WireError> {
    let message = decode(body)?;
    let fits = match &message {
        ToPeer::Welcome { site, .. } => site.len() <= limits::NAME_BYTES,
        ToPeer::Refused { why } | ToPeer::Rejected { why, .. } | ToPeer::GrabRefused { why, .. } => {
            why.len() <= limits::REASON_BYTES
        }
        ToPeer::Body(news) if !news.at.is_sound() => return Err(WireError::Damaged),
        ToPeer::Entries { entries, .. } => entries.len() <= limits::ENTRIES,
        ToPeer::Joined(info) => info.name.len() <= limits::NAME_BYTES,
        _ => true,
    };
    if fits { Ok(message) } else { Err(WireError::TooLarge) }
}

/// The beginning of an answer from the body of its first frame. Spans are in order and do not overlap.
pub fn decode_recall_head(body: &[u8]) -> Result<RecallHead, WireError> {
    let head: RecallHead = decode(body)?;
    if head.covered.len() > limits::RECALL_SPANS {
        return Err(WireError::TooLarge);
    }
    let unreadable = head.unreadable.as_deref().unwrap_or_default();
    let is_short = unreadable.iter().all(|span| span.why.len() <= limits::UNREADABLE_REASON_BYTES);
    if unreadable.len() > limits::UNREADABLE_SPANS || !is_short {
        return Err(WireError::TooLarge);
    }
    let ends = head.covered.iter().all(|(from, to)| from <= to);
    let order = head.covered.windows(2).all(|pair| pair[0].1 <= pair[1].0);
    if ends && order { Ok(head) } else { Err(WireError::Damaged) }
}

fn decode<'b, M: Decode<'b, ()>>(body: &'b [u8]) -> Result<M, WireError> {
    if body.len() > limits::FRAME_BYTES {
        return Err(WireError::TooLarge);
    }
    let mut decoder = minicbor::Decoder::new(body);
    let message = decoder.decode().map_err(|_| WireError::Damaged)?;
    if decoder.position() == body.len() { Ok(message) } else { Err(WireError::Damaged) }
}

/// A person's pose on its way to the host.
#[derive(Debug, Clone, PartialEq)]
pub struct PoseUp {
    /// Counts up; an older one than the newest received is late and worthless.
    pub sequence: u32,
    /// The pose.
    pub pose: Pose,
}

impl PoseUp {
    /// As a datagram.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = self.sequence.to_le_bytes().to_vec();
        pose_codec::encode(&self.pose, &mut out);
        out
    }

    /// From a datagram; none if it is damaged.
    pub fn decode(mut bytes: &[u8]) -> Option<Self> {
        let sequence = u32::from_le_bytes(take::<4>(&mut bytes)?);
        let pose = pose_codec::decode(&mut bytes)?;
        bytes.is_empty().then_some(Self { sequence, pose })
    }
}

/// One pose of one peer within a datagram from the host.
#[derive(Debug, Clone, PartialEq)]
pub struct PoseDown {
    /// Whose.
    pub peer: PeerNumber,
    /// When the host received it, on its clock.
    pub at: Timestamp,
    /// The pose.
    pub pose: Pose,
}

impl PoseDown {
    /// Appends it to a datagram.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.peer.0.to_le_bytes());
        out.extend_from_slice(&self.at.0.to_le_bytes());
        pose_codec::encode(&self.pose, out);
    }

    /// All poses of a datagram, up to the first damaged one.
    pub fn decode_all(mut bytes: &[u8]) -> Vec<Self> {
        let mut all = Vec::new();
        while let Some(next) = Self::decode(&mut bytes) {
            all.push(next);
        }
        all
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let peer = PeerNumber(u16::from_le_bytes(take::<2>(bytes)?));
        let at = Timestamp(i64::from_le_bytes(take::<8>(bytes)?));
        Some(Self { peer, at, pose: pose_codec::decode(bytes)? })
    }
}

/// Text for a person, cut to a limit at a character.
pub fn cut(text: &str, bytes: usize) -> String {
    let mut end = text.len().min(bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

#[cfg(test)]
mod tests;
