//! One run: a host, its peers, its witnesses and a mirror, and everything that goes wrong between them. Which step is
//! next is drawn, and so is what it does; afterwards all is well again and everyone must come to the same.

use std::time::Instant;

use gemba_host::disk::Faults;
use gemba_record::checkpoint::{SignedCheckpoint, origin};
use gemba_record::cosignature::Cosigner;
use gemba_record::merkle::{Tree, leaf_hash};
use gemba_record::note::{SignatureKind, SignatureLine, VerifierKey};
use gemba_record::quorum::{Members, Policy};
use gemba_record::witness::Submission;

use crate::host::{HostNode, host_identity};
use crate::model::{Model, Violation, ensure};
use crate::network::{Message, Network, Node, Packet};
use crate::random::Random;
use crate::reader::Reader;
use crate::speech::{COMMENTER, GATEWAY, MIRROR, NEWCOMER, OPERATOR, OWNER, SITE, THIEF, secret};
use crate::witness::WitnessNode;

/// Steps in which things go wrong.
const STEPS: usize = 400;

/// Rounds after which everyone must have come to the same, once nothing goes wrong any more.
const ROUNDS: usize = 120;

/// What is broken on purpose, to see that the model would notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sabotage {
    None,
    /// The host's disk says that bytes are safe, and they are not.
    LyingDisk,
    /// The host comes back with an older copy of its disk.
    OldBackup,
    /// The host tells every author that its entry was taken.
    FlatteringHost,
    /// A peer exchanges two entries of its copy.
    ReorderingPeer,
    /// Entries are called final by counting lines in place of members.
    CountedLines,
}

/// What happened in a run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    pub(crate) kinds: [u32; 28],
    pub(crate) crashes: u32,
    pub(crate) repairs: u32,
    pub(crate) finals: u32,
    pub(crate) forgeries: u32,
}

pub(crate) struct World {
    random: Random,
    start: Instant,
    sabotage: Sabotage,
    network: Network,
    host: HostNode,
    readers: Vec<Reader>,
    witnesses: Vec<WitnessNode>,
    /// For each witness the size from which it goes on, as far as the host knows.
    cosigned: Vec<u64>,
    mirror: Cosigner,
    policy: Policy,
    /// The newest checkpoint with the cosignatures it has so far.
    newest: Option<SignedCheckpoint>,
    /// What the clock of host and witnesses says, seconds; it goes back now and then.
    clock_secs: u64,
    sessions: u64,
    model: Model,
    tally: Tally,
    backup: Option<gemba_host::disk::SimulatedDisk>,
}

impl World {
    pub(crate) fn new(seed: u64, sabotage: Sabotage) -> Self {
        let mut random = Random::new(seed);
        let (mut host, model) = HostNode::found(seed, &mut random);
        host.flatters = sabotage == Sabotage::FlatteringHost;
        let network = Network::new(&mut random);
        let readers = [OWNER, OPERATOR, COMMENTER, GATEWAY, THIEF, MIRROR, NEWCOMER];
        let witnesses: Vec<WitnessNode> =
            (0..3).map(|n| WitnessNode::new(n, seed ^ n as u64, host_identity())).collect();
        let mirror = Cosigner::new("mirror.example", secret(200, 0)).expect("a name that a note can hold");
        let log = VerifierKey::new(&origin(SITE), SignatureKind::Log, host_identity()).expect("a log's key");
        let watching = Members { keys: witnesses.iter().map(WitnessNode::verifier).collect(), needed: 2 };
        let mirroring = Members { keys: vec![mirror.verifier().clone()], needed: 1 };
        Self {
            random,
            start: Instant::now(),
            sabotage,
            network,
            host,
            readers: readers.map(|who| Reader::new(who, who == OWNER)).into_iter().collect(),
            cosigned: vec![0; witnesses.len()],
            witnesses,
            mirror,
            policy: Policy::new(log, watching, mirroring).expect("a policy that can be met"),
            newest: None,
            clock_secs: 1_000,
            sessions: 0,
            model,
            tally: Tally::default(),
            backup: None,
        }
    }

    /// All of it; what happened, or what was found to be wrong.
    pub(crate) fn run(mut self) -> Result<Tally, Violation> {
        (0..self.readers.len()).for_each(|at| self.connect_reader(at));
        for step in 0..STEPS {
            self.step().map_err(|violation| format!("step {step}: {violation}"))?;
        }
        self.settle().map_err(|violation| format!("at the end: {violation}"))?;
        self.tally.kinds = self.model.kinds;
        (self.tally.crashes, self.tally.repairs) = (self.host.crashes, self.host.repairs);
        Ok(self.tally)
    }

