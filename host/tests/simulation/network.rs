//! The network between nodes: it loses, doubles, reorders and holds back what is sent, and falls apart.

use std::collections::BTreeSet;

use gemba_net::Hello;
use gemba_net::wire::ToPeer;
use gemba_twin::peer::PeerKey;

use crate::random::Random;

/// A participant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Node {
    Host,
    Reader(usize),
    Witness(usize),
}

/// What is under way.
#[derive(Debug, Clone)]
pub(crate) enum Message {
    Hello {
        key: PeerKey,
        hello: Hello,
    },
    Submit {
        submission: u64,
        entry: Vec<u8>,
    },
    ToPeer(ToPeer),
    /// The host asks to be cosigned: the body of `add-checkpoint`.
    AddCheckpoint(String),
    /// A checkpoint for a mirror.
    Checkpoint(String),
    /// The cosignature of a checkpoint of this size, or the size from which the cosigner goes on.
    Cosigned {
        size: u64,
        line: Result<String, u64>,
    },
}

#[derive(Debug, Clone)]
pub(crate) struct Packet {
    pub(crate) from: Node,
    pub(crate) to: Node,
    /// Of which session; those of an earlier one are passed over by who gets them.
    pub(crate) session: u64,
    pub(crate) message: Message,
}

/// The network, and how bad it is.
#[derive(Debug)]
pub(crate) struct Network {
    packets: Vec<Packet>,
    /// Who is cut off from the host.
    cut: BTreeSet<Node>,
    /// Percent of packets that are lost and that come twice.
    lost: usize,
    doubled: usize,
    /// Whether packets of one session keep their order, as a stream's do.
    ordered: bool,
}

impl Network {
    pub(crate) fn new(random: &mut Random) -> Self {
        let ordered = random.chance(50);
        let (lost, doubled) = if random.chance(70) { (random.below(20), random.below(20)) } else { (0, 0) };
        Self { packets: Vec::new(), cut: BTreeSet::new(), lost, doubled, ordered }
    }

    /// No faults any more.
    pub(crate) fn heal(&mut self) {
        (self.lost, self.doubled, self.ordered) = (0, 0, true);
        self.cut.clear();
    }

    /// Cuts a node off, or joins it again.
    pub(crate) fn toggle(&mut self, node: Node) {
        if !self.cut.remove(&node) {
            self.cut.insert(node);
        }
    }

    pub(crate) fn send(&mut self, random: &mut Random, packet: Packet) {
        if random.chance(self.lost) {
            return;
        }
        if random.chance(self.doubled) {
            self.packets.push(packet.clone());
        }
        self.packets.push(packet);
    }

    /// Something arrives.
    pub(crate) fn deliver(&mut self, random: &mut Random) -> Option<Packet> {
        let Self { packets, cut, ordered, .. } = self;
        let passes = |packet: &Packet| !cut.contains(&packet.from) && !cut.contains(&packet.to);
        let ready: Vec<usize> = (0..packets.len()).filter(|at| passes(&packets[*at])).collect();
        let mut at = *random.pick(&ready)?;
        if *ordered {
            let way = |packet: &Packet| (packet.from, packet.to);
            at = packets.iter().position(|packet| way(packet) == way(&packets[at])).unwrap_or(at);
        }
        Some(packets.remove(at))
    }
}
