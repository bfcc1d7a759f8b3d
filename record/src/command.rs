//! What people tell devices to do and what became of it, and alarms they have seen.

use gemba_twin::path::{TagPath, ThingId};
use gemba_twin::peer::PeerKey;
use gemba_twin::sample::{Timestamp, Value};
use minicbor::{Decode, Encode};

use crate::entry::EntryId;

/// A person tells a device to set one of its tags. The entry's id names the command.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct Command {
    /// What is to be set.
    #[n(0)]
    pub tag: TagPath,
    /// To what.
    #[n(1)]
    pub value: Value,
    /// After this it must not be carried out any more.
    #[n(2)]
    pub until: Timestamp,
}

/// What became of a command. Said by the device that has the tag.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub enum Outcome {
    /// The device has taken it.
    #[n(0)]
    Done,
    /// The device has not, and why.
    #[n(1)]
    Failed(#[n(0)] String),
    /// It came too late to be tried.
    #[n(2)]
    Expired,
}

/// A command and how far it has come.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub struct CommandState {
    /// What was told.
    #[n(0)]
    pub command: Command,
    /// By whom.
    #[n(1)]
    pub author: PeerKey,
    /// Index of its entry.
    #[n(2)]
    pub index: u64,
    /// What became of it; none while it is under way.
    #[n(3)]
    pub outcome: Option<Outcome>,
}

/// A person has seen that a thing is in alarm.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct AlarmAck {
    /// Which thing.
    #[n(0)]
    pub thing: ThingId,
    /// When the alarm was raised: a later one is another.
    #[n(1)]
    pub raised: Timestamp,
    /// What the person has to say; may be empty.
    #[n(2)]
    pub text: String,
}

/// The newest acknowledgement of a thing's alarms.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub struct AlarmAckState {
    /// When the alarm was raised.
    #[n(0)]
    pub raised: Timestamp,
    /// What was said.
    #[n(1)]
    pub text: String,
    /// By whom.
    #[n(2)]
    pub author: PeerKey,
    /// Index of its entry.
    #[n(3)]
    pub index: u64,
}

/// The command an outcome belongs to.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct CommandOutcome {
    /// Id of the command's entry.
    #[n(0)]
    pub command: EntryId,
    /// What became of it.
    #[n(1)]
    pub outcome: Outcome,
}