    fn step(&mut self) -> Result<(), Violation> {
        match self.random.below(100) {
            0..50 => (0..=self.random.below(8)).try_for_each(|_| self.deliver()),
            50..69 => self.speak(),
            69..84 => self.work(),
            84..90 => self.connect(),
            90..92 => self.sign(),
            92 => self.break_or_start_host(),
            // It is not down for long.
            93..96 if !self.host.is_up() => self.break_or_start_host(),
            93 => self.break_other(),
            95 if self.random.chance(40) => {
                let node = if self.random.chance(20) {
                    Node::Host
                } else {
                    Node::Reader(self.random.below(self.readers.len()))
                };
                self.network.toggle(node);
                Ok(())
            }
            _ => {
                self.turn_clocks();
                Ok(())
            }
        }
    }

    fn deliver(&mut self) -> Result<(), Violation> {
        let Some(packet) = self.network.deliver(&mut self.random) else { return Ok(()) };
        let packets = match packet.to {
            Node::Host => match packet.message {
                Message::Cosigned { size, line } => return self.cosigned(packet.from, size, line),
                _ => self.host.receive(packet, &self.model)?,
            },
            Node::Reader(at) => self.deliver_to_reader(at, packet)?,
            Node::Witness(at) => {
                let Message::AddCheckpoint(body) = &packet.message else { return Ok(()) };
                let size = Submission::parse(body.as_bytes()).map_or(0, |s| s.checkpoint.checkpoint().size);
                let answer = self.witnesses[at].handle(body, self.clock_secs)?;
                let message = answer.map(|line| Message::Cosigned { size, line });
                message
                    .map(|message| Packet { from: packet.to, to: Node::Host, session: 0, message })
                    .into_iter()
                    .collect()
            }
        };
        self.send(packets);
        Ok(())
    }

    fn deliver_to_reader(&mut self, at: usize, packet: Packet) -> Result<Vec<Packet>, Violation> {
        let reader = &mut self.readers[at];
        let messages = match packet.message {
            Message::ToPeer(message) if packet.session == reader.session => reader.handle(message, &mut self.model)?,
            Message::Checkpoint(note) => self.mirrored(at, note).into_iter().collect(),
            _ => Vec::new(),
        };
        let session = self.readers[at].session;
        Ok(messages.into_iter().map(|message| Packet { from: packet.to, to: Node::Host, session, message }).collect())
    }

    /// A mirror cosigns what it holds, and nothing else.
    fn mirrored(&mut self, at: usize, note: String) -> Option<Message> {
        let reader = &mut self.readers[at];
        let signed = SignedCheckpoint::open(&note, self.policy.log()).ok()?;
        let size = signed.checkpoint().size;
        let held = reader.entries.get(..usize::try_from(size).ok()?)?;
        if tree(held).root() != signed.checkpoint().root {
            return None;
        }
        let newer = reader
            .checkpoint
            .as_ref()
            .is_none_or(|held| SignedCheckpoint::read(held).is_ok_and(|held| held.checkpoint().size <= size));
        if newer {
            reader.checkpoint = Some(note);
        }
        let line = self.mirror.cosign(&signed, self.clock_secs).to_string();
        Some(Message::Cosigned { size, line: Ok(line) })
    }

    /// A cosignature has come, or the size from which its maker goes on.
    fn cosigned(&mut self, from: Node, size: u64, line: Result<String, u64>) -> Result<(), Violation> {
        if let Node::Witness(at) = from {
            self.cosigned[at] = *line.as_ref().err().unwrap_or(&size);
        }
        let Some(newest) = self.newest.as_mut().filter(|newest| newest.checkpoint().size == size) else {
            return Ok(());
        };
        let Ok(lines) = line else { return Ok(()) };
        let lines = SignatureLine::parse_all(&lines).map_err(|why| format!("a cosigner's answer: {why}"))?;
        lines.into_iter().for_each(|line| newest.add(line));
        let newest = newest.clone();
        self.judge(&newest)?;
        if self.random.chance(10) { self.forge(newest) } else { Ok(()) }
    }

    fn judge(&mut self, note: &SignedCheckpoint) -> Result<(), Violation> {
        let said = match self.sabotage {
            Sabotage::CountedLines => note.note().signatures().len() >= 4,
            _ => self.policy.judge(note).is_ok_and(|standing| standing.is_final),
        };
        self.model.judged_final(note, &self.policy, said)?;
        self.tally.finals += u32::from(said);
        Ok(())
    }

