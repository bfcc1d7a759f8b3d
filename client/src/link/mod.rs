//! The link to the site's host: takes in entries, samples, people and blobs, and sends out what this person does.
//! Absent for a bare glTF file.

use std::time::Duration;

use bevy::prelude::*;
use ed25519_dalek::SigningKey;
use gemba_net::{BlobHash, Link, LinkState, PeerNumber};
use gemba_record::log::Log;
use gemba_record::site::Site as Fold;
use gemba_twin::peer::PeerKey;
use gemba_twin::sample::Timestamp;

use crate::schedule::Frame;

mod hosts;
mod kept;
mod receive;
mod say;
mod send;

use kept::KeptEntries;
pub(crate) use receive::receive;
pub use say::{Answered, Landed};

/// How the connection to the host stands.
#[derive(Resource)]
pub struct Connection {
    link: Option<Link>,
    log: Log,
    /// The record as it was at the instant that is shown, if that is another than now.
    earlier: Option<Log>,
    kept: KeptEntries,
    /// Entries of the record that the shown plant was folded from.
    entries_shown: u64,
    expected_host: Option<PeerKey>,
    /// This person's key, and what they have said that has not come back yet.
    voice: Option<say::Voice>,
    /// Entries of this person's own that have come back since the last frame.
    landed: Vec<Landed>,
    /// What the link says of itself; none for a bare file.
    pub state: Option<LinkState>,
    /// Our number at the host, once welcomed.
    pub me: Option<PeerNumber>,
    /// The host's clock minus ours, microseconds.
    pub clock_offset_micros: i64,
    /// Round-trip time to the host.
    pub rtt: Duration,
    /// Entries the host had when it welcomed us: how much there is to load.
    pub entries_expected: u64,
    /// Whether there ever was a welcome.
    pub was_connected: bool,
    /// Whether the log was found forged or broken: nothing more is taken in.
    pub broken: bool,
    fold_changed: bool,
    settling: bool,
}

/// What has arrived of a blob that was asked for.
#[derive(Message, Debug)]
pub enum BlobArrived {
    /// Some of it.
    Part {
        /// Which blob.
        hash: BlobHash,
        /// Bytes here.
        have: u64,
        /// Bytes in all.
        total: u64,
        /// The last of those that are here.
        bytes: Vec<u8>,
    },
    /// All of it, verified by its hash.
    Whole {
        /// Which blob.
        hash: BlobHash,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// It will not come.
    Failed {
        /// Which blob.
        hash: BlobHash,
        /// Why.
        why: String,
    },
}

impl Connection {
    /// No connection, for a bare file.
    pub fn none() -> Self {
        Self::new(None, None)
    }

    /// A connection over this link to the host with this key, as the holder of `signing_key`.
    pub fn over(link: Link, host: PeerKey, signing_key: SigningKey) -> Self {
        Self { voice: Some(say::Voice::new(signing_key)), ..Self::new(Some(link), Some(host)) }
    }

    fn new(link: Option<Link>, expected_host: Option<PeerKey>) -> Self {
        Self {
            expected_host,
            state: link.as_ref().map(|_| LinkState::Connecting { attempt: 0 }),
            link,
            voice: None,
            landed: Vec::new(),
            log: Log::default(),
            earlier: None,
            kept: KeptEntries::default(),
            entries_shown: 0,
            me: None,
            clock_offset_micros: 0,
            rtt: Duration::ZERO,
            entries_expected: 0,
            was_connected: false,
            broken: false,
            fold_changed: false,
            settling: false,
        }
    }

    /// Whether this viewer is at a site rather than looking at a bare file.
    pub fn is_site(&self) -> bool {
        self.link.is_some()
    }

    /// Whether the host answers now.
    pub fn is_here(&self) -> bool {
        self.state == Some(LinkState::Connected)
    }

    /// The site's record as folded here.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// The site as the shown entries of the record fold it: now, or at an instant of the past.
    pub fn fold(&self) -> Option<&Fold> {
        self.earlier.as_ref().unwrap_or(&self.log).site()
    }

    /// How many entries of the record were in force at an instant, as their authors dated them. Of a record that is too
    /// long to be kept, all.
    pub fn entries_at(&self, instant: Timestamp) -> u64 {
        self.kept.in_force_at(instant).unwrap_or(self.log.entries())
    }

    /// The link, to send commands by and to read its counters.
    pub fn link(&self) -> Option<&Link> {
        self.link.as_ref()
    }

    /// The link, to send commands by.
    pub fn link_mut(&mut self) -> Option<&mut Link> {
        self.link.as_mut()
    }
}

pub(crate) fn plugin(app: &mut App) {
    app.add_message::<BlobArrived>()
        .add_message::<Landed>()
        .add_message::<Answered>()
        .add_systems(Update, receive.in_set(Frame::Receive))
        .add_plugins(send::plugin);
}