    /// One witness would like to be two: its line under another's name, or under a name that nobody knows.
    fn forge(&mut self, mut note: SignedCheckpoint) -> Result<(), Violation> {
        let keys = self.policy.witnesses().keys.clone();
        let Some(own) = note.note().signatures().iter().find(|line| keys.iter().any(|key| key.claims(line))).cloned()
        else {
            return Ok(());
        };
        let only: Vec<&VerifierKey> =
            [self.policy.log()].into_iter().chain(keys.iter().filter(|key| key.claims(&own))).collect();
        note = note.only(&only);
        let mirrored = self.mirror.cosign(&note, self.clock_secs);
        note.add(mirrored);
        self.tally.forgeries += 1;
        note.add(SignatureLine { name: "nobody.example".into(), ..own.clone() });
        self.judge(&note)?;
        let other = keys.iter().find(|key| !key.claims(&own)).expect("there are three witnesses");
        note.add(SignatureLine { name: other.name().to_owned(), id: other.id(), ..own });
        let taken = self.policy.judge(&note).is_ok_and(|standing| standing.is_final);
        ensure(!taken, || "one witness counts as two".to_owned())
    }

    fn speak(&mut self) -> Result<(), Violation> {
        let at = self.random.below(self.readers.len());
        let reader = &mut self.readers[at];
        let mut messages: Vec<Message> = reader.speak(&mut self.random).into_iter().collect();
        if self.random.chance(5) {
            messages.extend(reader.again());
        }
        let session = reader.session;
        self.send(
            messages
                .into_iter()
                .map(|message| Packet { from: Node::Reader(at), to: Node::Host, session, message })
                .collect(),
        );
        Ok(())
    }

    fn work(&mut self) -> Result<(), Violation> {
        let packets = self.host.work(&mut self.random, &mut self.model)?;
        if self.host.notice_power() {
            return Ok(());
        }
        self.send(packets);
        match self.host.site() {
            Some(site) if site.log().entries() == self.model.len() => self.model.agrees(site.site()),
            _ => Ok(()),
        }
    }

    /// A reader comes in, or comes back since it has heard nothing for a while.
    fn connect(&mut self) -> Result<(), Violation> {
        let out: Vec<usize> = (0..self.readers.len()).filter(|at| !self.readers[*at].is_in()).collect();
        let bored = self.random.below(self.readers.len());
        match self.random.pick(&out) {
            Some(at) => self.connect_reader(*at),
            None if self.random.chance(20) => self.connect_reader(bored),
            None => {}
        }
        Ok(())
    }

    fn connect_reader(&mut self, at: usize) {
        self.sessions += 1;
        let message = self.readers[at].connect(self.sessions, &mut self.random, self.start);
        self.send(vec![Packet { from: Node::Reader(at), to: Node::Host, session: self.sessions, message }]);
    }

    /// The host signs what it has and asks everyone to cosign it.
    fn sign(&mut self) -> Result<(), Violation> {
        let note = self.host.sign(&mut self.model)?;
        if self.host.notice_power() {
            return Ok(());
        }
        let Some(note) = note else { return Ok(()) };
        let checkpoint = SignedCheckpoint::open(&note, self.policy.log()).map_err(|why| why.to_string())?;
        let size = checkpoint.checkpoint().size;
        if self.newest.as_ref().is_none_or(|newest| newest.checkpoint() != checkpoint.checkpoint()) {
            self.newest = Some(checkpoint.clone());
        }
        let tree = tree(&self.model.log[..(size as usize).min(self.model.log.len())]);
        let mut packets = Vec::new();
        for (at, old) in self.cosigned.iter().copied().enumerate() {
            let proof = tree.consistency(old, size).unwrap_or_default();
            let body = Submission { old, proof, checkpoint: checkpoint.clone() }.encode();
            packets.push((Node::Witness(at), Message::AddCheckpoint(body)));
        }
        let mirror = self.readers.iter().position(|reader| reader.speaker.who == MIRROR).expect("there is a mirror");
        packets.push((Node::Reader(mirror), Message::Checkpoint(note)));
        self.send(
            packets.into_iter().map(|(to, message)| Packet { from: Node::Host, to, session: 0, message }).collect(),
        );
        Ok(())
    }

    fn break_or_start_host(&mut self) -> Result<(), Violation> {
        if !self.host.is_up() {
            // Anything may go wrong again while it comes back.
            let operations_left = self.random.chance(40).then(|| self.random.below(60) as u64);
            let refuses = self.random.chance(15);
            let lies = self.sabotage == Sabotage::LyingDisk;
            let sync_fails = refuses && self.random.chance(40);
            let read_only = refuses && !sync_fails && self.random.chance(40);
            let space = (refuses && !sync_fails && !read_only).then(|| 4_000 + self.random.below(20_000) as u64);
            self.host.set_faults(Faults { lies, sync_fails, read_only, space, operations_left });
            return self.start_host();
        }
        match self.random.below(6) {
            0 => self.host.kill(),
            1 => self.host.lose_power(),
            2 if self.sabotage == Sabotage::None => {
                self.host.kill();
                self.host.flip(&mut self.random);
            }
            3 | 4 => {
                let lies = self.sabotage == Sabotage::LyingDisk;
                let operations_left = Some(self.random.below(12) as u64);
                self.host.set_faults(Faults { lies, operations_left, ..Faults::default() });
            }
            _ if self.sabotage == Sabotage::OldBackup => match self.backup.take() {
                None => self.backup = Some(self.host.disk.copy()),
                Some(backup) => {
                    self.host.kill();
                    backup.set_faults(Faults::default());
                    self.host.disk = backup;
                }
            },
            _ => self.host.set_faults(Faults {
                lies: self.sabotage == Sabotage::LyingDisk,
                sync_fails: self.random.chance(30),
                ..Faults::default()
            }),
        }
        Ok(())
    }

    fn start_host(&mut self) -> Result<(), Violation> {
        let mirror = self.readers.iter().find(|reader| reader.speaker.who == MIRROR).expect("there is a mirror");
        self.host.start(&mut self.model, (mirror.checkpoint.as_deref(), &mirror.entries))
    }

    fn break_other(&mut self) -> Result<(), Violation> {
        if self.random.chance(50) {
            let at = self.random.below(self.readers.len());
            return self.readers[at].crash(&mut self.random, &self.model);
        }
        let at = self.random.below(self.witnesses.len());
        if self.random.chance(50) {
            self.witnesses[at].restart();
        } else {
            let operations_left = Some(self.random.below(6) as u64);
            self.witnesses[at].disk.set_faults(Faults { operations_left, ..Faults::default() });
        }
        Ok(())
    }

    /// Clocks run, each its own way, and go back now and then.
    fn turn_clocks(&mut self) {
        let back = self.random.chance(30);
        let by = self.random.below(1_000_000) as i64;
        let at = self.random.below(self.readers.len());
        let clock = &mut self.readers[at].speaker.clock;
        *clock = if back { *clock - 3 * by } else { *clock + by };
        self.clock_secs = if back { self.clock_secs.saturating_sub(500) } else { self.clock_secs + 7 };
    }

    fn send(&mut self, packets: Vec<Packet>) {
        packets.into_iter().for_each(|packet| self.network.send(&mut self.random, packet));
    }

    /// Nothing goes wrong any more: everyone must come to the same, and everything must have been answered.
    fn settle(&mut self) -> Result<(), Violation> {
        self.network.heal();
        self.host.set_faults(Faults { lies: self.sabotage == Sabotage::LyingDisk, ..Faults::default() });
        for round in 0..ROUNDS {
            if !self.host.is_up() {
                self.start_host()?;
            }
            for at in 0..self.readers.len() {
                let reader = &self.readers[at];
                // Who is in and not answered takes the host for dead after a while; what was lost on the way is asked for.
                let waits = !reader.is_quiet() || reader.log.entries() < self.model.len();
                if (!reader.is_in() && round % 3 == 0) || (waits && round % 9 == 0) {
                    self.connect_reader(at);
                }
            }
            for _ in 0..60 {
                self.deliver()?;
                self.work()?;
            }
            if round % 40 == 0 {
                self.sign()?;
            }
            if self.sabotage == Sabotage::ReorderingPeer && round == 1 {
                self.readers[0].entries.swap(1, 2);
            }
            if round > 2 && self.is_settled() {
                return self.compare();
            }
        }
        let late = self.readers.iter().find(|reader| !self.has_settled(reader)).map(Reader::standing);
        Err(format!("of {} entries: {late:?} does not come to rest; host up: {}", self.model.len(), self.host.is_up()))
    }

    fn has_settled(&self, reader: &Reader) -> bool {
        let is_out = !(0..8).any(|number| {
            let key = crate::speech::public(reader.speaker.who, number);
            self.model.may_enter(&key)
        });
        is_out || (reader.is_in() && reader.is_quiet() && reader.log.entries() == self.model.len())
    }

    fn is_settled(&self) -> bool {
        self.host.is_up() && self.readers.iter().all(|reader| self.has_settled(reader))
    }

    fn compare(&mut self) -> Result<(), Violation> {
        let site = self.host.site().ok_or("the host is down")?;
        self.model.agrees(site.site())?;
        ensure(self.host.strangers(&self.model) == 0, || "a peer is present that may not be".to_owned())?;
        let digest = site.site().digest();
        for reader in self.readers.iter().filter(|reader| reader.log.entries() == self.model.len()) {
            let who = reader.speaker.who;
            ensure(reader.site().map(|site| site.digest()) == Some(digest), || {
                format!("peer {who} has another digest")
            })?;
            ensure(reader.entries == self.model.log, || format!("peer {who} holds other entries"))?;
        }
        Ok(())
    }
}

fn tree(entries: &[Vec<u8>]) -> Tree {
    let mut tree = Tree::default();
    entries.iter().for_each(|entry| tree.push(leaf_hash(entry)));
    tree
}
